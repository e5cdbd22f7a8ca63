//! What a pickle holds, as plain data.

use std::sync::Arc;

use crate::tensor::Tensor;

/// One object of a checkpoint. Objects that the file shares are shared here too; cloning is cheap.
///
/// The objects form a tree of bounded depth and size, so that walking over it by recursion, printing and dropping it
/// are safe whatever file it comes from.
#[derive(Clone, Debug)]
pub enum Value {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer beyond 64 bits: little-endian two's complement, at most 1024 bytes.
    BigInt(Arc<[u8]>),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// Bytes; also what Python 2 wrote as `str` and is not UTF-8, and `bytearray`.
    Bytes(Arc<[u8]>),
    /// A tuple, or a `torch.Size`.
    Tuple(Arc<[Value]>),
    /// A list.
    List(Arc<[Value]>),
    /// A set or frozen set, in the order of the file.
    Set(Arc<[Value]>),
    /// A `dict`, `OrderedDict`, `defaultdict` or `Counter`, in the order of the file. No text and no integer is a
    /// key twice.
    Dict(Arc<[(Value, Value)]>),
    /// A tensor, a parameter or an array of NumPy.
    Tensor(Arc<Tensor>),
    /// An object or class of any other kind.
    Opaque(Arc<Opaque>),
}

/// An object whose class is only known by name, or such a class or function itself.
///
/// Nothing of it was imported or run. What the file says of it is kept as data.
#[derive(Clone, Debug)]
pub struct Opaque {
    /// The module of the class or function, such as `argparse`.
    pub module: Arc<str>,
    /// The name of the class or function, such as `Namespace`. When the file calls the result of a call, this is the
    /// name of what was called first.
    pub name: Arc<str>,
    /// What the file would have passed to it; empty for a class or function itself. Keyword arguments come last, as
    /// a dictionary.
    pub arguments: Arc<[Value]>,
    /// What the file sets or appends afterwards; appended objects have their index as key.
    pub entries: Arc<[(Value, Value)]>,
    /// The state given last, most often a dictionary of attributes.
    pub state: Value,
}

impl Value {
    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one of 64 bits.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if it is an integer of 64 bits (rounded to the nearest) or a floating-point number.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The tensor, if it is one.
    pub fn as_tensor(&self) -> Option<&Tensor> {
        match self {
            Self::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// What it holds in order, if it is a tuple, list or set.
    pub fn items(&self) -> Option<&[Value]> {
        match self {
            Self::Tuple(items) | Self::List(items) | Self::Set(items) => Some(items),
            _ => None,
        }
    }

    /// The keys and values in order, if it is a dictionary.
    pub fn entries(&self) -> Option<&[(Value, Value)]> {
        match self {
            Self::Dict(entries) => Some(entries),
            _ => None,
        }
    }
}
