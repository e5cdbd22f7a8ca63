//! Folders, tar files, IDX files and lists: what is found, in which order, with which labels and errors.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test may panic"
)]

mod arrays;
mod folders;
mod idx;
mod lists;
mod metadata;
mod said;
mod several;
mod tars;

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;

use semaim_data::{
    Augment, BadImage, DataError, ImageProblem, LoaderOptions, OpenOptions, Position, Source,
    Split, TrainingLoader, open,
};
use tempfile::TempDir;

/// A 1x1 PNG whose red is `value`.
fn png(value: u8) -> Vec<u8> {
    let image = image::RgbImage::from_pixel(1, 1, image::Rgb([value, 0, 0]));
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn folder(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (value, name) in files.iter().enumerate() {
        write(root.path(), name, &png(value as u8));
    }
    root
}

fn opened(path: &Path, split: Split) -> Result<Arc<dyn Source>, DataError> {
    open(&path.display().to_string(), split, &OpenOptions::default())
}

fn train(path: &Path) -> Arc<dyn Source> {
    opened(path, Split::Train).unwrap()
}

/// The red of every image, which tells the files of [`folder`] apart.
fn reds(source: &Arc<dyn Source>) -> Vec<u8> {
    let red = |index| source.image(index).unwrap().bytes()[0];
    (0..source.len()).map(red).collect()
}

fn labels(source: &Arc<dyn Source>) -> Vec<Option<u32>> {
    (0..source.len()).map(|index| source.label(index)).collect()
}

#[test]
fn several_paths_must_be_tars() {
    let error = open("a.tar,b.jpg", Split::Train, &OpenOptions::default()).unwrap_err();
    assert!(matches!(error, DataError::Spec { .. }), "{error}");
}

#[test]
fn single_images_are_sets() {
    let root = folder(&["a.png", "b.png"]);
    let source = train(&root.path().join("b.png"));
    assert_eq!((reds(&source), labels(&source)), (vec![1], vec![None]));
    assert!(source.name(0).ends_with("b.png"));
    let both = ["b.png", "a.png"].map(|name| root.path().join(name).display().to_string());
    let source = open(&both.join(","), Split::Eval, &OpenOptions::default()).unwrap();
    assert_eq!(reds(&source), [1, 0]);
    // What is inside decides where the extension says nothing.
    write(root.path(), "c.photo", &png(7));
    assert_eq!(reds(&train(&root.path().join("c.photo"))), [7]);
    let missing = root.path().join("d.png");
    assert!(matches!(
        opened(&missing, Split::Train).unwrap_err(),
        DataError::Missing { .. }
    ));
}

#[test]
fn formats_that_are_not_read_are_named() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a.HEIC", "b.heic", "c.avif", "d.txt"] {
        write(root.path(), name, b"x");
    }
    let error = opened(root.path(), Split::Train).unwrap_err().to_string();
    assert!(
        error.contains("1 AVIF file, 2 HEIC files are not read"),
        "{error}"
    );
    let error = opened(&root.path().join("a.HEIC"), Split::Train).unwrap_err();
    assert!(matches!(error, DataError::NotRead { .. }), "{error}");
    // One that says it is a JPEG.
    write(root.path(), "e.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    let source = train(root.path());
    let error = source.image(0).unwrap_err();
    assert!(matches!(error.problem, ImageProblem::Unsupported { .. }));
    assert!(error.to_string().contains("a HEIC file"), "{error}");
}

#[test]
fn splits_by_the_names_people_use() {
    for [train_name, eval_name] in [
        ["Training", "Testing"],
        ["Train", "Val"],
        ["TRAIN", "valid"],
        ["train2017", "val2017"],
        ["training_set", "test_set"],
    ] {
        let files = [
            format!("{train_name}/a/1.png"),
            format!("{eval_name}/a/2.png"),
            format!("{train_name}/b/3.png"),
        ];
        let root = folder(&files.each_ref().map(String::as_str));
        let source = train(root.path());
        assert_eq!(reds(&source), [0, 2]);
        assert_eq!(source.classes(), ["a", "b"]);
        let eval = opened(root.path(), Split::Eval).unwrap();
        assert_eq!((reds(&eval), eval.classes().len()), (vec![1], 1));
        let members: Vec<(&str, Vec<u8>)> = files
            .iter()
            .zip(0..)
            .map(|(name, value)| (name.as_str(), png(value)))
            .collect();
        write(root.path(), "set.tar", &tars::tar_of(&members));
        let path = root.path().join("set.tar");
        assert_eq!(reds(&train(&path)), [0, 2]);
        assert_eq!(reds(&opened(&path, Split::Eval).unwrap()), [1]);
    }
}
