//! Finding a browser, and having it open a page.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use image::RgbImage;

use crate::net_log;

/// How long a browser may take for a page: far more than it needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// How browsers are called, the likeliest first.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// What keeps the browser to the page: no window, nothing of its own that it can be talked out of, no name of a host
/// that leads anywhere.
const OPTIONS: [&str; 17] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--hide-scrollbars",
    // Without it a picture may be taken before all of the page is drawn.
    "--run-all-compositor-stages-before-draw",
    "--force-color-profile=srgb",
    "--force-device-scale-factor=1",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=3000",
];

/// What the reader prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

/// A browser's program.
pub(crate) struct Browser(PathBuf);

/// What came of opening a page.
pub(crate) struct Opened {
    /// The document as the browser holds it, as HTML.
    pub(crate) dom: String,
    /// The lines that went to the console, breaches of the page's policy among them.
    pub(crate) messages: Vec<String>,
    /// The addresses that the page asked for.
    pub(crate) requests: Vec<String>,
    /// The upper part of the page, 1200 pixels wide.
    pub(crate) picture: RgbImage,
}

impl Browser {
    /// The browser that `SEMAIM_BROWSER` names, or the first that is found; an error if there must be one and is none.
    pub(crate) fn find() -> Result<Option<Browser>, String> {
        if let Some(named) = env::var_os("SEMAIM_BROWSER").filter(|name| !name.is_empty()) {
            return Ok(Some(Browser(named.into())));
        }
        let folders = env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = env::split_paths(&folders).collect();
        let mut files = NAMES
            .iter()
            .flat_map(|name| folders.iter().map(move |f| f.join(name)));
        match files.find(|file| file.is_file()) {
            Some(file) => Ok(Some(Browser(file))),
            None if env::var("SEMAIM_REQUIRE_BROWSER").is_ok_and(|value| value == "1") => Err(
                format!("none of {NAMES:?} is in PATH, and SEMAIM_REQUIRE_BROWSER is 1"),
            ),
            None => Ok(None),
        }
    }

    /// Opens a page. Panics, after the end of the browser, if it does not do so in time.
    pub(crate) fn open(&self, html: &str, scheme: Scheme) -> Opened {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let option = |name: &str, file: &Path| format!("--{name}={}", file.display());
        fs::write(at("page.html"), html).unwrap();
        let mut command = Command::new(&self.0);
        command
            .args(OPTIONS)
            .args([
                "--enable-logging=stderr",
                "--v=0",
                "--dump-dom",
                "--window-size=1200,2600",
            ])
            .arg(option("user-data-dir", &at("profile")))
            .arg(option("screenshot", &at("page.png")))
            .arg(option("log-net-log", &at("net.json")))
            // 0 is dark, 1 is light.
            .arg(format!(
                "--blink-settings=preferredColorScheme={}",
                u8::from(scheme == Scheme::Light)
            ))
            .arg(format!("file://{}", at("page.html").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(at("log")).unwrap())
            .process_group(0);
        let dom = output_in_time(command);
        let log = fs::read(at("log")).unwrap();
        let log = String::from_utf8_lossy(&log);
        let picture = image::open(at("page.png"));
        let picture =
            picture.unwrap_or_else(|error| panic!("no picture of the page: {error}\n{log}"));
        Opened {
            dom,
            messages: messages(&log),
            requests: net_log::requests_of_pages(&fs::read_to_string(at("net.json")).unwrap()),
            picture: picture.into_rgb8(),
        }
    }
}

/// The lines of a log that are messages of a page, which look like `[…:INFO:CONSOLE:1] "…"`, or `…:CONSOLE(1)]` in older
/// browsers.
fn messages(log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| {
        line.starts_with('[') && line.contains(":CONSOLE")
            || line.contains("Content Security Policy")
    });
    lines.map(str::to_owned).collect()
}

/// What a program writes to its standard output until it ends. Panics if it takes too long or fails.
fn output_in_time(mut command: Command) -> String {
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut output = child.stdout.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let read = output.read_to_end(&mut text).map(|_| text);
        // Nobody listens any more if it took too long.
        let _ = sender.send(read);
    });
    let Ok(text) = receiver.recv_timeout(PATIENCE) else {
        end(&mut child);
        panic!("the browser took more than {PATIENCE:?}");
    };
    let status = child.wait().unwrap();
    assert!(status.success(), "the browser ended with {status}");
    String::from_utf8(text.unwrap()).unwrap()
}

/// Ends a program and those that it started, which are its process group.
fn end(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    let _ = child.kill();
    let _ = child.wait();
}
