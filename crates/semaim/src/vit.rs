//! The encoder: a pre-norm vision transformer, the content stream of SemAIM.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use semaim_kernels::{
    Activation, BlockWeights, Channels, DropPathScales, LinearWeights, PrefixMask, Projections,
    Recompute, block, composed, linear, patches,
};

use crate::config::{ArchOptions, VitConfig};
use crate::drop_path::DropPath;
use crate::feature_map::FeatureMap;
use crate::grid::Grid;
use crate::layers::{LayerNorm, Linear, Mlp};
use crate::parameters::{WeightError, to_host};
use crate::position::{Interpolation, resize, sin_cos};
use crate::resample::Resampling;

/// How a forward pass is made; the default is for evaluation.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForwardOptions<'a> {
    /// Residual branches that are left out.
    pub drop_path: Option<&'a DropPath>,
    /// What the backward pass computes again instead of keeping it.
    pub recompute: Recompute,
}

impl ForwardOptions<'_> {
    /// The factors of one block's residual branches.
    pub fn drop_path(&self, block: usize) -> Option<&DropPathScales> {
        self.drop_path.and_then(|drawn| drawn.block(block))
    }
}

/// Images cut into patches, each patch mapped to a token.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// The projection.
    pub proj: PatchProjection,
}

/// The weights of a convolution whose stride is its kernel: a linear layer over patches.
#[derive(Module, Debug)]
pub struct PatchProjection {
    /// `[embed_dim, channels, patch_size, patch_size]`.
    pub weight: Param<Tensor<4>>,
    /// `[embed_dim]`.
    pub bias: Param<Tensor<1>>,
}

impl PatchEmbed {
    fn zeros(config: &VitConfig, device: &Device) -> Self {
        let shape = [
            config.embed_dim,
            config.channels,
            config.patch_size,
            config.patch_size,
        ];
        Self {
            proj: PatchProjection {
                weight: Param::from_tensor(Tensor::zeros(shape, device)),
                bias: Param::from_tensor(Tensor::zeros([config.embed_dim], device)),
            },
        }
    }

    /// `[batch, channels, height, width]` to `[batch, patches, embed_dim]`, patches row by row.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let weight = self.proj.weight.val();
        let [embed_dim, channels, patch_size, _] = weight.dims();
        let patches = patches(images, patch_size, Channels::First);
        let weight = weight.reshape([embed_dim, channels * patch_size * patch_size]);
        let bias = self.proj.bias.val();
        linear(patches, LinearWeights { weight, bias })
    }
}

/// The weights of a block's self-attention.
#[derive(Module, Debug)]
pub struct Attention {
    /// Query, key and value at once, `[3 * embed_dim, embed_dim]`.
    pub qkv: Linear,
    /// The projection of the mixed values.
    pub proj: Linear,
}

/// One transformer block: `h += Proj(Attn(LN₁ h)); h += MLP(LN₂ h)`.
#[derive(Module, Debug)]
pub struct Block {
    /// Before attention.
    pub norm1: LayerNorm,
    /// Self-attention.
    pub attn: Attention,
    /// Before the MLP.
    pub norm2: LayerNorm,
    /// The MLP.
    pub mlp: Mlp,
    num_heads: usize,
    #[module(skip)]
    activation: Activation,
}

impl Block {
    pub(crate) fn zeros(config: &VitConfig, device: &Device) -> Self {
        Self::zeros_as(config, &ArchOptions::default(), device)
    }

    pub(crate) fn zeros_as(config: &VitConfig, arch: &ArchOptions, device: &Device) -> Self {
        let (d, hidden) = (config.embed_dim, config.mlp_dim());
        let norm = || LayerNorm::with_epsilon(d, arch.epsilon, device);
        let fc1 = match arch.activation {
            Activation::SwiGlu => 2 * hidden,
            Activation::Gelu | Activation::QuickGelu => hidden,
        };
        Self {
            norm1: norm(),
            attn: Attention {
                qkv: Linear::zeros(d, 3 * d, device),
                proj: Linear::zeros(d, d, device),
            },
            norm2: norm(),
            mlp: Mlp {
                fc1: Linear::zeros(d, fc1, device),
                fc2: Linear::zeros(hidden, d, device),
            },
            num_heads: config.num_heads,
            activation: arch.activation,
        }
    }

    /// Heads of the attention.
    pub fn num_heads(&self) -> usize {
        self.num_heads
    }

    /// What stands between the layers of the MLP.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// The weights as operations take them.
    pub(crate) fn weights(&self) -> BlockWeights {
        BlockWeights {
            norm1: self.norm1.weights(),
            projections: Projections::Joint(Box::new(self.attn.qkv.weights())),
            proj: self.attn.proj.weights(),
            norm2: self.norm2.weights(),
            fc1: self.mlp.fc1.weights(),
            activation: self.activation,
            fc2: self.mlp.fc2.weights(),
            num_heads: self.num_heads,
        }
    }

    /// `h [batch, tokens, embed_dim]` to the same shape; each token attends to those that `mask` allows, or to all.
    pub fn forward(
        &self,
        h: Tensor<3>,
        mask: Option<&PrefixMask>,
        drop_path: Option<&DropPathScales>,
        recompute: Recompute,
    ) -> Tensor<3> {
        block(h, None, mask, self.weights(), drop_path, recompute)
    }

    /// How much the class token attends to each token, averaged over heads: `[batch, tokens]`.
    ///
    /// Only what this needs is computed: the class token's query and everybody's keys.
    fn class_attention(&self, h: Tensor<3>) -> Tensor<2> {
        let [_, _, d] = h.dims();
        let h = self.norm1.forward(h);
        let query = linear(h.clone().narrow(1, 0, 1), self.attn.qkv.part(0, d));
        let key = linear(h, self.attn.qkv.part(d, d));
        // [batch, heads, 1, tokens]
        let attention = composed::attention_weights(query, key, self.num_heads, None);
        attention.mean_dim(1).squeeze_dims::<2>(&[1, 2])
    }
}

/// A linear layer without biases.
#[derive(Module, Debug)]
pub struct Projection {
    /// `[out, in]`.
    pub weight: Param<Tensor<2>>,
}

/// The encoder.
#[derive(Module, Debug)]
pub struct Vit {
    /// Patches to tokens.
    pub patch_embed: PatchEmbed,
    /// The class token, `[1, 1, embed_dim]`.
    pub cls_token: Param<Tensor<3>>,
    /// The position table, `[1, 1 + patches, embed_dim]`; fixed in pre-training.
    pub pos_embed: Param<Tensor<3>>,
    /// Tokens that stand for nothing in the image, `[1, registers, embed_dim]`; SemAIM's own encoders have none.
    pub reg_token: Option<Param<Tensor<3>>>,
    /// Before the first block; SemAIM's own encoders have none.
    pub norm_pre: Option<LayerNorm>,
    /// The blocks.
    pub blocks: Vec<Block>,
    /// The final norm; in pre-training it also normalizes the query stream.
    pub norm: LayerNorm,
    /// After the final norm; SemAIM's own encoders have none.
    pub projection: Option<Projection>,
    rows: usize,
    columns: usize,
}

impl Vit {
    /// An encoder whose weights are zeros, but for the norms and the position table; [`crate::init`] gives the
    /// rest their first values. The sizes must be [valid](VitConfig::validate).
    pub fn zeros(config: &VitConfig, device: &Device) -> Self {
        Self::zeros_as(config, &ArchOptions::default(), device)
    }

    /// The same for an encoder of somebody else.
    pub fn zeros_as(config: &VitConfig, arch: &ArchOptions, device: &Device) -> Self {
        let grid = config.grid();
        let d = config.embed_dim;
        let table = TensorData::new(sin_cos(d, grid), [1, 1 + grid.patches(), d]);
        let norm = || LayerNorm::with_epsilon(d, arch.epsilon, device);
        let zeros = |tokens| Param::from_tensor(Tensor::zeros([1, tokens, d], device));
        Self {
            patch_embed: PatchEmbed::zeros(config, device),
            cls_token: Param::from_tensor(Tensor::zeros([1, 1, d], device)),
            pos_embed: Param::from_tensor(Tensor::from_data(table, device)).set_require_grad(false),
            reg_token: (arch.registers > 0).then(|| zeros(arch.registers)),
            norm_pre: arch.norm_pre.then(norm),
            blocks: (0..config.depth)
                .map(|_| Block::zeros_as(config, arch, device))
                .collect(),
            norm: norm(),
            projection: arch.projection.map(|width| Projection {
                weight: Param::from_tensor(Tensor::zeros([width, d], device)),
            }),
            rows: grid.rows,
            columns: grid.columns,
        }
    }

    /// The grid of patches.
    pub fn grid(&self) -> Grid {
        Grid {
            rows: self.rows,
            columns: self.columns,
        }
    }

    /// Where the encoder differs from SemAIM's own.
    pub fn arch_options(&self) -> ArchOptions {
        let activation = self.blocks.first().map(|block| block.activation);
        ArchOptions {
            epsilon: self.norm.epsilon(),
            activation: activation.unwrap_or_default(),
            registers: self.registers(),
            norm_pre: self.norm_pre.is_some(),
            projection: self.projection.as_ref().map(|p| p.weight.dims()[0]),
        }
    }

    /// Tokens between the class token and the patches.
    pub fn registers(&self) -> usize {
        self.reg_token.as_ref().map_or(0, |tokens| tokens.dims()[1])
    }

    /// Width of the final tokens: `embed_dim`, but for encoders whose tokens are projected.
    pub fn width(&self) -> usize {
        match &self.projection {
            Some(projection) => projection.weight.dims()[0],
            None => self.pos_embed.dims()[2],
        }
    }

    /// The patches among tokens `[batch, tokens, width]` of which they are the last.
    pub fn patches_of(&self, tokens: Tensor<3>) -> Tensor<3> {
        let (count, before) = (tokens.dims()[1], 1 + self.registers());
        tokens.narrow(1, before, count - before)
    }

    /// The same encoder on another grid of patches, its position table resized in a library's way.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give the table.
    pub fn resized(mut self, to: Grid, by: Interpolation) -> Result<Self, WeightError> {
        let [_, _, d] = self.pos_embed.val().dims();
        let table = to_host("pos_embed", self.pos_embed.val())?.values;
        let table = resize(&table, d, self.grid(), to, by);
        let shape = [1, 1 + to.patches(), d];
        self.pos_embed = self
            .pos_embed
            .map(|old| Tensor::from_data(TensorData::new(table, shape), &old.device()));
        (self.rows, self.columns) = (to.rows, to.columns);
        Ok(self)
    }

    /// The same encoder on another grid of patches, its position table resized as [`Vit::positions_on`] does it. Its device is not
    /// waited for. For encoders without gradients.
    pub fn on_grid(&self, grid: Grid) -> Self {
        let class = self.pos_embed.val().narrow(1, 0, 1);
        let table = Tensor::cat(vec![class, self.positions_on(grid)], 1);
        Self {
            pos_embed: Param::from_tensor(table).set_require_grad(false),
            rows: grid.rows,
            columns: grid.columns,
            ..self.clone()
        }
    }

    /// The positions of the patches, `[1, patches, embed_dim]`: what the query stream starts from.
    pub fn patch_positions(&self) -> Tensor<3> {
        self.pos_embed.val().narrow(1, 1, self.grid().patches())
    }

    /// The same on any grid, `[1, grid.patches(), embed_dim]`: resized bicubically where it is not the encoder's own, and
    /// trained through that.
    pub fn positions_on(&self, grid: Grid) -> Tensor<3> {
        let own = FeatureMap {
            values: self.patch_positions(),
            grid: self.grid(),
        };
        Resampling::Bicubic.apply(&own, grid).values
    }

    /// The patches before the first block, positions added, `[batch, patches, embed_dim]`.
    pub fn embed_patches(&self, images: Tensor<4>) -> Tensor<3> {
        self.patch_embed.forward(images) + self.patch_positions()
    }

    /// The class token before patches `[batch, patches, embed_dim]` in any order: `[batch, 1 + patches, embed_dim]`.
    ///
    /// Registers stand between them, where there are any.
    pub fn with_class(&self, patches: Tensor<3>) -> Tensor<3> {
        let [batch, _, d] = patches.dims();
        let class = self.cls_token.val() + self.pos_embed.val().narrow(1, 0, 1);
        let mut tokens = vec![class.expand([batch, 1, d])];
        if let Some(registers) = &self.reg_token {
            let [_, count, _] = registers.dims();
            tokens.push(registers.val().expand([batch, count, d]));
        }
        tokens.push(patches);
        self.normed_before(Tensor::cat(tokens, 1))
    }

    /// Tokens as the first block sees them: normalized, where the encoder does that.
    pub(crate) fn normed_before(&self, tokens: Tensor<3>) -> Tensor<3> {
        match &self.norm_pre {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        }
    }

    /// Tokens before the first block, `[batch, 1 + patches, embed_dim]`, the class token first.
    pub fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        self.with_class(self.embed_patches(images))
    }

    /// The blocks one after the other, all tokens visible to all: `[batch, tokens, embed_dim]` to the same shape, the
    /// final norm not applied. Tokens may be any of the image's, in any order.
    pub fn run(&self, h: Tensor<3>, options: ForwardOptions<'_>) -> Tensor<3> {
        self.blocks.iter().enumerate().fold(h, |h, (i, block)| {
            block.forward(h, None, options.drop_path(i), options.recompute)
        })
    }

    /// The final tokens of images nobody hides anything of, `[batch, 1 + patches, width]`, final norm (and projection)
    /// applied. Registers are left out.
    pub fn tokens(&self, images: Tensor<4>) -> Tensor<3> {
        let tokens = self.all_tokens(images);
        self.without_registers(tokens)
    }

    /// The same with the registers between class token and patches.
    pub fn all_tokens(&self, images: Tensor<4>) -> Tensor<3> {
        let h = self.embed(images);
        self.finished(self.run(h, ForwardOptions::default()))
    }

    /// The final norm and, where there is one, the projection.
    fn finished(&self, h: Tensor<3>) -> Tensor<3> {
        let h = self.norm.forward(h);
        match &self.projection {
            None => h,
            Some(projection) => {
                let weight = projection.weight.val();
                let bias = Tensor::zeros([weight.dims()[0]], &weight.device());
                linear(h, LinearWeights { weight, bias })
            }
        }
    }

    /// The class token and the patches.
    pub(crate) fn without_registers(&self, tokens: Tensor<3>) -> Tensor<3> {
        if self.registers() == 0 {
            return tokens;
        }
        let class = tokens.clone().narrow(1, 0, 1);
        Tensor::cat(vec![class, self.patches_of(tokens)], 1)
    }

    /// [`Vit::tokens`] and [`Vit::class_attention`] from one pass.
    pub fn tokens_and_attention(&self, images: Tensor<4>) -> (Tensor<3>, Tensor<2>) {
        let mut h = self.embed(images.clone());
        let mut attention = None;
        for (i, block) in self.blocks.iter().enumerate() {
            if i + 1 == self.blocks.len() {
                attention = Some(self.patch_attention(block, h.clone()));
            }
            h = block.forward(h, None, None, Recompute::None);
        }
        let attention = attention.unwrap_or_else(|| self.class_attention(images));
        (self.without_registers(self.finished(h)), attention)
    }

    /// The last block's attention from the class token to the patches, averaged over heads:
    /// `[batch, patches]`. The last block's output is not computed.
    pub fn class_attention(&self, images: Tensor<4>) -> Tensor<2> {
        let h = self.embed(images);
        match self.blocks.split_last() {
            Some((last, before)) => {
                let h = before
                    .iter()
                    .fold(h, |h, block| block.forward(h, None, None, Recompute::None));
                self.patch_attention(last, h)
            }
            None => self.patches_of(h).zeros_like().mean_dim(2).squeeze_dim(2),
        }
    }

    /// A block's attention from the class token to the patches, `[batch, patches]`.
    fn patch_attention(&self, block: &Block, h: Tensor<3>) -> Tensor<2> {
        let (tokens, before) = (h.dims()[1], 1 + self.registers());
        block.class_attention(h).narrow(1, before, tokens - before)
    }
}
