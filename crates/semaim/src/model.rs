//! SemAIM: the two streams side by side, from images and an order to predictions and the loss.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::config::{SemaimConfig, SizeError};
use crate::init::initialise;
use crate::parameters::WeightError;
use crate::query::{PredictionHead, QueryBlock, QueryStep};
use crate::sequence::Sequence;
use crate::target::Target;
use crate::vit::{ForwardOptions, Vit};

/// The model that is pre-trained.
#[derive(Module, Debug)]
pub struct Semaim {
    /// The content stream, which is kept.
    pub encoder: Vit,
    /// The query stream's blocks; empty when it shares the encoder's.
    pub query_blocks: Vec<QueryBlock>,
    /// From the query stream to predictions.
    pub prediction_head: PredictionHead,
    blocks_per_query: usize,
}

/// What a forward pass gives.
#[derive(Debug)]
pub struct Output {
    /// The loss of each patch, `[batch, patches]`, in the order of the image.
    pub loss_map: Tensor<2>,
    /// The mean of `loss_map`, `[1]`.
    pub loss: Tensor<1>,
}

impl SemaimConfig {
    /// The model with its first weights, which depend on the seed and each weight's name alone.
    ///
    /// # Errors
    /// Sizes that do not fit together.
    pub fn init(&self, target: &Target, seed: u64, device: &Device) -> Result<Semaim, SizeError> {
        self.validate()?;
        let model = Semaim {
            encoder: Vit::zeros_as(&self.vit, &self.arch, device),
            query_blocks: QueryBlock::stack(&self.vit, &self.arch, &self.decoder, device),
            prediction_head: PredictionHead::zeros(
                self.decoder.head,
                &self.vit,
                target.width(&self.vit),
                device,
            ),
            blocks_per_query: self.blocks_per_query(),
        };
        Ok(initialise(model, seed))
    }
}

impl Semaim {
    /// The same model, each query block with the weights of the encoder block whose output it reads. A decoder that shares
    /// them does so anyway.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give the weights.
    pub fn with_queries_from_encoder(mut self) -> Result<Self, WeightError> {
        for (number, block) in self.query_blocks.iter_mut().enumerate() {
            let read = (number + 1) * self.blocks_per_query - 1;
            if let Some(encoder) = self.encoder.blocks.get(read) {
                *block = QueryBlock::copy_of(encoder)?;
            }
        }
        Ok(self)
    }

    /// From rank keys to the order of the tokens.
    fn sequence(&self, rank_keys: Tensor<2>) -> Result<Sequence, WeightError> {
        Sequence::after(1 + self.encoder.registers(), rank_keys)
    }

    /// Predicts every patch from the patches before it: `[batch, patches, width]`, in the order of the image.
    ///
    /// `images` is `[batch, channels, height, width]`, `rank_keys` `[batch, patches]`.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give the keys.
    pub fn predict(
        &self,
        images: Tensor<4>,
        rank_keys: Tensor<2>,
    ) -> Result<Tensor<3>, WeightError> {
        let sequence = self.sequence(rank_keys)?;
        let predictions = self.predict_in_order(images, &sequence, ForwardOptions::default());
        Ok(sequence.restore(predictions))
    }

    /// The two streams. All tokens stand in the order of prediction, so that what a token sees stands before it.
    fn predict_in_order(
        &self,
        images: Tensor<4>,
        sequence: &Sequence,
        options: ForwardOptions<'_>,
    ) -> Tensor<3> {
        let encoder = &self.encoder;
        let patches = encoder.embed_patches(images);
        // Queries know positions and nothing else. The class token has none: its prediction would go unused.
        let positions = encoder.patch_positions().expand(patches.dims());
        let mut h = encoder.with_class(sequence.sort(patches));
        // Both streams go through the same norms.
        let mut g = encoder.normed_before(sequence.sort(positions));
        for (i, block) in encoder.blocks.iter().enumerate() {
            let drop_path = options.drop_path(i);
            h = block.forward(h, Some(&sequence.content), drop_path, options.recompute);
            if (i + 1).is_multiple_of(self.blocks_per_query) {
                let step = match self.query_blocks.get(i / self.blocks_per_query) {
                    Some(own) => QueryStep::own(own),
                    None => QueryStep::shared(block),
                };
                g = step.forward(g, h.clone(), &sequence.query, drop_path, options.recompute);
            }
        }
        self.prediction_head.forward(encoder.norm.forward(g))
    }

    /// The loss of the predictions against `targets`, `[batch, patches, width]` in the order of the image.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give the keys.
    pub fn forward(
        &self,
        images: Tensor<4>,
        rank_keys: Tensor<2>,
        targets: Tensor<3>,
        target: &Target,
        options: ForwardOptions<'_>,
    ) -> Result<Output, WeightError> {
        let sequence = self.sequence(rank_keys)?;
        let targets = sequence.sort(targets);
        let predictions = self.predict_in_order(images, &sequence, options);
        let losses = target.loss(predictions, targets);
        let loss_map = sequence
            .restore(losses.clone().unsqueeze_dim(2))
            .squeeze_dim(2);
        Ok(Output {
            loss: losses.mean(),
            loss_map,
        })
    }
}
