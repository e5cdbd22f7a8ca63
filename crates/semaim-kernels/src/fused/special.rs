//! The exponential and the normal distribution, as polynomials that a compiler turns into vector instructions.

use super::simd::Arithmetic;

/// e^x, to 2e-7 of its value for x in [-87, 88]; beyond, the value at the nearer end (about 1e-38 and 2e38).
#[inline(always)]
pub(crate) fn exp<A: Arithmetic>(x: f32) -> f32 {
    // 1.5 · 2²³: adding it rounds to an integer, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts; the first has few bits, so that its product with n is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = A::mul_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = A::mul_add(n, -LN2_LOW, A::mul_add(n, -LN2_HIGH, x));
    // (e^r - 1 - r) / r², a least-squares fit on |r| <= ln 2 / 2.
    let p = A::mul_add(1.375_792_7e-3, r, 8.368_834e-3);
    let p = A::mul_add(p, r, 4.166_940_4e-2);
    let p = A::mul_add(p, r, 1.666_652e-1);
    let p = A::mul_add(p, r, 4.999_999e-1);
    let y = A::mul_add(p, r * r, r) + 1.0;
    let power_of_two = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    y * power_of_two
}

/// The share of a standard normal distribution below `x`, to 2e-7.
///
/// `x · P(x²) / Q(x²) + 1/2` on |x| <= 5.2, beyond which it is 0 or 1 to that precision. P and Q are a rational fit of
/// degree five each, exact to 3e-9 before rounding.
#[inline(always)]
pub(crate) fn normal_below<A: Arithmetic>(x: f32) -> f32 {
    let x = x.clamp(-5.2, 5.2);
    let t = x * x;
    let p = A::mul_add(2.473_127e-8, t, 6.407_868_6e-6);
    let p = A::mul_add(p, t, 1.568_594e-4);
    let p = A::mul_add(p, t, 4.608_632e-3);
    let p = A::mul_add(p, t, 3.254_435e-2);
    let p = A::mul_add(p, t, 3.989_422_6e-1);
    let q = A::mul_add(1.258_871_1e-6, t, 7.049_536e-5);
    let q = A::mul_add(q, t, 1.817_190_4e-3);
    let q = A::mul_add(q, t, 2.792_657e-2);
    let q = A::mul_add(q, t, 2.482_429_2e-1);
    let q = A::mul_add(q, t, 1.0);
    A::mul_add(x, p / q, 0.5)
}

/// The density of a standard normal distribution at `x`.
#[inline(always)]
pub(crate) fn normal_density<A: Arithmetic>(x: f32) -> f32 {
    const ONE_OVER_ROOT_TWO_PI: f32 = 0.398_942_3;
    exp::<A>(-0.5 * x * x) * ONE_OVER_ROOT_TWO_PI
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::simd::{Fma256, NoFma};

    /// Abramowitz and Stegun, 7.1.5 and 7.1.14: a series near zero, a continued fraction far out; in `f64`.
    fn normal_below_exactly(x: f64) -> f64 {
        let z = x.abs() / std::f64::consts::SQRT_2;
        let tail = if z < 2.5 {
            let (mut term, mut sum, mut n) = (z, z, 0.0);
            while term.abs() > 1e-18 {
                n += 1.0;
                term *= -z * z / n;
                sum += term / (2.0 * n + 1.0);
            }
            1.0 - sum * 2.0 / std::f64::consts::PI.sqrt()
        } else {
            let fraction = (1..120)
                .rev()
                .fold(z, |below, k| z + f64::from(k) / 2.0 / below);
            (-z * z).exp() / fraction / std::f64::consts::PI.sqrt()
        };
        if x < 0.0 {
            tail / 2.0
        } else {
            1.0 - tail / 2.0
        }
    }

    #[test]
    fn exponential_is_exact_to_a_few_units_in_the_last_place() {
        for i in -86_999..88_000 {
            let x = i as f32 * 1e-3;
            let exact = f64::from(x).exp();
            for got in [exp::<Fma256>(x), exp::<NoFma>(x)] {
                assert!((f64::from(got) / exact - 1.0).abs() < 2.5e-7, "{x}: {got}");
            }
        }
        assert_eq!(exp::<Fma256>(0.0), 1.0);
        assert!(exp::<Fma256>(-1e30) < 2e-38);
        assert!(exp::<Fma256>(1e30).is_finite());
    }

    #[test]
    fn normal_distribution_is_exact_to_2e7() {
        for i in -9_000..9_000 {
            let x = i as f32 * 1e-3;
            let exact = normal_below_exactly(f64::from(x));
            for got in [normal_below::<Fma256>(x), normal_below::<NoFma>(x)] {
                assert!(
                    (f64::from(got) - exact).abs() < 2.5e-7,
                    "{x}: {got} {exact}"
                );
            }
            let density = (-0.5 * f64::from(x).powi(2)).exp() / (2.0 * std::f64::consts::PI).sqrt();
            assert!(
                (f64::from(normal_density::<Fma256>(x)) - density).abs() < 1e-7,
                "{x}"
            );
        }
    }
}
