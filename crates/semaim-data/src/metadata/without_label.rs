//! Images that get no label from metadata files, and why.

use std::path::Path;

use super::rows::ReadLabel;
use super::{Given, LabelFile, Place, Row};
use crate::counted::counted;
use crate::notices::{self, some_of};

/// The images of a set that get no label from its metadata files, by reason.
#[derive(Debug, Default)]
pub(super) struct WithoutLabel<'a> {
    /// No file gives them one.
    missing: Vec<&'a str>,
    /// What they are given is no single name or number; with what it is.
    not_read: Vec<String>,
    /// They are given more than one.
    several: Vec<(&'a str, &'a Given)>,
}

impl<'a> WithoutLabel<'a> {
    pub(super) fn add(&mut self, image: &'a Place, given: Option<&'a Given>) {
        match given {
            None => self.missing.push(&image.1),
            Some(given) => match given.only() {
                None => self.several.push((&image.1, given)),
                Some(Err(value)) => self.not_read.push(format!("{} ({value})", image.1)),
                Some(Ok(_)) => {}
            },
        }
    }

    /// Says it of each reason; `images` are all of the set's, `files` those with labels.
    pub(super) fn say(&self, set: &Path, images: &[Place], files: &[LabelFile]) {
        let set = set.display();
        if !self.missing.is_empty() {
            let around = files.iter().filter(|file| file.is_around_one_of(images));
            let around: Vec<String> = around.map(|file| file.path.display().to_string()).collect();
            notices::warn(format!(
                "{set}: labels are those of {}, in which {} of {} {} none: {}",
                some_of(&around),
                self.missing.len(),
                counted(images.len(), "image"),
                if self.missing.len() == 1 {
                    "has"
                } else {
                    "have"
                },
                some_of(&self.missing)
            ));
        }
        if !self.not_read.is_empty() {
            let (have, are) = have_and_are(self.not_read.len());
            notices::warn(format!(
                "{set}: {have} no single label and {are} without: {}",
                some_of(&self.not_read)
            ));
        }
        if let Some((image, given)) = self.several.first() {
            let (have, are) = have_and_are(self.several.len());
            let other = given.other.as_ref();
            let said = |label, row| said(label, row, files);
            notices::warn(format!(
                "{set}: {have} more than one label and {are} without, such as {image}: {}, {}",
                said(&given.label, given.row),
                other.map_or(String::new(), |(label, row)| said(label, *row))
            ));
        }
    }
}

/// A label and where it stands.
fn said(label: &ReadLabel, row: Row, files: &[LabelFile]) -> String {
    let (Ok(label) | Err(label)) = label;
    let file = files.get(row.file).map(|file| file.path.display());
    let file = file.map_or(String::new(), |file| format!(" of {file}"));
    format!("`{label}` on line {}{file}", row.line)
}

fn have_and_are(images: usize) -> (String, &'static str) {
    match images {
        1 => ("an image has".to_owned(), "is"),
        number => (format!("{number} images have"), "are"),
    }
}
