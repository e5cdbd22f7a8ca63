//! Images with their objects: boxes, classes and masks.

mod checksum;
mod coco;
mod object_classes;
mod open;
mod view_objects;
mod yolo;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::OnceLock;

use semaim_coco::{Annotation, Rle, Segmentation};

use crate::counted::counted;
use crate::decode::DecodeOptions;
use crate::error::{DataError, ImageError, ImageProblem};
use crate::image_numbers::NumberedBy;
use crate::notices;
use crate::objects::Objects;
use crate::region::{DecodeRequest, DecodedRegion};
use crate::same_classes::NumberedClasses;
use crate::scratch::Scratch;
use crate::shapes::Shapes;
use crate::source::{Dataset, Source};
use crate::view::ViewGeometry;

pub use object_classes::ObjectClasses;
pub use open::{ObjectSpec, is_annotated, open_objects};

/// Images with their objects, as [`open_objects`] finds them.
///
/// As a [`Source`] its classes are those of the objects, in ascending order of the numbers that the annotations give them; an
/// image has no class. As a [`Dataset`] it gives [`Objects`], without crowds.
#[derive(Debug)]
pub struct ObjectSet {
    /// What it is, for messages: `annotations instances.json`.
    what: String,
    classes: Vec<String>,
    category_ids: Vec<u64>,
    numbered_by: NumberedBy,
    images: Images,
    notices: Vec<String>,
}

/// Everything that is known of the objects of an image, in the image's own pixels. The lists are of one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageObjects {
    /// Rows and columns of the image.
    pub size: [u32; 2],
    /// `[x, y, width, height]` in pixels, as the annotations state them: they may reach out of the image.
    pub boxes: Vec<[f64; 4]>,
    /// Indices into the set's classes.
    pub classes: Vec<u32>,
    /// In pixels, as COCO's metrics take them: as stated, else of the mask, else of the box.
    pub areas: Vec<f64>,
    /// Whether it is a group of objects that were not told apart.
    pub crowds: Vec<bool>,
    /// Masks of the image's size; `None` where only the box is known.
    pub masks: Vec<Option<Rle>>,
    /// The numbers that the annotations have; made up, from 1 on, where they have none.
    pub annotation_ids: Vec<i64>,
}

/// Objects of a set that are no crowds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectCount {
    /// All of them.
    pub all: usize,
    /// Those whose masks are known.
    pub with_masks: usize,
}

/// Where the images come from.
#[derive(Debug)]
enum Images {
    Files {
        entries: Vec<Entry>,
        /// What the numbers of the annotations are in.
        units: Units,
        decoding: DecodeOptions,
    },
    Shapes {
        shapes: Shapes,
        /// The masks of the images drawn so far: drawing one takes as long as drawing its image.
        masks: Vec<OnceLock<Rle>>,
    },
}

/// An image file and what is in it.
#[derive(Debug)]
struct Entry {
    path: PathBuf,
    id: u64,
    /// Columns and rows, where the annotations say so.
    size: Option<[u32; 2]>,
    /// `category` is an index into the set's classes.
    annotations: Vec<Annotation>,
}

/// What coordinates of annotations are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Units {
    Pixels,
    /// Of the image's width and height.
    Fractions,
}

impl Units {
    /// An annotation's box and segmentation in the pixels of an image of `size`, columns and rows.
    fn in_pixels(self, annotation: &Annotation, size: [u32; 2]) -> Annotation {
        let mut annotation = annotation.clone();
        if self == Self::Fractions {
            let [width, height] = size.map(f64::from);
            annotation.bbox = annotation
                .bbox
                .map(|[x, y, w, h]| [x * width, y * height, w * width, h * height]);
            if let Some(Segmentation::Polygons(polygons)) = &mut annotation.segmentation {
                for corner in polygons.iter_mut().flat_map(|p| p.chunks_exact_mut(2)) {
                    corner[0] *= width;
                    corner[1] *= height;
                }
            }
        }
        annotation
    }
}

impl ObjectSet {
    /// The objects of an image in its own pixels, crowds included: the truth that detections are scored by.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] when the annotations do not say how large the image is and it cannot be read, or when `index` is out
    /// of range.
    pub fn truth(&self, index: usize) -> Result<ImageObjects, ImageError> {
        let (entry, units) = match &self.images {
            Images::Shapes { shapes, .. } => return self.shapes_truth(shapes, index),
            Images::Files { entries, units, .. } => match entries.get(index) {
                Some(entry) => (entry, *units),
                None => return Err(ImageError::out_of_range(&*self.what, index, self.len())),
            },
        };
        let size = match entry.size {
            Some(size) => size,
            None => self.read_image_size(index)?,
        };
        let [width, height] = size;
        let mut truth = ImageObjects {
            size: [height, width],
            ..ImageObjects::default()
        };
        for annotation in &entry.annotations {
            let broken = |reason: String| self.misfit(index, annotation.id, reason);
            let annotation = units.in_pixels(annotation, size);
            let mask = annotation.segmentation.as_ref();
            let mask = mask.map(|mask| mask.rle(width, height)).transpose();
            let mask = mask.map_err(|problem| broken(problem.to_string()))?;
            let bbox = annotation.bbox_or_around(mask.as_ref());
            let bbox = bbox.map_err(|problem| broken(problem.to_string()))?;
            truth.boxes.push(bbox);
            truth.classes.push(annotation.category as u32);
            truth.areas.push(annotation.area_or_of(mask.as_ref(), bbox));
            truth.crowds.push(annotation.is_crowd);
            truth.masks.push(mask);
            truth.annotation_ids.push(annotation.id);
        }
        Ok(truth)
    }

    /// The number of an image in files of results: that of the annotations, or where they have none its name if all names are
    /// numbers, or its place from 1 on. 0 past the end.
    pub fn image_id(&self, index: usize) -> u64 {
        match &self.images {
            Images::Files { entries, .. } => entries.get(index).map_or(0, |entry| entry.id),
            Images::Shapes { .. } if index < self.len() => index as u64 + 1,
            Images::Shapes { .. } => 0,
        }
    }

    /// Where [`image_id`](Self::image_id) comes from.
    pub fn numbered_by(&self) -> NumberedBy {
        self.numbered_by
    }

    /// The number of each class in the annotations and in files of results.
    pub fn category_ids(&self) -> &[u64] {
        &self.category_ids
    }

    /// What was put right in the annotations and what is left out, each counted and named, in sentences. They were said as
    /// warnings too.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// How many objects there are, crowds left out, and how many of them have masks.
    pub fn count_objects(&self) -> ObjectCount {
        match &self.images {
            Images::Shapes { .. } => ObjectCount {
                all: self.len(),
                with_masks: self.len(),
            },
            Images::Files { entries, .. } => {
                let objects = entries.iter().flat_map(|entry| &entry.annotations);
                let objects = objects.filter(|object| !object.is_crowd);
                let with_mask = |object: &&Annotation| object.segmentation.is_some();
                ObjectCount {
                    all: objects.clone().count(),
                    with_masks: objects.filter(with_mask).count(),
                }
            }
        }
    }

    /// Refuses another set, such as the evaluation split of a training split, whose classes are not the same under the same
    /// numbers.
    ///
    /// # Errors
    ///
    /// [`DataError::Annotations`] with the first difference.
    pub fn check_same_classes(&self, other: &Self) -> Result<(), DataError> {
        self.numbered_classes()
            .check_same(&other.numbered_classes())
    }

    fn numbered_classes(&self) -> NumberedClasses<'_, u64> {
        NumberedClasses {
            set: &self.what,
            numbers: &self.category_ids,
            names: &self.classes,
        }
    }

    /// Says a notice and keeps it.
    fn notice(&mut self, text: String) {
        notices::warn(text.clone());
        self.notices.push(text);
    }

    /// Columns and rows of an image, from its file.
    fn read_image_size(&self, index: usize) -> Result<[u32; 2], ImageError> {
        let mut request = |_| DecodeRequest::corner();
        let decoded = self.decode(index, &mut request, &mut Scratch::new())?;
        Ok(decoded.image_size)
    }

    fn shapes_truth(&self, shapes: &Shapes, index: usize) -> Result<ImageObjects, ImageError> {
        let mask = self.shapes_mask(index)?;
        let label = shapes.label(index).unwrap_or_default();
        Ok(ImageObjects {
            size: [mask.height(), mask.width()],
            boxes: vec![mask.bounding_box()],
            classes: vec![label],
            areas: vec![mask.area() as f64],
            crowds: vec![false],
            annotation_ids: vec![index as i64 + 1],
            masks: vec![Some(mask)],
        })
    }

    /// The mask of the object of a generated image.
    fn shapes_mask(&self, index: usize) -> Result<Rle, ImageError> {
        let out_of_range = || ImageError::out_of_range(self.name(index), index, self.len());
        let Images::Shapes { shapes, masks } = &self.images else {
            return Err(out_of_range());
        };
        let mask = masks.get(index).ok_or_else(out_of_range)?;
        if let Some(mask) = mask.get() {
            return Ok(mask.clone());
        }
        let drawn = run_lengths(shapes.sample(index).mask, shapes.options().image_size);
        let drawn = drawn.ok_or_else(|| self.misfit(index, 1, "its sides are too long".into()))?;
        Ok(mask.get_or_init(|| drawn).clone())
    }

    /// The error for an annotation that does not fit its image.
    fn misfit(&self, index: usize, annotation: i64, reason: String) -> ImageError {
        ImageError {
            name: self.name(index),
            problem: ImageProblem::Annotation { annotation, reason },
        }
    }
}

/// A drawn mask of `[rows, columns]` as run lengths.
fn run_lengths(bits: Vec<bool>, [height, width]: [u32; 2]) -> Option<Rle> {
    Rle::from_bits(&bits, width, height)
}

impl Source for ObjectSet {
    fn len(&self) -> usize {
        match &self.images {
            Images::Files { entries, .. } => entries.len(),
            Images::Shapes { shapes, .. } => shapes.len(),
        }
    }

    fn label(&self, _: usize) -> Option<u32> {
        None
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        match &self.images {
            Images::Files { entries, .. } => entries.get(index).map_or_else(
                || self.what.clone(),
                |entry| entry.path.display().to_string(),
            ),
            Images::Shapes { shapes, .. } => shapes.name(index),
        }
    }

    fn decode(
        &self,
        index: usize,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        match &self.images {
            Images::Files {
                entries, decoding, ..
            } => match entries.get(index) {
                Some(entry) => decoding.decode_file(&entry.path, request, &mut scratch.decoding),
                None => Err(ImageError::out_of_range(&*self.what, index, self.len())),
            },
            Images::Shapes { shapes, masks } => {
                let Some(mask) = masks.get(index) else {
                    return Err(ImageError::out_of_range(
                        self.name(index),
                        index,
                        self.len(),
                    ));
                };
                let sample = shapes.sample(index);
                if let Some(drawn) = run_lengths(sample.mask, shapes.options().image_size) {
                    mask.get_or_init(|| drawn);
                }
                Ok(DecodedRegion::whole(sample.pixels))
            }
        }
    }

    fn objects_checksum(&self, index: usize) -> Option<u32> {
        match &self.images {
            Images::Files { entries, .. } => {
                Some(checksum::checksum(&entries.get(index)?.annotations))
            }
            Images::Shapes { .. } => None,
        }
    }

    fn describe(&self) -> String {
        let objects = match &self.images {
            Images::Shapes { shapes, .. } => return shapes.describe(),
            Images::Files { entries, .. } => entries.iter().flat_map(|entry| &entry.annotations),
        };
        let crowds = match objects.clone().filter(|object| object.is_crowd).count() {
            0 => String::new(),
            crowds => format!(" ({} of them)", counted(crowds, "crowd")),
        };
        format!(
            "{}: {}, {}{crowds}, {}",
            self.what,
            counted(self.len(), "image"),
            counted(objects.count(), "object"),
            counted(self.classes.len(), "class"),
        )
    }
}

impl Dataset for ObjectSet {
    type Target = Objects;

    fn target(&self, index: usize, view: &ViewGeometry) -> Result<Objects, ImageError> {
        let mut objects = Objects::default();
        let (entry, units) = match &self.images {
            Images::Shapes { shapes, .. } => {
                let mask = self.shapes_mask(index)?;
                if let Some(label) = shapes.label(index) {
                    objects.add_mask(label, view_objects::mask_in_view(&mask, view));
                }
                return Ok(objects);
            }
            Images::Files { entries, units, .. } => match entries.get(index) {
                Some(entry) => (entry, *units),
                None => return Err(ImageError::out_of_range(&*self.what, index, self.len())),
            },
        };
        let size = view.image_size;
        if let Some(stated) = entry.size.filter(|stated| *stated != size) {
            return Err(ImageError {
                name: self.name(index),
                problem: ImageProblem::OtherSize {
                    image: size,
                    stated,
                },
            });
        }
        for annotation in entry.annotations.iter().filter(|a| !a.is_crowd) {
            let broken = |reason: String| self.misfit(index, annotation.id, reason);
            let annotation = units.in_pixels(annotation, size);
            let class = annotation.category as u32;
            match (&annotation.segmentation, annotation.bbox) {
                (Some(segmentation), _) => {
                    let mask = view_objects::segmentation_in_view(segmentation, view);
                    let mask = mask.map_err(|problem| broken(problem.to_string()))?;
                    objects.add_mask(class, mask);
                }
                (None, Some(bbox)) => objects.add_box(class, view_objects::box_in_view(bbox, view)),
                (None, None) => {}
            }
        }
        Ok(objects)
    }
}
