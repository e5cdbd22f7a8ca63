//! What the images of a set are like: means and deviations of channels, sizes, images that cannot be read, and images that are
//! there more than once.

mod image;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::batch::{BadImage, Batch};
use crate::error::LoaderError;
use crate::prefetch::{BatchPlan, Delivery, Prepared, Used};
use crate::region::DecodeRequest;
use crate::scratch::Scratch;
use crate::source::Source;

pub use image::{ImageChannel, ImageStatistics};

/// Images per batch.
const BATCH: usize = 16;
/// Batches that are measured ahead.
const AHEAD: usize = 8;

/// Measures the images of a source on worker threads and delivers them in order.
#[derive(Debug)]
pub struct StatisticsLoader {
    delivery: Delivery<MeasuringPlan>,
}

impl StatisticsLoader {
    /// Starts the worker threads (0: one per core). They have no influence on what is delivered.
    pub fn start(source: Arc<dyn Source>, workers: usize) -> Self {
        Self {
            delivery: Delivery::start(Ok(MeasuringPlan { source }), workers, AHEAD),
        }
    }
}

impl Iterator for StatisticsLoader {
    type Item = Result<Batch<ImageStatistics>, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.delivery.next()
    }
}

struct MeasuringPlan {
    source: Arc<dyn Source>,
}

impl BatchPlan for MeasuringPlan {
    type Target = ImageStatistics;

    fn batches(&self) -> u64 {
        self.source.len().div_ceil(BATCH) as u64
    }

    fn slots(&self, sequence: u64) -> usize {
        let before = sequence as usize * BATCH;
        BATCH.min(self.source.len().saturating_sub(before))
    }

    fn position(&self, sequence: u64) -> (u64, u64) {
        (0, sequence)
    }

    fn view_len(&self) -> usize {
        0
    }

    fn fill(
        &self,
        sequence: u64,
        slot: usize,
        scratch: &mut Scratch,
        _: &mut [f32],
    ) -> Result<Prepared<ImageStatistics>, LoaderError> {
        let index = sequence as usize * BATCH + slot;
        let item = index as u64;
        let decoded = self
            .source
            .decode(index, &mut DecodeRequest::whole, scratch);
        Ok(match decoded {
            Ok(decoded) => {
                let target = ImageStatistics::of(&decoded.pixels);
                scratch.decoding.reuse(decoded.pixels);
                let used = Used {
                    item,
                    target,
                    valid_size: [0, 0],
                };
                Prepared {
                    used: Some(used),
                    bad: Vec::new(),
                }
            }
            Err(error) => Prepared {
                used: None,
                bad: vec![BadImage {
                    item,
                    name: self.source.name(index),
                    error: error.problem.to_string(),
                }],
            },
        })
    }
}

/// One channel of a set of images, in the values that normalization takes. Every image counts the same, whatever its size: that
/// is how training sees them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelStatistics {
    /// Mean of the images' means.
    pub mean: f64,
    /// Standard deviation of all pixels around that mean.
    pub std: f64,
    /// Least value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

/// Sums over the images of a set, in their order.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    images: u64,
    channels: Vec<Running>,
    sizes: BTreeMap<[u32; 2], u64>,
    /// The first image of each content.
    first: HashMap<[u8; 32], u64>,
    /// The others of the same content, by the first.
    again: BTreeMap<u64, Vec<u64>>,
}

/// A channel so far.
#[derive(Clone, Copy, Debug)]
struct Running {
    mean: f64,
    /// Sum of the squared distances of the images' means from their mean.
    between: f64,
    /// Sum of the images' variances.
    within: f64,
    min: f64,
    max: f64,
}

impl Statistics {
    /// Adds the next image of the set, under its number.
    pub fn add(&mut self, item: u64, image: &ImageStatistics) {
        self.images += 1;
        let images = self.images as f64;
        let empty = Running {
            mean: 0.0,
            between: 0.0,
            within: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        };
        if self.channels.len() < image.channels.len() {
            self.channels.resize(image.channels.len(), empty);
        }
        for (all, one) in self.channels.iter_mut().zip(&image.channels) {
            // Welford's way, which loses no digits where means are large and deviations small.
            let before = one.mean - all.mean;
            all.mean += before / images;
            all.between += before * (one.mean - all.mean);
            all.within += one.variance;
            all.min = all.min.min(one.min);
            all.max = all.max.max(one.max);
        }
        *self.sizes.entry(image.size).or_default() += 1;
        let first = *self.first.entry(image.content).or_insert(item);
        if first != item {
            self.again.entry(first).or_default().push(item);
        }
    }

    /// Images so far.
    pub fn images(&self) -> u64 {
        self.images
    }

    /// Each channel.
    pub fn channels(&self) -> Vec<ChannelStatistics> {
        let images = self.images as f64;
        let channel = |all: &Running| ChannelStatistics {
            mean: all.mean,
            std: ((all.between + all.within) / images).max(0.0).sqrt(),
            min: all.min,
            max: all.max,
        };
        self.channels.iter().map(channel).collect()
    }

    /// The sizes that images have, columns and rows, and how many have each; the most frequent first, of these the smallest.
    pub fn sizes(&self) -> Vec<([u32; 2], u64)> {
        let mut sizes: Vec<_> = self
            .sizes
            .iter()
            .map(|(size, count)| (*size, *count))
            .collect();
        sizes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        sizes
    }

    /// Of columns or of rows (`axis` 0 or 1) the least, the median (of the middle two the smaller) and the largest.
    pub fn side(&self, axis: usize) -> Option<[u32; 3]> {
        let mut sides: BTreeMap<u32, u64> = BTreeMap::new();
        for (size, count) in &self.sizes {
            *sides.entry(*size.get(axis)?).or_default() += count;
        }
        let middle = self.images.div_ceil(2);
        let mut before = 0;
        let median = sides.iter().find_map(|(side, count)| {
            before += count;
            (before >= middle).then_some(*side)
        });
        Some([*sides.keys().next()?, median?, *sides.keys().next_back()?])
    }

    /// Groups of images with the same content, each by their numbers, rising.
    pub fn duplicates(&self) -> Vec<Vec<u64>> {
        let group = |(first, others): (&u64, &Vec<u64>)| {
            let mut group = vec![*first];
            group.extend(others);
            group
        };
        self.again.iter().map(group).collect()
    }

    /// The first image of this set with the content of an image of another.
    pub fn same_content(&self, image: &ImageStatistics) -> Option<u64> {
        self.first.get(&image.content).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::Pixels;
    use crate::shapes::{Shapes, ShapesOptions};

    fn of(images: &[Pixels]) -> Statistics {
        let mut all = Statistics::default();
        for (item, image) in images.iter().enumerate() {
            all.add(item as u64, &ImageStatistics::of(image));
        }
        all
    }

    #[test]
    fn means_and_deviations_are_of_all_pixels_where_sizes_are_the_same() {
        let images: Vec<Pixels> = (0..4u32)
            .map(|image| {
                let data = (0..6 * 5 * 2).map(|at| ((at * 37 + image * 91) % 251) as u8);
                Pixels::new(6, 5, 2, data.collect::<Vec<u8>>()).unwrap()
            })
            .collect();
        let found = of(&images).channels();
        for (channel, found) in found.iter().enumerate() {
            let values: Vec<f64> = images
                .iter()
                .flat_map(|image| {
                    let bytes = image.bytes();
                    let samples = bytes.iter().skip(channel).step_by(2).copied();
                    samples.collect::<Vec<u8>>()
                })
                .map(|sample| f64::from(sample) / 255.0)
                .collect();
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            assert!((found.mean - mean).abs() < 1e-12);
            assert!((found.std - variance.sqrt()).abs() < 1e-12);
            assert_eq!(found.max, values.iter().copied().fold(0.0, f64::max));
        }
    }

    #[test]
    fn every_image_counts_the_same() {
        let small = Pixels::new(1, 1, 1, vec![255u8]).unwrap();
        let large = Pixels::new(10, 10, 1, vec![0u8; 100]).unwrap();
        let [channel] = of(&[small, large]).channels()[..] else {
            panic!("one channel");
        };
        assert_eq!((channel.mean, channel.std), (0.5, 0.5));
        let same = Pixels::new(3, 1, 1, vec![77u8; 3]).unwrap();
        assert_eq!(of(&[same.clone(), same]).channels()[0].std, 0.0);
    }

    #[test]
    fn sizes_and_duplicates() {
        let image =
            |width, value| Pixels::new(width, 2, 1, vec![value as u8; width as usize * 2]).unwrap();
        let images = [
            image(3, 1),
            image(2, 1),
            image(3, 2),
            image(3, 1),
            image(7, 9),
            image(3, 1),
        ];
        let found = of(&images);
        assert_eq!(found.sizes(), [([3, 2], 4), ([2, 2], 1), ([7, 2], 1)]);
        assert_eq!(found.side(0), Some([2, 3, 7]));
        assert_eq!(found.side(1), Some([2, 2, 2]));
        assert_eq!(found.duplicates(), [[0, 3, 5]]);
        let other = |image| found.same_content(&ImageStatistics::of(&image));
        assert_eq!((other(image(2, 1)), other(image(2, 3))), (Some(1), None));
    }

    #[test]
    fn threads_change_nothing() {
        let options = ShapesOptions {
            count: 50,
            image_size: [9, 7],
            ..ShapesOptions::default()
        };
        let source: Arc<dyn Source> = Arc::new(Shapes::new(options).unwrap());
        let with = |workers| {
            let mut all = Statistics::default();
            for batch in StatisticsLoader::start(Arc::clone(&source), workers) {
                let batch = batch.unwrap();
                for (item, image) in batch.items.iter().zip(&batch.targets) {
                    all.add(*item, image);
                }
            }
            (all.images(), all.channels(), all.sizes())
        };
        let one = with(1);
        assert_eq!(one.0, 50);
        assert_eq!(one, with(5));
    }
}
