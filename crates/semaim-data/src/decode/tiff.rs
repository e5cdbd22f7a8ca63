//! TIFFs: the ordinary kinds, and those with any number of samples per pixel.

use std::io::Cursor;

use image::metadata::Orientation;
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::{Wanted, orientation, raster};
use crate::error::ImageProblem;
use crate::pixels::Pixels;

pub(super) fn decode(bytes: &[u8], wanted: &Wanted) -> Result<Pixels, ImageProblem> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(|e| wanted.broken(e))?;
    let (width, height) = decoder.dimensions().map_err(|e| wanted.broken(e))?;
    wanted.check_size(width, height)?;
    let color = decoder.colortype().map_err(|e| wanted.broken(e))?;
    let usual = matches!(wanted.channels, 1 | 3 | 4);
    match color {
        ColorType::Multiband { .. } => {}
        _ if usual => return raster::decode(bytes, wanted),
        _ => {}
    }
    let samples = usize::from(color.num_samples());
    if samples != wanted.channels {
        return Err(wanted.impossible(samples));
    }
    let turn = decoder
        .find_tag_unsigned::<u8>(Tag::Orientation)
        .ok()
        .flatten()
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms);
    let mut limits = Limits::default();
    // Four bytes per sample is the widest kind accepted below.
    limits.decoding_buffer_size = (width as usize)
        .saturating_mul(height as usize)
        .saturating_mul(samples)
        .saturating_mul(4);
    limits.intermediate_buffer_size = limits.decoding_buffer_size.max(1 << 20);
    let mut decoder = decoder.with_limits(limits);
    let mut result = DecodingResult::U8(Vec::new());
    let layout = decoder
        .read_image_to_buffer(&mut result)
        .map_err(|e| wanted.broken(e))?;
    let data = match result {
        DecodingResult::U8(data) => data,
        DecodingResult::U16(data) => data.into_iter().map(narrow).collect(),
        DecodingResult::F32(data) => data
            .into_iter()
            .map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8)
            .collect(),
        _ => return Err(wanted.broken("only 8-bit, 16-bit and 32-bit float samples are read")),
    };
    let data = if layout.planes > 1 {
        interleave(&data, samples)
    } else {
        data
    };
    let pixels = Pixels::new(width, height, samples, data)
        .ok_or_else(|| wanted.broken("less data than the header promises"))?;
    Ok(orientation::apply(pixels, turn))
}

/// 16 bits to 8, rounding to nearest: 65535 is 255.
fn narrow(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

/// Planes one after the other to pixels one after the other.
fn interleave(planes: &[u8], samples: usize) -> Vec<u8> {
    let len = planes.len() / samples.max(1);
    let mut out = vec![0; len * samples];
    for (channel, plane) in planes.chunks_exact(len.max(1)).take(samples).enumerate() {
        let targets = out.iter_mut().skip(channel).step_by(samples);
        for (target, &sample) in targets.zip(plane) {
            *target = sample;
        }
    }
    out
}
