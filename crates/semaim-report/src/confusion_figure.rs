//! The figure of a confusion matrix.

mod layout;
mod matrix;

use image::{Rgb, RgbImage};

use crate::colour_bar::ColourBar;
use crate::colour_map::SHARE;
use crate::error::FigureError;
use crate::order_figure::FigureOptions;
use crate::paint::{Area, fill, outline};
use crate::text::{HEADER, LABEL, Style, TITLE};
use layout::{Layout, READABLE};

pub use matrix::ConfusionMatrix;

/// The share of a row from which on its number is written in white.
const DARK: f64 = 0.5;
/// Numbers on dark cells.
const ON_DARK: Style = LABEL.in_colour(Rgb([255; 3]));
/// Numbers on light cells: darker than other texts, as the ground is not quite white.
const ON_LIGHT: Style = LABEL.in_colour(Rgb([45, 48, 56]));
/// Cells of classes without samples, which have no shares.
const NO_SAMPLES: Rgb<u8> = Rgb([226, 226, 228]);
/// Lines between cells and around the matrix.
const LINE: Rgb<u8> = Rgb([120, 124, 134]);

/// Draws `matrix`: a row for each true class, a column for each predicted one, a cell's colour by the share of its row.
///
/// Up to 50 classes have their names on both sides, the counts above 0 in their cells where they fit, and to the right
/// the accuracy of each class and its number of samples. More classes are colours only: every so many have a name, and a
/// strip to the right shows the accuracies in the same colours. Rows without samples are grey.
///
/// Of the options only title and caption are used; the size of the cells follows from the number of classes.
///
/// # Errors
///
/// [`FigureError::TooLarge`] when a side would exceed 16 384 pixels, as from about 16 000 classes on.
pub fn confusion_figure(
    matrix: &ConfusionMatrix,
    options: &FigureOptions,
) -> Result<RgbImage, FigureError> {
    let layout = Layout::new(matrix, &options.title, &options.caption)?;
    let mut figure = RgbImage::from_pixel(layout.size[0], layout.size[1], Rgb([255; 3]));
    for (index, line) in layout.title.iter().enumerate() {
        let [x, y] = layout.title_line(index);
        TITLE.draw(&mut figure, x, y, line);
    }
    let Area { x, y, width, .. } = layout.summary;
    LABEL.draw(&mut figure, x, y, &LABEL.shorten(&summary(matrix), width));
    for row in 0..matrix.classes().len() {
        draw_row(&mut figure, &layout, matrix, row);
    }
    draw_lines(&mut figure, &layout, matrix.classes().len());
    draw_names(&mut figure, &layout, matrix);
    draw_accuracies(&mut figure, &layout, matrix);
    let bar = ColourBar {
        name: "share of the true class",
        ends: ["0 %", "100 %"],
        map: SHARE,
        opacity: 1.0,
    };
    bar.draw(&mut figure, layout.bar, bar.lead());
    for (index, line) in layout.caption.iter().enumerate() {
        let [x, y] = layout.caption_line(index);
        LABEL.draw(&mut figure, x, y, line);
    }
    Ok(figure)
}

/// The line about the whole.
fn summary(matrix: &ConfusionMatrix) -> String {
    match (matrix.accuracy(), matrix.mean_class_accuracy()) {
        (Some(all), Some(mean)) => format!(
            "accuracy {}, mean of classes {}, {} samples",
            percent(all),
            percent(mean),
            matrix.total()
        ),
        _ => "no samples".to_owned(),
    }
}

/// One decimal, rounded as the program prints it, but only all is 100 %.
fn percent(share: f64) -> String {
    let most = if share < 1.0 { 99.9 } else { 100.0 };
    format!("{:.1} %", (100.0 * share).min(most))
}

/// The cells of a true class.
fn draw_row(figure: &mut RgbImage, layout: &Layout, matrix: &ConfusionMatrix, row: usize) {
    let samples = matrix.samples(row);
    for (column, &count) in matrix.row(row).iter().enumerate() {
        let cell = layout.cell_at(row, column);
        if samples == 0 {
            fill(figure, cell, NO_SAMPLES, 1.0);
            continue;
        }
        let share = count as f64 / samples as f64;
        fill(figure, cell, SHARE.at(share as f32), 1.0);
        let text = count.to_string();
        let width = LABEL.width(&text);
        if matrix.classes().len() <= READABLE && count > 0 && width + 2 <= cell.width {
            let style = if share >= DARK { ON_DARK } else { ON_LIGHT };
            let x = cell.x + (cell.width - width) / 2;
            style.draw(figure, x, layout.text_top(row), &text);
        }
    }
}

/// Lines between the cells, unless there are too many, and around all.
fn draw_lines(figure: &mut RgbImage, layout: &Layout, classes: usize) {
    if classes <= READABLE {
        for index in 1..classes {
            let Area { x, y, .. } = layout.cell_at(index, index);
            let down = Area {
                x,
                width: 1,
                ..layout.matrix
            };
            let across = Area {
                y,
                height: 1,
                ..layout.matrix
            };
            fill(figure, down, LINE, 0.22);
            fill(figure, across, LINE, 0.22);
        }
    }
    outline(figure, around(layout.matrix), LINE, 1.0);
}

/// A rectangle one pixel larger on all sides.
fn around(area: Area) -> Area {
    Area {
        x: area.x.saturating_sub(1),
        y: area.y.saturating_sub(1),
        width: area.width + 2,
        height: area.height + 2,
    }
}

/// The names of rows and columns, and what rows and columns are.
fn draw_names(figure: &mut RgbImage, layout: &Layout, matrix: &ConfusionMatrix) {
    let Area { x, y, width, .. } = layout.predicted;
    let indent = width.saturating_sub(HEADER.width("predicted")) / 2;
    HEADER.draw(figure, x + indent, y, "predicted");
    let Area { x, y, height, .. } = layout.truth;
    let indent = height.saturating_sub(HEADER.width("true")) / 2;
    HEADER.draw_upwards(figure, x, y + height - indent, "true");

    let names = matrix.classes().iter().enumerate();
    for (class, name) in names.step_by(layout.name_step) {
        let cell = layout.cell_at(class, class);
        let name = LABEL.shorten(name, layout.name);
        let width = LABEL.width(&name);
        let line = LABEL.line_height();
        // One name for many classes points at its own.
        let tick = if layout.name_step > 1 { 4 } else { 0 };
        let middle = [cell.x + cell.width / 2, cell.y + cell.height / 2];
        let row = Area {
            x: layout.matrix.x - tick,
            y: middle[1],
            width: tick,
            height: 1,
        };
        let column = Area {
            x: middle[0],
            y: layout.matrix.y - tick,
            width: 1,
            height: tick,
        };
        fill(figure, row, LINE, 1.0);
        fill(figure, column, LINE, 1.0);
        let left = layout.matrix.x.saturating_sub(width + 8);
        LABEL.draw(figure, left, layout.text_top(class), &name);
        let bottom = layout.column_names_bottom;
        if layout.turned {
            let left = middle[0].saturating_sub(line / 2);
            LABEL.draw_upwards(figure, left, bottom, &name);
        } else {
            let left = middle[0].saturating_sub(width / 2);
            LABEL.draw(figure, left, bottom.saturating_sub(line), &name);
        }
    }
}

/// What stands to the right of the matrix.
fn draw_accuracies(figure: &mut RgbImage, layout: &Layout, matrix: &ConfusionMatrix) {
    let [accuracy, samples] = layout.figures;
    let line = HEADER.line_height();
    let classes = matrix.classes().len();
    if classes > READABLE {
        let left = accuracy.x + accuracy.width.saturating_sub(line) / 2;
        HEADER.draw_upwards(figure, left, layout.column_names_bottom, "accuracy");
        for row in 0..classes {
            let cell = layout.cell_at(row, 0);
            let area = Area {
                x: accuracy.x,
                width: accuracy.width,
                ..cell
            };
            let colour = matrix
                .class_accuracy(row)
                .map_or(NO_SAMPLES, |share| SHARE.at(share as f32));
            fill(figure, area, colour, 1.0);
        }
        outline(figure, around(accuracy), LINE, 1.0);
        return;
    }
    let head = layout.column_names_bottom.saturating_sub(line);
    let mut right = |area: Area, style: Style, y: u32, text: &str| {
        let left = (area.x + area.width).saturating_sub(style.width(text));
        style.draw(figure, left, y, text);
    };
    right(accuracy, HEADER, head, "accuracy");
    right(samples, HEADER, head, "samples");
    for row in 0..classes {
        let text = matrix.class_accuracy(row).map_or("-".into(), percent);
        right(accuracy, LABEL, layout.text_top(row), &text);
        let count = matrix.samples(row).to_string();
        right(samples, LABEL, layout.text_top(row), &count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(classes: usize, counts: Vec<u64>) -> ConfusionMatrix {
        let names = (0..classes).map(|n| format!("class {n}")).collect();
        ConfusionMatrix::new(names, counts).unwrap()
    }

    fn draw(matrix: &ConfusionMatrix) -> (RgbImage, Layout) {
        let figure = confusion_figure(matrix, &FigureOptions::default()).unwrap();
        (figure, Layout::new(matrix, "", "").unwrap())
    }

    /// The colour just inside the upper left corner of a cell, where no number and no line is.
    fn colour(figure: &RgbImage, layout: &Layout, row: usize, column: usize) -> Rgb<u8> {
        let cell = layout.cell_at(row, column);
        *figure.get_pixel(cell.x + 2, cell.y + 2)
    }

    #[test]
    fn colours_are_shares_of_the_true_class() {
        let (figure, layout) = draw(&matrix(3, vec![1, 3, 0, 0, 0, 0, 1000, 0, 1000]));
        let at = |row, column| colour(&figure, &layout, row, column);
        assert_eq!(at(0, 0), SHARE.at(0.25));
        assert_eq!(at(0, 1), SHARE.at(0.75));
        assert_eq!(at(0, 2), SHARE.at(0.0));
        assert_eq!(at(1, 1), NO_SAMPLES);
        assert_eq!((at(2, 0), at(2, 2)), (SHARE.at(0.5), SHARE.at(0.5)));
    }

    #[test]
    fn numbers_are_written_where_they_fit() {
        let mut counts = vec![0; 40 * 40];
        (counts[0], counts[1], counts[2]) = (12, 123_456_789, 0);
        let (figure, layout) = draw(&matrix(40, counts));
        let inked = |column| {
            let Area { x, y, width, .. } = layout.cell_at(0, column);
            let ground = colour(&figure, &layout, 0, column);
            let inner = (x + 1..x + width).flat_map(|x| (y + 1..y + width).map(move |y| (x, y)));
            inner
                .filter(|&(x, y)| *figure.get_pixel(x, y) != ground)
                .count()
        };
        assert!(inked(0) > 10);
        assert_eq!((inked(1), inked(2)), (0, 0));
    }

    #[test]
    fn the_strip_of_many_classes_has_their_accuracies() {
        let classes = 120;
        let mut counts = vec![0; classes * classes];
        for class in 1..classes {
            counts[class * classes + class] = class as u64;
            counts[class * classes] = (classes - class) as u64;
        }
        let (figure, layout) = draw(&matrix(classes, counts));
        let strip = layout.figures[0];
        for class in [0, 1, 60, 119] {
            let y = layout.cell_at(class, 0).y;
            let found = *figure.get_pixel(strip.x + 3, y);
            let share = class as f32 / classes as f32;
            let expected = if class == 0 {
                NO_SAMPLES
            } else {
                SHARE.at(share)
            };
            assert_eq!(found, expected, "{class}");
        }
    }

    #[test]
    fn only_all_is_a_hundred_per_cent() {
        assert_eq!(percent(1.0), "100.0 %");
        assert_eq!(percent(0.9999), "99.9 %");
        assert_eq!(percent(0.0), "0.0 %");
        assert_eq!(percent(0.29), "29.0 %");
        assert_eq!(percent(44.0 / 49.0), "89.8 %");
    }

    #[test]
    fn any_names_and_counts_can_be_drawn() {
        for classes in [1, 2, 50, 51, 120] {
            for count in [0, 1, u64::MAX] {
                let names = (0..classes).map(|n| "é\n→ ".repeat(n * 7)).collect();
                let matrix = ConfusionMatrix::new(names, vec![count; classes * classes]).unwrap();
                let options = FigureOptions {
                    title: "a title ".repeat(40),
                    caption: "a caption ".repeat(40),
                    ..FigureOptions::default()
                };
                assert!(confusion_figure(&matrix, &options).is_ok());
            }
        }
    }
}
