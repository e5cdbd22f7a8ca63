//! Why a type refused a value, kept in parts rather than as a sentence.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

/// What a type's `Deserialize` reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Type { found: String, expected: String },
    Value { found: String, expected: String },
    Length { found: usize, expected: String },
    Variant { found: String, allowed: Vec<String> },
    Field { name: String, allowed: Vec<String> },
    Missing { name: String },
    Other(String),
}

impl Fault {
    /// A value that is of the wrong type for `expected`, described by `found`.
    pub(crate) fn wrong_type(found: String, expected: &dyn Expected) -> Fault {
        Fault::Type {
            found,
            expected: type_name(&expected.to_string()),
        }
    }

    /// An integer beyond 64 bits, given where `expected` is wanted.
    pub(crate) fn huge_integer(text: &str, expected: &dyn Expected) -> Fault {
        let expected = expected.to_string();
        if integer_range(&expected).is_some() {
            Fault::Value {
                found: text.to_owned(),
                expected: value_name(&expected),
            }
        } else {
            Fault::Type {
                found: format!("integer {text}"),
                expected: type_name(&expected),
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Type { found, expected } => write!(f, "expected {expected}, found {found}"),
            Fault::Value { found, expected } => write!(f, "must be {expected}, is {found}"),
            Fault::Length { found, expected } => {
                write!(f, "must have {expected}, has {found}")
            }
            Fault::Variant { found, .. } => write!(f, "has no variant {found:?}"),
            Fault::Field { name, .. } => write!(f, "has no key {name:?}"),
            Fault::Missing { name } => write!(f, "lacks the key {name:?}"),
            Fault::Other(message) => write!(f, "is refused: {message}"),
        }
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Fault::Other(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Fault::wrong_type(with_type(found), expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Fault::Value {
            found: bare(found),
            expected: value_name(&expected.to_string()),
        }
    }

    fn invalid_length(found: usize, expected: &dyn Expected) -> Self {
        Fault::Length {
            found,
            expected: length_name(&expected.to_string()),
        }
    }

    fn unknown_variant(found: &str, allowed: &'static [&'static str]) -> Self {
        Fault::Variant {
            found: found.to_owned(),
            allowed: owned(allowed),
        }
    }

    fn unknown_field(name: &str, allowed: &'static [&'static str]) -> Self {
        Fault::Field {
            name: name.to_owned(),
            allowed: owned(allowed),
        }
    }

    fn missing_field(name: &'static str) -> Self {
        Fault::Missing {
            name: name.to_owned(),
        }
    }

    fn duplicate_field(name: &'static str) -> Self {
        Fault::Other(format!("`{name}` is given twice"))
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// `string "ten"`, in TOML's names for types.
fn with_type(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(_) => format!("boolean {}", bare(found)),
        Unexpected::Signed(_) | Unexpected::Unsigned(_) => format!("integer {}", bare(found)),
        Unexpected::Float(_) => format!("float {}", bare(found)),
        Unexpected::Str(_) | Unexpected::Char(_) => format!("string {}", bare(found)),
        Unexpected::Seq => "array".to_owned(),
        Unexpected::Map => "table".to_owned(),
        other => other.to_string(),
    }
}

/// The value alone.
fn bare(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Float(value) => format!("{value:?}"),
        Unexpected::Str(value) => format!("{value:?}"),
        Unexpected::Char(value) => format!("{:?}", value.to_string()),
        other => other.to_string(),
    }
}

/// TOML's name for what a visitor says it expects.
fn type_name(expected: &str) -> String {
    let name = match expected {
        "f32" | "f64" => "float",
        "a boolean" => "boolean",
        "a string" | "str" | "string" | "a borrowed string" | "path string" => "string",
        "string or map" => "string or table",
        "a sequence" => "array",
        "a map" => "table",
        other if integer_range(other).is_some() => "integer",
        other if other.starts_with("struct ") => "table",
        other if other.starts_with("internally tagged enum ") => "table",
        other if other.starts_with("an array of length ") => {
            return other.replace("an array of length ", "array of length ");
        }
        other => other,
    };
    name.to_owned()
}

fn value_name(expected: &str) -> String {
    match integer_range(expected) {
        Some((low, high)) => format!("an integer from {low} to {high}"),
        None => expected.to_owned(),
    }
}

fn length_name(expected: &str) -> String {
    let count = expected
        .strip_prefix("an array of length ")
        .or_else(|| expected.strip_suffix(" elements in sequence"))
        .or_else(|| expected.strip_suffix(" element in sequence"));
    match count {
        Some("1") => "1 element".to_owned(),
        Some(count) => format!("{count} elements"),
        None => expected.to_owned(),
    }
}

/// The range of an integer type, as far as TOML can write it: in 64 bits.
fn integer_range(name: &str) -> Option<(i128, i128)> {
    Some(match name {
        "i8" => (i8::MIN.into(), i8::MAX.into()),
        "i16" => (i16::MIN.into(), i16::MAX.into()),
        "i32" => (i32::MIN.into(), i32::MAX.into()),
        "i64" | "isize" => (i64::MIN.into(), i64::MAX.into()),
        "i128" => (i64::MIN.into(), u64::MAX.into()),
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" | "usize" | "u128" => (0, u64::MAX.into()),
        "a nonzero u8" => (1, u8::MAX.into()),
        "a nonzero u16" => (1, u16::MAX.into()),
        "a nonzero u32" => (1, u32::MAX.into()),
        "a nonzero u64" | "a nonzero usize" => (1, u64::MAX.into()),
        _ => return None,
    })
}

/// `"a", "b"`.
pub(crate) fn quoted_list<S: AsRef<str>>(names: &[S]) -> String {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("{:?}", name.as_ref()))
        .collect();
    names.join(", ")
}
