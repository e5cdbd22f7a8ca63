//! The built-in image set: one object of ten classes in each picture, generated from a seed, never stored.
//!
//! A picture is a textured object with one of ten outlines (`arrow`, `bolt`, `crescent`, `cross`, `disc`,
//! `heart`, `ring`, `square`, `star`, `triangle`), anywhere, 12 to 50 % of the square on the shorter side in area,
//! tilted by up to an eighth of a turn, mirrored half of the time, on a textured ground among strands, arcs, blots
//! and slivers, under uneven light and grain. [`Shapes::sample`] gives it with its label, box and mask, so the
//! same set serves classification, detection and segmentation.
//!
//! # Why it is the way it is
//!
//! * **Pixels must say little.** Position, size, tilt, handedness, every color, which of the object and the
//!   ground is brighter, whether its rim and halo are dark or bright, and the frame of every texture are drawn
//!   without a look at the class. Two pictures of one class share hardly a pixel; the tests
//!   hold the nearest neighbors of raw pixels below 35 %, where chance is 10 %.
//! * **There must be something to learn without labels.** An outline alone is a poor teacher for a network that
//!   predicts patches: most patches show no outline. So five of six objects wear the texture family typical of
//!   their class (bricks, grain, zigzag, …; in free colors and frame), the sixth any of twelve. A network that
//!   predicts the rest of an object from a part of it has a reason to model what texture this is and where its
//!   outline turns, and these two together are the class. Texture alone does not suffice: it misleads in one picture
//!   of seven. The ground mostly wears a texture typical of no class, at times one of the others, larger
//!   and paler, and never the object's: were it as loud as the object, it would drown it.
//! * **The object is where the meaning is.** It stands out from the ground in luminance and hue, at least 85 % of
//!   it is in the frame, and nothing but an occasional thin strand passes in front of it.
//! * **The same bytes everywhere.** A picture depends on the seed, the split, its index, the size and the number
//!   of channels, and on nothing else; only operations whose results IEEE 754 fixes are used (see `math.rs`).
//!   At another size with the same aspect ratio, the same address shows the same scene; only the grain, which is
//!   a pixel's own, differs.
//!
//! ```
//! use semaim_data::shapes::{Shapes, ShapesOptions};
//!
//! let set = Shapes::new(ShapesOptions { count: 100, ..ShapesOptions::default() })?;
//! let sample = set.sample(17);
//! assert_eq!(sample.pixels.samples.len(), 64 * 64 * 3);
//! assert!(sample.label < 10);
//! # Ok::<(), semaim_data::DataError>(())
//! ```

mod clutter;
mod color;
mod mask;
mod math;
mod scene;
mod silhouette;
mod texture;

#[cfg(test)]
mod difficulty;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use semaim_random::{Key, KeyedRng, Stream};

use crate::counted::counted;
use crate::error::{DataError, ImageError};
use crate::pixels::Pixels;
use crate::region::{DecodeRequest, DecodedRegion};
use crate::scratch::Scratch;
use crate::source::{Source, Split};
use math::{Point, cell_bits};
use scene::Scene;
use silhouette::{CLASSES, NAMES};

/// The largest number of bytes of one picture: a guard against a slip of the keyboard.
const MAX_BYTES: usize = 1 << 30;

/// Sets of no more bytes than this are kept once they are drawn: a training asks for every picture in every epoch, and
/// drawing is a seventh of a small network's step.
const MAX_KEPT_BYTES: usize = 256 << 20;

/// Which set to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapesOptions {
    /// How many images.
    pub count: usize,
    /// Height and width in pixels.
    pub image_size: [u32; 2],
    /// Channels: 1 is luminance, 2 luminance and warmth, 3 RGB, more RGB and further mixtures of it.
    pub channels: usize,
    /// Another seed, another set.
    pub seed: u64,
    /// The two splits share no image.
    pub split: Split,
}

impl Default for ShapesOptions {
    fn default() -> Self {
        Self {
            count: 4096,
            image_size: [64, 64],
            channels: 3,
            seed: 0,
            split: Split::Train,
        }
    }
}

/// A box in whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundingBox {
    /// The leftmost column.
    pub x: u32,
    /// The topmost row.
    pub y: u32,
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
}

/// One picture and everything known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The picture.
    pub pixels: Pixels,
    /// The class of its object, an index into the set's classes.
    pub label: u32,
    /// The smallest box that holds every visible pixel of the object.
    pub bounds: BoundingBox,
    /// For each pixel, row by row from the top left, whether at least half of it shows the object. At least one
    /// does, however small the picture.
    pub mask: Vec<bool>,
}

/// The generated set. Clones share the pictures that were drawn.
#[derive(Clone, Debug)]
pub struct Shapes {
    options: ShapesOptions,
    classes: Vec<String>,
    /// The samples of each picture that was decoded so far; empty for a set that is too large to be kept.
    drawn: Arc<[OnceLock<Box<[u8]>>]>,
}

impl Shapes {
    /// The set of the given options. Nothing is drawn yet.
    ///
    /// # Errors
    ///
    /// [`DataError::Spec`] when there are no images, no pixels or no channels, or more than a gigabyte per image.
    pub fn new(options: ShapesOptions) -> Result<Self, DataError> {
        let [height, width] = options.image_size;
        let bytes = (height as usize)
            .checked_mul(width as usize)
            .and_then(|n| n.checked_mul(options.channels));
        let reason = match bytes {
            _ if options.count == 0 => "the count of images must be at least 1".to_owned(),
            Some(0) => format!(
                "images of {height}x{width} pixels with {} channels have nothing to show; every size must be at \
                 least 1",
                options.channels
            ),
            Some(n) if n <= MAX_BYTES => {
                let kept = match n.checked_mul(options.count) {
                    Some(all) if all <= MAX_KEPT_BYTES => options.count,
                    _ => 0,
                };
                return Ok(Self {
                    options,
                    classes: NAMES.map(str::to_owned).to_vec(),
                    drawn: (0..kept).map(|_| OnceLock::new()).collect(),
                });
            }
            _ => format!(
                "images of {height}x{width} pixels with {} channels are larger than the limit of {MAX_BYTES} bytes",
                options.channels
            ),
        };
        Err(DataError::Spec {
            spec: "shapes".to_owned(),
            reason,
        })
    }

    /// The options the set was made with.
    pub fn options(&self) -> &ShapesOptions {
        &self.options
    }

    /// Draws a picture. The set goes on without end: an index past the count gives a picture too.
    pub fn sample(&self, index: usize) -> Sample {
        let [height, width] = self.options.image_size;
        let channels = self.options.channels;
        let label = self.class_of(index);
        let mut rng = self.draw(index as u64);
        // The length unit is the shorter side and the origin is the middle.
        let pixel = 1.0 / width.min(height) as f32;
        let half = Point::new(width as f32, height as f32) * (0.5 * pixel);
        let scene = Scene::new(label, half, &mut rng);
        let grain = GRAIN[0] + (GRAIN[1] - GRAIN[0]) * rng.uniform();
        let grain_seed = rng.bits() as u32;

        let area = width as usize * height as usize;
        let mut data = Vec::with_capacity(area * channels);
        let mut mask = Vec::with_capacity(area);
        for row in 0..height {
            for column in 0..width {
                let p = Point::new(column as f32 + 0.5, row as f32 + 0.5) * pixel - half;
                let seen = scene.look(p, pixel);
                mask.push(seen.object >= 0.5);
                let bits = cell_bits(column as i32, row as i32, grain_seed);
                for index in 0..channels {
                    let value = color::channel(seen.color, index, channels);
                    let bits = bits.rotate_left(11 * (index as u32 % 32)) ^ (index as u32 / 32);
                    data.push(quantize(value + grain * triangular(bits)));
                }
            }
        }
        let bounds = match bounds_of(&mask, width) {
            Some(bounds) => bounds,
            None => {
                // In a picture of a few pixels none may be half covered: then it is the one in the object's middle.
                let middle = (scene.center() + half) * (1.0 / pixel);
                let x = (middle.x as u32).min(width - 1);
                let y = (middle.y as u32).min(height - 1);
                mask[y as usize * width as usize + x as usize] = true;
                BoundingBox {
                    x,
                    y,
                    width: 1,
                    height: 1,
                }
            }
        };
        Sample {
            pixels: Pixels {
                width,
                height,
                channels,
                samples: data.into(),
            },
            label,
            bounds,
            mask,
        }
    }

    /// The class of an image: each block of ten images shows each class once, in an order of its own.
    fn class_of(&self, index: usize) -> u32 {
        // The upper half of the items belongs to blocks, the lower to images.
        let block = (index / CLASSES) as u64;
        let mut order: [u32; CLASSES] = std::array::from_fn(|n| n as u32);
        self.draw(block | 1 << 63).shuffle(&mut order);
        order[index % CLASSES]
    }

    fn draw(&self, item: u64) -> KeyedRng {
        let split = match self.options.split {
            Split::Train => 0,
            Split::Eval => 1,
        };
        KeyedRng::new(Key::new(self.options.seed, split, item), Stream::Shapes)
    }
}

/// The weakest and the strongest grain: the largest deviation of a sample, of the whole range.
const GRAIN: [f32; 2] = [0.01, 0.05];

/// A number in -1 to 1 with a triangular density, of which the halves of `bits` are two uniform ones.
fn triangular(bits: u32) -> f32 {
    ((bits >> 16) as f32 + (bits & 0xFFFF) as f32) * (1.0 / 65536.0) - 1.0
}

/// The byte of a sample.
fn quantize(value: f32) -> u8 {
    (value * 255.0 + 0.5).clamp(0.0, 255.0) as u8
}

/// The smallest box about the true pixels; `None` when there are none.
fn bounds_of(mask: &[bool], width: u32) -> Option<BoundingBox> {
    let (mut left, mut right) = (u32::MAX, 0);
    let mut rows: Option<(u32, u32)> = None;
    for (y, row) in (0u32..).zip(mask.chunks_exact(width as usize)) {
        for (x, _) in (0u32..).zip(row).filter(|(_, shown)| **shown) {
            left = left.min(x);
            right = right.max(x);
            rows = Some((rows.map_or(y, |(top, _)| top), y));
        }
    }
    rows.map(|(top, bottom)| BoundingBox {
        x: left,
        y: top,
        width: right - left + 1,
        height: bottom - top + 1,
    })
}

impl Source for Shapes {
    fn len(&self) -> usize {
        self.options.count
    }

    fn label(&self, index: usize) -> Option<u32> {
        (index < self.options.count).then(|| self.class_of(index))
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        format!("shapes#{index}")
    }

    fn decode(
        &self,
        index: usize,
        _: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        _: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        if index >= self.options.count {
            return Err(ImageError::out_of_range(
                self.name(index),
                index,
                self.options.count,
            ));
        }
        let pixels = match self.drawn.get(index) {
            None => self.sample(index).pixels,
            Some(drawn) => {
                let draw = || self.sample(index).pixels.bytes().into();
                let [height, width] = self.options.image_size;
                Pixels {
                    width,
                    height,
                    channels: self.options.channels,
                    samples: drawn.get_or_init(draw).to_vec().into(),
                }
            }
        };
        Ok(DecodedRegion::whole(pixels))
    }

    fn describe(&self) -> String {
        let [height, width] = self.options.image_size;
        let split = match self.options.split {
            Split::Train => "train",
            Split::Eval => "eval",
        };
        format!(
            "shapes: {} generated images of {height}x{width} pixels, {}, {CLASSES} classes, {split} split, \
             seed {}",
            self.options.count,
            counted(self.options.channels, "channel"),
            self.options.seed
        )
    }
}
