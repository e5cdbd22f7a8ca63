//! `semaim export`.

mod detector;
mod onnx;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use semaim::parameters::Weights;
use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_checkpoint::export::{ExportFormat, Head};
use semaim_checkpoint::model_file::{ModelFile, ModelKind};
use semaim_checkpoint::tensors::TensorFile;
use semaim_data::counted;
use semaim_train::run_dir::checkpoints;
use semaim_train::state::MODEL;
use serde_json::json;

use crate::args::{ExportArgs, FormatArg};
use crate::detector_file;
use crate::encoder::{tell, tell_resizing};
use crate::exit::Exit;
use crate::output::{self, Inputs};

pub(crate) fn run(args: &ExportArgs) -> Result<ExitCode, Exit> {
    if args.format == FormatArg::Onnx {
        return onnx::run(args);
    }
    let kind = ModelFile::kind_at(&args.weights);
    if args.without_head && kind != Some(ModelKind::Classifier) {
        return Err(Exit::user(format!(
            "--without-head is for classifiers; {} is none",
            args.weights.display()
        )));
    }
    if args.dynamic_size {
        return Err(Exit::user("--dynamic-size is for --layout onnx"));
    }
    let heads = args.told.heads.map(|heads| heads as usize);
    if let Some(file) = detector_file::open(&args.weights, &args.detector, heads)? {
        return detector::run(args, file);
    }
    let format = args.format.format().ok_or_else(|| {
        Exit::user(format!(
            "--layout detectron2 is for detectors; {} holds none",
            args.weights.display()
        ))
    })?;
    if let Some(option) = args.detector.given() {
        return Err(Exit::user(format!(
            "{option} is for detectors; {} holds none",
            args.weights.display()
        )));
    }
    let source = args.source();
    let mut found = Checkpoint::read(&source).map_err(Exit::user)?;
    for (name, count) in &found.loading.not_finite {
        let numbers = counted(*count, "number");
        eprintln!(
            "warning: {name}: NaN or infinite in {numbers}; no command computes with such weights"
        );
    }
    tell(&found);
    tell_resizing(&found, &source, args.image_size);
    let decoder = match args.whole {
        true => Some(whole(args, format, &mut found)?),
        false => None,
    };
    if let Some(image_size) = args.image_size {
        found = found.resized(image_size).map_err(Exit::user)?;
    }
    let with_head =
        kind == Some(ModelKind::Classifier) && format.has_classifiers() && !args.without_head;
    let head = match with_head {
        true => Some(Head::of(
            &ModelFile::read(&args.weights).map_err(Exit::user)?,
        )),
        false => None,
    };
    if kind == Some(ModelKind::Classifier) && !with_head && !args.without_head {
        eprintln!(
            "note: layout {} has no classifiers: the encoder is written without its head (--without-head says so)",
            format.name()
        );
    }
    let mut exported = found.export(format, head.as_ref()).map_err(Exit::user)?;
    exported.file.weights.extend(decoder.unwrap_or_default());
    let to = file(&args.to)?;
    refuse_to_replace(&found.path, &to)?;
    let beside = exported
        .write(&to, args.dtype.precision())
        .map_err(Exit::user)?;
    for note in &exported.notes {
        eprintln!("note: {note}");
    }
    let tensors = exported.file.weights.len();
    if args.json {
        println!(
            "{}",
            json!({"file": to, "beside": beside, "layout": format.name(), "tensors": tensors})
        );
    } else {
        println!(
            "{tensors} tensors, layout {}, in {}",
            format.name(),
            to.display()
        );
        for path in beside {
            println!("beside it  {}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The file to write: itself, or model.safetensors in a folder, which is made if need be.
fn file(to: &Path) -> Result<PathBuf, Exit> {
    let folder = to.is_dir() || to.extension().is_none();
    if folder {
        let failed = |error| Exit::user(format!("{}: {error}", to.display()));
        std::fs::create_dir_all(to).map_err(failed)?;
        return Ok(to.join("model.safetensors"));
    }
    match to.extension().is_some_and(|e| e == "safetensors") {
        true => {
            let failed = |error| Exit::user(format!("{}: {error}", to.display()));
            output::create_folder_of(to).map_err(failed)?;
            Ok(to.to_path_buf())
        }
        false => Err(Exit::user(format!(
            "--to {}: only .safetensors files are written, or a folder for one",
            to.display()
        ))),
    }
}

/// Refuses to write over the weights that are exported.
fn refuse_to_replace(weights: &Path, to: &Path) -> Result<(), Exit> {
    let inputs = Inputs {
        weights: Some(weights),
        ..Inputs::default()
    };
    inputs.refuse(&[to])
}

/// Puts the encoder of a run's newest checkpoint into `found`; gives the rest of the model.
fn whole(args: &ExportArgs, format: ExportFormat, found: &mut Checkpoint) -> Result<Weights, Exit> {
    let wrong = |message: &str| Exit::user(format!("--whole: {message}"));
    if args.image_size.is_some() {
        return Err(wrong(
            "a decoder is of one image size; leave --image-size out",
        ));
    }
    if !args.weights.is_dir() {
        return Err(wrong("needs a run directory as --weights"));
    }
    let newest = checkpoints(&args.weights)?.into_iter().next_back();
    let (_, path) = newest.ok_or_else(|| wrong("the run directory has no checkpoint"))?;
    let all = TensorFile::read(&path).map_err(Exit::user)?.weights;
    let model = all.into_iter().filter_map(|(name, weight)| {
        let name = name.strip_prefix(MODEL)?;
        Some((name.to_string(), weight))
    });
    let (encoder, decoder): (Weights, Weights) =
        model.partition(|(name, _)| found.weights.contains_key(name));
    let fits = match format {
        ExportFormat::Semaim => decoder
            .keys()
            .any(|name| name.starts_with("prediction_head")),
        ExportFormat::Mae => decoder.keys().any(|name| name.starts_with("decoder_pred")),
        ExportFormat::Timm | ExportFormat::HuggingFace => false,
    };
    if !fits {
        return Err(wrong(
            "the layout must be the model's own: semaim for SemAIM, mae for a masked autoencoder",
        ));
    }
    found.weights = encoder;
    Ok(decoder)
}
