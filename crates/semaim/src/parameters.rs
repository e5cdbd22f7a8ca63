//! Every weight under its checkpoint name.
//!
//! Modules are built so that a weight's path is its name in checkpoints; the encoder's own prefix is left out
//! (`encoder.blocks.0.norm1.weight` is `blocks.0.norm1.weight`), as published, and so is `inner`, under which a module holds
//! the one that it extends.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Looks at each weight.
pub trait NamedVisitor {
    /// Called once per weight.
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>);
}

/// Replaces each weight.
pub trait NamedMapper {
    /// Called once per weight; gives what takes its place.
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>>;
}

/// Shows every weight of a model to a visitor, in a fixed order.
pub fn visit_named<M: Module, V: NamedVisitor>(model: &M, visitor: &mut V) {
    model.visit(&mut Named {
        path: Vec::new(),
        inner: visitor,
    });
}

/// Passes every weight of a model through a mapper, in a fixed order.
pub fn map_named<M: Module, F: NamedMapper>(model: M, mapper: &mut F) -> M {
    model.map(&mut Named {
        path: Vec::new(),
        inner: mapper,
    })
}

/// As [`map_named`], on a model that stays where it is. While a weight is mapped the model does not hold it, so that
/// it can be changed in place.
pub fn map_in_place<M: Module, F: NamedMapper>(model: &mut M, mapper: &mut F) {
    replace_with::replace_with_or_abort(model, |model| map_named(model, mapper));
}

struct Named<'a, T> {
    path: Vec<String>,
    inner: &'a mut T,
}

impl<T> Named<'_, T> {
    fn enter(&mut self, name: &str, container_type: &str) {
        // The variant of an enum (which prediction head) is no part of a checkpoint name.
        let silent = container_type.starts_with("Enum")
            || (self.path.is_empty() && name == "encoder")
            || name == "inner";
        self.path.push(if silent {
            String::new()
        } else {
            name.to_string()
        });
    }

    fn name(&self) -> String {
        let parts: Vec<&str> = self
            .path
            .iter()
            .map(String::as_str)
            .filter(|p| !p.is_empty())
            .collect();
        parts.join(".")
    }
}

impl<V: NamedVisitor> ModuleVisitor for Named<'_, V> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.name();
        self.inner.visit(&name, param);
    }
}

impl<F: NamedMapper> ModuleMapper for Named<'_, F> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.name();
        self.inner.map(&name, param)
    }
}

/// A weight's values in `f32` on the host, with its shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// Values, last axis fastest.
    pub values: Vec<f32>,
}

/// Weights by name.
pub type Weights = BTreeMap<String, Weight>;

/// Why a tensor could not be moved between a model and the host.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    /// The device did not give the values.
    #[error("reading `{name}` from the device failed: {message}")]
    Device {
        /// The weight.
        name: String,
        /// What the backend said.
        message: String,
    },
    /// The model has a weight that the source does not have.
    #[error("`{name}` {expected:?} is missing")]
    Missing {
        /// The weight.
        name: String,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// A weight has another shape than the model's.
    #[error("`{name}` has shape {found:?}, the model needs {expected:?}")]
    Shape {
        /// The weight.
        name: String,
        /// The shape it should have.
        expected: Vec<usize>,
        /// The shape it has.
        found: Vec<usize>,
    },
}

static READS: AtomicU64 = AtomicU64::new(0);

/// How often this process has copied something to the host. All that it reads off devices outside the self-test goes through
/// this module; each time it waits until the device has computed all that was asked of it.
pub fn reads() -> u64 {
    READS.load(Ordering::Relaxed)
}

/// Copies a tensor to the host.
///
/// # Errors
/// [`WeightError::Device`] when the backend fails.
pub fn to_host<const D: usize>(name: &str, tensor: Tensor<D>) -> Result<Weight, WeightError> {
    let shape = tensor.dims().to_vec();
    READS.fetch_add(1, Ordering::Relaxed);
    let data = tensor.try_into_data();
    let values = data.map_err(|error| failed(name, error))?.convert::<f32>();
    let values = values.try_to_vec().map_err(|error| failed(name, error))?;
    Ok(Weight { shape, values })
}

/// Copies whole numbers to the host.
///
/// # Errors
/// [`WeightError::Device`] when the backend fails.
pub fn int_to_host<const D: usize>(
    name: &str,
    tensor: Tensor<D, Int>,
) -> Result<Vec<i64>, WeightError> {
    READS.fetch_add(1, Ordering::Relaxed);
    let data = tensor.try_into_data();
    let values = data.map_err(|error| failed(name, error))?.convert::<i64>();
    values.try_to_vec().map_err(|error| failed(name, error))
}

fn failed(name: &str, error: impl std::fmt::Debug) -> WeightError {
    WeightError::Device {
        name: name.to_string(),
        message: format!("{error:?}"),
    }
}

/// A weight where it is, flattened.
#[derive(Clone, Debug)]
pub struct FlatWeight {
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// Values, last axis fastest, `[values]`.
    pub values: Tensor<1>,
}

impl FlatWeight {
    /// Flattens a tensor.
    pub fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        let shape = tensor.dims().to_vec();
        let values = shape.iter().product::<usize>();
        Self {
            shape,
            values: tensor.reshape([values]),
        }
    }
}

/// All weights of a model under their checkpoint names, on their device.
pub fn flat_weights<M: Module>(model: &M) -> BTreeMap<String, FlatWeight> {
    struct Collect(BTreeMap<String, FlatWeight>);
    impl NamedVisitor for Collect {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
            self.0.insert(name.to_string(), FlatWeight::of(param.val()));
        }
    }
    let mut collect = Collect(BTreeMap::new());
    visit_named(model, &mut collect);
    collect.0
}

/// Copies all weights of a model to the host, under their checkpoint names.
///
/// # Errors
/// [`WeightError::Device`] when the backend fails.
pub fn weights<M: Module>(model: &M) -> Result<Weights, WeightError> {
    let weights = flat_weights(model).into_iter().map(|(name, weight)| {
        let values = to_host(&name, weight.values)?.values;
        let shape = weight.shape;
        Ok((name, Weight { shape, values }))
    });
    weights.collect()
}

/// Gives a model the weights of the same names; names it does not have are left unused.
///
/// # Errors
/// A weight of the model that is missing or has another shape.
pub fn with_weights<M: Module>(model: M, weights: &Weights) -> Result<M, WeightError> {
    struct Load<'a> {
        weights: &'a Weights,
        error: Option<WeightError>,
    }
    impl NamedMapper for Load<'_> {
        fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let expected = param.val().dims().to_vec();
            let name = name.to_string();
            let problem = match self.weights.get(&name) {
                None => WeightError::Missing { name, expected },
                Some(weight) if weight.shape != expected => {
                    let found = weight.shape.clone();
                    WeightError::Shape {
                        name,
                        expected,
                        found,
                    }
                }
                Some(weight) => return param.map(|old| from_host(weight, &old.device())),
            };
            self.error.get_or_insert(problem);
            param
        }
    }
    let mut load = Load {
        weights,
        error: None,
    };
    let model = map_named(model, &mut load);
    load.error.map_or(Ok(model), Err)
}

/// Copies a weight to a device. `D` must be the weight's number of axes.
pub fn from_host<const D: usize>(weight: &Weight, device: &Device) -> Tensor<D> {
    let data = TensorData::new(weight.values.clone(), weight.shape.clone());
    Tensor::from_data(data, device)
}

/// The device that a model's weights are on.
pub fn device_of<M: Module>(model: &M) -> Device {
    model.devices().into_iter().next().unwrap_or_default()
}
