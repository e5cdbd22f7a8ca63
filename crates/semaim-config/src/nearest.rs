//! The valid key nearest to a mistaken one.

use strsim::osa_distance;

/// The candidate nearest to `key`, if there is any candidate.
///
/// Nearness is the edit distance of the full dotted paths, or, at the price of one more edit, of
/// their last segments alone: a right name in the wrong table is found as well.
pub(crate) fn nearest_key<'a>(
    key: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let key = key.to_lowercase();
    candidates
        .into_iter()
        .min_by_key(|candidate| {
            let (full, last) = distances(&key, candidate);
            (full.min(last + 1), last, full, *candidate)
        })
        .map(str::to_owned)
}

/// Whether `nearest` is near enough for `key` to be a slip: a third of the letters at most.
pub(crate) fn is_close(key: &str, nearest: &str) -> bool {
    let (full, last) = distances(&key.to_lowercase(), nearest);
    let last_length = last_segment(key).chars().count();
    full * 3 <= last_length.max(3) || last * 3 <= last_length
}

/// Edit distance of the full paths and of the last segments.
fn distances(key: &str, candidate: &str) -> (usize, usize) {
    let candidate = candidate.to_lowercase();
    let full = osa_distance(key, &candidate);
    (
        full,
        osa_distance(last_segment(key), last_segment(&candidate)),
    )
}

/// The part after the last dot.
fn last_segment(dotted: &str) -> &str {
    dotted.rsplit('.').next().unwrap_or(dotted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 6] = [
        "train",
        "train.epochs",
        "train.seed",
        "optimizer.learning_rate",
        "optimizer.lr",
        "data",
    ];

    #[test]
    fn slips_in_one_segment() {
        assert_eq!(nearest_key("train.epoch", KEYS).unwrap(), "train.epochs");
        assert_eq!(nearest_key("trian.seed", KEYS).unwrap(), "train.seed");
        assert_eq!(nearest_key("Train.Epochs", KEYS).unwrap(), "train.epochs");
        assert_eq!(nearest_key("dtaa", KEYS).unwrap(), "data");
    }

    #[test]
    fn right_name_in_the_wrong_table() {
        assert_eq!(
            nearest_key("learning_rate", KEYS).unwrap(),
            "optimizer.learning_rate"
        );
        assert_eq!(nearest_key("train.lr", KEYS).unwrap(), "optimizer.lr");
        assert!(is_close("train.learning_rate", "optimizer.learning_rate"));
    }

    #[test]
    fn far_keys_are_not_close() {
        assert!(is_close("train.epoch", "train.epochs"));
        assert!(!is_close("train.momentum", "train.seed"));
        assert!(!is_close("zzz", "data"));
        assert_eq!(nearest_key("a", []), None);
    }
}
