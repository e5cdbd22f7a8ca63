//! From what the user names to images with their objects.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::coco::{self, CocoFiles};
use super::yolo::DataYaml;
use super::{Entry, Images, ObjectSet, Units};
use crate::decode::DecodeOptions;
use crate::error::DataError;
use crate::image_numbers::NumberedBy;
use crate::kept;
use crate::notices::{self, some_of};
use crate::open::{OpenOptions, has_extension};
use crate::shapes::{Shapes, ShapesOptions};
use crate::source::{Source, Split};

/// What the user names as images with objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectSpec {
    /// A folder in COCO's or in YOLO's format, a `data.yaml`, a COCO file (`.json`), or `shapes`. Not looked at where
    /// annotations are given.
    pub data: String,
    /// The COCO file to train on.
    pub annotations: Option<PathBuf>,
    /// Its folder of images; looked for near the file when not given.
    pub images: Option<PathBuf>,
    /// The COCO file to evaluate on. When not given, a part of what is trained on is held out, unless `whole` says otherwise.
    pub eval_annotations: Option<PathBuf>,
    /// Its folder of images; that of training when not given.
    pub eval_images: Option<PathBuf>,
    /// A set without a part to evaluate on is opened whole, for either split, instead of one image in five being held out: there
    /// is another set to evaluate on, or this one is not trained on.
    pub whole: bool,
    /// As `whole`, and the images of an undivided folder that its annotations do not list, or that have no labels, are there as
    /// well, without objects: for whoever looks at images alone. A file of annotations that is named itself means those that it
    /// lists.
    pub every_image: bool,
}

impl ObjectSpec {
    /// A folder, a file, or `shapes`.
    pub fn of(data: impl Into<String>) -> Self {
        Self {
            data: data.into(),
            ..Self::default()
        }
    }
}

/// Opens the split of what `spec` names:
///
/// - COCO: `annotations/instances_train2017.json` and such with the images in `train2017/` and such; Roboflow's
///   `train/_annotations.coco.json` with the images beside it; any one `.json`, or one whose name says `train` and one that says
///   `val`, with the images beside it, in `images/` or in a folder of the split's name; or the files that `spec` names.
/// - YOLO: `data.yaml` with `train`, `val`, `names` and perhaps `path`; a label file for each image, `images` in its path being
///   `labels`, with lines of `class x y width height` or `class x y x y x y ...` in fractions of the image. An image without a
///   label file has no objects.
/// - `shapes`: the generated set, of the size and number that `options` say.
///
/// Where there is nothing to evaluate on, one image in five is held out of training, the same for every seed, unless
/// [`ObjectSpec::whole`] says otherwise. What is put right or left out is said; see [`ObjectSet::notices`].
///
/// # Errors
///
/// When nothing of these is there, annotations cannot be used (with file, annotation and reason), or all images are missing.
pub fn open_objects(
    spec: &ObjectSpec,
    split: Split,
    options: &OpenOptions,
) -> Result<ObjectSet, DataError> {
    let decoding = options.decoding();
    let undivided = Undivided {
        hold_out: !(spec.whole || spec.every_image),
        every_image: spec.every_image,
    };
    // A file that is named itself.
    let listed = Undivided {
        every_image: false,
        ..undivided
    };
    if spec.annotations.is_some() || spec.eval_annotations.is_some() {
        let of = |path: &Option<PathBuf>, images: &Option<PathBuf>| {
            path.clone().map(|path| CocoFiles {
                path,
                images: images.clone(),
            })
        };
        let eval_images = spec.eval_images.clone().or_else(|| spec.images.clone());
        let files = [
            of(&spec.annotations, &spec.images),
            of(&spec.eval_annotations, &eval_images),
        ];
        return open_coco(files, split, listed, decoding);
    }
    if spec.data == "shapes" {
        return open_shapes(split, options);
    }
    let path = Path::new(&spec.data);
    let kind = fs::metadata(path).map_err(|e| DataError::unreadable(path, e))?;
    if kind.is_dir() {
        if let Some(yaml) = DataYaml::find(path)? {
            if let Some(coco) = coco::one_of(path)? {
                notices::warn(format!(
                    "{}: read in YOLO's format, by {}; the annotations in COCO's are not looked at, of which {} is one",
                    path.display(),
                    yaml.file_name().unwrap_or_default().display(),
                    coco.display()
                ));
            }
            return open_yolo(&yaml, split, undivided, decoding);
        }
        match (coco::find(path)?, DataYaml::usual(path)) {
            // It is refused with what it lacks.
            ([None, None], Some(yaml)) => open_yolo(&yaml, split, undivided, decoding),
            ([None, None], None) => Err(none_found(path)?),
            (files, _) => open_coco(files, split, undivided, decoding),
        }
    } else if has_extension(path, &["json"]) {
        let path = path.to_owned();
        open_coco(
            [Some(CocoFiles { path, images: None }), None],
            split,
            listed,
            decoding,
        )
    } else if has_extension(path, &["yaml", "yml"]) {
        open_yolo(path, split, undivided, decoding)
    } else {
        Err(DataError::Annotations {
            path: path.to_owned(),
            reason: "not a folder, a data.yaml (YOLO) or a .json (COCO)".to_owned(),
        })
    }
}

/// The error for a folder without annotations, with what was looked at.
fn none_found(folder: &Path) -> Result<DataError, DataError> {
    let mut others = DataYaml::looked_at(folder)?;
    others.extend(coco::looked_at(folder)?);
    let others = match others.is_empty() {
        true => String::new(),
        false => format!(
            "; not taken for such, without `names` and `train` or `val` (YAML), without `images` and `categories` or of another task \
             (JSON): {}",
            some_of(&others)
        ),
    };
    Ok(DataError::Annotations {
        path: folder.to_owned(),
        reason: format!(
            "no annotations found; looked for data.yaml (YOLO), annotations/*.json, train/_annotations.coco.json and *.json \
             (COCO){others}"
        ),
    })
}

/// Which images of a set without a part to evaluate on are opened.
#[derive(Clone, Copy)]
struct Undivided {
    /// One in five is held out.
    hold_out: bool,
    /// Those that no annotations list, or that have no labels, too.
    every_image: bool,
}

/// Whether what the user names as images has annotations of objects that [`open_objects`] looks for; images alone have none.
///
/// # Errors
///
/// A folder that cannot be read, or whose annotations are not told apart.
pub fn is_annotated(data: &str) -> Result<bool, DataError> {
    let path = Path::new(data);
    if data == "shapes" || has_extension(path, &["json", "yaml", "yml"]) {
        return Ok(true);
    }
    if !path.is_dir() {
        return Ok(false);
    }
    Ok(DataYaml::find(path)?.is_some() || coco::find(path)?.iter().any(Option::is_some))
}

/// Images with their objects before anything was left out or said.
pub(super) struct Found {
    pub(super) what: String,
    pub(super) classes: Vec<String>,
    pub(super) category_ids: Vec<u64>,
    /// Names are relative to the folder of images.
    pub(super) images: Vec<(String, Entry)>,
    pub(super) numbered_by: NumberedBy,
    pub(super) units: Units,
    pub(super) notices: Vec<String>,
}

fn open_shapes(split: Split, options: &OpenOptions) -> Result<ObjectSet, DataError> {
    let shapes = Shapes::new(ShapesOptions {
        split,
        channels: options.channels,
        ..options.shapes
    })?;
    Ok(ObjectSet {
        what: "shapes".to_owned(),
        classes: shapes.classes().to_vec(),
        category_ids: (1..=shapes.classes().len() as u64).collect(),
        numbered_by: NumberedBy::Order,
        images: Images::Shapes {
            masks: (0..shapes.len()).map(|_| OnceLock::new()).collect(),
            shapes,
        },
        notices: Vec::new(),
    })
}

fn open_coco(
    [train, eval]: [Option<CocoFiles>; 2],
    split: Split,
    undivided: Undivided,
    decoding: DecodeOptions,
) -> Result<ObjectSet, DataError> {
    let is_undivided = eval.is_none();
    let files = match (split, train, eval) {
        (Split::Train, Some(train), _) | (Split::Eval, Some(train), None) => train,
        (Split::Eval, _, Some(eval)) => eval,
        (Split::Train, None, Some(eval)) => {
            return Err(DataError::Annotations {
                path: eval.path,
                reason: "these are annotations to evaluate on; there are none to train on"
                    .to_owned(),
            });
        }
        (_, None, None) => {
            return Err(DataError::Missing {
                path: PathBuf::new(),
            });
        }
    };
    let found = coco::read(&files, is_undivided && undivided.every_image)?;
    finish(found, split, is_undivided.then_some(undivided), decoding)
}

fn open_yolo(
    path: &Path,
    split: Split,
    undivided: Undivided,
    decoding: DecodeOptions,
) -> Result<ObjectSet, DataError> {
    let yaml = DataYaml::read(path)?;
    let is_undivided = !yaml.has_eval();
    let found = yaml.read_split(split, undivided.every_image)?;
    finish(found, split, is_undivided.then_some(undivided), decoding)
}

/// Leaves out the images that are missing and, where a part is held out, those of the other split, and says what there is to say.
fn finish(
    found: Found,
    split: Split,
    undivided: Option<Undivided>,
    decoding: DecodeOptions,
) -> Result<ObjectSet, DataError> {
    let Found {
        what,
        classes,
        category_ids,
        mut images,
        numbered_by,
        units,
        notices,
    } = found;
    let of_set = |reason: String| DataError::Annotations {
        path: PathBuf::from(&what),
        reason,
    };
    if classes.is_empty() {
        return Err(of_set("there are no classes".to_owned()));
    }
    DataError::check_count(Path::new(&what), images.len())?;
    let mut notices: Vec<String> = notices
        .into_iter()
        .map(|notice| format!("{what}: {notice}"))
        .collect();
    notices.extend(kept::existing(&what, &mut images, |entry| &entry.path)?);
    match undivided {
        Some(undivided) if undivided.hold_out => {
            notices.push(kept::of_split(&what, &mut images, split));
        }
        Some(undivided) if split == Split::Eval && !undivided.every_image => {
            notices.push(kept::all_evaluated(&what, images.len()));
        }
        _ => {}
    }
    let mut set = ObjectSet {
        what,
        classes,
        category_ids,
        numbered_by,
        images: Images::Files {
            entries: images.into_iter().map(|(_, entry)| entry).collect(),
            units,
            decoding,
        },
        notices: Vec::new(),
    };
    for notice in notices {
        set.notice(notice);
    }
    Ok(set)
}
