//! Images with label maps: the forms in which they come, what is wrong with them, and loading them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test may panic"
)]

mod faults;
mod layouts;
mod loading;

use std::fs;
use std::path::Path;

use semaim_data::{DataError, LabelMapSet, LabelMapSpec, OpenOptions, Split, open_label_maps};

/// Columns and rows of the images.
const SIZE: [u32; 2] = [6, 4];

/// Writes an image of one gray, and the folders to it.
fn image(path: &Path) {
    labels(path, &[90; 24]);
}

/// Writes a gray PNG, and the folders to it.
fn labels(path: &Path, values: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let [width, height] = SIZE;
    image::save_buffer(path, values, width, height, image::ExtendedColorType::L8).unwrap();
}

/// Writes a PNG whose values are places in a palette of the given colors, and the folders to it.
fn places(path: &Path, values: &[u8], palette: &[[u8; 3]]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let [width, height] = SIZE;
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(palette.concat());
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(values).unwrap();
}

/// Values in columns: four pixels of each.
fn columns(values: [u8; 6]) -> Vec<u8> {
    values.repeat(4)
}

/// Writes a text, and the folders to it.
fn text(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn open(path: &Path, split: Split) -> Result<LabelMapSet, DataError> {
    let spec = LabelMapSpec::of(path.display().to_string());
    open_label_maps(&spec, split, &OpenOptions::default())
}

fn refusal(path: &Path) -> String {
    open(path, Split::Train).unwrap_err().to_string()
}
