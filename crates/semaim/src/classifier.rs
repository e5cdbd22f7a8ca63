//! An encoder with a linear head, trained as a whole: fine-tuning.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use semaim_random::{KeyedRng, Stream};
use serde::{Deserialize, Serialize};

use crate::layers::{LayerNorm, Linear};
use crate::vit::{ForwardOptions, Vit};

/// Standard deviation of the head's first weights, as published for masked autoencoders: nearly nothing, so that the
/// first steps do not tear at the encoder.
const HEAD_DEVIATION: f64 = 2e-5;

/// What of the encoder the head sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// The mean of the patch tokens, with a layer norm of its own after it; the encoder's final norm is not used.
    #[default]
    Mean,
    /// The class token after the encoder's final norm.
    Cls,
}

/// The classifier. Its weights have timm's names: `fc_norm.*` where patch tokens are averaged, and `head.*`.
#[derive(Module, Debug)]
pub struct Classifier {
    /// The encoder, trained with the rest.
    pub encoder: Vit,
    /// After the mean of the patch tokens; none for the class token.
    pub fc_norm: Option<LayerNorm>,
    /// From one vector per image to one number per class.
    pub head: Linear,
}

impl Classifier {
    /// A classifier on an encoder, for so many classes. Like everything in the encoder, the position table is trained. A
    /// projection of the encoder's tokens (CLIP's) is left out.
    pub fn new(encoder: Vit, pool: Pool, classes: usize, seed: u64, device: &Device) -> Self {
        let [_, _, embed_dim] = encoder.pos_embed.val().dims();
        let mut draw = KeyedRng::named(seed, "head.weight", Stream::Init);
        let weight: Vec<f32> = (0..classes * embed_dim)
            .map(|_| (HEAD_DEVIATION * draw.normal()) as f32)
            .collect();
        let weight = Tensor::from_data(TensorData::new(weight, [classes, embed_dim]), device);
        let mut encoder = encoder;
        encoder.pos_embed = encoder.pos_embed.set_require_grad(true);
        // The head sees tokens as they are before it.
        encoder.projection = None;
        let epsilon = encoder.norm.epsilon();
        Self {
            encoder,
            fc_norm: (pool == Pool::Mean)
                .then(|| LayerNorm::with_epsilon(embed_dim, epsilon, device)),
            head: Linear {
                weight: Param::from_tensor(weight),
                bias: Param::from_tensor(Tensor::zeros([classes], device)),
            },
        }
    }

    /// What the head sees.
    pub fn pool(&self) -> Pool {
        match self.fc_norm {
            Some(_) => Pool::Mean,
            None => Pool::Cls,
        }
    }

    /// Logits `[batch, classes]` of images `[batch, channels, height, width]`.
    pub fn forward(&self, images: Tensor<4>, options: ForwardOptions<'_>) -> Tensor<2> {
        let h = self.encoder.run(self.encoder.embed(images), options);
        let vector = match &self.fc_norm {
            Some(norm) => norm.forward(self.encoder.patches_of(h).mean_dim(1)),
            None => self.encoder.norm.forward(h.narrow(1, 0, 1)),
        };
        self.head.forward(vector).squeeze_dim(1)
    }
}
