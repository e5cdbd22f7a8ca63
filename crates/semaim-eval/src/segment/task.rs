//! The loss of a batch for a segmenter: cross-entropy of its pixels, of the head and of the auxiliary head.

use burn::tensor::{Device, Tensor};
use semaim::drop_path::DropPath;
use semaim::feature_map::FeatureMap;
use semaim::grid::Grid;
use semaim::vit::ForwardOptions;
use semaim_checkpoint::model_file::ModelKind;
use semaim_data::{Batch, LabelMap};
use semaim_segment::error::SegmentError;
use semaim_segment::model::Segmenter;
use semaim_train::error::TrainError;
use semaim_train::param_groups::ParamGroups;
use semaim_train::run_dir::RunDir;
use semaim_train::state::TrainState;
use semaim_train::task::{Loss, MicroBatch, Sender, Task, views_sender};

use super::config::SegmentConfig;
use super::feature_cache::FeatureCache;
use super::segmenter::SegmenterInfo;

pub(super) struct SegmentTask<'a> {
    pub(super) config: &'a SegmentConfig,
    pub(super) info: &'a SegmenterInfo,
    pub(super) device: &'a Device,
    /// What a frozen encoder gave of images that it has seen.
    pub(super) cache: Option<FeatureCache>,
}

impl SegmentTask<'_> {
    /// `[channels, height, width]` of views.
    fn shape(&self) -> [usize; 3] {
        let crop = self.config.augment.crop;
        [self.info.config.channels, crop, crop]
    }

    /// What the head sees of a batch.
    fn maps(
        &self,
        micro_batch: &MicroBatch<'_, Segmenter, LabelMap>,
    ) -> Result<Vec<FeatureMap>, TrainError> {
        let (config, batch) = (self.config, micro_batch.batch);
        let shape = self.shape();
        if config.freeze {
            // The weights that record no gradients: what they give is the same with and without the cache, to the bit.
            let frozen = &micro_batch.state.model;
            let maps = match &self.cache {
                Some(cache) => cache.maps(frozen, batch, shape, self.device)?,
                None => encode(
                    frozen,
                    micro_batch.images(shape, self.device),
                    ForwardOptions::default(),
                )?,
            };
            let record = |map: FeatureMap| FeatureMap {
                values: Tensor::from_inner(map.values),
                grid: map.grid,
            };
            return Ok(maps.into_iter().map(record).collect());
        }
        let (rate, depth) = (config.train.drop_path, self.info.config.depth);
        let drop_path = DropPath::draw(rate, depth, config.seed, batch.epoch, &batch.items);
        let options = ForwardOptions {
            drop_path: drop_path.as_ref(),
            recompute: config.train.recompute,
        };
        let images = micro_batch.images(shape, self.device);
        encode(micro_batch.model, Tensor::from_inner(images), options)
    }
}

impl Task for SegmentTask<'_> {
    type Model = Segmenter;
    type Target = LabelMap;

    fn loss(&self, micro_batch: MicroBatch<'_, Segmenter, LabelMap>) -> Result<Loss, TrainError> {
        let maps = self.maps(&micro_batch)?;
        let side = self.config.augment.crop;
        let pixels = Grid {
            rows: side,
            columns: side,
        };
        let labels = labels(micro_batch.batch);
        let (losses, statistics) = micro_batch
            .model
            .losses(&maps, &labels, pixels)
            .map_err(failed)?;
        let parts = losses.by_name();
        Ok(Loss {
            total: losses.total(),
            // A single part is the loss itself.
            parts: if parts.len() > 1 { parts } else { Vec::new() },
            statistics,
        })
    }

    fn sender(&self) -> Option<Sender<LabelMap>> {
        // What is cached is not sent.
        match self.cache {
            Some(_) => None,
            None => Some(views_sender(self.shape(), self.device)),
        }
    }

    fn export(&self, run: &RunDir, state: &TrainState<Segmenter>) -> Result<(), TrainError> {
        let path = run.path().join(ModelKind::Segmenter.file_name());
        self.info.file(&state.model)?.write(&path)?;
        Ok(())
    }
}

/// What the head sees of images.
pub(super) fn encode(
    model: &Segmenter,
    images: Tensor<4>,
    options: ForwardOptions<'_>,
) -> Result<Vec<FeatureMap>, TrainError> {
    model.encode(images, options).map_err(failed)
}

fn failed(error: SegmentError) -> TrainError {
    match error {
        SegmentError::Weight(error) => TrainError::Weights(error),
        error => TrainError::Internal(error.to_string()),
    }
}

/// The labels of a batch's views, one after the other.
fn labels(batch: &Batch<LabelMap>) -> Vec<u8> {
    let labels: Vec<&[u8]> = batch.targets.iter().map(|map| &map.labels[..]).collect();
    labels.concat()
}

/// The published groups: a layer of the encoder learns `layer_decay` times as fast as the one above it; position table, class
/// token, norms and biases do not decay.
pub(super) fn param_groups(config: &SegmentConfig, depth: usize) -> ParamGroups {
    ParamGroups::LayerDecay {
        weight_decay: config.optimizer.weight_decay,
        decay: config.layer_decay,
        depth,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_the_encoder_learn_slower_and_norms_and_biases_do_not_decay() {
        let config = SegmentConfig::default();
        let groups = param_groups(&config, 12);
        let decay = config.optimizer.weight_decay;
        for (name, axes, above, weight_decay) in [
            ("pos_embed", 3, 13, 0.0),
            ("patch_embed.proj.weight", 4, 13, decay),
            ("blocks.11.attn.qkv.weight", 2, 1, decay),
            ("blocks.0.norm1.weight", 1, 12, 0.0),
            ("head.fusion.conv.weight", 4, 0, decay),
            ("head.fusion.batch_norm.weight", 1, 0, 0.0),
            ("head.classifier.bias", 1, 0, 0.0),
        ] {
            let group = groups.of(name, axes);
            assert!(
                (group.lr_scale - 0.65_f64.powi(above)).abs() < 1e-12,
                "{name}"
            );
            assert_eq!(group.weight_decay, weight_decay, "{name}");
        }
    }
}
