//! Similarity maps from the objects of annotated images: the share of each patch that they cover.

use std::collections::HashMap;
use std::sync::Arc;

use super::{SimilarityMap, SimilarityMapError};
use crate::error::{ImageError, ImageProblem};
use crate::mask::Mask;
use crate::object_set::{ObjectSet, ObjectSpec, open_objects};
use crate::objects::Objects;
use crate::open::{OpenOptions, open_all_by, open_one};
use crate::source::{Dataset, Source, Split};
use crate::view::ViewGeometry;

/// The objects of images, found by the images' names.
#[derive(Debug)]
pub(super) struct ObjectMasks {
    sets: Vec<Arc<ObjectSet>>,
    /// Which set, and which image of it.
    places: HashMap<String, (usize, usize)>,
}

/// The training images that `specs` name, and their masks.
pub(super) fn open<S: AsRef<str>>(
    specs: &[S],
    options: &OpenOptions,
) -> Result<(Arc<dyn Source>, ObjectMasks), SimilarityMapError> {
    let mut sets = Vec::new();
    for spec in specs {
        let set = Arc::new(open_objects(
            &spec_of(spec.as_ref()),
            Split::Train,
            options,
        )?);
        sets.push((spec.as_ref(), set));
    }
    if sets.iter().all(|(_, set)| set.count_objects().all == 0) {
        let sets: Vec<String> = sets.iter().map(|(_, set)| set.describe()).collect();
        return Err(SimilarityMapError::NoObjects {
            sets: sets.join("; "),
        });
    }
    let mut places = HashMap::new();
    for (number, (_, set)) in sets.iter().enumerate() {
        for index in 0..set.len() {
            if places.insert(set.name(index), (number, index)).is_some() {
                let image = set.name(index);
                return Err(SimilarityMapError::AnnotatedTwice { image });
            }
        }
    }
    let images = open_all_by(specs, Split::Train, options, |spec, split| {
        // The same images, with the classes by which encoders of them are judged.
        if spec == "shapes" {
            return open_one(spec, split, options);
        }
        let opened = sets.iter().find(|(name, _)| *name == spec);
        Ok(match opened {
            Some((_, set)) => Arc::clone(set) as Arc<dyn Source>,
            None => Arc::new(open_objects(&spec_of(spec), split, options)?),
        })
    })?;
    let sets = sets.into_iter().map(|(_, set)| set).collect();
    Ok((images, ObjectMasks { sets, places }))
}

/// As for every other order, nothing of a set that is not divided is held out: no objects are evaluated.
fn spec_of(spec: &str) -> ObjectSpec {
    ObjectSpec {
        whole: true,
        ..ObjectSpec::of(spec)
    }
}

impl ObjectMasks {
    /// The map of a view of the image of a name.
    pub(super) fn map(
        &self,
        name: &str,
        view: &ViewGeometry,
        grid: [usize; 2],
    ) -> Result<SimilarityMap, ImageError> {
        let unknown = || ImageError {
            name: name.to_owned(),
            problem: ImageProblem::Unsupported {
                what: "an image without annotations".to_owned(),
            },
        };
        let &(set, index) = self.places.get(name).ok_or_else(unknown)?;
        let set = self.sets.get(set).ok_or_else(unknown)?;
        covered(&set.target(index, view)?, view.valid_size, grid).ok_or_else(unknown)
    }
}

/// The share of each patch of a view that objects cover.
fn covered(objects: &Objects, [rows, columns]: [usize; 2], grid: [usize; 2]) -> Option<Vec<f32>> {
    let mut bits = vec![false; rows * columns];
    for (bbox, mask) in objects.boxes.iter().zip(&objects.masks) {
        match mask {
            Some(mask) => {
                let drawn = mask.to_bits();
                bits.iter_mut()
                    .zip(drawn)
                    .for_each(|(bit, inside)| *bit |= inside);
            }
            None => {
                // A pixel is inside a box if its middle is.
                let edge = |at: f32, most: usize| ((at + 0.5) as usize).min(most);
                let [x0, x1] = [bbox[0], bbox[2]].map(|x| edge(x, columns));
                let [y0, y1] = [bbox[1], bbox[3]].map(|y| edge(y, rows));
                for row in bits.chunks_mut(columns).take(y1).skip(y0) {
                    row[x0..x1].fill(true);
                }
            }
        }
    }
    let mask = Mask::new(columns as u32, rows as u32, bits)?;
    let window = [0.0, 0.0, columns as f64, rows as f64];
    mask.patch_shares(window, grid).ok()
}
