//! Writing an event file.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::EventError;
use crate::event::{Content, Event, FILE_VERSION};
use crate::file_name::{file_name, host, next_second, second_of};
use crate::png_header::PngHeader;
use crate::record::frame;

/// An event file being written.
///
/// Events are buffered: TensorBoard sees them after [`flush`](EventWriter::flush), or when the writer is dropped.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    out: BufWriter<File>,
}

impl EventWriter {
    /// Starts a new event file in `dir`, which is made if it is missing. Files already there are left alone, and
    /// the new one's name sorts after theirs.
    ///
    /// # Errors
    ///
    /// [`EventError::Io`] when the folder or the file cannot be made or written.
    pub fn create(dir: &Path) -> Result<EventWriter, EventError> {
        EventWriter::create_at(dir, SystemTime::now())
    }

    /// Like [`create`](EventWriter::create), with the time that goes into the name and into the first event.
    ///
    /// # Errors
    ///
    /// As for [`create`](EventWriter::create).
    pub fn create_at(dir: &Path, time: SystemTime) -> Result<EventWriter, EventError> {
        std::fs::create_dir_all(dir).map_err(failed("create", dir))?;
        let mut present = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(failed("list", dir))? {
            let name = entry.map_err(failed("list", dir))?.file_name();
            present.extend(second_of(&name));
        }
        let second = next_second(time, present.into_iter());
        let (path, file) = create_new(dir, second)?;
        let mut writer = EventWriter {
            path,
            out: BufWriter::new(file),
        };
        writer.put(time, 0, Content::FileVersion(FILE_VERSION.into()))?;
        writer.flush()?;
        Ok(writer)
    }

    /// The file being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Logs one number. TensorBoard groups tags by the part before their first `/`. NaN and the infinities are
    /// passed on and shown as such.
    ///
    /// # Errors
    ///
    /// [`EventError::StepTooLarge`] above `i64::MAX`; [`EventError::Io`] when writing fails.
    pub fn scalar(&mut self, step: u64, tag: &str, value: f32) -> Result<(), EventError> {
        let tag = tag.to_owned();
        self.put(SystemTime::now(), step, Content::Scalar { tag, value })
    }

    /// Logs one picture, given as a whole PNG file; its size is taken from there.
    ///
    /// # Errors
    ///
    /// [`EventError::NotPng`] when `png` is something else; otherwise as for [`scalar`](EventWriter::scalar).
    pub fn image(&mut self, step: u64, tag: &str, png: &[u8]) -> Result<(), EventError> {
        let tag = tag.to_owned();
        let Some(header) = PngHeader::read(png) else {
            return Err(EventError::NotPng { tag });
        };
        let content = Content::Image {
            tag,
            width: header.width,
            height: header.height,
            channels: header.channels,
            png: png.to_vec(),
        };
        self.put(SystemTime::now(), step, content)
    }

    /// Says that the run goes on from a checkpoint and that `step` is the first step to be logged (again).
    /// TensorBoard then forgets what earlier files logged at `step` or later. To be called before anything else
    /// is logged.
    ///
    /// TensorBoard's fast loader (`--load_fast true`) ignores this; it drops the later steps of a tag once the tag
    /// is logged again at an earlier or the same step, which comes to the same for tags that go on.
    ///
    /// # Errors
    ///
    /// As for [`scalar`](EventWriter::scalar).
    pub fn resumed_at(&mut self, step: u64) -> Result<(), EventError> {
        // TensorBoard takes the first start that it sees for the beginning of the run and forgets nothing at it, and
        // the files there may hold none. So there are two; the second always counts.
        let now = SystemTime::now();
        self.put(now, step, Content::SessionStart)?;
        self.put(now, step, Content::SessionStart)
    }

    /// Hands everything logged so far to the operating system, so that TensorBoard can see it.
    ///
    /// # Errors
    ///
    /// [`EventError::Io`] when writing fails.
    pub fn flush(&mut self) -> Result<(), EventError> {
        self.out.flush().map_err(failed("write", &self.path))
    }

    fn put(&mut self, time: SystemTime, step: u64, content: Content) -> Result<(), EventError> {
        if i64::try_from(step).is_err() {
            return Err(EventError::StepTooLarge { step });
        }
        let event = Event {
            wall_time: time
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64()),
            step,
            content,
        };
        self.out
            .write_all(&frame(&event.encode()))
            .map_err(failed("write", &self.path))
    }
}

/// Makes a file with a name that no file has.
fn create_new(dir: &Path, second: u64) -> Result<(PathBuf, File), EventError> {
    let host = host();
    for counter in 0..1_000 {
        let path = dir.join(file_name(second, &host, std::process::id(), counter));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("create", &path)(error)),
        }
    }
    Err(EventError::NoFreeName { dir: dir.into() })
}

/// Turns a system error into one that says what was tried on which path.
fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> EventError {
    move |source| EventError::Io {
        action,
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::read_events;
    use std::time::Duration;

    /// The smallest start of a PNG that has a size: 2 by 1 pixels, RGB.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x02\0\0\0\x01\x08\x02\0\0\0";

    #[test]
    fn what_is_logged_is_read_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(&dir.path().join("made")).unwrap();
        writer.resumed_at(9).unwrap();
        writer.scalar(9, "train/loss", 1.5).unwrap();
        writer.image(10, "order", PNG).unwrap();
        writer.flush().unwrap();
        let events = read_events(writer.path()).unwrap();
        let steps: Vec<u64> = events.iter().map(|event| event.step).collect();
        assert_eq!(steps, [0, 9, 9, 9, 10]);
        assert!(events.iter().all(|event| event.wall_time > 1.7e9));
        let contents: Vec<Content> = events.into_iter().map(|event| event.content).collect();
        let expected = [
            Content::FileVersion("brain.Event:2".into()),
            Content::SessionStart,
            Content::SessionStart,
            Content::Scalar {
                tag: "train/loss".into(),
                value: 1.5,
            },
            Content::Image {
                tag: "order".into(),
                width: 2,
                height: 1,
                channels: 3,
                png: PNG.into(),
            },
        ];
        assert_eq!(contents, expected);
    }

    #[test]
    fn files_made_at_one_time_sort_in_the_order_made() {
        let dir = tempfile::tempdir().unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let paths: Vec<PathBuf> = (0..12)
            .map(|_| {
                let writer = EventWriter::create_at(dir.path(), time).unwrap();
                writer.path().to_owned()
            })
            .collect();
        assert!(paths.is_sorted_by(|a, b| a < b), "{paths:?}");
    }

    #[test]
    fn a_taken_name_gets_the_next_counter() {
        let dir = tempfile::tempdir().unwrap();
        let (first, _file) = create_new(dir.path(), 5).unwrap();
        let (second, _file) = create_new(dir.path(), 5).unwrap();
        assert!(first.to_string_lossy().ends_with(".0"));
        assert!(second.to_string_lossy().ends_with(".1"));
    }

    #[test]
    fn what_cannot_be_logged_is_refused_and_leaves_the_file_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(dir.path()).unwrap();
        let step = writer.scalar(u64::MAX, "a", 0.0).unwrap_err();
        assert!(matches!(step, EventError::StepTooLarge { step: u64::MAX }));
        let image = writer.image(0, "a", b"GIF89a").unwrap_err();
        assert!(matches!(image, EventError::NotPng { .. }));
        writer.flush().unwrap();
        assert_eq!(read_events(writer.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_file_where_the_folder_should_be_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = EventWriter::create(file.path()).unwrap_err();
        assert!(matches!(
            error,
            EventError::Io {
                action: "create",
                ..
            }
        ));
    }
}
