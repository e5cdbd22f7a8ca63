//! Boxes in a graph: `[…, 4]`, left, top, right and bottom in pixels.

use semaim_detect::box_coding::{BoxCoder, LARGEST_LOG_SCALE};

use crate::graph::{Attribute, Graph, Value};

/// One coordinate of boxes, `[…, 1]`, or more.
pub(crate) fn columns(graph: &mut Graph, boxes: &str, start: i64, end: i64) -> Value {
    let (start, end, last) = (graph.ints(&[start]), graph.ints(&[end]), graph.ints(&[-1]));
    graph.node("Slice", &[boxes, &start, &end, &last], [])
}

/// Widths and heights, `[…, 2]`.
pub(crate) fn sides(graph: &mut Graph, boxes: &str) -> Value {
    let (first, last) = (columns(graph, boxes, 0, 2), columns(graph, boxes, 2, 4));
    graph.node("Sub", &[&last, &first], [])
}

/// The boxes that deltas make of others, clipped to `limits` `[4]`, the right and lower end of the image twice.
pub(crate) fn decoded(
    graph: &mut Graph,
    from: &str,
    deltas: &str,
    coder: &BoxCoder,
    limits: &str,
) -> Value {
    let [wx, wy, ww, wh] = coder.weights;
    let half = graph.float(0.5);
    let size = sides(graph, from);
    let half_size = graph.node("Mul", &[&size, &half], []);
    let corner = columns(graph, from, 0, 2);
    let center = graph.node("Add", &[&corner, &half_size], []);
    let shift = columns(graph, deltas, 0, 2);
    let weights = graph.floats(&format!("weights_{wx}_{wy}"), &[2], &[wx, wy]);
    let shift = graph.node("Div", &[&shift, &weights], []);
    let shift = graph.node("Mul", &[&shift, &size], []);
    let center = graph.node("Add", &[&center, &shift], []);
    let growth = columns(graph, deltas, 2, 4);
    let weights = graph.floats(&format!("weights_{ww}_{wh}"), &[2], &[ww, wh]);
    let growth = graph.node("Div", &[&growth, &weights], []);
    let largest = graph.float(LARGEST_LOG_SCALE as f32);
    let growth = graph.node("Min", &[&growth, &largest], []);
    let growth = graph.node("Exp", &[&growth], []);
    let size = graph.node("Mul", &[&growth, &size], []);
    let half_size = graph.node("Mul", &[&size, &half], []);
    let first = graph.node("Sub", &[&center, &half_size], []);
    let last = graph.node("Add", &[&center, &half_size], []);
    let boxes = graph.node("Concat", &[&first, &last], [("axis", Attribute::Int(-1))]);
    let zero = graph.float(0.0);
    let boxes = graph.node("Max", &[&boxes, &zero], []);
    graph.node("Min", &[&boxes, limits], [])
}

/// The places where a value `[n]` is true, `[places]`.
pub(crate) fn places(graph: &mut Graph, is: &str) -> Value {
    let places = graph.node("NonZero", &[is], []);
    graph.reshaped(&places, &[-1])
}

/// The rows of a value at places.
pub(crate) fn gathered(graph: &mut Graph, x: &str, places: &str) -> Value {
    graph.node("Gather", &[x, places], [("axis", Attribute::Int(0))])
}

/// The best of scores `[n]`, `most` of them or all: their values and places, the best first.
pub(crate) fn best(graph: &mut Graph, scores: &str, most: usize) -> [Value; 2] {
    let (count, most) = (
        graph.node("Shape", &[scores], []),
        graph.ints(&[most as i64]),
    );
    let count = graph.node("Min", &[&count, &most], []);
    let mut found = graph.split_node("TopK", &[scores, &count], [("axis", Attribute::Int(0))], 2);
    let places = found.remove(1);
    [found.remove(0), places]
}

/// Non-maximum suppression of boxes `[groups, n, 4]` with scores `[groups, 1, n]` within each group: the numbers of those that stay,
/// `[kept, 3]`, of group, 0 and box. At most `most` of a group, and only scores above `score` where it is given.
pub(crate) fn suppressed(
    graph: &mut Graph,
    boxes: &str,
    scores: &str,
    most: usize,
    iou: f32,
    score: Option<f32>,
) -> Value {
    let (most, iou) = (
        graph.ints(&[most as i64]),
        graph.floats(&format!("iou_{iou}"), &[1], &[iou]),
    );
    match score {
        None => graph.node("NonMaxSuppression", &[boxes, scores, &most, &iou], []),
        Some(score) => {
            let score = graph.floats(&format!("score_{score}"), &[1], &[score]);
            graph.node(
                "NonMaxSuppression",
                &[boxes, scores, &most, &iou, &score],
                [],
            )
        }
    }
}
