//! Comparing with tolerances.

use std::collections::BTreeSet;

use burn::tensor::Tensor;
use semaim::parameters::to_host;
use semaim_train::gradients::Gradients;

use crate::Failure;
use crate::recorded::{Array, Recorded};

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
    /// Every gradient against the recorded one (`grad.*`); there must be the same ones on both sides.
    pub(crate) fn gradients(
        &mut self,
        gradients: &Gradients,
        file: &Recorded,
    ) -> Result<(), Failure> {
        let recorded = file.under("grad.");
        let ours: BTreeSet<&str> = gradients.iter().map(|(name, _)| name).collect();
        let theirs: BTreeSet<&str> = recorded.keys().map(String::as_str).collect();
        if ours != theirs {
            let difference: Vec<_> = ours.symmetric_difference(&theirs).collect();
            return Err(format!("trained weights differ: {difference:?}"));
        }
        // A bias on keys moves all scores of a row alike, so its gradient is zero but for rounding: what rounding
        // leaves is judged against the largest gradient of the model.
        let most = recorded
            .values()
            .map(|array| largest(&array.values))
            .fold(0.0, f64::max);
        let tolerance = Tolerance {
            relative: 1e-4,
            absolute: 1e-7 * most,
        };
        for (name, gradient) in gradients.iter() {
            self.tensor(
                &format!("grad.{name}"),
                gradient.clone(),
                recorded[name],
                tolerance,
            )?;
        }
        Ok(())
    }

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
