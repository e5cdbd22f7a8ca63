//! From the reference implementation's settings and weights to ours.

use std::collections::BTreeMap;

use burn::tensor::Device;
use semaim::config::VitConfig;
use semaim::parameters::{Weight, Weights, weights};
use semaim::vit::Vit;
use semaim_segment::config::{
    HeadKind, InferenceConfig, InferenceMode, SegmenterConfig, UperNetConfig,
};
use semaim_segment::model::Segmenter;
use semaim_segment::names::{Part, huggingface_parts};

use super::text;
use crate::Failure;
use crate::recorded::{Array, Recorded};

const KEYS: &[&str] = &[
    "kind",
    "seed",
    "n",
    "img",
    "patch",
    "dim",
    "depth",
    "heads",
    "mlp_ratio",
    "taps",
    "channels",
    "aux_channels",
    "classes",
    "pool_scales",
];

pub(super) struct Settings {
    vit: VitConfig,
    segmenter: SegmenterConfig,
}

impl Settings {
    pub(super) fn read(file: &Recorded) -> Result<Self, Failure> {
        for key in file.keys() {
            if !KEYS.contains(&key) {
                return Err(format!("a setting `{key}` that is not handled"));
            }
        }
        let shape = |name: &str, axis: usize| -> Result<usize, Failure> {
            let array = file.array(&format!("model.backbone.beit.{name}"))?;
            let side = array.shape.get(axis).copied();
            side.ok_or_else(|| format!("`{name}` of shape {:?}", array.shape))
        };
        let embed_dim: usize = file.number("dim")?;
        let patch_size: usize = file.number("patch")?;
        // Their table is one of a square; it is resized where images are none of that size.
        let patches = shape("embeddings.position_embeddings", 1)? - 1;
        let hidden = shape("layers.0.mlp.fc1.weight", 0)?;
        let vit = VitConfig {
            image_size: [patches.isqrt() * patch_size; 2],
            patch_size,
            channels: shape("embeddings.patch_embeddings.projection.weight", 1)?,
            embed_dim,
            depth: file.number("depth")?,
            num_heads: file.number("heads")?,
            mlp_ratio: hidden as f64 / embed_dim as f64,
        };
        let taps: Vec<usize> = file.list("taps")?;
        let upernet = UperNetConfig {
            taps: Some(taps.try_into().map_err(|taps| format!("taps {taps:?}"))?),
            pool_scales: file.list("pool_scales")?,
            channels: Some(file.number("channels")?),
            auxiliary_channels: file.number("aux_channels")?,
            ..UperNetConfig::default()
        };
        let segmenter = SegmenterConfig {
            classes: file.number("classes")?,
            head: HeadKind::Upernet,
            upernet,
            inference: InferenceConfig {
                mode: InferenceMode::Whole,
                ..InferenceConfig::default()
            },
        };
        Ok(Self { vit, segmenter })
    }

    /// A model of these sizes, its weights still to be set.
    pub(super) fn model(&self, device: &Device) -> Result<Segmenter, Failure> {
        self.vit.validate().map_err(text)?;
        let encoder = Vit::zeros(&self.vit, device);
        Segmenter::new(encoder, self.segmenter.clone(), 0, device).map_err(text)
    }

    /// The recorded weights under our names; every one must have its place. A weight that they do not have stays.
    pub(super) fn weights(&self, file: &Recorded, model: &Segmenter) -> Result<Weights, Failure> {
        let mut recorded = file.under("model.");
        let mut ours = weights(model).map_err(text)?;
        for (name, weight) in &mut ours {
            if huggingface_parts(name).is_empty() {
                continue;
            }
            *weight = joined(name, &mut recorded)?;
        }
        if !recorded.is_empty() {
            let names: Vec<&String> = recorded.keys().collect();
            return Err(format!("weights that are not known: {names:?}"));
        }
        Ok(ours)
    }
}

/// A weight of ours from its recorded parts, which are taken out.
pub(super) fn joined(
    name: &str,
    recorded: &mut BTreeMap<String, &Array>,
) -> Result<Weight, Failure> {
    let parts = huggingface_parts(name);
    let arrays = parts.iter().map(|part| match part {
        Part::Zeros => Ok(None),
        Part::Named(theirs) => match recorded.remove(theirs) {
            Some(array) => Ok(Some(array)),
            None => Err(format!("no `{theirs}`")),
        },
    });
    let arrays = arrays.collect::<Result<Vec<Option<&Array>>, Failure>>()?;
    let named = arrays.iter().flatten().next();
    let mut shape = named.ok_or(format!("no part of `{name}`"))?.shape.clone();
    let length = shape.iter().product();
    if let Some(first) = shape.first_mut() {
        *first *= arrays.len();
    }
    let values = arrays.into_iter().flat_map(|array| match array {
        Some(array) => array.as_f32(),
        None => vec![0.0; length],
    });
    let values: Vec<f32> = values.collect();
    Ok(Weight { shape, values })
}
