//! Images cut into patches: as a network reads them, and as it is to predict them.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use crate::choice::{Kernels, chosen};
use crate::composed;
use crate::fused::graph::{Gradient, Input, Saved, numbers, record, tensor};
use crate::fused::patches as fused;
pub use crate::fused::patches::{Channels, PixelPatches};

/// Cuts images `[batch, channels, height, width]` into patches: `[batch, patches, channels * patch_size²]`, patches row
/// by row. Rows and columns that fill no patch are left out.
pub fn patches(images: Tensor<4>, patch_size: usize, channels: Channels) -> Tensor<3> {
    if chosen() == Kernels::Fused
        && let Some(input) = Input::of(&images)
    {
        let shape = fused::ImageShape::new(images.dims(), patch_size);
        return record(vec![input], |inputs, wanted| {
            let values = fused::cut(numbers(&inputs[0]), shape, channels);
            let saved =
                wanted.then(|| Arc::new(SavedPatches { shape, channels }) as Arc<dyn Saved>);
            (tensor(values, &shape.patches()), saved)
        });
    }
    composed::patches(images, patch_size, channels)
}

/// The pixels that are to be predicted for images `[batch, channels, height, width]`:
/// `[batch, patches, patch_size² * channels]` in the order row, column, channel, blurred and normalised as `form` says.
/// They are taken for constant.
pub fn pixel_patches(images: Tensor<4>, form: &PixelPatches) -> Tensor<3> {
    if chosen() == Kernels::Fused
        && let Some(input) = Input::of(&images)
    {
        let shape = fused::ImageShape::new(images.dims(), form.patch_size);
        return record(vec![input], |inputs, _| {
            let values = fused::pixels(numbers(&inputs[0]), shape, form);
            (tensor(values, &shape.patches()), None)
        });
    }
    composed::pixel_patches(images, form)
}

#[derive(Debug)]
struct SavedPatches {
    shape: fused::ImageShape,
    channels: Channels,
}

impl Saved for SavedPatches {
    fn backward(&self, dout: &FlexTensor, _wanted: &[bool]) -> Vec<Gradient> {
        let dimages = fused::join(numbers(dout), self.shape, self.channels);
        vec![Some(tensor(dimages, &self.shape.images()))]
    }
}
