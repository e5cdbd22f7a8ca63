//! The command line of `semaim stats`.

use semaim_data::Split;

use super::{Choice, PixelLimit, SelectionArgs, count, one_of};

/// What is measured.
const SPLITS: &[Choice<Split>] = &[
    ("train", "The images to train on", Split::Train),
    ("eval", "Those held out", Split::Eval),
];

#[derive(Debug, clap::Args)]
pub(crate) struct StatsArgs {
    /// The images, as for --data of `pretrain`; several sets are taken together
    #[arg(value_name = "PATH", required = true)]
    pub(crate) data: Vec<String>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Which split of the set, if it has splits [default: train; images of eval that are also in train are named]
    #[arg(long, value_parser = one_of(SPLITS))]
    pub(crate) split: Option<Split>,
    /// Number of channels to read images with, like model.channels of a run [default: 3, or as many as the first image has
    /// where it cannot be read as 3]
    #[arg(long, value_parser = count(1..=1024))]
    pub(crate) channels: Option<usize>,
    /// Threads that read images; 0: one per core. Results do not depend on their number
    #[arg(long, default_value_t = 0, value_parser = count(..=1024))]
    pub(crate) workers: usize,
    #[command(flatten)]
    pub(crate) limit: PixelLimit,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
