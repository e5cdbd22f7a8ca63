//! Which of the images that `--data` names are meant.

use semaim_data::{OpenOptions, Split};
use serde_json::json;

use super::{Choice, count};

/// A part of a data set.
pub(super) const SPLITS: &[Choice<Split>] = &[
    ("train", "To train on", Split::Train),
    ("eval", "Held out", Split::Eval),
];

/// Which images of data sets are used.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct SelectionArgs {
    /// Leave out images whose path below --data matches, as in a shell: a file's or folder's name at any depth (`thumbs`,
    /// `*_mask.png`), or a path (`train/dogs/*`, `**/raw/*.tif`). May be repeated. Classes left without images are dropped
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// Use at most N images of each split, after --exclude: one drawn from each of N equal runs of it, always the same
    #[arg(long, value_name = "N", value_parser = count(1..=u64::from(u32::MAX)))]
    pub(crate) limit: Option<usize>,
}

impl SelectionArgs {
    /// Whether nothing is left out.
    pub(crate) fn is_all(&self) -> bool {
        self.exclude.is_empty() && self.limit.is_none()
    }

    /// Opens no other images than these.
    pub(crate) fn of(&self, options: OpenOptions) -> OpenOptions {
        OpenOptions {
            exclude: self.exclude.clone(),
            limit: self.limit.unwrap_or(0),
            ..options
        }
    }

    /// The options as settings of the table of that name.
    pub(crate) fn settings(&self, table: &str) -> Vec<(String, Option<String>)> {
        let exclude = (!self.exclude.is_empty()).then(|| json!(self.exclude).to_string());
        vec![
            (format!("{table}.exclude"), exclude),
            (
                format!("{table}.limit"),
                self.limit.map(|limit| limit.to_string()),
            ),
        ]
    }

    /// Data sets and what is used of them, for people to read.
    pub(crate) fn named(&self, data: &[String]) -> String {
        let mut named = data.join(", ");
        if !self.exclude.is_empty() {
            named += &format!(" without {}", self.exclude.join(", "));
        }
        if let Some(limit) = self.limit {
            named += &format!(" ({limit} images at most)");
        }
        named
    }
}
