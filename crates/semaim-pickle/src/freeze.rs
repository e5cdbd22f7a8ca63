//! Turning the objects of a pickle into a tree.

use std::mem;
use std::sync::Arc;

use crate::budget::Budget;
use crate::error::{ContentError, StructureFault, shown};
use crate::heap::{Heap, Item, Node, Object, SHARED_COST, Source, TensorNode};
use crate::paths::write_key;
use crate::storage::Storage;
use crate::tensor::Tensor;
use crate::value::{Opaque, Value};

/// How deep objects may lie in each other. A whole model takes three levels for each level of its modules; recursion
/// to this depth needs a small part of the smallest stack.
pub(crate) const DEPTH: usize = 256;

/// What an object of a tree costs: once while its items are collected, once in the tree.
const VALUE_COST: usize = 2 * size_of::<Value>();

/// The tree below `root`; the storages are those that the pickle declared, in order.
pub(crate) fn freeze(
    heap: Heap<'_>,
    root: Item,
    storages: &[Arc<Storage>],
) -> Result<Value, ContentError> {
    let mut freezer = Freezer {
        nodes: heap.nodes,
        budget: heap.budget,
        storages,
    };
    match freezer.value(root, 0) {
        Ok((value, _)) => Ok(value),
        Err(trouble) => Err(ContentError::Structure {
            path: trouble.path(),
            fault: trouble.fault,
        }),
    }
}

/// What is wrong and, from the inside out, the keys under which it lies.
struct Trouble {
    fault: StructureFault,
    keys: Vec<String>,
}

impl Trouble {
    fn under(mut self, key: impl FnOnce() -> String) -> Self {
        // Errors are read by people: the outermost keys of a deep path would not help.
        if self.keys.len() < 16 {
            self.keys.push(key());
        }
        self
    }

    fn path(&self) -> String {
        let keys: Vec<&str> = self.keys.iter().rev().map(String::as_str).collect();
        keys.join(".")
    }
}

impl<F: Into<StructureFault>> From<F> for Trouble {
    fn from(fault: F) -> Self {
        Self {
            fault: fault.into(),
            keys: Vec::new(),
        }
    }
}

struct Freezer<'a> {
    nodes: Vec<Node>,
    budget: &'a mut Budget,
    storages: &'a [Arc<Storage>],
}

/// A part of the tree and how many levels it has below it.
type Part = (Value, usize);

impl Freezer<'_> {
    fn value(&mut self, item: Item, depth: usize) -> Result<Part, Trouble> {
        let id = match item {
            Item::None => return Ok((Value::None, 0)),
            Item::Bool(value) => return Ok((Value::Bool(value), 0)),
            Item::Int(value) => return Ok((Value::Int(value), 0)),
            Item::Float(value) => return Ok((Value::Float(value), 0)),
            Item::Node(id) => id.index(),
        };
        if depth > DEPTH {
            return Err(StructureFault::Depth { limit: DEPTH }.into());
        }
        let node = match self.nodes.get_mut(id) {
            Some(node) => mem::replace(node, Node::Freezing),
            None => return Ok((Value::None, 0)),
        };
        let (value, height) = self.node(node, depth)?;
        // The object may have been frozen before, in a place that lies less deep.
        if depth + height > DEPTH {
            return Err(StructureFault::Depth { limit: DEPTH }.into());
        }
        if let Some(node) = self.nodes.get_mut(id) {
            *node = Node::Frozen(value.clone(), height);
        }
        Ok((value, height))
    }

    fn node(&mut self, node: Node, depth: usize) -> Result<Part, Trouble> {
        Ok(match node {
            Node::Freezing => return Err(StructureFault::Cycle.into()),
            Node::Frozen(value, height) => (value, height),
            Node::Text(text) => (Value::Str(text), 0),
            Node::Bytes(bytes) => (Value::Bytes(bytes), 0),
            Node::BigInt(bytes) => (Value::BigInt(bytes), 0),
            Node::Tuple(items) => {
                let (items, height) = self.items(&items, depth)?;
                (Value::Tuple(items), height)
            }
            Node::List(items) => {
                let (items, height) = self.items(&items, depth)?;
                (Value::List(items), height)
            }
            Node::Set(items) => {
                let (items, height) = self.items(&items, depth)?;
                (Value::Set(items), height)
            }
            Node::Dict(entries) => {
                let (entries, height) = self.entries(&entries, depth)?;
                (Value::Dict(entries), height)
            }
            Node::Global(global) => {
                self.budget.charge(size_of::<Opaque>() + SHARED_COST)?;
                let opaque = Opaque {
                    module: Arc::clone(&global.module),
                    name: Arc::clone(&global.name),
                    arguments: Arc::default(),
                    entries: Arc::default(),
                    state: Value::None,
                };
                (Value::Opaque(Arc::new(opaque)), 0)
            }
            Node::Storage(view) => {
                // A storage on its own has nothing to be read as; its class says what it is.
                self.budget.charge(size_of::<Opaque>() + SHARED_COST)?;
                let opaque = Opaque {
                    module: "torch".into(),
                    name: self.storage_class(view.declared).into(),
                    arguments: Arc::default(),
                    entries: Arc::default(),
                    state: Value::None,
                };
                (Value::Opaque(Arc::new(opaque)), 0)
            }
            Node::Tensor(tensor) => (self.tensor(*tensor)?, 0),
            Node::Object(object) => self.object(*object, depth)?,
        })
    }

    fn storage_class(&self, declared: usize) -> &'static str {
        let storage = self.storages.get(declared);
        storage.map_or("Storage", |storage| storage.dtype.storage_class())
    }

    fn tensor(&mut self, node: TensorNode) -> Result<Value, Trouble> {
        let storage = match node.source {
            Source::Inline(storage) => storage,
            Source::Declared(place) => match self.storages.get(place) {
                Some(storage) => Arc::clone(storage),
                // Every declared storage was loaded.
                None => return Ok(Value::None),
            },
        };
        self.budget.charge(size_of::<Tensor>() + SHARED_COST)?;
        Ok(Value::Tensor(Arc::new(Tensor::new(storage, node.layout))))
    }

    fn items(&mut self, items: &[Item], depth: usize) -> Result<(Arc<[Value]>, usize), Trouble> {
        self.budget.charge(SHARED_COST)?;
        self.budget.charge_each(items.len(), VALUE_COST)?;
        let mut values = Vec::with_capacity(items.len());
        let mut height = 0;
        for (index, &item) in items.iter().enumerate() {
            let (value, below) = self
                .value(item, depth + 1)
                .map_err(|trouble| trouble.under(|| index.to_string()))?;
            values.push(value);
            height = height.max(below + 1);
        }
        self.budget.release(values.len() * size_of::<Value>());
        Ok((values.into(), height))
    }

    #[allow(clippy::type_complexity, reason = "the type of a dictionary's content")]
    fn entries(
        &mut self,
        entries: &[(Item, Item)],
        depth: usize,
    ) -> Result<(Arc<[(Value, Value)]>, usize), Trouble> {
        self.budget.charge(SHARED_COST)?;
        self.budget.charge_each(entries.len(), 2 * VALUE_COST)?;
        let mut values = Vec::with_capacity(entries.len());
        let mut height = 0;
        for (index, &(key, value)) in entries.iter().enumerate() {
            let (key, key_below) = self.value(key, depth + 1)?;
            let (value, below) = self
                .value(value, depth + 1)
                .map_err(|trouble| trouble.under(|| key_text(index, &key)))?;
            values.push((key, value));
            height = height.max(below + 1).max(key_below + 1);
        }
        self.check_keys(&values)?;
        self.budget.release(values.len() * 2 * size_of::<Value>());
        Ok((values.into(), height))
    }

    /// Python would let the later of two entries with one key win; no writer makes such a dictionary.
    fn check_keys(&mut self, entries: &[(Value, Value)]) -> Result<(), Trouble> {
        let cost = entries.len() * (2 * size_of::<&str>() + 2 * size_of::<i64>());
        self.budget.charge(cost)?;
        let mut texts: Vec<&str> = entries.iter().filter_map(|(key, _)| key.as_str()).collect();
        texts.sort_unstable();
        let mut numbers: Vec<i64> = entries.iter().filter_map(|(key, _)| key.as_int()).collect();
        numbers.sort_unstable();
        let text = texts.array_windows().find(|[a, b]| a == b);
        let number = numbers.array_windows().find(|[a, b]| a == b);
        let key = match (text, number) {
            (Some([text, _]), _) => shown(text),
            (_, Some([number, _])) => number.to_string(),
            _ => {
                self.budget.release(cost);
                return Ok(());
            }
        };
        Err(StructureFault::DuplicateKey { key }.into())
    }

    fn object(&mut self, object: Object, depth: usize) -> Result<Part, Trouble> {
        self.budget.charge(size_of::<Opaque>() + SHARED_COST)?;
        let (arguments, arguments_below) = self.value(object.arguments, depth + 1)?;
        let arguments = match arguments {
            Value::Tuple(items) => items,
            // Calls are only made with tuples.
            other => [other].into(),
        };
        let (entries, entries_below) = self.entries(&object.entries, depth + 1)?;
        let (state, state_below) = self.value(object.state, depth + 1)?;
        let opaque = Opaque {
            module: Arc::clone(&object.class.module),
            name: Arc::clone(&object.class.name),
            arguments,
            entries,
            state,
        };
        let below = arguments_below.max(entries_below).max(state_below);
        Ok((Value::Opaque(Arc::new(opaque)), below + 1))
    }
}

fn key_text(index: usize, key: &Value) -> String {
    let mut text = String::new();
    write_key(&mut text, index, key);
    shown(&text)
}

#[cfg(test)]
mod tests;
