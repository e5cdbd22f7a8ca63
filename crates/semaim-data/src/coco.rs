//! Images of a COCO file with what stands out in them.

mod main_object;

pub use main_object::{MaskedImage, MaskedImageError, masked_images};
