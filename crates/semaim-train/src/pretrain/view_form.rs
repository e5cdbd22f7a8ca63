//! In which form views travel to the device.

use burn::tensor::{Device, Tensor, TensorData};
use semaim_data::{Augment, Batch, Normalization};
use semaim_kernels::{Kernels, PackedBytes, kernels_on};

use crate::config::PretrainConfig;
use crate::feed::{Sender, SentImages};
use crate::task::{MicroBatch, images};

/// In which form views travel to the device.
#[derive(Clone, Debug)]
pub(super) enum ViewForm {
    /// Normalized by those who prepare them.
    Normalized,
    /// As bytes, which are normalized on the device.
    Bytes(Normalization),
}

impl ViewForm {
    /// Bytes where operations are composed. A teacher's kept answers belong to normalized views.
    pub(super) fn of(config: &PretrainConfig, device: &Device) -> Self {
        let normalized = config.teacher_cache.as_os_str().is_empty();
        match kernels_on(device) {
            Kernels::Composed if normalized => Self::Bytes(config.augment().normalization),
            _ => Self::Normalized,
        }
    }

    /// How views are prepared for that: bytes as the numbers that they are.
    pub(super) fn augment(&self, config: &PretrainConfig) -> Augment {
        let augment = config.augment();
        match self {
            Self::Normalized => augment,
            Self::Bytes(normalization) => Augment {
                normalization: Normalization {
                    mean: vec![0.0; normalization.channels()],
                    std: vec![1.0 / 255.0; normalization.channels()],
                },
                ..augment
            },
        }
    }

    /// Sends a batch's images to a device, which is not waited for.
    pub(super) fn send<T>(
        &self,
        batch: &Batch<T>,
        shape: [usize; 3],
        device: &Device,
    ) -> SentImages {
        let packed = match self {
            Self::Normalized => None,
            // Views of 16 bits and of floats are no bytes.
            Self::Bytes(_) => bytes(&batch.images),
        };
        match packed {
            Some(bytes) => SentImages::Bytes(PackedBytes::upload(&bytes, device)),
            None => SentImages::Views(images(batch, shape, device)),
        }
    }

    /// Images that have been sent, `[batch, channels, height, width]`, normalized, without gradients.
    pub(super) fn received(
        &self,
        sent: SentImages,
        [channels, height, width]: [usize; 3],
    ) -> Tensor<4> {
        let views = match sent {
            SentImages::Views(views) => views,
            SentImages::Bytes(bytes) => {
                bytes
                    .unpack()
                    .reshape([-1, channels as i64, height as i64, width as i64])
            }
        };
        let Self::Bytes(normalization) = self else {
            return views;
        };
        let device = views.device();
        let row = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), [1, channels, 1, 1]);
            Tensor::<4>::from_data(data, &device)
        };
        (views / 255.0 - row(&normalization.mean)) / row(&normalization.std)
    }

    /// The images of a micro-batch, sent now unless they have been sent before.
    pub(super) fn images<M, T>(
        &self,
        micro_batch: &MicroBatch<'_, M, T>,
        shape: [usize; 3],
        device: &Device,
    ) -> Tensor<4> {
        let sent = match micro_batch.sent {
            Some(sent) => sent.clone(),
            None => self.send(micro_batch.batch, shape, device),
        };
        self.received(sent, shape)
    }

    /// What sends a run's batches ahead of their steps.
    pub(super) fn sender<T: 'static>(&self, shape: [usize; 3], device: &Device) -> Sender<T> {
        let (form, device) = (self.clone(), device.clone());
        Box::new(move |batch| Ok(form.send(batch, shape, &device)))
    }
}

/// Numbers as the bytes that they are, if all of them are such but for rounding: a view was a quotient of such numbers, off by a few
/// units in the last place. Numbers that are all near 0 and not 0 are those of small floats.
fn bytes(numbers: &[f32]) -> Option<Vec<u8>> {
    let byte = |number: &f32| {
        let byte = (number + 0.5) as u8;
        ((number - f32::from(byte)).abs() < 2e-4).then_some(byte)
    };
    let bytes: Vec<u8> = numbers.iter().map(byte).collect::<Option<_>>()?;
    let are_zeros = || numbers.iter().all(|number| *number == 0.0);
    (bytes.iter().any(|byte| *byte > 0) || are_zeros()).then_some(bytes)
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
        assert_eq!(bytes(&[0.0, 0.0]), Some(vec![0, 0]));
        assert_eq!(bytes(&[0.0, 1e-5, 3e-5]), None);
        for number in [0.5, 0.008, 17.25, -1.0, 256.0, 3e4, f32::NAN] {
            assert_eq!(bytes(&[1.0, number]), None, "{number}");
        }
        let batch = Batch {
            images: vec![0.5, 300.0, -20.0, 7.0],
            items: vec![0],
            ..Batch::<()>::default()
        };
        let normalization = Normalization {
            mean: vec![1.0],
            std: vec![2.0],
        };
        let form = ViewForm::Bytes(normalization);
        let sent = form.send(&batch, [1, 2, 2], &Device::flex());
        assert!(matches!(sent, SentImages::Views(_)));
        let views = form.received(sent, [1, 2, 2]);
        let views = to_host("images", views).unwrap().values;
        for (view, number) in views.iter().zip(&batch.images) {
            assert!((view - (number / 255.0 - 1.0) / 2.0).abs() < 1e-5);
        }
    }

    #[test]
    fn bytes_become_what_they_are_when_normalized_before() {
        let mut config = PretrainConfig::default();
        config.model.image_size = [24, 16];
        let shape = [3, 24, 16];
        let normalization = config.augment().normalization;
        let [normalized, bytes] =
            [ViewForm::Normalized, ViewForm::Bytes(normalization)].map(|form| {
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
                let sent = form.sender(shape, &Device::flex())(&batch).unwrap();
                let images = form.received(sent, shape);
                to_host("images", images).unwrap()
            });
        assert_eq!(normalized.shape, bytes.shape);
        for (normalized, bytes) in normalized.values.iter().zip(&bytes.values) {
            assert!((normalized - bytes).abs() < 1e-6, "{normalized} {bytes}");
        }
    }
}
