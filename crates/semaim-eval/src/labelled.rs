//! Which labelled images are searched for neighbours, and which are classified.

use std::sync::Arc;

use semaim_data::{DataError, OpenOptions, Source, Split, open};
use semaim_random::{Draw, Purpose};
use semaim_train::config::PretrainConfig;

/// Images of a source.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where they are.
    pub source: Arc<dyn Source>,
    /// Their numbers in the source.
    pub items: Vec<u64>,
}

/// Two sides of a kNN evaluation.
#[derive(Clone, Debug)]
pub struct LabelledSets {
    /// Searched for neighbours.
    pub bank: Part,
    /// Classified.
    pub queries: Part,
}

/// Why there is no evaluation.
#[derive(Debug, thiserror::Error)]
pub enum LabelledError {
    /// A data set cannot be opened.
    #[error(transparent)]
    Data(#[from] DataError),
    /// `data.eval` was given and has no labels.
    #[error("{name}: kNN needs labels (class folders, .cls members or a list with labels)")]
    Unlabelled {
        /// The data set.
        name: String,
    },
    /// The two sides do not have the same classes.
    #[error("the classes of {bank} and {queries} differ: {difference}")]
    Classes {
        /// Description of the bank.
        bank: String,
        /// Description of the queries.
        queries: String,
        /// Names on one side only.
        difference: String,
    },
}

/// One in this many images is classified where a set has no split of its own.
const HELD_OUT: u64 = 5;

impl LabelledSets {
    /// Finds the sides for a run, or `None` where nothing has labels. `training` is the run's own data, already
    /// open: a large folder is not listed again.
    ///
    /// With `data.eval`: its training split is the bank and its evaluation split the queries. Without: the splits
    /// of the training data. A set without splits is divided by chance, one image in five is classified.
    ///
    /// # Errors
    /// A set that cannot be opened, has no labels although it was named for them, or sides with other classes.
    pub fn of(
        config: &PretrainConfig,
        training: &Arc<dyn Source>,
    ) -> Result<Option<Self>, LabelledError> {
        let named = !config.data.eval.is_empty();
        let spec = if named {
            &config.data.eval
        } else {
            &config.data.path
        };
        let mut options: OpenOptions = config.open_options();
        let bank = if named {
            open(spec, Split::Train, &options)?
        } else {
            Arc::clone(training)
        };
        options.shapes.count = config.data.shapes_eval_count;
        let queries = open(spec, Split::Eval, &options)?;
        match Self::divide(bank, queries, config.seed)? {
            Some(sets) => Ok(Some(Self {
                bank: sets.bank.at_most(config.eval.max_bank),
                queries: sets.queries.at_most(config.eval.max_queries),
            })),
            None if named => Err(LabelledError::Unlabelled { name: spec.clone() }),
            None => Ok(None),
        }
    }

    /// Makes sides of the two splits of a data set, or `None` where nothing has labels. Splits that are the same
    /// images are divided by chance, one image in five is classified.
    ///
    /// # Errors
    /// Sides with other classes.
    pub fn divide(
        bank: Arc<dyn Source>,
        queries: Arc<dyn Source>,
        seed: u64,
    ) -> Result<Option<Self>, LabelledError> {
        if !is_labelled(&*bank) || !is_labelled(&*queries) {
            return Ok(None);
        }
        check_classes(&*bank, &*queries)?;
        let sets = if same(&*bank, &*queries) {
            let all = 0..bank.len() as u64;
            let held_out =
                |item: &u64| Draw::new(seed, 0, *item, Purpose::Split).below(HELD_OUT) == 0;
            let (queries, banks): (Vec<u64>, Vec<u64>) = all.partition(held_out);
            Self {
                queries: Part {
                    source: Arc::clone(&bank),
                    items: queries,
                },
                bank: Part {
                    source: bank,
                    items: banks,
                },
            }
        } else {
            Self {
                bank: Part::whole(bank),
                queries: Part::whole(queries),
            }
        };
        Ok(Some(sets))
    }
}

impl Part {
    fn whole(source: Arc<dyn Source>) -> Self {
        let items = (0..source.len() as u64).collect();
        Self { source, items }
    }

    /// Thinned out evenly to at most `limit` images; 0 is no limit.
    pub fn at_most(self, limit: usize) -> Self {
        let count = self.items.len();
        if limit == 0 || count <= limit {
            return self;
        }
        let items = (0..limit).map(|i| self.items[i * count / limit]).collect();
        Self { items, ..self }
    }
}

fn is_labelled(source: &dyn Source) -> bool {
    !source.is_empty() && source.label(0).is_some()
}

fn same(a: &dyn Source, b: &dyn Source) -> bool {
    a.len() == b.len() && a.name(0) == b.name(0) && a.describe() == b.describe()
}

fn check_classes(bank: &dyn Source, queries: &dyn Source) -> Result<(), LabelledError> {
    let (left, right) = (bank.classes(), queries.classes());
    if left == right {
        return Ok(());
    }
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these
            .iter()
            .filter(|name| !those.contains(name))
            .cloned()
            .collect()
    };
    let difference = [
        ("only in the first", only(left, right)),
        ("only in the second", only(right, left)),
    ]
    .into_iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(which, names)| format!("{which}: {}", names.join(", ")))
    .collect::<Vec<_>>()
    .join("; ");
    Err(LabelledError::Classes {
        bank: bank.describe(),
        queries: queries.describe(),
        difference,
    })
}
