//! Where a view is cut out of an image.

/// A box of whole pixels inside an image.
pub use semaim_jpeg::Region as CropBox;
use semaim_random::KeyedRng;

/// How often a random box is drawn before the central one is taken.
const TRIES: usize = 10;

/// The box of a random resized crop in an image of `width` x `height` pixels, both at least 1.
///
/// The box covers a uniformly drawn fraction of the area within `scale`, with a width-to-height ratio drawn
/// log-uniformly within `ratio`. After ten boxes that do not fit, it is the largest central box whose ratio is
/// within `ratio`. This is torchvision's `RandomResizedCrop`, rounding included.
pub fn random_crop(
    width: u32,
    height: u32,
    scale: [f64; 2],
    ratio: [f64; 2],
    rng: &mut KeyedRng,
) -> CropBox {
    let (w, h) = (f64::from(width), f64::from(height));
    let log_ratio = ratio.map(f64::ln);
    for _ in 0..TRIES {
        let area = w * h * rng.between(scale[0], scale[1]);
        let aspect = rng.between(log_ratio[0], log_ratio[1]).exp();
        // Halves go to the even number, as Python's `round` does.
        let box_w = (area * aspect).sqrt().round_ties_even();
        let box_h = (area / aspect).sqrt().round_ties_even();
        if (1.0..=w).contains(&box_w) && (1.0..=h).contains(&box_h) {
            let (box_w, box_h) = (box_w as u32, box_h as u32);
            let top = rng.below(u64::from(height - box_h) + 1) as u32;
            let left = rng.below(u64::from(width - box_w) + 1) as u32;
            return CropBox {
                left,
                top,
                width: box_w,
                height: box_h,
            };
        }
    }
    central_crop(width, height, ratio)
}

/// The largest central box with a width-to-height ratio within `ratio`.
fn central_crop(width: u32, height: u32, ratio: [f64; 2]) -> CropBox {
    let (w, h) = (f64::from(width), f64::from(height));
    let in_ratio = w / h;
    let (box_w, box_h) = if in_ratio < ratio[0] {
        (w, (w / ratio[0]).round_ties_even())
    } else if in_ratio > ratio[1] {
        ((h * ratio[1]).round_ties_even(), h)
    } else {
        (w, h)
    };
    // A ratio below 1/2 of a one-pixel side would round to nothing, and rounding up may pass the edge.
    let box_w = box_w.clamp(1.0, w) as u32;
    let box_h = box_h.clamp(1.0, h) as u32;
    CropBox {
        left: (width - box_w) / 2,
        top: (height - box_h) / 2,
        width: box_w,
        height: box_h,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use semaim_random::{Key, Stream};

    const SCALE: [f64; 2] = [0.2, 1.0];
    const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];

    fn crops(width: u32, height: u32, n: u64) -> Vec<CropBox> {
        (0..n)
            .map(|item| {
                let mut rng = KeyedRng::new(Key::new(1, 0, item), Stream::Crop);
                random_crop(width, height, SCALE, RATIO, &mut rng)
            })
            .collect()
    }

    #[test]
    fn boxes_lie_inside_and_respect_the_ranges() {
        for crop in crops(400, 300, 5000) {
            assert!(crop.left + crop.width <= 400 && crop.top + crop.height <= 300);
            let area = f64::from(crop.width * crop.height) / 120_000.0;
            assert!((0.195..=1.0).contains(&area), "{crop:?}");
            let aspect = f64::from(crop.width) / f64::from(crop.height);
            assert!((0.74..=1.35).contains(&aspect), "{crop:?}");
        }
    }

    #[test]
    fn statistics_are_those_of_torchvision() {
        // torchvision 0.x's get_params on a 500x500 image gives mean area 0.565 of the image (boxes that do not
        // fit are drawn again, which favors small ones), and a log-ratio symmetric about 0.
        let crops = crops(500, 500, 40_000);
        let n = crops.len() as f64;
        let area = crops
            .iter()
            .map(|c| f64::from(c.width) * f64::from(c.height) / 250_000.0)
            .sum::<f64>()
            / n;
        let log_ratio = crops
            .iter()
            .map(|c| (f64::from(c.width) / f64::from(c.height)).ln())
            .sum::<f64>()
            / n;
        let right = crops
            .iter()
            .filter(|c| c.left > 500 - c.width - c.left)
            .count() as f64
            / n;
        assert!((area - reference_area()).abs() < 0.005, "{area}");
        assert!(log_ratio.abs() < 0.003, "{log_ratio}");
        assert!((right - 0.5).abs() < 0.02, "{right}");
    }

    /// The mean area of accepted boxes by numerical integration over (area, log ratio).
    fn reference_area() -> f64 {
        let (mut sum, mut weight) = (0.0, 0.0);
        for i in 0..800 {
            let area = 0.2 + 0.8 * (f64::from(i) + 0.5) / 800.0;
            for j in 0..400 {
                let log =
                    RATIO[0].ln() + (RATIO[1].ln() - RATIO[0].ln()) * (f64::from(j) + 0.5) / 400.0;
                let (w, h) = ((area * log.exp()).sqrt(), (area / log.exp()).sqrt());
                if w <= 1.001 && h <= 1.001 {
                    sum += area;
                    weight += 1.0;
                }
            }
        }
        sum / weight
    }

    #[test]
    fn one_pixel_and_long_images_have_boxes() {
        assert_eq!(
            crops(1, 1, 50)[17],
            CropBox {
                left: 0,
                top: 0,
                width: 1,
                height: 1
            }
        );
        for crop in crops(100_000, 1, 200)
            .into_iter()
            .chain(crops(1, 100_000, 200))
        {
            assert!(crop.width >= 1 && crop.height >= 1);
        }
        let crop = central_crop(1000, 30, RATIO);
        assert_eq!((crop.width, crop.height, crop.left), (40, 30, 480));
        let crop = central_crop(30, 1000, RATIO);
        assert_eq!((crop.width, crop.height, crop.top), (30, 40, 480));
    }

    #[test]
    fn the_address_decides() {
        let crop = |seed, epoch, item| {
            let mut rng = KeyedRng::new(Key::new(seed, epoch, item), Stream::Crop);
            random_crop(400, 300, SCALE, RATIO, &mut rng)
        };
        assert_eq!(crop(1, 2, 3), crop(1, 2, 3));
        assert_ne!(crop(1, 2, 3), crop(1, 3, 3));
        assert_ne!(crop(1, 2, 3), crop(1, 2, 4));
        assert_ne!(crop(1, 2, 3), crop(2, 2, 3));
    }
}
