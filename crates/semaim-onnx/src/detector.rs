//! A detector: from an image to boxes, classes and masks.

use burn::module::Module;
use semaim::config::{ArchOptions, VitConfig};
use semaim::parameters::{Weights, to_host, weights};
use semaim_detect::model::MaskRcnn;

use crate::error::OnnxError;
use crate::graph::{Axis, Graph};
use crate::metadata::About;
use crate::model::Model;
use crate::proposals;
use crate::regions::{self, Maps};
use crate::size::ImageSize;
use crate::vit::VitNodes;
use crate::{pyramid, window_blocks};

/// Mask R-CNN as ONNX, with all that stands between the network's parts: decoding, clipping, non-maximum suppression, ROIAlign.
/// One image at a time, on the detector's canvas. It takes `images` `[1, channels, canvas, canvas]` and `size` `[2]`, the height
/// and width of the image on the canvas, from its top left; it gives `boxes` `[detections, 4]` (left, top, right, bottom on the
/// canvas), `scores` `[detections]`, `classes` `[detections]`, best first, and `masks` `[detections, side, side]`, probabilities of
/// the pixels in a box.
///
/// `config` and `arch` are the encoder's.
///
/// # Errors
/// What cannot be written: see [`OnnxError`].
pub fn detector(
    model: &MaskRcnn,
    config: &VitConfig,
    arch: &ArchOptions,
    about: &About<'_>,
) -> Result<Model, OnnxError> {
    let settings = model.config();
    let canvas = settings.canvas;
    let config = VitConfig {
        image_size: [canvas; 2],
        ..config.clone()
    };
    let nodes = VitNodes {
        config: &config,
        arch,
        size: ImageSize::Fixed,
    };
    let grid = config.grid();
    let positions = to_host("positions", model.backbone.positions(grid))?;
    let mut graph = Graph::new("detector", named(weights(&model.clone().no_grad())?));
    let side = Axis::Fixed;
    let axes = [side(1), side(config.channels), side(canvas), side(canvas)];
    let images = "An image, prepared as the metadata `semaim.input` says";
    let images = graph.input("images", &axes, images);
    let size = "Height and width of the image on the canvas";
    let size = graph.input("size", &[side(2)], size);

    let last = window_blocks::backbone(&mut graph, &nodes, settings, &positions.values, &images)?;
    let maps = pyramid::maps(&mut graph, &last)?;
    let limits = regions::limits(&mut graph, &size);
    let anchors = model.anchors();
    let proposals =
        proposals::proposals(&mut graph, &settings.proposals, &maps, &anchors, &limits)?;
    let maps = Maps::of(&maps, config.patch_size);
    let found = regions::detections(&mut graph, settings, &maps, &proposals, &limits)?;

    let many = || Axis::Named("detections");
    let masks = 2 * settings.regions.mask_bins;
    let text = "Left, top, right and bottom of each object on the canvas, the best first";
    graph.output(&found.boxes, "boxes", &[many(), side(4)], text);
    graph.output(&found.scores, "scores", &[many()], "From 0 to 1");
    let text = "Numbers of the classes in the metadata `semaim.classes`";
    graph.int_output(&found.classes, "classes", &[many()], text);
    let text = "How probably each cell of a box belongs to its object";
    let axes = [many(), side(masks), side(masks)];
    graph.output(&found.masks, "masks", &axes, text);
    Model::new(graph, &config, ImageSize::Fixed, about)
}

/// The encoder's weights under the encoder's own names.
fn named(weights: Weights) -> Weights {
    weights
        .into_iter()
        .map(|(name, weight)| match name.strip_prefix("backbone.") {
            Some(own) => (own.to_string(), weight),
            None => (name, weight),
        })
        .collect()
}
