//! Whether a device computes what the CPU computes: the framework's operations in the shapes and layouts of the model.
//!
//! A driver, a shader compiler or a wrongly tuned kernel can make every matrix product zero or rubbish while all else is
//! right, and training goes on without a word. So a device is asked first. What it gives is compared with what the CPU
//! gives, relative to the largest number of a result: matrix products to 2e-3, because some devices round their factors
//! to ten bits (TF32); sums of half a million numbers to 2e-3; other numbers to 1e-4; whole numbers exactly.

use std::fmt;

use burn::tensor::{Device, Int, Tensor, TensorData, activation, module};

use crate::bytes::PackedBytes;
use crate::composed;
use crate::gelu::gelu;
use crate::types::{LinearWeights, Loss, NormWeights, PrefixMask};

/// An operation that a device does differently.
#[derive(Clone, Debug, PartialEq)]
pub struct Disagreement {
    /// The operation and its sizes.
    pub operation: String,
    /// What was found.
    pub found: Found,
}

/// What a device gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Numbers that differ by `off` of the largest one, where `tolerance` is allowed.
    Off {
        /// The largest difference; infinite where a number is none.
        off: f32,
        /// What is allowed.
        tolerance: f32,
    },
    /// Nothing: the device failed.
    Failed(String),
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = &self.operation;
        match &self.found {
            Found::Off { off, tolerance } => write!(
                f,
                "{operation}: off by {off:.1e} of the largest number, where {tolerance:.0e} is allowed"
            ),
            Found::Failed(message) => write!(f, "{operation}: {message}"),
        }
    }
}

/// What a device does differently; nothing for a device that can be trusted.
///
/// It takes a second or less on a GPU, longer on one that is made of software.
pub fn self_test(device: &Device) -> Vec<Disagreement> {
    disagreements(|check| check.on(device))
}

/// Compares what `run` gives for each check with what the CPU gives.
fn disagreements(run: impl Fn(&Check) -> Result<Vec<f32>, String>) -> Vec<Disagreement> {
    let mut found = Vec::new();
    for check in checks() {
        let result = run(&check).and_then(|got| Ok((got, check.on(&Device::flex())?)));
        let disagreement = match result {
            Err(message) => Found::Failed(message),
            Ok((got, expected)) => Found::Off {
                off: difference(&got, &expected),
                tolerance: check.tolerance,
            },
        };
        if !matches!(disagreement, Found::Off { off, tolerance } if off <= tolerance) {
            found.push(Disagreement {
                operation: check.operation,
                found: disagreement,
            });
        }
    }
    found
}

/// The largest difference, relative to the largest expected number.
fn difference(got: &[f32], expected: &[f32]) -> f32 {
    if got.len() != expected.len() || got.iter().any(|x| !x.is_finite()) {
        return f32::INFINITY;
    }
    let largest = expected
        .iter()
        .fold(f32::MIN_POSITIVE, |m, x| m.max(x.abs()));
    let pairs = got.iter().zip(expected);
    pairs.fold(0.0, |m: f32, (g, e)| m.max((g - e).abs())) / largest
}

/// A product's rounding, TF32 among them.
const PRODUCT: f32 = 2e-3;
/// Any other operation's.
const OTHER: f32 = 1e-4;
/// Of a sum of many numbers, which may be added one after the other.
const MANY: f32 = 2e-3;
/// Of whole numbers.
const EXACT: f32 = 0.0;

/// What a device computes, or why it does not.
type Run = Box<dyn Fn(&Device) -> Result<TensorData, String>>;

/// An operation on fixed numbers.
struct Check {
    operation: String,
    tolerance: f32,
    run: Run,
}

impl Check {
    fn new<const D: usize>(
        operation: impl Into<String>,
        tolerance: f32,
        run: impl Fn(&Device) -> Tensor<D> + 'static,
    ) -> Self {
        Self {
            operation: operation.into(),
            tolerance,
            run: Box::new(move |device| {
                let data = run(device).try_into_data();
                data.map_err(|error| format!("{error:?}"))
            }),
        }
    }

    fn on(&self, device: &Device) -> Result<Vec<f32>, String> {
        let data = (self.run)(device)?.convert::<f32>();
        data.try_to_vec().map_err(|error| format!("{error:?}"))
    }
}

/// Numbers from a formula, between -1 and 1, different in each place.
fn numbers<const D: usize>(shape: [usize; D], seed: usize, device: &Device) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn checks() -> Vec<Check> {
    let mut checks = products();
    checks.extend(rows());
    checks.extend(places());
    checks.extend(layers());
    checks.extend(gradients());
    checks
}

/// Matrix products, as linear layers and attention and their gradients make them.
fn products() -> Vec<Check> {
    let mut checks = Vec::new();
    for [rows, depth, columns] in [[4, 4, 4], [17, 33, 9], [64, 192, 64], [197, 64, 130]] {
        let sizes = format!("product of {rows}×{depth} and {depth}×{columns}");
        checks.push(Check::new(sizes.clone(), PRODUCT, move |device| {
            numbers([rows, depth], 1, device).matmul(numbers([depth, columns], 2, device))
        }));
        let name = format!("{sizes}, left transposed");
        checks.push(Check::new(name, PRODUCT, move |device| {
            let left = numbers([depth, rows], 3, device).transpose();
            left.matmul(numbers([depth, columns], 4, device))
        }));
        let name = format!("{sizes}, right transposed");
        checks.push(Check::new(name, PRODUCT, move |device| {
            let right = numbers([columns, depth], 5, device).transpose();
            numbers([rows, depth], 6, device).matmul(right)
        }));
    }
    for [batch, rows, depth, columns] in [[3, 17, 12, 17], [2, 65, 96, 33]] {
        let name = format!("{batch} products of {rows}×{depth} and {depth}×{columns}");
        checks.push(Check::new(name, PRODUCT, move |device| {
            let right = numbers([batch, depth, columns], 8, device);
            numbers([batch, rows, depth], 7, device).matmul(right)
        }));
        let name = format!("{batch}×{rows} rows through one {depth}×{columns} layer");
        checks.push(Check::new(name, PRODUCT, move |device| {
            let weight = numbers([columns, depth], 9, device);
            let bias = numbers([columns], 10, device);
            composed::linear(
                numbers([batch, rows, depth], 11, device),
                LinearWeights { weight, bias },
            )
        }));
    }
    checks.push(Check::new(
        "attention scores of 4 heads",
        PRODUCT,
        |device| {
            let [query, key] = [12, 13].map(|seed| numbers([2, 50, 64], seed, device));
            composed::attention_weights(query, key, 4, None)
        },
    ));
    let masked = |device: &Device| {
        let lens: Vec<u32> = (0..2 * 50).map(|i| 1 + i * 13 % 50).collect();
        let mask = PrefixMask::new(lens, 2, 50);
        let [query, key, value] = [14, 15, 16].map(|seed| numbers([2, 50, 64], seed, device));
        composed::attention(query, key, value, 4, Some(&mask))
    };
    checks.push(Check::new("masked attention", PRODUCT, masked));
    checks.push(Check::new("attention", PRODUCT, |device| {
        let [query, key, value] = [17, 18, 19].map(|seed| numbers([2, 50, 64], seed, device));
        composed::attention(query, key, value, 4, None)
    }));
    checks
}

/// Sums, means and what else goes along rows.
fn rows() -> Vec<Check> {
    let x = |device: &Device| numbers([3, 37, 49], 20, device);
    vec![
        Check::new("sum of all", OTHER, move |device| x(device).sum()),
        Check::new("sum of rows", OTHER, move |device| x(device).sum_dim(2)),
        Check::new("sum of columns", OTHER, move |device| x(device).sum_dim(1)),
        // Of many numbers, as gradients of large batches add them up. llvmpipe ends every loop after 65,535 turns, and with it a sum
        // that a single thread of it makes.
        Check::new("sum of half a million", MANY, |device| {
            numbers([1 << 19], 30, device).powi_scalar(2).sum()
        }),
        Check::new("sum of long columns", MANY, |device| {
            numbers([70_000, 4], 31, device).powi_scalar(2).sum_dim(0)
        }),
        Check::new("sum of half a million squares", OTHER, |device| {
            composed::sum_of_squares(numbers([1 << 19], 32, device))
        }),
        Check::new("mean of rows", OTHER, move |device| x(device).mean_dim(2)),
        Check::new("largest of rows", OTHER, move |device| x(device).max_dim(2)),
        Check::new("smallest of rows", OTHER, move |device| {
            x(device).min_dim(2)
        }),
        Check::new("softmax", OTHER, move |device| {
            activation::softmax(x(device) * 8.0, 2)
        }),
        Check::new("logarithm of softmax", OTHER, move |device| {
            activation::log_softmax(x(device) * 8.0, 2)
        }),
    ]
}

/// Sorting, choosing and copying, where a number is right or wrong.
fn places() -> Vec<Check> {
    let x = |device: &Device| numbers([5, 49], 21, device);
    let rows = |device: &Device| {
        let rows: Vec<i64> = (0..9).map(|i| i * 4 % 5).collect();
        Tensor::<1, Int>::from_data(TensorData::new(rows, [9]), device)
    };
    vec![
        Check::new("place of the largest", EXACT, move |device| {
            x(device).argmax(1).float()
        }),
        Check::new("places in order", EXACT, move |device| {
            x(device).argsort(1).float()
        }),
        Check::new("comparing each with each", EXACT, move |device| {
            let shape = [5, 49, 49];
            let mine = x(device).reshape([5, 49, 1]).expand(shape);
            let other = x(device).reshape([5, 1, 49]).expand(shape);
            other.lower(mine).int().sum_dim(2).float()
        }),
        Check::new("gathering", EXACT, move |device| {
            let places = x(device).argsort(1);
            x(device).gather(1, places)
        }),
        Check::new("selecting rows", EXACT, move |device| {
            x(device).select(0, rows(device))
        }),
        Check::new("joining", EXACT, move |device| {
            Tensor::cat(vec![x(device).narrow(1, 3, 11), x(device)], 1)
        }),
        Check::new("bytes", EXACT, |device| {
            PackedBytes::upload(&(0..=255).collect::<Vec<u8>>(), device).unpack()
        }),
        Check::new("what is not finite", EXACT, move |device| {
            // Made there of what is not known beforehand: of a 0 / 0 that is, the framework writes a WGSL shader with the word
            // `NaN` in it (cubecl-wgpu 0.11.3), which WGSL does not have.
            let zero = x(device) * 0.0;
            let infinite = x(device) / zero.clone();
            let none = zero.clone() / zero;
            let all = Tensor::cat(vec![x(device), infinite, none], 0);
            all.is_finite().int().float()
        }),
        Check::new("choosing", EXACT, move |device| {
            let none = x(device).log() * f32::NAN;
            let mask = x(device).sum_dim(1).greater_elem(0.0).expand([5, 49]);
            let whole = x(device).mask_where(mask.clone(), x(device) * 2.0);
            whole + none.clone().mask_where(none.is_nan(), x(device))
        }),
        Check::new("patches", EXACT, |device| {
            composed::patches(
                numbers([2, 3, 16, 24], 22, device),
                8,
                crate::Channels::First,
            )
        }),
    ]
}

/// Layers and losses.
fn layers() -> Vec<Check> {
    let x = |device: &Device| numbers([2, 50, 96], 23, device);
    vec![
        Check::new("layer norm", OTHER, move |device| {
            let [weight, bias] = [24, 25].map(|seed| numbers([96], seed, device));
            let epsilon = crate::LAYER_NORM_EPSILON;
            composed::layer_norm(
                x(device),
                NormWeights {
                    weight,
                    bias,
                    epsilon,
                },
            )
        }),
        Check::new("GELU", OTHER, move |device| gelu(x(device) * 4.0)),
        Check::new("convolution", PRODUCT, |device| {
            let weight = numbers([6, 4, 3, 3], 26, device);
            let options = burn::tensor::ops::ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            module::conv2d(numbers([2, 4, 9, 9], 27, device), weight, None, options)
        }),
        Check::new("normalized loss", OTHER, move |device| {
            composed::loss(
                Loss::NormalizedL2,
                x(device),
                numbers([2, 50, 96], 28, device),
            )
        }),
        Check::new("root, logarithm and exponential", OTHER, move |device| {
            let x = x(device);
            (x.clone().powi_scalar(2) + 1e-6).sqrt().log() + x.exp()
        }),
    ]
}

/// The gradient of the sum of an operation's results, each times another number.
fn gradient<const D: usize>(
    of: impl Fn(Tensor<D>) -> Tensor<D>,
    x: Tensor<D>,
    device: &Device,
) -> Tensor<D> {
    let x = Tensor::from_data(x.into_data(), &device.clone().autodiff()).require_grad();
    let y = of(x.clone());
    let factors = Tensor::from_inner(numbers(y.dims(), 29, device));
    let gradients = (y * factors).sum().backward();
    x.grad(&gradients).unwrap_or_else(|| x.inner().zeros_like())
}

/// What the framework differentiates by rules of its own.
fn gradients() -> Vec<Check> {
    let x = |device: &Device| numbers([2, 50, 96], 30, device);
    vec![
        Check::new("gradient of GELU", OTHER, move |device| {
            gradient(gelu, x(device) * 4.0, device)
        }),
        Check::new("gradient of softmax", OTHER, move |device| {
            gradient(|x| activation::softmax(x * 8.0, 2), x(device), device)
        }),
        Check::new("gradient of layer norm", OTHER, move |device| {
            let weights = NormWeights {
                weight: Tensor::from_inner(numbers([96], 31, device)),
                bias: Tensor::from_inner(numbers([96], 32, device)),
                epsilon: crate::LAYER_NORM_EPSILON,
            };
            let norm = |x| composed::layer_norm(x, weights.clone());
            gradient(norm, x(device), device)
        }),
        Check::new("gradient of masked attention", PRODUCT, move |device| {
            let lens: Vec<u32> = (0..2 * 50).map(|i| 1 + i * 13 % 50).collect();
            let mask = PrefixMask::new(lens, 2, 50);
            let attend =
                |x: Tensor<3>| composed::attention(x.clone(), x.clone(), x, 4, Some(&mask));
            gradient(attend, x(device), device)
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_agrees_with_itself() {
        assert_eq!(self_test(&Device::flex()), []);
    }

    /// Each kind of wrong result, in one operation at a time, is found in that operation and in no other.
    #[test]
    fn wrong_results_are_found_and_named() {
        type Fault = fn(&mut Vec<f32>);
        let zeros: Fault = |x| x.fill(0.0);
        let one_wrong: Fault = |x| x[0] += 1.0 + x.iter().fold(0.0, |m: f32, x| m.max(x.abs()));
        let not_a_number: Fault = |x| x[0] = f32::NAN;
        let short: Fault = |x| x.truncate(x.len() - 1);
        for check in checks() {
            for fault in [zeros, one_wrong, not_a_number, short] {
                let found = disagreements(|other| {
                    let mut numbers = other.on(&Device::flex())?;
                    if other.operation == check.operation {
                        fault(&mut numbers);
                    }
                    Ok(numbers)
                });
                let names: Vec<&str> = found.iter().map(|found| found.operation.as_str()).collect();
                assert_eq!(names, [check.operation.as_str()]);
            }
        }
    }

    #[test]
    fn a_device_that_fails_is_told_with_its_message() {
        let found = disagreements(|_| Err("lost".into()));
        assert_eq!(found.len(), checks().len());
        assert!(found[0].to_string().ends_with(": lost"), "{}", found[0]);
    }
}
