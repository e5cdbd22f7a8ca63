//! Pickles of arrays, written.

use std::io::{self, Write};

/// Floats of 32 bits, last axis fastest.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    /// Its name.
    pub name: &'a str,
    /// Sizes of its axes.
    pub shape: &'a [usize],
    /// As many as the shape says.
    pub values: &'a [f32],
}

/// What makes an array, remembered as 0, its class (1) and its type (2): the start of a pickle, which leaves nothing on the
/// stack.
const HEAD: &[&[u8]] = &[
    b"\x80\x04cnumpy.core.multiarray\n_reconstruct\nq\x000cnumpy\nndarray\nq\x010",
    b"cnumpy\ndtype\nX\x02\x00\x00\x00f4\x89\x88\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbq\x020",
];

/// Writes `{"model": {name: array, ...}, "__author__": author}` as `pickle.dump` does: the form of the models that detectron2
/// publishes, which its checkpointer reads.
///
/// # Errors
/// Those of `out`; a name or an author of more than 4 GiB.
pub fn write_arrays<'a>(
    out: &mut impl Write,
    arrays: impl IntoIterator<Item = Array<'a>>,
    author: &str,
) -> io::Result<()> {
    for part in HEAD {
        out.write_all(part)?;
    }
    out.write_all(b"}")?;
    text(out, "model")?;
    out.write_all(b"}")?;
    for Array {
        name,
        shape,
        values,
    } in arrays
    {
        text(out, name)?;
        // An array of no elements, whose state is then set: version, shape, type, whether columns come first, bytes.
        out.write_all(b"h\x00(h\x01K\x00\x85C\x01btR(K\x01(")?;
        for &side in shape {
            out.write_all(b"\x8a\x08")?;
            out.write_all(&(side as u64).to_le_bytes())?;
        }
        out.write_all(b"th\x02\x89\x8e")?;
        out.write_all(&(4 * values.len() as u64).to_le_bytes())?;
        for values in values.chunks(1 << 12) {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            out.write_all(&bytes)?;
        }
        out.write_all(b"tbs")?;
    }
    out.write_all(b"s")?;
    text(out, "__author__")?;
    text(out, author)?;
    out.write_all(b"s.")
}

fn text(out: &mut impl Write, text: &str) -> io::Result<()> {
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    out.write_all(b"X")?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(text.as_bytes())
}
