//! Which patches are predicted in a step, where it is not all of them. Each of them is predicted from what it would be
//! predicted from otherwise: all patches are in the content stream, only queries are left out.

use semaim_random::{Key, KeyedRng, Stream};
use serde::{Deserialize, Serialize};

use crate::config::Decoder;

/// Which patches are predicted in a step, where not all of them are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PredictedPatches {
    /// Those at random places of the order, drawn for each image and epoch.
    #[default]
    Random,
    /// The last ones of the order, which have the most to see.
    Late,
}

/// The places in the order of prediction whose patches are predicted in a step, as many in each image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredictedPlaces {
    /// `[images, per_image]`, rising within an image.
    places: Vec<u32>,
    per_image: usize,
    /// Patches of an image.
    patches: usize,
}

impl PredictedPlaces {
    /// The places for the images `items` of `epoch`, each of so many `patches`; `None` where all patches are predicted.
    ///
    /// Random ones depend on the seed, the epoch and the image alone.
    pub fn draw(
        decoder: &Decoder,
        patches: usize,
        seed: u64,
        epoch: u64,
        items: &[u64],
    ) -> Option<Self> {
        let per_image = decoder.predicted(patches);
        if per_image == patches {
            return None;
        }
        let of_image = |&item: &u64| -> Vec<u32> {
            let mut places: Vec<u32> = (0..patches as u32).collect();
            match decoder.predict {
                PredictedPatches::Late => places.split_off(patches - per_image),
                PredictedPatches::Random => {
                    let key = Key::new(seed, epoch, item);
                    KeyedRng::new(key, Stream::PredictedPlaces).shuffle(&mut places);
                    places.truncate(per_image);
                    // What a query sees grows with its place: attention is computed by blocks of queries that see alike.
                    places.sort_unstable();
                    places
                }
            }
        };
        Some(Self {
            places: items.iter().flat_map(of_image).collect(),
            per_image,
            patches,
        })
    }

    /// `[images, per_image]`, rising within an image.
    pub fn places(&self) -> &[u32] {
        &self.places
    }

    /// Patches of an image, predicted or not.
    pub fn patches(&self) -> usize {
        self.patches
    }

    /// Patches of an image that are predicted, at least one.
    pub fn per_image(&self) -> usize {
        self.per_image
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(predict_fraction: f64, predict: PredictedPatches) -> Decoder {
        Decoder {
            predict_fraction,
            predict,
            ..Decoder::default()
        }
    }

    fn places(decoder: &Decoder, epoch: u64, items: &[u64]) -> Vec<Vec<u32>> {
        let drawn = PredictedPlaces::draw(decoder, 20, 3, epoch, items).unwrap();
        let each = drawn.places().chunks(drawn.per_image());
        each.map(<[u32]>::to_vec).collect()
    }

    #[test]
    fn the_count_is_rounded_and_never_nothing() {
        for (fraction, patches, count) in [
            (1.0, 20, 20),
            (0.5, 20, 10),
            (0.25, 49, 12),
            (0.5, 49, 25),
            (1e-9, 20, 1),
            (0.99, 20, 20),
            (1.0, 1, 1),
        ] {
            let decoder = decoder(fraction, PredictedPatches::Late);
            assert_eq!(decoder.predicted(patches), count, "{fraction} {patches}");
        }
    }

    #[test]
    fn all_patches_need_no_places() {
        let all = decoder(1.0, PredictedPatches::Random);
        assert_eq!(PredictedPlaces::draw(&all, 20, 0, 0, &[1, 2]), None);
    }

    #[test]
    fn the_last_places_are_the_end_of_the_order() {
        let late = decoder(0.2, PredictedPatches::Late);
        assert_eq!(places(&late, 0, &[7, 8]), vec![vec![16, 17, 18, 19]; 2]);
    }

    #[test]
    fn random_places_rise_and_depend_on_image_and_epoch_alone() {
        let random = decoder(0.4, PredictedPatches::Random);
        let drawn = places(&random, 5, &[1, 2, 3]);
        for places in &drawn {
            assert_eq!(places.len(), 8);
            assert!(places.is_sorted_by(|a, b| a < b) && places[7] < 20);
        }
        assert_ne!(drawn[0], drawn[1]);
        assert_eq!(places(&random, 5, &[3])[0], drawn[2]);
        assert_ne!(places(&random, 6, &[3])[0], drawn[2]);
        // Every place has its turn.
        let items: Vec<u64> = (0..400).collect();
        let mut counts = [0; 20];
        for place in places(&random, 0, &items).concat() {
            counts[place as usize] += 1;
        }
        assert!(counts.iter().all(|c| (110..210).contains(c)), "{counts:?}");
    }
}
