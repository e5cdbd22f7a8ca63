//! `--set key=value`.

use toml::de::DeTable;

use crate::error::ConfigError;
use crate::keys::is_bare;
use crate::source::{Layer, Origin};

/// Reads one override into a layer that holds just that value.
pub(crate) fn parse_set(text: &str) -> Result<Layer, ConfigError> {
    let refuse = |message: &str| {
        let (origin, message) = (Origin::Set(text.into()), message.to_owned());
        ConfigError::Override { origin, message }
    };
    let Some((key, value)) = text.split_once('=') else {
        return Err(refuse("has no `=`; the form is `key=value`"));
    };
    let key = key.trim();
    if key.is_empty() {
        return Err(refuse("has no key before `=`; the form is `key=value`"));
    }
    if let Some(bad) = key.split('.').map(str::trim).find(|part| !is_bare(part)) {
        let what = if bad.is_empty() {
            "an empty part"
        } else {
            "a part that is no key"
        };
        return Err(refuse(&format!(
            "has {what} in `{key}`; the form is `table.key=value`"
        )));
    }
    Ok(Layer::set(
        text,
        format!("{key} = {}", as_toml(value.trim())),
    ))
}

/// The value as TOML, or, where it is no TOML, as the string it is.
fn as_toml(value: &str) -> String {
    match DeTable::parse(&format!("v = {value}")) {
        Ok(table) if table.get_ref().len() == 1 => value.to_owned(),
        _ => toml::Value::from(value).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(text: &str) -> String {
        parse_set(text).unwrap().toml
    }

    #[test]
    fn values_are_toml_first() {
        for text in [
            "train.epochs = 100",
            "a.b = 1e-3",
            "a = true",
            "a.b = \"x=y\"",
            "a.b = [1,2]",
            "a = {b=1}",
        ] {
            assert_eq!(toml(&text.replace(" = ", "=")), text);
        }
    }

    #[test]
    fn values_that_are_no_toml_are_strings() {
        assert_eq!(toml("train.method=semaim"), "train.method = \"semaim\"");
        assert_eq!(toml("data.path=/a b/c=d"), "data.path = \"/a b/c=d\"");
        assert_eq!(toml("a="), "a = \"\"");
        assert_eq!(toml("a=1\nb = 2"), "a = \"\"\"\n1\nb = 2\"\"\"");
        assert_eq!(toml("a=[1,2"), "a = \"[1,2\"");
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
