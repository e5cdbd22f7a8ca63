//! What stands in a section.

use super::{Part, frame, picture, table};
use crate::escape::{escape_line, escape_lines};

/// All parts; empty if none of them holds anything.
pub(super) fn all(parts: &[Part]) -> String {
    let is_chart = |part: &Part| matches!(part, Part::Chart(_));
    let mut out = String::new();
    for group in parts.chunk_by(|a, b| is_chart(a) && is_chart(b)) {
        match group {
            [Part::Chart(_), ..] => out.push_str(&charts(group)),
            others => others.iter().for_each(|part| out.push_str(&one(part))),
        }
    }
    out
}

/// Charts in a grid.
fn charts(group: &[Part]) -> String {
    let mut out = String::from("<div class=\"charts\">\n");
    for part in group {
        if let Part::Chart(chart) = part {
            let svg = chart.svg();
            out.push_str(&format!(
                "<figure class=\"chart\"><div class=\"scroll\">\n{svg}</div></figure>\n"
            ));
        }
    }
    out.push_str("</div>\n");
    out
}

fn one(part: &Part) -> String {
    match part {
        Part::Text(text) => paragraphs(text),
        Part::Chart(_) => charts(std::slice::from_ref(part)),
        Part::Table {
            caption,
            header,
            rows,
        } => table::html(caption, header, rows),
        Part::Pictures(pictures) => picture::html(pictures),
        Part::Source { title, text } => source(title, text),
        Part::Pairs(pairs) => frame::list("pairs", pairs),
    }
}

/// Paragraphs, parted by lines without letters.
fn paragraphs(text: &str) -> String {
    let text = escape_lines(text);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines
        .split(|line| line.is_empty())
        .filter(|lines| !lines.is_empty())
        .map(|lines| format!("<p>{}</p>\n", lines.join("\n")))
        .collect()
}

/// A file, folded; nothing if there is no text.
fn source(title: &str, text: &str) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    let title = match title.trim() {
        "" => "Source",
        title => title,
    };
    let lines = match text.lines().count() {
        1 => "1 line".to_owned(),
        count => format!("{count} lines"),
    };
    // The element within keeps a break at the start of the text, which would be dropped right after the `pre`.
    format!(
        "<details>\n<summary>{} <span class=\"size\">{lines}</span></summary>\n<pre><code>{}</code></pre>\n</details>\n",
        escape_line(title),
        escape_lines(text)
    )
}
