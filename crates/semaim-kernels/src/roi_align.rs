//! ROIAlign (He et al., ICCV 2017): maps of one size from regions of any size.

use burn::tensor::{Int, Tensor, TensorData};

use crate::fused;
use crate::ops::fused;

/// A region of one image's map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// The image's number in the batch.
    pub image: usize,
    /// `[x0, y0, x1, y1]`, in units of [`RoiAlign::scale`].
    pub corners: [f32; 4],
}

/// How regions are cut out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoiAlign {
    /// Rows and columns of the map that regions are cut out of.
    pub map: [usize; 2],
    /// Positions of the map per unit of the regions' corners.
    pub scale: f32,
    /// Bins of a region in each direction.
    pub bins: usize,
}

/// The positions along one axis that a bin averages over, next to each other, and their weights.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Taps {
    pub(crate) start: usize,
    pub(crate) weights: Vec<f32>,
}

/// `features [batch, rows · columns, channels]` to `[regions, bins · bins, channels]`.
///
/// A region is divided into bins; a bin is the mean of bilinear samples on a regular lattice in it, as many in each
/// direction as positions fit in, rounded up. Positions are the middles of cells (the half-pixel offset). A sample more
/// than one position outside the map counts as zero, one less far outside as on the border.
///
/// # Panics
/// If there is no region, or a region's image is not in the batch.
pub fn roi_align(features: Tensor<3>, regions: &[Region], form: &RoiAlign) -> Tensor<3> {
    form.check(regions, features.dims());
    fused(|| fused::roi_align::roi_align(&features, regions, form))
        .unwrap_or_else(|| composed(features, regions, form))
}

/// Numbers gathered at a time.
const GATHERED: usize = 1 << 24;

/// Every bin as a weighted sum of gathered positions.
pub(crate) fn composed(features: Tensor<3>, regions: &[Region], form: &RoiAlign) -> Tensor<3> {
    let [batch, positions, channels] = features.dims();
    let device = features.device();
    let bins = form.bins * form.bins;
    let flat = features.reshape([batch * positions, channels]);
    let taps: Vec<[Vec<Taps>; 2]> = regions.iter().map(|region| form.taps(region)).collect();
    // Regions of like size together would gather less; their order is the caller's.
    let most = |taps: &[Vec<Taps>; 2]| {
        let longest = |axis: &[Taps]| axis.iter().map(|t| t.weights.len()).max().unwrap_or(0);
        longest(&taps[0]) * longest(&taps[1])
    };
    let each = taps.iter().map(most).max().unwrap_or(0).max(1);
    let at_once = (GATHERED / (bins * each * channels).max(1)).max(1);
    let mut parts = Vec::new();
    for (regions, taps) in regions.chunks(at_once).zip(taps.chunks(at_once)) {
        let count = regions.len() * bins;
        let mut places = vec![0_i64; count * each];
        let mut weights = vec![0.0_f32; count * each];
        let mut bin = 0;
        for (region, [rows, columns]) in regions.iter().zip(taps) {
            let first = region.image * positions;
            for row in rows {
                for column in columns {
                    let mut at = bin * each;
                    for (y, wy) in (row.start..).zip(&row.weights) {
                        for (x, wx) in (column.start..).zip(&column.weights) {
                            places[at] = (first + y * form.map[1] + x) as i64;
                            weights[at] = wy * wx;
                            at += 1;
                        }
                    }
                    bin += 1;
                }
            }
        }
        let places = TensorData::new(places, [count * each]);
        let places = Tensor::<1, Int>::from_data(places, &device);
        let weights = TensorData::new(weights, [count, each, 1]);
        let weights = Tensor::<3>::from_data(weights, &device);
        let gathered = flat
            .clone()
            .select(0, places)
            .reshape([count, each, channels]);
        let sums = (gathered * weights).sum_dim(1);
        parts.push(sums.reshape([regions.len(), bins, channels]));
    }
    Tensor::cat(parts, 0)
}

impl RoiAlign {
    fn check(&self, regions: &[Region], [batch, positions, _]: [usize; 3]) {
        assert!(!regions.is_empty(), "ROIAlign of no region");
        assert_eq!(self.map[0] * self.map[1], positions, "positions of a map");
        assert!(
            regions.iter().all(|region| region.image < batch),
            "a region of an image that is not in the batch"
        );
    }

    /// What each row of bins and each column of bins averages over: a bin's mean is the product of both.
    pub(crate) fn taps(&self, region: &Region) -> [Vec<Taps>; 2] {
        let [x0, y0, x1, y1] = region.corners;
        [(y0, y1, self.map[0]), (x0, x1, self.map[1])].map(|(from, to, size)| {
            let start = from * self.scale - 0.5;
            let length = (to * self.scale - 0.5) - start;
            axis(start, length, self.bins, size)
        })
    }
}

fn axis(start: f32, length: f32, bins: usize, size: usize) -> Vec<Taps> {
    let bin_length = length / bins as f32;
    // A region of no length has no samples; nor has one whose corners are swapped or no numbers.
    let samples = bin_length.ceil().max(0.0) as usize;
    (0..bins)
        .map(|bin| {
            let mut taps = Taps {
                start: 0,
                weights: Vec::new(),
            };
            for sample in 0..samples {
                let within = (sample as f32 + 0.5) * bin_length / samples as f32;
                let place = start + bin as f32 * bin_length + within;
                if place < -1.0 || place > size as f32 {
                    continue;
                }
                let place = place.max(0.0);
                let low = (place as usize).min(size - 1);
                let after = if low == size - 1 {
                    0.0
                } else {
                    place - low as f32
                };
                taps.add(low, (1.0 - after) / samples as f32);
                if after > 0.0 {
                    taps.add(low + 1, after / samples as f32);
                }
            }
            taps
        })
        .collect()
}

impl Taps {
    /// One past the last position.
    pub(crate) fn end(&self) -> usize {
        self.start + self.weights.len()
    }

    /// Places come in ascending order, but for the one after the last.
    fn add(&mut self, place: usize, weight: f32) {
        if self.weights.is_empty() {
            self.start = place;
        }
        let index = place - self.start;
        if index >= self.weights.len() {
            self.weights.resize(index + 1, 0.0);
        }
        self.weights[index] += weight;
    }
}

#[cfg(test)]
mod tests;
