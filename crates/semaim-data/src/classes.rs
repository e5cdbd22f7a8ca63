//! Class names and the labels that index them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::notices::{self, some_of};

/// Numbers above this are taken as names, so that one typing error does not make a billion classes.
const MAX_NUMBER: u32 = 1_000_000;

/// Sorted class names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes {
    names: Vec<String>,
    /// Whether the texts that they come from are all numbers, so that a class is called as its number.
    are_numbers: bool,
}

impl Classes {
    /// The classes that occur in `texts`.
    ///
    /// When every text is a whole number from 0 to a million, the label is that number and the classes are called `0`,
    /// `1`, ... up to the largest one. Otherwise the classes are the different texts, sorted bytewise.
    pub(crate) fn of_texts<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Self {
        let largest = texts
            .clone()
            .map(number)
            .try_fold(None::<u32>, |largest, n| Some(largest.max(Some(n?))));
        let names = match largest {
            Some(Some(largest)) => (0..=largest).map(|n| n.to_string()).collect(),
            Some(None) => Vec::new(),
            None => {
                let names: BTreeSet<&str> = texts.collect();
                names.into_iter().map(str::to_owned).collect()
            }
        };
        Self {
            names,
            are_numbers: largest.is_some(),
        }
    }

    /// The classes with the given names, sorted.
    pub(crate) fn of_names(names: BTreeSet<String>) -> Self {
        Self {
            names: names.into_iter().collect(),
            are_numbers: false,
        }
    }

    /// What turns texts into labels.
    pub(crate) fn lookup(&self) -> BTreeMap<&str, u32> {
        self.names
            .iter()
            .enumerate()
            .map(|(label, name)| (name.as_str(), label as u32))
            .collect()
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Says of the set at `set` which numbers no image has, where its classes are numbers. `texts` are all its labels.
    ///
    /// Labels that count from 1, or with gaps, keep their values, so that there are classes without images, with which no
    /// classifier can be trained.
    pub(crate) fn warn_of_unused<'a>(&self, set: &Path, texts: impl Iterator<Item = &'a str>) {
        if let Some(text) = self.unused(texts) {
            notices::warn(format!("{}: {text}", set.display()));
        }
    }

    /// What to say of numbers that are classes and none of `texts`; nothing where there are none.
    fn unused<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Option<String> {
        if !self.are_numbers {
            return None;
        }
        let used: BTreeSet<u32> = texts.filter_map(number).collect();
        let largest = used.last()?;
        let mut runs = Vec::new();
        let mut next = 0;
        for &number in &used {
            match number - next {
                0 => {}
                1 => runs.push(next.to_string()),
                _ => runs.push(format!("{next} to {}", number - 1)),
            }
            next = number + 1;
        }
        (!runs.is_empty()).then(|| {
            format!(
                "labels that are all whole numbers are the numbers of classes, here 0 to {largest}, and no image has {}; a \
                 classifier is trained on classes that all have images, so count labels from 0 without gaps, or use names in \
                 place of numbers, such as `c{largest}`",
                some_of(&runs)
            )
        })
    }
}

/// The classes of a set, and the label of each of its images, if it has one.
pub(crate) type Labels = (Classes, Vec<Option<u32>>);

/// The labels of images in the order of the images, as texts, each different one kept once.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelTexts {
    /// The different texts, numbered as they came.
    numbers: BTreeMap<String, u32>,
    /// The number of each image's text.
    images: Vec<Option<u32>>,
}

impl LabelTexts {
    /// Adds the label of the next image. An empty text is none.
    pub(crate) fn push(&mut self, text: Option<&str>) {
        let number = text.and_then(|text| self.number(text));
        self.images.push(number);
    }

    /// Adds a class that images elsewhere have. An empty text is none.
    pub(crate) fn add_class(&mut self, text: &str) {
        self.number(text);
    }

    /// The number of a text, a new one where it has none yet.
    fn number(&mut self, text: &str) -> Option<u32> {
        let next = self.numbers.len() as u32;
        match self.numbers.get(text) {
            Some(&number) => Some(number),
            None if text.is_empty() => None,
            None => Some(*self.numbers.entry(text.to_owned()).or_insert(next)),
        }
    }

    /// The classes that the texts name, as [`Classes::of_texts`] has them, and the label of each image; none at all where no image
    /// has a text. Numbers of classes that no image has are told of; `set` is what they belong to.
    pub(crate) fn into_labels(self, set: &Path) -> Labels {
        let texts = || self.numbers.keys().map(String::as_str);
        let classes = Classes::of_texts(texts());
        classes.warn_of_unused(set, texts());
        if self.numbers.is_empty() {
            return (classes, Vec::new());
        }
        let mut labels = vec![None; self.numbers.len()];
        let lookup = classes.lookup();
        for (text, &number) in &self.numbers {
            labels[number as usize] = lookup.get(canonical(text, &classes).as_str()).copied();
        }
        drop(lookup);
        let label = |number: &Option<u32>| labels.get((*number)? as usize).copied().flatten();
        let labels = self.images.iter().map(label).collect();
        (classes, labels)
    }
}

/// The classes in the words of a log line: `10 classes`, or `no labels`.
pub(crate) fn describe(names: &[String]) -> String {
    match names.len() {
        0 => "no labels".to_owned(),
        1 => "1 class".to_owned(),
        n => format!("{n} classes"),
    }
}

/// The number a text is, in its shortest form or with leading zeros.
pub(crate) fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let value = text.parse().ok().filter(|n| *n <= MAX_NUMBER);
    value.filter(|_| digits)
}

/// A text in the form in which [`Classes::lookup`] knows it: a number in its shortest form only where all texts are numbers, as `0`
/// and `00` are two classes beside words.
pub(crate) fn canonical(text: &str, classes: &Classes) -> String {
    match number(text).filter(|_| classes.are_numbers) {
        Some(number) => number.to_string(),
        None => text.to_owned(),
    }
}

/// Labels from directories: the first component is the class.
///
/// `directories` are relative, with `/` at their ends; the empty one is the root. Returns the classes and the label of
/// each directory, or `None` when one of them is the root: then the images are unlabeled.
pub(crate) fn of_directories<'a>(
    directories: impl Iterator<Item = &'a [u8]> + Clone,
) -> Option<(Classes, Vec<u32>)> {
    let class = |directory: &[u8]| -> Option<String> {
        let end = directory.iter().position(|&b| b == b'/')?;
        Some(escaped(directory.get(..end)?))
    };
    let names: Option<BTreeSet<String>> = directories.clone().map(class).collect();
    let classes = Classes::of_names(names?);
    let lookup = classes.lookup();
    let labels: Option<Vec<u32>> = directories
        .map(|directory| lookup.get(class(directory)?.as_str()).copied())
        .collect();
    let labels = labels?;
    Some((classes, labels))
}

/// A name as text. Bytes that are no UTF-8 are written as `\xE9`, so that names that differ in such alone stay two.
fn escaped(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_values() {
        let classes = Classes::of_texts(["3", "0", "03"].into_iter());
        assert_eq!(classes.names(), ["0", "1", "2", "3"]);
        assert_eq!(classes.lookup()[canonical("03", &classes).as_str()], 3);
    }

    #[test]
    fn texts_are_sorted() {
        let classes = Classes::of_texts(["dog", "7", "cat", "dog"].into_iter());
        assert_eq!(classes.names(), ["7", "cat", "dog"]);
        assert_eq!(classes.lookup()[canonical("7", &classes).as_str()], 0);
        assert!(Classes::of_texts(std::iter::empty()).names().is_empty());
        let huge = Classes::of_texts(["4000000000", "1"].into_iter());
        assert_eq!(huge.names(), ["1", "4000000000"]);
    }

    #[test]
    fn numbers_that_no_image_has_are_told_of() {
        let unused = |texts: &[&str]| {
            let classes = Classes::of_texts(texts.iter().copied());
            classes.unused(texts.iter().copied())
        };
        let from_one = unused(&["1", "03", "2"]).unwrap();
        assert!(from_one.contains("here 0 to 3"), "{from_one}");
        assert!(from_one.contains("no image has 0; "), "{from_one}");
        let gaps = unused(&["2007", "7", "1007"]).unwrap();
        let runs = "no image has 0 to 6, 8 to 1006, 1008 to 2006; ";
        assert!(gaps.contains(runs), "{gaps}");
        for texts in [&["0", "01", "2"][..], &["1", "cat"], &["-1", "2"], &[]] {
            assert_eq!(unused(texts), None, "{texts:?}");
        }
    }

    #[test]
    fn labels_follow_the_images() {
        let mut texts = LabelTexts::default();
        for text in [
            Some("dog"),
            None,
            Some("cat"),
            Some(""),
            Some("dog"),
            Some("7"),
        ] {
            texts.push(text);
        }
        let (classes, labels) = texts.into_labels(Path::new("set"));
        assert_eq!(classes.names(), ["7", "cat", "dog"]);
        assert_eq!(labels, [Some(2), None, Some(1), None, Some(2), Some(0)]);
        let mut numbers = LabelTexts::default();
        for text in ["1", "0", "01"] {
            numbers.push(Some(text));
        }
        let (classes, labels) = numbers.into_labels(Path::new("set"));
        assert_eq!(classes.names(), ["0", "1"]);
        assert_eq!(labels, [Some(1), Some(0), Some(1)]);
        let mut more = LabelTexts::default();
        more.push(Some("dog"));
        for text in ["cat", "dog", ""] {
            more.add_class(text);
        }
        let (classes, labels) = more.into_labels(Path::new("set"));
        assert_eq!(classes.names(), ["cat", "dog"]);
        assert_eq!(labels, [Some(1)]);
        let mut none = LabelTexts::default();
        none.push(None);
        assert!(none.into_labels(Path::new("set")).1.is_empty());
    }

    #[test]
    fn first_component_is_the_class() {
        let dirs = [&b"dog/"[..], b"cat/kitten/", b"cat/"];
        let (classes, labels) = of_directories(dirs.into_iter()).unwrap();
        assert_eq!(classes.names(), ["cat", "dog"]);
        assert_eq!(labels, [1, 0, 0]);
        assert!(of_directories([&b"dog/"[..], b""].into_iter()).is_none());
    }

    #[test]
    fn names_that_are_no_text_stay_different_classes() {
        let dirs = [
            &b"caf\xE9/"[..],
            b"caf\xE8/",
            b"caf\xC3\xA9/",
            b"caf\xE9/x/",
        ];
        let (classes, labels) = of_directories(dirs.into_iter()).unwrap();
        assert_eq!(classes.names(), ["caf\\xE8", "caf\\xE9", "caf\u{e9}"]);
        assert_eq!(labels, [1, 0, 2, 1]);
    }

    #[test]
    fn digits_beside_words_are_words() {
        let mut texts = LabelTexts::default();
        for text in ["0", "00", "cat"] {
            texts.push(Some(text));
        }
        let (classes, labels) = texts.into_labels(Path::new("set"));
        assert_eq!(classes.names(), ["0", "00", "cat"]);
        assert_eq!(labels, [Some(0), Some(1), Some(2)]);
    }
}
