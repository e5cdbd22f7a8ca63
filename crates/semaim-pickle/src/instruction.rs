//! Opcodes with what follows them in the pickle.

use std::borrow::Cow;

use crate::cursor::Cursor;
use crate::error::shown;
use crate::escape;
use crate::opcode::Opcode;
use crate::pickle_error::PickleFault;

/// The largest integer that is read, in bytes.
pub(crate) const INTEGER_LIMIT: usize = 1024;

/// An opcode, reduced to what it does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Instruction<'a> {
    /// Protocol and frame headers: nothing.
    Nothing,
    Mark,
    Stop,
    Pop,
    PopMark,
    Dup,
    None,
    Bool(bool),
    Int(i64),
    /// Little-endian two's complement, beyond 64 bits.
    BigInt(Cow<'a, [u8]>),
    Float(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    EmptyTuple,
    EmptyList,
    EmptyDict,
    EmptySet,
    /// A tuple of this many objects of the stack.
    Tuple(usize),
    /// What stands above the mark, as a tuple, list, dictionary or frozen set.
    MarkedTuple,
    MarkedList,
    MarkedDict,
    MarkedFrozenSet,
    Append,
    Appends,
    AddItems,
    SetItem,
    SetItems,
    /// Module and name.
    Global(&'a str, &'a str),
    StackGlobal,
    /// A persistent id given as text.
    PersistentText,
    Persistent,
    Reduce,
    Build,
    /// Module and name of the class.
    Inst(&'a str, &'a str),
    Obj,
    NewObj,
    NewObjEx,
    Get(u32),
    Put(u32),
    Memoize,
}

/// Takes the operand of `opcode` off the front.
pub(crate) fn decode<'a>(
    opcode: Opcode,
    from: &mut Cursor<'a>,
) -> Result<Instruction<'a>, PickleFault> {
    Ok(match opcode {
        Opcode::Proto => {
            let version = from.u8().ok_or(PickleFault::Truncated)?;
            if version > 5 {
                return Err(PickleFault::Protocol { version });
            }
            Instruction::Nothing
        }
        Opcode::Frame => {
            let length = from.u64().ok_or(PickleFault::Truncated)?;
            if length > from.left() as u64 {
                return Err(PickleFault::Truncated);
            }
            Instruction::Nothing
        }
        Opcode::Mark => Instruction::Mark,
        Opcode::Stop => Instruction::Stop,
        Opcode::Pop => Instruction::Pop,
        Opcode::PopMark => Instruction::PopMark,
        Opcode::Dup => Instruction::Dup,
        Opcode::None => Instruction::None,
        Opcode::NewTrue => Instruction::Bool(true),
        Opcode::NewFalse => Instruction::Bool(false),
        Opcode::Int => match line(from)? {
            // How protocol 0 writes truth values.
            "00" => Instruction::Bool(false),
            "01" => Instruction::Bool(true),
            digits => integer(digits)?,
        },
        Opcode::Long => {
            let text = line(from)?;
            integer(text.strip_suffix('L').unwrap_or(text))?
        }
        Opcode::BinInt => {
            let bytes = from.array().ok_or(PickleFault::Truncated)?;
            Instruction::Int(i32::from_le_bytes(bytes).into())
        }
        Opcode::BinInt1 => Instruction::Int(from.u8().ok_or(PickleFault::Truncated)?.into()),
        Opcode::BinInt2 => Instruction::Int(from.u16().ok_or(PickleFault::Truncated)?.into()),
        Opcode::Long1 => {
            let length = from.u8().ok_or(PickleFault::Truncated)?;
            twos_complement(from, length.into())?
        }
        Opcode::Long4 => {
            let length = from.u32().ok_or(PickleFault::Truncated)?;
            twos_complement(from, size(length.into())?)?
        }
        Opcode::Float => {
            let text = line(from)?;
            Instruction::Float(text.parse().map_err(|_| PickleFault::Number {
                text: shown(text),
                expected: "number",
            })?)
        }
        Opcode::BinFloat => {
            let bytes = from.array().ok_or(PickleFault::Truncated)?;
            Instruction::Float(f64::from_be_bytes(bytes))
        }
        Opcode::String => old_string(escape::quoted(raw_line(from)?)?),
        Opcode::BinString => {
            let length = from.u32().ok_or(PickleFault::Truncated)?;
            old_string(sized(from, length.into())?.into())
        }
        Opcode::ShortBinString => {
            let length = from.u8().ok_or(PickleFault::Truncated)?;
            old_string(sized(from, length.into())?.into())
        }
        Opcode::Unicode => Instruction::Text(escape::raw_unicode(raw_line(from)?)?.into()),
        Opcode::ShortBinUnicode => {
            let length = from.u8().ok_or(PickleFault::Truncated)?;
            Instruction::Text(text(sized(from, length.into())?)?.into())
        }
        Opcode::BinUnicode => {
            let length = from.u32().ok_or(PickleFault::Truncated)?;
            Instruction::Text(text(sized(from, length.into())?)?.into())
        }
        Opcode::BinUnicode8 => {
            let length = from.u64().ok_or(PickleFault::Truncated)?;
            Instruction::Text(text(sized(from, length)?)?.into())
        }
        Opcode::ShortBinBytes => {
            let length = from.u8().ok_or(PickleFault::Truncated)?;
            Instruction::Bytes(sized(from, length.into())?.into())
        }
        Opcode::BinBytes => {
            let length = from.u32().ok_or(PickleFault::Truncated)?;
            Instruction::Bytes(sized(from, length.into())?.into())
        }
        Opcode::BinBytes8 | Opcode::ByteArray8 => {
            let length = from.u64().ok_or(PickleFault::Truncated)?;
            Instruction::Bytes(sized(from, length)?.into())
        }
        Opcode::EmptyTuple => Instruction::EmptyTuple,
        Opcode::EmptyList => Instruction::EmptyList,
        Opcode::EmptyDict => Instruction::EmptyDict,
        Opcode::EmptySet => Instruction::EmptySet,
        Opcode::Tuple1 => Instruction::Tuple(1),
        Opcode::Tuple2 => Instruction::Tuple(2),
        Opcode::Tuple3 => Instruction::Tuple(3),
        Opcode::Tuple => Instruction::MarkedTuple,
        Opcode::List => Instruction::MarkedList,
        Opcode::Dict => Instruction::MarkedDict,
        Opcode::FrozenSet => Instruction::MarkedFrozenSet,
        Opcode::Append => Instruction::Append,
        Opcode::Appends => Instruction::Appends,
        Opcode::AddItems => Instruction::AddItems,
        Opcode::SetItem => Instruction::SetItem,
        Opcode::SetItems => Instruction::SetItems,
        Opcode::Global => Instruction::Global(line(from)?, line(from)?),
        Opcode::StackGlobal => Instruction::StackGlobal,
        Opcode::PersId => {
            line(from)?;
            Instruction::PersistentText
        }
        Opcode::BinPersId => Instruction::Persistent,
        Opcode::Reduce => Instruction::Reduce,
        Opcode::Build => Instruction::Build,
        Opcode::Inst => Instruction::Inst(line(from)?, line(from)?),
        Opcode::Obj => Instruction::Obj,
        Opcode::NewObj => Instruction::NewObj,
        Opcode::NewObjEx => Instruction::NewObjEx,
        Opcode::Get => Instruction::Get(index(from)?),
        Opcode::Put => Instruction::Put(index(from)?),
        Opcode::BinGet => Instruction::Get(from.u8().ok_or(PickleFault::Truncated)?.into()),
        Opcode::BinPut => Instruction::Put(from.u8().ok_or(PickleFault::Truncated)?.into()),
        Opcode::LongBinGet => Instruction::Get(from.u32().ok_or(PickleFault::Truncated)?),
        Opcode::LongBinPut => Instruction::Put(from.u32().ok_or(PickleFault::Truncated)?),
        Opcode::Memoize => Instruction::Memoize,
        Opcode::Ext1 | Opcode::Ext2 | Opcode::Ext4 => {
            return Err(PickleFault::Outside {
                what: "classes known by a registered number",
            });
        }
        Opcode::NextBuffer | Opcode::ReadOnlyBuffer => {
            return Err(PickleFault::Outside {
                what: "buffers that lie outside the pickle",
            });
        }
    })
}

/// A length as it stands in the file; where it exceeds the address space it exceeds the file too.
fn size(length: u64) -> Result<usize, PickleFault> {
    usize::try_from(length).map_err(|_| PickleFault::Truncated)
}

fn sized<'a>(from: &mut Cursor<'a>, length: u64) -> Result<&'a [u8], PickleFault> {
    from.take(size(length)?).ok_or(PickleFault::Truncated)
}

fn text(bytes: &[u8]) -> Result<&str, PickleFault> {
    std::str::from_utf8(bytes).map_err(|_| PickleFault::Text { encoding: "UTF-8" })
}

fn raw_line<'a>(from: &mut Cursor<'a>) -> Result<&'a [u8], PickleFault> {
    from.line().ok_or(PickleFault::Truncated)
}

fn line<'a>(from: &mut Cursor<'a>) -> Result<&'a str, PickleFault> {
    text(raw_line(from)?)
}

fn index(from: &mut Cursor<'_>) -> Result<u32, PickleFault> {
    let digits = line(from)?;
    digits.parse().map_err(|_| PickleFault::Number {
        text: shown(digits),
        expected: "number below 2^32",
    })
}

/// Python 2 did not tell text from bytes.
fn old_string(bytes: Cow<'_, [u8]>) -> Instruction<'_> {
    match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Instruction::Text(text.into()),
            Err(_) => Instruction::Bytes(bytes.into()),
        },
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Instruction::Text(text.into()),
            Err(error) => Instruction::Bytes(error.into_bytes().into()),
        },
    }
}

fn integer<'a>(digits: &str) -> Result<Instruction<'a>, PickleFault> {
    let value: i128 = digits.parse().map_err(|_| PickleFault::Number {
        text: shown(digits),
        expected: "integer of 128 bits",
    })?;
    Ok(match i64::try_from(value) {
        Ok(value) => Instruction::Int(value),
        Err(_) => Instruction::BigInt(shortest(&value.to_le_bytes()).to_vec().into()),
    })
}

fn twos_complement<'a>(
    from: &mut Cursor<'a>,
    length: usize,
) -> Result<Instruction<'a>, PickleFault> {
    if length > INTEGER_LIMIT {
        return Err(PickleFault::LongInteger {
            bytes: length,
            limit: INTEGER_LIMIT,
        });
    }
    let bytes = shortest(from.take(length).ok_or(PickleFault::Truncated)?);
    if bytes.len() > 8 {
        return Ok(Instruction::BigInt(bytes.into()));
    }
    let fill = if bytes.last().is_some_and(|&top| top >= 0x80) {
        0xFF
    } else {
        0
    };
    let mut value = [fill; 8];
    for (to, from) in value.iter_mut().zip(bytes) {
        *to = *from;
    }
    Ok(Instruction::Int(i64::from_le_bytes(value)))
}

/// Leaves out leading bytes that only repeat the sign, so that equal integers have equal bytes.
fn shortest(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., next, top] = bytes {
        let sign = if *next >= 0x80 { 0xFF } else { 0 };
        if *top != sign {
            break;
        }
        bytes = &bytes[..rest.len() + 1];
    }
    bytes
}

#[cfg(test)]
mod tests;
