//! Millions of relative paths in little memory.

use std::cmp::Ordering;
use std::ops::Range;

/// Relative paths, stored once per directory and once per file name in one run of bytes.
///
/// An entry takes 16 bytes besides its name. Paths are bytes with `/` between components, because that is what
/// file systems and tar files hold; they need not be UTF-8.
#[derive(Debug, Default)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    /// Each directory with a `/` at its end; the empty one is the root.
    directories: Vec<Range<usize>>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u64,
    len: u32,
    directory: u32,
}

impl Names {
    /// Adds a directory, relative and with `/` at its end, or empty for the root. Returns its number.
    pub(crate) fn add_directory(&mut self, directory: &[u8]) -> u32 {
        let range = self.store(directory);
        self.directories.push(range);
        // A directory takes more than one byte, so memory ends before the numbers do.
        (self.directories.len() - 1) as u32
    }

    /// Adds a file of a directory.
    pub(crate) fn add(&mut self, directory: u32, name: &[u8]) {
        let range = self.store(name);
        self.entries.push(Entry {
            start: range.start as u64,
            len: name.len() as u32,
            directory,
        });
    }

    fn store(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Moves everything out of `other`, which is freed.
    pub(crate) fn append(&mut self, other: Names) {
        if self.entries.is_empty() {
            *self = other;
            return;
        }
        let bytes = self.bytes.len();
        let directories = self.directories.len() as u32;
        self.bytes.extend_from_slice(&other.bytes);
        let moved = other.directories.into_iter();
        self.directories
            .extend(moved.map(|r| r.start + bytes..r.end + bytes));
        self.entries
            .extend(other.entries.into_iter().map(|e| Entry {
                start: e.start + bytes as u64,
                len: e.len,
                directory: e.directory + directories,
            }));
    }

    /// The directory of a file, with `/` at its end or empty, and its name; empty ones when there is no such file.
    pub(crate) fn get(&self, index: usize) -> (&[u8], &[u8]) {
        self.entries
            .get(index)
            .map_or((&[], &[]), |entry| self.parts(entry))
    }

    /// The number of the directory of a file.
    pub(crate) fn directory_of(&self, index: usize) -> Option<u32> {
        self.entries.get(index).map(|entry| entry.directory)
    }

    /// All directories, by number.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.directories
            .iter()
            .map(|range| self.bytes.get(range.clone()).unwrap_or_default())
    }

    /// The whole relative path of a file.
    pub(crate) fn path(&self, index: usize) -> Vec<u8> {
        let (directory, name) = self.get(index);
        [directory, name].concat()
    }

    /// Sorts the files by their whole paths, bytewise.
    pub(crate) fn sort(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_unstable_by(|a, b| self.compare(a, b));
        self.entries = entries;
    }

    fn parts(&self, entry: &Entry) -> (&[u8], &[u8]) {
        let directory = self
            .directories
            .get(entry.directory as usize)
            .and_then(|range| self.bytes.get(range.clone()));
        let start = entry.start as usize;
        let name = self.bytes.get(start..start + entry.len as usize);
        (directory.unwrap_or_default(), name.unwrap_or_default())
    }

    fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
        let (a_dir, a_name) = self.parts(a);
        let (b_dir, b_name) = self.parts(b);
        if a.directory == b.directory {
            return a_name.cmp(b_name);
        }
        // Directories mostly differ before one of them ends; then the names need not be looked at.
        let common = a_dir.len().min(b_dir.len());
        let (a_head, a_rest) = a_dir.split_at(common);
        let (b_head, b_rest) = b_dir.split_at(common);
        a_head
            .cmp(b_head)
            .then_with(|| a_rest.iter().chain(a_name).cmp(b_rest.iter().chain(b_name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(files: &[(&str, &str)]) -> Vec<String> {
        let mut names = Names::default();
        for (directory, name) in files {
            let directory = names.add_directory(directory.as_bytes());
            names.add(directory, name.as_bytes());
        }
        names.sort();
        (0..names.len())
            .map(|i| String::from_utf8(names.path(i)).unwrap())
            .collect()
    }

    #[test]
    fn order_is_that_of_whole_paths() {
        let files = [
            ("a/", "z.jpg"),
            ("a-b/", "x.jpg"),
            ("", "a.jpg"),
            ("a/b/", "y.jpg"),
            ("a/", "b.jpg"),
            ("", "a0.jpg"),
            ("a/", "a.jpg"),
        ];
        let got = sorted(&files);
        let mut expected: Vec<String> = files.iter().map(|(d, n)| format!("{d}{n}")).collect();
        expected.sort();
        assert_eq!(got, expected);
    }

    #[test]
    fn appending_keeps_directories_apart() {
        let mut all = Names::default();
        for directory in ["x/", "y/"] {
            let mut names = Names::default();
            let number = names.add_directory(directory.as_bytes());
            names.add(number, b"1.png");
            all.append(names);
        }
        assert_eq!(all.path(0), b"x/1.png");
        assert_eq!(all.path(1), b"y/1.png");
        assert_eq!(all.get(2), (&b""[..], &b""[..]));
    }
}
