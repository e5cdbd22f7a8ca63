//! The command lines of `embed`, `maps`, `knn` and `probe`, which ask encoders.

use std::path::PathBuf;

use semaim::representation::Representation;
use semaim::similarity::Similarity;
use semaim_checkpoint::weights_source::WeightsSource;
use semaim_data::Split;
use semaim_eval::probe::ProbeOptions;
use semaim_eval::probe::head::HeadKind;

use crate::exit::Exit;

use super::selection::SPLITS;
use super::{
    Choice, DeviceArgs, LayoutArgs, PixelLimit, SelectionArgs, count, numbers, one_of,
    parse_image_size,
};

/// One vector per image.
const FEATURES: &[Choice<Representation>] = &[
    ("cls", "The class token", Representation::Cls),
    ("mean", "The mean of the patch tokens", Representation::Mean),
    ("both", "Both, one after the other", Representation::Both),
];

/// How similarity is measured.
const SIMILARITIES: &[Choice<Similarity>] = &[
    (
        "cls",
        "The cosine of the class token and a patch token",
        Similarity::Cls,
    ),
    (
        "gap",
        "The cosine of the mean patch token and a patch token",
        Similarity::Gap,
    ),
    (
        "self",
        "The last block's attention from the class token",
        Similarity::SelfAttention,
    ),
];

/// What a probe trains.
const HEADS: &[Choice<HeadKind>] = &[
    (
        "linear",
        "A linear layer on one vector per image",
        HeadKind::Linear,
    ),
    (
        "attentive",
        "Attention pooling over the patches, then a linear layer",
        HeadKind::Attentive,
    ),
];

/// An encoder and how images are shown to it.
#[derive(Debug, clap::Args)]
pub(crate) struct EncoderArgs {
    /// The encoder: a run directory, or a checkpoint in any layout that `semaim inspect` knows
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: PathBuf,
    #[command(flatten)]
    pub(crate) layout: LayoutArgs,
    /// Size of the images in pixels, as SIDE or HEIGHTxWIDTH [default: the encoder's]; the position table is resized
    #[arg(long, value_name = "SIZE", value_parser = parse_image_size)]
    pub(crate) image_size: Option<[usize; 2]>,
    #[command(flatten)]
    pub(crate) loader: LoaderArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

impl EncoderArgs {
    pub(crate) fn source(&self) -> WeightsSource {
        self.layout.source(&self.weights, self.image_size)
    }
}

/// How images are prepared for a network that does not learn.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct LoaderArgs {
    /// Images per forward pass
    #[arg(long, default_value_t = 64, value_parser = count(1..=65_536))]
    pub(crate) batch_size: usize,
    /// Threads that prepare images; 0: one per core
    #[arg(long, default_value_t = 0, value_parser = count(..=1024))]
    pub(crate) workers: usize,
    #[command(flatten)]
    pub(crate) limit: PixelLimit,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EmbedArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// The images, as for `pretrain`; may be repeated
    #[arg(long, value_name = "PATH", required = true)]
    pub(crate) data: Vec<String>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// The file to write: .safetensors (`features`, `labels`), .npy or .parquet; paths and labels go to a .csv beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Which split of the data set, if it has splits
    #[arg(long, value_parser = one_of(SPLITS), default_value = "train")]
    pub(crate) split: Split,
    /// What represents an image
    #[arg(long, value_parser = one_of(FEATURES), default_value = "mean", conflicts_with = "tokens")]
    pub(crate) feature: Representation,
    /// Write every patch token of every image instead of one vector
    #[arg(long)]
    pub(crate) tokens: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl EmbedArgs {
    pub(crate) fn representation(&self) -> Representation {
        match self.tokens {
            true => Representation::Patches,
            false => self.feature,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct MapsArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// The images to pre-train on, as for `pretrain`; may be repeated
    #[arg(long, value_name = "PATH", required = true)]
    pub(crate) data: Vec<String>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// The folder for the maps: gray PNG files of 16 bits under the images' names, as `order.maps` takes them
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Which split of the data set, if it has splits
    #[arg(long, value_parser = one_of(SPLITS), default_value = "train")]
    pub(crate) split: Split,
    /// How similarity is measured
    #[arg(long, value_parser = one_of(SIMILARITIES), default_value = "cls")]
    pub(crate) similarity: Similarity,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// The usual temperature of kNN.
pub(crate) const KNN_TEMPERATURE: f64 = 0.07;

/// An encoder where `--weights` is given. (An optional group of clap's own forgets those flattened into it.)
#[derive(Debug)]
pub(crate) struct OptionalEncoder(pub(crate) Option<EncoderArgs>);

impl clap::Args for OptionalEncoder {
    fn augment_args(command: clap::Command) -> clap::Command {
        EncoderArgs::augment_args(command).mut_arg("weights", |weights| weights.required(false))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for OptionalEncoder {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let given = matches.contains_id("weights");
        let encoder = given.then(|| EncoderArgs::from_arg_matches(matches));
        Ok(Self(encoder.transpose()?))
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What vectors in files need no more: an encoder, images, and how the one sees the others. Both files refuse them, as a required
/// option that conflicts with one that is given is not missed.
const BEFORE_VECTORS: &[&str] = &[
    "weights",
    "layout",
    "heads",
    "activation",
    "allow_partial",
    "image_size",
    "batch_size",
    "workers",
    "max_pixels",
    // --device
    "name",
    "device_unchecked",
    "kernels",
    "data",
    "exclude",
    "limit",
    "feature",
    "seed",
];

#[derive(Debug, clap::Args)]
pub(crate) struct KnnArgs {
    #[command(flatten)]
    pub(crate) encoder: OptionalEncoder,
    /// Labeled images with a training and an evaluation split; without splits one image in five is classified. May be
    /// repeated
    #[arg(long, value_name = "PATH", requires = "weights")]
    pub(crate) data: Vec<String>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Vectors to search, written by `semaim embed`, instead of --weights and --data
    #[arg(long, value_name = "FILE", requires = "queries", conflicts_with_all = BEFORE_VECTORS)]
    pub(crate) bank: Option<PathBuf>,
    /// Vectors to classify
    #[arg(long, value_name = "FILE", requires = "bank", conflicts_with_all = BEFORE_VECTORS)]
    pub(crate) queries: Option<PathBuf>,
    /// Numbers of neighbors (k)
    #[arg(long, value_delimiter = ',', default_value = "10,20,30", value_parser = count(1..=1_000_000))]
    pub(crate) k: Vec<usize>,
    /// Temperature of the weights exp(cosine / temperature)
    #[arg(long, default_value_t = KNN_TEMPERATURE, value_parser = numbers::positive)]
    pub(crate) temperature: f64,
    /// What represents an image
    #[arg(long, value_parser = one_of(FEATURES), default_value = "mean")]
    pub(crate) feature: Representation,
    /// Seed of the split of a set that has none
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
    /// Labeled images with a training and an evaluation split; without splits one image in five is held out for the test. May
    /// be repeated
    #[arg(long, value_name = "PATH", required = true)]
    pub(crate) data: Vec<String>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// What represents an image for a linear layer [default: mean]
    #[arg(long, value_parser = one_of(FEATURES))]
    pub(crate) feature: Option<Representation>,
    /// Epochs over the training vectors
    #[arg(long, default_value_t = ProbeOptions::default().epochs, value_parser = count(1..=1_000_000))]
    pub(crate) epochs: usize,
    /// Vectors or images per step, or all of them if there are fewer [default: 4096; with --augment or --head attentive as many as
    /// fit into 1 GB]
    #[arg(long, value_parser = count(1..=1_048_576))]
    pub(crate) probe_batch_size: Option<usize>,
    /// Base learning rates (for batches of 256) to choose from
    #[arg(long, value_delimiter = ',', default_values_t = ProbeOptions::default().base_lrs, value_parser = numbers::positive)]
    pub(crate) lr: Vec<f64>,
    /// Weight decays to choose from
    #[arg(long, value_delimiter = ',', default_values_t = ProbeOptions::default().weight_decays, value_parser = numbers::not_negative)]
    pub(crate) weight_decay: Vec<f64>,
    /// Hold out one training image in N as the validation split that chooses the head
    #[arg(long, value_name = "N", default_value_t = ProbeOptions::default().validation_every, value_parser = clap::value_parser!(u64).range(2..=1_000_000))]
    pub(crate) validation_every: u64,
    /// Train on views that are cropped and flipped anew in every epoch, as masked autoencoders were probed, instead of on vectors computed
    /// once
    #[arg(long)]
    pub(crate) augment: bool,
    /// Head on the frozen encoder: a linear layer, or attention pooling over the patches and a linear layer
    #[arg(long, value_parser = one_of(HEADS), default_value = "linear")]
    pub(crate) head: HeadKind,
    /// The run directory of --augment and --head attentive, from which they resume [default: runs/probe-augment,
    /// runs/probe-attentive or runs/probe-attentive-augment]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The run's data set has moved since the run was started, and is the same otherwise
    #[arg(long)]
    pub(crate) data_moved: bool,
    /// Print memory and steps, and exit
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Seed of the initial weights, of the order of the vectors and of splits
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl ProbeArgs {
    pub(crate) fn representation(&self) -> Representation {
        self.feature.unwrap_or(Representation::Mean)
    }

    /// Whether the trainer trains the probe on images, in a run directory.
    pub(crate) fn is_on_images(&self) -> bool {
        self.augment || self.head == HeadKind::Attentive
    }

    /// Refuses options that this probe would not look at.
    ///
    /// # Errors
    /// The first of them.
    pub(crate) fn refuse_unused(&self) -> Result<(), Exit> {
        if self.head == HeadKind::Attentive && self.feature.is_some() {
            return Err(Exit::user(
                "--feature: an attentive head looks at all patch tokens; leave it out",
            ));
        }
        for (given, option) in [
            (self.out.is_some(), "--out"),
            (self.data_moved, "--data-moved"),
        ] {
            if given && !self.is_on_images() {
                return Err(Exit::user(format!(
                    "{option} is of the run directory of --augment and --head attentive; a probe on vectors has none"
                )));
            }
        }
        Ok(())
    }
}
