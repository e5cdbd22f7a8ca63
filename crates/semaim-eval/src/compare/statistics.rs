//! Means, spreads and paired differences of a few seeds.

/// Mean and standard deviation of some numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (unbiased); NaN for one number.
    pub deviation: f64,
}

impl Summary {
    /// Of numbers; `None` where there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Self {
            count,
            mean,
            deviation: (squares / (count as f64 - 1.0)).sqrt(),
        })
    }

    /// Half the width of the 95 % confidence interval of the mean (Student's t); NaN for one number.
    pub fn half_width(&self) -> f64 {
        t_975(self.count.saturating_sub(1)) * self.deviation / (self.count as f64).sqrt()
    }
}

/// The 97.5 % quantile of Student's t with so many degrees of freedom; NaN for none.
fn t_975(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    match freedom {
        0 => f64::NAN,
        n => TABLE.get(n - 1).copied().unwrap_or(
            // Fisher's expansion, right to three digits from here on.
            1.959_964 + 2.372_3 / n as f64 + 2.822_5 / (n as f64).powi(2),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_tables() {
        // SciPy: t.interval(0.95, 2, 2, sem([1, 2, 3])) = (-0.4841, 4.4841)
        let summary = Summary::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((summary.mean, summary.deviation), (2.0, 1.0));
        assert!((summary.half_width() - 2.4841).abs() < 1e-3);
        assert!(Summary::of(&[1.0]).unwrap().half_width().is_nan());
        assert_eq!(Summary::of(&[]), None);
        // SciPy: t.ppf(0.975, 40) = 2.0211
        assert!((t_975(40) - 2.0211).abs() < 1e-3);
        assert!((t_975(31) - t_975(30)).abs() < 5e-3);
    }
}
