//! Dotted keys.

use std::fmt::Write;

/// One step from a node of the tree to a node below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A key of a table.
    Key(String),
    /// A place in an array, from 0.
    Index(usize),
}

/// Writes `steps` as `data.mean[1]`.
pub(crate) fn dotted(steps: &[Step]) -> String {
    steps.iter().fold(String::new(), |path, step| match step {
        Step::Key(key) => join(&path, key),
        Step::Index(index) => {
            let mut path = path;
            // Writing to a string cannot fail.
            let _ = write!(path, "[{index}]");
            path
        }
    })
}

/// Appends one key to a dotted path, quoted where TOML would want it quoted.
pub(crate) fn join(path: &str, key: &str) -> String {
    let dot = if path.is_empty() { "" } else { "." };
    if is_bare(key) {
        format!("{path}{dot}{key}")
    } else {
        format!("{path}{dot}{key:?}")
    }
}

/// Reads `data.mean[1]`, as a validator names it. Whatever is no index is a key.
pub(crate) fn steps(dotted: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in dotted.split('.').filter(|part| !part.is_empty()) {
        let mut pieces = part.split('[');
        if let Some(key) = pieces.next() {
            steps.push(Step::Key(key.to_owned()));
        }
        steps.extend(
            pieces
                .filter_map(|piece| piece.strip_suffix(']'))
                .filter_map(|index| index.parse().ok())
                .map(Step::Index),
        );
    }
    steps
}

/// The part after the last dot.
pub(crate) fn last_segment(dotted: &str) -> &str {
    dotted.rsplit('.').next().unwrap_or(dotted)
}

/// Whether TOML takes the key without quotes.
pub(crate) fn is_bare(key: &str) -> bool {
    !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_dotted_are_inverse() {
        for key in ["a", "a.b-c", "data.mean[1]", "a[0][2].b"] {
            assert_eq!(dotted(&steps(key)), key);
        }
        assert_eq!(
            steps("data.mean[1]"),
            [
                Step::Key("data".into()),
                Step::Key("mean".into()),
                Step::Index(1)
            ],
        );
    }

    #[test]
    fn odd_keys_are_quoted() {
        assert_eq!(join("a", "b.c"), "a.\"b.c\"");
        assert_eq!(join("", ""), "\"\"");
    }

    #[test]
    fn last_segments() {
        assert_eq!(last_segment("a.b.c"), "c");
        assert_eq!(last_segment("c"), "c");
    }
}
