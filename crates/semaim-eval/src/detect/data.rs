//! The images of a detector's training and their objects.

use std::path::{Path, PathBuf};

use semaim_config::Problems;
use semaim_data::{
    DataError, Normalization, ObjectSet, ObjectSpec, OpenOptions, ShapesOptions, Split,
    open_objects, warn_of_shared,
};
use semaim_train::config::Loading;
use serde::{Deserialize, Serialize};

use crate::named_images::{NamedImages, is_another_set};
use crate::views::SHAPES_TO_EVALUATE;

/// The images and their objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectDataConfig {
    /// `shapes`, a folder in COCO's format or one in YOLO's; or `annotations`.
    pub path: String,
    /// A COCO file to train on, instead of `path`.
    pub annotations: PathBuf,
    /// Its folder of images; empty: looked for near the file.
    pub images: PathBuf,
    /// Images to evaluate on, in any of the forms of `path`: its evaluation split, or all of it where it is not divided, and none
    /// of `path` is held out. Empty: the evaluation split of `path`.
    pub eval: String,
    /// A COCO file to evaluate on, instead of `eval`.
    pub eval_annotations: PathBuf,
    /// Its folder of images; empty: `images`.
    pub eval_images: PathBuf,
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

impl Default for ObjectDataConfig {
    fn default() -> Self {
        Self {
            path: String::new(),
            annotations: PathBuf::new(),
            images: PathBuf::new(),
            eval: String::new(),
            eval_annotations: PathBuf::new(),
            eval_images: PathBuf::new(),
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
pub struct ObjectSplits {
    /// Trained on.
    pub train: ObjectSet,
    /// Evaluated on.
    pub eval: ObjectSet,
}

impl ObjectDataConfig {
    /// What the trainer reads.
    pub(super) fn loading(&self) -> Loading {
        Loading {
            max_bad_fraction: self.max_bad_fraction,
            workers: self.workers,
            queue: self.queue,
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        problems.require(
            !self.path.is_empty() || !self.annotations.as_os_str().is_empty(),
            "path",
            "must name the images (--data, or --annotations and --images; `shapes` for the generated ones)",
        );
        let is = |path: &PathBuf| !path.as_os_str().is_empty();
        NamedImages {
            path: &self.path,
            annotated: &[("annotations", is(&self.annotations))],
            images: is(&self.images),
            eval: &self.eval,
            eval_annotated: &[("eval_annotations", is(&self.eval_annotations))],
            eval_images: is(&self.eval_images),
        }
        .check(problems);
        problems.in_range("shapes_count", self.shapes_count, 1..);
        problems.in_range("shapes_eval_count", self.shapes_eval_count, 1..);
        problems.in_range("max_pixels", self.max_pixels, 1..);
    }

    /// Opens both splits for a detector on an encoder of this `normalization`, with a canvas of so many pixels.
    ///
    /// # Errors
    /// What cannot be opened, and splits with different classes.
    pub fn open(
        &self,
        normalization: &Normalization,
        canvas: usize,
        seed: u64,
    ) -> Result<ObjectSplits, DataError> {
        let options = |count| OpenOptions {
            channels: normalization.mean.len(),
            unit_floats: normalization.is_a_convention(),
            max_pixels: self.max_pixels,
            shapes: ShapesOptions {
                count,
                image_size: [u32::try_from(canvas).unwrap_or(u32::MAX); 2],
                seed,
                ..ShapesOptions::default()
            },
            ..OpenOptions::default()
        };
        let own_eval = is_another_set(&self.eval, &self.path);
        let spec = ObjectSpec {
            whole: own_eval,
            ..self.spec()
        };
        let train = open_objects(&spec, Split::Train, &options(self.shapes_count))?;
        let eval = match own_eval {
            false => spec,
            true => ObjectSpec {
                whole: true,
                ..ObjectSpec::of(self.eval.as_str())
            },
        };
        let eval = open_objects(&eval, Split::Eval, &options(self.shapes_eval_count))?;
        train.check_same_classes(&eval)?;
        warn_of_shared(&train, &eval);
        Ok(ObjectSplits { train, eval })
    }

    fn spec(&self) -> ObjectSpec {
        let given = |path: &Path| (!path.as_os_str().is_empty()).then(|| path.to_path_buf());
        ObjectSpec {
            data: self.path.clone(),
            annotations: given(&self.annotations),
            images: given(&self.images),
            eval_annotations: given(&self.eval_annotations),
            eval_images: given(&self.eval_images),
            ..ObjectSpec::default()
        }
    }
}

/// What a trained detector is to be evaluated on or used for: COCO annotations, with their folder of images where it is not near
/// the file, or else what `data` names.
pub fn evaluated(
    data: Option<&str>,
    annotations: Option<&Path>,
    images: Option<&Path>,
) -> ObjectSpec {
    ObjectSpec {
        data: data.unwrap_or_default().to_string(),
        eval_annotations: annotations.map(Path::to_path_buf),
        eval_images: images.map(Path::to_path_buf),
        ..ObjectSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use semaim_data::Source;
    use serde_json::json;

    use super::*;

    /// A folder of images that are not divided.
    fn undivided(folder: &Path, count: usize) -> String {
        fs::create_dir_all(folder).unwrap();
        let names: Vec<String> = (0..count).map(|n| format!("{n}.png")).collect();
        let images = names.iter().zip(0..);
        let images =
            images.map(|(name, id)| json!({"id": id, "file_name": name, "width": 8, "height": 8}));
        let file = json!({
            "images": images.collect::<Vec<_>>(),
            "annotations": [],
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
            let data = ObjectDataConfig {
                path: path.clone(),
                eval: eval.into(),
                ..ObjectDataConfig::default()
            };
            let ObjectSplits { train, eval } = data.open(&Normalization::usual(3), 64, 0).unwrap();
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
}
