//! The command line.

mod bench;
mod coco_eval;
mod detect;
mod detector_file;
mod encoder;
mod layout;
mod model;
mod numbers;
mod pictures;
mod segment;
mod selection;
mod shell;
mod stats;
mod train;

use burn::tensor::Device;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use semaim_data::OpenOptions;
use semaim_kernels::{Kernels, Precision};

pub(crate) use bench::{Bench, BenchLoaderArgs, BenchPointingArgs, BenchStepArgs};
pub(crate) use coco_eval::{CocoEvalArgs, IouTypeArg};
pub(crate) use detect::DetectArgs;
pub(crate) use detector_file::DetectorFileArgs;
pub(crate) use encoder::{EmbedArgs, EncoderArgs, KNN_TEMPERATURE, KnnArgs, MapsArgs, ProbeArgs};
pub(crate) use layout::{ExportArgs, FormatArg, InspectArgs, LayoutArgs, parse_image_size};
pub(crate) use model::{EvaluateArgs, PredictArgs};
pub(crate) use numbers::count;
pub(crate) use pictures::{ReportArgs, ShowArgs};
pub(crate) use segment::SegmentArgs;
pub(crate) use selection::SelectionArgs;
pub(crate) use shell::{CompletionsArgs, ManArgs};
pub(crate) use stats::StatsArgs;
pub(crate) use train::{CompareArgs, FinetuneArgs, PretrainArgs, RunArgs, data_place};

use crate::device;
use crate::exit::Exit;

/// Semantic-aware autoregressive pre-training of vision transformers (SemAIM, AAAI 2024).
#[derive(Debug, Parser)]
#[command(name = "semaim", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The first of some options that is given.
pub(crate) fn first_given<const N: usize>(
    options: [(&'static str, bool); N],
) -> Option<&'static str> {
    let given = options.into_iter().find(|(_, is_given)| *is_given);
    given.map(|(option, _)| option)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Pre-train an encoder on a folder of images; without arguments, on generated images, in about a minute.
    ///
    /// The same command with the same --out resumes where it stopped, whatever stopped it.
    Pretrain(PretrainArgs),
    /// Compute one feature vector per image, into a file that Python reads too.
    ///
    /// Images are embedded as they come: memory does not grow with their number.
    Embed(EmbedArgs),
    /// Compute a similarity map of each image by any encoder, for pre-training with `order.source = "maps"`: a teacher that is
    /// asked once.
    Maps(MapsArgs),
    /// Measure the k-NN accuracy of an encoder (weighted neighbors, exact search).
    Knn(KnnArgs),
    /// Measure the linear-probe accuracy of an encoder: a grid of probes, the best tested once.
    Probe(ProbeArgs),
    /// Fine-tune an encoder and a classifier on it together, on labeled images, by the recipe of masked autoencoders.
    ///
    /// The same command with the same --out resumes where it stopped, whatever stopped it.
    Finetune(FinetuneArgs),
    /// Train an encoder as a detector (ViTDet's Mask R-CNN) on images with boxes and masks.
    ///
    /// The same command with the same --out resumes where it stopped, whatever stopped it.
    Detect(DetectArgs),
    /// Train an encoder as a segmenter, by a linear head or UPerNet, on images with the class of every pixel.
    ///
    /// The same command with the same --out resumes where it stopped, whatever stopped it.
    Segment(SegmentArgs),
    /// Evaluate a trained model: accuracy of a classifier, COCO's 12 numbers of a detector, mIoU of a segmenter, each by class
    /// too.
    Evaluate(EvaluateArgs),
    /// Predict classes, objects with boxes and masks, or the class of every pixel with a trained model.
    Predict(PredictArgs),
    /// Pre-train and evaluate several variants with several seeds each, and tabulate the results.
    ///
    /// The same command resumes where it stopped; what is finished is not done again.
    Compare(CompareArgs),
    /// Score detections against annotations as COCO does: 12 numbers for boxes and for masks, and AP by category.
    CocoEval(CocoEvalArgs),
    /// Summarize the images of a set: mean and standard deviation of each channel as settings, counts, sizes, images that cannot
    /// be read, and images that are there twice.
    Stats(StatsArgs),
    /// Describe a checkpoint: layout, sizes, type of numbers, position grid, and which tensors an encoder takes from it.
    Inspect(InspectArgs),
    /// Write an encoder, or a whole model, for another program.
    Export(ExportArgs),
    /// Draw what encoders see in images: attention, similarity, order, principal components, reconstruction.
    Show(ShowArgs),
    /// Rebuild the report.html of a run directory.
    Report(ReportArgs),
    /// List the devices that --device can name, and compare each of them with the CPU.
    Devices(DevicesArgs),
    /// List or print the experiments that come with the program.
    Recipes {
        #[command(subcommand)]
        command: Option<Recipes>,
        /// Print the result as JSON
        #[arg(long, global = true)]
        json: bool,
    },
    /// Measure a part of the program by itself.
    Bench {
        #[command(subcommand)]
        command: Bench,
    },
    /// Print the script with which a shell completes commands, options and their values.
    Completions(CompletionsArgs),
    /// Print the manual page of the program, or write one for every command.
    Man(ManArgs),
}

/// Where and how tensors are computed.
#[derive(Debug, clap::Args)]
pub(crate) struct DeviceArgs {
    /// Where to compute: cpu, or, in a build with that feature, cuda, rocm, metal, vulkan or wgpu, each with :INDEX, or with :auto
    /// for a device of its own for each process of a machine; `semaim devices` lists those that are there
    #[arg(long = "device", value_name = "DEVICE", default_value = "cpu", value_parser = device::of_process)]
    pub(crate) name: String,
    /// Use a device even if its results differ from the CPU's. Every device but the CPU is tested before a command, which
    /// takes a second or less; software adapters take longer
    #[arg(long)]
    pub(crate) device_unchecked: bool,
    /// Which kernels to use: fused ones where there are any, which is on the CPU, or composed of the framework's own operations
    /// everywhere, which is slower and for debugging
    #[arg(long, value_parser = one_of(KERNELS), default_value = "fused")]
    pub(crate) kernels: Kernels,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DevicesArgs {
    /// Only list the devices, without comparing them
    #[arg(long)]
    pub(crate) untested: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

const KERNELS: &[Choice<Kernels>] = &[
    ("fused", "Fused where there is a fused form", Kernels::Fused),
    ("composed", "Composed everywhere", Kernels::Composed),
];

impl DeviceArgs {
    /// The device, tried out, for training in this precision.
    pub(crate) fn open_to_train(&self, precision: Precision) -> Result<Device, Exit> {
        let device = self.open()?;
        let checked = precision.check(&device);
        checked.map_err(|error| Exit::user(format!("train.precision: {error}")))?;
        if let Some(slow) = precision.slower_than_f32(&device) {
            tracing::warn!("train.precision: {slow}");
        }
        Ok(device)
    }

    /// The device, tried out. Chooses the form of the operations for the whole process.
    pub(crate) fn open(&self) -> Result<Device, Exit> {
        semaim_kernels::choose(self.kernels);
        device::open(&self.name, self.device_unchecked)
    }
}

/// Which images are too large.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct PixelLimit {
    /// Maximum number of pixels of an image, like data.max_pixels of a run; larger images are not read
    #[arg(
        long,
        value_name = "N",
        default_value_t = OpenOptions::default().max_pixels,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) max_pixels: u64,
}

/// A value of an option: its name, what it is, and the value.
type Choice<T> = (&'static str, &'static str, T);

/// Parses one of several named values.
fn one_of<T: Copy + Send + Sync + 'static>(
    choices: &'static [Choice<T>],
) -> impl TypedValueParser<Value = T> {
    let value = |&(name, help, _): &Choice<T>| PossibleValue::new(name).help(help);
    PossibleValuesParser::new(choices.iter().map(value)).try_map(|name| {
        let choice = choices.iter().find(|(known, ..)| *known == name);
        choice.map(|&(.., value)| value).ok_or("no such value")
    })
}

#[derive(Debug, Subcommand)]
pub(crate) enum Recipes {
    /// List them (the default).
    List,
    /// Print one.
    Show {
        /// Its name.
        name: String,
    },
}
