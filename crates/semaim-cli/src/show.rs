//! `semaim show`.

pub(crate) mod columns;
mod encoders;
mod images;

use std::process::ExitCode;

use burn::tensor::Device;
use semaim_checkpoint::atomic;
use semaim_checkpoint::encoder::Encoder;
use semaim_eval::features::ImageFeatures;
use semaim_report::{
    Column, ContactSheet, FigureError, Panel, RgbImage, Row, Theme, encode_apng, encode_png,
    rgb_image,
};
use serde_json::json;

use crate::args::ShowArgs;
use crate::exit::Exit;
use crate::output;
use columns::{ColumnArg, Shown};
use encoders::{EncoderFeatures, Wanted};
use images::NamedImage;

/// Frames of an animation, and how long each is shown, in milliseconds; the last is shown longer.
const FRAMES: usize = 48;
const FRAME_MS: u16 = 80;
const LAST_MS: u16 = 1600;

pub(crate) fn run(args: &ShowArgs) -> Result<ExitCode, Exit> {
    let device = args.device.open()?;
    if args
        .out
        .extension()
        .is_none_or(|e| !e.eq_ignore_ascii_case("png"))
    {
        return Err(Exit::user("--out must be a .png file"));
    }
    let encoders: Vec<Encoder> = args
        .weights
        .iter()
        .map(|path| encoders::read(args, path, &device))
        .collect::<Result<_, Exit>>()?;
    refuse_other_views(&encoders)?;
    let wanted = wanted(args)?;
    let images = images::read(args, &encoders[0])?;
    let mut features = Vec::new();
    let names = encoders::names(&args.weights);
    for (i, ((path, name), encoder)) in args.weights.iter().zip(names).zip(&encoders).enumerate() {
        let of_encoder = wanted
            .iter()
            .filter(|column| column.encoder.is_none_or(|n| n == i));
        let wanted = Wanted {
            predictions: of_encoder
                .clone()
                .any(|column| column.shown == Shown::Reconstruction),
            order: args.animate
                || of_encoder
                    .clone()
                    .any(|column| column.shown.follows_order()),
        };
        features.push(EncoderFeatures::compute(
            args, path, name, encoder, &images, wanted, &device,
        )?);
    }
    let png = match args.animate {
        true => animation(args, &features[0], &images, &device)?,
        false => picture(args, &wanted, &features, &images, &device)?,
    };
    output::create_folder_of(&args.out)
        .and_then(|()| atomic::write_bytes(&args.out, &png))
        .map_err(|error| Exit::user(format!("writing {}: {error}", args.out.display())))?;
    if args.json {
        println!("{}", json!({"picture": args.out, "images": images.len()}));
    } else {
        let images = match images.len() {
            1 => "1 image".to_string(),
            count => format!("{count} images"),
        };
        println!("{images} in {}", args.out.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses encoders whose views have other proportions than the first's: they show other parts of the images, and one picture of each
/// image stands behind what all of them see.
fn refuse_other_views(encoders: &[Encoder]) -> Result<(), Exit> {
    let size = |encoder: &Encoder| encoder.config.image_size;
    let Some([height, width]) = encoders.first().map(size) else {
        return Ok(());
    };
    let differs = |[h, w]: [usize; 2]| h * width != w * height;
    match encoders.iter().map(size).position(differs) {
        Some(other) => {
            let [h, w] = size(&encoders[other]);
            Err(Exit::user(format!(
                "encoder {} sees views of {h} x {w} pixels, encoder 1 of {height} x {width}: other parts of the images, which do not go \
                 into one picture; --image-size gives all of them views of one size",
                other + 1,
            )))
        }
        None => Ok(()),
    }
}

/// The columns, checked against the encoders.
fn wanted(args: &ShowArgs) -> Result<Vec<ColumnArg>, Exit> {
    if args.animate {
        return Ok(Vec::new());
    }
    if args.columns.is_empty() {
        let predicts = args
            .weights
            .iter()
            .any(|path| encoders::makes_predictions(args, path));
        return Ok(ColumnArg::usual(predicts));
    }
    let unknown = args.columns.iter().filter_map(|column| column.encoder);
    if let Some(number) = unknown
        .into_iter()
        .find(|&number| number >= args.weights.len())
    {
        return Err(Exit::user(format!(
            "--columns: there is no encoder {}; --weights names {}",
            number + 1,
            args.weights.len()
        )));
    }
    Ok(args.columns.clone())
}

/// Each column with its encoder.
fn resolved(
    wanted: &[ColumnArg],
    encoders: &[EncoderFeatures],
) -> Result<Vec<(Shown, usize)>, Exit> {
    let able = |shown: Shown, encoder: usize| {
        shown != Shown::Reconstruction || encoders[encoder].predictions.is_some()
    };
    let mut columns = Vec::new();
    for &ColumnArg { shown, encoder } in wanted {
        let before = columns.len();
        match encoder {
            Some(encoder) => columns.push((shown, encoder)),
            // The same for all.
            None if shown == Shown::Image => columns.push((shown, 0)),
            None => {
                let able = (0..encoders.len()).filter(|&encoder| able(shown, encoder));
                columns.extend(able.map(|encoder| (shown, encoder)));
            }
        }
        let unable = columns[before..]
            .iter()
            .any(|&(shown, encoder)| !able(shown, encoder));
        if unable || columns.len() == before {
            return Err(Exit::user(
                "the reconstruction column needs the run directory of a model that predicts pixels, at its own image size",
            ));
        }
    }
    Ok(columns)
}

fn picture(
    args: &ShowArgs,
    wanted: &[ColumnArg],
    encoders: &[EncoderFeatures],
    images: &[NamedImage],
    device: &Device,
) -> Result<Vec<u8>, Exit> {
    let columns = resolved(wanted, encoders)?;
    let row = |(i, image): (usize, &NamedImage)| {
        let panels = columns
            .iter()
            .map(|&(shown, e)| panel(shown, &encoders[e], i, device));
        Ok(Row {
            image: rgb(&encoders[0].images[i], None)?,
            title: Some(image.name.clone()),
            panels: panels.collect::<Result<_, Exit>>()?,
        })
    };
    let titles = columns.iter().map(|&(shown, encoder)| {
        let encoder = &encoders[encoder];
        Column {
            title: shown.title().into(),
            subtitle: shown.subtitle(encoder, encoders.len() > 1),
        }
    });
    let shown: Vec<Shown> = columns.iter().map(|(shown, _)| *shown).collect();
    let sheet = ContactSheet {
        title: args.title.clone(),
        caption: columns::caption(&shown),
        columns: titles.collect(),
        rows: images
            .iter()
            .enumerate()
            .map(row)
            .collect::<Result<_, Exit>>()?,
        cell: args.cell,
        groups: 1,
        heat_name: columns::heat_name(&shown),
        kinds: Vec::new(),
    };
    sheet
        .draw(Theme::Light)
        .and_then(|sheet| encode_png(&sheet))
        .map_err(refused)
}

/// Errors of pictures come from what was asked for: too many or too large cells.
fn refused(error: FigureError) -> Exit {
    Exit::user(error)
}

/// The view of an image, or what is predicted of it.
fn rgb(image: &ImageFeatures, predicted: Option<&Vec<u8>>) -> Result<RgbImage, Exit> {
    let [height, width] = image.size.map(|side| side as u32);
    rgb_image(width, height, predicted.unwrap_or(&image.image).clone()).map_err(Exit::ours)
}

fn panel(
    shown: Shown,
    encoder: &EncoderFeatures,
    index: usize,
    device: &Device,
) -> Result<Panel, Exit> {
    let image = &encoder.images[index];
    let grid = [image.grid.rows, image.grid.columns];
    let heat = |values: &[f32]| Panel::Heat {
        grid,
        values: values.to_vec(),
    };
    Ok(match shown {
        Shown::Image => Panel::Image(rgb(image, None)?),
        Shown::Attention => heat(&image.attention),
        Shown::Similarity(kind) => heat(encoder.similarity(kind, index)),
        Shown::Order(order) => Panel::Order {
            grid,
            rank_keys: encoder.rank_keys(order, index, device)?,
        },
        Shown::Components => {
            let patches = image.grid.patches();
            let rgb = encoder.colors[index * patches..][..patches].to_vec();
            Panel::Colors { grid, rgb }
        }
        Shown::Reconstruction => {
            let predictions = encoder.predictions.as_ref();
            match predictions.and_then(|all| all.get(index)) {
                Some(predicted) => Panel::Image(rgb(image, Some(predicted))?),
                None => Panel::Empty,
            }
        }
    })
}

fn animation(
    args: &ShowArgs,
    encoder: &EncoderFeatures,
    images: &[NamedImage],
    device: &Device,
) -> Result<Vec<u8>, Exit> {
    let row = |(i, named): (usize, &NamedImage)| {
        let image = &encoder.images[i];
        let grid = [image.grid.rows, image.grid.columns];
        let rank_keys = encoder.rank_keys(None, i, device)?;
        Ok(Row {
            image: rgb(image, None)?,
            title: Some(named.name.clone()),
            panels: vec![Panel::Unfolding { grid, rank_keys }],
        })
    };
    let sheet = ContactSheet {
        title: args.title.clone(),
        columns: vec![Column::default()],
        rows: images
            .iter()
            .enumerate()
            .map(row)
            .collect::<Result<_, Exit>>()?,
        cell: args.cell,
        groups: (images.len() as f64).sqrt().ceil() as usize,
        ..ContactSheet::default()
    };
    sheet
        .frames(FRAMES)
        .and_then(|frames| encode_apng(&frames, FRAME_MS, LAST_MS))
        .map_err(refused)
}
