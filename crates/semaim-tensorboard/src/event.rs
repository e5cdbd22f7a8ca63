//! The events that are logged, and their encoding as TensorBoard's `Event` message.

use crate::wire::{Message, Value, fields};

/// The file format that TensorBoard looks for in the first event of a file.
pub(crate) const FILE_VERSION: &str = "brain.Event:2";

/// `SessionLog.SessionStatus.START`.
const SESSION_START: u64 = 1;

/// One event of an event file.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When it was written, in seconds since 1970.
    pub wall_time: f64,
    /// The training step it belongs to.
    pub step: u64,
    /// What happened.
    pub content: Content,
}

/// What an event carries.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// The first event of a file: the format's name and version.
    FileVersion(String),
    /// A session started at this step: events at this step or later in earlier files do not count any more.
    SessionStart,
    /// One number.
    Scalar {
        /// The name of the curve.
        tag: String,
        /// Its value at the step.
        value: f32,
    },
    /// One picture.
    Image {
        /// The name of the series.
        tag: String,
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// Numbers per pixel: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
        channels: u32,
        /// The PNG file.
        png: Vec<u8>,
    },
}

impl Event {
    /// The event as a protocol-buffer message.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let event = Message::default()
            .double(1, self.wall_time)
            .varint(2, self.step);
        match &self.content {
            Content::FileVersion(version) => event.bytes(3, version.as_bytes()),
            Content::SessionStart => {
                event.bytes(7, &Message::default().varint(1, SESSION_START).finish())
            }
            Content::Scalar { tag, value } => {
                let value = tagged(tag).float(2, *value).finish();
                event.bytes(5, &Message::default().bytes(1, &value).finish())
            }
            Content::Image {
                tag,
                width,
                height,
                channels,
                png,
            } => {
                let image = Message::default()
                    .varint(1, u64::from(*height))
                    .varint(2, u64::from(*width))
                    .varint(3, u64::from(*channels))
                    .bytes(4, png)
                    .finish();
                let value = tagged(tag).bytes(4, &image).finish();
                event.bytes(5, &Message::default().bytes(1, &value).finish())
            }
        }
        .finish()
    }

    /// Reads an event of the kinds this crate writes; `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Event> {
        let mut wall_time = 0.0;
        let mut step = 0;
        let mut content = None;
        for (field, value) in fields(bytes)? {
            match (field, value) {
                (1, Value::Fixed64(bits)) => wall_time = f64::from_bits(bits),
                (2, Value::Varint(number)) => step = number,
                (3, Value::Bytes(text)) => content = Some(Content::FileVersion(string(text)?)),
                (5, Value::Bytes(summary)) => content = Some(decode_summary(summary)?),
                (7, Value::Bytes(log)) => {
                    let start = (1, Value::Varint(SESSION_START));
                    content = fields(log)?
                        .contains(&start)
                        .then_some(Content::SessionStart);
                }
                _ => return None,
            }
        }
        Some(Event {
            wall_time,
            step,
            content: content?,
        })
    }
}

/// A `Summary.Value` with its tag.
fn tagged(tag: &str) -> Message {
    Message::default().bytes(1, tag.as_bytes())
}

fn string(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// Reads a summary of exactly one value.
fn decode_summary(bytes: &[u8]) -> Option<Content> {
    let [(1, Value::Bytes(value))] = fields(bytes)?[..] else {
        return None;
    };
    match fields(value)?[..] {
        [(1, Value::Bytes(tag)), (2, Value::Fixed32(bits))] => Some(Content::Scalar {
            tag: string(tag)?,
            value: f32::from_bits(bits),
        }),
        [(1, Value::Bytes(tag)), (4, Value::Bytes(image))] => {
            let [
                (1, Value::Varint(height)),
                (2, Value::Varint(width)),
                (3, Value::Varint(channels)),
                (4, Value::Bytes(png)),
            ] = fields(image)?[..]
            else {
                return None;
            };
            Some(Content::Image {
                tag: string(tag)?,
                width: u32::try_from(width).ok()?,
                height: u32::try_from(height).ok()?,
                channels: u32::try_from(channels).ok()?,
                png: png.to_vec(),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_event_comes_back() {
        for content in [
            Content::FileVersion(FILE_VERSION.into()),
            Content::SessionStart,
            Content::Scalar {
                tag: "train/loss".into(),
                value: 0.25,
            },
            Content::Image {
                tag: "order".into(),
                width: 300,
                height: 2,
                channels: 3,
                png: vec![0, 255, 7],
            },
        ] {
            let event = Event {
                wall_time: 1.75e9,
                step: 12_345,
                content,
            };
            assert_eq!(Event::decode(&event.encode()), Some(event));
        }
    }

    #[test]
    fn a_scalar_has_the_bytes_of_the_published_message() {
        // Laid out by hand from event.proto and summary.proto.
        let event = Event {
            wall_time: 1.0,
            step: 3,
            content: Content::Scalar {
                tag: "a".into(),
                value: 2.0,
            },
        };
        assert_eq!(
            event.encode(),
            [
                0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, // wall_time = 1.0
                0x10, 3, // step = 3
                0x2A, 10, // summary, 10 bytes
                0x0A, 8, // value, 8 bytes
                0x0A, 1, b'a', // tag = "a"
                0x15, 0, 0, 0, 0x40, // simple_value = 2.0
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_event_are_refused() {
        assert_eq!(Event::decode(b""), None, "nothing happened");
        assert_eq!(Event::decode(&[0x22, 1, 0]), None, "a graph");
    }
}
