//! The part of TensorBoard's `event.proto` and `summary.proto` that is written, and the framing of records.

use prost::{Message, Oneof};

/// `Event`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub(crate) wall_time: f64,
    /// The training step.
    #[prost(int64, tag = "2")]
    pub(crate) step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub(crate) what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum What {
    /// The first event of a file: the format's name and version.
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SessionLog {
    #[prost(int32, tag = "1")]
    pub(crate) status: i32,
}

/// `SessionLog.SessionStatus.START`: events at this step or later in earlier files do not count any more.
pub(crate) const SESSION_START: i32 = 1;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(crate) value: Vec<Value>,
}

/// `Summary.Value`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Value {
    #[prost(string, tag = "1")]
    pub(crate) tag: String,
    #[prost(oneof = "Content", tags = "2, 4")]
    pub(crate) content: Option<Content>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Content {
    #[prost(float, tag = "2")]
    SimpleValue(f32),
    #[prost(message, tag = "4")]
    Image(Image),
}

/// `Summary.Image`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Image {
    #[prost(int32, tag = "1")]
    pub(crate) height: i32,
    #[prost(int32, tag = "2")]
    pub(crate) width: i32,
    /// 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA.
    #[prost(int32, tag = "3")]
    pub(crate) colorspace: i32,
    /// The PNG file.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) encoded_image_string: Vec<u8>,
}

/// An event as a TFRecord: length, checksum of the length, message, checksum of the message.
pub(crate) fn record(event: &Event) -> Vec<u8> {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    let crc = |bytes: &[u8]| masked_crc(bytes).to_le_bytes();
    [&length[..], &crc(&length), &message, &crc(&message)].concat()
}

/// CRC-32C, rotated and offset as the format asks, so that a record holding records does not check itself.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xA282_EAD8)
}

/// The events of a file, with every checksum looked at.
#[cfg(test)]
pub(crate) fn read(mut bytes: &[u8]) -> Vec<Event> {
    let mut take = |length: usize| {
        let (taken, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        Some(taken)
    };
    let mut events = Vec::new();
    while let Some(length) = take(8) {
        assert_eq!(take(4).unwrap(), masked_crc(length).to_le_bytes());
        let message = take(u64::from_le_bytes(length.try_into().unwrap()) as usize).unwrap();
        assert_eq!(take(4).unwrap(), masked_crc(message).to_le_bytes());
        events.push(Event::decode(message).unwrap());
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_has_the_bytes_of_the_published_message() {
        let value = Value {
            tag: "a".into(),
            content: Some(Content::SimpleValue(2.0)),
        };
        let event = Event {
            wall_time: 1.0,
            step: 3,
            what: Some(What::Summary(Summary { value: vec![value] })),
        };
        // Laid out by hand from event.proto and summary.proto.
        let message = [
            0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, // wall_time = 1.0
            0x10, 3, // step = 3
            0x2A, 10, // summary, 10 bytes
            0x0A, 8, // value, 8 bytes
            0x0A, 1, b'a', // tag = "a"
            0x15, 0, 0, 0, 0x40, // simple_value = 2.0
        ];
        let record = record(&event);
        assert_eq!(record[..8], 23u64.to_le_bytes());
        assert_eq!(record[12..35], message);
        assert_eq!(read(&record), [event]);
    }

    #[test]
    fn the_mask_matches_a_value_worked_out_by_hand() {
        // CRC-32C("123456789") is 0xE3069283, the check value of the polynomial's catalog entry. Rotated right
        // by 15 it is 0x2507C60D; the constant is added without carry.
        assert_eq!(masked_crc(b"123456789"), 0xC78A_B0E5_u32);
    }
}
