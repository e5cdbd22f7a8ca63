//! Checks that only the configuration type can make.

use std::fmt::Display;
use std::ops::{Bound, RangeBounds};

/// What a configuration type says about itself beyond the types of its fields.
pub trait Validate {
    /// Reports every value, or combination of values, that is not allowed.
    fn check(&self, problems: &mut Problems);

    /// Dotted keys that are valid although `Self::default()` does not write them: fields of type `Option` that are
    /// `None` by default.
    #[must_use]
    fn optional_keys() -> &'static [&'static str] {
        &[]
    }

    /// Keys that once had another name. Using the old one, in a file or in `--set`, is an error that says the new one.
    #[must_use]
    fn renamed_keys() -> Vec<RenamedKey> {
        Vec::new()
    }
}

/// A key, or a table, that once had another name.
///
/// # Examples
///
/// ```
/// use semaim_config::RenamedKey;
///
/// let renamed = RenamedKey::new("train.lr", "optimizer.learning_rate").within("pretrain");
/// assert_eq!(renamed.old, "pretrain.train.lr");
/// assert_eq!(renamed.new, "pretrain.optimizer.learning_rate");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenamedKey {
    /// The old dotted key. What stood below it is meant as well.
    pub old: String,
    /// The new dotted key.
    pub new: String,
}

impl RenamedKey {
    /// The key `old` is now `new`.
    pub fn new(old: impl Into<String>, new: impl Into<String>) -> Self {
        let (old, new) = (old.into(), new.into());
        RenamedKey { old, new }
    }

    /// The same where the configuration is a table of another.
    #[must_use]
    pub fn within(self, table: &str) -> Self {
        RenamedKey::new(
            format!("{table}.{}", self.old),
            format!("{table}.{}", self.new),
        )
    }

    /// The new name of `key`, if this is the key, or the table it stands in, that was renamed.
    pub(crate) fn new_name(&self, key: &str) -> Option<String> {
        let below = key.strip_prefix(&self.old)?;
        (below.is_empty() || below.starts_with('.')).then(|| format!("{}{below}", self.new))
    }
}

/// One value that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The dotted key of the value.
    pub key: String,
    /// What is wrong with it, to be read after the key: `must be at least 1, is 0`.
    pub message: String,
}

/// Collects what [`Validate::check`] finds.
///
/// # Examples
///
/// ```
/// use semaim_config::Problems;
///
/// let mut problems = Problems::new();
/// problems.within("train", |problems| {
///     problems.in_range("epochs", 0, 1..);
///     problems.require(3 % 2 == 0, "batch", "must be even, is 3");
/// });
/// let found: Vec<_> = problems.iter().map(|p| format!("{} {}", p.key, p.message)).collect();
/// assert_eq!(found, ["train.epochs must be at least 1, is 0", "train.batch must be even, is 3"]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Problems {
    prefix: String,
    found: Vec<Problem>,
}

impl Problems {
    /// No problems yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reports the value at `key`; `message` is read after the key. An empty key inside
    /// [`Problems::within`] stands for the table itself; `mean[1]` for an array's element.
    pub fn add(&mut self, key: impl AsRef<str>, message: impl Into<String>) {
        let key = self.full_key(key.as_ref());
        self.found.push(Problem {
            key,
            message: message.into(),
        });
    }

    /// Reports the value at `key` unless `holds`.
    pub fn require(&mut self, holds: bool, key: impl AsRef<str>, message: impl Into<String>) {
        if !holds {
            self.add(key, message);
        }
    }

    /// Reports the value at `key` unless it lies in `range`. A NaN lies in no range.
    pub fn in_range<V, R>(&mut self, key: impl AsRef<str>, value: V, range: R)
    where
        V: PartialOrd + Display,
        R: RangeBounds<V>,
    {
        if range.contains(&value) {
            return;
        }
        let lower = match range.start_bound() {
            Bound::Included(bound) => Some(format!("at least {bound}")),
            Bound::Excluded(bound) => Some(format!("above {bound}")),
            Bound::Unbounded => None,
        };
        let upper = match range.end_bound() {
            Bound::Included(bound) => Some(format!("at most {bound}")),
            Bound::Excluded(bound) => Some(format!("below {bound}")),
            Bound::Unbounded => None,
        };
        let bounds: Vec<String> = lower.into_iter().chain(upper).collect();
        let bounds = if bounds.is_empty() {
            "a number".to_owned()
        } else {
            bounds.join(" and ")
        };
        self.add(key, format!("must be {bounds}, is {value}"));
    }

    /// Runs `check` with every key it reports taken to lie below `table`.
    pub fn within(&mut self, table: &str, check: impl FnOnce(&mut Problems)) {
        let inner = self.full_key(table);
        let outer = std::mem::replace(&mut self.prefix, inner);
        check(self);
        self.prefix = outer;
    }

    /// What was reported, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    pub(crate) fn into_found(self) -> Vec<Problem> {
        self.found
    }

    fn full_key(&self, key: &str) -> String {
        match (self.prefix.as_str(), key) {
            ("", key) => key.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, key) => format!("{prefix}.{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(problems: &Problems) -> Vec<String> {
        problems
            .iter()
            .map(|p| format!("{}: {}", p.key, p.message))
            .collect()
    }

    #[test]
    fn ranges_are_spelt_out() {
        let mut problems = Problems::new();
        problems.in_range("a", 5, 1..=5);
        problems.in_range("a", 1, 1..);
        assert_eq!(problems.iter().count(), 0);
        problems.in_range("a", 0, 1..);
        problems.in_range("b", 1.5, 0.0..=1.0);
        problems.in_range("c", 1.0, 0.0..1.0);
        problems.in_range("d", f64::NAN, ..=1.0);
        problems.in_range("e", 0.0, (Bound::Excluded(0.0), Bound::Unbounded));
        assert_eq!(
            messages(&problems),
            [
                "a: must be at least 1, is 0",
                "b: must be at least 0 and at most 1, is 1.5",
                "c: must be at least 0 and below 1, is 1",
                "d: must be at most 1, is NaN",
                "e: must be above 0, is 0",
            ],
        );
    }

    #[test]
    fn prefixes_nest_and_end() {
        let mut problems = Problems::new();
        problems.within("a", |problems| {
            problems.within("b", |problems| {
                problems.add("c", "1");
                problems.add("", "2");
            });
            problems.require(true, "d", "3");
            problems.require(false, "e", "4");
        });
        problems.add("f", "5");
        assert_eq!(
            messages(&problems),
            ["a.b.c: 1", "a.b: 2", "a.e: 4", "f: 5"]
        );
    }
}
