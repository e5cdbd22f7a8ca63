//! Pictures as PNG files, still and animated.

use ::png::{BitDepth, BlendOp, ColorType, DisposeOp, Encoder};
use image::RgbImage;

use crate::error::FigureError;

/// The unit of a frame's delay: so many in a second.
const MILLISECONDS: u16 = 1000;

/// The picture as a whole PNG file, RGB with 8 bits a channel.
///
/// # Errors
///
/// [`FigureError::Png`] when the encoder refuses, as it does for a picture without pixels.
pub fn encode_png(picture: &RgbImage) -> Result<Vec<u8>, FigureError> {
    encode_still(picture.dimensions(), ColorType::Rgb, picture)
}

/// What of `to` differs from `from`, a picture of the same size, as a PNG file: RGBA, transparent where they are alike.
pub(crate) fn encode_changes(from: &RgbImage, to: &RgbImage) -> Result<Vec<u8>, FigureError> {
    encode_still(to.dimensions(), ColorType::Rgba, &changed(to, Some(from)))
}

fn encode_still(
    (width, height): (u32, u32),
    color: ColorType,
    samples: &[u8],
) -> Result<Vec<u8>, FigureError> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, width, height);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(samples)?;
    writer.finish()?;
    Ok(out)
}

/// Values of 8 bits as a whole PNG file, each shown in the color of its place in the palette. `values` are row by row.
///
/// # Errors
///
/// [`FigureError::Png`] when the encoder refuses, as it does for another number of values than of pixels.
pub fn encode_indexed_png(
    width: u32,
    height: u32,
    values: &[u8],
    palette: &[[u8; 3]; 256],
) -> Result<Vec<u8>, FigureError> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, width, height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(palette.concat());
    let mut writer = encoder.write_header()?;
    writer.write_image_data(values)?;
    writer.finish()?;
    Ok(out)
}

/// Values from 0 to 1, row by row, as a whole PNG file in shades of gray with 16 bits. What lies outside is cut off.
///
/// # Errors
///
/// [`FigureError::Png`] when the encoder refuses, as it does for another number of values than of pixels.
pub fn encode_gray_png(width: u32, height: u32, values: &[f32]) -> Result<Vec<u8>, FigureError> {
    let word = |value: &f32| ((value.clamp(0.0, 1.0) * 65535.0).round() as u16).to_be_bytes();
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, width, height);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::Sixteen);
    let mut writer = encoder.write_header()?;
    let samples: Vec<u8> = values.iter().flat_map(word).collect();
    writer.write_image_data(&samples)?;
    writer.finish()?;
    Ok(out)
}

/// The frames, all of the first one's size, as an animated PNG file that starts again at its end: each frame is there for
/// `delay_ms` milliseconds, the last one for `last_ms`. A program that knows no animated PNG shows the first frame.
///
/// Pixels that stay as they are from one frame to the next are written as transparent, which makes small files.
///
/// # Errors
///
/// [`FigureError::Empty`] without frames, [`FigureError::Png`] when the encoder refuses.
pub fn encode_apng(
    frames: &[RgbImage],
    delay_ms: u16,
    last_ms: u16,
) -> Result<Vec<u8>, FigureError> {
    let (Some(first), Ok(count)) = (frames.first(), u32::try_from(frames.len())) else {
        return Err(FigureError::Empty);
    };
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, first.width(), first.height());
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_animated(count, 0)?;
    encoder.set_dispose_op(DisposeOp::None)?;
    let mut writer = encoder.write_header()?;
    let mut before: Option<&RgbImage> = None;
    for (index, frame) in frames.iter().enumerate() {
        let last = index + 1 == frames.len();
        writer.set_frame_delay(if last { last_ms } else { delay_ms }, MILLISECONDS)?;
        // The first frame takes the place of the last one of the round before.
        writer.set_blend_op(if before.is_none() {
            BlendOp::Source
        } else {
            BlendOp::Over
        })?;
        writer.write_image_data(&changed(frame, before))?;
        before = Some(frame);
    }
    writer.finish()?;
    Ok(out)
}

/// The frame as RGBA; pixels as in the frame before are transparent.
fn changed(frame: &RgbImage, before: Option<&RgbImage>) -> Vec<u8> {
    let mut out = Vec::with_capacity(frame.len() / 3 * 4);
    for (x, y, pixel) in frame.enumerate_pixels() {
        let [r, g, b] = pixel.0;
        match before.and_then(|before| before.get_pixel_checked(x, y)) {
            Some(same) if same == pixel => out.extend([0; 4]),
            _ => out.extend([r, g, b, 255]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Pixel, Rgb, Rgba, RgbaImage};

    /// The frames that a viewer shows, and how long in milliseconds.
    fn play(file: &[u8]) -> (Vec<RgbImage>, Vec<u32>) {
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .unwrap();
        let (width, height) = (reader.info().width, reader.info().height);
        let frames = reader
            .info()
            .animation_control()
            .map_or(1, |control| control.num_frames);
        let mut canvas = RgbaImage::new(width, height);
        let (mut shown, mut delays) = (Vec::new(), Vec::new());
        for _ in 0..frames {
            let mut data = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut data).unwrap();
            let channels = data.len() / (width * height) as usize;
            for (under, over) in canvas.pixels_mut().zip(data.chunks(channels)) {
                let over = Rgba([
                    over[0],
                    over[1],
                    over[2],
                    over.get(3).copied().unwrap_or(255),
                ]);
                under.blend(&over);
            }
            shown.push(image::DynamicImage::ImageRgba8(canvas.clone()).to_rgb8());
            delays.extend(
                reader
                    .info()
                    .frame_control()
                    .map(|f| u32::from(f.delay_num) * 1000 / u32::from(f.delay_den)),
            );
        }
        (shown, delays)
    }

    fn frames(count: u8) -> Vec<RgbImage> {
        (0..count)
            .map(|n| {
                RgbImage::from_fn(6, 4, |x, y| {
                    Rgb([x as u8 * 9, y as u8 * 9, if x < n.into() { n } else { 0 }])
                })
            })
            .collect()
    }

    #[test]
    fn pictures_come_back() {
        let picture = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8, y as u8, 200]));
        assert_eq!(
            play(&encode_png(&picture).unwrap()),
            (vec![picture], vec![])
        );
        let frames = frames(5);
        let file = encode_apng(&frames, 120, 2500).unwrap();
        assert_eq!(play(&file), (frames, vec![120, 120, 120, 120, 2500]));
    }

    #[test]
    fn values_stay_and_have_the_colors_of_the_palette() {
        let mut palette = [[0; 3]; 256];
        palette[7] = [1, 2, 3];
        palette[255] = [4, 5, 6];
        let file = encode_indexed_png(2, 2, &[7, 255, 7, 0], &palette).unwrap();
        let decoder = ::png::Decoder::new(std::io::Cursor::new(&file));
        let mut reader = decoder.read_info().unwrap();
        assert_eq!(reader.info().color_type, ColorType::Indexed);
        let mut values = vec![0; 4];
        reader.next_frame(&mut values).unwrap();
        assert_eq!(values, [7, 255, 7, 0]);
        let colors = image::load_from_memory(&file).unwrap().to_rgb8();
        assert_eq!(colors.get_pixel(0, 1).0, [1, 2, 3]);
        assert_eq!(colors.get_pixel(1, 0).0, [4, 5, 6]);
        assert!(encode_indexed_png(2, 2, &[7; 3], &palette).is_err());
    }

    #[test]
    fn shades_of_gray_have_sixteen_bits() {
        let file = encode_gray_png(2, 2, &[0.0, 0.5, 1.0, 7.0]).unwrap();
        let image = image::load_from_memory(&file).unwrap();
        assert_eq!(image.color(), image::ColorType::L16);
        assert_eq!(image.into_luma16().into_raw(), [0, 32768, 65535, 65535]);
        assert!(encode_gray_png(2, 2, &[0.0; 3]).is_err());
    }

    #[test]
    fn what_stays_costs_little() {
        let noise = |seed: u32| {
            RgbImage::from_fn(64, 64, |x, y| {
                let mixed = (x + 64 * y + seed).wrapping_mul(2_654_435_761);
                Rgb([(mixed >> 8) as u8, (mixed >> 16) as u8, (mixed >> 24) as u8])
            })
        };
        let length = |frames: &[RgbImage]| encode_apng(frames, 1, 1).unwrap().len();
        let [still, alone] = [length(&vec![noise(0); 9]), length(&[noise(0)])];
        assert!(still < alone + 8 * 500, "{still} {alone}");
    }

    #[test]
    fn no_pixels_and_no_frames_are_errors() {
        assert!(matches!(
            encode_png(&RgbImage::new(0, 3)),
            Err(FigureError::Png(_))
        ));
        assert!(matches!(encode_apng(&[], 1, 1), Err(FigureError::Empty)));
        let mut frames = frames(3);
        frames[2] = RgbImage::new(4, 5);
        assert!(matches!(
            encode_apng(&frames, 1, 1),
            Err(FigureError::Png(_))
        ));
    }
}
