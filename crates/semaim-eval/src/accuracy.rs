//! Top-1 and top-5 accuracy.

use serde::{Deserialize, Serialize};

/// Share of images whose class came first, and among the first five, in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// First.
    pub top1: f64,
    /// Among the first five.
    pub top5: f64,
}

/// Counts hits over images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HitCounter {
    images: u64,
    top1: u64,
    top5: u64,
}

impl HitCounter {
    /// Counts an image whose class has `rank` others before it.
    pub fn add(&mut self, rank: usize) {
        self.add_among(rank, 5);
    }

    /// The same where only the first `depth` classes, five or fewer, count as found.
    pub fn add_among(&mut self, rank: usize, depth: usize) {
        self.images += 1;
        self.top1 += u64::from(rank == 0);
        self.top5 += u64::from(rank < depth);
    }

    /// Adds what another has counted.
    pub(crate) fn add_counted(&mut self, other: Self) {
        self.images += other.images;
        self.top1 += other.top1;
        self.top5 += other.top5;
    }

    /// The counts as a message.
    pub(crate) fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let counts = [self.images, self.top1, self.top5];
        for (bytes, count) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(counts) {
            *bytes = count.to_le_bytes();
        }
        bytes
    }

    /// The counts of a message.
    pub(crate) fn of_bytes(bytes: &[u8; 24]) -> Self {
        let mut counts = bytes.as_chunks::<8>().0.iter().copied();
        let mut next = || counts.next().map_or(0, u64::from_le_bytes);
        Self {
            images: next(),
            top1: next(),
            top5: next(),
        }
    }

    /// Images counted.
    pub fn images(&self) -> u64 {
        self.images
    }

    /// The shares; zeros where nothing was counted.
    pub fn accuracy(&self) -> Accuracy {
        let share = |hits: u64| hits as f64 / self.images.max(1) as f64;
        Accuracy {
            top1: share(self.top1),
            top5: share(self.top5),
        }
    }
}

/// How many classes have a larger logit than the true one, or an equal one and a smaller number; a logit that is no
/// number beats nothing.
pub(crate) fn rank_of_label(logits: &[f32], label: usize) -> usize {
    let Some(&own) = logits.get(label) else {
        return usize::MAX;
    };
    let ahead = |(class, &other): (usize, &f32)| {
        other > own || own.is_nan() || (other == own && class < label)
    };
    logits
        .iter()
        .enumerate()
        .filter(|&pair| ahead(pair))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_by_number_and_what_is_no_number_loses() {
        let logits = [1.0, 3.0, 3.0, f32::NAN];
        let ranks: Vec<usize> = (0..5).map(|label| rank_of_label(&logits, label)).collect();
        assert_eq!(ranks, [2, 0, 1, 4, usize::MAX]);
        let mut hits = HitCounter::default();
        for rank in [0, 4, 5, usize::MAX] {
            hits.add(rank);
        }
        let accuracy = hits.accuracy();
        assert_eq!((accuracy.top1, accuracy.top5), (0.25, 0.5));
    }
}
