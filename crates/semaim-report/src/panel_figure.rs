//! The figure of rows of pictures and maps, in columns.

use image::RgbImage;

use crate::colour_bar::ColourBar;
use crate::colour_map::{ORDER, SIMILARITY};
use crate::error::FigureError;
use crate::layout::{Filling, Layout, Plan};
use crate::lettering::lettered;
use crate::paint::Area;
use crate::panel::{self, ORDER_OPACITY, SIMILARITY_OPACITY};
use crate::picture::RgbView;
use crate::picture_size::{check_cell, size_for_grids};

/// What stands above a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Its name; none if empty. Wrapped on two lines and shortened where it is too long for the column.
    pub title: String,
    /// Smaller text below the name; none if empty. Wrapped and shortened likewise.
    pub subtitle: String,
}

impl Column {
    /// A column with a name and nothing below it.
    pub fn titled(title: impl Into<String>) -> Column {
        Column {
            title: title.into(),
            subtitle: String::new(),
        }
    }
}

/// What a cell shows. Grids are `[down, across]` patches, maps are row by row from the top left.
#[derive(Clone, Debug)]
pub enum Panel {
    /// A picture, stretched to the size at which the row's own picture is shown.
    Picture(RgbView),
    /// Numbers as colours over the row's grey picture.
    Heat {
        /// Patches of the map.
        grid: [usize; 2],
        /// `[down * across]`, in any range: the colours span the cell's own finite numbers. A patch with NaN is left
        /// grey, infinities take the ends.
        values: Vec<f32>,
    },
    /// An order as colours over the row's grey picture, warm first, cool last, a ring around the first patch.
    Order {
        /// Patches of the map.
        grid: [usize; 2],
        /// Rank keys, `[down * across]`: smaller is earlier. Only their order counts, equal keys share a colour, and a
        /// patch with NaN is left grey.
        ranks: Vec<f32>,
    },
    /// Patches in their own colours, without the row's picture.
    Colours {
        /// Patches of the map.
        grid: [usize; 2],
        /// `[down * across]` colours of red, green, blue in sRGB, 0 to 1; numbers beyond that take the ends. A patch
        /// with NaN is grey.
        rgb: Vec<[f32; 3]>,
    },
    /// Nothing.
    Empty,
}

impl Panel {
    /// The grid and the number of entries of a map.
    fn map(&self) -> Option<([usize; 2], usize)> {
        match self {
            Panel::Picture(_) | Panel::Empty => None,
            Panel::Heat { grid, values } => Some((*grid, values.len())),
            Panel::Order { grid, ranks } => Some((*grid, ranks.len())),
            Panel::Colours { grid, rgb } => Some((*grid, rgb.len())),
        }
    }
}

/// One row of the figure.
#[derive(Clone, Debug)]
pub struct PanelRow {
    /// The picture that the maps lie over, of any shape. All cells have the size at which it is shown; it is itself
    /// shown only in cells that say so.
    pub image: RgbView,
    /// A line or two above the row, shortened where it is too long. All rows get room for one if any has it.
    pub title: Option<String>,
    /// One cell per column.
    pub cells: Vec<Panel>,
}

/// How the figure looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelOptions {
    /// How many pixels the longer side of each cell takes, 16 to 1024. Sides are changed by up to a tenth where that
    /// makes the patches of all of the row's maps whole pixels.
    pub cell: u32,
    /// How many groups of rows stand side by side, each with all columns. 0 counts as 1, more than there are rows as
    /// that many.
    pub groups: usize,
    /// The line above the figure; none if empty. Long texts are wrapped.
    pub title: String,
    /// The text below the figure; none if empty. Long texts are wrapped.
    pub caption: String,
    /// What the colours of [`Panel::Heat`] mean, for the bar below the figure. Long texts are shortened.
    pub heat_name: String,
}

impl Default for PanelOptions {
    /// Cells of 128 pixels, one group, no texts; heat is `similarity`.
    fn default() -> PanelOptions {
        PanelOptions {
            cell: 128,
            groups: 1,
            title: String::new(),
            caption: String::new(),
            heat_name: "similarity".to_owned(),
        }
    }
}

/// Draws `rows` below the titles of `columns`. Below them are bars that explain the colours of heat and order, where
/// there are such cells.
///
/// # Errors
///
/// [`FigureError::NoRows`] without rows, [`FigureError::NoColumns`] without columns, [`FigureError::CellCount`] when a
/// row does not have one cell per column, [`FigureError::EmptyGrid`] for a map without patches,
/// [`FigureError::PanelLength`] when a map does not have one entry per patch, [`FigureError::CellSize`] when the cell is
/// out of range and [`FigureError::TooLarge`] when a side would exceed 16 384 pixels.
pub fn panel_figure(
    columns: &[Column],
    rows: &[PanelRow],
    options: &PanelOptions,
) -> Result<RgbImage, FigureError> {
    check(columns, rows)?;
    check_cell(options.cell)?;
    let sizes: Vec<[u32; 2]> = rows
        .iter()
        .map(|row| {
            let maps = row.cells.iter().filter_map(Panel::map);
            let grids: Vec<[usize; 2]> = maps.map(|(grid, _)| grid).collect();
            size_for_grids(&row.image, options.cell, &grids)
        })
        .collect();
    draw_rows(columns, rows, &sizes, options)
}

/// Checks that rows have a cell for each column and maps an entry for each patch.
fn check(columns: &[Column], rows: &[PanelRow]) -> Result<(), FigureError> {
    if rows.is_empty() {
        return Err(FigureError::NoRows);
    }
    if columns.is_empty() {
        return Err(FigureError::NoColumns);
    }
    for (row, data) in rows.iter().enumerate() {
        let (expected, found) = (columns.len(), data.cells.len());
        if found != expected {
            return Err(FigureError::CellCount {
                row,
                expected,
                found,
            });
        }
        for (column, cell) in data.cells.iter().enumerate() {
            let Some(([height, width], found)) = cell.map() else {
                continue;
            };
            let expected = height.saturating_mul(width);
            if expected == 0 {
                return Err(FigureError::EmptyGrid { height, width });
            }
            if found != expected {
                return Err(FigureError::PanelLength {
                    row,
                    column,
                    expected,
                    found,
                });
            }
        }
    }
    Ok(())
}

/// Draws rows that are known to be sound, each at one of `sizes`, `[width, height]`.
pub(crate) fn draw_rows(
    columns: &[Column],
    rows: &[PanelRow],
    sizes: &[[u32; 2]],
    options: &PanelOptions,
) -> Result<RgbImage, FigureError> {
    let bars = bars(rows, &options.heat_name);
    let titles: Vec<Option<&str>> = rows.iter().map(|row| row.title.as_deref()).collect();
    let layout = Layout::new(Plan {
        samples: &titles,
        groups: options.groups,
        filling: Filling::Down,
        columns,
        sizes,
        bars: bars.len(),
        title: &options.title,
        caption: &options.caption,
    })?;
    let mut figure = lettered(&layout);
    for (sample, (row, &[width, height])) in rows.iter().zip(sizes).enumerate() {
        let picture = row.image.resized(width, height);
        for (column, cell) in row.cells.iter().enumerate() {
            if let Some(panel) = panel::draw(cell, &picture) {
                place(&mut figure, &panel, layout.cell(sample, column));
            }
        }
    }
    draw_bars(&mut figure, &bars, &layout.bars);
    Ok(figure)
}

/// Puts a picture into the middle of a cell's width, at its top: next to the title above it.
pub(crate) fn place(figure: &mut RgbImage, picture: &RgbImage, cell: Area) {
    let x = cell.x + cell.width.saturating_sub(picture.width()) / 2;
    image::imageops::replace(figure, picture, i64::from(x), i64::from(cell.y));
}

/// The bars for the kinds of maps that are there.
fn bars<'a>(rows: &[PanelRow], heat_name: &'a str) -> Vec<ColourBar<'a>> {
    let any = |kind: fn(&Panel) -> bool| rows.iter().flat_map(|row| &row.cells).any(kind);
    let mut bars = Vec::new();
    if any(|cell| matches!(cell, Panel::Heat { .. })) {
        bars.push(ColourBar {
            name: heat_name,
            ends: ["low", "high"],
            map: SIMILARITY,
            opacity: SIMILARITY_OPACITY,
        });
    }
    if any(|cell| matches!(cell, Panel::Order { .. })) {
        bars.push(ColourBar {
            name: "order",
            ends: ["first", "last"],
            map: ORDER,
            opacity: ORDER_OPACITY,
        });
    }
    bars
}

/// Draws the bars into their areas; those below each other start at the same place.
fn draw_bars(figure: &mut RgbImage, bars: &[ColourBar<'_>], areas: &[Area]) {
    let widest = bars.iter().map(|bar| bar.lead()).max().unwrap_or(0);
    let stacked = areas.iter().all(|area| area.x == areas[0].x);
    for (bar, area) in bars.iter().zip(areas) {
        let lead = if stacked { widest } else { bar.lead() };
        // A long name leaves a third of the room to the colours and what high is called.
        bar.draw(figure, *area, lead.min(area.width * 2 / 3));
    }
}

#[cfg(test)]
mod tests;
