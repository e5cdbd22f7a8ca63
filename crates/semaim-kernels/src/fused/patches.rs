//! Images cut into patches, an image per task.

use super::parallel;
use super::rows::sum_of;
use super::scratch::{UninitBuf, with_scratch};
use super::simd::{Arithmetic, multiversion};
use crate::types::{Channels, PixelPatches};

/// Sizes of a batch of images and of their patches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageShape {
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    patch_size: usize,
}

impl ImageShape {
    pub(crate) fn new([batch, channels, height, width]: [usize; 4], patch_size: usize) -> Self {
        assert!(patch_size > 0, "size of a patch");
        Self {
            batch,
            channels,
            height,
            width,
            patch_size,
        }
    }

    /// Patches from top to bottom and from left to right.
    fn grid(&self) -> [usize; 2] {
        [self.height / self.patch_size, self.width / self.patch_size]
    }

    fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }

    fn patch_len(&self) -> usize {
        self.patch_size * self.patch_size * self.channels
    }

    /// `[batch, channels, height, width]`.
    pub(crate) fn images(&self) -> [usize; 4] {
        [self.batch, self.channels, self.height, self.width]
    }

    /// `[batch, patches, values]`.
    pub(crate) fn patches(&self) -> [usize; 3] {
        let [rows, columns] = self.grid();
        [self.batch, rows * columns, self.patch_len()]
    }

    /// Each line of each patch of an image: where it begins in the image, its patch, its channel and its row there.
    fn lines(self) -> impl Iterator<Item = (usize, usize, usize, usize)> {
        let (p, [rows, columns]) = (self.patch_size, self.grid());
        (0..rows * columns).flat_map(move |patch| {
            let (top, left) = (patch / columns * p, patch % columns * p);
            (0..self.channels).flat_map(move |channel| {
                (0..p).map(move |row| {
                    let line = channel * self.height + top + row;
                    (line * self.width + left, patch, channel, row)
                })
            })
        })
    }

    /// Where a line begins among patches, and how far its pixels are apart.
    fn place(
        &self,
        channels: Channels,
        patch: usize,
        channel: usize,
        row: usize,
    ) -> (usize, usize) {
        let (p, first) = (self.patch_size, patch * self.patch_len());
        match channels {
            Channels::First => (first + (channel * p + row) * p, 1),
            Channels::Last => (first + row * p * self.channels + channel, self.channels),
        }
    }

    fn cut_one(&self, image: &[f32], channels: Channels, out: &mut [f32]) {
        let p = self.patch_size;
        for (start, patch, channel, row) in self.lines() {
            let line = &image[start..][..p];
            let (first, apart) = self.place(channels, patch, channel, row);
            for (to, pixel) in out[first..].iter_mut().step_by(apart).zip(line) {
                *to = *pixel;
            }
        }
    }
}

/// See [`crate::patches()`].
pub(crate) fn cut(images: &[f32], shape: ImageShape, channels: Channels) -> Vec<f32> {
    each_image(images, shape, |image, out| {
        shape.cut_one(image, channels, out);
    })
}

/// The transpose of [`cut`]: patches `[batch, patches, values]` put back into images, zero where there was no patch.
pub(crate) fn join(patches: &[f32], shape: ImageShape, channels: Channels) -> Vec<f32> {
    let (p, [_, count, values]) = (shape.patch_size, shape.patches());
    let mut images = vec![0.0; shape.batch * shape.image_len()];
    let from = patches.chunks((count * values).max(1));
    for (image, patches) in images.chunks_mut(shape.image_len().max(1)).zip(from) {
        for (start, patch, channel, row) in shape.lines() {
            let (first, apart) = shape.place(channels, patch, channel, row);
            let line = patches[first..].iter().step_by(apart);
            for (to, value) in image[start..][..p].iter_mut().zip(line) {
                *to = *value;
            }
        }
    }
    images
}

/// See [`crate::pixel_patches`].
pub(crate) fn pixels(images: &[f32], shape: ImageShape, form: &PixelPatches) -> Vec<f32> {
    each_image(images, shape, |image, out| {
        if form.blur.is_empty() {
            shape.cut_one(image, Channels::Last, out);
        } else {
            with_scratch([image.len()], |[blurred]| {
                blur(image, shape, &form.blur, blurred);
                shape.cut_one(blurred, Channels::Last, out);
            });
        }
        if form.normalize {
            for patch in out.chunks_mut(shape.patch_len().max(1)) {
                standardize(patch);
            }
        }
    })
}

/// Patches of each image, by `f(image, out)`.
fn each_image(
    images: &[f32],
    shape: ImageShape,
    f: impl Fn(&[f32], &mut [f32]) + Sync,
) -> Vec<f32> {
    let [batch, patches, values] = shape.patches();
    let mut out = UninitBuf::new(batch * patches * values);
    let tasks: Vec<_> = images
        .chunks(shape.image_len().max(1))
        .zip(out.pieces(patches * values))
        .collect();
    parallel::each(tasks, |(image, out)| f(image, out.zeros()));
    // SAFETY: each task has filled its piece, and there is one for every image.
    unsafe { out.filled() }
}

/// Blurs an image `[channels, height, width]` along its lines and then across them.
fn blur(image: &[f32], shape: ImageShape, weights: &[f32], out: &mut [f32]) {
    let (width, before) = (shape.width, weights.len() / 2);
    let plane = (shape.height * width).max(1);
    with_scratch([plane, width + weights.len()], |[along, padded]| {
        padded.fill(0.0);
        for (image, out) in image.chunks(plane).zip(out.chunks_mut(plane)) {
            for (line, along) in image.chunks(width).zip(along.chunks_mut(width)) {
                padded[before..][..width].copy_from_slice(line);
                along.fill(0.0);
                for (k, &weight) in weights.iter().enumerate() {
                    add_scaled(&padded[k..][..width], weight, along);
                }
            }
            for (row, out) in out.chunks_mut(width).enumerate() {
                out.fill(0.0);
                for (k, &weight) in weights.iter().enumerate() {
                    let from = (row + k).checked_sub(before);
                    if let Some(from) = from.filter(|&from| from < shape.height) {
                        add_scaled(&along[from * width..][..width], weight, out);
                    }
                }
            }
        }
    });
}

multiversion! {
    fn add_scaled = add_scaled_body(x: &[f32], factor: f32, out: &mut [f32]);
}

#[inline(always)]
fn add_scaled_body<A: Arithmetic>(x: &[f32], factor: f32, out: &mut [f32]) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = A::mul_add(x, factor, *out);
    }
}

multiversion! {
    /// `(x - mean) / √(variance + 1e-6)` in place. One value has no unbiased variance; it becomes zero.
    fn standardize = standardize_body(x: &mut [f32]);
}

#[inline(always)]
fn standardize_body<A: Arithmetic>(x: &mut [f32]) {
    let count = x.len();
    let mean = sum_of(count, |i, sum| sum + x[i]) / count as f32;
    let squares = sum_of(count, |i, sum| {
        let off = x[i] - mean;
        A::mul_add(off, off, sum)
    });
    let variance = squares / (count.max(2) - 1) as f32;
    let scale = 1.0 / (variance + 1e-6).sqrt();
    for x in x {
        *x = (*x - mean) * scale;
    }
}
