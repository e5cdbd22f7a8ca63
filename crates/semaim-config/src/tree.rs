//! What is done with parsed tables.

use std::mem;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::validate::Problem;

/// Adds `offset` to the spans of all keys and values.
pub(crate) fn shift(table: &mut DeTable<'_>, offset: usize) {
    for (key, mut value) in mem::take(table) {
        shift_inside(value.get_mut(), offset);
        table.insert(shifted(key, offset), shifted(value, offset));
    }
}

fn shift_inside(value: &mut DeValue<'_>, offset: usize) {
    match value {
        DeValue::Table(table) => shift(table, offset),
        DeValue::Array(values) => {
            for value in values.iter_mut() {
                shift_inside(value.get_mut(), offset);
                *value = shifted(
                    mem::replace(value, Spanned::new(0..0, DeValue::Boolean(false))),
                    offset,
                );
            }
        }
        _ => {}
    }
}

fn shifted<T>(spanned: Spanned<T>, offset: usize) -> Spanned<T> {
    let span = spanned.span();
    Spanned::new(span.start + offset..span.end + offset, spanned.into_inner())
}

/// Lays `upper` over `lower`: tables merge, anything else replaces.
pub(crate) fn merge<'a>(lower: &mut DeTable<'a>, upper: DeTable<'a>) {
    for (key, value) in upper {
        let span = value.span();
        let merged = match (lower.remove(key.get_ref().as_ref()), value.into_inner()) {
            (Some(below), DeValue::Table(upper)) if below.get_ref().is_table() => {
                let DeValue::Table(mut table) = below.into_inner() else {
                    continue;
                };
                merge(&mut table, upper);
                DeValue::Table(table)
            }
            (_, value) => value,
        };
        lower.insert(key, Spanned::new(span, merged));
    }
}

/// The value at a dotted key such as `data.mean[1]`; an element that an array lacks counts as the array.
pub(crate) fn find<'t, 'a>(
    table: &'t DeTable<'a>,
    dotted: &str,
) -> Option<&'t Spanned<DeValue<'a>>> {
    let (first, rest) = dotted.split_once('.').unwrap_or((dotted, ""));
    let (key, indices) = first.split_once('[').unwrap_or((first, ""));
    let mut value = table.get(key)?;
    for index in indices
        .split('[')
        .filter_map(|index| index.strip_suffix(']'))
    {
        let element = value.get_ref().as_array().zip(index.parse().ok());
        match element.and_then(|(array, index): (_, usize)| array.get(index)) {
            Some(element) => value = element,
            None => return Some(value),
        }
    }
    match rest {
        "" => Some(value),
        rest => find(value.get_ref().as_table()?, rest),
    }
}

/// The integers of a table that TOML does not have, whose integers have 64 bits and a sign: the keys with what is wrong with each. The
/// parser gives them to whatever type holds them, and a file with one of them cannot be read as a table again.
pub(crate) fn beyond_toml(table: &DeTable<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    for (key, value) in table {
        beyond_toml_at(key.get_ref().to_string(), value.get_ref(), &mut found);
    }
    found
}

fn beyond_toml_at(key: String, value: &DeValue<'_>, found: &mut Vec<Problem>) {
    match value {
        DeValue::Table(table) => {
            for (name, value) in table {
                beyond_toml_at(format!("{key}.{}", name.get_ref()), value.get_ref(), found);
            }
        }
        DeValue::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                beyond_toml_at(format!("{key}[{index}]"), value.get_ref(), found);
            }
        }
        DeValue::Integer(integer) => {
            let digits = integer.as_str();
            if i64::from_str_radix(digits, integer.radix()).is_err() {
                let bound = match digits.starts_with('-') {
                    true => format!("at least {}", i64::MIN),
                    false => format!("at most {}", i64::MAX),
                };
                let message = format!("must be {bound}, is {integer}");
                found.push(Problem { key, message });
            }
        }
        _ => {}
    }
}

/// Every dotted key of a table and of the tables in it, tables among them.
pub(crate) fn keys(table: &DeTable<'_>) -> Vec<String> {
    let mut keys = Vec::new();
    for (key, value) in table {
        let key = key.get_ref();
        if let DeValue::Table(table) = value.get_ref() {
            keys.extend(
                self::keys(table)
                    .iter()
                    .map(|below| format!("{key}.{below}")),
            );
        }
        keys.push(key.to_string());
    }
    keys
}
