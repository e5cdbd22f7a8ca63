//! A page around a report that measures it, and what it measured.
//!
//! A report runs no script, but one outside can look into a frame whose text it holds itself.

use serde_json::Value;

/// What was measured of a report in one frame.
pub(crate) struct Frame {
    /// The frame's width in pixels.
    pub(crate) width: u64,
    /// The width that the page takes; more than the frame's if it must be moved sideways.
    pub(crate) scroll_width: u64,
    /// The widths of the pictures as they were read, 0 for one that could not be.
    pub(crate) images: Vec<u32>,
    /// How many links lead to nothing.
    pub(crate) dead_links: u64,
    /// The most charts side by side.
    pub(crate) charts_abreast: u64,
    /// Whether all sources are folded.
    pub(crate) folded: bool,
}

/// A page that shows a report in frames of some widths, measures it there, asks for a picture at `address` and writes
/// `message` to the console.
pub(crate) fn around(html: &str, widths: &[u64], address: &str, message: &str) -> String {
    let html = html.replace('&', "&amp;").replace('"', "&quot;");
    let frames = widths.iter().map(|width| {
        format!(
            "<iframe style=\"width:{width}px;height:800px;border:0\" srcdoc=\"{html}\"></iframe>"
        )
    });
    let frames: String = frames.collect();
    let script = r#"
        addEventListener("load", () => {
            const measure = frame => {
                const report = frame.contentDocument;
                const all = selector => [...report.querySelectorAll(selector)];
                const rows = {};
                for (const chart of all(".chart")) {
                    const top = Math.round(chart.getBoundingClientRect().top);
                    rows[top] = (rows[top] || 0) + 1;
                }
                return {
                    width: frame.clientWidth,
                    scroll_width: report.documentElement.scrollWidth,
                    images: [...report.images].map(image => image.naturalWidth),
                    dead_links: all("a").filter(a => !report.getElementById(a.hash.slice(1))).length,
                    charts_abreast: Math.max(...Object.values(rows)),
                    folded: all("details").length > 0 && all("details").every(one => !one.open),
                };
            };
            const measured = [...document.querySelectorAll("iframe")].map(measure);
            document.getElementById("measured").textContent = JSON.stringify(measured);
        });
    "#;
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>around</title><pre id=\"measured\"></pre>{frames}\
         <img src=\"{address}\"><script>console.log(\"{message}\");{script}</script>"
    )
}

/// What such a page measured, frame by frame. Panics if it did not.
pub(crate) fn frames(dom: &str) -> Vec<Frame> {
    let (_, rest) = dom
        .split_once("<pre id=\"measured\">")
        .expect("the place of the measures");
    let (text, _) = rest.split_once("</pre>").expect("its end");
    let measured: Vec<Value> = serde_json::from_str(text).expect("measures");
    let frame = |value: &Value| Frame {
        width: value["width"].as_u64().expect("a width"),
        scroll_width: value["scroll_width"].as_u64().expect("a width"),
        images: serde_json::from_value(value["images"].clone()).expect("widths"),
        dead_links: value["dead_links"].as_u64().expect("a number"),
        charts_abreast: value["charts_abreast"].as_u64().expect("a number"),
        folded: value["folded"].as_bool().expect("a truth"),
    };
    assert!(!measured.is_empty());
    measured.iter().map(frame).collect()
}
