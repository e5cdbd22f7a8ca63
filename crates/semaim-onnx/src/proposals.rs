//! The region proposal network, and the proposals from what it says.

use semaim_detect::boxes::BoundingBox;
use semaim_detect::config::ProposalConfig;
use semaim_detect::proposals::PROPOSAL_CODER;

use crate::boxes::{best, columns, decoded, gathered, places, sides, suppressed};
use crate::dense::conv;
use crate::error::OnnxError;
use crate::graph::{Graph, Value};

/// The best proposals of an image by the maps of all levels and their anchors, `[proposals, 4]`, clipped to `limits`.
pub(crate) fn proposals(
    graph: &mut Graph,
    config: &ProposalConfig,
    maps: &[Value],
    anchors: &[Vec<BoundingBox>],
    limits: &str,
) -> Result<Value, OnnxError> {
    let (mut boxes, mut logits) = (Vec::new(), Vec::new());
    for (number, (map, anchors)) in maps.iter().zip(anchors).enumerate() {
        let mut x = map.clone();
        for convolution in 0..config.convolutions {
            x = conv(graph, &x, &format!("rpn_head.convs.{convolution}"))?;
            x = graph.node("Relu", &[&x], []);
        }
        let level = per_anchor(graph, &x, "objectness_logits", &[-1])?;
        let deltas = per_anchor(graph, &x, "anchor_deltas", &[-1, 4])?;
        let [level, chosen] = best(graph, &level, config.before_nms_inference);
        let corners: Vec<f32> = anchors.iter().flat_map(|anchor| anchor.corners()).collect();
        let name = format!("anchors_{number}");
        let anchors = graph.floats(&name, &[anchors.len(), 4], &corners);
        let anchors = gathered(graph, &anchors, &chosen);
        let deltas = gathered(graph, &deltas, &chosen);
        let decoded = decoded(graph, &anchors, &deltas, &PROPOSAL_CODER, limits);
        // What lies outside the image has no area left.
        let size = sides(graph, &decoded);
        let (width, height) = (columns(graph, &size, 0, 1), columns(graph, &size, 1, 2));
        let least = graph.node("Min", &[&width, &height], []);
        let zero = graph.float(0.0);
        let inside = graph.node("Greater", &[&least, &zero], []);
        let inside = graph.reshaped(&inside, &[-1]);
        let inside = places(graph, &inside);
        let decoded = gathered(graph, &decoded, &inside);
        let level = gathered(graph, &level, &inside);
        let (all, one_group) = (
            graph.reshaped(&decoded, &[1, -1, 4]),
            graph.reshaped(&level, &[1, 1, -1]),
        );
        let most = config.before_nms_inference;
        let kept = suppressed(graph, &all, &one_group, most, config.nms_iou, None);
        let kept = columns(graph, &kept, 2, 3);
        let kept = graph.reshaped(&kept, &[-1]);
        boxes.push(gathered(graph, &decoded, &kept));
        logits.push(gathered(graph, &level, &kept));
    }
    let (boxes, logits) = (graph.joined(&boxes, 0), graph.joined(&logits, 0));
    let [_, chosen] = best(graph, &logits, config.after_nms_inference);
    Ok(gathered(graph, &boxes, &chosen))
}

/// What a layer of the head says of each anchor, row by row, the anchors of a position innermost.
fn per_anchor(graph: &mut Graph, x: &str, layer: &str, shape: &[i64]) -> Result<Value, OnnxError> {
    let x = conv(graph, x, &format!("rpn_head.{layer}"))?;
    let x = graph.permuted(&x, &[0, 2, 3, 1]);
    Ok(graph.reshaped(&x, shape))
}
