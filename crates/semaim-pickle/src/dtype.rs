//! The types of elements.

use std::fmt;

use half::{bf16, f16};

/// The type of a tensor's elements, by PyTorch's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE double precision.
    F64,
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
    /// 64 bits, signed.
    I64,
    /// 32 bits, signed.
    I32,
    /// 16 bits, signed.
    I16,
    /// 8 bits, signed.
    I8,
    /// 64 bits, unsigned.
    U64,
    /// 32 bits, unsigned.
    U32,
    /// 16 bits, unsigned.
    U16,
    /// 8 bits, unsigned.
    U8,
    /// One byte, 0 or not.
    Bool,
    /// A type whose numbers are not read, by its name.
    Unread(&'static str),
}

/// Names of PyTorch's types, what its storage classes call them, and bytes of an element.
const TYPES: [(&str, &str, Dtype, usize); 24] = [
    ("float64", "DoubleStorage", Dtype::F64, 8),
    ("float32", "FloatStorage", Dtype::F32, 4),
    ("float16", "HalfStorage", Dtype::F16, 2),
    ("bfloat16", "BFloat16Storage", Dtype::Bf16, 2),
    ("int64", "LongStorage", Dtype::I64, 8),
    ("int32", "IntStorage", Dtype::I32, 4),
    ("int16", "ShortStorage", Dtype::I16, 2),
    ("int8", "CharStorage", Dtype::I8, 1),
    ("uint64", "", Dtype::U64, 8),
    ("uint32", "", Dtype::U32, 4),
    ("uint16", "", Dtype::U16, 2),
    ("uint8", "ByteStorage", Dtype::U8, 1),
    ("bool", "BoolStorage", Dtype::Bool, 1),
    (
        "complex128",
        "ComplexDoubleStorage",
        Dtype::Unread("complex128"),
        16,
    ),
    (
        "complex64",
        "ComplexFloatStorage",
        Dtype::Unread("complex64"),
        8,
    ),
    (
        "complex32",
        "ComplexHalfStorage",
        Dtype::Unread("complex32"),
        4,
    ),
    ("float8_e4m3fn", "", Dtype::Unread("float8_e4m3fn"), 1),
    ("float8_e4m3fnuz", "", Dtype::Unread("float8_e4m3fnuz"), 1),
    ("float8_e5m2", "", Dtype::Unread("float8_e5m2"), 1),
    ("float8_e5m2fnuz", "", Dtype::Unread("float8_e5m2fnuz"), 1),
    ("float8_e8m0fnu", "", Dtype::Unread("float8_e8m0fnu"), 1),
    ("qint8", "QInt8Storage", Dtype::Unread("qint8"), 1),
    ("quint8", "QUInt8Storage", Dtype::Unread("quint8"), 1),
    ("qint32", "QInt32Storage", Dtype::Unread("qint32"), 4),
];

impl Dtype {
    /// The size of one element in bytes; `None` for a type that is not known.
    pub fn size(self) -> Option<usize> {
        TYPES
            .iter()
            .find(|(.., dtype, _)| *dtype == self)
            .map(|(.., size)| *size)
    }

    /// The name that PyTorch gives the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unread(name) => name,
            read => TYPES
                .iter()
                .find(|(.., dtype, _)| *dtype == read)
                .map_or("", |(name, ..)| name),
        }
    }

    /// Whether its numbers are read.
    pub fn is_read(self) -> bool {
        !matches!(self, Self::Unread(_))
    }

    /// The type by its name in PyTorch.
    pub(crate) fn of_name(name: &str) -> Self {
        let found = TYPES.iter().find(|(of, ..)| *of == name);
        found.map_or(
            Self::Unread("a type that is not known"),
            |(_, _, dtype, _)| *dtype,
        )
    }

    /// The type of one of PyTorch's storage classes.
    pub(crate) fn of_storage(class: &str) -> Self {
        let found = TYPES
            .iter()
            .find(|(_, of, ..)| *of == class && !of.is_empty());
        found.map_or(
            Self::Unread("a type that is not known"),
            |(_, _, dtype, _)| *dtype,
        )
    }

    /// Numbers of this type, one after the other, as `f32`; empty for a type that is not read.
    pub fn to_f32(self, bytes: &[u8], big_endian: bool) -> Vec<f32> {
        fn each<const N: usize>(
            bytes: &[u8],
            big_endian: bool,
            number: impl Fn([u8; N]) -> f32,
        ) -> Vec<f32> {
            let numbers = bytes.as_chunks::<N>().0.iter();
            match big_endian {
                false => numbers.map(|b| number(*b)).collect(),
                true => numbers
                    .map(|b| {
                        let mut b = *b;
                        b.reverse();
                        number(b)
                    })
                    .collect(),
            }
        }
        let big = big_endian;
        match self {
            Self::F64 => each(bytes, big, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => each(bytes, big, f32::from_le_bytes),
            Self::F16 => each(bytes, big, |b| f16::from_le_bytes(b).to_f32()),
            Self::Bf16 => each(bytes, big, |b| bf16::from_le_bytes(b).to_f32()),
            Self::I64 => each(bytes, big, |b| i64::from_le_bytes(b) as f32),
            Self::I32 => each(bytes, big, |b| i32::from_le_bytes(b) as f32),
            Self::I16 => each(bytes, big, |b| f32::from(i16::from_le_bytes(b))),
            Self::I8 => each(bytes, big, |b: [u8; 1]| f32::from(b[0] as i8)),
            Self::U64 => each(bytes, big, |b| u64::from_le_bytes(b) as f32),
            Self::U32 => each(bytes, big, |b| u32::from_le_bytes(b) as f32),
            Self::U16 => each(bytes, big, |b| f32::from(u16::from_le_bytes(b))),
            Self::U8 => each(bytes, big, |b: [u8; 1]| f32::from(b[0])),
            Self::Bool => each(bytes, big, |b: [u8; 1]| f32::from(u8::from(b[0] != 0))),
            Self::Unread(_) => Vec::new(),
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
