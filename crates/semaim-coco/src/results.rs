//! A file of results: a list of detections, each with `image_id`, `category_id`, `score`, and `bbox`, `segmentation`
//! or both; `file_name` besides where a program says which image it is.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::annotations::box_or_nothing;
use crate::error::CocoError;
use crate::integer::Integer;
use crate::json;
use crate::segmentation::Segmentation;

/// The detections of a file.
#[derive(Clone, Debug)]
pub struct Results {
    pub(crate) path: PathBuf,
    pub(crate) results: Vec<ScoredResult>,
}

/// A detection as a file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredResult {
    /// The image's `id`.
    pub image_id: i64,
    /// The image's file, as `semaim predict` writes it where its numbers are no annotations'; `None` for what is no text.
    pub file_name: Option<String>,
    /// The category's `id`.
    pub category_id: i64,
    /// How sure it is, finite.
    pub score: f64,
    /// `[x, y, width, height]` in pixels, unchecked.
    pub bbox: Option<[f64; 4]>,
    /// The mask, unchecked.
    pub segmentation: Option<Segmentation>,
}

#[derive(Deserialize)]
struct FileResult {
    image_id: Integer,
    #[serde(default, deserialize_with = "text_or_nothing")]
    file_name: Option<String>,
    category_id: Integer,
    score: f64,
    #[serde(default, deserialize_with = "box_or_nothing")]
    bbox: Option<[f64; 4]>,
    segmentation: Option<Segmentation>,
}

/// A text; what is none, such as a number, says nothing.
fn text_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

impl From<FileResult> for ScoredResult {
    fn from(result: FileResult) -> Self {
        Self {
            image_id: result.image_id.0,
            file_name: result.file_name,
            category_id: result.category_id.0,
            score: result.score,
            bbox: result.bbox,
            segmentation: result.segmentation.filter(|mask| !mask.is_empty()),
        }
    }
}

impl<'de> Deserialize<'de> for ScoredResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        FileResult::deserialize(deserializer).map(Self::from)
    }
}

impl Results {
    /// Reads a file. Scores are finite: JSON has no others.
    ///
    /// # Errors
    ///
    /// [`CocoError::Read`] and [`CocoError::Json`] when the file cannot be read or is of another form.
    pub fn read(path: &Path) -> Result<Self, CocoError> {
        Ok(Self {
            path: path.to_owned(),
            results: json::read(path, "results")?,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The detections, in the order of the file.
    pub fn results(&self) -> &[ScoredResult] {
        &self.results
    }
}
