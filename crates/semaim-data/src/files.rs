//! Image files, by their paths: those of a folder, of a list, or named one by one.

use std::path::{Path, PathBuf};

use crate::classes::{self, Classes};
use crate::counted::counted;
use crate::decode::{DecodeOptions, Format, Layer, stacked};
use crate::dir_scan;
use crate::error::{DataError, ImageError};
use crate::metadata::{self, Metadata};
use crate::notices::{self, some_of};
use crate::region::{DecodeRequest, DecodedRegion};
use crate::scratch::Scratch;
use crate::source::Source;

/// Image files in a fixed order.
#[derive(Debug)]
pub(crate) struct Files {
    /// What they are, for messages: `folder photos`.
    what: String,
    /// Where relative paths start.
    root: PathBuf,
    paths: Vec<Box<Path>>,
    /// The files whose channels follow those of each path, where an image is several files; else empty.
    more: Vec<Box<[Box<Path>]>>,
    classes: Classes,
    /// One per image, or empty when no image has a label.
    labels: Vec<Option<u32>>,
    decoding: DecodeOptions,
}

/// Images beside subfolders are said to be in the way of classes where they are at most one in so many.
const FEW: usize = 10;

impl Files {
    /// All images below a folder, sorted by their relative paths. Their labels are those of the metadata files beside them, where
    /// there are such with labels; otherwise, when all of them lie in subfolders, the first component of their paths is their
    /// class.
    pub(crate) fn of_folder(root: &Path, decoding: DecodeOptions) -> Result<Self, DataError> {
        let listing = dir_scan::list(root)?;
        listing.warn(root);
        if listing.images.is_empty() {
            return Err(DataError::no_images(
                root,
                listing.others,
                &listing.not_read,
            ));
        }
        let directories = listing.images.iter().map(|path| {
            let path = path.as_os_str().as_encoded_bytes();
            let end = path.iter().rposition(|&b| b == b'/' || b == b'\\');
            path.get(..end.map_or(0, |end| end + 1)).unwrap_or_default()
        });
        let in_folders = classes::of_directories(directories.clone());
        let metadata = Metadata::of_folder(root, &listing.images)?;
        let places = listing.images.iter().map(|image| metadata::place(0, image));
        let given = metadata.labels(root, places, in_folders.is_some());
        if given.is_none() && in_folders.is_none() {
            let beside: Vec<String> = listing
                .images
                .iter()
                .zip(directories)
                .filter(|(_, directory)| directory.is_empty())
                .map(|(image, _)| image.display().to_string())
                .collect();
            // A few strays, that is, and no set that is partly sorted into folders.
            if !beside.is_empty() && FEW * beside.len() <= listing.images.len() {
                notices::warn(format!(
                    "{}: without labels, as {} beside the subfolders: {}; subfolders are classes where all images lie in such",
                    root.display(),
                    match beside.len() {
                        1 => "an image lies".to_owned(),
                        number => format!("{number} images lie"),
                    },
                    some_of(&beside),
                ));
            }
        }
        let (classes, labels) = given.unwrap_or_else(|| {
            let (classes, labels) = in_folders.unwrap_or_default();
            (classes, labels.into_iter().map(Some).collect())
        });
        let what = format!("folder {}", root.display());
        Self::new(what, root, listing.images, classes, labels, decoding)
    }

    /// The images of a list at `path`: paths relative to its folder, the files whose channels follow those of each path, if images
    /// are several files, and one label per image or none at all.
    pub(crate) fn of_list(
        path: &Path,
        paths: Vec<Box<Path>>,
        more: Vec<Box<[Box<Path>]>>,
        classes: Classes,
        labels: Vec<Option<u32>>,
        decoding: DecodeOptions,
    ) -> Result<Self, DataError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let what = format!("list {}", path.display());
        let files = Self::new(what, folder, paths, classes, labels, decoding)?;
        Ok(Self { more, ..files })
    }

    /// Single image files, in the order given, without labels.
    pub(crate) fn of_images(paths: &[PathBuf], decoding: DecodeOptions) -> Result<Self, DataError> {
        let what = match paths {
            [only] => format!("image {}", only.display()),
            [first, ..] => format!("image {} and others", first.display()),
            [] => String::new(),
        };
        let paths = paths.iter().map(|path| path.as_path().into()).collect();
        let classes = Classes::default();
        Self::new(what, Path::new(""), paths, classes, Vec::new(), decoding)
    }

    fn new(
        what: String,
        root: &Path,
        paths: Vec<Box<Path>>,
        classes: Classes,
        labels: Vec<Option<u32>>,
        decoding: DecodeOptions,
    ) -> Result<Self, DataError> {
        DataError::check_count(root, paths.len())?;
        Ok(Self {
            what,
            root: root.to_owned(),
            paths,
            more: Vec::new(),
            classes,
            labels,
            decoding,
        })
    }

    /// Decodes the files of an image, each with the channels that it has, and puts these together.
    fn decode_stack(
        &self,
        first: &Path,
        more: &[Box<Path>],
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        let options = DecodeOptions {
            channels: None,
            ..self.decoding
        };
        let paths = std::iter::once(first).chain(more.iter().map(|path| &**path));
        let mut layers = Vec::with_capacity(1 + more.len());
        for path in paths {
            let path = self.root.join(path);
            let decoded =
                options.decode_file(&path, &mut DecodeRequest::whole, &mut scratch.decoding)?;
            layers.push(Layer {
                name: path.display().to_string(),
                pixels: decoded.pixels,
            });
        }
        stacked(layers, self.decoding.channels)
            .map(DecodedRegion::whole)
            .map_err(|problem| ImageError {
                name: self.root.join(first).display().to_string(),
                problem,
            })
    }
}

impl Source for Files {
    fn len(&self) -> usize {
        self.paths.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index).copied().flatten()
    }

    fn classes(&self) -> &[String] {
        self.classes.names()
    }

    fn name(&self, index: usize) -> String {
        let path = self.paths.get(index).map_or(Path::new(""), |path| path);
        self.root.join(path).display().to_string()
    }

    fn is_same(&self, a: usize, b: usize) -> bool {
        self.name(a) == self.name(b) && self.more.get(a) == self.more.get(b)
    }

    fn decode(
        &self,
        index: usize,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        let Some(path) = self.paths.get(index) else {
            return Err(ImageError::out_of_range(&*self.what, index, self.len()));
        };
        if let Some(more) = self.more.get(index) {
            return self.decode_stack(path, more, scratch);
        }
        let path = self.root.join(path);
        self.decoding
            .decode_file(&path, request, &mut scratch.decoding)
    }

    fn describe(&self) -> String {
        let images = counted(self.len(), "image");
        let classes = classes::describe(self.classes());
        let files = match self.more.first() {
            Some(more) => format!(" of {} files each", 1 + more.len()),
            None => String::new(),
        };
        format!("{}: {images}{files}, {classes}", self.what)
    }
}

/// Whether a path names an image by its extension.
pub(crate) fn is_image(path: &Path) -> bool {
    Format::is_image_name(path.as_os_str().as_encoded_bytes())
}

/// Whether a path that somebody names is that of an image by its extension: also that of an array.
pub(crate) fn is_listed(path: &Path) -> bool {
    Format::is_listed_name(path.as_os_str().as_encoded_bytes())
}
