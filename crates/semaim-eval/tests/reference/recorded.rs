//! One recorded file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use semaim::parameters::{Weight, Weights};

use crate::Failure;

/// A tensor as `f64`, whatever its type in the file.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

impl Array {
    pub(crate) fn as_f32(&self) -> Vec<f32> {
        self.values.iter().map(|&v| v as f32).collect()
    }

    pub(crate) fn tensor<const D: usize>(&self, device: &Device) -> Result<Tensor<D>, Failure> {
        if self.shape.len() != D {
            return Err(format!(
                "a tensor {:?} where one of {D} axes was expected",
                self.shape
            ));
        }
        Ok(Tensor::from_data(
            TensorData::new(self.as_f32(), self.shape.clone()),
            device,
        ))
    }

    /// Row `index` of the first axis.
    pub(crate) fn row(&self, index: usize) -> Self {
        let rows = self.shape.first().copied().unwrap_or(1).max(1);
        let length = self.values.len() / rows;
        Self {
            shape: self.shape.get(1..).unwrap_or_default().to_vec(),
            values: self.values[index * length..(index + 1) * length].to_vec(),
        }
    }
}

/// A file's tensors and metadata.
pub(crate) struct Recorded {
    metadata: HashMap<String, String>,
    pub(crate) tensors: BTreeMap<String, Array>,
}

impl Recorded {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| e.to_string())?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| e.to_string())?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => data
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| f64::from(f32::from_le_bytes(*b)))
                    .collect(),
                Dtype::F64 => data
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|b| f64::from_le_bytes(*b))
                    .collect(),
                Dtype::I64 => data
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|b| i64::from_le_bytes(*b) as f64)
                    .collect(),
                Dtype::U8 => data.iter().map(|&b| f64::from(b)).collect(),
                other => return Err(format!("`{name}` has type {other:?}")),
            };
            tensors.insert(
                name.to_string(),
                Array {
                    shape: view.shape().to_vec(),
                    values,
                },
            );
        }
        Ok(Self {
            metadata: header.metadata().clone().unwrap_or_default(),
            tensors,
        })
    }

    pub(crate) fn metadata(&self, key: &str) -> Result<&String, Failure> {
        self.metadata
            .get(key)
            .ok_or_else(|| format!("no `{key}` in the metadata"))
    }

    /// A setting that may be absent, or written as `None`.
    pub(crate) fn optional(&self, key: &str) -> Option<&String> {
        self.metadata
            .get(key)
            .filter(|value| *value != "None" && *value != "none")
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T, Failure> {
        let text = self.metadata(key)?;
        text.parse().map_err(|_| format!("`{key}` is `{text}`"))
    }

    /// A list in Python's notation; pairs are written in parentheses.
    pub(crate) fn list<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Vec<T>, Failure> {
        let written = self.metadata(key)?.replace('(', "[").replace(')', "]");
        serde_json::from_str(&written).map_err(|error| format!("`{key}` is `{written}`: {error}"))
    }

    pub(crate) fn keys(&self) -> BTreeSet<&str> {
        self.metadata.keys().map(String::as_str).collect()
    }

    pub(crate) fn array(&self, name: &str) -> Result<&Array, Failure> {
        self.tensors
            .get(name)
            .ok_or_else(|| format!("no tensor `{name}`"))
    }

    /// The tensors whose names begin with a prefix, under the rest of their names.
    pub(crate) fn under(&self, prefix: &str) -> BTreeMap<String, &Array> {
        self.tensors
            .iter()
            .filter_map(|(name, array)| Some((name.strip_prefix(prefix)?.to_string(), array)))
            .collect()
    }

    /// The same as weights.
    pub(crate) fn weights(&self, prefix: &str) -> Weights {
        self.under(prefix)
            .into_iter()
            .map(|(name, array)| {
                (
                    name,
                    Weight {
                        shape: array.shape.clone(),
                        values: array.as_f32(),
                    },
                )
            })
            .collect()
    }
}
