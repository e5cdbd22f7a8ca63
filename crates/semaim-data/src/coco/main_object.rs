//! What stands out in an image: its largest object.

use std::path::{Path, PathBuf};

use super::error::CocoError;
use super::{CocoAnnotations, CocoImage};
use crate::mask::Mask;

/// An image with the masks that pointing is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedImage {
    /// The image's file.
    pub path: PathBuf,
    /// The kind of the main object: an index into [`CocoAnnotations::categories`].
    pub category: usize,
    /// The main object: of those that are no crowd, the one with the most pixels; the first of several.
    pub main: Mask,
    /// All objects, crowds included.
    pub all: Mask,
}

impl CocoAnnotations {
    /// The images of the file, which lie in `folder`, with their masks, made one after the other when asked for.
    ///
    /// Images without an object that is no crowd and has a pixel are left out. The files must exist, but are not opened.
    ///
    /// # Errors
    ///
    /// Each item on its own: [`CocoError::Segmentation`] when an object has no usable mask, [`CocoError::NoFile`] when
    /// the image is not in the folder.
    pub fn masked_images(
        &self,
        folder: &Path,
    ) -> impl Iterator<Item = Result<MaskedImage, CocoError>> {
        let images = self.images.iter();
        images.filter_map(move |image| self.masked(image, folder).transpose())
    }

    fn masked(&self, image: &CocoImage, folder: &Path) -> Result<Option<MaskedImage>, CocoError> {
        let mut all: Option<Mask> = None;
        let mut main: Option<(u64, usize, Mask)> = None;
        for object in &image.objects {
            let mask = self.mask(image, object)?;
            match &mut all {
                Some(all) => all.unite(&mask)?,
                None => all = Some(mask.clone()),
            }
            let count = mask.count();
            let least = main.as_ref().map_or(0, |(count, ..)| *count);
            if !object.is_crowd && count > least {
                main = Some((count, object.category, mask));
            }
        }
        let (Some(all), Some((_, category, main))) = (all, main) else {
            return Ok(None);
        };
        let path = folder.join(&image.file_name);
        if !path.is_file() {
            return Err(CocoError::NoFile {
                path: self.path.clone(),
                image: image.id,
                file: path,
            });
        }
        Ok(Some(MaskedImage {
            path,
            category,
            main,
            all,
        }))
    }
}
