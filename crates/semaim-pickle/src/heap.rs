//! The objects of a pickle while it is being read.
//!
//! Objects refer to each other by number, so that objects which hold themselves, which pickles can describe, are
//! neither leaked nor dropped by endless recursion.

use std::collections::HashMap;
use std::sync::Arc;

use crate::budget::{Budget, OverBudget};
use crate::error::shown;
use crate::layout::Layout;
use crate::pickle_error::PickleFault;
use crate::storage::{Declared, Storage};
use crate::value::Value;

/// An object, or the number of one. Small ones are copied instead of numbered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Item {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Node(NodeId),
}

/// The number of an object; only [`Heap::add`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

impl NodeId {
    /// Its place among the objects.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A class or function by name.
#[derive(Debug)]
pub(crate) struct Global {
    pub(crate) module: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// What a call of anything unknown is kept as.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) class: Arc<Global>,
    /// A tuple.
    pub(crate) arguments: Item,
    pub(crate) entries: Vec<(Item, Item)>,
    pub(crate) state: Item,
}

/// Where a tensor's bytes are.
#[derive(Debug)]
pub(crate) enum Source {
    /// In a storage of the file, by its place among those declared.
    Declared(usize),
    /// In the pickle itself.
    Inline(Arc<Storage>),
}

/// A tensor whose storage may not be read yet.
#[derive(Debug)]
pub(crate) struct TensorNode {
    pub(crate) source: Source,
    pub(crate) layout: Layout,
}

/// An object that is larger than an [`Item`].
#[derive(Debug)]
pub(crate) enum Node {
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    BigInt(Arc<[u8]>),
    Tuple(Box<[Item]>),
    List(Vec<Item>),
    Set(Vec<Item>),
    Dict(Vec<(Item, Item)>),
    Global(Arc<Global>),
    /// Part of a declared storage.
    Storage(Box<StorageView>),
    Tensor(Box<TensorNode>),
    Object(Box<Object>),
    /// The object is being frozen: whoever meets it again is inside it.
    Freezing,
    /// The object in its final form, and how many levels it has below it.
    Frozen(Value, usize),
}

impl Node {
    /// A tuple of these items.
    pub(crate) fn tuple(items: Vec<Item>) -> Self {
        Self::Tuple(items.into())
    }
}

/// The part of a storage that a pickle names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StorageView {
    /// The storage's place among those declared.
    pub(crate) declared: usize,
    /// Where the part starts, in elements.
    pub(crate) offset: usize,
    /// Its number of elements.
    pub(crate) length: usize,
}

/// What an object costs: its node in a vector that may have twice the room it needs.
const NODE_COST: usize = 2 * size_of::<Node>();
/// What an item of a growing vector costs.
pub(crate) const ITEM_COST: usize = 2 * size_of::<Item>();
/// What the counts of an [`Arc`] cost.
pub(crate) const SHARED_COST: usize = 2 * size_of::<usize>();
/// What shared text or bytes cost beside themselves: the counts, and what rounds them up.
pub(crate) const SHARED_TEXT_COST: usize = 3 * size_of::<usize>();
/// What a storage costs in the list and in the map of those declared, and once it is found.
const DECLARED_COST: usize =
    2 * (size_of::<Declared>() + size_of::<(Arc<str>, usize)>() + size_of::<Storage>());

/// All objects of a pickle.
#[derive(Debug)]
pub(crate) struct Heap<'b> {
    pub(crate) nodes: Vec<Node>,
    pub(crate) declared: Vec<Declared>,
    by_key: HashMap<Arc<str>, usize>,
    pub(crate) budget: &'b mut Budget,
}

impl<'b> Heap<'b> {
    /// No objects yet.
    pub(crate) fn new(budget: &'b mut Budget) -> Self {
        Self {
            nodes: Vec::new(),
            declared: Vec::new(),
            by_key: HashMap::new(),
            budget,
        }
    }

    /// Adds an object.
    pub(crate) fn add(&mut self, node: Node) -> Result<Item, OverBudget> {
        self.budget.charge(NODE_COST)?;
        let over = OverBudget {
            limit: self.budget.limit(),
        };
        let id = u32::try_from(self.nodes.len()).map_err(|_| over)?;
        self.nodes.push(node);
        Ok(Item::Node(NodeId(id)))
    }

    /// Adds text.
    pub(crate) fn add_text(&mut self, text: &str) -> Result<Item, OverBudget> {
        self.budget
            .charge(text.len().saturating_add(SHARED_TEXT_COST))?;
        self.add(Node::Text(text.into()))
    }

    /// Adds bytes.
    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) -> Result<Item, OverBudget> {
        self.budget
            .charge(bytes.len().saturating_add(SHARED_TEXT_COST))?;
        self.add(Node::Bytes(bytes.into()))
    }

    /// Adds a class or function.
    pub(crate) fn add_global(
        &mut self,
        module: Arc<str>,
        name: Arc<str>,
    ) -> Result<Item, OverBudget> {
        self.budget.charge(size_of::<Global>() + SHARED_COST)?;
        self.add(Node::Global(Arc::new(Global { module, name })))
    }

    /// Adds a tuple.
    pub(crate) fn add_tuple(&mut self, items: &[Item]) -> Result<Item, OverBudget> {
        self.budget.charge_each(items.len(), size_of::<Item>())?;
        self.add(Node::Tuple(items.into()))
    }

    /// Adds an object of a class that is only known by name.
    pub(crate) fn add_object(
        &mut self,
        class: Arc<Global>,
        arguments: Item,
    ) -> Result<Item, OverBudget> {
        self.budget.charge(size_of::<Object>())?;
        self.add(Node::Object(Box::new(Object {
            class,
            arguments,
            entries: Vec::new(),
            state: Item::None,
        })))
    }

    /// The object behind an item, if it is a numbered one.
    pub(crate) fn node(&self, item: Item) -> Option<&Node> {
        match item {
            Item::Node(id) => self.nodes.get(id.index()),
            _ => None,
        }
    }

    /// The object behind an item, to be changed.
    pub(crate) fn node_mut(&mut self, item: Item) -> Option<&mut Node> {
        match item {
            Item::Node(id) => self.nodes.get_mut(id.index()),
            _ => None,
        }
    }

    /// The text, if it is text.
    pub(crate) fn text(&self, item: Item) -> Option<&Arc<str>> {
        match self.node(item) {
            Some(Node::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The class or function, if it is one.
    pub(crate) fn global(&self, item: Item) -> Option<&Arc<Global>> {
        match self.node(item) {
            Some(Node::Global(global)) => Some(global),
            _ => None,
        }
    }

    /// The items, if it is a tuple.
    pub(crate) fn tuple(&self, item: Item) -> Option<&[Item]> {
        match self.node(item) {
            Some(Node::Tuple(items)) => Some(items),
            _ => None,
        }
    }

    /// The items, if it is a tuple, list or set.
    pub(crate) fn sequence(&self, item: Item) -> Option<&[Item]> {
        match self.node(item) {
            Some(Node::Tuple(items)) => Some(items),
            Some(Node::List(items) | Node::Set(items)) => Some(items),
            _ => None,
        }
    }

    /// What an error calls it.
    pub(crate) fn kind(&self, item: Item) -> &'static str {
        match item {
            Item::None => "None",
            Item::Bool(_) => "a truth value",
            Item::Int(_) => "an integer",
            Item::Float(_) => "a number",
            Item::Node(_) => match self.node(item) {
                Some(Node::Text(_)) => "text",
                Some(Node::Bytes(_)) => "bytes",
                Some(Node::BigInt(_)) => "an integer beyond 64 bits",
                Some(Node::Tuple(_)) => "a tuple",
                Some(Node::List(_)) => "a list",
                Some(Node::Set(_)) => "a set",
                Some(Node::Dict(_)) => "a dictionary",
                Some(Node::Global(_)) => "a class",
                Some(Node::Storage(_)) => "a storage",
                Some(Node::Tensor(_)) => "a tensor",
                Some(Node::Object(_) | Node::Freezing | Node::Frozen(..)) | None => "an object",
            },
        }
    }

    /// The error for an item of the wrong kind.
    pub(crate) fn not(&self, expected: &'static str, found: Item) -> PickleFault {
        PickleFault::Operand {
            expected,
            found: self.kind(found),
        }
    }

    /// A storage by its key, with its place among those declared.
    pub(crate) fn find_declared(&self, key: &str) -> Option<(usize, &Declared)> {
        let place = *self.by_key.get(key)?;
        Some((place, self.declared.get(place)?))
    }

    /// The place of a storage among those declared, which it joins if it is new.
    pub(crate) fn declare(&mut self, storage: Declared) -> Result<usize, PickleFault> {
        if let Some((place, known)) = self.find_declared(&storage.key) {
            if *known == storage {
                return Ok(place);
            }
            return Err(PickleFault::StorageTwice {
                key: shown(&storage.key),
            });
        }
        self.budget.charge(DECLARED_COST)?;
        let place = self.declared.len();
        self.by_key.insert(Arc::clone(&storage.key), place);
        self.declared.push(storage);
        Ok(place)
    }
}
