//! Comparing with tolerances.

use burn::tensor::Tensor;
use semaim::parameters::to_host;

use crate::Failure;
use crate::recorded::Array;

/// Counts comparisons and stops at the first that fails.
#[derive(Default)]
pub(crate) struct Comparisons {
    pub(crate) count: usize,
}

/// How far apart two arrays may be.
#[derive(Clone, Copy)]
pub(crate) struct Tolerance {
    /// Share of the expected array's largest magnitude.
    pub(crate) relative: f64,
    /// In any case.
    pub(crate) absolute: f64,
}

impl Tolerance {
    pub(crate) fn relative(relative: f64) -> Self {
        Self {
            relative,
            absolute: 0.0,
        }
    }

    pub(crate) fn exact() -> Self {
        Self {
            relative: 0.0,
            absolute: 0.0,
        }
    }
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f64>, Failure> {
    let host = to_host("tensor", tensor).map_err(|e| e.to_string())?;
    Ok(host.values.into_iter().map(f64::from).collect())
}

pub(crate) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, v| most.max(v.abs()))
}

impl Comparisons {
    pub(crate) fn tensor<const D: usize>(
        &mut self,
        what: &str,
        found: Tensor<D>,
        expected: &Array,
        tolerance: Tolerance,
    ) -> Result<(), Failure> {
        let shape = found.dims().to_vec();
        let axes = |shape: &[usize]| -> usize { shape.iter().product() };
        if axes(&shape) != axes(&expected.shape) {
            return Err(format!(
                "{what}: shape {shape:?}, recorded {:?}",
                expected.shape
            ));
        }
        self.slice(what, &values(found)?, &expected.values, tolerance)
    }

    pub(crate) fn slice(
        &mut self,
        what: &str,
        found: &[f64],
        expected: &[f64],
        tolerance: Tolerance,
    ) -> Result<(), Failure> {
        self.count += 1;
        if found.len() != expected.len() {
            return Err(format!(
                "{what}: {} values, recorded {}",
                found.len(),
                expected.len()
            ));
        }
        let allowed = tolerance.relative * largest(expected) + tolerance.absolute;
        for (i, (f, e)) in found.iter().zip(expected).enumerate() {
            // Written so that a NaN fails.
            let close = (f - e).abs() <= allowed;
            if !close {
                return Err(format!(
                    "{what}[{i}]: {f} where {e} is recorded, allowed difference {allowed:.2e}"
                ));
            }
        }
        Ok(())
    }
}
