//! What the heads see of an encoder: maps of its patch tokens.

use burn::tensor::Tensor;
use semaim::feature_map::FeatureMap;
use semaim::grid::Grid;
use semaim::vit::{ForwardOptions, Vit};

/// The grid of patches of images `[batch, channels, height, width]`.
fn grid(encoder: &Vit, images: &Tensor<4>) -> Grid {
    let [_, _, height, width] = images.dims();
    let patch = encoder.patch_embed.proj.weight.dims()[2];
    Grid {
        rows: height / patch,
        columns: width / patch,
    }
}

/// Tokens before the first block, positions resized to the images' grid.
fn embed(encoder: &Vit, images: Tensor<4>, grid: Grid) -> Tensor<3> {
    encoder.with_class(encoder.patch_embed.forward(images) + encoder.positions_on(grid))
}

/// The patch tokens of images `[batch, channels, height, width]` after some blocks, numbered from 1, in the order of
/// `taps`. The class token takes part in attention; the final norm is not applied.
pub fn maps(
    encoder: &Vit,
    images: Tensor<4>,
    taps: &[usize],
    options: ForwardOptions<'_>,
) -> Vec<FeatureMap> {
    let grid = grid(encoder, &images);
    let mut h = embed(encoder, images, grid);
    let last = taps.iter().copied().max().unwrap_or(0);
    let mut tapped = vec![None; last + 1];
    for (number, block) in encoder.blocks.iter().enumerate().take(last) {
        h = block.forward(h, None, options.drop_path(number), options.recompute);
        if taps.contains(&(number + 1)) {
            tapped[number + 1] = Some(FeatureMap {
                values: encoder.patches_of(h.clone()),
                grid,
            });
        }
    }
    taps.iter()
        .filter_map(|&tap| tapped.get(tap).cloned().flatten())
        .collect()
}

/// The final patch tokens of images, the final norm applied.
pub fn final_map(encoder: &Vit, images: Tensor<4>, options: ForwardOptions<'_>) -> FeatureMap {
    let grid = grid(encoder, &images);
    let h = encoder.run(embed(encoder, images, grid), options);
    FeatureMap {
        values: encoder.patches_of(encoder.norm.forward(h)),
        grid,
    }
}
