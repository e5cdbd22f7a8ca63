//! An encoder's features of images, for pictures: attention, similarity, patch tokens, orders.

use burn::tensor::{Device, Tensor, TensorData};
use semaim::grid::Grid;
use semaim::order::{Order, OrderNoise, PredictionOrder};
use semaim::parameters::{WeightError, to_host};
use semaim::similarity::{Similarity, class_similarity, mean_similarity};
use semaim_checkpoint::encoder::Encoder;
use semaim_data::{Pixels, Scratch, ViewError};

use crate::orders::to_rgb;
use crate::views::views;

/// Images of a batch.
const BATCH_SIZE: usize = 16;

/// What an encoder computes of one image.
#[derive(Clone, Debug)]
pub struct ImageFeatures {
    /// Height and width of the view in pixels.
    pub size: [usize; 2],
    /// The view, `[height, width, 3]` in 0..=255.
    pub image: Vec<u8>,
    /// The view as the encoder gets it, `[channels, height, width]`, normalized.
    pub view: Vec<f32>,
    /// The encoder's grid of patches.
    pub grid: Grid,
    /// The last block's attention from the class token, averaged over heads, `[patches]`.
    pub attention: Vec<f32>,
    /// By the class token, `[patches]`.
    pub cls_similarity: Vec<f32>,
    /// By the mean of the patch tokens, `[patches]`.
    pub gap_similarity: Vec<f32>,
    /// The final tokens of the patches, `[patches, width]`.
    pub tokens: Vec<f32>,
}

/// Why features could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    /// An image could not be cut to a view.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The backend failed.
    #[error(transparent)]
    Weights(#[from] WeightError),
}

impl ImageFeatures {
    /// A map of similarity.
    pub fn similarity(&self, kind: Similarity) -> &[f32] {
        match kind {
            Similarity::Cls => &self.cls_similarity,
            Similarity::Gap => &self.gap_similarity,
            Similarity::SelfAttention => &self.attention,
        }
    }

    /// Rank keys of an order that follows a map of similarity, both `[patches]`; smaller is earlier. `seed` and the number of
    /// the image, `item`, are what orders with chance in them are drawn for.
    ///
    /// # Errors
    /// The backend.
    pub fn order(
        &self,
        order: Order,
        similarity: &[f32],
        [seed, item]: [u64; 2],
        device: &Device,
    ) -> Result<Vec<f32>, WeightError> {
        let shape = [1, self.grid.patches()];
        let similarity = Tensor::from_data(TensorData::new(similarity.to_vec(), shape), device);
        let noise = OrderNoise::draw(seed, 0, &[item], self.grid, device);
        let keys =
            PredictionOrder::new(order, self.grid, device).rank_keys(Some(similarity), &noise);
        Ok(to_host("rank keys", keys)?.values)
    }
}

/// Runs an encoder on images: on the central view of each, as in evaluation.
///
/// # Errors
/// [`FeatureError`].
pub fn extract_features(
    encoder: &Encoder,
    images: &[Pixels],
    device: &Device,
) -> Result<Vec<ImageFeatures>, FeatureError> {
    let augment = views(&encoder.config, &encoder.normalization);
    let ([height, width], channels) = (augment.image_size, augment.channels());
    let (grid, length) = (encoder.config.grid(), augment.view_len());
    let mut scratch = Scratch::new();
    let mut out = Vec::new();
    for images in images.chunks(BATCH_SIZE) {
        let mut views = vec![0.0; images.len() * length];
        for (image, view) in images.iter().zip(views.chunks_mut(length)) {
            let plan = augment.evaluation_view(image.size());
            plan.render_image(image, &mut scratch, view)?;
        }
        let shape = [images.len(), channels, height, width];
        let shown = Tensor::<4>::from_data(TensorData::new(views.clone(), shape), device);
        let (tokens, attention) = encoder.vit.tokens_and_attention(shown);
        let class = to_host("similarity", class_similarity(tokens.clone()))?.values;
        let mean = to_host("similarity", mean_similarity(tokens.clone()))?.values;
        let attention = to_host("attention", attention)?.values;
        let (patches, wide) = (grid.patches(), tokens.dims()[2]);
        let tokens = to_host("tokens", tokens.narrow(1, 1, patches))?.values;
        for (i, view) in views.chunks(length).enumerate() {
            let part = |all: &[f32], length: usize| all[i * length..(i + 1) * length].to_vec();
            out.push(ImageFeatures {
                size: [height, width],
                image: to_rgb(view, &augment),
                view: view.to_vec(),
                grid,
                attention: part(&attention, patches),
                cls_similarity: part(&class, patches),
                gap_similarity: part(&mean, patches),
                tokens: part(&tokens, patches * wide),
            });
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim::config::{ArchOptions, Normalization, VitConfig};
    use semaim::init::initialize;
    use semaim::position::Interpolation;
    use semaim::vit::Vit;

    #[test]
    fn maps_have_one_number_per_patch_and_orders_start_where_similarity_is_largest() {
        let device = Device::flex();
        let config = VitConfig {
            image_size: [16, 24],
            ..VitConfig::tiny()
        };
        let variant = ArchOptions {
            registers: 3,
            projection: Some(5),
            ..ArchOptions::default()
        };
        let encoder = Encoder {
            vit: initialize(Vit::zeros_as(&config, &variant, &device), 1),
            config,
            normalization: Normalization {
                mean: vec![0.5; 3],
                std: vec![0.25; 3],
            },
            interpolation: Interpolation::default(),
        };
        let data = |seed: usize| {
            (0..40 * 30 * 3)
                .map(|i| (i * seed % 251) as u8)
                .collect::<Vec<u8>>()
        };
        let images: Vec<Pixels> = (1..19)
            .map(|seed| Pixels::new(40, 30, 3, data(seed)).unwrap())
            .collect();
        let found = extract_features(&encoder, &images, &device).unwrap();
        assert_eq!(found.len(), 18);
        for features in &found {
            assert_eq!(features.image.len(), 16 * 24 * 3);
            assert_eq!(features.tokens.len(), 6 * 5);
            for kind in [Similarity::Cls, Similarity::Gap, Similarity::SelfAttention] {
                let map = features.similarity(kind);
                assert_eq!(map.len(), 6);
                let most = (0..6).max_by(|&a, &b| map[a].total_cmp(&map[b]));
                let keys = features
                    .order(Order::Semantic, map, [0, 0], &device)
                    .unwrap();
                let first = (0..6).min_by(|&a, &b| keys[a].total_cmp(&keys[b]));
                assert_eq!(first, most);
            }
        }
    }
}
