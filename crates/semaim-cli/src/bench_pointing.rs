//! `semaim bench pointing`.

use std::process::ExitCode;

use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_checkpoint::encoder::Encoder;
use semaim_coco::Annotations;
use semaim_data::decode;
use semaim_eval::main_object::masked_images;
use semaim_eval::pointing::{PointingGame, PointingResult, Target};
use semaim_train::run_dir::checkpoints;
use semaim_train::state::MODEL;
use serde_json::{Value, json};

use crate::args::BenchPointingArgs;
use crate::encoder::Loaded;
use crate::exit::Exit;

pub(crate) fn run(args: &BenchPointingArgs) -> Result<ExitCode, Exit> {
    let loaded = Loaded::of(&args.encoder)?;
    let mut rows = Vec::new();
    if args.over_epochs {
        if !args.encoder.weights.is_dir() {
            return Err(Exit::user(
                "--over-epochs needs a run directory as --weights",
            ));
        }
        // As it was trained: a checkpoint's position table is of that size.
        let weights = &args.encoder.weights;
        let trained = Checkpoint::read(&args.encoder.source())
            .and_then(|found| found.encoder(&loaded.device))
            .map_err(Exit::user)?;
        for (step, path) in checkpoints(weights)? {
            let mut encoder = trained.at(&path, MODEL).map_err(Exit::user)?;
            if let Some(size) = args.encoder.image_size {
                encoder = encoder.resized(size).map_err(Exit::user)?;
            }
            rows.push((Some(step), measure(args, &loaded, &encoder)?));
        }
        if rows.is_empty() {
            return Err(Exit::user(format!(
                "{} has no checkpoint",
                weights.display()
            )));
        }
    } else {
        rows.push((None, measure(args, &loaded, &loaded.encoder)?));
    }
    if args.json {
        let found = rows.iter().map(|(step, found)| as_json(*step, found));
        println!("{}", json!({"pointing": found.collect::<Vec<_>>()}));
    } else {
        for (step, found) in &rows {
            print(*step, found);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(
    args: &BenchPointingArgs,
    loaded: &Loaded,
    encoder: &Encoder,
) -> Result<[PointingResult; 3], Exit> {
    let augment = loaded.augment();
    let mut pointer = PointingGame::new(&encoder.vit, &augment);
    let mut batch = Vec::new();
    let size = args.encoder.loader.batch_size;
    let mut show = |batch: &mut Vec<Target>| {
        let shown = pointer.show(batch);
        batch.clear();
        shown.map_err(Exit::from)
    };
    for target in targets(args, encoder)? {
        batch.push(target?);
        if batch.len() == size {
            show(&mut batch)?;
        }
    }
    show(&mut batch)?;
    let counted = pointer.counted();
    if counted[0].images == 0 {
        return Err(Exit::user("there is no image with an object"));
    }
    Ok(counted)
}

type Targets = Box<dyn Iterator<Item = Result<Target, Exit>>>;

/// The images and their objects, one after the other.
fn targets(args: &BenchPointingArgs, encoder: &Encoder) -> Result<Targets, Exit> {
    let channels = encoder.config.channels;
    let (Some(coco), Some(folder)) = (&args.coco, &args.images) else {
        let shapes = Target::of_shapes(&encoder.config, args.seed, args.count as usize)?;
        return Ok(Box::new(shapes.map(Ok)));
    };
    let annotations = Annotations::read(coco).map_err(Exit::user)?;
    let max_pixels = args.encoder.loader.limit.max_pixels;
    let any = args.any_object;
    let images: Vec<_> = masked_images(&annotations, folder, max_pixels).collect();
    Ok(Box::new(images.into_iter().map(move |image| {
        let image = image.map_err(Exit::user)?;
        let named = |error: &dyn std::fmt::Display| {
            Exit::user(format!("{}: {error}", image.path.display()))
        };
        let bytes = std::fs::read(&image.path).map_err(|error| named(&error))?;
        Ok(Target {
            pixels: decode(&bytes, channels, max_pixels).map_err(|error| named(&error))?,
            object: if any { image.all } else { image.main },
        })
    })))
}

fn print(step: Option<u64>, found: &[PointingResult]) {
    for pointing in found {
        if let Some(step) = step {
            print!("step {step:>8}  ");
        }
        println!(
            "{:<5} starts on the object in {:.1} ± {:.1} % of {} images; chance {:.1} %",
            pointing.similarity.name(),
            100.0 * pointing.hits,
            100.0 * pointing.standard_error(),
            pointing.images,
            100.0 * pointing.chance
        );
    }
}

fn as_json(step: Option<u64>, found: &[PointingResult]) -> Value {
    let entry = |pointing: &PointingResult| {
        (
            pointing.similarity.name().to_string(),
            json!({
                "hits": pointing.hits,
                "standard_error": pointing.standard_error(),
                "chance": pointing.chance,
                "images": pointing.images,
            }),
        )
    };
    let mut row: serde_json::Map<String, Value> = found.iter().map(entry).collect();
    row.insert("step".into(), json!(step));
    Value::Object(row)
}
