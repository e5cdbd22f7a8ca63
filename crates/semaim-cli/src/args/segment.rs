//! The command line of `semaim segment`.

use std::path::PathBuf;

use semaim_segment::config::HeadKind;

use super::{Choice, DeviceArgs, LayoutArgs, RunArgs, one_of};

/// What stands on the encoder.
const HEADS: &[Choice<HeadKind>] = &[
    (
        "linear",
        "Batch norm and one linear layer on the patch tokens",
        HeadKind::Linear,
    ),
    (
        "upernet",
        "UPerNet: pyramid pooling and a feature pyramid",
        HeadKind::Upernet,
    ),
];

#[derive(Debug, clap::Args)]
pub(crate) struct SegmentArgs {
    /// The encoder: a run directory, or a checkpoint in any layout that `semaim inspect` knows [default: the
    /// configuration's encoder.weights]
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) layout: LayoutArgs,
    /// Head on the encoder [default: the configuration's, which is upernet]
    #[arg(long, value_parser = one_of(HEADS))]
    pub(crate) head: Option<HeadKind>,
    /// Take only the encoder's sizes and initialize its weights at random: the baseline to compare pre-training with
    #[arg(long)]
    pub(crate) from_scratch: bool,
    /// Freeze the encoder and train only the head
    #[arg(long, conflicts_with = "from_scratch")]
    pub(crate) freeze: bool,
    /// The images and the classes of their pixels: a folder with images and PNGs of the same names whose values are classes
    /// (`images/train` and `annotations/train` or `labels/train`, `train/images` and `train/labels`, ADEChallengeData2016,
    /// Pascal VOC), one with objects and their masks as for `detect`, or `shapes` (generated). 255 is ignored. Without an
    /// evaluation split, one image in five is held out
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<String>,
    /// Ignore the value 0 of label images, too; classes begin at 1, as in ADE20K
    #[arg(long)]
    pub(crate) ignore_zero: bool,
    /// A file with the names of the classes, one on each line or as JSON, optionally with their values [default: looked for
    /// beside the images; otherwise the values that occur are the classes]
    #[arg(long, value_name = "FILE")]
    pub(crate) classes: Option<PathBuf>,
    /// A folder of label images to train on, with --images, instead of --data
    #[arg(long, value_name = "DIR", conflicts_with = "data", requires = "images")]
    pub(crate) labels: Option<PathBuf>,
    /// A COCO file with objects to train on, later ones drawn over earlier ones, instead of --data
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "labels"])]
    pub(crate) annotations: Option<PathBuf>,
    /// The folder of images of --labels or --annotations [default for the latter: looked for near the file]
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    pub(crate) images: Option<PathBuf>,
    /// Images to evaluate on, where they are not in --data; in any of the same forms. A set without splits is evaluated whole,
    /// and nothing is held out of --data
    #[arg(long, value_name = "PATH")]
    pub(crate) eval_data: Option<String>,
    /// A folder of label images to evaluate on, with --eval-images
    #[arg(
        long,
        value_name = "DIR",
        requires = "labels",
        requires = "eval_images",
        conflicts_with_all = ["data", "annotations", "eval_data", "eval_annotations"]
    )]
    pub(crate) eval_labels: Option<PathBuf>,
    /// A COCO file to evaluate on, with --annotations, instead of --eval-data
    #[arg(
        long,
        value_name = "FILE",
        requires = "annotations",
        conflicts_with_all = ["data", "labels", "eval_data"]
    )]
    pub(crate) eval_annotations: Option<PathBuf>,
    /// The folder of images of --eval-labels or --eval-annotations [default for the latter: that of --images]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "eval_data"])]
    pub(crate) eval_images: Option<PathBuf>,
    /// The run directory [default: runs/NAME, after the recipe or the configuration file; runs/segment without one]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Start from a recipe that comes with the program: linear-seg or upernet-small for CPUs, upernet-b-ade20k as published
    /// [default: the published settings]
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    pub(crate) recipe: Option<String>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}
