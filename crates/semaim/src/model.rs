//! SemAIM: the two streams side by side, from images and an order to predictions and the loss.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use crate::config::{SemaimConfig, SizeError, VitConfig};
use crate::init::initialize;
use crate::layers::LayerNorm;
use crate::parameters::WeightError;
use crate::position::sin_cos;
use crate::predicted::PredictedPlaces;
use crate::query::{PredictionHead, QueryBlock, QueryStep};
use crate::sequence::{Queries, Sequence};
use crate::target::Target;
use crate::vit::{ForwardOptions, Vit};

/// The model that is pre-trained.
#[derive(Module, Debug)]
pub struct Semaim {
    /// The content stream, which is kept.
    pub encoder: Vit,
    /// The query stream's blocks; empty when it shares the encoder's.
    pub query_blocks: Vec<QueryBlock>,
    /// The positions that a narrower query stream starts from, `[1, patches, query_dim]`: sines and cosines, never trained. Others
    /// start from the encoder's.
    pub query_pos_embed: Option<Param<Tensor<3>>>,
    /// The final norm of a narrower query stream; others go through the encoder's.
    pub query_norm: Option<LayerNorm>,
    /// From the query stream to predictions.
    pub prediction_head: PredictionHead,
    blocks_per_query: usize,
}

/// What a forward pass gives.
#[derive(Debug)]
pub struct Output {
    /// The loss of each patch, `[batch, patches]`, in the order of the image; zero for patches that are not predicted.
    pub loss_map: Tensor<2>,
    /// The mean loss of the patches that are predicted, `[1]`.
    pub loss: Tensor<1>,
}

impl SemaimConfig {
    /// The model with its first weights, which depend on the seed and each weight's name alone.
    ///
    /// # Errors
    /// Sizes that do not fit together.
    pub fn init(&self, target: &Target, seed: u64, device: &Device) -> Result<Semaim, SizeError> {
        self.validate()?;
        let queries = self.decoder.vit(&self.vit);
        let is_narrow = self.decoder.is_narrow();
        let model = Semaim {
            encoder: Vit::zeros_as(&self.vit, &self.arch, device),
            query_blocks: QueryBlock::stack(&self.vit, &self.arch, &self.decoder, device),
            query_pos_embed: is_narrow.then(|| positions(&queries, device)),
            query_norm: is_narrow
                .then(|| LayerNorm::with_epsilon(queries.embed_dim, self.arch.epsilon, device)),
            prediction_head: PredictionHead::zeros(
                self.decoder.head,
                &queries,
                target.width(&self.vit),
                device,
            ),
            blocks_per_query: self.blocks_per_query(),
        };
        Ok(initialize(model, seed))
    }
}

/// The fixed positions of the patches, `[1, patches, embed_dim]`.
fn positions(vit: &VitConfig, device: &Device) -> Param<Tensor<3>> {
    let (d, grid) = (vit.embed_dim, vit.grid());
    // Without the class token's row.
    let table = sin_cos(d, grid).split_off(d);
    let table = TensorData::new(table, [1, grid.patches(), d]);
    Param::from_tensor(Tensor::from_data(table, device)).set_require_grad(false)
}

impl Semaim {
    /// The same model, each query block with the weights of the encoder block whose output it reads. A decoder that shares
    /// them does so anyway, and a narrower one has none of that width: it stays as it is.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give the weights.
    pub fn with_queries_from_encoder(mut self) -> Result<Self, WeightError> {
        if self.query_pos_embed.is_some() {
            return Ok(self);
        }
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
        let (queries, options) = (sequence.queries(None), ForwardOptions::default());
        let predictions = self.predict_in_order(images, &sequence, &queries, options);
        Ok(sequence.restore(predictions))
    }

    /// The two streams: the predictions of all queries, `[batch, queries, width]`. All tokens stand in the order of prediction, so
    /// that what a token sees stands before it.
    fn predict_in_order(
        &self,
        images: Tensor<4>,
        sequence: &Sequence,
        queries: &Queries,
        options: ForwardOptions<'_>,
    ) -> Tensor<3> {
        let encoder = &self.encoder;
        let patches = encoder.embed_patches(images);
        // Queries know positions and nothing else. The class token has none: its prediction would go unused.
        let [batch, count, _] = patches.dims();
        let positions = match &self.query_pos_embed {
            Some(own) => own.val(),
            None => encoder.patch_positions(),
        };
        let [_, _, width] = positions.dims();
        let positions = queries.take(positions.expand([batch, count, width]));
        let mut h = encoder.with_class(sequence.sort(patches));
        // Both streams go through the same norms, where they are of one width.
        let mut g = match self.query_norm {
            Some(_) => positions,
            None => encoder.normed_before(positions),
        };
        for (i, block) in encoder.blocks.iter().enumerate() {
            let drop_path = options.drop_path(i);
            h = block.forward(h, Some(&sequence.content), drop_path, options.recompute);
            if (i + 1).is_multiple_of(self.blocks_per_query) {
                let step = match self.query_blocks.get(i / self.blocks_per_query) {
                    Some(own) => QueryStep::own(own),
                    None => QueryStep::shared(block),
                };
                g = step.forward(g, h.clone(), &queries.mask, drop_path, options.recompute);
            }
        }
        let norm = self.query_norm.as_ref().unwrap_or(&encoder.norm);
        self.prediction_head.forward(norm.forward(g))
    }

    /// The loss of the predictions against `targets`, `[batch, patches, width]` in the order of the image.
    ///
    /// `predicted` says which patches are predicted; `None`: all of them.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give the keys.
    pub fn forward(
        &self,
        images: Tensor<4>,
        rank_keys: Tensor<2>,
        predicted: Option<&PredictedPlaces>,
        targets: Tensor<3>,
        target: &Target,
        options: ForwardOptions<'_>,
    ) -> Result<Output, WeightError> {
        let sequence = self.sequence(rank_keys)?;
        let queries = sequence.queries(predicted);
        let targets = queries.take(targets);
        let predictions = self.predict_in_order(images, &sequence, &queries, options);
        let losses = target.loss(predictions, targets);
        Ok(Output {
            loss: losses.clone().mean(),
            loss_map: sequence.restore_queries(&queries, losses),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Decoder, DecoderWeights};
    use crate::drop_path::DropPath;
    use crate::parameters::weights;
    use crate::predicted::PredictedPatches;
    use crate::target::PixelTarget;
    use burn::tensor::Gradients;

    const BATCH: usize = 3;
    const PATCHES: usize = 8;

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    fn waves<const D: usize>(shape: [usize; D], step: f32) -> Tensor<D> {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| (i as f32 * step).sin()).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    fn images() -> Tensor<4> {
        waves([BATCH, 3, 16, 32], 0.37)
    }

    fn rank_keys() -> Tensor<2> {
        waves([BATCH, PATCHES], 1.7)
    }

    /// Half as wide as the encoder.
    fn narrow(config: SemaimConfig) -> SemaimConfig {
        let decoder = Decoder {
            query_dim: 8,
            ..config.decoder
        };
        SemaimConfig { decoder, ..config }
    }

    fn config(
        weights: DecoderWeights,
        predict_fraction: f64,
        predict: PredictedPatches,
    ) -> SemaimConfig {
        SemaimConfig {
            vit: VitConfig::tiny(),
            decoder: Decoder {
                query_depth: 2,
                weights,
                predict_fraction,
                predict,
                ..Decoder::default()
            },
            ..SemaimConfig::default()
        }
    }

    /// Gradients of weights in every part of the model.
    fn gradients(model: &Semaim, gradients: &Gradients) -> Vec<(&'static str, Vec<f32>)> {
        let encoder = &model.encoder;
        let PredictionHead::Mlp(head) = &model.prediction_head else {
            panic!("not an MLP");
        };
        let mut found = vec![
            (
                "patches",
                values(encoder.patch_embed.proj.weight.grad(gradients).unwrap()),
            ),
            ("class", values(encoder.cls_token.grad(gradients).unwrap())),
            (
                "qkv",
                values(encoder.blocks[0].attn.qkv.weight.grad(gradients).unwrap()),
            ),
            (
                "fc2",
                values(encoder.blocks[0].mlp.fc2.weight.grad(gradients).unwrap()),
            ),
            (
                "norm",
                values(
                    model
                        .query_norm
                        .as_ref()
                        .unwrap_or(&encoder.norm)
                        .weight
                        .grad(gradients)
                        .unwrap(),
                ),
            ),
            ("head", values(head.fc1.weight.grad(gradients).unwrap())),
        ];
        for block in &model.query_blocks {
            found.extend([
                ("q", values(block.attn.q.weight.grad(gradients).unwrap())),
                ("k", values(block.attn.k.weight.grad(gradients).unwrap())),
                ("norm1", values(block.norm1.weight.grad(gradients).unwrap())),
                ("fc1", values(block.mlp.fc1.bias.grad(gradients).unwrap())),
            ]);
            let context = block.context.as_ref();
            found.extend(context.map(|c| ("context", values(c.weight.grad(gradients).unwrap()))));
        }
        found
    }

    fn assert_near(name: &str, found: &[f32], expected: &[f32]) {
        let size = expected.iter().fold(0.0_f32, |size, v| size.max(v.abs()));
        assert!(size > 1e-7, "{name} is nothing");
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(expected) {
            let off = (found - expected).abs();
            assert!(off <= 1e-5 * size + 1e-8, "{name}: {found} {expected}");
        }
    }

    #[test]
    fn some_patches_are_predicted_as_they_are_among_all() {
        let target = Target::Pixels(PixelTarget::default());
        let drop_path = DropPath::draw(0.5, 2, 1, 0, &[0, 1, 2]);
        let (own, shared) = (DecoderWeights::Own, DecoderWeights::Shared);
        let (random, late) = (PredictedPatches::Random, PredictedPatches::Late);
        for (config, drop_path) in [
            (config(own, 0.4, random), None),
            (config(own, 0.4, late), drop_path.as_ref()),
            (config(shared, 0.4, random), None),
            (narrow(config(own, 0.4, random)), drop_path.as_ref()),
        ] {
            let predicted = PredictedPlaces::draw(&config.decoder, PATCHES, 5, 1, &[0, 1, 2]);
            let predicted = predicted.unwrap();
            let model = config.init(&target, 3, &Device::flex()).unwrap().train();
            let options = ForwardOptions {
                drop_path,
                ..ForwardOptions::default()
            };
            let forward = |predicted| {
                let targets = target.of_images(images(), 8).unwrap();
                let images = Tensor::from_inner(images());
                let targets = Tensor::from_inner(targets);
                model.forward(images, rank_keys(), predicted, targets, &target, options)
            };
            let some = forward(Some(&predicted)).unwrap();
            let all = forward(None).unwrap();
            // One for the patches that are predicted.
            let mut counts = vec![0.0; BATCH * PATCHES];
            let order = Sequence::of(rank_keys()).unwrap().patches().unwrap();
            for (i, &place) in predicted.places().iter().enumerate() {
                let image = i / predicted.per_image();
                counts[image * PATCHES + order[image][place as usize]] = 1.0;
            }
            let counts = TensorData::new(counts, [BATCH, PATCHES]);
            let masked = all.loss_map * Tensor::from_data(counts, &Device::flex().autodiff());
            let loss = masked.clone().sum() / predicted.places().len() as f32;
            assert_near(
                "losses",
                &values(some.loss_map.inner()),
                &values(masked.inner()),
            );
            let [found, expected] = [&some.loss, &loss].map(|loss| values(loss.clone().inner()));
            assert_near("loss", &found, &expected);
            let found = gradients(&model, &some.loss.backward());
            let expected = gradients(&model, &loss.backward());
            for ((name, found), (_, expected)) in found.iter().zip(&expected) {
                assert_near(name, found, expected);
            }
        }
    }

    #[test]
    fn a_narrow_query_stream_sees_what_comes_before_and_nothing_else() {
        let target = Target::Pixels(PixelTarget::default());
        let config = narrow(config(DecoderWeights::Own, 1.0, PredictedPatches::Random));
        let model = config.init(&target, 3, &Device::flex()).unwrap();
        let found = weights(&model).unwrap();
        assert_eq!(found["query_blocks.1.context.weight"].shape, [8, 16]);
        assert_eq!(found["query_blocks.1.attn.k.weight"].shape, [8, 8]);
        assert_eq!(found["prediction_head.fc1.weight"].shape, [16, 8]);
        // Raster order; patch 3 is the last of the first row.
        let keys = Tensor::<1, burn::tensor::Int>::arange(0..8, &Device::flex());
        let keys = keys.float().reshape([1, PATCHES]);
        let predict = |images| values(model.predict(images, keys.clone()).unwrap());
        let before = images().narrow(0, 0, 1);
        let change = Tensor::<4>::ones([1, 3, 8, 8], &Device::flex());
        let after = before
            .clone()
            .slice_assign([0..1, 0..3, 0..8, 24..32], change);
        let [before, after] = [before, after].map(predict);
        let width = before.len() / PATCHES;
        let changed =
            |patch: usize| before[patch * width..][..width] != after[patch * width..][..width];
        let changed: Vec<bool> = (0..PATCHES).map(changed).collect();
        assert_eq!(
            changed,
            [false, false, false, false, true, true, true, true]
        );
    }

    #[test]
    fn pictures_predict_all_patches_whatever_a_step_predicts() {
        let target = Target::Pixels(PixelTarget::default());
        let [all, some] = [1.0, 0.1].map(|fraction| {
            let config = config(DecoderWeights::Own, fraction, PredictedPatches::Random);
            let model = config.init(&target, 3, &Device::flex()).unwrap();
            values(model.predict(images(), rank_keys()).unwrap())
        });
        assert_eq!(some, all);
    }
}
