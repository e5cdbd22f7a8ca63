//! `semaim embed`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use semaim_data::counted;
use semaim_eval::embed::{EmbedOptions, Embedder};
use semaim_eval::vectors::{VectorOrigin, VectorWriter};
use semaim_train::ranks;
use serde_json::json;

use crate::args::EmbedArgs;
use crate::bar::CountingBar;
use crate::encoder::Loaded;
use crate::exit::{Exit, STOPPED};
use crate::output::Inputs;
use crate::signals;

pub(crate) fn run(args: &EmbedArgs) -> Result<ExitCode, Exit> {
    // Before anything is written: what is unfinished is removed however early the signal comes.
    let stop = signals::stop_flag("stopping")?;
    let loaded = Loaded::of(&args.encoder)?;
    let source = loaded.open_split(&args.data, &args.selection, args.split)?;
    let config = &loaded.encoder.config;
    let representation = args.representation();
    let shape = representation.shape(config.grid().patches(), loaded.encoder.vit.width());
    let ranks = ranks::current();
    let names = VectorWriter::names_of(&args.out);
    let inputs = Inputs {
        weights: Some(&loaded.path),
        data: &args.data,
        images: Some(&*source),
        ..Inputs::default()
    };
    inputs.refuse(&[&args.out, &names])?;
    refuse_names_of_others(&args.out, &names)?;
    let mut writer = match ranks.is_root() {
        true => {
            let writer = VectorWriter::create(&args.out, shape.clone()).map_err(Exit::user)?;
            let [height, width] = config.image_size;
            Some(writer.of(VectorOrigin {
                encoder: loaded.encoder.checksum().map_err(Exit::ours)?,
                feature: representation,
                image_size: format!("{height}x{width}"),
            }))
        }
        false => None,
    };
    let options = EmbedOptions {
        representation,
        ..loaded.options
    };
    let classes = source.classes();
    let bar = CountingBar::new(source.len() as u64);
    let start = Instant::now();
    let mut unreadable = 0;
    let items = 0..source.len() as u64;
    let augment = loaded.augment();
    let encoder = &loaded.encoder.vit;
    for batch in Embedder::start(encoder, &source, items, &augment, options) {
        // What is not finished is removed.
        if ranks.any(stop.load(Ordering::Relaxed)) {
            return Ok(ExitCode::from(STOPPED));
        }
        let batch = batch?;
        unreadable += batch.bad.len();
        let vectors = batch.features.chunks(batch.width.max(1));
        for ((vector, &item), label) in vectors.zip(&batch.items).zip(&batch.labels) {
            let class = |label: u32| classes.get(label as usize).map_or("", String::as_str);
            let label = label.map(|label| (label, class(label)));
            if let Some(writer) = &mut writer {
                let name = source.name(item as usize);
                writer.add(vector, &name, label).map_err(Exit::user)?;
            }
        }
        bar.add(batch.items.len(), &batch.bad);
    }
    bar.clear();
    let Some(writer) = writer else {
        return Ok(ExitCode::SUCCESS);
    };
    // What is not finished is removed, and what stood there stays.
    if writer.count() == 0 {
        return Err(Exit::user(format!(
            "{}: no image could be read",
            args.data.join(", ")
        )));
    }
    let count = writer.finish().map_err(Exit::user)?;
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        let report = json!({
            "images": count,
            "unreadable": unreadable,
            "shape": shape,
            "seconds": seconds,
            "images_per_second": count as f64 / seconds,
            "vectors": args.out,
            "names": names,
        });
        println!("{report}");
    } else {
        println!("{}", source.describe());
        println!(
            "{} in {seconds:.1} s, {:.1} images/s, {unreadable} unreadable",
            counted(count, "image"),
            count as f64 / seconds
        );
        println!("vectors {shape:?} in {}", args.out.display());
        println!("paths and labels in {}", names.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses to replace the names of other vectors: files that differ in their form alone share the file of names.
fn refuse_names_of_others(out: &Path, names: &Path) -> Result<(), Exit> {
    let is_other = |form: &&&str| {
        let other = out.with_extension(form);
        other != out && other.is_file()
    };
    match ["safetensors", "npy", "parquet"].iter().find(is_other) {
        Some(form) if names.is_file() && !out.is_file() => Err(Exit::user(format!(
            "{} holds the paths and labels of {}; choose another name, or remove them",
            names.display(),
            out.with_extension(form).display()
        ))),
        _ => Ok(()),
    }
}
