//! Where everything in a figure goes.
//!
//! From the top: the title, the column names, the samples in groups side by side, the colour bars, the caption.

use crate::error::FigureError;
use crate::paint::Area;
use crate::text::{HEADER, LABEL, TITLE};

/// White around the figure.
pub(crate) const MARGIN: u32 = 20;
/// Between cells.
const GAP: u32 = 6;
/// Above the title of a row, besides the gap.
const ROW_TITLE_SPACE: u32 = 4;
/// Between groups.
const GROUP_GAP: u32 = 30;
/// Between the parts from top to bottom.
pub(crate) const PART_GAP: u32 = 12;
/// The narrowest content, so that short texts fit.
const LEAST_WIDTH: u32 = 260;
/// The content's width from which the two colour bars stand side by side.
const BARS_ABREAST: u32 = 520;
/// The longest side of a figure.
const LIMIT: u64 = 16_384;

/// What a layout depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    /// Samples shown, at least 1.
    pub(crate) samples: usize,
    /// Groups asked for.
    pub(crate) groups: usize,
    /// Names of the columns.
    pub(crate) columns: &'a [&'a str],
    /// The largest picture, `[width, height]`.
    pub(crate) cell: [u32; 2],
    /// Whether rows have titles.
    pub(crate) row_titles: bool,
    /// The figure's title.
    pub(crate) title: &'a str,
    /// The figure's caption.
    pub(crate) caption: &'a str,
}

/// The places of a figure's parts, in pixels.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The whole figure.
    pub(crate) size: [u32; 2],
    /// The lines of the title.
    pub(crate) title: Vec<String>,
    /// The lines of the caption.
    pub(crate) caption: Vec<String>,
    /// How many groups there are.
    pub(crate) groups: usize,
    rows: usize,
    left: u32,
    column: [u32; 2],
    column_pitch: u32,
    group_pitch: u32,
    row_pitch: u32,
    row_title: u32,
    header_top: u32,
    rows_top: u32,
    bars: [Area; 2],
    caption_top: u32,
}

impl Layout {
    /// Lays out a figure.
    pub(crate) fn new(plan: Plan<'_>) -> Result<Layout, FigureError> {
        let rows = plan.samples.div_ceil(plan.groups.max(1));
        let groups = plan.samples.div_ceil(rows.max(1));
        let names = plan.columns.iter().map(|name| HEADER.width(name));
        let column = [names.fold(plan.cell[0], u32::max), plan.cell[1]];
        let row_title = if plan.row_titles {
            LABEL.line_height() + ROW_TITLE_SPACE
        } else {
            0
        };
        let column_pitch = column[0] + GAP;
        let group_width = column_pitch * plan.columns.len() as u32 - GAP;
        let group_pitch = group_width + GROUP_GAP;
        let row_pitch = row_title + column[1] + GAP;
        limit(
            u64::from(group_pitch).saturating_mul(groups as u64),
            u64::from(row_pitch).saturating_mul(rows as u64),
        )?;

        let content = group_pitch * groups as u32 - GROUP_GAP;
        let inner = content.max(LEAST_WIDTH);
        let title = TITLE.wrap(plan.title, inner);
        let caption = LABEL.wrap(plan.caption, inner);
        let mut y = MARGIN;
        if !title.is_empty() {
            y += TITLE.line_height() * title.len() as u32 + PART_GAP;
        }
        let header_top = y;
        let rows_top = header_top + HEADER.line_height() + 4;
        y = rows_top + row_pitch * rows as u32 - GAP + PART_GAP + 4;
        let line = LABEL.line_height();
        let bar = |x, y, width| Area {
            x,
            y,
            width,
            height: line,
        };
        let bars = if inner >= BARS_ABREAST {
            let half = (inner - GROUP_GAP) / 2;
            [bar(MARGIN, y, half), bar(MARGIN + inner - half, y, half)]
        } else {
            [bar(MARGIN, y, inner), bar(MARGIN, y + line + GAP, inner)]
        };
        y = bars[1].y + line;
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
            groups,
            rows,
            left: MARGIN + (inner - content) / 2,
            column,
            column_pitch,
            group_pitch,
            row_pitch,
            row_title,
            header_top,
            rows_top,
            bars,
            caption_top,
        })
    }

    /// The top left corner of a line of the title.
    pub(crate) fn title_line(&self, line: usize) -> [u32; 2] {
        [MARGIN, MARGIN + TITLE.line_height() * line as u32]
    }

    /// The area of a column's name in a group.
    pub(crate) fn header(&self, group: usize, column: usize) -> Area {
        Area {
            x: self.column_left(group, column),
            y: self.header_top,
            width: self.column[0],
            height: HEADER.line_height(),
        }
    }

    /// The area of a row's title.
    pub(crate) fn row_title(&self, sample: usize) -> Area {
        Area {
            x: self.column_left(sample / self.rows, 0),
            y: self.row_top(sample) + self.row_title.min(ROW_TITLE_SPACE),
            width: self.group_pitch - GROUP_GAP,
            height: self.row_title.saturating_sub(ROW_TITLE_SPACE),
        }
    }

    /// The cell of a sample in a column. Samples fill the first group from the top, then the next.
    pub(crate) fn cell(&self, sample: usize, column: usize) -> Area {
        Area {
            x: self.column_left(sample / self.rows, column),
            y: self.row_top(sample) + self.row_title,
            width: self.column[0],
            height: self.column[1],
        }
    }

    /// The areas of the two colour bars with their labels.
    pub(crate) fn bars(&self) -> [Area; 2] {
        self.bars
    }

    /// The top left corner of a line of the caption.
    pub(crate) fn caption_line(&self, line: usize) -> [u32; 2] {
        [MARGIN, self.caption_top + LABEL.line_height() * line as u32]
    }

    fn column_left(&self, group: usize, column: usize) -> u32 {
        self.left + self.group_pitch * group as u32 + self.column_pitch * column as u32
    }

    fn row_top(&self, sample: usize) -> u32 {
        self.rows_top + self.row_pitch * (sample % self.rows) as u32
    }
}

/// Refuses a figure whose longer side is too long to be of use.
pub(crate) fn limit(width: u64, height: u64) -> Result<(), FigureError> {
    if width > LIMIT || height > LIMIT {
        return Err(FigureError::TooLarge {
            width,
            height,
            limit: LIMIT,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan<'_> = Plan {
        samples: 5,
        groups: 2,
        columns: &["image", "order"],
        cell: [100, 80],
        row_titles: true,
        title: "Title",
        caption: "Caption",
    };

    fn apart(a: Area, b: Area) -> bool {
        a.x + a.width <= b.x
            || b.x + b.width <= a.x
            || a.y + a.height <= b.y
            || b.y + b.height <= a.y
    }

    #[test]
    fn no_two_parts_overlap_and_all_are_inside() {
        for (samples, groups) in [(1, 1), (5, 2), (5, 9), (8, 3)] {
            let plan = Plan {
                samples,
                groups,
                ..PLAN
            };
            let layout = Layout::new(plan).unwrap();
            let mut areas: Vec<Area> = layout.bars().to_vec();
            for sample in 0..samples {
                areas.push(layout.row_title(sample));
                areas.extend((0..2).map(|column| layout.cell(sample, column)));
            }
            for group in 0..layout.groups {
                areas.extend((0..2).map(|column| layout.header(group, column)));
            }
            for (index, &a) in areas.iter().enumerate() {
                assert!(a.x + a.width + MARGIN <= layout.size[0], "{a:?}");
                assert!(a.y + a.height + MARGIN <= layout.size[1], "{a:?}");
                for &b in &areas[..index] {
                    assert!(apart(a, b), "{samples} {groups}: {a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn groups_are_filled_one_after_the_other() {
        let layout = Layout::new(PLAN).unwrap();
        assert_eq!(layout.groups, 2);
        assert_eq!(layout.cell(0, 0).x, layout.cell(2, 0).x);
        assert!(layout.cell(3, 0).x > layout.cell(2, 1).x);
        assert_eq!(layout.cell(3, 0).y, layout.cell(0, 0).y);
    }

    #[test]
    fn more_groups_than_samples_are_not_made() {
        let plan = Plan { groups: 50, ..PLAN };
        assert_eq!(Layout::new(plan).unwrap().groups, 5);
        let plan = Plan { groups: 0, ..PLAN };
        assert_eq!(Layout::new(plan).unwrap().groups, 1);
    }

    #[test]
    fn a_figure_beyond_all_bounds_is_refused() {
        let plan = Plan {
            samples: usize::MAX / 2,
            ..PLAN
        };
        let error = Layout::new(plan).unwrap_err();
        assert!(matches!(error, FigureError::TooLarge { .. }));
    }
}
