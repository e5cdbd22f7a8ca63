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

/// A number from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    finite(text)
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| "not a number from 0 to 1".into())
}

fn finite(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;

    use clap::{Command, CommandFactory, Parser, error::ErrorKind};

    use super::{not_negative, positive};
    use crate::args::Args;

    /// Options whose zero means something.
    const FROM_ZERO: &[&str] = &["workers", "seed", "weight-decay", "picture-score"];
    /// Options whose largest value is that of the type.
    const UNBOUNDED: &[&str] = &["seed", "max-pixels"];

    /// Every option of every command that takes a number.
    fn numbers(command: &Command, path: &[String], found: &mut Vec<(Vec<String>, String, bool)>) {
        for option in command.get_arguments() {
            let kind = option.get_value_parser().type_id();
            let fraction = kind == TypeId::of::<f64>();
            let whole = kind == TypeId::of::<u64>()
                || kind == TypeId::of::<u32>()
                || kind == TypeId::of::<usize>();
            if let (Some(name), true) = (option.get_long(), fraction || whole) {
                found.push((path.to_vec(), name.to_owned(), fraction));
            }
        }
        for below in command.get_subcommands() {
            let path = [path, &[below.get_name().to_owned()]].concat();
            numbers(below, &path, found);
        }
    }

    /// Whether the value of an option is refused, whatever else is missing.
    fn is_refused(path: &[String], name: &str, value: &str) -> bool {
        let option = format!("--{name}={value}");
        let program = ["semaim".to_owned()];
        let line = [&program[..], path, &[option]].concat();
        match Args::try_parse_from(line) {
            Ok(_) => false,
            Err(error) => matches!(
                error.kind(),
                ErrorKind::ValueValidation | ErrorKind::InvalidValue
            ),
        }
    }

    #[test]
    fn every_number_of_the_command_line_has_its_range() {
        let mut found = Vec::new();
        numbers(&Args::command(), &[], &mut found);
        assert!(found.len() > 40, "{found:?}");
        for (path, name, fraction) in found {
            let mut bad = vec!["-1", "nan", "x", ""];
            match fraction {
                true => bad.extend(["inf", "-inf", "1e400", "-0.5"]),
                false => bad.extend(["1.5", "99999999999999999999"]),
            }
            if !FROM_ZERO.contains(&name.as_str()) {
                bad.push("0");
            }
            if !fraction && !UNBOUNDED.contains(&name.as_str()) {
                bad.push("18446744073709551615");
            }
            for value in bad {
                assert!(is_refused(&path, &name, value), "{path:?} --{name}={value}");
            }
        }
    }

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
