//! What a frozen encoder gives of training images, kept in memory so that it sees each of them once.
//!
//! Only where views do not change from epoch to epoch but for mirroring. A view is known by its image's number and a hash of its
//! numbers, so that no other is taken for it. A run that goes on fills the memory anew: what is kept is what would be computed,
//! to the bit.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use semaim::feature_map::FeatureMap;
use semaim::grid::Grid;
use semaim::parameters::to_host;
use semaim::vit::ForwardOptions;
use semaim_data::{Batch, LabelMap};
use semaim_segment::model::Segmenter;
use semaim_train::error::TrainError;

use super::config::{SegmentConfig, TrainingView};
use super::task::encode;

/// Bytes in the unit of the limit.
const MB: u64 = 1_000_000;

/// A view: the image and a hash of its pixels.
type ViewKey = (u64, u64);

/// What the encoder gives of views.
pub(super) struct FeatureCache {
    /// The numbers of each map of a view.
    known: Mutex<HashMap<ViewKey, Vec<Vec<f32>>>>,
}

/// Whether a frozen encoder sees each training image once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caching {
    /// The encoder learns.
    NotFrozen,
    /// It does; the memory that this takes in bytes.
    Once(u64),
    /// It sees every view, for this reason.
    Every(String),
}

impl Caching {
    /// Whether the views of `images` images can be kept, each of `numbers` numbers.
    pub(super) fn decide(config: &SegmentConfig, images: u64, numbers: u64) -> Self {
        let augment = &config.augment;
        if !config.freeze {
            return Self::NotFrozen;
        }
        if config.feature_cache_mb == 0 {
            return Self::Every("feature_cache_mb is 0".into());
        }
        if augment.view != TrainingView::Whole {
            return Self::Every(
                "views are cut anew in every epoch (augment.view = \"whole\" shows all of an image)"
                    .into(),
            );
        }
        if augment.photometric {
            return Self::Every(
                "colors are changed in every epoch (augment.photometric = false leaves them)"
                    .into(),
            );
        }
        let ways = if augment.flip > 0.0 && augment.flip < 1.0 {
            2
        } else {
            1
        };
        let bytes = 4 * images * ways * numbers;
        let limit = config.feature_cache_mb as u64 * MB;
        if bytes > limit {
            return Self::Every(format!(
                "what it gives takes {} MB, more than feature_cache_mb = {}",
                bytes.div_ceil(MB),
                config.feature_cache_mb
            ));
        }
        Self::Once(bytes)
    }
}

impl FeatureCache {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        Self {
            known: Mutex::default(),
        }
    }

    /// The maps of a batch's views of shape `[channels, height, width]`; the model sees those that are not known.
    pub(super) fn maps(
        &self,
        model: &Segmenter,
        batch: &Batch<LabelMap>,
        [channels, height, width]: [usize; 3],
        device: &Device,
    ) -> Result<Vec<FeatureMap>, TrainError> {
        let views: Vec<&[f32]> = batch
            .images
            .chunks((channels * height * width).max(1))
            .collect();
        let keys: Vec<ViewKey> = batch
            .items
            .iter()
            .zip(&views)
            .map(|(item, view)| (*item, hash(view)))
            .collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // An image may be in a batch twice.
        let mut new = HashSet::new();
        let unknown: Vec<usize> = (0..keys.len())
            .filter(|&i| !known.contains_key(&keys[i]) && new.insert(keys[i]))
            .collect();
        if !unknown.is_empty() {
            let shown: Vec<f32> = unknown.iter().flat_map(|&i| views[i]).copied().collect();
            let shape = [unknown.len(), channels, height, width];
            let shown = Tensor::from_data(TensorData::new(shown, shape), device);
            let mut each = vec![Vec::new(); unknown.len()];
            for map in encode(model, shown, ForwardOptions::default())? {
                let values = to_host("features", map.values)?.values;
                for (maps, part) in each
                    .iter_mut()
                    .zip(values.chunks(values.len() / unknown.len()))
                {
                    maps.push(part.to_vec());
                }
            }
            known.extend(unknown.iter().map(|&i| keys[i]).zip(each));
        }
        let patch = model.patch_size();
        let grid = Grid {
            rows: height / patch,
            columns: width / patch,
        };
        let maps: Vec<&Vec<Vec<f32>>> = keys.iter().filter_map(|key| known.get(key)).collect();
        let count = maps.first().map_or(0, |maps| maps.len());
        let together = |number: usize| {
            let values: Vec<&[f32]> = maps.iter().map(|maps| &maps[number][..]).collect();
            let values = values.concat();
            let width = values.len() / (maps.len() * grid.patches());
            let shape = [maps.len(), grid.patches(), width];
            FeatureMap {
                values: Tensor::from_data(TensorData::new(values, shape), device),
                grid,
            }
        };
        Ok((0..count).map(together).collect())
    }
}

fn hash(view: &[f32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for number in view {
        hasher.write_u32(number.to_bits());
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim::config::VitConfig;
    use semaim::init::initialize;
    use semaim::vit::Vit;
    use semaim_segment::config::{HeadKind, SegmenterConfig};

    #[test]
    fn views_are_kept_where_they_do_not_change_and_there_is_room() {
        let mut config = SegmentConfig {
            freeze: true,
            ..SegmentConfig::default()
        };
        config.augment.view = TrainingView::Whole;
        config.augment.photometric = false;
        let decide = |change: fn(&mut SegmentConfig)| {
            let mut config = config.clone();
            change(&mut config);
            Caching::decide(&config, 1000, 100_000)
        };
        assert_eq!(decide(|_| ()), Caching::Once(800_000_000));
        assert_eq!(decide(|c| c.augment.flip = 0.0), Caching::Once(400_000_000));
        assert_eq!(decide(|c| c.freeze = false), Caching::NotFrozen);
        for change in [
            (|c| c.augment.photometric = true) as fn(&mut SegmentConfig),
            |c| c.augment.view = TrainingView::Crop,
            |c| c.feature_cache_mb = 799,
            |c| c.feature_cache_mb = 0,
        ] {
            assert!(matches!(decide(change), Caching::Every(_)));
        }
    }

    #[test]
    fn a_view_is_shown_once_and_its_maps_are_the_same_to_the_bit() {
        let device = Device::flex();
        for head in [HeadKind::Linear, HeadKind::Upernet] {
            let model = |seed| {
                let encoder = initialize(Vit::zeros(&VitConfig::tiny(), &device), seed);
                let config = SegmenterConfig {
                    classes: 3,
                    head,
                    ..SegmenterConfig::default()
                };
                Segmenter::new(encoder, config, 0, &device).unwrap()
            };
            let shape = [3, 24, 32];
            let view = |item: u64| {
                let number = move |i: u64| ((i * 37 + item * 11) % 101) as f32 / 50.0 - 1.0;
                (0..3 * 24 * 32).map(number)
            };
            let batch = |items: &[u64]| Batch::<LabelMap> {
                images: items.iter().flat_map(|item| view(*item)).collect(),
                items: items.to_vec(),
                ..Batch::default()
            };
            let values = |maps: Vec<FeatureMap>| -> Vec<Vec<f32>> {
                let values = maps.into_iter().map(|map| to_host("map", map.values));
                values.map(|weight| weight.unwrap().values).collect()
            };
            let right = model(1);
            let items = [4, 2, 9, 4];
            let images = TensorData::new(batch(&items).images, [4, 3, 24, 32]);
            let images = Tensor::from_data(images, &device);
            let expected = values(encode(&right, images, ForwardOptions::default()).unwrap());
            let cache = FeatureCache::new();
            let look = |model: &Segmenter, items: &[u64]| {
                values(cache.maps(model, &batch(items), shape, &device).unwrap())
            };
            look(&right, &[9]);
            assert_eq!(look(&right, &items), expected);
            // Another encoder would say something else: it is not asked.
            assert_eq!(look(&model(2), &items), expected);
            assert_ne!(look(&model(2), &[1]), look(&model(3), &[2]));
        }
    }
}
