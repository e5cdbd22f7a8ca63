//! In which form views travel to the device.

use burn::tensor::{Device, Tensor, TensorData};
use semaim_data::{Augment, Batch, Normalisation};
use semaim_kernels::{Kernels, kernels_on, upload_bytes};

use crate::config::PretrainConfig;
use crate::task::images;

/// In which form views travel to the device. Either way this is asked for a batch while the device is still at the step before,
/// unless it is one that is waited for.
#[derive(Clone, Debug)]
pub(super) enum ViewForm {
    /// Normalised by those who prepare them.
    Normalised,
    /// As bytes, which are normalised on the device.
    Bytes(Normalisation),
}

impl ViewForm {
    /// Bytes where operations are composed. A teacher's kept answers belong to normalised views.
    pub(super) fn of(config: &PretrainConfig, device: &Device) -> Self {
        let normalised = config.teacher_cache.as_os_str().is_empty();
        match kernels_on(device) {
            Kernels::Composed if normalised => Self::Bytes(config.augment().normalisation),
            _ => Self::Normalised,
        }
    }

    /// How views are prepared for that: bytes as the numbers that they are.
    pub(super) fn augment(&self, config: &PretrainConfig) -> Augment {
        let augment = config.augment();
        match self {
            Self::Normalised => augment,
            Self::Bytes(normalisation) => Augment {
                normalisation: Normalisation {
                    mean: vec![0.0; normalisation.channels()],
                    std: vec![1.0 / 255.0; normalisation.channels()],
                },
                ..augment
            },
        }
    }

    /// A batch's images on a device, `[batch, channels, height, width]`, normalised, without gradients.
    pub(super) fn images<T>(
        &self,
        batch: &Batch<T>,
        shape: [usize; 3],
        device: &Device,
    ) -> Tensor<4> {
        let Self::Bytes(normalisation) = self else {
            return images(batch, shape, device);
        };
        let [channels, height, width] = shape;
        // Views of 16 bits and of floats are no bytes.
        let views = match bytes(&batch.images) {
            Some(bytes) => {
                upload_bytes(&bytes, device).reshape([batch.items.len(), channels, height, width])
            }
            None => images(batch, shape, device),
        };
        let row = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), [1, channels, 1, 1]);
            Tensor::<4>::from_data(data, device)
        };
        (views / 255.0 - row(&normalisation.mean)) / row(&normalisation.std)
    }
}

/// Numbers as the bytes that they are, if all of them are such but for rounding: a view was a quotient of such numbers.
fn bytes(numbers: &[f32]) -> Option<Vec<u8>> {
    let byte = |number: &f32| {
        let byte = (number + 0.5) as u8;
        ((number - f32::from(byte)).abs() < 1e-2).then_some(byte)
    };
    numbers.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim::parameters::to_host;
    use semaim_data::{LoaderOptions, Position, Shapes, ShapesOptions, Source, TrainingLoader};
    use std::sync::Arc;

    #[test]
    fn what_is_no_byte_travels_as_it_is() {
        assert_eq!(bytes(&[0.0, 254.9999, 255.0]), Some(vec![0, 255, 255]));
        for number in [0.5, 17.25, -1.0, 256.0, 3e4, f32::NAN] {
            assert_eq!(bytes(&[1.0, number]), None, "{number}");
        }
        let batch = Batch {
            images: vec![0.5, 300.0, -20.0, 7.0],
            items: vec![0],
            ..Batch::<()>::default()
        };
        let normalisation = Normalisation {
            mean: vec![1.0],
            std: vec![2.0],
        };
        let views = ViewForm::Bytes(normalisation).images(&batch, [1, 2, 2], &Device::flex());
        let views = to_host("images", views).unwrap().values;
        for (view, number) in views.iter().zip(&batch.images) {
            assert!((view - (number / 255.0 - 1.0) / 2.0).abs() < 1e-5);
        }
    }

    #[test]
    fn bytes_become_what_they_are_when_normalised_before() {
        let mut config = PretrainConfig::default();
        config.model.image_size = [24, 16];
        let shape = [3, 24, 16];
        let normalisation = config.augment().normalisation;
        let [normalised, bytes] =
            [ViewForm::Normalised, ViewForm::Bytes(normalisation)].map(|form| {
                let options = ShapesOptions {
                    count: 5,
                    ..ShapesOptions::default()
                };
                let source: Arc<dyn Source> = Arc::new(Shapes::new(options).unwrap());
                let options = LoaderOptions {
                    batch_size: 5,
                    batches_per_epoch: 1,
                    epochs: 1,
                    ..LoaderOptions::default()
                };
                let augment = form.augment(&config);
                let mut loader =
                    TrainingLoader::start(source, augment, options, Position::default());
                let batch = loader.next().unwrap().unwrap();
                let images = form.images(&batch, shape, &Device::flex());
                to_host("images", images).unwrap()
            });
        assert_eq!(normalised.shape, bytes.shape);
        for (normalised, bytes) in normalised.values.iter().zip(&bytes.values) {
            assert!((normalised - bytes).abs() < 1e-6, "{normalised} {bytes}");
        }
    }
}
