//! Similarity maps of whole images by an encoder, computed once for every run that takes its order from them
//! (`order.source = "maps"`).

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use semaim::grid::Grid;
use semaim::parameters::{WeightError, to_host};
use semaim::similarity::Similarity;
use semaim::teacher::resize_tokens;
use semaim_checkpoint::encoder::Encoder;
use semaim_data::{BadImage, Pixels, Scratch, Source, ViewError};

use crate::views::views;

/// Cells of a map's longer side for each patch along the longer side of the encoder's grid.
const CELLS_PER_PATCH: usize = 4;

/// How similar each part of an image is to what represents the whole.
#[derive(Clone, Debug)]
pub struct ImageSimilarity {
    /// The image's number in its source.
    pub item: usize,
    /// Cells, in the proportions of the image.
    pub cells: Grid,
    /// `[cells]` row by row, from 0 for the least similar to 1 for the most.
    pub values: Vec<f32>,
}

/// The maps of some images.
#[derive(Clone, Debug, Default)]
pub struct ImageSimilarities {
    /// Those of images that could be read.
    pub maps: Vec<ImageSimilarity>,
    /// The others.
    pub bad: Vec<BadImage>,
}

/// Why maps could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum ImageSimilarityError {
    /// An image could not be brought to the encoder's size.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The backend failed.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// Similarity that is no number.
    #[error(
        "the similarity of {name} holds a NaN: the encoder's weights are damaged or have diverged"
    )]
    NotFinite {
        /// The image.
        name: String,
    },
}

/// The maps of the images `items` of a source, each shown to the encoder as a whole, stretched to its size.
///
/// # Errors
/// [`ImageSimilarityError`]; images that cannot be read are listed instead.
pub fn image_similarities(
    source: &dyn Source,
    items: &[usize],
    encoder: &Encoder,
    similarity: Similarity,
    device: &Device,
) -> Result<ImageSimilarities, ImageSimilarityError> {
    let augment = views(&encoder.config, &encoder.normalization);
    let size = augment.image_size;
    let shown = items.par_iter().map_init(Scratch::new, |scratch, &item| {
        let pixels = match source.image(item) {
            Ok(pixels) => pixels,
            Err(error) => return Ok((item, Err(error))),
        };
        let view = augment.resized(&pixels, size, false, scratch)?;
        Ok((item, Ok((cells(&pixels, encoder.config.grid()), view))))
    });
    let shown: Vec<_> = shown.collect::<Result<_, ViewError>>()?;
    let mut out = ImageSimilarities::default();
    let (mut read, mut images) = (Vec::new(), Vec::new());
    for (item, shown) in shown {
        match shown {
            Ok((cells, view)) => {
                read.push((item, cells));
                images.extend(view);
            }
            Err(error) => out.bad.push(BadImage {
                item: item as u64,
                name: source.name(item),
                error: error.problem.to_string(),
            }),
        }
    }
    if read.is_empty() {
        return Ok(out);
    }
    let [height, width] = size;
    let shape = [read.len(), augment.channels(), height, width];
    let images = Tensor::<4>::from_data(TensorData::new(images, shape), device);
    let maps = similarity.of(&encoder.vit, images);
    let grid = encoder.config.grid();
    for (place, (item, cells)) in read.into_iter().enumerate() {
        let map = maps
            .clone()
            .narrow(0, place, 1)
            .reshape([1, grid.patches(), 1]);
        let map = to_host("similarity", resize_tokens(map, grid, cells))?.values;
        if map.iter().any(|value| !value.is_finite()) {
            let name = source.name(item);
            return Err(ImageSimilarityError::NotFinite { name });
        }
        let values = scaled(&map);
        out.maps.push(ImageSimilarity {
            item,
            cells,
            values,
        });
    }
    Ok(out)
}

/// The cells of an image's map by an encoder with this grid: in the image's proportions, fine enough for the grid.
fn cells(image: &Pixels, grid: Grid) -> Grid {
    let [width, height] = image.size().map(|side| side.max(1) as usize);
    let longer = CELLS_PER_PATCH * grid.rows.max(grid.columns);
    let of = |side: usize| {
        ((longer * side) as f64 / width.max(height) as f64)
            .round()
            .max(1.0) as usize
    };
    Grid {
        rows: of(height),
        columns: of(width),
    }
}

/// From 0 to 1; all 0 where nothing differs.
fn scaled(map: &[f32]) -> Vec<f32> {
    let low = map.iter().copied().fold(f32::INFINITY, f32::min);
    let high = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = high - low;
    let scale = |value: &f32| match range > 0.0 {
        true => (value - low) / range,
        false => 0.0,
    };
    map.iter().map(scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim::config::{Normalization, VitConfig};
    use semaim::init::initialize;
    use semaim::position::Interpolation;
    use semaim::vit::Vit;
    use semaim_data::{Shapes, ShapesOptions};

    fn encoder(device: &Device) -> Encoder {
        let config = VitConfig {
            image_size: [16, 16],
            patch_size: 4,
            ..VitConfig::tiny()
        };
        Encoder {
            vit: initialize(Vit::zeros(&config, device), 5),
            config,
            normalization: Normalization {
                mean: vec![0.5; 3],
                std: vec![0.25; 3],
            },
            interpolation: Interpolation::default(),
        }
    }

    #[test]
    fn maps_have_their_images_proportions_and_are_most_where_the_encoder_says() {
        let device = Device::flex();
        let encoder = encoder(&device);
        let options = ShapesOptions {
            count: 3,
            image_size: [20, 40],
            ..ShapesOptions::default()
        };
        let images = Shapes::new(options).unwrap();
        for kind in [Similarity::Cls, Similarity::Gap, Similarity::SelfAttention] {
            let found = image_similarities(&images, &[2, 0], &encoder, kind, &device).unwrap();
            assert!(found.bad.is_empty());
            let items: Vec<usize> = found.maps.iter().map(|map| map.item).collect();
            assert_eq!(items, [2, 0]);
            for map in &found.maps {
                assert_eq!([map.cells.rows, map.cells.columns], [8, 16]);
                let augment = views(&encoder.config, &encoder.normalization);
                let pixels = images.image(map.item).unwrap();
                let view = augment
                    .resized(&pixels, [16, 16], false, &mut Scratch::new())
                    .unwrap();
                let view = Tensor::<4>::from_data(TensorData::new(view, [1, 3, 16, 16]), &device);
                let expected = to_host("similarity", kind.of(&encoder.vit, view)).unwrap();
                let grid = encoder.config.grid();
                let most =
                    (0..16).max_by(|&a, &b| expected.values[a].total_cmp(&expected.values[b]));
                let (row, column) = grid.place(most.unwrap());
                // Two rows and four columns of cells to a patch, of which those in the middle are between no other.
                let inside = |at: usize| (at / 16 / 2, at % 16 / 4);
                let cell = (0..128).max_by(|&a, &b| map.values[a].total_cmp(&map.values[b]));
                assert_eq!(inside(cell.unwrap()), (row, column));
                let extreme =
                    |pick: fn(f32, f32) -> f32, from| map.values.iter().copied().fold(from, pick);
                assert_eq!(extreme(f32::max, 0.0), 1.0);
                assert_eq!(extreme(f32::min, 1.0), 0.0);
            }
        }
    }

    #[test]
    fn images_that_cannot_be_read_are_listed() {
        let device = Device::flex();
        let images = Shapes::new(ShapesOptions {
            count: 1,
            ..ShapesOptions::default()
        });
        let (encoder, images) = (encoder(&device), images.unwrap());
        let found =
            image_similarities(&images, &[7, 0], &encoder, Similarity::Cls, &device).unwrap();
        assert_eq!(found.maps.len(), 1);
        assert_eq!(found.bad[0].item, 7);
        assert_eq!(found.bad[0].name, "shapes#7");
    }

    #[test]
    fn weights_that_are_no_numbers_are_told() {
        let device = Device::flex();
        let mut encoder = encoder(&device);
        encoder.normalization.std = vec![0.0; 3];
        let images = Shapes::new(ShapesOptions {
            count: 1,
            ..ShapesOptions::default()
        });
        let error = image_similarities(&images.unwrap(), &[0], &encoder, Similarity::Gap, &device)
            .unwrap_err();
        assert!(error.to_string().contains("shapes#0"), "{error}");
    }

    #[test]
    fn nothing_that_differs_is_all_nought() {
        assert_eq!(scaled(&[0.25; 3]), [0.0; 3]);
        assert_eq!(scaled(&[1.0, 3.0, 2.0]), [0.0, 1.0, 0.5]);
    }
}
