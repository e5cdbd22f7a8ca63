//! Operations that move pixels: Pillow's affine transform with its bicubic filter.

use super::raster::Raster;

/// The transform `[a, b, c, d, e, f]` that turns an image of `width` x `height` pixels about its center.
///
/// The pixel of the result at (x, y) comes from (a x + b y + c, d x + e y + f).
pub(super) fn rotation(degrees: f64, width: f64, height: f64) -> [f64; 6] {
    let angle = -degrees.to_radians();
    let (sin, cos) = (to_15_digits(angle.sin()), to_15_digits(angle.cos()));
    let (x, y) = (width / 2.0, height / 2.0);
    [
        cos,
        sin,
        -x * cos - y * sin + x,
        -sin,
        cos,
        x * sin - y * cos + y,
    ]
}

/// Rounds to 15 decimals, as Pillow does with sines and cosines: the last bit of a platform's sine then changes no image.
fn to_15_digits(value: f64) -> f64 {
    // What was just written can be read.
    format!("{value:.15}").parse().unwrap_or(value)
}

/// Replaces the image by what `matrix` takes from it; what lies outside is `fill`, one value per channel.
///
/// `buffer` gets a copy of the image. The filter is the one of `Image.transform`, not of `Image.resize`: cubic
/// convolution with a = -1 over 4 x 4 pixels, those beyond the edge repeating it, the fraction of the result cut off.
pub(super) fn transform(
    raster: &mut Raster<'_>,
    matrix: [f64; 6],
    fill: &[u8],
    buffer: &mut Vec<u8>,
) {
    buffer.clear();
    buffer.extend_from_slice(raster.samples);
    match raster.channels {
        3 => transform_by::<3>(raster, matrix, fill, buffer),
        4 => transform_by::<4>(raster, matrix, fill, buffer),
        _ => transform_by::<1>(raster, matrix, fill, buffer),
    }
}

/// [`transform`] from `source`, `N` channels at a time; `N` divides their number.
fn transform_by<const N: usize>(
    raster: &mut Raster<'_>,
    [a, b, c, d, e, f]: [f64; 6],
    fill: &[u8],
    source: &[u8],
) {
    let (height, width, channels) = (raster.height, raster.width, raster.channels);
    let line = width * channels;
    for (y, row) in raster.samples.chunks_exact_mut(line).enumerate() {
        let y_out = y as f64 + 0.5;
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            let x_out = x as f64 + 0.5;
            let x_in = a * x_out + b * y_out + c;
            let y_in = d * x_out + e * y_out + f;
            if x_in < 0.0 || x_in >= width as f64 || y_in < 0.0 || y_in >= height as f64 {
                pixel.copy_from_slice(fill);
                continue;
            }
            let (columns, dx) = neighbors(x_in, width);
            let (rows, dy) = neighbors(y_in, height);
            let rows = rows.map(|row| &source[row * line..(row + 1) * line]);
            for (block, samples) in pixel.chunks_exact_mut(N).enumerate() {
                let starts = columns.map(|column| column * channels + block * N);
                let lines = rows.map(|row| {
                    let taps = starts.map(|start| {
                        let taps = &row[start..start + N];
                        std::array::from_fn(|channel| f64::from(taps[channel]))
                    });
                    cubic::<N>(taps, dx)
                });
                for (sample, value) in samples.iter_mut().zip(cubic(lines, dy)) {
                    // The cast cuts the fraction off and clamps, in one.
                    *sample = value as u8;
                }
            }
        }
    }
}

/// The four rows or columns around a place between 0 and `size`, and how far it is from the second towards the third.
fn neighbors(place: f64, size: usize) -> ([usize; 4], f64) {
    // Places count from the corner of the first pixel, neighbors from its center.
    let place = place - 0.5;
    // It is at least -0.5, and a cast is much faster than a floor where the processor has no instruction for that.
    let second = if place < 0.0 { -1 } else { place as isize };
    let last = size as isize - 1;
    let clipped = |step: isize| (second + step).clamp(0, last) as usize;
    ([-1, 0, 1, 2].map(clipped), place - second as f64)
}

/// The values a fraction `d` after the second of four, in the order of operations of Pillow.
fn cubic<const N: usize>([v1, v2, v3, v4]: [[f64; N]; 4], d: f64) -> [f64; N] {
    std::array::from_fn(|at| {
        let (v1, v2, v3, v4) = (v1[at], v2[at], v3[at], v4[at]);
        let p2 = -v1 + v3;
        let p3 = 2.0 * (v1 - v2) + v3 - v4;
        let p4 = -v1 + v2 - v3 + v4;
        v2 + d * (p2 + d * (p3 + d * p4))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sines_are_rounded() {
        // In double precision the sine of 30 degrees is the number before 0.5.
        let [cos, sin, _, minus_sin, ..] = rotation(30.0, 4.0, 3.0);
        assert_eq!((sin, minus_sin), (-0.5, 0.5));
        assert!((cos - 0.75f64.sqrt()).abs() < 1e-15);
    }
}
