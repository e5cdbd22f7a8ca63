//! `semaim show`.

pub(crate) mod columns;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn::tensor::Device;
use semaim::order::Order;
use semaim::similarity::Similarity;
use semaim_checkpoint::atomic;
use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_checkpoint::encoder::Encoder;
use semaim_data::{Pixels, Split, decode, open};
use semaim_eval::orders::look;
use semaim_eval::pca::colours;
use semaim_eval::show::{ShowError, Sight, sights};
use semaim_eval::views::open_options;
use semaim_report::{
    Column, FigureError, OrderSample, Panel, PanelOptions, PanelRow, RgbView, encode_apng,
    encode_png, order_frames, panel_figure,
};
use semaim_train::config::{Method, PretrainConfig, TargetKind};
use semaim_train::restore::{Restored, restore, run_config};
use serde_json::json;

use crate::args::ShowArgs;
use crate::encoder::tell;
use crate::exit::Exit;
use crate::output;
use columns::{ColumnArg, Shown};

/// The most pixels an image may have.
const MAX_PIXELS: u64 = 100_000_000;
/// Frames of an animation, and how long each is shown, in milliseconds; the last is shown longer.
const FRAMES: usize = 48;
const FRAME_MS: u16 = 80;
const LAST_MS: u16 = 1600;

/// An image with its name.
struct Named {
    name: String,
    pixels: Pixels,
}

/// An encoder and what it sees.
struct Seer {
    name: String,
    similarity: Similarity,
    order: Order,
    seed: u64,
    sights: Vec<Sight>,
    /// Predictions, where a run makes any.
    predictions: Option<Vec<Vec<u8>>>,
    /// Colours of patch tokens, of all images.
    colours: Vec<[f32; 3]>,
}

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
        .map(|path| read(args, path, &device))
        .collect::<Result<_, Exit>>()?;
    let wanted = wanted(args)?;
    let images = images(args, &encoders[0])?;
    let mut seers = Vec::new();
    let names = names(&args.weights);
    for (i, (path, encoder)) in args.weights.iter().zip(encoders).enumerate() {
        let predicted = wanted.iter().any(|column| {
            column.shown == Shown::Reconstruction && column.encoder.is_none_or(|n| n == i)
        });
        let names = [path.as_path(), Path::new(&names[i])];
        seers.push(see(args, names, &encoder, &images, predicted, &device)?);
    }
    let png = match args.animate {
        true => animation(args, &seers[0], &images, &device)?,
        false => figure(args, &wanted, &seers, &images, &device)?,
    };
    output::create_folder_of(&args.out)
        .and_then(|()| atomic::write_bytes(&args.out, &png))
        .map_err(|error| Exit::user(format!("writing {}: {error}", args.out.display())))?;
    if args.json {
        println!("{}", json!({"picture": args.out, "images": images.len()}));
    } else {
        println!("{} images in {}", images.len(), args.out.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn read(args: &ShowArgs, path: &Path, device: &Device) -> Result<Encoder, Exit> {
    let checkpoint =
        Checkpoint::read(path, &args.layout.options(args.image_size)).map_err(Exit::user)?;
    tell(&checkpoint);
    let encoder = checkpoint.encoder(device).map_err(Exit::user)?;
    match args.image_size {
        Some(size) => encoder.resized(size).map_err(Exit::user),
        None => Ok(encoder),
    }
}

/// The columns, checked against the encoders.
fn wanted(args: &ShowArgs) -> Result<Vec<ColumnArg>, Exit> {
    if args.animate {
        return Ok(Vec::new());
    }
    if args.columns.is_empty() {
        let predicts = |path: &PathBuf| {
            let config = run_config(path).ok().flatten();
            config.is_some_and(|config| predicts_pixels(args, &config))
        };
        return Ok(ColumnArg::usual(args.weights.iter().any(predicts)));
    }
    for column in &args.columns {
        if let Some(number) = column
            .encoder
            .filter(|&number| number >= args.weights.len())
        {
            return Err(Exit::user(format!(
                "--columns: there is no encoder {}; --weights names {}",
                number + 1,
                args.weights.len()
            )));
        }
    }
    Ok(args.columns.clone())
}

/// Whether a run's predictions can be shown: it predicts pixels, at the size at which images are shown.
fn predicts_pixels(args: &ShowArgs, config: &PretrainConfig) -> bool {
    config.target.kind == TargetKind::Pixels
        && args
            .image_size
            .is_none_or(|size| size == config.model.image_size)
}

fn images(args: &ShowArgs, encoder: &Encoder) -> Result<Vec<Named>, Exit> {
    let channels = encoder.config.channels;
    let is_picture = |path: &String| {
        let path = Path::new(path);
        let known = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif"];
        let extension = path.extension().and_then(|e| e.to_str());
        path.is_file() && extension.is_some_and(|e| known.iter().any(|k| e.eq_ignore_ascii_case(k)))
    };
    let mut found = Vec::new();
    for path in &args.images {
        if is_picture(path) {
            let wrong = |error: &dyn std::fmt::Display| Exit::user(format!("{path}: {error}"));
            let bytes = std::fs::read(path).map_err(|error| wrong(&error))?;
            let pixels = decode(&bytes, channels, MAX_PIXELS).map_err(|error| wrong(&error))?;
            let name = Path::new(path)
                .file_name()
                .map(|n| n.to_string_lossy().into_owned());
            found.push(Named {
                name: name.unwrap_or_default(),
                pixels,
            });
            continue;
        }
        // What is held out shows best what was learned.
        let source = open(path, Split::Eval, &open_options(&encoder.config))
            .or_else(|_| open(path, Split::Train, &open_options(&encoder.config)))?;
        let (count, all) = ((args.count as usize).min(source.len()), source.len());
        for i in 0..count {
            let item = i * all / count;
            let full = source.name(item);
            let name = Path::new(&full)
                .file_name()
                .map(|n| n.to_string_lossy().into_owned());
            match source.image(item) {
                Ok(pixels) => found.push(Named {
                    name: name.unwrap_or(full),
                    pixels,
                }),
                Err(error) => eprintln!("warning: left out: {error}"),
            }
        }
    }
    if found.is_empty() {
        return Err(Exit::user("--images: no image could be read"));
    }
    Ok(found)
}

/// What to call encoders: the ends of their paths, as long as it takes to tell them apart.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let end = |path: &PathBuf, parts: usize| {
        // A folder's name may have dots that begin no extension.
        let path = match path.is_dir() {
            true => path.clone(),
            false => path.with_extension(""),
        };
        let all: Vec<_> = path
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        all[all.len().saturating_sub(parts)..].join("/")
    };
    let longest = paths
        .iter()
        .map(|path| path.components().count())
        .max()
        .unwrap_or(1);
    let told_apart = |parts: &usize| {
        let mut names: Vec<String> = paths.iter().map(|path| end(path, *parts)).collect();
        names.sort();
        names.windows(2).all(|two| two[0] != two[1])
    };
    let parts = (1..=longest).find(told_apart).unwrap_or(1);
    paths.iter().map(|path| end(path, parts)).collect()
}

fn see(
    args: &ShowArgs,
    [path, name]: [&Path; 2],
    encoder: &Encoder,
    images: &[Named],
    predicted: bool,
    device: &Device,
) -> Result<Seer, Exit> {
    let pixels: Vec<Pixels> = images.iter().map(|image| image.pixels.clone()).collect();
    if images
        .iter()
        .any(|image| image.pixels.channels != encoder.config.channels)
    {
        return Err(Exit::user(format!(
            "{} is for images of {} channels, the first encoder for others",
            path.display(),
            encoder.config.channels
        )));
    }
    let sights = sights(encoder, &pixels, device).map_err(|error| match error {
        ShowError::View(_) => Exit::user(error),
        ShowError::Weights(_) => Exit::ours(error),
    })?;
    let config = run_config(path)?;
    let predictions = match config
        .as_ref()
        .filter(|config| predicts_pixels(args, config))
    {
        Some(config) if predicted => Some(predictions(path, config, &sights, device)?),
        _ => None,
    };
    let tokens: Vec<f32> = sights
        .iter()
        .flat_map(|sight| sight.tokens.clone())
        .collect();
    Ok(Seer {
        name: name.display().to_string(),
        similarity: config
            .as_ref()
            .map_or(Similarity::Cls, |c| c.order.similarity),
        order: config
            .as_ref()
            .map_or(Order::Semantic, |config| match config.method {
                Method::Semaim => config.order.kind,
                // A masked autoencoder keeps patches at random.
                Method::Mae => Order::Stochastic,
            }),
        seed: config.as_ref().map_or(0, |config| config.seed),
        colours: colours(&tokens, encoder.vit.width()),
        sights,
        predictions,
    })
}

/// What a run predicts of the views that its encoder saw.
fn predictions(
    path: &Path,
    config: &PretrainConfig,
    sights: &[Sight],
    device: &Device,
) -> Result<Vec<Vec<u8>>, Exit> {
    let items: Vec<u64> = (0..sights.len() as u64).collect();
    let views: Vec<f32> = sights.iter().flat_map(|sight| sight.view.clone()).collect();
    let seen = match restore(path, config, device)? {
        Restored::Semaim(model) => look(&*model, config, &items, views, device),
        Restored::Mae(model) => look(&*model, config, &items, views, device),
    }
    .map_err(Exit::ours)?;
    Ok(seen
        .into_iter()
        .filter_map(|order| order.prediction)
        .collect())
}

fn figure(
    args: &ShowArgs,
    wanted: &[ColumnArg],
    seers: &[Seer],
    images: &[Named],
    device: &Device,
) -> Result<Vec<u8>, Exit> {
    // Each column with its encoder.
    let mut columns: Vec<(Shown, usize)> = Vec::new();
    for column in wanted {
        match (column.shown, column.encoder) {
            // The same for all.
            (Shown::Image, None) => columns.push((Shown::Image, 0)),
            (shown, Some(encoder)) => columns.push((shown, encoder)),
            (shown, None) => {
                let can =
                    |seer: &Seer| shown != Shown::Reconstruction || seer.predictions.is_some();
                let able = (0..seers.len()).filter(|&i| can(&seers[i]));
                columns.extend(able.map(|encoder| (shown, encoder)));
            }
        }
    }
    let unable = |&&(shown, encoder): &&(Shown, usize)| {
        shown == Shown::Reconstruction && seers[encoder].predictions.is_none()
    };
    let asked = wanted
        .iter()
        .any(|column| column.shown == Shown::Reconstruction);
    let has = columns
        .iter()
        .any(|(shown, _)| *shown == Shown::Reconstruction);
    if columns.iter().find(unable).is_some() || (asked && !has) {
        return Err(Exit::user(
            "the reconstruction column needs the run directory of a model that predicts pixels, at its own image size",
        ));
    }
    let mut rows = Vec::new();
    for (i, image) in images.iter().enumerate() {
        let cells = columns
            .iter()
            .map(|&(shown, encoder)| panel(shown, &seers[encoder], i, device));
        rows.push(PanelRow {
            image: view(&seers[0].sights[i])?,
            title: Some(image.name.clone()),
            cells: cells.collect::<Result<_, Exit>>()?,
        });
    }
    let titles: Vec<Column> = columns
        .iter()
        .map(|&(shown, encoder)| title(shown, &seers[encoder], seers.len() > 1))
        .collect();
    let options = PanelOptions {
        cell: args.cell,
        title: args.title.clone(),
        caption: caption(&columns),
        heat_name: "attention and similarity".into(),
        ..PanelOptions::default()
    };
    panel_figure(&titles, &rows, &options)
        .and_then(|figure| encode_png(&figure))
        .map_err(refused)
}

/// Errors of figures come from what was asked for: too many or too large cells.
fn refused(error: FigureError) -> Exit {
    Exit::user(error)
}

fn view(sight: &Sight) -> Result<RgbView, Exit> {
    let [height, width] = sight.size.map(|side| side as u32);
    RgbView::new(width, height, sight.image.clone()).map_err(Exit::ours)
}

fn panel(shown: Shown, seer: &Seer, image: usize, device: &Device) -> Result<Panel, Exit> {
    let sight = &seer.sights[image];
    let grid = [sight.grid.rows, sight.grid.columns];
    let heat = |values: &[f32]| Panel::Heat {
        grid,
        values: values.to_vec(),
    };
    Ok(match shown {
        Shown::Image => Panel::Picture(view(sight)?),
        Shown::Attention => heat(&sight.attention),
        Shown::Similarity(kind) => heat(sight.similarity(kind.unwrap_or(seer.similarity))),
        Shown::Order(order) => Panel::Order {
            grid,
            ranks: ranks(order.unwrap_or(seer.order), seer, image, device)?,
        },
        Shown::Components => {
            let patches = sight.grid.patches();
            Panel::Colours {
                grid,
                rgb: seer.colours[image * patches..][..patches].to_vec(),
            }
        }
        Shown::Reconstruction => {
            let predicted = seer.predictions.as_ref().and_then(|all| all.get(image));
            match predicted {
                Some(predicted) => {
                    let [height, width] = sight.size.map(|side| side as u32);
                    let view = RgbView::new(width, height, predicted.clone());
                    Panel::Picture(view.map_err(Exit::ours)?)
                }
                None => Panel::Empty,
            }
        }
    })
}

fn ranks(order: Order, seer: &Seer, image: usize, device: &Device) -> Result<Vec<f32>, Exit> {
    let sight = &seer.sights[image];
    sight
        .order(order, seer.similarity, [seer.seed, image as u64], device)
        .map_err(Exit::ours)
}

/// A value's name in configurations.
fn name(value: impl serde::Serialize) -> String {
    json!(value).as_str().unwrap_or_default().to_string()
}

fn title(shown: Shown, seer: &Seer, several: bool) -> Column {
    let (title, detail) = match shown {
        Shown::Image => ("image", String::new()),
        Shown::Attention => ("attention", String::new()),
        Shown::Similarity(kind) => ("similarity", name(kind.unwrap_or(seer.similarity))),
        Shown::Order(order) => {
            let order = order.unwrap_or(seer.order);
            let by = match order.needs_similarity() {
                true => format!(" by {}", name(seer.similarity)),
                false => String::new(),
            };
            ("order", format!("{}{by}", name(order)))
        }
        Shown::Components => ("components", String::new()),
        Shown::Reconstruction => ("prediction", String::new()),
    };
    let whose = match several && shown != Shown::Image {
        true => seer.name.as_str(),
        false => "",
    };
    let subtitle = [whose, detail.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(", ");
    Column {
        title: title.into(),
        subtitle,
    }
}

fn caption(columns: &[(Shown, usize)]) -> String {
    let has = |wanted: fn(Shown) -> bool| columns.iter().any(|(shown, _)| wanted(*shown));
    let mut lines = Vec::new();
    if has(|shown| shown == Shown::Attention) {
        lines.push("attention: the class token's in the last block, averaged over heads");
    }
    if has(|shown| shown == Shown::Components) {
        lines.push("components: the first three principal components of all patch tokens as red, green, blue");
    }
    if has(|shown| shown == Shown::Reconstruction) {
        lines.push("prediction: each patch from those before it in the order");
    }
    lines.join("; ")
}

fn animation(
    args: &ShowArgs,
    seer: &Seer,
    images: &[Named],
    device: &Device,
) -> Result<Vec<u8>, Exit> {
    let mut samples = Vec::new();
    for (i, image) in images.iter().enumerate() {
        let sight = &seer.sights[i];
        samples.push(OrderSample {
            image: view(sight)?,
            grid: [sight.grid.rows, sight.grid.columns],
            ranks: ranks(seer.order, seer, i, device)?,
            title: Some(image.name.clone()),
        });
    }
    let options = PanelOptions {
        cell: args.cell,
        groups: (samples.len() as f64).sqrt().ceil() as usize,
        title: args.title.clone(),
        ..PanelOptions::default()
    };
    order_frames(&samples, FRAMES, &options)
        .and_then(|frames| encode_apng(&frames, FRAME_MS, LAST_MS))
        .map_err(refused)
}
