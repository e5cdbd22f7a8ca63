//! What can be wrong with a COCO file.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// An entry of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The annotation with this `id`.
    Annotation(i64),
    /// The result at this place of the list, from 0.
    Result(usize),
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Annotation(id) => write!(f, "annotation {id}"),
            Self::Result(index) => write!(f, "results[{index}]"),
        }
    }
}

/// A result that is of one image by its `image_id` and of another by its `file_name`, as where numbers are places in a folder and
/// the annotations have their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherImage {
    /// The file of results.
    pub path: PathBuf,
    /// The result.
    pub entry: Entry,
    /// Its `image_id`.
    pub image: i64,
    /// Its `file_name`.
    pub found: String,
    /// The annotations.
    pub annotations: PathBuf,
    /// The `file_name` of the image with this `id` there.
    pub stated: String,
    /// The `id` of the image there whose `file_name` is nearest to the result's.
    pub named: i64,
}

impl fmt::Display for OtherImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            entry,
            image,
            found,
            stated,
            named,
            ..
        } = self;
        let (path, annotations) = (self.path.display(), self.annotations.display());
        write!(
            f,
            "{path}: {entry} has the image_id {image} and the file_name {found}, but image {image} of \
             {annotations} is {stated}, and {found} is image {named} there; `semaim predict --annotations FILE` writes the \
             numbers of such a file"
        )
    }
}

/// A COCO file that cannot be used, or one entry of it.
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
    /// The file is no JSON, or not in COCO's form.
    #[error("{path}: not a COCO file: {place}{reason}")]
    Json {
        /// The file.
        path: PathBuf,
        /// The entry and field, such as `annotations[3].bbox: `; empty where nothing is known.
        place: String,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// An image without pixels or with too many.
    #[error("{path}: image {image} has {width}x{height} pixels; a side may have 1 to {max_side}")]
    ImageSize {
        /// The file.
        path: PathBuf,
        /// The image's `id`.
        image: i64,
        /// Columns.
        width: i64,
        /// Rows.
        height: i64,
        /// The largest side, in pixels.
        max_side: u32,
    },
    /// Two entries of the same number.
    #[error("{path}: there are several {what} with the id {id}")]
    Repeated {
        /// The file.
        path: PathBuf,
        /// `images`, `categories` or `annotations`.
        what: &'static str,
        /// The `id`.
        id: i64,
    },
    /// An entry of an image or a category that the annotations do not have.
    #[error("{path}: {entry} names the {what} {id}, which {there} not have")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The entry.
        entry: Entry,
        /// `image` or `category`.
        what: &'static str,
        /// The `id` it names.
        id: i64,
        /// Where it is missing: `the file does` or `the annotations do`.
        there: &'static str,
    },
    /// A result whose `file_name` is that of another image of the annotations than its `image_id`.
    #[error("{0}")]
    OtherImage(Box<OtherImage>),
    /// A box that cannot be used.
    #[error("{path}: {entry}: {problem}")]
    Box {
        /// The file.
        path: PathBuf,
        /// The entry.
        entry: Entry,
        /// What is wrong with it.
        #[source]
        problem: BoxProblem,
    },
    /// An area below 0.
    #[error("{path}: {entry} has the area {area}")]
    Area {
        /// The file.
        path: PathBuf,
        /// The entry.
        entry: Entry,
        /// The area, in pixels.
        area: f64,
    },
    /// A segmentation that gives no mask.
    #[error("{path}: {entry}: {problem}")]
    Segmentation {
        /// The file.
        path: PathBuf,
        /// The entry.
        entry: Entry,
        /// What is wrong with it.
        #[source]
        problem: SegmentationProblem,
    },
    /// Boxes that can only be meant as corners.
    #[error(
        "{path}: boxes must be [x, y, width, height], but {outside} of {boxes} reach out of their images (the first: \
         {first}) and would not as corners [x0, y0, x1, y1], and all could be corners"
    )]
    Corners {
        /// The file.
        path: PathBuf,
        /// Boxes that reach out of their image, and would not as corners.
        outside: usize,
        /// All boxes.
        boxes: usize,
        /// The first that reaches out.
        first: Entry,
    },
    /// Boxes or polygons that can only be meant as fractions of the images.
    #[error(
        "{path}: all {count} {what} lie within 0 to 1 (the first: {first}), as fractions of larger images do; COCO's \
         coordinates are pixels: multiply them by the images' widths and heights"
    )]
    Fractions {
        /// The file.
        path: PathBuf,
        /// `boxes` or `polygons`.
        what: &'static str,
        /// How many.
        count: usize,
        /// The first of them.
        first: Entry,
    },
    /// Masks are asked for, and a file has none.
    #[error("{path}: there are no masks to score")]
    NoMasks {
        /// The file without them.
        path: PathBuf,
    },
}

/// Why a box cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BoxProblem {
    /// There is none, where there must be one.
    #[error("there is no `bbox`")]
    Absent,
    /// A width or height below 0.
    #[error("the box is {width} wide and {height} high; `bbox` must be [x, y, width, height]")]
    Negative {
        /// Pixels across.
        width: f64,
        /// Pixels down.
        height: f64,
    },
    /// A number that is not near any image.
    #[error("the box has the coordinate {value}; coordinates may be at most {limit} from 0")]
    Coordinate {
        /// The number, in pixels.
        value: f64,
        /// The largest magnitude, in pixels.
        limit: f64,
    },
}

/// Why a segmentation gives no mask.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentationProblem {
    /// The annotation has none, as in files for detection alone.
    #[error("there is no segmentation")]
    Absent,
    /// The file does not say how large the image is.
    #[error("its image has no `width` and `height`, which masks need")]
    NoImageSize,
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
