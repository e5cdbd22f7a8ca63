//! TFRecord framing: length, checksum of the length, payload, checksum of the payload, all little-endian.

/// Bytes before the payload: the length (8) and its checksum (4).
const HEAD: usize = 12;
/// Bytes after the payload: its checksum.
const TAIL: usize = 4;

/// Why a record could not be taken off the front of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The buffer ends within the record.
    Truncated,
    /// A checksum differs.
    Checksum,
}

/// CRC-32C, rotated and offset as the format asks, so that a record holding records does not check itself.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xA282_EAD8)
}

/// Frames one payload.
pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(HEAD + payload.len() + TAIL);
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked_crc(&length).to_le_bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(&masked_crc(payload).to_le_bytes());
    out
}

/// Takes the record at the front of `bytes`: its payload and what follows it.
pub(crate) fn unframe(bytes: &[u8]) -> Result<(&[u8], &[u8]), Broken> {
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or(Broken::Truncated)?;
    let (length_crc, rest) = rest.split_first_chunk::<4>().ok_or(Broken::Truncated)?;
    if masked_crc(length) != u32::from_le_bytes(*length_crc) {
        return Err(Broken::Checksum);
    }
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| Broken::Truncated)?;
    let (payload, rest) = rest.split_at_checked(length).ok_or(Broken::Truncated)?;
    let (payload_crc, rest) = rest.split_first_chunk::<4>().ok_or(Broken::Truncated)?;
    if masked_crc(payload) != u32::from_le_bytes(*payload_crc) {
        return Err(Broken::Checksum);
    }
    Ok((payload, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_matches_a_value_worked_out_by_hand() {
        // CRC-32C("123456789") is 0xE3069283, the check value of the polynomial's catalogue entry. Rotated right
        // by 15 it is 0x2507C60D; the constant is added without carry.
        assert_eq!(masked_crc(b"123456789"), 0xC78A_B0E5_u32);
    }

    #[test]
    fn a_framed_payload_comes_back_with_what_follows() {
        let mut bytes = frame(b"one");
        bytes.extend(frame(b""));
        let (payload, rest) = unframe(&bytes).unwrap();
        assert_eq!(payload, b"one");
        assert_eq!(unframe(rest).unwrap(), (&b""[..], &b""[..]));
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let good = frame(b"payload");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert_eq!(unframe(&bad), Err(Broken::Checksum), "byte {at}");
            assert_eq!(unframe(&good[..at]), Err(Broken::Truncated), "cut {at}");
        }
    }
}
