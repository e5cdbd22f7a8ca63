//! The order of the images in an epoch, and who stands in for a broken one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use semaim_random::{Key, KeyedRng, Stream};

/// How many permutations are kept: batches of two epochs can be in preparation at the same time.
const KEPT: usize = 2;

/// The permutations of the images `0..len`, one per epoch, computed when first asked for.
#[derive(Debug)]
pub(crate) struct Permutations {
    seed: u64,
    len: u32,
    recent: Mutex<VecDeque<(u64, Arc<[u32]>)>>,
}

impl Permutations {
    pub(crate) fn new(seed: u64, len: u32) -> Self {
        Self {
            seed,
            len,
            recent: Mutex::new(VecDeque::new()),
        }
    }

    /// The permutation of an epoch.
    pub(crate) fn of(&self, epoch: u64) -> Arc<[u32]> {
        // Computed under the lock on purpose: other workers want the same permutation and would only repeat the work.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = recent.iter().find(|(e, _)| *e == epoch) {
            return Arc::clone(known);
        }
        let mut order: Vec<u32> = (0..self.len).collect();
        KeyedRng::new(Key::new(self.seed, epoch, 0), Stream::Shuffle).shuffle(&mut order);
        let order: Arc<[u32]> = order.into();
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back((epoch, Arc::clone(&order)));
        order
    }

    /// How far apart, in the permutation, the candidates for `position` of `epoch` are.
    ///
    /// It has no common divisor with the number of images, so walking on meets every image once.
    pub(crate) fn stride(&self, epoch: u64, position: u64) -> u64 {
        let len = u64::from(self.len);
        if len < 2 {
            return 1;
        }
        // Item 0 is the permutation itself.
        let mut rng = KeyedRng::new(
            Key::new(self.seed, epoch, position.wrapping_add(1)),
            Stream::Shuffle,
        );
        let mut stride = 1 + rng.below(len - 1);
        while greatest_common_divisor(stride, len) != 1 {
            stride = stride % len + 1;
        }
        stride
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_differ_and_repeat() {
        let permutations = Permutations::new(3, 100);
        let first = permutations.of(0);
        assert_ne!(first, permutations.of(1));
        assert_ne!(first, permutations.of(2));
        // Epoch 0 has been dropped by now and is computed again.
        assert_eq!(first, permutations.of(0));
        assert_ne!(first, Permutations::new(4, 100).of(0));
        let mut sorted = first.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<u32>>());
    }

    #[test]
    fn walking_on_meets_everyone() {
        let permutations = Permutations::new(3, 60);
        for position in 0..50 {
            let stride = permutations.stride(7, position);
            let mut seen: Vec<u64> = (0..60).map(|k| (position + k * stride) % 60).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 60, "stride {stride}");
        }
        let strides: Vec<u64> = (0..20).map(|p| permutations.stride(0, p)).collect();
        assert!(strides.iter().any(|s| *s != strides[0]));
        assert_eq!(Permutations::new(3, 1).stride(0, 0), 1);
        assert_eq!(Permutations::new(3, 2).stride(0, 0), 1);
    }
}
