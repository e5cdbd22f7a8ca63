//! What a pre-training run starts from: any encoder that can be read, brought into the network that the settings describe, and
//! its teacher. The run keeps a record of both.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use semaim::config::{ArchOptions, VitConfig};
use semaim::position::Interpolation;
use semaim_checkpoint::atomic;
use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_checkpoint::digest::sha256;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::error::EncoderError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::PretrainConfig;
use crate::error::TrainError;
use crate::ranks;
use crate::run_dir::checkpoints;

/// The file of a [`StartRecord`] in a run directory.
const RECORD: &str = "start.json";

/// Where the weights of a run came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRecord {
    /// The file that was read.
    pub weights: PathBuf,
    /// Its SHA-256; of a file in shards that of their index.
    pub sha256: String,
    /// Its layout.
    pub layout: String,
    /// Steps after which it was saved, where it is the encoder of another run.
    pub step: Option<u64>,
    /// What was done to fit them into the run's network, for people to read.
    pub notes: Vec<String>,
}

impl StartRecord {
    /// The record of a run directory; `None` of a run that started from nothing.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub fn read(run: &Path) -> Result<Option<Self>, TrainError> {
        kept(&run.join(RECORD))
    }

    /// Writes it into a run directory.
    ///
    /// # Errors
    /// The file system.
    pub(crate) fn write(&self, run: &Path) -> Result<(), TrainError> {
        keep(&run.join(RECORD), self)
    }
}

/// The file in a run directory that holds [`Encoder::checksum`] of the run's teacher.
const TEACHER: &str = "teacher.json";

/// Holds a run to its teacher: a run that begins keeps the checksum, one that goes on with another is refused. (Runs that began before
/// there were such records are not.)
///
/// # Errors
/// [`TrainError::Teacher`], and the file system.
pub(crate) fn keep_teacher(
    run: &Path,
    weights: &Path,
    teacher: &Encoder,
    has_begun: bool,
) -> Result<(), TrainError> {
    let path = run.join(TEACHER);
    let checksum = teacher.checksum()?;
    if !has_begun {
        return match ranks::current().is_root() {
            true => keep(
                &path,
                &json!({"weights": absolute(weights), "checksum": checksum}),
            ),
            false => Ok(()),
        };
    }
    let Some(record) = kept::<Value>(&path)? else {
        return Ok(());
    };
    match record.get("checksum") == Some(&json!(checksum)) {
        true => Ok(()),
        false => Err(TrainError::Teacher {
            path: weights.to_path_buf(),
            run: run.to_path_buf(),
        }),
    }
}

/// Reads the encoder that a run starts from, fitted to the run's network; `None` where it starts from nothing.
///
/// Positions are resized as the weights' own library does it, the patch embedding is adapted to other numbers of channels,
/// LayerScale is multiplied into the layers that it scales, and a projection of the final tokens is left out.
///
/// # Errors
/// A file that cannot be read, or a network of other sizes or another kind, by the name of the setting.
pub fn initial_encoder(
    config: &PretrainConfig,
    device: &Device,
) -> Result<Option<(Encoder, StartRecord)>, TrainError> {
    if !config.encoder.is_named() {
        return Ok(None);
    }
    let checkpoint = Checkpoint::read(&config.encoder)?;
    check_network(config, &checkpoint)?;
    let mut notes = checkpoint.notes();
    if checkpoint.weights.contains_key("blocks.0.ls1.gamma") {
        notes.push("LayerScale is multiplied into the layers that it scales".into());
    }
    let mut record = StartRecord {
        sha256: sha256(&checkpoint.path)?,
        layout: checkpoint.loading.format.name().into(),
        step: step_of(&config.encoder.weights),
        weights: absolute(&checkpoint.path),
        notes: Vec::new(),
    };
    let mut encoder = checkpoint.encoder(device)?;
    if encoder.vit.projection.take().is_some() {
        notes.push("the projection of its final tokens is left out".into());
    }
    let (model, found) = (&config.model, encoder.config.clone());
    if model.channels != found.channels {
        notes.push(format!(
            "its patch embedding for {} channels is {} for {}, as timm does it",
            found.channels,
            if model.channels == 1 {
                "added up"
            } else {
                "repeated"
            },
            model.channels
        ));
        encoder = encoder.with_channels(model.channels)?;
    }
    if model.image_size != found.image_size {
        let (from, to) = (found.grid(), model.grid());
        notes.push(format!(
            "its positions on {} x {} patches are resized to {} x {}, {}",
            from.rows,
            from.columns,
            to.rows,
            to.columns,
            match encoder.interpolation {
                Interpolation::Bicubic => "bicubically",
                Interpolation::Antialiased => "bicubically and antialiased",
                Interpolation::Offset => "bicubically, as DINO does it",
            }
        ));
        encoder = encoder.resized(model.image_size)?;
    }
    record.notes = notes;
    Ok(Some((encoder, record)))
}

/// Refuses weights of another network than the settings describe, and weights that are not finite. Image size and channels
/// can be fitted.
///
/// # Errors
/// The first setting that differs, by its name.
pub fn check_network(config: &PretrainConfig, found: &Checkpoint) -> Result<(), TrainError> {
    if let Some((name, count)) = found.loading.not_finite.first() {
        return Err(TrainError::Encoder(EncoderError::NotFinite {
            path: found.path.clone(),
            name: name.clone(),
            count: *count,
        }));
    }
    let (model, theirs) = (&config.model, &found.config);
    let (arch, their_arch) = (&config.arch, &found.arch);
    let ArchOptions {
        epsilon,
        activation,
        registers,
        norm_pre,
        projection: _,
    } = their_arch;
    // Ratios may differ in their last digits and mean the same layer.
    let ratio = |vit: &VitConfig| format!("{:.4} ({} units)", vit.mlp_ratio, vit.mlp_dim());
    let pairs = [
        (
            "model.patch_size",
            model.patch_size.to_string(),
            theirs.patch_size.to_string(),
        ),
        (
            "model.embed_dim",
            model.embed_dim.to_string(),
            theirs.embed_dim.to_string(),
        ),
        (
            "model.depth",
            model.depth.to_string(),
            theirs.depth.to_string(),
        ),
        (
            "model.num_heads",
            model.num_heads.to_string(),
            theirs.num_heads.to_string(),
        ),
        ("model.mlp_ratio", ratio(model), ratio(theirs)),
        (
            "arch.epsilon",
            arch.epsilon.to_string(),
            epsilon.to_string(),
        ),
        (
            "arch.activation",
            format!("{:?}", arch.activation),
            format!("{activation:?}"),
        ),
        (
            "arch.registers",
            arch.registers.to_string(),
            registers.to_string(),
        ),
        (
            "arch.norm_pre",
            arch.norm_pre.to_string(),
            norm_pre.to_string(),
        ),
    ];
    let differs = pairs.into_iter().find(|(_, ours, theirs)| ours != theirs);
    match differs {
        None => Ok(()),
        Some((key, set, found_value)) => Err(TrainError::OtherNetwork {
            path: found.path.clone(),
            key,
            set,
            found: found_value,
        }),
    }
}

/// Writes what a run keeps in a JSON file of its directory.
///
/// # Errors
/// The file system.
pub fn keep(path: &Path, record: &impl Serialize) -> Result<(), TrainError> {
    let text = format!("{:#}\n", json!(record));
    atomic::write_bytes(path, text.as_bytes()).map_err(|source| TrainError::Io {
        action: "writing",
        path: path.to_path_buf(),
        source,
    })
}

/// What a run keeps in a JSON file of its directory; `None` where there is no such file.
///
/// # Errors
/// A file that cannot be read or understood.
pub fn kept<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TrainError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(TrainError::Io {
                action: "reading",
                path: path.to_path_buf(),
                source,
            });
        }
    };
    let kept = serde_json::from_str(&text).map_err(|error| TrainError::Damaged {
        path: path.to_path_buf(),
        message: error.to_string(),
    })?;
    Ok(Some(kept))
}

/// Steps of the newest checkpoint of a run, if `weights` is the directory of one.
pub fn step_of(weights: &Path) -> Option<u64> {
    let is_run = weights.join("config.toml").is_file();
    let newest = is_run.then(|| checkpoints(weights).ok()?.into_iter().next_back());
    newest.flatten().map(|(step, _)| step)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
