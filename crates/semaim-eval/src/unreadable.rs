//! Evaluation images that cannot be read: each is named once, and counted every time.

use std::collections::BTreeSet;

use semaim_data::{BadImage, counted};
use semaim_train::callbacks::Observer;
use semaim_train::error::TrainError;
use semaim_train::log::RunLog;
use serde_json::json;

/// The most that are named on the screen; the log has all.
const NAMED: usize = 5;

/// The images that the evaluations of a run could not read so far.
#[derive(Clone, Debug, Default)]
pub struct Unreadable {
    items: BTreeSet<(String, u64)>,
}

impl Unreadable {
    /// Takes those of an evaluation. What had not been met before goes into the log, the first of them on the screen.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn note(
        &mut self,
        bad: &[BadImage],
        step: u64,
        log: &mut RunLog,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let new = self.new_of(bad);
        for image in &new {
            let details = json!({"image": image.name, "error": image.error, "evaluation": true});
            log.event(step, "bad_image", details)?;
        }
        if let Some(text) = said(&new) {
            observer.say(&text);
        }
        Ok(())
    }

    /// Those that had not been met before.
    fn new_of<'a>(&mut self, bad: &'a [BadImage]) -> Vec<&'a BadImage> {
        let is_new = |image: &&BadImage| self.items.insert((image.name.clone(), image.item));
        bad.iter().filter(is_new).collect()
    }
}

/// What is said of images that could not be read for an evaluation; nothing where there are none.
pub fn said(bad: &[&BadImage]) -> Option<String> {
    let named = bad.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|bad| format!("{}: {}", bad.name, bad.error))
        .collect();
    let more = match bad.len() - named.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    (!bad.is_empty()).then(|| {
        let count = counted(bad.len(), "image");
        format!(
            "warning: {count} left out of the evaluation, which cannot be read: {}{more}",
            named.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(item: u64) -> BadImage {
        BadImage {
            item,
            name: format!("{item}.jpg"),
            error: "empty".into(),
        }
    }

    #[test]
    fn each_is_named_once() {
        let mut unreadable = Unreadable::default();
        let first: Vec<BadImage> = [3, 1].map(bad).into();
        assert_eq!(unreadable.new_of(&first).len(), 2);
        let second: Vec<BadImage> = [1, 2, 3].map(bad).into();
        let new = unreadable.new_of(&second);
        assert_eq!(new, [&bad(2)]);
        let text = said(&new).unwrap();
        assert!(
            text.contains("1 image left out") && text.contains("2.jpg: empty"),
            "{text}"
        );
        assert_eq!(said(&[]), None);
        let many: Vec<BadImage> = (0..9).map(bad).collect();
        let many: Vec<&BadImage> = many.iter().collect();
        let text = said(&many).unwrap();
        assert!(
            text.contains("9 images") && text.ends_with("; and 4 more"),
            "{text}"
        );
    }
}
