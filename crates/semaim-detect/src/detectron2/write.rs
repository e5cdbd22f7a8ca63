//! Detectors under detectron2's names.

use burn::tensor::Tensor;
use semaim::config::{Activation, Normalization};
use semaim::parameters::{Weight, Weights, weights};
use semaim_kernels::LAYER_NORM_EPSILON;

use super::pixels::{MEAN, STD};
use super::{Detectron2Error, their_name};
use crate::model::MaskRcnn;

/// The name of the position table.
const POSITIONS: &str = "backbone.net.pos_embed";

/// A detector as detectron2's file of it.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its tensors.
    pub weights: Weights,
    /// What the file does not say and a reader must be told, or what was changed; for people to read.
    pub notes: Vec<String>,
}

/// A detector's weights under detectron2's names, and mean and deviation of pixels where they are not those of ViTDet's
/// configurations. A position table that is not of a square, which theirs must be, is written as the canvas takes it.
///
/// # Errors
/// [`Detectron2Error::NotTheirs`] for an encoder that computes what theirs does not, and [`Detectron2Error::Weights`] when the
/// device does not give its numbers.
pub fn to_detectron2(
    model: &MaskRcnn,
    normalization: &Normalization,
) -> Result<Written, Detectron2Error> {
    let refuse = |what| Err(Detectron2Error::NotTheirs(what));
    let backbone = &model.backbone;
    if backbone.norm_pre.is_some() {
        return refuse("norm before the first block");
    }
    for block in &backbone.blocks {
        if block.inner.activation() != Activation::Gelu {
            return refuse("activation but GELU");
        }
        if block.inner.norm1.epsilon() != LAYER_NORM_EPSILON {
            return refuse("other epsilon than 1e-6 in its norms");
        }
    }
    let config = model.config();
    let ours = weights(model)?.into_iter();
    let mut written: Weights = ours
        .map(|(name, weight)| (their_name(&name, config), weight))
        .collect();
    let mut notes = vec![not_said(model)];
    let trained_on = backbone.trained_on();
    if trained_on.rows != trained_on.columns {
        let grid = model.grid();
        let first = backbone.pos_embed.val().narrow(1, 0, 1);
        let table = Tensor::cat(vec![first, backbone.positions(grid)], 1);
        let table = semaim::parameters::to_host(POSITIONS, table.detach())?;
        written.insert(POSITIONS.into(), table);
        notes.push(format!(
            "the position table, of {} × {} patches, is resized to the {} × {} of the canvas, as it must be of a square",
            trained_on.rows, trained_on.columns, grid.rows, grid.columns
        ));
    }
    let channels = normalization.channels();
    if *normalization != Normalization::usual(channels) {
        for (name, values) in [(MEAN, &normalization.mean), (STD, &normalization.std)] {
            let weight = Weight {
                shape: vec![channels, 1, 1],
                values: values.iter().map(|value| 255.0 * value).collect(),
            };
            written.insert(name.into(), weight);
        }
    }
    Ok(Written {
        weights: written,
        notes,
    })
}

/// The settings that no tensor tells.
fn not_said(model: &MaskRcnn) -> String {
    let config = model.config();
    let (attention, depth) = (&config.attention, model.backbone.blocks.len());
    let is_global = |block: &usize| attention.window_of(*block, depth).is_none();
    let global: Vec<usize> = (0..depth).filter(is_global).collect();
    let heads = model.backbone.blocks.first();
    format!(
        "tensors do not say, and whoever reads them must know: {} attention heads (to semaim: --heads), what the classes are called \
         (--classes), RGB, and (--set) detector.canvas={}, detector.attention.window={}, detector.attention.global_blocks={global:?}, \
         detector.proposals.anchor_sizes={:?}, detector.proposals.aspect_ratios={:?}, detector.regions.mask_bins={}",
        heads.map_or(0, |block| block.inner.num_heads()),
        config.canvas,
        attention.window,
        config.proposals.anchor_sizes,
        config.proposals.aspect_ratios,
        config.regions.mask_bins
    )
}
