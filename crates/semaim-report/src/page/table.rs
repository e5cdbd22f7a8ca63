//! Tables, in boxes that scroll when they are too wide or too long.

use super::numeric;
use crate::escape::{escape_line, escape_lines};

/// The most rows that are all shown at once on a screen.
const LONG: usize = 24;

/// A table; nothing if there is neither a row nor a caption.
pub(super) fn html(caption: &str, header: &[String], rows: &[Vec<String>]) -> String {
    let mut out = String::new();
    let caption = caption.trim();
    if !caption.is_empty() {
        out.push_str(&format!(
            "<figcaption>{}</figcaption>\n",
            escape_line(caption)
        ));
    }
    let has_header = header.iter().any(|name| !name.trim().is_empty());
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    if columns == 0 {
        return match out.is_empty() {
            true => out,
            false => format!(
                "<figure class=\"table\">\n{out}<p class=\"nothing\">Nothing yet.</p>\n</figure>\n"
            ),
        };
    }
    let columns = columns.max(if has_header { header.len() } else { 0 });
    let classes: Vec<&str> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            match numeric::is_column(cells.map(String::as_str)) {
                true => " class=\"number\"",
                false => "",
            }
        })
        .collect();
    let long = if rows.len() > LONG { " long" } else { "" };
    out.push_str(&format!("<div class=\"scroll{long}\">\n<table>\n"));
    let text = |cells: &[String], column: usize| {
        cells
            .get(column)
            .map_or(String::new(), |cell| escape_lines(cell))
    };
    if has_header {
        out.push_str("<thead><tr>");
        for (column, class) in classes.iter().enumerate() {
            let name = text(header, column);
            out.push_str(&format!("<th scope=\"col\"{class}>{name}</th>"));
        }
        out.push_str("</tr></thead>\n");
    }
    out.push_str("<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (column, class) in classes.iter().enumerate() {
            out.push_str(&format!("<td{class}>{}</td>", text(row, column)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    format!("<figure class=\"table\">\n{out}</figure>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markup::elements;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        let row = |row: &&[&str]| row.iter().map(|cell| (*cell).to_owned()).collect();
        rows.iter().map(row).collect()
    }

    fn cells(html: &str, name: &str) -> Vec<(String, String)> {
        let all = elements(html).into_iter().filter(|e| e.0 == name);
        all.map(|(_, attributes, text)| (attributes, text))
            .collect()
    }

    #[test]
    fn rows_of_different_lengths_make_whole_columns() {
        let header = ["name".to_owned(), "loss".to_owned()];
        let html = html("", &header, &rows(&[&["a"], &["b", "1.5", "x"], &[]]));
        assert_eq!(cells(&html, "td").len(), 9);
        let head = cells(&html, "th");
        assert_eq!(head.len(), 3);
        assert_eq!(head[1].0, "scope=\"col\" class=\"number\"");
        let numbers = cells(&html, "td")
            .into_iter()
            .filter(|c| c.0.contains("number"));
        assert_eq!(numbers.count(), 3);
    }

    #[test]
    fn without_rows_only_a_caption_is_shown() {
        let header = ["name".to_owned()];
        assert_eq!(html(" ", &header, &[]), "");
        let html = html("Accuracy", &header, &rows(&[&[]]));
        assert!(html.contains("Accuracy") && html.contains("Nothing yet"));
        assert!(cells(&html, "table").is_empty());
    }

    #[test]
    fn a_header_of_blanks_is_none() {
        let html = html(
            "",
            &[String::new(), " ".to_owned(), String::new()],
            &rows(&[&["a", "b"]]),
        );
        assert!(cells(&html, "th").is_empty());
        assert_eq!(cells(&html, "td").len(), 2);
    }

    #[test]
    fn long_tables_scroll() {
        let one: Vec<&[&str]> = vec![&["1"]; LONG + 1];
        assert!(html("", &[], &rows(&one)).contains("scroll long"));
        assert!(!html("", &[], &rows(&one[1..])).contains("scroll long"));
    }
}
