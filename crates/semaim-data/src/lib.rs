//! Turns what a user points at into normalized float batches, deterministically.
//!
//! [`open`] makes a [`Source`] of a folder, tar files, an IDX file, a list or the generated `shapes` set, [`open_all`] of several;
//! [`Augment`] cuts views out of its images; [`TrainingLoader`] and [`EvaluationLoader`] deliver batches of
//! views from worker threads. What an image looks like depends only on the seed, the epoch and the image, so
//! the number of workers and resumption cannot change it.

mod augment;
mod augment_error;
mod batch;
mod classes;
pub mod counted;
mod crop;
mod decode;
mod depth;
mod dir_scan;
mod erase;
pub mod error;
mod exclude;
mod file;
mod files;
mod framing;
mod idx;
mod image_numbers;
mod json_label;
mod kept;
mod label_map;
mod label_map_set;
mod list;
mod loader;
mod mask;
mod metadata;
mod mixup_cutmix;
mod notices;
mod object_set;
mod objects;
mod open;
mod panic;
mod permutation;
mod photometric;
pub mod pixels;
mod prefetch;
mod rand_augment;
mod region;
mod renumbered;
mod resample;
mod same_classes;
mod scratch;
mod several;
pub mod shapes;
mod similarity_maps;
pub mod source;
mod spec;
mod splits;
mod statistics;
mod subset;
mod tar;
mod throughput;
mod view;

pub use augment::Augment;
pub use augment_error::AugmentError;
pub use batch::{BadImage, Batch};
pub use counted::counted;
pub use crop::{CropBox, random_crop};
pub use decode::{Format, decode};
pub use erase::{EraseMode, RandomErasing};
pub use error::{DataError, ImageError, ImageProblem, LoaderError, ViewError};
pub use framing::{Framing, LARGE_SCALE_JITTER, SEGMENTATION_SCALE, short_side_size};
pub use image_numbers::{NumberedBy, image_numbers};
pub use kept::held_out;
pub use label_map::{IGNORED, LabelMap};
pub use label_map_set::{LabelMapSet, LabelMapSpec, has_label_images, open_label_maps};
pub use list::EXTENSIONS as LIST_EXTENSIONS;
pub use loader::{EvaluationLoader, LoaderOptions, Position, TrainingLoader, Turns};
pub use mask::{Mask, MaskError};
pub use mixup_cutmix::{MixOp, MixupCutmix};
pub use notices::{some_of, warn_of_shared, warn_of_unlabeled};
pub use object_set::{
    ImageObjects, ObjectClasses, ObjectCount, ObjectSet, ObjectSpec, is_annotated, open_objects,
};
pub use objects::Objects;
pub use open::{OpenOptions, open, open_all};
pub use panic::{panic_is_caught, panic_message};
pub use photometric::PhotometricDistortion;
pub use pixels::{Pixels, Samples};
pub use rand_augment::{Operation, RandAugment, fill_color};
pub use region::{DecodeRequest, DecodedRegion};
pub use scratch::Scratch;
pub use shapes::{Shapes, ShapesOptions};
pub use similarity_maps::{MappedImages, SimilarityMap, SimilarityMapError, map_names};
pub use source::{ClassTarget, Dataset, Source, Split, same_images};
pub use spec::{DataSpec, Places, same_sets};
pub use statistics::{
    ChannelStatistics, ImageChannel, ImageStatistics, Statistics, StatisticsLoader,
};
pub use subset::{Subset, spread};
pub use throughput::{Throughput, measure};
pub use view::{ViewGeometry, ViewPlan};

pub use semaim_normalization::Normalization;
