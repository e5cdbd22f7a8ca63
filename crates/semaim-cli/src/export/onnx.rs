//! Encoders, classifiers, detectors and segmenters as ONNX files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn::tensor::Device;
use semaim::config::covered;
use semaim::position::Interpolation;
use semaim_checkpoint::atomic;
use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_checkpoint::model_file::{ModelFile, ModelKind};
use semaim_eval::detect::detector::Detector;
use semaim_eval::detect::file::DetectorFile;
use semaim_eval::segment::segmenter::{TestSize, TrainedSegmenter};
use semaim_onnx::{About, ImageSize, Model, OnnxError, classifier, detector, encoder, segmenter};
use semaim_segment::config::InferenceMode;
use serde_json::{Value, json};

use crate::args::ExportArgs;
use crate::detector_file;
use crate::encoder::{tell, tell_resizing};
use crate::exit::Exit;
use crate::output;

pub(super) fn run(args: &ExportArgs) -> Result<ExitCode, Exit> {
    if let Some(option) = args.not_for_onnx() {
        return Err(Exit::user(format!(
            "{option} is of no use with --layout onnx"
        )));
    }
    let to = file(&args.to)?;
    let heads = args.told.heads.map(|heads| heads as usize);
    let (kind, model) = match detector_file::open(&args.weights, &args.detector, heads)? {
        Some(file) => ("detector", a_detector(args, file)?),
        None => without_objects(args)?,
    };
    output::create_folder_of(&to)
        .and_then(|()| atomic::write_bytes(&to, &model.bytes()))
        .map_err(|error| Exit::user(format!("writing {}: {error}", to.display())))?;
    let (constants, nodes) = model.counts();
    match args.json {
        true => println!(
            "{}",
            json!({"file": to, "layout": "onnx", "kind": kind, "tensors": constants, "nodes": nodes})
        ),
        false => println!("{kind} of {nodes} nodes, layout onnx, in {}", to.display()),
    }
    Ok(ExitCode::SUCCESS)
}

/// A model of any kind but a detector, and what it is.
fn without_objects(args: &ExportArgs) -> Result<(&'static str, Model), Exit> {
    if let Some(option) = args.detector.given() {
        return Err(Exit::user(format!(
            "{option} is for detectors; {} holds none",
            args.weights.display()
        )));
    }
    let kind = ModelFile::kind_at(&args.weights);
    if matches!(kind, Some(ModelKind::Classifier | ModelKind::Segmenter)) {
        refuse_how_to_read(args)?;
    }
    Ok(match kind {
        Some(ModelKind::Classifier) => ("classifier", a_classifier(args)?),
        Some(ModelKind::Segmenter) => ("segmenter", a_segmenter(args)?),
        Some(ModelKind::Detector) | None => ("encoder", an_encoder(args)?),
    })
}

/// Refuses options that say how a checkpoint of others is to be read, for a file that says it itself.
fn refuse_how_to_read(args: &ExportArgs) -> Result<(), Exit> {
    let given = args.from.map(|_| "--from-layout");
    match given.or(args.told.given()) {
        None => Ok(()),
        Some(option) => Err(Exit::user(format!(
            "{option}: {} says itself how it is to be read; leave it out",
            args.weights.display()
        ))),
    }
}

/// The file to write: itself, or model.onnx in a folder.
fn file(to: &Path) -> Result<PathBuf, Exit> {
    match to.extension() {
        Some(extension) if extension == "onnx" => Ok(to.to_path_buf()),
        None => Ok(to.join("model.onnx")),
        Some(_) if to.is_dir() => Ok(to.join("model.onnx")),
        Some(_) => Err(Exit::user(format!(
            "--to {}: --layout onnx writes .onnx files, or into a folder",
            to.display()
        ))),
    }
}

fn failed(error: OnnxError) -> Exit {
    match error {
        OnnxError::NotDynamic { .. }
        | OnnxError::FewPatches { .. }
        | OnnxError::TooLarge { .. } => Exit::user(error),
        OnnxError::Weights(_) | OnnxError::Missing { .. } => Exit::ours(error),
    }
}

fn size(args: &ExportArgs, interpolation: Interpolation) -> ImageSize {
    match args.dynamic_size {
        true => ImageSize::Dynamic(interpolation),
        false => ImageSize::Fixed,
    }
}

/// How images are shown to encoders and classifiers: resized so that they just cover `cover`, of square views its short side.
fn center(image_size: [usize; 2]) -> Value {
    let [height, width] = image_size;
    let [rows, columns] = covered(image_size);
    let mut resize = json!({
        "cover": {"height": rows, "width": columns},
        "longer_side": "cut off to whole pixels, not rounded",
        "interpolation": "bicubic",
        "antialias": true,
        "center_crop": {"height": height, "width": width},
    });
    if rows == columns {
        resize["shortest_edge"] = json!(rows);
    }
    resize
}

fn an_encoder(args: &ExportArgs) -> Result<Model, Exit> {
    let source = args.source();
    let checkpoint = Checkpoint::read(&source).map_err(Exit::user)?;
    tell(&checkpoint);
    tell_resizing(&checkpoint, &source, args.image_size);
    let mut found = checkpoint.encoder(&Device::flex()).map_err(Exit::user)?;
    if let Some(image_size) = args.image_size {
        found = found.resized(image_size).map_err(Exit::user)?;
    }
    let about = About {
        normalization: &found.normalization,
        classes: &[],
        resize: center(found.config.image_size),
    };
    let size = size(args, found.interpolation);
    encoder(&found.vit, &found.config, size, &about).map_err(failed)
}

fn a_classifier(args: &ExportArgs) -> Result<Model, Exit> {
    let mut file = ModelFile::read(&args.weights).map_err(Exit::user)?;
    file.check_finite(&args.weights).map_err(Exit::user)?;
    let mut model = file.classifier(&Device::flex()).map_err(Exit::user)?;
    if let Some(image_size) = args.image_size {
        file.config.image_size = image_size;
        file.config.validate().map_err(Exit::user)?;
        let (grid, by) = (file.config.grid(), file.interpolation);
        model.encoder = model.encoder.resized(grid, by).map_err(Exit::ours)?;
    }
    let about = About {
        normalization: &file.normalization,
        classes: &file.classes,
        resize: center(file.config.image_size),
    };
    let size = size(args, file.interpolation);
    classifier(&model, &file.config, size, &about).map_err(failed)
}

fn a_detector(args: &ExportArgs, file: DetectorFile) -> Result<Model, Exit> {
    for (given, option, instead) in [
        (
            args.image_size.is_some(),
            "--image-size",
            "; its images are of the canvas: --set detector.canvas=SIDE",
        ),
        (
            args.dynamic_size,
            "--dynamic-size",
            ", whose images are of one size",
        ),
        (args.from.is_some(), "--from-layout", ""),
    ] {
        if given {
            let weights = args.weights.display();
            return Err(Exit::user(format!(
                "{option}: {weights} is a detector{instead}"
            )));
        }
    }
    file.model.check_finite(&file.path).map_err(Exit::user)?;
    let Detector { model, info } =
        Detector::of_file(file.model, &file.path, &Device::flex()).map_err(Exit::user)?;
    let (canvas, inference) = (model.config().canvas, &model.config().inference);
    let about = About {
        normalization: &info.normalization,
        classes: &info.classes,
        resize: json!({
            "fit": {"height": canvas, "width": canvas},
            "interpolation": "bicubic",
            "antialias": true,
            "pad": "zeros below and to the right, after the values are normalized",
            "mask_threshold": inference.mask,
            "masks_trained": info.settings.masks,
            "category_ids": info.settings.category_ids,
        }),
    };
    detector(&model, &info.config, &info.arch, &about).map_err(failed)
}

fn a_segmenter(args: &ExportArgs) -> Result<Model, Exit> {
    let file = ModelFile::read(&args.weights).map_err(Exit::user)?;
    let TrainedSegmenter { mut model, info } =
        TrainedSegmenter::of_file(file, &args.weights, &Device::flex()).map_err(Exit::user)?;
    let mut config = info.config.clone();
    let mut inference = info.settings.segmenter.inference.clone();
    let mut to = info.settings.size;
    if inference.square && args.dynamic_size {
        eprintln!(
            "note: this segmenter was trained on images in a square, to which `predict` pads others with zeros at the bottom and at the right; \
             the graph does not"
        );
    }
    let is_padded_alike = inference.square && to == TestSize::LongSide(inference.crop);
    if inference.mode == InferenceMode::Whole && !is_padded_alike && !args.dynamic_size {
        eprintln!(
            "note: this segmenter sees images whole, and the graph takes one size alone: of images of other proportions `predict` says \
             something else; --dynamic-size, for linear heads, makes a graph of any size"
        );
    }
    if let Some(image_size) = args.image_size {
        let [height, width] = image_size;
        if height != width {
            return Err(Exit::user(format!(
                "--image-size {height}x{width}: a segmenter's window is square, and images seen whole fit into a square"
            )));
        }
        // What the graph's images are cut or fitted to, as a segmenter of this size has it.
        (inference.crop, inference.stride) = (height, (2 * height / 3).max(1));
        to = match (to, inference.mode) {
            (_, InferenceMode::Whole) => TestSize::LongSide(height),
            (TestSize::LongSide(side), _) => TestSize::LongSide(side.max(height)),
            (TestSize::ShortSide(side), _) => TestSize::ShortSide(side.max(height)),
        };
        config.image_size = image_size;
        config.validate().map_err(Exit::user)?;
        let resized = model.encoder.resized(config.grid(), Interpolation::Bicubic);
        model.encoder = resized.map_err(Exit::ours)?;
    }
    let about = About {
        normalization: &info.normalization,
        classes: &info.classes,
        resize: json!({
            "to": to,
            "interpolation": "bicubic",
            "antialias": true,
            "pad": "zeros below and to the right, after the values are normalized",
            "inference": inference,
            "values": info.settings.values,
        }),
    };
    segmenter(&model, &config, size(args, Interpolation::Bicubic), &about).map_err(failed)
}
