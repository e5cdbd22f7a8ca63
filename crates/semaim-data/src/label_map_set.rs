//! Images with the class of every pixel.

mod class_list;
mod label_image;
mod layout;
mod open;
mod palettes;
mod seen;

use std::path::Path;

use semaim_coco::Rle;

use crate::counted::counted;
use crate::decode::DecodeOptions;
use crate::error::{DataError, ImageError, ImageProblem};
use crate::label_map::{IGNORED, LabelMap};
use crate::notices;
use crate::object_set::ObjectSet;
use crate::region::{DecodeRequest, DecodedRegion};
use crate::same_classes::NumberedClasses;
use crate::scratch::Scratch;
use crate::source::{Dataset, Source};
use crate::view::ViewGeometry;
use class_list::ClassList;
use label_image::Values;
use layout::Pair;
use palettes::Palettes;

pub use open::{LabelMapSpec, has_label_images, open_label_maps};

/// What a pixel of no object is called, where label maps are made of objects.
const BACKGROUND: &str = "background";

/// The share of a training view that one class may have, as MMSegmentation has it.
const MAX_CLASS_SHARE: f64 = 0.75;

/// Images with the class of every pixel, as [`open_label_maps`] finds them.
///
/// As a [`Source`] its classes are those of the pixels, in ascending order of their values in label images; an image has no class. As
/// a [`Dataset`] it gives [`LabelMap`]s; of several views it chooses the first that shows two classes or more of which none has most
/// of the pixels, or the last.
#[derive(Debug)]
pub struct LabelMapSet {
    /// What it is, for messages: `label images annotations/training`.
    what: String,
    classes: Vec<String>,
    values: Vec<u8>,
    labels: Labels,
    /// Those of the label images that were looked at when it was opened.
    palettes: Palettes,
    /// Whether the user or a trained model said what the classes are.
    are_classes_given: bool,
    max_class_share: f64,
    notices: Vec<String>,
}

/// Where the labels come from.
#[derive(Debug)]
enum Labels {
    Images {
        pairs: Vec<Pair>,
        /// From values to classes; `None` for a value that is no class.
        table: Box<[Option<u8>; 256]>,
        /// What the values are, for messages.
        known: String,
        decoding: DecodeOptions,
    },
    /// Class 0 is the background, the others those of the objects.
    Objects(ObjectSet),
}

impl LabelMapSet {
    /// The class of every pixel of an image, of the image's own size.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] when the label image cannot be read or has a value that is no class, or an object has no mask.
    pub fn truth(&self, index: usize) -> Result<LabelMap, ImageError> {
        match &self.labels {
            Labels::Objects(objects) => of_objects(objects, index),
            Labels::Images {
                pairs,
                table,
                known,
                decoding,
            } => {
                let pair = pairs.get(index).ok_or_else(|| self.out_of_range(index))?;
                let read = Values::read(&pair.labels, decoding.max_pixels);
                let map = read.and_then(|values| classified(values, table, known, &pair.labels));
                map.map_err(|problem| ImageError {
                    name: self.name(index),
                    problem,
                })
            }
        }
    }

    /// The value of each class in label images.
    pub fn values(&self) -> &[u8] {
        &self.values
    }

    /// Whether the classes are values of label images, rather than objects and the background.
    pub fn has_label_images(&self) -> bool {
        matches!(self.labels, Labels::Images { .. })
    }

    /// What was put right and what is left out, each counted and named, in sentences. They were said as warnings too.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// With another share of a training view that one class may have: of the views to choose from, those are passed over in which a
    /// class has as much or more of the pixels that have a class, or which show one class only. 1 passes over the latter alone.
    pub fn with_max_class_share(self, share: f64) -> Self {
        Self {
            max_class_share: share,
            ..self
        }
    }

    /// Refuses another set, such as the evaluation split of a training split, whose classes are not the same under the same values,
    /// or whose values are places of palettes of other colors, as far as label images were looked at when the sets were opened. Where
    /// the classes of both were given, other colors of a place are only said.
    ///
    /// # Errors
    ///
    /// [`DataError::Annotations`] with the first difference.
    pub fn check_same_classes(&self, other: &Self) -> Result<(), DataError> {
        self.numbered_classes()
            .check_same(&other.numbered_classes())?;
        let mut palettes = self.palettes.clone();
        palettes.absorb(other.palettes.clone());
        let said = palettes.check(self.are_classes_given && other.are_classes_given)?;
        said.into_iter().for_each(notices::warn);
        Ok(())
    }

    fn numbered_classes(&self) -> NumberedClasses<'_, u8> {
        NumberedClasses {
            set: &self.what,
            numbers: &self.values,
            names: &self.classes,
        }
    }

    /// The label maps of objects: later ones lie over earlier ones, crowds are ignored.
    fn of_objects(objects: ObjectSet) -> Self {
        let names = std::iter::once(BACKGROUND.to_owned()).chain(objects.classes().iter().cloned());
        let classes: Vec<String> = names.collect();
        Self {
            what: objects.describe(),
            values: (0..=u8::MAX).take(classes.len()).collect(),
            classes,
            max_class_share: MAX_CLASS_SHARE,
            // They were said when the objects were opened.
            notices: objects.notices().to_vec(),
            labels: Labels::Objects(objects),
            palettes: Palettes::default(),
            are_classes_given: true,
        }
    }

    /// [`LabelMapSet::truth`] of an image whose columns and rows are `image_size`.
    ///
    /// # Errors
    ///
    /// Those of [`LabelMapSet::truth`], and a label map of another size.
    pub fn truth_of_size(
        &self,
        index: usize,
        image_size: [u32; 2],
    ) -> Result<LabelMap, ImageError> {
        let map = self.truth(index)?;
        let [rows, columns] = map.size.map(|side| side as u32);
        if [columns, rows] == image_size {
            return Ok(map);
        }
        Err(ImageError {
            name: self.name(index),
            problem: ImageProblem::OtherSize {
                image: image_size,
                stated: [columns, rows],
            },
        })
    }

    /// Says a notice and keeps it.
    fn notice(&mut self, text: String) {
        notices::warn(text.clone());
        self.notices.push(text);
    }

    fn out_of_range(&self, index: usize) -> ImageError {
        ImageError::out_of_range(&*self.what, index, self.len())
    }
}

/// Values as classes.
fn classified(
    values: Values,
    table: &[Option<u8>; 256],
    known: &str,
    path: &Path,
) -> Result<LabelMap, ImageProblem> {
    let Values {
        size, mut values, ..
    } = values;
    for (at, label) in values.iter_mut().enumerate() {
        let value = *label;
        *label = table[usize::from(value)].ok_or_else(|| ImageProblem::Labels {
            path: path.to_owned(),
            reason: format!(
                "its value in column {}, row {} is {value}, which is no class: {known}, and 255 says nothing{}",
                at % size[1],
                at / size[1],
                if value == 0 { "; where 0 says nothing too, --ignore-zero says so" } else { "" }
            ),
        })?;
    }
    Ok(LabelMap {
        size,
        labels: values,
    })
}

/// The label map of an image's objects.
fn of_objects(objects: &ObjectSet, index: usize) -> Result<LabelMap, ImageError> {
    let truth = objects.truth(index)?;
    let size = truth.size.map(|side| side as usize);
    let mut labels = vec![0; size[0] * size[1]];
    let each = truth.masks.iter().zip(&truth.classes).zip(&truth.crowds);
    for (((mask, class), is_crowd), id) in each.zip(&truth.annotation_ids) {
        let mask: &Rle = mask.as_ref().ok_or_else(|| ImageError {
            name: objects.name(index),
            problem: ImageProblem::Annotation {
                annotation: *id,
                reason: "it has no mask, only a box".to_owned(),
            },
        })?;
        let label = match is_crowd {
            true => IGNORED,
            // There are at most 254 classes beside the background.
            false => *class as u8 + 1,
        };
        for (pixel, inside) in labels.iter_mut().zip(mask.to_bits()) {
            if inside {
                *pixel = label;
            }
        }
    }
    Ok(LabelMap { size, labels })
}

impl Source for LabelMapSet {
    fn len(&self) -> usize {
        match &self.labels {
            Labels::Images { pairs, .. } => pairs.len(),
            Labels::Objects(objects) => objects.len(),
        }
    }

    fn label(&self, _: usize) -> Option<u32> {
        None
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        match &self.labels {
            Labels::Images { pairs, .. } => pairs.get(index).map_or_else(
                || self.what.clone(),
                |pair| pair.image.display().to_string(),
            ),
            Labels::Objects(objects) => objects.name(index),
        }
    }

    fn decode(
        &self,
        index: usize,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        match &self.labels {
            Labels::Images {
                pairs, decoding, ..
            } => match pairs.get(index) {
                Some(pair) => decoding.decode_file(&pair.image, request, &mut scratch.decoding),
                None => Err(self.out_of_range(index)),
            },
            Labels::Objects(objects) => objects.decode(index, request, scratch),
        }
    }

    fn objects_checksum(&self, index: usize) -> Option<u32> {
        match &self.labels {
            Labels::Objects(objects) => objects.objects_checksum(index),
            Labels::Images { .. } => None,
        }
    }

    fn describe(&self) -> String {
        match &self.labels {
            Labels::Images { pairs, .. } => format!(
                "{}: {}, {}",
                self.what,
                counted(pairs.len(), "image"),
                counted(self.classes.len(), "class")
            ),
            Labels::Objects(objects) => format!("{}, and the background", objects.describe()),
        }
    }
}

impl Dataset for LabelMapSet {
    type Target = LabelMap;

    fn target(&self, index: usize, view: &ViewGeometry) -> Result<LabelMap, ImageError> {
        Ok(self.truth_of_size(index, view.image_size)?.in_view(view))
    }

    fn choose_view(
        &self,
        index: usize,
        views: &[ViewGeometry],
    ) -> Result<(usize, LabelMap), ImageError> {
        let Some((last, first)) = views.split_last() else {
            return Err(self.out_of_range(index));
        };
        let map = self.truth_of_size(index, last.image_size)?;
        for (at, view) in first.iter().enumerate() {
            let shown = map.in_view(view);
            if shown.is_varied(self.max_class_share) {
                return Ok((at, shown));
            }
        }
        Ok((first.len(), map.in_view(last)))
    }
}
