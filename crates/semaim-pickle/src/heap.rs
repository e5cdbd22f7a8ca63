//! The objects that a pickle makes.

use std::collections::HashMap;

use crate::budget::Budget;
use crate::dtype::Dtype;

/// An object, by its place in the heap. Objects may hold each other, and themselves.
pub(crate) type Id = u32;

/// An object.
#[derive(Debug)]
pub(crate) enum Node {
    None,
    Bool,
    Int(i64),
    Text(Box<str>),
    /// Floats and integers of more than 64 bits, which nothing here looks at; and bytes where there are no arrays.
    Other,
    /// Bytes of a pickle with arrays.
    Bytes(Box<Span>),
    Tuple(Box<[Id]>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or a function, by module and name.
    Global(Box<[String; 2]>),
    Storage(Box<StorageView>),
    Tensor(Box<Strided>),
    /// A type of NumPy's.
    ArrayType(Dtype),
    /// An array of NumPy's whose content is not told yet.
    Array,
    Object(Box<Object>),
}

/// Where bytes lie in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) at: u64,
    pub(crate) len: u64,
}

/// An object of a class that is not made.
#[derive(Debug, Default)]
pub(crate) struct Object {
    pub(crate) class: String,
    /// What it holds as a dictionary.
    pub(crate) items: Vec<(Id, Id)>,
    /// What it holds as a list.
    pub(crate) list: Vec<Id>,
    /// Its attributes: a dictionary, or a tuple of two.
    pub(crate) state: Option<Id>,
}

/// A storage as a pickle declares it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Declared {
    pub(crate) key: String,
    /// `None`: bytes, whose type their tensors tell.
    pub(crate) dtype: Option<Dtype>,
    /// Numbers of that type, or bytes.
    pub(crate) elements: usize,
    /// Where they begin in the file, for an array, whose bytes stand in the pickle itself.
    pub(crate) at: Option<u64>,
}

/// A part of a storage.
#[derive(Clone, Debug)]
pub(crate) struct StorageView {
    /// Which of [`Heap::declared`].
    pub(crate) storage: usize,
    /// Its first element.
    pub(crate) offset: usize,
    /// The element after its last.
    pub(crate) end: usize,
}

/// A tensor before its storage is found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Strided {
    pub(crate) storage: usize,
    pub(crate) dtype: Dtype,
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

/// Objects of one pickle. The first ones are those that are made once: `None`, false, true, small integers, the empty tuple.
#[derive(Debug)]
pub(crate) struct Heap {
    nodes: Vec<Node>,
    pub(crate) declared: Vec<Declared>,
    by_key: HashMap<String, usize>,
    pub(crate) budget: Budget,
    /// Whether arrays of NumPy's are looked for.
    pub(crate) arrays: bool,
}

pub(crate) const NONE: Id = 0;
pub(crate) const FALSE: Id = 1;
pub(crate) const TRUE: Id = 2;
pub(crate) const OTHER: Id = 3;
pub(crate) const EMPTY: Id = 4;
const SMALL_INTEGERS: Id = 5;

impl Heap {
    pub(crate) fn new(budget: Budget) -> Self {
        let fixed = [
            Node::None,
            Node::Bool,
            Node::Bool,
            Node::Other,
            Node::Tuple([].into()),
        ];
        Self {
            nodes: fixed.into_iter().chain((0..256).map(Node::Int)).collect(),
            declared: Vec::new(),
            by_key: HashMap::new(),
            budget,
            arrays: false,
        }
    }

    pub(crate) fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    pub(crate) fn node_mut(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    /// Adds an object; `beside` is what it holds on the heap in bytes.
    pub(crate) fn add(&mut self, node: Node, beside: usize) -> Result<Id, String> {
        self.budget.charge(2 * size_of::<Node>() + beside)?;
        let id = Id::try_from(self.nodes.len()).map_err(|_| "makes too many objects")?;
        self.nodes.push(node);
        Ok(id)
    }

    pub(crate) fn int(&mut self, value: i64) -> Result<Id, String> {
        match u8::try_from(value) {
            Ok(small) => Ok(SMALL_INTEGERS + Id::from(small)),
            Err(_) => self.add(Node::Int(value), 0),
        }
    }

    pub(crate) fn text(&mut self, text: String) -> Result<Id, String> {
        let beside = text.len() + 16;
        self.add(Node::Text(text.into()), beside)
    }

    pub(crate) fn tuple(&mut self, items: Vec<Id>) -> Result<Id, String> {
        match items.is_empty() {
            true => Ok(EMPTY),
            false => {
                let beside = 2 * size_of_val(&items[..]);
                self.add(Node::Tuple(items.into()), beside)
            }
        }
    }

    pub(crate) fn object(&mut self, class: String) -> Result<Id, String> {
        let beside = size_of::<Object>() + class.len();
        let object = Object {
            class,
            ..Object::default()
        };
        self.add(Node::Object(Box::new(object)), beside)
    }

    pub(crate) fn as_text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The key of an entry in a dictionary as part of a path; `None` for what is neither text nor an integer.
    pub(crate) fn as_key(&self, id: Id) -> Option<String> {
        match self.node(id) {
            Node::Text(text) => Some(text.to_string()),
            Node::Int(number) => Some(number.to_string()),
            _ => None,
        }
    }

    pub(crate) fn as_sequence(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) => Some(items),
            Node::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.node(id) {
            Node::Dict(items) => Some(items),
            _ => None,
        }
    }

    /// The value under a text in a dictionary's entries.
    pub(crate) fn get(&self, items: &[(Id, Id)], key: &str) -> Option<Id> {
        let found = items.iter().find(|(k, _)| self.as_text(*k) == Some(key));
        found.map(|(_, value)| *value)
    }

    /// Declares a storage; gives its place among the declared.
    pub(crate) fn declare(&mut self, declared: Declared) -> Result<usize, String> {
        if let Some(&known) = self.by_key.get(&declared.key) {
            if self.declared[known] != declared {
                return Err(format!(
                    "declares storage `{}` twice, as different ones",
                    declared.key
                ));
            }
            return Ok(known);
        }
        self.budget
            .charge(2 * (size_of::<Declared>() + 48) + 3 * declared.key.len())?;
        let place = self.declared.len();
        self.by_key.insert(declared.key.clone(), place);
        self.declared.push(declared);
        Ok(place)
    }

    pub(crate) fn find_declared(&self, key: &str) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// What an error calls an object.
    pub(crate) fn kind(&self, id: Id) -> &'static str {
        match self.node(id) {
            Node::None => "None",
            Node::Bool => "a truth value",
            Node::Int(_) => "an integer",
            Node::Text(_) => "a text",
            Node::Other => "bytes or a float",
            Node::Bytes(_) => "bytes",
            Node::Tuple(_) => "a tuple",
            Node::List(_) => "a list",
            Node::Dict(_) => "a dictionary",
            Node::Global(_) => "a class",
            Node::Storage(_) => "a storage",
            Node::Tensor(_) => "a tensor",
            Node::ArrayType(_) => "a type of numbers",
            Node::Array => "an array without content",
            Node::Object(_) => "an object",
        }
    }
}
