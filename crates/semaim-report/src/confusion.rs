//! The picture of a confusion matrix.

use image::{Rgb, RgbImage};

use crate::color_map::{ColorMap, Legend};
use crate::error::FigureError;
use crate::font::{HEADER, LABEL, Style, TITLE};
use crate::paint::{Area, Strips, Theme, fill, ink_on, outline};

/// The most classes that are shown with numbers and every name.
const READABLE: usize = 50;
/// Between a name and the matrix.
const GAP: u32 = 8;
/// The widest name, in pixels; longer ones are shortened.
const WIDEST_NAME: u32 = 190;
/// About how wide a matrix of too many classes for names is.
const DENSE_WIDTH: u32 = 960;
/// Between names that stand for many.
const TICK_DISTANCE: u32 = 30;
/// The narrowest content, so that texts fit.
const LEAST_WIDTH: u64 = 440;

/// How often each class was taken for each: at least one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: Vec<String>,
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// Takes the names of the classes and `counts`, `[classes, classes]`: row by row the true class, in a row the
    /// predicted one.
    ///
    /// # Errors
    ///
    /// [`FigureError::Empty`] without classes, [`FigureError::CountsLength`] when there is not one count for each pair.
    pub fn new(classes: Vec<String>, counts: Vec<u64>) -> Result<ConfusionMatrix, FigureError> {
        if classes.is_empty() {
            return Err(FigureError::Empty);
        }
        let expected = classes.len().saturating_mul(classes.len());
        if counts.len() != expected {
            let (classes, found) = (classes.len(), counts.len());
            return Err(FigureError::CountsLength {
                classes,
                expected,
                found,
            });
        }
        Ok(ConfusionMatrix { classes, counts })
    }

    /// The picture below `title`: a row for each true class, a column for each predicted one, a cell's color by the share
    /// of its row.
    ///
    /// Up to 50 classes have their names on both sides, the counts above 0 in their cells where they fit, and to the right
    /// the accuracy of each class and its number of samples. More classes are colors only, and every so many have a name.
    ///
    /// # Errors
    ///
    /// [`FigureError::TooLarge`] when a side would exceed 16,384 pixels, as from about 16,000 classes on.
    pub fn draw(&self, title: &str, theme: Theme) -> Result<RgbImage, FigureError> {
        let classes = self.classes.len();
        let readable = classes <= READABLE;
        let cell = self.cell();
        let side = (classes as u64).saturating_mul(cell.into());
        let step = if readable {
            1
        } else {
            TICK_DISTANCE.div_ceil(cell) as usize
        };
        let longest = self
            .classes
            .iter()
            .step_by(step)
            .map(|name| LABEL.width(name))
            .max()
            .unwrap_or(0);
        let names = longest.min(WIDEST_NAME);
        let turned = longest + 4 > cell;
        let names_height = if turned { names } else { LABEL.line_height() };
        // At the left `true` upwards and the names, at the right the figures of each class.
        let left = HEADER.line_height() + GAP + names + GAP;
        let figures = ["accuracy", "samples"].map(|head| HEADER.width(head) + 2 * GAP);
        let right = if readable {
            figures[0] + figures[1]
        } else {
            2 * GAP
        };
        let content = u64::from(left) + side + u64::from(right);
        let mut strips = Strips::new(theme, content.max(LEAST_WIDTH))?;

        strips.text(TITLE, title, theme.ink(), 0)?;
        strips.text(LABEL, &self.summary(), theme.muted(), 4)?;
        strips.space(GAP)?;
        let top = HEADER.line_height() + 4 + names_height + GAP;
        let strip = strips.add(u64::from(top) + side + 1)?;
        // It is as wide as the side, so the side is within the limit.
        let side = side as u32;
        let matrix = Area::new([left, top], [side; 2]);
        let middle = |length: u32, text: &str| length.saturating_sub(HEADER.width(text)) / 2;
        HEADER.draw(
            strip,
            left + middle(side, "predicted"),
            0,
            "predicted",
            theme.ink(),
        );
        let bottom = top + side - middle(side, "true");
        HEADER.draw_upwards(strip, 0, bottom, "true", theme.ink());
        self.draw_cells(strip, theme, matrix, cell);
        for (class, name) in self.classes.iter().enumerate().step_by(step) {
            let name = LABEL.shorten(name, names);
            let center = cell * class as u32 + cell / 2;
            let half = LABEL.line_height() / 2;
            let x = left.saturating_sub(LABEL.width(&name) + GAP);
            LABEL.draw(
                strip,
                x,
                (top + center).saturating_sub(half),
                &name,
                theme.muted(),
            );
            if turned {
                let x = (left + center).saturating_sub(half);
                LABEL.draw_upwards(strip, x, top - GAP, &name, theme.muted());
            } else {
                let x = (left + center).saturating_sub(LABEL.width(&name) / 2);
                LABEL.draw(
                    strip,
                    x,
                    top - GAP - LABEL.line_height(),
                    &name,
                    theme.muted(),
                );
            }
        }
        if readable {
            self.draw_figures(strip, theme, matrix, cell, figures);
        }
        let (map, height) = (ColorMap::Share(theme), LABEL.line_height());
        let name = "share of the true class";
        let legend = Legend {
            name,
            ends: ["0 %", "100 %"],
            map,
            opacity: 1.0,
        };
        strips.space(2 * GAP)?;
        let width = strips.width().min(560);
        let area = Area::new([0, 0], [width, height]);
        legend.draw(strips.add(height.into())?, area, theme);
        Ok(strips.stacked())
    }

    /// The counts of a true class, one for each predicted class.
    fn row(&self, class: usize) -> &[u64] {
        &self.counts[class * self.classes.len()..][..self.classes.len()]
    }

    /// How many samples a true class has.
    fn samples(&self, class: usize) -> u128 {
        self.row(class).iter().copied().map(u128::from).sum()
    }

    /// The share of a class's samples that were taken for it, 0 to 1; `None` when it has no samples.
    fn class_accuracy(&self, class: usize) -> Option<f64> {
        let samples = self.samples(class);
        (samples > 0).then(|| self.row(class)[class] as f64 / samples as f64)
    }

    /// The line about the whole.
    fn summary(&self) -> String {
        let classes = 0..self.classes.len();
        let total: u128 = classes.clone().map(|class| self.samples(class)).sum();
        if total == 0 {
            return "no samples".to_owned();
        }
        let right: u128 = classes
            .clone()
            .map(|class| u128::from(self.row(class)[class]))
            .sum();
        let each: Vec<f64> = classes
            .filter_map(|class| self.class_accuracy(class))
            .collect();
        let mean = each.iter().sum::<f64>() / each.len() as f64;
        let all = right as f64 / total as f64;
        format!(
            "accuracy {}, mean of classes {}, {total} samples",
            percent(all),
            percent(mean)
        )
    }

    /// Pixels of a cell: room for the largest count where few classes leave it.
    fn cell(&self) -> u32 {
        let [least, most] = match self.classes.len() {
            0..=4 => [72, 120],
            5..=12 => [48, 80],
            13..=25 => [32, 64],
            26..=READABLE => [22, 34],
            many => return (DENSE_WIDTH / u32::try_from(many).unwrap_or(u32::MAX)).max(1),
        };
        let largest = self.counts.iter().max().copied().unwrap_or(0);
        (LABEL.width(&largest.to_string()) + 8).clamp(least, most)
    }

    /// The cells with their numbers, and lines between them unless there are too many.
    fn draw_cells(&self, on: &mut RgbImage, theme: Theme, matrix: Area, cell: u32) {
        let classes = self.classes.len();
        let readable = classes <= READABLE;
        for class in 0..classes {
            let samples = self.samples(class).max(1) as f64;
            let shares = self.row(class).iter().map(|&count| count as f64 / samples);
            let colors = ColorMap::Share(theme).colors(shares.map(|share| share as f32));
            for ((count, color), column) in self.row(class).iter().zip(colors).zip(0u32..) {
                let [x, y] = [matrix.x + cell * column, matrix.y + cell * class as u32];
                fill(on, Area::new([x, y], [cell; 2]), color, 1.0);
                let text = count.to_string();
                let width = LABEL.width(&text);
                if readable && *count > 0 && width + 2 <= cell {
                    let y = (y + cell / 2).saturating_sub(LABEL.line_height() / 2);
                    LABEL.draw(on, x + (cell - width) / 2, y, &text, ink_on(color));
                }
            }
        }
        for line in (1..classes as u32).take_while(|_| readable) {
            let [x, y] = [matrix.x + cell * line, matrix.y + cell * line];
            let down = Area::new([x, matrix.y], [1, matrix.height]);
            let across = Area::new([matrix.x, y], [matrix.width, 1]);
            fill(on, down, theme.muted(), 0.2);
            fill(on, across, theme.muted(), 0.2);
        }
        let corner = [matrix.x - 1, matrix.y - 1];
        let around = Area::new(corner, [matrix.width + 2, matrix.height + 2]);
        outline(on, around, theme.muted(), 0.7);
    }

    /// The accuracy and the number of samples of each class, to the right of the matrix.
    fn draw_figures(
        &self,
        on: &mut RgbImage,
        theme: Theme,
        matrix: Area,
        cell: u32,
        widths: [u32; 2],
    ) {
        let mut right = |column: usize, y: u32, style: Style, text: &str, color: Rgb<u8>| {
            let end = matrix.x + matrix.width + widths[..=column].iter().sum::<u32>();
            style.draw(on, end.saturating_sub(style.width(text)), y, text, color);
        };
        let head = matrix.y - GAP - HEADER.line_height();
        right(0, head, HEADER, "accuracy", theme.ink());
        right(1, head, HEADER, "samples", theme.ink());
        for class in 0..self.classes.len() {
            let y =
                (matrix.y + cell * class as u32 + cell / 2).saturating_sub(LABEL.line_height() / 2);
            let accuracy = self.class_accuracy(class).map_or("–".into(), percent);
            right(0, y, LABEL, &accuracy, theme.muted());
            right(1, y, LABEL, &self.samples(class).to_string(), theme.muted());
        }
    }
}

/// One decimal, rounded as the program prints it, but only all is 100 %.
pub fn percent(share: f64) -> String {
    let most = if share < 1.0 { 99.9 } else { 100.0 };
    format!("{:.1} %", (100.0 * share).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(classes: usize, counts: Vec<u64>) -> ConfusionMatrix {
        let names = (0..classes).map(|n| format!("class {n}")).collect();
        ConfusionMatrix::new(names, counts).unwrap()
    }

    #[test]
    fn there_is_a_count_for_each_pair() {
        assert!(matches!(
            ConfusionMatrix::new(vec![], vec![]),
            Err(FigureError::Empty)
        ));
        let error = ConfusionMatrix::new(vec![String::new(); 3], vec![0; 8]).unwrap_err();
        assert!(matches!(
            error,
            FigureError::CountsLength {
                classes: 3,
                expected: 9,
                found: 8
            }
        ));
    }

    #[test]
    fn accuracies_are_shares_of_rows() {
        let matrix = matrix(3, vec![3, 1, 0, 0, 0, 0, 2, 2, 4]);
        let each: Vec<Option<f64>> = (0..3).map(|class| matrix.class_accuracy(class)).collect();
        assert_eq!(each, [Some(0.75), None, Some(0.5)]);
        assert_eq!(
            matrix.summary(),
            "accuracy 58.3 %, mean of classes 62.5 %, 12 samples"
        );
        assert_eq!(percent(0.9999), "99.9 %");
        assert_eq!(percent(1.0), "100.0 %");
    }

    #[test]
    fn cells_are_colored_by_the_share_of_the_true_class() {
        let matrix = matrix(3, vec![1, 3, 0, 0, 0, 0, 1000, 0, 1000]);
        let mut on = RgbImage::new(300, 300);
        let cell = matrix.cell();
        let area = Area::new([1, 1], [3 * cell; 2]);
        for theme in [Theme::Light, Theme::Dark] {
            matrix.draw_cells(&mut on, theme, area, cell);
            // The upper left corner of a cell, where no number and no line is.
            let at =
                |row: u32, column: u32| *on.get_pixel(1 + column * cell + 3, 1 + row * cell + 3);
            let share = |share| ColorMap::Share(theme).at(share);
            assert_eq!([at(0, 0), at(0, 1), at(0, 2)], [0.25, 0.75, 0.0].map(share));
            assert_eq!([at(1, 1), at(2, 0), at(2, 2)], [0.0, 0.5, 0.5].map(share));
        }
    }

    #[test]
    fn any_names_and_counts_can_be_drawn() {
        for classes in [1, 2, 50, 51, 120] {
            for count in [0, 1, u64::MAX] {
                let names = (0..classes).map(|n| "é\n猫 ".repeat(n * 7 % 90)).collect();
                let matrix = ConfusionMatrix::new(names, vec![count; classes * classes]).unwrap();
                let figure = matrix.draw(&"a title ".repeat(40), Theme::Light).unwrap();
                let edge = figure
                    .enumerate_pixels()
                    .filter(|(x, y, _)| *x < 20 || *y < 20);
                assert!(
                    edge.into_iter()
                        .all(|(.., pixel)| pixel == &Theme::Light.paper())
                );
            }
        }
        let huge = matrix(2, vec![u64::MAX; 4]);
        assert_eq!(huge.class_accuracy(0), Some(0.5));
    }
}
