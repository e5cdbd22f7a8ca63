//! What represents an image, out of its final tokens.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// What represents an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Representation {
    /// The class token, `[embed_dim]`.
    Cls,
    /// The mean of the patch tokens, `[embed_dim]`.
    #[default]
    Mean,
    /// Both, the class token first, `[2 * embed_dim]`.
    Both,
    /// Every patch token, row by row, `[patches, embed_dim]`.
    Patches,
}

impl Representation {
    /// From final tokens `[batch, 1 + patches, embed_dim]` to `[batch, rows, width]`, rows being 1 but for patches.
    pub fn of(self, tokens: Tensor<3>) -> Tensor<3> {
        let [_, count, _] = tokens.dims();
        let class = tokens.clone().narrow(1, 0, 1);
        let patches = tokens.narrow(1, 1, count - 1);
        match self {
            Self::Cls => class,
            Self::Mean => patches.mean_dim(1),
            Self::Both => Tensor::cat(vec![class, patches.mean_dim(1)], 2),
            Self::Patches => patches,
        }
    }

    /// Sizes of what represents one image, without those of one.
    pub fn shape(self, patches: usize, embed_dim: usize) -> Vec<usize> {
        match self {
            Self::Cls | Self::Mean => vec![embed_dim],
            Self::Both => vec![2 * embed_dim],
            Self::Patches => vec![patches, embed_dim],
        }
    }
}
