//! SemAIM: the two streams side by side, from images and an order to predictions and the loss.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::config::{SemaimConfig, SizeError};
use crate::drop_path::DropPath;
use crate::init::initialise;
use crate::order::Visibility;
use crate::query::{PredictionHead, QueryBlock, QueryStep};
use crate::target::Target;
use crate::vit::Vit;

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
    /// `[batch, patches, width]`.
    pub predictions: Tensor<3>,
    /// The cost of each patch, `[batch, patches]`.
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
            encoder: Vit::zeros(&self.vit, device),
            query_blocks: QueryBlock::stack(&self.vit, &self.decoder, device),
            prediction_head: PredictionHead::zeros(
                self.decoder.head,
                self.vit.embed_dim,
                target.width(&self.vit),
                device,
            ),
            blocks_per_query: self.blocks_per_query(),
        };
        Ok(initialise(model, seed))
    }
}

impl Semaim {
    /// Predicts every patch from the patches before it: `[batch, patches, width]`.
    ///
    /// `images` is `[batch, channels, height, width]`, `rank_keys` `[batch, patches]`.
    pub fn predict(
        &self,
        images: Tensor<4>,
        rank_keys: Tensor<2>,
        drop_path: Option<&DropPath>,
    ) -> Tensor<3> {
        let visibility = Visibility::of(rank_keys);
        let mut h = self.encoder.embed(images);
        let [batch, _, d] = h.dims();
        // All images start from the same positions. The class token has no query: its prediction would go unused.
        let positions = self.encoder.patch_positions();
        let mut g = positions.expand([batch, self.encoder.grid().patches(), d]);
        for (i, block) in self.encoder.blocks.iter().enumerate() {
            let drawn = DropPath::block(drop_path, i);
            h = block.forward(h, Some(&visibility.content), drawn);
            if (i + 1).is_multiple_of(self.blocks_per_query) {
                let step = match self.query_blocks.get(i / self.blocks_per_query) {
                    Some(own) => own.step(),
                    None => QueryStep::shared(block),
                };
                g = step.forward(g, h.clone(), &visibility.query, drawn);
            }
        }
        self.prediction_head.forward(self.encoder.norm.forward(g))
    }

    /// Predictions and what they cost.
    pub fn forward(
        &self,
        images: Tensor<4>,
        rank_keys: Tensor<2>,
        target: &Target,
        drop_path: Option<&DropPath>,
    ) -> Output {
        let patch_size = images.dims()[2] / self.encoder.grid().rows;
        let truth = target.values(images.clone(), patch_size);
        let predictions = self.predict(images, rank_keys, drop_path);
        let loss_map = target.cost(predictions.clone(), truth);
        Output {
            predictions,
            loss: loss_map.clone().mean(),
            loss_map,
        }
    }
}
