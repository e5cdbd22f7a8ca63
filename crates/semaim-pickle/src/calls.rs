//! The functions of Python that are imitated: those that make tensors and containers. Any other call gives an object of
//! which only the class is known.

use crate::arrays;
use crate::dtype::Dtype;
use crate::heap::{Declared, FALSE, Heap, Id, Node, StorageView, Strided};

/// Calls `function` with a tuple of arguments.
pub(crate) fn call(heap: &mut Heap, function: Id, arguments: Id) -> Result<Id, String> {
    let Node::Global(global) = heap.node(function) else {
        return Err(format!(
            "takes something to call, found {}",
            heap.kind(function)
        ));
    };
    let [module, name] = &**global;
    let class = format!("{module}.{name}");
    let arguments = heap.as_sequence(arguments).unwrap_or_default().to_vec();
    if heap.arrays
        && let Some(array) = arrays::call(heap, &class, &arguments)?
    {
        return Ok(array);
    }
    match class.as_str() {
        "collections.OrderedDict"
        | "collections.defaultdict"
        | "builtins.dict"
        | "__builtin__.dict" => {
            let pairs = arguments.first().and_then(|&pairs| heap.as_sequence(pairs));
            let pairs = pairs.unwrap_or_default().iter();
            let items: Vec<(Id, Id)> = pairs
                .filter_map(|&pair| match heap.as_sequence(pair) {
                    Some(&[key, value]) => Some((key, value)),
                    _ => None,
                })
                .collect();
            let beside = 2 * size_of_val(&items[..]);
            heap.add(Node::Dict(items), beside)
        }
        "builtins.set"
        | "builtins.frozenset"
        | "builtins.list"
        | "builtins.tuple"
        | "__builtin__.set"
        | "__builtin__.frozenset"
        | "__builtin__.list"
        | "__builtin__.tuple" => {
            let items = arguments.first().and_then(|&items| heap.as_sequence(items));
            let items = items.unwrap_or_default().to_vec();
            let beside = 2 * size_of_val(&items[..]);
            heap.add(Node::List(items), beside)
        }
        "torch._utils._rebuild_tensor" | "torch._utils._rebuild_qtensor" => {
            tensor(heap, &arguments, None, None)
        }
        "torch._utils._rebuild_tensor_v2" => {
            tensor(heap, &arguments, None, arguments.get(6).copied())
        }
        "torch._utils._rebuild_tensor_v3" => {
            let dtype = arguments.get(6).map(|&dtype| heap.node(dtype));
            let dtype = match dtype {
                Some(Node::Global(global)) => Dtype::of_name(&global[1]),
                _ => return Err("makes a tensor without a type".into()),
            };
            tensor(heap, &arguments, Some(dtype), arguments.get(7).copied())
        }
        "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
            arguments
                .first()
                .copied()
                .ok_or_else(|| "makes a parameter of nothing".into())
        }
        // A tensor of a class of its own: what it is made of follows the class.
        "torch._tensor._rebuild_from_type_v2" => match arguments[..] {
            // Once, and not of itself: a file may not make this call call this call.
            [inner, _, arguments, ..] if inner != function => call_inner(heap, inner, arguments),
            _ => Err("makes a tensor of a class without saying how".into()),
        },
        _ => heap.object(class),
    }
}

fn call_inner(heap: &mut Heap, function: Id, arguments: Id) -> Result<Id, String> {
    match heap.node(function) {
        Node::Global(global) if global[1] == "_rebuild_from_type_v2" => {
            Err("makes a tensor of a class of a class".into())
        }
        _ => call(heap, function, arguments),
    }
}

/// What is said of a tensor whose numbers are not those that are stored.
const CHANGED: &str = "numbers that are changed on reading (`neg` or `conj`)";

/// Whether a tensor has a property that changes its stored numbers: PyTorch writes only those that are set.
fn is_changed(heap: &Heap, metadata: Option<Id>) -> bool {
    let entries = metadata.and_then(|metadata| heap.as_dict(metadata));
    entries.is_some_and(|entries| entries.iter().any(|(_, value)| *value != FALSE))
}

/// A tensor from a storage, an offset, a shape and strides; `metadata` are properties of it beside.
fn tensor(
    heap: &mut Heap,
    arguments: &[Id],
    told: Option<Dtype>,
    metadata: Option<Id>,
) -> Result<Id, String> {
    let &[storage, offset, shape, strides, ..] = arguments else {
        return Err(format!("makes a tensor of {} arguments", arguments.len()));
    };
    let Node::Storage(view) = heap.node(storage) else {
        return Err(format!("makes a tensor of {}", heap.kind(storage)));
    };
    let StorageView {
        storage,
        offset: start,
        end,
    } = **view;
    let declared = &heap.declared[storage];
    let of_storage = declared.dtype;
    let dtype = match (of_storage, told) {
        (Some(dtype), None) => dtype,
        (None, Some(dtype)) => dtype,
        (Some(dtype), Some(told)) if dtype == told => dtype,
        _ => return Err("makes a tensor of another type than its storage".into()),
    };
    // The elements that there are: of an untyped storage bytes are told.
    let end = match (of_storage, dtype.size()) {
        (None, Some(size)) => end / size,
        _ => end,
    };
    let offset = start.checked_add(size(heap, offset)?);
    let (shape, strides) = (sizes(heap, shape)?, sizes(heap, strides)?);
    if shape.len() != strides.len() {
        return Err(format!(
            "makes a tensor of {} axes with {} strides",
            shape.len(),
            strides.len()
        ));
    }
    let elements = shape
        .iter()
        .try_fold(1_usize, |all, &side| all.checked_mul(side));
    let last = shape
        .iter()
        .zip(&strides)
        .try_fold(offset.unwrap_or(usize::MAX), |at, (&side, &stride)| {
            at.checked_add(side.saturating_sub(1).checked_mul(stride)?)
        });
    let fits = elements == Some(0) || last.is_some_and(|last| last < end);
    let (Some(offset), Some(_), true) = (offset, elements, fits || !dtype.is_read()) else {
        return Err(format!(
            "makes a tensor of shape {shape:?} with strides {strides:?} of {end} elements"
        ));
    };
    let dtype = match is_changed(heap, metadata) {
        true => Dtype::Unread(CHANGED),
        false => dtype,
    };
    let beside = size_of::<Strided>() + 16 * shape.len();
    heap.add(
        Node::Tensor(Box::new(Strided {
            storage,
            dtype,
            offset,
            shape,
            strides,
        })),
        beside,
    )
}

/// What a persistent id stands for: `("storage", class, key, device, elements)`, in old files with a view
/// `(key, offset, elements)` or `None` at the end; and `("module", class, file, source)` for a class with its text.
pub(crate) fn persistent(heap: &mut Heap, id: Id) -> Result<Id, String> {
    let parts = heap.as_sequence(id).unwrap_or_default().to_vec();
    let kind = parts.first().and_then(|&kind| heap.as_text(kind));
    let (class, key, elements, view) = match (kind, &parts[..]) {
        (Some("module"), &[_, class, ..]) => return Ok(class),
        (Some("storage"), &[_, class, key, _device, elements]) => (class, key, elements, None),
        (Some("storage"), &[_, class, key, _device, elements, view]) => {
            (class, key, elements, Some(view))
        }
        _ => return Err("has a persistent id that is neither a storage nor a module".into()),
    };
    let Node::Global(global) = heap.node(class) else {
        return Err(format!("has a storage whose class is {}", heap.kind(class)));
    };
    let dtype = match global[1].as_str() {
        "UntypedStorage" => None,
        class => Some(Dtype::of_storage(class)),
    };
    let key = heap.as_key(key).ok_or("has a storage without a key")?;
    let elements = size(heap, elements)?;
    let storage = heap.declare(Declared {
        key,
        dtype,
        elements,
        at: None,
    })?;
    let (offset, length) = match view.and_then(|view| heap.as_sequence(view)) {
        None => (0, elements),
        Some(&[_key, offset, length]) => (size(heap, offset)?, size(heap, length)?),
        Some(_) => return Err("has a view of a storage of another form".into()),
    };
    let end = offset.checked_add(length).filter(|&end| end <= elements);
    let end = end.ok_or_else(|| {
        format!("has a view of {length} elements from {offset} on, of {elements}")
    })?;
    heap.add(
        Node::Storage(Box::new(StorageView {
            storage,
            offset,
            end,
        })),
        size_of::<StorageView>(),
    )
}

fn size(heap: &Heap, id: Id) -> Result<usize, String> {
    match heap.node(id) {
        Node::Int(value) => usize::try_from(*value)
            .map_err(|_| format!("has a negative number, {value}, as a size")),
        _ => Err(format!("has {} as a size", heap.kind(id))),
    }
}

pub(crate) fn sizes(heap: &Heap, id: Id) -> Result<Vec<usize>, String> {
    let items = heap.as_sequence(id).ok_or("has sizes that are no tuple")?;
    if items.len() > 64 {
        return Err(format!("has a tensor of {} axes", items.len()));
    }
    items.iter().map(|&item| size(heap, item)).collect()
}
