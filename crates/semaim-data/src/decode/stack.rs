//! Several images of one size as the channels of one.

use crate::error::ImageProblem;
use crate::pixels::{Pixels, Samples};

/// One image of a stack.
#[derive(Debug)]
pub(crate) struct Layer {
    /// What to call it in messages: a file, a page.
    pub(crate) name: String,
    pub(crate) pixels: Pixels,
}

/// The channels of all layers, one layer after the other. Where their depths differ, all have the deepest: a byte's value is the
/// same in 16 bits (times 257) and, over 255, as a float.
///
/// # Errors
///
/// [`ImageProblem::Stack`] when the sizes differ, or the layers have not `wanted` channels in all.
pub(crate) fn stacked(layers: Vec<Layer>, wanted: Option<usize>) -> Result<Pixels, ImageProblem> {
    let refused = |reason: String| ImageProblem::Stack {
        reason,
        channels: None,
    };
    let Some(first) = layers.first() else {
        return Err(refused("there are none".to_owned()));
    };
    let [width, height] = first.pixels.size();
    if let Some(other) = layers
        .iter()
        .find(|layer| layer.pixels.size() != [width, height])
    {
        let [other_width, other_height] = other.pixels.size();
        return Err(refused(format!(
            "{} is {width}x{height} pixels and {} is {other_width}x{other_height}",
            first.name, other.name
        )));
    }
    let channels: usize = layers.iter().map(|layer| layer.pixels.channels).sum();
    if let Some(wanted) = wanted.filter(|&wanted| wanted != channels) {
        let counts: Vec<String> = layers
            .iter()
            .map(|layer| layer.pixels.channels.to_string())
            .collect();
        return Err(ImageProblem::Stack {
            reason: format!(
                "they have {channels} channels in all ({}), and {wanted} are wanted (model.channels)",
                counts.join(" + ")
            ),
            channels: Some(channels),
        });
    }
    let depth = |layer: &Layer| match layer.pixels.samples {
        Samples::U8(_) => 0,
        Samples::U16(_) => 1,
        Samples::F32(_) => 2,
    };
    let deepest = layers.iter().map(depth).max();
    let counts: Vec<usize> = layers.iter().map(|layer| layer.pixels.channels).collect();
    let all = layers.into_iter().map(|layer| layer.pixels.samples);
    let samples: Samples = match deepest {
        Some(2) => interleaved(all.map(floats).collect(), &counts).into(),
        Some(1) => interleaved(all.map(words).collect(), &counts).into(),
        _ => interleaved(all.map(bytes).collect(), &counts).into(),
    };
    Pixels::new(width, height, channels, samples)
        .ok_or_else(|| refused("their sizes are absurd".to_owned()))
}

/// Pixels of all layers' channels, each layer having so many.
fn interleaved<S: Copy>(layers: Vec<Vec<S>>, counts: &[usize]) -> Vec<S> {
    let mut pixels: Vec<_> = layers
        .iter()
        .zip(counts)
        .map(|(layer, &count)| layer.chunks_exact(count.max(1)))
        .collect();
    let mut out = Vec::with_capacity(layers.iter().map(Vec::len).sum());
    loop {
        for layer in &mut pixels {
            match layer.next() {
                Some(pixel) => out.extend_from_slice(pixel),
                None => return out,
            }
        }
    }
}

fn bytes(samples: Samples) -> Vec<u8> {
    match samples {
        Samples::U8(samples) => samples,
        // No layer is deeper.
        Samples::U16(_) | Samples::F32(_) => Vec::new(),
    }
}

fn words(samples: Samples) -> Vec<u16> {
    match samples {
        Samples::U8(samples) => samples.into_iter().map(|v| u16::from(v) * 257).collect(),
        Samples::U16(samples) => samples,
        // No layer is deeper.
        Samples::F32(_) => Vec::new(),
    }
}

fn floats(samples: Samples) -> Vec<f32> {
    match samples {
        Samples::U8(samples) => samples.into_iter().map(|v| f32::from(v) / 255.0).collect(),
        Samples::U16(samples) => samples
            .into_iter()
            .map(|v| f32::from(v) / 65535.0)
            .collect(),
        Samples::F32(samples) => samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str, channels: usize, samples: impl Into<Samples>) -> Layer {
        let samples = samples.into();
        let width = (samples.len() / channels) as u32;
        Layer {
            name: name.to_owned(),
            pixels: Pixels::new(width, 1, channels, samples).unwrap(),
        }
    }

    #[test]
    fn channels_follow_each_other_in_the_deepest_kind() {
        let two = || layer("a", 2, vec![1u8, 2, 3, 255]);
        let pixels = stacked(vec![two(), layer("b", 1, vec![9u8, 8])], Some(3)).unwrap();
        assert_eq!(pixels.samples, vec![1u8, 2, 9, 3, 255, 8].into());
        let pixels = stacked(vec![two(), layer("b", 1, vec![9u16, 8])], None).unwrap();
        assert_eq!(pixels.samples, vec![257u16, 514, 9, 771, 65_535, 8].into());
        let three = vec![
            layer("b", 1, vec![65_535u16, 0]),
            two(),
            layer("c", 1, vec![-1.5f32, 7.0]),
        ];
        let pixels = stacked(three, Some(4)).unwrap();
        assert_eq!(
            pixels.samples,
            vec![
                1.0f32,
                1.0 / 255.0,
                2.0 / 255.0,
                -1.5,
                0.0,
                3.0 / 255.0,
                1.0,
                7.0
            ]
            .into()
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let refused = |layers, wanted| stacked(layers, wanted).unwrap_err().to_string();
        let sizes = refused(
            vec![layer("a", 1, vec![1u8, 2]), layer("b", 1, vec![1u8])],
            None,
        );
        assert!(sizes.contains("a is 2x1 pixels and b is 1x1"), "{sizes}");
        let counts = refused(
            vec![layer("a", 1, vec![1u8]), layer("b", 3, vec![1u8; 3])],
            Some(5),
        );
        assert!(
            counts.contains("4 channels in all (1 + 3), and 5"),
            "{counts}"
        );
    }
}
