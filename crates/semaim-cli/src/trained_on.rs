//! What a model has seen of the images that it is evaluated on, as far as the run directory that it lies in tells.

use std::path::{Path, PathBuf};

use semaim_data::{DataSpec, LIST_EXTENSIONS};
use toml::{Table, Value};

use crate::args::SelectionArgs;

/// The extensions of files that name images elsewhere, beside [`LIST_EXTENSIONS`].
const ANNOTATIONS: [&str; 3] = ["json", "yaml", "yml"];

/// What a model has seen of a set that is not divided into images to train and to evaluate on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// All but the part that its run held out, by this seed.
    AllButHeldOut { seed: u64 },
    /// All of it: there was another set to evaluate on.
    All,
    /// Nothing: it was trained on another set.
    Nothing,
    /// No run directory says, or its images are no longer where they were.
    Unknown,
}

impl Seen {
    /// What the model at `weights` (a run directory, or a file in one) has seen of the `selection` of what is named by `data`.
    pub(crate) fn of<'a>(
        weights: &Path,
        data: impl IntoIterator<Item = &'a str>,
        selection: &SelectionArgs,
    ) -> Self {
        // Beside a file from elsewhere it may be anything.
        let text = std::fs::read_to_string(run_of(weights).join("config.toml"));
        let config = text.ok().and_then(|text| text.parse::<Table>().ok());
        config.map_or(Self::Unknown, |config| Self::by(&config, data, selection))
    }

    /// The same by the configuration of the run.
    fn by<'a>(
        config: &Table,
        data: impl IntoIterator<Item = &'a str>,
        selection: &SelectionArgs,
    ) -> Self {
        let trained = named(config, ["path", "annotations", "labels"]);
        let evaluated = named(config, ["eval", "eval_annotations", "eval_labels"]);
        let asked: Vec<String> = data.into_iter().map(DataSpec::absolute).collect();
        // One of several sets that were trained on has been seen as well.
        if !asked.iter().any(|name| trained.contains(name)) {
            // What the run evaluated on is not what it learned from, or it has said so.
            if asked.iter().all(|name| evaluated.contains(name)) {
                return Self::Nothing;
            }
            // Whether images that have moved are these cannot be told.
            let are_there = trained.iter().all(|name| are_there(name));
            let shares = |name: &String| trained.iter().any(|trained| may_share(name, trained));
            return match trained.is_empty() || !are_there || asked.iter().any(shares) {
                true => Self::Unknown,
                false => Self::Nothing,
            };
        }
        // The same set twice is one set, part of which is held out (two files of annotations are two). Which part depends on all
        // images that are there, and on their order.
        let is_own = evaluated.is_empty() || evaluated == named(config, ["path"]);
        if trained != asked || !is_own || !is_selected(config, selection) {
            return Self::All;
        }
        let seed = config.get("seed").and_then(Value::as_integer);
        Self::AllButHeldOut {
            seed: seed.and_then(|seed| u64::try_from(seed).ok()).unwrap_or(0),
        }
    }

    /// What is to be said where all images of a set that is not divided are evaluated, by its name.
    pub(crate) fn warning(self, data: &str) -> Option<String> {
        match self {
            Self::AllButHeldOut { .. } => Some(format!(
                "warning: the model was trained on {data}; all its images are evaluated, also those that it has seen"
            )),
            Self::All => Some(format!(
                "warning: the model was trained on {data}; where that is not divided into images to train and to evaluate on, these \
                 are images that it has seen"
            )),
            Self::Unknown => Some(format!(
                "note: it is not known whether the model was trained on {data}; it may have seen these images"
            )),
            Self::Nothing => None,
        }
    }
}

/// The run directory of weights, if it is one: they name it, or a file in it.
pub(crate) fn run_of(weights: &Path) -> &Path {
    match weights.is_dir() {
        true => weights,
        false => weights.parent().unwrap_or(Path::new("")),
    }
}

/// Whether a run had these images of its sets.
fn is_selected(config: &Table, selection: &SelectionArgs) -> bool {
    let data = config.get("data").and_then(Value::as_table);
    let setting = |key| data.and_then(|data| data.get(key));
    let exclude = setting("exclude").and_then(Value::as_array);
    let exclude = exclude.into_iter().flatten().filter_map(Value::as_str);
    let limit = setting("limit").and_then(Value::as_integer).unwrap_or(0);
    exclude.eq(&selection.exclude)
        && i64::try_from(selection.limit.unwrap_or(0)).is_ok_and(|asked| asked == limit)
}

/// What settings of the table `data` name.
fn named<const N: usize>(config: &Table, keys: [&str; N]) -> Vec<String> {
    let data = config.get("data").and_then(Value::as_table);
    let values = keys
        .iter()
        .filter_map(|key| data?.get(*key))
        .flat_map(|value| match value {
            Value::Array(values) => values.iter().collect(),
            value => vec![value],
        });
    let texts = values
        .filter_map(Value::as_str)
        .filter(|text| !text.is_empty());
    texts.map(DataSpec::absolute).collect()
}

/// Whether two sets of other names may have images in common: where one lies in the other, and where one is a file that names images
/// elsewhere.
fn may_share(a: &str, b: &str) -> bool {
    let paths = |name: &str| match name.parse() {
        Ok(DataSpec::Paths(paths)) => paths,
        Ok(DataSpec::Shapes) | Err(_) => Vec::new(),
    };
    let names_others = |path: &PathBuf| {
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        path.is_file()
            && LIST_EXTENSIONS
                .iter()
                .chain(&ANNOTATIONS)
                .any(|list| extension.eq_ignore_ascii_case(list))
    };
    let (a, b) = (paths(a), paths(b));
    let lies_in = |a: &PathBuf| b.iter().any(|b| is_part(a, b) || is_part(b, a));
    // A file in a folder is a part of that by its place.
    let is_inside = |path: &PathBuf| {
        let mut others = a.iter().chain(&b);
        others.any(|other| other != path && path.starts_with(other))
    };
    let mut elsewhere = a.iter().chain(&b).filter(|path| !is_inside(path));
    // Generated images are in no list.
    !a.is_empty() && !b.is_empty() && (a.iter().any(lies_in) || elsewhere.any(names_others))
}

/// Whether a path lies in a folder, but not in a part of it that is for evaluation by its name.
fn is_part(path: &Path, folder: &Path) -> bool {
    let Ok(rest) = path.strip_prefix(folder) else {
        return false;
    };
    let text = rest.to_string_lossy().to_lowercase();
    let words = text.split(|c: char| !c.is_ascii_alphabetic());
    !words
        .into_iter()
        .any(|word| ["val", "valid", "validation", "test", "eval"].contains(&word))
}

/// Whether what a text names is where it says. `shapes` is everywhere.
fn are_there(name: &str) -> bool {
    match name.parse() {
        Ok(DataSpec::Shapes) => true,
        Ok(DataSpec::Paths(paths)) => paths.iter().all(|path| path.exists()),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_run_tells_what_its_model_has_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for name in ["photos", "more", "test"] {
            fs::create_dir(at(name)).unwrap();
        }
        let run = folder.path().join("run");
        fs::create_dir(&run).unwrap();
        fs::write(run.join("model.safetensors"), b"").unwrap();
        let (photos, more, test) = (at("photos"), at("more"), at("test"));
        let (inside, list) = (at("photos/some"), at("list.csv"));
        let (held_out_part, annotations) = (at("photos/val"), at("photos/instances_val.json"));
        fs::create_dir(&inside).unwrap();
        fs::create_dir(&held_out_part).unwrap();
        fs::write(&annotations, "{}").unwrap();
        fs::write(&list, "photos/some/1.png,cat\n").unwrap();
        let around = format!("{photos}/../photos/");
        let both = format!("{around}, {more}");
        let held_out = Seen::AllButHeldOut { seed: 3 };
        let all = SelectionArgs {
            exclude: Vec::new(),
            limit: None,
        };
        let cases = [
            (format!("path = '{photos}'"), vec![&photos], held_out),
            (format!("path = '{photos}'"), vec![&around], held_out),
            (format!("annotations = '{photos}'"), vec![&photos], held_out),
            (
                format!("annotations = '{photos}'\neval_annotations = '{photos}'"),
                vec![&photos],
                Seen::All,
            ),
            (format!("path = '{photos}'"), vec![&test], Seen::Nothing),
            (
                format!("path = '{photos}'\neval = '{test}'"),
                vec![&photos],
                Seen::All,
            ),
            (
                format!("path = '{photos}'\neval = '{around}'"),
                vec![&photos],
                held_out,
            ),
            (
                format!("path = ['{photos}', '{more}']"),
                vec![&photos, &more],
                held_out,
            ),
            // Which images are held out depends on their order.
            (
                format!("path = ['{photos}', '{more}']"),
                vec![&more, &photos],
                Seen::All,
            ),
            (format!("path = '{photos}'"), vec![&inside], Seen::Unknown),
            (format!("path = '{inside}'"), vec![&photos], Seen::Unknown),
            (format!("path = '{photos}'"), vec![&list], Seen::Unknown),
            (
                format!("path = '{photos}'"),
                vec![&held_out_part],
                Seen::Nothing,
            ),
            (
                format!("path = '{photos}'"),
                vec![&annotations],
                Seen::Nothing,
            ),
            (
                format!("path = '{list}'\neval = '{annotations}'"),
                vec![&annotations],
                Seen::Nothing,
            ),
            (
                format!("annotations = '{list}'"),
                vec![&photos],
                Seen::Unknown,
            ),
            ("path = 'shapes'".into(), vec![&list], Seen::Nothing),
            (
                format!("path = ['{photos}', '{more}']"),
                vec![&more],
                Seen::All,
            ),
            ("path = '/moved/away'".into(), vec![&photos], Seen::Unknown),
            ("path = 'shapes'".into(), vec![&photos], Seen::Nothing),
            (format!("path = '{photos},{more}'"), vec![&both], held_out),
            ("path = ''".into(), vec![&photos], Seen::Unknown),
            (
                format!("path = '{photos}'\nlimit = 7"),
                vec![&photos],
                Seen::All,
            ),
            (
                format!("path = '{photos}'\nexclude = ['a']"),
                vec![&photos],
                Seen::All,
            ),
        ];
        for (data, asked, seen) in cases {
            fs::write(
                run.join("config.toml"),
                format!("seed = 3\n[data]\n{data}\n"),
            )
            .unwrap();
            for weights in [run.clone(), run.join("model.safetensors")] {
                let asked = asked.iter().map(|name| name.as_str());
                assert_eq!(Seen::of(&weights, asked, &all), seen, "{data}");
            }
        }
        fs::write(run.join("config.toml"), "no configuration of ours: {").unwrap();
        let unknown = Seen::of(&run, [photos.as_str()], &all);
        assert_eq!(unknown, Seen::Unknown);
        fs::remove_file(run.join("config.toml")).unwrap();
        let unknown = Seen::of(&run, [photos.as_str()], &all);
        assert_eq!(unknown, Seen::Unknown);
    }
}
