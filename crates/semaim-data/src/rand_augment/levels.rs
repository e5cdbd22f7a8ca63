//! From the magnitude of RandAugment to the arguments of its operations, as in timm.

use super::operation::Operation;

/// The largest magnitude.
pub(super) const MAX_LEVEL: f64 = 10.0;

/// The operations that are drawn from, all with the same probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    AutoContrast,
    Equalize,
    Invert,
    Rotate,
    Posterize,
    Solarize,
    SolarizeAdd,
    Color,
    Contrast,
    Brightness,
    Sharpness,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
}

impl Kind {
    /// In timm's order. The order is part of the run format: it says which number is which operation.
    pub(super) const ALL: [Self; 15] = [
        Self::AutoContrast,
        Self::Equalize,
        Self::Invert,
        Self::Rotate,
        Self::Posterize,
        Self::Solarize,
        Self::SolarizeAdd,
        Self::Color,
        Self::Contrast,
        Self::Brightness,
        Self::Sharpness,
        Self::ShearX,
        Self::ShearY,
        Self::TranslateX,
        Self::TranslateY,
    ];

    /// The operation at a magnitude of `level`, in [0, 10]. Those with a direction take the other one when `negated`.
    pub(super) fn operation(self, level: f64, negated: bool, increasing: bool) -> Operation {
        let part = level / MAX_LEVEL;
        let signed = |value: f64| if negated { -value } else { value };
        let factor = if increasing {
            (1.0 + signed(part * 0.9)).max(0.1)
        } else {
            part * 1.8 + 0.1
        };
        match self {
            Self::AutoContrast => Operation::AutoContrast,
            Self::Equalize => Operation::Equalize,
            Self::Invert => Operation::Invert,
            Self::Rotate => Operation::Rotate {
                degrees: signed(part * 30.0),
            },
            Self::Posterize => {
                let bits = (part * 4.0) as u32;
                let bits = if increasing {
                    4u32.saturating_sub(bits)
                } else {
                    bits
                };
                Operation::Posterize { bits }
            }
            Self::Solarize => {
                let threshold = ((part * 256.0) as u32).min(256);
                let threshold = if increasing {
                    256 - threshold
                } else {
                    threshold
                };
                Operation::Solarize { threshold }
            }
            Self::SolarizeAdd => Operation::SolarizeAdd {
                add: (part * 110.0) as u8,
            },
            Self::Color => Operation::Color { factor },
            Self::Contrast => Operation::Contrast { factor },
            Self::Brightness => Operation::Brightness { factor },
            Self::Sharpness => Operation::Sharpness { factor },
            Self::ShearX => Operation::ShearX {
                factor: signed(part * 0.3),
            },
            Self::ShearY => Operation::ShearY {
                factor: signed(part * 0.3),
            },
            Self::TranslateX => Operation::TranslateX {
                fraction: signed(part * 0.45),
            },
            Self::TranslateY => Operation::TranslateY {
                fraction: signed(part * 0.45),
            },
        }
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

    fn assert_arguments(kind: Kind, negated: bool, increasing: bool, timm: [f64; 6]) {
        let got = LEVELS.map(|level| argument(kind.operation(level, negated, increasing)));
        for (got, timm) in got.iter().zip(timm) {
            assert!(
                (got - timm).abs() < 1e-12,
                "{kind:?} {negated} {increasing}: {got}"
            );
        }
    }

    #[test]
    fn directed_arguments_are_those_of_timm() {
        for (kind, timm) in [
            (Kind::Rotate, [0.0, 9.9, 22.5, 25.8, 27.0, 30.0]),
            (Kind::ShearX, [0.0, 0.099, 0.225, 0.258, 0.27, 0.3]),
            (Kind::ShearY, [0.0, 0.099, 0.225, 0.258, 0.27, 0.3]),
            (Kind::TranslateX, [0.0, 0.1485, 0.3375, 0.387, 0.405, 0.45]),
            (Kind::TranslateY, [0.0, 0.1485, 0.3375, 0.387, 0.405, 0.45]),
        ] {
            for increasing in [false, true] {
                assert_arguments(kind, false, increasing, timm);
                assert_arguments(kind, true, increasing, timm.map(|v| -v));
            }
        }
    }

    #[test]
    fn undirected_arguments_are_those_of_timm() {
        let (posterize, solarize) = (Kind::Posterize, Kind::Solarize);
        for negated in [false, true] {
            let add = [0.0, 36.0, 82.0, 94.0, 99.0, 110.0];
            assert_arguments(Kind::SolarizeAdd, negated, false, add);
            assert_arguments(Kind::SolarizeAdd, negated, true, add);
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
            Kind::Color,
            Kind::Contrast,
            Kind::Brightness,
            Kind::Sharpness,
        ] {
            assert_arguments(kind, false, true, [1.0, 1.297, 1.675, 1.774, 1.81, 1.9]);
            assert_arguments(kind, true, true, [1.0, 0.703, 0.325, 0.226, 0.19, 0.1]);
            for negated in [false, true] {
                assert_arguments(kind, negated, false, [0.1, 0.694, 1.45, 1.648, 1.72, 1.9]);
            }
        }
    }
}
