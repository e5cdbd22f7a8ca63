//! What stands out in an image of a COCO file: its largest object.

use std::path::{Path, PathBuf};

use semaim_coco::{Annotations, CocoError, Image, Rle};
use semaim_data::Mask;

/// An image with the masks that pointing is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedImage {
    /// The image's file.
    pub path: PathBuf,
    /// The kind of the main object: an index into [`Annotations::categories`].
    pub category: usize,
    /// The main object: of those that are no crowd, the one with the most pixels; the first of several.
    pub main: Mask,
    /// All objects, crowds included.
    pub all: Mask,
}

/// Why an image cannot be shown with its masks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaskedImageError {
    /// An object has no usable mask.
    #[error(transparent)]
    Coco(#[from] CocoError),
    /// The image is not in the folder of images.
    #[error("{path}: image {image} is said to be {file}, which is no file")]
    NoFile {
        /// The COCO file.
        path: PathBuf,
        /// The image's `id`.
        image: i64,
        /// Where the image should be.
        file: PathBuf,
    },
    /// The COCO file does not name the image's file.
    #[error("{path}: image {image} has no `file_name`")]
    NoFileName {
        /// The COCO file.
        path: PathBuf,
        /// The image's `id`.
        image: i64,
    },
    /// An image of more pixels than masks are made for.
    #[error("{path}: image {image} has {width}x{height} pixels; {max_pixels} are possible")]
    Pixels {
        /// The COCO file.
        path: PathBuf,
        /// The image's `id`.
        image: i64,
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// The most pixels.
        max_pixels: u64,
    },
}

/// The images of a file, which lie in `folder`, with their masks, made one after the other when asked for; of at most
/// `max_pixels` pixels, which bounds the memory of a mask.
///
/// Images without an object that is no crowd and has a pixel are left out. The files must exist, but are not opened.
///
/// # Errors
///
/// Each item on its own.
pub fn masked_images(
    annotations: &Annotations,
    folder: &Path,
    max_pixels: u64,
) -> impl Iterator<Item = Result<MaskedImage, MaskedImageError>> {
    let images = annotations.images().iter();
    images.filter_map(move |image| masked(annotations, image, folder, max_pixels).transpose())
}

fn masked(
    annotations: &Annotations,
    image: &Image,
    folder: &Path,
    max_pixels: u64,
) -> Result<Option<MaskedImage>, MaskedImageError> {
    let coco = || annotations.path().to_owned();
    let mut all: Option<Rle> = None;
    let mut main: Option<(u64, usize, Rle)> = None;
    for object in &image.annotations {
        let mask = annotations.mask(image, object)?;
        all = Some(match all {
            Some(all) => all.union(&mask),
            None => mask.clone(),
        });
        let area = mask.area();
        let least = main.as_ref().map_or(0, |(area, ..)| *area);
        if !object.is_crowd && area > least {
            main = Some((area, object.category, mask));
        }
    }
    let (Some(all), Some((_, category, main))) = (all, main) else {
        return Ok(None);
    };
    let name = image
        .file_name
        .as_ref()
        .ok_or_else(|| MaskedImageError::NoFileName {
            path: coco(),
            image: image.id,
        })?;
    let path = folder.join(name);
    if !path.is_file() {
        return Err(MaskedImageError::NoFile {
            path: coco(),
            image: image.id,
            file: path,
        });
    }
    let bits = |mask: &Rle| {
        let (width, height) = (mask.width(), mask.height());
        let few = u64::from(width) * u64::from(height) <= max_pixels;
        few.then(|| Mask::new(width, height, mask.to_bits()))
            .flatten()
            .ok_or_else(|| MaskedImageError::Pixels {
                path: coco(),
                image: image.id,
                width,
                height,
                max_pixels,
            })
    };
    Ok(Some(MaskedImage {
        path,
        category,
        main: bits(&main)?,
        all: bits(&all)?,
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_main_object_is_the_largest_that_is_no_crowd() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("instances.json");
        let size = r#""width": 4, "height": 3"#;
        let object = |id: u32, image: u32, crowd: u8, segmentation: &str| {
            format!(
                r#"{{"id": {id}, "image_id": {image}, "category_id": {}, "iscrowd": {crowd},
                "segmentation": {segmentation}}}"#,
                if crowd == 1 { 90 } else { 1 }
            )
        };
        let column = r#"{"size": [3, 4], "counts": [9, 3]}"#;
        let square = "[[0, 0, 2, 0, 2, 2, 0, 2]]";
        let rest = r#"{"size": [3, 4], "counts": "093"}"#;
        let objects = [
            object(1, 7, 0, column),
            object(3, 7, 0, square),
            object(2, 7, 1, rest),
            // The other image has nothing but a crowd.
            object(4, 3, 1, rest),
        ];
        let json = format!(
            r#"{{"images": [{{"id": 7, "file_name": "a.png", {size}}}, {{"id": 3, "file_name": "b.png", {size}}}],
            "categories": [{{"id": 90, "name": "brush"}}, {{"id": 1, "name": "cup"}}], "annotations": [{}]}}"#,
            objects.join(",")
        );
        fs::write(&path, json).unwrap();
        let set = Annotations::read(&path).unwrap();
        let error = masked_images(&set, folder.path(), 12).next().unwrap();
        assert!(matches!(
            error,
            Err(MaskedImageError::NoFile { image: 7, .. })
        ));
        fs::write(folder.path().join("a.png"), b"").unwrap();
        let found: Vec<MaskedImage> = masked_images(&set, folder.path(), 12)
            .collect::<Result<_, _>>()
            .unwrap();
        let [image] = &found[..] else {
            panic!("{found:?}")
        };
        assert!(image.path.ends_with("a.png"));
        assert_eq!(image.main.count(), 4);
        assert_eq!(image.all.count(), 12);
        assert_eq!(image.category, 1);
        let error = masked_images(&set, folder.path(), 11).next().unwrap();
        assert!(matches!(
            error,
            Err(MaskedImageError::Pixels { max_pixels: 11, .. })
        ));
    }
}
