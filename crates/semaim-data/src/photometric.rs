//! Photometric distortion: random brightness, contrast, saturation and hue (Liu et al., 2016), as MMSegmentation has it.

use semaim_random::{Key, KeyedRng, Stream};

use crate::augment_error::AugmentError;

/// Random brightness, contrast, saturation and hue, each of them done to every second image: brightness first, contrast after it or
/// at the end with equal chances. Alpha stays; where there is no RGB, each channel is treated for itself, and there is no
/// saturation and no hue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhotometricDistortion {
    /// The most that is added to values of 0 to 255, or taken from them.
    pub brightness: f64,
    /// The smallest and the largest number that values are multiplied by.
    pub contrast: [f64; 2],
    /// The smallest and the largest number that saturations are multiplied by.
    pub saturation: [f64; 2],
    /// The most that hues are turned by, in degrees.
    pub hue: f64,
}

impl Default for PhotometricDistortion {
    /// MMSegmentation's: 32, 0.5 to 1.5, 0.5 to 1.5, and 18 of OpenCV's hues, which are two degrees each.
    fn default() -> Self {
        Self {
            brightness: 32.0,
            contrast: [0.5, 1.5],
            saturation: [0.5, 1.5],
            hue: 36.0,
        }
    }
}

impl PhotometricDistortion {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`AugmentError::Setting`] with the first that makes no sense.
    pub fn check(&self) -> Result<(), AugmentError> {
        let within = AugmentError::check_range;
        within("brightness", self.brightness, [0.0, 255.0], "in [0, 255]")?;
        within("hue", self.hue, [0.0, 180.0], "in [0, 180]")?;
        for (setting, [low, high]) in [("contrast", self.contrast), ("saturation", self.saturation)]
        {
            let wanted = "0 or above, the first no larger than the second";
            within(setting, low, [0.0, f64::MAX], wanted)?;
            within(setting, high, [low, f64::MAX], wanted)?;
        }
        Ok(())
    }

    /// Distorts interleaved samples. The same key, the same distortion.
    pub(crate) fn apply(&self, samples: &mut [u8], channels: usize, key: Key) {
        let mut rng = KeyedRng::new(key, Stream::PhotometricDistortion);
        // All are drawn, so that none depends on whether another is done.
        let mut draw = |low: f64, high: f64| {
            let done = rng.bernoulli(0.5);
            let value = rng.between(low, high) as f32;
            done.then_some(value)
        };
        let brightness = draw(-self.brightness, self.brightness);
        let contrast = draw(self.contrast[0], self.contrast[1]);
        let saturation = draw(self.saturation[0], self.saturation[1]);
        let hue = draw(-self.hue, self.hue);
        let contrast_first = rng.bernoulli(0.5);
        let colors = if channels == 4 { 3 } else { channels };
        if let Some(added) = brightness {
            map(samples, channels, colors, |value| value + added);
        }
        if let Some(factor) = contrast.filter(|_| contrast_first) {
            map(samples, channels, colors, |value| value * factor);
        }
        if colors == 3 && (saturation.is_some() || hue.is_some()) {
            let (saturation, hue) = (saturation.unwrap_or(1.0), hue.unwrap_or(0.0) / 60.0);
            for pixel in samples.chunks_exact_mut(channels) {
                if let [red, green, blue, ..] = pixel {
                    [*red, *green, *blue] = recolored([*red, *green, *blue], saturation, hue);
                }
            }
        }
        if let Some(factor) = contrast.filter(|_| !contrast_first) {
            map(samples, channels, colors, |value| value * factor);
        }
    }
}

/// Replaces each value of the first channels.
fn map(samples: &mut [u8], channels: usize, colors: usize, function: impl Fn(f32) -> f32) {
    let table: [u8; 256] = std::array::from_fn(|value| rounded(function(value as f32)));
    for pixel in samples.chunks_exact_mut(channels.max(1)) {
        for sample in pixel.iter_mut().take(colors) {
            *sample = table[usize::from(*sample)];
        }
    }
}

/// A color with its saturation multiplied and its hue turned by so many sixths of the circle.
fn recolored(rgb: [u8; 3], saturation: f32, turn: f32) -> [u8; 3] {
    let [red, green, blue] = rgb.map(f32::from);
    let value = red.max(green).max(blue);
    let chroma = value - red.min(green).min(blue);
    if chroma == 0.0 {
        return rgb;
    }
    let hue = if value == red {
        (green - blue) / chroma
    } else if value == green {
        2.0 + (blue - red) / chroma
    } else {
        4.0 + (red - green) / chroma
    };
    let hue = (hue + turn).rem_euclid(6.0);
    let chroma = (chroma * saturation).min(value);
    // How far each of red, green and blue is below the value: a sixth after its own place it begins to fall.
    let channel = |from: f32| {
        let place = (hue + from).rem_euclid(6.0);
        rounded(value - chroma * place.min(4.0 - place).clamp(0.0, 1.0))
    };
    [channel(5.0), channel(3.0), channel(1.0)]
}

fn rounded(value: f32) -> u8 {
    (value + 0.5).clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_turn_and_fade() {
        for rgb in [
            [200, 100, 50],
            [1, 2, 3],
            [255, 0, 0],
            [0, 255, 254],
            [9, 9, 9],
            [13, 200, 77],
        ] {
            let [r, g, b] = rgb;
            assert_eq!(recolored(rgb, 1.0, 0.0), rgb);
            assert_eq!(recolored(rgb, 1.0, 6.0), rgb);
            // A third of the circle: red goes to green, green to blue, blue to red.
            assert_eq!(recolored(rgb, 1.0, 2.0), [b, r, g]);
            let value = r.max(g).max(b);
            assert_eq!(
                recolored(rgb, 0.0, 1.3),
                if r == g && g == b { rgb } else { [value; 3] }
            );
        }
        assert_eq!(recolored([200, 100, 100], 0.5, 0.0), [200, 150, 150]);
        assert_eq!(recolored([200, 100, 100], 2.0, 0.0), [200, 0, 0]);
        // Twice the saturation is more than there is.
        assert_eq!(recolored([200, 50, 50], 2.0, 0.0), [200, 0, 0]);
        assert_eq!(recolored([255, 0, 0], 1.0, 1.0), [255, 255, 0]);
    }

    /// The distortion of a set of pixels by each of some keys.
    fn distorted(distortion: &PhotometricDistortion, channels: usize) -> Vec<Vec<u8>> {
        let samples: Vec<u8> = (0..channels * 8)
            .map(|at| (at * 29 % 200 + 20) as u8)
            .collect();
        let of_key = |item| {
            let mut samples = samples.clone();
            distortion.apply(&mut samples, channels, Key::new(1, 2, item));
            samples
        };
        (0..2000).map(of_key).collect()
    }

    #[test]
    fn each_is_done_to_every_second_image() {
        let nothing = PhotometricDistortion {
            brightness: 0.0,
            contrast: [1.0, 1.0],
            saturation: [1.0, 1.0],
            hue: 0.0,
        };
        let original = distorted(&nothing, 3)[0].clone();
        assert!(distorted(&nothing, 3).iter().all(|d| *d == original));
        for one in [
            PhotometricDistortion {
                brightness: 32.0,
                ..nothing
            },
            PhotometricDistortion {
                contrast: [0.5, 0.9],
                ..nothing
            },
            PhotometricDistortion {
                saturation: [0.5, 0.9],
                ..nothing
            },
            PhotometricDistortion {
                hue: 36.0,
                ..nothing
            },
        ] {
            let all = distorted(&one, 3);
            let changed = all.iter().filter(|d| **d != original).count();
            assert!((880..1120).contains(&changed), "{one:?}: {changed}");
            assert_eq!(all, distorted(&one, 3));
            let reach = all
                .iter()
                .flat_map(|d| d.iter().zip(&original))
                .map(|(a, b)| a.abs_diff(*b));
            assert!(one.brightness == 0.0 || reach.max() == Some(32));
        }
    }

    #[test]
    fn alpha_stays_and_gray_is_gray() {
        let distortion = PhotometricDistortion::default();
        for samples in distorted(&distortion, 4) {
            let alpha = samples.iter().skip(3).step_by(4).copied();
            assert!(alpha.eq((0..8).map(|at| ((at * 4 + 3) * 29 % 200 + 20) as u8)));
        }
        assert!(
            distorted(&distortion, 1)
                .iter()
                .any(|samples| samples[0] != 20)
        );
    }

    #[test]
    fn ranges_must_make_sense() {
        let good = PhotometricDistortion::default();
        assert!(good.check().is_ok());
        for bad in [
            PhotometricDistortion {
                brightness: -1.0,
                ..good
            },
            PhotometricDistortion {
                contrast: [1.5, 0.5],
                ..good
            },
            PhotometricDistortion {
                saturation: [-0.5, 0.5],
                ..good
            },
            PhotometricDistortion {
                hue: f64::NAN,
                ..good
            },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
