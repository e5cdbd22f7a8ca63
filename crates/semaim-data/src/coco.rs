//! Objects and their masks from a file in the form of COCO's instances (Lin et al., 2014).
//!
//! The file is JSON with `images`, `categories` and `annotations`; an annotation is one object, or a crowd of them, in
//! one image. Its segmentation is a list of polygons, run lengths as numbers, or run lengths as text; the masks are
//! those that the COCO API makes of them, pixel for pixel.

mod annotations;
mod error;
mod main_object;
mod polygon;
mod rle;
mod segmentation;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::mask::Mask;
use crate::open::OpenOptions;
use segmentation::Segmentation;

pub use error::{CocoError, SegmentationProblem};
pub use main_object::MaskedImage;

/// The largest side of an image, that of the largest JPEG.
const MAX_SIDE: u32 = 65_535;

/// The images of a COCO file with their objects.
#[derive(Clone, Debug)]
pub struct CocoAnnotations {
    path: PathBuf,
    images: Vec<CocoImage>,
    categories: Vec<CocoCategory>,
}

/// A kind of object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CocoCategory {
    /// The number the file gives it.
    pub id: i64,
    /// Its name, such as `person`.
    pub name: String,
}

/// An image and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct CocoImage {
    /// The number the file gives it.
    pub id: i64,
    /// Its file, relative to the folder of images.
    pub file_name: String,
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// What is in it, in the order of the file.
    pub objects: Vec<CocoObject>,
}

/// One object, or one crowd of them.
#[derive(Clone, Debug, PartialEq)]
pub struct CocoObject {
    /// The number the file gives the annotation.
    pub id: i64,
    /// What it is: an index into [`CocoAnnotations::categories`].
    pub category: usize,
    /// Whether it is a group of objects that were not told apart.
    pub is_crowd: bool,
    /// `[left, top, width, height]` in pixels as the file states it, unchecked.
    pub bounds: Option<[f64; 4]>,
    /// The area in pixels as the file states it, unchecked: that of the polygons where there are such, not of the mask.
    pub area: Option<f64>,
    segmentation: Option<Segmentation>,
}

impl CocoAnnotations {
    /// Reads a file whose images have at most the 100 million pixels that [`crate::open`] allows.
    ///
    /// Segmentations are only turned into masks on demand: a broken one is no reason to refuse the others.
    ///
    /// # Errors
    ///
    /// [`CocoError::Read`] and [`CocoError::Json`] when the file cannot be read or is of another form,
    /// [`CocoError::ImageSize`] when an image has no pixels or too many, [`CocoError::Repeated`] when an `id` is given
    /// twice, [`CocoError::Unknown`] when an annotation names an image or a category that there is not.
    pub fn read(path: &Path) -> Result<Self, CocoError> {
        Self::read_within(path, OpenOptions::default().max_pixels)
    }

    /// Reads a file whose images have at most `max_pixels` pixels, which bounds the memory of a mask.
    ///
    /// # Errors
    ///
    /// Those of [`CocoAnnotations::read`].
    pub fn read_within(path: &Path, max_pixels: u64) -> Result<Self, CocoError> {
        let read = |source| CocoError::Read {
            path: path.to_owned(),
            source,
        };
        let file = BufReader::new(File::open(path).map_err(read)?);
        let file = serde_json::from_reader(file).map_err(|source: serde_json::Error| {
            if source.is_io() {
                read(source.into())
            } else {
                CocoError::Json {
                    path: path.to_owned(),
                    source,
                }
            }
        })?;
        Self::new(path, file, max_pixels)
    }

    fn new(path: &Path, file: annotations::File, max_pixels: u64) -> Result<Self, CocoError> {
        let images = file
            .images
            .into_iter()
            .map(|image| sized(path, image, max_pixels))
            .collect::<Result<Vec<_>, _>>()?;
        let categories: Vec<CocoCategory> = file
            .categories
            .into_iter()
            .map(|annotations::Category { id, name }| CocoCategory { id, name })
            .collect();
        let image_of = numbered(path, "images", images.iter().map(|image| image.id))?;
        let category_of = numbered(path, "categories", categories.iter().map(|c| c.id))?;
        let mut all = Self {
            path: path.to_owned(),
            images,
            categories,
        };
        for annotation in file.annotations {
            let unknown = |what, id| CocoError::Unknown {
                path: path.to_owned(),
                annotation: annotation.id,
                what,
                id,
            };
            let category = *category_of
                .get(&annotation.category_id)
                .ok_or_else(|| unknown("category", annotation.category_id))?;
            let image = image_of
                .get(&annotation.image_id)
                .and_then(|index| all.images.get_mut(*index))
                .ok_or_else(|| unknown("image", annotation.image_id))?;
            image.objects.push(CocoObject {
                id: annotation.id,
                category,
                is_crowd: annotation.iscrowd != 0,
                bounds: annotation.bbox,
                area: annotation.area,
                segmentation: annotation.segmentation,
            });
        }
        Ok(all)
    }

    /// The images, in the order of the file.
    pub fn images(&self) -> &[CocoImage] {
        &self.images
    }

    /// The kinds of objects, in the order of the file.
    pub fn categories(&self) -> &[CocoCategory] {
        &self.categories
    }

    /// The mask of one of an image's objects, of the image's size.
    ///
    /// # Errors
    ///
    /// [`CocoError::Segmentation`] when there is none, or it is broken or of another size than the image.
    pub fn mask(&self, image: &CocoImage, object: &CocoObject) -> Result<Mask, CocoError> {
        object
            .segmentation
            .as_ref()
            .ok_or(SegmentationProblem::Absent)
            .and_then(|segmentation| segmentation.mask(image.width, image.height))
            .map_err(|problem| CocoError::Segmentation {
                path: self.path.clone(),
                annotation: object.id,
                problem,
            })
    }
}

/// An image whose size is acceptable, still without objects.
fn sized(path: &Path, image: annotations::Image, max_pixels: u64) -> Result<CocoImage, CocoError> {
    let side = |length: u64| {
        let length = u32::try_from(length).ok()?;
        (1..=MAX_SIDE).contains(&length).then_some(length)
    };
    match (side(image.width), side(image.height)) {
        (Some(width), Some(height)) if u64::from(width) * u64::from(height) <= max_pixels => {
            Ok(CocoImage {
                id: image.id,
                file_name: image.file_name,
                width,
                height,
                objects: Vec::new(),
            })
        }
        _ => Err(CocoError::ImageSize {
            path: path.to_owned(),
            image: image.id,
            width: image.width,
            height: image.height,
            max_side: MAX_SIDE,
            max_pixels,
        }),
    }
}

/// From `id`s, all different, to their places.
fn numbered(
    path: &Path,
    what: &'static str,
    ids: impl Iterator<Item = i64>,
) -> Result<HashMap<i64, usize>, CocoError> {
    let mut places = HashMap::new();
    for (place, id) in ids.enumerate() {
        if places.insert(id, place).is_some() {
            return Err(CocoError::Repeated {
                path: path.to_owned(),
                what,
                id,
            });
        }
    }
    Ok(places)
}
