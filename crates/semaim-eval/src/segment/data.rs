//! The images of a segmenter's training and the classes of their pixels.

use std::path::{Path, PathBuf};

use semaim_config::Problems;
use semaim_data::{
    DataError, LabelMapSet, LabelMapSpec, Normalization, ObjectSpec, OpenOptions, ShapesOptions,
    Source, Split, has_label_images, open_label_maps, warn_of_shared,
};
use semaim_train::config::Loading;
use serde::{Deserialize, Serialize};

use super::segmenter::SegmenterInfo;
use crate::named_images::{NamedImages, is_another_set};
use crate::views::SHAPES_TO_EVALUATE;

/// The images and the classes of their pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelDataConfig {
    /// `shapes`, a folder of images and label images, or one of images and objects with masks; or else `labels` or
    /// `annotations`.
    pub path: String,
    /// A folder of label images to train on, with `images`, instead of `path`.
    pub labels: PathBuf,
    /// A COCO file whose objects are trained on, instead of `path`.
    pub annotations: PathBuf,
    /// The folder of images of `labels` or `annotations`; of the latter looked for near the file where empty.
    pub images: PathBuf,
    /// Images to evaluate on, in any of the forms of `path`: its evaluation split, or all of it where it is not divided, and none
    /// of `path` is held out. Without a file of names it has the classes of `path`. Empty: the evaluation split of `path`.
    pub eval: String,
    /// A folder of label images to evaluate on, with `eval_images`.
    pub eval_labels: PathBuf,
    /// A COCO file to evaluate on, beside `annotations`.
    pub eval_annotations: PathBuf,
    /// The folder of images of `eval_labels` or `eval_annotations`; of the latter `images` where empty.
    pub eval_images: PathBuf,
    /// A file of the names of the classes, and perhaps their values; empty: looked for beside the images.
    pub classes: PathBuf,
    /// Whether the value 0 of label images says nothing and classes begin at 1, as in ADE20K.
    pub ignore_zero: bool,
    /// Generated training images when `path` is `shapes`.
    pub shapes_count: usize,
    /// Generated evaluation images when `path` is `shapes`.
    pub shapes_eval_count: usize,
    /// Largest image that is decoded, in pixels.
    pub max_pixels: u64,
    /// Share of unreadable images that stops the run.
    pub max_bad_fraction: f64,
    /// Threads that prepare images; 0: one per core.
    pub workers: usize,
    /// Batches prepared ahead.
    pub queue: usize,
}

impl Default for LabelDataConfig {
    fn default() -> Self {
        Self {
            path: String::new(),
            labels: PathBuf::new(),
            annotations: PathBuf::new(),
            images: PathBuf::new(),
            eval: String::new(),
            eval_labels: PathBuf::new(),
            eval_annotations: PathBuf::new(),
            eval_images: PathBuf::new(),
            classes: PathBuf::new(),
            ignore_zero: false,
            shapes_count: 6_000,
            shapes_eval_count: SHAPES_TO_EVALUATE,
            max_pixels: OpenOptions::default().max_pixels,
            max_bad_fraction: 0.01,
            workers: 0,
            queue: 4,
        }
    }
}

/// What is trained on and what is evaluated on; their classes are the same.
#[derive(Debug)]
pub struct LabelSplits {
    /// Trained on.
    pub train: LabelMapSet,
    /// Evaluated on.
    pub eval: LabelMapSet,
}

/// A path, where there is one.
fn given(path: &Path) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then(|| path.to_path_buf())
}

impl LabelDataConfig {
    /// What the trainer reads.
    pub(super) fn loading(&self) -> Loading {
        Loading {
            max_bad_fraction: self.max_bad_fraction,
            workers: self.workers,
            queue: self.queue,
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let is = |path: &PathBuf| !path.as_os_str().is_empty();
        problems.require(
            !self.path.is_empty() || is(&self.labels) || is(&self.annotations),
            "path",
            "must name the images (--data, or --images with --labels or --annotations; `shapes` for the generated ones)",
        );
        for (key, labels, images, images_key) in [
            ("labels", &self.labels, &self.images, "images"),
            (
                "eval_labels",
                &self.eval_labels,
                &self.eval_images,
                "eval_images",
            ),
        ] {
            problems.require(
                !is(labels) || is(images),
                key,
                format!("needs its folder of images (data.{images_key})"),
            );
        }
        problems.require(
            !(is(&self.labels) && is(&self.annotations)),
            "labels",
            "and data.annotations are both given; one of them says what is trained on",
        );
        NamedImages {
            path: &self.path,
            annotated: &[
                ("labels", is(&self.labels)),
                ("annotations", is(&self.annotations)),
            ],
            images: is(&self.images),
            eval: &self.eval,
            eval_annotated: &[
                ("eval_labels", is(&self.eval_labels)),
                ("eval_annotations", is(&self.eval_annotations)),
            ],
            eval_images: is(&self.eval_images),
        }
        .check(problems);
        problems.in_range("shapes_count", self.shapes_count, 1..);
        problems.in_range("shapes_eval_count", self.shapes_eval_count, 1..);
        problems.in_range("max_pixels", self.max_pixels, 1..);
    }

    /// Opens both splits for a segmenter on an encoder of this `normalization`; generated ones are squares of so many pixels. Of a training
    /// view one class has less than `max_class_share`, where there is such a view.
    ///
    /// # Errors
    /// What cannot be opened, and splits with different classes.
    pub fn open(
        &self,
        normalization: &Normalization,
        shapes_side: usize,
        max_class_share: f64,
        seed: u64,
    ) -> Result<LabelSplits, DataError> {
        let options = |count| OpenOptions {
            channels: normalization.mean.len(),
            unit_floats: normalization.is_a_convention(),
            max_pixels: self.max_pixels,
            shapes: ShapesOptions {
                count,
                image_size: [u32::try_from(shapes_side).unwrap_or(u32::MAX); 2],
                seed,
                ..ShapesOptions::default()
            },
            ..OpenOptions::default()
        };
        let own_eval = is_another_set(&self.eval, &self.path);
        let spec = LabelMapSpec {
            whole: own_eval,
            ..self.spec()
        };
        let train = open_label_maps(&spec, Split::Train, &options(self.shapes_count))?;
        let eval = match own_eval {
            false => spec,
            true => LabelMapSpec {
                data: self.eval.clone(),
                classes: given(&self.classes),
                ignore_zero: self.ignore_zero,
                // Values of label images mean the same there; objects have names of their own.
                known: train.has_label_images().then(|| known(&train)),
                whole: true,
                ..LabelMapSpec::default()
            },
        };
        let eval = open_label_maps(&eval, Split::Eval, &options(self.shapes_eval_count))?;
        train.check_same_classes(&eval)?;
        warn_of_shared(&train, &eval);
        Ok(LabelSplits {
            train: train.with_max_class_share(max_class_share),
            eval,
        })
    }

    fn spec(&self) -> LabelMapSpec {
        let objects = given(&self.annotations).map(|annotations| ObjectSpec {
            annotations: Some(annotations),
            images: given(&self.images),
            eval_annotations: given(&self.eval_annotations),
            eval_images: given(&self.eval_images),
            ..ObjectSpec::default()
        });
        LabelMapSpec {
            data: self.path.clone(),
            images: given(&self.images),
            labels: given(&self.labels),
            eval_images: given(&self.eval_images),
            eval_labels: given(&self.eval_labels),
            objects,
            classes: given(&self.classes),
            ignore_zero: self.ignore_zero,
            ..LabelMapSpec::default()
        }
    }
}

/// The values of the classes of label images, and their names.
fn known(set: &LabelMapSet) -> Vec<(u8, String)> {
    let values = set.values().iter().copied();
    values.zip(set.classes().iter().cloned()).collect()
}

/// What a trained segmenter is to be evaluated on or used for: a folder of label images with its folder of images, COCO
/// annotations, with their folder of images where it is not near the file, or else what `data` names. The values of label images
/// are read as those that it was trained on, unless a file beside them says otherwise.
///
/// # Errors
/// A folder that cannot be read.
pub fn labeled(
    info: &SegmenterInfo,
    data: Option<&str>,
    labels: Option<&Path>,
    annotations: Option<&Path>,
    images: Option<&Path>,
) -> Result<LabelMapSpec, DataError> {
    let data = data.unwrap_or_default();
    let objects = annotations.map(|annotations| ObjectSpec {
        eval_annotations: Some(annotations.to_path_buf()),
        eval_images: images.map(Path::to_path_buf),
        ..ObjectSpec::default()
    });
    Ok(LabelMapSpec {
        // Objects have no values.
        ignore_zero: info.settings.ignore_zero
            && objects.is_none()
            && (labels.is_some() || has_label_images(data)?),
        known: Some(info.values()),
        data: data.into(),
        eval_images: labels.and(images).map(Path::to_path_buf),
        eval_labels: labels.map(Path::to_path_buf),
        objects,
        ..LabelMapSpec::default()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    /// A folder of images of an object each that are not divided.
    fn undivided(folder: &Path, count: usize) -> String {
        fs::create_dir_all(folder).unwrap();
        let names: Vec<String> = (0..count).map(|n| format!("{n}.png")).collect();
        let images = names.iter().zip(0..);
        let images =
            images.map(|(name, id)| json!({"id": id, "file_name": name, "width": 8, "height": 8}));
        let objects = (0..count).map(|id| {
            json!({
                "id": id + 1, "image_id": id, "category_id": 1, "iscrowd": 0, "area": 8,
                "bbox": [1, 1, 4, 4], "segmentation": [[1, 1, 5, 1, 1, 5]],
            })
        });
        let file = json!({
            "images": images.collect::<Vec<_>>(),
            "annotations": objects.collect::<Vec<_>>(),
            "categories": [{"id": 1, "name": "cup"}],
        });
        fs::write(folder.join("a.json"), file.to_string()).unwrap();
        for name in &names {
            fs::write(folder.join(name), "").unwrap();
        }
        folder.display().to_string()
    }

    #[test]
    fn nothing_is_held_out_where_there_is_another_set_to_evaluate_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = undivided(&folder.path().join("a"), 30);
        let other = undivided(&folder.path().join("b"), 20);
        let opened = |eval: &str| {
            let data = LabelDataConfig {
                path: path.clone(),
                eval: eval.into(),
                ..LabelDataConfig::default()
            };
            let LabelSplits { train, eval } =
                data.open(&Normalization::usual(3), 64, 0.75, 0).unwrap();
            let said = [train.notices(), eval.notices()].concat();
            (train.len(), eval.len(), said.len())
        };
        assert_eq!(opened(&other), (30, 20, 1));
        // The set itself is divided as without.
        let alone = opened("");
        assert_eq!(alone.0 + alone.1, 30);
        assert_eq!(alone.2, 2);
        assert_eq!(opened(&path), alone);
        // However it is written.
        assert_eq!(opened(&format!("{path}/../a/")), alone);
    }

    #[test]
    fn a_set_without_objects_is_not_trained_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = undivided(folder.path(), 5);
        let file = folder.path().join("a.json");
        let text = fs::read_to_string(&file).unwrap();
        let mut without: serde_json::Value = serde_json::from_str(&text).unwrap();
        without["annotations"] = json!([]);
        fs::write(&file, without.to_string()).unwrap();
        let data = LabelDataConfig {
            path,
            ..LabelDataConfig::default()
        };
        let error = data
            .open(&Normalization::usual(3), 64, 0.75, 0)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no object to learn from"), "{error}");
    }
}
