//! What sources say to users.

use std::fmt::Debug;
use std::path::Path;
use std::sync::{Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// All that was said since the first call of [`said`].
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

static LISTENS: Once = Once::new();

/// What is said of a folder and what lies in it while `open` runs. The same is said once only.
pub(super) fn said(folder: &Path, open: impl FnOnce()) -> Vec<String> {
    // One for all tests: what another of them says first must not be lost to it.
    LISTENS.call_once(|| tracing::subscriber::set_global_default(Listener).unwrap());
    let folder = folder.display().to_string();
    let of_folder = || {
        let said = SAID.lock().unwrap();
        let said = said.iter().filter(|text| text.contains(&folder));
        said.cloned().collect::<Vec<String>>()
    };
    let before = of_folder().len();
    open();
    of_folder().split_off(before)
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Message;

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            SAID.lock().unwrap().push(format!("{value:?}"));
        }
    }
}
