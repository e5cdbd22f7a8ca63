//! Images and objects in YOLO's format: `data.yaml`, and a label file for each image.

mod label_file;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use yaml_rust2::parser::{Event, EventReceiver, Parser};
use yaml_rust2::{Yaml, YamlLoader};

use super::object_classes::ObjectClasses;
use super::open::Found;
use super::{Entry, Units};
use crate::counted::counted;
use crate::dir_scan;
use crate::error::DataError;
use crate::image_numbers::image_numbers;
use crate::notices::some_of;
use crate::source::Split;
use label_file::{LabelFile, Mended};

/// The largest `data.yaml` that is read, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// A `data.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DataYaml {
    path: PathBuf,
    /// `path`, where the others start.
    root: Option<String>,
    train: Vec<String>,
    /// `val`, or `test` where there is no `val`.
    eval: Vec<String>,
    /// Whether `eval` is `test`.
    eval_is_test: bool,
    names: Vec<String>,
}

impl DataYaml {
    /// The file of a folder: `data.yaml`, or its only `.yaml`, with the fields of one.
    pub(super) fn find(folder: &Path) -> Result<Option<PathBuf>, DataError> {
        if let Some(usual) = Self::usual(folder)
            && has_fields(&usual)?
        {
            return Ok(Some(usual));
        }
        let mut found = Vec::new();
        for path in yaml_files(folder)? {
            if has_fields(&path)? {
                found.push(path);
            }
        }
        Ok(match &found[..] {
            [only] => Some(only.clone()),
            _ => None,
        })
    }

    /// The file of a folder by its name alone, whatever is in it.
    pub(super) fn usual(folder: &Path) -> Option<PathBuf> {
        let names = ["data.yaml", "data.yml", "dataset.yaml"];
        let mut paths = names.into_iter().map(|name| folder.join(name));
        paths.find(|path| path.is_file())
    }

    /// The names of the files that [`find`](Self::find) looks at.
    pub(super) fn looked_at(folder: &Path) -> Result<Vec<String>, DataError> {
        let files = yaml_files(folder)?.into_iter();
        let names = files.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        Ok(names.collect())
    }

    pub(super) fn read(path: &Path) -> Result<Self, DataError> {
        let refused = |reason: String| DataError::Annotations {
            path: path.to_owned(),
            reason,
        };
        let length = fs::metadata(path)
            .map_err(|e| DataError::unreadable(path, e))?
            .len();
        if length > MAX_BYTES {
            return Err(refused(format!(
                "{length} bytes are too many for a data.yaml"
            )));
        }
        let text = fs::read_to_string(path).map_err(|e| DataError::unreadable(path, e))?;
        let broken = |error: yaml_rust2::ScanError| refused(format!("not YAML: {error}"));
        // An alias of aliases could stand for more than memory holds.
        let mut aliases = Aliases(false);
        Parser::new_from_str(&text)
            .load(&mut aliases, true)
            .map_err(broken)?;
        if aliases.0 {
            return Err(refused("aliases (`*name`) are not read".to_owned()));
        }
        let documents = YamlLoader::load_from_str(&text).map_err(broken)?;
        let Some(Yaml::Hash(fields)) = documents.first() else {
            return Err(refused("not a data.yaml: it has no fields".to_owned()));
        };
        let field = |name: &str| {
            let value = fields.get(&Yaml::String(name.to_owned()));
            value.filter(|value| **value != Yaml::Null)
        };
        if field("kpt_shape").is_some() {
            return Err(refused(
                "`kpt_shape`: labels of keypoints are not read".to_owned(),
            ));
        }
        let root = field("path").map(|value| {
            let text = value.as_str().map(str::to_owned);
            text.ok_or_else(|| refused("`path` must be a text".to_owned()))
        });
        let places = |name: &str| -> Result<Vec<String>, DataError> {
            let mut places = match field(name) {
                None => Vec::new(),
                Some(Yaml::String(place)) => vec![place.clone()],
                Some(Yaml::Array(places)) => places
                    .iter()
                    .map(|place| place.as_str().map(str::to_owned))
                    .collect::<Option<_>>()
                    .ok_or_else(|| refused(format!("`{name}` must be paths")))?,
                Some(_) => {
                    return Err(refused(format!(
                        "`{name}` must be a path or a list of paths"
                    )));
                }
            };
            // An empty text is no place, as a field without a value has none; as a path it would be the whole folder.
            places.retain(|place| !place.trim().is_empty());
            Ok(places)
        };
        let (val, test) = (places("val")?, places("test")?);
        let eval_is_test = val.is_empty() && !test.is_empty();
        let names = names(field("names")).map_err(refused)?;
        if let Some(count) = field("nc")
            && count.as_i64() != Some(names.len() as i64)
        {
            return Err(refused(format!(
                "`nc` is {}, but `names` has {}",
                text_of(count).unwrap_or_default(),
                counted(names.len(), "name")
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            root: root.transpose()?,
            train: places("train")?,
            eval: if eval_is_test { test } else { val },
            eval_is_test,
            names,
        })
    }

    /// Whether it names images to evaluate on.
    pub(super) fn has_eval(&self) -> bool {
        !self.eval.is_empty()
    }

    /// The classes, numbered from 0.
    pub(super) fn classes(&self) -> ObjectClasses {
        ObjectClasses {
            names: self.names.clone(),
            ids: (0..self.names.len() as u64).collect(),
        }
    }

    /// The images of a split with their objects; all of training where there is none to evaluate on. Where `every_image` says so
    /// none of them needs a label file.
    pub(super) fn read_split(&self, split: Split, every_image: bool) -> Result<Found, DataError> {
        let (field, places) = match split {
            Split::Eval if self.eval_is_test => ("test", &self.eval),
            Split::Eval if self.has_eval() => ("val", &self.eval),
            Split::Train | Split::Eval => ("train", &self.train),
        };
        if places.is_empty() {
            return Err(self.refused(format!("there is no `{field}`")));
        }
        let mut notices = Vec::new();
        if field == "test" {
            notices.push("there is no `val`, so `test` is evaluated on".to_owned());
        }
        if self.has_eval() && self.train == self.eval {
            notices.push("the images to train on and to evaluate on are the same".to_owned());
        }
        let mut paths = BTreeSet::new();
        for place in places {
            let place = self.locate(field, place)?;
            paths.extend(self.images_of(&place)?);
        }
        let mut labels = Labels::default();
        let mut images = Vec::with_capacity(paths.len());
        let names: Vec<Cow<'_, str>> = paths.iter().map(|path| path.to_string_lossy()).collect();
        let (ids, numbered_by) = image_numbers(&names);
        for (path, id) in paths.iter().zip(ids) {
            let annotations = labels.read(&label_path(path), self.names.len())?;
            let entry = Entry {
                path: path.clone(),
                id,
                size: None,
                annotations,
            };
            let base = self.path.parent().unwrap_or(Path::new(""));
            let name = path.strip_prefix(base).unwrap_or(path);
            images.push((name.display().to_string(), entry));
        }
        if let Some(first) = paths
            .first()
            .filter(|_| !every_image && labels.without_file.len() == paths.len())
        {
            return Err(self.refused(format!(
                "none of the {} of `{field}` has a label file; the first would be {}",
                counted(paths.len(), "image"),
                label_path(first).display()
            )));
        }
        notices.extend(labels.notices());
        let ObjectClasses { names, ids } = self.classes();
        Ok(Found {
            what: self.path.display().to_string(),
            classes: names,
            category_ids: ids,
            images,
            numbered_by,
            units: Units::Fractions,
            notices,
        })
    }

    fn refused(&self, reason: String) -> DataError {
        DataError::Annotations {
            path: self.path.clone(),
            reason,
        }
    }

    /// Where a place of the file is. It starts at `path`, which starts at the file's folder; or at the file's folder where there
    /// is no such `path`, as when a set was moved; and Roboflow's `../train/images` is beside the file.
    fn locate(&self, field: &str, place: &str) -> Result<PathBuf, DataError> {
        let beside = self.path.parent().unwrap_or(Path::new(""));
        let mut roots = Vec::new();
        if let Some(root) = &self.root {
            roots.push(beside.join(root));
        }
        roots.push(beside.to_owned());
        let mut candidates: Vec<PathBuf> = roots.iter().map(|root| root.join(place)).collect();
        if let Some(below) = place.strip_prefix("../") {
            candidates.extend(roots.iter().map(|root| root.join(below)));
        }
        candidates.dedup();
        let found = candidates.iter().find(|candidate| candidate.exists());
        found.cloned().ok_or_else(|| {
            let tried: Vec<String> = candidates.iter().map(|c| c.display().to_string()).collect();
            self.refused(format!(
                "`{field}` is {place}, but there is no {}",
                tried.join(" or ")
            ))
        })
    }

    /// The images of a folder, or those that a text file lists.
    fn images_of(&self, place: &Path) -> Result<Vec<PathBuf>, DataError> {
        if place.is_dir() {
            let listing = dir_scan::list(place)?;
            listing.warn(place);
            if listing.images.is_empty() {
                return Err(DataError::no_images(
                    place,
                    listing.others,
                    &listing.not_read,
                ));
            }
            return Ok(listing
                .images
                .iter()
                .map(|image| place.join(image))
                .collect());
        }
        let text = fs::read_to_string(place).map_err(|e| DataError::unreadable(place, e))?;
        let beside = place.parent().unwrap_or(Path::new(""));
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(lines
            .map(|line| beside.join(line.trim_start_matches("./")))
            .collect())
    }
}

/// The `.yaml` files of a folder, sorted, without what is hidden.
fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |error| DataError::unreadable(folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if is_yaml && !is_hidden && path.is_file() {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether a file has the fields of a `data.yaml`, `names` and `train` or `val`: settings of other programs are YAML too. Whether they
/// are right is looked at when it is read.
fn has_fields(path: &Path) -> Result<bool, DataError> {
    let failed = |error| DataError::unreadable(path, error);
    if fs::metadata(path).map_err(failed)?.len() > MAX_BYTES {
        return Ok(false);
    }
    let bytes = fs::read(path).map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // What is indented is below another field, and keeps its spaces here.
    let fields: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim_end().trim_matches(['"', '\'']))
        .collect();
    let has = |name: &str| fields.contains(&name);
    Ok(has("names") && (has("train") || has("val")))
}

/// Whether a file has aliases.
struct Aliases(bool);

impl EventReceiver for Aliases {
    fn on_event(&mut self, event: Event) {
        self.0 |= matches!(event, Event::Alias(_));
    }
}

/// The names of the classes: a list, or a mapping from 0, 1, ...
fn names(field: Option<&Yaml>) -> Result<Vec<String>, String> {
    let no_name = |at: usize| format!("`names`: class {at} has no name");
    match field {
        Some(Yaml::Array(names)) => {
            let names = names.iter().enumerate();
            names
                .map(|(at, name)| text_of(name).ok_or_else(|| no_name(at)))
                .collect()
        }
        Some(Yaml::Hash(names)) => (0..names.len())
            .map(|at| {
                let of_number = names.get(&Yaml::Integer(at as i64));
                let name = of_number.or_else(|| names.get(&Yaml::String(at.to_string())));
                name.and_then(text_of).ok_or_else(|| {
                    format!(
                        "{}; the numbers must be 0 to {}",
                        no_name(at),
                        names.len() - 1
                    )
                })
            })
            .collect(),
        _ => {
            Err("`names` must be a list of the classes, or a mapping from their numbers".to_owned())
        }
    }
}

fn text_of(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) | Yaml::Real(text) => Some(text.clone()),
        Yaml::Integer(number) => Some(number.to_string()),
        Yaml::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}

/// The label file of an image: the last `images` of its path is `labels` instead; where there is none, it is beside the image.
fn label_path(image: &Path) -> PathBuf {
    let parts: Vec<Component<'_>> = image.components().collect();
    let last = parts.iter().rposition(|part| part.as_os_str() == "images");
    let parts = parts
        .iter()
        .enumerate()
        .map(|(at, part)| match Some(at) == last {
            true => Component::Normal("labels".as_ref()),
            false => *part,
        });
    parts.collect::<PathBuf>().with_extension("txt")
}

/// The label files read so far.
#[derive(Default)]
struct Labels {
    objects: i64,
    without_file: Vec<String>,
    /// How often each kind of thing was put right, and where first.
    mended: Vec<(Mended, usize, String)>,
}

impl Labels {
    fn read(
        &mut self,
        path: &Path,
        classes: usize,
    ) -> Result<Vec<semaim_coco::Annotation>, DataError> {
        let Some(file) = LabelFile::read(path, classes, &mut self.objects)? else {
            self.without_file.push(path.display().to_string());
            return Ok(Vec::new());
        };
        for (what, line) in file.mended {
            match self.mended.iter_mut().find(|(known, ..)| *known == what) {
                Some((_, count, _)) => *count += 1,
                None => {
                    let first = format!("{}, line {line}", path.display());
                    self.mended.push((what, 1, first));
                }
            }
        }
        Ok(file.objects)
    }

    fn notices(&self) -> Vec<String> {
        let mended = self.mended.iter();
        let mut notices: Vec<String> = mended
            .map(|(what, count, first)| {
                format!("{} {what} (the first: {first})", counted(*count, "line"))
            })
            .collect();
        if !self.without_file.is_empty() {
            notices.push(format!(
                "{} without a label file, so without objects: there is no {}",
                counted(self.without_file.len(), "image"),
                some_of(&self.without_file)
            ));
        }
        notices
    }
}
