//! Maps, `[batch, channels, rows, columns]`, and what heads do with them.

use crate::error::OnnxError;
use crate::graph::{Attribute, Graph, Value};

/// What batch norms add to the variance.
const BATCH_NORM_EPSILON: f32 = 1e-5;

/// Tokens `[batch, patches, channels]` as a map of a shape `[batch, channels, rows, columns]`.
pub(crate) fn map(graph: &mut Graph, tokens: &str, shape: &str) -> Value {
    let turned = graph.permuted(tokens, &[0, 2, 1]);
    graph.node("Reshape", &[&turned, shape], [])
}

/// A convolution that keeps the positions, 1×1 or 3×3 with zeros around the map, with a bias if it has one.
pub(crate) fn conv(graph: &mut Graph, x: &str, name: &str) -> Result<Value, OnnxError> {
    let weight = format!("{name}.weight");
    let side = graph.weight(&weight)?.shape.last().copied().unwrap_or(1) as i64;
    let attributes = [
        ("kernel_shape", Attribute::Ints(vec![side; 2])),
        ("pads", Attribute::Ints(vec![side / 2; 4])),
    ];
    let weight = graph.parameter(&weight)?;
    let bias = format!("{name}.bias");
    if !graph.has(&bias) {
        return Ok(graph.node("Conv", &[x, &weight], attributes));
    }
    let bias = graph.parameter(&bias)?;
    Ok(graph.node("Conv", &[x, &weight, &bias], attributes))
}

/// A 2×2 transposed convolution of stride 2.
pub(crate) fn deconv(graph: &mut Graph, x: &str, name: &str) -> Result<Value, OnnxError> {
    let weight = graph.parameter(&format!("{name}.weight"))?;
    let bias = graph.parameter(&format!("{name}.bias"))?;
    let two = || Attribute::Ints(vec![2; 2]);
    let attributes = [("kernel_shape", two()), ("strides", two())];
    Ok(graph.node("ConvTranspose", &[x, &weight, &bias], attributes))
}

/// Batch norm by its running statistics.
pub(crate) fn batch_norm(graph: &mut Graph, x: &str, name: &str) -> Result<Value, OnnxError> {
    let mut inputs = vec![x.to_string()];
    for part in ["weight", "bias", "running_mean", "running_var"] {
        inputs.push(graph.parameter(&format!("{name}.{part}"))?);
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let epsilon = [("epsilon", Attribute::Float(BATCH_NORM_EPSILON))];
    Ok(graph.node("BatchNormalization", &inputs, epsilon))
}

/// A convolution without bias, batch norm and ReLU.
pub(crate) fn conv_module(graph: &mut Graph, x: &str, name: &str) -> Result<Value, OnnxError> {
    let x = conv(graph, x, &format!("{name}.conv"))?;
    let x = batch_norm(graph, &x, &format!("{name}.batch_norm"))?;
    Ok(graph.node("Relu", &[&x], []))
}

/// A map resampled bilinearly to sizes `[batch, channels, rows, columns]`.
pub(crate) fn bilinear(graph: &mut Graph, x: &str, sizes: &str) -> Value {
    let attributes = [
        ("mode", Attribute::Text("linear")),
        (
            "coordinate_transformation_mode",
            Attribute::Text("half_pixel"),
        ),
    ];
    graph.node("Resize", &[x, "", "", sizes], attributes)
}

/// The same to fixed rows and columns; the map's other axes as they are.
pub(crate) fn bilinear_to(graph: &mut Graph, x: &str, [rows, columns]: [usize; 2]) -> Value {
    let shape = graph.node("Shape", &[x], []);
    let (zero, two) = (graph.ints(&[0]), graph.ints(&[2]));
    let front = graph.node("Slice", &[&shape, &zero, &two], []);
    let sides = graph.ints(&[rows as i64, columns as i64]);
    let sizes = graph.node("Concat", &[&front, &sides], [("axis", Attribute::Int(0))]);
    bilinear(graph, x, &sizes)
}

/// Maps of the same positions, one after the other along the channels.
pub(crate) fn side_by_side(graph: &mut Graph, maps: &[Value]) -> Value {
    graph.joined(maps, 1)
}
