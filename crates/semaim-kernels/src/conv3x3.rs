//! The 3×3 convolution on maps whose channels come last.

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, module};

/// The convolution of `x [batch, rows · columns, in]` with `weight [out, in, 3, 3]` and zeros around the map:
/// `[batch, rows · columns, out]`. `map` is `[rows, columns]`.
pub fn conv3x3(
    x: Tensor<3>,
    map: [usize; 2],
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
) -> Tensor<3> {
    let [_, positions, inputs] = x.dims();
    let [_, weight_inputs, height, width] = weight.dims();
    assert_eq!(map[0] * map[1], positions, "positions of a map");
    assert_eq!([weight_inputs, height, width], [inputs, 3, 3], "a kernel");
    composed(x, map, weight, bias)
}

/// The framework's convolution, which has its channels first.
pub(crate) fn composed(
    x: Tensor<3>,
    [rows, columns]: [usize; 2],
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
) -> Tensor<3> {
    let [batch, positions, inputs] = x.dims();
    let outputs = weight.dims()[0];
    let x = x
        .reshape([batch, rows, columns, inputs])
        .permute([0, 3, 1, 2]);
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    module::conv2d(x, weight, bias, options)
        .permute([0, 2, 3, 1])
        .reshape([batch, positions, outputs])
}
