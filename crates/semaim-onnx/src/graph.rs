//! Building a graph: constants, nodes, and the names of values.

use std::collections::BTreeSet;

use semaim::parameters::{Weight, Weights};

use crate::error::OnnxError;
use crate::proto::{
    ATTRIBUTE_TYPES, AttributeProto, DimensionProto, FLOAT, GraphProto, INT64, NodeProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The name of a value in a graph.
pub(crate) type Value = String;

/// An attribute of a node.
pub(crate) enum Attribute {
    Float(f32),
    Int(i64),
    Text(&'static str),
    Ints(Vec<i64>),
}

/// The size of an axis.
pub(crate) enum Axis {
    Fixed(usize),
    Named(&'static str),
}

/// A graph under construction, and the weights that its constants come from.
pub(crate) struct Graph {
    proto: GraphProto,
    weights: Weights,
    constants: BTreeSet<String>,
}

impl Graph {
    pub(crate) fn new(name: &str, weights: Weights) -> Self {
        Self {
            proto: GraphProto {
                name: name.into(),
                ..GraphProto::default()
            },
            weights,
            constants: BTreeSet::new(),
        }
    }

    pub(crate) fn finish(self) -> GraphProto {
        self.proto
    }

    /// Whether the model has a weight.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.weights.contains_key(name)
    }

    /// A weight of the model.
    pub(crate) fn weight(&self, name: &str) -> Result<&Weight, OnnxError> {
        let missing = || OnnxError::Missing { name: name.into() };
        self.weights.get(name).ok_or_else(missing)
    }

    /// A weight as a constant of its own name.
    pub(crate) fn parameter(&mut self, name: &str) -> Result<Value, OnnxError> {
        let Weight { shape, values } = self.weight(name)?.clone();
        Ok(self.floats(name, &shape, &values))
    }

    /// The weight of a linear layer, `[out, in]`, as a constant `[in, out]` under its name.
    pub(crate) fn transposed(&mut self, name: &str) -> Result<Value, OnnxError> {
        let Weight { shape, values } = self.weight(name)?.clone();
        let inputs = shape.get(1).copied().unwrap_or(1).max(1);
        let outputs = values.len() / inputs;
        let mut turned = Vec::with_capacity(values.len());
        for input in 0..inputs {
            turned.extend((0..outputs).map(|output| values[output * inputs + input]));
        }
        Ok(self.floats(name, &[inputs, outputs], &turned))
    }

    /// A constant; one of a name that there is already is taken for the same.
    pub(crate) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Value {
        let raw_data = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.constant(name, shape, FLOAT, raw_data)
    }

    /// A constant number, `[]`.
    pub(crate) fn float(&mut self, value: f32) -> Value {
        self.floats(&format!("number_{value}"), &[], &[value])
    }

    /// Constant whole numbers, `[values]`.
    pub(crate) fn ints(&mut self, values: &[i64]) -> Value {
        let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
        let raw_data = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let name = format!("numbers_{}", texts.join("_"));
        self.constant(&name, &[values.len()], INT64, raw_data)
    }

    /// A constant whole number, `[]`.
    pub(crate) fn int(&mut self, value: i64) -> Value {
        let raw_data = value.to_le_bytes().to_vec();
        self.constant(&format!("integer_{value}"), &[], INT64, raw_data)
    }

    fn constant(
        &mut self,
        name: &str,
        shape: &[usize],
        data_type: i32,
        raw_data: Vec<u8>,
    ) -> Value {
        if self.constants.insert(name.into()) {
            self.proto.initializer.push(TensorProto {
                dims: shape.iter().map(|&side| side as i64).collect(),
                data_type,
                name: name.into(),
                raw_data,
            });
        }
        name.into()
    }

    /// A node with one output.
    pub(crate) fn node<const N: usize>(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: [(&str, Attribute); N],
    ) -> Value {
        let mut outputs = self.split_node(op, inputs, attributes, 1);
        outputs.remove(0)
    }

    /// A node with several outputs, at least one.
    pub(crate) fn split_node<const N: usize>(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: [(&str, Attribute); N],
        outputs: usize,
    ) -> Vec<Value> {
        let name = format!("{op}_{}", self.proto.node.len());
        let outputs: Vec<Value> = (0..outputs.max(1))
            .map(|number| format!("{name}_{number}"))
            .collect();
        let [float, int, text, ints] = ATTRIBUTE_TYPES;
        let attribute = attributes.into_iter().map(|(name, value)| {
            let mut attribute = AttributeProto {
                name: name.into(),
                ..AttributeProto::default()
            };
            match value {
                Attribute::Float(value) => (attribute.f, attribute.r#type) = (Some(value), float),
                Attribute::Int(value) => (attribute.i, attribute.r#type) = (Some(value), int),
                Attribute::Text(value) => {
                    (attribute.s, attribute.r#type) = (Some(value.into()), text);
                }
                Attribute::Ints(values) => (attribute.ints, attribute.r#type) = (values, ints),
            }
            attribute
        });
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: outputs.clone(),
            name: name.clone(),
            op_type: op.into(),
            attribute: attribute.collect(),
        });
        outputs
    }

    /// A value in another shape.
    pub(crate) fn reshaped(&mut self, x: &str, shape: &[i64]) -> Value {
        let shape = self.ints(shape);
        self.node("Reshape", &[x, &shape], [])
    }

    /// A value with its axes in another order.
    pub(crate) fn permuted(&mut self, x: &str, order: &[i64]) -> Value {
        let order = Attribute::Ints(order.to_vec());
        self.node("Transpose", &[x], [("perm", order)])
    }

    /// Values one after the other along an axis.
    pub(crate) fn joined(&mut self, parts: &[Value], axis: i64) -> Value {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.node("Concat", &parts, [("axis", Attribute::Int(axis))])
    }

    /// An input of numbers.
    pub(crate) fn input(&mut self, name: &str, axes: &[Axis], about: &str) -> Value {
        let input = described(name, FLOAT, axes, about);
        self.proto.input.push(input);
        name.into()
    }

    /// Gives a value under a name.
    pub(crate) fn output(&mut self, value: &str, name: &str, axes: &[Axis], about: &str) {
        self.output_of(FLOAT, value, name, axes, about);
    }

    /// The same of whole numbers.
    pub(crate) fn int_output(&mut self, value: &str, name: &str, axes: &[Axis], about: &str) {
        self.output_of(INT64, value, name, axes, about);
    }

    fn output_of(&mut self, data_type: i32, value: &str, name: &str, axes: &[Axis], about: &str) {
        self.proto.node.push(NodeProto {
            input: vec![value.into()],
            output: vec![name.into()],
            name: format!("output_{name}"),
            op_type: "Identity".into(),
            attribute: Vec::new(),
        });
        let output = described(name, data_type, axes, about);
        self.proto.output.push(output);
    }
}

fn described(name: &str, data_type: i32, axes: &[Axis], about: &str) -> ValueInfoProto {
    let dim = axes.iter().map(|axis| match axis {
        Axis::Fixed(side) => DimensionProto {
            dim_value: Some(*side as i64),
            dim_param: None,
        },
        Axis::Named(name) => DimensionProto {
            dim_value: None,
            dim_param: Some((*name).into()),
        },
    });
    let shape = TensorShapeProto { dim: dim.collect() };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: data_type,
                shape: Some(shape),
            }),
        }),
        doc_string: about.into(),
    }
}
