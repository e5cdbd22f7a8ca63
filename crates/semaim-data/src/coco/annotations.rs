//! The form of a file of instances. What is not needed is skipped.

use serde::Deserialize;

use super::segmentation::Segmentation;

/// The whole file.
#[derive(Debug, Deserialize)]
pub(super) struct File {
    pub(super) images: Vec<Image>,
    pub(super) annotations: Vec<Annotation>,
    pub(super) categories: Vec<Category>,
}

/// One of `images`.
#[derive(Debug, Deserialize)]
pub(super) struct Image {
    pub(super) id: i64,
    pub(super) file_name: String,
    pub(super) width: u64,
    pub(super) height: u64,
}

/// One of `annotations`.
#[derive(Debug, Deserialize)]
pub(super) struct Annotation {
    pub(super) id: i64,
    pub(super) image_id: i64,
    pub(super) category_id: i64,
    pub(super) segmentation: Option<Segmentation>,
    pub(super) bbox: Option<[f64; 4]>,
    pub(super) area: Option<f64>,
    #[serde(default)]
    pub(super) iscrowd: u8,
}

/// One of `categories`.
#[derive(Debug, Deserialize)]
pub(super) struct Category {
    pub(super) id: i64,
    pub(super) name: String,
}
