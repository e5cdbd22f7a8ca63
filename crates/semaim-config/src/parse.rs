//! TOML text to a tree of values with origins.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::ConfigError;
use crate::key;
use crate::node::{Node, Value};
use crate::origin::Origin;

/// Gives the origin of the key or value at a byte range of the text.
type Locate<'a> = &'a dyn Fn(Range<usize>) -> Origin;

/// Parses a named text. On a syntax error or a duplicate key, returns what is wrong, at most one
/// problem a line.
pub(crate) fn parse_text(name: &Arc<str>, text: &str) -> Result<Node, Vec<ConfigError>> {
    let locate = |range: Range<usize>| {
        let (line, column) = position(text, range.start);
        Origin::Text {
            layer: Arc::clone(name),
            line,
            column,
        }
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let root = table_node(table, &locate);
    if errors.is_empty() {
        return Ok(root);
    }
    let mut problems: Vec<ConfigError> = Vec::new();
    for error in errors {
        let range = error.span().unwrap_or(text.len()..text.len());
        let origin = locate(range.clone());
        let same_line = |problem: &ConfigError| problem.origin().map(|o| o.position().0);
        if problems.last().and_then(same_line) == Some(origin.position().0) {
            continue;
        }
        problems.push(if error.message() == "duplicate key" {
            duplicate(text, range, origin, &root)
        } else {
            let source_line = text
                .lines()
                .nth(origin.position().0 - 1)
                .unwrap_or("")
                .trim();
            ConfigError::Syntax {
                origin,
                message: error.message().to_owned(),
                source_line: source_line.to_owned(),
            }
        });
    }
    Err(problems)
}

/// Parses a document whose every value has the same origin. `None` where it is no TOML.
pub(crate) fn parse_plain(text: &str, origin: &Origin) -> Option<Node> {
    let table = DeTable::parse(text).ok()?;
    Some(table_node(table, &|_| origin.clone()))
}

/// Line and column (in characters) of a byte, both from 1.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

fn duplicate(text: &str, range: Range<usize>, origin: Origin, root: &Node) -> ConfigError {
    let key = duplicated_key(text, &range);
    let line = origin.position().0;
    // The tree keeps a value's first place, but a header's last.
    let header = text.lines().position(|line| {
        let header = line.trim_start().trim_start_matches('[').split_once(']');
        line.trim_start().starts_with('[') && header.is_some_and(|(h, _)| h.trim() == key)
    });
    let first_line = header
        .map(|index| index + 1)
        .or_else(|| {
            root.find(&key::steps(&key))
                .map(|node| node.origin.position().0)
        })
        .filter(|first| *first < line);
    ConfigError::Duplicate {
        key,
        origin,
        first_line,
    }
}

/// The full dotted key that a key's byte range stands for. The parser says only where the last
/// segment is; the header above it and the text before it on its line give the rest.
fn duplicated_key(text: &str, range: &Range<usize>) -> String {
    let line_start = text[..range.start]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let up_to_key = text[line_start..range.end].trim_start();
    if let Some(header) = up_to_key.strip_prefix('[') {
        return header.trim_start_matches('[').trim().to_owned();
    }
    if up_to_key.contains(['=', '{']) {
        return text[range.clone()].to_owned();
    }
    let header = text[..line_start]
        .lines()
        .rev()
        .filter_map(|line| line.trim_start().strip_prefix('['))
        .find_map(|line| line.trim_start_matches('[').split_once(']'))
        .map_or("", |(header, _)| header.trim());
    let dot = if header.is_empty() { "" } else { "." };
    format!("{header}{dot}{up_to_key}")
}

fn table_node(table: Spanned<DeTable<'_>>, locate: Locate<'_>) -> Node {
    let origin = locate(table.span());
    Node {
        origin,
        value: table_value(table.into_inner(), locate),
    }
}

fn table_value(table: DeTable<'_>, locate: Locate<'_>) -> Value {
    let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
        let origin = locate(key.span());
        let key: std::borrow::Cow<'_, str> = key.into_inner();
        (
            key.into_owned(),
            Node {
                origin,
                value: value_of(value.into_inner(), locate),
            },
        )
    };
    Value::Table(table.into_iter().map(entry).collect())
}

fn value_of(value: DeValue<'_>, locate: Locate<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(integer) => {
            let (digits, radix) = (integer.as_str(), integer.radix());
            i64::from_str_radix(digits, radix)
                .map(Value::Integer)
                .or_else(|_| u64::from_str_radix(digits, radix).map(Value::Unsigned))
                .unwrap_or_else(|_| Value::HugeInteger(integer.to_string()))
        }
        // The parser has checked the form, so reading it cannot fail; too large reads as infinite.
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(boolean) => Value::Boolean(boolean),
        DeValue::Datetime(datetime) => Value::Datetime(datetime.to_string()),
        DeValue::Array(array) => Value::Array(
            array
                .into_iter()
                .map(|element| Node {
                    origin: locate(element.span()),
                    value: value_of(element.into_inner(), locate),
                })
                .collect(),
        ),
        DeValue::Table(table) => table_value(table, locate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        let problems = parse_text(&"x.toml".into(), text).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let text = "a = 1\n  # ü\n[t]\n  b = [\n    2,\n    3,\n  ]\n\"ü\".c = 4\n";
        let root = parse_text(&"x.toml".into(), text).unwrap();
        let at = |key: &str| root.find(&key::steps(key)).unwrap().origin.position();
        assert_eq!(at("a"), (1, 1));
        assert_eq!(at("t"), (3, 2));
        assert_eq!(at("t.b"), (4, 3));
        assert_eq!(at("t.b[1]"), (6, 5));
        assert_eq!(at("t.ü.c"), (8, 5));
    }

    #[test]
    fn syntax_errors_show_place_and_line_once_each() {
        let found = errors("a = 1\nb = = 2\n[t]\nc = [1, 2\n");
        assert_eq!(
            found[0],
            "x.toml:2:5: extra `=`, expected nothing: `b = = 2`"
        );
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].starts_with("x.toml:4:"), "{found:?}");
    }

    #[test]
    fn duplicates_name_the_full_key_and_the_first_line() {
        assert_eq!(
            errors("[train]\nlr = 1\nepochs = 2\nlr = 3\n"),
            ["x.toml:4: duplicate key `train.lr`, first given on line 2"],
        );
        assert_eq!(
            errors("[a]\n[a.b]\nc = 1\n[a.b]\n"),
            ["x.toml:4: duplicate key `a.b`, first given on line 2"],
        );
        assert_eq!(
            errors("a = { b = 1, b = 2 }"),
            ["x.toml:1: duplicate key `b`"]
        );
        assert_eq!(
            errors("a.b = 1\na.b = 2"),
            ["x.toml:2: duplicate key `a.b`, first given on line 1"],
        );
    }

    #[test]
    fn an_end_without_a_newline_is_located() {
        assert_eq!(errors("a =").len(), 1);
        assert!(errors("a =")[0].starts_with("x.toml:1:"));
    }
}
