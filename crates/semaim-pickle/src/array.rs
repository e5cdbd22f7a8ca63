//! Arrays and numbers of NumPy.

use std::sync::Arc;

use crate::dtype::Dtype;
use crate::heap::{Heap, Item, Node, SHARED_COST, Source, TensorNode};
use crate::layout::Layout;
use crate::pickle_error::PickleFault;
use crate::rebuild::sizes;
use crate::storage::{Bytes, Storage};

/// The type of an element as NumPy writes it.
struct Code {
    /// Kind and size, such as `f8`.
    code: Arc<str>,
    big_endian: bool,
}

/// Reads a `numpy.dtype`: its argument is kind and size, its state `(3, "<", None, None, None, -1, -1, 0)`. `None`
/// for anything that is not a plain type.
fn code(heap: &Heap<'_>, item: Item) -> Option<Code> {
    let Some(Node::Object(object)) = heap.node(item) else {
        return None;
    };
    if (&*object.class.module, &*object.class.name) != ("numpy", "dtype") {
        return None;
    }
    let code = heap.text(*heap.tuple(object.arguments)?.first()?)?;
    let &[_version, order, subarray, names, fields, ..] = heap.tuple(object.state)? else {
        return None;
    };
    if [subarray, names, fields] != [Item::None; 3] {
        return None;
    }
    let big_endian = match &**heap.text(order)? {
        // `|` is for types of one byte, `=` for the machine that wrote the file, which is not told.
        "<" | "|" => false,
        ">" => true,
        _ => return None,
    };
    Some(Code {
        code: Arc::clone(code),
        big_endian,
    })
}

/// The bytes, of which protocols 0 to 2 make text where Python 2 wrote them and they happen to be some.
fn raw<'h>(heap: &'h Heap<'_>, item: Item) -> Option<&'h [u8]> {
    match heap.node(item) {
        Some(Node::Bytes(bytes)) => Some(bytes),
        Some(Node::Text(text)) => Some(text.as_bytes()),
        _ => None,
    }
}

/// The number that `numpy.core.multiarray.scalar(dtype, bytes)` makes; `None` where it is no number.
pub(crate) fn scalar(heap: &mut Heap<'_>, arguments: Item) -> Result<Option<Item>, PickleFault> {
    let Some(&[dtype, bytes]) = heap.tuple(arguments) else {
        return Ok(None);
    };
    let (Some(code), Some(bytes)) = (code(heap, dtype), raw(heap, bytes)) else {
        return Ok(None);
    };
    let mut little = [0; 8];
    let Some(room) = little.get_mut(..bytes.len()) else {
        return Ok(None);
    };
    room.copy_from_slice(bytes);
    if code.big_endian {
        room.reverse();
    }
    let [a, b, c, d, ..] = little;
    let signed = |value: i64| Some(Item::Int(value));
    Ok(match (&*code.code, bytes.len()) {
        ("f8", 8) => Some(Item::Float(f64::from_le_bytes(little))),
        ("f4", 4) => Some(Item::Float(f32::from_le_bytes([a, b, c, d]).into())),
        ("f2", 2) => Some(Item::Float(half::f16::from_le_bytes([a, b]).into())),
        ("i8", 8) => signed(i64::from_le_bytes(little)),
        ("i4", 4) => signed(i32::from_le_bytes([a, b, c, d]).into()),
        ("i2", 2) => signed(i16::from_le_bytes([a, b]).into()),
        ("i1", 1) => signed(i8::from_le_bytes([a]).into()),
        ("u4", 4) | ("u2", 2) | ("u1", 1) => signed(i64::from_le_bytes(little)),
        ("u8", 8) => i64::try_from(u64::from_le_bytes(little))
            .ok()
            .map(Item::Int),
        ("b1", 1) => Some(Item::Bool(a != 0)),
        _ => None,
    })
}

/// The array that BUILD completes, where `target` is one that `_reconstruct` began: its state is
/// `(version, shape, dtype, column-major, bytes)`. `None` where the elements are no plain numbers.
pub(crate) fn built(
    heap: &mut Heap<'_>,
    target: Item,
    state: Item,
) -> Result<Option<Node>, PickleFault> {
    let Some(Node::Object(object)) = heap.node(target) else {
        return Ok(None);
    };
    if !is_multiarray(&object.class.module) || &*object.class.name != "_reconstruct" {
        return Ok(None);
    }
    match heap.tuple(state) {
        Some(&[_version, shape, dtype, column_major, bytes]) => {
            let column_major = column_major == Item::Bool(true);
            array(heap, shape, dtype, column_major, bytes)
        }
        _ => Ok(None),
    }
}

/// The array that `numpy.core.numeric._frombuffer(bytes, dtype, shape, order)` makes, as protocol 5 has it.
pub(crate) fn from_buffer(
    heap: &mut Heap<'_>,
    arguments: Item,
) -> Result<Option<Item>, PickleFault> {
    let Some(&[bytes, dtype, shape, order]) = heap.tuple(arguments) else {
        return Ok(None);
    };
    let column_major = match heap.text(order).map(|order| &**order) {
        Some("C") => false,
        Some("F") => true,
        _ => return Ok(None),
    };
    match array(heap, shape, dtype, column_major, bytes)? {
        Some(node) => Ok(Some(heap.add(node)?)),
        None => Ok(None),
    }
}

/// Whether a module is the one that makes arrays; version 2 of NumPy renamed it.
pub(crate) fn is_multiarray(module: &str) -> bool {
    matches!(module, "numpy.core.multiarray" | "numpy._core.multiarray")
}

fn array(
    heap: &mut Heap<'_>,
    shape: Item,
    dtype: Item,
    column_major: bool,
    bytes: Item,
) -> Result<Option<Node>, PickleFault> {
    let (Some(code), Some(content)) = (code(heap, dtype), raw(heap, bytes)) else {
        return Ok(None);
    };
    let Some(dtype) = Dtype::of_numpy(&code.code) else {
        return Ok(None);
    };
    let size = content.len();
    let shape = sizes(heap, shape)?;
    let layout = if column_major {
        Layout::dense_reversed(shape, size / dtype.size())?
    } else {
        Layout::dense(shape, size / dtype.size())?
    };
    // The bytes may be shared with other arrays, so each copy is paid for before it is made.
    let cost = size_of::<Storage>() + size_of::<TensorNode>() + 4 * SHARED_COST;
    let axes = 4 * size_of::<usize>() * layout.shape().len();
    heap.budget.charge(size.saturating_add(cost + axes))?;
    let storage = Storage {
        dtype,
        big_endian: code.big_endian,
        bytes: Bytes::all(raw(heap, bytes).unwrap_or_default().to_vec()),
        limit: heap.budget.limit(),
    };
    Ok(Some(Node::Tensor(Box::new(TensorNode {
        source: Source::Inline(Arc::new(storage)),
        layout,
    }))))
}
