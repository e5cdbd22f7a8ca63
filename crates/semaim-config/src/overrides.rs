//! `--set key=value`.

use std::sync::Arc;

use crate::error::{ConfigError, ConfigErrors};
use crate::key::is_bare;
use crate::node::{Node, Value};
use crate::origin::Origin;
use crate::parse::parse_plain;

/// Reads one override into a tree that holds just that value.
pub(crate) fn parse_set(text: &str) -> Result<Node, ConfigErrors> {
    let origin = Origin::Set(Arc::from(text));
    let refuse = |message: &str| {
        let (origin, message) = (origin.clone(), message.to_owned());
        ConfigErrors::from(ConfigError::Override { origin, message })
    };
    let Some((key, value)) = text.split_once('=') else {
        return Err(refuse("has no `=`; the form is `key=value`"));
    };
    let key = key.trim();
    if key.is_empty() {
        return Err(refuse("has no key before `=`; the form is `key=value`"));
    }
    let segments: Vec<&str> = key.split('.').map(str::trim).collect();
    if let Some(bad) = segments.iter().find(|segment| !is_bare(segment)) {
        let what = if bad.is_empty() {
            "an empty part"
        } else {
            "a part that is no key"
        };
        return Err(refuse(&format!(
            "has {what} in `{key}`; the form is `table.key=value`"
        )));
    }
    let leaf = Node {
        origin: origin.clone(),
        value: value_of(value.trim(), &origin),
    };
    Ok(segments.iter().rev().fold(leaf, |below, segment| {
        let mut above = Node::table(origin.clone());
        if let Value::Table(table) = &mut above.value {
            table.insert((*segment).to_owned(), below);
        }
        above
    }))
}

/// The value as TOML, or, where it is no TOML, as the string it is.
fn value_of(text: &str, origin: &Origin) -> Value {
    let document = parse_plain(&format!("v = {text}"), origin).map(|node| node.value);
    match document {
        Some(Value::Table(mut table)) if table.len() == 1 => match table.remove("v") {
            Some(node) => node.value,
            None => Value::String(text.to_owned()),
        },
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::steps;

    fn value(text: &str, key: &str) -> String {
        let root = parse_set(text).unwrap();
        format!("{:?}", plain(root.find(&steps(key)).unwrap()))
    }

    /// A debug form without the origins.
    fn plain(node: &Node) -> String {
        match &node.value {
            Value::Array(nodes) => format!("{:?}", nodes.iter().map(plain).collect::<Vec<_>>()),
            other => format!("{other:?}"),
        }
        .replace('"', "'")
    }

    #[test]
    fn values_are_toml_first() {
        assert_eq!(
            value("train.epochs=100", "train.epochs"),
            "\"Integer(100)\""
        );
        assert_eq!(value("a.b=1e-3", "a.b"), "\"Float(0.001)\"");
        assert_eq!(value("a = true", "a"), "\"Boolean(true)\"");
        assert_eq!(value("a.b=\"x=y\"", "a.b"), "\"String('x=y')\"");
        assert_eq!(value("a.b=[1,2]", "a.b[1]"), "\"Integer(2)\"");
        assert_eq!(value("a={b=1}", "a.b"), "\"Integer(1)\"");
    }

    #[test]
    fn values_that_are_no_toml_are_strings() {
        assert_eq!(
            value("train.method=semaim", "train.method"),
            "\"String('semaim')\""
        );
        assert_eq!(
            value("data.path=/a b/c=d", "data.path"),
            "\"String('/a b/c=d')\""
        );
        assert_eq!(value("a=", "a"), "\"String('')\"");
        assert_eq!(value("a=1\nb = 2", "a"), "\"String('1\\\\nb = 2')\"");
        assert_eq!(value("a=[1,2", "a"), "\"String('[1,2')\"");
    }

    #[test]
    fn malformed_overrides_are_refused() {
        let error = |text| parse_set(text).unwrap_err().to_string();
        assert_eq!(
            error("train.epochs"),
            "--set train.epochs: has no `=`; the form is `key=value`",
        );
        assert_eq!(
            error("=3"),
            "--set =3: has no key before `=`; the form is `key=value`"
        );
        assert_eq!(
            error("a..b=3"),
            "--set a..b=3: has an empty part in `a..b`; the form is `table.key=value`",
        );
        assert_eq!(
            error("a[0]=3"),
            "--set a[0]=3: has a part that is no key in `a[0]`; the form is `table.key=value`",
        );
    }
}
