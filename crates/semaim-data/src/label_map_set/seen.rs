//! What label images show: their values, how much of each, and the colors of their palettes.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Values;
use super::layout::Pair;
use super::palettes::{File, Palettes};
use crate::counted::counted;
use crate::error::DataError;
use crate::label_map::IGNORED;
use crate::notices::some_of;

/// A value covers little when it has at most so many pixels of an image that has it, or one in [`LITTLE_SHARE`].
const LITTLE_PIXELS: u64 = 8;

/// See [`LITTLE_PIXELS`].
const LITTLE_SHARE: u64 = 1000;

/// So many values that cover little, and more than half of all, are no classes that are rare.
const MANY: usize = 8;

/// How many values and runs of values are written out.
const WRITTEN: usize = 12;

/// What some label images show.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// By value, 255 included.
    shown: BTreeMap<u8, Shown>,
    palettes: Palettes,
}

/// A value in the images that have it.
#[derive(Clone, Debug)]
struct Shown {
    /// Its pixels.
    pixels: u64,
    /// All pixels of these images.
    of: u64,
    /// How many images these are.
    images: u64,
    /// The first of them.
    first: File,
}

impl Shown {
    fn is_little(&self) -> bool {
        self.pixels <= self.images * LITTLE_PIXELS || self.pixels <= self.of / LITTLE_SHARE
    }
}

impl Seen {
    /// What all of some images' label images show, which are numbered from `first` on; those that cannot be read show nothing.
    pub(super) fn of(pairs: &[(String, Pair)], first: usize, max_pixels: u64) -> Self {
        let all = Mutex::new(Self::default());
        let next = AtomicUsize::new(0);
        let read_some = || {
            let mut mine = Self::default();
            let take = || {
                let at = next.fetch_add(1, Ordering::Relaxed);
                Some((first + at, pairs.get(at)?))
            };
            while let Some((order, (_, pair))) = take() {
                if let Ok(values) = Values::read(&pair.labels, max_pixels) {
                    let path = pair.labels.clone();
                    mine.add(&File { order, path }, &values);
                }
            }
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.absorb(mine);
        };
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(read_some);
            }
        });
        all.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a label image.
    pub(super) fn add(&mut self, file: &File, read: &Values) {
        let mut counts = [0u64; 256];
        for value in &read.values {
            counts[usize::from(*value)] += 1;
        }
        let mut used = Vec::new();
        for (value, pixels) in (0..=u8::MAX).zip(counts) {
            if pixels == 0 {
                continue;
            }
            used.push(value);
            let shown = Shown {
                pixels,
                of: read.values.len() as u64,
                images: 1,
                first: file.clone(),
            };
            self.include(value, shown);
        }
        self.palettes.add(file, &used, read.palette.as_deref());
    }

    /// Adds what others show.
    pub(super) fn absorb(&mut self, other: Self) {
        for (value, shown) in other.shown {
            self.include(value, shown);
        }
        self.palettes.absorb(other.palettes);
    }

    fn include(&mut self, value: u8, shown: Shown) {
        let Some(all) = self.shown.get_mut(&value) else {
            self.shown.insert(value, shown);
            return;
        };
        all.pixels += shown.pixels;
        all.of += shown.of;
        all.images += shown.images;
        if shown.first < all.first {
            all.first = shown.first;
        }
    }

    /// Whether nothing was shown, as where no label image can be read.
    pub(super) fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// The values that are classes where no list says otherwise.
    pub(super) fn classes(&self, ignore_zero: bool) -> BTreeSet<u8> {
        let says_nothing = |value: u8| value == IGNORED || ignore_zero && value == 0;
        let values = self.shown.keys().copied();
        values.filter(|value| !says_nothing(*value)).collect()
    }

    /// Leaves the color of 0 out, where 0 says nothing.
    pub(super) fn leave_color_of_zero_out(&mut self) {
        self.palettes.leave_out(0);
    }

    /// Refuses palettes that contradict each other, or gives what is to be said of them.
    ///
    /// # Errors
    ///
    /// Those of [`Palettes::check`].
    pub(super) fn check_palettes(
        &self,
        are_classes_given: bool,
    ) -> Result<Option<String>, DataError> {
        self.palettes.check(are_classes_given)
    }

    /// The colors of the palettes.
    pub(super) fn into_palettes(self) -> Palettes {
        self.palettes
    }

    /// What may be wrong with the values, from `the values` on: gaps between them, of which 255 beside one other value is the smallest
    /// set, and many that cover little each. Where there `is_listed` what the classes are, only 255 beside one other is in doubt.
    pub(super) fn doubt(&self, is_listed: bool, ignore_zero: bool) -> Option<String> {
        let values = self.shown.keys().copied();
        let is_said = |value: &u8| is_listed || !ignore_zero || *value != 0;
        let values: Vec<u8> = values.filter(is_said).collect();
        let has_ignored = values.last() == Some(&IGNORED);
        let classes = &values[..values.len() - usize::from(has_ignored)];
        let first = u8::from(ignore_zero);
        let is_odd = match is_listed {
            // Few images need not show all classes of a list.
            true => has_ignored && classes.len() == 1,
            false => classes
                .iter()
                .zip(first..)
                .any(|(value, place)| *value != place),
        };
        let is_little = |value: &&u8| self.shown.get(*value).is_some_and(Shown::is_little);
        let little = classes.iter().filter(is_little).count();
        let is_smeared = !is_listed && little >= MANY && little * 2 > classes.len();
        let count = values.len();
        let question = match (is_smeared, is_odd) {
            (true, _) => format!(
                ", {little} of which cover very few pixels of the images that have them: masks that were smoothed or colored when they \
                 were saved?"
            ),
            (false, true) => format!(": are these {count} classes?"),
            (false, false) => return None,
        };
        let rule = match has_ignored {
            true => "255 is the ignore label; if it is a class, write it as another value",
            false => "Every value is a class, unless a file of names (--classes) says otherwise",
        };
        Some(format!("the values {}{question} {rule}", in_words(&values)))
    }

    /// The classes of `eval` that these, which are trained on, do not show, where no list says what is a class.
    pub(super) fn untaught(&self, eval: &Self, ignore_zero: bool) -> Option<String> {
        let mut classes = eval.classes(ignore_zero);
        classes.retain(|value| !self.shown.contains_key(value));
        let said = |value: &u8| {
            let shown = eval.shown.get(value)?;
            let pixels = counted(shown.pixels, "pixel");
            let path = shown.first.path.display();
            Some(format!("{value} ({pixels}, the first in {path})"))
        };
        let untaught: Vec<String> = classes.iter().filter_map(said).collect();
        let is_one = !self.is_empty() && !untaught.is_empty();
        is_one.then(|| {
            format!(
                "{} of the images to evaluate on {} in no image to train on, which can only lower the mean IoU: {}; write what is no \
                 class as 255",
                counted(untaught.len(), "class"),
                if untaught.len() == 1 { "is" } else { "are" },
                some_of(&untaught)
            )
        })
    }
}

/// Values in ascending order, those of a run in short: `0 to 20, 40 and 255`.
fn in_words(values: &[u8]) -> String {
    let mut runs: Vec<[u8; 2]> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some([_, last]) if last.checked_add(1) == Some(*value) => *last = *value,
            _ => runs.push([*value; 2]),
        }
    }
    let words = runs.iter().flat_map(|[first, last]| match last - first {
        0 => vec![first.to_string()],
        1 => vec![first.to_string(), last.to_string()],
        _ => vec![format!("{first} to {last}")],
    });
    let words: Vec<String> = words.collect();
    match words.split_last() {
        _ if words.len() > WRITTEN => {
            format!(
                "{} and {} more",
                words[..WRITTEN].join(", "),
                words.len() - WRITTEN
            )
        }
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// What images of one row show.
    fn seen(rows: &[&[u8]]) -> Seen {
        let mut all = Seen::default();
        for (order, row) in rows.iter().enumerate() {
            let path = PathBuf::from(format!("{order}.png"));
            let read = Values {
                size: [1, row.len()],
                values: row.to_vec(),
                palette: None,
            };
            all.add(&File { order, path }, &read);
        }
        all
    }

    #[test]
    fn values_are_written_in_short() {
        assert_eq!(in_words(&[0, 85, 170, 255]), "0, 85, 170 and 255");
        assert_eq!(in_words(&[0, 1, 2, 3, 7, 8, 255]), "0 to 3, 7, 8 and 255");
        assert_eq!(in_words(&[4]), "4");
        assert_eq!(in_words(&[0, 1]), "0 and 1");
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(in_words(&every), "0 to 255");
        let third: Vec<u8> = (0..=255).step_by(3).collect();
        assert!(in_words(&third).ends_with(", 30, 33 and 74 more"));
    }

    #[test]
    fn gaps_between_values_are_doubted_where_no_list_says_what_is_a_class() {
        let doubt = |row: &[u8], is_listed, ignore_zero| {
            let doubt = seen(&[row]).doubt(is_listed, ignore_zero);
            doubt.unwrap_or_default()
        };
        let four = doubt(&[0, 255, 85, 170], false, false);
        let expected =
            "the values 0, 85, 170 and 255: are these 4 classes? 255 is the ignore label";
        assert!(four.starts_with(expected), "{four}");
        let three = doubt(&[0, 3, 7], false, false);
        let expected = "the values 0, 3 and 7: are these 3 classes? Every value is a class";
        assert!(three.starts_with(expected), "{three}");
        assert!(!doubt(&[1, 2], false, false).is_empty());
        for plain in [&[0, 1, 2][..], &[0, 1, 255], &[0, 1, 2, 3]] {
            assert_eq!(doubt(plain, false, false), "");
        }
        for plain in [&[0, 1, 2][..], &[1, 2, 255], &[0, 1, 2, 255]] {
            assert_eq!(doubt(plain, false, true), "");
        }
        assert!(doubt(&[0, 1, 3], false, true).starts_with("the values 1 and 3: "));
        // A list says what is a class, and a few images need not have all.
        for plain in [&[0, 85, 170, 255][..], &[0, 3], &[0], &[255]] {
            assert_eq!(doubt(plain, true, false), "");
        }
        for ignore_zero in [false, true] {
            let two = doubt(&[0, 255], true, ignore_zero);
            assert!(
                two.starts_with("the values 0 and 255: are these 2 "),
                "{two}"
            );
        }
    }

    #[test]
    fn values_that_smoothing_makes_are_told() {
        // An edge of ten grays, eight pixels each at most, between two fields.
        let edge = (1..=10).flat_map(|level| [level * 23; 8]);
        let field = |value: u8| vec![value; 4000];
        let smoothed: Vec<u8> = [field(0), edge.collect(), field(255)].concat();
        let doubt = seen(&[&smoothed, &smoothed]).doubt(false, false).unwrap();
        let expected = "and 255, 10 of which cover very few pixels of the images that have them: masks that were smoothed";
        assert!(doubt.contains(expected), "{doubt}");
        assert_eq!(seen(&[&smoothed]).doubt(true, false), None);
        // Rare classes among many that are not.
        let rare = (30..40).flat_map(|class| [class; 2]);
        let common = (0..30).flat_map(|class| [class; 300]);
        let classes: Vec<u8> = common.chain(rare).collect();
        assert_eq!(seen(&[&classes]).doubt(false, false), None);
        // Classes of many pixels where they are.
        let images: Vec<Vec<u8>> = (1..40)
            .map(|class| [vec![0; 900], vec![class; 40]].concat())
            .collect();
        let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
        assert_eq!(seen(&images).doubt(false, false), None);
    }

    #[test]
    fn classes_that_nothing_teaches_are_named() {
        let train = seen(&[&[0, 1, 1, 255]]);
        let eval = seen(&[&[0, 1, 1, 1], &[0, 9, 0, 1], &[9, 0, 2, 255]]);
        let said = train.untaught(&eval, false).unwrap();
        let classes = "2 classes of the images to evaluate on are in no image to train on";
        assert!(said.starts_with(classes), "{said}");
        let named = "2 (1 pixel, the first in 2.png), 9 (2 pixels, the first in 1.png)";
        assert!(said.contains(named), "{said}");
        assert_eq!(eval.untaught(&train, false), None);
        assert_eq!(Seen::default().untaught(&eval, false), None);
        // Zero says nothing, and what says nothing is no class.
        let without = seen(&[&[1, 2, 9]]);
        assert!(without.untaught(&eval, false).is_some());
        assert_eq!(without.untaught(&eval, true), None);
    }
}
