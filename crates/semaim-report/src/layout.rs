//! Where everything in a figure goes.
//!
//! From the top: the title, the column names, the samples in groups side by side, the bars, the caption.

use crate::error::FigureError;
use crate::paint::Area;
use crate::panel_figure::Column;
use crate::text::{HEADER, LABEL, SMALL, TITLE};

/// White around the figure.
pub(crate) const MARGIN: u32 = 20;
/// Between cells.
const GAP: u32 = 6;
/// Above the title of a row, besides the gap, and below it.
const ROW_TITLE_SPACE: [u32; 2] = [2, 2];
/// Between the column names and the first row.
const HEADER_SPACE: u32 = 4;
/// Besides the gap between cells, between the names of neighbouring columns.
const NAME_GAP: u32 = 8;
/// The lines that a column's name, its second text and a row's title may have.
const MOST_LINES: usize = 2;
/// Columns of narrow cells are up to this wide if their names need it.
const NAMED_COLUMN: u32 = 120;
/// Groups of narrow cells are up to this wide if the titles of their rows need it.
const TITLED_GROUP: u32 = 180;
/// Between groups.
const GROUP_GAP: u32 = 30;
/// Between the parts from top to bottom.
pub(crate) const PART_GAP: u32 = 12;
/// The narrowest content, so that short texts fit.
const LEAST_WIDTH: u32 = 260;
/// The content's width from which two bars stand side by side.
const BARS_ABREAST: u32 = 520;
/// The longest side of a figure.
const LIMIT: u64 = 16_384;

/// How samples fill the groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filling {
    /// The first group from the top, then the next.
    Down,
    /// The first place of each group, then the second.
    Across,
}

impl Filling {
    /// The group of a sample and its row, both from 0.
    fn place(self, sample: usize, groups: usize, rows: usize) -> [usize; 2] {
        match self {
            Filling::Down => [sample / rows, sample % rows],
            Filling::Across => [sample % groups, sample / groups],
        }
    }
}

/// What a layout depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    /// The title of each sample, if it has one. At least one sample.
    pub(crate) samples: &'a [Option<&'a str>],
    /// Groups asked for.
    pub(crate) groups: usize,
    /// How they are filled.
    pub(crate) filling: Filling,
    /// The columns, at least one.
    pub(crate) columns: &'a [Column],
    /// The size of each sample's pictures, `[width, height]`.
    pub(crate) sizes: &'a [[u32; 2]],
    /// Bars below the samples, up to 2.
    pub(crate) bars: usize,
    /// The figure's title.
    pub(crate) title: &'a str,
    /// The figure's caption.
    pub(crate) caption: &'a str,
}

/// The lines of a column's texts.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    /// Of its name.
    pub(crate) name: Vec<String>,
    /// Of what is below the name.
    pub(crate) below: Vec<String>,
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
    /// The columns' texts.
    pub(crate) headers: Vec<Header>,
    /// The lines of each sample's title.
    pub(crate) row_titles: Vec<Vec<String>>,
    /// The bars below the samples with their texts.
    pub(crate) bars: Vec<Area>,
    /// How many groups there are.
    pub(crate) groups: usize,
    rows: Vec<Row>,
    filling: Filling,
    column: u32,
    column_pitch: u32,
    group_width: u32,
    header_top: u32,
    names_height: u32,
    caption_top: u32,
}

/// What is at the same height in all groups.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// Where it starts.
    top: u32,
    /// The height of the titles with the space around them; 0 if no sample of the figure has one.
    title: u32,
    /// The height of the pictures.
    cell: u32,
}

impl Layout {
    /// Lays out a figure.
    pub(crate) fn new(plan: Plan<'_>) -> Result<Layout, FigureError> {
        let samples = plan.samples.len();
        let count = samples.div_ceil(plan.groups.max(1)).max(1);
        let groups = samples.div_ceil(count).max(1);
        let widest = plan.sizes.iter().map(|size| size[0]).max().unwrap_or(1);
        let column = column_width(plan.columns, widest);
        let column_pitch = u64::from(column) + u64::from(GAP);
        let columns_width = column_pitch.saturating_mul(plan.columns.len() as u64) - u64::from(GAP);
        let least = if groups == 1 {
            LEAST_WIDTH
        } else {
            TITLED_GROUP
        };
        let titles = plan.samples.iter().flatten();
        let titled = titles.map(|title| LABEL.width(title)).max().unwrap_or(0);
        let group_width = columns_width.max(titled.min(least).into());
        let group_pitch = group_width.saturating_add(GROUP_GAP.into());
        limit(group_pitch.saturating_mul(groups as u64), count as u64)?;

        // All widths are known to be within the limit from here on.
        let [column_pitch, group_width] = [column_pitch as u32, group_width as u32];
        let headers = headers(plan.columns, column.saturating_sub(NAME_GAP));
        let row_titles: Vec<Vec<String>> = plan
            .samples
            .iter()
            .map(|title| LABEL.wrap_within(title.unwrap_or(""), group_width, MOST_LINES))
            .collect();
        let mut rows = vec![Row::default(); count];
        // A title may be there and have no letters.
        if plan.samples.iter().any(Option::is_some) {
            let [above, below] = ROW_TITLE_SPACE;
            rows.fill(Row {
                title: LABEL.line_height() + above + below,
                ..Row::default()
            });
        }
        for (sample, (lines, size)) in row_titles.iter().zip(plan.sizes).enumerate() {
            let [_, row] = plan.filling.place(sample, groups, count);
            let row = &mut rows[row];
            row.cell = row.cell.max(size[1]);
            let more = lines.len().saturating_sub(1) as u32 * LABEL.line_height();
            let [above, below] = ROW_TITLE_SPACE;
            if more > 0 {
                row.title = row.title.max(LABEL.line_height() + more + above + below);
            }
        }
        let content = (group_width + GROUP_GAP) * groups as u32 - GROUP_GAP;
        let inner = content.max(LEAST_WIDTH);
        let title = TITLE.wrap(plan.title, inner);
        let caption = LABEL.wrap(plan.caption, inner);
        let lines = title.len().saturating_add(caption.len()) as u64;
        let heights = rows
            .iter()
            .map(|row| u64::from(row.title + GAP) + u64::from(row.cell));
        let texts = lines.saturating_mul(LABEL.line_height().into());
        limit(inner.into(), heights.sum::<u64>().saturating_add(texts))?;

        let mut y = MARGIN;
        if !title.is_empty() {
            y += TITLE.line_height() * title.len() as u32 + PART_GAP;
        }
        let header_top = y;
        let names_height =
            HEADER.line_height() * most_lines(headers.iter().map(|header| &header.name));
        let below = SMALL.line_height() * most_lines(headers.iter().map(|header| &header.below));
        if names_height + below > 0 {
            y += names_height + below + HEADER_SPACE;
        }
        for row in &mut rows {
            row.top = y;
            y += row.title + row.cell + GAP;
        }
        y -= GAP;
        let bars = bar_areas(plan.bars, inner, y + PART_GAP + 4);
        if let Some(last) = bars.last() {
            y = last.y + last.height;
        }
        let caption_top = y + PART_GAP;
        if !caption.is_empty() {
            y = caption_top + LABEL.line_height() * caption.len() as u32;
        }
        let size = [inner + 2 * MARGIN, y + MARGIN];
        limit(u64::from(size[0]), u64::from(size[1]))?;
        Ok(Layout {
            size,
            title,
            caption,
            headers,
            row_titles,
            bars,
            groups,
            rows,
            filling: plan.filling,
            column,
            column_pitch,
            group_width,
            header_top,
            names_height,
            caption_top,
        })
    }

    /// The top left corner of a line of the title.
    pub(crate) fn title_line(&self, line: usize) -> [u32; 2] {
        [MARGIN, MARGIN + TITLE.line_height() * line as u32]
    }

    /// The areas of a column's name and of the text below it, in a group. Names end at the same height, the texts below
    /// them start there.
    pub(crate) fn header(&self, group: usize, column: usize) -> [Area; 2] {
        let lines = |lines: fn(&Header) -> &Vec<String>| {
            self.headers
                .get(column)
                .map_or(0, |header| lines(header).len()) as u32
        };
        let name = HEADER.line_height() * lines(|header| &header.name);
        let area = |y, height| Area {
            x: self.column_left(group, column),
            y,
            width: self.column,
            height,
        };
        let middle = self.header_top + self.names_height;
        [
            area(middle - name, name),
            area(middle, SMALL.line_height() * lines(|header| &header.below)),
        ]
    }

    /// The area of a row's title.
    pub(crate) fn row_title(&self, sample: usize) -> Area {
        let (group, row) = self.place(sample);
        let [above, below] = ROW_TITLE_SPACE;
        Area {
            x: self.column_left(group, 0),
            y: row.top + row.title.min(above),
            width: self.group_width,
            height: row.title.saturating_sub(above + below),
        }
    }

    /// The cell of a sample in a column.
    pub(crate) fn cell(&self, sample: usize, column: usize) -> Area {
        let (group, row) = self.place(sample);
        Area {
            x: self.column_left(group, column),
            y: row.top + row.title,
            width: self.column,
            height: row.cell,
        }
    }

    /// The top left corner of a line of the caption.
    pub(crate) fn caption_line(&self, line: usize) -> [u32; 2] {
        [MARGIN, self.caption_top + LABEL.line_height() * line as u32]
    }

    /// The group of a sample, and its row.
    fn place(&self, sample: usize) -> (usize, Row) {
        let [group, row] = self.filling.place(sample, self.groups, self.rows.len());
        (group, self.rows.get(row).copied().unwrap_or_default())
    }

    fn column_left(&self, group: usize, column: usize) -> u32 {
        let group_pitch = self.group_width + GROUP_GAP;
        MARGIN + group_pitch * group as u32 + self.column_pitch * column as u32
    }
}

/// The width of columns whose pictures are up to `cell` pixels wide.
fn column_width(columns: &[Column], cell: u32) -> u32 {
    let needed = |column: &Column| {
        HEADER
            .width(&column.title)
            .max(SMALL.width(&column.subtitle))
    };
    let names = columns.iter().map(needed).max().unwrap_or(0);
    cell.max(names.saturating_add(NAME_GAP).min(NAMED_COLUMN))
}

/// The columns' texts, in lines of at most `width` pixels.
fn headers(columns: &[Column], width: u32) -> Vec<Header> {
    columns
        .iter()
        .map(|column| Header {
            name: HEADER.wrap_within(&column.title, width, MOST_LINES),
            below: SMALL.wrap_within(&column.subtitle, width, MOST_LINES),
        })
        .collect()
}

/// The lines of the text that has the most.
fn most_lines<'a>(texts: impl Iterator<Item = &'a Vec<String>>) -> u32 {
    texts.map(|lines| lines.len() as u32).max().unwrap_or(0)
}

/// The areas of up to two bars below `y`, side by side where there is room.
fn bar_areas(bars: usize, inner: u32, y: u32) -> Vec<Area> {
    let height = LABEL.line_height();
    let bar = |x, y, width| Area {
        x,
        y,
        width,
        height,
    };
    let mut areas = if inner >= BARS_ABREAST {
        let half = (inner - GROUP_GAP) / 2;
        vec![bar(MARGIN, y, half), bar(MARGIN + inner - half, y, half)]
    } else {
        vec![bar(MARGIN, y, inner), bar(MARGIN, y + height + GAP, inner)]
    };
    areas.truncate(bars);
    areas
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

    const TITLES: [Option<&str>; 5] = [None, Some("one"), None, Some(""), None];

    fn plan(columns: &[Column]) -> Plan<'_> {
        Plan {
            samples: &TITLES,
            groups: 2,
            filling: Filling::Down,
            columns,
            sizes: &[[100, 80]; 8],
            bars: 2,
            title: "Title",
            caption: "Caption",
        }
    }

    fn two() -> [Column; 2] {
        [Column::titled("image"), Column::titled("order")]
    }

    fn apart(a: Area, b: Area) -> bool {
        a.x + a.width <= b.x
            || b.x + b.width <= a.x
            || a.y + a.height <= b.y
            || b.y + b.height <= a.y
    }

    #[test]
    fn no_two_parts_overlap_and_all_are_inside() {
        let long = "a name that is longer than its column, even on both of its lines";
        let named = [
            Column {
                title: "image".into(),
                subtitle: long.into(),
            },
            Column::titled(long),
        ];
        let titles = [Some(long); 8];
        for (samples, groups, columns) in [
            (1, 1, two()),
            (5, 2, two()),
            (5, 9, named.clone()),
            (8, 3, named.clone()),
            (8, 1, named),
        ] {
            for filling in [Filling::Down, Filling::Across] {
                let plan = Plan {
                    samples: &titles[..samples],
                    groups,
                    filling,
                    ..plan(&columns)
                };
                let layout = Layout::new(plan).unwrap();
                let mut areas = layout.bars.clone();
                for sample in 0..samples {
                    areas.push(layout.row_title(sample));
                    areas.extend((0..2).map(|column| layout.cell(sample, column)));
                }
                for group in 0..layout.groups {
                    areas.extend((0..2).flat_map(|column| layout.header(group, column)));
                }
                areas.retain(|area| area.height > 0);
                for (index, &a) in areas.iter().enumerate() {
                    assert!(a.x + a.width + MARGIN <= layout.size[0], "{a:?}");
                    assert!(a.y + a.height + MARGIN <= layout.size[1], "{a:?}");
                    for &b in &areas[..index] {
                        assert!(apart(a, b), "{samples} {groups}: {a:?} {b:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn groups_are_filled_one_after_the_other() {
        let columns = two();
        let layout = Layout::new(plan(&columns)).unwrap();
        assert_eq!(layout.groups, 2);
        assert_eq!(layout.cell(0, 0).x, layout.cell(2, 0).x);
        assert!(layout.cell(3, 0).x > layout.cell(2, 1).x);
        assert_eq!(layout.cell(3, 0).y, layout.cell(0, 0).y);
    }

    #[test]
    fn groups_can_be_filled_in_turn() {
        let columns = two();
        let plan = Plan {
            filling: Filling::Across,
            ..plan(&columns)
        };
        let layout = Layout::new(plan).unwrap();
        assert_eq!(layout.cell(0, 0).y, layout.cell(1, 0).y);
        assert_eq!(layout.cell(0, 0).x, layout.cell(2, 0).x);
        assert!(layout.cell(4, 0).y > layout.cell(3, 0).y);
    }

    #[test]
    fn more_groups_than_samples_are_not_made() {
        let columns = two();
        for (groups, made) in [(50, 5), (0, 1)] {
            let plan = Plan {
                groups,
                ..plan(&columns)
            };
            assert_eq!(Layout::new(plan).unwrap().groups, made);
        }
    }

    #[test]
    fn texts_get_only_the_room_they_need() {
        let height = |columns: &[Column], samples: &[Option<&str>], bars| {
            let plan = Plan {
                samples,
                bars,
                groups: 1,
                ..plan(columns)
            };
            Layout::new(plan).unwrap().size[1]
        };
        let plain = [Column::default(), Column::default()];
        let base = height(&plain, &[None], 0);
        assert_eq!(height(&plain, &[Some("")], 0) - base, 22);
        assert_eq!(height(&plain, &[Some("title")], 0) - base, 22);
        assert_eq!(height(&two(), &[None], 0) - base, 18 + 4);
        assert_eq!(height(&plain, &[None], 1) - base, 12 + 4 + 18);
        assert_eq!(
            height(&plain, &[None], 2) - height(&plain, &[None], 1),
            18 + 6
        );
        let mut below = two();
        below[1].subtitle = "below".into();
        assert_eq!(height(&below, &[None], 0) - base, 18 + 16 + 4);
        below[0].title = "a name that takes the whole of two lines".into();
        assert_eq!(height(&below, &[None], 0) - base, 2 * 18 + 16 + 4);
    }

    #[test]
    fn each_row_is_as_high_as_its_own_pictures() {
        let columns = two();
        let sizes = [[100, 20], [100, 30], [60, 100], [100, 40], [10, 10]];
        let plan = Plan {
            samples: &[None; 5],
            sizes: &sizes,
            ..plan(&columns)
        };
        let layout = Layout::new(plan).unwrap();
        let height = |sample| layout.cell(sample, 0).height;
        assert_eq!([0, 1, 2, 3, 4].map(height), [40, 30, 100, 40, 30]);
        assert_eq!(layout.cell(1, 0).y - layout.cell(0, 0).y, 40 + 6);
        assert_eq!(layout.cell(2, 0).y - layout.cell(1, 0).y, 30 + 6);
    }

    #[test]
    fn a_figure_beyond_all_bounds_is_refused() {
        let columns = two();
        let refused = |plan| {
            let error = Layout::new(plan).unwrap_err();
            assert!(matches!(error, FigureError::TooLarge { .. }), "{error}");
        };
        refused(Plan {
            samples: &[None; 400],
            sizes: &[[100, 80]; 400],
            ..plan(&columns)
        });
        refused(Plan {
            sizes: &[[100, 80], [u32::MAX, 80]],
            ..plan(&columns)
        });
        refused(Plan {
            sizes: &[[100, u32::MAX]; 5],
            ..plan(&columns)
        });
        let many = vec![Column::default(); 1000];
        refused(plan(&many));
        let text = "word ".repeat(100_000);
        refused(Plan {
            caption: &text,
            ..plan(&columns)
        });
        refused(Plan {
            title: &text,
            ..plan(&columns)
        });
    }
}
