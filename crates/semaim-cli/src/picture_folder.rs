//! A folder of pictures, one for each image, under the images' names.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use semaim_checkpoint::atomic;
use semaim_data::Pixels;
use semaim_report::{RgbImage, rgb_image};

use crate::exit::Exit;
use crate::output;

/// A folder of PNG files.
pub(crate) struct PictureFolder {
    folder: PathBuf,
    taken: HashSet<String>,
}

impl PictureFolder {
    pub(crate) fn create(folder: &Path) -> Result<Self, Exit> {
        fs::create_dir_all(folder)
            .map_err(|error| Exit::user(format!("creating {}: {error}", folder.display())))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            taken: HashSet::new(),
        })
    }

    /// Writes the file of an image under its name.
    pub(crate) fn write(&mut self, image: &str, png: &[u8]) -> Result<(), Exit> {
        self.write_as(&stem_of(image), image, png)
    }

    /// Writes the file of an image as `stem`, a path below the folder without its ending; with a number where that is taken.
    fn write_as(&mut self, stem: &str, image: &str, png: &[u8]) -> Result<(), Exit> {
        let name = self.file_name(stem);
        self.put(&name, image, png)
    }

    /// Writes the file of an image under this name alone: `stem`, a path below the folder without its ending.
    pub(crate) fn write_named(&self, stem: &str, image: &str, png: &[u8]) -> Result<(), Exit> {
        self.put(&format!("{stem}.png"), image, png)
    }

    fn put(&self, name: &str, image: &str, png: &[u8]) -> Result<(), Exit> {
        let path = self.folder.join(name);
        if let (Ok(there), Ok(image)) = (fs::canonicalize(&path), fs::canonicalize(image))
            && there == image
        {
            return Err(Exit::user(format!(
                "{} is the image itself; name another folder",
                path.display()
            )));
        }
        output::create_folder_of(&path)
            .and_then(|()| atomic::write_bytes(&path, png))
            .map_err(|error| Exit::user(format!("writing {}: {error}", path.display())))
    }

    /// A file's name, with a number where several images have it.
    fn file_name(&mut self, stem: &str) -> String {
        let names = std::iter::once(format!("{stem}.png"))
            .chain((2..).map(|number| format!("{stem}-{number}.png")));
        let mut free = names.filter(|name| !self.taken.contains(name));
        let name = free.next().unwrap_or(stem.to_string());
        self.taken.insert(name.clone());
        name
    }
}

/// An image's name without folders and ending.
fn stem_of(image: &str) -> String {
    let stem = Path::new(image).file_stem().unwrap_or_default();
    stem.to_string_lossy().replace(['/', '\\', ':'], "_")
}

/// An image in color; channels beyond three are left out, and a single one is gray.
pub(crate) fn rgb(pixels: &Pixels) -> Result<RgbImage, Exit> {
    let channels = pixels.channels.max(1);
    let color = |pixel: &[u8]| match *pixel {
        [red, green, blue, ..] => [red, green, blue],
        [gray, ..] => [gray; 3],
        [] => [0; 3],
    };
    let bytes = pixels.bytes();
    let data = bytes.chunks(channels).flat_map(color).collect();
    rgb_image(pixels.width, pixels.height, data).map_err(Exit::ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_one_name_have_pictures_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut pictures = PictureFolder::create(folder.path()).unwrap();
        let names = ["a/1.jpg", "b/1.png", "shapes#5", "c/1.jpg", "1-2.jpg"];
        for name in names {
            pictures.write(name, b"png").unwrap();
        }
        for name in ["1.png", "1-2.png", "shapes#5.png", "1-3.png", "1-2-2.png"] {
            assert!(folder.path().join(name).is_file(), "{name}");
        }
    }

    #[test]
    fn an_image_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("1.png");
        fs::write(&image, b"image").unwrap();
        let name = image.to_str().unwrap();
        for named in [false, true] {
            let mut pictures = PictureFolder::create(folder.path()).unwrap();
            let written = match named {
                true => pictures.write_named("1", name, b"png"),
                false => pictures.write(name, b"png"),
            };
            assert!(written.unwrap_err().message.contains("the image itself"));
        }
        assert_eq!(fs::read(&image).unwrap(), b"image");
    }
}
