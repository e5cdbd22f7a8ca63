//! The tree of values, each with its origin.

use std::collections::BTreeMap;

use crate::key::{Step, join};
use crate::origin::Origin;

/// A value and the place that decided it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) value: Value,
}

/// What TOML can say.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Boolean(bool),
    Integer(i64),
    /// An integer that fits 64 bits only without a sign.
    Unsigned(u64),
    /// An integer that does not fit 64 bits at all, as written.
    HugeInteger(String),
    Float(f64),
    String(String),
    Datetime(String),
    Array(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl Node {
    pub(crate) fn table(origin: Origin) -> Node {
        Node {
            origin,
            value: Value::Table(BTreeMap::new()),
        }
    }

    /// Lays `upper` over `self`: tables merge, anything else replaces.
    pub(crate) fn merge(&mut self, upper: Node) {
        match (&mut self.value, upper.value) {
            (Value::Table(lower), Value::Table(upper_table)) => {
                self.origin = upper.origin;
                for (key, node) in upper_table {
                    match lower.get_mut(&key) {
                        Some(below) => below.merge(node),
                        None => {
                            lower.insert(key, node);
                        }
                    }
                }
            }
            (_, value) => {
                *self = Node {
                    origin: upper.origin,
                    value,
                }
            }
        }
    }

    /// The type of the value, and the value itself where it is short: `string "ten"`.
    pub(crate) fn described(&self) -> String {
        match &self.value {
            Value::Boolean(boolean) => format!("boolean {boolean}"),
            Value::Integer(integer) => format!("integer {integer}"),
            Value::Unsigned(integer) => format!("integer {integer}"),
            Value::HugeInteger(text) => format!("integer {text}"),
            Value::Float(float) => format!("float {float:?}"),
            Value::String(string) => format!("string {string:?}"),
            Value::Datetime(text) => format!("datetime {text}"),
            Value::Array(_) => "array".to_owned(),
            Value::Table(_) => "table".to_owned(),
        }
    }

    /// The node one step below.
    fn child(&self, step: &Step) -> Option<&Node> {
        match (&self.value, step) {
            (Value::Table(table), Step::Key(key)) => table.get(key),
            (Value::Array(nodes), Step::Index(index)) => nodes.get(*index),
            _ => None,
        }
    }

    /// The node at the end of `steps`, if they all exist.
    pub(crate) fn find(&self, steps: &[Step]) -> Option<&Node> {
        steps.iter().try_fold(self, |node, step| node.child(step))
    }

    /// The deepest node on the way along `steps`.
    pub(crate) fn deepest(&self, steps: &[Step]) -> &Node {
        let mut node = self;
        for step in steps {
            match node.child(step) {
                Some(child) => node = child,
                None => break,
            }
        }
        node
    }

    /// Whether anything at or below this node was written by a layer.
    pub(crate) fn is_set(&self) -> bool {
        match &self.value {
            Value::Table(table) => table.values().any(Node::is_set),
            _ => self.origin != Origin::Default,
        }
    }

    /// Puts the default back at `steps`, or removes what has no default. An array counts as one
    /// value. Returns whether a layer's value was taken out.
    pub(crate) fn reset(&mut self, steps: &[Step], default: Option<&Node>) -> bool {
        if let ([Step::Key(key), rest @ ..], Value::Table(table)) = (steps, &mut self.value) {
            let default = default.and_then(|node| node.find(&[Step::Key(key.clone())]));
            let Some(child) = table.get_mut(key) else {
                return false;
            };
            let is_end = !matches!((rest, &child.value), ([Step::Key(_), ..], Value::Table(_)));
            if !is_end || default.is_some() {
                return child.reset(rest, default);
            }
            return table.remove(key).is_some();
        }
        // An empty table written over a default one also counts as a layer's value: it is the
        // origin, not the content, that makes the difference.
        let was_set = self.is_set() || self.origin != Origin::Default;
        if let Some(default) = default {
            *self = default.clone();
        }
        was_set
    }

    /// The ways to the values below this table that a layer wrote: to scalars and arrays, and to
    /// tables where the default is none.
    pub(crate) fn set_below(&self, default: Option<&Node>) -> Vec<Vec<Step>> {
        let Value::Table(table) = &self.value else {
            return Vec::new();
        };
        let mut ways = Vec::new();
        for (key, child) in table {
            let step = Step::Key(key.clone());
            let default = default.and_then(|node| node.child(&step));
            let may_be_table = default.is_none_or(|node| matches!(node.value, Value::Table(_)));
            if matches!(child.value, Value::Table(_)) && may_be_table {
                let below = child.set_below(default).into_iter();
                ways.extend(below.map(|way| [vec![step.clone()], way].concat()));
            } else if child.origin != Origin::Default {
                ways.push(vec![step]);
            }
        }
        ways
    }

    /// Every scalar and array at or below this node, with its dotted key.
    pub(crate) fn leaves(&self) -> Vec<(String, &Node)> {
        let mut leaves = Vec::new();
        self.collect_leaves("", &mut leaves);
        leaves
    }

    fn collect_leaves<'a>(&'a self, path: &str, leaves: &mut Vec<(String, &'a Node)>) {
        match &self.value {
            Value::Table(table) => {
                for (key, node) in table {
                    node.collect_leaves(&join(path, key), leaves);
                }
            }
            _ => leaves.push((path.to_owned(), self)),
        }
    }
}
