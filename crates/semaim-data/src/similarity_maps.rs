//! How semantic each patch of an image is, as files or annotations say it: the order of prediction given from outside.

mod files;
mod masks;

use std::sync::Arc;

use crate::error::ImageError;
use crate::region::{DecodeRequest, DecodedRegion};
use crate::scratch::Scratch;
use crate::source::{Dataset, Source};
use crate::view::ViewGeometry;

use files::MapFiles;
use masks::ObjectMasks;

pub use files::{SimilarityMapError, map_names};

/// The similarity map of a view, one value per patch, `[patches]` row by row from the top left; empty where there are no maps.
pub type SimilarityMap = Vec<f32>;

/// Images to pre-train on, each with a similarity map where these are given.
#[derive(Debug)]
pub struct MappedImages {
    images: Arc<dyn Source>,
    maps: Maps,
    /// Patches down and across.
    grid: [usize; 2],
}

/// Where maps come from.
#[derive(Debug)]
enum Maps {
    None,
    Files(MapFiles),
    Masks(ObjectMasks),
}

impl MappedImages {
    /// Images without maps.
    pub fn plain(images: Arc<dyn Source>) -> Self {
        Self {
            images,
            maps: Maps::None,
            grid: [0, 0],
        }
    }

    /// Images with a map each from a folder of files; a view has `grid` patches, down and across.
    ///
    /// The files are gray images of any depth or arrays (`.npy`) of two axes, of any size: a map is stretched over its image, and
    /// the value of a patch is the mean of what it covers. The file of an image has the image's path without its ending, from the
    /// end as far as the folder goes: for `photos/cats/7.jpg` that is `cats/7.png` in the folder, or `7.npy`. The longest that there is
    /// counts.
    ///
    /// # Errors
    ///
    /// [`SimilarityMapError`]: a folder that cannot be read, images without a map, images that share one, two maps of one name.
    pub fn with_files(
        images: Arc<dyn Source>,
        folder: &std::path::Path,
        grid: [usize; 2],
    ) -> Result<Self, SimilarityMapError> {
        let maps = Maps::Files(MapFiles::find(folder, &*images)?);
        Ok(Self { images, maps, grid })
    }

    /// The training images that `specs` name, [annotated](crate::open_objects) each, with the share of each patch that objects
    /// cover as their map: by their masks, else by their boxes; crowds are no objects. A view has `grid` patches.
    ///
    /// # Errors
    ///
    /// [`SimilarityMapError`]: those of [`crate::open_objects`], or an image that is annotated twice.
    pub fn with_masks<S: AsRef<str>>(
        specs: &[S],
        options: &crate::OpenOptions,
        grid: [usize; 2],
    ) -> Result<Self, SimilarityMapError> {
        let (images, masks) = masks::open(specs, options)?;
        Ok(Self {
            images,
            maps: Maps::Masks(masks),
            grid,
        })
    }

    /// The images alone.
    pub fn images(&self) -> &Arc<dyn Source> {
        &self.images
    }
}

impl Source for MappedImages {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.images.label(index)
    }

    fn classes(&self) -> &[String] {
        self.images.classes()
    }

    fn name(&self, index: usize) -> String {
        self.images.name(index)
    }

    fn decode(
        &self,
        index: usize,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        self.images.decode(index, request, scratch)
    }

    fn is_same(&self, a: usize, b: usize) -> bool {
        self.images.is_same(a, b)
    }

    fn objects_checksum(&self, index: usize) -> Option<u32> {
        match &self.maps {
            Maps::Files(files) => files.checksum(index),
            Maps::None | Maps::Masks(_) => self.images.objects_checksum(index),
        }
    }

    fn describe(&self) -> String {
        self.images.describe()
    }
}

impl Dataset for MappedImages {
    type Target = SimilarityMap;

    fn target(&self, index: usize, view: &ViewGeometry) -> Result<SimilarityMap, ImageError> {
        match &self.maps {
            Maps::None => Ok(SimilarityMap::new()),
            Maps::Files(files) => files.map(index, view, self.grid),
            Maps::Masks(masks) => masks.map(&self.images.name(index), view, self.grid),
        }
    }
}

#[cfg(test)]
mod tests;
