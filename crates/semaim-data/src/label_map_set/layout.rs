//! Where images and their label images lie.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::counted::counted;
use crate::dir_scan;
use crate::error::DataError;
use crate::notices::some_of;
use crate::source::Split;
use crate::splits;

/// What folders of images are called, in lower case.
const IMAGES: [&str; 5] = ["images", "jpegimages", "image", "imgs", "img"];

/// What folders of label images are called, in lower case.
const LABELS: [&str; 9] = [
    "annotations",
    "labels",
    "masks",
    "segmentationclass",
    "semantic",
    "annotation",
    "label",
    "mask",
    "gt",
];

/// A folder of images and one of label images with the same names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folders {
    pub(super) images: PathBuf,
    pub(super) labels: PathBuf,
    /// The names to use, one a line, as Pascal VOC has them; all when there is none.
    pub(super) list: Option<PathBuf>,
    /// What is to be said of other folders that might be meant.
    pub(super) notice: Option<String>,
}

/// An image with its label image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) image: PathBuf,
    pub(super) labels: PathBuf,
}

/// Pairs by the images' names relative to their folder, without endings.
pub(super) type NamedPairs = Vec<(String, Pair)>;

/// The folders of a data set to train and to evaluate on; what has no split is to train on. Both are `None` where there are no label
/// images.
pub(super) fn find(folder: &Path) -> Result<[Option<Folders>; 2], DataError> {
    for base in ["", "VOC2012", "VOCdevkit/VOC2012"].map(|below| folder.join(below)) {
        let sets = base.join("ImageSets").join("Segmentation");
        if sets.join("train.txt").is_file() && base.join("JPEGImages").is_dir() {
            let list = |name: &str| {
                let list = sets.join(name);
                list.is_file().then(|| Folders {
                    images: base.join("JPEGImages"),
                    labels: base.join("SegmentationClass"),
                    list: Some(list),
                    notice: None,
                })
            };
            return Ok([list("train.txt"), list("val.txt")]);
        }
    }
    // `images/train` and `labels/train`, or both without splits.
    let here = Subfolders::of(folder)?;
    let labels = here.of_labels();
    let images = IMAGES.iter().find_map(|name| here.called(name));
    if let (Some((labels, notice)), Some(images)) = (&labels, images) {
        let (images, labels) = (Subfolders::of(&images)?, Subfolders::of(labels)?);
        return Ok(split_both(&images, &labels, notice.as_deref()));
    }
    // `train` with the images and `labels/train`.
    if let Some((labels, notice)) = labels {
        let found = split_both(&here, &Subfolders::of(&labels)?, notice.as_deref());
        if let [Some(Folders { images, .. }), _] = &found
            && *images != *folder
        {
            return Ok(found);
        }
    }
    // `train/images` and `train/labels`.
    here.splits()
        .map(|part| {
            let Some(part) = part else { return Ok(None) };
            let inside = Subfolders::of(&part)?;
            let images = IMAGES.iter().find_map(|name| inside.called(name));
            let found = images.zip(inside.of_labels());
            Ok(found.map(|(images, (labels, notice))| Folders {
                images,
                labels,
                list: None,
                notice,
            }))
        })
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .map(|found| {
            let mut found = found.into_iter();
            std::array::from_fn(|_| found.next().flatten())
        })
}

/// The images of a split of a folder with label images, whether they have such themselves or not; of a folder without splits all
/// images, for either.
pub(super) fn images(folder: &Path, split: Split) -> Result<Vec<PathBuf>, DataError> {
    let [train, eval] = find(folder)?;
    let (this, other) = match split {
        Split::Train => (train, eval),
        Split::Eval => (eval, train),
    };
    let Folders { images, list, .. } = match (this, other) {
        (Some(this), _) => this,
        (None, Some(other)) => match (unlabeled(folder, &other, split)?, split) {
            (Some(images), _) => Folders { images, ..other },
            (None, Split::Eval) => other,
            (None, Split::Train) => {
                return Err(DataError::Annotations {
                    path: other.images,
                    reason: "there are images to evaluate on, but none to train on".to_owned(),
                });
            }
        },
        (None, None) => {
            return Err(DataError::Missing {
                path: folder.to_owned(),
            });
        }
    };
    let listing = dir_scan::list(&images)?;
    listing.warn(&images);
    let wanted = list.as_deref().map(listed).transpose()?;
    let is_wanted = |image: &Path| {
        let wanted = wanted.as_ref();
        wanted.is_none_or(|wanted| wanted.contains(&stem(image)))
    };
    let found = listing.images.iter().filter(|image| is_wanted(image));
    let found: Vec<PathBuf> = found.map(|image| images.join(image)).collect();
    if found.is_empty() {
        return Err(DataError::no_images(
            &images,
            listing.others,
            &listing.not_read,
        ));
    }
    Ok(found)
}

/// The names of a list.
fn listed(list: &Path) -> Result<HashSet<String>, DataError> {
    let text = fs::read_to_string(list).map_err(|e| DataError::unreadable(list, e))?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// The folder of images of a split that has no label images, beside that of the other split, which has: `images/test` beside
/// `images/train`, or `test/images` beside `train/images`, in `folder`.
fn unlabeled(folder: &Path, other: &Folders, split: Split) -> Result<Option<PathBuf>, DataError> {
    if other.list.is_some() {
        return Ok(None);
    }
    let is_split = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| splits::of_folder_name(name).is_some())
    };
    let beside = |part: &Path| -> Result<Option<PathBuf>, DataError> {
        let Some(root) = part.parent().filter(|root| root.starts_with(folder)) else {
            return Ok(None);
        };
        let [train, eval] = Subfolders::of(root)?.splits();
        let found = match split {
            Split::Train => train,
            Split::Eval => eval,
        };
        Ok(found.filter(|found| found != part))
    };
    if is_split(&other.images) {
        return beside(&other.images);
    }
    let part = other.images.parent().filter(|part| is_split(part));
    let Some(part) = part.map(beside).transpose()?.flatten() else {
        return Ok(None);
    };
    let inside = Subfolders::of(&part)?;
    Ok(IMAGES.iter().find_map(|name| inside.called(name)))
}

/// The splits of a folder of images and one of label images, of which `notice` is to be said; a folder of label images without splits
/// holds those of all.
fn split_both(
    images: &Subfolders,
    labels: &Subfolders,
    notice: Option<&str>,
) -> [Option<Folders>; 2] {
    let [label_train, label_eval] = labels.splits();
    let whole = || Some(labels.folder.clone());
    let folders = |images: Option<PathBuf>, labels: Option<PathBuf>| {
        images.zip(labels).map(|(images, labels)| Folders {
            images,
            labels,
            list: None,
            notice: notice.map(str::to_owned),
        })
    };
    match images.splits() {
        [None, None] => [folders(Some(images.folder.clone()), whole()), None],
        [train, eval] if label_train.is_none() && label_eval.is_none() => {
            [folders(train, whole()), folders(eval, whole())]
        }
        [train, eval] => [folders(train, label_train), folders(eval, label_eval)],
    }
}

/// The folders in a folder.
struct Subfolders {
    folder: PathBuf,
    names: Vec<String>,
}

impl Subfolders {
    fn of(folder: &Path) -> Result<Self, DataError> {
        let failed = |error| DataError::unreadable(folder, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if let Some(name) = path.file_name().and_then(|name| name.to_str())
                && !name.starts_with('.')
                && path.is_dir()
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(Self {
            folder: folder.to_owned(),
            names,
        })
    }

    /// The one of a name in any case.
    fn called(&self, lower: &str) -> Option<PathBuf> {
        let name = self
            .names
            .iter()
            .find(|name| name.to_ascii_lowercase() == lower)?;
        Some(self.folder.join(name))
    }

    /// The one of label images, the first of the usual names that has PNGs, and what is to be said of others that are called so, too.
    fn of_labels(&self) -> Option<(PathBuf, Option<String>)> {
        let called = |lower: &'static str| {
            let names = self.names.iter();
            names.filter(move |name| name.to_ascii_lowercase() == lower)
        };
        let names = LABELS.into_iter().flat_map(called);
        let mut names = names.filter(|name| has_pngs(&self.folder.join(name)));
        let taken = names.next()?;
        let others: Vec<&String> = names.collect();
        let notice = (!others.is_empty()).then(|| {
            format!(
                "{}: label images are those in {taken}; PNGs in {} are not looked at (--labels, with --images, names a folder)",
                self.folder.display(),
                some_of(&others)
            )
        });
        Some((self.folder.join(taken), notice))
    }

    /// Those to train and to evaluate on.
    fn splits(&self) -> [Option<PathBuf>; 2] {
        let chosen = splits::choose_both(&self.names);
        chosen.map(|name| name.map(|name| self.folder.join(name)))
    }
}

/// Whether there are PNGs in a folder, or in a folder of it.
fn has_pngs(folder: &Path) -> bool {
    let walk = walkdir::WalkDir::new(folder)
        .follow_links(true)
        .max_depth(3)
        .into_iter();
    walk.filter_map(Result::ok)
        .any(|entry| is_png(entry.path()))
}

fn is_png(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("png"))
}

/// The images of folders with their label images, by the images' names relative to their folder, and what is to be said of those that
/// lack the other; `shared` says that label images without an image are those of the other split.
pub(super) fn pairs(
    folders: &Folders,
    shared: bool,
) -> Result<(NamedPairs, Vec<String>), DataError> {
    let refused = |path: &Path, reason: String| DataError::Annotations {
        path: path.to_owned(),
        reason,
    };
    let listing = dir_scan::list(&folders.images)?;
    listing.warn(&folders.images);
    let mut images = BTreeMap::new();
    for image in listing.images {
        let (stem, path) = (stem(&image), folders.images.join(&image));
        if let Some(other) = images.insert(stem, path.clone()) {
            let reason = format!("{} has the same name but for its ending", other.display());
            return Err(refused(&path, reason));
        }
    }
    let labels = dir_scan::list(&folders.labels)?.images.into_iter();
    let labels = labels.filter(|label| is_png(label));
    let mut labels: BTreeMap<String, PathBuf> = labels
        .map(|label| (stem(&label), folders.labels.join(&label)))
        .collect();
    let mut notices: Vec<String> = folders.notice.iter().cloned().collect();
    if let Some(list) = &folders.list {
        let text = fs::read_to_string(list).map_err(|e| DataError::unreadable(list, e))?;
        let wanted: Vec<&str> = text.split_whitespace().collect();
        let missing: Vec<&str> = wanted
            .iter()
            .copied()
            .filter(|name| !images.contains_key(*name))
            .collect();
        if !missing.is_empty() {
            notices.push(format!(
                "{}: {} of {} missing and left out: {}",
                list.display(),
                missing.len(),
                counted(wanted.len(), "image"),
                some_of(&missing)
            ));
        }
        images.retain(|name, _| wanted.contains(&name.as_str()));
        labels.retain(|name, _| wanted.contains(&name.as_str()));
    }
    let all = images.len();
    let mut found = Vec::new();
    let mut without = Vec::new();
    for (name, image) in images {
        match labels.remove(&name) {
            Some(labels) => found.push((name, Pair { image, labels })),
            None => without.push(name),
        }
    }
    let place = folders.labels.display();
    if found.is_empty() {
        let example = without
            .first()
            .map_or(String::new(), |name| format!(", such as {name}.png"));
        let reason = format!(
            "none of the {} of {} has a label image here{example}",
            counted(all, "image"),
            folders.images.display()
        );
        return Err(refused(&folders.labels, reason));
    }
    if !without.is_empty() {
        notices.push(format!(
            "{place}: {} of {} without a label image and left out: {}",
            without.len(),
            counted(all, "image"),
            some_of(&without)
        ));
    }
    if !labels.is_empty() && !shared {
        let names: Vec<&String> = labels.keys().collect();
        notices.push(format!(
            "{place}: {} without an image and left out: {}",
            counted(labels.len(), "label image"),
            some_of(&names)
        ));
    }
    Ok((found, notices))
}

/// A relative path without its ending, with `/` between its parts.
fn stem(path: &Path) -> String {
    path.with_extension("").to_string_lossy().replace('\\', "/")
}
