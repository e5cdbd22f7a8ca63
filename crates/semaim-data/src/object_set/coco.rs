//! Images and objects of COCO files: where they lie and what they say.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use semaim_coco::{Annotations, is_annotation_file};

use super::object_classes::ObjectClasses;
use super::open::Found;
use super::{Entry, Units};
use crate::counted::counted;
use crate::dir_scan;
use crate::error::DataError;
use crate::image_numbers::NumberedBy;
use crate::notices::{self, some_of};
use crate::source::Split;
use crate::splits;

/// Files beside those of instances that COCO has for other tasks, by how their names start.
const OTHER_TASKS: [&str; 5] = [
    "captions",
    "person_keypoints",
    "panoptic",
    "stuff",
    "image_info",
];

/// The most files of a folder that are all looked into; of more, as where each image has a file of its own, those whose names are of
/// annotations.
const LOOKED_INTO: usize = 16;

/// How many images are looked for in each folder that may hold them.
const LOOKED_FOR: usize = 64;

/// How far a box may reach out of its image before it is said, in pixels: annotators round.
const SLACK: f64 = 1.0;

/// A COCO file, and its folder of images where the user named one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CocoFiles {
    pub(super) path: PathBuf,
    pub(super) images: Option<PathBuf>,
}

/// The COCO files of a folder to train and to evaluate on; the only one of a folder is to train on.
pub(super) fn find(folder: &Path) -> Result<[Option<CocoFiles>; 2], DataError> {
    let in_annotations = folder.join("annotations");
    for place in [&*in_annotations, folder] {
        let files = coco_files(place)?;
        if !files.is_empty() {
            return by_split(place, files);
        }
    }
    // Roboflow's form: a folder for each split, with the images and one file.
    let mut folders = BTreeMap::new();
    for path in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        if let (Some(name), [file]) = (name_of(&path), &coco_files(&path)?[..]) {
            folders.insert(name, file.clone());
        }
    }
    let names: Vec<String> = folders.keys().cloned().collect();
    splits::warn_of_beside(folder, &names);
    let chosen = splits::choose_both(&names);
    Ok(chosen.map(|name| {
        let path = folders.get(&name?)?.clone();
        let images = path.parent().map(Path::to_owned);
        Some(CocoFiles { path, images })
    }))
}

/// One of the COCO files in a folder or its `annotations`, if there is any.
pub(super) fn one_of(folder: &Path) -> Result<Option<PathBuf>, DataError> {
    let found = [
        coco_files(&folder.join("annotations"))?,
        coco_files(folder)?,
    ]
    .concat();
    Ok(found.into_iter().next())
}

/// The files of each split, by their names.
fn by_split(place: &Path, files: Vec<PathBuf>) -> Result<[Option<CocoFiles>; 2], DataError> {
    let starts = |path: &PathBuf, start: &str| {
        name_of(path).is_some_and(|name| name.to_ascii_lowercase().starts_with(start))
    };
    let split_of =
        |path: &PathBuf| name_of(path).and_then(|name| Some(splits::place_of_file_name(&name)?.0));
    let is_of_instances = |path: &PathBuf| starts(path, "instances");
    let is_other_task = |path: &PathBuf| OTHER_TASKS.iter().any(|start| starts(path, start));
    let (named, others): (Vec<PathBuf>, Vec<PathBuf>) =
        files.into_iter().partition(is_of_instances);
    let others: Vec<PathBuf> = others
        .into_iter()
        .filter(|path| !is_other_task(path))
        .collect();
    let is_there = |split: Split| named.iter().any(|path| split_of(path) == Some(split));
    let instances = match named.is_empty() {
        true => others,
        // Where files say that they are of instances, one that does not may be to evaluate on, if none of them is.
        false if is_there(Split::Train) && !is_there(Split::Eval) => {
            let is_eval = |path: &PathBuf| split_of(path) == Some(Split::Eval);
            let mut of_eval: Vec<PathBuf> = others.into_iter().filter(is_eval).collect();
            if of_eval.len() > 1 {
                of_eval.clear();
            }
            [named, of_eval].concat()
        }
        false => named,
    };
    let mut of_split: [Vec<(usize, PathBuf)>; 2] = Default::default();
    let mut unnamed = Vec::new();
    for path in instances {
        match name_of(&path).and_then(|name| splits::place_of_file_name(&name)) {
            Some((split, place)) => of_split[usize::from(split == Split::Eval)].push((place, path)),
            None => unnamed.push((0, path)),
        }
    }
    let [train, eval] = &mut of_split;
    let of_paths = |files: &[(usize, PathBuf)]| -> Vec<String> {
        files.iter().filter_map(|(_, path)| name_of(path)).collect()
    };
    if train.is_empty() {
        train.append(&mut unnamed);
    } else if !unnamed.is_empty() {
        notices::warn(format!(
            "{}: not read, as the name says no split, beside one that says train: {} (a file that is named itself is)",
            place.display(),
            some_of(&of_paths(&unnamed))
        ));
    }
    let best = eval.iter().map(|(place, _)| *place).min();
    eval.retain(|(place, _)| Some(*place) == best);
    for (files, what) in of_split.iter().zip(["to train on", "to evaluate on"]) {
        if files.len() > 1 {
            return Err(DataError::Annotations {
                path: place.to_owned(),
                reason: format!(
                    "{} could be the annotations {what}; name the one to use",
                    some_of(&of_paths(files))
                ),
            });
        }
    }
    Ok(of_split.map(|files| {
        let (_, path) = files.into_iter().next()?;
        Some(CocoFiles { path, images: None })
    }))
}

fn name_of(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// What is in a folder, sorted, without what is hidden; nothing where there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |error| DataError::unreadable(folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if name_of(&path).is_some_and(|name| !name.starts_with('.')) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn json_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let is_json = |path: &PathBuf| {
        path.extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("json"))
            && path.is_file()
    };
    Ok(entries(folder)?.into_iter().filter(is_json).collect())
}

/// The files of a folder that are of COCO's form, by their names or by what is in them.
fn coco_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let files = json_files(folder)?;
    let are_few = files.len() <= LOOKED_INTO;
    let mut found = Vec::new();
    for path in files {
        let name = name_of(&path).unwrap_or_default().to_ascii_lowercase();
        // What is wrong with these is to be said, rather than that there is nothing.
        let is_named = name.starts_with("instances") || name.contains(".coco.");
        let may_be = are_few
            || name.contains("annotation")
            || name.contains("coco")
            || name.contains("label")
            || name.contains("result")
            || splits::place_of_file_name(&name).is_some();
        if is_named || may_be && is_annotation_file(&path)? {
            found.push(path);
        }
    }
    Ok(found)
}

/// The names of the files that [`find`] looks at, but for those in folders of splits.
pub(super) fn looked_at(folder: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for (place, prefix) in [
        (folder.join("annotations"), "annotations/"),
        (folder.to_owned(), ""),
    ] {
        let files = json_files(&place)?;
        let files = files.iter().filter_map(|path| name_of(path));
        names.extend(files.map(|name| format!("{prefix}{name}")));
    }
    Ok(names)
}

/// Reads a file and finds its images; where `every_image` says so, with those that are beside them and not listed.
pub(super) fn read(files: &CocoFiles, every_image: bool) -> Result<Found, DataError> {
    let annotations = Annotations::read(&files.path)?;
    let repairs = annotations.check()?;
    let refused = |reason: String| DataError::Annotations {
        path: files.path.clone(),
        reason,
    };
    let (
        order,
        ObjectClasses {
            names: classes,
            ids,
        },
    ) = ObjectClasses::in_order(&files.path, annotations.categories())?;
    // From a category's place in the file to its place by number.
    let mut class_of = vec![0; order.len()];
    for (class, at) in order.iter().enumerate() {
        class_of[*at] = class;
    }
    let mut notices: Vec<String> = repairs.iter().map(ToString::to_string).collect();
    notices.extend(outside(&annotations));
    let mut names = Vec::with_capacity(annotations.images().len());
    for image in annotations.images() {
        if image.id < 0 {
            return Err(refused(format!(
                "the image {} has a number below 0",
                image.id
            )));
        }
        let name = image.file_name.clone();
        names.push(name.ok_or_else(|| refused(format!("image {} has no `file_name`", image.id)))?);
    }
    let folder = image_folder(files, &names)?;
    let mut images = Vec::with_capacity(names.len());
    for (mut image, name) in annotations.into_images().into_iter().zip(names) {
        for annotation in &mut image.annotations {
            annotation.category = class_of[annotation.category];
        }
        let entry = Entry {
            path: file_in(&folder, &name),
            id: image.id.unsigned_abs(),
            size: image.size,
            annotations: image.annotations,
        };
        images.push((name, entry));
    }
    notices.extend(several_ids(&images));
    if every_image && !images.is_empty() {
        notices.extend(add_unlisted(&folder, &mut images)?);
    }
    Ok(Found {
        what: files.path.display().to_string(),
        classes,
        category_ids: ids,
        images,
        numbered_by: NumberedBy::Annotations,
        units: Units::Pixels,
        notices,
    })
}

/// Adds the images of a folder that its annotations do not list, without objects and numbered on from the last, and tells of it.
fn add_unlisted(
    folder: &Path,
    images: &mut Vec<(String, Entry)>,
) -> Result<Option<String>, DataError> {
    let listed: HashSet<PathBuf> = images.iter().map(|(_, e)| e.path.clone()).collect();
    let last = images.iter().map(|(_, entry)| entry.id).max();
    let first = last.unwrap_or(0).saturating_add(1);
    // Where none is listed, there may be masks, or pictures of an earlier prediction.
    let folders: HashSet<PathBuf> = listed
        .iter()
        .filter_map(|path| path.parent().map(Path::to_owned))
        .collect();
    let is_unlisted = |path: &PathBuf| {
        path.parent().is_some_and(|parent| folders.contains(parent)) && !listed.contains(path)
    };
    let listing = dir_scan::list(folder)?;
    let found = listing
        .images
        .iter()
        .map(|image| (image, folder.join(image)));
    let mut names = Vec::new();
    for (id, (image, path)) in (first..).zip(found.filter(|(_, path)| is_unlisted(path))) {
        let name = image.display().to_string();
        names.push(name.clone());
        let entry = Entry {
            path,
            id,
            size: None,
            annotations: Vec::new(),
        };
        images.push((name, entry));
    }
    if names.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!(
        "{} of the folder not listed there, numbered from {first} on: {}",
        counted(names.len(), "image"),
        some_of(&names)
    )))
}

/// What is to be said of files that are listed under several ids, as where each of several annotators has one.
fn several_ids(images: &[(String, Entry)]) -> Option<String> {
    let mut listed = HashMap::new();
    // From the place of a file's first id to its second.
    let mut seconds = BTreeMap::new();
    for (place, (_, entry)) in images.iter().enumerate() {
        let first = *listed.entry(entry.path.as_path()).or_insert(place);
        if first != place {
            seconds.entry(first).or_insert(entry.id);
        }
    }
    let (first, second) = seconds.first_key_value()?;
    let (name, entry) = images.get(*first)?;
    let are = match seconds.len() {
        1 => "1 file is".to_owned(),
        count => format!("{count} files are"),
    };
    Some(format!(
        "{are} listed under several ids (the first: {name}, {} and {second}); each is trained on and scored as if it were several \
         images, each with the objects of one id and those of the others as background: give each file one id",
        entry.id
    ))
}

/// What is to be said of boxes that reach out of their images.
fn outside(annotations: &Annotations) -> Option<String> {
    let mut found = annotations.images().iter().flat_map(|image| {
        image.annotations.iter().filter_map(|annotation| {
            let [columns, rows] = image.size?.map(f64::from);
            let [x, y, width, height] = annotation.bbox?;
            let out = x < -SLACK
                || y < -SLACK
                || x + width > columns + SLACK
                || y + height > rows + SLACK;
            out.then_some(annotation.id)
        })
    });
    let first = found.next()?;
    Some(format!(
        "{} with a box that reaches out of its image: trained on as far as it is inside, scored as it is (the first: annotation \
         {first})",
        counted(1 + found.count(), "annotation")
    ))
}

/// The file of a name in a folder: as the name is written, or where there is no such file, with `/` for the `\` of Windows.
fn file_in(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    if name.contains('\\') && !path.is_file() {
        let with_slashes = folder.join(name.replace('\\', "/"));
        if with_slashes.is_file() {
            return with_slashes;
        }
    }
    path
}

/// The folder that most of the images are in, of those where they usually are.
fn image_folder(files: &CocoFiles, names: &[String]) -> Result<PathBuf, DataError> {
    let candidates = match &files.images {
        Some(folder) => vec![folder.clone()],
        None => candidates(&files.path)?,
    };
    let step = names.len().div_ceil(LOOKED_FOR).max(1);
    let hits = |folder: &PathBuf| {
        let looked_for = names.iter().step_by(step);
        looked_for
            .filter(|name| file_in(folder, name).is_file())
            .count()
    };
    let mut best: Option<(usize, &PathBuf)> = None;
    for folder in &candidates {
        let hits = hits(folder);
        if hits > best.map_or(0, |(most, _)| most) {
            best = Some((hits, folder));
        }
    }
    let advice = match files.images {
        None => "name their folder",
        // That was done.
        Some(_) => "the names in the file must lead to them from there",
    };
    match (best, names.first()) {
        (Some((_, folder)), _) => Ok(folder.clone()),
        (None, None) => Ok(PathBuf::new()),
        (None, Some(first)) => Err(DataError::Annotations {
            path: files.path.clone(),
            reason: format!(
                "its images, such as {first}, are not in {}; {advice}",
                some_of(
                    &candidates
                        .iter()
                        .map(|c| c.display().to_string())
                        .collect::<Vec<_>>()
                )
            ),
        }),
    }
}

/// Where the images of a COCO file usually are.
fn candidates(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let beside = path.parent().unwrap_or(Path::new(""));
    let beside = if beside.as_os_str().is_empty() {
        Path::new(".")
    } else {
        beside
    };
    let base = match (beside.file_name(), beside.parent()) {
        (Some(name), Some(parent)) if name == "annotations" => parent,
        _ => beside,
    };
    let base = if base.as_os_str().is_empty() {
        Path::new(".")
    } else {
        base
    };
    let split = name_of(path).and_then(|name| splits::place_of_file_name(&name));
    let images = base.join("images");
    let mut found = vec![beside.to_owned()];
    for place in [base, &images] {
        for folder in entries(place)?.into_iter().filter(|folder| folder.is_dir()) {
            let of = name_of(&folder).and_then(|name| splits::of_folder_name(&name));
            if of.is_some() && of == split {
                found.push(folder);
            }
        }
    }
    found.push(base.to_owned());
    found.push(images);
    found.dedup();
    Ok(found)
}
