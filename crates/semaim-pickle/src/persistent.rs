//! Persistent ids: how a pickle names the storages that lie outside it.

use std::sync::Arc;

use crate::dtype::Dtype;
use crate::heap::{Heap, Item, Node, StorageView};
use crate::layout::natural;
use crate::pickle_error::PickleFault;
use crate::storage::Declared;

/// What a persistent id stands for: `("storage", class, key, device, elements)`, in legacy files with a view
/// `(key, offset, elements)` or `None` at the end; and `("module", class, file, source)` for a class with its text.
///
/// A storage of a type that is not read becomes its class, so that only its own tensors are lost.
pub(crate) fn persistent(heap: &mut Heap<'_>, id: Item) -> Result<Item, PickleFault> {
    let Some(parts) = heap.tuple(id) else {
        return Err(heap.not("a tuple as persistent id", id));
    };
    let kind = parts.first().and_then(|&kind| heap.text(kind));
    match (kind.map(|kind| &**kind), parts) {
        (Some("module"), &[_, class, ..]) => Ok(class),
        (Some("storage"), &[_, class, key, _device, elements]) => {
            storage(heap, class, key, elements, Item::None)
        }
        (Some("storage"), &[_, class, key, _device, elements, view]) => {
            storage(heap, class, key, elements, view)
        }
        _ => Err(PickleFault::Operand {
            expected: "a storage or a module as persistent id",
            found: "a tuple of another form",
        }),
    }
}

fn storage(
    heap: &mut Heap<'_>,
    class: Item,
    key: Item,
    elements: Item,
    view: Item,
) -> Result<Item, PickleFault> {
    let Some(global) = heap.global(class) else {
        return Err(heap.not("a storage class", class));
    };
    // `torch.cuda.FloatStorage` is what old files say of storages that were on a device.
    let known = matches!(&*global.module, "torch" | "torch.cuda" | "torch.storage");
    let dtype = Dtype::of_storage(&global.name).filter(|_| known);
    let Some(dtype) = dtype else {
        return Ok(class);
    };
    let elements = size(heap, elements)?;
    let key: Arc<str> = match (key, heap.text(key)) {
        (_, Some(text)) => Arc::clone(text),
        (Item::Int(number), _) => number.to_string().into(),
        _ => return Err(heap.not("the key of a storage", key)),
    };
    let declared = heap.declare(Declared {
        key,
        dtype,
        elements,
    })?;
    let (offset, length) = match (view, heap.tuple(view)) {
        (Item::None, _) => (0, elements),
        (_, Some(&[_key, offset, length])) => (size(heap, offset)?, size(heap, length)?),
        _ => return Err(heap.not("a view of a storage", view)),
    };
    if offset.checked_add(length).is_none_or(|end| end > elements) {
        return Err(PickleFault::StorageView {
            offset,
            length,
            elements,
        });
    }
    heap.budget.charge(size_of::<StorageView>())?;
    Ok(heap.add(Node::Storage(Box::new(StorageView {
        declared,
        offset,
        length,
    })))?)
}

/// A size that stands in a pickle.
pub(crate) fn size(heap: &Heap<'_>, item: Item) -> Result<usize, PickleFault> {
    match item {
        Item::Int(value) => natural(value),
        _ => Err(heap.not("a size", item)),
    }
}
