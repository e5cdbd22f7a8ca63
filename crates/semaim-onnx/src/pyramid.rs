//! The simple feature pyramid: maps of five scales from the last one.

use semaim_kernels::LAYER_NORM_EPSILON;

use crate::dense::{conv, deconv};
use crate::error::OnnxError;
use crate::graph::{Attribute, Graph, Value};
use crate::vit::{gelu, norm};

/// The maps p2 to p6, `[1, channels, rows, columns]` each, of a map of patches.
pub(crate) fn maps(graph: &mut Graph, x: &str) -> Result<Vec<Value>, OnnxError> {
    let finer = deconv(graph, x, "pyramid.finer4.first")?;
    let finer = channel_norm(graph, &finer, "pyramid.finer4.norm")?;
    let finer = gelu(graph, &finer);
    let finest = deconv(graph, &finer, "pyramid.finer4.second")?;
    let finer = deconv(graph, x, "pyramid.finer2")?;
    let coarser = every_second(graph, x, 2);
    let mut maps = Vec::new();
    for (name, map) in [
        ("p2", &*finest),
        ("p3", &*finer),
        ("p4", x),
        ("p5", &*coarser),
    ] {
        let lateral = normed_conv(graph, map, &format!("pyramid.{name}.lateral"))?;
        maps.push(normed_conv(
            graph,
            &lateral,
            &format!("pyramid.{name}.output"),
        )?);
    }
    let coarsest = every_second(graph, &maps[3], 1);
    maps.push(coarsest);
    Ok(maps)
}

/// The largest of every `side` by `side` positions that begin in every second row and column.
fn every_second(graph: &mut Graph, x: &str, side: i64) -> Value {
    let attributes = [
        ("kernel_shape", Attribute::Ints(vec![side; 2])),
        ("strides", Attribute::Ints(vec![2; 2])),
    ];
    graph.node("MaxPool", &[x], attributes)
}

/// A convolution with a layer norm over the channels behind it.
pub(crate) fn normed_conv(graph: &mut Graph, x: &str, name: &str) -> Result<Value, OnnxError> {
    let x = conv(graph, x, name)?;
    channel_norm(graph, &x, &format!("{name}.norm"))
}

/// A layer norm over the channels of a map.
fn channel_norm(graph: &mut Graph, x: &str, name: &str) -> Result<Value, OnnxError> {
    let x = graph.permuted(x, &[0, 2, 3, 1]);
    let x = norm(graph, &x, name, LAYER_NORM_EPSILON)?;
    Ok(graph.permuted(&x, &[0, 3, 1, 2]))
}
