//! Walking over the objects of a checkpoint, each under its path.

use std::convert::Infallible;
use std::fmt::Write;

use crate::error::StructureFault;
use crate::tensor::Tensor;
use crate::value::{Opaque, Value};

/// The longest path that is made.
const PATH: usize = 1 << 16;
/// The most objects that a file may hold, each counted as often as it is shared.
const OBJECTS: usize = 100_000_000;

/// Appends a key to a path: text as it is, numbers as Python prints them, and for keys of other kinds their place.
pub(crate) fn write_key(path: &mut String, index: usize, key: &Value) {
    // Writing to a `String` cannot fail.
    let _ = match key {
        Value::Str(text) => path.write_str(text),
        Value::Int(number) => write!(path, "{number}"),
        Value::Float(number) => write!(path, "{number:?}"),
        Value::Bool(true) => path.write_str("True"),
        Value::Bool(false) => path.write_str("False"),
        Value::None => path.write_str("None"),
        _ => write!(path, "<key {index}>"),
    };
}

/// Under what an object lies in another.
enum Step<'a> {
    /// The position and the key in a dictionary.
    Key(usize, &'a Value),
    /// The position in a list, tuple or set.
    Index(usize),
    /// The position among the arguments of an object.
    Argument(usize),
    /// The state of an object, whose entries lie directly under it.
    State,
}

impl Step<'_> {
    /// The text between two dots; `None` for a step that adds nothing to a path.
    fn write(&self, path: &mut String) -> Option<()> {
        match self {
            Step::Key(index, key) => write_key(path, *index, key),
            // Writing to a `String` cannot fail.
            Step::Index(index) => {
                let _ = write!(path, "{index}");
            }
            Step::Argument(index) => {
                let _ = write!(path, "arguments.{index}");
            }
            Step::State => return None,
        }
        Some(())
    }
}

/// Visits what lies directly in an object, until the visitor gives an error.
fn children<'a, E>(
    value: &'a Value,
    mut visit: impl FnMut(Step<'a>, &'a Value) -> Result<(), E>,
) -> Result<(), E> {
    match value {
        Value::Tuple(items) | Value::List(items) | Value::Set(items) => {
            for (index, item) in items.iter().enumerate() {
                visit(Step::Index(index), item)?;
            }
        }
        Value::Dict(entries) => {
            for (index, (key, value)) in entries.iter().enumerate() {
                visit(Step::Key(index, key), value)?;
            }
        }
        Value::Opaque(opaque) => {
            for (index, (key, value)) in opaque.entries.iter().enumerate() {
                visit(Step::Key(index, key), value)?;
            }
            visit(Step::State, &opaque.state)?;
            for (index, item) in opaque.arguments.iter().enumerate() {
                visit(Step::Argument(index), item)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Walks over `value` and all in it, outside in, in the order of the file. `path` is that of `value`; `root` tells
/// the root's from that of an empty key.
fn walk<'a>(
    value: &'a Value,
    root: bool,
    path: &mut String,
    visit: &mut impl FnMut(&str, &'a Value),
) {
    visit(path, value);
    let length = path.len();
    let Ok(()) = children::<Infallible>(value, |step, child| {
        let adds = !matches!(step, Step::State);
        if adds && !root {
            path.push('.');
        }
        step.write(path);
        walk(child, root && !adds, path, visit);
        path.truncate(length);
        Ok(())
    });
}

/// Checks that walking over all of `root`, keys included, meets at most `limit` objects and no more than a hundred
/// million, and that the paths of its tensors and opaque objects take at most `limit` bytes. Few bytes of a file can
/// describe objects that are shared so often that neither holds.
pub(crate) fn check(root: &Value, limit: usize) -> Result<(), StructureFault> {
    let objects = limit.min(OBJECTS);
    let mut left = objects;
    count(root, &mut left).ok_or(StructureFault::Shared { limit: objects })?;
    let mut left = limit;
    check_paths(root, 0, &mut left).ok_or(StructureFault::Shared { limit })
}

/// Takes the number of objects from `left`; `None` when there are more.
fn count(value: &Value, left: &mut usize) -> Option<()> {
    *left = left.checked_sub(1)?;
    match value {
        Value::Tuple(items) | Value::List(items) | Value::Set(items) => {
            items.iter().try_for_each(|item| count(item, left))
        }
        Value::Dict(entries) => count_entries(entries, left),
        Value::Opaque(opaque) => {
            opaque
                .arguments
                .iter()
                .try_for_each(|item| count(item, left))?;
            count_entries(&opaque.entries, left)?;
            count(&opaque.state, left)
        }
        _ => Some(()),
    }
}

fn count_entries(entries: &[(Value, Value)], left: &mut usize) -> Option<()> {
    entries.iter().try_for_each(|(key, value)| {
        count(key, left)?;
        count(value, left)
    })
}

/// Takes from `left` the bytes that a walk writes into its path and those of the paths that are handed out; `None`
/// when there are more, or a path is too long. `length` is the length of the path of `value`.
fn check_paths(value: &Value, length: usize, left: &mut usize) -> Option<()> {
    if matches!(value, Value::Tensor(_) | Value::Opaque(_)) {
        *left = left.checked_sub(length + size_of::<(String, &Value)>())?;
    }
    children(value, |step, child| {
        let below = match step {
            Step::State => length,
            Step::Key(_, Value::Str(text)) => length + 1 + text.len(),
            // The text of all others is short, and no shorter where this is said of it.
            Step::Key(..) | Step::Index(_) | Step::Argument(_) => length + 32,
        };
        if below > PATH {
            return Err(());
        }
        *left = left.checked_sub(below - length).ok_or(())?;
        check_paths(child, below, left).ok_or(())
    })
    .ok()
}

/// All tensors in `root` with their paths, in the order of the file.
pub(crate) fn tensors(root: &Value) -> Vec<(String, &Tensor)> {
    collect(root, |value| match value {
        Value::Tensor(tensor) => Some(&**tensor),
        _ => None,
    })
}

/// All opaque objects in `root` with their paths, in the order of the file.
pub(crate) fn opaque(root: &Value) -> Vec<(String, &Opaque)> {
    collect(root, |value| match value {
        Value::Opaque(opaque) => Some(&**opaque),
        _ => None,
    })
}

fn collect<'a, T>(root: &'a Value, pick: impl Fn(&'a Value) -> Option<T>) -> Vec<(String, T)> {
    let mut found = Vec::new();
    walk(root, true, &mut String::new(), &mut |path, value| {
        found.extend(pick(value).map(|picked| (path.to_string(), picked)));
    });
    found
}

/// The first object under `path`. Keys may hold dots themselves, as those of state dictionaries do.
pub(crate) fn get<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(root);
    }
    find(root, path)
}

/// The first object under `path` in `value`; the empty path is that of an empty key.
fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut key = String::new();
    // What is found ends the visit as an error would.
    let found = children(value, |step, child| {
        key.clear();
        let found = if step.write(&mut key).is_none() {
            find(child, path)
        } else {
            match path.strip_prefix(&*key) {
                Some("") => Some(child),
                Some(rest) => rest.strip_prefix('.').and_then(|rest| find(child, rest)),
                None => None,
            }
        };
        found.map_or(Ok(()), Err)
    });
    found.err()
}

#[cfg(test)]
mod tests;
