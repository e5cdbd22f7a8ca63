//! The segments of a file: what stands before each scan.

use crate::error::JpegError;
use crate::huffman::Code;
use crate::standard_tables;

const START_OF_IMAGE: [u8; 2] = [0xFF, 0xD8];

/// The most blocks that a unit of a scan of several components may have.
const MOST_BLOCKS: usize = 10;

/// What the samples of the components are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colors {
    /// One component, luma.
    Gray,
    /// Luma and two differences of color.
    YCbCr,
    /// Red, green and blue.
    Rgb,
    /// Cyan, magenta, yellow and black, 255 for no ink.
    Cmyk,
    /// The first three of those as luma and differences of color.
    Ycck,
}

/// How the coefficients are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// Block by block (baseline, extended).
    Sequential,
    /// In several scans, from coarse to fine.
    Progressive,
}

/// A component of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Component {
    id: u8,
    /// Blocks per unit, across and down: 1 to 4 each.
    pub(crate) blocks: [usize; 2],
    /// The number of its quantization table.
    table: usize,
}

/// A component of a scan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanned<'a> {
    /// Its place among the components of the picture.
    pub(crate) component: usize,
    /// What its coefficients were divided by, in zigzag order.
    pub(crate) steps: [u16; 64],
    /// The code of the constant parts.
    pub(crate) constant: Option<Code<'a>>,
    /// The code of the other coefficients.
    pub(crate) varying: Option<Code<'a>>,
}

/// The start of a scan.
#[derive(Clone, Debug)]
pub(crate) struct Scan<'a> {
    pub(crate) components: Vec<Scanned<'a>>,
    /// The first and the last coefficient, in zigzag order. Meaningful in the progressive process.
    pub(crate) band: [usize; 2],
    /// The bit before which the coefficients are known and down to which they are told. Meaningful in the progressive
    /// process.
    pub(crate) bits: [u32; 2],
    /// Units between restart markers; 0 means there are none.
    pub(crate) restart_interval: usize,
    /// Where the coded data start.
    pub(crate) data: usize,
}

/// A file whose segments before the picture are read.
#[derive(Clone, Debug)]
pub struct Jpeg<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) size: [u32; 2],
    pub(crate) process: Process,
    pub(crate) components: Vec<Component>,
    pub(crate) colors: Colors,
    pub(crate) first: Scan<'a>,
    segments: Segments<'a>,
}

/// The start of a frame.
#[derive(Clone, Debug)]
struct Frame {
    size: [u32; 2],
    process: Process,
    components: Vec<Component>,
}

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segments<'a> {
    steps: [Option<[u16; 64]>; 4],
    /// Those of the constant parts, then the others.
    codes: [[Option<Code<'a>>; 4]; 2],
    frame: Option<Frame>,
    restart_interval: usize,
    exif: Option<&'a [u8]>,
    xmp: Option<&'a [u8]>,
    jfif: bool,
    /// The transform in an Adobe segment.
    adobe: Option<u8>,
}

impl<'a> Jpeg<'a> {
    /// Reads the segments up to the first scan.
    ///
    /// # Errors
    ///
    /// [`JpegError::Unsupported`] for files of a kind that is not decoded, [`JpegError::Damaged`] and [`JpegError::CutOff`]
    /// for files that are not whole.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JpegError> {
        if !bytes.starts_with(&START_OF_IMAGE) {
            return Err(JpegError::damaged("it does not start as a JPEG"));
        }
        let mut segments = Segments::default();
        let Some(first) = segments.next_scan(bytes, START_OF_IMAGE.len())? else {
            return Err(JpegError::damaged(
                "there is no picture before the end marker",
            ));
        };
        let Some(frame) = segments.frame.clone() else {
            return Err(JpegError::damaged("a scan comes before the frame"));
        };
        let colors = segments.colors(&frame.components)?;
        Ok(Self {
            bytes,
            size: frame.size,
            process: frame.process,
            components: frame.components,
            colors,
            first,
            segments,
        })
    }

    /// Columns and rows of the picture as it is stored, at least 1.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// Components in the file: 1, 3 or 4.
    pub fn components(&self) -> usize {
        self.components.len()
    }

    /// The first EXIF data, without their prefix `Exif\0\0`.
    pub fn exif(&self) -> Option<&'a [u8]> {
        self.segments.exif
    }

    /// The first XMP packet.
    pub fn xmp(&self) -> Option<&'a [u8]> {
        self.segments.xmp
    }

    /// Whether an end marker follows the first scan.
    ///
    /// Coded data cannot contain it, but a thumbnail before the scan has its own.
    pub(crate) fn has_end(&self) -> bool {
        let scan = self.bytes.get(self.first.data..).unwrap_or_default();
        scan.windows(2)
            .rposition(|pair| pair == [0xFF, 0xD9])
            .is_some()
    }

    /// The scans, one after the other.
    pub(crate) fn scans(&self) -> Scans<'_, 'a> {
        Scans {
            jpeg: self,
            segments: self.segments.clone(),
            next: Some(self.first.clone()),
        }
    }
}

/// The scans of a file.
pub(crate) struct Scans<'j, 'a> {
    jpeg: &'j Jpeg<'a>,
    segments: Segments<'a>,
    next: Option<Scan<'a>>,
}

impl<'a> Scans<'_, 'a> {
    /// The next scan; `None` at the end marker.
    pub(crate) fn next(&mut self) -> Result<Option<Scan<'a>>, JpegError> {
        let Some(scan) = self.next.take() else {
            return Ok(None);
        };
        let bytes = self.jpeg.bytes;
        let end = end_of_scan(bytes, scan.data).ok_or(JpegError::CutOff)?;
        self.next = self.segments.next_scan(bytes, end)?;
        Ok(Some(scan))
    }
}

/// Where the first marker after coded data is that is no restart marker.
fn end_of_scan(bytes: &[u8], data: usize) -> Option<usize> {
    let is_end = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xD0..=0xD7 | 0xFF);
    let found = bytes.get(data..)?.windows(2).position(is_end)?;
    Some(data + found)
}

fn frame(process: Process, body: &[u8]) -> Result<Frame, JpegError> {
    let [precision, h1, h0, w1, w0, count, components @ ..] = body else {
        return Err(JpegError::damaged("the frame is too short"));
    };
    if *precision != 8 {
        return Err(JpegError::unsupported(format!(
            "a JPEG with samples of {precision} bits"
        )));
    }
    let size = [[*w1, *w0], [*h1, *h0]].map(|side| u32::from(u16::from_be_bytes(side)));
    if size[1] == 0 && size[0] > 0 {
        return Err(JpegError::unsupported(
            "a JPEG whose number of rows is told after the picture",
        ));
    }
    let (components, rest) = components.as_chunks::<3>();
    if components.len() != usize::from(*count) || !rest.is_empty() {
        return Err(JpegError::damaged(
            "the frame has another length than it says",
        ));
    }
    let components: Vec<Component> = components
        .iter()
        .map(|&[id, blocks, table]| Component {
            id,
            blocks: [blocks >> 4, blocks & 15].map(usize::from),
            table: usize::from(table),
        })
        .collect();
    if components
        .iter()
        .any(|c| c.blocks.iter().any(|n| !(1..=4).contains(n)))
    {
        return Err(JpegError::damaged("a sampling factor is not from 1 to 4"));
    }
    Ok(Frame {
        size,
        process,
        components,
    })
}

impl<'a> Segments<'a> {
    /// Walks over the segments from `at` on to the next scan; `None` when the end marker comes first.
    fn next_scan(&mut self, bytes: &'a [u8], mut at: usize) -> Result<Option<Scan<'a>>, JpegError> {
        let byte = |at: usize| bytes.get(at).copied().ok_or(JpegError::CutOff);
        loop {
            // What stands between segments and is no marker is passed over, as libjpeg does.
            while byte(at)? != 0xFF {
                at += 1;
            }
            while byte(at)? == 0xFF {
                at += 1;
            }
            let marker = byte(at)?;
            match marker {
                0xD9 => return Ok(None),
                // Stuffing and markers without a segment.
                0x00 | 0x01 | 0xD0..=0xD7 => continue,
                0xD8 => {
                    return Err(JpegError::damaged(
                        "a second picture starts inside the first",
                    ));
                }
                _ => {}
            }
            let length = [byte(at + 1)?, byte(at + 2)?];
            let length = usize::from(u16::from_be_bytes(length));
            if length < 2 {
                return Err(JpegError::damaged("a segment has no length"));
            }
            let end = at + 1 + length;
            let body = bytes.get(at + 3..end).ok_or(JpegError::CutOff)?;
            at = end;
            match marker {
                0xDA => return self.scan(body, end).map(Some),
                0xC0..=0xC2 if self.frame.is_none() => {
                    let process = match marker {
                        0xC2 => Process::Progressive,
                        _ => Process::Sequential,
                    };
                    self.frame = Some(frame(process, body)?);
                }
                0xC0..=0xC2 => return Err(JpegError::damaged("there are two frames")),
                0xC3 | 0xCB => return Err(JpegError::unsupported("a lossless JPEG")),
                0xC9 | 0xCA => {
                    return Err(JpegError::unsupported("a JPEG with arithmetic coding"));
                }
                0xC5..=0xC7 | 0xCD..=0xCF | 0xDE | 0xDF => {
                    return Err(JpegError::unsupported("a hierarchical JPEG"));
                }
                0xC4 => self
                    .codes(body)
                    .ok_or_else(|| JpegError::damaged("a Huffman table is damaged"))?,
                0xDB => self
                    .steps(body)
                    .ok_or_else(|| JpegError::damaged("a quantization table is damaged"))?,
                0xDD => {
                    let interval = *body
                        .as_array()
                        .ok_or_else(|| JpegError::damaged("the restart interval is damaged"))?;
                    self.restart_interval = usize::from(u16::from_be_bytes(interval));
                }
                0xE0 => self.jfif |= body.len() >= 14 && body.starts_with(b"JFIF\0"),
                0xE1 => self.metadata(body),
                0xEE => {
                    if body.len() >= 12 && body.starts_with(b"Adobe") {
                        self.adobe = body.get(11).copied();
                    }
                }
                0xE2..=0xED | 0xEF | 0xFE | 0xCC | 0xDC => {}
                _ => {
                    return Err(JpegError::damaged(format!(
                        "there is no marker {marker:#04X}"
                    )));
                }
            }
        }
    }

    fn metadata(&mut self, body: &'a [u8]) {
        if let Some(exif) = body.strip_prefix(b"Exif\0\0") {
            self.exif.get_or_insert(exif);
        } else if let Some(xmp) = body.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
            self.xmp.get_or_insert(xmp);
        }
    }

    /// What the components are, by the rules of libjpeg: a JFIF segment decides, then an Adobe segment, then the ids.
    fn colors(&self, components: &[Component]) -> Result<Colors, JpegError> {
        let ids: Vec<u8> = components.iter().map(|component| component.id).collect();
        match (ids.len(), self.adobe) {
            (1, _) => Ok(Colors::Gray),
            (3, _) if self.jfif => Ok(Colors::YCbCr),
            (3, Some(0)) => Ok(Colors::Rgb),
            (3, Some(_)) => Ok(Colors::YCbCr),
            (3, None) if ids == *b"RGB" => Ok(Colors::Rgb),
            (3, None) => Ok(Colors::YCbCr),
            (4, None | Some(0)) => Ok(Colors::Cmyk),
            (4, Some(_)) => Ok(Colors::Ycck),
            (count, _) => Err(JpegError::unsupported(format!(
                "a JPEG of {count} components"
            ))),
        }
    }

    /// Quantization tables.
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

    /// The start of a scan.
    fn scan(&mut self, body: &[u8], data: usize) -> Result<Scan<'a>, JpegError> {
        let damaged = || JpegError::damaged("the start of a scan is damaged");
        let frame = self
            .frame
            .as_ref()
            .ok_or_else(|| JpegError::damaged("a scan comes before the frame"))?;
        let (&count, body) = body.split_first().ok_or_else(damaged)?;
        let (tables, rest) = body
            .split_at_checked(2 * usize::from(count))
            .ok_or_else(damaged)?;
        let &[first, last, bits] = rest.as_array().ok_or_else(damaged)?;
        let (tables, _) = tables.as_chunks::<2>();
        let mut components: Vec<Scanned<'a>> = Vec::with_capacity(tables.len());
        for &[id, tables] in tables {
            // Ids may be given twice: the first that is not taken yet is meant.
            let taken = |place: usize| components.iter().any(|c| c.component == place);
            let component = (0..frame.components.len())
                .find(|&place| frame.components[place].id == id && !taken(place))
                .ok_or_else(|| {
                    JpegError::damaged("a scan has a component that is not of the picture")
                })?;
            let steps = self.steps.get(frame.components[component].table);
            let steps = steps
                .copied()
                .flatten()
                .ok_or_else(|| JpegError::damaged("a quantization table is missing"))?;
            let code = |class: usize, number: u8| {
                let number = usize::from(number);
                let own = self.codes[class].get(number).copied().flatten();
                own.or_else(|| standard_tables::CODES[class].get(number).copied().flatten())
            };
            components.push(Scanned {
                component,
                steps,
                constant: code(0, tables >> 4),
                varying: code(1, tables & 15),
            });
        }
        let blocks =
            |c: &Scanned<'_>| -> usize { frame.components[c.component].blocks.iter().product() };
        let blocks: usize = components.iter().map(blocks).sum();
        if components.is_empty() || (components.len() > 1 && blocks > MOST_BLOCKS) {
            return Err(damaged());
        }
        Ok(Scan {
            components,
            band: [first, last].map(usize::from),
            bits: [bits >> 4, bits & 15].map(u32::from),
            restart_interval: self.restart_interval,
            data,
        })
    }
}

#[cfg(test)]
mod tests;
