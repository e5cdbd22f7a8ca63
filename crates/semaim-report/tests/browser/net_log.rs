//! What a browser's log of its network tells.

use serde_json::Value;

/// The addresses of all requests that a page made and that leave the computer, in order. Panics if the log cannot be
/// read.
///
/// The browser's own requests (for updates, lists of accounts, the time) are in the same log. They have no origin, as the
/// log says, while what a page asks for has the page's: for a file that is `null`.
pub(crate) fn requests_of_pages(log: &str) -> Vec<String> {
    let log: Value = serde_json::from_str(log).expect("a log in JSON");
    let start = &log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"];
    assert!(
        start.is_number(),
        "the log has no kind for the start of a request"
    );
    let events = log["events"].as_array().expect("a list of events");
    let mut found = Vec::new();
    for event in events.iter().filter(|event| event["type"] == *start) {
        let Some(address) = event["params"]["url"].as_str() else {
            continue;
        };
        let inside = ["file:", "data:", "blob:", "about:", "chrome:"];
        let of_browser = event["params"]["initiator"] == "not an origin";
        if !of_browser && !inside.iter().any(|scheme| address.starts_with(scheme)) {
            found.push(address.to_owned());
        }
    }
    found
}
