//! Training a detector, and using it.

mod files;
mod predict;
mod refused;
mod train;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::bitmap::bitmap;
use crate::evaluate::path;
use crate::runner::semaim;

/// Settings of a detector that trains in a second or two.
pub(crate) const QUICK: &[&str] = &[
    "detector.canvas=64",
    "detector.pyramid_channels=8",
    "detector.attention.window=0",
    "detector.attention.relative_positions=false",
    "detector.proposals.anchor_sizes=[8,16,24,32,64]",
    "detector.proposals.convolutions=1",
    "detector.proposals.samples=32",
    "detector.proposals.before_nms_training=64",
    "detector.proposals.before_nms_inference=64",
    "detector.proposals.after_nms_training=16",
    "detector.proposals.after_nms_inference=16",
    "detector.regions.samples=16",
    "detector.regions.channels=8",
    "detector.regions.box_bins=3",
    "detector.regions.box_convolutions=1",
    "detector.regions.box_hidden=16",
    "detector.regions.mask_bins=4",
    "detector.regions.mask_convolutions=1",
    "train.batch_size=4",
    "train.epochs=3",
    "optimizer.base_lr=0.2",
    "optimizer.schedule=cosine",
    "optimizer.milestones=[]",
    "jitter.scale=[0.8,1.2]",
    "eval.every_epochs=1",
    "eval.pictures=2",
    "log.every_steps=1",
];

/// The losses of a detector, as detectron2 calls them.
const LOSSES: &[&str] = &[
    "train/loss_rpn_cls",
    "train/loss_rpn_loc",
    "train/loss_cls",
    "train/loss_box_reg",
    "train/loss_mask",
];

/// `semaim detect` of a small detector on an encoder, into `out`.
fn detect(encoder: &Path, data: &[&str], out: &Path, more: &[&str]) -> Command {
    let mut command = semaim(&["detect", "--weights", path(encoder), "--out", path(out)]);
    command.args(data);
    for setting in QUICK {
        command.args(["--set", setting]);
    }
    command.args(more);
    command
}

const KINDS: [(u64, &str, [u8; 3]); 2] = [(7, "cup", [0, 0, 220]), (3, "brush", [220, 60, 0])];

/// A set in COCO's format: pictures of a rectangle each, which is a cup or a brush by its color; the last has none. Masks
/// where they are asked for.
pub(crate) fn rectangles(folder: &Path, count: u64, masks: bool) -> PathBuf {
    let images = folder.join("images");
    fs::create_dir_all(&images).unwrap();
    let mut annotations = Vec::new();
    let mut entries = Vec::new();
    for number in 0..count {
        let (id, name) = (100 - 3 * number, format!("{number}.bmp"));
        entries.push(json!({"id": id, "file_name": name, "width": 48, "height": 48}));
        let (category, _, color) = KINDS[number as usize % 2];
        let [x, y, width, height] = [4 + number % 9, 6 + number % 5, 20, 16 + number % 4];
        let is_negative = number + 1 == count;
        let inside = |column: usize, row: usize| {
            // Rows of a bitmap are from below.
            let (column, row) = (column as u64, 47 - row as u64);
            !is_negative && (x..x + width).contains(&column) && (y..y + height).contains(&row)
        };
        let picture = bitmap(48, |column, row| match inside(column, row) {
            true => color,
            false => [90, 90, (60 + column + row) as u8],
        });
        fs::write(images.join(&name), picture).unwrap();
        if is_negative {
            continue;
        }
        let mut annotation = json!({
            "id": number + 1, "image_id": id, "category_id": category, "iscrowd": 0,
            "bbox": [x, y, width, height], "area": width * height,
        });
        if masks {
            let (right, bottom) = (x + width, y + height);
            annotation["segmentation"] = json!([[x, y, right, y, right, bottom, x, bottom]]);
        }
        annotations.push(annotation);
    }
    let categories = KINDS.map(|(id, name, _)| json!({"id": id, "name": name}));
    let file = folder.join("instances.json");
    let text = json!({"images": entries, "annotations": annotations, "categories": categories});
    fs::write(&file, text.to_string()).unwrap();
    file
}
