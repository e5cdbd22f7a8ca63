//! A writer of zip archives, good and bad.

/// One entry as it will stand in the archive.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
    /// What the directory says of its size once inflated.
    pub(crate) size: u64,
    pub(crate) deflated: bool,
    pub(crate) flags: u16,
    pub(crate) checksum: u32,
    /// Where the directory says that it starts, if not where it does.
    pub(crate) header: Option<u64>,
}

impl Entry {
    /// An entry that is stored.
    pub(crate) fn stored(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.into(),
            content: content.into(),
            size: content.len() as u64,
            deflated: false,
            flags: 0,
            checksum: crc32fast::hash(content),
            header: None,
        }
    }

    /// An entry that is deflated.
    pub(crate) fn deflated(name: &str, content: &[u8]) -> Self {
        let mut encoder = flate2::read::DeflateEncoder::new(content, flate2::Compression::best());
        let mut packed = Vec::new();
        std::io::Read::read_to_end(&mut encoder, &mut packed).unwrap();
        Self {
            content: packed,
            deflated: true,
            ..Self::stored(name, content)
        }
    }
}

/// How the archive is written.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Form {
    /// Sizes of 32 bits, in the headers of entries too.
    Narrow,
    /// As torch writes: sizes of 64 bits after the entries and at the end, none in the headers.
    Wide,
}

/// The archive of these entries.
pub(crate) fn archive(entries: &[Entry], form: Form) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let start = out.len() as u64;
        let packed = entry.content.len() as u64;
        let wide = form == Form::Wide;
        let flags = entry.flags | if wide { 8 } else { 0 };
        let method: u16 = if entry.deflated { 8 } else { 0 };
        let common = |out: &mut Vec<u8>| {
            out.extend(flags.to_le_bytes());
            out.extend(method.to_le_bytes());
            out.extend([0; 4]);
        };
        let sizes = |out: &mut Vec<u8>, known: bool| {
            let (checksum, packed, size) = match known {
                true => (entry.checksum, packed as u32, entry.size as u32),
                false => (0, 0, 0),
            };
            out.extend(checksum.to_le_bytes());
            out.extend(packed.to_le_bytes());
            out.extend(size.to_le_bytes());
            out.extend((entry.name.len() as u16).to_le_bytes());
        };
        out.extend(b"PK\x03\x04\x14\x00");
        common(&mut out);
        sizes(&mut out, !wide);
        // Padding, as torch aligns the bytes of storages.
        out.extend(6u16.to_le_bytes());
        out.extend(entry.name.as_bytes());
        out.extend(b"FB\x02\x00ZZ");
        out.extend(&entry.content);
        if wide {
            out.extend(b"PK\x07\x08");
            out.extend(entry.checksum.to_le_bytes());
            out.extend(packed.to_le_bytes());
            out.extend(entry.size.to_le_bytes());
        }
        directory.extend(b"PK\x01\x02\x14\x00\x14\x00");
        common(&mut directory);
        let header = entry.header.unwrap_or(start);
        directory.extend(entry.checksum.to_le_bytes());
        let mut extra = Vec::new();
        if wide {
            directory.extend([0xFF; 8]);
            extra.extend(b"XX\x01\x00y\x01\x00\x18\x00");
            for value in [entry.size, packed, header] {
                extra.extend(value.to_le_bytes());
            }
        } else {
            directory.extend((packed as u32).to_le_bytes());
            directory.extend((entry.size as u32).to_le_bytes());
        }
        directory.extend((entry.name.len() as u16).to_le_bytes());
        directory.extend((extra.len() as u16).to_le_bytes());
        directory.extend([0; 10]);
        let narrow = if wide { u32::MAX } else { header as u32 };
        directory.extend(narrow.to_le_bytes());
        directory.extend(entry.name.as_bytes());
        directory.extend(extra);
    }
    let start = out.len() as u64;
    let size = directory.len() as u64;
    let count = entries.len() as u64;
    out.extend(directory);
    let end = out.len() as u64;
    if form == Form::Wide {
        out.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x1e\x03\x2d\x00");
        out.extend([0; 8]);
        for value in [count, count, size, start] {
            out.extend(value.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(end.to_le_bytes());
        out.extend(1u32.to_le_bytes());
    }
    out.extend(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        out.extend((count as u16).to_le_bytes());
    }
    let narrow = |value: u64| {
        if form == Form::Wide {
            u32::MAX
        } else {
            value as u32
        }
    };
    out.extend(narrow(size).to_le_bytes());
    out.extend(narrow(start).to_le_bytes());
    out.extend([0; 2]);
    out
}
