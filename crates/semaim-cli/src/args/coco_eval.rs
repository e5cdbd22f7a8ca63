//! Arguments of `coco-eval`.

use std::path::PathBuf;

use clap::ValueEnum;

#[derive(Debug, clap::Args)]
pub(crate) struct CocoEvalArgs {
    /// The annotations, in the form of COCO's instances
    #[arg(long, value_name = "FILE")]
    pub(crate) annotations: PathBuf,
    /// The detections, in the form of COCO's results: a list of image_id, category_id, score, and bbox, segmentation or both
    #[arg(long, value_name = "FILE")]
    pub(crate) detections: PathBuf,
    /// Score only boxes or only masks [default: both, where both files have them]
    #[arg(long, value_enum, value_name = "TYPE")]
    pub(crate) iou_type: Option<IouTypeArg>,
    /// Treat all categories as one: score whether objects are found, whatever their class (pycocotools' useCats = 0)
    #[arg(long)]
    pub(crate) class_agnostic: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IouTypeArg {
    /// Boxes
    Bbox,
    /// Masks
    Segm,
}
