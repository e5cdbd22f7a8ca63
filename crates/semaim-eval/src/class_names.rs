//! Labels of two files of vectors, compared by the names of their classes.
//!
//! The number of a class is its place among the classes of its own data set: 1 may be a cat in one file and a dog in the
//! other. The names stand in the `.csv` beside each file of vectors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::vectors::LabeledVectors;

/// Why labels cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum ClassNamesError {
    /// The names cannot be read.
    #[error("reading {path}: {message}")]
    Unreadable {
        /// The `.csv`.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The names are those of other vectors.
    #[error("{path} does not belong to the vectors beside it: {message}")]
    OtherVectors {
        /// The `.csv`.
        path: PathBuf,
        /// What differs.
        message: String,
    },
    /// Names for one file only.
    #[error(
        "{path} is missing: its labels are numbers of its own data set and cannot be compared with the names in {other}"
    )]
    OneWithoutNames {
        /// The `.csv` that is not there.
        path: PathBuf,
        /// The one that is.
        other: PathBuf,
    },
}

/// How the labels of two files were compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// By name; with the names of classes that are among the queries and not in the bank.
    ByName {
        /// Of these no query can be right.
        not_in_bank: Vec<String>,
    },
    /// By number, as neither file has names beside it.
    ByNumber,
}

/// Brings the labels of two files of vectors to one numbering: their own where it is one, as of the parts of one data set,
/// otherwise the order of the names. Both order classes as data sets do, so that what goes by number, such as classes with
/// equal votes, comes out as without files.
///
/// # Errors
/// [`ClassNamesError`].
pub fn share_numbering(
    bank: (&Path, &mut LabeledVectors),
    queries: (&Path, &mut LabeledVectors),
) -> Result<Comparison, ClassNamesError> {
    let names = [names_of(bank.0, bank.1)?, names_of(queries.0, queries.1)?];
    let (of_bank, of_queries) = match names {
        [Some(of_bank), Some(of_queries)] => (of_bank, of_queries),
        [None, None] => return Ok(Comparison::ByNumber),
        [Some(_), None] => return Err(one_without(queries.0, bank.0)),
        [None, Some(_)] => return Err(one_without(bank.0, queries.0)),
    };
    let mut all = pairs(&of_bank, &bank.1.labels);
    all.extend(pairs(&of_queries, &queries.1.labels));
    if !is_one_numbering(&all) {
        let numbers = by_name(all.iter().map(|(name, _)| *name));
        let renumber = |vectors: &mut LabeledVectors, names: &[String]| {
            vectors.labels = names.iter().map(|name| numbers[name.as_str()]).collect();
        };
        renumber(bank.1, &of_bank);
        renumber(queries.1, &of_queries);
    }
    let mut not_in_bank = of_queries;
    not_in_bank.sort();
    not_in_bank.dedup();
    let known: BTreeSet<&String> = of_bank.iter().collect();
    not_in_bank.retain(|name| !known.contains(name));
    Ok(Comparison::ByName { not_in_bank })
}

/// The names of a file's classes with the numbers that they have in it.
fn pairs<'a>(names: &'a [String], numbers: &[u32]) -> BTreeSet<(&'a str, u32)> {
    let names = names.iter().map(String::as_str);
    names.zip(numbers.iter().copied()).collect()
}

/// Whether no name has two numbers and no number two names.
fn is_one_numbering(pairs: &BTreeSet<(&str, u32)>) -> bool {
    let names: BTreeSet<&str> = pairs.iter().map(|(name, _)| *name).collect();
    let numbers: BTreeSet<u32> = pairs.iter().map(|(_, number)| *number).collect();
    names.len() == pairs.len() && numbers.len() == pairs.len()
}

/// Numbers of names in their order: bytewise, as of folders; of names that are all numbers, as those of lists, by their values.
fn by_name<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, u32> {
    let names: BTreeSet<&str> = names.collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    let value = |name: &&str| name.parse::<u64>().ok();
    if names.iter().all(|name| value(name).is_some()) {
        names.sort_by_key(value);
    }
    names.into_iter().zip(0..).collect()
}

fn one_without(without: &Path, with: &Path) -> ClassNamesError {
    ClassNamesError::OneWithoutNames {
        path: csv_of(without),
        other: csv_of(with),
    }
}

fn csv_of(vectors: &Path) -> PathBuf {
    vectors.with_extension("csv")
}

/// The class name of each vector; `None` where no names stand beside the file.
fn names_of(path: &Path, vectors: &LabeledVectors) -> Result<Option<Vec<String>>, ClassNamesError> {
    let path = csv_of(path);
    if !path.exists() {
        return Ok(None);
    }
    let unreadable = |error: csv::Error| ClassNamesError::Unreadable {
        path: path.clone(),
        message: error.to_string(),
    };
    let other = |message: String| ClassNamesError::OtherVectors {
        path: path.clone(),
        message,
    };
    let mut names = Vec::with_capacity(vectors.labels.len());
    for row in csv::Reader::from_path(&path)
        .map_err(unreadable)?
        .into_records()
    {
        let row = row.map_err(unreadable)?;
        let (label, class) = (row.get(1).unwrap_or(""), row.get(2).unwrap_or(""));
        match vectors.labels.get(names.len()) {
            Some(expected) if label == expected.to_string() => names.push(class.to_string()),
            Some(expected) => {
                let at = names.len();
                return Err(other(format!(
                    "image {at} has label {label} there, {expected} here"
                )));
            }
            None => break,
        }
    }
    if names.len() != vectors.labels.len() {
        let (found, expected) = (names.len(), vectors.labels.len());
        return Err(other(format!("{found} names for {expected} vectors")));
    }
    Ok(Some(names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{VectorWriter, read_labeled};

    fn written(path: &Path, labels: &[(u32, &str)]) -> LabeledVectors {
        let mut writer = VectorWriter::create(path, vec![1]).unwrap();
        for (i, &label) in labels.iter().enumerate() {
            writer
                .add(&[i as f32], &format!("{i}.jpg"), Some(label))
                .unwrap();
        }
        writer.finish().unwrap();
        read_labeled(path).unwrap()
    }

    #[test]
    fn classes_are_numbered_as_their_data_set_numbers_them() {
        let folder = tempfile::tempdir().unwrap();
        let paths =
            ["bank", "queries"].map(|name| folder.path().join(format!("{name}.safetensors")));
        let shared = |bank: &[(u32, &str)], queries: &[(u32, &str)]| {
            let mut bank = written(&paths[0], bank);
            let mut queries = written(&paths[1], queries);
            share_numbering((&paths[0], &mut bank), (&paths[1], &mut queries)).unwrap();
            [bank.labels, queries.labels]
        };
        // The parts of one data set keep its numbers, in whatever order their images come.
        let (bank, queries) = ([(3, "d"), (0, "a"), (3, "d")], [(1, "b"), (0, "a")]);
        assert_eq!(shared(&bank, &queries), [vec![3, 0, 3], vec![1, 0]]);
        // Names of several data sets go by name, not by which comes first.
        let (bank, queries) = ([(0, "z"), (1, "b")], [(0, "a"), (1, "z")]);
        assert_eq!(shared(&bank, &queries), [vec![2, 1], vec![0, 2]]);
        let (bank, queries) = ([(0, "10"), (1, "9")], [(0, "9"), (1, "10")]);
        assert_eq!(shared(&bank, &queries), [vec![1, 0], vec![0, 1]]);
        // Two classes of one number, and one class of two.
        let (bank, queries) = ([(0, "b")], [(0, "a")]);
        assert_eq!(shared(&bank, &queries), [vec![1], vec![0]]);
        let (bank, queries) = ([(4, "b")], [(2, "b")]);
        assert_eq!(shared(&bank, &queries), [vec![0], vec![0]]);
    }

    #[test]
    fn classes_are_known_by_name_and_not_by_number() {
        let folder = tempfile::tempdir().unwrap();
        let paths =
            ["bank", "queries"].map(|name| folder.path().join(format!("{name}.safetensors")));
        let mut bank = written(&paths[0], &[(0, "a"), (1, "b, \"big\""), (2, "c")]);
        let mut queries = written(&paths[1], &[(0, "b, \"big\""), (1, "c"), (2, "d")]);
        let compared = share_numbering((&paths[0], &mut bank), (&paths[1], &mut queries));
        let not_in_bank = vec!["d".to_string()];
        assert_eq!(compared.unwrap(), Comparison::ByName { not_in_bank });
        assert_eq!(
            (bank.labels, queries.labels),
            (vec![0, 1, 2], vec![1, 2, 3])
        );
        // Names of others are not taken, and names on one side alone are not enough.
        let mut bank = read_labeled(&paths[0]).unwrap();
        let mut queries = read_labeled(&paths[1]).unwrap();
        std::fs::write(
            folder.path().join("queries.csv"),
            "path,label,class\nx,1,c\n",
        )
        .unwrap();
        let compared = share_numbering((&paths[0], &mut bank), (&paths[1], &mut queries));
        assert!(matches!(
            compared,
            Err(ClassNamesError::OtherVectors { .. })
        ));
        std::fs::remove_file(folder.path().join("queries.csv")).unwrap();
        let compared = share_numbering((&paths[0], &mut bank), (&paths[1], &mut queries));
        assert!(matches!(
            compared,
            Err(ClassNamesError::OneWithoutNames { .. })
        ));
        std::fs::remove_file(folder.path().join("bank.csv")).unwrap();
        let compared = share_numbering((&paths[0], &mut bank), (&paths[1], &mut queries));
        assert_eq!(compared.unwrap(), Comparison::ByNumber);
    }
}
