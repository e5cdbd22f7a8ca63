//! The three forms of a segmentation.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::error::SegmentationProblem;
use super::{polygon, rle};
use crate::mask::Mask;

/// A segmentation as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Segmentation {
    /// Polygons, each `x, y, x, y, ...` in pixels.
    Polygons(Vec<Vec<f64>>),
    /// Run lengths.
    Runs(Runs),
}

/// Run lengths with the size they are for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Runs {
    /// Rows and columns.
    size: [u64; 2],
    counts: Counts,
}

/// Run lengths as numbers or in COCO's text.
#[derive(Clone, Debug, PartialEq)]
enum Counts {
    List(Vec<i64>),
    Text(String),
}

impl Segmentation {
    /// The mask in an image of the given size, which is known to be of an acceptable number of pixels.
    pub(super) fn mask(&self, width: u32, height: u32) -> Result<Mask, SegmentationProblem> {
        match self {
            // So do files say that there is nothing, as of an object known by its box alone.
            Self::Polygons(polygons) if polygons.is_empty() => Err(SegmentationProblem::Absent),
            Self::Polygons(polygons) => polygon::of_polygons(polygons, width, height),
            Self::Runs(runs) => {
                let [found_height, found_width] = runs.size;
                if runs.size != [u64::from(height), u64::from(width)] {
                    return Err(SegmentationProblem::Size {
                        found_height,
                        found_width,
                        height,
                        width,
                    });
                }
                match &runs.counts {
                    Counts::List(list) => rle::of_list(list, width, height),
                    Counts::Text(text) => rle::of_text(text, width, height),
                }
            }
        }
    }
}

// Both are written by hand rather than as untagged enums: those would keep a copy of every number, and say of a broken
// one only that no form fits.

impl<'de> Deserialize<'de> for Segmentation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SegmentationVisitor)
    }
}

struct SegmentationVisitor;

impl<'de> Visitor<'de> for SegmentationVisitor {
    type Value = Segmentation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of polygons or run lengths (size and counts)")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut polygons: A) -> Result<Segmentation, A::Error> {
        let mut found = Vec::new();
        while let Some(polygon) = polygons.next_element::<Vec<f64>>()? {
            found.push(polygon);
        }
        Ok(Segmentation::Polygons(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, runs: A) -> Result<Segmentation, A::Error> {
        Runs::deserialize(MapAccessDeserializer::new(runs)).map(Segmentation::Runs)
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountsVisitor)
    }
}

struct CountsVisitor;

impl<'de> Visitor<'de> for CountsVisitor {
    type Value = Counts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of run lengths or their text")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut runs: A) -> Result<Counts, A::Error> {
        let mut found = Vec::new();
        while let Some(run) = runs.next_element()? {
            found.push(run);
        }
        Ok(Counts::List(found))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Counts, E> {
        Ok(Counts::Text(text.to_owned()))
    }
}
