//! The transformer as nodes: from images to tokens, block by block.

use semaim::config::{Activation, ArchOptions, VitConfig};
use semaim::parameters::Weight;
use semaim::position::Interpolation;

use crate::error::OnnxError;
use crate::graph::{Attribute, Axis, Graph, Value};
use crate::size::ImageSize;

/// A transformer as it is put into a graph.
pub(crate) struct VitNodes<'a> {
    pub(crate) config: &'a VitConfig,
    pub(crate) arch: &'a ArchOptions,
    pub(crate) size: ImageSize,
}

impl VitNodes<'_> {
    /// Tokens before the patches: the class token and registers.
    pub(crate) fn before(&self) -> usize {
        1 + self.arch.registers
    }

    /// Height and width of the images.
    pub(crate) fn sides(&self) -> [Axis; 2] {
        match self.size {
            ImageSize::Fixed => self.config.image_size.map(Axis::Fixed),
            ImageSize::Dynamic(_) => ["height", "width"].map(Axis::Named),
        }
    }

    /// How many patches there are.
    pub(crate) fn patches(&self, more: usize) -> Axis {
        match self.size {
            ImageSize::Fixed => Axis::Fixed(self.config.grid().patches() + more),
            ImageSize::Dynamic(_) => Axis::Named(if more == 0 { "patches" } else { "tokens" }),
        }
    }

    /// The images, `[batch, channels, height, width]`, normalized.
    pub(crate) fn images(&self, graph: &mut Graph) -> Value {
        let [height, width] = self.sides();
        let axes = [
            Axis::Named("batch"),
            Axis::Fixed(self.config.channels),
            height,
            width,
        ];
        let about = "Images, prepared as the metadata `semaim.input` says";
        graph.input("images", &axes, about)
    }

    /// The map of patches before positions are added, `[batch, embed_dim, rows, columns]`.
    pub(crate) fn patches_of_images(
        &self,
        graph: &mut Graph,
        images: &str,
    ) -> Result<Value, OnnxError> {
        let patch = self.config.patch_size as i64;
        let (weight, bias) = (
            graph.parameter("patch_embed.proj.weight")?,
            graph.parameter("patch_embed.proj.bias")?,
        );
        let square = || Attribute::Ints(vec![patch; 2]);
        let attributes = [("kernel_shape", square()), ("strides", square())];
        Ok(graph.node("Conv", &[images, &weight, &bias], attributes))
    }

    /// Tokens before the first block, `[batch, before + patches, embed_dim]`, and the shape of the map of patches,
    /// `[batch, embed_dim, rows, columns]`.
    pub(crate) fn embed(
        &self,
        graph: &mut Graph,
        images: &str,
    ) -> Result<(Value, Value), OnnxError> {
        let map = self.patches_of_images(graph, images)?;
        let map_shape = graph.node("Shape", &[&map], []);
        let patches = rows(graph, &map);
        let positions = self.positions(graph, &map_shape)?;
        let patches = graph.node("Add", &[&patches, &positions], []);
        let first = self.first_tokens(graph)?;
        let (zero, one) = (graph.ints(&[0]), graph.ints(&[1]));
        let batch = graph.node("Slice", &[&map_shape, &zero, &one], []);
        let rest = graph.ints(&[self.before() as i64, self.config.embed_dim as i64]);
        let shape = graph.node("Concat", &[&batch, &rest], [("axis", Attribute::Int(0))]);
        let first = graph.node("Expand", &[&first, &shape], []);
        let tokens = graph.node("Concat", &[&first, &patches], [("axis", Attribute::Int(1))]);
        let tokens = match self.arch.norm_pre {
            true => self.norm(graph, &tokens, "norm_pre")?,
            false => tokens,
        };
        Ok((tokens, map_shape))
    }

    /// The class token with its position, and the registers: `[1, before, embed_dim]`.
    fn first_tokens(&self, graph: &mut Graph) -> Result<Value, OnnxError> {
        let d = self.config.embed_dim;
        let class = &graph.weight("cls_token")?.values;
        let positions = &graph.weight("pos_embed")?.values;
        let mut values: Vec<f32> = class.iter().zip(positions).map(|(a, b)| a + b).collect();
        if self.arch.registers > 0 {
            values.extend(&graph.weight("reg_token")?.values);
        }
        Ok(graph.floats("first_tokens", &[1, self.before(), d], &values))
    }

    /// Positions of the patches, `[1, patches, embed_dim]`.
    fn positions(&self, graph: &mut Graph, map_shape: &str) -> Result<Value, OnnxError> {
        let (d, grid) = (self.config.embed_dim, self.config.grid());
        let Weight { values, .. } = graph.weight("pos_embed")?;
        let patches = values.get(d..).unwrap_or_default().to_vec();
        let ImageSize::Dynamic(interpolation) = self.size else {
            return Ok(graph.floats("positions", &[1, grid.patches(), d], &patches));
        };
        let (a, antialias) = match interpolation {
            Interpolation::Bicubic => (-0.75, 0),
            Interpolation::Antialiased => (-0.5, 1),
            Interpolation::Offset => {
                let what = "DINO's way of resizing positions";
                return Err(OnnxError::NotDynamic { what });
            }
        };
        // As a map of channels, which is what the operator resizes.
        let mut map = Vec::with_capacity(patches.len());
        for channel in 0..d {
            map.extend(patches.iter().skip(channel).step_by(d));
        }
        let map = graph.floats("positions", &[1, d, grid.rows, grid.columns], &map);
        let (two, four) = (graph.ints(&[2]), graph.ints(&[4]));
        let sides = graph.node("Slice", &[map_shape, &two, &four], []);
        let fixed = graph.ints(&[1, d as i64]);
        let sizes = graph.node("Concat", &[&fixed, &sides], [("axis", Attribute::Int(0))]);
        let attributes = [
            ("mode", Attribute::Text("cubic")),
            (
                "coordinate_transformation_mode",
                Attribute::Text("half_pixel"),
            ),
            ("cubic_coeff_a", Attribute::Float(a)),
            ("antialias", Attribute::Int(antialias)),
            ("exclude_outside", Attribute::Int(antialias)),
        ];
        let resized = graph.node("Resize", &[&map, "", "", &sizes], attributes);
        Ok(rows(graph, &resized))
    }

    /// A block, `[batch, tokens, embed_dim]` to the same shape.
    pub(crate) fn block(
        &self,
        graph: &mut Graph,
        h: &str,
        block: usize,
    ) -> Result<Value, OnnxError> {
        let name = |layer: &str| format!("blocks.{block}.{layer}");
        let normed = self.norm(graph, h, &name("norm1"))?;
        let mixed = self.attention(graph, &normed, &name("attn"), |_, scores, _| Ok(scores))?;
        let h = graph.node("Add", &[h, &mixed], []);
        self.mlp(graph, &h, block)
    }

    /// The second half of a block.
    pub(crate) fn mlp(&self, graph: &mut Graph, h: &str, block: usize) -> Result<Value, OnnxError> {
        let name = |layer: &str| format!("blocks.{block}.{layer}");
        let normed = self.norm(graph, h, &name("norm2"))?;
        let hidden = linear(graph, &normed, &name("mlp.fc1"))?;
        let hidden = self.activation(graph, &hidden);
        let out = linear(graph, &hidden, &name("mlp.fc2"))?;
        Ok(graph.node("Add", &[h, &out], []))
    }

    /// Attention of tokens `[samples, tokens, embed_dim]`. `add` is given the scores `[samples, heads, tokens, tokens]` and the
    /// queries `[samples, heads, tokens, head_dim]`, which are not scaled, and gives other scores.
    pub(crate) fn attention(
        &self,
        graph: &mut Graph,
        x: &str,
        name: &str,
        add: impl FnOnce(&mut Graph, Value, &str) -> Result<Value, OnnxError>,
    ) -> Result<Value, OnnxError> {
        let heads = self.config.num_heads;
        let width = self.config.embed_dim / heads;
        let joint = linear(graph, x, &format!("{name}.qkv"))?;
        let last = || ("axis", Attribute::Int(-1));
        let thirds = [last(), ("num_outputs", Attribute::Int(3))];
        let parts = graph.split_node("Split", &[&joint], thirds, 3);
        let shape = graph.ints(&[0, 0, heads as i64, width as i64]);
        // Keys stand upright, so that queries can be multiplied by them.
        let orders = [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]];
        let mut by_head = Vec::new();
        for (part, order) in parts.iter().zip(orders) {
            let split = graph.node("Reshape", &[part, &shape], []);
            by_head.push(graph.node(
                "Transpose",
                &[&split],
                [("perm", Attribute::Ints(order.to_vec()))],
            ));
        }
        let scale = graph.float(1.0 / (width as f32).sqrt());
        let query = graph.node("Mul", &[&by_head[0], &scale], []);
        let scores = graph.node("MatMul", &[&query, &by_head[1]], []);
        let scores = add(graph, scores, &by_head[0])?;
        let shares = graph.node("Softmax", &[&scores], [last()]);
        let mixed = graph.node("MatMul", &[&shares, &by_head[2]], []);
        let order = Attribute::Ints(vec![0, 2, 1, 3]);
        let mixed = graph.node("Transpose", &[&mixed], [("perm", order)]);
        let shape = graph.ints(&[0, 0, self.config.embed_dim as i64]);
        let joined = graph.node("Reshape", &[&mixed, &shape], []);
        linear(graph, &joined, &format!("{name}.proj"))
    }

    fn activation(&self, graph: &mut Graph, x: &str) -> Value {
        match self.arch.activation {
            Activation::Gelu => gelu(graph, x),
            Activation::QuickGelu => {
                let slope = graph.float(1.702);
                let steep = graph.node("Mul", &[x, &slope], []);
                let gate = graph.node("Sigmoid", &[&steep], []);
                graph.node("Mul", &[x, &gate], [])
            }
            Activation::SwiGlu => {
                let halves = [
                    ("axis", Attribute::Int(-1)),
                    ("num_outputs", Attribute::Int(2)),
                ];
                let halves = graph.split_node("Split", &[x], halves, 2);
                let gate = graph.node("Sigmoid", &[&halves[0]], []);
                let gate = graph.node("Mul", &[&halves[0], &gate], []);
                graph.node("Mul", &[&gate, &halves[1]], [])
            }
        }
    }

    /// A layer norm of the encoder's over the last axis.
    pub(crate) fn norm(&self, graph: &mut Graph, x: &str, name: &str) -> Result<Value, OnnxError> {
        norm(graph, x, name, self.arch.epsilon)
    }

    /// The class token of tokens, `[batch, 1, width]`.
    pub(crate) fn class_of(&self, graph: &mut Graph, tokens: &str) -> Value {
        part(graph, tokens, 0, 1)
    }

    /// The patches of tokens, `[batch, patches, width]`.
    pub(crate) fn patches_of(&self, graph: &mut Graph, tokens: &str) -> Value {
        part(graph, tokens, self.before() as i64, i64::MAX)
    }
}

/// Tokens from one place to before another.
fn part(graph: &mut Graph, tokens: &str, start: i64, end: i64) -> Value {
    let (start, end, axis) = (graph.ints(&[start]), graph.ints(&[end]), graph.ints(&[1]));
    graph.node("Slice", &[tokens, &start, &end, &axis], [])
}

/// A map `[batch, channels, rows, columns]` as tokens `[batch, rows · columns, channels]`.
pub(crate) fn rows(graph: &mut Graph, map: &str) -> Value {
    let flat = graph.reshaped(map, &[0, 0, -1]);
    graph.permuted(&flat, &[0, 2, 1])
}

/// A layer norm over the last axis.
pub(crate) fn norm(
    graph: &mut Graph,
    x: &str,
    name: &str,
    epsilon: f64,
) -> Result<Value, OnnxError> {
    let weight = graph.parameter(&format!("{name}.weight"))?;
    let bias = graph.parameter(&format!("{name}.bias"))?;
    let attributes = [
        ("axis", Attribute::Int(-1)),
        ("epsilon", Attribute::Float(epsilon as f32)),
    ];
    Ok(graph.node("LayerNormalization", &[x, &weight, &bias], attributes))
}

/// A linear layer over the last axis; without a bias where the model has none.
pub(crate) fn linear(graph: &mut Graph, x: &str, name: &str) -> Result<Value, OnnxError> {
    let weight = graph.transposed(&format!("{name}.weight"))?;
    let product = graph.node("MatMul", &[x, &weight], []);
    let bias = format!("{name}.bias");
    if !graph.has(&bias) {
        return Ok(product);
    }
    let bias = graph.parameter(&bias)?;
    Ok(graph.node("Add", &[&product, &bias], []))
}

/// The exact GELU, `x · (1 + erf(x / √2)) / 2`.
pub(crate) fn gelu(graph: &mut Graph, x: &str) -> Value {
    let (root, one, half) = (
        graph.float(std::f32::consts::FRAC_1_SQRT_2),
        graph.float(1.0),
        graph.float(0.5),
    );
    let scaled = graph.node("Mul", &[x, &root], []);
    let erf = graph.node("Erf", &[&scaled], []);
    let sum = graph.node("Add", &[&erf, &one], []);
    let product = graph.node("Mul", &[x, &sum], []);
    graph.node("Mul", &[&product, &half], [])
}
