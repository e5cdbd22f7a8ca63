//! Both sides of a labelled data set as vectors, for evaluations that work on those.

use semaim_data::Split;
use semaim_eval::embed::{EmbedOptions, Embedder, Embeddings, Representation};
use semaim_eval::labelled::{LabelledSets, Part};
use semaim_eval::vectors::LabelledVectors;

use crate::bar::{count_batch, counting_bar};
use crate::encoder::Loaded;
use crate::exit::Exit;

/// A data set as vectors with classes.
pub(crate) struct Sides {
    pub(crate) train: LabelledVectors,
    pub(crate) eval: LabelledVectors,
}

/// Both sides of a labelled data set. `seed` divides one without splits.
pub(crate) fn labelled(loaded: &Loaded, data: &str, seed: u64) -> Result<LabelledSets, Exit> {
    let train = loaded.open(data, Split::Train)?;
    let eval = loaded.open(data, Split::Eval)?;
    let sets = LabelledSets::divide(train, eval, seed).map_err(Exit::user)?;
    sets.ok_or_else(|| {
        Exit::user(format!(
            "{data}: this needs labels (class folders, .cls members or a list with labels)"
        ))
    })
}

/// Embeds both sides of a labelled data set.
pub(crate) fn embed_sides(
    loaded: &Loaded,
    sets: &LabelledSets,
    representation: Representation,
) -> Result<Sides, Exit> {
    let options = EmbedOptions {
        representation,
        ..loaded.options
    };
    let bar = counting_bar((sets.bank.items.len() + sets.queries.items.len()) as u64);
    let side = |part: &Part| -> Result<LabelledVectors, Exit> {
        let mut all = Embeddings::default();
        let items = part.items.iter().copied();
        let (vit, augment) = (&loaded.encoder.vit, loaded.augment());
        for batch in Embedder::start(vit, &part.source, items, &augment, options, &loaded.device) {
            let batch = batch.map_err(Exit::ours)?;
            count_batch(&bar, &batch);
            all.append(batch);
        }
        Ok(all.labelled())
    };
    let sides = Sides {
        train: side(&sets.bank)?,
        eval: side(&sets.queries)?,
    };
    bar.finish_and_clear();
    Ok(sides)
}
