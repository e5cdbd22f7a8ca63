//! From the reference implementation's settings and weights to ours.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use semaim::config::{Normalization, VitConfig};
use semaim::parameters::{Weights, weights};
use semaim::vit::Vit;
use semaim_detect::bitmask::BitMask;
use semaim_detect::boxes::BoundingBox;
use semaim_detect::canvas::{Image, on_canvas};
use semaim_detect::config::{AttentionConfig, DetectorConfig, ProposalConfig, RegionConfig};
use semaim_detect::instances::Instances;
use semaim_detect::model::MaskRcnn;
use semaim_detect::names::detectron2_name;

use super::text;
use crate::Failure;
use crate::recorded::Recorded;

const KEYS: &[&str] = &[
    "kind",
    "seed",
    "objects",
    "img",
    "dim",
    "depth",
    "heads",
    "window",
    "window_blocks",
    "rel_pos",
    "pretrain_img",
    "num_classes",
    "out_channels",
    "fc",
    "anchor_sizes",
    "pre_nms",
    "post_nms",
    "rpn_batch",
    "roi_batch",
    "images",
    "output",
    "lr_factors",
];

pub(super) struct Settings {
    vit: VitConfig,
    detector: DetectorConfig,
    pub(super) depth: usize,
    /// `[height, width]` of each image on the canvas.
    pub(super) images: Vec<[usize; 2]>,
    /// `[height, width]` that detections are brought to.
    pub(super) output: Vec<[usize; 2]>,
    /// By the reference implementation's names.
    pub(super) lr_factors: BTreeMap<String, f64>,
}

impl Settings {
    pub(super) fn read(file: &Recorded) -> Result<Self, Failure> {
        for key in file.keys() {
            if !KEYS.contains(&key) {
                return Err(format!("a setting `{key}` that is not handled"));
            }
        }
        let shape = |name: &str, axis: usize| -> Result<usize, Failure> {
            let array = file.array(&format!("model.{name}"))?;
            let side = array.shape.get(axis).copied();
            side.ok_or_else(|| format!("`{name}` of shape {:?}", array.shape))
        };
        let depth: usize = file.number("depth")?;
        let embed_dim: usize = file.number("dim")?;
        let trained_on: usize = file.number("pretrain_img")?;
        let hidden = shape("backbone.net.blocks.0.mlp.fc1.weight", 0)?;
        let vit = VitConfig {
            image_size: [trained_on; 2],
            patch_size: shape("backbone.net.patch_embed.proj.weight", 2)?,
            channels: shape("backbone.net.patch_embed.proj.weight", 1)?,
            embed_dim,
            depth,
            num_heads: file.number("heads")?,
            mlp_ratio: hidden as f64 / embed_dim as f64,
        };
        let windowed: Vec<usize> = file.list("window_blocks")?;
        let attention = AttentionConfig {
            window: file.number("window")?,
            global_blocks: Some(
                (0..depth)
                    .filter(|block| !windowed.contains(block))
                    .collect(),
            ),
            relative_positions: match file.metadata("rel_pos")?.as_str() {
                "True" | "true" | "1" => true,
                "False" | "false" | "0" => false,
                other => return Err(format!("rel_pos `{other}`")),
            },
        };
        let anchor_sizes: Vec<f64> = file.list("anchor_sizes")?;
        let anchor_sizes = anchor_sizes
            .try_into()
            .map_err(|sizes| format!("anchor_sizes {sizes:?}"))?;
        let (before_nms, after_nms) = (file.number("pre_nms")?, file.number("post_nms")?);
        let proposals = ProposalConfig {
            anchor_sizes,
            samples: file.number("rpn_batch")?,
            before_nms_training: before_nms,
            before_nms_inference: before_nms,
            after_nms_training: after_nms,
            after_nms_inference: after_nms,
            ..ProposalConfig::default()
        };
        let regions = RegionConfig {
            samples: file.number("roi_batch")?,
            channels: shape("roi_heads.box_head.conv1.weight", 0)?,
            box_hidden: file.number("fc")?,
            ..RegionConfig::default()
        };
        let factors = file.metadata("lr_factors")?;
        Ok(Self {
            vit,
            detector: DetectorConfig {
                classes: file.number("num_classes")?,
                canvas: file.number("img")?,
                attention,
                pyramid_channels: file.number("out_channels")?,
                proposals,
                regions,
                ..DetectorConfig::default()
            },
            depth,
            images: file.list("images")?,
            output: file.list("output")?,
            lr_factors: serde_json::from_str(factors).map_err(text)?,
        })
    }

    /// A model of these sizes, its weights still to be set.
    pub(super) fn model(&self, device: &Device) -> Result<MaskRcnn, Failure> {
        self.vit.validate().map_err(text)?;
        let encoder = Vit::zeros(&self.vit, device);
        MaskRcnn::new(encoder, self.detector.clone(), 0, device).map_err(text)
    }

    /// Our names of a model's weights.
    pub(super) fn names(&self, model: &MaskRcnn) -> Result<Vec<String>, Failure> {
        Ok(weights(model).map_err(text)?.into_keys().collect())
    }

    /// The recorded weights under our names; every one must have its place.
    pub(super) fn weights(&self, file: &Recorded) -> Result<Weights, Failure> {
        let mut recorded = file.weights("model.");
        let mut ours = Weights::new();
        for name in self.names(&self.model(&Device::flex())?)? {
            let theirs = detectron2_name(&name);
            let weight = recorded.remove(&theirs);
            ours.insert(name, weight.ok_or(format!("no weight `{theirs}`"))?);
        }
        if !recorded.is_empty() {
            let names: Vec<&String> = recorded.keys().collect();
            return Err(format!("weights that are not known: {names:?}"));
        }
        Ok(ours)
    }

    /// The images on their canvas.
    pub(super) fn input(&self, file: &Recorded, device: &Device) -> Result<Tensor<4>, Failure> {
        let normalization = Normalization {
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
        };
        let mut pixels = Vec::new();
        for (i, [height, width]) in self.images.iter().enumerate() {
            let array = file.array(&format!("image.{i}"))?;
            if array.shape != [3, *height, *width] {
                return Err(format!("image.{i} of shape {:?}", array.shape));
            }
            let bytes: Vec<u8> = array.values.iter().map(|&v| v as u8).collect();
            pixels.push(bytes);
        }
        let images: Vec<Image<'_>> = pixels
            .iter()
            .zip(&self.images)
            .map(|(pixels, size)| Image {
                pixels,
                size: *size,
            })
            .collect();
        on_canvas(&images, &normalization, self.detector.canvas, device).map_err(text)
    }

    /// The objects of each image.
    pub(super) fn truths(&self, file: &Recorded) -> Result<Vec<Instances>, Failure> {
        let of = |(i, [height, width]): (usize, &[usize; 2])| -> Result<Instances, Failure> {
            let boxes = file.boxes(&format!("gt.{i}.boxes"))?;
            let classes = file.array(&format!("gt.{i}.classes"))?;
            let masks = file.array(&format!("gt.{i}.masks"))?;
            let mask = |object: usize| BitMask {
                height: *height,
                width: *width,
                pixels: masks.row(object).values.iter().map(|&v| v != 0.0).collect(),
            };
            Ok(Instances {
                masks: (0..boxes.len()).map(mask).map(Some).collect(),
                boxes,
                classes: classes.values.iter().map(|&class| class as usize).collect(),
            })
        };
        self.images.iter().enumerate().map(of).collect()
    }
}

impl Recorded {
    /// Boxes `[count, 4]`.
    pub(super) fn boxes(&self, name: &str) -> Result<Vec<BoundingBox>, Failure> {
        let values = self.array(name)?.as_f32();
        let (corners, rest) = values.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(format!("`{name}` is no list of boxes"));
        }
        Ok(corners
            .iter()
            .map(|c| BoundingBox::from_corners(*c))
            .collect())
    }
}
