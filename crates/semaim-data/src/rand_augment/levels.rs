//! From the magnitude of RandAugment to the arguments of its operations, as in timm.

use super::operation::Operation;

/// The largest magnitude.
pub(super) const MAX_LEVEL: f64 = 10.0;

/// How many operations are drawn from.
pub(super) const OPERATIONS: usize = 15;

impl Operation {
    /// Every operation at a magnitude of `level`, in [0, 10]; all are drawn with the same probability. Those with a direction
    /// take the other one when `negated`.
    ///
    /// They stand in timm's order. The order is part of the run format: it says which number is which operation.
    pub(super) fn at(level: f64, negated: bool, increasing: bool) -> [Self; OPERATIONS] {
        let part = level / MAX_LEVEL;
        let signed = |value: f64| if negated { -value } else { value };
        let factor = if increasing {
            (1.0 + signed(part * 0.9)).max(0.1)
        } else {
            part * 1.8 + 0.1
        };
        let (bits, threshold) = ((part * 4.0) as u32, (part * 256.0) as u32);
        let rising = |value: u32, most: u32| {
            let value = value.min(most);
            if increasing { most - value } else { value }
        };
        [
            Self::AutoContrast,
            Self::Equalize,
            Self::Invert,
            Self::Rotate {
                degrees: signed(part * 30.0),
            },
            Self::Posterize {
                bits: rising(bits, 4),
            },
            Self::Solarize {
                threshold: rising(threshold, 256),
            },
            Self::SolarizeAdd {
                add: (part * 110.0) as u8,
            },
            Self::Color { factor },
            Self::Contrast { factor },
            Self::Brightness { factor },
            Self::Sharpness { factor },
            Self::ShearX {
                factor: signed(part * 0.3),
            },
            Self::ShearY {
                factor: signed(part * 0.3),
            },
            Self::TranslateX {
                fraction: signed(part * 0.45),
            },
            Self::TranslateY {
                fraction: signed(part * 0.45),
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [f64; 6] = [0.0, 3.3, 7.5, 8.6, 9.0, 10.0];

    /// The argument of an operation as a number; 0 where there is none.
    fn argument(operation: Operation) -> f64 {
        match operation {
            Operation::AutoContrast | Operation::Equalize | Operation::Invert => 0.0,
            Operation::Posterize { bits } => f64::from(bits),
            Operation::Solarize { threshold } => f64::from(threshold),
            Operation::SolarizeAdd { add } => f64::from(add),
            Operation::Rotate { degrees } => degrees,
            Operation::Color { factor }
            | Operation::Contrast { factor }
            | Operation::Brightness { factor }
            | Operation::Sharpness { factor }
            | Operation::ShearX { factor }
            | Operation::ShearY { factor } => factor,
            Operation::TranslateX { fraction } | Operation::TranslateY { fraction } => fraction,
        }
    }

    /// Checks the operation that stands at a place of timm's order against what timm makes of [`LEVELS`].
    fn assert_arguments(
        (place, name): (usize, &str),
        negated: bool,
        increasing: bool,
        timm: [f64; 6],
    ) {
        for (level, timm) in LEVELS.into_iter().zip(timm) {
            let operation = Operation::at(level, negated, increasing)[place];
            let shown = format!("{operation:?}");
            assert_eq!(shown.split_once(' ').map(|(name, _)| name), Some(name));
            assert!(
                (argument(operation) - timm).abs() < 1e-12,
                "{shown} {negated} {increasing}: {timm}"
            );
        }
    }

    #[test]
    fn directed_arguments_are_those_of_timm() {
        for (kind, timm) in [
            ((3, "Rotate"), [0.0, 9.9, 22.5, 25.8, 27.0, 30.0]),
            ((11, "ShearX"), [0.0, 0.099, 0.225, 0.258, 0.27, 0.3]),
            ((12, "ShearY"), [0.0, 0.099, 0.225, 0.258, 0.27, 0.3]),
            (
                (13, "TranslateX"),
                [0.0, 0.1485, 0.3375, 0.387, 0.405, 0.45],
            ),
            (
                (14, "TranslateY"),
                [0.0, 0.1485, 0.3375, 0.387, 0.405, 0.45],
            ),
        ] {
            for increasing in [false, true] {
                assert_arguments(kind, false, increasing, timm);
                assert_arguments(kind, true, increasing, timm.map(|v| -v));
            }
        }
    }

    #[test]
    fn undirected_arguments_are_those_of_timm() {
        let (posterize, solarize) = ((4, "Posterize"), (5, "Solarize"));
        for negated in [false, true] {
            let add = [0.0, 36.0, 82.0, 94.0, 99.0, 110.0];
            assert_arguments((6, "SolarizeAdd"), negated, false, add);
            assert_arguments((6, "SolarizeAdd"), negated, true, add);
            assert_arguments(posterize, negated, true, [4.0, 3.0, 1.0, 1.0, 1.0, 0.0]);
            assert_arguments(posterize, negated, false, [0.0, 1.0, 3.0, 3.0, 3.0, 4.0]);
            assert_arguments(
                solarize,
                negated,
                true,
                [256.0, 172.0, 64.0, 36.0, 26.0, 0.0],
            );
            assert_arguments(
                solarize,
                negated,
                false,
                [0.0, 84.0, 192.0, 220.0, 230.0, 256.0],
            );
        }
    }

    #[test]
    fn factors_are_those_of_timm() {
        for kind in [
            (7, "Color"),
            (8, "Contrast"),
            (9, "Brightness"),
            (10, "Sharpness"),
        ] {
            assert_arguments(kind, false, true, [1.0, 1.297, 1.675, 1.774, 1.81, 1.9]);
            assert_arguments(kind, true, true, [1.0, 0.703, 0.325, 0.226, 0.19, 0.1]);
            for negated in [false, true] {
                assert_arguments(kind, negated, false, [0.1, 0.694, 1.45, 1.648, 1.72, 1.9]);
            }
        }
    }
}
