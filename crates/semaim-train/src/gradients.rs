//! Gradients by name: accumulation, norm and clipping.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::{Gradients as BackendGradients, Tensor};
use semaim::parameters::{NamedVisitor, WeightError, to_host, visit_named};
use semaim_kernels::sum_of_squares;

/// The gradient of every trained weight, flattened to `[values]`, by checkpoint name.
#[derive(Clone, Debug, Default)]
pub struct Gradients {
    by_name: BTreeMap<String, Tensor<1>>,
}

impl Gradients {
    /// Takes the gradients of a model's weights out of what a backward pass gave. Weights that are not trained
    /// have none.
    pub fn of<M: Module>(model: &M, from: BackendGradients) -> Self {
        struct Collect {
            from: BackendGradients,
            by_name: BTreeMap<String, Tensor<1>>,
        }
        impl NamedVisitor for Collect {
            fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
                if let Some(gradient) = param.val().grad_remove(&mut self.from) {
                    let values = gradient.shape().num_elements();
                    self.by_name
                        .insert(name.to_string(), gradient.reshape([values]));
                }
            }
        }
        let mut collect = Collect {
            from,
            by_name: BTreeMap::new(),
        };
        visit_named(model, &mut collect);
        Self {
            by_name: collect.by_name,
        }
    }

    /// Gradients `[values]` by name.
    pub(crate) fn from_iter(by_name: impl Iterator<Item = (String, Tensor<1>)>) -> Self {
        Self {
            by_name: by_name.collect(),
        }
    }

    /// Puts other numbers, `[values]`, beside them, under names that no weight has.
    pub(crate) fn put(&mut self, name: String, values: Tensor<1>) {
        self.by_name.insert(name, values);
    }

    /// Adds the gradients of another part of the batch.
    pub fn add(&mut self, other: Self) {
        for (name, gradient) in other.by_name {
            let sum = match self.by_name.remove(&name) {
                Some(sum) => sum + gradient,
                None => gradient,
            };
            self.by_name.insert(name, sum);
        }
    }

    /// The Euclidean norm over all weights together.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend fails.
    pub fn norm(&self) -> Result<f64, WeightError> {
        let squares: Vec<Tensor<1>> = self
            .by_name
            .values()
            .map(|gradient| sum_of_squares(gradient.clone()))
            .collect();
        if squares.is_empty() {
            return Ok(0.0);
        }
        let squares = to_host("gradient norm", Tensor::cat(squares, 0))?.values;
        Ok(squares.into_iter().map(f64::from).sum::<f64>().sqrt())
    }

    /// Takes the gradient of one weight out, `[values]`.
    pub fn remove(&mut self, name: &str) -> Option<Tensor<1>> {
        self.by_name.remove(name)
    }

    /// The gradient of one weight, `[values]`.
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.by_name.get(name)
    }

    /// Names and gradients, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<1>)> {
        self.by_name
            .iter()
            .map(|(name, gradient)| (name.as_str(), gradient))
    }
}

/// As [`clip_factor`] of a norm that nobody has read, `[1]`.
pub fn unread_clip_factor(norm: Tensor<1>, max_norm: f64) -> Tensor<1> {
    ((norm + 1e-6).recip() * max_norm).clamp_max(1.0)
}

/// The factor that brings a norm down to `max_norm`, 1 where it is below; as PyTorch's `clip_grad_norm_`.
pub fn clip_factor(norm: f64, max_norm: f64) -> f64 {
    (max_norm / (norm + 1e-6)).min(1.0)
}
