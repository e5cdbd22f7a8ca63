//! The command lines of what trains over many steps.

use std::path::PathBuf;

use semaim_train::run_dir::DataPlace;

use super::{DeviceArgs, LayoutArgs, SelectionArgs};

/// A run of training and its configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Start from a TOML file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Change one setting, as in `--set train.epochs=100`; `--dry-run` shows all of them with their values
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Seed of every random draw [default: the configuration's, which is 0]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// What to do about a loss or gradient that is not finite: stop, or skip the step [default: stop]
    #[arg(long, value_name = "ACTION")]
    pub(crate) on_nan: Option<String>,
    /// The run's data set has moved since the run was started, and is the same otherwise
    #[arg(long)]
    pub(crate) data_moved: bool,
    /// Print the resolved configuration, parameters, memory and steps, and exit
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the data of a run that goes on is.
pub(crate) fn data_place(moved: bool) -> DataPlace {
    match moved {
        true => DataPlace::Moved,
        false => DataPlace::Recorded,
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct PretrainArgs {
    /// The images: `shapes` (generated, the default); a folder, searched recursively (JPEG, PNG, WebP, BMP, TIFF, GIF, or
    /// NumPy's .npy; a subfolder `train` is used if there is one, class folders give labels); tar files (WebDataset), comma
    /// separated or with a {000..012} range; an IDX file (`*-ubyte`, `*-ubyte.gz`); a list of paths (`path` or
    /// `path label` per line; in a .csv or with tabs also several files per image, whose channels are stacked). May be repeated: the
    /// sets are joined, and classes of the same name are one [default: the configuration's data.path]
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Vec<String>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Labeled images for kNN during the run, in any of the same forms [default: the subfolder `val` or `test`
    /// of --data, or a part of --data, if it has labels]
    #[arg(long, value_name = "PATH")]
    pub(crate) eval_data: Vec<String>,
    /// The run directory [default: runs/NAME, after the recipe or the configuration file; runs/quickstart
    /// without arguments, runs/pretrain with --data alone]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Start from an encoder: another run's directory, or a checkpoint in any layout that `semaim inspect` knows. Sizes and
    /// normalization are its own unless they are set. It is read only before the first step [default: the configuration's
    /// encoder.weights, else random weights]
    #[arg(long, value_name = "PATH")]
    pub(crate) init: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) layout: LayoutArgs,
    /// Lengthen the run in --out to this many epochs in total: the learning rate repeats its warm-up and decay, rescaled to the
    /// epochs that are added. The same command again resumes, and adds nothing
    #[arg(long, value_name = "EPOCHS", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) extend: Option<u64>,
    /// Start from a recipe that comes with the program; see `semaim recipes` [default: quickstart, unless --data or
    /// --config is given]
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    pub(crate) recipe: Option<String>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FinetuneArgs {
    /// The encoder: a run directory, or a checkpoint in any layout that `semaim inspect` knows [default: the
    /// configuration's encoder.weights]
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) layout: LayoutArgs,
    /// Take only the encoder's sizes and initialize its weights at random: the baseline to compare pre-training with
    #[arg(long)]
    pub(crate) from_scratch: bool,
    /// Labeled images with a training and an evaluation split; without splits one image in five is held out for the test. May
    /// be repeated: the sets are joined, and classes of the same name are one
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Vec<String>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Images to evaluate on, where they are not in --data
    #[arg(long, value_name = "PATH")]
    pub(crate) eval_data: Vec<String>,
    /// The run directory [default: runs/NAME, after the configuration file; runs/finetune without one]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// The comparison: a TOML file of variants, seeds and evaluations; see comparisons/ and docs/book/src/settings.md
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The folder for its runs and tables [default: runs/NAME, after the file]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The images [default: the file's]; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Vec<String>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Change one setting of the file, as in `--set pretrain.train.epochs=5`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Print what would be done, with steps, memory and the time it takes here, and exit; a few steps are timed for it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Train and evaluate only these variants, by name; the table has everything that is there
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', conflicts_with_all = ["time_steps", "table_only"])]
    pub(crate) variants: Vec<String>,
    /// Only time the steps of each variant, in turn, so that the page has curves over time, too
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) time_steps: bool,
    /// Only write the table and the page of what is finished
    #[arg(long)]
    pub(crate) table_only: bool,
    /// Print the table as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}
