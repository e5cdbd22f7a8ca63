//! From the object that a pickle makes to its tensors by path.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::dtype::Dtype;
use crate::heap::{Heap, Id, Node, Object, Strided};

/// Deepest nesting in which tensors are looked for.
const DEEPEST: usize = 200;

/// The type of what a name stands for that two tensors have.
const AMBIGUOUS: &str = "two different tensors under this name";
/// Longest path that is kept, in bytes.
const LONGEST: usize = 4096;
/// What telling apart the keys of a dictionary takes at most, in bytes for each entry.
const PER_KEY: usize = 96;
/// The tables in which a module of PyTorch keeps its tensors and its parts, which its `state_dict` leaves out of names.
const MODULE_TABLES: [&str; 3] = ["_parameters", "_buffers", "_modules"];

/// What a pickle holds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) tensors: BTreeMap<String, Strided>,
    pub(crate) classes: BTreeSet<String>,
}

/// Collects the tensors under `root`. Keys of dictionaries, attributes of objects and places in lists are joined by dots.
///
/// # Errors
/// More paths than are in proportion to the objects.
pub(crate) fn walk(heap: &mut Heap, root: Id) -> Result<Found, String> {
    let mut walk = Walk {
        heap,
        above: Vec::new(),
        objects: HashSet::new(),
        path: String::new(),
        found: Found::default(),
    };
    walk.visit(root)?;
    Ok(walk.found)
}

struct Walk<'h> {
    heap: &'h mut Heap,
    /// What lies above the object that is visited: objects may hold what holds them.
    above: Vec<Id>,
    /// Objects are visited once, by the first path that leads to them; dictionaries and lists by each of theirs.
    objects: HashSet<Id>,
    path: String,
    found: Found,
}

impl Walk<'_> {
    fn visit(&mut self, id: Id) -> Result<(), String> {
        if self.above.len() >= DEEPEST || self.above.contains(&id) {
            return Ok(());
        }
        match self.heap.node(id) {
            Node::Tensor(tensor) => {
                let tensor = (**tensor).clone();
                self.heap.budget.charge(
                    2 * size_of::<Strided>() + 3 * self.path.len() + 16 * tensor.shape.len(),
                )?;
                self.keep(tensor);
                return Ok(());
            }
            Node::Object(object) => {
                if !self.objects.insert(id) {
                    return Ok(());
                }
                self.found.classes.insert(object.class.clone());
                let entries = object.items.len();
                self.heap.budget.charge(PER_KEY * entries)?;
            }
            Node::Dict(items) => {
                let entries = items.len();
                self.heap.budget.charge(PER_KEY * entries)?;
            }
            Node::List(_) | Node::Tuple(_) => {}
            _ => return Ok(()),
        }
        let children = self.children(id);
        self.heap.budget.charge(16 * (1 + children.len()))?;
        self.above.push(id);
        for (key, child) in children {
            // Most of what is in a training checkpoint is no tensor: it is not worth a path.
            if matches!(
                self.heap.node(child),
                Node::None
                    | Node::Bool
                    | Node::Int(_)
                    | Node::Text(_)
                    | Node::Other
                    | Node::Bytes(_)
            ) {
                continue;
            }
            let length = self.path.len();
            let key = match key {
                Key::Place(place) => place.to_string(),
                Key::Of(key) => match self.heap.as_key(key) {
                    Some(key) => key,
                    None => continue,
                },
            };
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(&key);
            if self.path.len() <= LONGEST {
                self.visit(child)?;
            }
            self.path.truncate(length);
        }
        self.above.pop();
        Ok(())
    }

    /// Keeps the tensor under the path. A name that stands for two would give one of them and say nothing: neither is read.
    fn keep(&mut self, tensor: Strided) {
        match self.found.tensors.get_mut(&self.path) {
            Some(known) if *known == tensor => {}
            Some(known) => known.dtype = Dtype::Unread(AMBIGUOUS),
            None => {
                self.found.tensors.insert(self.path.clone(), tensor);
            }
        }
    }

    /// The entries of a dictionary; of a key that is set again the last, as in Python.
    fn entries(&self, items: &[(Id, Id)]) -> Vec<(Key, Id)> {
        let (mut objects, mut names) = (HashSet::new(), HashSet::new());
        let mut kept = Vec::with_capacity(items.len());
        for &(key, value) in items.iter().rev() {
            // By object first: one long text may be the key of many entries.
            let is_new = objects.insert(key)
                && match self.heap.node(key) {
                    Node::Text(text) => names.insert(Name::Text(text)),
                    Node::Int(number) => names.insert(Name::Number(*number)),
                    _ => true,
                };
            if is_new {
                kept.push((Key::Of(key), value));
            }
        }
        kept.reverse();
        kept
    }

    fn children(&self, id: Id) -> Vec<(Key, Id)> {
        let of_list = |items: &[Id]| {
            items
                .iter()
                .enumerate()
                .map(|(place, &value)| (Key::Place(place), value))
                .collect()
        };
        match self.heap.node(id) {
            Node::Dict(items) => self.entries(items),
            Node::List(items) => of_list(items),
            Node::Tuple(items) => of_list(items),
            Node::Object(object) => {
                let mut children = self.entries(&object.items);
                children.extend::<Vec<_>>(of_list(&object.list));
                children.extend(self.attributes(object));
                children
            }
            _ => Vec::new(),
        }
    }

    /// Attributes of an object; of a module of PyTorch what its `state_dict` has.
    fn attributes(&self, object: &Object) -> Vec<(Key, Id)> {
        let Some(state) = object.state else {
            return Vec::new();
        };
        let dicts: Vec<&[(Id, Id)]> = match self.heap.node(state) {
            Node::Dict(items) => vec![items],
            // With slots: the dictionary of attributes and that of slots.
            Node::Tuple(parts) => parts
                .iter()
                .filter_map(|&part| self.heap.as_dict(part))
                .collect(),
            _ => Vec::new(),
        };
        let tables: Vec<&[(Id, Id)]> = dicts
            .iter()
            .flat_map(|items| MODULE_TABLES.map(|table| self.heap.get(items, table)))
            .flatten()
            .filter_map(|table| self.table(table))
            .collect();
        if tables.len() < MODULE_TABLES.len() {
            return self.entries(&dicts.concat());
        }
        let dropped = dicts
            .iter()
            .find_map(|items| self.heap.get(items, "_non_persistent_buffers_set"));
        let dropped: HashSet<&str> = dropped
            .and_then(|set| self.heap.as_sequence(set))
            .unwrap_or_default()
            .iter()
            .filter_map(|&name| self.heap.as_text(name))
            .collect();
        let all = tables.concat().into_iter();
        let kept = all.filter(|(key, _)| {
            self.heap
                .as_text(*key)
                .is_none_or(|key| !dropped.contains(key))
        });
        kept.map(|(key, value)| (Key::Of(key), value)).collect()
    }

    /// A table of a module is a dictionary, in some versions of a class of its own.
    fn table(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.heap.node(id) {
            Node::Dict(items) => Some(items),
            Node::Object(object) => Some(&object.items),
            _ => None,
        }
    }
}

/// A key by what it says: two objects may say the same.
#[derive(PartialEq, Eq, Hash)]
enum Name<'h> {
    Text(&'h str),
    Number(i64),
}

/// How a container calls what it holds.
enum Key {
    Of(Id),
    Place(usize),
}
