//! The loss of a batch for a detector: the five losses of Mask R-CNN.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use semaim::drop_path::DropPath;
use semaim::parameters::weights;
use semaim::vit::ForwardOptions;
use semaim_checkpoint::model_file::ModelKind;
use semaim_data::Objects;
use semaim_detect::bitmask::BitMask;
use semaim_detect::boxes::BoundingBox;
use semaim_detect::error::DetectError;
use semaim_detect::instances::Instances;
use semaim_detect::model::MaskRcnn;
use semaim_detect::names::layer;
use semaim_random::Key;
use semaim_train::error::TrainError;
use semaim_train::param_groups::{ParamGroup, ParamGroups};
use semaim_train::run_dir::RunDir;
use semaim_train::state::TrainState;
use semaim_train::task::{Loss, MicroBatch, Sender, Task, views_sender};

use super::config::DetectConfig;
use super::detector::DetectorInfo;

pub(super) struct DetectTask<'a> {
    pub(super) config: &'a DetectConfig,
    pub(super) info: &'a DetectorInfo,
    pub(super) device: &'a Device,
}

impl DetectTask<'_> {
    /// `[channels, height, width]` of views.
    fn shape(&self) -> [usize; 3] {
        let canvas = self.config.detector.canvas;
        [self.info.config.channels, canvas, canvas]
    }
}

impl Task for DetectTask<'_> {
    type Model = MaskRcnn;
    type Target = Objects;

    fn loss(&self, micro_batch: MicroBatch<'_, MaskRcnn, Objects>) -> Result<Loss, TrainError> {
        let (config, batch) = (self.config, micro_batch.batch);
        let images = micro_batch.images(self.shape(), self.device);
        let (rate, depth) = (config.train.drop_path, self.info.config.depth);
        let drop_path = match config.freeze {
            true => None,
            false => DropPath::draw(rate, depth, config.seed, batch.epoch, &batch.items),
        };
        let options = ForwardOptions {
            drop_path: drop_path.as_ref(),
            recompute: config.train.recompute,
        };
        let key = |item: &u64| Key::new(config.seed, batch.epoch, *item);
        let keys: Vec<Key> = batch.items.iter().map(key).collect();
        let truths: Vec<Instances> = batch.targets.iter().map(instances).collect();
        let losses = micro_batch
            .model
            .losses(
                Tensor::from_inner(images),
                &batch.valid_sizes,
                &truths,
                &keys,
                options,
            )
            .map_err(|error| match error {
                DetectError::Weight(error) => TrainError::Weights(error),
                error => TrainError::Internal(error.to_string()),
            })?;
        Ok(Loss {
            parts: losses.by_name().into(),
            ..losses.total().into()
        })
    }

    fn sender(&self) -> Option<Sender<Objects>> {
        Some(views_sender(self.shape(), self.device))
    }

    fn export(&self, run: &RunDir, state: &TrainState<MaskRcnn>) -> Result<(), TrainError> {
        let path = run.path().join(ModelKind::Detector.file_name());
        self.info.file(&state.model)?.write(&path)?;
        Ok(())
    }
}

/// The objects of an image as losses take them.
fn instances(objects: &Objects) -> Instances {
    let mask = |mask: &semaim_coco::Rle| BitMask {
        height: mask.height() as usize,
        width: mask.width() as usize,
        pixels: mask.to_bits(),
    };
    let boxes = objects.boxes.iter().copied();
    Instances {
        boxes: boxes.map(BoundingBox::from_corners).collect(),
        classes: objects
            .classes
            .iter()
            .map(|&class| class as usize)
            .collect(),
        masks: objects.masks.iter().map(|m| m.as_ref().map(mask)).collect(),
    }
}

/// ViTDet's groups: a layer of the encoder learns `decay` times as fast as the one above it, all after the encoder as fast as
/// nothing else; all decays but the encoder's norms and position table.
pub(super) fn param_groups(
    model: &MaskRcnn,
    config: &DetectConfig,
    depth: usize,
) -> Result<ParamGroups, TrainError> {
    let of = |name: &String| {
        let in_encoder = name.strip_prefix("backbone.");
        let exempt = |part: &str| part == "pos_embed" || part.starts_with("norm");
        let decays = !in_encoder.is_some_and(|rest| rest.split('.').any(exempt));
        let above = depth + 1 - layer(name, depth);
        let weight_decay = match decays {
            true => config.optimizer.weight_decay,
            false => 0.0,
        };
        ParamGroup::new(config.layer_decay.powi(above as i32), weight_decay)
    };
    let names = weights(model)?.into_keys();
    let groups: BTreeMap<String, ParamGroup> =
        names.map(|name| (name.clone(), of(&name))).collect();
    Ok(ParamGroups::PerWeight(groups))
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim::config::VitConfig;
    use semaim::vit::Vit;
    use semaim_coco::Rle;
    use semaim_detect::config::DetectorConfig;

    #[test]
    fn layers_of_the_encoder_learn_slower_and_its_norms_do_not_decay() {
        let device = Device::flex();
        let vit = VitConfig::tiny();
        let detector = DetectorConfig {
            canvas: 4 * vit.patch_size,
            pyramid_channels: 4,
            ..DetectorConfig::default()
        };
        let model = MaskRcnn::new(Vit::zeros(&vit, &device), detector, 0, &device).unwrap();
        let config = DetectConfig::default();
        let groups = param_groups(&model, &config, vit.depth).unwrap();
        let decay = config.optimizer.weight_decay;
        let last = format!("backbone.blocks.{}.", vit.depth - 1);
        let first = 0.7_f64.powi(vit.depth as i32 + 1);
        for (name, lr_scale, weight_decay) in [
            ("backbone.pos_embed".to_string(), first, 0.0),
            ("backbone.patch_embed.proj.bias".into(), first, decay),
            (format!("{last}norm1.weight"), 0.7, 0.0),
            (format!("{last}mlp.fc1.bias"), 0.7, decay),
            (format!("{last}positions.rel_pos_h"), 0.7, decay),
            ("pyramid.p2.lateral.norm.weight".into(), 1.0, decay),
            ("box_predictor.cls_score.bias".into(), 1.0, decay),
        ] {
            let group = groups.of(&name, 2);
            assert!(
                (group.lr_scale - lr_scale).abs() < 1e-12,
                "{name}: {group:?}"
            );
            assert_eq!(group.weight_decay, weight_decay, "{name}");
        }
    }

    #[test]
    fn objects_keep_boxes_classes_and_pixels() {
        let bits = [false, true, false, false, true, true];
        let objects = Objects {
            boxes: vec![[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 1.0, 1.0]],
            classes: vec![2, 0],
            masks: vec![Rle::from_bits(&bits, 3, 2), None],
        };
        let found = instances(&objects);
        assert_eq!(found.boxes[0], BoundingBox::new(1.0, 0.0, 3.0, 2.0));
        assert_eq!(found.classes, [2, 0]);
        assert_eq!(found.masks[0].as_ref().unwrap().pixels, bits);
        assert_eq!(found.masks[1], None);
        assert!(found.check(0, [2, 3], 3).is_ok());
    }
}
