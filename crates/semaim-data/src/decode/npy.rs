//! NumPy's `.npy` files as images.

use half::f16;

use super::Wanted;
use crate::error::ImageProblem;
use crate::pixels::{Pixels, Samples};

/// The bytes that every such file starts with.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// The most channels that an axis of a three-dimensional array is taken for.
const MOST_CHANNELS: usize = 16;

/// Decodes an array `[height, width]`, `[height, width, channels]` or `[channels, height, width]` of 8-bit or 16-bit whole
/// numbers from 0 on, or of floats, in either byte order and either order of axes in memory.
///
/// Of three axes, channels are the last or the first, whichever has 16 or fewer; where both have, the one with as many as are
/// wanted. Anything else is refused by name.
pub(super) fn decode(bytes: &[u8], wanted: &Wanted) -> Result<Pixels, ImageProblem> {
    let header = Header::parse(bytes).map_err(|reason| wanted.broken(reason))?;
    let Header {
        shape,
        column_major,
        kind,
        type_name,
        data,
    } = header;
    let kind = kind.ok_or_else(|| {
        wanted.unsupported(format!(
            "an array of {type_name} (uint8, uint16 and floats are read)"
        ))
    })?;
    let axes = Axes::of(&shape, wanted.channels).map_err(|reason| wanted.unsupported(reason))?;
    let count = shape
        .iter()
        .try_fold(1usize, |count, &side| count.checked_mul(side));
    let side = |axis: Option<usize>| axis.and_then(|axis| shape.get(axis)).copied().unwrap_or(1);
    let [height, width] = [side(Some(axes.height)), side(Some(axes.width))];
    let channels = side(axes.channels);
    let as_u32 = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    wanted.check_size(as_u32(width), as_u32(height))?;
    let bytes_wanted = count.and_then(|count| count.checked_mul(kind.bytes()));
    if bytes_wanted != Some(data.len()) {
        return Err(wanted.broken(format!(
            "{} bytes of data for the shape {}",
            data.len(),
            said(&shape)
        )));
    }
    if channels == 0 {
        return Err(wanted.impossible(0));
    }
    // Where the sample at (row, column, channel) is.
    let strides = strides(&shape, column_major);
    let stride = |axis: Option<usize>| {
        axis.and_then(|axis| strides.get(axis))
            .copied()
            .unwrap_or(0)
    };
    let [down, right, across] = [
        stride(Some(axes.height)),
        stride(Some(axes.width)),
        stride(axes.channels),
    ];
    let places = (0..height).flat_map(move |y| {
        (0..width).flat_map(move |x| (0..channels).map(move |c| y * down + x * right + c * across))
    });
    let samples = kind.read(data, places);
    wanted.pixels([as_u32(width), as_u32(height)], channels, samples)
}

/// Which axis is which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axes {
    height: usize,
    width: usize,
    channels: Option<usize>,
}

impl Axes {
    fn of(shape: &[usize], wanted: Option<usize>) -> Result<Self, String> {
        let last = Self {
            height: 0,
            width: 1,
            channels: Some(2),
        };
        let first = Self {
            height: 1,
            width: 2,
            channels: Some(0),
        };
        match *shape {
            [_, _] => Ok(Self {
                channels: None,
                ..last
            }),
            [a, _, c] => match (a <= MOST_CHANNELS, c <= MOST_CHANNELS) {
                (false, true) => Ok(last),
                (true, false) => Ok(first),
                (true, true) if a == c || (wanted != Some(a) && wanted != Some(c)) => Err(format!(
                    "an array of the shape {}, of which the first axis may be its channels or the last",
                    said(shape)
                )),
                (true, true) if wanted == Some(c) => Ok(last),
                (true, true) => Ok(first),
                (false, false) => Err(format!(
                    "an array of the shape {}, of which neither the first nor the last axis has {MOST_CHANNELS} channels or fewer",
                    said(shape)
                )),
            },
            [_, _, _, _] => Err(format!(
                "an array of the shape {}, several images (one image per file is read)",
                said(shape)
            )),
            _ => Err(format!(
                "an array of the shape {} ([height, width], [height, width, channels] and [channels, height, width] are read)",
                said(shape)
            )),
        }
    }
}

/// A shape as NumPy prints it.
fn said(shape: &[usize]) -> String {
    let sides: Vec<String> = shape.iter().map(usize::to_string).collect();
    match &sides[..] {
        [only] => format!("({only},)"),
        sides => format!("({})", sides.join(", ")),
    }
}

/// How many samples apart neighbors along each axis are.
fn strides(shape: &[usize], column_major: bool) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    let mut step = 1usize;
    let order: Vec<usize> = match column_major {
        true => (0..shape.len()).collect(),
        false => (0..shape.len()).rev().collect(),
    };
    for axis in order {
        strides[axis] = step;
        step = step.saturating_mul(shape[axis]);
    }
    strides
}

/// A type of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    U8,
    U16 { big: bool },
    F16 { big: bool },
    F32 { big: bool },
    F64 { big: bool },
}

impl Kind {
    fn of(descr: &str) -> Option<Self> {
        let (order, kind) = descr.split_at_checked(1)?;
        let big = match order {
            "<" | "|" => false,
            ">" => true,
            "=" => cfg!(target_endian = "big"),
            _ => return None,
        };
        Some(match kind {
            "u1" => Self::U8,
            "u2" => Self::U16 { big },
            "f2" => Self::F16 { big },
            "f4" => Self::F32 { big },
            "f8" => Self::F64 { big },
            _ => return None,
        })
    }

    fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 { .. } | Self::F16 { .. } => 2,
            Self::F32 { .. } => 4,
            Self::F64 { .. } => 8,
        }
    }

    /// The samples at these places.
    fn read(self, data: &[u8], places: impl Iterator<Item = usize>) -> Samples {
        fn sample<const N: usize>(data: &[u8], place: usize, big: bool) -> [u8; N] {
            let mut bytes = [0; N];
            if let Some(from) = data.get(place * N..(place + 1) * N) {
                bytes.copy_from_slice(from);
            }
            if big {
                bytes.reverse();
            }
            bytes
        }
        match self {
            Self::U8 => {
                let at = |place| sample::<1>(data, place, false)[0];
                Samples::U8(places.map(at).collect())
            }
            Self::U16 { big } => {
                let at = |place| u16::from_le_bytes(sample(data, place, big));
                Samples::U16(places.map(at).collect())
            }
            Self::F16 { big } => {
                let at = |place| f16::from_le_bytes(sample(data, place, big)).to_f32();
                Samples::F32(places.map(at).collect())
            }
            Self::F32 { big } => {
                let at = |place| f32::from_le_bytes(sample(data, place, big));
                Samples::F32(places.map(at).collect())
            }
            Self::F64 { big } => {
                let at = |place| f64::from_le_bytes(sample(data, place, big)) as f32;
                Samples::F32(places.map(at).collect())
            }
        }
    }
}

/// What stands before the numbers.
struct Header<'a> {
    shape: Vec<usize>,
    column_major: bool,
    /// `None` for a type that is not read.
    kind: Option<Kind>,
    /// What the file calls its type.
    type_name: String,
    data: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let cut = || "it ends within its header".to_owned();
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(cut)?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
        let (length, rest) = match version[0] {
            1 => {
                let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
                (usize::from(u16::from_le_bytes(*length)), rest)
            }
            2 | 3 => {
                let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
                (u32::from_le_bytes(*length) as usize, rest)
            }
            other => return Err(format!("version {other} of the format is not known")),
        };
        let (text, data) = rest.split_at_checked(length).ok_or_else(cut)?;
        let text = std::str::from_utf8(text).map_err(|_| "its header is no text".to_owned())?;
        let missing = |key: &str| format!("its header has no `{key}`: {}", text.trim());
        let descr = value(text, "descr").ok_or_else(|| missing("descr"))?;
        let descr = descr
            .strip_prefix(['\'', '"'])
            .and_then(|rest| rest.split(['\'', '"']).next())
            // A list of fields, which no image is.
            .unwrap_or("several fields");
        let column_major = value(text, "fortran_order").ok_or_else(|| missing("fortran_order"))?;
        let shape = value(text, "shape")
            .and_then(|rest| rest.strip_prefix('(')?.split(')').next())
            .ok_or_else(|| missing("shape"))?;
        let sides = shape.split(',').map(str::trim);
        let shape: Result<Vec<usize>, _> = sides
            .filter(|side| !side.is_empty())
            .map(str::parse)
            .collect();
        Ok(Self {
            shape: shape.map_err(|_| missing("shape"))?,
            column_major: column_major.starts_with("True"),
            kind: Kind::of(descr),
            type_name: type_name(descr),
            data,
        })
    }
}

/// What NumPy calls a type.
fn type_name(descr: &str) -> String {
    let bits = |kind: &str| Some(8 * kind.get(1..)?.parse::<u32>().ok()?);
    let plain = descr.trim_start_matches(['<', '>', '|', '=']);
    let name = match plain.as_bytes().first() {
        Some(b'i') => "int",
        Some(b'u') => "uint",
        Some(b'f') => "float",
        Some(b'c') => "complex",
        Some(b'b') => return "bool".to_owned(),
        _ => return format!("the type `{descr}`"),
    };
    match bits(plain) {
        Some(bits) => format!("{name}{bits}"),
        None => format!("the type `{descr}`"),
    }
}

/// What follows a key of a header, which is a dictionary as Python writes it.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let quoted = ['\'', '"'].map(|quote| format!("{quote}{key}{quote}"));
    let at = quoted
        .iter()
        .find_map(|key| Some(header.find(key)? + key.len()))?;
    Some(
        header
            .get(at..)?
            .trim_start()
            .strip_prefix(':')?
            .trim_start(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(shape: &[usize], wanted: usize) -> Result<Axes, String> {
        Axes::of(shape, Some(wanted))
    }

    #[test]
    fn channels_are_the_short_axis_or_the_one_that_fits() {
        let last = |shape: &[usize], wanted| axes(shape, wanted).unwrap().channels == Some(2);
        assert!(last(&[64, 48, 5], 3) && last(&[64, 48, 16], 16) && last(&[64, 7, 1], 3));
        assert!(!last(&[5, 64, 48], 3) && !last(&[1, 64, 64], 1));
        assert!(last(&[12, 64, 3], 3) && !last(&[12, 64, 3], 12));
        assert_eq!(axes(&[64, 48], 1).unwrap().channels, None);
        for shape in [
            &[3, 64, 3][..],
            &[4, 4, 4],
            &[12, 64, 7],
            &[64, 48, 17],
            &[2, 64, 48, 3],
            &[64],
            &[],
        ] {
            assert!(axes(shape, 3).is_err(), "{shape:?}");
        }
    }

    #[test]
    fn headers_are_read_however_they_are_written_and_cut() {
        let text = "{\"descr\" : \"|u1\",'shape':(2,3,),\"fortran_order\": True}\n";
        let mut file = MAGIC.to_vec();
        file.extend([2, 0]);
        file.extend((text.len() as u32).to_le_bytes());
        file.extend(text.bytes());
        file.extend([1, 2, 3, 4, 5, 6]);
        let header = Header::parse(&file).unwrap();
        assert_eq!(header.shape, [2, 3]);
        assert!(header.column_major && header.kind == Some(Kind::U8));
        assert_eq!(header.data, [1, 2, 3, 4, 5, 6]);
        assert_eq!(strides(&header.shape, true), [1, 2]);
        assert_eq!(strides(&[4, 2, 3], false), [6, 3, 1]);
        for end in 0..file.len() - 6 {
            assert!(Header::parse(&file[..end]).is_err());
        }
        for (descr, name) in [("<i8", "int64"), ("|b1", "bool"), ("<c16", "complex128")] {
            assert_eq!((Kind::of(descr), type_name(descr).as_str()), (None, name));
        }
    }
}
