//! Curves as SVG, to be put into a page: no script, no file beside it, no font but the page's.

use std::ops::Range;

use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::error::FigureError;

/// The height in its own units, about pixels; a chart scales to the width that it is given.
const HEIGHT: u32 = 340;
/// The width of a chart beside another, and of one that takes the place of two.
pub(crate) const WIDTHS: [u32; 2] = [720, 1476];
/// The most points of a curve, about two for every unit of width.
const MOST_POINTS: usize = 1200;
/// The curves' colors on white. The style sheet of a page has others for the dark, in this order.
pub(crate) const COLORS: [RGBColor; 12] = [
    RGBColor(0x1f, 0x6f, 0xb2),
    RGBColor(0xc8, 0x50, 0x1a),
    RGBColor(0x15, 0x80, 0x5c),
    RGBColor(0x9a, 0x46, 0xb5),
    RGBColor(0x8d, 0x6a, 0x00),
    RGBColor(0xc0, 0x33, 0x6a),
    RGBColor(0x4f, 0x6b, 0x79),
    RGBColor(0x5f, 0x55, 0xd8),
    RGBColor(0x0b, 0x8a, 0x9c),
    RGBColor(0x6d, 0x8a, 0x1e),
    RGBColor(0xa0, 0x52, 0x2d),
    RGBColor(0x3b, 0x3b, 0x3b),
];

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
    /// What the legend calls it. There is a legend from two curves on.
    pub name: String,
    /// Its points, `[x, y]`, joined in this order. One with a number that is not finite is a gap; a point between two
    /// gaps is a dot.
    pub points: Vec<[f64; 2]>,
    /// Where the curve is spread, a lighter area: `[x, low, high]`, joined in this order; nothing for none. Parts with a number that
    /// is not finite, or on a logarithmic axis not above 0, are left out.
    pub band: Vec<[f64; 3]>,
}

/// A chart of up to twelve curves over a common axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineChart {
    /// The line above.
    pub title: String,
    /// What the horizontal axis is.
    pub x_label: String,
    /// What the vertical axis is; nothing if empty.
    pub y_label: String,
    /// How the vertical axis is laid out. The horizontal one is linear.
    pub y_scale: Scale,
    /// The curves. From the thirteenth on, colors come again.
    pub series: Vec<Series>,
}

impl LineChart {
    /// The chart as one `svg` element, `width` units wide; `None` when there is no point to show.
    ///
    /// # Errors
    ///
    /// [`FigureError::Chart`] when it cannot be drawn.
    pub(crate) fn svg(&self, width: u32) -> Result<Option<String>, FigureError> {
        let shown = |point: &[f64; 2]| {
            let positive = self.y_scale == Scale::Linear || point[1] > 0.0;
            // What is beyond 32-bit numbers is no measurement, and the axes could not be divided.
            positive
                && point
                    .iter()
                    .all(|number| number.abs() <= f64::from(f32::MAX))
        };
        let points = || {
            self.series
                .iter()
                .flat_map(|series| &series.points)
                .filter(|p| shown(p))
        };
        if points().next().is_none() {
            return Ok(None);
        }
        let bands: Vec<Vec<Vec<(f64, f64)>>> = self
            .series
            .iter()
            .map(|series| outlines(&series.band, shown))
            .collect();
        let heights = || {
            let of_bands = bands.iter().flatten().flatten().map(|point| point.1);
            points().map(|point| point[1]).chain(of_bands)
        };
        let x = axis(points().map(|point| point[0]), 0.0);
        let strokes: Vec<Vec<Vec<(f64, f64)>>> = self
            .series
            .iter()
            .map(|series| strokes(&series.points, shown))
            .collect();
        let mut svg = String::new();
        let drawn = match self.y_scale {
            Scale::Linear => {
                let y = axis(heights(), 0.04);
                self.draw(&mut svg, width, x, y, &strokes, &bands)
            }
            Scale::Log => {
                let y = axis(heights().map(f64::log10), 0.04);
                let (low, high) = (10f64.powf(y.start), 10f64.powf(y.end));
                let y = (low..high)
                    .log_scale()
                    .with_key_points(log_ticks(low, high));
                self.draw(&mut svg, width, x, y, &strokes, &bands)
            }
        };
        drawn.map_err(|error| FigureError::Chart(error.to_string()))?;
        Ok(Some(svg))
    }

    fn draw<'a, Y>(
        &self,
        svg: &'a mut String,
        width: u32,
        x: Range<f64>,
        y: Y,
        strokes: &[Vec<Vec<(f64, f64)>>],
        bands: &[Vec<Vec<(f64, f64)>>],
    ) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let area = SVGBackend::with_string(svg, (width, HEIGHT)).into_drawing_area();
        // Sizes are of the font's box, which is larger than its em by a quarter.
        let font = ("system-ui, sans-serif", 17);
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .margin_right(20)
            .caption(&self.title, ("system-ui, sans-serif", 19, FontStyle::Bold))
            .x_label_area_size(42)
            .y_label_area_size(66)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .label_style(font)
            .axis_desc_style(font)
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .x_label_formatter(&label)
            .y_label_formatter(&label)
            .x_labels(8)
            .y_labels(7)
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(128, 128, 128).mix(0.25))
            .axis_style(RGBColor(128, 128, 128))
            .draw()?;
        for (index, parts) in bands.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let area = |part: &Vec<_>| Polygon::new(part.clone(), color.mix(0.13).filled());
            chart.draw_series(parts.iter().map(area))?;
        }
        for (index, strokes) in strokes.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let (points, lines): (Vec<_>, Vec<_>) =
                strokes.iter().partition(|stroke| stroke.len() == 1);
            let line = |stroke: &Vec<_>| PathElement::new(stroke.clone(), color.stroke_width(2));
            chart.draw_series(lines.into_iter().map(line))?;
            let dots = points.into_iter().flatten();
            chart.draw_series(dots.map(|point| Circle::new(*point, 4, color.filled())))?;
        }
        area.present()
    }
}

/// Powers of ten, and twice and five times them where these are few.
fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let digits: &[f64] = if powers.clone().count() > 5 {
        &[1.0]
    } else {
        &[1.0, 2.0, 5.0]
    };
    let every = powers.clone().count().div_ceil(10);
    let ticks = powers
        .step_by(every)
        .flat_map(|power| digits.iter().map(move |d| d * 10f64.powi(power)));
    ticks.filter(|tick| (low..=high).contains(tick)).collect()
}

/// A number beside an axis.
fn label(number: &f64) -> String {
    let size = number.abs();
    if size > 0.0 && !(1e-5..1e6).contains(&size) {
        let text = format!("{number:.3e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        return format!(
            "{}e{power}",
            digits.trim_end_matches('0').trim_end_matches('.')
        );
    }
    // Steps are round up to their last bits.
    let text = format!("{number:.8}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The range of an axis, with a margin of a share of it at both ends; equal numbers are in the middle.
fn axis(numbers: impl Iterator<Item = f64>, margin: f64) -> Range<f64> {
    let (low, high) = numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| {
        (low.min(number), high.max(number))
    });
    let size = low.abs().max(high.abs());
    let span = high - low;
    if span <= 1e-9 * size || span == 0.0 {
        let around = if size > 0.0 { 0.1 * size } else { 1.0 };
        return low - around..high + around;
    }
    low - margin * span..high + margin * span
}

/// The outlines of the parts of a band between its gaps: each along its upper edge and back along its lower one.
fn outlines(band: &[[f64; 3]], shown: impl Fn(&[f64; 2]) -> bool) -> Vec<Vec<(f64, f64)>> {
    let is_shown = |point: &[f64; 3]| {
        [1, 2]
            .into_iter()
            .all(|side| shown(&[point[0], point[side]]))
    };
    let parts = band.split(|point| !is_shown(point));
    let outline = |part: &[[f64; 3]]| {
        let upper = part.iter().map(|[x, _, high]| (*x, *high));
        let lower = part.iter().rev().map(|[x, low, _]| (*x, *low));
        upper.chain(lower).collect()
    };
    parts.filter(|part| part.len() > 1).map(outline).collect()
}

/// The parts of a curve between its gaps, with fewer points where there are too many to be seen: of every stretch the
/// first, the lowest, the highest and the last, so that spikes stay.
fn strokes(points: &[[f64; 2]], shown: impl Fn(&[f64; 2]) -> bool) -> Vec<Vec<(f64, f64)>> {
    let stretch = points.len().div_ceil(MOST_POINTS / 4).max(4);
    let parts = points
        .split(|point| !shown(point))
        .filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let mut kept = Vec::new();
            for stretch in part.chunks(stretch) {
                let by_height = |a: &usize, b: &usize| stretch[*a][1].total_cmp(&stretch[*b][1]);
                let all = 0..stretch.len();
                let mut four = vec![0, stretch.len() - 1];
                four.extend(all.clone().min_by(by_height));
                four.extend(all.max_by(by_height));
                four.sort_unstable();
                four.dedup();
                // Few points are all kept.
                let few = stretch.len() <= 4;
                kept.extend(if few {
                    stretch.to_vec()
                } else {
                    four.iter().map(|&i| stretch[i]).collect()
                });
            }
            kept.into_iter().map(|[x, y]| (x, y)).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(scale: Scale, points: &[f64]) -> LineChart {
        let points = points
            .iter()
            .enumerate()
            .map(|(x, y)| [x as f64, *y])
            .collect();
        LineChart {
            title: "Loss".into(),
            x_label: "epoch".into(),
            y_scale: scale,
            series: vec![Series {
                name: "training".into(),
                points,
                ..Series::default()
            }],
            ..LineChart::default()
        }
    }

    fn svg(scale: Scale, points: &[f64]) -> String {
        chart(scale, points).svg(WIDTHS[0]).unwrap().unwrap()
    }

    #[test]
    fn a_chart_has_its_texts_and_its_curve() {
        let svg = svg(Scale::Linear, &[3.0, 1.0, 2.0]);
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("Loss") && svg.contains("epoch"));
        assert_eq!(svg.matches("stroke=\"#1F6FB2\"").count(), 1);
        assert!(!svg.contains("<circle"));
    }

    #[test]
    fn gaps_part_a_curve_and_lone_points_are_dots() {
        let nan = f64::NAN;
        let gaps = svg(
            Scale::Linear,
            &[1.0, 2.0, nan, 5.0, f64::INFINITY, 3.0, 4.0, nan],
        );
        assert_eq!(gaps.matches("stroke=\"#1F6FB2\"").count(), 2, "{gaps}");
        assert_eq!(gaps.matches("<circle").count(), 1);
        let one = svg(Scale::Linear, &[0.25]);
        assert_eq!(one.matches("<circle").count(), 1);
        let log = svg(Scale::Log, &[0.01, 0.0, 1.0, -4.0, 100.0]);
        assert_eq!(log.matches("<circle").count(), 3);
        for svg in [gaps, one, log] {
            assert!(!svg.contains("NaN") && !svg.contains("inf"));
        }
    }

    #[test]
    fn a_band_is_an_area_that_the_axis_holds() {
        let mut chart = chart(Scale::Linear, &[3.0, 1.0, 2.0]);
        assert_eq!(
            chart
                .svg(WIDTHS[0])
                .unwrap()
                .unwrap()
                .matches("<polygon")
                .count(),
            0
        );
        chart.series[0].band = vec![[0.0, 2.5, 3.5], [1.0, -40.0, 2.0], [2.0, 1.0, 3.0]];
        let svg = chart.svg(WIDTHS[0]).unwrap().unwrap();
        assert_eq!(svg.matches("<polygon").count(), 1);
        assert!(svg.contains("-40") || svg.contains("-30"), "{svg}");
        // The parts between gaps are drawn, and a single point is none.
        let heights = [[1.0, 2.0]; 6];
        let at = |(x, [low, high]): (usize, [f64; 2])| [x as f64, low, high];
        chart.series[0].band = heights.into_iter().enumerate().map(at).collect();
        chart.series[0].band[2][1] = f64::NAN;
        let svg = chart.svg(WIDTHS[0]).unwrap().unwrap();
        assert_eq!(svg.matches("<polygon").count(), 2);
        chart.series[0].band.truncate(3);
        // What is not known is not drawn.
        chart.series[0].band[1][1] = f64::NAN;
        assert_eq!(
            chart
                .svg(WIDTHS[0])
                .unwrap()
                .unwrap()
                .matches("<polygon")
                .count(),
            0
        );
    }

    #[test]
    fn logarithmic_axes_have_round_ticks() {
        assert_eq!(log_ticks(0.09, 3.0), [0.1, 0.2, 0.5, 1.0, 2.0]);
        assert_eq!(log_ticks(1e-4, 150.0).len(), 7);
        assert!(log_ticks(1e-38, 1e38).len() <= 12);
        assert_eq!(
            [0.1, 2000.0, 3e-7, 1.5e9, 0.0].map(|number| label(&number)),
            ["0.1", "2000", "3e-7", "1.5e9", "0"]
        );
    }

    #[test]
    fn nothing_to_show_is_no_chart() {
        for chart in [
            chart(Scale::Linear, &[]),
            chart(Scale::Linear, &[f64::NAN]),
            chart(Scale::Log, &[-1.0, 0.0]),
        ] {
            assert_eq!(chart.svg(WIDTHS[0]).unwrap(), None);
        }
    }

    #[test]
    fn any_numbers_and_texts_can_be_drawn() {
        for scale in [Scale::Linear, Scale::Log] {
            for pair in [
                [f64::MIN, f64::MAX],
                [1e-38, 1e38],
                [5e-324, 1e-320],
                [1.0, 1.0 + f64::EPSILON],
                [1e15, 1e15 + 0.125],
                [0.0, 0.0],
            ] {
                let _ = chart(scale, &pair).svg(WIDTHS[0]).unwrap();
            }
        }
        let mut chart = chart(Scale::Linear, &[1.0]);
        let hostile = "</text><script>\"'&";
        chart.title = hostile.into();
        chart.y_label = hostile.into();
        let svg = chart.svg(WIDTHS[0]).unwrap().unwrap();
        assert!(!svg.contains("<script") && svg.contains("&lt;script"));
    }

    #[test]
    fn many_points_become_fewer_and_spikes_stay() {
        let mut whole: Vec<[f64; 2]> = (0..50_000)
            .map(|n| [f64::from(n), f64::from(n % 3)])
            .collect();
        whole[12_345][1] = 90.0;
        whole[12_349][1] = -80.0;
        whole[30_000][1] = f64::NAN;
        let strokes = strokes(&whole, |point| point[1].is_finite());
        assert_eq!(strokes.len(), 2);
        let kept: usize = strokes.iter().map(Vec::len).sum();
        assert!(kept <= MOST_POINTS + 8, "{kept}");
        for spike in [12_345, 12_349, 0, 29_999, 30_001, 49_999] {
            let [x, y] = whole[spike];
            assert!(
                strokes.iter().flatten().any(|point| *point == (x, y)),
                "{spike}"
            );
        }
        assert!(
            strokes
                .iter()
                .all(|stroke| stroke.is_sorted_by(|a, b| a.0 < b.0))
        );
    }
}
