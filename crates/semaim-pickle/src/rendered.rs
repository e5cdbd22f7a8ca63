//! What tests need to look at a pickle: its objects, written as Python would.

use std::sync::Arc;

use crate::budget::Budget;
use crate::checkpoint::assemble;
use crate::error::ContentError;
use crate::machine::run;
use crate::storage::{Bytes, Storage};
use crate::value::Value;

/// Carries out a pickle on its own; every storage holds the bytes 0, 1, 2 and so on.
pub(crate) fn load(pickle: &[u8]) -> Result<Value, ContentError> {
    let mut budget = Budget::for_file(pickle.len());
    let run = run(pickle, 0, &mut budget).map_err(|source| ContentError::Pickle {
        part: "test".into(),
        source,
    })?;
    let storages: Vec<Arc<Storage>> = run
        .heap
        .declared
        .iter()
        .map(|declared| {
            let bytes = (0..declared.bytes()).map(|byte| byte as u8).collect();
            Arc::new(Storage {
                dtype: declared.dtype,
                big_endian: false,
                bytes: Bytes::all(bytes),
                limit: 1 << 20,
            })
        })
        .collect();
    assert_eq!(run.end, pickle.len(), "all of the pickle was read");
    Ok(assemble(run.heap, run.root, &storages)?.root)
}

/// The objects of a pickle as Python writes them.
pub(crate) fn python(pickle: &[u8]) -> String {
    match load(pickle) {
        Ok(value) => render(&value),
        Err(error) => panic!("{error}"),
    }
}

/// What is wrong with a pickle.
pub(crate) fn fault(pickle: &[u8]) -> String {
    match load(pickle) {
        Ok(value) => panic!("{} was read", render(&value)),
        Err(error) => error.to_string(),
    }
}

fn joined(items: &[Value]) -> String {
    let items: Vec<String> = items.iter().map(render).collect();
    items.join(", ")
}

fn entries(entries: &[(Value, Value)]) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(key, value)| format!("{}: {}", render(key), render(value)))
        .collect();
    format!("{{{}}}", entries.join(", "))
}

pub(crate) fn render(value: &Value) -> String {
    match value {
        Value::None => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(value) => value.to_string(),
        Value::BigInt(bytes) => format!("int{bytes:?}"),
        Value::Float(value) => format!("{value:?}"),
        Value::Str(text) => format!("'{text}'"),
        Value::Bytes(bytes) => format!("b'{}'", bytes.escape_ascii()),
        Value::Tuple(items) => format!("({})", joined(items)),
        Value::List(items) => format!("[{}]", joined(items)),
        Value::Set(items) => format!("set({})", joined(items)),
        Value::Dict(all) => entries(all),
        Value::Tensor(tensor) => format!("{tensor:?}{:?}", tensor.to_f32().unwrap()),
        Value::Opaque(opaque) => {
            let mut text = format!("<{}.{}", opaque.module, opaque.name);
            if !opaque.arguments.is_empty() {
                text += &format!("({})", joined(&opaque.arguments));
            }
            if !opaque.entries.is_empty() {
                text += &entries(&opaque.entries);
            }
            if !matches!(opaque.state, Value::None) {
                text += &format!(" state {}", render(&opaque.state));
            }
            text + ">"
        }
    }
}
