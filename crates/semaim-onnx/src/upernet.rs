//! UPerNet: four maps of the encoder, a neck, pyramid pooling and what it says passed down.

use semaim_segment::config::UperNetConfig;

use crate::dense::{batch_norm, bilinear_to, conv, conv_module, deconv, map, side_by_side};
use crate::error::OnnxError;
use crate::graph::{Attribute, Graph, Value};
use crate::vit::{VitNodes, gelu};

/// Logits on the finest grid, `[batch, classes, rows, columns]`. The sides of the maps are numbers in the graph, so images
/// are of one size.
pub(crate) fn logits(
    graph: &mut Graph,
    nodes: &VitNodes<'_>,
    config: &UperNetConfig,
    images: &str,
) -> Result<Value, OnnxError> {
    let grid = nodes.config.grid();
    let base = [grid.rows, grid.columns];
    if base.into_iter().any(|side| side < 2) {
        let [rows, columns] = base;
        return Err(OnnxError::FewPatches { rows, columns });
    }
    let maps = tapped(graph, nodes, config, images)?;
    let maps = neck(graph, &maps)?;
    let times = |factor: usize| base.map(|side| side * factor);
    let coarsest = base.map(|side| side / 2);
    let finest = times(4);
    let mut above = pyramid_pooling(graph, &maps[3], coarsest, &config.pool_scales)?;
    let mut outputs = vec![bilinear_to(graph, &above, finest)];
    for (number, sides) in [times(4), times(2), base].into_iter().enumerate().rev() {
        let lateral = conv_module(graph, &maps[number], &format!("head.lateral.{number}"))?;
        let down = bilinear_to(graph, &above, sides);
        above = graph.node("Add", &[&lateral, &down], []);
        let output = conv_module(graph, &above, &format!("head.output.{number}"))?;
        outputs.push(bilinear_to(graph, &output, finest));
    }
    outputs.reverse();
    let joined = side_by_side(graph, &outputs);
    let fused = conv_module(graph, &joined, "head.fusion")?;
    conv(graph, &fused, "head.classifier")
}

/// The encoder's maps after four blocks.
fn tapped(
    graph: &mut Graph,
    nodes: &VitNodes<'_>,
    config: &UperNetConfig,
    images: &str,
) -> Result<Vec<Value>, OnnxError> {
    let taps = config.taps(nodes.config.depth);
    let last = taps.into_iter().max().unwrap_or(0).min(nodes.config.depth);
    let (mut h, map_shape) = nodes.embed(graph, images)?;
    let mut after = Vec::new();
    for block in 0..last {
        h = nodes.block(graph, &h, block)?;
        let patches = match taps.contains(&(block + 1)) {
            true => {
                let patches = nodes.patches_of(graph, &h);
                Some(map(graph, &patches, &map_shape))
            }
            false => None,
        };
        after.push(patches);
    }
    let of = |tap: usize| {
        let found = after.get(tap.checked_sub(1)?)?;
        found.clone()
    };
    let missing = |tap: usize| OnnxError::Missing {
        name: format!("blocks.{}", tap.saturating_sub(1)),
    };
    taps.into_iter()
        .map(|tap| of(tap).ok_or_else(|| missing(tap)))
        .collect()
}

/// Maps of 4, 2, 1 and ½ times the rows and columns.
fn neck(graph: &mut Graph, maps: &[Value]) -> Result<[Value; 4], OnnxError> {
    let first = deconv(graph, &maps[0], "head.neck.finer4.first")?;
    let first = batch_norm(graph, &first, "head.neck.finer4.norm")?;
    let first = gelu(graph, &first);
    let first = deconv(graph, &first, "head.neck.finer4.second")?;
    let second = deconv(graph, &maps[1], "head.neck.finer2")?;
    let two = || Attribute::Ints(vec![2; 2]);
    let attributes = [("kernel_shape", two()), ("strides", two())];
    let fourth = graph.node("MaxPool", &[&maps[3]], attributes);
    Ok([first, second, maps[2].clone(), fourth])
}

/// A map beside its means over ever smaller regions.
fn pyramid_pooling(
    graph: &mut Graph,
    x: &str,
    sides: [usize; 2],
    bins: &[usize],
) -> Result<Value, OnnxError> {
    let mut maps = vec![x.to_string()];
    for (number, &bins) in bins.iter().enumerate() {
        let pooled = averages(graph, x, sides, bins);
        let pooled = conv_module(
            graph,
            &pooled,
            &format!("head.pyramid_pooling.scales.{number}"),
        )?;
        maps.push(bilinear_to(graph, &pooled, sides));
    }
    let joined = side_by_side(graph, &maps);
    conv_module(graph, &joined, "head.pyramid_pooling.bottleneck")
}

/// PyTorch's `adaptive_avg_pool2d`: a product with one matrix per axis.
fn averages(graph: &mut Graph, x: &str, [rows, columns]: [usize; 2], bins: usize) -> Value {
    let by_row = average(rows, bins);
    let by_row = graph.floats(&format!("average_{rows}_{bins}"), &[bins, rows], &by_row);
    let across = average(columns, bins);
    let mut turned = Vec::with_capacity(across.len());
    for column in 0..columns {
        turned.extend((0..bins).map(|bin| across[bin * columns + column]));
    }
    let name = format!("average_{columns}_{bins}_turned");
    let across = graph.floats(&name, &[columns, bins], &turned);
    let pooled = graph.node("MatMul", &[&by_row, x], []);
    graph.node("MatMul", &[&pooled, &across], [])
}

/// `[to, from]`: the mean of the places from ⌊i·from/to⌋ to ⌈(i+1)·from/to⌉.
fn average(from: usize, to: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; to * from];
    for (bin, row) in matrix.chunks_mut(from.max(1)).enumerate() {
        let covered = bin * from / to..((bin + 1) * from).div_ceil(to);
        let share = 1.0 / covered.len() as f32;
        row[covered].fill(share);
    }
    matrix
}
