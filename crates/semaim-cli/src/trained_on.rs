//! What a model has seen of the images that it is evaluated on, as far as the run directory that it lies in tells.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::args::SelectionArgs;
use crate::exit::Exit;

/// What a model has seen of a set that is not divided into images to train and to evaluate on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// All but the part that its run held out, by this seed.
    AllButHeldOut { seed: u64 },
    /// All of it: there was another set to evaluate on.
    All,
    /// Nothing: it was trained on another set.
    Nothing,
    /// No run directory says.
    Unknown,
}

impl Seen {
    /// What the model at `weights` (a run directory, or a file in one) has seen of the `selection` of what is named by `data`.
    ///
    /// # Errors
    /// A configuration of a run that cannot be read.
    pub(crate) fn of<'a>(
        weights: &Path,
        data: impl IntoIterator<Item = &'a str>,
        selection: &SelectionArgs,
    ) -> Result<Self, Exit> {
        let folder = match weights.is_dir() {
            true => weights,
            false => weights.parent().unwrap_or(Path::new("")),
        };
        let path = folder.join("config.toml");
        if !path.is_file() {
            return Ok(Self::Unknown);
        }
        let failed = |message: String| Exit::user(format!("{}: {message}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        let config: Table = text
            .parse()
            .map_err(|error: toml::de::Error| failed(error.message().to_owned()))?;
        Ok(Self::by(&config, data, selection))
    }

    /// The same by the configuration of the run.
    fn by<'a>(
        config: &Table,
        data: impl IntoIterator<Item = &'a str>,
        selection: &SelectionArgs,
    ) -> Self {
        let trained = named(config, ["path", "annotations", "labels"]);
        let evaluated = named(config, ["eval", "eval_annotations", "eval_labels"]);
        let asked: BTreeSet<PathBuf> = data.into_iter().map(place).collect();
        // One of several sets that were trained on has been seen as well.
        if trained.is_disjoint(&asked) {
            // Whether images that have moved are these cannot be told.
            let are_there = trained.iter().all(|path| path.exists());
            return match !trained.is_empty() && are_there {
                true => Self::Nothing,
                false => Self::Unknown,
            };
        }
        // The same set twice is one set, part of which is held out (two files of annotations are two). Which part depends on all
        // images that are there.
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
                "note: no run directory says what the model was trained on; if it was {data}, it may have seen these images"
            )),
            Self::Nothing => None,
        }
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
fn named<const N: usize>(config: &Table, keys: [&str; N]) -> BTreeSet<PathBuf> {
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
    texts.map(place).collect()
}

/// A path however it is written.
fn place(name: &str) -> PathBuf {
    let path = Path::new(name);
    std::fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_path_buf())
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
        let around = format!("{photos}/../photos/");
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
                vec![&more, &photos],
                held_out,
            ),
            (
                format!("path = ['{photos}', '{more}']"),
                vec![&more],
                Seen::All,
            ),
            ("path = '/moved/away'".into(), vec![&photos], Seen::Unknown),
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
                assert_eq!(Seen::of(&weights, asked, &all).unwrap(), seen, "{data}");
            }
        }
        fs::remove_file(run.join("config.toml")).unwrap();
        let unknown = Seen::of(&run, [photos.as_str()], &all).unwrap();
        assert_eq!(unknown, Seen::Unknown);
    }
}
