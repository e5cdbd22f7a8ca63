//! From luma and differences of color to red, green and blue.
//!
//! Plain loops over fixed arrays, each in a function of its own, are a form that compilers turn into vector
//! instructions.

/// How many pixels are converted at a time.
const AT_ONCE: usize = 32;

/// Samples of as many pixels.
type Chunk = [u8; AT_ONCE];

/// Converts rows of YCbCr (ITU-R 601, full range, as JFIF says) to interleaved RGB. `out` has three samples for every one of
/// the other rows.
pub(crate) fn ycbcr_to_rgb(rows: [&[u8]; 3], out: &mut [u8]) {
    let mut colors = [[0; AT_ONCE]; 3];
    by_chunks(rows, out, |[y, cb, cr], out| {
        convert(y, cb, cr, &mut colors);
        weave(&colors, out);
    });
}

/// Interleaves rows of red, green and blue.
pub(crate) fn interleave(rows: [&[u8]; 3], out: &mut [u8]) {
    by_chunks(rows, out, |[r, g, b], out| weave(&[*r, *g, *b], out));
}

/// Turns interleaved cyan, magenta and yellow (255 for no ink) with a row of black into red, green and blue, as Pillow
/// converts CMYK. `differences`: the three were made of luma and differences of color, as if they were red, green and
/// blue, and are the opposite of that.
pub(crate) fn print(pixels: &mut [u8], black: &[u8], differences: bool) {
    let (pixels, _) = pixels.as_chunks_mut::<3>();
    for (pixel, &black) in pixels.iter_mut().zip(black) {
        for sample in pixel {
            let ink = if differences { *sample } else { 255 - *sample };
            let product = u32::from(ink) * u32::from(black) + 128;
            let taken = ((product >> 8) + product) >> 8;
            *sample = black.saturating_sub(taken as u8);
        }
    }
}

#[inline(never)]
fn convert(y: &Chunk, cb: &Chunk, cr: &Chunk, [r, g, b]: &mut [Chunk; 3]) {
    for i in 0..AT_ONCE {
        let (y, cb, cr) = (
            i16::from(y[i]),
            i16::from(cb[i]) - 128,
            i16::from(cr[i]) - 128,
        );
        // The parts of the factors 1.402, 0.714136, 0.344136 and 1.772 that are not whole.
        let red = y + cr + ((times(cr, 13_173) + 32) >> 6);
        let green = y - cr + ((times(cr, 9367) - times(cb, 11_277) + 32) >> 6);
        let blue = y + 2 * cb + ((32 - times(cb, 7471)) >> 6);
        r[i] = red.clamp(0, 255) as u8;
        g[i] = green.clamp(0, 255) as u8;
        b[i] = blue.clamp(0, 255) as u8;
    }
}

/// A difference of color times `factor` / 32768, with six bits after the point.
#[inline(always)]
fn times(difference: i16, factor: i16) -> i16 {
    ((i32::from(difference << 7) * i32::from(factor)) >> 16) as i16
}

/// Does the pixels of a row in chunks; the last one may be filled up with others.
#[inline(always)]
fn by_chunks(
    [a, b, c]: [&[u8]; 3],
    out: &mut [u8],
    mut make: impl FnMut([&Chunk; 3], &mut [u8; 3 * AT_ONCE]),
) {
    let (chunks_a, rest_a) = a.as_chunks();
    let (chunks_b, rest_b) = b.as_chunks();
    let (chunks_c, rest_c) = c.as_chunks();
    let (targets, rest) = out.as_chunks_mut();
    for (((target, a), b), c) in targets.iter_mut().zip(chunks_a).zip(chunks_b).zip(chunks_c) {
        make([a, b, c], target);
    }
    let [a, b, c] = [rest_a, rest_b, rest_c].map(filled_up);
    let mut last = [0; 3 * AT_ONCE];
    make([&a, &b, &c], &mut last);
    for (target, sample) in rest.iter_mut().zip(last) {
        *target = sample;
    }
}

fn filled_up(rest: &[u8]) -> Chunk {
    let mut chunk = [0; AT_ONCE];
    for (place, sample) in chunk.iter_mut().zip(rest) {
        *place = *sample;
    }
    chunk
}

/// Three rows of samples to pixels.
#[inline(always)]
fn weave(rows: &[Chunk; 3], out: &mut [u8; 3 * AT_ONCE]) {
    let mut quads = [0; AT_ONCE];
    to_quads(rows, &mut quads);
    close_up(&quads, out);
}

/// To pixels of four bytes, the last of them 0.
#[inline(never)]
fn to_quads([r, g, b]: &[Chunk; 3], out: &mut [u32; AT_ONCE]) {
    for i in 0..AT_ONCE {
        out[i] = u32::from(r[i]) | u32::from(g[i]) << 8 | u32::from(b[i]) << 16;
    }
}

/// Takes out the fourth byte, four pixels at a time.
#[inline(never)]
fn close_up(quads: &[u32; AT_ONCE], out: &mut [u8; 3 * AT_ONCE]) {
    let (groups, _) = quads.as_chunks::<4>();
    let (targets, _) = out.as_chunks_mut::<12>();
    for (target, [a, b, c, d]) in targets.iter_mut().zip(groups) {
        let words = [a | b << 24, b >> 8 | c << 16, c >> 16 | d << 8];
        let (bytes, _) = target.as_chunks_mut::<4>();
        for (bytes, word) in bytes.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_those_of_the_definition() {
        let mut worst = 0.0f64;
        for y in (0..=255).step_by(15) {
            for cb in 0..=255u8 {
                let crs: Vec<u8> = (0..=255).collect();
                let mut out = vec![0; 3 * 256];
                ycbcr_to_rgb([&[y; 256], &[cb; 256], &crs], &mut out);
                for (cr, rgb) in crs.iter().zip(out.chunks(3)) {
                    let (y, cb, cr) = (f64::from(y), f64::from(cb) - 128.0, f64::from(*cr) - 128.0);
                    let expected = [
                        y + 1.402 * cr,
                        y - 0.344_136 * cb - 0.714_136 * cr,
                        y + 1.772 * cb,
                    ];
                    for (got, expected) in rgb.iter().zip(expected) {
                        worst = worst.max((f64::from(*got) - expected.clamp(0.0, 255.0)).abs());
                    }
                }
            }
        }
        // Half a level is rounding.
        assert!(worst < 0.56, "{worst}");
    }

    #[test]
    fn inks_are_those_of_pillow() {
        // Image.new("CMYK", ...).convert("RGB"), whose values are the opposite of those stored.
        for (stored, rgb) in [
            ([255, 255, 255, 255], [255, 255, 255]),
            ([0, 255, 255, 255], [0, 255, 255]),
            ([255, 255, 255, 0], [0, 0, 0]),
            ([200, 100, 50, 180], [141, 71, 35]),
            ([13, 77, 240, 99], [5, 30, 93]),
        ] {
            let mut pixel = [stored[0], stored[1], stored[2]];
            print(&mut pixel, &[stored[3]], false);
            assert_eq!(pixel, rgb);
            let mut pixel = [0, 1, 2].map(|channel: usize| 255 - stored[channel]);
            print(&mut pixel, &[stored[3]], true);
            assert_eq!(pixel, rgb);
        }
    }

    #[test]
    fn rows_of_any_length() {
        for len in [1, 2, 31, 32, 33, 40] {
            let row = |offset: u8| -> Vec<u8> { (0..len).map(|i| i * 5 + offset).collect() };
            let (r, g, b) = (row(0), row(1), row(2));
            let mut out = vec![0; 3 * usize::from(len)];
            interleave([&r, &g, &b], &mut out);
            for (i, pixel) in (0..).zip(out.chunks(3)) {
                assert_eq!(pixel, [i * 5, i * 5 + 1, i * 5 + 2]);
            }
        }
    }
}
