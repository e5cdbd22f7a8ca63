//! What a detector finds in images.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use burn::tensor::Device;
use semaim_data::{
    NumberedBy, ObjectSet, OpenOptions, Source, counted, image_numbers, is_annotated, some_of,
};
use semaim_eval::detect::detector::{Detector, DetectorInfo};
use semaim_eval::detect::file::DetectorFile;
use semaim_eval::detect::find::{FindIter, FoundObject, ImageFinds};
use semaim_eval::known_classes::UnknownClass;
use semaim_eval::vectors::csv_field;
use serde_json::{Value, json};

use super::target::Target;
use super::{Form, finish, open_annotated};
use crate::args::PredictArgs;
use crate::bar::CountingBar;
use crate::exit::{Exit, STOPPED};
use crate::object_pictures::ObjectPictures;
use crate::signals;

/// The usual least score of what is drawn.
const LEAST_SCORE: f64 = 0.5;

pub(super) fn run(
    args: &PredictArgs,
    file: DetectorFile,
    form: Form,
    device: &Device,
) -> Result<ExitCode, Exit> {
    let detector = Detector::of_file(file.model, &file.path, device).map_err(Exit::user)?;
    let (images, info) = (Images::open(args, &detector.info, form)?, &detector.info);
    // Before anything is written: what is unfinished is removed however early the signal comes.
    let stop = signals::stop_flag("stopping")?;
    let mut target = Target::create(args, &*images.source)?;
    let mut pictures = match &args.pictures {
        None => None,
        Some(folder) => {
            let least = args.picture_score.unwrap_or(LEAST_SCORE);
            Some(ObjectPictures::create(folder, least as f32)?)
        }
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
    let options = args.model.loader.batches(4);
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
                Form::CocoResults => coco(out, &images, found, objects == 0),
            })?;
            objects += images.numbered(found).count();
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
    /// The number of each class of the detector in results; `None` where these are for a set without the class.
    category_ids: Vec<Option<u64>>,
}

impl Images {
    /// Opens images with their annotations, where they have any, for the numbers that these give; others are numbered by their
    /// names or by their order.
    fn open(args: &PredictArgs, info: &DetectorInfo, form: Form) -> Result<Self, Exit> {
        let options = OpenOptions {
            max_pixels: args.model.loader.limit.max_pixels,
            ..info.open_options()
        };
        let own = || info.settings.category_ids.iter().copied().map(Some);
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
                category_ids: own().collect(),
            });
        }
        let set = open_annotated(args, &options)?;
        let category_ids = match form {
            Form::CocoResults => numbers_of_set(&set, info)?,
            // Names stand for classes.
            Form::Csv | Form::JsonLines => own().collect(),
        };
        Ok(Self {
            category_ids,
            ids: (0..set.len()).map(|item| set.image_id(item)).collect(),
            numbered_by: set.numbered_by(),
            source: Arc::new(set),
        })
    }

    fn name(&self, found: &ImageFinds) -> String {
        self.source.name(found.item as usize)
    }

    /// The objects of an image whose classes have numbers, with these.
    fn numbered<'a>(
        &'a self,
        found: &'a ImageFinds,
    ) -> impl Iterator<Item = (u64, &'a FoundObject)> {
        let objects = found.objects.iter();
        objects.filter_map(move |object| Some((self.category_ids[object.class]?, object)))
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

/// The number that a set's annotations give each class of a detector, known by its name as in evaluations. Says so where the classes
/// are others, and which the set does not have.
fn numbers_of_set(set: &ObjectSet, info: &DetectorInfo) -> Result<Vec<Option<u64>>, Exit> {
    let known = &info.classes[..];
    let numbers = numbers_by_name(set.classes(), set.category_ids(), known);
    let numbers = numbers.map_err(|class| {
        let set = set.describe();
        Exit::user(UnknownClass::Ambiguous { set, class })
    })?;
    if set.classes() == known {
        return Ok(numbers);
    }
    let lacking: Vec<&str> = known
        .iter()
        .zip(&numbers)
        .filter(|(_, number)| number.is_none())
        .map(|(class, _)| class.as_str())
        .collect();
    if lacking.len() == known.len() {
        return Err(Exit::user(format!(
            "{}: none of its classes ({}) is one of the model's ({}), whose objects have no number there; name a .csv or .jsonl \
             file for results with names, or the folder of images alone for the model's own numbers",
            set.describe(),
            some_of(set.classes()),
            some_of(known)
        )));
    }
    eprintln!(
        "note: classes are matched by their names and have the set's numbers; it has {} of the model's {}",
        known.len() - lacking.len(),
        known.len()
    );
    if !lacking.is_empty() {
        eprintln!(
            "note: objects of classes that the set does not have are left out of the results: {}",
            some_of(&lacking)
        );
    }
    Ok(numbers)
}

/// The number of each of the `known` classes in a set of `names` and their numbers; `None` for those that it does not have. Where all are
/// the same in the same order, each is itself, whatever it is called.
///
/// # Errors
/// A name that stands for several classes.
fn numbers_by_name(
    names: &[String],
    numbers: &[u64],
    known: &[String],
) -> Result<Vec<Option<u64>>, String> {
    if names == known {
        return Ok(numbers.iter().copied().map(Some).collect());
    }
    let number = |class: &String| {
        let mut there = names.iter().zip(numbers).filter(|(name, _)| *name == class);
        let (first, second) = (there.next(), there.next());
        let are_several = known.iter().filter(|name| *name == class).count() > 1;
        match (first, second) {
            (None, _) => Ok(None),
            (Some((_, number)), None) if !are_several => Ok(Some(*number)),
            _ => Err(class.clone()),
        }
    };
    known.iter().map(number).collect()
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
fn coco(out: &mut dyn Write, images: &Images, found: &ImageFinds, first: bool) -> io::Result<()> {
    let item = found.item as usize;
    for (number, (category_id, object)) in images.numbered(found).enumerate() {
        let mut value = json!({
            "image_id": images.ids[item],
            "category_id": category_id,
            "bbox": object.bbox(),
            "score": f64::from(object.score),
        });
        // Annotations of these images may number them otherwise.
        if images.numbered_by != NumberedBy::Annotations {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_the_numbers_of_the_set_by_their_names() {
        let texts = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let numbers = |names: &[&str], known: &[&str]| {
            let ids: Vec<u64> = (10..).take(names.len()).collect();
            numbers_by_name(&texts(names), &ids, &texts(known))
        };
        let (a, b) = (Some(10), Some(11));
        assert_eq!(
            numbers(&["cup", "brush"], &["cup", "brush"]),
            Ok(vec![a, b])
        );
        assert_eq!(
            numbers(&["cup", "brush"], &["brush", "cup"]),
            Ok(vec![b, a])
        );
        // Classes that the set lacks, and one that the model does not know.
        assert_eq!(
            numbers(&["fork", "brush"], &["brush", "cup"]),
            Ok(vec![b, None])
        );
        // A name that stands for two classes says nothing, but where all are the same.
        assert_eq!(numbers(&["cup", "cup"], &["cup", "cup"]), Ok(vec![a, b]));
        assert_eq!(numbers(&["cup", "cup"], &["cup"]), Err("cup".to_owned()));
        assert_eq!(numbers(&["cup"], &["cup", "cup"]), Err("cup".to_owned()));
        assert_eq!(
            numbers(&["brush"], &["brush", "cup", "cup"]),
            Ok(vec![a, None, None])
        );
    }
}
