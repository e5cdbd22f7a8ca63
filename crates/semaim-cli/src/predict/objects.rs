//! What a detector finds in images.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use burn::tensor::Device;
use semaim_data::{
    NumberedBy, OpenOptions, Source, Split, counted, image_numbers, is_annotated, open_objects,
};
use semaim_eval::detect::data::evaluated;
use semaim_eval::detect::detector::{Detector, DetectorInfo};
use semaim_eval::detect::file::DetectorFile;
use semaim_eval::detect::find::{FindIter, FoundObject, ImageFinds};
use semaim_eval::vectors::csv_field;
use serde_json::{Value, json};

use super::target::Target;
use super::{Form, finish};
use crate::args::PredictArgs;
use crate::bar::CountingBar;
use crate::exit::{Exit, STOPPED};
use crate::object_pictures::ObjectPictures;
use crate::signals;

pub(super) fn run(
    args: &PredictArgs,
    file: DetectorFile,
    form: Form,
    device: &Device,
) -> Result<ExitCode, Exit> {
    let detector = Detector::of_file(file.model, &file.path, device).map_err(Exit::user)?;
    let (images, info) = (Images::open(args, &detector.info)?, &detector.info);
    // Before anything is written: what is unfinished is removed however early the signal comes.
    let stop = signals::stop_flag("stopping")?;
    let mut target = Target::create(args, &*images.source)?;
    let mut pictures = match &args.pictures {
        None => None,
        Some(folder) => Some(ObjectPictures::create(folder, args.picture_score as f32)?),
    };
    target.write(|out| match form {
        Form::Csv => writeln!(out, "path,class,score,x,y,width,height"),
        Form::JsonLines => Ok(()),
        Form::CocoResults => write!(out, "["),
    })?;
    if let (Form::CocoResults, Some(numbering)) = (form, images.numbering()) {
        eprintln!("{numbering}");
    }
    let source = &images.source;
    let bar = CountingBar::new(source.len() as u64);
    let (mut count, mut unreadable, mut objects) = (0, 0, 0);
    let options = args.loader.batches(4);
    let items = 0..source.len() as u64;
    for finds in FindIter::start(&detector, Arc::clone(source), items, options) {
        let finds = finds?;
        if stop.load(Ordering::Relaxed) {
            return Ok(ExitCode::from(STOPPED));
        }
        for found in &finds.images {
            target.write(|out| match form {
                Form::Csv => csv(out, &images.name(found), info, found),
                Form::JsonLines => writeln!(out, "{}", line(&images.name(found), info, found)),
                Form::CocoResults => coco(out, &images, info, found, objects == 0),
            })?;
            objects += found.objects.len();
            if let Some(pictures) = &mut pictures {
                pictures.draw(&**source, found, &info.classes)?;
            }
        }
        count += finds.images.len();
        unreadable += finds.bad.len();
        bar.add(finds.images.len(), &finds.bad);
    }
    if form == Form::CocoResults {
        target.write(|out| writeln!(out, "\n]"))?;
    }
    bar.clear();
    finish(args, target, count, || match &args.out {
        Some(out) if args.json => {
            let result = json!({
                "images": count,
                "unreadable": unreadable,
                "objects": objects,
                "predictions": out,
                "pictures": args.pictures,
            });
            println!("{result}");
        }
        _ => eprintln!(
            "{} in {}, {unreadable} unreadable",
            counted(objects, "object"),
            counted(count, "image")
        ),
    })
}

/// The images, and how they are called in results.
struct Images {
    source: Arc<dyn Source>,
    /// Their numbers.
    ids: Vec<u64>,
    numbered_by: NumberedBy,
}

impl Images {
    /// Opens images with their annotations, where they have any, for the numbers that these give; others are numbered by their
    /// names or by their order.
    fn open(args: &PredictArgs, info: &DetectorInfo) -> Result<Self, Exit> {
        let options = OpenOptions {
            max_pixels: args.loader.limit.max_pixels,
            ..info.open_options()
        };
        let mut annotated = args.data.is_empty();
        for data in &args.data {
            annotated |= is_annotated(data)?;
        }
        if !annotated {
            let source = args.open(options)?;
            let names: Vec<String> = (0..source.len()).map(|item| source.name(item)).collect();
            let (ids, numbered_by) = image_numbers(&names);
            return Ok(Self {
                source,
                ids,
                numbered_by,
            });
        }
        let spec = evaluated(
            args.annotated()?,
            args.annotations.as_deref(),
            args.images.as_deref(),
        );
        let split = match args.annotations {
            Some(_) => Split::Eval,
            None => args.split,
        };
        let set = open_objects(&spec, split, &options)?;
        Ok(Self {
            ids: (0..set.len()).map(|item| set.image_id(item)).collect(),
            numbered_by: set.numbered_by(),
            source: Arc::new(set),
        })
    }

    fn name(&self, found: &ImageFinds) -> String {
        self.source.name(found.item as usize)
    }

    /// What the numbers in results are, where no annotations give them.
    fn numbering(&self) -> Option<&'static str> {
        match self.numbered_by {
            NumberedBy::Annotations => None,
            NumberedBy::Names => Some("image_id is the number that an image's name is"),
            NumberedBy::Order => Some(
                "image_id is an image's place from 1 on, as not all names are different numbers; file_name says which it is",
            ),
        }
    }
}

fn csv(out: &mut dyn Write, name: &str, info: &DetectorInfo, found: &ImageFinds) -> io::Result<()> {
    for object in &found.objects {
        let [x, y, width, height] = object.bbox();
        writeln!(
            out,
            "{},{},{:.6},{x:.2},{y:.2},{width:.2},{height:.2}",
            csv_field(name),
            csv_field(&info.classes[object.class]),
            object.score
        )?;
    }
    Ok(())
}

/// An image and its objects as one JSON object.
fn line(name: &str, info: &DetectorInfo, found: &ImageFinds) -> Value {
    let [height, width] = found.size;
    let object = |object: &FoundObject| {
        let mut value = json!({
            "class": info.classes[object.class],
            "score": f64::from(object.score),
            "bbox": object.bbox(),
        });
        with_mask(&mut value, object);
        value
    };
    let objects: Vec<Value> = found.objects.iter().map(object).collect();
    json!({"path": name, "width": width, "height": height, "objects": objects})
}

/// The objects of an image as COCO's tools take them, a line each.
fn coco(
    out: &mut dyn Write,
    images: &Images,
    info: &DetectorInfo,
    found: &ImageFinds,
    first: bool,
) -> io::Result<()> {
    let item = found.item as usize;
    for (number, object) in found.objects.iter().enumerate() {
        let mut value = json!({
            "image_id": images.ids[item],
            "category_id": info.settings.category_ids[object.class],
            "bbox": object.bbox(),
            "score": f64::from(object.score),
        });
        if images.numbered_by == NumberedBy::Order {
            value["file_name"] = json!(images.name(found));
        }
        with_mask(&mut value, object);
        let separator = if first && number == 0 { "\n" } else { ",\n" };
        write!(out, "{separator}{value}")?;
    }
    Ok(())
}

fn with_mask(value: &mut Value, object: &FoundObject) {
    if let Some(mask) = &object.mask {
        let size = [mask.height(), mask.width()];
        value["segmentation"] = json!({"size": size, "counts": mask.to_text()});
    }
}
