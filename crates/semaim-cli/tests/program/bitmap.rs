//! Pictures in the one format that needs no encoder.

/// A square BMP file. `pixel` gives blue, green and red at column and row, rows from below.
pub(crate) fn bitmap(side: u32, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Vec<u8> {
    let row = (side * 3).div_ceil(4) * 4;
    let size = 54 + row * side;
    let mut bytes = Vec::new();
    bytes.extend(b"BM");
    bytes.extend(size.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(54_u32.to_le_bytes());
    bytes.extend(40_u32.to_le_bytes());
    bytes.extend(side.to_le_bytes());
    bytes.extend(side.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(24_u16.to_le_bytes());
    bytes.extend([0; 24]);
    for y in 0..side as usize {
        let start = bytes.len();
        for x in 0..side as usize {
            bytes.extend(pixel(x, y));
        }
        bytes.resize(start + row as usize, 0);
    }
    bytes
}
