//! An encoder on its own, ready to run: of any layout, and ours under timm's names.
//!
//! `cls_token`, `pos_embed`, `patch_embed.proj.*`, `blocks.N.*`, `norm.*`: a `vit_*_patch*` of timm with the same
//! sizes loads a file of ours with no renaming.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use semaim::config::{Normalization, VitConfig};
use semaim::parameters::{weights, with_weights};
use semaim::position::Interpolation;
use semaim::vit::Vit;

use crate::checksum::checksum;
use crate::error::EncoderError;
use crate::metadata::{SIZES, metadata};
use crate::tensors::TensorFile;
use crate::weights_source::WeightsSource;

/// An encoder from a file.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// The network.
    pub vit: Vit,
    /// Its sizes.
    pub config: VitConfig,
    /// How its input is normalized.
    pub normalization: Normalization,
    /// How its position table is resized.
    pub interpolation: Interpolation,
}

/// Writes an encoder of our own with its sizes and the normalization of its input in the metadata. Equal encoders give equal
/// bytes.
///
/// # Errors
/// [`EncoderError`].
pub fn write_encoder(
    path: &Path,
    encoder: &Vit,
    config: &VitConfig,
    normalization: &Normalization,
) -> Result<(), EncoderError> {
    TensorFile {
        weights: weights(&encoder.clone().no_grad())?,
        metadata: metadata(
            config,
            &encoder.arch_options(),
            normalization,
            Interpolation::default(),
        ),
    }
    .write(path)?;
    Ok(())
}

impl Encoder {
    /// Reads an encoder of any layout, as it comes; see [`Checkpoint::read`](crate::checkpoint::Checkpoint::read).
    ///
    /// # Errors
    /// [`EncoderError`], each with the path; the first weight that is missing or has another shape is named.
    pub fn read(path: &Path, device: &Device) -> Result<Self, EncoderError> {
        WeightsSource::new(path).encoder(device)
    }

    /// A checksum over everything that its tokens depend on: the names, shapes and values of all weights, the sizes, where
    /// the network differs from ours, and the normalization of images.
    ///
    /// # Errors
    /// [`EncoderError::Weights`] when the backend fails.
    pub fn checksum(&self) -> Result<String, EncoderError> {
        let metadata = metadata(
            &self.config,
            &self.vit.arch_options(),
            &self.normalization,
            Interpolation::default(),
        );
        let network = metadata.get(SIZES).map_or("", String::as_str);
        let network = crc32c::crc32c(network.as_bytes());
        let weights = checksum(weights(&self.vit)?.iter());
        Ok(format!("{weights}{network:08x}"))
    }

    /// The same encoder with the weights that a run's checkpoint holds under `prefix`.
    ///
    /// # Errors
    /// [`EncoderError`], each with the path.
    pub fn at(&self, checkpoint: &Path, prefix: &str) -> Result<Self, EncoderError> {
        let mut found = TensorFile::read(checkpoint)?.weights;
        found.retain(|name, _| name.starts_with(prefix));
        let named = |(name, weight): (String, _)| (name[prefix.len()..].to_string(), weight);
        let found = found.into_iter().map(named).collect();
        let vit =
            with_weights(self.vit.clone(), &found).map_err(|source| EncoderError::Mismatch {
                path: checkpoint.to_path_buf(),
                source,
            })?;
        Ok(Self {
            vit,
            ..self.clone()
        })
    }

    /// The same encoder for images of another size in pixels: the position table is resized as its own library does.
    ///
    /// # Errors
    /// A size that the patches do not fill.
    pub fn resized(mut self, image_size: [usize; 2]) -> Result<Self, EncoderError> {
        self.config.image_size = image_size;
        self.config.validate()?;
        self.vit = self.vit.resized(self.config.grid(), self.interpolation)?;
        Ok(self)
    }
}
