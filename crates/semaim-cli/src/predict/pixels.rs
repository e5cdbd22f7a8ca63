//! What a segmenter says of the pixels of images.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use semaim_checkpoint::atomic;
use semaim_data::{
    LabelMapSpec, OpenOptions, SimilarityMapError, Source, counted, has_label_images, is_annotated,
    map_names,
};
use semaim_eval::segment::label::LabelIter;
use semaim_eval::segment::segmenter::{SegmenterInfo, TrainedSegmenter};
use semaim_report::{encode_indexed_png, kind_color};
use serde_json::{Map, Value, json};

use super::open_annotated;
use crate::args::PredictArgs;
use crate::bar::CountingBar;
use crate::exit::{Exit, STOPPED};
use crate::label_pictures;
use crate::picture_folder::PictureFolder;
use crate::signals;

/// The file of the classes' names beside label images.
const CLASSES: &str = "classes.json";

pub(super) fn run(args: &PredictArgs, segmenter: &TrainedSegmenter) -> Result<ExitCode, Exit> {
    args.model
        .loader
        .refuse_for_segmenter(&args.model.weights)?;
    let Some(out) = &args.out else {
        return Err(Exit::user(format!(
            "--out must name a folder for label images: {} is a segmenter",
            args.model.weights.display()
        )));
    };
    let extension = out.extension().unwrap_or_default().to_string_lossy();
    let is_of_a_file = ["csv", "jsonl", "ndjson", "json", "png"].contains(&&*extension);
    if out.is_file() || is_of_a_file && !out.is_dir() {
        return Err(Exit::user(format!(
            "--out {}: {} is a segmenter, which writes a label image for each image; name a folder",
            out.display(),
            args.model.weights.display()
        )));
    }
    let is_empty =
        |folder: &Path| fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    let classes = out.join(CLASSES);
    if !is_empty(out) && !classes.is_file() {
        return Err(Exit::user(format!(
            "--out {}: it is not empty and was not written by predict (no {CLASSES}): label images in it might be lost; name another \
             folder",
            out.display()
        )));
    }
    let info = &segmenter.info;
    refuse_other_classes(info, &classes)?;
    let source = images(args, info)?;
    let stop = signals::stop_flag("stopping after this image")?;
    let stems = stems(args, &*source)?;
    let labels = PictureFolder::create(out)?;
    let mut pictures = match &args.pictures {
        None => None,
        Some(folder) => Some(PictureFolder::create(folder)?),
    };
    write_classes(info, &classes)?;
    let palette = palette(info);
    let items: Vec<u64> = (0..source.len() as u64).collect();
    let bar = CountingBar::new(items.len() as u64);
    let (mut count, mut unreadable) = (0, 0);
    for labeled in LabelIter::start(segmenter, Arc::clone(&source), items, |_, _, _| Ok(()))? {
        let labeled = match labeled? {
            Ok(labeled) => labeled,
            Err(bad) => {
                unreadable += 1;
                bar.add(0, &[bad]);
                continue;
            }
        };
        let [rows, columns] = labeled.size.map(|side| side as u32);
        let values = labeled.classes.iter();
        let values: Vec<u8> = values
            .map(|class| info.settings.values[usize::from(*class)])
            .collect();
        let png = encode_indexed_png(columns, rows, &values, &palette).map_err(Exit::ours)?;
        let name = source.name(labeled.item as usize);
        labels.write_named(&stems[labeled.item as usize], &name, &png)?;
        if let Some(pictures) = &mut pictures {
            label_pictures::draw(pictures, &*source, &labeled, &info.classes)?;
        }
        count += 1;
        bar.add(1, &[]);
        if stop.load(Ordering::Relaxed) {
            bar.clear();
            return Ok(ExitCode::from(STOPPED));
        }
    }
    bar.clear();
    if count == 0 {
        return Err(Exit::user(format!(
            "{}: no image could be read",
            args.named()
        )));
    }
    if args.json {
        let result = json!({
            "images": count,
            "unreadable": unreadable,
            "labels": out,
            "values": names(info),
            "pictures": args.pictures,
        });
        println!("{result}");
    } else {
        eprintln!(
            "{} in {}, {unreadable} unreadable; {CLASSES} names their values, those of training{}",
            counted(count, "label image"),
            out.display(),
            match info.settings.ignore_zero {
                true => " (0, which says nothing there, is not written)",
                false => "",
            }
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What the label images are called, without their ending: by all images, so that one that cannot be read changes no other's name. They
/// have the images' paths below `--data`, or, of lists, archives and sets that have names in common, as much of them as tells images apart.
fn stems(args: &PredictArgs, source: &dyn Source) -> Result<Vec<String>, Exit> {
    let below = |image: String| {
        let mut roots = args.data.iter().map(Path::new);
        let below = roots.find_map(|root| Path::new(&image).strip_prefix(root).ok())?;
        below.file_name()?;
        Some(below.with_extension("").to_string_lossy().into_owned())
    };
    let stems: Option<Vec<String>> = (0..source.len()).map(|at| below(source.name(at))).collect();
    let mut taken = HashMap::new();
    let is_own = |(at, stem): (usize, &String)| {
        let first = *taken.entry(stem.clone()).or_insert(at);
        source.is_same(first, at)
    };
    match stems {
        Some(stems) if stems.iter().enumerate().all(is_own) => Ok(stems),
        _ => map_names(source).map_err(|error| match error {
            SimilarityMapError::Shared { first, second, .. } => Exit::user(format!(
                "{first} and {second} would have one label image; predict them one after the other, into folders of their own"
            )),
            error => Exit::user(error),
        }),
    }
}

/// Opens images, with labels or annotations or without; of a set that is divided those of a split.
fn images(args: &PredictArgs, info: &SegmenterInfo) -> Result<Arc<dyn Source>, Exit> {
    let options = OpenOptions {
        max_pixels: args.model.loader.limit.max_pixels,
        ..info.open_options()
    };
    let mut plain = !args.data.is_empty();
    for data in &args.data {
        if has_label_images(data)? {
            // Several sets, or a part of one, are refused.
            args.annotated()?;
            let spec = LabelMapSpec::of(data.as_str());
            return Ok(spec.open_images(args.split, &options)?);
        }
        plain &= !is_annotated(data)?;
    }
    if plain {
        return args.open(options);
    }
    Ok(Arc::new(open_annotated(args, &options)?))
}

/// The colors of values: those that classes have on pictures, black for values that are no class.
fn palette(info: &SegmenterInfo) -> [[u8; 3]; 256] {
    let mut palette = [[0; 3]; 256];
    for (class, value) in info.settings.values.iter().enumerate() {
        palette[usize::from(*value)] = kind_color(class);
    }
    palette
}

/// The name of each value.
fn names(info: &SegmenterInfo) -> Map<String, Value> {
    let values = info.values().into_iter();
    values
        .map(|(value, name)| (value.to_string(), json!(name)))
        .collect()
}

/// Refuses a folder in which the values of label images mean others: those that are not written over would have wrong names.
fn refuse_other_classes(info: &SegmenterInfo, path: &Path) -> Result<(), Exit> {
    if !path.is_file() {
        return Ok(());
    }
    let text = fs::read_to_string(path)
        .map_err(|error| Exit::user(format!("reading {}: {error}", path.display())))?;
    match serde_json::from_str::<Map<String, Value>>(&text) {
        Ok(there) if there == names(info) => Ok(()),
        _ => Err(Exit::user(format!(
            "--out: {} names other classes than this segmenter has: label images that are there would have wrong names; name another \
             folder",
            path.display()
        ))),
    }
}

fn write_classes(info: &SegmenterInfo, path: &Path) -> Result<(), Exit> {
    let text = format!("{:#}\n", Value::Object(names(info)));
    atomic::write_bytes(path, text.as_bytes())
        .map_err(|error| Exit::user(format!("writing {}: {error}", path.display())))
}
