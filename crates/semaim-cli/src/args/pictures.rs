//! The command line of `semaim show` and `semaim report`.

use std::path::PathBuf;

use semaim_data::OpenOptions;

use super::{DeviceArgs, LayoutArgs, parse_image_size};
use crate::show::columns::ColumnArg;

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The encoder: a run directory, or a checkpoint in any layout that `semaim inspect` knows. May be repeated, for
    /// encoders side by side
    #[arg(long, value_name = "PATH", required = true)]
    pub(crate) weights: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) layout: LayoutArgs,
    /// The images: single files, or data sets as for `pretrain`, of which `--count` images are shown
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub(crate) images: Vec<String>,
    /// The picture to write (.png)
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// What to show, in this order: image, attention, similarity[:cls|gap|self], order[:KIND], pca, reconstruction. Each may
    /// end in @N for the Nth encoder alone [default: image,attention,similarity,order,pca, and reconstruction where a
    /// run predicts pixels]
    #[arg(long, value_delimiter = ',', value_parser = ColumnArg::parse)]
    pub(crate) columns: Vec<ColumnArg>,
    /// Images to show of a data set, spread over it
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) count: u32,
    /// Size at which encoders see the images, as SIDE or HEIGHTxWIDTH [default: each encoder's own]; position tables are
    /// resized
    #[arg(long, value_name = "SIZE", value_parser = parse_image_size)]
    pub(crate) image_size: Option<[usize; 2]>,
    /// Maximum number of pixels of an image, like data.max_pixels of a run; larger images are left out
    #[arg(long, value_name = "N", default_value_t = OpenOptions::default().max_pixels, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_pixels: u64,
    /// Size of a cell of the picture in pixels
    #[arg(long, default_value_t = 160, value_parser = clap::value_parser!(u32).range(16..=1024))]
    pub(crate) cell: u32,
    /// Title above the picture
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) title: String,
    /// Show the first encoder's order unfolding instead, as an animated PNG
    #[arg(long, conflicts_with = "columns")]
    pub(crate) animate: bool,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// The run directory
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// The page to write [default: report.html in the run directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
