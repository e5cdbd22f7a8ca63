//! Stochastic depth: residual branches left out per sample (Huang et al., ECCV 2016).

use semaim_kernels::DropPathScales;
use semaim_random::{Key, KeyedRng, Stream};

/// The drawn branches of one batch.
///
/// A block has two residual branches (attention and MLP); each sample keeps a branch with probability
/// `1 - rate` and the kept branch is divided by that probability. The rate grows linearly from 0 at the first
/// block to `drop_path` at the last, as in timm.
#[derive(Clone, Debug)]
pub struct DropPath {
    /// By block.
    scales: Vec<DropPathScales>,
}

impl DropPath {
    /// Draws for the images `items` of `epoch`, or `None` when `drop_path` is zero.
    ///
    /// The draws depend on the seed, the epoch and the image alone.
    pub fn draw(
        drop_path: f64,
        depth: usize,
        seed: u64,
        epoch: u64,
        items: &[u64],
    ) -> Option<Self> {
        if drop_path <= 0.0 {
            return None;
        }
        let mut scales: Vec<DropPathScales> = (0..depth)
            .map(|_| DropPathScales {
                attention: Vec::new(),
                mlp: Vec::new(),
            })
            .collect();
        for &item in items {
            let mut draw = KeyedRng::new(Key::new(seed, epoch, item), Stream::DropPath);
            for (block, scales) in scales.iter_mut().enumerate() {
                let rate = drop_path * block as f64 / (depth.max(2) - 1) as f64;
                let mut factor = || {
                    if draw.bernoulli(rate) {
                        0.0
                    } else {
                        (1.0 / (1.0 - rate)) as f32
                    }
                };
                scales.attention.push(factor());
                scales.mlp.push(factor());
            }
        }
        Some(Self { scales })
    }

    /// The factors of one block's branches.
    pub(crate) fn block(&self, block: usize) -> Option<&DropPathScales> {
        self.scales.get(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_grows_with_depth_and_keeps_the_mean() {
        let items: Vec<u64> = (0..4000).collect();
        let drawn = DropPath::draw(0.4, 3, 1, 0, &items).unwrap();
        let values = |block: usize, branch: usize| {
            let scales = drawn.scales[block].clone();
            [scales.attention, scales.mlp][branch].clone()
        };
        assert!(values(0, 0).iter().all(|&v| v == 1.0));
        let last = values(2, 1);
        let dropped = last.iter().filter(|&&v| v == 0.0).count() as f64 / 4000.0;
        assert!((dropped - 0.4).abs() < 0.03, "{dropped}");
        let mean = last.iter().sum::<f32>() / 4000.0;
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
        assert_ne!(values(2, 0), last);
    }

    #[test]
    fn draws_belong_to_images_not_to_places_in_a_batch() {
        let draw = |items: &[u64]| {
            let drawn = DropPath::draw(0.5, 4, 1, 3, items).unwrap();
            drawn.scales[3].attention.clone()
        };
        let together = draw(&[5, 6, 7, 8]);
        assert_eq!(draw(&[7]), together[2..3]);
        assert!(DropPath::draw(0.0, 4, 1, 3, &[1]).is_none());
    }
}
