//! An encoder: from images to tokens, and to one vector per image.

use semaim::config::VitConfig;
use semaim::parameters::weights;
use semaim::vit::Vit;

use crate::error::OnnxError;
use crate::graph::{Attribute, Axis, Graph, Value};
use crate::metadata::About;
use crate::model::Model;
use crate::size::ImageSize;
use crate::vit::{VitNodes, linear};

/// An encoder as ONNX. Of images it gives `tokens`, `[batch, 1 + patches, width]` (the class token first, registers left
/// out, final norm and projection applied), `cls`, the class token, and `mean`, the mean of the patch tokens.
///
/// # Errors
/// What cannot be written: see [`OnnxError`].
pub fn encoder(
    vit: &Vit,
    config: &VitConfig,
    size: ImageSize,
    about: &About<'_>,
) -> Result<Model, OnnxError> {
    let arch = vit.arch_options();
    let nodes = VitNodes {
        config,
        arch: &arch,
        size,
    };
    let mut graph = Graph::new("encoder", weights(vit)?);
    let images = nodes.images(&mut graph);
    let (mut h, _) = nodes.embed(&mut graph, &images)?;
    for block in 0..config.depth {
        h = nodes.block(&mut graph, &h, block)?;
    }
    let mut tokens = nodes.norm(&mut graph, &h, "norm")?;
    if arch.projection.is_some() {
        tokens = linear(&mut graph, &tokens, "projection")?;
    }
    let class = nodes.class_of(&mut graph, &tokens);
    let patches = nodes.patches_of(&mut graph, &tokens);
    let seen = match arch.registers {
        0 => tokens,
        _ => graph.node("Concat", &[&class, &patches], [("axis", Attribute::Int(1))]),
    };
    let mean = mean(&mut graph, &patches);
    let axis = graph.ints(&[1]);
    let class = graph.node("Squeeze", &[&class, &axis], []);
    let width = || Axis::Fixed(vit.width());
    let axes = [Axis::Named("batch"), nodes.patches(1), width()];
    let text = "The class token and the patch tokens, row by row, after the final norm";
    graph.output(&seen, "tokens", &axes, text);
    let axes = || [Axis::Named("batch"), width()];
    graph.output(&class, "cls", &axes(), "The class token");
    graph.output(&mean, "mean", &axes(), "The mean of the patch tokens");
    Model::new(graph, config, size, about)
}

/// The mean of tokens, `[batch, width]`.
pub(crate) fn mean(graph: &mut Graph, tokens: &str) -> Value {
    let axis = graph.ints(&[1]);
    graph.node(
        "ReduceMean",
        &[tokens, &axis],
        [("keepdims", Attribute::Int(0))],
    )
}
