//! The names by which links lead to sections.

use std::collections::HashSet;

use super::Section;

/// The anchors of the sections, all different: small letters and digits of ASCII with single hyphens between.
pub(super) fn of(sections: &[Section]) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut anchors = Vec::with_capacity(sections.len());
    for section in sections {
        let words = words(&section.title);
        let mut anchor = words.clone();
        let mut number = 2;
        while !taken.insert(anchor.clone()) {
            anchor = format!("{words}-{number}");
            number += 1;
        }
        anchors.push(anchor);
    }
    anchors
}

/// The words of a title; `section` if it has none.
fn words(title: &str) -> String {
    let small = title.to_ascii_lowercase();
    let words: Vec<&str> = small
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    match words.is_empty() {
        true => "section".to_owned(),
        false => words.join("-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_readable_and_differ() {
        let titles = [
            "Loss & Rate",
            "漢字",
            "",
            "loss rate",
            "Loss  rate 2",
            "loss-rate",
            "\" onload=\"",
        ];
        let sections = titles.map(|title| Section {
            title: title.to_owned(),
            parts: Vec::new(),
        });
        assert_eq!(
            of(&sections),
            [
                "loss-rate",
                "section",
                "section-2",
                "loss-rate-2",
                "loss-rate-2-2",
                "loss-rate-3",
                "onload"
            ]
        );
    }
}
