//! Text as it stands on a line: Arabic letters in their joined forms, right-to-left parts from the right.

use std::borrow::Cow;

use unicode_bidi::BidiInfo;
use unicode_normalization::char::is_combining_mark;

/// The characters of one line from left to right.
pub(crate) fn visual_order(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return text.into();
    }
    let joined = ar_reshaper::reshape_line(text);
    let bidi = BidiInfo::new(&joined, None);
    if !bidi.has_rtl() {
        return text.into();
    }
    let mut line = String::with_capacity(joined.len());
    for paragraph in &bidi.paragraphs {
        let (levels, runs) = bidi.visual_runs(paragraph, paragraph.range.clone());
        for run in runs {
            match levels[run.start].is_rtl() {
                true => line.extend(from_the_right(&joined[run])),
                false => line.push_str(&joined[run]),
            }
        }
    }
    line.into()
}

/// A right-to-left part from left to right: brackets turned, marks still behind their letters.
fn from_the_right(part: &str) -> Vec<char> {
    let mut line: Vec<char> = Vec::new();
    let mut marks: Vec<char> = Vec::new();
    for character in part.chars().rev() {
        if is_combining_mark(character) {
            marks.insert(0, character);
        } else {
            line.push(turned(character));
            line.append(&mut marks);
        }
    }
    line.append(&mut marks);
    line
}

fn turned(character: char) -> char {
    match character {
        '(' => ')',
        ')' => '(',
        '[' => ']',
        ']' => '[',
        '{' => '}',
        '}' => '{',
        '<' => '>',
        '>' => '<',
        '«' => '»',
        '»' => '«',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_from_the_right_stands_there() {
        for text in ["", "cat (2)", "Größe", "猫", "कुत्ता"] {
            assert_eq!(visual_order(text), text);
        }
        assert_eq!(visual_order("כלב"), "בלכ");
        assert_eq!(visual_order("כלב (12)"), "(12) בלכ");
        assert_eq!(visual_order("dog כלב 7"), "dog 7 בלכ");
        // A vowel point stays on its letter.
        assert_eq!(visual_order("כֶלב"), "בלכֶ");
    }

    #[test]
    fn arabic_letters_are_joined() {
        // Kaf at the beginning, lam in the middle, beh at the end.
        assert_eq!(visual_order("كلب"), "\u{fe90}\u{fee0}\u{fedb}");
        assert_eq!(visual_order("لا"), "\u{fefb}");
    }
}
