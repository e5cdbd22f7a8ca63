//! Does the order find the object? How often the most similar patch, where the semantic order starts, lies on it.
//!
//! An image counts as hit when the middle of its first patch is a pixel of the object. A start at random would hit as
//! often as the object covers the view: that share is the chance to compare with.

use burn::tensor::{Device, Tensor, TensorData};
use semaim::config::VitConfig;
use semaim::parameters::{WeightError, device_of, to_host};
use semaim::similarity::{Similarity, class_similarity, mean_similarity};
use semaim::vit::Vit;
use semaim_data::{
    Augment, DataError, Mask, Pixels, Scratch, Shapes, ShapesOptions, Split, ViewError,
};

/// An image with its object.
#[derive(Clone, Debug)]
pub struct Target {
    /// The image.
    pub pixels: Pixels,
    /// The object, of the image's size.
    pub object: Mask,
}

/// How often an encoder's similarity points at the object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointingResult {
    /// How similarity was measured.
    pub similarity: Similarity,
    /// Images.
    pub images: usize,
    /// Share of the images whose most similar patch lies on the object.
    pub hits: f64,
    /// Mean share of the view that the object covers: what a start at random would hit.
    pub chance: f64,
}

impl PointingResult {
    /// Standard error of `hits`.
    pub fn standard_error(&self) -> f64 {
        (self.hits * (1.0 - self.hits) / self.images.max(1) as f64).sqrt()
    }
}

/// Why pointing could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum PointingError {
    /// An image could not be shown.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] WeightError),
    /// Similarity that is no number: the encoder's weights hold NaN or infinity.
    #[error("the encoder's similarity holds a NaN: its weights are damaged or have diverged")]
    NotFinite,
    /// A mask of another size than its image.
    #[error("an image of {image:?} pixels has a mask of {mask:?}")]
    MaskSize {
        /// Columns and rows of the image.
        image: [u32; 2],
        /// Columns and rows of the mask.
        mask: [u32; 2],
    },
}

/// The kinds of similarity that are measured.
pub const SIMILARITIES: [Similarity; 3] =
    [Similarity::Cls, Similarity::Gap, Similarity::SelfAttention];

/// Counts over images, batch by batch.
#[derive(Debug)]
pub struct PointingGame<'a> {
    encoder: &'a Vit,
    augment: &'a Augment,
    device: Device,
    scratch: Scratch,
    hits: [usize; 3],
    covered: f64,
    images: usize,
}

impl<'a> PointingGame<'a> {
    /// Nothing counted yet. `augment` is how the encoder sees images.
    pub fn new(encoder: &'a Vit, augment: &'a Augment) -> Self {
        Self {
            encoder,
            augment,
            device: device_of(encoder),
            scratch: Scratch::new(),
            hits: [0; 3],
            covered: 0.0,
            images: 0,
        }
    }

    /// Shows a batch of images and counts.
    ///
    /// # Errors
    /// [`PointingError`].
    pub fn show(&mut self, targets: &[Target]) -> Result<(), PointingError> {
        if targets.is_empty() {
            return Ok(());
        }
        let [height, width] = self.augment.image_size;
        let length = self.augment.view_len();
        let mut views = vec![0.0; targets.len() * length];
        for (target, view) in targets.iter().zip(views.chunks_mut(length)) {
            let image = target.pixels.size();
            let mask = [target.object.width(), target.object.height()];
            if image != mask {
                return Err(PointingError::MaskSize { image, mask });
            }
            self.augment.evaluation_view(image).render_image(
                &target.pixels,
                &mut self.scratch,
                view,
            )?;
        }
        let shape = [targets.len(), self.augment.channels(), height, width];
        let images = Tensor::<4>::from_data(TensorData::new(views, shape), &self.device);
        let tokens = self.encoder.tokens(images.clone());
        let maps = [
            class_similarity(tokens.clone()),
            mean_similarity(tokens),
            self.encoder.class_attention(images),
        ];
        let patches = self.encoder.grid().patches();
        for (map, hits) in maps.into_iter().zip(&mut self.hits) {
            let map = to_host("similarity", map)?.values;
            if map.iter().any(|value| value.is_nan()) {
                return Err(PointingError::NotFinite);
            }
            for (target, map) in targets.iter().zip(map.chunks(patches)) {
                let window = target.shown(self.augment);
                let (row, column) = self.encoder.grid().place(first(map));
                let inside = target.middle(window, [row, column], self.encoder.grid());
                *hits += usize::from(inside);
            }
        }
        for target in targets {
            let window = target.shown(self.augment);
            self.covered += target.covered(window);
        }
        self.images += targets.len();
        Ok(())
    }

    /// What has been counted, one entry for each of [`SIMILARITIES`].
    pub fn counted(&self) -> [PointingResult; 3] {
        let count = self.images.max(1) as f64;
        let entry = |i: usize| PointingResult {
            similarity: SIMILARITIES[i],
            images: self.images,
            hits: self.hits[i] as f64 / count,
            chance: self.covered / count,
        };
        [entry(0), entry(1), entry(2)]
    }
}

/// The largest of a map; the first of equals.
fn first(map: &[f32]) -> usize {
    let larger = |best: usize, i: usize| if map[i] > map[best] { i } else { best };
    (0..map.len()).fold(0, larger)
}

impl Target {
    /// So many generated images that are not trained on, as an encoder of `config` sees them, one after the other.
    ///
    /// # Errors
    /// Sizes that cannot be drawn.
    pub fn of_shapes(
        config: &VitConfig,
        seed: u64,
        count: usize,
    ) -> Result<impl Iterator<Item = Self> + use<>, DataError> {
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
        let shapes = Shapes::new(ShapesOptions {
            count,
            image_size: config.image_size.map(side),
            channels: config.channels,
            seed,
            split: Split::Eval,
        })?;
        Ok((0..count).map(move |index| Self {
            pixels: shapes.sample(index).pixels,
            object: shapes.mask(index),
        }))
    }

    /// `[left, top, width, height]` of the part of the image that the evaluation view shows.
    fn shown(&self, augment: &Augment) -> [f64; 4] {
        let plan = augment.evaluation_view(self.pixels.size());
        plan.geometry().source
    }

    /// Whether the object is where the middle of a patch is. `window` is the part of the image that the view shows.
    fn middle(&self, window: [f64; 4], place: [usize; 2], grid: semaim::grid::Grid) -> bool {
        let [left, top, width, height] = window;
        let x = left + width * (place[1] as f64 + 0.5) / grid.columns as f64;
        let y = top + height * (place[0] as f64 + 0.5) / grid.rows as f64;
        self.object.contains(x as u32, y as u32)
    }

    /// The share of the view that the object covers.
    fn covered(&self, window: [f64; 4]) -> f64 {
        let shares = self.object.patch_shares(window, [1, 1]);
        shares.map_or(0.0, |shares| shares.iter().copied().map(f64::from).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim::init::initialize;

    #[test]
    fn hits_are_counted_where_the_object_is() {
        let device = Device::flex();
        let config = VitConfig::tiny();
        let encoder = initialize(Vit::zeros(&config, &device), 1);
        let augment = Augment::new(config.image_size, 3);
        let pixels = Pixels::new(
            64,
            32,
            3,
            (0..64 * 32 * 3)
                .map(|i| (i * 7 % 251) as u8)
                .collect::<Vec<u8>>(),
        )
        .unwrap();
        let with = |inside: &dyn Fn(usize, usize) -> bool| Target {
            pixels: pixels.clone(),
            object: Mask::new(
                64,
                32,
                (0..64 * 32).map(|i| inside(i % 64, i / 64)).collect(),
            )
            .unwrap(),
        };
        let count = |target: Target| {
            let mut pointer = PointingGame::new(&encoder, &augment);
            pointer.show(&[target]).unwrap();
            pointer.counted()
        };
        let all = count(with(&|_, _| true));
        assert!(
            all.iter()
                .all(|p| p.hits == 1.0 && (p.chance - 1.0).abs() < 1e-6)
        );
        let none = count(with(&|_, _| false));
        assert!(none.iter().all(|p| p.hits == 0.0 && p.chance == 0.0));
        // Each of the eight patches alone: exactly one of them is hit, whichever the encoder prefers.
        let mut hits = [0.0; 3];
        for patch in 0..8 {
            let window = augment.evaluation_view(pixels.size()).geometry().source;
            let part = |x: usize, y: usize| {
                let column = (x as f64 + 0.5 - window[0]) / window[2] * 4.0;
                let row = (y as f64 + 0.5 - window[1]) / window[3] * 2.0;
                let at = |v: f64, n: usize| (v >= 0.0).then_some(v as usize).filter(|v| *v < n);
                at(row, 2).zip(at(column, 4)) == Some((patch / 4, patch % 4))
            };
            for (hits, found) in hits.iter_mut().zip(count(with(&part))) {
                *hits += found.hits;
                assert!((found.chance - 0.125).abs() < 0.02, "{}", found.chance);
            }
        }
        assert_eq!(hits, [1.0; 3]);
    }
}
