//! The syntax of a text.

use toml::de::DeTable;

use crate::error::{ConfigError, ConfigErrors};
use crate::source::Layer;

/// Whether a layer is TOML.
///
/// # Errors
///
/// [`ConfigError::Syntax`], at most one a line.
pub(crate) fn check_syntax(layer: &Layer) -> Result<(), ConfigErrors> {
    let (_, found) = DeTable::parse_recoverable(&layer.toml);
    let (mut errors, mut last_line) = (Vec::new(), None);
    for error in found {
        let start = error.span().map_or(layer.toml.len(), |span| span.start);
        let origin = layer.origin(start);
        let line_start = layer.toml[..start]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        if last_line.replace(line_start) == Some(line_start) {
            continue;
        }
        let line = layer.toml[line_start..].lines().next().unwrap_or("");
        errors.push(ConfigError::Syntax {
            origin,
            column: layer.column(start),
            message: error.message().to_owned(),
            source_line: line.trim().to_owned(),
        });
    }
    ConfigErrors::unless_empty(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        let errors = check_syntax(&Layer::text("x.toml".into(), text)).unwrap_err();
        errors.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn syntax_errors_show_place_and_line_once_each() {
        let found = errors("a = 1\nb = = 2\n[t]\n\"ü\" = 1 c = [1, 2\n");
        assert_eq!(
            found[0],
            "x.toml:2:5: extra `=`, expected nothing: `b = = 2`"
        );
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].starts_with("x.toml:4:11: "), "{found:?}");
    }

    #[test]
    fn duplicates_show_the_second() {
        assert_eq!(
            errors("[train]\nlr = 1\nepochs = 2\nlr = 3\n"),
            ["x.toml:4:1: duplicate key: `lr = 3`"],
        );
        assert_eq!(
            errors("[a]\n[a.b]\nc = 1\n[a.b]\n"),
            ["x.toml:4:4: duplicate key: `[a.b]`"],
        );
    }

    #[test]
    fn an_end_without_a_newline_is_located() {
        assert_eq!(errors("a =").len(), 1);
        assert!(errors("a =")[0].starts_with("x.toml:1:"));
    }
}
