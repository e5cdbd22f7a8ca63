//! How semantic each patch is, by a network's own tokens.

use burn::tensor::{Tensor, activation};
use semaim_kernels::composed::l2_normalize;
use serde::{Deserialize, Serialize};

use crate::vit::Vit;

/// How a patch's similarity is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Similarity {
    /// Cosine of the class token and the patch token, softmax over patches.
    #[default]
    Cls,
    /// Cosine of the mean patch token and the patch token, softmax over patches.
    Gap,
    /// The last block's attention from the class token to the patches, averaged over heads.
    #[serde(rename = "self")]
    SelfAttention,
}

impl Similarity {
    /// As settings call it.
    pub fn name(self) -> &'static str {
        match self {
            Similarity::Cls => "cls",
            Similarity::Gap => "gap",
            Similarity::SelfAttention => "self",
        }
    }

    /// The similarity map of images by an encoder, `[batch, patches]`.
    ///
    /// One unmasked pass, of which nothing that the map does not need is computed. Pass an encoder without
    /// gradients (`model.encoder.valid()`).
    pub fn of(self, encoder: &Vit, images: Tensor<4>) -> Tensor<2> {
        match self {
            Similarity::Cls => class_similarity(encoder.tokens(images)),
            Similarity::Gap => mean_similarity(encoder.tokens(images)),
            Similarity::SelfAttention => encoder.class_attention(images),
        }
    }

    /// The same with the final tokens `[batch, 1 + patches, width]`, from one pass for both.
    pub fn with_tokens(self, encoder: &Vit, images: Tensor<4>) -> (Tensor<3>, Tensor<2>) {
        if self == Similarity::SelfAttention {
            return encoder.tokens_and_attention(images);
        }
        let tokens = encoder.tokens(images);
        let similarity = match self {
            Similarity::Gap => mean_similarity(tokens.clone()),
            _ => class_similarity(tokens.clone()),
        };
        (tokens, similarity)
    }
}

/// Softmax over patches of cosine(class token, patch token), from tokens `[batch, 1 + patches, width]`.
pub fn class_similarity(tokens: Tensor<3>) -> Tensor<2> {
    let (class, patches) = split(tokens);
    softmax_of_cosine(class, patches)
}

/// Softmax over patches of cosine(mean patch token, patch token), from tokens `[batch, 1 + patches, width]`.
pub fn mean_similarity(tokens: Tensor<3>) -> Tensor<2> {
    let (_, patches) = split(tokens);
    softmax_of_cosine(patches.clone().mean_dim(1), patches)
}

fn split(tokens: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
    let [_, count, _] = tokens.dims();
    (
        tokens.clone().narrow(1, 0, 1),
        tokens.narrow(1, 1, count - 1),
    )
}

/// `one [batch, 1, embed_dim]`, `patches [batch, patches, embed_dim]`.
fn softmax_of_cosine(one: Tensor<3>, patches: Tensor<3>) -> Tensor<2> {
    let cosine = (l2_normalize(one) * l2_normalize(patches))
        .sum_dim(2)
        .squeeze_dim::<2>(2);
    activation::softmax(cosine, 1)
}
