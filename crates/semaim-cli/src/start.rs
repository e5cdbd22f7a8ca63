//! What stands below the settings of a pre-training run: the sizes of the weights that it starts from, or what its directory
//! already holds.

use std::path::Path;

use semaim::config::{ArchOptions, Normalization, VitConfig};
use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_config::{Layers, to_toml};
use semaim_data::counted;
use semaim_train::config::PretrainConfig;
use semaim_train::start::check_network;
use serde::Serialize;
use toml::{Table, Value};

use crate::encoder::{tell, tell_resizing};
use crate::exit::Exit;
use crate::settings;

/// The settings of a run in a directory: where it starts from weights, those that nobody set are the weights' own, and once
/// the run is there, what it recorded. A run that was lengthened stays so; `extend` lengthens it to so many epochs in all.
pub(crate) fn settings(
    layers: &Layers,
    out: &Path,
    extend: Option<u64>,
) -> Result<PretrainConfig, Exit> {
    let told: PretrainConfig = layers.load_unchecked()?;
    let before = settings::recorded_at::<PretrainConfig>(out)?;
    let mut below = Table::new();
    let mut weights = None;
    let name = match (&before, told.encoder.is_named()) {
        (Some(before), true) => {
            for key in ["model", "arch"] {
                copy(before, &mut below, key);
            }
            if let Some(of) = table(before, "data") {
                let mut data = Table::new();
                ["mean", "std"]
                    .into_iter()
                    .for_each(|key| copy(of, &mut data, key));
                below.insert("data".into(), Value::Table(data));
            }
            out.join("config.toml").display().to_string()
        }
        (None, true) => {
            let checkpoint = Checkpoint::read(&told.encoder).map_err(Exit::user)?;
            tell(&checkpoint);
            let name = checkpoint.path.display().to_string();
            let size = layers.names("model.image_size")?;
            let size = size.then_some(told.model.image_size);
            tell_resizing(&checkpoint, &told.encoder, size);
            below = sizes(&checkpoint, layers, &told)?;
            weights = Some(checkpoint);
            name
        }
        _ => out.join("config.toml").display().to_string(),
    };
    let ends = before.as_ref().and_then(extensions);
    if let Some(ends) = &ends {
        let ends = ends.iter().map(|&end| Value::Integer(end as i64)).collect();
        let train = Table::from_iter([("extended_to".to_string(), Value::Array(ends))]);
        below.insert("train".into(), Value::Table(train));
    }
    let below = Layers::new().text(name, &below.to_string())?;
    let mut all = settings::in_parts::<PretrainConfig>(below.under(layers), out)?;
    if let Some(epochs) = extend {
        if before.is_none() {
            return Err(Exit::user(format!(
                "--extend lengthens a run that is there; {} holds none",
                out.display()
            )));
        }
        let config: PretrainConfig = all.load()?;
        let mut ends = config.train.extended_to.clone();
        let total = config.train.total_epochs();
        if epochs < total {
            return Err(Exit::user(format!(
                "--extend {epochs}: the run already has {}; --extend takes the new total",
                counted(total, "epoch")
            )));
        }
        if epochs > total {
            ends.push(epochs);
        }
        all = all.set(&format!("train.extended_to={ends:?}"))?;
    }
    let config = all.load()?;
    // Before there is a run directory.
    if let Some(weights) = &weights {
        check_network(&config, weights)?;
    }
    Ok(config)
}

/// The ends of the parts by which a run was lengthened.
fn extensions(before: &Table) -> Option<Vec<u64>> {
    let ends = table(before, "train")?.get("extended_to")?.as_array()?;
    let ends = ends.iter().map(|end| u64::try_from(end.as_integer()?).ok());
    ends.collect()
}

/// What weights say of their network as settings. Their normalization is that of images with as many channels, and of gray ones; images
/// of other channels have figures of their own.
fn sizes(found: &Checkpoint, layers: &Layers, told: &PretrainConfig) -> Result<Table, Exit> {
    #[derive(Serialize)]
    struct Sizes {
        model: VitConfig,
        arch: ArchOptions,
    }
    let channels = found.config.channels;
    let text = to_toml(&Sizes {
        model: found.config.clone(),
        // Tokens are predicted as they are before a projection.
        arch: ArchOptions {
            projection: None,
            ..found.arch.clone()
        },
    })?;
    let mut below: Table = text.parse().map_err(Exit::ours)?;
    let wanted = match layers.names("model.channels")? {
        true => told.model.channels,
        false => channels,
    };
    if wanted == channels || wanted == 1 {
        let floats = |values: &[f32]| -> Value {
            let shortest = |value: &f32| value.to_string().parse().unwrap_or(f64::from(*value));
            Value::Array(
                values
                    .iter()
                    .map(|value| Value::Float(shortest(value)))
                    .collect(),
            )
        };
        let Normalization { mean, std } = found.normalization.for_channels(wanted);
        let data = [("mean", &mean), ("std", &std)];
        let data = data.map(|(key, values)| (key.to_string(), floats(values)));
        below.insert("data".into(), Value::Table(Table::from_iter(data)));
    }
    Ok(below)
}

fn table<'a>(of: &'a Table, key: &str) -> Option<&'a Table> {
    of.get(key)?.as_table()
}

fn copy(from: &Table, to: &mut Table, key: &str) {
    if let Some(value) = from.get(key) {
        to.insert(key.into(), value.clone());
    }
}
