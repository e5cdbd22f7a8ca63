//! Numbers of the command line, with their ranges.

use std::ops::RangeBounds;

use clap::builder::RangedU64ValueParser;

/// A whole number in a range.
pub(crate) fn count(range: impl RangeBounds<u64>) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(range)
}

/// A number above 0.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    finite(text)
        .filter(|&number| number > 0.0)
        .ok_or_else(|| "not a number above 0".into())
}

/// A number from 0 on.
pub(crate) fn not_negative(text: &str) -> Result<f64, String> {
    finite(text)
        .filter(|&number| number >= 0.0)
        .ok_or_else(|| "not a number from 0 on".into())
}

fn finite(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::{not_negative, positive};

    #[test]
    fn numbers_outside_their_range_are_refused() {
        for text in ["nan", "inf", "-inf", "-1", "1e999", "", "x"] {
            assert!(positive(text).is_err(), "{text}");
            assert!(not_negative(text).is_err(), "{text}");
        }
        assert!(positive("0").is_err() && positive("-0").is_err());
        assert_eq!(not_negative("0"), Ok(0.0));
        assert_eq!(positive("7e-2"), Ok(0.07));
    }
}
