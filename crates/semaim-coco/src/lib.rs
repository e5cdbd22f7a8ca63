//! COCO's files and numbers: annotations, results, masks as run lengths, and average precision for boxes and masks,
//! equal to what pycocotools 2.0.11 gives (Lin et al., 2014).
//!
//! [`Annotations`] and [`Results`] read the two kinds of files, [`evaluate`] compares them. Whoever has truths and
//! detections in memory gives them to an [`Evaluator`] instead.

mod annotations;
mod apart;
mod average_precision;
mod corners;
mod error;
mod evaluate;
mod evaluator;
mod file_name;
mod fractions;
mod integer;
mod iou;
mod json;
mod kind;
mod matching;
mod polygon;
mod repairs;
mod results;
mod rle;
mod segmentation;
mod summary;

pub use annotations::{Annotation, Annotations, Category, Image};
pub use error::{BoxProblem, CocoError, Entry, OtherImage, SegmentationProblem};
pub use evaluate::{EvaluateOptions, IouType, Scores, evaluate};
pub use evaluator::{Evaluation, Evaluator};
pub use iou::{Region, box_iou};
pub use kind::is_annotation_file;
pub use matching::{Detection, Truth};
pub use repairs::{Repair, Repaired};
pub use results::{Results, ScoredResult};
pub use rle::Rle;
pub use segmentation::Segmentation;
pub use summary::{METRICS, Metric, summary_line};
