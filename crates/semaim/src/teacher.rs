//! A frozen teacher: another network whose tokens are predicted, give the order, or both.
//!
//! A teacher may have another patch size, width, grid and input size than the student, and was trained with a
//! normalization of its own. Images are brought to its size and normalization, and what it gives is brought to the
//! student's grid: both with a triangle filter, widened when shrinking (bilinear interpolation with antialiasing).

use burn::tensor::{Device, Tensor, TensorData};
use semaim_kernels::composed::l2_normalize;

use crate::config::Normalization;
use crate::grid::Grid;
use crate::vit::Vit;

/// A frozen network and how it sees the student's images.
#[derive(Debug)]
pub struct Teacher {
    encoder: Vit,
    /// From the student's normalization to the teacher's, `[1, channels, 1, 1]` with the teacher's channels.
    scale: Tensor<4>,
    shift: Tensor<4>,
    /// Height and width of its input in pixels.
    image_size: [usize; 2],
    /// The student's grid.
    grid: Grid,
}

/// What a teacher gives for a batch, on the student's grid.
#[derive(Debug)]
pub struct TeacherOutput {
    /// Final tokens of the patches, `[batch, patches, width]`.
    pub tokens: Tensor<3>,
    /// Cosine of the class token and each patch token, scaled to 0..1 per image, `[batch, patches]`.
    pub similarity: Tensor<2>,
}

impl Teacher {
    /// A teacher for a student with this grid and normalization, each normalization with as many channels as its network's images.
    /// Of a student's gray images, of one channel, every channel of the teacher's is the same.
    pub fn new(
        encoder: Vit,
        image_size: [usize; 2],
        own: &Normalization,
        student: &Normalization,
        grid: Grid,
        device: &Device,
    ) -> Self {
        let channels = own.mean.len();
        let each = |value: &dyn Fn(usize) -> f32| {
            let values: Vec<f32> = (0..channels).map(value).collect();
            Tensor::from_data(TensorData::new(values, [1, channels, 1, 1]), device)
        };
        let seen = |values: &[f32], c: usize| match values {
            [gray] => *gray,
            channels => channels[c],
        };
        // (x · s + m − m') / s' = x · s/s' + (m − m')/s'
        Self {
            scale: each(&|c| seen(&student.std, c) / own.std[c]),
            shift: each(&|c| (seen(&student.mean, c) - own.mean[c]) / own.std[c]),
            encoder,
            image_size,
            grid,
        }
    }

    /// What the teacher gives for the student's images, `[batch, channels, height, width]` with its channels or one.
    pub fn forward(&self, images: Tensor<4>) -> TeacherOutput {
        let images =
            resize_images(images, self.image_size) * self.scale.clone() + self.shift.clone();
        let tokens = self.encoder.tokens(images);
        let [_, count, _] = tokens.dims();
        let class = tokens.clone().narrow(1, 0, 1);
        let patches = tokens.narrow(1, 1, count - 1);
        let cosine = (l2_normalize(class) * l2_normalize(patches.clone())).sum_dim(2);
        let from = self.encoder.grid();
        TeacherOutput {
            tokens: resize_tokens(patches, from, self.grid),
            similarity: scaled(resize_tokens(cosine, from, self.grid).squeeze_dim(2)),
        }
    }
}

/// `(s − min) / (max − min + 1e-6)` over each row of `[batch, patches]`.
fn scaled(s: Tensor<2>) -> Tensor<2> {
    let (low, high) = (s.clone().min_dim(1), s.clone().max_dim(1));
    (s - low.clone()) / (high - low + 1e-6)
}

/// Images `[batch, channels, height, width]` at another size (height, width).
fn resize_images(images: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [_, _, from_height, from_width] = images.dims();
    let device = images.device();
    let images = match from_height == height {
        true => images,
        false => weights(from_height, height, &device)
            .reshape([1, 1, height, from_height])
            .matmul(images),
    };
    match from_width == width {
        true => images,
        false => images.matmul(
            weights(from_width, width, &device)
                .transpose()
                .reshape([1, 1, from_width, width]),
        ),
    }
}

/// Tokens `[batch, patches, width]` on another grid.
pub fn resize_tokens(tokens: Tensor<3>, from: Grid, to: Grid) -> Tensor<3> {
    if from == to {
        return tokens;
    }
    let [batch, _, width] = tokens.dims();
    let device = tokens.device();
    let rows = weights(from.rows, to.rows, &device).reshape([1, to.rows, from.rows]);
    let columns = weights(from.columns, to.columns, &device).reshape([1, to.columns, from.columns]);
    let tokens = rows.matmul(tokens.reshape([batch, from.rows, from.columns * width]));
    let tokens = columns.matmul(tokens.reshape([batch * to.rows, from.columns, width]));
    tokens.reshape([batch, to.patches(), width])
}

/// The triangle filter along a side, `[to, from]`; each row sums to one.
fn weights(from: usize, to: usize, device: &Device) -> Tensor<2> {
    let scale = from as f64 / to as f64;
    let reach = scale.max(1.0);
    let mut values = Vec::with_capacity(to * from);
    for place in 0..to {
        let center = (place as f64 + 0.5) * scale - 0.5;
        // Beyond the border the border goes on.
        let mut row = vec![0.0; from];
        let (first, last) = (
            (center - reach).ceil() as i64,
            (center + reach).floor() as i64,
        );
        for at in first..=last {
            let inside = at.clamp(0, from as i64 - 1) as usize;
            row[inside] += (1.0 - (at as f64 - center).abs() / reach).max(0.0);
        }
        let sum: f64 = row.iter().sum();
        values.extend(row.iter().map(|weight| (weight / sum) as f32));
    }
    Tensor::from_data(TensorData::new(values, [to, from]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::VitConfig;
    use crate::init::initialize;
    use crate::parameters::to_host;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        to_host("tensor", tensor).unwrap().values
    }

    #[test]
    fn resizing_keeps_what_is_flat_and_shrinks_by_averages() {
        let device = Device::flex();
        let rows = values(weights(4, 2, &device));
        // Centers 0.5 and 2.5, reach 2: 1.5, 1.5, 0.5 … of 4, the border taking what lies beyond.
        assert_eq!(rows, [0.5, 0.375, 0.125, 0.0, 0.0, 0.125, 0.375, 0.5]);
        let grid = |rows, columns| Grid { rows, columns };
        let flat = Tensor::<3>::ones([1, 15, 2], &device) * 3.0;
        let resized = values(resize_tokens(flat, grid(3, 5), grid(7, 2)));
        assert_eq!(resized.len(), 28);
        assert!(resized.iter().all(|v| (v - 3.0).abs() < 1e-5));
        // A ramp along columns stays a ramp where the border is far.
        let ramp: Vec<f32> = (0..12).map(|i| (i % 6) as f32).collect();
        let ramp = Tensor::<3>::from_data(TensorData::new(ramp, [1, 12, 1]), &device);
        let halved = values(resize_tokens(ramp, grid(2, 6), grid(1, 3)));
        assert!((halved[1] - 2.5).abs() < 1e-5, "{halved:?}");
        assert!(halved[0] < halved[1] && halved[1] < halved[2]);
    }

    #[test]
    fn gray_images_reach_a_teacher_of_color_as_gray_ones() {
        let device = Device::flex();
        let config = VitConfig {
            image_size: [8, 8],
            patch_size: 4,
            ..VitConfig::tiny()
        };
        let encoder = initialize(Vit::zeros(&config, &device), 3);
        let normalization = |mean: &[f32], std: &[f32]| Normalization {
            mean: mean.to_vec(),
            std: std.to_vec(),
        };
        let own = normalization(&[0.1, 0.2, 0.3], &[0.5, 0.25, 2.0]);
        let student = normalization(&[0.4], &[0.2]);
        let pixels: Vec<f32> = (0..64).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
        let image = |by: &Normalization| {
            let channels = by.mean.iter().zip(&by.std);
            let plane =
                |(mean, std): (&f32, &f32)| pixels.iter().map(|p| (p - mean) / std).collect();
            let planes: Vec<Vec<f32>> = channels.map(plane).collect();
            let shape = [1, planes.len(), 8, 8];
            Tensor::<4>::from_data(TensorData::new(planes.concat(), shape), &device)
        };
        let grid = config.grid();
        let teacher = Teacher::new(encoder.clone(), [8, 8], &own, &student, grid, &device);
        let found = values(teacher.forward(image(&student)).tokens);
        let expected = values(encoder.tokens(image(&own)).narrow(1, 1, 4));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    #[test]
    fn images_reach_the_teacher_in_its_own_normalization() {
        let device = Device::flex();
        let config = VitConfig {
            image_size: [8, 8],
            patch_size: 4,
            channels: 2,
            embed_dim: 8,
            depth: 1,
            ..VitConfig::tiny()
        };
        let encoder = initialize(Vit::zeros(&config, &device), 3);
        let own = Normalization {
            mean: vec![0.1, 0.2],
            std: vec![0.5, 2.0],
        };
        let student = Normalization {
            mean: vec![0.4, 0.3],
            std: vec![0.25, 1.0],
        };
        let pixels: Vec<f32> = (0..128).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
        let normalized = |by: &Normalization| {
            let values: Vec<f32> = pixels
                .iter()
                .enumerate()
                .map(|(i, p)| (p - by.mean[i / 64]) / by.std[i / 64])
                .collect();
            Tensor::<4>::from_data(TensorData::new(values, [1, 2, 8, 8]), &device)
        };
        let grid = config.grid();
        let teacher = Teacher::new(encoder.clone(), [8, 8], &own, &student, grid, &device);
        let output = teacher.forward(normalized(&student));
        let expected = values(encoder.tokens(normalized(&own)).narrow(1, 1, 4));
        for (found, expected) in values(output.tokens).iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
        let map = values(output.similarity);
        assert!(map.iter().copied().fold(0.0, f32::max) > 0.99);
        assert_eq!(map.iter().copied().fold(1.0, f32::min), 0.0);
        // Another grid on the student's side.
        let fine = Grid {
            rows: 4,
            columns: 3,
        };
        let teacher = Teacher::new(encoder, [8, 8], &own, &student, fine, &device);
        let larger = resize_images(normalized(&student), [16, 12]);
        assert_eq!(teacher.forward(larger).tokens.dims(), [1, 12, 8]);
    }
}
