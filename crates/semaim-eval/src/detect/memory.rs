//! How much memory the training of a detector needs, estimated before it starts.

use semaim::config::VitConfig;
use semaim_detect::config::{DetectorConfig, RegionConfig};
use semaim_kernels::{Kernels, Recompute};
use semaim_train::memory::Memory;

/// A detector's trainable size, and how it is trained.
#[derive(Clone, Copy, Debug)]
pub struct DetectMemory {
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
}

impl DetectMemory {
    /// The estimate for a detector on an encoder.
    pub fn estimate(self, vit: &VitConfig, detector: &DetectorConfig) -> Memory {
        let side = detector.canvas / vit.patch_size;
        let tokens = side * side;
        // A frozen encoder keeps nothing.
        let encoder = match self.frozen {
            0 => self.encoder(vit, detector, side),
            _ => 0,
        };
        let numbers = pyramid(vit, detector, tokens) + proposals(detector, tokens);
        let regions = regions(
            &detector.regions,
            detector.pyramid_channels,
            detector.classes,
        );
        let image = (vit.channels * detector.canvas * detector.canvas) as u64;
        Memory {
            state: 4 * (4 * self.trained + self.frozen),
            activations: (encoder + 4 * (numbers + regions + image)) * self.micro_batch as u64,
        }
    }

    fn encoder(self, vit: &VitConfig, detector: &DetectorConfig, side: usize) -> u64 {
        let attention = &detector.attention;
        let window = |block: usize| attention.window_of(block, vit.depth);
        let seen = |block: usize| window(block).map_or(side * side, |window| window * window);
        let seen: Vec<usize> = (0..vit.depth).map(seen).collect();
        // As `WindowBlock` decides.
        let fused = |block: usize| {
            let fills = window(block).is_none_or(|window| side.is_multiple_of(window));
            self.kernels == Kernels::Fused && !attention.relative_positions && fills
        };
        Memory::encoder_activations(vit, side * side, &seen, fused, self.recompute)
    }
}

/// Numbers that maps of all scales keep: of each convolution and transposed convolution its input, and what norm and activation
/// after it keep.
fn pyramid(vit: &VitConfig, detector: &DetectorConfig, tokens: usize) -> u64 {
    let (d, c) = (vit.embed_dim, detector.pyramid_channels);
    // To twice the side and half the channels, its norm and activation, and again; then to twice the side for the next scale.
    let finer = 3 * 4 * tokens * d / 2 + 16 * tokens * d / 4 + 4 * tokens * d / 2;
    // On every scale two convolutions, each with its norm.
    let scales = 16 * tokens + 4 * tokens + tokens + tokens / 4;
    (finer + 4 * scales * c + tokens * d) as u64
}

/// Numbers that the head of proposals keeps: its convolutions before and after their activation, and their gradient.
fn proposals(detector: &DetectorConfig, tokens: usize) -> u64 {
    let positions = 16 * tokens + 4 * tokens + tokens + tokens / 4 + tokens / 16;
    let anchors = detector.proposals.aspect_ratios.len();
    let kept = 2 * detector.proposals.convolutions * detector.pyramid_channels + 3 * 5 * anchors;
    (positions * kept) as u64
}

/// Numbers that the heads of regions keep.
fn regions(config: &RegionConfig, channels: usize, classes: usize) -> u64 {
    let foreground = (config.samples as f64 * config.foreground_fraction).ceil() as usize;
    // Convolution, norm and activation.
    let stack = |convolutions: usize| channels + 3 * convolutions * config.channels;
    let boxes = config.box_bins * config.box_bins * stack(config.box_convolutions);
    let boxes = config.samples * (boxes + 2 * config.box_hidden + 5 * classes);
    let cells = config.mask_bins * config.mask_bins;
    // Four times as many cells: transposed convolution, activation, a map for each class and its gradient.
    let masks = stack(config.mask_convolutions) + 4 * (2 * config.channels + 2 * classes);
    (boxes + foreground * cells * masks) as u64
}
