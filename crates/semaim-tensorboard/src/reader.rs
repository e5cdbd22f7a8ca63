//! Reading an event file back.

use std::path::Path;

use crate::error::EventError;
use crate::event::Event;
use crate::record::{Broken, unframe};

/// Reads all events of a file that this crate wrote, checking every checksum.
///
/// # Errors
///
/// [`EventError::Io`] when the file cannot be read, [`EventError::Truncated`] when it ends within a record (as it
/// may while a run still writes to it), [`EventError::Checksum`] and [`EventError::Malformed`] when a record is
/// damaged or of a kind that this crate does not write.
pub fn read_events(path: &Path) -> Result<Vec<Event>, EventError> {
    let bytes = std::fs::read(path).map_err(|source| EventError::Io {
        action: "read",
        path: path.into(),
        source,
    })?;
    let mut events = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let offset = bytes.len() - rest.len();
        let (payload, after) = unframe(rest).map_err(|broken| match broken {
            Broken::Truncated => EventError::Truncated {
                path: path.into(),
                offset,
            },
            Broken::Checksum => EventError::Checksum {
                path: path.into(),
                offset,
            },
        })?;
        events.push(Event::decode(payload).ok_or_else(|| EventError::Malformed {
            path: path.into(),
            offset,
        })?);
        rest = after;
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::frame;

    #[test]
    fn damage_is_told_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let good = crate::Event {
            wall_time: 1.0,
            step: 0,
            content: crate::Content::SessionStart,
        };
        let first = frame(&good.encode());
        let then = |tail: &[u8]| {
            std::fs::write(&path, [&first[..], tail].concat()).unwrap();
            read_events(&path)
        };
        assert_eq!(then(&[]).unwrap(), [good]);

        let at = first.len();
        let cut = then(&first[..9]).unwrap_err();
        assert!(matches!(cut, EventError::Truncated { offset, .. } if offset == at));
        let other = then(&frame(b"\xff")).unwrap_err();
        assert!(matches!(other, EventError::Malformed { offset, .. } if offset == at));
        let mut flipped = first.clone();
        flipped[14] ^= 1;
        let flipped = then(&flipped).unwrap_err();
        assert!(matches!(flipped, EventError::Checksum { offset, .. } if offset == at));
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let missing = read_events(&dir.path().join("none")).unwrap_err();
        assert!(matches!(missing, EventError::Io { action: "read", .. }));
    }
}
