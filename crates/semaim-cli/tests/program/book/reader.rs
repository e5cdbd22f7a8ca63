//! The folder of somebody who reads the book: small files that stand for photographs, labels and a public encoder.

use std::fs;
use std::path::Path;

use super::commands::{LITTLE, NETWORK, SHORT};
use crate::bitmap::bitmap;
use crate::detect::rectangles;
use crate::evaluate::{colored, path};
use crate::runner::{semaim, succeed};
use crate::segment::fields;

const CLASSES: &[(&str, [u8; 3])] = &[
    ("boots", [160, 20, 0]),
    ("hats", [0, 30, 170]),
    ("shirts", [20, 150, 60]),
];

/// Makes what the book takes for granted, by the names that it uses.
pub(super) fn furnish(folder: &Path) {
    photographs(&folder.join("photos"), 96);
    photographs(&folder.join("new-photos"), 4);
    colored(&folder.join("labeled"), "train", CLASSES, 30);
    colored(&folder.join("labeled"), "val", CLASSES, 8);
    annotated(&folder.join("annotated"));
    fields(&folder.join("scenes"), "train", 16, [0, 1, 255]);
    fields(&folder.join("scenes"), "val", 4, [0, 1, 255]);
    public_encoder(folder);
}

/// Pictures without labels, in folders of folders.
fn photographs(folder: &Path, count: usize) {
    for number in 0..count {
        let month = folder.join(format!("2026-{:02}", 1 + number % 2));
        fs::create_dir_all(&month).unwrap();
        let picture = bitmap(40, |x, y| {
            let inside = (x / 8 + y / 8 + number) % 3 == 0;
            let shade = (40 + 3 * x + 2 * y + number) as u8;
            if inside {
                [shade, 200, 60]
            } else {
                [90, shade, 140]
            }
        });
        fs::write(month.join(format!("{number}.bmp")), picture).unwrap();
    }
}

/// A folder in COCO's format with a part to train on and one to evaluate on.
fn annotated(folder: &Path) {
    fs::create_dir_all(folder.join("annotations")).unwrap();
    for (part, count) in [("train", 18), ("val", 5)] {
        let images = folder.join(part);
        let file = rectangles(&images, count, true);
        for picture in fs::read_dir(images.join("images")).unwrap() {
            let picture = picture.unwrap();
            fs::rename(picture.path(), images.join(picture.file_name())).unwrap();
        }
        fs::remove_dir(images.join("images")).unwrap();
        let annotations = folder.join(format!("annotations/instances_{part}.json"));
        fs::rename(file, annotations).unwrap();
    }
}

/// An encoder as Hugging Face's library keeps them, a folder with `config.json`.
fn public_encoder(folder: &Path) {
    let run = folder.join("elsewhere");
    let mut command = semaim(&["pretrain", "--out", path(&run)]);
    command.args(["--set", "model.channels=3"]);
    for setting in [NETWORK, LITTLE, SHORT].into_iter().flatten() {
        command.args(["--set", setting]);
    }
    succeed(command);
    let export = ["export", "--weights", path(&run), "--layout", "huggingface"];
    let to = folder.join("dino-vits16");
    succeed(semaim(&[&export[..], &["--to", path(&to)]].concat()));
    fs::remove_dir_all(run).unwrap();
}
