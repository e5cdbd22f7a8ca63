//! What the loaders read from: an indexed collection of images.

use crate::error::ImageError;
use crate::pixels::Pixels;
use crate::region::{DecodeRequest, DecodedRegion};
use crate::scratch::Scratch;
use crate::view::ViewGeometry;

/// A fixed collection of images, numbered from 0, shared by all worker threads.
///
/// The numbering depends only on the contents of the collection, never on the file system's order.
pub trait Source: Send + Sync + std::fmt::Debug + 'static {
    /// How many images there are.
    fn len(&self) -> usize;

    /// Whether there are none. The sources made by [`crate::open`] never are.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of an image as an index into [`Source::classes`]; `None` when it has none or when `index` is
    /// out of range.
    fn label(&self, index: usize) -> Option<u32>;

    /// The names of the classes, sorted; empty when the collection is unlabeled.
    fn classes(&self) -> &[String];

    /// What to call an image in messages: a path, `file.tar:member`, `train-images.idx#17`, `shapes#5`.
    fn name(&self, index: usize) -> String;

    /// Reads an image and decodes what is needed of it.
    ///
    /// `request` says what that is, given the image's columns and rows as [`Source::image`] would return it. It may be
    /// called more than once or not at all, and must always say the same. The region given holds the requested one or
    /// more of the image, up to all of it; shrunk regions cover it as well. What was not requested is not looked at, so
    /// damage there may go unnoticed. A source that cannot decode in part gives [`DecodedRegion::whole`].
    ///
    /// # Errors
    ///
    /// An [`ImageError`] that names the image when it cannot be read or decoded, or when `index` is out of range.
    fn decode(
        &self,
        index: usize,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError>;

    /// Reads and decodes a whole image.
    ///
    /// # Errors
    ///
    /// Those of [`Source::decode`].
    fn image(&self, index: usize) -> Result<Pixels, ImageError> {
        let region = self.decode(index, &mut DecodeRequest::whole, &mut Scratch::new())?;
        Ok(region.pixels)
    }

    /// Whether two places hold the same image: a list may name one twice.
    fn is_same(&self, a: usize, b: usize) -> bool {
        self.name(a) == self.name(b)
    }

    /// A checksum of the boxes, masks and classes that annotations give an image's objects, or of the file of its similarity map, to notice
    /// that they have changed; `None` where there are no annotations in memory, and for most of many maps.
    fn objects_checksum(&self, _index: usize) -> Option<u32> {
        None
    }

    /// One line for the log, such as `folder photos: 3068 images, 10 classes`.
    fn describe(&self) -> String;
}

/// Whether two sources are of the same images, as the splits of a set that is not divided are.
pub fn same_images(a: &dyn Source, b: &dyn Source) -> bool {
    a.len() == b.len() && a.name(0) == b.name(0) && a.describe() == b.describe()
}

/// Images with something to learn about each: what a loader reads and a task is trained on.
///
/// Any `dyn Source` is one whose targets are classes. A source of another kind of target, such as boxes or a label map,
/// implements this beside [`Source`].
pub trait Dataset: Source {
    /// What is to be learnt about an image: its class, its boxes and masks, its label map.
    type Target: Clone + Send + std::fmt::Debug + 'static;

    /// The target of an image as it is in a view of it. What lies in the image's coordinates follows
    /// [`ViewGeometry::to_view`].
    ///
    /// # Errors
    ///
    /// An [`ImageError`] that names the image when its target cannot be read.
    fn target(&self, index: usize, view: &ViewGeometry) -> Result<Self::Target, ImageError>;

    /// Chooses a view of an image to train on, from at least one, by what it shows: its place among `views`, and the target in it.
    /// The first, unless the kind of target has a rule.
    ///
    /// # Errors
    ///
    /// Those of [`Dataset::target`].
    fn choose_view(
        &self,
        index: usize,
        views: &[ViewGeometry],
    ) -> Result<(usize, Self::Target), ImageError> {
        match views {
            [first, ..] => Ok((0, self.target(index, first)?)),
            [] => Err(ImageError::out_of_range(self.name(index), 0, 0)),
        }
    }
}

/// The class of an image as an index into [`Source::classes`], where it has one.
pub type ClassTarget = Option<u32>;

impl Dataset for dyn Source {
    type Target = ClassTarget;

    fn target(&self, index: usize, _: &ViewGeometry) -> Result<ClassTarget, ImageError> {
        Ok(self.label(index))
    }
}

/// Which part of a data set to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Split {
    /// The images to train on.
    #[default]
    Train,
    /// The images held out for evaluation.
    Eval,
}
