//! What the tests of JPEGs, here and in `semaim-data`, are made of.

use semaim_random::{Key, KeyedRng, Stream};

/// Waves of luma and color with some grain, in YCbCr.
pub(crate) fn picture(x: usize, y: usize) -> [f64; 3] {
    let (fx, fy) = (x as f64, y as f64);
    let grain = ((x * 7919 + y * 104_729) % 31) as f64 - 15.0;
    [
        128.0 + 70.0 * (fx / 9.0).sin() + 40.0 * (fy / 5.0).cos() + grain,
        128.0 + 40.0 * (fx / 23.0 + fy / 31.0).sin(),
        128.0 + 40.0 * (fx / 37.0 - fy / 19.0).cos(),
    ]
}

/// Boxes inside an image: all of it, its corners, single pixels and random ones.
pub(crate) fn boxes(width: u32, height: u32, rng: &mut KeyedRng) -> Vec<[u32; 4]> {
    let mut boxes = vec![
        [0, 0, width, height],
        [0, 0, 1, 1],
        [width - 1, height - 1, 1, 1],
        [
            width / 2,
            height / 2,
            width - width / 2,
            height - height / 2,
        ],
    ];
    for _ in 0..8 {
        let side = |rng: &mut KeyedRng, whole: u32| {
            let len = 1 + rng.below(u64::from(whole)) as u32;
            (rng.below(u64::from(whole - len) + 1) as u32, len)
        };
        let (left, box_width) = side(rng, width);
        let (top, box_height) = side(rng, height);
        boxes.push([left, top, box_width, box_height]);
    }
    boxes
}

/// Random numbers.
pub(crate) fn draw() -> KeyedRng {
    KeyedRng::new(Key::new(1, 2, 3), Stream::Crop)
}

/// Changes a few places of a file: bytes, bits, lengths, markers.
pub(crate) fn damage(bytes: &mut Vec<u8>, rng: &mut KeyedRng) {
    for _ in 0..=rng.below(4) {
        let place = rng.below(bytes.len() as u64) as usize;
        match rng.below(4) {
            0 => bytes[place] = rng.below(256) as u8,
            1 => bytes[place] ^= 1 << rng.below(8),
            2 => drop(bytes.drain(place..(place + 1 + rng.below(8) as usize).min(bytes.len()))),
            _ => bytes.insert(place, [0xFF, 0, 0xD9, 0xD0][rng.below(4) as usize]),
        }
    }
}

/// A file without its restart markers from that number on, of the 31 that it must have.
pub(crate) fn without_markers(mut bytes: Vec<u8>, from: usize) -> Vec<u8> {
    let markers: Vec<usize> = bytes
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0] == 0xFF && (0xD0..=0xD7).contains(&pair[1]))
        .map(|(place, _)| place)
        .collect();
    assert_eq!(markers.len(), 31);
    for &marker in &markers[from..] {
        bytes[marker] = 0x55;
    }
    bytes
}
