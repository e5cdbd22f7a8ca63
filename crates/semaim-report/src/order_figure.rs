//! The figure of pictures, their similarity maps and the orders that follow.

use image::RgbImage;

use crate::error::FigureError;
use crate::panel_figure::{Column, Panel, PanelOptions, PanelRow, draw_rows};
use crate::picture::RgbView;
use crate::picture_size::{check_cell, size_of_whole_patches};

/// One sample of the figure.
#[derive(Clone, Debug)]
pub struct OrderRow {
    /// The picture, of any shape.
    pub image: RgbView,
    /// How alike each patch is to the whole, `[grid_h * grid_w]`, in any range: the colours span each sample's own
    /// finite numbers. A patch with NaN is left grey.
    pub similarity: Vec<f32>,
    /// Rank keys, `[grid_h * grid_w]`: smaller is predicted earlier. Only their order counts, equal keys share a
    /// colour, and a patch with NaN is left grey.
    pub ranks: Vec<f32>,
    /// A line above the sample, shortened where it is too long. All samples get room for one if any has it.
    pub title: Option<String>,
    /// What the model predicted, stretched to the size at which `image` is shown. The column is there if any
    /// sample has one.
    pub reconstruction: Option<RgbView>,
}

/// How the figure looks.
#[derive(Clone, Debug)]
pub struct FigureOptions {
    /// About how many pixels the longer side of each picture takes, 16 to 1024. Rounded so that every patch is
    /// whole pixels, so it may be some pixels more or fewer, and is at least one pixel a patch.
    pub cell: u32,
    /// How many groups of samples stand side by side. 0 counts as 1, more than there are samples as that many.
    pub groups: usize,
    /// The line above the figure; none if empty.
    pub title: String,
    /// The text below the figure; none if empty. Long texts are wrapped.
    pub caption: String,
}

impl Default for FigureOptions {
    /// Cells of 128 pixels, two groups, no texts.
    fn default() -> FigureOptions {
        FigureOptions {
            cell: 128,
            groups: 2,
            title: String::new(),
            caption: String::new(),
        }
    }
}

/// Draws `rows`, whose maps lie on `grid` (`[down, across]` patches): for each the picture, its similarity over the
/// grey picture, the order (warm first, cool last, a ring around the first patch) and, if any row has one, the
/// prediction.
///
/// # Errors
///
/// [`FigureError::NoRows`] without rows, [`FigureError::EmptyGrid`] without patches, [`FigureError::MapLength`] when
/// a map does not have one number per patch, [`FigureError::CellSize`] when the cell is out of range and
/// [`FigureError::TooLarge`] when a side would exceed 16 384 pixels.
pub fn order_figure(
    rows: &[OrderRow],
    grid: [usize; 2],
    options: &FigureOptions,
) -> Result<RgbImage, FigureError> {
    let whole = check(rows, grid, options.cell)?;
    let mut columns: Vec<Column> = ["image", "similarity", "order"].map(Column::titled).into();
    let predicted = rows.iter().any(|row| row.reconstruction.is_some());
    if predicted {
        columns.push(Column::titled("prediction"));
    }
    let sizes: Vec<[u32; 2]> = rows
        .iter()
        .map(|row| size_of_whole_patches(&row.image, options.cell, whole))
        .collect();
    let rows: Vec<PanelRow> = rows
        .iter()
        .map(|row| panels(row, grid, predicted))
        .collect();
    let options = PanelOptions {
        cell: options.cell,
        groups: options.groups,
        title: options.title.clone(),
        caption: options.caption.clone(),
        heat_name: "similarity".to_owned(),
    };
    draw_rows(&columns, &rows, &sizes, &options)
}

/// A sample as a row of panels.
fn panels(row: &OrderRow, grid: [usize; 2], predicted: bool) -> PanelRow {
    let mut cells = vec![
        Panel::Picture(row.image.clone()),
        Panel::Heat {
            grid,
            values: row.similarity.clone(),
        },
        Panel::Order {
            grid,
            ranks: row.ranks.clone(),
        },
    ];
    if predicted {
        let prediction = row.reconstruction.clone();
        cells.push(prediction.map_or(Panel::Empty, Panel::Picture));
    }
    PanelRow {
        image: row.image.clone(),
        title: row.title.clone(),
        cells,
    }
}

/// Checks everything about the rows that the drawing relies on; gives the grid in pixels' numbers.
fn check(rows: &[OrderRow], grid: [usize; 2], cell: u32) -> Result<[u32; 2], FigureError> {
    let [height, width] = grid;
    if rows.is_empty() {
        return Err(FigureError::NoRows);
    }
    let expected = height.saturating_mul(width);
    if expected == 0 {
        return Err(FigureError::EmptyGrid { height, width });
    }
    for (row, data) in rows.iter().enumerate() {
        for (map, numbers) in [("similarity", &data.similarity), ("ranks", &data.ranks)] {
            let found = numbers.len();
            if found != expected {
                return Err(FigureError::MapLength {
                    row,
                    map,
                    expected,
                    found,
                });
            }
        }
    }
    check_cell(cell)?;
    // A patch takes at least a pixel, so a grid beyond the limit cannot be shown.
    match (u16::try_from(height), u16::try_from(width)) {
        (Ok(height), Ok(width)) => Ok([height.into(), width.into()]),
        _ => Err(FigureError::TooLarge {
            width: width as u64,
            height: height as u64,
            limit: u16::MAX.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    /// A row of a plain grey picture whose last patch comes first.
    fn row(width: u32, height: u32, patches: usize) -> OrderRow {
        OrderRow {
            image: RgbView::from_grey(width, height, &vec![128; (width * height) as usize])
                .unwrap(),
            similarity: (0..patches).map(|patch| patch as f32 - 3.0).collect(),
            ranks: (0..patches).map(|patch| (patches - patch) as f32).collect(),
            title: None,
            reconstruction: None,
        }
    }

    fn options(cell: u32, groups: usize) -> FigureOptions {
        FigureOptions {
            cell,
            groups,
            ..FigureOptions::default()
        }
    }

    #[test]
    fn the_size_follows_from_the_options() {
        let rows = vec![row(64, 64, 16); 4];
        let size = |cell, groups| {
            let figure = order_figure(&rows, [4, 4], &options(cell, groups)).unwrap();
            [figure.width(), figure.height()]
        };
        // Three columns of 128, two gaps of 6, margins of 20.
        assert_eq!(size(128, 1)[0], 3 * 128 + 2 * 6 + 2 * 20);
        assert_eq!(size(128, 2)[0], 2 * (3 * 128 + 2 * 6) + 30 + 2 * 20);
        assert_eq!(size(160, 1)[0] - size(128, 1)[0], 3 * 32);
        assert_eq!(size(160, 1)[1] - size(128, 1)[1], 4 * 32);
        let mut titled = rows.clone();
        titled[2].title = Some("one".into());
        let figure = order_figure(&titled, [4, 4], &options(128, 1)).unwrap();
        assert_eq!(figure.height() - size(128, 1)[1], 4 * (18 + 4));
    }

    #[test]
    fn the_warm_colour_lies_where_the_rank_is_smallest() {
        let figure = order_figure(&[row(64, 64, 16)], [4, 4], &options(128, 1)).unwrap();
        let left = 20 + 2 * (128 + 6);
        let top = 20 + 18 + 4;
        let warmth = |patch: [u32; 2]| {
            let (x, y) = (left + patch[1] * 32 + 16, top + patch[0] * 32 + 16);
            let Rgb([r, _, b]) = *figure.get_pixel(x, y);
            i32::from(r) - i32::from(b)
        };
        assert!(warmth([3, 3]) > 80, "{}", warmth([3, 3]));
        assert!(warmth([0, 0]) < -60, "{}", warmth([0, 0]));
        let all: Vec<i32> = (0..16)
            .map(|patch| warmth([patch / 4, patch % 4]))
            .collect();
        assert!(all[..6].iter().all(|&warmth| warmth < 0), "last: {all:?}");
        assert!(all[8..].iter().all(|&warmth| warmth > 0), "first: {all:?}");
    }

    #[test]
    fn numbers_that_are_none_do_not_crash() {
        let mut bad = row(20, 10, 8);
        bad.similarity[3] = f32::NAN;
        bad.similarity[4] = f32::INFINITY;
        bad.ranks[0] = f32::NAN;
        assert!(order_figure(&[bad.clone()], [2, 4], &options(32, 1)).is_ok());
        bad.similarity.fill(f32::NAN);
        bad.ranks.fill(f32::NAN);
        assert!(order_figure(&[bad], [2, 4], &options(32, 1)).is_ok());
    }

    #[test]
    fn pictures_of_several_shapes_share_a_figure() {
        let mut rows = vec![row(90, 30, 8), row(30, 90, 8), row(1, 1, 8)];
        rows[1].reconstruction = Some(RgbView::from_grey(3, 9, &[40; 27]).unwrap());
        let figure = order_figure(&rows, [2, 4], &options(64, 2)).unwrap();
        let columns = 4 * 64;
        assert!(figure.width() > 2 * columns);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let draw = |rows: &[OrderRow], grid, cell| order_figure(rows, grid, &options(cell, 1));
        assert!(matches!(draw(&[], [2, 2], 64), Err(FigureError::NoRows)));
        let rows = [row(8, 8, 4), row(8, 8, 4)];
        let empty = draw(&rows, [0, 4], 64);
        assert!(matches!(empty, Err(FigureError::EmptyGrid { .. })));
        let cell = draw(&rows, [2, 2], 4);
        assert!(matches!(cell, Err(FigureError::CellSize { cell: 4, .. })));

        let mut short = rows.clone();
        short[1].ranks.pop();
        let error = draw(&short, [2, 2], 64).unwrap_err();
        assert!(matches!(
            error,
            FigureError::MapLength {
                row: 1,
                map: "ranks",
                expected: 4,
                found: 3
            }
        ));
        short[0].similarity.push(0.0);
        let error = draw(&short, [2, 2], 64).unwrap_err();
        assert!(matches!(
            error,
            FigureError::MapLength {
                row: 0,
                map: "similarity",
                ..
            }
        ));
        let wide = [row(2, 2, 70_000)];
        let wide = draw(&wide, [1, 70_000], 64);
        assert!(matches!(wide, Err(FigureError::TooLarge { .. })));
    }
}
