//! What was put right in a file, counted and named.

use std::fmt;

use crate::error::Entry;

/// What is put right, because the COCO API or everybody who uses it does it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repaired {
    /// `iscrowd` is missing: 0.
    Crowd,
    /// A truth without `area`: that of its mask.
    AreaOfMask,
    /// A truth without `area` and without a mask: that of its box.
    AreaOfBox,
    /// A truth without `bbox`: that of its mask.
    BoxOfMask,
    /// A result without a mask in a file that has masks: the box as a mask, as the COCO API does.
    MaskOfBox,
    /// A truth whose `id` is 0: the COCO API takes a match with it for none. Kept, because its numbers are the standard.
    IdZero,
    /// A box without area, which nothing can match. Kept, as the COCO API does.
    EmptyBox,
    /// Polygons of fewer than three points beside others: left out, as they have no area.
    Line,
    /// Boxes that reach out of their images and would not as corners, too few to be sure. Kept.
    MaybeCorners,
    /// An object whose box and mask overlap by less than half. Both are kept.
    Apart,
}

/// How often something was put right in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What.
    pub what: Repaired,
    /// How many entries.
    pub count: usize,
    /// The first of them.
    pub first: Entry,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = match (self.count, self.first) {
            (1, Entry::Annotation(_)) => "1 annotation".to_owned(),
            (count, Entry::Annotation(_)) => format!("{count} annotations"),
            (1, Entry::Result(_)) => "1 result".to_owned(),
            (count, Entry::Result(_)) => format!("{count} results"),
        };
        let what = match self.what {
            Repaired::Crowd => "without `iscrowd`: taken as 0",
            Repaired::AreaOfMask => "without `area`: that of the mask is taken",
            Repaired::AreaOfBox => "without `area`: that of the box is taken",
            Repaired::BoxOfMask => "without `bbox`: that of the mask is taken",
            Repaired::MaskOfBox => {
                "without `segmentation`: scored as a mask by the box, as the COCO API does"
            }
            Repaired::IdZero => {
                "with the id 0: a detection that matches it counts as a false positive, as in the COCO API"
            }
            Repaired::EmptyBox => "with a box without area: nothing overlaps it",
            Repaired::Line => {
                "with polygons of fewer than three points beside others: those are left out, having no area"
            }
            Repaired::MaybeCorners => {
                "with a box that reaches out of its image and would not as corners [x0, y0, x1, y1], as which all \
                 boxes of the file would do: `bbox` must be [x, y, width, height]"
            }
            Repaired::Apart => {
                "whose `bbox` and `segmentation` overlap by less than half, as where an image was resized with one of them \
                 alone, where boxes are amodal (around hidden parts too), or where masks are empty: both are kept, masks being \
                 what is trained on and `bbox` what boxes are scored by"
            }
        };
        write!(f, "{entries} {what} (the first: {})", self.first)
    }
}

/// The repairs of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repairs(pub(crate) Vec<Repair>);

impl Repairs {
    pub(crate) fn count(&mut self, what: Repaired, entry: Entry) {
        match self.0.iter_mut().find(|repair| repair.what == what) {
            Some(repair) => repair.count += 1,
            None => self.0.push(Repair {
                what,
                count: 1,
                first: entry,
            }),
        }
    }
}
