//! Names of classes, and the values that they have in label images.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::counted::counted;
use crate::error::DataError;
use crate::label_map::IGNORED;

/// Files of names that are found without being named, beside the images or in `annotations`.
const USUAL: [&str; 8] = [
    "classes.txt",
    "classes.json",
    "class_names.txt",
    "names.txt",
    "labels.txt",
    "objectInfo150.txt",
    "categories.json",
    "semantic_categories.json",
];

/// What the value 0 is called in lists of names, in lower case and without underscores around it.
const NOTHING: [&str; 6] = [
    "background",
    "unlabeled",
    "unlabelled",
    "void",
    "ignore",
    "ignored",
];

/// What labelme's lists begin with: the name of the value -1.
const LABELME_IGNORE: &str = "__ignore__";

/// The heading of ADE20K's table of classes.
const ADE20K: &str = "Idx\tRatio";

/// The classes of label images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassList {
    pub(super) names: Vec<String>,
    /// The value of each class in label images, ascending, none of them 255.
    pub(super) values: Vec<u8>,
}

impl ClassList {
    /// The file of names of a folder.
    pub(super) fn find(folder: &Path) -> Option<PathBuf> {
        let folders = [folder.to_owned(), folder.join("annotations")];
        let files = folders
            .iter()
            .flat_map(|folder| USUAL.map(|name| folder.join(name)));
        files.into_iter().find(|path| path.is_file())
    }

    /// The classes of a file: a name on each line, or a JSON list of names, in the order of the values 0, 1, ... (1, 2, ... where
    /// `ignore_zero`); or lines of a number and a name, a JSON list of objects with `id` and `name` or a mapping from numbers to
    /// names, where the numbers are the values; or ADE20K's `objectInfo150.txt`.
    ///
    /// Of a list without numbers a first `__ignore__`, labelme's name of the value -1, is none of the names; and where `ignore_zero`,
    /// neither is a first `background`, `void` or such, nor what follows `__ignore__`, which is the value 0. What was left out so is
    /// given too.
    ///
    /// `largest` gives the largest value of the label images; where it is no smaller than the number of names, the first name is of
    /// 1: LoveDA's 1 is the background, and 0 what says nothing.
    pub(super) fn read(
        path: &Path,
        ignore_zero: bool,
        largest: impl FnOnce() -> Result<Option<u8>, DataError>,
    ) -> Result<(Self, Vec<String>), DataError> {
        let refused = |reason: String| DataError::Annotations {
            path: path.to_owned(),
            reason,
        };
        let text = fs::read_to_string(path).map_err(|e| DataError::unreadable(path, e))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let is_json = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("json"));
        let entries = match is_json {
            true => serde_json::from_str(text)
                .map_err(|error| format!("not JSON: {error}"))
                .and_then(|value| of_json(&value)),
            false => of_lines(text),
        };
        let mut entries = entries.map_err(refused)?;
        let left_out = leave_out_nothing(&mut entries, ignore_zero, largest)?;
        let first = u64::from(ignore_zero);
        let numbered = entries.into_iter().zip(first..);
        let mut classes: Vec<(u64, String)> = numbered
            .map(|((value, name), place)| (value.unwrap_or(place), name))
            .filter(|(value, _)| !(ignore_zero && *value == 0))
            .collect();
        classes.sort();
        let list = Self::new(classes).map_err(refused)?;
        Ok((list, left_out))
    }

    /// The classes of values that occur, called by their numbers.
    pub(super) fn of_values(values: &BTreeSet<u8>) -> Result<Self, String> {
        let named = values
            .iter()
            .map(|value| (u64::from(*value), value.to_string()));
        Self::new(named.collect())
    }

    /// Classes that are known by value and name.
    pub(super) fn of_known(known: &[(u8, String)]) -> Self {
        let mut known = known.to_vec();
        known.sort();
        let (values, names) = known.into_iter().unzip();
        Self { names, values }
    }

    /// Classes in ascending order of their values.
    fn new(classes: Vec<(u64, String)>) -> Result<Self, String> {
        let repeated = classes.windows(2).find(|pair| pair[0].0 == pair[1].0);
        if let Some([(value, first), (_, second)]) = repeated {
            return Err(format!(
                "`{first}` and `{second}` have the same number, {value}"
            ));
        }
        let mut list = Self {
            names: Vec::new(),
            values: Vec::new(),
        };
        for (value, name) in classes {
            let fits = u8::try_from(value).ok().filter(|value| *value != IGNORED);
            list.values.push(fits.ok_or_else(|| {
                format!("`{name}` has the number {value}; values of classes are 0 to 254")
            })?);
            list.names.push(name);
        }
        match list.names.len() {
            0 => Err("there are no classes".to_owned()),
            1 => Err(format!("there is only one class, `{}`", list.names[0])),
            _ => Ok(list),
        }
    }

    /// From values to classes; `None` for a value that is no class, [`IGNORED`] for one that says nothing.
    pub(super) fn table(&self, ignore_zero: bool) -> [Option<u8>; 256] {
        let mut table = [None; 256];
        table[usize::from(IGNORED)] = Some(IGNORED);
        if ignore_zero {
            table[0] = Some(IGNORED);
        }
        for (class, value) in (0u8..).zip(&self.values) {
            table[usize::from(*value)] = Some(class);
        }
        table
    }

    /// What the values are, for messages.
    pub(super) fn describe_values(&self) -> String {
        let classes = counted(self.values.len(), "class");
        match (self.values.first(), self.values.last()) {
            (Some(first), Some(last)) if usize::from(last - first) + 1 == self.values.len() => {
                format!("the values of the {classes} are {first} to {last}")
            }
            _ => {
                let values: Vec<String> = self.values.iter().map(u8::to_string).collect();
                format!("the values of the {classes} are {}", values.join(", "))
            }
        }
    }
}

/// Names, with their values where those are given.
type Entries = Vec<(Option<u64>, String)>;

/// Takes the names of what says nothing from the beginning of a list without numbers.
fn leave_out_nothing(
    entries: &mut Entries,
    ignore_zero: bool,
    largest: impl FnOnce() -> Result<Option<u8>, DataError>,
) -> Result<Vec<String>, DataError> {
    let mut left_out = Vec::new();
    if entries.iter().any(|(value, _)| value.is_some()) {
        return Ok(left_out);
    }
    let first = |entries: &Entries| entries.first().map(|(_, name)| name.clone());
    let is_labelmes = first(entries).is_some_and(|name| name == LABELME_IGNORE);
    if is_labelmes {
        left_out.push(entries.remove(0).1);
    }
    // In labelme's lists 0 is what follows, whatever it is called.
    let is_zero = first(entries).is_some_and(|name| {
        let plain = name.trim_matches('_').to_lowercase();
        is_labelmes || NOTHING.contains(&plain.as_str())
    });
    // Where as many values occur above 0 as there are names, the first is of 1.
    let names = entries.len();
    if ignore_zero
        && is_zero
        && (is_labelmes || largest()?.is_none_or(|largest| usize::from(largest) < names))
    {
        left_out.push(entries.remove(0).1);
    }
    Ok(left_out)
}

fn of_lines(text: &str) -> Result<Entries, String> {
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    if lines.first().is_some_and(|line| line.starts_with(ADE20K)) {
        let row = |line: &&str| {
            let mut fields = line.split('\t');
            let value = fields.next().and_then(|field| field.trim().parse().ok());
            let name = fields
                .next_back()
                .map(str::trim)
                .unwrap_or_default()
                .to_owned();
            value.map(|value| (Some(value), name))
        };
        let rows = lines
            .iter()
            .skip(1)
            .map(|line| row(line).ok_or_else(|| (*line).to_owned()));
        return rows
            .collect::<Result<_, _>>()
            .map_err(|line| format!("{line:?} begins with no number"));
    }
    if let Some(at) = lines.iter().position(|line| line.trim().is_empty()) {
        return Err(format!(
            "line {} is empty; every line names a class",
            at + 1
        ));
    }
    let numbered: Option<Entries> = lines.iter().map(|line| number_and_name(line)).collect();
    Ok(match numbered {
        Some(numbered) => numbered,
        None => lines
            .iter()
            .map(|line| (None, line.trim().to_owned()))
            .collect(),
    })
}

/// A line such as `17: cat`, `17 cat`, or `17`.
fn number_and_name(line: &str) -> Option<(Option<u64>, String)> {
    let line = line.trim();
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = line.split_at(digits);
    let value = number.parse().ok()?;
    let name = rest.trim_start_matches([':', ',', ';', ' ', '\t']);
    if rest.is_empty() {
        return Some((Some(value), number.to_owned()));
    }
    (name.len() < rest.len()).then(|| (Some(value), name.to_owned()))
}

fn of_json(value: &Value) -> Result<Entries, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    match value {
        Value::Array(entries) => entries
            .iter()
            .enumerate()
            .map(|(at, entry)| {
                let of_object = || {
                    let id = ["id", "value", "index"]
                        .iter()
                        .find_map(|key| entry[key].as_u64())?;
                    Some((Some(id), text(&entry["name"])?))
                };
                let named = text(entry).map(|name| (None, name)).or_else(of_object);
                named.ok_or_else(|| {
                    format!("entry {at} is neither a name nor an object with `id` and `name`")
                })
            })
            .collect(),
        Value::Object(fields) => {
            let inner = ["classes", "categories", "names"]
                .iter()
                .find_map(|key| fields.get(*key));
            if let Some(inner) = inner {
                return of_json(inner);
            }
            let mapped = fields
                .iter()
                .map(|(key, name)| match (key.parse(), text(name)) {
                    (Ok(value), Some(name)) => Ok((Some(value), name)),
                    _ => Err(format!("`{key}` is not a number with a name")),
                });
            mapped.collect()
        }
        _ => Err("not a list of classes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str, ignore_zero: bool) -> Result<ClassList, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let read = ClassList::read(&path, ignore_zero, || Ok(Some(2)));
        read.map(|(list, _)| list)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn names_of_what_says_nothing_are_no_classes() {
        let values = |text: &str, ignore_zero: bool| {
            let list = read("c.txt", text, ignore_zero).unwrap();
            (list.names.join(" "), list.values)
        };
        // labelme's list begins with the name of -1, and the background is 0.
        let labelme = "__ignore__\n_background_\ncat\ndog\n";
        let all = "_background_ cat dog".to_owned();
        assert_eq!(values(labelme, false), (all, vec![0, 1, 2]));
        let animals = ("cat dog".to_owned(), vec![1, 2]);
        assert_eq!(values(labelme, true), animals);
        for first in [
            "background",
            "_background_",
            "Unlabeled",
            "unlabelled",
            "void",
            "ignore",
        ] {
            assert_eq!(
                values(&format!("{first}\ncat\ndog"), true),
                animals,
                "{first}"
            );
        }
        assert_eq!(values("cat\ndog", true), animals);
        // As many values above 0 as names: 1 is the background, and 0 what says nothing, as in LoveDA.
        let loveda = ("background road".to_owned(), vec![1, 2]);
        assert_eq!(values("background\nroad", true), loveda);
        // Only where it is first, and where numbers do not say otherwise.
        let last = ("cat void".to_owned(), vec![1, 2]);
        assert_eq!(values("cat\nvoid", true), last);
        assert_eq!(
            values("1 void\n2 cat", true),
            ("void cat".to_owned(), vec![1, 2])
        );
        let json = read("c.json", r#"["__ignore__", "a", "b"]"#, false).unwrap();
        assert_eq!((json.names.len(), json.values), (2, vec![0, 1]));
    }

    #[test]
    fn names_are_read_in_every_form() {
        let list = |names: [&str; 2], values: [u8; 2]| ClassList {
            names: names.map(str::to_owned).to_vec(),
            values: values.to_vec(),
        };
        for (name, text, values) in [
            ("c.txt", "a b\nc\n", [0, 1]),
            ("c.txt", "7: c\n3: a b\n", [3, 7]),
            ("c.txt", "3 a b\n7 c\n\n", [3, 7]),
            ("c.json", r#"["a b", "c"]"#, [0, 1]),
            (
                "c.json",
                r#"[{"id": 7, "name": "c"}, {"id": 3, "name": "a b", "isthing": 1}]"#,
                [3, 7],
            ),
            ("c.json", r#"{"7": "c", "3": "a b"}"#, [3, 7]),
            (
                "c.json",
                r#"{"info": 1, "categories": [{"id": 3, "name": "a b"}, {"id": 7, "name": "c"}]}"#,
                [3, 7],
            ),
            (
                "c.txt",
                "Idx\tRatio\tTrain\tVal\tStuff\tName\n3\t0.1\t2\t1\t1\ta b\n7\t0.1\t2\t1\t0\tc\n",
                [3, 7],
            ),
        ] {
            assert_eq!(
                read(name, text, false).unwrap(),
                list(["a b", "c"], values),
                "{text}"
            );
        }
        assert_eq!(
            read("c.txt", "a\nc", true).unwrap(),
            list(["a", "c"], [1, 2])
        );
        assert_eq!(
            read("c.txt", "0: none\n3: a\n7: c", true).unwrap(),
            list(["a", "c"], [3, 7])
        );
        assert_eq!(
            read("c.txt", "12\n40\n", false).unwrap(),
            list(["12", "40"], [12, 40])
        );
        // Names that begin with numbers, but not all.
        assert_eq!(
            read("c.txt", "3 doors\nc", false).unwrap(),
            list(["3 doors", "c"], [0, 1])
        );
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (name, text, reason) in [
            ("c.txt", "", "there are no classes"),
            ("c.txt", "a", "only one class, `a`"),
            ("c.txt", "a\n\nb", "line 2 is empty"),
            ("c.txt", "3: a\n3: b", "`a` and `b` have the same number, 3"),
            (
                "c.txt",
                "3: a\n255: b",
                "`b` has the number 255; values of classes are 0 to 254",
            ),
            ("c.json", "[1, 2]", "entry 0 is neither a name nor"),
            ("c.json", "{\"a\": 1}", "`a` is not a number with a name"),
            ("c.json", "3", "not a list"),
            ("c.json", "[", "not JSON"),
        ] {
            let error = read(name, text, false).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn values_become_classes() {
        let list = ClassList::of_values(&BTreeSet::from([3, 7, 200])).unwrap();
        let table = list.table(true);
        assert_eq!(
            [0, 3, 7, 200, 255, 4].map(|v| table[v]),
            [Some(255), Some(0), Some(1), Some(2), Some(255), None]
        );
        assert_eq!(list.table(false)[0], None);
        assert_eq!(
            list.describe_values(),
            "the values of the 3 classes are 3, 7, 200"
        );
    }
}
