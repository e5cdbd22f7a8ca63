//! What the loaders read from: an indexed collection of images.

use crate::error::ImageError;
use crate::part::{Need, Part};
use crate::pixels::Pixels;
use crate::resample::Scratch;

/// A fixed collection of images, numbered from 0, shared by all worker threads.
///
/// The numbering depends only on the contents of the collection, never on the file system's order.
pub trait Source: Send + Sync + std::fmt::Debug {
    /// How many images there are.
    fn len(&self) -> usize;

    /// Whether there are none. The sources made by [`crate::open`] never are.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of an image as an index into [`Source::classes`]; `None` when it has none or when `index` is
    /// out of range.
    fn label(&self, index: usize) -> Option<u32>;

    /// The names of the classes, sorted; empty when the collection is unlabelled.
    fn classes(&self) -> &[String];

    /// What to call an image in messages: a path, `file.tar:member`, `train-images.idx#17`, `shapes#5`.
    fn name(&self, index: usize) -> String;

    /// Reads and decodes an image.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] that names the image when it cannot be read or decoded, or when `index` is out of range.
    fn image(&self, index: usize) -> Result<Pixels, ImageError>;

    /// Reads an image and decodes what a view needs of it.
    ///
    /// `need` says what that is, given the image's columns and rows as [`Source::image`] would return it. It may be called
    /// more than once and must always say the same. The part given holds the needed region or more of the
    /// image, up to all of it; shrunk parts cover it as well. What was not needed is not looked at, so damage there may
    /// go unnoticed. Without an implementation, it is the whole image.
    ///
    /// # Errors
    ///
    /// Those of [`Source::image`].
    fn part(
        &self,
        index: usize,
        need: &dyn Fn([u32; 2]) -> Need,
        scratch: &mut Scratch,
    ) -> Result<Part, ImageError> {
        let _ = (need, scratch);
        self.image(index).map(Part::whole)
    }

    /// One line for the log, such as `folder photos: 3068 images, 10 classes`.
    fn describe(&self) -> String;
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
