//! A file of instances: `images`, `categories`, and `annotations`, each one object, or a crowd of them, in one image.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::apart;
use crate::corners::Corners;
use crate::error::{BoxProblem, CocoError, Entry, SegmentationProblem};
use crate::fractions::Fractions;
use crate::integer::Integer;
use crate::json;
use crate::polygon::MAX_COORDINATE;
use crate::repairs::{Repair, Repaired, Repairs};
use crate::rle::Rle;
use crate::segmentation::Segmentation;

/// The largest side of an image, that of the largest JPEG; pixels of such an image can be counted in 32 bits.
const MAX_SIDE: u32 = 65_535;

/// The images of a COCO file with what is in them.
#[derive(Clone, Debug)]
pub struct Annotations {
    path: PathBuf,
    images: Vec<Image>,
    categories: Vec<Category>,
    repairs: Repairs,
}

/// A kind of object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// The number the file gives it.
    pub id: i64,
    /// Its name, such as `person`; the number where the file has no name.
    pub name: String,
}

/// An image and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The number the file gives it.
    pub id: i64,
    /// Its file, relative to the folder of images.
    pub file_name: Option<String>,
    /// Columns and rows, 1 to 65,535 each. Boxes can be scored without.
    pub size: Option<[u32; 2]>,
    /// What is in it, in the order of the file.
    pub annotations: Vec<Annotation>,
}

/// One object, or one crowd of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// The number the file gives it.
    pub id: i64,
    /// What it is: an index into [`Annotations::categories`].
    pub category: usize,
    /// Whether it is a group of objects that were not told apart.
    pub is_crowd: bool,
    /// `[x, y, width, height]` in pixels as the file states it, unchecked.
    pub bbox: Option<[f64; 4]>,
    /// The area in pixels as the file states it, unchecked: that of the polygons where there are such, not of the mask.
    pub area: Option<f64>,
    /// The mask as the file states it, unchecked.
    pub segmentation: Option<Segmentation>,
}

/// The whole file. What is not needed is skipped.
#[derive(Deserialize)]
struct File {
    images: Vec<FileImage>,
    /// Files that only list images, as COCO's of its test images, have none.
    #[serde(default)]
    annotations: Vec<FileAnnotation>,
    categories: Vec<FileCategory>,
}

#[derive(Deserialize)]
struct FileImage {
    id: Integer,
    file_name: Option<String>,
    width: Option<Integer>,
    height: Option<Integer>,
}

#[derive(Deserialize)]
struct FileAnnotation {
    id: Integer,
    image_id: Integer,
    category_id: Integer,
    segmentation: Option<Segmentation>,
    #[serde(default, deserialize_with = "box_or_nothing")]
    bbox: Option<[f64; 4]>,
    area: Option<f64>,
    iscrowd: Option<Crowd>,
}

#[derive(Deserialize)]
struct FileCategory {
    id: Integer,
    name: Option<String>,
}

/// `iscrowd` as programs write it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`iscrowd` must be 0, 1, true or false")]
enum Crowd {
    Bool(bool),
    Number(Integer),
}

impl Annotations {
    /// Reads a file.
    ///
    /// Boxes, areas and segmentations are looked at when they are used: a broken one is no reason to refuse the others.
    ///
    /// # Errors
    ///
    /// [`CocoError::Read`] and [`CocoError::Json`] when the file cannot be read or is of another form,
    /// [`CocoError::ImageSize`] when an image has no pixels or a side above 65,535, [`CocoError::Repeated`] when an
    /// `id` is given twice, [`CocoError::Unknown`] when an annotation names an image or a category that there is not.
    pub fn read(path: &Path) -> Result<Self, CocoError> {
        Self::new(path, json::read(path, "list")?)
    }

    fn new(path: &Path, file: File) -> Result<Self, CocoError> {
        let images = file.images.into_iter().map(|image| sized(path, image));
        let mut images = images.collect::<Result<Vec<_>, _>>()?;
        let categories = file.categories.into_iter().map(|category| Category {
            id: category.id.0,
            name: category.name.unwrap_or_else(|| category.id.0.to_string()),
        });
        let categories: Vec<Category> = categories.collect();
        let image_of = numbered(path, "images", images.iter().map(|image| image.id))?;
        let category_of = numbered(path, "categories", categories.iter().map(|c| c.id))?;
        let mut ids = HashSet::with_capacity(file.annotations.len());
        let mut repairs = Repairs::default();
        for annotation in file.annotations {
            let id = annotation.id.0;
            if !ids.insert(id) {
                return Err(CocoError::Repeated {
                    path: path.to_owned(),
                    what: "annotations",
                    id,
                });
            }
            let unknown = |what, id| CocoError::Unknown {
                path: path.to_owned(),
                entry: Entry::Annotation(annotation.id.0),
                what,
                id,
                there: "the file does",
            };
            let category = *category_of
                .get(&annotation.category_id.0)
                .ok_or_else(|| unknown("category", annotation.category_id.0))?;
            let image = image_of
                .get(&annotation.image_id.0)
                .and_then(|index| images.get_mut(*index))
                .ok_or_else(|| unknown("image", annotation.image_id.0))?;
            if annotation.iscrowd.is_none() {
                repairs.count(Repaired::Crowd, Entry::Annotation(id));
            }
            let mut segmentation = annotation.segmentation.filter(|mask| !mask.is_empty());
            if segmentation.as_mut().is_some_and(Segmentation::drop_lines) {
                repairs.count(Repaired::Line, Entry::Annotation(id));
            }
            image.annotations.push(Annotation {
                id,
                category,
                is_crowd: match annotation.iscrowd {
                    None => false,
                    Some(Crowd::Bool(crowd)) => crowd,
                    Some(Crowd::Number(number)) => number.0 != 0,
                },
                bbox: annotation.bbox,
                area: annotation.area,
                segmentation,
            });
        }
        Ok(Self {
            path: path.to_owned(),
            images,
            categories,
            repairs,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The images, in the order of the file.
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// The kinds of objects, in the order of the file.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// What was put right while reading.
    pub fn repairs(&self) -> &[Repair] {
        &self.repairs.0
    }

    /// Its images alone.
    pub fn into_images(self) -> Vec<Image> {
        self.images
    }

    /// Looks at every box, area and segmentation, so that using them later cannot fail where images are of the sizes that
    /// the file says, and at whether boxes and masks belong together. Gives what was put right, while reading included.
    ///
    /// Segmentations are not turned into masks, which would take long.
    ///
    /// # Errors
    ///
    /// The first that cannot be used; [`CocoError::Corners`] when boxes can only be meant as corners, [`CocoError::Fractions`]
    /// when boxes or polygons can only be meant as fractions of the images.
    pub fn check(&self) -> Result<Vec<Repair>, CocoError> {
        let mut repairs = self.repairs.clone();
        let mut corners = Corners::default();
        let mut fractions = Fractions::default();
        for image in &self.images {
            for annotation in &image.annotations {
                let entry = Entry::Annotation(annotation.id);
                let segmentation = annotation.segmentation.as_ref();
                fractions.look(entry, annotation.bbox, segmentation, image);
                let broken = |problem| CocoError::Segmentation {
                    path: self.path.clone(),
                    entry,
                    problem,
                };
                let around = match segmentation {
                    Some(segmentation) => {
                        segmentation.checked_extent(image.size).map_err(broken)?
                    }
                    None => None,
                };
                let mask = match (&annotation.bbox, &annotation.segmentation) {
                    (None, Some(_)) => Some(self.mask(image, annotation)?),
                    _ => None,
                };
                let bbox = self.checked_box(annotation, mask.as_ref(), &mut repairs)?;
                corners.look(entry, bbox, image.size);
                apart::look(image, annotation, around, &mut repairs);
                self.check_area(annotation, &mut repairs)?;
                if annotation.id == 0 {
                    repairs.count(Repaired::IdZero, entry);
                }
            }
        }
        corners.judge(&self.path, &mut repairs)?;
        fractions.judge(&self.path)?;
        Ok(repairs.0)
    }

    /// The box of an annotation, [`Annotation::bbox_or_around`] its mask, counting what is put right.
    pub(crate) fn checked_box(
        &self,
        annotation: &Annotation,
        mask: Option<&Rle>,
        repairs: &mut Repairs,
    ) -> Result<[f64; 4], CocoError> {
        let entry = Entry::Annotation(annotation.id);
        let bbox = annotation.bbox_or_around(mask);
        let bbox = bbox.map_err(|problem| CocoError::Box {
            path: self.path.clone(),
            entry,
            problem,
        })?;
        if annotation.bbox.is_none() {
            repairs.count(Repaired::BoxOfMask, entry);
        }
        if bbox[2] * bbox[3] == 0.0 {
            repairs.count(Repaired::EmptyBox, entry);
        }
        Ok(bbox)
    }

    /// Refuses an area below 0, and counts a missing one.
    pub(crate) fn check_area(
        &self,
        annotation: &Annotation,
        repairs: &mut Repairs,
    ) -> Result<(), CocoError> {
        let entry = Entry::Annotation(annotation.id);
        match (annotation.area, &annotation.segmentation) {
            (Some(area), _) if area < 0.0 => {
                return Err(CocoError::Area {
                    path: self.path.clone(),
                    entry,
                    area,
                });
            }
            (Some(_), _) => {}
            (None, Some(_)) => repairs.count(Repaired::AreaOfMask, entry),
            (None, None) => repairs.count(Repaired::AreaOfBox, entry),
        }
        Ok(())
    }

    /// The mask of one of an image's annotations, of the image's size.
    ///
    /// # Errors
    ///
    /// [`CocoError::Segmentation`] when there is none, or it is broken or of another size than the image.
    pub fn mask(&self, image: &Image, annotation: &Annotation) -> Result<Rle, CocoError> {
        image
            .mask(annotation.segmentation.as_ref())
            .map_err(|problem| CocoError::Segmentation {
                path: self.path.clone(),
                entry: Entry::Annotation(annotation.id),
                problem,
            })
    }
}

impl Annotation {
    /// The box that it states, or that around its mask, `[x, y, width, height]` in pixels.
    ///
    /// # Errors
    ///
    /// When there is neither, a side is below 0, or a coordinate is not near any image.
    pub fn bbox_or_around(&self, mask: Option<&Rle>) -> Result<[f64; 4], BoxProblem> {
        let bbox = self.bbox.or_else(|| mask.map(Rle::bounding_box));
        bbox.ok_or(BoxProblem::Absent).and_then(checked)
    }

    /// The area that it states, or that of its mask, or that of its box, in pixels.
    pub fn area_or_of(&self, mask: Option<&Rle>, bbox: [f64; 4]) -> f64 {
        let of_mask = || mask.map(|mask| mask.area() as f64);
        self.area.or_else(of_mask).unwrap_or(bbox[2] * bbox[3])
    }
}

impl Image {
    /// A segmentation in this image as a mask.
    pub(crate) fn mask(
        &self,
        segmentation: Option<&Segmentation>,
    ) -> Result<Rle, SegmentationProblem> {
        let segmentation = segmentation.ok_or(SegmentationProblem::Absent)?;
        let [width, height] = self.size.ok_or(SegmentationProblem::NoImageSize)?;
        segmentation.rle(width, height)
    }
}

/// An image whose size is acceptable, still without annotations.
fn sized(path: &Path, image: FileImage) -> Result<Image, CocoError> {
    let side = |length: Integer| {
        let length = u32::try_from(length.0).ok()?;
        (1..=MAX_SIDE).contains(&length).then_some(length)
    };
    let size = match (image.width, image.height) {
        (Some(width), Some(height)) => match (side(width), side(height)) {
            (Some(width), Some(height)) => Some([width, height]),
            _ => {
                return Err(CocoError::ImageSize {
                    path: path.to_owned(),
                    image: image.id.0,
                    width: width.0,
                    height: height.0,
                    max_side: MAX_SIDE,
                });
            }
        },
        _ => None,
    };
    Ok(Image {
        id: image.id.0,
        file_name: image.file_name,
        size,
        annotations: Vec::new(),
    })
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

/// Refuses a box of negative sides or far from any image.
pub(crate) fn checked(bbox: [f64; 4]) -> Result<[f64; 4], BoxProblem> {
    let [_, _, width, height] = bbox;
    if width < 0.0 || height < 0.0 {
        return Err(BoxProblem::Negative { width, height });
    }
    match bbox.iter().find(|value| value.abs() > MAX_COORDINATE) {
        None => Ok(bbox),
        Some(&value) => Err(BoxProblem::Coordinate {
            value,
            limit: MAX_COORDINATE,
        }),
    }
}

/// A box; `null` and `[]` are none.
pub(crate) fn box_or_nothing<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<[f64; 4]>, D::Error> {
    struct Numbers;

    impl<'de> Visitor<'de> for Numbers {
        type Value = Option<[f64; 4]>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a box of 4 numbers")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Self::Value, A::Error> {
            let mut found = [0.0; 4];
            for (index, number) in found.iter_mut().enumerate() {
                match numbers.next_element()? {
                    Some(next) => *number = next,
                    None if index == 0 => return Ok(None),
                    None => return Err(serde::de::Error::invalid_length(index, &self)),
                }
            }
            match numbers.next_element::<IgnoredAny>()? {
                None => Ok(Some(found)),
                Some(_) => Err(serde::de::Error::invalid_length(5, &self)),
            }
        }
    }

    deserializer.deserialize_any(Numbers)
}

#[cfg(test)]
mod tests;
