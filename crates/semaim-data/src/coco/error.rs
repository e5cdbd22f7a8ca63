//! What can be wrong with a COCO file.

use std::io;
use std::path::PathBuf;

use crate::mask::MaskError;

/// A COCO file that cannot be used, or one segmentation of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CocoError {
    /// The file could not be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no JSON, or not in the form of COCO's instances.
    #[error("{path}: not a COCO file of instances: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// An image without pixels or with too many.
    #[error(
        "{path}: image {image} has {width}x{height} pixels; a side may have 1 to {max_side}, the image {max_pixels}"
    )]
    ImageSize {
        /// The file.
        path: PathBuf,
        /// The image's `id`.
        image: i64,
        /// Columns.
        width: u64,
        /// Rows.
        height: u64,
        /// The largest side, in pixels.
        max_side: u32,
        /// The most pixels.
        max_pixels: u64,
    },
    /// Two images or two categories of the same number.
    #[error("{path}: there are several {what} with the id {id}")]
    Repeated {
        /// The file.
        path: PathBuf,
        /// `images` or `categories`.
        what: &'static str,
        /// The `id`.
        id: i64,
    },
    /// An annotation of an image or a category that the file does not have.
    #[error("{path}: annotation {annotation} names the {what} {id}, which the file does not have")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The annotation's `id`.
        annotation: i64,
        /// `image` or `category`.
        what: &'static str,
        /// The `id` it names.
        id: i64,
    },
    /// A segmentation that gives no mask.
    #[error("{path}: annotation {annotation}: {problem}")]
    Segmentation {
        /// The file.
        path: PathBuf,
        /// The annotation's `id`.
        annotation: i64,
        /// What is wrong with it.
        #[source]
        problem: SegmentationProblem,
    },
    /// An image of the file that is not in the folder of images.
    #[error("{path}: image {image} is said to be {file}, which is no file")]
    NoFile {
        /// The COCO file.
        path: PathBuf,
        /// The image's `id`.
        image: i64,
        /// Where the image should be.
        file: PathBuf,
    },
    /// Masks of one image that do not fit together: a mistake of this crate's.
    #[error(transparent)]
    Mask(#[from] MaskError),
}

/// Why a segmentation gives no mask.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentationProblem {
    /// The annotation has none, as in files for detection alone.
    #[error("there is no segmentation")]
    Absent,
    /// It is of another size than the image.
    #[error(
        "the segmentation is of {found_height}x{found_width} pixels, the image of {height}x{width}"
    )]
    Size {
        /// Rows of the segmentation.
        found_height: u64,
        /// Columns of the segmentation.
        found_width: u64,
        /// Rows of the image.
        height: u32,
        /// Columns of the image.
        width: u32,
    },
    /// A run of fewer than 0 pixels.
    #[error("run {index} has {length} pixels")]
    NegativeRun {
        /// Which run, from 0.
        index: usize,
        /// Its length.
        length: i64,
    },
    /// The runs do not fill the image exactly.
    #[error("the runs up to {index} have {found} pixels together, the image has {expected}")]
    Total {
        /// The run at which more than `expected` was reached, or the number of runs.
        index: usize,
        /// Pixels of the runs.
        found: u64,
        /// Pixels of the image.
        expected: u64,
    },
    /// The text of the runs ends within a number.
    #[error("the text of the runs breaks off after {length} characters, within a number")]
    Truncated {
        /// Bytes of the text.
        length: usize,
    },
    /// The text of the runs has a character that cannot be in it.
    #[error("character {at} of the text of the runs is the byte {byte}; 48 to 111 are possible")]
    Character {
        /// Where, in bytes from 0.
        at: usize,
        /// What stands there.
        byte: u8,
    },
    /// The text of the runs has a number longer than any image needs.
    #[error("the number up to character {at} of the text of the runs is too long")]
    LongNumber {
        /// Where, in bytes from 0.
        at: usize,
    },
    /// A polygon whose numbers are not at least three pairs.
    #[error("polygon {polygon} has {numbers} numbers; it needs an even number of at least 6")]
    PolygonLength {
        /// Which polygon, from 0.
        polygon: usize,
        /// How many numbers it has.
        numbers: usize,
    },
    /// A corner that is not near any image.
    #[error("polygon {polygon} has a corner at {value}; coordinates may be at most {limit} from 0")]
    Coordinate {
        /// Which polygon, from 0.
        polygon: usize,
        /// The coordinate, in pixels.
        value: f64,
        /// The largest magnitude, in pixels.
        limit: f64,
    },
}
