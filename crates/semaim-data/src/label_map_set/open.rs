//! From what the user names to images with label maps.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layout::{self, Folders, Pair};
use super::palettes::File;
use super::seen::Seen;
use super::{BACKGROUND, ClassList, LabelMapSet, Labels, MAX_CLASS_SHARE, Values};
use crate::error::{DataError, ImageProblem};
use crate::files::Files;
use crate::kept;
use crate::object_set::{ObjectSpec, open_objects};
use crate::open::OpenOptions;
use crate::source::{Source, Split};

/// How many label images are looked at when a set is opened.
const LOOKED_AT: usize = 8;

/// The most classes beside the background.
const MAX_OBJECT_CLASSES: usize = 254;

/// What the user names as images with label maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelMapSpec {
    /// A folder of images and label images, anything that [`open_objects`] reads, or `shapes`. Not looked at where `images` and
    /// `labels` or `objects` are given.
    pub data: String,
    /// The images to train on, with `labels`.
    pub images: Option<PathBuf>,
    /// The label images to train on.
    pub labels: Option<PathBuf>,
    /// The images to evaluate on, with `eval_labels`. When not given, a part of what is trained on is held out, unless `whole` says
    /// otherwise.
    pub eval_images: Option<PathBuf>,
    /// The label images to evaluate on.
    pub eval_labels: Option<PathBuf>,
    /// COCO files whose objects are the label maps.
    pub objects: Option<ObjectSpec>,
    /// The names of the classes, and perhaps their values; looked for beside the images when not given.
    pub classes: Option<PathBuf>,
    /// The value 0 says nothing, and classes begin at 1, as in ADE20K.
    pub ignore_zero: bool,
    /// The values of classes and their names where no file of names is given or found: those of a trained model. Objects have names
    /// of their own.
    pub known: Option<Vec<(u8, String)>>,
    /// A set without a part to evaluate on is opened whole, for either split, as [`ObjectSpec::whole`] has it.
    pub whole: bool,
}

impl LabelMapSpec {
    /// A folder, a file, or `shapes`.
    pub fn of(data: impl Into<String>) -> Self {
        Self {
            data: data.into(),
            ..Self::default()
        }
    }

    /// Whether the user or a trained model says what the classes are.
    fn are_classes_given(&self) -> bool {
        self.classes.is_some() || self.known.is_some()
    }

    /// Opens the images of a split of the folder [`data`](Self::data), whether they have label images or not, for whoever looks at
    /// images alone. All are in a split where the folder has none.
    ///
    /// # Errors
    ///
    /// A folder without label images, see [`has_label_images`], or without images of the split.
    pub fn open_images(
        &self,
        split: Split,
        options: &OpenOptions,
    ) -> Result<Arc<dyn Source>, DataError> {
        let images = layout::images(Path::new(&self.data), split)?;
        Ok(Arc::new(Files::of_images(&images, options.decoding())?))
    }
}

/// Opens the split of what `spec` names:
///
/// - Images and PNGs of the same names whose values, or places in the palette, are classes: `images/train` and `annotations/train`
///   (or `labels`, `masks`, `semantic`; `training`, `val`, `validation` and such), `train2017` and `semantic/train2017`,
///   `train/images` and `train/labels`, either without splits; ADE20K's `ADEChallengeData2016` (with
///   [`LabelMapSpec::ignore_zero`]); Pascal VOC with its lists; or the folders that `spec` names. 255 (of 16 bits 65,535 too) says
///   nothing.
/// - Objects with masks, in any form that [`open_objects`] reads: class 0 is called `background`, later objects lie over earlier
///   ones, crowds are ignored. `shapes` is the generated set.
///
/// Names of classes are those of [`LabelMapSpec::classes`], or of a file beside the images such as `classes.txt`, which is said, or those
/// of [`LabelMapSpec::known`]; otherwise the classes are the values that occur in the label images of both splits, called by their
/// numbers.
///
/// Where there is nothing to evaluate on, one image in five is held out of training, the same for every seed, unless
/// [`LabelMapSpec::whole`] says otherwise. What is left out is said, and what may be wrong with values; see [`LabelMapSet::notices`].
///
/// # Errors
///
/// When nothing of these is there, no image has a label image, the first label images cannot be used, or palettes contradict each other
/// (those of the first label images, or of all of both splits where their values are the classes). A place of two colors is only said
/// where [`LabelMapSpec::classes`] or [`LabelMapSpec::known`] says what the classes are. Later ones are looked at when they are needed.
pub fn open_label_maps(
    spec: &LabelMapSpec,
    split: Split,
    options: &OpenOptions,
) -> Result<LabelMapSet, DataError> {
    if let Some(objects) = &spec.objects {
        return of_objects(objects, spec, split, options);
    }
    let named = [
        spec.images.clone().zip(spec.labels.clone()),
        spec.eval_images.clone().zip(spec.eval_labels.clone()),
    ];
    let folder = Path::new(&spec.data);
    let folders = match named {
        [None, None] if spec.data == "shapes" || !folder.is_dir() => Default::default(),
        [None, None] => layout::find(folder)?,
        named => named.map(|named| {
            named.map(|(images, labels)| Folders {
                images,
                labels,
                list: None,
                notice: None,
            })
        }),
    };
    if folders == [None, None] {
        return of_objects(&ObjectSpec::of(spec.data.as_str()), spec, split, options);
    }
    of_label_images(folders, spec, split, options)
}

/// Whether `data` is a folder of images with label images, as [`open_label_maps`] looks for them.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn has_label_images(data: &str) -> Result<bool, DataError> {
    let folder = Path::new(data);
    Ok(folder.is_dir() && layout::find(folder)? != [None, None])
}

fn of_objects(
    objects: &ObjectSpec,
    spec: &LabelMapSpec,
    split: Split,
    options: &OpenOptions,
) -> Result<LabelMapSet, DataError> {
    let files = match split {
        Split::Train => [&objects.annotations, &objects.eval_annotations],
        Split::Eval => [&objects.eval_annotations, &objects.annotations],
    };
    let file = files.into_iter().flatten().next();
    let place = file.map_or(Path::new(&objects.data), PathBuf::as_path);
    let refused = |reason: &str| DataError::Annotations {
        path: place.to_owned(),
        reason: reason.to_owned(),
    };
    if spec.ignore_zero {
        return Err(refused(
            "label maps made of objects have no value 0 to ignore",
        ));
    }
    if spec.classes.is_some() {
        return Err(refused("objects have names of classes of their own"));
    }
    let opened = ObjectSpec {
        whole: objects.whole || spec.whole,
        ..objects.clone()
    };
    let set = open_objects(&opened, split, options).map_err(|error| match error {
        DataError::Annotations { path, reason } if reason.starts_with("no annotations found") => {
            DataError::Annotations {
                path,
                reason: format!(
                    "no label images found, which would be PNGs in annotations/, labels/, masks/ or such beside images/ or the \
                     images of a split; {reason}"
                ),
            }
        }
        other => other,
    })?;
    if set.classes().len() > MAX_OBJECT_CLASSES {
        return Err(refused("there are more than 254 classes of objects"));
    }
    if set.classes().iter().any(|class| class == BACKGROUND) {
        return Err(refused(
            "a class of objects is called `background`, as are the pixels of no object",
        ));
    }
    let count = set.count_objects();
    if count.all == 0 && split == Split::Train {
        return Err(DataError::Annotations {
            path: PathBuf::from(set.describe()),
            reason: "there is no object to learn from".to_owned(),
        });
    }
    if count.with_masks < count.all {
        return Err(refused(
            "there are objects without a mask, known by their boxes alone",
        ));
    }
    Ok(LabelMapSet::of_objects(set))
}

fn of_label_images(
    folders: [Option<Folders>; 2],
    spec: &LabelMapSpec,
    split: Split,
    options: &OpenOptions,
) -> Result<LabelMapSet, DataError> {
    let decoding = options.decoding();
    let hold_out = folders[1].is_none() && !spec.whole;
    let [train, eval] = &folders;
    let chosen = match (split, train, eval) {
        (Split::Train, Some(train), _) | (Split::Eval, Some(train), None) => train,
        (Split::Eval, _, Some(eval)) => eval,
        (_, None, eval) => {
            return Err(DataError::Annotations {
                path: eval
                    .as_ref()
                    .map_or(PathBuf::new(), |eval| eval.images.clone()),
                reason: "there are label images to evaluate on, but none to train on".to_owned(),
            });
        }
    };
    let labels_of = |folders: &Option<Folders>| folders.as_ref().map(|f| f.labels.clone());
    let shared = labels_of(train) == labels_of(eval);
    let (mut pairs, mut notices) = layout::pairs(chosen, shared)?;
    let what = format!("label images {}", chosen.labels.display());
    let mut seen = look_at_some(&pairs, spec, decoding.max_pixels)?;
    // What a model knows comes before a file that happens to lie beside named folders.
    let beside = match (&spec.classes, &spec.known) {
        (None, Some(_)) if spec.data.is_empty() => None,
        (None, _) => names_beside(spec, &folders),
        (Some(_), _) => None,
    };
    notices.extend(beside.as_deref().map(|path| {
        let path = path.display();
        format!("the names of the classes are those of {path}, which lies beside the images; --classes names another file")
    }));
    let look_at_all = || look_at_all(&folders, shared, hold_out, spec, decoding.max_pixels);
    let list = spec.classes.clone().or(beside);
    let is_listed = list.is_some() || spec.known.is_some();
    let classes = match (list, &spec.known) {
        (Some(path), _) => {
            let largest = || -> Result<Option<u8>, DataError> {
                let [train, eval] = look_at_all()?;
                let values = [train.classes(false), eval.classes(false)];
                Ok(values.into_iter().flatten().max())
            };
            let (classes, left_out) = ClassList::read(&path, spec.ignore_zero, largest)?;
            if !left_out.is_empty() {
                notices.push(format!(
                    "{}: {} is no class: it is taken for the name of what is ignored",
                    path.display(),
                    left_out.join(" and ")
                ));
            }
            classes
        }
        (None, Some(known)) => ClassList::of_known(known),
        (None, None) => {
            let [train, eval] = look_at_all()?;
            let untaught = train.untaught(&eval, spec.ignore_zero);
            notices.extend(untaught.map(|untaught| format!("{}: {untaught}", both(&folders))));
            seen = train;
            seen.absorb(eval);
            ClassList::of_values(&seen.classes(spec.ignore_zero)).map_err(|reason| {
                DataError::Annotations {
                    path: chosen.labels.clone(),
                    reason: format!(
                        "{reason} (a value is a class, but for 255, which says nothing)"
                    ),
                }
            })?
        }
    };
    notices.extend(seen.check_palettes(spec.are_classes_given())?);
    let doubt = seen.doubt(is_listed, spec.ignore_zero);
    notices.extend(doubt.map(|doubt| match is_listed {
        true => format!("{what}: the first have {doubt}"),
        false => format!("{}: they have {doubt}", both(&folders)),
    }));
    if hold_out {
        notices.push(kept::of_split(&what, &mut pairs, split));
    }
    DataError::check_count(&chosen.images, pairs.len())?;
    let mut set = LabelMapSet {
        what,
        labels: Labels::Images {
            pairs: pairs.into_iter().map(|(_, pair)| pair).collect(),
            table: Box::new(classes.table(spec.ignore_zero)),
            known: classes.describe_values(),
            decoding,
        },
        classes: classes.names,
        values: classes.values,
        palettes: seen.into_palettes(),
        are_classes_given: spec.are_classes_given(),
        max_class_share: MAX_CLASS_SHARE,
        notices: Vec::new(),
    };
    refuse_if_none_fits(&set)?;
    for notice in notices {
        set.notice(notice);
    }
    Ok(set)
}

/// Refuses a set of whose first label images all have values that are no classes.
fn refuse_if_none_fits(set: &LabelMapSet) -> Result<(), DataError> {
    let mut refused = None;
    for index in 0..set.len().min(LOOKED_AT) {
        match set.truth(index) {
            Ok(_) => return Ok(()),
            Err(error) => {
                refused.get_or_insert(error.problem);
            }
        }
    }
    match refused {
        Some(ImageProblem::Labels { path, reason }) => Err(DataError::Annotations { path, reason }),
        _ => Ok(()),
    }
}

/// The file of names that lies beside images and label images, where none is named.
fn names_beside(spec: &LabelMapSpec, folders: &[Option<Folders>; 2]) -> Option<PathBuf> {
    if !spec.data.is_empty() {
        return ClassList::find(Path::new(&spec.data));
    }
    // Both splits find the same: the folders to train on come first.
    let named = folders.iter().flatten();
    let mut places = named.flat_map(|folders| [&folders.labels, &folders.images]);
    places.find_map(|folder| ClassList::find(folder.parent()?))
}

/// The label images of both splits, for messages that are the same whichever is opened.
fn both(folders: &[Option<Folders>; 2]) -> String {
    let folders = folders.iter().flatten();
    let mut places: Vec<String> = folders
        .map(|folders| folders.labels.display().to_string())
        .collect();
    places.dedup();
    format!("label images {}", places.join(" and "))
}

/// What the first label images show. Refuses a set of which none of these can be read, or palettes contradict each other.
fn look_at_some(
    pairs: &[(String, Pair)],
    spec: &LabelMapSpec,
    max_pixels: u64,
) -> Result<Seen, DataError> {
    let mut refused = None;
    let mut seen = Seen::default();
    for (order, (_, pair)) in pairs.iter().take(LOOKED_AT).enumerate() {
        match Values::read(&pair.labels, max_pixels) {
            Ok(read) => {
                let path = pair.labels.clone();
                seen.add(&File { order, path }, &read);
            }
            Err(problem) => {
                refused.get_or_insert(problem);
            }
        }
    }
    if let Some(ImageProblem::Labels { path, reason }) = refused.filter(|_| seen.is_empty()) {
        return Err(DataError::Annotations { path, reason });
    }
    if spec.ignore_zero {
        seen.leave_color_of_zero_out();
    }
    seen.check_palettes(spec.are_classes_given())?;
    Ok(seen)
}

/// What all label images to train and to evaluate on show; those that cannot be read show nothing. Refuses palettes that contradict
/// each other.
fn look_at_all(
    folders: &[Option<Folders>; 2],
    shared: bool,
    hold_out: bool,
    spec: &LabelMapSpec,
    max_pixels: u64,
) -> Result<[Seen; 2], DataError> {
    let pairs = |folders: &Option<Folders>| match folders {
        Some(folders) => layout::pairs(folders, shared).map(|(pairs, _)| pairs),
        None => Ok(Vec::new()),
    };
    let [train, eval] = folders;
    let (mut train, mut eval) = (pairs(train)?, pairs(eval)?);
    if hold_out {
        eval = train.clone();
        for (pairs, split) in [(&mut train, Split::Train), (&mut eval, Split::Eval)] {
            kept::of_split("", pairs, split);
        }
    }
    let mut eval = Seen::of(&eval, train.len(), max_pixels);
    let mut train = Seen::of(&train, 0, max_pixels);
    if spec.ignore_zero {
        eval.leave_color_of_zero_out();
        train.leave_color_of_zero_out();
    }
    let mut all = train.clone();
    all.absorb(eval.clone());
    all.check_palettes(spec.are_classes_given())?;
    Ok([train, eval])
}
