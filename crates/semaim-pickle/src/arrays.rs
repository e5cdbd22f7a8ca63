//! Arrays of NumPy's, whose numbers stand in the pickle itself.
//!
//! What a pickle calls to make one is imitated: its type, and from protocol 5 on or before it its shape and its bytes. An
//! array of a type that is not read, or whose bytes stand in a text (Python 2, protocol 2 and older), is listed all the same.

use crate::calls::sizes;
use crate::dtype::Dtype;
use crate::heap::{Declared, Heap, Id, Node, Span, Strided};

/// Calls a function of NumPy's with its arguments; `None` if it is none of those that are known.
pub(crate) fn call(heap: &mut Heap, class: &str, arguments: &[Id]) -> Result<Option<Id>, String> {
    // NumPy 2 moved what it pickles by.
    let name = class.replacen("numpy._core.", "numpy.core.", 1);
    let node = match (name.as_str(), arguments) {
        ("numpy.dtype", &[code, ..]) => match heap.as_text(code) {
            Some(code) => Node::ArrayType(of_code(code)),
            None => return Ok(None),
        },
        // The content follows.
        ("numpy.core.multiarray._reconstruct", &[class, ..]) => match heap.node(class) {
            Node::Global(global) if **global == ["numpy", "ndarray"] => Node::Array,
            _ => return Ok(None),
        },
        ("numpy.core.numeric._frombuffer", &[bytes, dtype, shape, order]) => {
            let columns_first = heap.as_text(order) == Some("F");
            array(heap, shape, dtype, columns_first, bytes)?
        }
        ("numpy.core.multiarray.scalar", &[dtype, bytes]) => {
            let shape = heap.tuple(Vec::new())?;
            array(heap, shape, dtype, false, bytes)?
        }
        _ => return Ok(None),
    };
    let beside = match &node {
        Node::Tensor(strided) => size_of::<Strided>() + 16 * strided.shape.len(),
        _ => 0,
    };
    heap.add(node, beside).map(Some)
}

/// An array of its state: version, shape, type, whether columns come first, bytes.
pub(crate) fn content(heap: &mut Heap, state: Id) -> Result<Node, String> {
    match heap.as_sequence(state) {
        Some(&[_version, shape, dtype, order, bytes]) => {
            let columns_first = order == crate::heap::TRUE;
            array(heap, shape, dtype, columns_first, bytes)
        }
        _ => Err("gives an array a content of another form".into()),
    }
}

/// A type of its state, whose second part is the order of bytes.
pub(crate) fn byte_order(heap: &Heap, dtype: Dtype, state: Id) -> Node {
    let parts = heap.as_sequence(state).unwrap_or_default();
    let order = parts.get(1).and_then(|&order| heap.as_text(order));
    Node::ArrayType(match (order, dtype.size()) {
        (Some(">"), Some(2..)) => Dtype::Unread("numbers whose first byte is the largest"),
        _ => dtype,
    })
}

/// The type of a code such as `f4`.
fn of_code(code: &str) -> Dtype {
    match code {
        "f8" => Dtype::F64,
        "f4" => Dtype::F32,
        "f2" => Dtype::F16,
        "i8" => Dtype::I64,
        "i4" => Dtype::I32,
        "i2" => Dtype::I16,
        "i1" => Dtype::I8,
        "u8" => Dtype::U64,
        "u4" => Dtype::U32,
        "u2" => Dtype::U16,
        "u1" => Dtype::U8,
        "b1" => Dtype::Bool,
        "c8" => Dtype::Unread("complex64"),
        "c16" => Dtype::Unread("complex128"),
        "O8" => Dtype::Unread("objects of Python"),
        _ => Dtype::Unread("a type that is not known"),
    }
}

fn array(
    heap: &mut Heap,
    shape: Id,
    dtype: Id,
    columns_first: bool,
    bytes: Id,
) -> Result<Node, String> {
    let &Node::ArrayType(dtype) = heap.node(dtype) else {
        return Err(format!("makes an array of {}", heap.kind(dtype)));
    };
    let shape = sizes(heap, shape)?;
    let elements = shape
        .iter()
        .try_fold(1_usize, |all, &side| all.checked_mul(side));
    let strides = strides(&shape, columns_first);
    let (Some(elements), Some(strides)) = (elements, strides) else {
        return Err(format!("makes an array of shape {shape:?}"));
    };
    let (dtype, span) = match heap.node(bytes) {
        Node::Bytes(span) => (dtype, **span),
        _ => {
            // What tells it from others.
            let at = u64::from(bytes);
            let dtype = match dtype.is_read() {
                true => Dtype::Unread(IN_A_TEXT),
                false => dtype,
            };
            (dtype, Span { at, len: 0 })
        }
    };
    if dtype.is_read() {
        let expected = dtype.size().and_then(|size| elements.checked_mul(size));
        if expected.map(|expected| expected as u64) != Some(span.len) {
            return Err(format!(
                "makes an array of shape {shape:?} of {} bytes",
                span.len
            ));
        }
    }
    let storage = heap.declare(Declared {
        key: format!("{dtype} at {}", span.at),
        dtype: Some(dtype),
        elements,
        at: Some(span.at),
    })?;
    Ok(Node::Tensor(Box::new(Strided {
        storage,
        dtype,
        offset: 0,
        shape,
        strides,
    })))
}

/// What is said of an array of old pickles.
const IN_A_TEXT: &str = "numbers in a text (pickle protocol 2)";

fn strides(shape: &[usize], columns_first: bool) -> Option<Vec<usize>> {
    let mut strides = vec![0; shape.len()];
    let mut step = 1_usize;
    let mut place = |axis: usize| {
        strides[axis] = step;
        step = step.checked_mul(shape[axis].max(1))?;
        Some(())
    };
    match columns_first {
        true => (0..shape.len()).try_for_each(&mut place)?,
        false => (0..shape.len()).rev().try_for_each(&mut place)?,
    }
    Some(strides)
}
