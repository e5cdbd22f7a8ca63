//! Writing an event file.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::event::{
    Content, Event, Image, SESSION_START, SessionLog, Summary, Value, What, record,
};
use crate::file_name::{file_name, host, next_second, second_of};

/// The file format that TensorBoard looks for in the first event of a file.
const FILE_VERSION: &str = "brain.Event:2";

/// An event file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `create`, `list` or `write`.
        action: &'static str,
        /// The file or folder it was tried on.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// TensorBoard keeps steps in a signed 64-bit number, and this one does not fit.
    #[error(
        "step {step} is beyond the largest that an event can carry ({})",
        i64::MAX
    )]
    StepTooLarge {
        /// The step asked for.
        step: u64,
    },
    /// The bytes given as an image do not start like a PNG.
    #[error("the image for `{tag}` is not a PNG")]
    NotPng {
        /// The tag it was to be logged under.
        tag: String,
    },
}

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
        writer.put(time, 0, What::FileVersion(FILE_VERSION.into()))?;
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
        self.summary(step, tag, Content::SimpleValue(value))
    }

    /// Logs one picture, given as a whole PNG file; its size is taken from there.
    ///
    /// # Errors
    ///
    /// [`EventError::NotPng`] when `png` is something else; otherwise as for [`scalar`](EventWriter::scalar).
    pub fn image(&mut self, step: u64, tag: &str, png: &[u8]) -> Result<(), EventError> {
        let Some([width, height, colorspace]) = png_size(png) else {
            let tag = tag.to_owned();
            return Err(EventError::NotPng { tag });
        };
        let image = Image {
            height,
            width,
            colorspace,
            encoded_image_string: png.to_vec(),
        };
        self.summary(step, tag, Content::Image(image))
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
        let status = SESSION_START;
        self.put(now, step, What::SessionLog(SessionLog { status }))?;
        self.put(now, step, What::SessionLog(SessionLog { status }))
    }

    /// Hands everything logged so far to the operating system, so that TensorBoard can see it.
    ///
    /// # Errors
    ///
    /// [`EventError::Io`] when writing fails.
    pub fn flush(&mut self) -> Result<(), EventError> {
        self.out.flush().map_err(failed("write", &self.path))
    }

    fn summary(&mut self, step: u64, tag: &str, content: Content) -> Result<(), EventError> {
        let value = Value {
            tag: tag.to_owned(),
            content: Some(content),
        };
        let summary = Summary { value: vec![value] };
        self.put(SystemTime::now(), step, What::Summary(summary))
    }

    fn put(&mut self, time: SystemTime, step: u64, what: What) -> Result<(), EventError> {
        let event = Event {
            wall_time: time
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64()),
            step: i64::try_from(step).map_err(|_| EventError::StepTooLarge { step })?,
            what: Some(what),
        };
        self.out
            .write_all(&record(&event))
            .map_err(failed("write", &self.path))
    }
}

/// Width, height and channels in the header of a PNG file; `None` when it is none.
fn png_size(png: &[u8]) -> Option<[i32; 3]> {
    let rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR")?;
    let (width, rest) = rest.split_first_chunk::<4>()?;
    let (height, rest) = rest.split_first_chunk::<4>()?;
    let channels = match rest.get(1)? {
        0 => 1,
        4 => 2,
        2 | 3 => 3,
        6 => 4,
        _ => return None,
    };
    Some([
        i32::from_be_bytes(*width),
        i32::from_be_bytes(*height),
        channels,
    ])
}

/// Makes a file with a name that no file has.
fn create_new(dir: &Path, second: u64) -> Result<(PathBuf, File), EventError> {
    let host = host();
    let mut counter = 0;
    loop {
        let path = dir.join(file_name(second, &host, std::process::id(), counter));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => counter += 1,
            Err(error) => return Err(failed("create", &path)(error)),
        }
    }
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
    use crate::event::read;
    use std::time::Duration;

    fn events(writer: &EventWriter) -> Vec<Event> {
        read(&std::fs::read(writer.path()).unwrap())
    }

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
        let events = events(&writer);
        let steps: Vec<i64> = events.iter().map(|event| event.step).collect();
        assert_eq!(steps, [0, 9, 9, 9, 10]);
        assert!(events.iter().all(|event| event.wall_time > 1.7e9));
        let start = What::SessionLog(SessionLog { status: 1 });
        let summary = |tag: &str, content| {
            let (tag, content) = (tag.to_owned(), Some(content));
            What::Summary(Summary {
                value: vec![Value { tag, content }],
            })
        };
        let image = Image {
            height: 1,
            width: 2,
            colorspace: 3,
            encoded_image_string: PNG.into(),
        };
        let expected = [
            What::FileVersion("brain.Event:2".into()),
            start.clone(),
            start,
            summary("train/loss", Content::SimpleValue(1.5)),
            summary("order", Content::Image(image)),
        ];
        let found: Vec<What> = events.into_iter().filter_map(|event| event.what).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn size_and_channels_are_read() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\x02\0\0\0\x03\x08\x06\0\0\0";
        assert_eq!(png_size(png), Some([258, 3, 4]));
        assert_eq!(png_size(&png[..20]), None);
        assert_eq!(png_size(b"\xff\xd8\xff\xe0 a JPEG"), None);
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
        assert_eq!(events(&writer).len(), 1);
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
