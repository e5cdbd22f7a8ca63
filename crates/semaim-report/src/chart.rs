//! Curves as SVG, to be put into a page: no script, no file beside it, no font but the page's.
//!
//! Texts and lines take the page's `currentColor`; the curves take `--series-1` to `--series-8`, which a page may set for
//! light and dark, or colours that can be seen on both.

mod axis;
mod thin;

#[cfg(test)]
mod tests;

use std::fmt::Write;

use axis::Axis;

use crate::escape::escape_line;

pub use thin::thinned;

/// The size of the whole in its own units, about pixels, without the legend.
const SIZE: [f64; 2] = [720.0, 360.0];
/// What is left free around the plot for texts: left, top, right, below.
const AROUND: [f64; 4] = [72.0, 40.0, 18.0, 50.0];
/// Colours of curves where the page does not set any: of middling lightness, told apart by most eyes.
const COLOURS: [&str; 8] = [
    "#3b82c4", "#d9622b", "#2f9e6e", "#b05cc6", "#b8860b", "#d6457a", "#5f7d8c", "#7a6ff0",
];
/// The width of a letter of the legend, with some room to spare.
const LETTER: f64 = 7.4;
/// The height of a line of the legend.
const LEGEND_LINE: f64 = 20.0;
/// The most letters of a curve's name in the legend.
const LONGEST_NAME: usize = 60;

/// How numbers are laid out along an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By their logarithms. Numbers that are not above 0 are gaps.
    Log,
}

/// A curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// Its points, `[x, y]`, joined in this order. One with a number that is not finite is a gap; a point between two
    /// gaps is a dot.
    pub points: Vec<[f64; 2]>,
}

/// A chart of curves over a common axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineChart {
    /// The line above; none if empty.
    pub title: String,
    /// What the horizontal axis is; nothing if empty.
    pub x_label: String,
    /// What the vertical axis is; nothing if empty.
    pub y_label: String,
    /// How the vertical axis is laid out. The horizontal one is linear.
    pub y_scale: Scale,
    /// The curves. From the ninth on, colours come again with dashes.
    pub series: Vec<Series>,
}

/// The plot and its axes.
struct Plot {
    x: Axis,
    y: Axis,
}

impl LineChart {
    /// The chart as one `svg` element, 720 units wide, which scales to the width it is given. The file grows with the
    /// number of points; several thousand a curve are more than can be seen: [`thinned`] leaves the others out.
    ///
    /// Any texts and numbers are fine; without a point to show the chart says so.
    pub fn svg(&self) -> String {
        let legend = self.legend();
        let height =
            SIZE[1] + LEGEND_LINE * legend.iter().map(|l| l.line + 1.0).fold(0.0, f64::max);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" role=\"img\" \
             aria-label=\"{}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"currentColor\">\n",
            SIZE[0],
            escape_line(&self.title)
        );
        let middle = AROUND[0] + (SIZE[0] - AROUND[0] - AROUND[2]) / 2.0;
        if !self.title.is_empty() {
            label(
                &mut out,
                [middle, 22.0],
                "middle\" font-weight=\"600\" font-size=\"15",
                &self.title,
            );
        }
        if !self.x_label.is_empty() {
            label(&mut out, [middle, SIZE[1] - 10.0], "middle", &self.x_label);
        }
        if !self.y_label.is_empty() {
            let center = AROUND[1] + (SIZE[1] - AROUND[1] - AROUND[3]) / 2.0;
            let turned = format!("middle\" transform=\"rotate(-90 16 {center})");
            label(&mut out, [16.0, center], &turned, &self.y_label);
        }
        match self.plot() {
            Some(plot) => {
                plot.axes(&mut out);
                for (index, series) in self.series.iter().enumerate() {
                    let path = plot.path(&series.points);
                    if !path.is_empty() {
                        line(&mut out, index, &path);
                    }
                }
            }
            None => label(
                &mut out,
                [middle, SIZE[1] / 2.0],
                "middle\" opacity=\"0.7",
                "no data",
            ),
        }
        for entry in &legend {
            let y = SIZE[1] + LEGEND_LINE * entry.line + 8.0;
            line(&mut out, entry.index, &format!("M{:.1} {y:.1}h22", entry.x));
            label(&mut out, [entry.x + 28.0, y + 4.5], "start", &entry.name);
        }
        out.push_str("</svg>\n");
        out
    }

    /// The axes; `None` when no point can be shown.
    fn plot(&self) -> Option<Plot> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        // Only what is shown on both axes counts for either.
        let y = Axis::new(
            points().filter(|p| p[0].is_finite()).map(|p| p[1]),
            self.y_scale,
            true,
        )?;
        let shown = points().filter(|point| y.place(point[1]).is_some());
        let x = Axis::new(shown.map(|point| point[0]), Scale::Linear, false)?;
        Some(Plot { x, y })
    }

    /// Where the names of the curves go: from the left, in as many lines as it takes. A chart of one curve without a
    /// name needs none.
    fn legend(&self) -> Vec<Entry> {
        let right = SIZE[0] - AROUND[2];
        let (mut x, mut line) = (AROUND[0], 0.0);
        let mut entries = Vec::new();
        for (index, series) in self.series.iter().enumerate() {
            if series.name.is_empty() {
                continue;
            }
            let mut name: String = series.name.chars().take(LONGEST_NAME).collect();
            if name.len() < series.name.len() {
                name.push('…');
            }
            let width = 28.0 + LETTER * name.chars().count() as f64 + 18.0;
            if x + width > right && x > AROUND[0] {
                (x, line) = (AROUND[0], line + 1.0);
            }
            entries.push(Entry {
                index,
                name,
                x,
                line,
            });
            x += width;
        }
        entries
    }
}

/// A curve's place in the legend.
struct Entry {
    /// Which curve.
    index: usize,
    name: String,
    x: f64,
    /// Which line, from 0.
    line: f64,
}

impl Plot {
    /// Where a place from 0 to 1 on the axes is in the chart.
    fn across(place: f64) -> f64 {
        AROUND[0] + place * (SIZE[0] - AROUND[0] - AROUND[2])
    }

    fn down(place: f64) -> f64 {
        SIZE[1] - AROUND[3] - place * (SIZE[1] - AROUND[1] - AROUND[3])
    }

    /// Ticks, the lines through them, and the frame's two lines.
    fn axes(&self, out: &mut String) {
        let (left, right) = (Self::across(0.0), Self::across(1.0));
        let (top, bottom) = (Self::down(1.0), Self::down(0.0));
        let mut grid = String::new();
        for (value, text) in self.y.ticks() {
            let Some(y) = self.y.place(value).map(Self::down) else {
                continue;
            };
            push(&mut grid, format_args!("M{left:.1} {y:.1}H{right:.1}"));
            label(out, [left - 8.0, y + 4.5], "end", &text);
        }
        for (value, text) in self.x.ticks() {
            let Some(x) = self.x.place(value).map(Self::across) else {
                continue;
            };
            push(&mut grid, format_args!("M{x:.1} {top:.1}V{bottom:.1}"));
            label(out, [x, bottom + 18.0], "middle", &text);
        }
        let frame = format!("M{left:.1} {top:.1}V{bottom:.1}H{right:.1}");
        for (path, opacity) in [(grid, 0.14), (frame, 0.6)] {
            push(
                out,
                format_args!(
                    "<path d=\"{path}\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\"{opacity}\"/>\n"
                ),
            );
        }
    }

    /// The strokes of a curve.
    fn path(&self, points: &[[f64; 2]]) -> String {
        let mut path = String::new();
        // How many points the stroke has; a stroke of one is drawn as a dot, that is a line of no length.
        let mut length = 0;
        for &[x, y] in points {
            let place = self.x.place(x).zip(self.y.place(y));
            let Some((x, y)) = place.map(|(x, y)| (Self::across(x), Self::down(y))) else {
                if length == 1 {
                    path.push_str("h0");
                }
                length = 0;
                continue;
            };
            let step = if length == 0 { 'M' } else { 'L' };
            push(&mut path, format_args!("{step}{x:.1} {y:.1}"));
            length += 1;
        }
        if length == 1 {
            path.push_str("h0");
        }
        path
    }
}

/// Adds to a text.
fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

/// Adds a line of text. `anchor` is the value of `text-anchor`, and may go on with further attributes.
fn label(out: &mut String, [x, y]: [f64; 2], anchor: &str, text: &str) {
    let text = escape_line(text);
    push(
        out,
        format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n"),
    );
}

/// Adds a stroke in the colour of curve `index`.
fn line(out: &mut String, index: usize, path: &str) {
    let number = index % COLOURS.len();
    let dashes = match index / COLOURS.len() {
        0 => "",
        1 => " stroke-dasharray=\"7 4\"",
        _ => " stroke-dasharray=\"2 4\"",
    };
    push(
        out,
        format_args!(
            "<path d=\"{path}\" style=\"stroke:var(--series-{},{})\" fill=\"none\" stroke-width=\"2\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\"{dashes}/>\n",
            number + 1,
            COLOURS[number]
        ),
    );
}
