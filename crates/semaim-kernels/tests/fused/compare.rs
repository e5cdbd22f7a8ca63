//! Comparison relative to a tensor's largest value.

use burn::tensor::Tensor;

/// A named tensor, flattened.
pub(crate) type Named = (String, Vec<f32>);

pub(crate) fn flat<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Runs an operation, and gives its result and the gradients of its inputs under a fixed random weighting of the
/// result.
pub(crate) fn result_and_gradients<const D: usize>(
    out: Tensor<D>,
    weighting: Tensor<D>,
    inputs: &[(&str, Any)],
) -> Vec<Named> {
    let mut all = vec![("result".to_string(), flat(out.clone().inner()))];
    let gradients = (out * weighting).sum().backward();
    for (name, input) in inputs {
        let gradient = match input {
            Any::One(t) => t.grad(&gradients).map(flat),
            Any::Two(t) => t.grad(&gradients).map(flat),
            Any::Three(t) => t.grad(&gradients).map(flat),
        };
        all.push(((*name).to_string(), gradient.unwrap_or_default()));
    }
    all
}

/// A tensor of any number of axes.
#[derive(Clone)]
pub(crate) enum Any {
    One(Tensor<1>),
    Two(Tensor<2>),
    Three(Tensor<3>),
}

/// Asserts agreement to `tolerance` of each tensor's largest value.
pub(crate) fn assert_close(case: &str, got: &[Named], expected: &[Named], tolerance: f32) {
    assert_eq!(got.len(), expected.len());
    // The gradient of a key's bias is zero but for rounding: it has no largest value of its own.
    let of_all = expected
        .iter()
        .flat_map(|(_, values)| values)
        .fold(0.0_f32, |m, v| m.max(v.abs()));
    for ((name, got), (_, expected)) in got.iter().zip(expected) {
        assert_eq!(got.len(), expected.len(), "{case}: {name}");
        let largest = expected.iter().fold(0.05 * of_all, |m, v| m.max(v.abs()));
        for (i, (g, e)) in got.iter().zip(expected).enumerate() {
            let off = (g - e).abs() / largest;
            assert!(
                off <= tolerance,
                "{case}: {name}[{i}] is {g}, composed {e}, off by {off:e} of {largest}"
            );
        }
    }
}
