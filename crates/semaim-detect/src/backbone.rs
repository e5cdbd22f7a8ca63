//! The encoder as backbone: its blocks on one map of patches, the class token left out (Li et al., ECCV 2022).

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use semaim::grid::Grid;
use semaim::layers::LayerNorm;
use semaim::resample::Resampling;
use semaim::vit::{ForwardOptions, PatchEmbed, Vit};

use crate::config::AttentionConfig;
use crate::window_block::WindowBlock;
use semaim::feature_map::FeatureMap;

/// An encoder without its class token, registers and final norm.
#[derive(Module, Debug)]
pub struct Backbone {
    /// Patches to tokens.
    pub patch_embed: PatchEmbed,
    /// The encoder's position table, `[1, 1 + patches, embed_dim]`, on the grid that it was trained on. It is resized in
    /// every forward pass, and trained through that; its first row is the class token's and not used.
    pub pos_embed: Param<Tensor<3>>,
    /// Before the first block; SemAIM's own encoders have none.
    pub norm_pre: Option<LayerNorm>,
    /// The blocks.
    pub blocks: Vec<WindowBlock>,
    #[module(skip)]
    trained_on: Grid,
}

impl Backbone {
    /// An encoder's parts, for images that give `grid` patches; relative positions begin as zeros.
    pub fn new(encoder: Vit, attention: &AttentionConfig, grid: Grid, device: &Device) -> Self {
        let trained_on = encoder.grid();
        let Vit {
            patch_embed,
            pos_embed,
            norm_pre,
            blocks,
            ..
        } = encoder;
        let depth = blocks.len();
        let blocks = blocks.into_iter().enumerate().map(|(number, block)| {
            let window = attention.window_of(number, depth);
            WindowBlock::new(block, window, attention.relative_positions, grid, device)
        });
        Self {
            patch_embed,
            // Fixed in pre-training, trained here.
            pos_embed: pos_embed.set_require_grad(true),
            norm_pre,
            blocks: blocks.collect(),
            trained_on,
        }
    }

    /// Images `[batch, channels, height, width]` to the map of the last block's tokens, no norm applied.
    pub fn forward(&self, images: Tensor<4>, options: ForwardOptions<'_>) -> FeatureMap {
        let [_, _, height, width] = images.dims();
        let patch = self.patch_embed.proj.weight.dims()[2];
        let grid = Grid {
            rows: height / patch,
            columns: width / patch,
        };
        let tokens = self.patch_embed.forward(images) + self.positions(grid);
        let tokens = match &self.norm_pre {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        };
        let values = self
            .blocks
            .iter()
            .enumerate()
            .fold(tokens, |h, (number, block)| {
                block.forward(h, grid, options.drop_path(number), options.recompute)
            });
        FeatureMap { values, grid }
    }

    /// The patches that the position table is for.
    pub(crate) fn trained_on(&self) -> Grid {
        self.trained_on
    }

    /// The positions of a grid's patches, `[1, patches, embed_dim]`.
    pub fn positions(&self, grid: Grid) -> Tensor<3> {
        let own = FeatureMap {
            values: self.pos_embed.val().narrow(1, 1, self.trained_on.patches()),
            grid: self.trained_on,
        };
        Resampling::Bicubic.apply(&own, grid).values
    }
}
