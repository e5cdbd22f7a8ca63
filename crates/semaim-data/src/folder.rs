//! A folder of image files.

use std::path::{Path, PathBuf};

use crate::classes::{self, Classes};
use crate::decode::{DecodeOptions, Format};
use crate::error::{DataError, ImageError};
use crate::names::Names;
use crate::region::{DecodeRequest, DecodedRegion};
use crate::scratch::Scratch;
use crate::source::Source;
use crate::walk::{join, list};

/// All images below a folder, sorted by their relative paths.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    names: Names,
    classes: Classes,
    /// The label of each directory of `names`; empty when unlabelled.
    labels: Vec<u32>,
    decoding: DecodeOptions,
}

impl Folder {
    /// Lists `root`. When all images lie in subfolders, the first component of their paths is their class.
    pub(crate) fn open(root: &Path, decoding: DecodeOptions) -> Result<Self, DataError> {
        let listing = list(root)?;
        if listing.names.len() == 0 {
            return Err(DataError::NoImages {
                path: root.to_owned(),
                extensions: Format::EXTENSIONS.join(", "),
                others: listing.others,
            });
        }
        if u32::try_from(listing.names.len()).is_err() {
            return Err(DataError::TooMany {
                path: root.to_owned(),
                limit: u64::from(u32::MAX),
            });
        }
        let (classes, labels) =
            classes::of_directories(listing.names.directories()).unwrap_or_default();
        Ok(Self {
            root: root.to_owned(),
            names: listing.names,
            classes,
            labels,
            decoding,
        })
    }

    fn path(&self, index: usize) -> PathBuf {
        join(&self.root, &self.names.path(index))
    }
}

impl Source for Folder {
    fn len(&self) -> usize {
        self.names.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        let directory = self.names.directory_of(index)?;
        self.labels.get(directory as usize).copied()
    }

    fn classes(&self) -> &[String] {
        self.classes.names()
    }

    fn name(&self, index: usize) -> String {
        self.path(index).display().to_string()
    }

    fn decode(
        &self,
        index: usize,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        if index >= self.len() {
            let name = self.root.display().to_string();
            return Err(ImageError::out_of_range(name, index, self.len()));
        }
        let path = self.path(index);
        self.decoding
            .decode_file(&path, request, &mut scratch.decoding)
    }

    fn describe(&self) -> String {
        let classes = classes::describe(self.classes());
        format!(
            "folder {}: {} images, {classes}",
            self.root.display(),
            self.len()
        )
    }
}
