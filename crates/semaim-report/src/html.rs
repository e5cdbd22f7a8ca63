//! The report of a training run as one HTML file: no script, nothing loaded from anywhere, light and dark, to be read on
//! a phone and to be printed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::chart::{COLORS, LineChart, WIDTHS};
use crate::error::FigureError;
use crate::themed::ThemedPng;

/// How the page looks.
const STYLE: &str = include_str!("style.css");
/// What the file allows a browser: its own style, and pictures that are in it. Everything else is forbidden.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";
/// The icon of the window. Without one browsers ask the server of the file for one.
const ICON: &str = include_str!("icon.svg");
/// The widest picture that shares its line with others, in pixels.
const SHARED: u32 = 560;
/// The most rows of a table that are all shown at once on a screen.
const LONG: usize = 24;

/// A report. All texts may be any: nothing in them is read as markup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The heading and the window's title.
    pub title: String,
    /// A line below the heading; none if empty.
    pub subtitle: String,
    /// Key figures, shown large in a row at the top.
    pub facts: Vec<Fact>,
    /// The rest, in order.
    pub sections: Vec<Section>,
}

/// A value with its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// The value with its unit.
    pub value: String,
}

/// A part of a report under a heading of its own, to which the table of contents leads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// What stands below.
    pub parts: Vec<Part>,
}

/// What stands in a section.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A paragraph.
    Text(String),
    /// Charts in a grid without holes, two in a row where there is room. Those without a point to show are left out.
    Charts(Vec<LineChart>),
    /// A table.
    Table {
        /// The names of the columns.
        header: Vec<String>,
        /// The cells, row by row, one for each column.
        rows: Vec<Vec<Cell>>,
    },
    /// Pictures side by side as far as there is room; those of more than 560 pixels in width stand alone.
    Pictures(Vec<Picture>),
    /// A file, to be unfolded.
    Source {
        /// What it is, such as its name.
        title: String,
        /// The text as it is, breaks and tabs included.
        text: String,
    },
    /// Names and values, one pair a line, such as an environment.
    Pairs(Vec<Fact>),
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Aligned to the left.
    Text(String),
    /// Aligned to the right.
    Number(String),
}

/// A picture of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The line below.
    pub caption: String,
    /// The PNG files.
    pub png: ThemedPng,
    /// What there is to be seen, for those who cannot see it.
    pub alt: String,
}

impl Page {
    /// The file. Equal pages give equal texts. A browser that keeps to the policy in the file neither runs a script in it
    /// nor loads anything for it.
    ///
    /// # Errors
    ///
    /// [`FigureError::Chart`] when a chart cannot be drawn.
    pub fn html(&self) -> Result<String, FigureError> {
        let sections = self
            .sections
            .iter()
            .map(|section| section.parts.iter().map(part).collect());
        let sections = sections.collect::<Result<Vec<Vec<Markup>>, _>>()?;
        let icon = STANDARD.encode(ICON.trim());
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    link rel="icon" href={ "data:image/svg+xml;base64," (icon) };
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        h1 { (self.title) }
                        @if !self.subtitle.is_empty() { p.subtitle { (self.subtitle) } }
                        (list("facts", &self.facts))
                        nav aria-label="Contents" {
                            ul {
                                @for (index, section) in self.sections.iter().enumerate() {
                                    li { a href={ "#s" (index) } { (section.title) } }
                                }
                            }
                        }
                    }
                    main {
                        @for (index, (section, parts)) in self.sections.iter().zip(&sections).enumerate() {
                            section id={ "s" (index) } {
                                h2 { (section.title) }
                                @for part in parts { (part) }
                            }
                        }
                    }
                }
            }
        };
        Ok(page.into_string())
    }
}

fn part(part: &Part) -> Result<Markup, FigureError> {
    Ok(match part {
        Part::Text(text) => html! { p { (text) } },
        Part::Charts(charts) => self::charts(charts)?,
        Part::Table { header, rows } => html! {
            div.table.long[rows.len() > LONG] {
                table {
                    thead {
                        tr {
                            @for (column, name) in header.iter().enumerate() {
                                @let first = rows.first().and_then(|row| row.get(column));
                                th.number[matches!(first, Some(Cell::Number(_)))] scope="col" { (name) }
                            }
                        }
                    }
                    tbody {
                        @for row in rows {
                            tr {
                                @for cell in row {
                                    @match cell {
                                        Cell::Text(text) => td { (text) },
                                        Cell::Number(text) => td.number { (text) },
                                    }
                                }
                            }
                        }
                    }
                }
            }
        },
        Part::Pictures(pictures) => html! {
            div.pictures { @for picture in pictures { (figure(picture)) } }
        },
        Part::Source { title, text } => html! {
            details {
                summary { (title) " " span.size { (text.lines().count()) " lines" } }
                pre { code { (text) } }
            }
        },
        Part::Pairs(pairs) => list("pairs", pairs),
    })
}

/// Charts in a grid. The first of an odd number takes the place of two where two stand side by side, so that no place is
/// left empty.
fn charts(charts: &[LineChart]) -> Result<Markup, FigureError> {
    let drawn = charts
        .iter()
        .map(|chart| Ok(chart.svg(WIDTHS[0])?.map(|svg| (chart, svg))));
    let drawn: Vec<_> = drawn
        .collect::<Result<Vec<_>, FigureError>>()?
        .into_iter()
        .flatten()
        .collect();
    let wide = match drawn.first() {
        Some((first, _)) if drawn.len() % 2 == 1 => first.svg(WIDTHS[1])?,
        _ => None,
    };
    Ok(html! {
        @if drawn.is_empty() {
            p.nothing { "Nothing to draw yet." }
        }
        div.charts {
            @for (index, (chart, svg)) in drawn.iter().enumerate() {
                @let wide = wide.as_ref().filter(|_| index == 0);
                figure.chart.wide[wide.is_some()] role="img" aria-label=(chart.title) {
                    div.scroll { (PreEscaped(svg)) }
                    @if let Some(wide) = wide { div.scroll { (PreEscaped(wide)) } }
                    @if chart.series.len() > 1 {
                        figcaption.legend {
                            @for (index, series) in chart.series.iter().enumerate() {
                                span { i.{ "series-" (index % COLORS.len() + 1) } {} (series.name) }
                            }
                        }
                    }
                }
            }
        }
    })
}

fn figure(picture: &Picture) -> Markup {
    let source = |png: &[u8]| format!("data:image/png;base64,{}", STANDARD.encode(png));
    // With its size a picture has its place before it is decoded.
    let size = png_size(&picture.png.light);
    html! {
        figure.wide[size.is_some_and(|[width, _]| width > SHARED)] {
            @if let Some([width, height]) = size {
                div.scroll {
                    div.layers {
                        img width=(width) height=(height) alt=(picture.alt) src=(source(&picture.png.light));
                        @if let Some(dark) = &picture.png.dark {
                            img.dark width=(width) height=(height) alt="" src=(source(dark));
                        }
                    }
                }
            } @else {
                p.nothing { "This picture is not a PNG file." }
            }
            figcaption { (picture.caption) }
        }
    }
}

/// The width and height that the head of a PNG file tells, in pixels; `None` if it is no such file.
fn png_size(png: &[u8]) -> Option<[u32; 2]> {
    let head = png.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?;
    let (sides, _) = head.as_chunks::<4>();
    let [width, height, ..] = *sides else {
        return None;
    };
    Some([u32::from_be_bytes(width), u32::from_be_bytes(height)])
}

/// A list of names with values; nothing without any.
fn list(class: &str, facts: &[Fact]) -> Markup {
    html! {
        @if !facts.is_empty() {
            dl class=(class) {
                @for fact in facts { div { dt { (fact.name) } dd { (fact.value) } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Series;

    /// A page with a part of every kind, all texts of which are `text`.
    fn page(text: &str) -> Page {
        let picture = crate::encode_png(&image::RgbImage::new(30, 20)).unwrap();
        let fact = Fact {
            name: text.into(),
            value: text.into(),
        };
        let series = |points: &[[f64; 2]]| Series {
            name: text.into(),
            points: points.into(),
            ..Series::default()
        };
        let chart = LineChart {
            title: text.into(),
            x_label: text.into(),
            series: vec![series(&[[0.0, 1.0], [1.0, 2.0]]), series(&[[0.5, 1.5]])],
            ..LineChart::default()
        };
        let png = ThemedPng {
            light: picture.clone(),
            dark: Some(picture),
        };
        let parts = vec![
            Part::Text(text.into()),
            Part::Charts(vec![chart, LineChart::default()]),
            Part::Table {
                header: vec![text.into(); 2],
                rows: vec![vec![Cell::Text(text.into()), Cell::Number(text.into())]; 30],
            },
            Part::Pictures(vec![Picture {
                caption: text.into(),
                png,
                alt: text.into(),
            }]),
            Part::Source {
                title: text.into(),
                text: text.into(),
            },
            Part::Pairs(vec![fact.clone()]),
        ];
        let section = Section {
            title: text.into(),
            parts,
        };
        Page {
            title: text.into(),
            subtitle: text.into(),
            facts: vec![fact],
            sections: vec![section.clone(), section],
        }
    }

    #[test]
    fn texts_are_texts_and_nothing_is_loaded_or_run() {
        let plain = page("text").html().unwrap();
        let hostile = page("\"'>&</td></style></svg><script src=http://x.y>'")
            .html()
            .unwrap();
        let tags = |html: &str| html.matches('<').count();
        assert_eq!(tags(&plain), tags(&hostile), "no tag comes from a text");
        for html in [&plain, &hostile] {
            assert!(!html.contains("<script") && html.contains(POLICY));
            for address in html
                .split("src=\"")
                .skip(1)
                .chain(html.split("href=\"").skip(1))
            {
                assert!(
                    address.starts_with("data:image/") || address.starts_with('#'),
                    "{address:.60}"
                );
            }
        }
        for word in ["url(", "@import", "http", "@font-face", "<", "expression"] {
            assert!(!STYLE.contains(word), "{word}");
        }
    }

    #[test]
    fn links_lead_to_sections_and_every_part_is_there() {
        let html = page("text").html().unwrap();
        for id in ["s0", "s1"] {
            assert_eq!(html.matches(&format!("href=\"#{id}\"")).count(), 1);
            assert_eq!(html.matches(&format!("<section id=\"{id}\"")).count(), 1);
        }
        // Of two charts one has no points; the other, alone, is there in both widths, with a legend of two.
        assert_eq!(html.matches("<svg ").count(), 4);
        assert_eq!(html.matches("<figure class=\"chart wide\"").count(), 2);
        assert_eq!(html.matches("<i class=\"series-").count(), 4);
        assert!(html.contains("table long") && html.contains("<td class=\"number\">"));
        assert_eq!(html.matches("<th class=\"number\" ").count(), 2);
        assert_eq!(html.matches("<img width=\"30\" height=\"20\"").count(), 2);
        assert_eq!(html.matches("<img class=\"dark\"").count(), 2);
        assert_eq!(html, page("text").html().unwrap());
    }

    #[test]
    fn what_is_no_png_is_said() {
        let png = ThemedPng {
            light: b"GIF89a".to_vec(),
            dark: None,
        };
        let picture = Picture {
            caption: String::new(),
            png,
            alt: String::new(),
        };
        assert!(figure(&picture).into_string().contains("not a PNG file"));
    }

    /// The colors of the style sheet's variables, light and dark, by name.
    fn palette(name: &str) -> [&'static str; 2] {
        let start = format!("--{name}: ");
        let mut found = STYLE.split(&start).skip(1).map(|rest| &rest[..7]);
        [found.next().unwrap(), found.next().unwrap()]
    }

    /// The contrast of two colors, 1 to 21, as WCAG 2.2 defines it.
    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |color: &str| {
            let channel = |at: usize| {
                let value = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
                if value <= 0.04045 {
                    value / 12.92
                } else {
                    ((value + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
        };
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn contrasts_are_enough_in_light_and_dark() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        for theme in 0..2 {
            for behind in ["background", "surface"].map(|name| palette(name)[theme]) {
                // The least that WCAG asks for: 7 (AAA) and 4.5 (AA) for texts, 3 for what is drawn.
                let least = [("text", 7.0), ("muted", 4.5), ("link", 4.5)];
                for (name, least) in least {
                    assert!(
                        contrast(palette(name)[theme], behind) >= least,
                        "{name} on {behind}"
                    );
                }
                for series in 1..=COLORS.len() {
                    assert!(contrast(palette(&format!("series-{series}"))[theme], behind) >= 3.0);
                }
            }
        }
    }

    #[test]
    fn the_style_sheet_knows_the_colors_of_charts() {
        for (index, color) in COLORS.iter().enumerate() {
            let hex = format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2);
            assert_eq!(
                palette(&format!("series-{}", index + 1))[0].to_uppercase(),
                hex
            );
            let rule = format!(
                "[stroke=\"{hex}\"] {{ stroke: var(--series-{}); }}",
                index + 1
            );
            assert!(STYLE.contains(&rule), "{rule}");
        }
    }
}
