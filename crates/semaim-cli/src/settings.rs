//! Options of the command line as the uppermost layer of a configuration.

use std::path::{Path, PathBuf};

use semaim_checkpoint::checkpoint::activation_name;
use semaim_config::{Layers, Validate, recorded};
use semaim_train::ranks;
use serde_json::Value;
use toml::Table;

use crate::args::{LayoutArgs, RunArgs};
use crate::exit::Exit;

/// The options that say which encoder is meant and how it is read.
pub(crate) fn encoder(
    weights: Option<&Path>,
    layout: &LayoutArgs,
) -> Vec<(&'static str, Option<String>)> {
    let weights = weights.map(|path| path.to_string_lossy());
    let (layout, told) = (layout.layout, &layout.told);
    vec![
        ("encoder.weights", quoted(weights.as_deref())),
        ("encoder.layout", quoted(layout.map(|layout| layout.name()))),
        (
            "encoder.num_heads",
            told.heads.map(|heads| heads.to_string()),
        ),
        (
            "encoder.activation",
            quoted(told.activation.map(activation_name)),
        ),
        (
            "encoder.allow_partial",
            told.allow_partial.then(|| "true".into()),
        ),
    ]
}

/// The run directory: the one named, or else `runs/NAME` after the recipe, the configuration file, or what is usual.
pub(crate) fn out_dir(
    out: Option<&Path>,
    recipe: Option<&str>,
    run: &RunArgs,
    usual: &str,
) -> PathBuf {
    if let Some(out) = out {
        return out.to_path_buf();
    }
    let stem = run.config.as_ref().and_then(|path| path.file_stem());
    let name = recipe.map(Path::new).or(stem.map(Path::new));
    PathBuf::from("runs").join(name.unwrap_or(Path::new(usual)))
}

/// A text as TOML writes it.
pub(crate) fn quoted(text: Option<&str>) -> Option<String> {
    text.map(|text| Value::from(text).to_string())
}

/// Data sets as a setting names them: one as a text, several as a list.
pub(crate) fn data_names(names: &[String]) -> Option<String> {
    match names {
        [] => None,
        [name] => quoted(Some(name)),
        names => Some(Value::from(names).to_string()),
    }
}

/// The settings of one's own that a run starts from: its file, then each `--set`.
pub(crate) fn own(run: &RunArgs) -> Result<Layers, Exit> {
    let mut layers = Layers::new();
    if let Some(path) = &run.config {
        layers = layers.file(path)?;
    }
    Ok(layers.sets(&run.set)?)
}

/// The options that every run has of its settings.
pub(crate) fn of_run(run: &RunArgs) -> [(&'static str, Option<String>); 2] {
    [
        ("seed", run.seed.map(|seed| seed.to_string())),
        ("train.on_nan", quoted(run.on_nan.as_deref())),
    ]
}

/// Lays options that stand for settings on top, where they are given. A setting that is given by `--set` as well is refused: which is
/// meant is not known.
pub(crate) fn with_options(
    mut layers: Layers,
    sets: &[String],
    options: &[(impl AsRef<str>, Option<String>)],
) -> Result<Layers, Exit> {
    let sets = Layers::new().sets(sets)?;
    for (key, value) in options {
        let (key, Some(value)) = (key.as_ref(), value) else {
            continue;
        };
        if sets.names(key)? {
            return Err(Exit::user(format!(
                "{key} is given twice: by --set and by the option that stands for it; leave one of them out"
            )));
        }
        layers = layers.set(&format!("{key}={value}"))?;
    }
    Ok(layers)
}

/// Takes back what a file says in another form than the options do, such as a file of annotations where `--data` is given; what `--set`
/// gives stays.
pub(crate) fn without<'a>(
    mut layers: Layers,
    sets: &[String],
    keys: impl IntoIterator<Item = &'a str>,
) -> Result<Layers, Exit> {
    let sets = Layers::new().sets(sets)?;
    for key in keys {
        if !sets.names(key)? {
            layers = layers.set(&format!("{key}=''"))?;
        }
    }
    Ok(layers)
}

/// Of several forms of saying what images are meant, the keys that say it otherwise than the options that are given. Each form is
/// whether its option is given, and the key of that.
pub(crate) fn other_forms<'a>(forms: &[(bool, &'a str)], images: &'a str) -> Vec<&'a str> {
    if !forms.iter().any(|(is_given, _)| *is_given) {
        return Vec::new();
    }
    let others = forms.iter().filter(|(is_given, _)| !is_given);
    others.map(|(_, key)| *key).chain([images]).collect()
}

/// Warns of settings that were made for a run and that it does not look at, as [`unused`] has them, and of what else is to be said of
/// its settings. Of several processes the first does.
pub(crate) fn warn(
    unused_settings: &[(&str, &str)],
    own: &Layers,
    others: impl IntoIterator<Item = String>,
) -> Result<(), Exit> {
    if ranks::current().is_root() {
        for line in unused(unused_settings, own)?.into_iter().chain(others) {
            eprintln!("warning: {line}");
        }
    }
    Ok(())
}

/// What a run does not look at of the settings that were made for it, if there are such, in a line; `unused` are the keys and the
/// reasons.
pub(crate) fn unused(unused: &[(&str, &str)], own: &Layers) -> Result<Option<String>, Exit> {
    let mut named = Vec::new();
    for (key, why) in unused {
        if own.names(key)? {
            named.push(format!("{key} ({why})"));
        }
    }
    Ok((!named.is_empty()).then(|| format!("without effect on training: {}", named.join(", "))))
}

/// The configuration that a run directory holds, if it holds one.
pub(crate) fn recorded_at<T: Validate>(out: &Path) -> Result<Option<Table>, Exit> {
    let path = out.join("config.toml");
    let failed = |message: String| Exit::user(format!("{}: {message}", path.display()));
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    let table = recorded::<T>(&text);
    table
        .map(Some)
        .map_err(|error| failed(error.message().to_string()))
}

/// Lays under all in how many parts a batch is computed, where nobody says it: as the run in `out` has it, which goes on so on
/// another number of processes, or one for each of several.
pub(crate) fn in_parts<T: Validate>(layers: Layers, out: &Path) -> Result<Layers, Exit> {
    let key = "grad_accum_steps";
    let processes = ranks::current().count();
    let (parts, name) = match recorded_at::<T>(out)? {
        Some(before) => (
            before
                .get("train")
                .and_then(|train| train.get(key)?.as_integer()),
            out.join("config.toml").display().to_string(),
        ),
        None => (
            (processes > 1).then_some(processes as i64),
            format!("a part for each of {processes} processes"),
        ),
    };
    let Some(parts) = parts else {
        return Ok(layers);
    };
    let below = Layers::new().text(name, &format!("[train]\n{key} = {parts}\n"))?;
    Ok(below.under(&layers))
}

#[cfg(test)]
mod tests {
    use semaim_config::{Layers, Validate, to_toml};
    use semaim_eval::compare::config::CompareConfig;
    use semaim_eval::detect::config::DetectConfig;
    use semaim_eval::finetune::config::FinetuneConfig;
    use semaim_eval::segment::config::SegmentConfig;
    use semaim_train::config::PretrainConfig;
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use toml::{Table, Value};

    /// Every number of a configuration, with how a value of it is written.
    fn numbers(table: &Table, path: &str, found: &mut Vec<(String, bool, usize)>) {
        for (key, value) in table {
            let key = format!("{path}{key}");
            match value {
                Value::Table(below) => numbers(below, &format!("{key}."), found),
                Value::Integer(_) => found.push((key, false, 1)),
                Value::Float(_) => found.push((key, true, 1)),
                Value::Array(values) => match values.first() {
                    Some(Value::Integer(_)) => found.push((key, false, values.len())),
                    Some(Value::Float(_)) => found.push((key, true, values.len())),
                    _ => {}
                },
                _ => {}
            }
        }
    }

    /// Sets each number to what no setting can be.
    fn each_is_checked<T>(given: &[&str])
    where
        T: Serialize + DeserializeOwned + Default + Validate,
    {
        let text = to_toml(&T::default()).unwrap();
        let mut found = Vec::new();
        numbers(&text.parse().unwrap(), "", &mut found);
        assert!(found.len() > 5);
        let given = Layers::new().sets(given).unwrap();
        let mut taken = Vec::new();
        for (key, fraction, count) in found {
            let bad: &[&str] = match fraction {
                true => &["nan", "inf", "-inf", "-1e30"],
                false => &["-1", "0.5"],
            };
            for value in bad {
                let list = format!("[{}]", vec![*value; count].join(","));
                let text = if count > 1 { &list } else { *value };
                let layers = given.clone().set(&format!("{key}={text}")).unwrap();
                if layers.load::<T>().is_ok() {
                    taken.push(format!("{key}={text}"));
                }
            }
        }
        assert!(taken.is_empty(), "{taken:?}");
    }

    #[test]
    fn every_number_of_a_configuration_has_its_range() {
        each_is_checked::<PretrainConfig>(&[]);
        each_is_checked::<FinetuneConfig>(&["encoder.weights=x", "data.path=y"]);
        each_is_checked::<DetectConfig>(&["encoder.weights=x", "data.path=y"]);
        each_is_checked::<SegmentConfig>(&["encoder.weights=x", "data.path=y"]);
        each_is_checked::<CompareConfig>(&[]);
    }
}
