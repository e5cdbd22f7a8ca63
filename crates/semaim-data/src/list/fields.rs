//! The fields of a line of a table.
//!
//! A list is read by lines, so that messages have their numbers whatever comments and empty lines stand between them, and so that a
//! quote that is not closed is an error of its line instead of taking in all lines up to the next quote.

use std::borrow::Cow;

/// What stands between two separators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// Its text, without the quotes around it, or else without the spaces around it.
    pub(super) text: Cow<'a, str>,
    /// Where it starts in the line, in bytes.
    pub(super) start: usize,
}

/// Splits a line at the separators that are in no quotes, as RFC 4180 has it: where a field begins with a quote, it ends with one,
/// separators between them are part of it, and two quotes are one. Spaces may stand around the quotes. A quote within a field that
/// begins with something else is a letter like others. So is every quote of a field between tabs that is not closed before a tab or
/// the end of the line: many who write tabs know no quoting.
///
/// # Errors
///
/// What is wrong with a line of other separators than tabs, in words: a quote that is not closed, or a closed one that no separator
/// follows.
pub(super) fn split(line: &str, separator: char) -> Result<Vec<Field<'_>>, String> {
    let is_space = |c: char| c.is_whitespace() && c != separator;
    let mut fields = Vec::new();
    let mut start = 0;
    loop {
        let content = line.get(start..).unwrap_or_default();
        let content = content.trim_start_matches(is_space);
        let quoted = content.strip_prefix('"').map(|quoted| {
            let (text, after) = quoted_text(quoted)?;
            let after = after.trim_start_matches(is_space);
            match after.is_empty() || after.starts_with(separator) {
                true => Ok((text, after)),
                false => Err(format!("`{after}` follows a quote that closes a field")),
            }
        });
        let (text, after) = match quoted {
            Some(Err(reason)) if separator != '\t' => return Err(reason),
            Some(Ok(read)) => read,
            _ => {
                let end = content.find(separator).unwrap_or(content.len());
                let (text, after) = content.split_at(end);
                (Cow::Borrowed(text.trim_end()), after)
            }
        };
        fields.push(Field { text, start });
        let Some(next) = after.strip_prefix(separator) else {
            return Ok(fields);
        };
        start = line.len() - next.len();
    }
}

/// The text up to the quote that closes it, and what follows that.
fn quoted_text(text: &str) -> Result<(Cow<'_, str>, &str), String> {
    let mut before = String::new();
    let mut rest = text;
    loop {
        let Some((part, after)) = rest.split_once('"') else {
            return Err("a quote is not closed".to_owned());
        };
        match after.strip_prefix('"') {
            Some(more) => {
                before.push_str(part);
                before.push('"');
                rest = more;
            }
            None if before.is_empty() => return Ok((Cow::Borrowed(part), after)),
            None => {
                before.push_str(part);
                return Ok((Cow::Owned(before), after));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str, separator: char) -> Vec<String> {
        let fields = split(line, separator).unwrap();
        fields
            .into_iter()
            .map(|field| field.text.into_owned())
            .collect()
    }

    #[test]
    fn quotes_hold_separators_and_quotes() {
        for (line, expected) in [
            ("a.png,dog", &["a.png", "dog"][..]),
            ("a.png,\"dog, wild\"", &["a.png", "dog, wild"]),
            (" \"a,1.png\" , \"dog\" ", &["a,1.png", "dog"]),
            (
                "a.png,\"the \"\"big\"\" one\"",
                &["a.png", "the \"big\" one"],
            ),
            ("a.png,\"\"\"\"", &["a.png", "\""]),
            ("a.png,\"\"", &["a.png", ""]),
            ("a.png,\" x \"", &["a.png", " x "]),
            ("a.png,12\" disc", &["a.png", "12\" disc"]),
            (",a,,", &["", "a", "", ""]),
            ("", &[""]),
        ] {
            assert_eq!(texts(line, ','), expected, "{line}");
        }
        let tabs = texts("a.png\t \"big\tdog\" \t\tx y", '\t');
        assert_eq!(tabs, ["a.png", "big\tdog", "", "x y"]);
    }

    #[test]
    fn fields_know_where_they_start() {
        let line = "ä, \"b,\" ,c";
        let starts: Vec<usize> = split(line, ',').unwrap().iter().map(|f| f.start).collect();
        assert_eq!(starts, [0, 3, 10]);
    }

    #[test]
    fn quotes_that_do_not_fit_are_refused() {
        let refused = |line: &str| split(line, ',').unwrap_err();
        assert!(refused("a.png,\"dog").contains("not closed"));
        assert!(refused("\"a.png,dog").contains("not closed"));
        assert!(refused("a.png,\"dog\"\"").contains("not closed"));
        assert!(refused("\"a.png,\"dog\"").contains("`dog\"` follows"));
    }

    #[test]
    fn quotes_that_do_not_fit_between_tabs_are_letters() {
        for (line, expected) in [
            ("a.png\t\"dog", ["a.png", "\"dog"]),
            ("\"a.png\tdog", ["\"a.png", "dog"]),
            ("a.png\t\"big\" dog ", ["a.png", "\"big\" dog"]),
            ("\"a\".png\t\"dog\"", ["\"a\".png", "dog"]),
            ("\"a.png\t\"dog\" x", ["\"a.png", "\"dog\" x"]),
        ] {
            assert_eq!(texts(line, '\t'), expected, "{line}");
        }
    }
}
