//! Pictures of the classes of pixels: what was predicted in images, and beside it what is there.

use std::path::Path;
use std::sync::Arc;

use semaim_data::{IGNORED, LabelMapSet, Source};
use semaim_eval::known_classes::numbers_of;
use semaim_eval::segment::label::{LabelIter, LabeledImage};
use semaim_eval::segment::score::renumbered;
use semaim_eval::segment::segmenter::TrainedSegmenter;
use semaim_report::{
    Column, ContactSheet, Kind, Panel, Row, ThemedPng, draw_labels, encode_png, with_legend,
};

use crate::exit::Exit;
use crate::picture_folder::{PictureFolder, rgb};

/// How long the longer side of a picture of an image is at least and at most, in pixels: names stay legible, files small.
const SIDES: [u32; 2] = [640, 1600];
/// The same of the cells of a sheet.
const CELL: u32 = 240;
/// The most classes that a sheet names.
const MOST_KINDS: usize = 60;

/// Writes the picture of an image with its classes over it, and their names below it, into a folder.
pub(crate) fn draw(
    folder: &mut PictureFolder,
    source: &dyn Source,
    labeled: &LabeledImage<()>,
    classes: &[String],
) -> Result<(), Exit> {
    let item = labeled.item as usize;
    let image = rgb(&source.image(item).map_err(Exit::user)?)?;
    let [least, most] = SIDES;
    let side = image.width().max(image.height()).clamp(least, most);
    let picture = draw_labels(&image, &labeled.classes, IGNORED, side);
    let kinds = kinds([&labeled.classes[..]], classes);
    let png = encode_png(&with_legend(&picture, &kinds)).map_err(Exit::ours)?;
    folder.write(&source.name(item), &png)
}

/// The classes that occur, those with most pixels first.
fn kinds<'a>(maps: impl IntoIterator<Item = &'a [u8]>, classes: &[String]) -> Vec<Kind> {
    let mut counts = vec![0_u64; classes.len()];
    for label in maps.into_iter().flatten() {
        if let Some(count) = counts.get_mut(usize::from(*label)) {
            *count += 1;
        }
    }
    let mut found: Vec<usize> = (0..classes.len()).filter(|&c| counts[c] > 0).collect();
    found.sort_by_key(|&class| std::cmp::Reverse(counts[class]));
    let kind = |class: usize| Kind {
        name: classes[class].clone(),
        color: class,
    };
    found.into_iter().map(kind).collect()
}

/// Truth and prediction side by side for some images of a set; `None` where none could be used.
pub(crate) fn truth_and_predicted(
    segmenter: &TrainedSegmenter,
    set: &Arc<LabelMapSet>,
    items: Vec<u64>,
) -> Result<Option<ThemedPng>, Exit> {
    let classes = &segmenter.info.classes;
    let numbers = numbers_of(&**set, classes).map_err(Exit::user)?;
    let mut rows = Vec::new();
    let mut maps = Vec::new();
    let truth = |set: &LabelMapSet, item: u64, size| set.truth_of_size(item as usize, size);
    for labeled in LabelIter::start(segmenter, Arc::clone(set), items, truth)? {
        let Ok(labeled) = labeled? else { continue };
        let item = labeled.item as usize;
        let image = rgb(&set.image(item).map_err(Exit::user)?)?;
        let truth = renumbered(labeled.beside, &numbers);
        let sides = [&truth, &labeled.classes]
            .map(|labels| Panel::Image(draw_labels(&image, labels, IGNORED, CELL)));
        let [there, predicted] = sides;
        let name = set.name(item);
        let name = Path::new(&name).file_name().unwrap_or_default();
        rows.push(Row {
            title: Some(name.to_string_lossy().into_owned()),
            panels: vec![Panel::Image(image.clone()), there, predicted],
            image,
        });
        maps.extend([truth, labeled.classes]);
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let mut kinds = kinds(maps.iter().map(|map| &map[..]), classes);
    let left_out = kinds.len().saturating_sub(MOST_KINDS);
    kinds.truncate(MOST_KINDS);
    let more = match left_out {
        0 => String::new(),
        count => format!("; {count} smaller classes are not named"),
    };
    let sheet = ContactSheet {
        caption: format!(
            "Images that are not trained on. Pixels whose class nobody says are left as they are{more}."
        ),
        columns: ["image", "ground truth", "prediction"]
            .map(Column::titled)
            .into(),
        rows,
        cell: CELL,
        groups: 2,
        kinds,
        ..ContactSheet::default()
    };
    ThemedPng::of_sheet(&sheet).map(Some).map_err(Exit::ours)
}
