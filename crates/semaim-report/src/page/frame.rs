//! The document around the parts: head, heading, key figures, contents, sections.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Fact, Page, anchor, parts, style};
use crate::escape::escape_line;

/// What the file allows a browser: its own style, and pictures that are in it. Everything else is forbidden.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                                 base-uri 'none'; form-action 'none'";

/// The icon of the window. Without one browsers ask the server of the file for one.
const ICON: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\">\
    <rect width=\"16\" height=\"16\" rx=\"3.5\" fill=\"#1f6fb2\"/>\
    <path d=\"M3 4C4.5 10.5 7 12 13 12\" fill=\"none\" stroke=\"#fff\" stroke-width=\"2\" stroke-linecap=\"round\"/>\
    </svg>";

/// What stands for a value that is not there.
const DASH: &str = "–";

/// The whole file.
pub(super) fn document(page: &Page) -> String {
    let title = match page.title.trim() {
        "" => "Report",
        title => title,
    };
    let title = escape_line(title);
    let mut out =
        String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n");
    out.push_str(&format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:image/svg+xml;base64,{}\"/>\n\
         <style>\n{}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n",
        STANDARD.encode(ICON),
        style::sheet()
    ));
    if !page.subtitle.trim().is_empty() {
        let subtitle = escape_line(&page.subtitle);
        out.push_str(&format!("<p class=\"subtitle\">{subtitle}</p>\n"));
    }
    out.push_str(&list("facts", &page.facts));
    let anchors = anchor::of(&page.sections);
    out.push_str(&contents(page, &anchors));
    out.push_str("</header>\n<main>\n");
    for (section, anchor) in page.sections.iter().zip(&anchors) {
        out.push_str(&format!("<section id=\"{anchor}\">\n"));
        if !section.title.trim().is_empty() {
            out.push_str(&format!("<h2>{}</h2>\n", escape_line(&section.title)));
        }
        let body = parts::all(&section.parts);
        match body.is_empty() {
            true => out.push_str("<p class=\"nothing\">Nothing yet.</p>\n"),
            false => out.push_str(&body),
        }
        out.push_str("</section>\n");
    }
    if page.sections.is_empty() && page.facts.is_empty() {
        out.push_str("<p class=\"nothing\">Nothing yet.</p>\n");
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// The links to the sections; nothing unless there are two to choose from.
fn contents(page: &Page, anchors: &[String]) -> String {
    let titled = page.sections.iter().zip(anchors);
    let links: Vec<String> = titled
        .filter(|(section, _)| !section.title.trim().is_empty())
        .map(|(section, anchor)| {
            let title = escape_line(&section.title);
            format!("<li><a href=\"#{anchor}\">{title}</a></li>\n")
        })
        .collect();
    match links.len() {
        0 | 1 => String::new(),
        _ => format!(
            "<nav aria-label=\"Contents\">\n<ul>\n{}</ul>\n</nav>\n",
            links.concat()
        ),
    }
}

/// A list of names with values; nothing without any.
pub(super) fn list(class: &str, facts: &[Fact]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let mut out = format!("<dl class=\"{class}\">\n");
    for fact in facts {
        let value = match fact.value.trim() {
            "" => DASH.to_owned(),
            value => crate::escape::escape_lines(value),
        };
        let name = escape_line(&fact.name);
        out.push_str(&format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"));
    }
    out.push_str("</dl>\n");
    out
}
