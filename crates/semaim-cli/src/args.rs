//! The command line.

mod bench;
mod layout;
mod pictures;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use semaim_checkpoint::checkpoint::ReadOptions;
use semaim_checkpoint::format::CheckpointFormat;
use semaim_eval::embed::Representation;
use semaim_eval::probe::ProbeOptions;
use semaim_kernels::Kernels;

pub(crate) use layout::{ExportArgs, InspectArgs, LayoutArgs, parse_image_size};
pub(crate) use pictures::{ReportArgs, ShowArgs};

pub(crate) use bench::{Bench, BenchLoaderArgs, BenchPointingArgs, BenchStepArgs};

/// Semantic-aware autoregressive pre-training of vision transformers (SemAIM, AAAI 2024).
#[derive(Debug, Parser)]
#[command(name = "semaim", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Pre-train an encoder on a folder of images; without arguments, on generated images, in a minute or two.
    ///
    /// The same command in the same --out goes on where it stopped, whatever stopped it.
    Pretrain(PretrainArgs),
    /// One vector per image, in a file that Python reads too.
    ///
    /// Images are embedded as they come: memory does not grow with their number.
    Embed(EmbedArgs),
    /// How well the nearest neighbours in an encoder's space classify (weighted kNN, exact).
    Knn(KnnArgs),
    /// How well a linear layer on an encoder's vectors classifies: a grid of them, the best tested once.
    Probe(ProbeArgs),
    /// Train an encoder and a classifier on it together, on labelled images, by the published recipe.
    ///
    /// The same command in the same --out goes on where it stopped, whatever stopped it.
    Finetune(FinetuneArgs),
    /// Classify images with a fine-tuned network.
    Predict(PredictArgs),
    /// Pre-train and evaluate several variants with several seeds each, and make a table of it.
    ///
    /// The same command goes on where it stopped; what is finished is not done again.
    Compare(CompareArgs),
    /// What a checkpoint holds: layout, sizes, type of numbers, position grid, and which tensors an encoder takes from it.
    Inspect(InspectArgs),
    /// Write an encoder, or a whole model, for another program.
    Export(ExportArgs),
    /// Pictures of what encoders see in images: attention, similarity, order, principal components, reconstruction.
    Show(ShowArgs),
    /// Build the report.html of a run directory anew.
    Report(ReportArgs),
    /// The experiments that come with the program.
    Recipes {
        #[command(subcommand)]
        command: Option<Recipes>,
    },
    /// Measure a part of the program by itself.
    Bench {
        #[command(subcommand)]
        command: Bench,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct PretrainArgs {
    /// The images: `shapes` (generated, the default); a folder, searched recursively (JPEG, PNG, WebP, BMP, TIFF, GIF; a
    /// subfolder `train` is used if there is one, class folders give labels); tar files (WebDataset), comma
    /// separated or with a {000..012} range; an IDX file (`*-ubyte`, `*-ubyte.gz`); a list of paths (`path` or
    /// `path label` per line) [default: the configuration's data.path]
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<String>,
    /// Labelled images for kNN during the run, in any of the same forms [default: the subfolder `val` or `test`
    /// of --data, or a part of --data, if it has labels]
    #[arg(long, value_name = "PATH")]
    pub(crate) eval_data: Option<String>,
    /// The run directory [default: runs/NAME, after the recipe or the configuration file; runs/quickstart
    /// without arguments, runs/pretrain with --data alone]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Start from a recipe that comes with the program; see `semaim recipes` [default: quickstart, unless --data or
    /// --config is given]
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    pub(crate) recipe: Option<String>,
    /// Start from a TOML file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Change one setting, as in `--set train.epochs=100`; `--dry-run` shows all of them with their values
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Seed of every random draw [default: the configuration's, which is 0]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Where to compute: cpu, or cuda, rocm, metal, vulkan, wgpu (each with :INDEX) in a build with that feature
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Which form of the operations runs: fused where there is one, which is on the CPU, or composed of the framework's
    /// own everywhere, which is slower and for finding faults
    #[arg(long, value_enum, default_value = "fused")]
    pub(crate) kernels: KernelsArg,
    /// What to do about a loss or gradient that is not finite: stop or skip [default: stop]
    #[arg(long, value_name = "ACTION")]
    pub(crate) on_nan: Option<String>,
    /// Print the resolved configuration, parameters, memory and steps, and exit
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FinetuneArgs {
    /// The encoder: a run directory, or a checkpoint in any layout that `semaim inspect` knows [default: the
    /// configuration's encoder.weights]
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) layout: LayoutArgs,
    /// Use only the encoder's sizes and draw its weights anew: what pre-training is to be compared with
    #[arg(long)]
    pub(crate) from_scratch: bool,
    /// Labelled images with a training and an evaluation split; without splits one image in five is for the test
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<String>,
    /// Evaluation images, where they are not in --data
    #[arg(long, value_name = "PATH")]
    pub(crate) eval_data: Option<String>,
    /// The run directory [default: runs/NAME, after the configuration file; runs/finetune without one]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Start from a TOML file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Change one setting, as in `--set train.epochs=50`; `--dry-run` shows all of them with their values
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Seed of every random draw [default: the configuration's, which is 0]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Where to compute, as for `pretrain`
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Which form of the operations runs
    #[arg(long, value_enum, default_value = "fused")]
    pub(crate) kernels: KernelsArg,
    /// What to do about a loss or gradient that is not finite: stop or skip [default: stop]
    #[arg(long, value_name = "ACTION")]
    pub(crate) on_nan: Option<String>,
    /// Print the resolved configuration and exit
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PredictArgs {
    /// The classifier: the run directory of `finetune` (its last one), or a classifier's file
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: PathBuf,
    /// The images, as for `pretrain`
    #[arg(long, value_name = "PATH")]
    pub(crate) data: String,
    /// Which images of a data set that is divided
    #[arg(long, value_enum, default_value = "eval")]
    pub(crate) split: SplitArg,
    /// The file to write: .csv or .jsonl (one JSON object per line) [default: CSV on standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Classes named for each image, the most probable first
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) top: u32,
    /// Images per forward pass
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) batch_size: u32,
    /// Threads that prepare images; 0: one per core
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1024))]
    pub(crate) workers: u32,
    /// Where to compute, as for `pretrain`
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Which form of the operations runs
    #[arg(long, value_enum, default_value = "fused")]
    pub(crate) kernels: KernelsArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// The comparison: a TOML file of variants, seeds and evaluations; see docs/results.md
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where its runs and tables go [default: runs/NAME, after the file]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The images [default: the file's]
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<String>,
    /// Change one setting of the file, as in `--set pretrain.train.epochs=5`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Where to compute, as for `pretrain`
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Which form of the operations runs
    #[arg(long, value_enum, default_value = "fused")]
    pub(crate) kernels: KernelsArg,
    /// Only make the table of what is finished
    #[arg(long)]
    pub(crate) table_only: bool,
    /// Print the table as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// An encoder and how images are shown to it.
#[derive(Debug, clap::Args)]
pub(crate) struct EncoderArgs {
    /// The encoder: a run directory, or a checkpoint in any layout that `semaim inspect` knows
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: PathBuf,
    // As LayoutArgs, which cannot be flattened here: an optional group knows only its own arguments.
    /// The checkpoint's layout [default: told from its names]: see `semaim inspect --help`
    #[arg(long, value_parser = |name: &str| name.parse::<CheckpointFormat>())]
    pub(crate) layout: Option<CheckpointFormat>,
    /// Attention heads of a block [default: as the checkpoint or a config.json beside it says, or as is usual for its width]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) heads: Option<u32>,
    /// Read an encoder with missing tensors all the same, which get first weights, and leave out those inside it that are
    /// not understood
    #[arg(long)]
    pub(crate) allow_partial: bool,
    /// Size of the images in pixels, as SIDE or HEIGHTxWIDTH [default: the encoder's]; the position table is resized
    #[arg(long, value_name = "SIZE", value_parser = parse_image_size)]
    pub(crate) image_size: Option<[usize; 2]>,
    /// Images per forward pass
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) batch_size: u32,
    /// Threads that prepare images; 0: one per core
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1024))]
    pub(crate) workers: u32,
    /// Where to compute, as for `pretrain`
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Which form of the operations runs
    #[arg(long, value_enum, default_value = "fused")]
    pub(crate) kernels: KernelsArg,
}

impl EncoderArgs {
    pub(crate) fn read_options(&self) -> ReadOptions {
        ReadOptions {
            layout: self.layout,
            num_heads: self.heads.map(|heads| heads as usize),
            image_size: self.image_size,
            allow_partial: self.allow_partial,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct EmbedArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// The images, as for `pretrain`
    #[arg(long, value_name = "PATH")]
    pub(crate) data: String,
    /// The file to write: .safetensors (`features`, `labels`), .npy or .parquet; paths and labels go to a .csv beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Which images of a data set that is divided
    #[arg(long, value_enum, default_value = "train")]
    pub(crate) split: SplitArg,
    /// What represents an image
    #[arg(long, value_enum, default_value = "mean", conflicts_with = "tokens")]
    pub(crate) feature: FeatureArg,
    /// Every patch token of every image instead of one vector
    #[arg(long)]
    pub(crate) tokens: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl EmbedArgs {
    pub(crate) fn representation(&self) -> Representation {
        if self.tokens {
            Representation::Patches
        } else {
            self.feature.representation()
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct KnnArgs {
    #[command(flatten)]
    pub(crate) encoder: Option<EncoderArgs>,
    /// Labelled images with a training and an evaluation split; without splits one image in five is classified
    #[arg(long, value_name = "PATH", requires = "weights")]
    pub(crate) data: Option<String>,
    /// Vectors to search, written by `semaim embed`, instead of --weights and --data
    #[arg(long, value_name = "FILE", requires = "queries", conflicts_with_all = ["weights", "data"])]
    pub(crate) bank: Option<PathBuf>,
    /// Vectors to classify
    #[arg(long, value_name = "FILE", requires = "bank")]
    pub(crate) queries: Option<PathBuf>,
    /// Numbers of neighbours
    #[arg(long, value_delimiter = ',', default_value = "10,20,30", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) k: Vec<u32>,
    /// Temperature of the weights exp(cosine / temperature)
    #[arg(long, default_value_t = 0.07)]
    pub(crate) temperature: f64,
    /// What represents an image
    #[arg(long, value_enum, default_value = "mean")]
    pub(crate) feature: FeatureArg,
    /// Seed of the division of a set without splits
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProbeArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Labelled images with a training and an evaluation split; without splits one image in five is for the test
    #[arg(long, value_name = "PATH")]
    pub(crate) data: String,
    /// What represents an image
    #[arg(long, value_enum, default_value = "mean")]
    pub(crate) feature: FeatureArg,
    /// Passes over the training vectors
    #[arg(long, default_value_t = ProbeOptions::default().epochs as u32, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) epochs: u32,
    /// Vectors per step, if there are as many
    #[arg(long, default_value_t = ProbeOptions::default().batch_size as u32, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub(crate) probe_batch_size: u32,
    /// Learning rates per 256 vectors to choose from
    #[arg(long, value_delimiter = ',', default_values_t = ProbeOptions::default().base_lrs)]
    pub(crate) lr: Vec<f64>,
    /// Weight decays to choose from
    #[arg(long, value_delimiter = ',', default_values_t = ProbeOptions::default().weight_decays)]
    pub(crate) weight_decay: Vec<f64>,
    /// One training image in this many is in the validation split, to choose with
    #[arg(long, default_value_t = ProbeOptions::default().validation_every, value_parser = clap::value_parser!(u64).range(2..=1_000_000))]
    pub(crate) held_back: u64,
    /// Train on views that are cut and mirrored anew in every epoch, as published, instead of on vectors computed once
    #[arg(long)]
    pub(crate) augment: bool,
    /// What is trained on the frozen encoder: a linear layer, or a query that attends to the patches and a linear layer
    #[arg(long, value_enum, default_value = "linear")]
    pub(crate) head: HeadArg,
    /// The run directory of --augment and --head attentive, which take long enough to be resumed
    #[arg(long, value_name = "DIR", default_value = "runs/probe")]
    pub(crate) out: PathBuf,
    /// Seed of the first weights, of the order of the vectors and of divisions
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a probe trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HeadArg {
    /// A linear layer on one vector per image.
    Linear,
    /// Attention pooling over the patches, then a linear layer.
    Attentive,
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SplitArg {
    /// To train on.
    Train,
    /// Held out.
    Eval,
}

/// One vector per image.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FeatureArg {
    /// The class token.
    Cls,
    /// The mean of the patch tokens.
    Mean,
    /// Both, one after the other.
    Both,
}

impl FeatureArg {
    pub(crate) fn representation(self) -> Representation {
        match self {
            Self::Cls => Representation::Cls,
            Self::Mean => Representation::Mean,
            Self::Both => Representation::Both,
        }
    }
}

/// The choice of [`semaim_kernels::Kernels`].
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KernelsArg {
    /// Fused where there is a fused form.
    Fused,
    /// Composed everywhere.
    Composed,
}

impl KernelsArg {
    /// Chooses for the whole process.
    pub(crate) fn choose(self) {
        semaim_kernels::choose(match self {
            Self::Fused => Kernels::Fused,
            Self::Composed => Kernels::Composed,
        });
    }
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
