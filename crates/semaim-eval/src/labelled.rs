//! Which labelled images are searched for neighbours, and which are classified.

use std::sync::Arc;

use semaim_data::{DataError, OpenOptions, Source, Split, Subset, open};
use semaim_random::{Draw, Purpose};
use semaim_train::config::DataConfig;

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
    #[error("{name}: this needs labels (class folders, .cls members or a list with labels)")]
    Unlabelled {
        /// The data set.
        name: String,
    },
    /// Some images have a label and some do not.
    #[error(
        "{name}: {count} images have no label, the first of them {first}; training needs one for each"
    )]
    PartlyLabelled {
        /// The data set.
        name: String,
        /// Images without a label.
        count: usize,
        /// Name of the first.
        first: String,
    },
    /// A class with too few images.
    #[error(
        "{name}: class `{class}` has {count} {side}; at least {needed} are needed. Remove the class or add images"
    )]
    FewImages {
        /// The data set.
        name: String,
        /// The class.
        class: String,
        /// Its images.
        count: usize,
        /// Of which side.
        side: &'static str,
        /// How many there must be.
        needed: usize,
    },
    /// Only one class.
    #[error("{name}: all images are of one class, `{class}`; there is nothing to tell apart")]
    OneClass {
        /// The data set.
        name: String,
        /// The class.
        class: String,
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
        data: &DataConfig,
        options: &OpenOptions,
        seed: u64,
        training: &Arc<dyn Source>,
    ) -> Result<Option<Self>, LabelledError> {
        let named = !data.eval.is_empty();
        let spec = if named { &data.eval } else { &data.path };
        let bank = if named {
            open(spec, Split::Train, options)?
        } else {
            Arc::clone(training)
        };
        let queries = open(spec, Split::Eval, &evaluation(data, options))?;
        match Self::divide(bank, queries, seed)? {
            None if named => Err(LabelledError::Unlabelled { name: spec.clone() }),
            sets => Ok(sets),
        }
    }

    /// Opens the sides to train a classifier on and to test it: the splits of `data.path`, or `data.path` and the
    /// evaluation split of `data.eval`. All training images have labels, there are two classes or more, and each has two
    /// images or more to train on and one or more to test.
    ///
    /// # Errors
    /// [`LabelledError`].
    pub fn for_training(
        data: &DataConfig,
        options: &OpenOptions,
        seed: u64,
    ) -> Result<Self, LabelledError> {
        let spec = match data.eval.as_str() {
            "" => &data.path,
            eval => eval,
        };
        let bank = open(&data.path, Split::Train, options)?;
        let queries = open(spec, Split::Eval, &evaluation(data, options))?;
        let unlabelled = if is_labelled(&*bank) {
            spec.to_string()
        } else {
            data.path.clone()
        };
        let sets = Self::divide(bank, queries, seed)?;
        let sets = sets.ok_or(LabelledError::Unlabelled { name: unlabelled })?;
        sets.check_for_training()?;
        Ok(sets)
    }

    /// Whether a classifier can be trained on the bank and tested on the queries.
    ///
    /// # Errors
    /// [`LabelledError`], naming the first class or image that stands in the way.
    pub fn check_for_training(&self) -> Result<(), LabelledError> {
        let (bank, queries) = (&self.bank, &self.queries);
        let name = bank.source.describe();
        let unlabelled = |item: &&u64| bank.source.label(**item as usize).is_none();
        if let Some(&first) = bank.items.iter().find(unlabelled) {
            return Err(LabelledError::PartlyLabelled {
                name,
                count: bank.items.iter().filter(unlabelled).count(),
                first: bank.source.name(first as usize),
            });
        }
        if let [class] = bank.source.classes() {
            let class = class.clone();
            return Err(LabelledError::OneClass { name, class });
        }
        let sides = [(bank, "to train on", 2), (queries, "to test", 1)];
        for (part, side, needed) in sides {
            let counts = part.class_counts();
            let few = counts.iter().position(|&count| count < needed);
            if let Some(class) = few {
                return Err(LabelledError::FewImages {
                    name: part.source.describe(),
                    class: part.source.classes()[class].clone(),
                    count: counts[class],
                    side,
                    needed,
                });
            }
        }
        Ok(())
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
            let (banks, queries) = divided(&*bank, seed);
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

/// Where `shapes` are generated for evaluation, there are as many as asked for.
fn evaluation(data: &DataConfig, options: &OpenOptions) -> OpenOptions {
    let mut options = options.clone();
    options.shapes.count = data.shapes_eval_count;
    options
}

/// Divides images by chance, so that every class of two images or more is on both sides.
fn divided(source: &dyn Source, seed: u64) -> (Vec<u64>, Vec<u64>) {
    let held_out = |item: &u64| Draw::new(seed, 0, *item, Purpose::Split).below(HELD_OUT) == 0;
    let (mut queries, mut bank): (Vec<u64>, Vec<u64>) =
        (0..source.len() as u64).partition(held_out);
    for class in 0..source.classes().len() as u32 {
        let of_class = |item: &u64| source.label(*item as usize) == Some(class);
        let first = |items: &[u64]| items.iter().position(of_class);
        match (first(&bank), first(&queries)) {
            (None, Some(place)) => bank.push(queries.remove(place)),
            (Some(place), None) if bank.iter().filter(|item| of_class(item)).count() > 1 => {
                queries.push(bank.remove(place));
            }
            _ => {}
        }
    }
    bank.sort_unstable();
    queries.sort_unstable();
    (bank, queries)
}

impl Part {
    /// These images as a source of their own.
    pub fn as_source(&self) -> Arc<dyn Source> {
        if self.items.iter().copied().eq(0..self.source.len() as u64) {
            return Arc::clone(&self.source);
        }
        let source = Arc::clone(&self.source);
        Arc::new(Subset::new(source, self.items.clone()))
    }

    /// Images of each class.
    fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.source.classes().len()];
        for &item in &self.items {
            let label = self.source.label(item as usize);
            if let Some(count) = label.and_then(|label| counts.get_mut(label as usize)) {
                *count += 1;
            }
        }
        counts
    }

    /// All images of a source.
    pub fn whole(source: Arc<dyn Source>) -> Self {
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
    (0..source.len()).any(|item| source.label(item).is_some())
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
