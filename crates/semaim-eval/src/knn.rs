//! Exact weighted k-nearest-neighbor classification (method, section 4).
//!
//! Features are brought to unit length; each of the k most similar bank images votes for its class with weight
//! exp(cosine / temperature). Queries and bank meet in blocks of matrix products, so memory does not grow with
//! queries × bank.

use burn::tensor::{Device, Tensor, TensorData};
use semaim::parameters::{WeightError, to_host};
use semaim_train::ranks;

use crate::accuracy::{Accuracy, HitCounter};

/// Rows of a block of queries and of the bank.
const QUERY_BLOCK: usize = 256;
const BANK_BLOCK: usize = 8_192;

/// Labeled features.
#[derive(Clone, Copy, Debug)]
pub struct Labeled<'a> {
    /// `[labels.len(), width]`, row by row.
    pub features: &'a [f32],
    /// The class of each row.
    pub labels: &'a [u32],
}

impl Labeled<'_> {
    /// Whether all numbers are finite. `which` says which vectors these are, for people.
    ///
    /// # Errors
    /// [`NotFinite`].
    pub fn check_finite(&self, which: &'static str) -> Result<(), NotFinite> {
        let width = self.features.len() / self.labels.len().max(1);
        let rows = self.features.chunks(width.max(1)).enumerate();
        let mut bad = rows.filter(|(_, row)| !row.iter().all(|value| value.is_finite()));
        match bad.next() {
            None => Ok(()),
            Some((first, _)) => Err(NotFinite {
                which,
                count: 1 + bad.count(),
                first,
            }),
        }
    }
}

/// Vectors with a number that is not finite: they can be neither ranked nor learned from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{count} of the {which} vectors hold a NaN or an infinity, the first of them number {first}; they cannot be used"
)]
pub struct NotFinite {
    /// Which vectors: `bank`, `query`, `training` or `test`.
    pub which: &'static str,
    /// How many.
    pub count: usize,
    /// The first, from 0.
    pub first: usize,
}

/// Why there is no accuracy.
#[derive(Debug, thiserror::Error)]
pub enum KnnError {
    /// No bank or no queries.
    #[error(
        "kNN needs labeled images in both: the bank has {bank}, {queries} are to be classified"
    )]
    Empty {
        /// Bank images.
        bank: usize,
        /// Queries.
        queries: usize,
    },
    /// k is larger than the bank.
    #[error("k = {k} is more than the {bank} images in the bank")]
    KTooLarge {
        /// Neighbors.
        k: usize,
        /// Bank images.
        bank: usize,
    },
    /// Rows of different length, or features that do not fill whole rows.
    #[error("the bank's features have {bank} values per image, the queries' {queries}")]
    Width {
        /// Values per bank image.
        bank: usize,
        /// Values per query.
        queries: usize,
    },
    /// A temperature that weighs nothing.
    #[error("the temperature must be above 0, it is {temperature}")]
    Temperature {
        /// The temperature.
        temperature: f64,
    },
    /// A vector with a number that is not finite.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] WeightError),
}

/// Classifies queries by their neighbors in a bank, for each k in `ks`. With fewer than five neighbors top-5 is among
/// the first k, as in DINO's evaluation.
///
/// Equal similarities go by the bank's order, equal votes by the class number; a class that no neighbor votes for is not found.
/// Several [ranks] take blocks of queries in turn, each with the whole bank, and all get what one process would.
///
/// # Errors
/// [`KnnError`].
pub fn knn(
    bank: Labeled<'_>,
    queries: Labeled<'_>,
    ks: &[usize],
    temperature: f64,
    device: &Device,
) -> Result<Vec<Accuracy>, KnnError> {
    let (banks, count) = (bank.labels.len(), queries.labels.len());
    if banks == 0 || count == 0 {
        return Err(KnnError::Empty {
            bank: banks,
            queries: count,
        });
    }
    let most = ks.iter().copied().max().unwrap_or(0);
    if most > banks || ks.contains(&0) {
        return Err(KnnError::KTooLarge {
            k: most,
            bank: banks,
        });
    }
    let width = bank.features.len() / banks;
    let widths_agree = width > 0
        && bank.features.len() == width * banks
        && queries.features.len() == width * count;
    if !widths_agree {
        return Err(KnnError::Width {
            bank: width,
            queries: queries.features.len() / count,
        });
    }
    if !(temperature.is_finite() && temperature > 0.0) {
        return Err(KnnError::Temperature { temperature });
    }
    bank.check_finite("bank")?;
    queries.check_finite("query")?;
    // Labels may be any numbers; votes are counted by their place among those there are.
    let mut classes: Vec<u32> = bank.labels.iter().chain(queries.labels).copied().collect();
    classes.sort_unstable();
    classes.dedup();
    let place = |label: &u32| classes.partition_point(|class| class < label);
    let bank_classes: Vec<usize> = bank.labels.iter().map(place).collect();
    let ranks = ranks::current();
    let mut hits = vec![HitCounter::default(); ks.len()];
    for (block, labels) in queries
        .features
        .chunks(QUERY_BLOCK * width)
        .zip(queries.labels.chunks(QUERY_BLOCK))
        .skip(ranks.rank())
        .step_by(ranks.count())
    {
        let neighbors = neighbors(bank.features, block, width, most, device)?;
        for (nearest, &label) in neighbors.iter().zip(labels) {
            for (&k, hit) in ks.iter().zip(&mut hits) {
                let votes = votes(&nearest[..k], &bank_classes, classes.len(), temperature);
                hit.add_among(rank(&votes, place(&label)), k.min(5));
            }
        }
    }
    let own: Vec<u8> = hits.iter().flat_map(|hits| hits.to_bytes()).collect();
    let all = ranks.all_gather(&own);
    let of_all = (0..ks.len()).map(|k| {
        let mut sum = HitCounter::default();
        for counts in all.iter().filter_map(|own| own.as_chunks().0.get(k)) {
            sum.add_counted(HitCounter::of_bytes(counts));
        }
        sum.accuracy()
    });
    Ok(of_all.collect())
}

/// A bank image and its cosine with a query.
#[derive(Clone, Copy)]
struct Neighbor {
    similarity: f32,
    index: usize,
}

/// Rows of vectors, those whose squares a number cannot hold brought to the size of 1 by a power of two, which leaves their direction as
/// it is.
fn squarable(rows: &[f32], width: usize) -> Vec<f32> {
    let mut rows = rows.to_vec();
    for row in rows.chunks_mut(width) {
        let largest = row
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        if largest > 0.0 && !(1e-15..=1e15).contains(&largest) {
            let by = 2.0_f64.powi(-largest.log2().round() as i32);
            row.iter_mut()
                .for_each(|value| *value = (f64::from(*value) * by) as f32);
        }
    }
    rows
}

/// The `k` most similar bank rows of each query row, most similar first.
fn neighbors(
    bank: &[f32],
    queries: &[f32],
    width: usize,
    k: usize,
    device: &Device,
) -> Result<Vec<Vec<Neighbor>>, KnnError> {
    let count = queries.len() / width;
    let unit = |rows: &[f32]| {
        let data = TensorData::new(squarable(rows, width), [rows.len() / width, width]);
        let rows = Tensor::<2>::from_data(data, device);
        let length = rows
            .clone()
            .powi_scalar(2)
            .sum_dim(1)
            .sqrt()
            .clamp_min(1e-12);
        rows / length
    };
    let queries = unit(queries);
    let mut best: Vec<Vec<Neighbor>> = vec![Vec::with_capacity(2 * k); count];
    for (block, rows) in bank.chunks(BANK_BLOCK * width).enumerate() {
        let rows = unit(rows);
        let [in_block, _] = rows.dims();
        let similarities =
            to_host("similarities", queries.clone().matmul(rows.transpose()))?.values;
        for (best, row) in best.iter_mut().zip(similarities.chunks(in_block)) {
            let first = block * BANK_BLOCK;
            // What is no closer than all that are kept needs no further look: the bank's order decides between equals.
            let farthest = |best: &[Neighbor]| match best.len() < k {
                true => f32::NEG_INFINITY,
                false => best
                    .iter()
                    .fold(f32::INFINITY, |far, n| far.min(n.similarity)),
            };
            let mut bound = farthest(best);
            for (offset, &similarity) in row.iter().enumerate() {
                if similarity <= bound {
                    continue;
                }
                // Thinned out whenever twice as many as needed have gathered: constant work per row.
                if best.len() >= 2 * k {
                    keep_best(best, k);
                    bound = farthest(best);
                }
                best.push(Neighbor {
                    similarity,
                    index: first + offset,
                });
            }
            keep_best(best, k);
        }
    }
    for best in &mut best {
        best.sort_by(closer);
    }
    Ok(best)
}

fn closer(a: &Neighbor, b: &Neighbor) -> std::cmp::Ordering {
    b.similarity
        .total_cmp(&a.similarity)
        .then(a.index.cmp(&b.index))
}

fn keep_best(neighbors: &mut Vec<Neighbor>, k: usize) {
    if neighbors.len() > k {
        neighbors.select_nth_unstable_by(k - 1, closer);
        neighbors.truncate(k);
    }
}

/// What each class gets from the nearest bank images; below 0 where it gets none.
fn votes(
    nearest: &[Neighbor],
    bank_classes: &[usize],
    classes: usize,
    temperature: f64,
) -> Vec<f64> {
    // Relative to the nearest, which changes no order among the classes: at small temperatures `exp(similarity / temperature)` is
    // beyond every number.
    let similarities = nearest.iter().map(|neighbor| neighbor.similarity);
    let largest = similarities.fold(f32::NEG_INFINITY, f32::max);
    let mut votes = vec![-1.0; classes];
    for neighbor in nearest {
        let behind = f64::from(neighbor.similarity) - f64::from(largest);
        let votes: &mut f64 = &mut votes[bank_classes[neighbor.index]];
        // At small temperatures a vote may be too small for a number, and is one all the same.
        *votes = f64::max(*votes, 0.0) + (behind / temperature).exp();
    }
    votes
}

/// How many classes stand before one; `usize::MAX` for one without a vote.
fn rank(votes: &[f64], class: usize) -> usize {
    let own = votes[class];
    // DINO's published evaluation takes the first five of all classes. Where neighbors vote for fewer, those without a vote fill
    // the places by their numbers, so that it counts images as found of which no neighbor says anything, and other ones where the
    // same classes have other numbers. What nobody voted for is no answer here.
    if own < 0.0 {
        return usize::MAX;
    }
    let ahead = |(other, &vote): (usize, &f64)| vote > own || (vote == own && other < class);
    votes.iter().enumerate().filter(|&pair| ahead(pair)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_small_temperatures_the_nearest_decides() {
        let neighbor = |index, similarity| Neighbor { index, similarity };
        let nearest = [neighbor(0, 0.99), neighbor(1, 0.98), neighbor(2, 0.97)];
        for temperature in [1e-2, 1e-3, 1e-5, 1e-300] {
            let votes = votes(&nearest, &[1, 0, 0], 2, temperature);
            assert_eq!(rank(&votes, 1), 0, "{temperature}: {votes:?}");
            // However small, a vote is one.
            assert_eq!(rank(&votes, 0), 1, "{temperature}: {votes:?}");
        }
        // At large ones two are more than one.
        assert_eq!(rank(&votes(&nearest, &[1, 0, 0], 2, 1.0), 1), 1);
    }

    #[test]
    fn a_class_that_no_neighbor_votes_for_is_not_found_whatever_its_number() {
        let bank: [f32; 10] = [1.0, 0.0, 0.9, 0.1, 0.8, 0.2, 0.0, 1.0, -1.0, 0.1];
        let query: [f32; 2] = [1.0, 0.0];
        let found = |labels: [u32; 5], class: u32| {
            let bank = Labeled {
                features: &bank,
                labels: &labels,
            };
            let query = Labeled {
                features: &query,
                labels: &[class],
            };
            let accuracy = knn(bank, query, &[3], 0.07, &Device::flex()).unwrap()[0];
            (accuracy.top1, accuracy.top5)
        };
        // Of the last two rows none is among the three nearest.
        for labels in [[5, 5, 6, 1, 9], [5, 5, 6, 9, 1], [1, 1, 0, 5, 6]] {
            let [most, _, second, unseen, other] = labels;
            assert_eq!(found(labels, most), (1.0, 1.0), "{labels:?}");
            assert_eq!(found(labels, second), (0.0, 1.0), "{labels:?}");
            assert_eq!(found(labels, unseen), (0.0, 0.0), "{labels:?}");
            assert_eq!(found(labels, other), (0.0, 0.0), "{labels:?}");
        }
    }

    #[test]
    fn neighbors_cross_the_blocks_of_the_bank() {
        let device = Device::flex();
        let banks = BANK_BLOCK + 10;
        // Angles fall with the index, so the nearest to the last direction are the last rows.
        let bank: Vec<f32> = (0..banks)
            .flat_map(|i| {
                let angle = 1.5 * i as f32 / banks as f32;
                [angle.cos() * 3.0, angle.sin() * 3.0]
            })
            .collect();
        let labels: Vec<u32> = (0..banks).map(|i| u32::from(i >= BANK_BLOCK - 5)).collect();
        let query = [1.5_f32.cos(), 1.5_f32.sin()];
        let accuracy = knn(
            Labeled {
                features: &bank,
                labels: &labels,
            },
            Labeled {
                features: &query,
                labels: &[1],
            },
            &[1, 15],
            0.07,
            &device,
        )
        .unwrap();
        assert_eq!(
            accuracy[1],
            Accuracy {
                top1: 1.0,
                top5: 1.0
            }
        );
        let nearest = neighbors(&bank, &query, 2, 3, &device).unwrap();
        let indices: Vec<usize> = nearest[0].iter().map(|n| n.index).collect();
        assert_eq!(indices, [banks - 1, banks - 2, banks - 3]);
    }

    #[test]
    fn labels_may_be_any_numbers() {
        let labels = [u32::MAX, 7];
        let set = Labeled {
            features: &[1.0, 0.0, 0.0, 1.0],
            labels: &labels,
        };
        let accuracy = knn(set, set, &[1], 0.07, &Device::flex()).unwrap();
        assert_eq!(accuracy[0].top1, 1.0);
    }

    #[test]
    fn bad_sizes_are_errors() {
        let device = Device::flex();
        let two = Labeled {
            features: &[1.0, 0.0, 0.0, 1.0],
            labels: &[0, 1],
        };
        let none = Labeled {
            features: &[],
            labels: &[],
        };
        let odd = Labeled {
            features: &[1.0, 0.0, 0.0],
            labels: &[0],
        };
        for temperature in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            assert!(matches!(
                knn(two, two, &[1], temperature, &device),
                Err(KnnError::Temperature { .. })
            ));
        }
        let broken = Labeled {
            features: &[1.0, 0.0, 0.0, f32::NAN],
            labels: &[0, 1],
        };
        for (bank, queries, named) in [(broken, two, "bank"), (two, broken, "query")] {
            match knn(bank, queries, &[1], 0.07, &device) {
                Err(KnnError::NotFinite(NotFinite {
                    which,
                    count: 1,
                    first: 1,
                })) => assert_eq!(which, named),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(
            knn(none, two, &[1], 0.07, &device),
            Err(KnnError::Empty { .. })
        ));
        assert!(matches!(
            knn(two, two, &[3], 0.07, &device),
            Err(KnnError::KTooLarge { k: 3, bank: 2 })
        ));
        assert!(matches!(
            knn(two, odd, &[1], 0.07, &device),
            Err(KnnError::Width { .. })
        ));
    }
}
