//! The command lines of `evaluate` and `predict`, which ask finished models: classifiers, detectors, segmenters.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use semaim_checkpoint::model_file::ModelKind;
use semaim_data::{OpenOptions, Source, Split, open_all};
use semaim_eval::image_batches::BatchOptions;

use crate::exit::Exit;

use super::selection::SPLITS;
use super::{
    DetectorFileArgs, DeviceArgs, PixelLimit, SelectionArgs, count, first_given, numbers, one_of,
};

/// How images are prepared for a model of any kind.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct ModelLoaderArgs {
    /// Images per forward pass [default: 64, for a detector 4; a segmenter sees one at a time]
    #[arg(long, value_parser = count(1..=65_536))]
    pub(crate) batch_size: Option<usize>,
    /// Threads that prepare images; 0: one per core (a segmenter always has one thread)
    #[arg(long, default_value_t = 0, value_parser = count(..=1024))]
    pub(crate) workers: usize,
    #[command(flatten)]
    pub(crate) limit: PixelLimit,
}

impl ModelLoaderArgs {
    /// Refuses several images per forward pass, and several threads that prepare them, for a model that sees images one at a
    /// time.
    pub(crate) fn refuse_for_segmenter(&self, model: &Path) -> Result<(), Exit> {
        let several = first_given([
            ("--batch-size", self.batch_size > Some(1)),
            ("--workers", self.workers > 1),
        ]);
        match several {
            None => Ok(()),
            Some(option) => Err(Exit::user(format!(
                "{option}: {} is a segmenter, which sees images one at a time as they differ in size, while one thread prepares \
                 the next ones",
                model.display()
            ))),
        }
    }

    /// `usual`: images per forward pass where none are given.
    pub(crate) fn batches(&self, usual: usize) -> BatchOptions {
        BatchOptions {
            batch_size: self.batch_size.unwrap_or(usual),
            workers: self.workers,
        }
    }
}

/// A finished model of any kind, and how it is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct ModelArgs {
    /// The model: a run directory of `finetune`, `detect` or `segment` (its latest model), or a model's file, for detectors also one of
    /// detectron2's (ViTDet's .pkl or .pth)
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: PathBuf,
    /// Attention heads of a detectron2 detector, where its tensors do not tell
    #[arg(long, value_parser = count(1..=1024), help_heading = "Detectors")]
    pub(crate) heads: Option<usize>,
    #[command(flatten)]
    pub(crate) detector: DetectorFileArgs,
    #[command(flatten)]
    pub(crate) loader: ModelLoaderArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The images: for a classifier labeled ones, as for `finetune`; for a detector those with objects, as for `detect`; for a
    /// segmenter those with the class of every pixel, as for `segment`. May be repeated for a classifier
    #[arg(long, value_name = "PATH", required_unless_present_any = ["annotations", "labels"])]
    pub(crate) data: Vec<String>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Which split of the data set; of one that is not divided, which part of the division that training makes [default: eval, or all of a
    /// set that is not divided and that the model was not trained on]
    #[arg(long, value_parser = one_of(SPLITS), conflicts_with_all = ["annotations", "labels"])]
    pub(crate) split: Option<Split>,
    /// A COCO file to evaluate on as a whole, instead of --data
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) annotations: Option<PathBuf>,
    /// A folder of label images to evaluate on as a whole, with --images, instead of --data (segmenters)
    #[arg(long, value_name = "DIR", requires = "images", conflicts_with_all = ["data", "annotations"])]
    pub(crate) labels: Option<PathBuf>,
    /// The folder of images of --labels or --annotations [default for the latter: looked for near the file]
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    pub(crate) images: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The images, as for `pretrain`; for a detector or a segmenter also those with objects or label images, as for `detect` and
    /// `segment`. May be repeated where they have no annotations
    #[arg(long, value_name = "PATH", required_unless_present = "annotations")]
    pub(crate) data: Vec<String>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Which split of the data set, if it has splits
    #[arg(long, value_parser = one_of(SPLITS), default_value = "eval", conflicts_with = "annotations")]
    pub(crate) split: Split,
    /// A COCO file whose images are taken, all of them, instead of --data; results have its image ids (detectors, segmenters)
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) annotations: Option<PathBuf>,
    /// The folder of its images [default: looked for near the file]
    #[arg(
        long,
        value_name = "DIR",
        requires = "annotations",
        conflicts_with = "data"
    )]
    pub(crate) images: Option<PathBuf>,
    /// The file to write: .csv or .jsonl (one JSON object per line), for a detector also .json (COCO's results, masks as run
    /// lengths) [default: CSV on standard output]; for a segmenter a folder for label images, PNGs with a palette whose values
    /// are those of the label images that it was trained on, and classes.json with their names
    #[arg(long, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
    /// A folder for a picture of each image with what was found in it: boxes, masks, classes and scores (detectors), or the
    /// colors and names of the classes of its pixels (segmenters)
    #[arg(long, value_name = "DIR")]
    pub(crate) pictures: Option<PathBuf>,
    /// Minimum score of the objects that are drawn (detectors) [default: 0.5]
    #[arg(long, value_name = "SCORE", value_parser = numbers::share)]
    pub(crate) picture_score: Option<f64>,
    /// How many classes to name for each image, the most probable first (classifiers) [default: 1]
    #[arg(long, value_parser = count(1..=1000))]
    pub(crate) top: Option<usize>,
    /// Print one JSON object per image on standard output instead of CSV; with --out, the counts as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl EvaluateArgs {
    /// The one set, where one is named, of a model whose images have annotations.
    ///
    /// # Errors
    /// Several sets, or images of a set that are left out.
    pub(crate) fn annotated(&self) -> Result<Option<&str>, Exit> {
        annotated(&self.data, &self.selection, &self.model.weights)
    }
}

/// The one set that is named, if any; annotations are all read or none.
fn annotated<'a>(
    data: &'a [String],
    selection: &SelectionArgs,
    model: &Path,
) -> Result<Option<&'a str>, Exit> {
    match data {
        _ if !selection.is_all() => Err(Exit::user(format!(
            "--exclude and --limit are for images without annotations; those for {} have some",
            model.display()
        ))),
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(Exit::user(format!(
            "several --data are for images without annotations; those for {} have some",
            model.display()
        ))),
    }
}

impl PredictArgs {
    /// Refuses options that a model of this kind would not look at.
    ///
    /// # Errors
    /// The first of them.
    pub(crate) fn refuse_unused(&self, kind: ModelKind) -> Result<(), Exit> {
        use ModelKind::{Classifier, Detector, Segmenter};
        let options: [(&str, bool, &[ModelKind], &str); 4] = [
            ("--top", self.top.is_some(), &[Classifier], "classifiers"),
            (
                "--pictures",
                self.pictures.is_some(),
                &[Detector, Segmenter],
                "detectors and segmenters",
            ),
            (
                "--annotations",
                self.annotations.is_some(),
                &[Detector, Segmenter],
                "detectors and segmenters",
            ),
            (
                "--picture-score",
                self.picture_score.is_some(),
                &[Detector],
                "detectors",
            ),
        ];
        for (option, is_given, kinds, named) in options {
            if is_given && !kinds.contains(&kind) {
                return Err(Exit::user(format!(
                    "{option} is for {named}; {} is a {kind}",
                    self.model.weights.display()
                )));
            }
        }
        if self.picture_score.is_some() && self.pictures.is_none() {
            return Err(Exit::user(
                "--picture-score says what is drawn with --pictures DIR; without that nothing is",
            ));
        }
        Ok(())
    }

    /// What names the images, for messages.
    pub(crate) fn named(&self) -> String {
        let annotations = self
            .annotations
            .as_ref()
            .map(|path| path.display().to_string());
        match self.data[..] {
            [] => annotations.unwrap_or_default(),
            _ => self.selection.named(&self.data),
        }
    }

    /// Opens images without annotations.
    pub(crate) fn open(&self, options: OpenOptions) -> Result<Arc<dyn Source>, Exit> {
        Ok(open_all(
            &self.data,
            self.split,
            &self.selection.of(options),
        )?)
    }

    /// The one set, where one is named, whose images have annotations.
    ///
    /// # Errors
    /// Several sets, or images of a set that are left out.
    pub(crate) fn annotated(&self) -> Result<Option<&str>, Exit> {
        annotated(&self.data, &self.selection, &self.model.weights)
    }
}
