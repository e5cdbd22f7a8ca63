//! Draws made-up confusion matrices, to look at: `cargo run -p semaim-report --example confusion -- FOLDER`.

use std::error::Error;
use std::path::Path;

use semaim_report::{
    ConfusionMatrix, FigureOptions, LineChart, Scale, Series, confusion_figure, encode_png,
};

/// Names of classes as data sets have them, short and long.
const NAMES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "a spotted woodpecker in flight",
    "horse",
    "ship",
    "truck",
];

/// A number without a pattern to be seen, below `limit`.
fn mixed(seed: u64, limit: u64) -> u64 {
    let x = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (x ^ (x >> 32)) % limit
}

/// Classes that are mostly told apart, the more alike the nearer; the seventh has no samples.
fn made_up(classes: usize, per_class: u64) -> Result<ConfusionMatrix, Box<dyn Error>> {
    let mut counts = vec![0; classes * classes];
    for row in (0..classes).filter(|row| *row != 6) {
        let skill = 30 + mixed(row as u64, 70);
        for sample in 0..per_class {
            let draw = mixed((row as u64) << 32 | sample, 100);
            let far = mixed(sample ^ 0xABCD, classes as u64) as usize;
            let column = match draw {
                draw if draw < skill => row,
                draw if draw % 3 == 0 => far,
                draw => (row + 1 + draw as usize % 2) % classes,
            };
            counts[row * classes + column] += 1;
        }
    }
    let name = |n: usize| match (classes, n / NAMES.len()) {
        (2, _) => ["cat", "dog"][n].to_owned(),
        (_, 0) => NAMES[n].to_owned(),
        (_, more) => format!("{} {more}", NAMES[n % NAMES.len()]),
    };
    let names = (0..classes).map(name).collect();
    Ok(ConfusionMatrix::new(names, counts)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder")?;
    let folder = Path::new(&folder);
    for (classes, per_class) in [(2, 12_500), (10, 1000), (40, 500), (120, 60)] {
        let options = FigureOptions {
            title: format!("k nearest neighbours, {classes} classes"),
            caption: "A made-up matrix, to see how figures look.".to_owned(),
            ..FigureOptions::default()
        };
        let figure = confusion_figure(&made_up(classes, per_class)?, &options)?;
        let file = folder.join(format!("confusion-{classes}.png"));
        std::fs::write(file, encode_png(&figure)?)?;
    }
    let curve = |rate: f64, floor: f64| {
        let cost = |n: u32| floor + 8.0 * (-f64::from(n) / rate).exp();
        (0..200).map(|n| [f64::from(n) * 50.0, cost(n)]).collect()
    };
    let series = |name: &str, rate, floor| Series {
        name: name.to_owned(),
        points: curve(rate, floor),
    };
    let mut chart = LineChart {
        title: "Cost of pre-training".to_owned(),
        x_label: "step".to_owned(),
        y_label: "mean squared error".to_owned(),
        y_scale: Scale::Linear,
        series: vec![
            series("training", 30.0, 0.31),
            series("held out", 40.0, 0.4),
        ],
    };
    for point in chart.series.iter_mut().flat_map(|s| &mut s.points[60..70]) {
        point[1] = f64::NAN;
    }
    std::fs::write(folder.join("chart.svg"), chart.svg())?;
    chart.y_scale = Scale::Log;
    chart
        .series
        .extend((0..9).map(|n| series(&format!("run {n}"), 8.0 + f64::from(n) * 4.0, 0.02)));
    std::fs::write(folder.join("chart-log.svg"), chart.svg())?;
    Ok(())
}
