//! Similarity maps in files, matched with images by their names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crc32c::crc32c;

use super::SimilarityMap;
use crate::counted::counted;
use crate::decode::{DecodeBuffers, DecodeOptions};
use crate::dir_scan;
use crate::error::{DataError, ImageError, ImageProblem};
use crate::mask::patch_means;
use crate::notices::{self, some_of};
use crate::pixels::{Pixels, Samples};
use crate::region::DecodeRequest;
use crate::source::Source;
use crate::view::ViewGeometry;

/// Why images cannot be given similarity maps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimilarityMapError {
    /// The folder of maps, or the annotated images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Images without a map.
    #[error(
        "{folder}: no map for {images} of {of}: {some}; a map has its image's name (a/7.png or 7.png for a/7.jpg), and images \
         without one are left out by data.exclude"
    )]
    Missing {
        /// The folder of maps.
        folder: PathBuf,
        /// How many images, in words.
        images: String,
        /// How many images there are.
        of: usize,
        /// The first of them.
        some: String,
    },
    /// A map that could be that of several images.
    #[error(
        "{map} would be the map of both {first} and {second}; give maps the images' folders (a/7.png for a/7.jpg)"
    )]
    Shared {
        /// The map's file.
        map: PathBuf,
        /// An image.
        first: String,
        /// Another.
        second: String,
    },
    /// Two maps that differ in their endings alone.
    #[error("{folder}: there are both {first} and {second}, so which is the map is not known")]
    Twice {
        /// The folder of maps.
        folder: PathBuf,
        /// A map.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Annotations without an object.
    #[error(
        "{sets}: no image has an object (crowds are none), so there are no masks to order patches by: every order would start anywhere"
    )]
    NoObjects {
        /// The data sets.
        sets: String,
    },
    /// An image that has two entries in the annotations.
    #[error("{image} is annotated twice: which of its masks are meant is not known")]
    AnnotatedTwice {
        /// The image.
        image: String,
    },
}

/// How maps are decoded: with the channels that they have, and any numbers.
const DECODING: DecodeOptions = DecodeOptions {
    channels: None,
    max_pixels: 100_000_000,
    unit_floats: false,
};

/// The most that the sides of map and image may differ in ratio before it is said.
const SAME_RATIO: f64 = 0.02;

/// How many maps are read to notice that maps have changed.
const MOST_CHECKED: usize = 4_096;

/// A map file for each image of a source.
#[derive(Debug)]
pub(super) struct MapFiles {
    /// By the image's number.
    paths: Vec<PathBuf>,
}

impl MapFiles {
    /// Finds the file of every image.
    pub(super) fn find(folder: &Path, images: &dyn Source) -> Result<Self, SimilarityMapError> {
        let files = list(folder)?;
        let mut by_name: HashMap<String, &Path> = HashMap::new();
        for file in &files {
            if let Some(first) = by_name.insert(without_ending(&shown(file)), file) {
                return Err(SimilarityMapError::Twice {
                    folder: folder.to_owned(),
                    first: first.to_owned(),
                    second: file.to_path_buf(),
                });
            }
        }
        let (mut paths, mut missing) = (Vec::with_capacity(images.len()), Vec::new());
        let mut taken: HashMap<&Path, usize> = HashMap::new();
        for index in 0..images.len() {
            let name = images.name(index);
            let Some(&file) = candidates(&name).iter().find_map(|end| by_name.get(end)) else {
                missing.push(name);
                continue;
            };
            // An image that a list names twice has one map.
            if let Some(other) = taken.insert(file, index)
                && !images.is_same(other, index)
            {
                return Err(SimilarityMapError::Shared {
                    map: folder.join(file),
                    first: images.name(other),
                    second: name,
                });
            }
            paths.push(folder.join(file));
        }
        if !missing.is_empty() {
            return Err(SimilarityMapError::Missing {
                folder: folder.to_owned(),
                images: counted(missing.len(), "image"),
                of: images.len(),
                some: some_of(&missing),
            });
        }
        Ok(Self { paths })
    }

    /// A checksum of the file of an image's map. Of very many maps some are read, in even distances.
    pub(super) fn checksum(&self, index: usize) -> Option<u32> {
        let every = self.paths.len().div_ceil(MOST_CHECKED).max(1);
        let path = self
            .paths
            .get(index)
            .filter(|_| index.is_multiple_of(every))?;
        std::fs::read(path).ok().map(|bytes| crc32c(&bytes))
    }

    /// The map of a view of an image.
    pub(super) fn map(
        &self,
        index: usize,
        view: &ViewGeometry,
        grid: [usize; 2],
    ) -> Result<SimilarityMap, ImageError> {
        let Some(path) = self.paths.get(index) else {
            return Err(ImageError::out_of_range("maps", index, self.paths.len()));
        };
        let failed = |problem| ImageError {
            name: path.display().to_string(),
            problem,
        };
        let mut whole = DecodeRequest::whole;
        let decoded = DECODING.decode_file(path, &mut whole, &mut DecodeBuffers::default())?;
        let map = decoded.pixels;
        let values = gray(&map).ok_or_else(|| {
            failed(ImageProblem::Unsupported {
                what: format!(
                    "a map of {} channels that differ (a map has one value per pixel)",
                    map.channels
                ),
            })
        })?;
        say_if_stretched(path, &map, view.image_size);
        let [left, top, width, height] = view.source;
        let [across, down] = [0, 1]
            .map(|axis| f64::from(map.size()[axis]) / f64::from(view.image_size[axis].max(1)));
        let window = [left * across, top * down, width * across, height * down];
        let columns = map.size()[0] as usize;
        let value =
            |x: usize, y: usize| values.get(y * columns + x).copied().map_or(0.0, f64::from);
        let mut means = patch_means(map.size(), value, window, grid).map_err(|error| {
            failed(ImageProblem::Unsupported {
                what: format!("a map that does not fit its image: {error}"),
            })
        })?;
        if view.flip {
            for row in means.chunks_mut(grid[1]) {
                row.reverse();
            }
        }
        Ok(means)
    }
}

/// The files below a folder that may be maps, relative to it: images and arrays alike.
fn list(folder: &Path) -> Result<Vec<Box<Path>>, DataError> {
    let listing = dir_scan::list(folder)?;
    let files = [listing.images, listing.arrays].concat();
    match files.is_empty() {
        true => Err(DataError::no_images(
            folder,
            listing.others,
            &listing.not_read,
        )),
        false => Ok(files),
    }
}

/// A path with `/` between its parts.
fn shown(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// A path without the ending of its last part. The number of an image within a file (`images.idx3-ubyte#7`) is no ending.
fn without_ending(path: &str) -> String {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name..].rfind('.') {
        Some(dot) if dot > 0 && !path[name + dot..].contains('#') => path[..name + dot].to_owned(),
        _ => path.to_owned(),
    }
}

/// What the map of an image may be called, without its ending: the image's path, then less and less of its folders, down to its own
/// name. A member of an archive is called by its path there.
fn candidates(image: &str) -> Vec<String> {
    let path = image.replace('\\', "/");
    const TAR: &str = ".tar:";
    // Lower case of the same length, so that places are the same.
    let lower = path.to_ascii_lowercase();
    let inside = lower
        .rfind(TAR)
        .map_or(&*path, |at| &path[at + TAR.len()..]);
    let stem = without_ending(inside.trim_start_matches('/'));
    let starts = std::iter::once(0).chain(stem.match_indices('/').map(|(at, _)| at + 1));
    starts.map(|start| stem[start..].to_owned()).collect()
}

/// What the files of images' maps are to be called, without their ending and relative to their folder: `cats/7` for
/// `photos/cats/7.jpg`, where the images are below `photos` and not all of them in `cats`. [`MappedImages::with_files`](super::MappedImages::with_files) finds them.
///
/// # Errors
///
/// [`SimilarityMapError::Shared`] for images that would share a map whatever it is called, as those that differ in their endings alone.
pub fn map_names(images: &dyn Source) -> Result<Vec<String>, SimilarityMapError> {
    let of = |index| candidates(&images.name(index)).swap_remove(0);
    let whole: Vec<String> = (0..images.len()).map(of).collect();
    let folder = |name: &str| name.rfind('/').map_or(0, |slash| slash + 1);
    // The folder that all of them are in.
    let mut shared = whole
        .first()
        .map_or("", |name| &name[..folder(name)])
        .to_owned();
    let up = |shared: &mut String| {
        shared.pop();
        shared.truncate(folder(shared));
    };
    for name in &whole {
        while !name.starts_with(&shared) {
            up(&mut shared);
        }
    }
    loop {
        let cut = |name: &String| {
            // Parents are none of the folder of maps.
            let start = name.rfind("../").map_or(0, |at| at + 3);
            name[shared.len().max(start)..].to_owned()
        };
        let names: Vec<String> = whole.iter().map(cut).collect();
        match taken_for_another(&names, images) {
            None => return Ok(names),
            // `set/7` beside `set/set/7` is told from it by one folder more.
            Some(_) if !shared.is_empty() => up(&mut shared),
            Some((map, first, second)) => {
                return Err(SimilarityMapError::Shared {
                    map: map.into(),
                    first: images.name(first),
                    second: images.name(second),
                });
            }
        }
    }
}

/// A map of these names that another image than its own would be given, and both images.
fn taken_for_another(names: &[String], images: &dyn Source) -> Option<(String, usize, usize)> {
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for (index, name) in names.iter().enumerate() {
        let first = *owners.entry(name).or_insert(index);
        if !images.is_same(first, index) {
            return Some((name.clone(), first, index));
        }
    }
    names.iter().enumerate().find_map(|(index, name)| {
        let mut looked_for = candidates(&images.name(index)).into_iter();
        let found = looked_for.find(|end| owners.contains_key(&**end))?;
        let owner = *owners.get(&*found)?;
        (found != *name).then_some((found, owner, index))
    })
}

/// The values of a map of one channel, or of several that are all the same. Alpha that hides nothing is none of them.
fn gray(map: &Pixels) -> Option<Vec<f32>> {
    let channels = map.channels.max(1);
    let every = |values: Vec<f32>| -> Option<Vec<f32>> {
        let pixels = values.chunks_exact(channels);
        let may_be_alpha = matches!(channels, 2 | 4) && !matches!(map.samples, Samples::F32(_));
        let is_opaque = may_be_alpha && pixels.clone().all(|pixel| pixel[channels - 1] == 1.0);
        let values = channels - usize::from(is_opaque);
        let alike = |pixel: &[f32]| pixel[..values].windows(2).all(|pair| pair[0] == pair[1]);
        pixels
            .map(|pixel| alike(pixel).then(|| pixel.first().copied()).flatten())
            .collect()
    };
    every(match &map.samples {
        Samples::U8(bytes) => bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect(),
        Samples::U16(words) => words
            .iter()
            .map(|&word| f32::from(word) / 65535.0)
            .collect(),
        Samples::F32(floats) => floats.clone(),
    })
}

/// Tells, once for a shape, of a map that is not of its image's shape: maps of cut images look like this.
fn say_if_stretched(path: &Path, map: &Pixels, image: [u32; 2]) {
    let ratio = |[width, height]: [u32; 2]| f64::from(width) / f64::from(height.max(1));
    // A map of few cells can be no closer to the shape than a cell.
    let cell = 1.0 / f64::from(map.size()[0].min(map.size()[1]).max(1));
    let off = (ratio(map.size()) / ratio(image)).ln().abs();
    if off > SAME_RATIO.max(cell) {
        notices::warn(format!(
            "{}: maps of another shape than their images are stretched over them; maps of cut images would be wrong so",
            path.parent().unwrap_or(path).display(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_called_by_their_paths_in_archives() {
        for tar in ["x/set.tar", "x/SET.TAR", "x/Set.Tar"] {
            let names = candidates(&format!("{tar}:cats/7.jpg"));
            assert_eq!(names, ["cats/7", "7"], "{tar}");
        }
    }
}
