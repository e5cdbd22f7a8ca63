//! The linear head of a segmenter: batch norm and a 1×1 convolution on the final patch tokens.

use crate::dense::{batch_norm, conv, map};
use crate::error::OnnxError;
use crate::graph::{Graph, Value};
use crate::vit::VitNodes;

/// Logits of each patch, `[batch, classes, rows, columns]`.
pub(crate) fn logits(
    graph: &mut Graph,
    nodes: &VitNodes<'_>,
    images: &str,
) -> Result<Value, OnnxError> {
    let (mut h, map_shape) = nodes.embed(graph, images)?;
    for block in 0..nodes.config.depth {
        h = nodes.block(graph, &h, block)?;
    }
    let tokens = nodes.norm(graph, &h, "norm")?;
    let patches = nodes.patches_of(graph, &tokens);
    let patches = map(graph, &patches, &map_shape);
    let normed = batch_norm(graph, &patches, "head.batch_norm")?;
    conv(graph, &normed, "head.classifier")
}
