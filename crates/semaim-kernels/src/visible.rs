//! Who sees whom, for tokens that stand in the order of prediction.

use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Tensor, TensorData};

/// What is added to a score that must not count. Its exponential is exactly zero in `f32`, and unlike an
/// infinity it can never turn into a NaN.
const HIDDEN: f32 = -1e30;

/// How many tokens each looking token sees: a prefix of those looked at.
///
/// When tokens stand in the order of prediction, what comes before a token is what it sees. A fused operation does not
/// compute the rest; a composed one adds a bias to the scores.
#[derive(Clone, Debug)]
pub struct Visible {
    counts: Arc<Vec<u32>>,
    samples: usize,
    seen: usize,
    bias: Arc<OnceLock<Tensor<4>>>,
}

impl Visible {
    /// From counts `[samples, looking]`, each at least 1 and at most `seen`, the number of tokens looked at; counts
    /// outside are taken for the nearest inside.
    pub fn new(mut counts: Vec<u32>, samples: usize, seen: usize) -> Self {
        for count in &mut counts {
            *count = (*count).clamp(1, seen.clamp(1, u32::MAX as usize) as u32);
        }
        Self {
            counts: Arc::new(counts),
            samples,
            seen,
            bias: Arc::default(),
        }
    }

    /// How many tokens each token sees, `[samples, looking]`.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// As [`Visible::counts`], to be kept.
    pub(crate) fn shared(&self) -> Arc<Vec<u32>> {
        Arc::clone(&self.counts)
    }

    /// Number of tokens looked at.
    pub(crate) fn seen(&self) -> usize {
        self.seen
    }

    /// The bias of scores, `[samples, 1, looking, seen]`: zero where a token is visible, hugely negative where not.
    pub(crate) fn bias(&self, device: &Device) -> Tensor<4> {
        let bias = self.bias.get_or_init(|| {
            let values: Vec<f32> = self
                .counts
                .iter()
                .flat_map(|&count| {
                    (0..self.seen).map(move |j| if j < count as usize { 0.0 } else { HIDDEN })
                })
                .collect();
            let looking = self.counts.len() / self.samples.max(1);
            Tensor::from_data(
                TensorData::new(values, [self.samples, 1, looking, self.seen]),
                device,
            )
        });
        bias.clone()
    }
}
