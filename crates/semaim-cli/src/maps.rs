//! `semaim maps`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use semaim_checkpoint::atomic;
use semaim_data::{DataSpec, counted, map_names};
use semaim_eval::image_similarity::{ImageSimilarityError, image_similarities};
use semaim_report::encode_gray_png;
use semaim_train::config::{OrderSource, PretrainConfig};
use serde_json::{Value, json};

use crate::args::MapsArgs;
use crate::bar::CountingBar;
use crate::encoder::Loaded;
use crate::exit::{Exit, STOPPED};
use crate::picture_folder::PictureFolder;
use crate::signals;

pub(crate) fn run(args: &MapsArgs) -> Result<ExitCode, Exit> {
    let stop = signals::stop_flag("stopping")?;
    if args.data.iter().any(|data| data == "shapes") {
        return Err(Exit::user(
            "generated images know where their object is: --set order.source=masks needs no maps of theirs",
        ));
    }
    let loaded = Loaded::of(&args.encoder)?;
    let source = loaded.open_split(&args.data, &args.selection, args.split)?;
    let names = map_names(&*source).map_err(Exit::user)?;
    refuse_data_folder(args)?;
    let made_of = made_of(args, &loaded)?;
    refuse_other_maps(&args.out, &made_of, &names)?;
    let folder = PictureFolder::create(&args.out)?;
    let bar = CountingBar::new(source.len() as u64);
    let start = Instant::now();
    let items: Vec<usize> = (0..source.len()).collect();
    let (mut written, mut unreadable) = (0, 0);
    for items in items.chunks(args.encoder.loader.batch_size.max(1)) {
        if stop.load(Ordering::Relaxed) {
            return Ok(ExitCode::from(STOPPED));
        }
        let found = image_similarities(
            &*source,
            items,
            &loaded.encoder,
            args.similarity,
            &loaded.device,
        )
        .map_err(|error| match error {
            ImageSimilarityError::Weights(_) => Exit::ours(error),
            error => Exit::user(error),
        })?;
        if written == 0 && !found.maps.is_empty() {
            record(&args.out, &made_of)?;
        }
        for map in &found.maps {
            let [width, height] = [map.cells.columns, map.cells.rows].map(|side| side as u32);
            let png = encode_gray_png(width, height, &map.values).map_err(Exit::ours)?;
            folder.write_named(&names[map.item], &source.name(map.item), &png)?;
        }
        written += found.maps.len();
        unreadable += found.bad.len();
        bar.add(found.maps.len(), &found.bad);
    }
    bar.clear();
    if written == 0 {
        return Err(Exit::user(format!(
            "{}: no image could be read",
            args.data.join(", ")
        )));
    }
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        let report = json!({
            "images": written,
            "unreadable": unreadable,
            "seconds": seconds,
            "maps": args.out,
        });
        println!("{report}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", source.describe());
    println!(
        "maps of {} in {}, {seconds:.1} s, {unreadable} unreadable",
        counted(written, "image"),
        args.out.display()
    );
    println!(
        "the order by them: semaim pretrain … --set order.source=maps --set order.maps={}",
        args.out.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// What the maps of a folder were made of.
const RECORD: &str = "maps.json";

/// Refuses maps among the images, which they would be, too.
fn refuse_data_folder(args: &MapsArgs) -> Result<(), Exit> {
    let Some(out) = whole_path(&args.out) else {
        return Ok(());
    };
    for data in &args.data {
        let Ok(DataSpec::Paths(paths)) = data.parse() else {
            continue;
        };
        for path in paths.iter().filter(|path| path.is_dir()) {
            let Ok(folder) = fs::canonicalize(path) else {
                continue;
            };
            let why = match (out.starts_with(&folder), folder.starts_with(&out)) {
                (true, _) => "holds this folder, and maps are images, too",
                (_, true) => "lies in this folder, so its images would be taken for maps",
                _ => continue,
            };
            return Err(Exit::user(format!(
                "--out {}: {} {why}; name one elsewhere",
                args.out.display(),
                path.display()
            )));
        }
    }
    Ok(())
}

/// A path without links, of which the end need not be there yet.
fn whole_path(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let there = path.ancestors().find(|folder| folder.exists())?;
    let rest = path.strip_prefix(there).ok()?;
    Some(fs::canonicalize(there).ok()?.join(rest))
}

/// What is to be said of maps that an order follows, where they were made of other images than it is trained on: they are matched by
/// the names of images. Maps of others tell nothing of that.
pub(crate) fn of_other_images(config: &PretrainConfig) -> Option<String> {
    if config.order_source() != Some(OrderSource::Maps) {
        return None;
    }
    let (maps, trained) = (&config.order.maps, config.data.path.as_slice());
    let text = fs::read_to_string(maps.join(RECORD)).ok()?;
    let record: Value = serde_json::from_str(&text).ok()?;
    let sets: Vec<&str> = record["data"]
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let split = record["split"].as_str().unwrap_or_default();
    let trained: Vec<String> = trained
        .iter()
        .map(|name| DataSpec::absolute(name))
        .collect();
    let is_of = |set: &&str| {
        let set = Path::new(set);
        trained
            .iter()
            .any(|trained| set.starts_with(trained) || Path::new(trained).starts_with(set))
    };
    let is_trained_on = split == "train" && sets.iter().all(is_of);
    (!is_trained_on).then(|| {
        format!(
            "the similarity maps in {} were made of {} (split {split}); they are taken for images of the same names",
            maps.display(),
            sets.join(", ")
        )
    })
}

/// What maps are made of.
fn made_of(args: &MapsArgs, loaded: &Loaded) -> Result<Value, Exit> {
    let data: Vec<String> = args
        .data
        .iter()
        .map(|data| DataSpec::absolute(data))
        .collect();
    Ok(json!({
        "encoder": loaded.encoder.checksum().map_err(Exit::ours)?,
        "image_size": loaded.encoder.config.image_size,
        "similarity": args.similarity.name(),
        "data": data,
        "split": format!("{:?}", args.split).to_lowercase(),
    }))
}

/// Refuses a folder of maps that are made of something else, and files in the place of maps that this command has not written.
fn refuse_other_maps(out: &Path, made_of: &Value, names: &[String]) -> Result<(), Exit> {
    let Ok(text) = fs::read_to_string(out.join(RECORD)) else {
        let of_name = |name| ["png", "npy"].map(|ending| out.join(format!("{name}.{ending}")));
        let mut files = names.iter().flat_map(of_name);
        return match files.find(|file| file.exists()) {
            None => Ok(()),
            Some(file) => Err(Exit::user(format!(
                "{} is there, and no {RECORD} says that this command wrote it; name another folder",
                file.display()
            ))),
        };
    };
    let before: Value = serde_json::from_str(&text).unwrap_or_default();
    let keys = made_of.as_object().into_iter().flat_map(|all| all.keys());
    let differing: Vec<&str> = keys
        .filter(|key| before.get(key) != made_of.get(key))
        .map(String::as_str)
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    Err(Exit::user(format!(
        "{} holds maps that were made with other settings ({}); name another folder, or remove it",
        out.display(),
        differing.join(", ")
    )))
}

/// Writes down beside the maps what they are made of.
fn record(out: &Path, made_of: &Value) -> Result<(), Exit> {
    let path = out.join(RECORD);
    atomic::write_bytes(&path, made_of.to_string().as_bytes())
        .map_err(|error| Exit::user(format!("writing {}: {error}", path.display())))
}
