//! An encoder on its own, under timm's names.
//!
//! `cls_token`, `pos_embed`, `patch_embed.proj.*`, `blocks.N.*`, `norm.*`: a `vit_*_patch*` of timm with the same
//! sizes loads the file with no renaming.

use std::path::Path;

use burn::module::Module;
use semaim::config::VitConfig;
use semaim::parameters::{WeightError, weights};
use semaim::vit::Vit;
use serde_json::json;

use crate::tensors::{TensorFile, TensorFileError};

/// Why an encoder could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// The weights did not come off the device.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The file was not written.
    #[error(transparent)]
    File(#[from] TensorFileError),
}

/// Writes an encoder with its sizes and the normalisation of its input (per channel, for values in 0..1) in the
/// metadata. Equal encoders give equal bytes.
///
/// # Errors
/// [`EncoderError`].
pub fn write_encoder(
    path: &Path,
    encoder: &Vit,
    config: &VitConfig,
    mean: &[f32],
    std: &[f32],
) -> Result<(), EncoderError> {
    let architecture = json!({
        "image_size": config.image_size,
        "patch_size": config.patch_size,
        "channels": config.channels,
        "embed_dim": config.embed_dim,
        "depth": config.depth,
        "num_heads": config.num_heads,
        "mlp_ratio": config.mlp_ratio,
        "mean": mean,
        "std": std,
    });
    let metadata = [
        // What other readers of the format look for.
        ("format".to_string(), "pt".to_string()),
        ("semaim.vit".to_string(), architecture.to_string()),
    ];
    TensorFile {
        weights: weights(&encoder.clone().no_grad())?,
        metadata: metadata.into_iter().collect(),
    }
    .write(path)?;
    Ok(())
}
