//! Draws made-up figures of panels and an animation, to look at: `cargo run -p semaim-report --example panels -- FOLDER`.

use std::error::Error;
use std::path::Path;

use semaim_report::{
    Column, OrderSample, Panel, PanelOptions, PanelRow, RgbView, encode_apng, encode_png,
    order_frames, panel_figure,
};

/// A picture of a bright disc on a gradient.
fn disc(width: u32, height: u32, hue: f32) -> Result<RgbView, Box<dyn Error>> {
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (across, down) = (x as f32 / width as f32, y as f32 / height as f32);
            let reach = width.min(height) as f32 * 0.3;
            let (dx, dy) = (
                x as f32 - width as f32 * 0.62,
                y as f32 - height as f32 * 0.4,
            );
            let inside = dx.hypot(dy) < reach;
            let colour = if inside {
                [0.95, 0.75 * hue, 0.2]
            } else {
                [0.2 + 0.3 * across, 0.3 + 0.4 * down, 0.8 - 0.5 * hue]
            };
            rgb.extend(colour.map(|channel| (channel * 255.0) as u8));
        }
    }
    Ok(RgbView::new(width, height, rgb)?)
}

/// How near each patch is to the disc, with waves.
fn nearness([down, across]: [usize; 2], waves: f32) -> Vec<f32> {
    (0..down * across)
        .map(|patch| {
            let x = ((patch % across) as f32 + 0.5) / across as f32 - 0.62;
            let y = ((patch / across) as f32 + 0.5) / down as f32 - 0.4;
            -x.hypot(y) + 0.15 * (waves * (x + 2.0 * y)).sin()
        })
        .collect()
}

fn heat(grid: [usize; 2], waves: f32) -> Panel {
    Panel::Heat {
        grid,
        values: nearness(grid, waves),
    }
}

fn order(grid: [usize; 2], waves: f32) -> Panel {
    let ranks = nearness(grid, waves).into_iter().map(|near| -near);
    Panel::Order {
        grid,
        ranks: ranks.collect(),
    }
}

fn colours(grid: [usize; 2]) -> Panel {
    let rgb = nearness(grid, 9.0)
        .into_iter()
        .enumerate()
        .map(|(at, near)| {
            let across = (at % grid[1]) as f32 / grid[1] as f32;
            [1.0 + near, across, if at == 3 { f32::NAN } else { -near }]
        });
    Panel::Colours {
        grid,
        rgb: rgb.collect(),
    }
}

fn column(title: &str, subtitle: &str) -> Column {
    Column {
        title: title.to_owned(),
        subtitle: subtitle.to_owned(),
    }
}

fn titled(cell: u32, title: &str, caption: &str) -> PanelOptions {
    PanelOptions {
        cell,
        title: title.to_owned(),
        caption: caption.to_owned(),
        ..PanelOptions::default()
    }
}

/// Eight columns of all kinds, with texts from none to too long.
fn eight(cell: u32) -> Result<image::RgbImage, Box<dyn Error>> {
    let columns = [
        column("image", ""),
        column("similarity", "pixels, cosine"),
        column("order", "ViT-B/16 at step 120000"),
        column(
            "semantic order of a teacher",
            "dinov2_vitb14_reg4, patch tokens of the last block",
        ),
        column("principal components", "3 of 768"),
        column("prediction", ""),
        column(
            "a_name_that_is_long_and_has_no_spaces_in_it",
            "one,two,three",
        ),
        column("", "only this"),
    ];
    let mut rows = Vec::new();
    for (index, [width, height]) in [[96, 96], [160, 60], [50, 120]].into_iter().enumerate() {
        let view = disc(width, height, index as f32 / 2.0)?;
        rows.push(PanelRow {
            image: view.clone(),
            title: (index != 1)
                .then(|| format!("n0{index}443537/ILSVRC2012_val_0000{index}.JPEG, class: dog")),
            cells: vec![
                Panel::Picture(view.clone()),
                heat([14, 14], 7.0),
                order([14, 14], 7.0),
                order([16, 16], 3.0),
                colours([37, 37]),
                if index == 1 {
                    Panel::Empty
                } else {
                    Panel::Picture(disc(20, 20, 0.9)?)
                },
                heat([300, 300], 40.0),
                order([1, 3], 0.0),
            ],
        });
    }
    let options = titled(
        cell,
        "What the encoders see: eight columns and three rows of made-up content",
        "Similarity is that of each patch to the mean of all. The caption is long enough to be wrapped where the figure is not very wide, as it should be.",
    );
    Ok(panel_figure(&columns, &rows, &options)?)
}

/// One column, with or without titles.
fn one(cell: u32, title: Option<&str>) -> Result<image::RgbImage, Box<dyn Error>> {
    let row = |grid, hue| -> Result<PanelRow, Box<dyn Error>> {
        Ok(PanelRow {
            image: disc(80, 80, hue)?,
            title: title.map(str::to_owned),
            cells: vec![order(grid, 6.0)],
        })
    };
    let rows = [row([8, 8], 0.2)?, row([2, 2], 0.8)?];
    let options = titled(cell, "One column", "Warm patches come first.");
    Ok(panel_figure(&[column("order", "small")], &rows, &options)?)
}

/// Two groups of three columns, with a long name of the heat.
fn groups() -> Result<image::RgbImage, Box<dyn Error>> {
    let mut rows = Vec::new();
    for index in 0..5u8 {
        let view = disc(64, 48, f32::from(index) / 5.0)?;
        rows.push(PanelRow {
            image: view.clone(),
            title: None,
            cells: vec![
                Panel::Picture(view),
                heat([6, 8], f32::from(index)),
                colours([6, 8]),
            ],
        });
    }
    let options = PanelOptions {
        groups: 2,
        heat_name: "attention of the class token".to_owned(),
        ..PanelOptions::default()
    };
    let columns = ["image", "attention", "clusters"].map(Column::titled);
    Ok(panel_figure(&columns, &rows, &options)?)
}

/// Six samples that unfold in twelve frames.
fn unfolding() -> Result<Vec<image::RgbImage>, Box<dyn Error>> {
    let mut samples = Vec::new();
    for index in 0..6u8 {
        let [width, height] = [[96, 96], [120, 60], [60, 110]][usize::from(index) % 3];
        let grid = [[8, 8], [7, 14], [14, 7]][usize::from(index) % 3];
        let Panel::Order { ranks, .. } = order(grid, f32::from(index)) else {
            continue;
        };
        samples.push(OrderSample {
            image: disc(width, height, f32::from(index) / 5.0)?,
            grid,
            ranks,
            title: (index != 4).then(|| match index {
                1 => "a title that needs more than one line".to_owned(),
                _ => format!("sample {index}"),
            }),
        });
    }
    let options = PanelOptions {
        groups: 4,
        ..titled(
            160,
            "The order of prediction",
            "The ring is around the first patch.",
        )
    };
    Ok(order_frames(&samples, 12, &options)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder")?;
    let folder = Path::new(&folder);
    let frames = unfolding()?;
    std::fs::write(folder.join("order.apng"), encode_apng(&frames, 200, 2000)?)?;
    let long = "a title that is a good deal longer than one line of a narrow column, and than two lines too";
    for (name, figure) in [
        ("eight-128", eight(128)?),
        ("eight-48", eight(48)?),
        ("one-256", one(256, Some(long))?),
        ("one-16", one(16, Some(long))?),
        ("one-untitled", one(100, None)?),
        ("groups", groups()?),
        ("frame-3", frames[2].clone()),
        ("frame-12", frames[11].clone()),
    ] {
        std::fs::write(folder.join(format!("{name}.png")), encode_png(&figure)?)?;
    }
    Ok(())
}
