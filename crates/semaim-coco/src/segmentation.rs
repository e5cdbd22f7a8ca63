//! The three forms of a segmentation.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::error::SegmentationProblem;
use crate::polygon;
use crate::rle::Rle;

/// A segmentation as a file has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Segmentation {
    /// Polygons, each `x, y, x, y, ...` in pixels; the mask is their union.
    Polygons(Vec<Vec<f64>>),
    /// Run lengths as numbers.
    Counts {
        /// Rows and columns.
        size: [u64; 2],
        /// Pixels column by column, in turn outside and inside, starting with outside.
        counts: Vec<i64>,
    },
    /// Run lengths in COCO's text.
    Text {
        /// Rows and columns.
        size: [u64; 2],
        /// See [`Rle::from_text`].
        counts: String,
    },
}

/// Run lengths with the size they are for.
#[derive(Deserialize)]
struct Runs {
    size: [u64; 2],
    counts: Counts,
}

enum Counts {
    List(Vec<i64>),
    Text(String),
}

impl Segmentation {
    /// Whether it says nothing, as files write it of an object that is known by its box alone.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Polygons(polygons) if polygons.is_empty())
    }

    /// Drops polygons of fewer than three points where others stand beside them, and says whether there were such.
    pub(crate) fn drop_lines(&mut self) -> bool {
        let is_line = |polygon: &Vec<f64>| polygon.len() < 6 && polygon.len().is_multiple_of(2);
        let Self::Polygons(polygons) = self else {
            return false;
        };
        let some = polygons.iter().any(is_line) && !polygons.iter().all(is_line);
        if some {
            polygons.retain(|polygon| !is_line(polygon));
        }
        some
    }

    /// Whether [`Segmentation::rle`] gives a mask in an image of the given size (columns and rows; `None` where it is not
    /// known), without drawing polygons. Gives the box around it as [`Segmentation::extent`] does; `None` for run lengths in
    /// an image of unknown size.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn checked_extent(
        &self,
        image_size: Option<[u32; 2]>,
    ) -> Result<Option<[f64; 4]>, SegmentationProblem> {
        match (self, image_size) {
            (Self::Polygons(polygons), _) => {
                let mut numbered = polygons.iter().enumerate();
                numbered.try_for_each(|(polygon, numbers)| polygon::check(polygon, numbers))?;
                Ok(polygon::around(polygons))
            }
            (_, Some([width, height])) => Ok(self.extent(&self.rle(width, height)?)),
            (Self::Counts { .. } | Self::Text { .. }, None) => Ok(None),
        }
    }

    /// The box around it, `[x, y, width, height]` in pixels, `mask` being what is drawn of it: around the corners of polygons, whose
    /// thin parts may not be drawn and which may reach out of the image.
    pub(crate) fn extent(&self, mask: &Rle) -> Option<[f64; 4]> {
        match self {
            Self::Polygons(polygons) => polygon::around(polygons),
            Self::Counts { .. } | Self::Text { .. } => Some(mask.bounding_box()),
        }
    }

    /// The mask in an image of the given size, whose sides are at most 65,535.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn rle(&self, width: u32, height: u32) -> Result<Rle, SegmentationProblem> {
        let fits = |size: &[u64; 2]| {
            let [found_height, found_width] = *size;
            if *size == [u64::from(height), u64::from(width)] {
                return Ok(());
            }
            Err(SegmentationProblem::Size {
                found_height,
                found_width,
                height,
                width,
            })
        };
        match self {
            Self::Polygons(polygons) if polygons.is_empty() => Err(SegmentationProblem::Absent),
            Self::Polygons(polygons) => polygon::of_polygons(polygons, width, height),
            Self::Counts { size, counts } => {
                fits(size)?;
                Rle::from_counts(counts, width, height)
            }
            Self::Text { size, counts } => {
                fits(size)?;
                Rle::from_text(counts, width, height)
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
        let Runs { size, counts } = Runs::deserialize(MapAccessDeserializer::new(runs))?;
        Ok(match counts {
            Counts::List(counts) => Segmentation::Counts { size, counts },
            Counts::Text(counts) => Segmentation::Text { size, counts },
        })
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

    fn visit_string<E: Error>(self, text: String) -> Result<Counts, E> {
        Ok(Counts::Text(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Counts, E> {
        Ok(Counts::Text(text.to_owned()))
    }
}
