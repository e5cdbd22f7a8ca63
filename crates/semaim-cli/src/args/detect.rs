//! The command line of `semaim detect`.

use std::path::PathBuf;

use super::{DeviceArgs, LayoutArgs, RunArgs};

#[derive(Debug, clap::Args)]
pub(crate) struct DetectArgs {
    /// The encoder: a run directory, or a checkpoint in any layout that `semaim inspect` knows; or a whole detector, to
    /// continue training with all its weights: a run of `semaim detect`, a detector's file, or a ViTDet file of detectron2's (.pkl, .pth)
    /// [default: the configuration's encoder.weights]
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) layout: LayoutArgs,
    /// Take only the encoder's sizes and initialize its weights at random: the baseline to compare pre-training with
    #[arg(long)]
    pub(crate) from_scratch: bool,
    /// Freeze the encoder and train only the pyramid and the heads
    #[arg(long, conflicts_with = "from_scratch")]
    pub(crate) freeze: bool,
    /// Take only the encoder of a detector in --weights; pyramid and heads start afresh
    #[arg(long)]
    pub(crate) encoder_only: bool,
    /// Class names of a detectron2 detector in --weights: a COCO file, a data.yaml, or a text file with a name on each line
    /// [default: COCO's, where they are 80]
    #[arg(long, value_name = "FILE")]
    pub(crate) classes: Option<PathBuf>,
    /// The images and their objects: a folder in COCO's format (`annotations/instances_train….json`, or one with
    /// `_annotations.coco.json` in train/ and valid/), in YOLO's (`data.yaml`, `images/`, `labels/`), a COCO file, a
    /// `data.yaml`, or `shapes` (generated). Without an evaluation split, one image in five is held out
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<String>,
    /// A COCO file to train on, instead of --data
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
    /// Images to evaluate on, where they are not in --data; in any of the same forms. A set without splits is evaluated whole,
    /// and nothing is held out of --data
    #[arg(long, value_name = "PATH")]
    pub(crate) eval_data: Option<String>,
    /// A COCO file to evaluate on, with --annotations, instead of --eval-data
    #[arg(
        long,
        value_name = "FILE",
        requires = "annotations",
        conflicts_with_all = ["data", "eval_data"]
    )]
    pub(crate) eval_annotations: Option<PathBuf>,
    /// The folder of its images [default: that of --images]
    #[arg(
        long,
        value_name = "DIR",
        requires = "eval_annotations",
        conflicts_with_all = ["data", "eval_data"]
    )]
    pub(crate) eval_images: Option<PathBuf>,
    /// The run directory [default: runs/NAME, after the recipe or the configuration file; runs/detect without one]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Start from a recipe that comes with the program: detect-small for CPUs, vitdet-b-coco as published
    /// [default: the published settings, or those of the detector whose training continues]
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    pub(crate) recipe: Option<String>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}
