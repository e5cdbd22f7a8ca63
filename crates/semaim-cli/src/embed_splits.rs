//! Both splits of a labeled data set as vectors, for evaluations that work on those.

use semaim::representation::Representation;
use semaim_data::Split;
use semaim_eval::embed::{EmbedOptions, Embedder, Embeddings};
use semaim_eval::splits::{ImageSubset, LabeledSplits, SplitsError};
use semaim_eval::vectors::LabeledVectors;

use crate::args::SelectionArgs;
use crate::bar::CountingBar;
use crate::encoder::Loaded;
use crate::exit::Exit;

/// A data set as vectors with classes.
pub(crate) struct EmbeddedSplits {
    pub(crate) train: LabeledVectors,
    pub(crate) eval: LabeledVectors,
}

/// Both splits of a labeled data set. `seed` divides one without splits.
pub(crate) fn labeled(
    loaded: &Loaded,
    data: &[String],
    selection: &SelectionArgs,
    seed: u64,
) -> Result<LabeledSplits, Exit> {
    let train = loaded.open(data, selection, Split::Train)?;
    let eval = loaded.open(data, selection, Split::Eval)?;
    let sets = LabeledSplits::divide(train, eval, seed).map_err(Exit::user)?;
    sets.ok_or_else(|| {
        Exit::user(SplitsError::Unlabeled {
            name: data.join(", "),
        })
    })
}

/// Embeds both splits of a labeled data set.
pub(crate) fn embed_splits(
    loaded: &Loaded,
    sets: &LabeledSplits,
    representation: Representation,
) -> Result<EmbeddedSplits, Exit> {
    let options = EmbedOptions {
        representation,
        ..loaded.options
    };
    let bar = CountingBar::new((sets.train.items.len() + sets.test.items.len()) as u64);
    let embed = |part: &ImageSubset| -> Result<LabeledVectors, Exit> {
        let mut all = Embeddings::default();
        let items = part.items.iter().copied();
        let (vit, augment) = (&loaded.encoder.vit, loaded.augment());
        for batch in Embedder::start(vit, &part.source, items, &augment, options) {
            let batch = batch?;
            bar.add(batch.items.len(), &batch.bad);
            all.append(batch);
        }
        Ok(all.labeled())
    };
    let splits = EmbeddedSplits {
        train: embed(&sets.train)?,
        eval: embed(&sets.test)?,
    };
    bar.clear();
    Ok(splits)
}
