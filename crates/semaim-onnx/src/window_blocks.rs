//! The encoder as a detector's backbone: blocks that see windows or the whole map, with relative positions.

use semaim::grid::Grid;
use semaim_detect::config::DetectorConfig;
use semaim_detect::windows::counts;

use crate::dense::map;
use crate::error::OnnxError;
use crate::graph::{Graph, Value};
use crate::vit::{VitNodes, rows};

/// The map after the last block, `[1, embed_dim, rows, columns]`, of images `[1, channels, canvas, canvas]`. `positions` are those of
/// the canvas' patches.
pub(crate) fn backbone(
    graph: &mut Graph,
    nodes: &VitNodes<'_>,
    settings: &DetectorConfig,
    positions: &[f32],
    images: &str,
) -> Result<Value, OnnxError> {
    let (grid, d) = (nodes.config.grid(), nodes.config.embed_dim);
    let patches = nodes.patches_of_images(graph, images)?;
    let tokens = rows(graph, &patches);
    let positions = graph.floats("positions", &[1, grid.patches(), d], positions);
    let mut h = graph.node("Add", &[&tokens, &positions], []);
    if nodes.arch.norm_pre {
        h = nodes.norm(graph, &h, "norm_pre")?;
    }
    for block in 0..nodes.config.depth {
        let window = settings.attention.window_of(block, nodes.config.depth);
        h = window_block(graph, nodes, &h, block, window)?;
    }
    let shape = graph.ints(&[1, d as i64, grid.rows as i64, grid.columns as i64]);
    Ok(map(graph, &h, &shape))
}

/// A block, `[1, patches, embed_dim]` to the same shape.
fn window_block(
    graph: &mut Graph,
    nodes: &VitNodes<'_>,
    h: &str,
    block: usize,
    window: Option<usize>,
) -> Result<Value, OnnxError> {
    let (grid, d) = (nodes.config.grid(), nodes.config.embed_dim);
    let normed = nodes.norm(graph, h, &format!("blocks.{block}.norm1"))?;
    let mixed = match window {
        Some(side) => {
            let (down, across) = counts(grid, side);
            let seen = Grid {
                rows: side,
                columns: side,
            };
            let windows = partition(graph, &normed, grid, d, side);
            let mixed = attention(graph, nodes, &windows, block, seen, down * across)?;
            join(graph, &mixed, grid, d, side)
        }
        None => attention(graph, nodes, &normed, block, grid, 1)?,
    };
    let h = graph.node("Add", &[h, &mixed], []);
    nodes.mlp(graph, &h, block)
}

/// Attention of `samples` windows whose tokens are those of a grid, with relative positions where the block has them.
fn attention(
    graph: &mut Graph,
    nodes: &VitNodes<'_>,
    x: &str,
    block: usize,
    grid: Grid,
    samples: usize,
) -> Result<Value, OnnxError> {
    let tables = format!("blocks.{block}.positions.rel_pos");
    let heads = nodes.config.num_heads;
    let add = |graph: &mut Graph, scores: Value, query: &str| {
        if !graph.has(&format!("{tables}_h")) {
            return Ok(scores);
        }
        let [samples, rows, columns] = [samples * heads, grid.rows, grid.columns].map(|n| n as i64);
        let (heads, tokens) = (heads as i64, rows * columns);
        // One product per row of looking tokens, and one per column.
        let query = graph.reshaped(query, &[samples, rows, columns, -1]);
        let by_row = graph.permuted(&query, &[1, 0, 2, 3]);
        let by_row = graph.reshaped(&by_row, &[rows, samples * columns, -1]);
        let table = between(graph, &format!("{tables}_h"), grid.rows)?;
        let by_row = graph.node("MatMul", &[&by_row, &table], []);
        let by_row = graph.reshaped(&by_row, &[rows, samples, columns, rows]);
        let by_row = graph.permuted(&by_row, &[1, 0, 2, 3]);
        let by_row = graph.reshaped(&by_row, &[samples, tokens, rows, 1]);
        let by_column = graph.permuted(&query, &[2, 0, 1, 3]);
        let by_column = graph.reshaped(&by_column, &[columns, samples * rows, -1]);
        let table = between(graph, &format!("{tables}_w"), grid.columns)?;
        let by_column = graph.node("MatMul", &[&by_column, &table], []);
        let by_column = graph.reshaped(&by_column, &[columns, samples, rows, columns]);
        let by_column = graph.permuted(&by_column, &[1, 2, 0, 3]);
        let by_column = graph.reshaped(&by_column, &[samples, tokens, 1, columns]);
        let scores = graph.reshaped(&scores, &[samples, tokens, rows, columns]);
        let scores = graph.node("Add", &[&scores, &by_row], []);
        let scores = graph.node("Add", &[&scores, &by_column], []);
        Ok(graph.reshaped(&scores, &[-1, heads, tokens, tokens]))
    };
    nodes.attention(graph, x, &format!("blocks.{block}.attn"), add)
}

/// For each looking place the vectors of all places looked at, `[side, head_dim, side]`, of a table `[2 · side - 1, head_dim]`.
fn between(graph: &mut Graph, name: &str, side: usize) -> Result<Value, OnnxError> {
    let table = graph.weight(name)?;
    let width = table.shape.last().copied().unwrap_or(1);
    let mut values = Vec::with_capacity(side * width * side);
    for looking in 0..side {
        for channel in 0..width {
            let distance = |seen: usize| looking + side - 1 - seen;
            values.extend((0..side).map(|seen| table.values[distance(seen) * width + channel]));
        }
    }
    Ok(graph.floats(name, &[side, width, side], &values))
}

/// Tokens `[1, patches, embed_dim]` as windows `[windows, side · side, embed_dim]`, with zeros at the bottom and at the right.
fn partition(graph: &mut Graph, x: &str, grid: Grid, d: usize, side: usize) -> Value {
    let (down, across) = counts(grid, side);
    let [d, rows, columns] = [d, grid.rows, grid.columns].map(|n| n as i64);
    let [side, down, across] = [side, down, across].map(|n| n as i64);
    let x = graph.reshaped(x, &[rows, columns, d]);
    let more = graph.ints(&[0, 0, 0, down * side - rows, across * side - columns, 0]);
    let x = graph.node("Pad", &[&x, &more], []);
    let x = graph.reshaped(&x, &[down, side, across, side, d]);
    let x = graph.permuted(&x, &[0, 2, 1, 3, 4]);
    graph.reshaped(&x, &[down * across, side * side, d])
}

/// Undoes [`partition`], whose zeros are left out.
fn join(graph: &mut Graph, windows: &str, grid: Grid, d: usize, side: usize) -> Value {
    let (down, across) = counts(grid, side);
    let [d, rows, columns] = [d, grid.rows, grid.columns].map(|n| n as i64);
    let [side, down, across] = [side, down, across].map(|n| n as i64);
    let x = graph.reshaped(windows, &[down, across, side, side, d]);
    let x = graph.permuted(&x, &[0, 2, 1, 3, 4]);
    let x = graph.reshaped(&x, &[down * side, across * side, d]);
    let (start, end) = (graph.ints(&[0, 0]), graph.ints(&[rows, columns]));
    let x = graph.node("Slice", &[&x, &start, &end], []);
    graph.reshaped(&x, &[1, rows * columns, d])
}
