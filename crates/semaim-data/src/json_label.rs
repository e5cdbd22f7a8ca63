//! The label of an image in a JSON object that describes it.

use serde_json::{Map, Value};

/// The most letters of a value that are shown.
const SHOWN: usize = 40;

/// The label under the first of `keys` that the object has: a text, `true` or `false`, or a whole number, as text, which is not
/// empty. What is there in place of that, such as a list of several labels, is an error, in JSON. `None` where there is nothing.
pub(crate) fn of(object: &Map<String, Value>, keys: &[&str]) -> Option<Result<String, String>> {
    let mut values = keys.iter().filter_map(|key| object.get(*key));
    let value = values.find(|value| !value.is_null())?;
    let text = match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) if number.is_f64() => number
            .as_f64()
            // Tables with missing labels have all of them as floats.
            .filter(|value| value.fract() == 0.0 && value.abs() < f64::from(u32::MAX))
            .map(|value| (value as i64).to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match text {
        Some(text) => (!text.is_empty()).then_some(Ok(text)),
        None => Some(Err(shortened(&value.to_string()))),
    }
}

/// The whole number that a field of a table is: `3`, or `3.0` in a table with missing labels, which has all of them as floats.
pub(crate) fn whole_number(field: &str) -> Option<&str> {
    let (whole, fraction) = field.split_once('.').unwrap_or((field, "0"));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let is_zero = !fraction.is_empty() && fraction.bytes().all(|b| b == b'0');
    (is_whole && is_zero).then_some(whole)
}

/// The start of a text.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_texts_and_whole_numbers() {
        let label = |json: &str| match serde_json::from_str(json) {
            Ok(Value::Object(object)) => of(&object, &["label", "cls"]),
            other => panic!("{other:?}"),
        };
        for (json, expected) in [
            (r#"{"label": 3}"#, "3"),
            (r#"{"cls": 7, "width": 9}"#, "7"),
            (r#"{"label": null, "cls": 7}"#, "7"),
            (r#"{"cls": 7, "label": " big dog "}"#, "big dog"),
            (r#"{"label": 3.0}"#, "3"),
            (r#"{"label": -1}"#, "-1"),
            (r#"{"label": true}"#, "true"),
        ] {
            assert_eq!(label(json), Some(Ok(expected.to_owned())), "{json}");
        }
        for json in ["{}", r#"{"label": " "}"#, r#"{"label": null}"#] {
            assert_eq!(label(json), None, "{json}");
        }
        for (json, shown) in [
            (r#"{"label": [0, 3]}"#, "[0,3]"),
            (r#"{"label": 0.5}"#, "0.5"),
            (r#"{"label": {"a": 1}}"#, r#"{"a":1}"#),
        ] {
            assert_eq!(label(json), Some(Err(shown.to_owned())), "{json}");
        }
        let long = format!(r#"{{"label": [{}1]}}"#, "1, ".repeat(1000));
        let Some(Err(shown)) = label(&long) else {
            panic!("a list is no label");
        };
        assert!(shown.len() < 50 && shown.ends_with("..."), "{shown}");
    }

    #[test]
    fn whole_numbers_of_tables() {
        for (field, expected) in [("3", "3"), ("3.0", "3"), ("10.00", "10"), ("-1.0", "-1")] {
            assert_eq!(whole_number(field), Some(expected), "{field}");
        }
        for field in ["", "3.", ".0", "3.5", "3.0.0", "-", "v1.0", "cat"] {
            assert_eq!(whole_number(field), None, "{field}");
        }
    }
}
