//! The mask of a picture's object.

use super::Shapes;
use crate::mask::Mask;

impl Shapes {
    /// The mask of the object of an image, of the image's size: the pixels of which at least half show the object, as
    /// in [`Sample::mask`](super::Sample::mask). A strand in front of the object is not part of it.
    ///
    /// It is drawn with the image's own draws, so it fits the image exactly. Like [`Shapes::sample`], it goes on past
    /// the count. At least one pixel is inside.
    pub fn mask(&self, index: usize) -> Mask {
        let sample = self.sample(index);
        let [height, width] = self.options.image_size;
        Mask {
            width,
            height,
            bits: sample.mask,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::math::Point;
    use super::super::scene::Scene;
    use super::super::{ShapesOptions, Split};
    use super::*;

    #[test]
    fn the_object_changes_the_picture_where_the_mask_is_and_nowhere_far_from_it() {
        let set = Shapes::new(ShapesOptions {
            count: 60,
            image_size: [64, 80],
            channels: 3,
            seed: 3,
            split: Split::Eval,
        })
        .unwrap();
        let pixel = 1.0 / 64.0;
        let half = Point::new(80.0, 64.0) * (0.5 * pixel);
        // How far the halo about an object reaches, and a pixel for the smooth edge.
        let reach = (0.05f32 * 64.0).ceil() as i64 + 1;
        for index in 0..60 {
            let mask = set.mask(index);
            let label = set.class_of(index);
            let scene = Scene::new(label, half, &mut set.draw(index as u64));
            let bare = scene.clone().without_object();
            let changed = |x: u32, y: u32| {
                let p = Point::new(x as f32 + 0.5, y as f32 + 0.5) * pixel - half;
                let (with, without) = (scene.look(p, pixel).color, bare.look(p, pixel).color);
                with.iter().zip(without).any(|(a, b)| (a - b).abs() > 0.02)
            };
            let near = |x: u32, y: u32| {
                let around = |center: u32| i64::from(center) - reach..=i64::from(center) + reach;
                around(y).any(|y| {
                    around(x).any(|x| match (u32::try_from(x), u32::try_from(y)) {
                        (Ok(x), Ok(y)) => mask.contains(x, y),
                        _ => false,
                    })
                })
            };
            let (mut unchanged, mut far) = (0, 0);
            for y in 0..64 {
                for x in 0..80 {
                    if mask.contains(x, y) {
                        unchanged += u32::from(!changed(x, y));
                    } else {
                        far += u32::from(changed(x, y) && !near(x, y));
                    }
                }
            }
            // A part that a strand or the frame cuts off has a halo without a mask beside it.
            assert!(
                far < 64 * 80 / 100,
                "image {index}: {far} pixels changed far from the mask"
            );
            // An object may by chance have the color of what is behind it.
            assert!(
                f64::from(unchanged) < 0.03 * mask.count() as f64,
                "image {index}: {unchanged} of {} pixels inside are as without the object",
                mask.count()
            );
        }
    }

    #[test]
    fn it_is_the_mask_of_the_sample() {
        for image_size in [[1, 1], [24, 20], [7, 40]] {
            let set = Shapes::new(ShapesOptions {
                image_size,
                ..ShapesOptions::default()
            })
            .unwrap();
            for index in [0, 7, 5000] {
                let mask = set.mask(index);
                let sample = set.sample(index);
                assert_eq!([mask.height(), mask.width()], image_size);
                assert_eq!(mask.bits(), sample.mask);
                let bounds = sample.bounds;
                assert!((bounds.x..bounds.x + bounds.width).any(|x| mask.contains(x, bounds.y)));
                assert!(mask.count() > 0);
            }
        }
    }
}
