//! Class names and the labels that index them.

use std::collections::{BTreeMap, BTreeSet};

/// Numbers above this are taken as names, so that one typing error does not make a billion classes.
const MAX_NUMBER: u32 = 1_000_000;

/// Sorted class names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes {
    names: Vec<String>,
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
        Self { names }
    }

    /// The classes with the given names, sorted.
    pub(crate) fn of_names(names: BTreeSet<String>) -> Self {
        Self {
            names: names.into_iter().collect(),
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

/// A text in the form in which [`Classes::lookup`] knows it, given whether the classes are numbers.
pub(crate) fn canonical(text: &str, classes: &Classes) -> String {
    match number(text) {
        Some(n)
            if classes
                .names
                .get(n as usize)
                .is_some_and(|name| *name == n.to_string()) =>
        {
            n.to_string()
        }
        _ => text.to_owned(),
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
        let name = directory.get(..end)?;
        Some(String::from_utf8_lossy(name).into_owned())
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
    fn first_component_is_the_class() {
        let dirs = [&b"dog/"[..], b"cat/kitten/", b"cat/"];
        let (classes, labels) = of_directories(dirs.into_iter()).unwrap();
        assert_eq!(classes.names(), ["cat", "dog"]);
        assert_eq!(labels, [1, 0, 0]);
        assert!(of_directories([&b"dog/"[..], b""].into_iter()).is_none());
    }
}
