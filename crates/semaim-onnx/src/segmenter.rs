//! A segmenter: from images to one number per class for every pixel.

use semaim::config::VitConfig;
use semaim::parameters::weights;
use semaim_segment::config::HeadKind;
use semaim_segment::model::Segmenter;

use crate::dense::bilinear;
use crate::error::OnnxError;
use crate::graph::{Attribute, Axis, Graph};
use crate::metadata::About;
use crate::model::Model;
use crate::size::ImageSize;
use crate::vit::VitNodes;
use crate::{linear_head, upernet};

/// A segmenter as ONNX: of images it gives `logits`, `[batch, classes, height, width]`, enlarged to the size of the images.
/// Sliding windows, mirror images and scales are the caller's.
///
/// # Errors
/// What cannot be written: see [`OnnxError`]; UPerNet for images of any size.
pub fn segmenter(
    model: &Segmenter,
    config: &VitConfig,
    size: ImageSize,
    about: &About<'_>,
) -> Result<Model, OnnxError> {
    let (arch, settings) = (model.encoder.arch_options(), model.config());
    let nodes = VitNodes {
        config,
        arch: &arch,
        size,
    };
    let mut graph = Graph::new("segmenter", weights(model)?);
    let images = nodes.images(&mut graph);
    let logits = match settings.head {
        HeadKind::Linear => linear_head::logits(&mut graph, &nodes, &images)?,
        HeadKind::Upernet => {
            if size != ImageSize::Fixed {
                return Err(OnnxError::NotDynamic { what: "UPerNet" });
            }
            upernet::logits(&mut graph, &nodes, &settings.upernet, &images)?
        }
    };
    let (zero, two, four) = (graph.ints(&[0]), graph.ints(&[2]), graph.ints(&[4]));
    let (shape, of_images) = (
        graph.node("Shape", &[&logits], []),
        graph.node("Shape", &[&images], []),
    );
    let front = graph.node("Slice", &[&shape, &zero, &two], []);
    let sides = graph.node("Slice", &[&of_images, &two, &four], []);
    let sizes = graph.node("Concat", &[&front, &sides], [("axis", Attribute::Int(0))]);
    let pixels = bilinear(&mut graph, &logits, &sizes);
    let [height, width] = nodes.sides();
    let axes = [
        Axis::Named("batch"),
        Axis::Fixed(settings.classes),
        height,
        width,
    ];
    let text = "One number per class for every pixel, in the order of the metadata `semaim.classes`; the class of a pixel is \
                that of the largest";
    graph.output(&pixels, "logits", &axes, text);
    Model::new(graph, config, size, about)
}
