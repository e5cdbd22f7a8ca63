//! Images with objects: the forms in which they come, what is wrong with them, and loading them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test may panic"
)]

mod coco;
mod loading;
mod yolo;

use std::fs;
use std::path::Path;

use semaim_data::{DataError, ObjectSet, ObjectSpec, OpenOptions, Split, open_objects};

/// Writes a PNG of one gray, and the folders to it.
fn image(path: &Path, [width, height]: [u32; 2]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let gray = vec![90; (width * height) as usize];
    image::save_buffer(path, &gray, width, height, image::ExtendedColorType::L8).unwrap();
}

/// Writes a text, and the folders to it.
fn text(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn open(path: &Path, split: Split) -> Result<ObjectSet, DataError> {
    let spec = ObjectSpec::of(path.display().to_string());
    open_objects(&spec, split, &OpenOptions::default())
}

/// Opens what must be refused, and gives the reason.
fn refusal(path: &Path) -> String {
    open(path, Split::Train).unwrap_err().to_string()
}
