//! Tests of the report's form.

use super::*;
use crate::chart::Series;
use crate::markup::{Element, elements};

const HOSTILE: &str = "</title></style></pre>--><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&lt;\0\u{1b}\u{202e}漢🦀";

fn chart(title: &str) -> Part {
    Part::Chart(LineChart {
        title: title.to_owned(),
        series: vec![Series {
            name: title.to_owned(),
            points: vec![[0.0, 1.0], [1.0, f64::NAN], [2.0, 0.5]],
        }],
        ..LineChart::default()
    })
}

fn section(title: &str, parts: Vec<Part>) -> Section {
    Section {
        title: title.to_owned(),
        parts,
    }
}

fn fact(name: &str, value: &str) -> Fact {
    Fact {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// A page with every part, all of whose texts are `text`.
fn everything(text: &str) -> Page {
    let owned = || text.to_owned();
    let image = image::RgbImage::from_pixel(4, 3, image::Rgb([1, 2, 3]));
    let parts = vec![
        Part::Text(owned()),
        chart(text),
        chart(text),
        Part::Table {
            caption: owned(),
            header: vec![owned()],
            rows: vec![vec![owned(), owned()]],
        },
        Part::Pictures(vec![Picture {
            caption: owned(),
            png: crate::encode_png(&image).unwrap(),
            alt: owned(),
        }]),
        Part::Source {
            title: owned(),
            text: owned(),
        },
        Part::Pairs(vec![fact(text, text)]),
    ];
    Page {
        title: owned(),
        subtitle: owned(),
        facts: vec![fact(text, text)],
        sections: vec![section(text, parts.clone()), section(text, parts)],
    }
}

/// The elements of a page, and how many there are of each kind.
fn read(html: &str) -> (Vec<Element>, impl Fn(&str) -> usize) {
    let body = html.strip_prefix("<!doctype html>\n").unwrap();
    let all = elements(body);
    let names: Vec<String> = all.iter().map(|e| e.0.clone()).collect();
    let count = move |name: &str| names.iter().filter(|n| *n == name).count();
    (all, count)
}

#[test]
fn a_page_has_its_parts_in_order() {
    let html = everything("some text").html();
    let (all, count) = read(&html);
    for (name, expected) in [
        ("html", 1),
        ("title", 1),
        ("h1", 1),
        ("h2", 2),
        ("nav", 1),
        ("a", 2),
        ("section", 2),
        ("svg", 4),
        ("img", 2),
        ("table", 2),
        ("th", 4),
        ("td", 4),
        ("details", 2),
        ("pre", 2),
        ("dl", 3),
        ("script", 0),
    ] {
        assert_eq!(count(name), expected, "{name}");
    }
    assert!(
        html.starts_with("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>")
    );
    let ids: Vec<_> = all
        .iter()
        .filter(|e| e.0 == "section")
        .map(|e| e.1.clone())
        .collect();
    assert_eq!(ids, ["id=\"some-text\"", "id=\"some-text-2\""]);
    let links: Vec<_> = all
        .iter()
        .filter(|e| e.0 == "a")
        .map(|e| e.1.clone())
        .collect();
    assert_eq!(links, ["href=\"#some-text\"", "href=\"#some-text-2\""]);
    let places: Vec<usize> = [
        "<p>some",
        "<svg",
        "<table",
        "<img",
        "<details",
        "class=\"pairs\"",
    ]
    .iter()
    .map(|part| html.find(part).unwrap())
    .collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn no_text_becomes_markup() {
    let plain = everything("plain");
    let hostile = everything(HOSTILE);
    // A quote that is not escaped would end an attribute and begin another.
    let shape = |page: &Page| -> Vec<Vec<String>> {
        let (all, _) = read(&page.html());
        let keys = |attributes: &str| {
            attributes
                .split('"')
                .step_by(2)
                .map(str::to_owned)
                .collect()
        };
        let shape = |(name, attributes, _): Element| [vec![name], keys(&attributes)].concat();
        all.into_iter().map(shape).collect()
    };
    assert_eq!(shape(&hostile), shape(&plain));
    // As a text it is all there: in 2 titles, the subtitle, a fact, 2 links, and 20 times in each section.
    assert!(
        hostile
            .html()
            .matches("&lt;script&gt;alert(1)&lt;/script&gt;")
            .count()
            >= 40
    );
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let html = everything("x").html();
    let (all, _) = read(&html);
    for (name, attributes, _) in &all {
        for attribute in ["src=\"", "href=\""] {
            for value in attributes.split(attribute).skip(1) {
                assert!(
                    value.starts_with("data:image/") || value.starts_with('#'),
                    "{name} {value}"
                );
            }
        }
        assert!(!attributes.contains("url("), "{name} {attributes}");
    }
    assert_eq!(
        html.matches("http").count(),
        1 + html.matches("=\"http://www.w3.org/2000/svg\"").count()
    );
    assert!(html.contains("http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"));
    assert!(html.contains("<link rel=\"icon\" href=\"data:image/svg+xml;base64,"));
}

#[test]
fn equal_pages_are_equal_files() {
    assert_eq!(everything("a").html(), everything("a").html());
    assert_ne!(everything("a").html(), everything("b").html());
}

#[test]
fn what_is_empty_is_left_out_or_said() {
    let nothing = Page::default().html();
    let (_, count) = read(&nothing);
    assert!(nothing.contains("<title>Report</title>") && nothing.contains("<h1>Report</h1>"));
    assert_eq!([count("nav"), count("dl"), count("section")], [0, 0, 0]);
    assert_eq!(nothing.matches("Nothing yet.").count(), 1);

    let empty = vec![
        Part::Text(" \n\n\t".to_owned()),
        Part::Pictures(Vec::new()),
        Part::Pairs(Vec::new()),
        Part::Source {
            title: "config.toml".to_owned(),
            text: "\n".to_owned(),
        },
        Part::Table {
            caption: String::new(),
            header: vec!["a".to_owned()],
            rows: Vec::new(),
        },
    ];
    let page = Page {
        facts: vec![fact("kNN", " ")],
        sections: vec![section("Probe", empty.clone()), section("", Vec::new())],
        ..Page::default()
    };
    let html = page.html();
    let (_, count) = read(&html);
    assert_eq!(html.matches("Nothing yet.").count(), 2);
    assert!(html.contains("<dt>kNN</dt><dd>–</dd>"));
    assert_eq!([count("h2"), count("nav"), count("details")], [1, 0, 0]);

    let mut parts = empty;
    parts.push(Part::Text("here".to_owned()));
    let html = Page {
        sections: vec![section("Probe", parts)],
        ..Page::default()
    }
    .html();
    assert!(html.contains("<p>here</p>") && !html.contains("Nothing yet."));
}

#[test]
fn charts_that_follow_each_other_share_a_grid() {
    let text = || Part::Text("between".to_owned());
    let parts = vec![chart("a"), chart("b"), text(), chart("c"), text(), text()];
    let html = Page {
        sections: vec![section("Loss", parts)],
        ..Page::default()
    }
    .html();
    let grids: Vec<usize> = html
        .split("class=\"charts\"")
        .skip(1)
        .map(|grid| grid.split("<p>").next().unwrap().matches("<svg ").count())
        .collect();
    assert_eq!(grids, [2, 1]);
    assert_eq!(html.matches("<p>between</p>").count(), 3);
}

#[test]
fn paragraphs_and_sources_keep_their_lines() {
    let parts = vec![
        Part::Text("one\ntwo\r\n\r\n \n three".to_owned()),
        Part::Source {
            title: "config.toml".to_owned(),
            text: "\n[train]\r\n\tsteps = 5 # <&>\n".to_owned(),
        },
    ];
    let html = Page {
        sections: vec![section("Run", parts)],
        ..Page::default()
    }
    .html();
    assert!(html.contains("<p>one\ntwo</p>\n<p>three</p>\n"));
    assert!(html.contains("<code>\n[train]\n\tsteps = 5 # &lt;&amp;&gt;\n</code>"));
    assert!(html.contains("config.toml <span class=\"size\">3 lines</span>"));
    assert!(html.contains("<details>"), "folded");
}
