//! Whether a column of a table holds numbers.

/// Whether all cells that say something are numbers, and there are any.
pub(super) fn is_column<'a>(cells: impl Iterator<Item = &'a str>) -> bool {
    let mut any = false;
    for cell in cells.map(str::trim).filter(|cell| !is_missing(cell)) {
        if !is_number(cell) {
            return false;
        }
        any = true;
    }
    any
}

/// Whether a cell says that there is no value.
fn is_missing(cell: &str) -> bool {
    matches!(cell, "" | "-" | "–" | "—" | "?" | "n/a" | "N/A" | "none")
}

/// A number, maybe with a deviation, each maybe with a unit: `1 024`, `−0.5 %`, `3.1e-4`, `12.0 ± 0.3 s`, `NaN`.
fn is_number(cell: &str) -> bool {
    cell.split('±').all(|side| {
        let side = side.trim();
        let signs = ['-', '+', '−', '~', '≈', '<', '>', '≤', '≥', ' '];
        let bare = side.trim_start_matches(signs);
        if ["nan", "inf", "∞"].contains(&bare.to_ascii_lowercase().as_str()) {
            return true;
        }
        let end = bare.find(|letter: char| !(letter.is_ascii_digit() || is_within(letter)));
        let (digits, rest) = bare.split_at(end.unwrap_or(bare.len()));
        digits.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.')
            && digits.contains(|letter: char| letter.is_ascii_digit())
            && digits.matches('.').count() <= 1
            && is_unit(without_power(rest))
    })
}

/// What stands between the digits of a number: the point, and marks of thousands.
fn is_within(letter: char) -> bool {
    matches!(
        letter,
        '.' | ',' | '_' | '\'' | ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}'
    )
}

/// What follows a power of ten, if there is one.
fn without_power(rest: &str) -> &str {
    let Some(power) = rest.strip_prefix(['e', 'E']) else {
        return rest;
    };
    let digits = power.trim_start_matches(['-', '+', '−']);
    match digits.trim_start_matches(|letter: char| letter.is_ascii_digit()) {
        // No digits: the letter begins a unit.
        same if same.len() == digits.len() => rest,
        after => after,
    }
}

/// A short word without digits, or nothing. Longer words and more of them make a text.
fn is_unit(rest: &str) -> bool {
    let rest = rest.trim();
    rest.chars().count() <= 9
        && !rest.contains(|letter: char| letter.is_ascii_digit() || letter.is_whitespace())
        && !rest.starts_with(['-', ':', '/'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_known_by_their_looks() {
        let numbers = [
            "0",
            "12",
            "-3.5",
            "−3.5",
            "+1",
            ".5",
            "1e-4",
            "3.1E+05",
            "1,234,567",
            "1 024",
            "87.3%",
            "87.3 %",
            "12 s",
            "1.5GiB",
            "410.2 images/s",
            "2×",
            "0.81 ± 0.02",
            "0.81 ± 0.02 %",
            "NaN",
            "-inf",
            "≈ 3",
            "4 epochs",
            "3e",
        ];
        for text in numbers {
            assert!(is_number(text), "{text}");
        }
        let texts = [
            "a",
            "vit-small",
            "2026-01-31",
            "12:30:05",
            "224x224",
            "1/2",
            "1.2.3",
            "9e107d9d3",
            "3 of 5",
            "e5",
            ".",
            "5 o'clock sharp",
            "16 threads of one machine",
            "–1–",
            "10.0.0.1",
            "±",
        ];
        for text in texts {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn a_column_needs_numbers_only() {
        let column = |cells: &[&str]| is_column(cells.iter().copied());
        assert!(column(&["1", "", "–", " 2.5 "]));
        assert!(!column(&["1", "two"]));
        assert!(!column(&["", "–"]), "nothing is no number");
        assert!(!column(&[]));
    }
}
