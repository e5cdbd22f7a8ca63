//! What can go wrong with a data set, with one image and with the loaders.

use std::io;
use std::path::{Path, PathBuf};

use crate::decode::Format;
use crate::dir_scan::NotRead;

/// One image that could not be turned into pixels.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct ImageError {
    /// The image, as [`crate::Source::name`] calls it.
    pub name: String,
    /// What is wrong with it.
    #[source]
    pub problem: ImageProblem,
}

impl ImageError {
    /// The error for an index past the end of a source called `name`.
    pub fn out_of_range(name: impl Into<String>, index: usize, len: usize) -> Self {
        Self {
            name: name.into(),
            problem: ImageProblem::OutOfRange { index, len },
        }
    }
}

/// Why an image could not be turned into pixels.
#[derive(Debug, thiserror::Error)]
pub enum ImageProblem {
    /// There is no image of that number.
    #[error("there is no image {index}, the source has {len}")]
    OutOfRange {
        /// The number asked for.
        index: usize,
        /// How many images the source has.
        len: usize,
    },
    /// The bytes could not be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// There are no bytes.
    #[error("the file has 0 bytes")]
    Empty,
    /// The first bytes are not those of a format this crate reads.
    #[error(
        "not an image: its first bytes are those of no known format ({})",
        Format::NAMES
    )]
    UnknownFormat,
    /// The header says the image has no pixels.
    #[error("the image is {width}x{height} pixels, there is nothing to see")]
    NoPixels {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The header says the image has more pixels than allowed. Nothing was allocated for it.
    #[error(
        "the image is {width}x{height} pixels, more than the limit of {limit} pixels (--max-pixels, or the setting \
         data.max_pixels)"
    )]
    TooLarge {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// The limit, in pixels.
        limit: u64,
    },
    /// The file is larger than any image within the pixel limit can need. It was not read.
    #[error(
        "the file has {bytes} bytes, more than the {limit} bytes that an image within the limit of pixels can need \
         (--max-pixels, or the setting data.max_pixels)"
    )]
    FileTooLarge {
        /// Length of the file.
        bytes: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The decoder refused the data.
    #[error("broken {format} data: {reason}")]
    Decode {
        /// The format, recognized by its first bytes.
        format: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// The image is of a kind that is not read. Nothing is wrong with it.
    #[error("it is {what}, which is not read")]
    Unsupported {
        /// The kind, such as `a JPEG with arithmetic coding`.
        what: String,
    },
    /// The image cannot be given with the wanted number of channels.
    #[error(
        "the {format} image has {found} channels and cannot be read as {wanted}; 1 (luma), 3 (RGB) and 4 (RGBA) \
         are possible for images with 1 to 4 channels, any other count only for TIFFs and arrays with exactly that many \
         (--set model.channels={found}, or --channels)"
    )]
    Channels {
        /// The format, recognized by its first bytes.
        format: &'static str,
        /// Channels in the file.
        found: usize,
        /// Channels asked for.
        wanted: usize,
    },
    /// A sample that is not a number, or infinite.
    #[error("it is {value} at column {column}, row {row}, channel {channel} (counted from 0)")]
    NotFinite {
        /// The sample.
        value: f32,
        /// Its column, from 0, in the file.
        column: usize,
        /// Its row, from 0, in the file.
        row: usize,
        /// Its channel, from 0, in the file.
        channel: usize,
    },
    /// Floats of another range than the normalization is for.
    #[error(
        "its floating-point samples go from {low} to {high} instead of 0 to 1, which the usual mean and standard deviation are \
         for; `semaim stats` measures those of such images, for data.mean and data.std"
    )]
    FloatRange {
        /// The least sample.
        low: f32,
        /// The largest sample.
        high: f32,
    },
    /// Files or pages that are no channels of one image together.
    #[error("its parts do not fit together: {reason}")]
    Stack {
        /// Why.
        reason: String,
        /// How many channels they have in all, where that is why.
        channels: Option<usize>,
    },
    /// An annotation cannot be used in its image.
    #[error("annotation {annotation}: {reason}")]
    Annotation {
        /// Its number.
        annotation: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// The label image of an image cannot be used.
    #[error("{}: {reason}", .path.display())]
    Labels {
        /// The label image.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The image is not of the size that its annotations are for.
    #[error(
        "the image is {}x{} pixels, its annotations are for {}x{}{}",
        .image[0], .image[1], .stated[0], .stated[1],
        if .image[0] == .stated[1] && .image[1] == .stated[0] {
            ": they are for the image as it is stored, without the orientation that its EXIF data say"
        } else {
            ""
        }
    )]
    OtherSize {
        /// Columns and rows of the image.
        image: [u32; 2],
        /// Columns and rows that the annotations state.
        stated: [u32; 2],
    },
    /// The decoder has a bug that these data met; it was contained.
    #[error("the {format} decoder failed unexpectedly: {message}")]
    DecoderPanic {
        /// The format, recognized by its first bytes.
        format: &'static str,
        /// The text of the panic.
        message: String,
    },
}

/// A data set that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is nothing at the path.
    #[error("{path}: no such file or folder")]
    Missing {
        /// The path as given.
        path: PathBuf,
    },
    /// The path exists but could not be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A folder without images.
    #[error(
        "{path}: no images found; looked in all subfolders for files ending in {extensions}, and saw {others} other files{among}"
    )]
    NoImages {
        /// The folder, tar file or list.
        path: PathBuf,
        /// The extensions looked for.
        extensions: String,
        /// Files that are not images.
        others: u64,
        /// Which of those are images of formats that are not read, in words; empty for none.
        among: String,
    },
    /// An image of a format that is not read.
    #[error("{path}: {format} files are not read; {}", Format::advice(.format))]
    NotRead {
        /// The file.
        path: PathBuf,
        /// The format's name.
        format: &'static str,
    },
    /// A path that is none of the things this crate reads.
    #[error(
        "{path}: not a folder, an image, a .tar, an IDX file (-ubyte or -ubyte.gz) or a list (.txt, .lst, .csv, .tsv)"
    )]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// A data specification that cannot be understood.
    #[error("data specification {spec:?}: {reason}")]
    Spec {
        /// The text as given.
        spec: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A broken tar file.
    #[error("{path}: broken tar file at byte {offset}{}: {reason}", .member.as_ref().map(|m| format!(", member {m}")).unwrap_or_default())]
    Tar {
        /// The tar file.
        path: PathBuf,
        /// Where the header of the member starts.
        offset: u64,
        /// The member, when its name could be read.
        member: Option<String>,
        /// What is wrong.
        reason: String,
    },
    /// A broken IDX file.
    #[error("{path}: broken IDX file: {reason}")]
    Idx {
        /// The IDX file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A broken line of a list or of a label file.
    #[error("{path}, line {line}: {reason}")]
    List {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// Annotations of a COCO file that cannot be used.
    #[error(transparent)]
    Coco(#[from] semaim_coco::CocoError),
    /// Annotations that cannot be found or used.
    #[error("{path}: {reason}")]
    Annotations {
        /// The file, the folder, or the set's description.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The wanted number of channels cannot be had.
    #[error("{path}: {found} channels, {wanted} were asked for; {reason}")]
    Channels {
        /// The file or set.
        path: PathBuf,
        /// Channels in the set.
        found: usize,
        /// Channels asked for.
        wanted: usize,
        /// What is possible.
        reason: String,
    },
    /// A pattern of images to leave out that is none.
    #[error("--exclude {pattern:?}: {reason}")]
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Patterns that leave nothing.
    #[error("--exclude leaves out all {images} of {set}")]
    AllExcluded {
        /// The set.
        set: String,
        /// How many images there were, in words.
        images: String,
    },
    /// An image that is in two data sets.
    #[error(
        "{name} is in two of the data sets that are named, {first} and {second}: each image may come once"
    )]
    Repeated {
        /// The image.
        name: String,
        /// The data set that has it first.
        first: String,
        /// The other.
        second: String,
    },
    /// More images than can be numbered.
    #[error("{path}: more than {limit} images")]
    TooMany {
        /// The folder, tar file or list.
        path: PathBuf,
        /// The largest number of images.
        limit: u64,
    },
}

impl DataError {
    /// The error for a path that cannot be read.
    pub(crate) fn unreadable(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Read { path, source },
        }
    }

    /// The error for a place without images.
    pub(crate) fn no_images(path: &Path, others: u64, not_read: &NotRead) -> Self {
        Self::NoImages {
            path: path.to_owned(),
            extensions: Format::EXTENSIONS.join(", "),
            others,
            among: not_read.among(),
        }
    }

    /// Refuses more images than can be numbered.
    pub(crate) fn check_count(path: &Path, images: usize) -> Result<(), Self> {
        if u32::try_from(images).is_ok() {
            return Ok(());
        }
        Err(Self::TooMany {
            path: path.to_owned(),
            limit: u64::from(u32::MAX),
        })
    }
}

/// A loader that cannot deliver its next batch. No batches follow it.
#[derive(Debug, thiserror::Error)]
pub enum LoaderError {
    /// The source has no images.
    #[error("the source has no images")]
    NoImages,
    /// So many images in a row were broken that the position was given up.
    #[error(
        "epoch {epoch}, batch {batch}: {tried} images in a row cannot be read, the last is {last}"
    )]
    OnlyBadImages {
        /// The epoch.
        epoch: u64,
        /// The batch within the epoch.
        batch: u64,
        /// How many images were tried.
        tried: usize,
        /// The last image tried and its error.
        last: String,
    },
    /// A worker thread failed.
    #[error("epoch {epoch}, batch {batch}: a loader thread failed: {message}")]
    Worker {
        /// The epoch.
        epoch: u64,
        /// The batch within the epoch.
        batch: u64,
        /// What the thread said.
        message: String,
    },
    /// No worker thread could be started.
    #[error("cannot start a loader thread: {0}")]
    Spawn(#[from] io::Error),
    /// The options contradict each other.
    #[error("loader options: {0}")]
    Options(String),
}

/// A view that could not be cut out of an image: the settings do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The augmentation cannot be done.
    #[error(transparent)]
    Augment(#[from] crate::augment_error::AugmentError),
    /// The image has another number of channels than the normalization.
    #[error(
        "the image has {image} channels, the mean has {mean} values and the standard deviation {std}"
    )]
    Channels {
        /// Channels of the image.
        image: usize,
        /// Length of the mean.
        mean: usize,
        /// Length of the standard deviation.
        std: usize,
    },
    /// The output has another length than channels x height x width.
    #[error("the output has room for {given} numbers, {wanted} are needed")]
    OutputLength {
        /// Length of the output.
        given: usize,
        /// Length needed.
        wanted: usize,
    },
    /// The image's sizes and its data disagree.
    #[error(
        "the image says it is {width}x{height} pixels of {channels} channels but has {samples} samples"
    )]
    Inconsistent {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Channels.
        channels: usize,
        /// How many samples there are.
        samples: usize,
    },
    /// An augmentation that is for images of 8 bits only.
    #[error(
        "the image has floating-point samples, and {what} is for those of 8 or 16 bits; switch it off ({setting})"
    )]
    FloatAugmentation {
        /// The augmentation.
        what: &'static str,
        /// The setting that switches it off.
        setting: &'static str,
    },
    /// The resampling refused.
    #[error("cannot resize: {0}")]
    Resize(String),
}
