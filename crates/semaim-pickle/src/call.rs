//! What a pickle calls.
//!
//! The few functions whose result is plain data are imitated; a call of any other is kept by name.

use std::sync::Arc;

use crate::heap::{Global, Heap, ITEM_COST, Item, Node};
use crate::pickle_error::PickleFault;
use crate::{array, rebuild};

/// The result of calling `function` with a tuple of arguments.
pub(crate) fn call(
    heap: &mut Heap<'_>,
    function: Item,
    arguments: Item,
) -> Result<Item, PickleFault> {
    if heap.tuple(arguments).is_none() {
        return Err(heap.not("a tuple of arguments", arguments));
    }
    let global = match heap.node(function) {
        Some(Node::Global(global)) => Arc::clone(global),
        // A class that the file first has to look up, or a function that it first makes.
        Some(Node::Object(object)) => {
            let class = Arc::clone(&object.class);
            return Ok(heap.add_object(class, arguments)?);
        }
        _ => return Err(heap.not("something to call", function)),
    };
    let known = match &*global.module {
        "collections" => collection(heap, &global.name, arguments)?,
        "builtins" | "__builtin__" => builtin(heap, &global.name, arguments)?,
        "torch" if &*global.name == "Size" => copied(heap, arguments, Node::tuple)?,
        "_codecs" if &*global.name == "encode" => encoded(heap, arguments)?,
        "copyreg" | "copy_reg" => return reconstructed(heap, global, arguments),
        "torch._utils" | "torch._tensor" => rebuild::tensor(heap, &global, arguments)?,
        module if array::is_multiarray(module) && &*global.name == "scalar" => {
            array::scalar(heap, arguments)?
        }
        "numpy.core.numeric" | "numpy._core.numeric" if &*global.name == "_frombuffer" => {
            array::from_buffer(heap, arguments)?
        }
        _ => None,
    };
    match known {
        Some(item) => Ok(item),
        None => Ok(heap.add_object(global, arguments)?),
    }
}

/// What BUILD does: sets the state of an object.
pub(crate) fn build(heap: &mut Heap<'_>, target: Item, state: Item) -> Result<(), PickleFault> {
    if let Some(array) = array::built(heap, target, state)? {
        if let Some(node) = heap.node_mut(target) {
            *node = array;
        }
        return Ok(());
    }
    match heap.node_mut(target) {
        Some(Node::Object(object)) => object.state = state,
        // Attributes that Python lets these have, such as the versions of a state dictionary's modules.
        Some(Node::Dict(_) | Node::List(_) | Node::Set(_) | Node::Tensor(_)) => {}
        _ => return Err(heap.not("an object to set the state of", target)),
    }
    Ok(())
}

/// Calls without arguments make empty containers; those with one copy it. Anything else is left to its name.
fn copied(
    heap: &mut Heap<'_>,
    arguments: Item,
    make: impl FnOnce(Vec<Item>) -> Node,
) -> Result<Option<Item>, PickleFault> {
    let items = match heap.tuple(arguments) {
        Some([]) => &[],
        Some(&[from]) => match heap.sequence(from) {
            Some(items) => items,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    let count = items.len();
    // Paid before it is made: few bytes can ask for many copies of a shared list.
    heap.budget.charge_each(count, 2 * ITEM_COST)?;
    let items = match heap.tuple(arguments) {
        Some(&[from]) => heap.sequence(from).unwrap_or_default().to_vec(),
        _ => Vec::new(),
    };
    Ok(Some(heap.add(make(items))?))
}

fn dictionary(heap: &mut Heap<'_>, from: Option<Item>) -> Result<Option<Item>, PickleFault> {
    let entries = match from {
        None | Some(Item::None) => Vec::new(),
        Some(from) => {
            let count = match heap.node(from) {
                Some(Node::Dict(entries)) => entries.len(),
                Some(Node::List(items)) => items.len(),
                _ => return Ok(None),
            };
            heap.budget.charge_each(count, 4 * ITEM_COST)?;
            let entries = match heap.node(from) {
                Some(Node::Dict(entries)) => Some(entries.clone()),
                // Python 2 gives the entries of an ordered dictionary as a list of pairs.
                Some(Node::List(items)) => items
                    .iter()
                    .map(|&pair| match heap.sequence(pair) {
                        Some(&[key, value]) => Some((key, value)),
                        _ => None,
                    })
                    .collect(),
                _ => None,
            };
            match entries {
                Some(entries) => entries,
                None => return Ok(None),
            }
        }
    };
    Ok(Some(heap.add(Node::Dict(entries))?))
}

fn collection(
    heap: &mut Heap<'_>,
    name: &str,
    arguments: Item,
) -> Result<Option<Item>, PickleFault> {
    let from = match (name, heap.tuple(arguments).unwrap_or_default()) {
        ("OrderedDict" | "Counter" | "defaultdict", []) => None,
        ("OrderedDict" | "Counter", &[from]) => Some(from),
        ("defaultdict", &[_factory]) => None,
        ("defaultdict", &[_factory, from]) => Some(from),
        _ => return Ok(None),
    };
    dictionary(heap, from)
}

fn builtin(heap: &mut Heap<'_>, name: &str, arguments: Item) -> Result<Option<Item>, PickleFault> {
    match name {
        "list" => copied(heap, arguments, Node::List),
        "tuple" => copied(heap, arguments, Node::tuple),
        "set" | "frozenset" => copied(heap, arguments, Node::Set),
        "dict" => match heap.tuple(arguments) {
            Some([]) => dictionary(heap, None),
            Some(&[from]) => dictionary(heap, Some(from)),
            _ => Ok(None),
        },
        "bytes" | "bytearray" => match heap.tuple(arguments) {
            Some([]) => Ok(Some(heap.add_bytes(&[])?)),
            Some(&[from]) if matches!(heap.node(from), Some(Node::Bytes(_))) => Ok(Some(from)),
            // How protocol 2 writes a byte array: Latin-1 text and the name of the encoding.
            Some(&[_, _]) => encoded(heap, arguments),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// `_codecs.encode(text, "latin1")`: how protocol 2 writes bytes.
fn encoded(heap: &mut Heap<'_>, arguments: Item) -> Result<Option<Item>, PickleFault> {
    let Some(&[text, encoding]) = heap.tuple(arguments) else {
        return Ok(None);
    };
    let latin = matches!(
        heap.text(encoding).map(|name| &**name),
        Some("latin1" | "latin-1")
    );
    let Some(text) = heap.text(text).filter(|_| latin).cloned() else {
        return Ok(None);
    };
    // Twice: once while it is made, once as it is kept.
    heap.budget.charge(text.len())?;
    let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    let bytes = bytes.map_err(|_| PickleFault::Text {
        encoding: "Latin-1",
    })?;
    Ok(Some(heap.add_bytes(&bytes)?))
}

/// `copyreg._reconstructor(class, base, state)` and `copyreg.__newobj__(class, ...)` make an object of a class; its
/// name is what matters.
fn reconstructed(
    heap: &mut Heap<'_>,
    global: Arc<Global>,
    arguments: Item,
) -> Result<Item, PickleFault> {
    let class = heap
        .tuple(arguments)
        .and_then(|items| items.first().copied());
    let class = class.and_then(|class| heap.global(class)).cloned();
    Ok(heap.add_object(class.unwrap_or(global), arguments)?)
}

#[cfg(test)]
mod tests;
