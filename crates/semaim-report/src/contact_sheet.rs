//! Rows of images with their maps, in columns with a header: the one picture that `show`, the orders of a run and
//! animations are.

use image::RgbImage;
use image::imageops::{FilterType, replace, resize};

use crate::color_map::{ColorMap, Legend};
use crate::error::FigureError;
use crate::font::{HEADER, LABEL, SMALL, TITLE};
use crate::kinds::{self, Kind};
use crate::overlay::{ORDER_OPACITY, Panel, Progress, VALUE_OPACITY};
use crate::paint::{Area, Strips, Theme, fill, outline};

/// The smallest and the largest cell, in pixels.
const CELLS: [u32; 2] = [16, 1024];
/// How far a side may be from what was asked for, so that patches are whole pixels.
const TOLERANCE: f64 = 0.1;
/// Between cells.
const GAP: u32 = 6;
/// Between the parts of a sheet from top to bottom.
const PART_GAP: u32 = 12;
/// Between groups.
const GROUP_GAP: u32 = 30;
/// The lines that a column's name, its second text and a row's title may have.
const MOST_LINES: usize = 2;
/// Columns of narrow cells are up to this wide if their names need it, groups if the titles of their rows do.
const NAMED_COLUMN: u32 = 120;
const TITLED_GROUP: u32 = 180;
/// The narrowest content, so that short texts fit.
const LEAST_WIDTH: u32 = 260;
/// The content's width from which two legends stand side by side.
const LEGENDS_ABREAST: u32 = 520;
/// The most pixels of all frames together: three bytes each, so 0.8 GB.
const MOST_PIXELS: u64 = 1 << 28;

/// What stands above a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Its name; none if empty. On up to two lines, shortened where it is too long.
    pub title: String,
    /// Smaller text below the name; none if empty. Likewise.
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

/// One row of a sheet.
#[derive(Clone, Debug)]
pub struct Row {
    /// The image that the maps lie over, of any shape. All cells have the size at which it is shown; it is itself shown
    /// only in panels that say so.
    pub image: RgbImage,
    /// A line or two above the row, shortened where it is too long.
    pub title: Option<String>,
    /// One panel per column.
    pub panels: Vec<Panel>,
}

/// A picture of rows of images and maps. Below the rows are legends for the colors of values and orders, where there are
/// such panels.
#[derive(Clone, Debug)]
pub struct ContactSheet {
    /// The line above; none if empty. Long texts are wrapped.
    pub title: String,
    /// The text below; none if empty. Long texts are wrapped.
    pub caption: String,
    /// The columns, at least one.
    pub columns: Vec<Column>,
    /// The rows, at least one.
    pub rows: Vec<Row>,
    /// How many pixels the longer side of each cell takes, 16 to 1024. Sides are changed by up to a tenth where that
    /// makes the patches of all of the row's maps whole pixels.
    pub cell: u32,
    /// How many groups of rows stand side by side, each with all columns; they are filled across. 0 counts as 1.
    pub groups: usize,
    /// What the values of [`Panel::Heat`] are.
    pub heat_name: String,
    /// What colors in images mean, named below the rows; none if empty.
    pub kinds: Vec<Kind>,
}

impl Default for ContactSheet {
    /// A sheet without rows, whose cells have 128 pixels; heat is `similarity`.
    fn default() -> ContactSheet {
        ContactSheet {
            title: String::new(),
            caption: String::new(),
            columns: Vec::new(),
            rows: Vec::new(),
            cell: 128,
            groups: 1,
            heat_name: "similarity".to_owned(),
            kinds: Vec::new(),
        }
    }
}

impl ContactSheet {
    /// The picture.
    ///
    /// # Errors
    ///
    /// [`FigureError::Empty`] without rows or columns, [`FigureError::PanelCount`] when a row does not have one panel per
    /// column, [`FigureError::MapLength`] when a map does not have one value per patch, [`FigureError::CellSize`] when the
    /// cell is out of range and [`FigureError::TooLarge`] when a side would exceed 16,384 pixels.
    pub fn draw(&self, theme: Theme) -> Result<RgbImage, FigureError> {
        self.draw_at(theme, Progress { part: 1, whole: 1 })
    }

    /// The frames of an animation, at least one: in frame `k`, counted from 1, panels that unfold show the first
    /// `k / frames` of their patches. A bar below the rows shows how far it has come.
    ///
    /// # Errors
    ///
    /// As for [`ContactSheet::draw`], and [`FigureError::TooManyPixels`] when all frames together would have more than 2²⁸.
    pub fn frames(&self, frames: usize) -> Result<Vec<RgbImage>, FigureError> {
        let whole = frames;
        let frame = |part| self.draw_at(Theme::Light, Progress { part, whole });
        let first = frame(1)?;
        let (width, height) = first.dimensions();
        let pixels = u64::from(width) * u64::from(height);
        if pixels.saturating_mul(frames as u64) > MOST_PIXELS {
            return Err(FigureError::TooManyPixels {
                frames,
                width,
                height,
                limit: MOST_PIXELS,
            });
        }
        let rest = (2..=frames).map(frame);
        std::iter::once(Ok(first)).chain(rest).collect()
    }

    fn draw_at(&self, theme: Theme, progress: Progress) -> Result<RgbImage, FigureError> {
        self.check()?;
        let rows: Vec<(&Row, [u32; 2])> = self
            .rows
            .iter()
            .map(|row| (row, cell_size(row, self.cell)))
            .collect();
        let groups = self.groups.clamp(1, rows.len());
        let widest = rows.iter().map(|(_, size)| size[0]).max().unwrap_or(1);
        let column = self.column_width(widest);
        let group = u64::from(column + GAP) * self.columns.len() as u64 - u64::from(GAP);
        let titles = self.rows.iter().filter_map(|row| row.title.as_deref());
        let titled = titles.map(|title| LABEL.width(title)).max().unwrap_or(0);
        let least = if groups == 1 {
            LEAST_WIDTH
        } else {
            TITLED_GROUP
        };
        let group = group.max(titled.min(least).into());
        let content = (group + u64::from(GROUP_GAP)) * groups as u64 - u64::from(GROUP_GAP);
        let mut strips = Strips::new(theme, content.max(LEAST_WIDTH.into()))?;
        let left = |index: usize| (group as u32 + GROUP_GAP) * index as u32;

        strips.text(TITLE, &self.title, theme.ink(), 0)?;
        strips.space(PART_GAP)?;
        self.draw_header(&mut strips, theme, column, (0..groups).map(left))?;
        for (index, abreast) in rows.chunks(groups).enumerate() {
            if index > 0 {
                strips.space(GAP)?;
            }
            let titles: Vec<Vec<String>> = abreast
                .iter()
                .map(|(row, _)| row.title.as_deref().unwrap_or_default())
                .map(|title| LABEL.wrap(title, group as u32, MOST_LINES))
                .collect();
            let lines = titles.iter().map(Vec::len).max().unwrap_or(0) as u32;
            if lines > 0 {
                let strip = strips.add((lines * LABEL.line_height() + 4).into())?;
                for (index, title) in titles.iter().enumerate() {
                    // A single line stands above its row also where others have two.
                    for (line, text) in (lines - title.len() as u32..).zip(title) {
                        let y = 2 + line * LABEL.line_height();
                        LABEL.draw(strip, left(index), y, text, theme.muted());
                    }
                }
            }
            let height = abreast.iter().map(|(_, size)| size[1]).max().unwrap_or(0);
            let strip = strips.add(height.into())?;
            for (index, (row, [width, height])) in abreast.iter().enumerate() {
                let image = resize(&row.image, *width, *height, FilterType::Triangle);
                for (panel, number) in row.panels.iter().zip(0u32..) {
                    if let Some(panel) = panel.draw(&image, progress) {
                        let indent = if self.columns.len() > 1 {
                            (column - width) / 2
                        } else {
                            0
                        };
                        let x = left(index) + (column + GAP) * number + indent;
                        replace(strip, &panel, x.into(), 0);
                    }
                }
            }
        }
        self.draw_legends(&mut strips, theme, progress)?;
        strips.text(LABEL, &self.caption, theme.muted(), PART_GAP)?;
        Ok(strips.stacked())
    }

    /// Checks that rows have a panel for each column and maps a value for each patch.
    fn check(&self) -> Result<(), FigureError> {
        let [min, max] = CELLS;
        if !(min..=max).contains(&self.cell) {
            return Err(FigureError::CellSize {
                cell: self.cell,
                min,
                max,
            });
        }
        if self.rows.is_empty() || self.columns.is_empty() {
            return Err(FigureError::Empty);
        }
        for (row, data) in self.rows.iter().enumerate() {
            let (expected, found) = (self.columns.len(), data.panels.len());
            if found != expected {
                return Err(FigureError::PanelCount {
                    row,
                    expected,
                    found,
                });
            }
            for (column, panel) in data.panels.iter().enumerate() {
                let Some(([height, width], found)) = panel.map() else {
                    continue;
                };
                if found == 0 || height.checked_mul(width) != Some(found) {
                    return Err(FigureError::MapLength {
                        row,
                        column,
                        height,
                        width,
                        found,
                    });
                }
            }
        }
        Ok(())
    }

    /// The width of columns whose cells are up to `cell` pixels wide.
    fn column_width(&self, cell: u32) -> u32 {
        let names = self.columns.iter().map(|column| {
            HEADER
                .width(&column.title)
                .max(SMALL.width(&column.subtitle))
        });
        cell.max(
            names
                .max()
                .unwrap_or(0)
                .saturating_add(GAP)
                .min(NAMED_COLUMN),
        )
    }

    /// The names of the columns, which end at the same height, and below them what is smaller.
    fn draw_header(
        &self,
        strips: &mut Strips,
        theme: Theme,
        column: u32,
        groups: impl Iterator<Item = u32> + Clone,
    ) -> Result<(), FigureError> {
        let texts = [(HEADER, theme.ink()), (SMALL, theme.muted())];
        for (level, (style, color)) in texts.into_iter().enumerate() {
            let lines: Vec<Vec<String>> = self
                .columns
                .iter()
                .map(|column| {
                    if level == 0 {
                        &column.title
                    } else {
                        &column.subtitle
                    }
                })
                .map(|text| style.wrap(text, column - GAP, MOST_LINES))
                .collect();
            let most = lines.iter().map(Vec::len).max().unwrap_or(0);
            if most == 0 {
                continue;
            }
            let strip = strips.add(u64::from(style.line_height()) * most as u64 + 2)?;
            for left in groups.clone() {
                for (lines, number) in lines.iter().zip(0u32..) {
                    let above = if level == 0 { most - lines.len() } else { 0 };
                    for (text, line) in lines.iter().zip(above as u32..) {
                        let indent = column.saturating_sub(style.width(text)) / 2;
                        let x = left + (column + GAP) * number + indent;
                        style.draw(strip, x, style.line_height() * line, text, color);
                    }
                }
            }
        }
        Ok(())
    }

    /// What the colors mean, or how far the animation is: side by side where there is room.
    fn draw_legends(
        &self,
        strips: &mut Strips,
        theme: Theme,
        progress: Progress,
    ) -> Result<(), FigureError> {
        let any = |kind: fn(&Panel) -> bool| self.rows.iter().flat_map(|row| &row.panels).any(kind);
        let heat = any(|panel| matches!(panel, Panel::Heat { .. })).then(|| Legend {
            name: &self.heat_name,
            ends: ["low", "high"],
            map: ColorMap::Value,
            opacity: VALUE_OPACITY,
        });
        let order = any(|panel| matches!(panel, Panel::Order { .. })).then_some(Legend {
            name: "order",
            ends: ["first", "last"],
            map: ColorMap::Order,
            opacity: ORDER_OPACITY,
        });
        let legends: Vec<Legend<'_>> = heat.into_iter().chain(order).collect();
        let width = strips.width();
        let abreast = if width >= LEGENDS_ABREAST { 2 } else { 1 };
        let each = (width - (abreast - 1) * GROUP_GAP) / abreast;
        for (index, legends) in legends.chunks(abreast as usize).enumerate() {
            strips.space(if index == 0 { PART_GAP + 4 } else { GAP })?;
            let height = LABEL.line_height();
            let strip = strips.add(height.into())?;
            for (legend, number) in legends.iter().zip(0u32..) {
                let x = (each + GROUP_GAP) * number;
                legend.draw(strip, Area::new([x, 0], [each, height]), theme);
            }
        }
        let named = kinds::Legend::new(&self.kinds, width);
        if named.height() > 0 {
            strips.space(PART_GAP)?;
            named.draw(strips.add(named.height().into())?, [0, 0], theme);
        }
        if any(|panel| matches!(panel, Panel::Unfolding { .. })) {
            strips.space(PART_GAP)?;
            draw_progress(strips.add(LABEL.line_height().into())?, theme, progress);
        }
        Ok(())
    }
}

/// The size, `[width, height]`, at which a row's image is shown: its longer side `cell` pixels, at least 1 for the other.
fn cell_size(row: &Row, cell: u32) -> [u32; 2] {
    let (width, height) = (f64::from(row.image.width()), f64::from(row.image.height()));
    let zoom = f64::from(cell) / width.max(height);
    let side = |length: f64, axis: usize| {
        let wanted = (length * zoom).max(1.0);
        let mut patches = row
            .panels
            .iter()
            .filter_map(|panel| Some(panel.map()?.0[axis] as u64));
        let unit = patches.try_fold(1, common_multiple).map(|unit| unit as f64);
        let whole = unit.map(|unit| (wanted / unit).round() * unit);
        match whole {
            Some(whole) if (whole - wanted).abs() <= TOLERANCE * wanted => whole as u32,
            _ => wanted.round() as u32,
        }
    };
    [side(width, 1), side(height, 0)]
}

/// The least number that both divide; `None` when there is no such number above 0 or it is too large.
fn common_multiple(a: u64, b: u64) -> Option<u64> {
    let (mut high, mut low) = (a, b);
    while low != 0 {
        (high, low) = (low, high % low);
    }
    (a / high.max(1)).checked_mul(b).filter(|&both| both > 0)
}

/// A bar that is filled as far as the animation is, and the share in per cent.
fn draw_progress(on: &mut RgbImage, theme: Theme, Progress { part, whole }: Progress) {
    const SPACE: u32 = 8;
    let (name, share) = ("predicted", part as f64 / whole.max(1) as f64);
    HEADER.draw(on, 0, 0, name, theme.ink());
    let x = HEADER.width(name) + SPACE;
    let width = on.width().saturating_sub(x + LABEL.width("100 %") + SPACE);
    let bar = Area::new([x, 3], [width, on.height().saturating_sub(6)]);
    let done = Area {
        width: (f64::from(width) * share).round() as u32,
        ..bar
    };
    fill(on, done, theme.muted(), 1.0);
    outline(on, bar, theme.muted(), 0.6);
    // Rounded down, so that only all is 100 %.
    let percent = format!("{:.0} %", (share * 100.0).floor());
    LABEL.draw(on, x + width + SPACE, 0, &percent, theme.muted());
}

#[cfg(test)]
mod tests;
