//! Where a pre-training run came from, for people: the weights that it started from, and the parts by which it was lengthened.

use std::path::Path;

use semaim::config::DecoderWeights;
use semaim_train::config::{Method, PretrainConfig, QueryStart};
use semaim_train::restore::run_config;
use semaim_train::start::StartRecord;

use crate::exit::Exit;

/// One line for the start and one for each part by which the run was lengthened; none of a run from nothing that was not.
pub(crate) fn lines(run: &Path, config: &PretrainConfig) -> Result<Vec<String>, Exit> {
    let pairs = pairs_of(run, config)?;
    Ok(pairs
        .into_iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect())
}

/// The same as names and values, of a run directory; nothing of folders that are no runs of pre-training.
pub(crate) fn pairs(run: &Path) -> Result<Vec<(&'static str, String)>, Exit> {
    match run_config(run)? {
        Some(config) => pairs_of(run, &config),
        None => Ok(Vec::new()),
    }
}

fn pairs_of(run: &Path, config: &PretrainConfig) -> Result<Vec<(&'static str, String)>, Exit> {
    let mut pairs = Vec::new();
    if let Some(record) = StartRecord::read(run)? {
        let of = match record.step {
            Some(step) => format!("the encoder of another run after step {step}: "),
            None => String::new(),
        };
        pairs.push((
            "started from",
            format!("{of}{} ({})", record.weights.display(), record.layout),
        ));
        pairs.push(("its SHA-256", record.sha256));
        let queries = match config.query_start {
            _ if config.method == Method::Mae => None,
            _ if config.decoder.weights == DecoderWeights::Shared => {
                Some("nothing of their own: their weights are the encoder's")
            }
            QueryStart::Fresh => Some("first weights"),
            QueryStart::Encoder => Some("the weights of the encoder blocks that they read"),
        };
        pairs.extend(queries.map(|queries| ("query blocks start from", queries.into())));
        pairs.extend(record.notes.into_iter().map(|note| ("fitted", note)));
    }
    let mut start = config.train.epochs;
    for &end in &config.train.extended_to {
        pairs.push((
            "lengthened",
            format!(
                "from {start} to {end} epochs; in the {} that were added the learning rate repeats its warm-up and decay",
                end - start
            ),
        ));
        start = end;
    }
    Ok(pairs)
}
