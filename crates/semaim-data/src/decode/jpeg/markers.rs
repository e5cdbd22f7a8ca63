//! The segments before the coded data.

use image::metadata::Orientation;

use super::huffman::Code;

const START_OF_IMAGE: [u8; 2] = [0xFF, 0xD8];
const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];

/// What the samples of the components are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    /// One component, luma.
    Grey,
    /// Luma and two differences of colour.
    YCbCr,
    /// Red, green and blue.
    Rgb,
}

/// A component of the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Component<'a> {
    id: u8,
    /// Blocks per unit, across and down: 1 to 4 each.
    pub(super) blocks: [usize; 2],
    /// What its coefficients were divided by, in zigzag order.
    pub(super) steps: [u16; 64],
    /// The code of the constant parts.
    pub(super) constant: Code<'a>,
    /// The code of the other coefficients.
    pub(super) varying: Code<'a>,
}

/// All that the segments before a sequential 8-bit scan of one or three components say.
#[derive(Debug)]
pub(super) struct Header<'a> {
    /// Columns and rows as stored, at least 1.
    pub(super) size: [u32; 2],
    pub(super) components: Vec<Component<'a>>,
    pub(super) colours: Colours,
    /// Units between restart markers; 0 means there are none.
    pub(super) restart_interval: usize,
    pub(super) orientation: Orientation,
    /// Where the coded data start.
    pub(super) scan: usize,
}

/// The start of a frame: size, and per component its id, blocks and number of the quantisation table.
type Frame = ([u32; 2], Vec<(u8, [usize; 2], usize)>);

/// What was found so far.
struct Segments<'a> {
    steps: [Option<[u16; 64]>; 4],
    /// Those of the constant parts, then the others.
    codes: [[Option<Code<'a>>; 4]; 2],
    frame: Option<Frame>,
    restart_interval: usize,
    orientation: Orientation,
    /// The transform in an Adobe segment.
    adobe: Option<u8>,
}

impl<'a> Header<'a> {
    /// Walks over the segments up to the first scan. `None` when this is not the simple kind of file that it
    /// describes, or anything is unusual.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        if !bytes.starts_with(&START_OF_IMAGE) {
            return None;
        }
        let mut found = Segments {
            steps: [None; 4],
            codes: [[None; 4]; 2],
            frame: None,
            restart_interval: 0,
            orientation: Orientation::NoTransforms,
            adobe: None,
        };
        let mut at = 2;
        loop {
            if *bytes.get(at)? != 0xFF {
                return None;
            }
            while *bytes.get(at)? == 0xFF {
                at += 1;
            }
            let marker = *bytes.get(at)?;
            let length = [*bytes.get(at + 1)?, *bytes.get(at + 2)?];
            let end = at + 1 + usize::from(u16::from_be_bytes(length));
            let body = bytes.get(at + 3..end)?;
            at = end;
            match marker {
                0xDA => return found.scan(body, end),
                0xC0 | 0xC1 if found.frame.is_none() => found.frame = Some(frame(body)?),
                0xC4 => found.codes(body)?,
                0xDB => found.steps(body)?,
                0xDD => {
                    let interval = *body.as_array()?;
                    found.restart_interval = usize::from(u16::from_be_bytes(interval));
                }
                0xE1 => {
                    if let Some(exif) = body.strip_prefix(b"Exif\0\0") {
                        found.orientation =
                            Orientation::from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms);
                    }
                }
                0xEE => {
                    if let Some(adobe) = body.strip_prefix(b"Adobe") {
                        found.adobe = Some(*adobe.get(6)?);
                    }
                }
                0xE0..=0xEF | 0xFE => {}
                _ => return None,
            }
        }
    }

    /// Whether an end marker follows the coded data.
    pub(super) fn has_end(&self, bytes: &[u8]) -> bool {
        bytes
            .get(self.scan..)
            .is_some_and(|scan| last_end(scan).is_some())
    }
}

/// Where the last end marker is.
pub(super) fn last_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).rposition(|pair| pair == END_OF_IMAGE)
}

fn frame(body: &[u8]) -> Option<Frame> {
    let [8, h1, h0, w1, w0, count, components @ ..] = body else {
        return None;
    };
    let size = [[*w1, *w0], [*h1, *h0]].map(|side| u32::from(u16::from_be_bytes(side)));
    let (components, rest) = components.as_chunks::<3>();
    if size.contains(&0) || components.len() != usize::from(*count) || !rest.is_empty() {
        return None;
    }
    let components = components.iter().map(|&[id, blocks, table]| {
        let blocks = [blocks >> 4, blocks & 15].map(usize::from);
        (id, blocks, usize::from(table))
    });
    Some((size, components.collect()))
}

impl<'a> Segments<'a> {
    /// Quantisation tables.
    fn steps(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = body.split_first() {
            let place = self.steps.get_mut(usize::from(kind & 15))?;
            match kind >> 4 {
                0 => {
                    let (steps, rest) = rest.split_first_chunk::<64>()?;
                    *place = Some(steps.map(u16::from));
                    body = rest;
                }
                1 => {
                    let (steps, rest) = rest.split_first_chunk::<128>()?;
                    let (steps, _) = steps.as_chunks::<2>();
                    let steps: &[[u8; 2]; 64] = steps.as_array()?;
                    *place = Some(steps.map(u16::from_be_bytes));
                    body = rest;
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// Huffman tables.
    fn codes(&mut self, mut body: &'a [u8]) -> Option<()> {
        while let Some((&kind, rest)) = body.split_first() {
            let codes = self.codes.get_mut(usize::from(kind >> 4))?;
            let place = codes.get_mut(usize::from(kind & 15))?;
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            *place = Some(Code { counts, symbols });
            body = rest;
        }
        Some(())
    }

    /// The start of a scan, which must hold all components in their order.
    fn scan(self, body: &[u8], scan: usize) -> Option<Header<'a>> {
        let (size, frame) = self.frame?;
        let (&count, body) = body.split_first()?;
        let (tables, rest) = body.split_at_checked(2 * usize::from(count))?;
        let (tables, _) = tables.as_chunks::<2>();
        if tables.len() != frame.len() || rest != [0, 63, 0] {
            return None;
        }
        let mut components = Vec::with_capacity(frame.len());
        for (&(id, blocks, steps), &[scanned, tables]) in frame.iter().zip(tables) {
            let allowed = blocks.iter().all(|n| matches!(n, 1 | 2 | 4));
            if scanned != id || !allowed || components.iter().any(|c: &Component<'_>| c.id == id) {
                return None;
            }
            components.push(Component {
                id,
                blocks,
                steps: (*self.steps.get(steps)?)?,
                constant: (*self.codes[0].get(usize::from(tables >> 4))?)?,
                varying: (*self.codes[1].get(usize::from(tables & 15))?)?,
            });
        }
        let ids: Vec<u8> = components.iter().map(|component| component.id).collect();
        let colours = match (components.len(), self.adobe) {
            (1, _) => Colours::Grey,
            (3, _) if ids == *b"RGB" => Colours::Rgb,
            (3, Some(0)) => Colours::Rgb,
            (3, None | Some(1)) => Colours::YCbCr,
            _ => return None,
        };
        // The standard allows no more blocks in a unit, and where a scan has one component its blocks come row by row.
        let blocks: usize = components.iter().map(|c| c.blocks[0] * c.blocks[1]).sum();
        if let [only] = &mut components[..] {
            only.blocks = [1, 1];
        } else if blocks > 10 {
            return None;
        }
        Some(Header {
            size,
            components,
            colours,
            restart_interval: self.restart_interval,
            orientation: self.orientation,
            scan,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![0xFF, marker];
        out.extend((body.len() as u16 + 2).to_be_bytes());
        out.extend(body);
        out
    }

    /// The start of a file of three components with ids 1, 2 and 3, with `extra` before the frame.
    fn start(frame_marker: u8, precision: u8, extra: &[u8]) -> Vec<u8> {
        let mut code = vec![0];
        code.extend([1; 16]);
        code.extend(0..16);
        let mut varying = code.clone();
        varying[0] = 0x10;
        [
            &[0xFF, 0xD8][..],
            &segment(0xDB, &[[0].as_slice(), &[2; 64]].concat()),
            &segment(0xC4, &[code, varying].concat()),
            extra,
            &segment(
                frame_marker,
                &[precision, 0, 5, 0, 7, 3, 1, 0x21, 0, 2, 0x11, 0, 3, 0x11, 0],
            ),
            &segment(0xDA, &[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]),
        ]
        .concat()
    }

    #[test]
    fn the_simple_kind() {
        let bytes = start(0xC0, 8, &segment(0xDD, &[1, 2]));
        let header = Header::parse(&bytes).unwrap();
        assert_eq!(header.size, [7, 5]);
        assert_eq!(header.components.len(), 3);
        assert_eq!(header.components[0].blocks, [2, 1]);
        assert_eq!(header.components[2].steps, [2; 64]);
        assert_eq!(header.colours, Colours::YCbCr);
        assert_eq!(header.restart_interval, 258);
        assert_eq!(header.scan, bytes.len());
        assert!(!header.has_end(&bytes));
        assert!(header.has_end(&[&bytes[..], &[9, 0xFF, 0xD9]].concat()));
        let adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0\0");
        let bytes = start(0xC1, 8, &adobe);
        assert_eq!(Header::parse(&bytes).unwrap().colours, Colours::Rgb);
    }

    #[test]
    fn everything_else() {
        // Progressive, arithmetic coding, 12 bits, an unknown transform, an unknown segment.
        for bytes in [
            start(0xC2, 8, &[]),
            start(0xC9, 8, &[]),
            start(0xC1, 12, &[]),
            start(0xC0, 8, &segment(0xEE, b"Adobe\0\x64\0\0\0\0\x07")),
            start(0xC0, 8, &segment(0xDC, &[0, 5])),
        ] {
            assert!(Header::parse(&bytes).is_none());
        }
        let bytes = start(0xC0, 8, &[]);
        for end in 0..bytes.len() {
            assert!(Header::parse(&bytes[..end]).is_none(), "{end}");
        }
    }
}
