//! Sums over the parts of a step's batch that several [`Ranks`] computed.
//!
//! Parts are taken in turn, a round of one part of each rank after the other. Each rank adds up a piece of all gradients, part by part
//! in rank order: the order of one process, to the bit.

use std::hash::{DefaultHasher, Hash, Hasher};

use burn::tensor::{Device, Tensor, TensorData};
use semaim::parameters::to_host;
use semaim_data::BadImage;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::gradients::Gradients;
use crate::loss_values::LossValues;
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

/// This rank's piece of the sum of all gradients.
#[derive(Default)]
pub(crate) struct ShardedSum {
    /// Names and sizes of all gradients, by name.
    layout: Vec<(String, usize)>,
    shard: Option<Vec<f32>>,
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
        let mut all = Vec::new();
        for message in ranks.all_gather(&message).into_iter().take(parts) {
            let told: Told =
                serde_json::from_slice(&message).map_err(|error| broken(&error.to_string()))?;
            all.push(told);
        }
        // Of all ranks, and of the parts before this one.
        let layout = number_of(&self.layout);
        if all.iter().any(|told| told.layout != layout) {
            return Err(broken(
                "parts of a batch have gradients of different weights",
            ));
        }
        let shards = shards(self.total(), ranks.count());
        let shard = shards[ranks.rank()];
        let send = match flat.is_empty() {
            true => vec![0; shards.len()],
            false => shards,
        };
        let received: Vec<usize> = (0..ranks.count())
            .map(|rank| if rank < parts { shard } else { 0 })
            .collect();
        let numbers = ranks.all_to_all(&flat, &send, &received);
        for part in numbers.chunks(shard.max(1)) {
            match &mut self.shard {
                None => self.shard = Some(part.to_vec()),
                Some(sum) => sum
                    .iter_mut()
                    .zip(part)
                    .for_each(|(sum, value)| *sum += value),
            }
        }
        Ok(all)
    }

    /// The gradients of the whole batch, on a device.
    pub(crate) fn finish(self, ranks: &dyn Ranks, device: &Device) -> Gradients {
        let lengths = shards(self.total(), ranks.count());
        let own = self.shard.unwrap_or_default();
        let flat = ranks.all_gather_numbers(&own, &lengths);
        let mut rest = flat.as_slice();
        let by_name = self.layout.into_iter().map(|(name, size)| {
            let (values, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            let data = TensorData::new(values.to_vec(), [values.len()]);
            (name, Tensor::from_data(data, device))
        });
        Gradients::from_iter(by_name)
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
