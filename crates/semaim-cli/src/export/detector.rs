//! Detectors for detectron2, and from it.

use std::process::ExitCode;

use burn::tensor::Device;
use semaim_checkpoint::tensors::{Precision, TensorFile};
use semaim_detect::detectron2::to_detectron2;
use semaim_eval::detect::detector::Detector;
use semaim_eval::detect::file::DetectorFile;
use serde_json::json;

use super::refuse_to_replace;
use crate::args::{ExportArgs, FormatArg};
use crate::exit::Exit;
use crate::output;

pub(super) fn run(args: &ExportArgs, file: DetectorFile) -> Result<ExitCode, Exit> {
    for (given, option) in [
        (args.whole, "--whole"),
        (args.image_size.is_some(), "--image-size"),
        (args.from.is_some(), "--from-layout"),
    ] {
        if given {
            return Err(Exit::user(format!(
                "{option} is for encoders; {} is a detector",
                args.weights.display()
            )));
        }
    }
    let (to, precision) = (&args.to, args.dtype.precision());
    let extension = to.extension().unwrap_or_default().to_string_lossy();
    let is_pickle = match (extension.to_lowercase().as_str(), args.format) {
        ("safetensors", _) => false,
        ("pkl", FormatArg::Detectron2) => true,
        _ => {
            return Err(Exit::user(format!(
                "--to {}: a detector is written as .safetensors, for detectron2 also as .pkl",
                to.display()
            )));
        }
    };
    let in_half = precision != Precision::F32;
    if in_half && (is_pickle || args.format == FormatArg::Semaim) {
        return Err(Exit::user(
            "--dtype: such a file has f32 numbers; leave it out",
        ));
    }
    refuse_to_replace(&file.path, to)?;
    output::create_folder_of(to)
        .map_err(|error| Exit::user(format!("{}: {error}", to.display())))?;
    let (tensors, notes, layout) = match args.format {
        FormatArg::Semaim => {
            let tensors = file.model.weights.len();
            file.model.write(to).map_err(Exit::user)?;
            (tensors, Vec::new(), "semaim")
        }
        FormatArg::Detectron2 => {
            let device = Device::flex();
            let detector =
                Detector::of_file(file.model, &file.path, &device).map_err(Exit::user)?;
            let written = to_detectron2(&detector.model, &detector.info.normalization);
            let written = written.map_err(Exit::user)?;
            let tensors = TensorFile {
                weights: written.weights,
                ..TensorFile::default()
            };
            match is_pickle {
                true => tensors.write_pickle(to, "semaim"),
                false => tensors.write_as(to, precision),
            }
            .map_err(Exit::user)?;
            (tensors.weights.len(), written.notes, "detectron2")
        }
        _ => {
            return Err(Exit::user(format!(
                "{} is a detector; it is written with --layout detectron2, onnx or semaim",
                args.weights.display()
            )));
        }
    };
    for note in &notes {
        eprintln!("note: {note}");
    }
    match args.json {
        true => println!(
            "{}",
            json!({"file": to, "beside": [], "layout": layout, "tensors": tensors})
        ),
        false => println!("{tensors} tensors, layout {layout}, in {}", to.display()),
    }
    Ok(ExitCode::SUCCESS)
}
