//! Images to train on that a run could not read, from its log.

use std::collections::BTreeSet;

use semaim_data::counted;
use serde_json::Value;

/// How many there are, and how often they were drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadImages {
    /// Different images, by their names.
    pub(crate) distinct: usize,
    /// Times that one of them was to be read; another image took its place.
    pub(crate) times: usize,
}

impl BadImages {
    /// Those of a log. Images of evaluations are not among them: the log names each once, however often it was tried.
    pub(crate) fn of(entries: &[Value]) -> Self {
        let is_bad = |entry: &&Value| entry["event"] == "bad_image" && entry["evaluation"] != true;
        let bad = entries.iter().filter(is_bad);
        let names: BTreeSet<&str> = bad
            .clone()
            .filter_map(|entry| entry["image"].as_str())
            .collect();
        Self {
            distinct: names.len(),
            times: bad.count(),
        }
    }

    /// For people; nothing where there are none.
    pub(crate) fn in_words(self) -> Option<String> {
        let images = counted(self.distinct, "image");
        (self.times > 0).then(|| format!("{images} that could not be read{}", self.how_often()))
    }

    /// The same in short, for a table.
    pub(crate) fn in_short(self) -> Option<String> {
        (self.times > 0).then(|| format!("{}{}", self.distinct, self.how_often()))
    }

    /// Said where it was more than once each.
    fn how_often(self) -> String {
        match self.times > self.distinct {
            true => format!(" ({} times)", self.times),
            false => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_that_is_drawn_again_and_again_is_one_image() {
        let bad =
            |step: u64, image: &str| json!({"step": step, "event": "bad_image", "image": image});
        let skipped = json!({"step": 3, "event": "step_skipped", "what": "loss"});
        let evaluated =
            json!({"step": 4, "event": "bad_image", "image": "c.jpg", "evaluation": true});
        let mut entries: Vec<Value> = (1..=60).map(|step| bad(step, "a.jpg")).collect();
        entries.extend([skipped.clone(), evaluated.clone()]);
        let found = BadImages::of(&entries);
        assert_eq!((found.distinct, found.times), (1, 60));
        let said = "1 image that could not be read (60 times)";
        assert_eq!(found.in_words().as_deref(), Some(said));
        assert_eq!(found.in_short().as_deref(), Some("1 (60 times)"));
        let found = BadImages::of(&[bad(1, "a.jpg"), bad(1, "b.jpg")]);
        assert_eq!(
            found.in_words().as_deref(),
            Some("2 images that could not be read")
        );
        assert_eq!(found.in_short().as_deref(), Some("2"));
        assert_eq!(BadImages::of(&[skipped, evaluated]).in_words(), None);
    }
}
