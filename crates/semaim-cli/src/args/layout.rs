//! The command line of `semaim inspect` and `semaim export`, and how checkpoints are read.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use semaim::config::Activation;
use semaim_checkpoint::checkpoint::parse_activation;
use semaim_checkpoint::export::ExportFormat;
use semaim_checkpoint::format::CheckpointFormat;
use semaim_checkpoint::tensors::Precision;
use semaim_checkpoint::weights_source::WeightsSource;

use super::{DetectorFileArgs, first_given};

/// How other people's checkpoints are read.
#[derive(Debug, clap::Args)]
pub(crate) struct LayoutArgs {
    /// The checkpoint's layout [default: recognized by its names]: semaim, semaim-authors, timm, moco-v3, dino, dinov2, mae, clip,
    /// open-clip, hf-vit, hf-dinov2 or hf-clip
    #[arg(long, value_parser = |name: &str| name.parse::<CheckpointFormat>())]
    pub(crate) layout: Option<CheckpointFormat>,
    #[command(flatten)]
    pub(crate) told: ToldArgs,
}

/// What a checkpoint does not always say of its network.
#[derive(Debug, clap::Args)]
pub(crate) struct ToldArgs {
    /// Attention heads of a block [default: as the checkpoint or a config.json beside it says, or as all of its layout have]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) heads: Option<u32>,
    /// Activation of the MLPs: gelu, quick-gelu or swiglu [default: as a config.json beside it says, or as all of its layout
    /// have]
    #[arg(long, value_parser = parse_activation)]
    pub(crate) activation: Option<Activation>,
    /// Read an encoder even if tensors of it are missing, which get initial weights, or are not understood, which are left
    /// out
    #[arg(long)]
    pub(crate) allow_partial: bool,
}

impl LayoutArgs {
    /// The encoder at a path, read as told.
    pub(crate) fn source(&self, weights: &Path, image_size: Option<[usize; 2]>) -> WeightsSource {
        self.told.source(weights, self.layout, image_size)
    }

    /// The first option that is given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let layout = self.layout.map(|_| "--layout");
        layout.or(self.told.given())
    }
}

impl ToldArgs {
    /// The first option that is given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        first_given([
            ("--heads", self.heads.is_some()),
            ("--activation", self.activation.is_some()),
            ("--allow-partial", self.allow_partial),
        ])
    }

    fn source(
        &self,
        weights: &Path,
        layout: Option<CheckpointFormat>,
        image_size: Option<[usize; 2]>,
    ) -> WeightsSource {
        WeightsSource {
            weights: weights.to_path_buf(),
            layout,
            num_heads: self.heads.map(|heads| heads as usize),
            activation: self.activation,
            image_size,
            allow_partial: self.allow_partial,
        }
    }
}

/// The largest side of images that is taken, in pixels.
const LARGEST: usize = 8192;

/// `224`, or `224x336` as height and width.
pub(crate) fn parse_image_size(text: &str) -> Result<[usize; 2], String> {
    let side = |text: &str| match text.trim().parse::<usize>() {
        Ok(side) if (1..=LARGEST).contains(&side) => Ok(side),
        _ => Err(format!("a side is a number from 1 to {LARGEST}")),
    };
    match text.split_once('x') {
        Some((height, width)) => Ok([side(height)?, side(width)?]),
        None => side(text).map(|side| [side, side]),
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    /// The checkpoint: a file (.safetensors, .pth, .pt, .bin), a run directory, or a folder with model.safetensors
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) layout: LayoutArgs,
    /// Size of the images that its position table is for, as SIDE or HEIGHTxWIDTH, where they are not square
    #[arg(long, value_name = "SIZE", value_parser = parse_image_size)]
    pub(crate) image_size: Option<[usize; 2]>,
    /// List every tensor with its shape and type
    #[arg(long)]
    pub(crate) tensors: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// The encoder: a run directory, or a checkpoint in any layout that `semaim inspect` knows; for timm, huggingface and onnx
    /// also a run of `semaim finetune`, for onnx one of `semaim segment`, which are written with their heads; for detectron2 and onnx
    /// a detector: a run of `semaim detect`, a detector's file, or one of detectron2's (ViTDet's .pkl or .pth)
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: PathBuf,
    /// The library to write for; for a detector detectron2, onnx or semaim
    #[arg(long = "layout", value_enum, default_value = "timm")]
    pub(crate) format: FormatArg,
    /// The file to write (.safetensors), or a folder for its model.safetensors; for timm a config.json, for huggingface also a
    /// preprocessor_config.json are put into the folder, or NAME.config.json and so on beside the file; for detectron2 also .pkl,
    /// as its models are published; for onnx .onnx
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// Type of the numbers
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) dtype: DtypeArg,
    /// Size of the images in pixels, as SIDE or HEIGHTxWIDTH [default: the encoder's]; the position table is resized
    #[arg(long, value_name = "SIZE", value_parser = parse_image_size)]
    pub(crate) image_size: Option<[usize; 2]>,
    /// For onnx: a graph for images of any size whose sides are multiples of the patch size [default: of one size]
    #[arg(long, conflicts_with = "image_size")]
    pub(crate) dynamic_size: bool,
    /// Write the whole model of a run directory, with its decoder (semaim and mae)
    #[arg(long)]
    pub(crate) whole: bool,
    /// Write only the encoder of a classifier; otherwise timm and huggingface get the head, too, with the names of its classes
    #[arg(long)]
    pub(crate) without_head: bool,
    /// The layout of --weights [default: recognized by its names]
    #[arg(long = "from-layout", value_parser = |name: &str| name.parse::<CheckpointFormat>())]
    pub(crate) from: Option<CheckpointFormat>,
    #[command(flatten)]
    pub(crate) told: ToldArgs,
    #[command(flatten)]
    pub(crate) detector: DetectorFileArgs,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl ExportArgs {
    /// The first option given that ONNX files have no use for.
    pub(crate) fn not_for_onnx(&self) -> Option<&'static str> {
        first_given([
            ("--dtype", !matches!(self.dtype, DtypeArg::F32)),
            ("--whole", self.whole),
            ("--without-head", self.without_head),
        ])
    }

    pub(crate) fn source(&self) -> WeightsSource {
        self.told.source(&self.weights, self.from, self.image_size)
    }
}

/// For whom weights are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// timm's vision transformers
    Timm,
    /// Hugging Face's transformers
    Huggingface,
    /// The published code of masked autoencoders
    Mae,
    /// semaim itself
    Semaim,
    /// detectron2's ViTDet (detectors)
    Detectron2,
    /// ONNX: a graph that onnxruntime and others run (encoders, classifiers, detectors, segmenters)
    Onnx,
}

impl FormatArg {
    /// The format of an encoder's weights; `None` of what is for detectors or is no weights alone.
    pub(crate) fn format(self) -> Option<ExportFormat> {
        match self {
            Self::Timm => Some(ExportFormat::Timm),
            Self::Huggingface => Some(ExportFormat::HuggingFace),
            Self::Mae => Some(ExportFormat::Mae),
            Self::Semaim => Some(ExportFormat::Semaim),
            Self::Detectron2 | Self::Onnx => None,
        }
    }
}

/// The choice of [`Precision`].
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DtypeArg {
    /// Single precision
    F32,
    /// Half precision
    F16,
    /// bfloat16
    Bf16,
}

impl DtypeArg {
    pub(crate) fn precision(self) -> Precision {
        match self {
            Self::F32 => Precision::F32,
            Self::F16 => Precision::F16,
            Self::Bf16 => Precision::Bf16,
        }
    }
}
