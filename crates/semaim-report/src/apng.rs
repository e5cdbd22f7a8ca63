//! Animations as PNG files.

use ::png::{BitDepth, BlendOp, ColorType, DisposeOp, Encoder};
use image::RgbImage;

use crate::error::FigureError;

/// The unit of a frame's delay: so many in a second.
const MILLISECONDS: u16 = 1000;

/// The frames as a whole animated PNG file that starts again at its end, without an end: each frame is there for
/// `delay_ms` milliseconds, the last one for `last_ms`. A program that knows no animated PNG shows the first frame.
///
/// Pixels that stay as they are from one frame to the next are written as transparent, which makes small files of
/// animations in which little moves.
///
/// # Errors
///
/// [`FigureError::FrameCount`] without frames or with more than a file can count, [`FigureError::FrameSize`] when one
/// has another size than the first, [`FigureError::Apng`] when the encoder refuses, as it does for frames without pixels.
pub fn encode_apng(
    frames: &[RgbImage],
    delay_ms: u16,
    last_ms: u16,
) -> Result<Vec<u8>, FigureError> {
    let count = check(frames)?;
    let (width, height) = frames[0].dimensions();
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, width, height);
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_animated(count, 0)?;
    encoder.set_dispose_op(DisposeOp::None)?;
    let mut writer = encoder.write_header()?;
    let mut before: Option<&RgbImage> = None;
    for (index, frame) in frames.iter().enumerate() {
        let last = index + 1 == frames.len();
        let delay = if last { last_ms } else { delay_ms };
        writer.set_frame_delay(delay, MILLISECONDS)?;
        // The first frame takes the place of the last one of the round before.
        writer.set_blend_op(match before {
            None => BlendOp::Source,
            Some(_) => BlendOp::Over,
        })?;
        writer.write_image_data(&changed(frame, before))?;
        before = Some(frame);
    }
    writer.finish()?;
    Ok(out)
}

/// Checks the number and the sizes of the frames; gives the number as the file has it.
fn check(frames: &[RgbImage]) -> Result<u32, FigureError> {
    let count_error = FigureError::FrameCount {
        frames: frames.len(),
        min: 1,
        max: i32::MAX as usize,
    };
    let Some(first) = frames.first() else {
        return Err(count_error);
    };
    let size = |frame: &RgbImage| [frame.width(), frame.height()];
    for (frame, picture) in frames.iter().enumerate() {
        if size(picture) != size(first) {
            return Err(FigureError::FrameSize {
                frame,
                expected: size(first),
                found: size(picture),
            });
        }
    }
    match i32::try_from(frames.len()) {
        Ok(count) => Ok(count.unsigned_abs()),
        Err(_) => Err(count_error),
    }
}

/// The frame with alpha, `[height, width, 4]`; what is as it was `before` is transparent.
fn changed(frame: &RgbImage, before: Option<&RgbImage>) -> Vec<u8> {
    let opaque = |[r, g, b]: [u8; 3]| [r, g, b, 255];
    match before {
        None => frame.pixels().flat_map(|pixel| opaque(pixel.0)).collect(),
        Some(before) => frame
            .pixels()
            .zip(before.pixels())
            .flat_map(|(now, then)| if now == then { [0; 4] } else { opaque(now.0) })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use std::io::Cursor;

    /// Each frame has another column in another colour than the one before it.
    fn frames(count: u32) -> Vec<RgbImage> {
        let frame = |k| {
            RgbImage::from_fn(6, 4, |x, y| {
                Rgb([40 * x as u8, y as u8, (k * (x == k) as u32 * 50) as u8])
            })
        };
        (0..count).map(frame).collect()
    }

    /// What a viewer shows frame by frame, and the delays in milliseconds.
    fn play(file: &[u8]) -> (Vec<RgbImage>, Vec<u32>) {
        let mut reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
        let control = reader.info().animation_control.unwrap();
        assert_eq!(control.num_plays, 0, "endless");
        let (width, height) = (reader.info().width, reader.info().height);
        let mut canvas = RgbImage::new(width, height);
        let (mut shown, mut delays) = (Vec::new(), Vec::new());
        for _ in 0..control.num_frames {
            let mut data = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut data).unwrap();
            let frame = *reader.info().frame_control().unwrap();
            assert_eq!([frame.width, frame.height], [width, height]);
            assert_eq!(frame.dispose_op, DisposeOp::None);
            for (pixel, new) in canvas.pixels_mut().zip(data.chunks_exact(4)) {
                if frame.blend_op == BlendOp::Source || new[3] == 255 {
                    *pixel = Rgb([new[0], new[1], new[2]]);
                } else {
                    assert_eq!(new[3], 0);
                }
            }
            shown.push(canvas.clone());
            delays.push(u32::from(frame.delay_num) * 1000 / u32::from(frame.delay_den));
        }
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        assert!(reader.next_frame(&mut data).is_err(), "no more frames");
        (shown, delays)
    }

    #[test]
    fn the_frames_come_back_with_their_delays() {
        let frames = frames(5);
        let file = encode_apng(&frames, 120, 2500).unwrap();
        let (shown, delays) = play(&file);
        assert_eq!(shown, frames);
        assert_eq!(delays, [120, 120, 120, 120, 2500]);
    }

    #[test]
    fn the_first_frame_is_the_still_picture() {
        let frames = frames(3);
        let file = encode_apng(&frames, 10, 20).unwrap();
        let still = image::load_from_memory(&file).unwrap().to_rgb8();
        assert_eq!(still, frames[0]);
        let one = encode_apng(&frames[..1], 10, 20).unwrap();
        assert_eq!(play(&one), (frames[..1].to_vec(), vec![20]));
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
        let still = length(&vec![noise(0); 9]);
        let alone = length(&[noise(0)]);
        assert!(still < alone + 8 * 500, "{still} {alone}");
        assert!(length(&[noise(0), noise(9)]) > alone * 3 / 2);
    }

    #[test]
    fn what_makes_no_animation_is_refused() {
        assert!(matches!(
            encode_apng(&[], 1, 1),
            Err(FigureError::FrameCount { frames: 0, .. })
        ));
        let mut frames = frames(3);
        frames[2] = RgbImage::new(4, 6);
        assert!(matches!(
            encode_apng(&frames, 1, 1),
            Err(FigureError::FrameSize {
                frame: 2,
                expected: [6, 4],
                found: [4, 6]
            })
        ));
        let none = encode_apng(&[RgbImage::new(0, 3)], 1, 1);
        assert!(matches!(none, Err(FigureError::Apng(_))));
    }
}
