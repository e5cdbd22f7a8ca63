//! The part of the protocol-buffer wire format that events use.

/// The value of one field as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: text, bytes or an inner message.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// A message being written, field by field.
#[derive(Debug, Default)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value as u8 & 0x7F) | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn key(&mut self, field: u32, wire_type: u32) {
        self.put_varint(u64::from(field << 3 | wire_type));
    }

    /// Adds an integer or enum field. Signed integers are passed as their two's complement.
    pub(crate) fn varint(mut self, field: u32, value: u64) -> Self {
        self.key(field, 0);
        self.put_varint(value);
        self
    }

    /// Adds a `double` field.
    pub(crate) fn double(mut self, field: u32, value: f64) -> Self {
        self.key(field, 1);
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Adds a `string`, `bytes` or message field.
    pub(crate) fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.key(field, 2);
        self.put_varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
        self
    }

    /// Adds a `float` field.
    pub(crate) fn float(mut self, field: u32, value: f32) -> Self {
        self.key(field, 5);
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// The finished message.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads a varint off the front; `None` when it is cut short or longer than 64 bits.
fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7F);
        if shift == 63 && part > 1 {
            return None;
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Splits a message into its fields in the order written; `None` when it is not a message.
pub(crate) fn fields(mut bytes: &[u8]) -> Option<Vec<(u32, Value<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes)?;
        let field = u32::try_from(key >> 3).ok()?;
        let value = match key & 7 {
            0 => Value::Varint(take_varint(&mut bytes)?),
            1 => {
                let (value, rest) = bytes.split_first_chunk::<8>()?;
                bytes = rest;
                Value::Fixed64(u64::from_le_bytes(*value))
            }
            2 => {
                let length = usize::try_from(take_varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Value::Bytes(value)
            }
            5 => {
                let (value, rest) = bytes.split_first_chunk::<4>()?;
                bytes = rest;
                Value::Fixed32(u32::from_le_bytes(*value))
            }
            _ => return None,
        };
        found.push((field, value));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_is_written_in_groups_of_seven_bits_lowest_first() {
        assert_eq!(
            Message::default().varint(2, 300).finish(),
            [0x10, 0xAC, 0x02]
        );
        assert_eq!(Message::default().varint(2, 0).finish(), [0x10, 0x00]);
    }

    #[test]
    fn each_wire_type_comes_back() {
        let inner = Message::default().float(2, -1.5).finish();
        let bytes = Message::default()
            .double(1, 2.5)
            .varint(2, u64::MAX)
            .bytes(5, &inner)
            .finish();
        let found = fields(&bytes).unwrap();
        assert_eq!(
            found,
            [
                (1, Value::Fixed64(2.5f64.to_bits())),
                (2, Value::Varint(u64::MAX)),
                (5, Value::Bytes(&inner)),
            ]
        );
        assert_eq!(
            fields(&inner).unwrap(),
            [(2, Value::Fixed32((-1.5f32).to_bits()))]
        );
    }

    #[test]
    fn what_is_not_a_message_is_refused() {
        assert_eq!(fields(&[0x0A, 0x05, 1]), None, "length beyond the end");
        assert_eq!(fields(&[0x10, 0x80]), None, "varint without an end");
        assert_eq!(fields(&[0x0B]), None, "wire type 3");
        assert_eq!(fields(&[0xFF; 11]), None, "varint beyond 64 bits");
    }
}
