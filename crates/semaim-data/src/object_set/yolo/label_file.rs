//! The objects of one image: a line each, `class x y width height` or `class x y x y x y ...`.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use semaim_coco::{Annotation, Segmentation};

use crate::error::DataError;

/// How far a coordinate may be out of 0 to 1, as Ultralytics has it.
const SLACK: f64 = 0.01;

/// What is put right in a line, as Ultralytics does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mended {
    /// The same line as one before: left out.
    Repeated,
    /// A coordinate a little out of 0 to 1: set to the edge.
    Outside,
    /// A box that reaches out of its image. Kept.
    ReachesOut,
    /// A box without area. Kept.
    Empty,
}

impl fmt::Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repeated => "repeated in the same file: left out",
            Self::Outside => "with a coordinate that is a little out of 0 to 1: set to the edge",
            Self::ReachesOut => {
                "with a box that reaches out of its image: trained on as far as it is inside, scored as it is"
            }
            Self::Empty => "with a box without area: not trained on",
        })
    }
}

/// What a label file says.
pub(super) struct LabelFile {
    /// Boxes and polygons in fractions of the image.
    pub(super) objects: Vec<Annotation>,
    /// What was put right, with the line's number from 1.
    pub(super) mended: Vec<(Mended, usize)>,
}

impl LabelFile {
    /// Reads a file; `None` where there is none. `number` is that of the last object so far.
    pub(super) fn read(
        path: &Path,
        classes: usize,
        number: &mut i64,
    ) -> Result<Option<Self>, DataError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DataError::unreadable(path, error)),
        };
        let mut file = Self {
            objects: Vec::new(),
            mended: Vec::new(),
        };
        let text = String::from_utf8_lossy(&text);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut seen = HashSet::new();
        for (line, fields) in (1..).zip(text.lines()) {
            let fields: Vec<&str> = fields.split_whitespace().collect();
            if fields.is_empty() {
                continue;
            }
            if !seen.insert(fields.clone()) {
                file.mended.push((Mended::Repeated, line));
                continue;
            }
            let (class, mut numbers) =
                parse(&fields, classes).map_err(|reason| DataError::List {
                    path: path.to_owned(),
                    line: line as u64,
                    reason,
                })?;
            let inside = numbers.iter().all(|number| (0.0..=1.0).contains(number));
            if !inside {
                numbers
                    .iter_mut()
                    .for_each(|number| *number = number.clamp(0.0, 1.0));
                file.mended.push((Mended::Outside, line));
            }
            let (bbox, segmentation) = match numbers[..] {
                [x, y, width, height] => ([x - width / 2.0, y - height / 2.0, width, height], None),
                _ => (
                    around(&numbers),
                    Some(Segmentation::Polygons(vec![numbers])),
                ),
            };
            let [x, y, width, height] = bbox;
            if width * height == 0.0 {
                file.mended.push((Mended::Empty, line));
            }
            if x < -SLACK || y < -SLACK || x + width > 1.0 + SLACK || y + height > 1.0 + SLACK {
                file.mended.push((Mended::ReachesOut, line));
            }
            *number += 1;
            file.objects.push(Annotation {
                id: *number,
                category: class,
                is_crowd: false,
                bbox: Some(bbox),
                area: None,
                segmentation,
            });
        }
        Ok(Some(file))
    }
}

/// The class and the coordinates of a line.
fn parse(fields: &[&str], classes: usize) -> Result<(usize, Vec<f64>), String> {
    let numbers = fields.iter().map(|field| {
        let number = field
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite());
        number.ok_or_else(|| format!("{field:?} is no number"))
    });
    let mut numbers = numbers.collect::<Result<Vec<f64>, _>>()?;
    let count = numbers.len();
    if count != 5 && (count < 7 || count.is_multiple_of(2)) {
        let hint = match count {
            6 => "; with a sixth, a score, they are detections, not labels",
            _ => "",
        };
        return Err(format!(
            "{count} numbers; a box has 5 (class x y width height), a polygon an odd number of at least 7 (class x y x y x y \
             ...){hint}"
        ));
    }
    let class = numbers.remove(0);
    if class.fract() != 0.0 || !(0.0..classes as f64).contains(&class) {
        return Err(format!(
            "there is no class {class}; data.yaml names 0 to {}",
            classes.saturating_sub(1)
        ));
    }
    let within = |number: &&f64| (-SLACK..=1.0 + SLACK).contains(*number);
    match numbers.iter().find(|number| !within(number)) {
        Some(outside) => Err(format!(
            "{outside} is not within 0 to 1; coordinates are fractions of the image's width and height"
        )),
        None => Ok((class as usize, numbers)),
    }
}

/// The box `[x, y, width, height]` around a polygon.
fn around(corners: &[f64]) -> [f64; 4] {
    let of_axis = |axis: usize| {
        let edges = corners.iter().skip(axis).step_by(2);
        let low = edges.clone().copied().fold(f64::INFINITY, f64::min);
        (low, edges.copied().fold(f64::NEG_INFINITY, f64::max) - low)
    };
    let ((x, width), (y, height)) = (of_axis(0), of_axis(1));
    [x, y, width, height]
}
