//! Training and test split of labeled images.

use std::collections::HashSet;
use std::sync::Arc;

use semaim_data::{
    DataError, OpenOptions, Source, Split, Subset, open_all, same_images, same_sets, spread,
    warn_of_shared, warn_of_unlabeled,
};
use semaim_random::{Key, KeyedRng, Stream};
use semaim_train::config::DataConfig;

/// Images of a source.
#[derive(Clone, Debug)]
pub struct ImageSubset {
    /// Where they are.
    pub source: Arc<dyn Source>,
    /// Their numbers in the source.
    pub items: Vec<u64>,
}

/// The two splits of a labeled data set.
#[derive(Clone, Debug)]
pub struct LabeledSplits {
    /// Trained on, or searched for neighbors.
    pub train: ImageSubset,
    /// Classified.
    pub test: ImageSubset,
}

/// Why there is no evaluation.
#[derive(Debug, thiserror::Error)]
pub enum SplitsError {
    /// A data set cannot be opened.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A set that is to have labels has none.
    #[error("{name}: this needs labels (class folders, .cls members or a list with labels)")]
    Unlabeled {
        /// The data set.
        name: String,
    },
    /// Some images have a label and some do not.
    #[error(
        "{name}: {count} images have no label, the first of them {first}; training needs one for each"
    )]
    PartlyLabeled {
        /// The data set.
        name: String,
        /// Images without a label.
        count: usize,
        /// Name of the first.
        first: String,
    },
    /// A class with too few images.
    #[error(
        "{name}: class `{class}` has {count} {purpose}; at least {needed} are needed. Remove the class or add images"
    )]
    FewImages {
        /// The data set.
        name: String,
        /// The class.
        class: String,
        /// Its images.
        count: usize,
        /// What they are for.
        purpose: &'static str,
        /// How many there must be.
        needed: usize,
    },
    /// A class that images in even distances miss.
    #[error(
        "{setting} = {limit}: {limit} images in even distances hold none of class `{class}`, as classes take turns in the order of the \
         images; give another number (0: all images)"
    )]
    Thinned {
        /// What the limit is called.
        setting: &'static str,
        /// The limit.
        limit: usize,
        /// The class.
        class: String,
    },
    /// Only one class.
    #[error("{name}: all images are of one class, `{class}`; there is nothing to tell apart")]
    OneClass {
        /// The data set.
        name: String,
        /// The class.
        class: String,
    },
    /// The two splits do not have the same classes.
    #[error("the classes of {train} and {test} differ: {difference}")]
    Classes {
        /// Description of the training split.
        train: String,
        /// Description of the test split.
        test: String,
        /// Names in one split only.
        difference: String,
    },
}

/// One in this many images is classified where a set has no split of its own.
const HELD_OUT: u64 = 5;

impl LabeledSplits {
    /// Finds the splits for a run, or `None` where nothing has labels. `training` is the run's own data, already
    /// open: a large folder is not listed again.
    ///
    /// With `data.eval`: its training and its evaluation split. Without: the splits
    /// of the training data. A set without splits is divided by chance, one image in five is classified.
    ///
    /// # Errors
    /// A set that cannot be opened, has no labels although it was named for them, or splits with other classes.
    pub fn of(
        data: &DataConfig,
        options: &OpenOptions,
        seed: u64,
        training: &Arc<dyn Source>,
    ) -> Result<Option<Self>, SplitsError> {
        let named = !data.eval.is_empty();
        let spec = if named { &data.eval } else { &data.path };
        let train = if named {
            open_all(spec.as_slice(), Split::Train, options)?
        } else {
            Arc::clone(training)
        };
        let test = open_all(spec.as_slice(), Split::Eval, &evaluation(data, options))?;
        match Self::divide(train, test, seed)? {
            None if named => Err(SplitsError::Unlabeled {
                name: spec.to_string(),
            }),
            sets => Ok(sets),
        }
    }

    /// Opens the splits to train a classifier on and to test it: the splits of `data.path`, or `data.path` and the
    /// evaluation split of `data.eval`. All training images have labels, there are two classes or more, and each has two
    /// images or more to train on and one or more to test.
    ///
    /// # Errors
    /// [`SplitsError`].
    pub fn for_training(
        data: &DataConfig,
        options: &OpenOptions,
        seed: u64,
    ) -> Result<Self, SplitsError> {
        // The same set twice, however it is written, is one set, part of which is held out.
        let is_own = same_sets(data.eval.as_slice(), data.path.as_slice());
        let spec = match data.eval.is_empty() || is_own {
            true => &data.path,
            false => &data.eval,
        };
        let train = open_all(data.path.as_slice(), Split::Train, options)?;
        let test = open_all(spec.as_slice(), Split::Eval, &evaluation(data, options))?;
        let unlabeled = if is_labeled(&*train) {
            spec.to_string()
        } else {
            data.path.to_string()
        };
        let sets = Self::divide(train, test, seed)?;
        let sets = sets.ok_or(SplitsError::Unlabeled { name: unlabeled })?;
        sets.check_for_training()?;
        Ok(sets)
    }

    /// Whether a classifier can be trained on the training split and tested on the test split.
    ///
    /// # Errors
    /// [`SplitsError`], naming the first class or image that stands in the way.
    pub fn check_for_training(&self) -> Result<(), SplitsError> {
        let (train, test) = (&self.train, &self.test);
        let name = train.source.describe();
        let unlabeled = |item: &&u64| train.source.label(**item as usize).is_none();
        if let Some(&first) = train.items.iter().find(unlabeled) {
            return Err(SplitsError::PartlyLabeled {
                name,
                count: train.items.iter().filter(unlabeled).count(),
                first: train.source.name(first as usize),
            });
        }
        if let [class] = train.source.classes() {
            let class = class.clone();
            return Err(SplitsError::OneClass { name, class });
        }
        let splits = [(train, "to train on", 2), (test, "to test", 1)];
        for (part, purpose, needed) in splits {
            let counts = part.class_counts();
            let few = counts.iter().position(|&count| count < needed);
            if let Some(class) = few {
                return Err(SplitsError::FewImages {
                    name: part.source.describe(),
                    class: part.source.classes()[class].clone(),
                    count: counts[class],
                    purpose,
                    needed,
                });
            }
        }
        Ok(())
    }

    /// Makes splits of the two parts of a data set, or `None` where nothing has labels. Splits that are the same
    /// images are divided by chance, one image in five is classified.
    ///
    /// # Errors
    /// Splits with other classes.
    pub fn divide(
        train: Arc<dyn Source>,
        test: Arc<dyn Source>,
        seed: u64,
    ) -> Result<Option<Self>, SplitsError> {
        if !is_labeled(&*train) || !is_labeled(&*test) {
            return Ok(None);
        }
        check_classes(&*train, &*test)?;
        let is_divided = !same_images(&*train, &*test);
        warn_of_unlabeled(&*train);
        if is_divided {
            warn_of_unlabeled(&*test);
            warn_of_shared(&*train, &*test);
        }
        let sets = if !is_divided {
            let (train_items, test) = divided(&*train, seed);
            Self {
                test: ImageSubset {
                    source: Arc::clone(&train),
                    items: test,
                },
                train: ImageSubset {
                    source: train,
                    items: train_items,
                },
            }
        } else {
            Self {
                train: ImageSubset::whole(train),
                test: ImageSubset::whole(test),
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

/// Divides images by chance into training and test, so that every class of two images or more is in both splits.
fn divided(source: &dyn Source, seed: u64) -> (Vec<u64>, Vec<u64>) {
    let held_out =
        |item: u64| KeyedRng::new(Key::new(seed, 0, item), Stream::Split).below(HELD_OUT) == 0;
    let mut split: Vec<bool> = (0..source.len() as u64).map(held_out).collect();
    /// Images of a class in each split, and the first of each.
    #[derive(Clone, Default)]
    struct Class {
        counts: [usize; 2],
        first: [Option<usize>; 2],
    }
    let mut classes = vec![Class::default(); source.classes().len()];
    for (item, &is_test) in split.iter().enumerate() {
        let label = source
            .label(item)
            .and_then(|label| classes.get_mut(label as usize));
        if let Some(class) = label {
            class.counts[usize::from(is_test)] += 1;
            class.first[usize::from(is_test)].get_or_insert(item);
        }
    }
    for class in classes {
        match class.first {
            [None, Some(item)] => split[item] = false,
            [Some(item), None] if class.counts[0] > 1 => split[item] = true,
            _ => {}
        }
    }
    let items = 0..source.len() as u64;
    let (test, train) = items.partition(|&item| split[item as usize]);
    (train, test)
}

impl ImageSubset {
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
        let places = spread(self.items.len(), limit);
        let items = places.map(|place| self.items[place]).collect();
        Self { items, ..self }
    }

    /// The same for images that stand for all: refused where a class is left out of which many were to be expected, as it is where
    /// classes take turns in the order of the images. `setting` is what the limit is called.
    ///
    /// # Errors
    /// [`SplitsError::Thinned`].
    pub fn thinned(self, limit: usize, setting: &'static str) -> Result<Self, SplitsError> {
        /// Of a class with so many in the mean, one is left out by chance once in 500 million times.
        const EXPECTED: usize = 20;
        let (before, all) = (self.class_counts(), self.items.len());
        let part = self.at_most(limit);
        let counts = part.class_counts();
        let is_lost = |(now, then): (&usize, &usize)| {
            *now == 0 && then * part.items.len() >= EXPECTED * all.max(1)
        };
        match counts.iter().zip(&before).position(is_lost) {
            None => Ok(part),
            Some(class) => Err(SplitsError::Thinned {
                setting,
                limit,
                class: part.source.classes()[class].clone(),
            }),
        }
    }
}

fn is_labeled(source: &dyn Source) -> bool {
    (0..source.len()).any(|item| source.label(item).is_some())
}

fn check_classes(train: &dyn Source, test: &dyn Source) -> Result<(), SplitsError> {
    let (left, right) = (train.classes(), test.classes());
    if left == right {
        return Ok(());
    }
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        let those: HashSet<&String> = those.iter().collect();
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
    let difference = match difference.as_str() {
        "" => "they are the same in another order, so that their numbers mean others".to_string(),
        _ => difference,
    };
    Err(SplitsError::Classes {
        train: train.describe(),
        test: test.describe(),
        difference,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use semaim_data::{OpenOptions, Split};

    use super::*;

    #[test]
    fn images_in_even_distances_are_refused_where_classes_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list.csv");
        let mut text = String::new();
        for i in 0..200 {
            fs::write(folder.path().join(format!("{i}.png")), []).unwrap();
            text += &format!("{i}.png,{}\n", ["odd", "even"][i % 2]);
        }
        fs::write(&list, text).unwrap();
        let list = list.to_str().unwrap();
        let source = semaim_data::open(list, Split::Train, &OpenOptions::default()).unwrap();
        let all = ImageSubset::whole(source);
        for (limit, expected) in [(0, 200), (300, 200), (130, 130), (30, 30)] {
            let some = all.clone().thinned(limit, "max_bank").unwrap();
            assert_eq!(some.items.len(), expected);
        }
        let refused = all.clone().thinned(100, "max_bank").unwrap_err();
        let said = refused.to_string();
        assert!(
            said.contains("max_bank = 100") && said.contains("`even`"),
            "{said}"
        );
        // Of so few images a class may be left out by chance.
        assert_eq!(all.thinned(20, "max_bank").unwrap().items.len(), 20);
    }
}
