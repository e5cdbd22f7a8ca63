//! Regions: cut out of the level that fits their size, their classes, boxes and masks.

use semaim_detect::box_head::REGION_CODER;
use semaim_detect::config::DetectorConfig;
use semaim_detect::pyramid::strides;
use semaim_detect::region_pooling::{CANONICAL_LEVEL, CANONICAL_SIDE};

use crate::boxes::{best, columns, decoded, gathered, places, sides, suppressed};
use crate::dense::{conv, deconv};
use crate::error::OnnxError;
use crate::graph::{Attribute, Graph, Value};
use crate::proto::INT64;
use crate::pyramid::normed_conv;
use crate::vit::linear;

/// What is found in an image.
pub(crate) struct Found {
    /// `[detections, 4]`.
    pub(crate) boxes: Value,
    /// `[detections]`.
    pub(crate) scores: Value,
    /// `[detections]`.
    pub(crate) classes: Value,
    /// `[detections, side, side]`.
    pub(crate) masks: Value,
}

/// The maps that regions are cut out of, p2 to p5, with the pixels between their positions.
pub(crate) struct Maps(Vec<(Value, f64)>);

impl Maps {
    /// All but the coarsest of the maps p2 to p6, which is for proposals only.
    pub(crate) fn of(maps: &[Value], patch_size: usize) -> Self {
        let pairs = maps.iter().cloned().zip(strides(patch_size));
        Self(pairs.take(maps.len().saturating_sub(1)).collect())
    }

    /// Regions `[regions, 4]` as `[regions, channels, bins, bins]`.
    fn pooled(&self, graph: &mut Graph, regions: &str, bins: usize) -> Value {
        let level = self.level_of(graph, regions);
        let (mut parts, mut order) = (Vec::new(), Vec::new());
        for (number, (map, stride)) in self.0.iter().enumerate() {
            let number = graph.int(number as i64);
            let here = graph.node("Equal", &[&level, &number], []);
            let here = places(graph, &here);
            let cut_out = gathered(graph, regions, &here);
            let shape = graph.node("Shape", &[&here], []);
            // All are of the one image there is.
            let images = graph.node("ConstantOfShape", &[&shape], []);
            let images = graph.node(
                "Cast",
                &[&images],
                [("to", Attribute::Int(i64::from(INT64)))],
            );
            let attributes = [
                ("mode", Attribute::Text("avg")),
                (
                    "coordinate_transformation_mode",
                    Attribute::Text("half_pixel"),
                ),
                ("output_height", Attribute::Int(bins as i64)),
                ("output_width", Attribute::Int(bins as i64)),
                ("sampling_ratio", Attribute::Int(0)),
                ("spatial_scale", Attribute::Float((1.0 / stride) as f32)),
            ];
            parts.push(graph.node("RoiAlign", &[map, &cut_out, &images], attributes));
            order.push(here);
        }
        let (parts, order) = (graph.joined(&parts, 0), graph.joined(&order, 0));
        // Back into the order of the regions: the places that sort the places.
        let count = graph.node("Shape", &[&order], []);
        let attributes = [("axis", Attribute::Int(0)), ("largest", Attribute::Int(0))];
        let back = graph
            .split_node("TopK", &[&order, &count], attributes, 2)
            .remove(1);
        gathered(graph, &parts, &back)
    }

    /// Which map fits each region, `[regions]`: one further for each doubling of its side.
    fn level_of(&self, graph: &mut Graph, regions: &str) -> Value {
        let size = sides(graph, regions);
        let (width, height) = (columns(graph, &size, 0, 1), columns(graph, &size, 1, 2));
        let area = graph.node("Mul", &[&width, &height], []);
        let side = graph.node("Sqrt", &[&area], []);
        let canonical = graph.float(CANONICAL_SIDE);
        let side = graph.node("Div", &[&side, &canonical], []);
        let little = graph.float(1e-8);
        let side = graph.node("Add", &[&side, &little], []);
        let mut level: Option<Value> = None;
        for further in 1..self.0.len() {
            let from = graph.float((further as f32 - CANONICAL_LEVEL).exp2());
            let reached = graph.node("GreaterOrEqual", &[&side, &from], []);
            let reached = graph.node(
                "Cast",
                &[&reached],
                [("to", Attribute::Int(i64::from(INT64)))],
            );
            level = Some(match level {
                None => reached,
                Some(level) => graph.node("Add", &[&level, &reached], []),
            });
        }
        let level = level.unwrap_or_else(|| graph.int(0));
        graph.reshaped(&level, &[-1])
    }
}

/// Where an image ends, `[4]`: width, height, width, height, of its `[height, width]`.
pub(crate) fn limits(graph: &mut Graph, size: &str) -> Value {
    let order = graph.ints(&[1, 0, 1, 0]);
    gathered(graph, size, &order)
}

/// The objects in an image, of its proposals `[proposals, 4]`.
pub(crate) fn detections(
    graph: &mut Graph,
    settings: &DetectorConfig,
    maps: &Maps,
    proposals: &str,
    limits: &str,
) -> Result<Found, OnnxError> {
    let (config, classes) = (&settings.inference, settings.classes as i64);
    let pooled = maps.pooled(graph, proposals, settings.regions.box_bins);
    let x = head_convs(graph, pooled, "box_head", settings.regions.box_convolutions)?;
    let x = graph.node("Flatten", &[&x], []);
    let x = linear(graph, &x, "box_head.fc1")?;
    let x = graph.node("Relu", &[&x], []);
    let scores = linear(graph, &x, "box_predictor.cls_score")?;
    let shares = graph.node("Softmax", &[&scores], [("axis", Attribute::Int(-1))]);
    let shares = columns(graph, &shares, 0, classes);
    let deltas = linear(graph, &x, "box_predictor.bbox_pred")?;
    let deltas = graph.reshaped(&deltas, &[-1, classes, 4]);
    let from = graph.reshaped(proposals, &[-1, 1, 4]);
    let boxes = decoded(graph, &from, &deltas, &REGION_CODER, limits);

    // Each class by itself: [classes, proposals, 4] and [classes, 1, proposals].
    let boxes = graph.permuted(&boxes, &[1, 0, 2]);
    let shares = graph.permuted(&shares, &[1, 0]);
    let axis = graph.ints(&[1]);
    let by_class = graph.node("Unsqueeze", &[&shares, &axis], []);
    // No more of one class than of all.
    let (most, iou) = (config.detections, config.nms_iou);
    let kept = suppressed(graph, &boxes, &by_class, most, iou, Some(config.score));
    let (class, number) = (columns(graph, &kept, 0, 1), columns(graph, &kept, 2, 3));
    let count = graph.node("Shape", &[proposals], []);
    let (zero, one) = (graph.ints(&[0]), graph.ints(&[1]));
    let count = graph.node("Slice", &[&count, &zero, &one], []);
    let place = graph.node("Mul", &[&class, &count], []);
    let place = graph.node("Add", &[&place, &number], []);
    let (place, class) = (graph.reshaped(&place, &[-1]), graph.reshaped(&class, &[-1]));
    let all = graph.reshaped(&shares, &[-1]);
    let all = gathered(graph, &all, &place);
    let [scores, chosen] = best(graph, &all, config.detections);
    let place = gathered(graph, &place, &chosen);
    let boxes = graph.reshaped(&boxes, &[-1, 4]);
    let boxes = gathered(graph, &boxes, &place);
    let classes = gathered(graph, &class, &chosen);
    let masks = masks(graph, settings, maps, &boxes, &classes)?;
    Ok(Found {
        boxes,
        scores,
        classes,
        masks,
    })
}

/// Of each box `[detections, 4]` the mask of its class, `[detections, side, side]`.
fn masks(
    graph: &mut Graph,
    settings: &DetectorConfig,
    maps: &Maps,
    boxes: &str,
    class: &str,
) -> Result<Value, OnnxError> {
    let side = 2 * settings.regions.mask_bins as i64;
    let pooled = maps.pooled(graph, boxes, settings.regions.mask_bins);
    let x = head_convs(
        graph,
        pooled,
        "mask_head",
        settings.regions.mask_convolutions,
    )?;
    let x = deconv(graph, &x, "mask_head.deconv")?;
    let x = graph.node("Relu", &[&x], []);
    let x = conv(graph, &x, "mask_head.predictor")?;
    let every = graph.reshaped(&x, &[-1, side, side]);
    let count = graph.node("Size", &[class], []);
    let (zero, one) = (graph.int(0), graph.int(1));
    let row = graph.node("Range", &[&zero, &count, &one], []);
    let classes = graph.int(settings.classes as i64);
    let first = graph.node("Mul", &[&row, &classes], []);
    let place = graph.node("Add", &[&first, class], []);
    let own = gathered(graph, &every, &place);
    Ok(graph.node("Sigmoid", &[&own], []))
}

/// The 3×3 convolutions with norm and ReLU with which a head begins.
fn head_convs(
    graph: &mut Graph,
    mut x: Value,
    head: &str,
    convolutions: usize,
) -> Result<Value, OnnxError> {
    for number in 0..convolutions {
        x = normed_conv(graph, &x, &format!("{head}.convs.{number}"))?;
        x = graph.node("Relu", &[&x], []);
    }
    Ok(x)
}
