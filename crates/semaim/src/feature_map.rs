//! Maps with their channels last, and the layers of dense heads on them.

use crate::grid::Grid;
use crate::layers::LayerNorm;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, activation};
use semaim_kernels::{LinearWeights, conv3x3, linear};

/// One vector per position of a grid: `values [batch, rows · columns, channels]`.
#[derive(Clone, Debug)]
pub struct FeatureMap {
    /// `[batch, rows · columns, channels]`, row by row.
    pub values: Tensor<3>,
    /// The positions.
    pub grid: Grid,
}

impl FeatureMap {
    fn with(&self, values: Tensor<3>) -> Self {
        Self {
            values,
            grid: self.grid,
        }
    }

    /// Maps of the same positions with their channels one after the other. There must be at least one.
    pub fn side_by_side(maps: Vec<Self>) -> Self {
        let grid = maps[0].grid;
        let values = maps.into_iter().map(|map| map.values).collect();
        Self {
            values: Tensor::cat(values, 2),
            grid,
        }
    }

    /// The part of `grid` at the top left.
    pub fn top_left(&self, grid: Grid) -> Self {
        if grid == self.grid {
            return self.clone();
        }
        let [batch, _, channels] = self.values.dims();
        let values = self
            .values
            .clone()
            .reshape([batch, self.grid.rows, self.grid.columns, channels])
            .narrow(1, 0, grid.rows)
            .narrow(2, 0, grid.columns)
            .reshape([batch, grid.patches(), channels]);
        Self { values, grid }
    }

    /// The positive part.
    pub fn relu(&self) -> Self {
        self.with(activation::relu(self.values.clone()))
    }

    /// `[batch, channels, rows, columns]`, as others lay maps out.
    pub fn channels_first(&self) -> Tensor<4> {
        let [batch, _, channels] = self.values.dims();
        let Grid { rows, columns } = self.grid;
        self.values
            .clone()
            .swap_dims(1, 2)
            .reshape([batch, channels, rows, columns])
    }

    /// The largest of every two by two positions; an odd last row or column is left out.
    pub fn max_pool(&self) -> Self {
        let [batch, _, channels] = self.values.dims();
        let grid = Grid {
            rows: self.grid.rows / 2,
            columns: self.grid.columns / 2,
        };
        let whole = Grid {
            rows: 2 * grid.rows,
            columns: 2 * grid.columns,
        };
        let values = self
            .top_left(whole)
            .values
            .reshape([batch, grid.rows, 2, grid.columns, 2, channels])
            .max_dim(2)
            .max_dim(4)
            .reshape([batch, grid.patches(), channels]);
        Self { values, grid }
    }

    /// Every second row and column, from the first.
    pub fn every_second(&self) -> Self {
        let grid = Grid {
            rows: self.grid.rows.div_ceil(2),
            columns: self.grid.columns.div_ceil(2),
        };
        let places: Vec<i64> = grid
            .places()
            .map(|(row, column)| (2 * row * self.grid.columns + 2 * column) as i64)
            .collect();
        let places = Tensor::from_ints(places.as_slice(), &self.values.device());
        let values = self.values.clone().select(1, places);
        Self { values, grid }
    }
}

/// A convolution with zeros around the map, 1×1 or 3×3, perhaps with a layer norm over the channels behind it.
#[derive(Module, Debug)]
pub struct Conv {
    /// `[out, in, side, side]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`; convolutions with a norm have none.
    pub bias: Option<Param<Tensor<1>>>,
    /// Of the output at each position.
    pub norm: Option<LayerNorm>,
}

impl Conv {
    /// Zeros, with a bias.
    pub fn biased(side: usize, inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([outputs, inputs, side, side], device)),
            bias: Some(Param::from_tensor(Tensor::zeros([outputs], device))),
            norm: None,
        }
    }

    /// Zeros, with a norm.
    pub fn normed(side: usize, inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            bias: None,
            norm: Some(LayerNorm::new(outputs, device)),
            ..Self::biased(side, inputs, outputs, device)
        }
    }

    /// A map of the same positions.
    pub fn forward(&self, x: &FeatureMap) -> FeatureMap {
        let weight = self.weight.val();
        let [outputs, inputs, side, _] = weight.dims();
        let bias = self.bias.as_ref().map(Param::val);
        let values = x.values.clone();
        let values = if side == 1 {
            let bias = bias.unwrap_or_else(|| Tensor::zeros([outputs], &values.device()));
            let weight = weight.reshape([outputs, inputs]);
            linear(values, LinearWeights { weight, bias })
        } else {
            conv3x3(values, [x.grid.rows, x.grid.columns], weight, bias)
        };
        x.with(match &self.norm {
            Some(norm) => norm.forward(values),
            None => values,
        })
    }
}

/// A 2×2 transposed convolution of stride 2: each position becomes two by two.
#[derive(Module, Debug)]
pub struct Deconv {
    /// `[in, out, 2, 2]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
}

impl Deconv {
    /// Zeros.
    pub fn zeros(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([inputs, outputs, 2, 2], device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
        }
    }

    /// A map of twice as many rows and columns.
    pub fn forward(&self, x: &FeatureMap) -> FeatureMap {
        let weight = self.weight.val();
        let [inputs, outputs, _, _] = weight.dims();
        // No position is reached twice, so this is a linear layer to four positions, and putting them in place.
        let weight = weight.permute([2, 3, 1, 0]).reshape([4 * outputs, inputs]);
        let bias = self.bias.val();
        let bias = Tensor::cat(vec![bias; 4], 0);
        let values = linear(x.values.clone(), LinearWeights { weight, bias });
        let Grid { rows, columns } = x.grid;
        let batch = values.dims()[0];
        let values = values
            .reshape([batch, rows, columns, 2, 2, outputs])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([batch, 4 * rows * columns, outputs]);
        let grid = Grid {
            rows: 2 * rows,
            columns: 2 * columns,
        };
        FeatureMap { values, grid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::ops::ConvTransposeOptions;
    use burn::tensor::{TensorData, module};

    fn numbered(shape: [usize; 4], device: &Device) -> Tensor<4> {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|i| ((i * 37) % 19) as f32 - 9.0).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn map(x: Tensor<4>) -> FeatureMap {
        let [batch, channels, rows, columns] = x.dims();
        FeatureMap {
            values: x.reshape([batch, channels, rows * columns]).swap_dims(1, 2),
            grid: Grid { rows, columns },
        }
    }

    fn equal(found: Tensor<4>, expected: Tensor<4>) {
        found.into_data().assert_approx_eq::<f32>(
            &expected.into_data(),
            burn::tensor::Tolerance::absolute(1e-4),
        );
    }

    #[test]
    fn deconvolution_is_the_framework_s() {
        let device = Device::flex();
        let x = numbered([2, 3, 4, 5], &device);
        let layer = Deconv {
            weight: Param::from_tensor(numbered([3, 6, 2, 2], &device)),
            bias: Param::from_tensor(Tensor::arange(0..6, &device).float()),
        };
        let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
        let expected = module::conv_transpose2d(
            x.clone(),
            layer.weight.val(),
            Some(layer.bias.val()),
            options,
        );
        equal(layer.forward(&map(x)).channels_first(), expected);
    }

    #[test]
    fn convolutions_are_the_framework_s() {
        let device = Device::flex();
        let x = numbered([2, 3, 4, 5], &device);
        for side in [1, 3] {
            let mut layer = Conv::biased(side, 3, 4, &device);
            layer.weight = Param::from_tensor(numbered([4, 3, side, side], &device));
            let padding = [side / 2; 2];
            let options = burn::tensor::ops::ConvOptions::new([1, 1], padding, [1, 1], 1);
            let expected = module::conv2d(x.clone(), layer.weight.val(), None, options);
            equal(layer.forward(&map(x.clone())).channels_first(), expected);
        }
    }

    #[test]
    fn halves_of_odd_maps() {
        let device = Device::flex();
        let x = map(numbered([1, 1, 3, 5], &device));
        let of = |map: FeatureMap| -> Vec<f32> { map.values.into_data().try_to_vec().unwrap() };
        let values = of(x.clone());
        let most = |places: [usize; 4]| places.map(|i| values[i]).into_iter().fold(-99.0, f32::max);
        assert_eq!(of(x.max_pool()), [most([0, 1, 5, 6]), most([2, 3, 7, 8])]);
        let picked = [0, 2, 4, 10, 12, 14].map(|i| values[i]);
        assert_eq!(of(x.every_second()), picked);
    }
}
