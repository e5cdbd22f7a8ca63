//! The baseline: a masked autoencoder (He et al., CVPR 2022). Only what differs from SemAIM is here.
//!
//! A random quarter of the patches goes through the encoder, unmasked; a narrow decoder sees their tokens and a mask
//! token for each patch that was removed, and predicts the removed ones. Encoder, target, trainer and exports are those
//! of SemAIM. The random order of the patches is an order like any other: the first of it are kept.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::config::{ArchOptions, SizeError, VitConfig};
use crate::init::initialize;
use crate::layers::{LayerNorm, Linear};
use crate::model::Output;
use crate::parameters::WeightError;
use crate::position::sin_cos;
use crate::sequence::Sequence;
use crate::target::Target;
use crate::vit::{Block, ForwardOptions, Vit};

/// What a masked autoencoder has besides its encoder.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaeConfig {
    /// Share of the patches that is removed, in (0, 1).
    pub mask_ratio: f64,
    /// Width of the decoder's tokens; divisible by `decoder_heads` and by 4.
    pub decoder_dim: usize,
    /// Blocks of the decoder.
    pub decoder_depth: usize,
    /// Attention heads of the decoder.
    pub decoder_heads: usize,
}

impl Default for MaeConfig {
    /// As published: three quarters removed, a decoder of 8 blocks, 512 wide, with 16 heads.
    fn default() -> Self {
        Self {
            mask_ratio: 0.75,
            decoder_dim: 512,
            decoder_depth: 8,
            decoder_heads: 16,
        }
    }
}

impl MaeConfig {
    /// The decoder as a vision transformer over the same grid.
    pub fn decoder(&self, vit: &VitConfig) -> VitConfig {
        VitConfig {
            embed_dim: self.decoder_dim,
            depth: self.decoder_depth,
            num_heads: self.decoder_heads,
            ..vit.clone()
        }
    }

    /// Patches that are kept: at least one, and at least one is removed.
    pub fn kept(&self, patches: usize) -> usize {
        let kept = (patches as f64 * (1.0 - self.mask_ratio)) as usize;
        kept.clamp(1, patches.saturating_sub(1).max(1))
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// The first size that does not fit, with its name.
    pub fn validate(&self, vit: &VitConfig) -> Result<(), SizeError> {
        vit.validate()?;
        let error = |key, message: String| Err(SizeError { key, message });
        if !(self.mask_ratio > 0.0 && self.mask_ratio < 1.0) {
            return error(
                "mask_ratio",
                format!("must be between 0 and 1, is {}", self.mask_ratio),
            );
        }
        if vit.grid().patches() < 2 {
            return error("image_size", "one patch leaves nothing to remove".into());
        }
        self.decoder(vit).validate().map_err(|error| SizeError {
            key: match error.key {
                "embed_dim" => "decoder_dim",
                "depth" => "decoder_depth",
                other => other,
            },
            message: error.message.replace("num_heads", "decoder_heads"),
        })
    }

    /// Numbers of trained weights in the decoder, for predictions of `width` values.
    pub fn parameters(&self, vit: &VitConfig, width: usize) -> u64 {
        let (d, hidden) = (self.decoder_dim, self.decoder(vit).mlp_dim());
        let linear = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
        let block = 4 * d + linear(d, 3 * d) + linear(d, d) + linear(d, hidden) + linear(hidden, d);
        let ends = linear(vit.embed_dim, d) + d + 2 * d + linear(d, width);
        (self.decoder_depth * block + ends) as u64
    }

    /// The model with its first weights, which depend on the seed and each weight's name alone. `arch` is the encoder's.
    ///
    /// # Errors
    /// Sizes that do not fit together.
    pub fn init(
        &self,
        vit: &VitConfig,
        arch: &ArchOptions,
        target: &Target,
        seed: u64,
        device: &Device,
    ) -> Result<Mae, SizeError> {
        self.validate(vit)?;
        let (d, grid) = (self.decoder_dim, vit.grid());
        let decoder = self.decoder(vit);
        let table = TensorData::new(sin_cos(d, grid), [1, 1 + grid.patches(), d]);
        let positions = Param::from_tensor(Tensor::from_data(table, device));
        let model = Mae {
            encoder: Vit::zeros_as(vit, arch, device),
            decoder_embed: Linear::zeros(vit.embed_dim, d, device),
            mask_token: Param::from_tensor(Tensor::zeros([1, 1, d], device)),
            decoder_pos_embed: positions.set_require_grad(false),
            decoder_blocks: (0..self.decoder_depth)
                .map(|_| Block::zeros(&decoder, device))
                .collect(),
            decoder_norm: LayerNorm::new(d, device),
            decoder_pred: Linear::zeros(d, target.width(vit), device),
            kept: self.kept(grid.patches()),
        };
        Ok(initialize(model, seed))
    }
}

/// A masked autoencoder, its weights named as published.
#[derive(Module, Debug)]
pub struct Mae {
    /// The encoder, which is kept.
    pub encoder: Vit,
    /// From the encoder's width to the decoder's.
    pub decoder_embed: Linear,
    /// What stands for a removed patch, `[1, 1, decoder_dim]`.
    pub mask_token: Param<Tensor<3>>,
    /// The fixed position table, `[1, 1 + patches, decoder_dim]`; never trained.
    pub decoder_pos_embed: Param<Tensor<3>>,
    /// The decoder's blocks.
    pub decoder_blocks: Vec<Block>,
    /// The decoder's final norm.
    pub decoder_norm: LayerNorm,
    /// From the decoder's tokens to predictions.
    pub decoder_pred: Linear,
    kept: usize,
}

impl Mae {
    /// Predicts every patch, kept or removed: `[batch, patches, width]`, in the order of the image.
    ///
    /// `images` is `[batch, channels, height, width]`, `noise` `[batch, patches]`: the patches with the smallest
    /// numbers are kept.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give the noise.
    pub fn predict(&self, images: Tensor<4>, noise: Tensor<2>) -> Result<Tensor<3>, WeightError> {
        let sequence = Sequence::of(noise)?;
        let g = self.decode(images, &sequence, ForwardOptions::default());
        Ok(sequence.restore(self.decoder_pred.forward(g)))
    }

    /// The decoder's final tokens, `[batch, patches, decoder_dim]`, the kept patches before the removed ones.
    ///
    /// Nobody is hidden from anybody, so the places of tokens mean nothing: positions are sorted instead of tokens
    /// being put back.
    fn decode(
        &self,
        images: Tensor<4>,
        sequence: &Sequence,
        options: ForwardOptions<'_>,
    ) -> Tensor<3> {
        let patches = sequence.sort(self.encoder.embed_patches(images));
        let [batch, count, _] = patches.dims();
        let kept = self.encoder.with_class(patches.narrow(1, 0, self.kept));
        let h = self.encoder.norm.forward(self.encoder.run(kept, options));
        // Registers stand for nothing in the image.
        let h = self
            .decoder_embed
            .forward(self.encoder.without_registers(h));
        let [_, _, d] = h.dims();
        let removed = self.mask_token.val().expand([batch, count - self.kept, d]);
        let table = self.decoder_pos_embed.val();
        let positions = table.clone().narrow(1, 1, count).expand([batch, count, d]);
        let positions = Tensor::cat(
            vec![
                table.narrow(1, 0, 1).expand([batch, 1, d]),
                sequence.sort(positions),
            ],
            1,
        );
        let g = Tensor::cat(vec![h, removed], 1) + positions;
        let g = self.decoder_blocks.iter().fold(g, |g, block| {
            block.forward(g, None, None, options.recompute)
        });
        self.decoder_norm.forward(g).narrow(1, 1, count)
    }

    /// The loss of the predictions of the removed patches against `targets`, `[batch, patches, width]` in the order of the
    /// image; that of the kept ones is zero.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give the noise.
    pub fn forward(
        &self,
        images: Tensor<4>,
        noise: Tensor<2>,
        targets: Tensor<3>,
        target: &Target,
        options: ForwardOptions<'_>,
    ) -> Result<Output, WeightError> {
        let sequence = Sequence::of(noise)?;
        let targets = sequence.sort(targets);
        let g = self.decode(images, &sequence, options);
        let [batch, count, _] = g.dims();
        let removed = |x: Tensor<3>| x.narrow(1, self.kept, count - self.kept);
        let predictions = self.decoder_pred.forward(removed(g));
        let losses = target.loss(predictions, removed(targets));
        let nothing = Tensor::zeros([batch, self.kept], &losses.device());
        let loss_map = Tensor::cat(vec![nothing, losses.clone()], 1);
        Ok(Output {
            loss: losses.mean(),
            loss_map: sequence.restore(loss_map.unsqueeze_dim(2)).squeeze_dim(2),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::param_count::ParamCount;
    use crate::parameters::weights;
    use crate::target::PixelTarget;

    fn vit() -> VitConfig {
        VitConfig {
            image_size: [8, 16],
            patch_size: 4,
            channels: 2,
            embed_dim: 12,
            depth: 2,
            num_heads: 3,
            mlp_ratio: 2.5,
        }
    }

    const MAE: MaeConfig = MaeConfig {
        mask_ratio: 0.75,
        decoder_dim: 8,
        decoder_depth: 3,
        decoder_heads: 2,
    };

    #[test]
    fn counts_are_those_of_the_built_model() {
        let target = Target::Pixels(PixelTarget::default());
        let model = MAE
            .init(&vit(), &ArchOptions::default(), &target, 0, &Device::flex())
            .unwrap();
        let counted: usize = weights(&model)
            .unwrap()
            .iter()
            .filter(|(name, _)| !name.ends_with("pos_embed"))
            .map(|(_, weight)| weight.values.len())
            .sum();
        let semaim = crate::config::SemaimConfig {
            vit: vit(),
            arch: ArchOptions::default(),
            decoder: crate::config::Decoder {
                query_depth: 2,
                ..crate::config::Decoder::default()
            },
        };
        let encoder = ParamCount::of(&semaim, 32).encoder;
        assert_eq!(encoder + MAE.parameters(&vit(), 32), counted as u64);
    }

    #[test]
    fn at_least_one_patch_is_kept_and_one_removed() {
        assert_eq!(MAE.kept(196), 49);
        assert_eq!(MAE.kept(2), 1);
        let (few, many) = (0.01, 0.999);
        assert_eq!(
            MaeConfig {
                mask_ratio: few,
                ..MAE
            }
            .kept(4),
            3
        );
        assert_eq!(
            MaeConfig {
                mask_ratio: many,
                ..MAE
            }
            .kept(4),
            1
        );
    }

    #[test]
    fn sizes_that_do_not_fit_are_named() {
        let key = |mae: MaeConfig| mae.validate(&vit()).unwrap_err().key;
        assert_eq!(
            key(MaeConfig {
                mask_ratio: 1.0,
                ..MAE
            }),
            "mask_ratio"
        );
        assert_eq!(
            key(MaeConfig {
                mask_ratio: f64::NAN,
                ..MAE
            }),
            "mask_ratio"
        );
        assert_eq!(
            key(MaeConfig {
                decoder_dim: 9,
                ..MAE
            }),
            "decoder_dim"
        );
        assert_eq!(
            key(MaeConfig {
                decoder_depth: 0,
                ..MAE
            }),
            "decoder_depth"
        );
    }
}
