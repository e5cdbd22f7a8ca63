//! The functions of PyTorch that make tensors of storages.

use std::sync::Arc;

use crate::heap::{Global, Heap, Item, Node, Source, TensorNode};
use crate::layout::{AXES, Layout, LayoutError};
use crate::persistent::size;
use crate::pickle_error::PickleFault;

/// The tensor that a function of `torch._utils` or `torch._tensor` makes; `None` for functions that make something
/// else, and for tensors of a type that is not read.
pub(crate) fn tensor(
    heap: &mut Heap<'_>,
    function: &Arc<Global>,
    arguments: Item,
) -> Result<Option<Item>, PickleFault> {
    let items = heap.tuple(arguments).unwrap_or_default();
    match (&*function.module, &*function.name, items) {
        (
            "torch._utils",
            "_rebuild_tensor" | "_rebuild_tensor_v2",
            &[storage, offset, shape, strides, ..],
        ) => strided(heap, storage, offset, shape, strides),
        // A parameter is its tensor; whether it is trained does not matter here.
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state", &[data, ..]) => {
            Ok(matches!(heap.node(data), Some(Node::Tensor(_))).then_some(data))
        }
        // A tensor with attributes of its own. It is made by one of the functions above, never by this one again.
        ("torch._tensor", "_rebuild_from_type_v2", &[inner, _class, inner_arguments, ..]) => {
            let Some(inner) = heap.global(inner).cloned() else {
                return Ok(None);
            };
            if &*inner.module != "torch._utils" {
                return Ok(None);
            }
            tensor(heap, &inner, inner_arguments)
        }
        (
            "torch._utils",
            name @ ("_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_parameter"),
            _,
        ) => Err(PickleFault::Operand {
            expected: match name {
                "_rebuild_parameter" => "a tensor",
                _ => "a storage, an offset, a shape and strides",
            },
            found: "too few arguments",
        }),
        _ => Ok(None),
    }
}

fn strided(
    heap: &mut Heap<'_>,
    storage: Item,
    offset: Item,
    shape: Item,
    strides: Item,
) -> Result<Option<Item>, PickleFault> {
    let view = match heap.node(storage) {
        Some(Node::Storage(view)) => **view,
        // A storage of a type that is not read: its tensor is kept by name.
        Some(Node::Global(_)) => return Ok(None),
        _ => return Err(heap.not("a storage", storage)),
    };
    let offset = size(heap, offset)?;
    let shape = sizes(heap, shape)?;
    let strides = sizes(heap, strides)?;
    // The offset counts from the start of the view, and the view lies within the storage.
    let layout = Layout::new(shape, strides, offset, view.length)?.moved(view.offset);
    add(heap, Source::Declared(view.declared), layout).map(Some)
}

/// Adds a tensor.
pub(crate) fn add(
    heap: &mut Heap<'_>,
    source: Source,
    layout: Layout,
) -> Result<Item, PickleFault> {
    // Once in the heap and once as it is handed out.
    let cost = 2 * (size_of::<TensorNode>() + 2 * size_of::<usize>() * layout.shape().len());
    heap.budget.charge(cost)?;
    Ok(heap.add(Node::Tensor(Box::new(TensorNode { source, layout })))?)
}

/// A tuple or list of sizes, one for each axis.
pub(crate) fn sizes(heap: &Heap<'_>, item: Item) -> Result<Vec<usize>, PickleFault> {
    let Some(items) = heap.sequence(item) else {
        return Err(heap.not("a tuple of sizes", item));
    };
    if items.len() > AXES {
        return Err(LayoutError::Axes { axes: items.len() }.into());
    }
    items.iter().map(|&item| size(heap, item)).collect()
}

#[cfg(test)]
mod tests;
