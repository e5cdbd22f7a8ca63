//! Sums over the parts of a step's batch that several [`Ranks`] computed.
//!
//! Parts are taken in turn, a round of one part of each rank after the other. Each rank adds up a piece of all gradients, part by part
//! in rank order: the order of one process, to the bit.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use semaim::parameters::to_host;
use semaim_data::BadImage;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::gradients::Gradients;
use crate::loss_values::{LossValues, TogetherTime};
use crate::ranks::Ranks;

/// What a rank tells of its part beside the gradients.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The bits of the loss and its parts, which may be no numbers.
    loss: Vec<u64>,
    /// Images in the part.
    pub(crate) images: usize,
    /// Images that could not be read: number, name, error.
    pub(crate) bad: Vec<(u64, String, String)>,
    /// A number of the names and sizes of what has gradients.
    layout: u64,
}

impl Told {
    pub(crate) fn new(loss: &LossValues, images: usize, bad: &[BadImage]) -> Self {
        let parts = loss.parts.iter().map(|(_, value)| *value);
        let bad = bad
            .iter()
            .map(|b| (b.item, b.name.clone(), b.error.clone()));
        Self {
            loss: std::iter::once(loss.total)
                .chain(parts)
                .map(f64::to_bits)
                .collect(),
            images,
            bad: bad.collect(),
            layout: 0,
        }
    }

    /// The loss, whose parts have these names.
    pub(crate) fn loss(&self, names: &[&'static str]) -> LossValues {
        let mut values = self.loss.iter().copied().map(f64::from_bits);
        LossValues {
            total: values.next().unwrap_or(f64::NAN),
            parts: names.iter().copied().zip(values).collect(),
        }
    }

    pub(crate) fn bad_images(self) -> impl Iterator<Item = BadImage> {
        let image = |(item, name, error)| BadImage { item, name, error };
        self.bad.into_iter().map(image)
    }
}

/// Numbers of each rank's piece that are exchanged together: 16 MB.
const CHUNK: usize = 1 << 22;

/// This rank's piece of the sum of all gradients.
#[derive(Default)]
pub(crate) struct ShardedSum {
    /// Names and sizes of all gradients, by name.
    layout: Vec<(String, usize)>,
    /// The sum of the parts so far; empty before the first.
    shard: Vec<f32>,
    /// What it took.
    time: TogetherTime,
}

impl ShardedSum {
    /// Adds a round: the gradients of this rank's part, `share` of the batch's, if it has one, as have the first `parts` ranks. Gives
    /// what each of them tells.
    pub(crate) fn add(
        &mut self,
        ranks: &dyn Ranks,
        own: Option<(Gradients, Told)>,
        parts: usize,
    ) -> Result<Vec<Told>, TrainError> {
        let broken = |text: &str| TrainError::Internal(format!("ranks: {text}"));
        let start = Instant::now();
        let (mut flat, mut message) = (Vec::new(), Vec::new());
        if let Some((gradients, mut told)) = own {
            let layout = layout(&gradients);
            told.layout = number_of(&layout);
            if self.layout.is_empty() {
                self.layout = layout;
            }
            for (name, gradient) in gradients.iter() {
                flat.extend(to_host(name, gradient.clone())?.values);
            }
            message = serde_json::to_vec(&told).map_err(|error| broken(&error.to_string()))?;
        }
        self.time.exchange += start.elapsed();
        let start = Instant::now();
        let mut all = Vec::new();
        for message in ranks.all_gather(&message).into_iter().take(parts) {
            let told: Told =
                serde_json::from_slice(&message).map_err(|error| broken(&error.to_string()))?;
            all.push(told);
        }
        // Everybody is here.
        self.time.waiting += start.elapsed();
        // Of all ranks, and of the parts before this one.
        let layout = number_of(&self.layout);
        if all.iter().any(|told| told.layout != layout) {
            return Err(broken(
                "parts of a batch have gradients of different weights",
            ));
        }
        let start = Instant::now();
        self.exchange(ranks, &flat, parts, CHUNK);
        self.time.exchange += start.elapsed();
        Ok(all)
    }

    /// Gives each rank its piece of what this one has, if anything, and adds up the pieces of the first `parts` ranks. In chunks,
    /// as a model's gradients several times over have no room.
    fn exchange(&mut self, ranks: &dyn Ranks, flat: &[f32], parts: usize, chunk: usize) {
        let shards = shards(self.total(), ranks.count());
        let starts = shards.iter().scan(0, |next, length| {
            let start = *next;
            *next += length;
            Some(start)
        });
        let starts: Vec<usize> = starts.collect();
        let is_first = self.shard.is_empty();
        self.shard.reserve_exact(shards[ranks.rank()]);
        let longest = shards.iter().copied().max().unwrap_or(0);
        for from in (0..longest).step_by(chunk) {
            let lengths = shards.iter().map(|length| length.saturating_sub(from));
            let lengths: Vec<usize> = lengths.map(|left| left.min(chunk)).collect();
            let (mut sent, mut send) = (Vec::new(), vec![0; lengths.len()]);
            if !flat.is_empty() {
                for (start, length) in starts.iter().zip(&lengths) {
                    // Shorter pieces end before.
                    let start = (start + from).min(flat.len());
                    sent.extend_from_slice(&flat[start..][..*length]);
                }
                send.clone_from(&lengths);
            }
            let own = lengths[ranks.rank()];
            let received: Vec<usize> = (0..ranks.count())
                .map(|rank| if rank < parts { own } else { 0 })
                .collect();
            let numbers = ranks.all_to_all(&sent, &send, &received);
            let mut of_parts = numbers.chunks(own.max(1));
            // The first is taken as it is: a sum that begins with zero would turn -0 into 0.
            if is_first && let Some(part) = of_parts.next() {
                self.shard.extend_from_slice(part);
            }
            for part in of_parts {
                let sum = self.shard.iter_mut().skip(from);
                sum.zip(part).for_each(|(sum, value)| *sum += value);
            }
        }
    }

    /// The gradients of the whole batch, on a device.
    pub(crate) fn finish(self, ranks: &dyn Ranks, device: &Device) -> (Gradients, TogetherTime) {
        let start = Instant::now();
        let lengths = shards(self.total(), ranks.count());
        let flat = ranks.all_gather_numbers(&self.shard, &lengths);
        let mut time = self.time;
        time.exchange += start.elapsed();
        let mut rest = flat.as_slice();
        let by_name = self.layout.into_iter().map(|(name, size)| {
            let (values, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            let data = TensorData::new(values.to_vec(), [values.len()]);
            (name, Tensor::from_data(data, device))
        });
        (Gradients::from_iter(by_name), time)
    }

    fn total(&self) -> usize {
        self.layout.iter().map(|(_, size)| size).sum()
    }
}

fn layout(gradients: &Gradients) -> Vec<(String, usize)> {
    let sizes = gradients.iter().map(|(name, gradient)| {
        let [values] = gradient.dims();
        (name.to_string(), values)
    });
    sizes.collect()
}

/// The same for the same names and sizes, in all processes of a program.
fn number_of(layout: &[(String, usize)]) -> u64 {
    let mut hasher = DefaultHasher::new();
    layout.hash(&mut hasher);
    hasher.finish()
}

/// How many numbers of `total` each of `count` ranks adds up.
fn shards(total: usize, count: usize) -> Vec<usize> {
    let each = total.div_ceil(count.max(1));
    (0..count)
        .map(|rank| total.saturating_sub(rank * each).min(each))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of three ranks whose gradients are all the same.
    #[derive(Debug)]
    struct Alike(usize);

    impl Ranks for Alike {
        fn rank(&self) -> usize {
            self.0
        }

        fn count(&self) -> usize {
            3
        }

        fn all_gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
            vec![own.to_vec(); 3]
        }

        fn all_to_all(&self, numbers: &[f32], lengths: &[usize], received: &[usize]) -> Vec<f32> {
            assert_eq!(numbers.len(), lengths.iter().sum::<usize>());
            let start: usize = lengths[..self.0].iter().sum();
            let own = &numbers[start..][..lengths[self.0]];
            let of_rank = |received: &usize| own[..*received].to_vec();
            received.iter().flat_map(of_rank).collect()
        }

        fn all_gather_numbers(&self, own: &[f32], _: &[usize]) -> Vec<f32> {
            own.to_vec()
        }
    }

    #[test]
    fn pieces_of_any_size_add_up_to_the_same() {
        for total in [1, 3, 8, 10] {
            let flat: Vec<f32> = (0..total).map(|i| i as f32 - 4.0).collect();
            for parts in [1, 2, 3] {
                let expected: Vec<f32> = flat.iter().map(|v| v * parts as f32).collect();
                for chunk in [1, 2, 3, 100] {
                    let mut found = Vec::new();
                    for rank in 0..3 {
                        let mut sum = ShardedSum {
                            layout: vec![("weight".into(), total)],
                            ..ShardedSum::default()
                        };
                        sum.exchange(&Alike(rank), &flat, parts, chunk);
                        found.extend(sum.shard);
                    }
                    assert_eq!(found, expected, "{parts} parts in chunks of {chunk}");
                }
            }
        }
    }

    #[test]
    fn zeros_keep_their_sign() {
        let mut sum = ShardedSum {
            layout: vec![("weight".into(), 1)],
            ..ShardedSum::default()
        };
        sum.exchange(&Alike(0), &[-0.0], 2, CHUNK);
        assert_eq!(sum.shard[0].to_bits(), (-0.0_f32).to_bits());
    }
}
