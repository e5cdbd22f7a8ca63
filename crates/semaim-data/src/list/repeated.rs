//! Images that a list names more than once.

use std::collections::HashMap;
use std::path::Path;

use crate::error::DataError;
use crate::notices::{self, some_of};

/// The images of a list, in its order.
#[derive(Debug)]
pub(super) struct Images {
    /// The line of each image, from 1.
    pub(super) lines: Vec<u64>,
    /// The file of each image, or the first of several.
    pub(super) paths: Vec<Box<Path>>,
    /// The files after the first of each image, or empty where all images are single files.
    pub(super) more: Vec<Box<[Box<Path>]>>,
    /// The label of each image, or empty where no image has one.
    pub(super) labels: Vec<Option<u32>>,
}

impl Images {
    /// Each image once, at the place of the first line that names it. Says which are named again; `classes` are the names of the
    /// labels.
    ///
    /// # Errors
    ///
    /// [`DataError::List`] where an image is named again with another label, or with one and without: tables of several labels per
    /// image are so, and none of the labels is the image's class.
    pub(super) fn once(self, list: &Path, classes: &[String]) -> Result<Self, DataError> {
        let firsts = self.firsts(list.parent().unwrap_or(Path::new("")));
        let mut again = Vec::new();
        for (at, &first) in firsts.iter().enumerate() {
            if at == first {
                continue;
            }
            if self.label(at) != self.label(first) {
                return Err(self.conflict(list, at, first, classes));
            }
            again.push(self.name(at));
        }
        if again.is_empty() {
            return Ok(self);
        }
        notices::warn(format!(
            "{}: {}: {}",
            list.display(),
            match again.len() {
                1 => "a line names an image again, which counts once".to_owned(),
                number => format!("{number} lines name images again, which count once"),
            },
            some_of(&again)
        ));
        Ok(Self {
            lines: kept(self.lines, &firsts),
            paths: kept(self.paths, &firsts),
            more: kept(self.more, &firsts),
            labels: kept(self.labels, &firsts),
        })
    }

    /// For each image the number of the first of the same files.
    fn firsts(&self, folder: &Path) -> Vec<usize> {
        let mut numbers = HashMap::with_capacity(self.paths.len());
        let mut firsts = Vec::with_capacity(self.paths.len());
        for (at, path) in self.paths.iter().enumerate() {
            let files = (plain(path, folder), self.more.get(at));
            firsts.push(*numbers.entry(files).or_insert(at));
        }
        firsts
    }

    fn label(&self, at: usize) -> Option<u32> {
        self.labels.get(at).copied().flatten()
    }

    fn name(&self, at: usize) -> String {
        self.paths
            .get(at)
            .map_or_else(String::new, |path| path.display().to_string())
    }

    /// The error for an image that has a label at one place of the list and another, or none, at the other.
    fn conflict(&self, list: &Path, at: usize, first: usize, classes: &[String]) -> DataError {
        let label = |at: usize| match self.label(at) {
            Some(label) => {
                let name = classes.get(label as usize).map_or("", String::as_str);
                format!("the label `{name}`")
            }
            None => "no label".to_owned(),
        };
        let line = |at: usize| self.lines.get(at).copied().unwrap_or_default();
        DataError::List {
            path: list.to_owned(),
            line: line(at),
            reason: format!(
                "{} has {} here and {} on line {}; each image has one label, lists of several labels per image are not read",
                self.name(at),
                label(at),
                label(first),
                line(first)
            ),
        }
    }
}

/// The items whose number is that of the first of their kind.
fn kept<T>(items: Vec<T>, firsts: &[usize]) -> Vec<T> {
    let numbered = items.into_iter().zip(firsts).enumerate();
    let kept = numbered.filter(|(at, (_, first))| at == *first);
    kept.map(|(_, (item, _))| item).collect()
}

/// A path as it is below `folder`, where it is, without `./` at its start.
fn plain<'a>(path: &'a Path, folder: &Path) -> &'a Path {
    let start = match path.is_absolute() {
        true => folder,
        false => Path::new("."),
    };
    path.strip_prefix(start).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(paths: &[&str], labels: &[Option<u32>]) -> Images {
        Images {
            lines: (1..=paths.len() as u64).map(|line| 10 * line).collect(),
            paths: paths.iter().map(|path| Path::new(path).into()).collect(),
            more: Vec::new(),
            labels: labels.to_vec(),
        }
    }

    fn once(images: Images) -> Result<Images, DataError> {
        let classes = ["cat", "dog"].map(str::to_owned);
        images.once(Path::new("/set/l.csv"), &classes)
    }

    #[test]
    fn an_image_that_is_named_again_counts_once() {
        let paths = ["b", "a", "./b", "a/c", "/set/a", "a//c", "/b"];
        let label = |path: &&str| Some(u32::from(path.ends_with('b')));
        let labels: Vec<Option<u32>> = paths.iter().map(label).collect();
        let left = once(images(&paths, &labels)).unwrap();
        let names: Vec<&str> = left.paths.iter().map(|p| p.to_str().unwrap()).collect();
        assert_eq!(names, ["b", "a", "a/c", "/b"]);
        assert_eq!(left.lines, [10, 20, 40, 70]);
        assert_eq!(left.labels, [Some(1), Some(0), Some(0), Some(1)]);
        let left = once(images(&["a", "b", "a"], &[])).unwrap();
        assert_eq!((left.paths.len(), left.labels.len()), (2, 0));
    }

    #[test]
    fn images_of_several_files_are_the_same_if_all_files_are() {
        let file = |name: &str| -> Box<[Box<Path>]> {
            let path: Box<Path> = Path::new(name).into();
            Box::new([path])
        };
        let mut stacks = images(&["a", "a", "a"], &[]);
        stacks.more = vec![file("x"), file("y"), file("x")];
        let left = once(stacks).unwrap();
        assert_eq!(left.more, [file("x"), file("y")]);
    }

    #[test]
    fn an_image_of_two_labels_is_refused_with_both_lines() {
        for (labels, words) in [
            (
                [Some(0), None, Some(1)],
                ["the label `dog` here", "the label `cat` on line 10"],
            ),
            (
                [Some(1), None, None],
                ["no label here", "the label `dog` on line 10"],
            ),
        ] {
            let error = once(images(&["a.png", "b.png", "a.png"], &labels)).unwrap_err();
            assert!(matches!(error, DataError::List { line: 30, .. }), "{error}");
            let error = error.to_string();
            for word in words
                .into_iter()
                .chain(["a.png", "several labels per image"])
            {
                assert!(error.contains(word), "{word}: {error}");
            }
        }
    }
}
