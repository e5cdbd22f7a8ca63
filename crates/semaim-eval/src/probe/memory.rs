//! How much memory a probe on images needs, and the batch that keeps within a budget.

use semaim::config::VitConfig;
use semaim_train::config::DataConfig;

use super::ProbeOptions;
use super::head::HeadKind;

/// What a batch that nobody chose may take, in bytes.
pub const BUDGET: u64 = 1_000_000_000;

/// The smallest batch that is chosen: below it, the statistics of a batch say little.
const SMALLEST: usize = 32;

/// Bytes for each image of a batch.
fn per_image(kind: HeadKind, vit: &VitConfig, width: usize, options: &ProbeOptions) -> u64 {
    let [height, image_width] = vit.image_size;
    let image = vit.channels * height * image_width;
    let patches = vit.grid().patches();
    let heads = options.base_lrs.len() * options.weight_decays.len();
    // Batches that wait, and the one that is shown.
    let images = (DataConfig::default().queue + 2) * image;
    // The encoder's tokens on their way, and as they are normalized; every pooling head keeps keys and values.
    let tokens = 4 * (1 + patches) * vit.embed_dim;
    let pooled = match kind {
        HeadKind::Linear => 3 * width,
        HeadKind::Attentive => (2 * heads + 3) * patches * width,
    };
    4 * (images + tokens + pooled) as u64
}

/// Bytes that a probe on images needs for its batches.
pub fn batch_memory(kind: HeadKind, vit: &VitConfig, width: usize, options: &ProbeOptions) -> u64 {
    options.batch_size as u64 * per_image(kind, vit, width, options)
}

/// The largest power of two of images that fits into [`BUDGET`], up to the batch of `options`.
pub fn fitting_batch(
    kind: HeadKind,
    vit: &VitConfig,
    width: usize,
    options: &ProbeOptions,
) -> usize {
    let images = BUDGET / per_image(kind, vit, width, options).max(1);
    let images = usize::try_from(images).unwrap_or(usize::MAX);
    let fitting = images
        .checked_ilog2()
        .map_or(1, |power| 1_usize << power.min(30));
    fitting.max(SMALLEST).min(options.batch_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_within_the_budget() {
        let vit = |side: usize, embed_dim: usize| VitConfig {
            image_size: [side, side],
            patch_size: 16,
            channels: 3,
            embed_dim,
            depth: 4,
            num_heads: 4,
            mlp_ratio: 4.0,
        };
        let options = ProbeOptions::default();
        for kind in [HeadKind::Linear, HeadKind::Attentive] {
            for vit in [vit(112, 128), vit(224, 768)] {
                let width = vit.embed_dim;
                let fitting = ProbeOptions {
                    batch_size: fitting_batch(kind, &vit, width, &options),
                    ..options.clone()
                };
                assert!(fitting.batch_size < options.batch_size);
                let within = batch_memory(kind, &vit, width, &fitting) <= BUDGET;
                assert!(within || fitting.batch_size == SMALLEST, "{kind:?} {vit:?}");
            }
        }
        // Small images need no smaller batch than the published one.
        let small = vit(16, 16);
        assert_eq!(
            fitting_batch(HeadKind::Linear, &small, 16, &options),
            options.batch_size
        );
    }
}
