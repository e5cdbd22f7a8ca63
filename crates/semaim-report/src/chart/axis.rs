//! An axis: its range, its round ticks, and where a value lies on it.

use super::Scale;

/// About how many ticks an axis has.
const TICKS: f64 = 6.0;
/// The most decades of a logarithmic axis that each get a tick.
const DECADES: i32 = 8;
/// The share of the range that is left free at both ends.
const FREE: f64 = 0.04;
/// Numbers beyond are drawn as if they were there: differences of larger ones would overflow.
const LARGEST: f64 = 1e300;

/// The axis of some values.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// The ends, in the units of the axis: the numbers, or their logarithms to the base 10.
    low: f64,
    high: f64,
    scale: Scale,
}

impl Axis {
    /// The axis that holds all values that it can show; `None` when there are none. `free` leaves room at both ends.
    pub(super) fn new(values: impl Iterator<Item = f64>, scale: Scale, free: bool) -> Option<Axis> {
        let mut ends: Option<(f64, f64)> = None;
        for value in values.filter_map(|value| unit(value, scale)) {
            let (low, high) = ends.unwrap_or((value, value));
            ends = Some((low.min(value), high.max(value)));
        }
        let (mut low, mut high) = ends?;
        // A range of no length, or of one that the numbers cannot resolve, is widened.
        let least = (low.abs().max(high.abs()) * 1e-9).max(f64::MIN_POSITIVE);
        if high - low < least {
            let more = match scale {
                Scale::Linear if low != 0.0 => low.abs() * 0.1,
                Scale::Linear => 1.0,
                Scale::Log => 0.3,
            };
            (low, high) = (low - more, high + more);
        } else if free {
            let more = (high - low) * FREE;
            (low, high) = (low - more, high + more);
        }
        Some(Axis { low, high, scale })
    }

    /// Where a value lies, 0 at the low end and 1 at the high one; `None` when it cannot be shown.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        Some((unit(value, self.scale)? - self.low) / (self.high - self.low))
    }

    /// The ticks within the range with their texts, from the low end to the high one.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => round_ticks(self.low, self.high),
            Scale::Log => self.log_ticks(),
        }
    }

    /// Powers of ten; with twice and five times them where there are few, round numbers where there are hardly any.
    fn log_ticks(&self) -> Vec<(f64, String)> {
        let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
        let step = (last - first).div_euclid(DECADES) + 1;
        let within = |value: &f64| self.place(*value).is_some_and(|p| (0.0..=1.0).contains(&p));
        let ticks = |factors: &[f64]| -> Vec<f64> {
            (first..=last)
                .filter(|power| power.rem_euclid(step) == 0)
                .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
                .filter(within)
                .collect()
        };
        let mut values = ticks(&[1.0]);
        if values.len() < 3 {
            values = ticks(&[1.0, 2.0, 5.0]);
        }
        if values.len() < 3 {
            return round_ticks(10f64.powf(self.low), 10f64.powf(self.high));
        }
        values.into_iter().map(|v| (v, text(v, v))).collect()
    }
}

/// A value in the units of an axis; `None` when it cannot be shown on it.
fn unit(value: f64, scale: Scale) -> Option<f64> {
    match scale {
        _ if !value.is_finite() => None,
        Scale::Linear => Some(value.clamp(-LARGEST, LARGEST)),
        Scale::Log => (value > 0.0).then(|| value.log10()),
    }
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn round_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let rough = (high - low) / TICKS;
    let power = 10f64.powf(rough.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    let factor = factors
        .into_iter()
        .find(|factor| factor * power >= rough * 0.999);
    let step = factor.unwrap_or(10.0) * power;
    let first = (low / step).ceil();
    // The count is known to be small unless the numbers are at the edge of what can be told apart.
    (0..2 * TICKS as i32)
        .map(|index| (first + f64::from(index)) * step)
        .take_while(|value| *value <= high)
        .map(|value| (value, text(value, step)))
        .collect()
}

/// A tick's text, as exact as the step between ticks asks for.
fn text(value: f64, step: f64) -> String {
    let digits = |step: f64| (-step.abs().log10().floor()).max(0.0) as usize;
    if value == 0.0 {
        "0".to_owned()
    } else if value.abs() >= 1e6 || step.abs() < 1e-4 {
        let power = value.abs().log10().floor();
        let unit = 10f64.powf(power);
        // The mantissa of the smallest numbers cannot be computed with a power of ten that is no number itself.
        if unit > 0.0 && unit.is_finite() {
            let decimals = digits(step / unit * 1.001);
            format!("{:.decimals$}e{power}", value / unit)
        } else {
            format!("{value:e}")
        }
    } else {
        // The step is round up to the last bits: a little more keeps 0.1 from becoming 0.0999.
        let decimals = digits(step * 1.001);
        format!("{value:.decimals$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64, scale: Scale) -> Vec<String> {
        let axis = Axis::new([low, high].into_iter(), scale, false).unwrap();
        let ticks = axis.ticks();
        let places: Vec<f64> = ticks.iter().filter_map(|(v, _)| axis.place(*v)).collect();
        assert!(places.is_sorted() && places.len() == ticks.len());
        assert!(
            places.iter().all(|p| (-1e-9..=1.0 + 1e-9).contains(p)),
            "{places:?}"
        );
        ticks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        use Scale::Linear;
        assert_eq!(
            texts(0.0, 1.0, Linear),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"].map(|t| if t == "0.0" { "0" } else { t })
        );
        assert_eq!(texts(-3.0, 7.0, Linear), ["-2", "0", "2", "4", "6"]);
        assert_eq!(texts(0.0, 312_000.0, Linear).last().unwrap(), "300000");
        assert_eq!(texts(0.0, 4e6, Linear)[1..3], ["1e6", "2e6"]);
        assert_eq!(texts(0.0, 3e-4, Linear)[1], "5e-5");
        assert_eq!(texts(0.301, 0.309, Linear)[..2], ["0.302", "0.304"]);
    }

    #[test]
    fn log_ticks_are_decades_or_finer() {
        use Scale::Log;
        assert_eq!(texts(0.01, 100.0, Log), ["0.01", "0.1", "1", "10", "100"]);
        assert_eq!(texts(1.0, 30.0, Log), ["1", "2", "5", "10", "20"]);
        assert_eq!(texts(3.1, 3.35, Log)[..2], ["3.10", "3.15"]);
        assert!(texts(1e-30, 1e30, Log).len() <= 12);
    }

    #[test]
    fn one_value_is_in_the_middle() {
        for (value, scale) in [
            (0.0, Scale::Linear),
            (-7.0, Scale::Linear),
            (1e-5, Scale::Log),
        ] {
            let axis = Axis::new([value].into_iter(), scale, true).unwrap();
            assert!((axis.place(value).unwrap() - 0.5).abs() < 1e-9);
            assert!(!axis.ticks().is_empty(), "{value}");
        }
    }

    #[test]
    fn what_cannot_be_shown_has_no_place() {
        let axis = Axis::new(
            [0.0, f64::NAN, 2.0, f64::INFINITY].into_iter(),
            Scale::Log,
            false,
        );
        let axis = axis.unwrap();
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(axis.place(value), None);
        }
        assert!(Axis::new([f64::NAN].into_iter(), Scale::Linear, true).is_none());
        assert!(Axis::new([-1.0].into_iter(), Scale::Log, true).is_none());
    }

    #[test]
    fn the_largest_and_smallest_numbers_work() {
        for scale in [Scale::Linear, Scale::Log] {
            for pair in [
                [f64::MIN, f64::MAX],
                [f64::MIN_POSITIVE, f64::MAX],
                [5e-324, 1e-320],
                [1.0, 1.0 + f64::EPSILON],
                [1e15, 1e15 + 0.125],
            ] {
                let Some(axis) = Axis::new(pair.into_iter(), scale, true) else {
                    continue;
                };
                assert!(axis.ticks().len() <= 25);
                let places = pair.into_iter().filter_map(|value| axis.place(value));
                assert!(
                    places.into_iter().all(|place| (0.0..=1.0).contains(&place)),
                    "{pair:?}"
                );
            }
        }
    }
}
