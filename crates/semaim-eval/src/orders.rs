//! Similarity, order of prediction and predictions of a model for a few images, for pictures.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use semaim::config::Normalization;
use semaim::order::{Order, OrderNoise, PredictionOrder};
use semaim::parameters::{WeightError, to_host};
use semaim::pretrained::Pretrained;
use semaim_data::{Augment, Source};
use semaim_train::config::{Method, PretrainConfig, TargetKind};

use crate::embed::EmbedError;
use crate::image_batches::{BatchOptions, ImageBatches};

/// What a model computes of one image.
#[derive(Clone, Debug)]
pub struct LearnedOrder {
    /// Height and width of the pictures in pixels.
    pub size: [usize; 2],
    /// The image as the model sees it, `[height, width, 3]` in 0..=255.
    pub image: Vec<u8>,
    /// Similarity of each patch.
    pub similarity: Vec<f32>,
    /// Rank key of each patch; smaller is earlier.
    pub rank_keys: Vec<f32>,
    /// Each patch as predicted from those before it, in the image's own brightness and contrast per patch;
    /// `[height, width, 3]` in 0..=255. None where features are predicted, which nobody can see.
    pub prediction: Option<Vec<u8>>,
}

/// Runs a model on the central views of the images `items` of a source. `similarity` gives what the order follows, as in
/// training, of images `[batch, channels, height, width]` as `[batch, patches]`.
///
/// # Errors
/// [`EmbedError`]. Images that cannot be read are left out.
pub fn learned_orders<M: Pretrained>(
    model: &M,
    similarity: &dyn Fn(Tensor<4>) -> Tensor<2>,
    config: &PretrainConfig,
    source: &Arc<dyn Source>,
    items: &[u64],
    device: &Device,
) -> Result<Vec<LearnedOrder>, EmbedError> {
    let options = BatchOptions {
        batch_size: config.eval.batch_size,
        workers: config.data.workers,
    };
    let items = items.iter().copied();
    let mut seen = Vec::new();
    for batch in ImageBatches::start(source, items, &config.augment(), options, device) {
        let batch = batch?;
        if let Some(images) = batch.images {
            let items = &batch.items;
            seen.extend(orders_of_views(model, similarity, config, items, images)?);
        }
    }
    Ok(seen)
}

/// Runs a model on normalized views, `[items, channels, height, width]`. `items` are the images' numbers, which orders with
/// chance in them are drawn for; `similarity` is as in [`learned_orders`].
///
/// # Errors
/// [`WeightError`] when the backend fails.
pub fn orders_of_views<M: Pretrained>(
    model: &M,
    similarity: &dyn Fn(Tensor<4>) -> Tensor<2>,
    config: &PretrainConfig,
    items: &[u64],
    images: Tensor<4>,
) -> Result<Vec<LearnedOrder>, WeightError> {
    let (augment, grid, device) = (config.augment(), config.model.grid(), &images.device());
    // A masked autoencoder keeps patches at random.
    let order = match config.method {
        Method::Semaim => config.order.kind,
        Method::Mae => Order::Stochastic,
    };
    let views = to_host("images", images.clone())?.values;
    let similarity = similarity(images.clone());
    let noise = OrderNoise::draw(config.seed, 0, items, grid, device);
    let prediction_order = PredictionOrder::new(order, grid, device);
    let rank_keys = prediction_order.rank_keys(Some(similarity.clone()), &noise);
    let predictions = match config.target.kind {
        TargetKind::Pixels => {
            let predictions = model.predict(images, rank_keys.clone())?;
            Some(to_host("predictions", predictions)?.values)
        }
        _ => None,
    };
    let similarity = to_host("similarity", similarity)?.values;
    let rank_keys = to_host("rank keys", rank_keys)?.values;
    let patches = grid.patches();
    let each = views.chunks(augment.view_len()).enumerate();
    Ok(each
        .map(|(i, view)| {
            let part = |values: &[f32]| values[i * patches..(i + 1) * patches].to_vec();
            let prediction = predictions.as_ref().map(|all| {
                let length = all.len() / items.len();
                let predicted = &all[i * length..(i + 1) * length];
                to_rgb(&unpatched(predicted, view, config), &augment)
            });
            LearnedOrder {
                size: augment.image_size,
                image: to_rgb(view, &augment),
                similarity: part(&similarity),
                rank_keys: part(&rank_keys),
                prediction,
            }
        })
        .collect())
}

/// Predicted patches as an image `[channels, height, width]`. A model that predicts normalized patches says
/// nothing of their mean and spread: those are taken from the image.
fn unpatched(predicted: &[f32], image: &[f32], config: &PretrainConfig) -> Vec<f32> {
    let [height, width] = config.model.image_size;
    let (p, channels) = (config.model.patch_size, config.model.channels);
    let values = config.model.patch_values();
    let mut picture = vec![0.0; image.len()];
    for ((row, column), patch) in config.model.grid().places().zip(predicted.chunks(values)) {
        let place = |value: usize| {
            let (pixel, channel) = (value / channels, value % channels);
            let (y, x) = (row * p + pixel / p, column * p + pixel % p);
            (channel * height + y) * width + x
        };
        let (mean, deviation) = if config.target.normalize {
            let target: Vec<f32> = (0..values).map(|value| image[place(value)]).collect();
            let mean = target.iter().sum::<f32>() / values as f32;
            let squares: f32 = target.iter().map(|v| (v - mean).powi(2)).sum();
            (mean, (squares / (values.max(2) - 1) as f32).sqrt())
        } else {
            (0.0, 1.0)
        };
        for (value, predicted) in patch.iter().enumerate() {
            picture[place(value)] = predicted * deviation + mean;
        }
    }
    picture
}

/// A normalized image `[channels, height, width]` as `[height, width, 3]`: gray for fewer than three channels, the
/// first three for more. Values whose mean or deviation no values of 0 to 1 have are shown from two and a half deviations below the mean to as many
/// above it.
pub(crate) fn to_rgb(image: &[f32], augment: &Augment) -> Vec<u8> {
    let channels = augment.channels();
    let pixels = image.len() / channels;
    let Normalization { mean, std } = &augment.normalization;
    let of_unit = |(mean, std): (&f32, &f32)| {
        let is_left_alone = *mean == 0.0 && *std == 1.0;
        is_left_alone || (0.0..=1.0).contains(mean) && (1e-4..=0.6).contains(std)
    };
    let is_unit = mean.iter().zip(std).all(of_unit);
    let byte = |channel: usize, pixel: usize| {
        let normalized = image[channel * pixels + pixel];
        let value = match is_unit {
            true => normalized * std[channel] + mean[channel],
            false => (normalized + 2.5) / 5.0,
        };
        (value * 255.0).round().clamp(0.0, 255.0) as u8
    };
    let shown = if channels < 3 { [0, 0, 0] } else { [0, 1, 2] };
    (0..pixels)
        .flat_map(|pixel| shown.map(|channel| byte(channel, pixel)))
        .collect()
}
