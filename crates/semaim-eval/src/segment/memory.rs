//! How much memory the training of a segmenter needs, estimated before it starts.

use semaim::config::VitConfig;
use semaim_kernels::{Kernels, Recompute};
use semaim_segment::config::{HeadKind, SegmenterConfig, UperNetConfig};
use semaim_train::memory::Memory;

/// A segmenter's trainable size, and how it is trained.
#[derive(Clone, Copy, Debug)]
pub struct SegmentMemory {
    /// Weights that learn.
    pub trained: u64,
    /// Weights that stay as they are.
    pub frozen: u64,
    /// Images that are computed together.
    pub micro_batch: usize,
    /// What is computed again.
    pub recompute: Recompute,
    /// Which form of the operations runs.
    pub kernels: Kernels,
    /// Bytes of what a frozen encoder gave, kept.
    pub cached: u64,
}

impl SegmentMemory {
    /// The estimate for a segmenter on an encoder of images as large as those trained on.
    pub fn estimate(self, vit: &VitConfig, segmenter: &SegmenterConfig) -> Memory {
        let grid = vit.grid();
        let tokens = grid.patches();
        let encoder = match self.frozen {
            0 => {
                let seen = vec![tokens + 1; vit.depth];
                let fused = |_| self.kernels == Kernels::Fused;
                Memory::encoder_activations(vit, tokens + 1, &seen, fused, self.recompute)
            }
            // A frozen encoder keeps nothing.
            _ => 0,
        };
        let numbers = match segmenter.head {
            // The tokens before and after batch norm, logits, and the gradients of both.
            HeadKind::Linear => tokens * (3 * vit.embed_dim + 2 * segmenter.classes),
            HeadKind::Upernet => upernet(vit, &segmenter.upernet, segmenter.classes, tokens),
        };
        let [height, width] = vit.image_size;
        let image = vit.channels * height * width;
        Memory {
            state: 4 * (4 * self.trained + self.frozen) + self.cached,
            activations: (encoder + 4 * (numbers + image) as u64) * self.micro_batch as u64,
        }
    }
}

/// Numbers that neck and heads keep of an image: of each convolution its input, and what norm and activation after it keep.
fn upernet(vit: &VitConfig, config: &UperNetConfig, classes: usize, tokens: usize) -> usize {
    let width = vit.embed_dim;
    let channels = config.channels.unwrap_or(width);
    // Maps of the encoder; the finer ones, and of the finest what stands between.
    let neck = 4 * tokens * width + (3 * 4 + 16 + 4) * tokens * width;
    let pooled = (width + config.pool_scales.len() * channels) * tokens / 4;
    // On each of the three finer scales a lateral map, its sum and two convolutions with their norms.
    let scales = (16 + 4 + 1) * tokens * 6 * channels;
    // On the finest grid all four enlarged maps, side by side with their gradient, and the fused one with its norm.
    let fused = 16 * tokens * (3 * 4 * channels + 3 * channels + 3 * classes);
    let auxiliary = match config.auxiliary_weight > 0.0 {
        true => tokens * (3 * config.auxiliary_channels + 2 * classes),
        false => 0,
    };
    neck + pooled + scales + fused + auxiliary
}
