//! Pictures of objects: what was found in images, and beside it what is there.

use std::path::Path;
use std::sync::Arc;

use semaim_coco::Rle;
use semaim_data::{ImageObjects, ObjectSet, Source, counted};
use semaim_eval::detect::detector::Detector;
use semaim_eval::detect::find::{FindIter, FoundObject, ImageFinds};
use semaim_eval::image_batches::BatchOptions;
use semaim_report::{
    Column, ContactSheet, DrawnObject, Panel, Row, ThemedPng, draw_objects, encode_png,
};

use crate::exit::Exit;
use crate::picture_folder::{PictureFolder, rgb};

/// How long the longer side of a picture of an image is at least and at most, in pixels: names stay legible, files small.
const SIDES: [u32; 2] = [640, 1600];
/// The same of the cells of a sheet.
const CELL: u32 = 360;

/// A folder of pictures, one for each image.
pub(crate) struct ObjectPictures {
    folder: PictureFolder,
    /// Objects below this score are not drawn.
    least: f32,
}

impl ObjectPictures {
    pub(crate) fn create(folder: &Path, least: f32) -> Result<Self, Exit> {
        Ok(Self {
            folder: PictureFolder::create(folder)?,
            least,
        })
    }

    /// Writes the picture of an image under its name.
    pub(crate) fn draw(
        &mut self,
        source: &dyn Source,
        found: &ImageFinds,
        classes: &[String],
    ) -> Result<(), Exit> {
        let item = found.item as usize;
        let image = rgb(&source.image(item).map_err(Exit::user)?)?;
        let [least, most] = SIDES;
        let side = image.width().max(image.height()).clamp(least, most);
        let picture = draw_objects(&image, &found_objects(found, classes, self.least), side);
        let png = encode_png(&picture).map_err(Exit::ours)?;
        self.folder.write(&source.name(item), &png)
    }
}

/// Truth and prediction, of scores from `least` on, side by side for some images of a set; `None` where none could be read.
pub(crate) fn truth_and_found(
    detector: &Detector,
    set: &Arc<ObjectSet>,
    items: &[u64],
    options: BatchOptions,
    least: f64,
) -> Result<Option<ThemedPng>, Exit> {
    let mut rows = Vec::new();
    let source = Arc::clone(set) as Arc<dyn Source>;
    for finds in FindIter::start(detector, source, items.iter().copied(), options) {
        for found in finds?.images {
            let item = found.item as usize;
            // An image whose annotations cannot be used was left out of the evaluation, too.
            let Ok(truth) = set.truth(item) else { continue };
            let image = rgb(&set.image(item).map_err(Exit::user)?)?;
            let truth = true_objects(&truth, set.classes());
            let found = found_objects(&found, &detector.info.classes, least as f32);
            let sides = [truth, found].map(|objects| draw_objects(&image, &objects, CELL));
            let name = set.name(item);
            let name = Path::new(&name).file_name().unwrap_or_default();
            rows.push(Row {
                title: Some(name.to_string_lossy().into_owned()),
                panels: sides.map(Panel::Image).into(),
                image,
            });
        }
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let sheet = ContactSheet {
        caption: format!(
            "{} to evaluate on; found: scores of at least {least}",
            counted(rows.len(), "image")
        ),
        columns: ["ground truth", "prediction"].map(Column::titled).into(),
        rows,
        cell: CELL,
        groups: 2,
        ..ContactSheet::default()
    };
    ThemedPng::of_sheet(&sheet).map(Some).map_err(Exit::ours)
}

/// What was found with at least a score, best first.
fn found_objects(found: &ImageFinds, classes: &[String], least: f32) -> Vec<DrawnObject> {
    let object = |object: &FoundObject| DrawnObject {
        bounds: object.bounds.corners(),
        mask: object.mask.as_ref().map(Rle::to_bits),
        label: format!("{} {:.0} %", classes[object.class], 100.0 * object.score),
        color: object.class,
    };
    let shown = found.objects.iter().filter(|object| object.score >= least);
    shown.map(object).collect()
}

fn true_objects(truth: &ImageObjects, classes: &[String]) -> Vec<DrawnObject> {
    let object = |object: usize| {
        let [x, y, width, height] = truth.boxes[object];
        let class = truth.classes[object] as usize;
        let crowd = if truth.crowds[object] { " (crowd)" } else { "" };
        DrawnObject {
            bounds: [x, y, x + width, y + height].map(|corner| corner as f32),
            mask: truth.masks[object].as_ref().map(Rle::to_bits),
            label: format!("{}{crowd}", classes[class]),
            color: class,
        }
    };
    (0..truth.boxes.len()).map(object).collect()
}
