//! Where everything of a confusion matrix goes.
//!
//! From the top: the title, the accuracy, `predicted`, the names of the columns, the matrix with names to the left and
//! accuracies to the right, the colour bar, the caption.

use super::matrix::ConfusionMatrix;
use crate::error::FigureError;
use crate::layout::{MARGIN, PART_GAP, limit};
use crate::paint::Area;
use crate::text::{HEADER, LABEL, TITLE};

/// The most classes that are shown with numbers and every name.
pub(super) const READABLE: usize = 50;
/// Between a name and the matrix.
const GAP: u32 = 8;
/// The widest name, in pixels; longer ones are shortened.
const WIDEST_NAME: u32 = 190;
/// About how wide a matrix of too many classes for names is.
const DENSE_WIDTH: u32 = 960;
/// Between names that stand for many.
const TICK_DISTANCE: u32 = 30;
/// The narrowest content, so that the texts fit.
const LEAST_WIDTH: u32 = 440;
/// The widest colour bar.
const WIDEST_BAR: u32 = 560;
/// The width of the strip of accuracies where there is no room for numbers.
const STRIP: u32 = 18;

/// The places of the parts, in pixels.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The whole figure.
    pub(super) size: [u32; 2],
    /// The lines of the title.
    pub(super) title: Vec<String>,
    /// The lines of the caption.
    pub(super) caption: Vec<String>,
    /// Pixels of a cell.
    pub(super) cell: u32,
    /// The matrix.
    pub(super) matrix: Area,
    /// From one class with a name to the next.
    pub(super) name_step: usize,
    /// The largest width of a name.
    pub(super) name: u32,
    /// Whether the columns' names are turned.
    pub(super) turned: bool,
    /// Where the columns' names end, above the matrix.
    pub(super) column_names_bottom: u32,
    /// The left ends and widths of accuracies and numbers of samples. The second is 0 wide where there are none.
    pub(super) figures: [Area; 2],
    /// The line with the accuracy of all.
    pub(super) summary: Area,
    /// The line that says `predicted`.
    pub(super) predicted: Area,
    /// The column that says `true`, upwards.
    pub(super) truth: Area,
    /// The colour bar.
    pub(super) bar: Area,
    caption_top: u32,
}

impl Layout {
    /// Lays out a figure.
    pub(super) fn new(
        matrix: &ConfusionMatrix,
        title: &str,
        caption: &str,
    ) -> Result<Layout, FigureError> {
        let classes = matrix.classes().len();
        let readable = classes <= READABLE;
        let cell = cell(matrix);
        let side = side(classes, cell)?;
        let line = LABEL.line_height();
        let name_step = if readable {
            1
        } else {
            TICK_DISTANCE.div_ceil(cell) as usize
        };
        let shown = matrix.classes().iter().step_by(name_step);
        let longest = shown.map(|name| LABEL.width(name)).max().unwrap_or(0);
        let name = longest.min(WIDEST_NAME);
        let turned = longest + 4 > cell;
        let name_height = if turned { name } else { line };
        let widths = if readable {
            let samples = (0..classes).map(|class| matrix.samples(class).to_string());
            let samples = samples.map(|text| LABEL.width(&text));
            let head = HEADER.width("samples");
            [HEADER.width("accuracy"), samples.fold(head, u32::max)]
        } else {
            [STRIP, 0]
        };

        let left = HEADER.line_height() + GAP + name + GAP;
        let between = if readable { 2 * GAP } else { 0 };
        let right = 2 * GAP + widths[0] + between + widths[1];
        let content = left + side + right;
        let inner = content.max(LEAST_WIDTH);
        let x = MARGIN + (inner - content) / 2;
        let title = TITLE.wrap(title, inner);
        let caption = LABEL.wrap(caption, inner);
        let mut y = MARGIN + TITLE.line_height() * title.len() as u32;
        if !title.is_empty() {
            y += 2;
        }
        let area = |x, y, width, height| Area {
            x,
            y,
            width,
            height,
        };
        let summary = area(MARGIN, y, inner, line);
        y += line + PART_GAP;
        let predicted = area(x + left, y, side, HEADER.line_height());
        y += HEADER.line_height() + 4;
        let column_names_bottom = y + name_height;
        // Texts stand a little off the matrix; a line of text brings its own space.
        y = column_names_bottom + if turned { GAP } else { 2 };
        let matrix = area(x + left, y, side, side);
        let truth = area(x, y, HEADER.line_height(), side);
        let numbers = matrix.x + side + 2 * GAP;
        let figures = [
            area(numbers, y, widths[0], side),
            area(numbers + widths[0] + between, y, widths[1], side),
        ];
        y += side + PART_GAP + 4;
        let bar = area(MARGIN, y, inner.min(WIDEST_BAR), line);
        y += line;
        let caption_top = y + PART_GAP;
        if !caption.is_empty() {
            y = caption_top + line * caption.len() as u32;
        }
        let size = [inner + 2 * MARGIN, y + MARGIN];
        limit(u64::from(size[0]), u64::from(size[1]))?;
        Ok(Layout {
            size,
            title,
            caption,
            cell,
            matrix,
            name_step,
            name,
            turned,
            column_names_bottom,
            figures,
            summary,
            predicted,
            truth,
            bar,
            caption_top,
        })
    }

    /// The top left corner of a line of the title.
    pub(super) fn title_line(&self, line: usize) -> [u32; 2] {
        [MARGIN, MARGIN + TITLE.line_height() * line as u32]
    }

    /// The top left corner of a line of the caption.
    pub(super) fn caption_line(&self, line: usize) -> [u32; 2] {
        [MARGIN, self.caption_top + LABEL.line_height() * line as u32]
    }

    /// The cell of a true and a predicted class.
    pub(super) fn cell_at(&self, row: usize, column: usize) -> Area {
        Area {
            x: self.matrix.x + self.cell * column as u32,
            y: self.matrix.y + self.cell * row as u32,
            width: self.cell,
            height: self.cell,
        }
    }

    /// Where a line of text in the middle of a row starts, from the top.
    pub(super) fn text_top(&self, row: usize) -> u32 {
        let middle = self.matrix.y + self.cell * row as u32 + self.cell / 2;
        middle.saturating_sub(LABEL.line_height() / 2)
    }
}

/// Pixels of a cell: room for the largest count where few classes leave it.
fn cell(matrix: &ConfusionMatrix) -> u32 {
    let [least, most] = match matrix.classes().len() {
        0..=4 => [72, 120],
        5..=12 => [48, 80],
        13..=25 => [32, 64],
        26..=READABLE => [22, 34],
        many => return (DENSE_WIDTH / u32::try_from(many).unwrap_or(u32::MAX)).max(1),
    };
    let largest = matrix.counts().iter().max().copied().unwrap_or(0);
    (LABEL.width(&largest.to_string()) + 8).clamp(least, most)
}

/// Pixels of a side of the matrix.
fn side(classes: usize, cell: u32) -> Result<u32, FigureError> {
    let side = (classes as u64).saturating_mul(cell.into());
    limit(side, side)?;
    Ok(side as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(classes: usize, count: u64, name: &str) -> ConfusionMatrix {
        let names = (0..classes).map(|n| format!("{name}{n}")).collect();
        ConfusionMatrix::new(names, vec![count; classes * classes]).unwrap()
    }

    #[test]
    fn parts_are_inside_and_apart() {
        for (classes, count, name) in [
            (1, 3, ""),
            (2, 100_000, "a class of a very long name indeed, number "),
            (10, 5, "cat"),
            (50, u64::MAX, "x"),
            (51, 9, "bird"),
            (1000, 1, "n0"),
        ] {
            let matrix = matrix(classes, count, name);
            let layout = Layout::new(&matrix, "Title", "Caption").unwrap();
            let [accuracy, samples] = layout.figures;
            let parts = [layout.truth, layout.matrix, accuracy, samples];
            for pair in parts.windows(2) {
                assert!(
                    pair[0].x + pair[0].width <= pair[1].x,
                    "{classes}: {pair:?}"
                );
            }
            let parts = [layout.summary, layout.predicted, layout.matrix, layout.bar];
            for pair in parts.windows(2) {
                assert!(
                    pair[0].y + pair[0].height <= pair[1].y,
                    "{classes}: {pair:?}"
                );
            }
            for part in [layout.summary, layout.matrix, layout.bar, accuracy, samples] {
                assert!(part.x + part.width + MARGIN <= layout.size[0], "{part:?}");
                assert!(part.y + part.height + MARGIN <= layout.size[1], "{part:?}");
            }
            let last = layout.cell_at(classes - 1, classes - 1);
            assert_eq!(last.x + last.width, layout.matrix.x + layout.matrix.width);
            assert!(layout.truth.x + layout.truth.width + layout.name < layout.matrix.x);
        }
    }

    #[test]
    fn names_that_stand_for_many_do_not_touch() {
        for classes in [51, 120, 700, 3000] {
            let layout = Layout::new(&matrix(classes, 1, "x"), "", "").unwrap();
            assert!(layout.name_step as u32 * layout.cell > LABEL.line_height());
        }
    }

    #[test]
    fn a_matrix_beyond_all_bounds_is_refused() {
        assert_eq!(side(16_384, 1).unwrap(), 16_384);
        let error = side(16_385, 1).unwrap_err();
        assert!(matches!(error, FigureError::TooLarge { .. }));
    }
}
