//! The report of a training run as one HTML file: no script, nothing loaded from anywhere, light and dark, to be read on
//! a phone and to be printed.

mod anchor;
mod frame;
mod numeric;
mod parts;
mod picture;
mod style;
mod table;

#[cfg(test)]
mod tests;

pub use picture::Picture;

use crate::chart::LineChart;

/// A report. All texts may be any: nothing in them is read as markup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The heading and the window's title; `Report` if blank.
    pub title: String,
    /// A line below the heading; none if blank.
    pub subtitle: String,
    /// Key figures, shown large in a row at the top.
    pub facts: Vec<Fact>,
    /// The rest, in order. Two or more titles make a table of contents.
    pub sections: Vec<Section>,
}

/// A value with its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// The value with its unit; a dash stands for a blank one.
    pub value: String,
}

/// A part of a report under a heading of its own, which links can lead to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// The heading. Letters and digits of it make the anchor: `Nearest neighbours` is at `#nearest-neighbours`. Without
    /// a title there is no heading.
    pub title: String,
    /// What stands below. If there is nothing in any of them, the section says `Nothing yet.`
    pub parts: Vec<Part>,
}

/// What stands in a section. Parts that hold nothing are left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Paragraphs, parted by blank lines.
    Text(String),
    /// Curves. Charts that follow each other stand in a grid, two in a row where there is room.
    Chart(LineChart),
    /// A table. Columns of numbers, with units or without, are aligned to the right. Rows may differ in length.
    Table {
        /// The line above; none if blank. A table without rows but with a caption says that there is nothing yet.
        caption: String,
        /// The names of the columns; none if all are blank.
        header: Vec<String>,
        /// The cells, row by row.
        rows: Vec<Vec<String>>,
    },
    /// Pictures side by side as far as there is room; those of more than 560 pixels in width stand alone.
    Pictures(Vec<Picture>),
    /// A file, to be unfolded.
    Source {
        /// What it is, such as its name.
        title: String,
        /// The text as it is, breaks and tabs included.
        text: String,
    },
    /// Names and values, one pair a line, such as an environment.
    Pairs(Vec<Fact>),
}

impl Page {
    /// The file. Equal pages give equal texts.
    ///
    /// The file is as large as all its texts, a third more than all pictures, and some 15 bytes for every point of a
    /// curve ([`thinned`](crate::thinned) makes those fewer). A browser that keeps to the policy in the file neither runs
    /// a script in it nor loads anything for it.
    pub fn html(&self) -> String {
        frame::document(self)
    }
}
