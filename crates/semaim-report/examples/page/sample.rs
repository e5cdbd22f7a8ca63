//! The report of a made-up run with everything that a report can hold, short and long.

use semaim_report::{
    ConfusionMatrix, Fact, FigureError, FigureOptions, LineChart, OrderRow, Page, Part, Picture,
    RgbView, Scale, Section, Series, confusion_figure, encode_png, order_figure, thinned,
};

/// The report.
pub(crate) fn page() -> Result<Page, FigureError> {
    Ok(Page {
        title: "ViT-S/16 on Imagenette, 96 pixels".to_owned(),
        subtitle:
            "SemAIM pre-training · step 62,400 of 100,000 · a made-up run, to see how reports look"
                .to_owned(),
        facts: facts(&[
            ("last loss", "0.3127"),
            ("images/s", "412.6"),
            ("best kNN", "78.4 %"),
            ("steps", "62,400"),
            ("images seen", "15.97 M"),
            ("time", "10 h 45 min"),
            ("learning rate", "1.31e-4"),
        ]),
        sections: vec![
            section("Loss", loss()),
            section("Rate and speed", rates()),
            section("Nearest neighbours", neighbours()?),
            section("Linear probe", Vec::new()),
            section("Orders", orders()?),
            section("Configuration", configuration()),
            section("Environment", environment()),
        ],
    })
}

fn section(title: &str, parts: Vec<Part>) -> Section {
    Section {
        title: title.to_owned(),
        parts,
    }
}

fn facts(pairs: &[(&str, &str)]) -> Vec<Fact> {
    let fact = |(name, value): &(&str, &str)| Fact {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    pairs.iter().map(fact).collect()
}

/// A number without a pattern to be seen, from 0 to 1.
fn noise(seed: usize) -> f64 {
    let x = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((x ^ (x >> 32)) % 10_000) as f64 / 10_000.0
}

/// A curve of so many points over 62,400 steps, thinned.
fn curve(name: &str, points: usize, height: impl Fn(f64, usize) -> f64) -> Series {
    let place = |n: usize| n as f64 / (points - 1) as f64;
    let whole: Vec<[f64; 2]> = (0..points)
        .map(|n| [place(n) * 62_400.0, height(place(n), n)])
        .collect();
    Series {
        name: name.to_owned(),
        points: thinned(&whole, 1_200),
    }
}

fn chart(title: &str, y_label: &str, y_scale: Scale, series: Vec<Series>) -> Part {
    Part::Chart(LineChart {
        title: title.to_owned(),
        x_label: "step".to_owned(),
        y_label: y_label.to_owned(),
        y_scale,
        series,
    })
}

fn loss() -> Vec<Part> {
    let falling = |x: f64, n: usize| 0.3 + 0.7 * (-9.0 * x).exp() + 0.02 * (noise(n) - 0.5);
    let spiky = |x: f64, n: usize| match n {
        20_000 => 1.1,
        40_000..41_500 => f64::NAN,
        _ => falling(x, n),
    };
    vec![
        Part::Text(
            "The mean squared error of normalised pixels. A run that was interrupted leaves a gap; single steps that \
             went wrong show as spikes."
                .to_owned(),
        ),
        chart(
            "Loss",
            "mean squared error",
            Scale::Linear,
            vec![curve("training", 62_400, spiky), curve("held out", 60, |x, n| falling(x, n + 7) + 0.03)],
        ),
        chart(
            "Gradient norm",
            "",
            Scale::Log,
            vec![curve("", 900, |x, n| (0.3 + 0.1 * noise(n) + 2.0 * noise(n).powi(60)) * (4.0 - 3.0 * x))],
        ),
    ]
}

fn rates() -> Vec<Part> {
    let rate = |x: f64, _| match x {
        x if x < 0.1 => 5e-4 * x / 0.1,
        x => 2.5e-4 * (1.0 + (1.6 * (x - 0.1)).cos()),
    };
    let parts = [
        "load",
        "augment",
        "forward",
        "backward",
        "optimiser",
        "probe",
        "checkpoint",
        "rest",
    ];
    let parts = parts.iter().enumerate().map(|(k, name)| {
        curve(name, 120, move |x, n| {
            4.0 + 5.0 * k as f64 + (9.0 * x + k as f64).sin() + noise(n * 8 + k)
        })
    });
    let speed = |_, n| 400.0 + 30.0 * noise(n) - if n % 40 == 0 { 90.0 } else { 0.0 };
    vec![
        chart(
            "Learning rate",
            "",
            Scale::Linear,
            vec![curve("", 400, rate)],
        ),
        chart(
            "Images per second",
            "images/s",
            Scale::Linear,
            vec![curve("", 600, speed)],
        ),
        chart(
            "Milliseconds of a step",
            "ms",
            Scale::Linear,
            parts.collect(),
        ),
    ]
}

/// Names of classes, one of them long.
const CLASSES: [&str; 10] = [
    "tench",
    "English springer",
    "cassette player",
    "chain saw",
    "church",
    "French horn",
    "garbage truck",
    "gas pump",
    "golf ball",
    "parachute",
];

fn neighbours() -> Result<Vec<Part>, FigureError> {
    let mut counts = vec![0; 100];
    for row in 0..10 {
        for sample in 0..390 {
            let draw = noise(row * 1_000 + sample);
            let column = if draw < 0.6 + 0.03 * row as f64 {
                row
            } else {
                (row + (draw * 97.0) as usize) % 10
            };
            counts[row * 10 + column] += 1;
        }
    }
    let matrix = ConfusionMatrix::new(CLASSES.map(str::to_owned).to_vec(), counts)?;
    let options = FigureOptions {
        title: "k nearest neighbours".to_owned(),
        ..FigureOptions::default()
    };
    let confusion = encode_png(&confusion_figure(&matrix, &options)?)?;
    let header = [
        "epoch",
        "step",
        "top 1",
        "top 5",
        "macro",
        "hardest class",
        "file",
        "time",
    ];
    let row = |n: usize| {
        let hardest = CLASSES[(noise(n) * 10.0) as usize % 10];
        vec![
            (n * 5).to_string(),
            (n * 1_560).to_string(),
            format!("{:.2} %", 80.0 - 50.0 / (1.0 + n as f64 / 4.0)),
            format!("{:.2} %", 98.0 - 20.0 / (1.0 + n as f64 / 4.0)),
            if n == 3 {
                "–".to_owned()
            } else {
                format!("{:.3} ± {:.3}", 0.79 - 0.5 / (n + 1) as f64, 0.004)
            },
            hardest.to_owned(),
            format!("checkpoints/step-{:07}/encoder.safetensors", n * 1_560),
            format!("{:.1} s", 11.0 + 2.0 * noise(n + 50)),
        ]
    };
    Ok(vec![
        chart(
            "Accuracy of 20 nearest neighbours",
            "share",
            Scale::Linear,
            vec![
                curve("top 1", 41, |x, n| {
                    0.8 - 0.5 * (-6.0 * x).exp() + 0.01 * noise(n)
                }),
                curve("top 5", 41, |x, n| {
                    0.98 - 0.2 * (-6.0 * x).exp() + 0.005 * noise(n)
                }),
            ],
        ),
        Part::Table {
            caption: "Every evaluation".to_owned(),
            header: header.map(str::to_owned).to_vec(),
            rows: (0..41).map(row).collect(),
        },
        Part::Pictures(vec![Picture {
            caption: "What was taken for what at step 62,400.".to_owned(),
            png: confusion,
            alt: "Confusion matrix of ten classes".to_owned(),
        }]),
        Part::Table {
            caption: "Fine-tuning".to_owned(),
            header: vec!["epoch".to_owned(), "accuracy".to_owned()],
            rows: Vec::new(),
        },
    ])
}

/// A picture of a disc and its distance from the centre, over the epochs ever better seen.
fn order_row(seed: usize, skill: f64) -> Result<OrderRow, FigureError> {
    let (side, grid) = (96, 12);
    let centre = [0.3 + 0.4 * noise(seed), 0.3 + 0.4 * noise(seed + 1)];
    let distance = |n: usize, side: usize| {
        let place = [(n % side) as f64 + 0.5, (n / side) as f64 + 0.5].map(|p| p / side as f64);
        (place[0] - centre[0]).hypot(place[1] - centre[1])
    };
    let grey: Vec<u8> = (0..side * side)
        .map(|n| match distance(n, side) {
            d if d < 0.22 => 225 - (d * 300.0) as u8,
            d => 50 + (d * 80.0) as u8,
        })
        .collect();
    let near = |n: usize| skill * (1.0 - distance(n, grid)) + (1.0 - skill) * noise(seed * 977 + n);
    let similarity: Vec<f32> = (0..grid * grid).map(|n| near(n) as f32).collect();
    let rank = |value: &f32| similarity.iter().filter(|other| *other > value).count() as f32;
    Ok(OrderRow {
        image: RgbView::from_grey(side as u32, side as u32, &grey)?,
        ranks: similarity.iter().map(rank).collect(),
        similarity,
        title: None,
        reconstruction: None,
    })
}

fn orders() -> Result<Vec<Part>, FigureError> {
    let figure = |samples: usize, skill: f64| -> Result<Vec<u8>, FigureError> {
        let rows: Result<Vec<OrderRow>, _> =
            (0..samples).map(|n| order_row(n * 13 + 5, skill)).collect();
        encode_png(&order_figure(&rows?, [12, 12], &FigureOptions::default())?)
    };
    let mut over_epochs = Vec::new();
    for epoch in [0_u8, 25, 50, 75, 100, 150, 200] {
        over_epochs.push(Picture {
            caption: format!("epoch {epoch}"),
            png: figure(1, f64::from(epoch) / 220.0)?,
            alt: format!("Similarity and order of one sample after epoch {epoch}"),
        });
    }
    let wide = Picture {
        caption: "Similarity to the class token and the order of prediction that follows from it, after the last epoch: \
                  what is alike comes first."
            .to_owned(),
        png: figure(6, 0.95)?,
        alt: "Six samples with their similarity maps and orders".to_owned(),
    };
    Ok(vec![
        Part::Text("The same sample over the epochs, and several after the last one.".to_owned()),
        Part::Pictures(over_epochs),
        Part::Pictures(vec![wide]),
    ])
}

fn configuration() -> Vec<Part> {
    let mut text = String::from(
        "# Written by the program: all settings, those that were left to it too.\n[data]\nkind = \"folder\"\n\
         train = \"a/very/long/path/to/a/folder/of/pictures/that/somebody/keeps/somewhere/deep/down/in/a/tree/of/folders/imagenette2-160/train\"\n\
         normalise = { mean = [0.485, 0.456, 0.406], deviation = [0.229, 0.224, 0.225] } # <as usual> & \"quoted\"\n",
    );
    for layer in 0..60 {
        text.push_str(&format!("\n[layer.{layer}]\n\twidth = 384\n\theads = 6\n"));
    }
    let short = "seed = 17\n".to_owned();
    let titled = |title: &str, text| Part::Source {
        title: title.to_owned(),
        text,
    };
    vec![titled("config.toml", text), titled("overrides.toml", short)]
}

fn environment() -> Vec<Part> {
    vec![Part::Pairs(facts(&[
        ("program", "semaim 0.1.0"),
        (
            "command",
            "semaim pretrain recipes/imagenette.toml --set train.batch=256 --set train.steps=100000 --set model.depth=12 --out runs/imagenette-small-17",
        ),
        ("backend", "flex"),
        ("kernels", "AVX-512"),
        ("threads", "16"),
        ("memory", "61.2 GiB, of which 9.8 GiB were in use"),
        ("notes", "first line\nsecond line"),
        ("commit", ""),
    ]))]
}
