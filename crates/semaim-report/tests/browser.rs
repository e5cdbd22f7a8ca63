//! Opens a report in a browser: nothing is run or loaded, nothing is said on the console, and it is light or dark as the
//! reader prefers.
//!
//! Needs Chromium, in `PATH` or named by `SEMAIM_BROWSER`. Without one the test says that it was skipped, or fails if
//! `SEMAIM_REQUIRE_BROWSER` is `1`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test may panic"
)]

use std::fs;
use std::process::Command;

use semaim_report::{
    Column, ContactSheet, LineChart, Page, Panel, Part, Picture, Row, Section, Series, ThemedPng,
    rgb_image,
};

/// What keeps the browser to the page.
const OPTIONS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr",
    "--dump-dom",
];

/// A page with a chart and a picture.
fn page() -> Page {
    let image = rgb_image(2, 1, vec![200, 40, 40, 40, 40, 200]).unwrap();
    let panels = vec![Panel::Image(image.clone())];
    let sheet = ContactSheet {
        columns: vec![Column::titled("image")],
        rows: vec![Row {
            image,
            title: None,
            panels,
        }],
        ..ContactSheet::default()
    };
    let chart = LineChart {
        title: "Loss".into(),
        series: vec![Series {
            name: "training".into(),
            points: vec![[0.0, 1.0], [1.0, 2.0]],
            ..Series::default()
        }],
        ..LineChart::default()
    };
    let picture = Picture {
        caption: "orders".into(),
        png: ThemedPng::of_sheet(&sheet).unwrap(),
        alt: "orders".into(),
    };
    let section = Section {
        title: "Learning".into(),
        parts: vec![Part::Charts(vec![chart]), Part::Pictures(vec![picture])],
    };
    Page {
        title: "A run".into(),
        sections: vec![section],
        ..Page::default()
    }
}

/// What came of opening a page: the document as HTML, the messages on the console, and the color of the page's corner.
fn open(browser: &str, html: &str, dark: bool) -> (String, Vec<String>, [u8; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("page.html"), html).unwrap();
    // 0 is dark, 1 is light.
    let scheme = u8::from(!dark);
    let output = Command::new(browser)
        .args(OPTIONS)
        .arg(format!("--user-data-dir={}", at("profile")))
        .arg(format!("--screenshot={}", at("page.png")))
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .arg(format!("file://{}", at("page.html")))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let messages = log.lines().filter(|line| line.contains(":CONSOLE"));
    let messages = messages.map(str::to_owned).collect();
    let picture = image::open(at("page.png")).unwrap_or_else(|error| panic!("{error}\n{log}"));
    let corner = picture.into_rgb8().get_pixel(2, 2).0;
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    (dom, messages, corner)
}

#[test]
fn a_report_in_a_browser() {
    let browser = std::env::var("SEMAIM_BROWSER").unwrap_or_else(|_| "chromium".into());
    if Command::new(&browser).arg("--version").output().is_err() {
        let required = std::env::var("SEMAIM_REQUIRE_BROWSER").is_ok_and(|value| value == "1");
        assert!(!required, "no browser {browser}");
        println!("skipped: there is no browser {browser}");
        return;
    }
    let html = page().html().unwrap();
    for dark in [false, true] {
        let (dom, messages, corner) = open(&browser, &html, dark);
        assert_eq!(messages, [""; 0]);
        assert!(dom.contains("<title>A run</title>") && dom.contains("<svg"));
        let as_asked = |channel: &u8| if dark { *channel < 50 } else { *channel > 235 };
        assert!(corner.iter().all(as_asked), "{corner:?}");
    }
    // Markup that got in after all is stopped by the page's policy, which says so for each of them.
    let address = "http://elsewhere.invalid/picture.png";
    let intruder = format!(
        "<script>document.title = 'run'</script><img src=\"{address}\">\
         <link rel=\"stylesheet\" href=\"{address}\"></body>"
    );
    let (dom, messages, _) = open(&browser, &html.replace("</body>", &intruder), false);
    assert!(dom.contains("<title>A run</title>"), "the script ran");
    assert_eq!(messages.len(), 3, "{messages:?}");
    let of_policy = |message: &String| message.contains("Content Security Policy");
    assert!(messages.iter().all(of_policy), "{messages:?}");
}
