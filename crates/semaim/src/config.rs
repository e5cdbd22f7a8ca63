//! What gives a model its shape: sizes, and where other people's encoders differ from SemAIM's.

use semaim_kernels::LAYER_NORM_EPSILON;
use serde::{Deserialize, Deserializer, Serialize};

use crate::grid::Grid;
use crate::predicted::PredictedPatches;

pub use semaim_kernels::Activation;
pub use semaim_normalization::{
    CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD, Normalization, covered,
};

/// The standard encoder sizes (width / depth / heads).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// 192 / 12 / 3, about 5.5 M parameters with 16×16 patches.
    Tiny,
    /// 384 / 12 / 6, about 22 M parameters.
    Small,
    /// 768 / 12 / 12, about 86 M parameters.
    Base,
    /// 1024 / 24 / 16, about 303 M parameters.
    Large,
    /// 1280 / 32 / 16, about 631 M parameters.
    Huge,
}

impl Size {
    /// (`embed_dim`, `depth`, `num_heads`).
    pub fn dimensions(self) -> (usize, usize, usize) {
        match self {
            Size::Tiny => (192, 12, 3),
            Size::Small => (384, 12, 6),
            Size::Base => (768, 12, 12),
            Size::Large => (1024, 24, 16),
            Size::Huge => (1280, 32, 16),
        }
    }
}

/// Sizes of a vision transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VitConfig {
    /// Height and width of the input in pixels; both divisible by `patch_size`.
    #[serde(deserialize_with = "side_or_sides")]
    pub image_size: [usize; 2],
    /// Side of a square patch in pixels.
    pub patch_size: usize,
    /// Channels of the input: 1 for gray, 3 for color, any other number for other sensors.
    pub channels: usize,
    /// Width of a token; divisible by `num_heads` and by 4 (two axes, sine and cosine).
    pub embed_dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads of a block.
    pub num_heads: usize,
    /// Hidden width of the MLP over `embed_dim`.
    pub mlp_ratio: f64,
}

/// `224` is `[224, 224]`.
fn side_or_sides<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[usize; 2], D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "must be a side, as 224, or height and width, as [224, 336]"
    )]
    enum Given {
        Side(usize),
        Sides([usize; 2]),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::Side(side) => [side, side],
        Given::Sides(sides) => sides,
    })
}

impl Default for VitConfig {
    fn default() -> Self {
        Self {
            image_size: [224, 224],
            patch_size: 16,
            channels: 3,
            embed_dim: 768,
            depth: 12,
            num_heads: 12,
            mlp_ratio: 4.0,
        }
    }
}

impl VitConfig {
    /// A standard size at 224×224 with 16×16 patches.
    pub fn sized(size: Size) -> Self {
        let (embed_dim, depth, num_heads) = size.dimensions();
        Self {
            embed_dim,
            depth,
            num_heads,
            ..Self::default()
        }
    }

    /// A network of a few thousand weights for tests and examples: 16×32 pixels in eight patches, two blocks.
    pub fn tiny() -> Self {
        Self {
            image_size: [16, 32],
            patch_size: 8,
            channels: 3,
            embed_dim: 16,
            depth: 2,
            num_heads: 2,
            mlp_ratio: 2.0,
        }
    }

    /// The grid of patches.
    pub fn grid(&self) -> Grid {
        Grid {
            rows: self.image_size[0] / self.patch_size,
            columns: self.image_size[1] / self.patch_size,
        }
    }

    /// Hidden width of the MLP.
    pub fn mlp_dim(&self) -> usize {
        // Some ratios of whole numbers come out a hair too small.
        (self.embed_dim as f64 * self.mlp_ratio + 1e-6) as usize
    }

    /// Values of a patch, `patch_size² * channels`.
    pub fn patch_values(&self) -> usize {
        self.patch_size * self.patch_size * self.channels
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// The first size that does not fit, with its name.
    pub fn validate(&self) -> Result<(), SizeError> {
        let error = |key, message: String| Err(SizeError { key, message });
        if self.patch_size == 0 {
            return error("patch_size", "must be at least 1".into());
        }
        for (axis, side) in [
            ("height", self.image_size[0]),
            ("width", self.image_size[1]),
        ] {
            if side == 0 || !side.is_multiple_of(self.patch_size) {
                return error(
                    "image_size",
                    format!(
                        "{axis} {side} is not a multiple of patch_size {}",
                        self.patch_size
                    ),
                );
            }
        }
        if self.channels == 0 {
            return error("channels", "must be at least 1".into());
        }
        if self.depth == 0 {
            return error("depth", "must be at least 1".into());
        }
        if self.num_heads == 0
            || self.embed_dim == 0
            || !self.embed_dim.is_multiple_of(self.num_heads)
        {
            return error(
                "embed_dim",
                format!(
                    "{} is not a multiple of num_heads {}",
                    self.embed_dim, self.num_heads
                ),
            );
        }
        if !self.embed_dim.is_multiple_of(4) {
            return error(
                "embed_dim",
                format!(
                    "{} is not a multiple of 4, which the two-dimensional position table needs",
                    self.embed_dim
                ),
            );
        }
        if !self.mlp_ratio.is_finite() || self.mlp_ratio <= 0.0 || self.mlp_dim() == 0 {
            return error(
                "mlp_ratio",
                format!(
                    "{} leaves no hidden units at embed_dim {}",
                    self.mlp_ratio, self.embed_dim
                ),
            );
        }
        Ok(())
    }
}

/// Where an encoder differs from SemAIM's own, which is the plain vision transformer of MAE and the default here.
///
/// Frozen teachers and encoders to compare with come from CLIP, DINOv2 and others; an [encoder](crate::vit::Vit) can have
/// each of these differences. LayerScale (DINOv2) is none: its factors are multiplied into the layers before them when
/// weights are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchOptions {
    /// What layer norms add to the variance.
    pub epsilon: f64,
    /// Between the layers of an MLP.
    pub activation: Activation,
    /// Tokens between the class token and the patches that stand for nothing in the image (DINOv2 with registers).
    pub registers: usize,
    /// Whether tokens are normalized before the first block (CLIP).
    pub norm_pre: bool,
    /// Width of the final tokens, where they are projected after the final norm (CLIP).
    pub projection: Option<usize>,
}

impl Default for ArchOptions {
    fn default() -> Self {
        Self {
            epsilon: LAYER_NORM_EPSILON,
            activation: Activation::Gelu,
            registers: 0,
            norm_pre: false,
            projection: None,
        }
    }
}

/// Where the query blocks get their weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecoderWeights {
    /// The query blocks have weights of their own.
    #[default]
    Own,
    /// Each query block uses the weights of the encoder block whose output it reads.
    Shared,
}

/// The prediction head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// Linear(D, hidden), GELU, Linear(hidden, out); hidden is `mlp_ratio` times the width, as in the blocks.
    #[default]
    Mlp,
    /// Linear(D, out).
    Linear,
}

/// Sizes of the query stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decoder {
    /// Number of query blocks; divides the encoder's depth.
    pub query_depth: usize,
    /// Own or shared weights.
    pub weights: DecoderWeights,
    /// The prediction head.
    pub head: Head,
    /// Width of the query stream, below `embed_dim` and divisible by `num_heads` and by 4; 0: `embed_dim`. A narrower one has weights
    /// of its own.
    pub query_dim: usize,
    /// Share of the patches that is predicted in a step, in (0, 1].
    pub predict_fraction: f64,
    /// Which patches are predicted, where not all of them are.
    pub predict: PredictedPatches,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            query_depth: 12,
            weights: DecoderWeights::Own,
            head: Head::Mlp,
            query_dim: 0,
            predict_fraction: 1.0,
            predict: PredictedPatches::Random,
        }
    }
}

impl Decoder {
    /// Whether the query stream is narrower than the content stream.
    pub fn is_narrow(&self) -> bool {
        self.query_dim > 0
    }

    /// The query stream's blocks and head as those of a vision transformer.
    pub fn vit(&self, encoder: &VitConfig) -> VitConfig {
        let mut vit = encoder.clone();
        if self.is_narrow() {
            vit.embed_dim = self.query_dim;
        }
        vit
    }

    /// How many of so many patches are predicted in a step: at least one.
    pub fn predicted(&self, patches: usize) -> usize {
        let count = (self.predict_fraction * patches as f64).round() as usize;
        count.max(1).min(patches)
    }
}

/// Everything that gives the model its shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SemaimConfig {
    /// The encoder.
    pub vit: VitConfig,
    /// Where the encoder, and the query blocks with it, differ from SemAIM's own.
    pub arch: ArchOptions,
    /// The query stream.
    pub decoder: Decoder,
}

impl SemaimConfig {
    /// Encoder blocks between two query blocks.
    pub fn blocks_per_query(&self) -> usize {
        self.vit.depth / self.decoder.query_depth
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// The first size that does not fit, with its name.
    pub fn validate(&self) -> Result<(), SizeError> {
        self.vit.validate()?;
        let query_depth = self.decoder.query_depth;
        if query_depth == 0 || !self.vit.depth.is_multiple_of(query_depth) {
            return Err(SizeError {
                key: "query_depth",
                message: format!(
                    "{query_depth} does not divide the encoder's depth {}",
                    self.vit.depth
                ),
            });
        }
        if self.decoder.is_narrow() {
            let (key, width) = ("query_dim", self.decoder.query_dim);
            let error = |message: String| Err(SizeError { key, message });
            if width >= self.vit.embed_dim {
                let embed_dim = self.vit.embed_dim;
                return error(format!("{width} is not below embed_dim {embed_dim}"));
            }
            if self.decoder.weights == DecoderWeights::Shared {
                return error("shared weights are of the encoder's width".into());
            }
            let vit = self.decoder.vit(&self.vit);
            vit.validate().or_else(|found| error(found.message))?;
        }
        let fraction = self.decoder.predict_fraction;
        if !(fraction > 0.0 && fraction <= 1.0) {
            return Err(SizeError {
                key: "predict_fraction",
                message: format!("must be in (0, 1], is {fraction}"),
            });
        }
        Ok(())
    }
}

/// A size that does not fit the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct SizeError {
    /// The name of the size, as in [`VitConfig`] and [`Decoder`].
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_sizes_fit() {
        for size in [Size::Tiny, Size::Small, Size::Base, Size::Large, Size::Huge] {
            VitConfig::sized(size).validate().unwrap();
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_named() {
        let key = |config: VitConfig| config.validate().unwrap_err().key;
        let base = VitConfig::default;
        assert_eq!(
            key(VitConfig {
                image_size: [224, 225],
                ..base()
            }),
            "image_size"
        );
        assert_eq!(
            key(VitConfig {
                image_size: [0, 224],
                ..base()
            }),
            "image_size"
        );
        assert_eq!(
            key(VitConfig {
                patch_size: 0,
                ..base()
            }),
            "patch_size"
        );
        assert_eq!(
            key(VitConfig {
                num_heads: 5,
                ..base()
            }),
            "embed_dim"
        );
        assert_eq!(
            key(VitConfig {
                embed_dim: 6,
                num_heads: 3,
                ..base()
            }),
            "embed_dim"
        );
        assert_eq!(key(VitConfig { depth: 0, ..base() }), "depth");
        assert_eq!(
            key(VitConfig {
                channels: 0,
                ..base()
            }),
            "channels"
        );
        assert_eq!(
            key(VitConfig {
                mlp_ratio: f64::NAN,
                ..base()
            }),
            "mlp_ratio"
        );
        let decoder = Decoder {
            query_depth: 5,
            ..Decoder::default()
        };
        let error = SemaimConfig {
            vit: base(),
            decoder,
            ..SemaimConfig::default()
        }
        .validate()
        .unwrap_err();
        assert_eq!(error.key, "query_depth");
        for (query_dim, weights) in [
            (768, DecoderWeights::Own),
            (386, DecoderWeights::Own),
            (18, DecoderWeights::Own),
            (384, DecoderWeights::Shared),
        ] {
            let decoder = Decoder {
                query_dim,
                weights,
                ..Decoder::default()
            };
            let config = SemaimConfig {
                decoder,
                ..SemaimConfig::default()
            };
            assert_eq!(config.validate().unwrap_err().key, "query_dim");
        }
        for predict_fraction in [0.0, -0.5, 1.1, f64::NAN] {
            let decoder = Decoder {
                predict_fraction,
                ..Decoder::default()
            };
            let error = SemaimConfig {
                decoder,
                ..SemaimConfig::default()
            }
            .validate()
            .unwrap_err();
            assert_eq!(error.key, "predict_fraction");
        }
    }
}
