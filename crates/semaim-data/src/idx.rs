//! IDX files, the form in which MNIST and its relatives are distributed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::classes::{self, Classes};
use crate::counted::counted;
use crate::error::{DataError, ImageError, ImageProblem};
use crate::notices::some_of;
use crate::pixels::Pixels;
use crate::region::{DecodeRequest, DecodedRegion};
use crate::scratch::Scratch;
use crate::source::{Source, Split};
use crate::splits;

/// How many bytes deflate can make of one.
const MAX_INFLATION: u64 = 1032;

/// Gray images in memory.
#[derive(Debug)]
pub(crate) struct Idx {
    path: PathBuf,
    width: u32,
    height: u32,
    count: usize,
    samples: Vec<u8>,
    labels: Vec<u8>,
    classes: Vec<String>,
    channels: usize,
}

impl Idx {
    /// Reads an images file (8-bit, `[count, height, width]`) and, if there is one beside it, the labels file: the
    /// same name with `labels` for `images` and `idx1` for `idx3`, with or without `.gz`.
    ///
    /// `channels` may be 1, 3 (gray as RGB) or 4 (with alpha 255).
    pub(crate) fn open(path: &Path, channels: usize) -> Result<Self, DataError> {
        if !matches!(channels, 1 | 3 | 4) {
            return Err(DataError::Channels {
                path: path.to_owned(),
                found: 1,
                wanted: channels,
                reason: "IDX images can be read with 1, 3 or 4 channels".to_owned(),
            });
        }
        let images = Contents::read(path, 3)?;
        let [count, height, width] = images.sizes[..] else {
            return Err(broken(path, "it has no images"));
        };
        if width == 0 || height == 0 || count == 0 {
            return Err(broken(
                path,
                &format!("it has {count} images of {width}x{height} pixels"),
            ));
        }
        let labels = match labels_beside(path) {
            None => Vec::new(),
            Some(file) => {
                let labels = Contents::read(&file, 1)?;
                if labels.data.len() != count as usize {
                    let text = format!("{} labels for {count} images", labels.data.len());
                    return Err(broken(&file, &text));
                }
                labels.data
            }
        };
        let different: BTreeSet<u8> = labels.iter().copied().collect();
        let texts: Vec<String> = different.iter().map(u8::to_string).collect();
        let classes = Classes::of_texts(texts.iter().map(String::as_str));
        Ok(Self {
            path: path.to_owned(),
            width,
            height,
            count: count as usize,
            samples: images.data,
            labels,
            classes: classes.names().to_vec(),
            channels,
        })
    }
}

impl Source for Idx {
    fn len(&self) -> usize {
        self.count
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index).map(|&label| u32::from(label))
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        format!("{}#{index}", self.path.display())
    }

    fn decode(
        &self,
        index: usize,
        _: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        _: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        let size = self.width as usize * self.height as usize;
        let gray = index
            .checked_mul(size)
            .and_then(|start| self.samples.get(start..start.checked_add(size)?));
        let Some(gray) = gray else {
            let name = self.path.display().to_string();
            return Err(ImageError::out_of_range(name, index, self.count));
        };
        crate::decode::convert(gray.to_vec(), 1, self.channels)
            .and_then(|data| Pixels::new(self.width, self.height, self.channels, data))
            .map(DecodedRegion::whole)
            .ok_or_else(|| ImageError {
                name: self.name(index),
                problem: ImageProblem::Channels {
                    format: "IDX",
                    found: 1,
                    wanted: self.channels,
                },
            })
    }

    fn describe(&self) -> String {
        format!(
            "IDX file {}: {} of {}x{} pixels, {}",
            self.path.display(),
            counted(self.count, "image"),
            self.width,
            self.height,
            classes::describe(&self.classes)
        )
    }
}

/// Whether a file name is that of an IDX file.
pub(crate) fn is_idx_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower
        .strip_suffix(".gz")
        .unwrap_or(&lower)
        .ends_with("ubyte")
}

/// The images file for `split` among the files directly in a folder, or `None` when it holds no IDX images.
///
/// # Errors
///
/// A folder that cannot be read, or that holds several sets.
pub(crate) fn images_in(folder: &Path, split: Split) -> Result<Option<PathBuf>, DataError> {
    let failed = |error| DataError::unreadable(folder, error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_images = is_idx_name(&name) && name.to_ascii_lowercase().contains("images");
        // Some unpackers make a folder of the file's name.
        if is_images && entry.path().is_file() {
            files.push(name);
        }
    }
    // Sorting puts `x-ubyte` before `x-ubyte.gz`.
    files.sort_unstable();
    let files = splits::of_files(folder, files, split, Clone::clone);
    let sets: BTreeSet<String> = files.iter().map(|name| set_name(name)).collect();
    if sets.len() > 1 {
        return Err(DataError::Spec {
            spec: folder.display().to_string(),
            reason: format!(
                "the folder holds several IDX files of images for one split ({}); name the file to read",
                some_of(&files)
            ),
        });
    }
    Ok(files.first().map(|name| folder.join(name)))
}

/// A file name under which the same images are found, packed or not: both `images-idx3-ubyte` and `images.idx3-ubyte` are usual.
fn set_name(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    lower
        .strip_suffix(".gz")
        .unwrap_or(&lower)
        .replace('.', "-")
}

fn labels_beside(images: &Path) -> Option<PathBuf> {
    let name = set_name(images.file_name()?.to_str()?);
    if !name.contains("images") {
        return None;
    }
    let labels = name.replace("images", "labels").replace("idx3", "idx1");
    let folder = images.parent().filter(|folder| *folder != Path::new(""));
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder.unwrap_or(Path::new(".")))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| set_name(name) == labels) && path.is_file()
        })
        .collect();
    // Unpacked before packed.
    found.sort_unstable();
    found.into_iter().next()
}

/// An IDX file in memory.
struct Contents {
    sizes: Vec<u32>,
    data: Vec<u8>,
}

impl Contents {
    /// Reads a file of bytes with the given number of dimensions. Nothing is allocated before its header and the length
    /// of the file agree.
    fn read(path: &Path, dimensions: u8) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|e| DataError::unreadable(path, e))?;
        let len = file
            .metadata()
            .map_err(|e| DataError::unreadable(path, e))?
            .len();
        let reader = BufReader::new(file);
        if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("gz"))
        {
            let most = len.saturating_mul(MAX_INFLATION);
            Self::from_reader(path, MultiGzDecoder::new(reader), dimensions, |n| n <= most)
        } else {
            Self::from_reader(path, reader, dimensions, |n| n == len)
        }
    }

    fn from_reader(
        path: &Path,
        mut reader: impl Read,
        dimensions: u8,
        possible: impl Fn(u64) -> bool,
    ) -> Result<Self, DataError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => broken(path, "it has been cut off"),
            _ => broken(path, &error.to_string()),
        };
        let mut magic = [0; 4];
        reader.read_exact(&mut magic).map_err(failed)?;
        if magic != [0, 0, 8, dimensions] {
            let hint = match magic {
                [0, 0, 8, 1] => ", this is a labels file, name the images file",
                _ => "",
            };
            let text = format!(
                "it starts with {magic:02x?}, not [00, 00, 08, {dimensions:02x}] (bytes, {dimensions} dimensions){hint}"
            );
            return Err(broken(path, &text));
        }
        let mut sizes = Vec::new();
        for _ in 0..dimensions {
            let mut size = [0; 4];
            reader.read_exact(&mut size).map_err(failed)?;
            sizes.push(u32::from_be_bytes(size));
        }
        let header = 4 + 4 * u64::from(dimensions);
        let data = sizes
            .iter()
            .try_fold(1u64, |n, &size| n.checked_mul(u64::from(size)));
        let total = data.and_then(|n| n.checked_add(header));
        let (Some(data_len), Some(total)) = (data, total) else {
            return Err(broken(path, "its sizes are absurd"));
        };
        if !possible(total) {
            let text = format!("its header {sizes:?} does not fit the length of the file");
            return Err(broken(path, &text));
        }
        let mut data = Vec::new();
        reader
            .by_ref()
            .take(data_len)
            .read_to_end(&mut data)
            .map_err(failed)?;
        if (data.len() as u64) < data_len {
            return Err(broken(path, "it has been cut off"));
        }
        if reader.read(&mut [0]).map_err(failed)? != 0 {
            return Err(broken(path, "it goes on after the last item"));
        }
        Ok(Self { sizes, data })
    }
}

fn broken(path: &Path, reason: &str) -> DataError {
    DataError::Idx {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}
