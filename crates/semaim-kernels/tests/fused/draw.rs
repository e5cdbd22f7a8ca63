//! Random sizes and tensors with fixed seeds.

use burn::tensor::{Device, Tensor, TensorData};
use semaim_random::{Key, KeyedRng, Stream};

/// A stream of random numbers.
pub(crate) struct Numbers(KeyedRng);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(KeyedRng::new(Key::new(seed, 0, 0), Stream::Init))
    }

    /// A whole number from `low` to `high`, both included.
    pub(crate) fn whole(&mut self, low: usize, high: usize) -> usize {
        low + (self.0.uniform() * (high - low + 1) as f32) as usize
    }

    pub(crate) fn bernoulli(&mut self, probability: f64) -> bool {
        self.0.bernoulli(probability)
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.whole(0, choices.len() - 1)]
    }

    pub(crate) fn normal(&mut self) -> f32 {
        self.0.normal() as f32
    }

    /// Normal numbers with this standard deviation.
    pub(crate) fn values(&mut self, count: usize, deviation: f64) -> Vec<f32> {
        (0..count)
            .map(|_| (deviation * self.0.normal()) as f32)
            .collect()
    }

    /// A normal tensor with this standard deviation, on a device that records gradients.
    pub(crate) fn tensor<const D: usize>(
        &mut self,
        shape: [usize; D],
        deviation: f64,
    ) -> Tensor<D> {
        let values = self.values(shape.iter().product(), deviation);
        Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
    }

    /// How many tokens each token attends to, after ranks with many ties.
    pub(crate) fn prefix_lens(
        &mut self,
        samples: usize,
        query_len: usize,
        key_len: usize,
    ) -> Vec<u32> {
        let ties = self.whole(1, key_len);
        let mut counts = Vec::new();
        for _ in 0..samples {
            let mut sample: Vec<u32> = (0..query_len)
                .map(|_| (1 + self.whole(0, key_len - 1) / ties * ties).min(key_len) as u32)
                .collect();
            // Mostly as the method has them, sometimes in any order.
            if self.bernoulli(0.8) {
                sample.sort_unstable();
            }
            counts.extend(sample);
        }
        counts
    }
}
