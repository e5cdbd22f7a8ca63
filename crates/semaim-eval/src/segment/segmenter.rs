//! A segmenter as a model file: the network, and what is needed to use it.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use semaim::config::{ArchOptions, VitConfig};
use semaim::parameters::{weights, with_weights};
use semaim::position::Interpolation;
use semaim::vit::Vit;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::error::EncoderError;
use semaim_checkpoint::model_file::{ModelFile, ModelKind};
use semaim_data::{Augment, Normalization, OpenOptions, ShapesOptions, short_side_size};
use semaim_segment::config::SegmenterConfig;
use semaim_segment::model::Segmenter;
use serde::{Deserialize, Serialize};

use crate::views::SHAPES_TO_EVALUATE;

/// What a segmenter's file says beside its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmenterInfo {
    /// The encoder's sizes, its images as large as those trained on.
    pub config: VitConfig,
    /// Where the encoder differs from SemAIM's own.
    pub arch: ArchOptions,
    /// How images are normalized.
    pub normalization: Normalization,
    /// The names of the classes, by number.
    pub classes: Vec<String>,
    /// What its head is, and how it sees images.
    pub settings: SegmenterSettings,
}

/// The settings of a segmenter's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmenterSettings {
    /// The network's own.
    pub segmenter: SegmenterConfig,
    /// What images are resized to.
    pub size: TestSize,
    /// The value of each class in the label images that it was trained on.
    pub values: Vec<u8>,
    /// Whether the value 0 says nothing in these.
    pub ignore_zero: bool,
}

/// What images are resized to in testing, at the scale 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestSize {
    /// The short side to so many pixels, the long one to at most four times that.
    ShortSide(usize),
    /// The long side to so many pixels.
    LongSide(usize),
}

impl TestSize {
    /// Rows and columns of an image of columns and rows `image`, at a scale.
    pub fn of_image(self, image: [u32; 2], scale: f64) -> [usize; 2] {
        let scaled = |side: usize| (side as f64 * scale).round().max(1.0);
        match self {
            Self::ShortSide(side) => short_side_size(image, scaled(side) as usize),
            Self::LongSide(side) => {
                let [columns, rows] = image.map(|side| f64::from(side.max(1)));
                let factor = scaled(side) / columns.max(rows);
                [rows, columns].map(|side| ((side * factor + 0.5) as usize).max(1))
            }
        }
    }

    /// Its number of pixels.
    fn pixels(self) -> usize {
        match self {
            Self::ShortSide(pixels) | Self::LongSide(pixels) => pixels,
        }
    }
}

/// A segmenter, ready to be used.
#[derive(Debug)]
pub struct TrainedSegmenter {
    /// The network.
    pub model: Segmenter,
    /// What it is.
    pub info: SegmenterInfo,
}

impl SegmenterInfo {
    /// Of a segmenter on an encoder.
    pub fn new(encoder: &Encoder, classes: Vec<String>, settings: SegmenterSettings) -> Self {
        Self {
            config: encoder.config.clone(),
            arch: ArchOptions {
                // It is left out.
                projection: None,
                ..encoder.vit.arch_options()
            },
            normalization: encoder.normalization.clone(),
            classes,
            settings,
        }
    }

    /// How images are normalized and resized; views have no size of their own.
    pub fn views(&self) -> Augment {
        Augment {
            normalization: self.normalization.clone(),
            ..Augment::new(self.config.image_size, self.config.channels)
        }
    }

    /// How images for it are opened.
    pub fn open_options(&self) -> OpenOptions {
        let [height, width] = self.config.image_size.map(|side| side as u32);
        OpenOptions {
            channels: self.config.channels,
            unit_floats: self.normalization.is_a_convention(),
            shapes: ShapesOptions {
                image_size: [height, width],
                count: SHAPES_TO_EVALUATE,
                ..ShapesOptions::default()
            },
            ..OpenOptions::default()
        }
    }

    /// Values of label images and the names of what they are.
    pub fn values(&self) -> Vec<(u8, String)> {
        let values = self.settings.values.iter().copied();
        values.zip(self.classes.iter().cloned()).collect()
    }

    /// A model with this said of it, running statistics of batch norm among its weights, as a file.
    ///
    /// # Errors
    /// [`EncoderError::Weights`] when the backend fails.
    pub fn file(&self, model: &Segmenter) -> Result<ModelFile, EncoderError> {
        Ok(ModelFile {
            kind: ModelKind::Segmenter,
            config: self.config.clone(),
            arch: self.arch.clone(),
            normalization: self.normalization.clone(),
            interpolation: Interpolation::default(),
            classes: self.classes.clone(),
            settings: serde_json::json!(self.settings),
            weights: weights(&model.clone().no_grad())?,
        })
    }
}

impl TrainedSegmenter {
    /// The segmenter of a model file.
    ///
    /// # Errors
    /// [`EncoderError`], each with the path: a model of another kind, settings that make no sense, the first weight that is
    /// missing, has another shape or holds what is no number.
    pub fn of_file(file: ModelFile, path: &Path, device: &Device) -> Result<Self, EncoderError> {
        let path = path.to_path_buf();
        if file.kind != ModelKind::Segmenter {
            return Err(EncoderError::OtherKind {
                path,
                kind: file.kind,
                wanted: "segmenter",
            });
        }
        let damaged = |message: String| EncoderError::Damaged {
            path: path.clone(),
            message,
        };
        file.check_finite(&path)?;
        let settings: SegmenterSettings = serde_json::from_value(file.settings)
            .map_err(|error| damaged(format!("its settings: {error}")))?;
        let counts = [settings.segmenter.classes, settings.values.len()];
        if counts != [file.classes.len(); 2] || settings.size.pixels() == 0 {
            return Err(damaged(format!(
                "it has {} classes, {} outputs, {} values for them and sees {} pixels",
                file.classes.len(),
                counts[0],
                counts[1],
                settings.size.pixels()
            )));
        }
        let encoder = Vit::zeros_as(&file.config, &file.arch, device);
        let model = Segmenter::new(encoder, settings.segmenter.clone(), 0, device);
        let model = model.map_err(|error| damaged(error.to_string()))?;
        let model = with_weights(model, &file.weights);
        let model = model.map_err(|source| EncoderError::Mismatch {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            model: model.no_grad(),
            info: SegmenterInfo {
                config: file.config,
                arch: file.arch,
                normalization: file.normalization,
                classes: file.classes,
                settings,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_resized_by_the_side_that_is_told() {
        let of = |size: TestSize, scale| size.of_image([640, 480], scale);
        assert_eq!(of(TestSize::ShortSide(240), 1.0), [240, 320]);
        assert_eq!(of(TestSize::ShortSide(240), 0.5), [120, 160]);
        assert_eq!(of(TestSize::LongSide(240), 1.0), [180, 240]);
        assert_eq!(of(TestSize::LongSide(240), 1.5), [270, 360]);
        assert_eq!(TestSize::LongSide(8).of_image([1, 500], 1.0), [8, 1]);
    }
}
