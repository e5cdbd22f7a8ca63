//! The command line of `semaim bench`.

use std::path::PathBuf;

use clap::Subcommand;
use semaim::config::Size;
use semaim::predicted::PredictedPatches;
use semaim_kernels::{Precision, Recompute};

use super::numbers::positive;
use super::{Choice, DeviceArgs, EncoderArgs, PixelLimit, SelectionArgs, one_of};

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Measure images per second of decoding and augmentation alone, per number of workers.
    Loader(BenchLoaderArgs),
    /// Measure time and memory of one pre-training step on random images, and on the CPU how close it comes to its matrix products
    /// alone.
    ///
    /// Where operations are composed (on every device but the CPU, and with `--kernels composed`), steps are also timed in a row,
    /// as a run takes them, with how often the device was read, which waits for it, and how many kernels were launched.
    Step(BenchStepArgs),
    /// Measure time and memory of embedding random images, and on the CPU how close it comes to its matrix products alone.
    Embed(BenchStepArgs),
    /// Measure how often the order starts on the main object, against the share of the image that the object covers.
    Pointing(BenchPointingArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct BenchPointingArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Objects in COCO's format (instances_*.json); without it, the generated `shapes`
    #[arg(long, value_name = "FILE", requires = "images")]
    pub(crate) coco: Option<PathBuf>,
    /// The folder that the images of --coco are in
    #[arg(long, value_name = "DIR", requires = "coco")]
    pub(crate) images: Option<PathBuf>,
    /// How many images to generate, where --coco is not given
    #[arg(long, default_value_t = 1000, conflicts_with_all = ["coco", "images"], value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) count: u32,
    /// Count a start on any annotated object, not only on the largest
    #[arg(long)]
    pub(crate) any_object: bool,
    /// Measure the encoders of all checkpoints that a run directory keeps (checkpoint.keep_every_epochs), not only its last
    #[arg(long)]
    pub(crate) over_epochs: bool,
    /// Seed of the generated images
    #[arg(long, default_value_t = 0, conflicts_with_all = ["coco", "images"])]
    pub(crate) seed: u64,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BenchStepArgs {
    /// The encoder: vit-ti16, vit-s16, vit-b16, vit-l16 or vit-h14
    #[arg(long, default_value = "vit-ti16", value_parser = BenchModel::parse)]
    pub(crate) model: BenchModel,
    /// Images per step
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) batch: u32,
    /// Side of the images in pixels, a multiple of the patch size
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(u32).range(1..=8192))]
    pub(crate) image_size: u32,
    /// Blocks of the encoder (and of the decoder) [default: the model's]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) depth: Option<u32>,
    /// Steps to measure, after one for warming up
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) steps: u32,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// What the backward pass recomputes to save memory: none, mlp or block
    #[arg(long, value_name = "PART", default_value = "none", value_parser = parse_recompute)]
    pub(crate) recompute: Recompute,
    /// Width of the query stream (decoder.query_dim); if it is given, the products alone are not measured [default: the
    /// encoder's]
    #[arg(long, value_name = "WIDTH", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) query_dim: Option<u32>,
    /// Share of the patches that is predicted (decoder.predict_fraction); below 1 the products alone are not measured
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = positive)]
    pub(crate) predict_fraction: f64,
    /// Which patches are predicted, where not all are (decoder.predict)
    #[arg(long, value_parser = one_of(PREDICTED), default_value = "random")]
    pub(crate) predict: PredictedPatches,
    /// Divisor of the image sides for the order's encoding (order.downscale); above 1 the products alone are not measured
    #[arg(long, value_name = "DIVISOR", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) order_downscale: u32,
    /// Precision of the matrix products; the products alone are measured with f32 only
    #[arg(long, value_parser = one_of(PRECISIONS), default_value = "f32")]
    pub(crate) precision: Precision,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Do not measure the matrix products alone
    #[arg(long)]
    pub(crate) no_bound: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

const PREDICTED: &[Choice<PredictedPatches>] = &[
    (
        "random",
        "At random places of the order",
        PredictedPatches::Random,
    ),
    ("late", "The last ones of the order", PredictedPatches::Late),
];

const PRECISIONS: &[Choice<Precision>] = &[
    ("f32", "32-bit numbers", Precision::F32),
    (
        "bf16",
        "Factors rounded to bf16, sums in 32 bits",
        Precision::Bf16,
    ),
];

fn parse_recompute(text: &str) -> Result<Recompute, String> {
    match text {
        "none" => Ok(Recompute::None),
        "mlp" => Ok(Recompute::Mlp),
        "block" => Ok(Recompute::Block),
        _ => Err("one of none, mlp, block".into()),
    }
}

/// A standard size with its patch size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BenchModel {
    pub(crate) size: Size,
    pub(crate) patch_size: usize,
}

impl BenchModel {
    fn parse(text: &str) -> Result<Self, String> {
        let (size, patch_size) = match text {
            "vit-ti16" => (Size::Tiny, 16),
            "vit-s16" => (Size::Small, 16),
            "vit-b16" => (Size::Base, 16),
            "vit-l16" => (Size::Large, 16),
            "vit-h14" => (Size::Huge, 14),
            _ => return Err("one of vit-ti16, vit-s16, vit-b16, vit-l16, vit-h14".into()),
        };
        Ok(Self { size, patch_size })
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct BenchLoaderArgs {
    #[command(flatten)]
    pub(crate) limit: PixelLimit,
    /// The images, as for `pretrain`; may be repeated
    #[arg(long, value_name = "PATH", default_value = "shapes")]
    pub(crate) data: Vec<String>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Side of the views in pixels
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(u32).range(1..=8192))]
    pub(crate) image_size: u32,
    /// Channels of the views
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) channels: u32,
    /// Numbers of worker threads to measure [default: 1, 2, … up to the number of cores]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Vec<u32>,
    /// Images to prepare per measurement
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) images: u64,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
