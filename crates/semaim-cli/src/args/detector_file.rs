//! The command line of what a detector's file does not say, or is to do otherwise.

use std::path::PathBuf;

use super::first_given;

#[derive(Debug, clap::Args)]
pub(crate) struct DetectorFileArgs {
    /// Class names of a detectron2 detector: a COCO file, a data.yaml, or a text file with a name on each line [default: COCO's,
    /// where they are 80]
    #[arg(long, value_name = "FILE", help_heading = "Detectors")]
    pub(crate) classes: Option<PathBuf>,
    /// Override a setting in a detector's file, under the name that it has for `semaim detect`, as in `--set
    /// detector.inference.score=0.3`; also say what a detectron2 file does not: detector.canvas,
    /// detector.attention.window, detectron2.channel_order (rgb, bgr), detectron2.pixel_mean and so on. For `evaluate` and `predict`
    /// with a segmenter, how images are seen: eval.mode, eval.crop, eval.stride, eval.flip, eval.scales, eval.short_side, eval.long_side
    #[arg(
        long,
        value_name = "KEY=VALUE",
        help_heading = "Detectors and segmenters"
    )]
    pub(crate) set: Vec<String>,
}

impl DetectorFileArgs {
    /// The first option that is given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        first_given([
            ("--classes", self.classes.is_some()),
            ("--set", !self.set.is_empty()),
        ])
    }
}
