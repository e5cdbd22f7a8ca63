//! Tests of the charts' form.

use super::*;
use crate::markup::elements;

/// The `d` of the curves, legend included.
fn curves(xml: &str) -> Vec<String> {
    elements(xml)
        .into_iter()
        .filter(|(name, attributes, _)| name == "path" && attributes.contains("--series"))
        .map(|(_, attributes, _)| attributes.split('"').nth(1).unwrap().to_owned())
        .collect()
}

fn texts(xml: &str) -> Vec<String> {
    let all = elements(xml).into_iter();
    all.filter(|e| e.0 == "text").map(|e| e.2).collect()
}

fn series(name: &str, ys: &[f64]) -> Series {
    let points = ys.iter().enumerate().map(|(x, y)| [x as f64, *y]).collect();
    Series {
        name: name.to_owned(),
        points,
    }
}

fn chart(all: Vec<Series>) -> LineChart {
    LineChart {
        title: "Loss".into(),
        x_label: "step".into(),
        y_label: "cost".into(),
        series: all,
        ..LineChart::default()
    }
}

#[test]
fn a_chart_has_its_texts_and_curves() {
    let svg = chart(vec![
        series("a", &[3.0, 1.0, 2.0]),
        series("b", &[0.0, 4.0]),
    ])
    .svg();
    assert!(svg.starts_with("<svg "));
    let texts = texts(&svg);
    for text in ["Loss", "step", "cost", "a", "b", "0", "2", "4"] {
        assert!(
            texts.iter().any(|t| t == text),
            "{text} is not in {texts:?}"
        );
    }
    // Two curves and two lines of the legend.
    let curves = curves(&svg);
    assert_eq!(curves.len(), 4);
    assert_eq!(curves[0].matches('L').count(), 2);
    assert_eq!(curves[0].matches('M').count(), 1);
}

#[test]
fn points_are_where_they_belong() {
    // The range is 0 to 10 and 4 % more at both ends.
    let svg = chart(vec![series("", &[0.0, 10.0, 5.0])]).svg();
    let [left, top, right, below] = AROUND;
    let (width, height) = (SIZE[0] - left - right, SIZE[1] - top - below);
    let y = |value: f64| SIZE[1] - below - height * (value + 0.4) / 10.8;
    let expected = format!(
        "M{left:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}",
        y(0.0),
        left + width / 2.0,
        y(10.0),
        left + width,
        y(5.0)
    );
    assert_eq!(curves(&svg), [expected]);
}

#[test]
fn gaps_part_a_curve() {
    let nan = f64::NAN;
    let svg = chart(vec![series(
        "",
        &[1.0, 2.0, nan, 5.0, f64::INFINITY, 3.0, 4.0, nan],
    )])
    .svg();
    let curve = &curves(&svg)[0];
    assert_eq!(curve.matches('M').count(), 3, "{curve}");
    assert_eq!(curve.matches('L').count(), 2, "{curve}");
    assert_eq!(
        curve.matches("h0").count(),
        1,
        "the lone point is a dot: {curve}"
    );
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}

#[test]
fn a_log_axis_leaves_out_what_has_no_logarithm() {
    let mut log = chart(vec![series("", &[0.01, 0.0, 1.0, -4.0, 100.0])]);
    log.y_scale = Scale::Log;
    let svg = log.svg();
    let curve = &curves(&svg)[0];
    assert_eq!(curve.matches("h0").count(), 3, "{curve}");
    let texts = texts(&svg);
    for text in ["0.01", "0.1", "1", "10", "100"] {
        assert!(
            texts.iter().any(|t| t == text),
            "{text} is not in {texts:?}"
        );
    }
}

#[test]
fn nothing_to_show_is_said() {
    let nothing = [
        chart(vec![]),
        chart(vec![series("a", &[])]),
        chart(vec![series("a", &[f64::NAN])]),
        LineChart {
            y_scale: Scale::Log,
            ..chart(vec![series("a", &[-1.0, 0.0])])
        },
    ];
    for chart in nothing {
        assert!(texts(&chart.svg()).contains(&"no data".to_owned()));
    }
}

#[test]
fn hostile_texts_stay_texts() {
    let hostile = "</text><script>\"'&\u{0}\u{1b}\n]]>";
    let mut chart = chart(vec![series(hostile, &[1.0, 2.0])]);
    chart.title = hostile.into();
    chart.x_label = hostile.into();
    chart.y_label = hostile.into();
    let svg = chart.svg();
    assert!(elements(&svg).iter().all(|(name, ..)| name != "script"));
    assert_eq!(svg.matches("&lt;script&gt;").count(), 5);
}

#[test]
fn many_curves_have_a_legend_of_several_lines_and_dashes() {
    let all: Vec<Series> = (0..20)
        .map(|n| series(&"name ".repeat(n % 5 + 1), &[0.0, n as f64]))
        .collect();
    let svg = chart(all).svg();
    assert_eq!(curves(&svg).len(), 40);
    assert!(svg.contains("stroke-dasharray"));
    let height: f64 = svg
        .split("viewBox=\"0 0 720 ")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let lowest = elements(&svg)
        .into_iter()
        .filter(|e| e.0 == "text")
        .filter_map(|e| {
            e.1.split("y=\"")
                .nth(1)?
                .split('"')
                .next()?
                .parse::<f64>()
                .ok()
        })
        .fold(0.0, f64::max);
    assert!(lowest > 400.0 && lowest < height, "{lowest} {height}");
}
