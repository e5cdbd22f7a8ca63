//! Opens a report in a browser, as a reader does: what is there, how it looks, and that nothing is loaded or run.
//!
//! Needs Chromium or Chrome, in `PATH` or named by `SEMAIM_BROWSER`. Without one the test says that it was skipped, or
//! fails if `SEMAIM_REQUIRE_BROWSER` is `1`.

// The test ends the browser together with all processes that it started, for which it needs process groups.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing test may panic"
)]

#[path = "browser/launch.rs"]
mod launch;
#[path = "browser/measure.rs"]
mod measure;
#[path = "browser/net_log.rs"]
mod net_log;
#[path = "../examples/page/sample.rs"]
mod sample;

use image::{Rgb, RgbImage};
use launch::{Browser, Scheme};
use semaim_report::{Fact, Page, Part, Picture, Section, encode_png};

/// Colours that nothing else in a report has.
const MARKS: [[u8; 3]; 2] = [[255, 0, 200], [0, 255, 60]];
/// The sides of pictures: one that shares its line, and a wide one.
const SIDES: [[u32; 2]; 2] = [[80, 60], [900, 40]];
/// A host that is nowhere: the test's own request, to see that requests would be seen.
const ELSEWHERE: &str = "http://elsewhere.invalid/picture.png";
/// What the test's own script says, to see that messages would be seen.
const MESSAGE: &str = "a message of the test";

/// The sample page with a section more, at the top.
fn page() -> Page {
    let picture = |(side, mark): (&[u32; 2], &[u8; 3])| Picture {
        caption: "</figure><script>console.log('broken out')</script>".to_owned(),
        png: encode_png(&RgbImage::from_pixel(side[0], side[1], Rgb(*mark))).unwrap(),
        alt: "a mark".to_owned(),
    };
    let unbroken = "word".repeat(200);
    let marks = Section {
        title: "Marks <b>&amp;".to_owned(),
        parts: vec![
            Part::Pictures(SIDES.iter().zip(&MARKS).map(picture).collect()),
            Part::Text(unbroken.clone()),
            Part::Pairs(vec![Fact {
                name: unbroken.clone(),
                value: unbroken.clone(),
            }]),
            Part::Table {
                caption: unbroken.clone(),
                header: vec!["wide".to_owned()],
                rows: vec![vec![unbroken.clone(); 3]],
            },
            Part::Source {
                title: unbroken.clone(),
                text: unbroken,
            },
        ],
    };
    let mut page = sample::page().unwrap();
    page.sections.insert(0, marks);
    page
}

/// The share of a picture's pixels that are near a colour.
fn share(picture: &RgbImage, colour: [u8; 3]) -> f64 {
    let near = |pixel: &&Rgb<u8>| pixel.0.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 4);
    picture.pixels().filter(near).count() as f64 / picture.pixels().len() as f64
}

/// The picture is of a page with such a background, and with the marks in full size.
fn check_looks(picture: &RgbImage, is_background: impl Fn(u8) -> bool) {
    let corner = picture.get_pixel(2, 2).0;
    assert!(
        corner.iter().all(|channel| is_background(*channel)),
        "background {corner:?}"
    );
    let behind = share(picture, corner);
    assert!(
        behind > 0.25,
        "only {behind} of the page has its background"
    );
    for (mark, [width, height]) in MARKS.into_iter().zip(SIDES) {
        let expected = f64::from(width * height) / picture.pixels().len() as f64;
        let found = share(picture, mark) / expected;
        assert!(
            (0.97..1.01).contains(&found),
            "{found} of the picture in {mark:?}"
        );
    }
}

#[test]
fn a_report_in_a_browser() {
    let Some(browser) = Browser::find().unwrap() else {
        println!("skipped: there is no browser");
        return;
    };
    let page = page();
    let html = page.html();

    // The page as it is.
    let light = browser.open(&html, Scheme::Light);
    assert_eq!(light.messages, [""; 0], "nothing to say on the console");
    assert_eq!(light.requests, [""; 0], "nothing is loaded");
    assert!(
        light
            .dom
            .contains("<title>ViT-S/16 on Imagenette, 96 pixels</title>")
    );
    let charts = page.sections.iter().flat_map(|section| &section.parts);
    let charts = charts.filter(|part| matches!(part, Part::Chart(_))).count();
    assert_eq!(light.dom.matches("<svg ").count(), charts);
    assert!(!light.dom.contains("<script"));
    check_looks(&light.picture, |channel| channel > 235);

    // In the dark, and with markup that somebody managed to put in after all: the policy stops it.
    let intruder = format!(
        "<script>document.title = 'run'</script><img src=\"{ELSEWHERE}\">\
         <link rel=\"stylesheet\" href=\"{ELSEWHERE}\"><iframe src=\"{ELSEWHERE}\"></iframe></body>"
    );
    let dark = browser.open(&html.replace("</body>", &intruder), Scheme::Dark);
    assert_eq!(dark.requests, [""; 0], "the policy forbids requests");
    assert!(
        dark.dom.contains("<title>ViT-S/16"),
        "the policy forbids scripts"
    );
    assert_eq!(dark.messages.len(), 4, "{:?}", dark.messages);
    for message in &dark.messages {
        assert!(message.contains("Content Security Policy"), "{message}");
    }
    check_looks(&dark.picture, |channel| channel < 50);

    // In frames of different widths, which the page around them measures. It loads a picture and writes to the console
    // itself, which shows that the checks above would have seen either.
    let around = measure::around(&html, &[360, 1280], ELSEWHERE, MESSAGE);
    let measured = browser.open(&around, Scheme::Light);
    assert_eq!(measured.requests, [ELSEWHERE]);
    assert_eq!(measured.messages.len(), 1, "{:?}", measured.messages);
    assert!(measured.messages[0].contains(MESSAGE));
    for frame in measure::frames(&measured.dom) {
        let width = frame.width;
        assert!(
            frame.scroll_width <= width,
            "at {width} the page is {} wide",
            frame.scroll_width
        );
        assert_eq!(
            frame.images[..2],
            SIDES.map(|[width, _]| width),
            "pictures are read"
        );
        assert!(frame.images.iter().all(|width| *width > 0) && frame.images.len() > 5);
        assert_eq!(frame.dead_links, 0);
        let abreast = if width < 1000 { 1 } else { 2 };
        assert_eq!(frame.charts_abreast, abreast, "at {width}");
        assert!(frame.folded, "sources are folded");
    }
}
