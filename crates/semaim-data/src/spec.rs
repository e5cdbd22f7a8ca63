//! What the user may name as data.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::DataError;

/// The most paths that braces may stand for.
const MAX_PATHS: usize = 1_000_000;

/// A data specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataSpec {
    /// `shapes`: the generated set. A folder of that name is `./shapes`.
    Shapes,
    /// One path, or several tar files. At least one.
    Paths(Vec<PathBuf>),
}

impl DataSpec {
    /// The same specification whatever the working folder and the way there: each path absolute, and where it exists
    /// without links, `..` and slashes at its end. `shapes` and the empty text stay.
    pub fn absolute(text: &str) -> String {
        if text == "shapes" || text.trim().is_empty() {
            return text.to_owned();
        }
        if Path::new(text).exists() {
            return absolute(text);
        }
        let parts = split_commas(text)
            .into_iter()
            .map(|part| absolute(part.trim()));
        parts.collect::<Vec<_>>().join(",")
    }
}

/// Whether two lists name the same sets in the same order, however their paths are written.
pub fn same_sets<A: AsRef<str>, B: AsRef<str>>(a: &[A], b: &[B]) -> bool {
    let same = |(a, b): (&A, &B)| DataSpec::absolute(a.as_ref()) == DataSpec::absolute(b.as_ref());
    a.len() == b.len() && a.iter().zip(b).all(same)
}

fn absolute(path: &str) -> String {
    std::fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

/// Finds where images are, whatever way leads there: over links, `..`, or from the working folder.
///
/// What it finds of a folder or a file of many images it keeps, so that it asks the system once for each of these, and beside that
/// for each image that is a link itself.
#[derive(Debug, Default)]
pub struct Places {
    folders: HashMap<PathBuf, Folder>,
    /// What is before the place of an image in a file of many, and the path of the file, if it is one.
    files: HashMap<String, Option<PathBuf>>,
}

#[derive(Debug)]
struct Folder {
    place: PathBuf,
    /// The names in it that are links.
    links: HashSet<OsString>,
}

impl Places {
    /// The place of an image, given what [`crate::Source::name`] calls it. It is the path as it is written, made absolute, where there
    /// is nothing at that.
    pub fn of(&mut self, name: &str) -> PathBuf {
        self.find(name, true)
    }

    /// The same where an image that is a link itself is taken for one of its own.
    pub(crate) fn of_link(&mut self, name: &str) -> PathBuf {
        self.find(name, false)
    }

    fn find(&mut self, name: &str, follows_files: bool) -> PathBuf {
        if let Some(place) = self.in_file(name) {
            return place;
        }
        let path = Path::new(name);
        let written = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (Some(above), Some(file)) = (written.parent(), written.file_name()) else {
            return written;
        };
        let folder: &Folder = match self.folders.get(above) {
            Some(folder) => folder,
            None => {
                let folder = self.folders.entry(above.to_owned());
                folder.or_insert_with_key(|above| Folder::of(above))
            }
        };
        let place = folder.place.join(file);
        match follows_files && folder.links.contains(file) {
            true => fs::canonicalize(&place).unwrap_or(place),
            false => place,
        }
    }

    /// The place of an image in a file of many: `file.tar:member` or `images-ubyte#5`.
    fn in_file(&mut self, name: &str) -> Option<PathBuf> {
        let members = name.match_indices(':').map(|(at, _)| at);
        let members = members.filter(|at| has_tar_before(name, *at));
        for at in members.chain(name.rfind('#')) {
            let (file, rest) = name.split_at(at);
            let place = match self.files.get(file) {
                Some(known) => known.clone(),
                None => {
                    let path = Path::new(file);
                    let place = path.is_file().then(|| fs::canonicalize(path).ok());
                    let place = place.flatten();
                    self.files.insert(file.to_owned(), place.clone());
                    place
                }
            };
            if let Some(place) = place {
                let mut place = place.into_os_string();
                place.push(rest);
                return Some(place.into());
            }
        }
        None
    }
}

/// Whether what comes before a place in a name ends as the name of a tar file does.
fn has_tar_before(name: &str, at: usize) -> bool {
    let before = name.as_bytes().get(..at).unwrap_or_default();
    let end = before.len().saturating_sub(".tar".len());
    let extension = before.get(end..).unwrap_or_default();
    extension.eq_ignore_ascii_case(b".tar")
}

impl Folder {
    fn of(path: &Path) -> Self {
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        // Folders that can be entered and not listed have their files taken for what they are.
        let entries = fs::read_dir(path).into_iter().flatten();
        let entries = entries.filter_map(Result::ok);
        let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
        Self {
            place,
            links: links.map(|entry| entry.file_name()).collect(),
        }
    }
}

impl FromStr for DataSpec {
    type Err = DataError;

    /// Reads `shapes`, a path, paths separated by commas, or paths with a range in braces such as
    /// `part-{000..003}.tar`, whose numbers keep their leading zeros. A text that names an existing file or folder is
    /// that path, whatever it contains.
    fn from_str(text: &str) -> Result<Self, DataError> {
        let wrong = |reason: String| DataError::Spec {
            spec: text.to_owned(),
            reason,
        };
        if text == "shapes" {
            return Ok(Self::Shapes);
        }
        if text.trim().is_empty() {
            return Err(wrong("it is empty".to_owned()));
        }
        if Path::new(text).exists() {
            return Ok(Self::Paths(vec![text.into()]));
        }
        let mut paths = Vec::new();
        for part in split_commas(text) {
            if part.trim().is_empty() {
                return Err(wrong("there is nothing before or after a comma".to_owned()));
            }
            expand(part.trim(), &mut paths).map_err(wrong)?;
        }
        Ok(Self::Paths(paths.into_iter().map(PathBuf::from).collect()))
    }
}

/// Splits at commas outside braces.
fn split_commas(text: &str) -> Vec<&str> {
    let mut depth = 0usize;
    text.split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

/// Adds what `text` stands for to `out`, expanding its first braces and then the rest.
fn expand(text: &str, out: &mut Vec<String>) -> Result<(), String> {
    let Some((head, rest)) = text.split_once('{') else {
        if out.len() >= MAX_PATHS {
            return Err(format!("it stands for more than {MAX_PATHS} paths"));
        }
        out.push(text.to_owned());
        return Ok(());
    };
    let Some((inside, tail)) = rest.split_once('}') else {
        return Err("a brace is not closed".to_owned());
    };
    let choices: Vec<String> = match inside.split_once("..") {
        Some((from, to)) => range(from, to)?,
        None => inside.split(',').map(str::to_owned).collect(),
    };
    for choice in choices {
        expand(&format!("{head}{choice}{tail}"), out)?;
    }
    Ok(())
}

fn range(from: &str, to: &str) -> Result<Vec<String>, String> {
    let number = |text: &str| -> Result<usize, String> {
        text.parse()
            .map_err(|_| format!("{{{from}..{to}}} is no range of whole numbers"))
    };
    let (first, last) = (number(from)?, number(to)?);
    if first > last || last - first >= MAX_PATHS {
        return Err(format!("{{{from}..{to}}} is empty or too long"));
    }
    // The number 0 alone is no leading zero.
    let is_padded = |text: &str| text.len() > 1 && text.starts_with('0');
    let width = match is_padded(from) || is_padded(to) {
        true => from.len().max(to.len()),
        false => 0,
    };
    Ok((first..=last).map(|n| format!("{n:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        match text.parse().unwrap() {
            DataSpec::Paths(paths) => paths.iter().map(|p| p.display().to_string()).collect(),
            DataSpec::Shapes => panic!("shapes"),
        }
    }

    #[test]
    fn braces_and_commas() {
        assert_eq!(
            paths("a-{008..010}.tar"),
            ["a-008.tar", "a-009.tar", "a-010.tar"]
        );
        assert_eq!(
            paths("a-{9..10}.tar, b.tar"),
            ["a-9.tar", "a-10.tar", "b.tar"]
        );
        let numbers = paths("{0..11}");
        assert_eq!(
            (numbers.len(), &*numbers[0], &*numbers[11]),
            (12, "0", "11")
        );
        assert_eq!(paths("{00..11}")[1], "01");
        assert_eq!(paths("{x,y}{0..1}"), ["x0", "x1", "y0", "y1"]);
        assert_eq!("shapes".parse::<DataSpec>().unwrap(), DataSpec::Shapes);
    }

    #[test]
    fn nonsense_is_explained() {
        for text in [
            "",
            " ",
            "a{",
            "a{1..}",
            "a{3..1}",
            "a,,b",
            "{0..999999}{0..9}",
        ] {
            assert!(
                matches!(text.parse::<DataSpec>(), Err(DataError::Spec { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_same_data_named_in_another_way_is_the_same_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("val");
        std::fs::create_dir(&path).unwrap();
        let text = path.display().to_string();
        for other in [
            format!("{text}/"),
            format!("{text}/../val"),
            format!("{text}//."),
        ] {
            assert_eq!(DataSpec::absolute(&other), text);
        }
        let here = std::env::current_dir().unwrap();
        let tars = DataSpec::absolute("a-{0..1}.tar, /b.tar");
        assert_eq!(tars, format!("{}/a-{{0..1}}.tar,/b.tar", here.display()));
        assert_eq!(DataSpec::absolute("shapes"), "shapes");
        assert_eq!(DataSpec::absolute(""), "");
    }

    #[cfg(unix)]
    #[test]
    fn places_are_the_same_whatever_way_leads_there() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["train", "other"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        for name in [
            "train/1.png",
            "train/2.png",
            "a.tar",
            "x#1.png",
            "images-ubyte",
        ] {
            fs::write(root.join(name), name).unwrap();
        }
        symlink(root.join("train"), root.join("val")).unwrap();
        symlink("../train/1.png", root.join("other/3.png")).unwrap();
        symlink("a.tar", root.join("b.tar")).unwrap();
        let mut places = Places::default();
        let mut place = |name: &str| places.of(&format!("{}/{name}", root.display()));
        for (name, other) in [
            ("train/1.png", "val/1.png"),
            ("train/2.png", "other/../val/2.png"),
            ("train/1.png", "other/3.png"),
            ("a.tar:x/1.png", "train/../b.tar:x/1.png"),
            ("images-ubyte#3", "train/../images-ubyte#3"),
            ("x#1.png", "train/../x#1.png"),
            ("gone/1.png", "gone/1.png"),
        ] {
            assert_eq!(place(name), place(other), "{name}, {other}");
        }
        assert_eq!(place("val/1.png"), root.join("train/1.png"));
        for (name, other) in [
            ("train/1.png", "val/2.png"),
            ("a.tar:x/1.png", "b.tar:x/2.png"),
            ("images-ubyte#3", "images-ubyte#4"),
        ] {
            assert_ne!(place(name), place(other), "{name}, {other}");
        }
    }

    #[test]
    fn existing_paths_are_taken_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a,b{0..1}");
        std::fs::create_dir(&path).unwrap();
        let text = path.display().to_string();
        assert_eq!(paths(&text), std::slice::from_ref(&text));
    }
}
