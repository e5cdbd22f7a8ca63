//! What every way of pre-training leaves: an encoder, and predictions to look at.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::mae::Mae;
use crate::model::Semaim;
use crate::parameters::WeightError;
use crate::vit::Vit;

/// A pre-trained model, by whatever method.
pub trait Pretrained: Module {
    /// The encoder, which is kept.
    fn encoder(&self) -> &Vit;

    /// The same model around another encoder of the same sizes.
    #[must_use]
    fn with_encoder(self, encoder: Vit) -> Self;

    /// Predictions of every patch of images `[batch, channels, height, width]`: `[batch, patches, width]`, in the order
    /// of the image. `keys`, `[batch, patches]`, say which patches come first: what is predicted, or kept, before the
    /// others.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give the keys.
    fn predict(&self, images: Tensor<4>, keys: Tensor<2>) -> Result<Tensor<3>, WeightError>;
}

impl Pretrained for Semaim {
    fn encoder(&self) -> &Vit {
        &self.encoder
    }

    fn with_encoder(mut self, encoder: Vit) -> Self {
        self.encoder = encoder;
        self
    }

    fn predict(&self, images: Tensor<4>, keys: Tensor<2>) -> Result<Tensor<3>, WeightError> {
        Semaim::predict(self, images, keys)
    }
}

impl Pretrained for Mae {
    fn encoder(&self) -> &Vit {
        &self.encoder
    }

    fn with_encoder(mut self, encoder: Vit) -> Self {
        self.encoder = encoder;
        self
    }

    fn predict(&self, images: Tensor<4>, keys: Tensor<2>) -> Result<Tensor<3>, WeightError> {
        Mae::predict(self, images, keys)
    }
}
