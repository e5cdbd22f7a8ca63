use std::fs;
use std::path::Path;

use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use semaim_random::Key;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::augment::Augment;
use crate::open::{OpenOptions, open};
use crate::source::Split;

/// A folder of images and an empty one for maps.
fn folders(images: &[&str]) -> TempDir {
    let folder = tempdir().unwrap();
    for name in images {
        let path = folder.path().join("images").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(16, 8, Rgb([9, 9, 9]))
            .save(path)
            .unwrap();
    }
    fs::create_dir_all(folder.path().join("maps")).unwrap();
    folder
}

fn open_images(folder: &Path) -> Arc<dyn Source> {
    let path = folder.join("images");
    open(
        path.to_str().unwrap(),
        Split::Train,
        &OpenOptions::default(),
    )
    .unwrap()
}

fn save(folder: &Path, name: &str, map: &GrayImage) {
    let path = folder.join("maps").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    map.save(path).unwrap();
}

fn with_files(folder: &Path, grid: [usize; 2]) -> Result<MappedImages, SimilarityMapError> {
    MappedImages::with_files(open_images(folder), &folder.join("maps"), grid)
}

/// A view of 16 x 8 pixels that shows `source`.
fn view(source: [f64; 4], flip: bool) -> ViewGeometry {
    ViewGeometry {
        image_size: [16, 8],
        source,
        flip,
        size: [4, 8],
        valid_size: [4, 8],
    }
}

/// A `.npy` of two axes in single precision.
fn npy(rows: usize, columns: usize, values: &[f32]) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[test]
fn maps_of_any_size_and_depth_are_cut_and_mirrored_with_the_view() {
    let folder = folders(&["a.png", "b.png", "c.png"]);
    // What is 4 x 2 in the image's shape: the value rises to the right and downwards.
    let value = |x: u32, y: u32| (x + 4 * y) as u8;
    let small = GrayImage::from_fn(4, 2, |x, y| Luma([value(x, y)]));
    save(folder.path(), "a.png", &small);
    let large: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_fn(64, 32, |x, y| {
        Luma([u16::from(value(x / 16, y / 16)) * 257])
    });
    large.save(folder.path().join("maps/b.png")).unwrap();
    let floats: Vec<f32> = (0..8).map(|value| value as f32 / 255.0).collect();
    fs::write(folder.path().join("maps/c.npy"), npy(2, 4, &floats)).unwrap();
    let set = with_files(folder.path(), [2, 4]).unwrap();
    let close = |found: Vec<f32>, expected: &[f32]| {
        let expected: Vec<f32> = expected.iter().map(|value| value / 255.0).collect();
        let close = found
            .iter()
            .zip(&expected)
            .all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(
            close && found.len() == expected.len(),
            "{found:?} {expected:?}"
        );
    };
    for index in 0..3 {
        let whole = set
            .target(index, &view([0.0, 0.0, 16.0, 8.0], false))
            .unwrap();
        close(whole, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let mirrored = set
            .target(index, &view([0.0, 0.0, 16.0, 8.0], true))
            .unwrap();
        close(mirrored, &[3.0, 2.0, 1.0, 0.0, 7.0, 6.0, 5.0, 4.0]);
        // Eight columns from the third on, in patches of two of them: edges fall within cells of the map.
        let cut = set
            .target(index, &view([2.0, 4.0, 8.0, 4.0], false))
            .unwrap();
        close(cut, &[4.0, 5.0, 5.0, 6.0, 4.0, 5.0, 5.0, 6.0]);
        let across = set
            .target(index, &view([2.0, 0.0, 12.0, 4.0], true))
            .unwrap();
        // Patches of three columns from the third on lie two thirds in one cell and one in the next, or the other way round.
        let row = [3.0 * 2.0 / 3.0 + 2.0 / 3.0, 2.0, 1.0, 1.0 / 3.0];
        close(across, &[row, row].concat());
    }
}

#[test]
fn a_map_is_found_by_as_much_of_the_images_path_as_there_is() {
    let folder = folders(&["cats/7.png", "dogs/7.png", "dogs/8.png"]);
    let level = |value: u8| GrayImage::from_pixel(2, 1, Luma([value]));
    save(folder.path(), "cats/7.png", &level(1));
    save(folder.path(), "dogs/7.bmp", &level(2));
    save(folder.path(), "8.png", &level(3));
    let set = with_files(folder.path(), [1, 1]).unwrap();
    let all = view([0.0, 0.0, 16.0, 8.0], false);
    let found: Vec<u8> = (0..3)
        .map(|index| (set.target(index, &all).unwrap()[0] * 255.0).round() as u8)
        .collect();
    assert_eq!(found, [1, 2, 3]);
}

#[test]
fn an_image_that_is_named_twice_has_one_map() {
    let folder = folders(&["a.png", "b.png"]);
    let named = ["a.png", "b.png", "a.png"].map(|name| {
        let path = folder.path().join("images").join(name);
        path.display().to_string()
    });
    for name in ["a.png", "b.png"] {
        save(folder.path(), name, &GrayImage::new(4, 2));
    }
    let images = open(&named.join(","), Split::Train, &OpenOptions::default()).unwrap();
    assert_eq!(map_names(&*images).unwrap(), ["a", "b", "a"]);
    let mapped = MappedImages::with_files(images, &folder.path().join("maps"), [2, 2]);
    assert_eq!(mapped.unwrap().len(), 3);
}

#[test]
fn images_of_several_files_have_maps_of_their_own() {
    let folder = folders(&["a.png", "b.png", "c.png"]);
    let list = folder.path().join("images/bands.csv");
    let open = |lines: &str| {
        fs::write(&list, lines).unwrap();
        open(
            list.to_str().unwrap(),
            Split::Train,
            &OpenOptions::default(),
        )
        .unwrap()
    };
    for name in ["a.png", "b.png"] {
        save(folder.path(), name, &GrayImage::new(4, 2));
    }
    let mapped = |images| MappedImages::with_files(images, &folder.path().join("maps"), [2, 2]);
    let apart = open("a.png,c.png\nb.png,c.png\n");
    assert_eq!(map_names(&*apart).unwrap(), ["a", "b"]);
    mapped(apart).unwrap();
    // The file that names an image is that of another, too.
    let together = open("a.png,b.png\na.png,c.png\n");
    let refused = map_names(&*together).unwrap_err();
    assert!(
        matches!(refused, SimilarityMapError::Shared { .. }),
        "{refused}"
    );
    let refused = mapped(together).unwrap_err();
    assert!(
        matches!(refused, SimilarityMapError::Shared { .. }),
        "{refused}"
    );
}

#[test]
fn maps_that_have_changed_are_noticed() {
    let folder = folders(&["a.png", "b.png"]);
    for name in ["a.png", "b.png"] {
        save(folder.path(), name, &GrayImage::new(4, 2));
    }
    let set = with_files(folder.path(), [1, 1]).unwrap();
    let before = set.objects_checksum(1);
    assert!(before.is_some());
    assert_eq!(set.objects_checksum(0), before);
    save(
        folder.path(),
        "b.png",
        &GrayImage::from_pixel(4, 2, Luma([1])),
    );
    assert_ne!(set.objects_checksum(1), before);
    assert_eq!(set.objects_checksum(2), None);
}

#[test]
fn images_and_maps_that_do_not_belong_together_are_refused() {
    let level = GrayImage::from_pixel(2, 1, Luma([7]));
    let folder = folders(&["cats/7.png", "dogs/7.png"]);
    // Which of the two is meant?
    save(folder.path(), "7.png", &level);
    let shared = with_files(folder.path(), [1, 1]).unwrap_err();
    assert!(
        matches!(shared, SimilarityMapError::Shared { .. }),
        "{shared}"
    );
    fs::remove_file(folder.path().join("maps/7.png")).unwrap();
    let none = with_files(folder.path(), [1, 1]).unwrap_err();
    assert!(matches!(none, SimilarityMapError::Data(_)), "{none}");
    save(folder.path(), "cats/7.png", &level);
    let missing = with_files(folder.path(), [1, 1]).unwrap_err().to_string();
    assert!(
        missing.contains("1 image of 2") && missing.contains("dogs/7.png"),
        "{missing}"
    );
    save(folder.path(), "dogs/7.png", &level);
    save(folder.path(), "dogs/7.tif", &level);
    let twice = with_files(folder.path(), [1, 1]).unwrap_err();
    assert!(matches!(twice, SimilarityMapError::Twice { .. }), "{twice}");
    fs::remove_file(folder.path().join("maps/dogs/7.tif")).unwrap();
    // A picture of a map in colors is no map.
    RgbImage::from_pixel(2, 1, Rgb([0, 80, 200]))
        .save(folder.path().join("maps/dogs/7.png"))
        .unwrap();
    let set = with_files(folder.path(), [1, 1]).unwrap();
    let all = view([0.0, 0.0, 16.0, 8.0], false);
    assert!(set.target(0, &all).is_ok());
    let colors = set.target(1, &all).unwrap_err().to_string();
    assert!(colors.contains("3 channels"), "{colors}");
    // Gray saved in three channels is one.
    RgbImage::from_pixel(2, 1, Rgb([80, 80, 80]))
        .save(folder.path().join("maps/dogs/7.png"))
        .unwrap();
    assert!((set.target(1, &all).unwrap()[0] - 80.0 / 255.0).abs() < 1e-6);
    // So is gray beside alpha that hides nothing; alpha that hides something may be the map.
    for (alpha, is_gray) in [(255, true), (80, true), (7, false)] {
        image::RgbaImage::from_pixel(2, 1, image::Rgba([80, 80, 80, alpha]))
            .save(folder.path().join("maps/dogs/7.png"))
            .unwrap();
        let value = set.target(1, &all).ok().map(|map| map[0]);
        let is_80 = value.is_some_and(|value| (value - 80.0 / 255.0).abs() < 1e-6);
        assert_eq!(is_80, is_gray, "{alpha}: {value:?}");
    }
    fs::write(
        folder.path().join("maps/dogs/7.png"),
        npy(1, 1, &[f32::NAN]),
    )
    .unwrap();
    assert!(set.target(1, &all).is_err());
}

#[test]
fn maps_under_the_names_that_they_are_to_have_are_found() {
    for images in [
        &["cats/7.jpg", "dogs/7.jpg"][..],
        &["all/cats/7.jpg", "all/cats/8.png", "all/dogs/7.jpg"],
        &["only.png"],
        // By its own name alone, the map of the first would be found for both.
        &["7.png", "images/7.png", "images/images/8.png"],
    ] {
        let folder = folders(images);
        let source = open_images(folder.path());
        let names = map_names(&*source).unwrap();
        for (value, name) in (1..).zip(&names) {
            assert!(name.len() < 23 && !name.starts_with('/'), "{name}");
            let map = GrayImage::from_pixel(2, 2, Luma([value]));
            save(folder.path(), &format!("{name}.png"), &map);
        }
        let set = with_files(folder.path(), [1, 1]).unwrap();
        for index in 0..names.len() {
            let map = set.target(index, &view([0.0, 0.0, 16.0, 8.0], false));
            assert!((map.unwrap()[0] * 255.0 - (index + 1) as f32).abs() < 1e-3);
        }
    }
    let folder = folders(&["a/7.jpg", "a/7.png"]);
    let error = map_names(&*open_images(folder.path())).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("7.jpg") && error.contains("7.png"),
        "{error}"
    );
}

/// The masks of `shapes` follow the views that the loader shows.
#[test]
fn masks_of_shapes_are_those_of_the_images() {
    let mut options = OpenOptions::default();
    options.shapes.count = 6;
    options.shapes.image_size = [32, 32];
    let set = MappedImages::with_masks(&["shapes"], &options, [4, 4]).unwrap();
    let plain = open("shapes", Split::Train, &options).unwrap();
    let objects =
        crate::open_objects(&crate::ObjectSpec::of("shapes"), Split::Train, &options).unwrap();
    assert_eq!(set.len(), 6);
    let augment = Augment::new([32, 32], 3);
    for index in 0..6 {
        assert_eq!(set.image(index).unwrap(), plain.image(index).unwrap());
        assert_eq!(set.label(index), plain.label(index));
        let view = augment
            .training_view([32, 32], Key::new(1, 2, index as u64))
            .geometry();
        let map = set.target(index, &view).unwrap();
        // The same by the objects' own mask, pixel by pixel.
        let mask = objects.target(index, &view).unwrap().masks[0]
            .clone()
            .unwrap()
            .to_bits();
        for (patch, share) in map.iter().enumerate() {
            let [row, column] = [patch / 4 * 8, patch % 4 * 8];
            let inside = (0..64)
                .filter(|at| mask[(row + at / 8) * 32 + column + at % 8])
                .count();
            assert!(
                (share - inside as f32 / 64.0).abs() < 1e-6,
                "{index} {patch}"
            );
        }
        assert!(map.iter().any(|share| *share > 0.0));
    }
}

#[test]
fn masks_of_annotated_images_are_united_boxes_where_there_are_none_and_crowds_left_out() {
    let folder = tempdir().unwrap();
    RgbImage::new(8, 8)
        .save(folder.path().join("a.png"))
        .unwrap();
    let object = |id: u32, crowd: u8, bbox: &str, segmentation: &str| {
        format!(
            r#"{{"id": {id}, "image_id": 1, "category_id": 1, "iscrowd": {crowd}, "area": 4, "bbox": {bbox}{segmentation}}}"#
        )
    };
    let objects = [
        object(
            1,
            0,
            "[0, 0, 4, 4]",
            r#", "segmentation": [[0, 0, 4, 0, 4, 2, 0, 2]]"#,
        ),
        object(2, 0, "[4, 4, 4, 2]", ""),
        object(
            3,
            1,
            "[0, 4, 4, 4]",
            r#", "segmentation": {"size": [8, 8], "counts": [4, 4, 56]}"#,
        ),
    ];
    let json = format!(
        r#"{{"images": [{{"id": 1, "file_name": "a.png", "width": 8, "height": 8}}],
        "categories": [{{"id": 1, "name": "thing"}}], "annotations": [{}]}}"#,
        objects.join(",")
    );
    let path = folder.path().join("instances.json");
    fs::write(&path, json).unwrap();
    let specs = [path.to_str().unwrap()];
    let set = MappedImages::with_masks(&specs, &OpenOptions::default(), [2, 2]).unwrap();
    let view = ViewGeometry {
        image_size: [8, 8],
        source: [0.0, 0.0, 8.0, 8.0],
        flip: false,
        size: [8, 8],
        valid_size: [8, 8],
    };
    assert_eq!(set.target(0, &view).unwrap(), [0.5, 0.0, 0.0, 0.5]);
    let flipped = ViewGeometry { flip: true, ..view };
    assert_eq!(set.target(0, &flipped).unwrap(), [0.0, 0.5, 0.5, 0.0]);
}

#[test]
fn no_annotated_image_is_held_out_and_annotations_without_objects_are_refused() {
    let folder = tempdir().unwrap();
    let (mut images, mut objects) = (Vec::new(), Vec::new());
    for id in 0..20 {
        let file = format!("{id}.png");
        RgbImage::new(8, 8).save(folder.path().join(&file)).unwrap();
        images.push(format!(
            r#"{{"id": {id}, "file_name": "{file}", "width": 8, "height": 8}}"#
        ));
        objects.push(format!(
            r#"{{"id": {id}, "image_id": {id}, "category_id": 1, "iscrowd": 0, "area": 4, "bbox": [0, 0, 4, 4]}}"#
        ));
    }
    let path = folder.path().join("instances.json");
    let open = |objects: &[String]| {
        let text = format!(
            r#"{{"images": [{}], "categories": [{{"id": 1, "name": "thing"}}], "annotations": [{}]}}"#,
            images.join(","),
            objects.join(",")
        );
        fs::write(&path, text).unwrap();
        MappedImages::with_masks(&[path.to_str().unwrap()], &OpenOptions::default(), [2, 2])
    };
    assert_eq!(open(&objects).unwrap().len(), 20);
    let crowd = objects[0].replace(r#""iscrowd": 0"#, r#""iscrowd": 1"#);
    for nothing in [&[][..], &[crowd]] {
        let refused = open(nothing).unwrap_err();
        assert!(
            matches!(refused, SimilarityMapError::NoObjects { .. }),
            "{refused}"
        );
    }
}
