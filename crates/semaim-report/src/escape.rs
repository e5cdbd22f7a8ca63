//! Texts of any kind as they may stand in HTML and in XML, in attributes too.

/// A text on one line: breaks and tabs become spaces. What no document may hold becomes `\u{fffd}`.
pub(crate) fn escape_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\t' | '\n' | '\r' => out.push(' '),
            other => push(&mut out, other),
        }
    }
    out
}

/// A text with its tabs and its line breaks, which all become `\n`.
pub(crate) fn escape_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' if letters.peek() == Some(&'\n') => {}
            '\r' | '\n' => out.push('\n'),
            '\t' => out.push('\t'),
            other => push(&mut out, other),
        }
    }
    out
}

fn push(out: &mut String, letter: char) {
    match letter {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        // Browsers drop or change some of the control characters; a mark shows that something was there.
        letter if letter.is_control() => out.push('\u{fffd}'),
        '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
        other => out.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        let escaped = "&lt;/a&gt;&amp;lt;&quot;&#39;";
        assert_eq!(escape_line("</a>&lt;\"'"), escaped);
        assert_eq!(escape_lines("</a>&lt;\"'"), escaped);
    }

    #[test]
    fn control_characters_are_marked() {
        assert_eq!(
            escape_line("a\0b\u{1b}c\u{7f}\u{85}\u{ffff}"),
            "a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}\u{fffd}"
        );
        assert_eq!(escape_lines("\u{0}"), "\u{fffd}");
        assert_eq!(escape_line("é 漢 🦀 e\u{301}"), "é 漢 🦀 e\u{301}");
    }

    #[test]
    fn breaks_are_kept_or_become_spaces() {
        assert_eq!(escape_lines("a\r\nb\rc\nd\te"), "a\nb\nc\nd\te");
        assert_eq!(escape_line("a\nb\tc\rd"), "a b c d");
    }
}
