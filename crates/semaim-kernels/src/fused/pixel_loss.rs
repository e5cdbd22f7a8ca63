//! Cross-entropy of enlarged logits a pixel at a time: the enlarged logits, of which there may be gigabytes, are never
//! held. The gradient is computed with the loss, when the numbers are at hand, and scaled in the backward pass.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::graph::{Gradient, Input, Saved, as_f32_slice, custom_op, tensor};
use super::parallel;
use super::rows::softmax_numerators_body;
use super::scratch::with_scratch;
use super::simd::{Arithmetic, multiversion};
use crate::bilinear::{Neighbors, neighbors};
use crate::pixel_loss::PixelLabels;

/// Rows of pixels that one task is given.
const ROWS: usize = 32;

/// What all tasks look at.
#[derive(Clone, Copy)]
struct Maps<'a> {
    logits: &'a [f32],
    /// Rows and columns of the logits.
    map: [usize; 2],
    classes: usize,
    labels: PixelLabels<'a>,
    columns: &'a [Neighbors],
    /// Of a pixel in the mean.
    weight: f32,
    with_gradient: bool,
}

/// What a task gives: a sum of losses, and the gradient of the mean with respect to some rows of the logits.
struct Part {
    loss: f64,
    /// The first of these rows, over all images.
    first: usize,
    gradient: Vec<f32>,
}

/// The loss of some rows of pixels of one image.
fn part(maps: Maps<'_>, image: usize, first: usize) -> Part {
    let [rows, columns] = maps.map;
    let last = (first + ROWS).min(maps.labels.size[0]);
    let places = neighbors(rows, maps.labels.size[0], first..last);
    let top = places.first().map_or(0, |place| place.before);
    let bottom = places.last().map_or(0, |place| place.after + 1);
    let width = columns * maps.classes;
    let held = if maps.with_gradient { bottom - top } else { 0 };
    let mut gradient = vec![0.0; held * width];
    let mut loss = 0.0;
    let gradients = if maps.with_gradient { width } else { 0 };
    with_scratch([width, gradients, maps.classes], |[line, dline, scores]| {
        for (row, place) in (first..).zip(&places) {
            let across = maps.labels.size[1];
            let start = (image * maps.labels.size[0] + row) * across;
            let labels = &maps.labels.classes[start..][..across];
            let of = |row: usize| &maps.logits[(image * rows + row) * width..][..width];
            blend(of(place.before), of(place.after), place.share, line);
            dline.fill(0.0);
            loss += row_loss(maps, labels, line, dline, scores);
            if maps.with_gradient {
                let mut add = |row: usize, share: f32| {
                    add_scaled(dline, share, &mut gradient[(row - top) * width..][..width]);
                };
                add(place.before, 1.0 - place.share);
                add(place.after, place.share);
            }
        }
    });
    Part {
        loss,
        first: image * rows + top,
        gradient,
    }
}

multiversion! {
    /// What lies between `a` and `b`.
    fn blend = blend_body(a: &[f32], b: &[f32], share: f32, out: &mut [f32]);
}

#[inline(always)]
fn blend_body<A: Arithmetic>(a: &[f32], b: &[f32], share: f32, out: &mut [f32]) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = A::mul_add(b - a, share, a);
    }
}

multiversion! {
    /// `out += factor · x`.
    fn add_scaled = add_scaled_body(x: &[f32], factor: f32, out: &mut [f32]);
}

#[inline(always)]
fn add_scaled_body<A: Arithmetic>(x: &[f32], factor: f32, out: &mut [f32]) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = A::mul_add(x, factor, *out);
    }
}

multiversion! {
    /// The sum of the losses of a row of pixels, whose logits lie between those of `line`; adds the gradient of the mean
    /// with respect to these to `dline`.
    fn row_loss = row_loss_body(
        maps: Maps<'_>,
        labels: &[u8],
        line: &[f32],
        dline: &mut [f32],
        scores: &mut [f32],
    ) -> f64;
}

#[inline(always)]
fn row_loss_body<A: Arithmetic>(
    maps: Maps<'_>,
    labels: &[u8],
    line: &[f32],
    dline: &mut [f32],
    scores: &mut [f32],
) -> f64 {
    let classes = maps.classes;
    let mut loss = 0.0;
    for (place, &label) in maps.columns.iter().zip(labels) {
        if label == maps.labels.ignored {
            continue;
        }
        let label = usize::from(label);
        let at = |column: usize| column * classes..(column + 1) * classes;
        blend_body::<A>(
            &line[at(place.before)],
            &line[at(place.after)],
            place.share,
            scores,
        );
        let score = scores[label];
        let (largest, sum) = softmax_numerators_body::<A>(scores, classes);
        loss += f64::from(sum).ln() + f64::from(largest - score);
        if maps.with_gradient {
            let factor = maps.weight / sum;
            for score in scores.iter_mut() {
                *score *= factor;
            }
            scores[label] -= maps.weight;
            add_scaled_body::<A>(scores, 1.0 - place.share, &mut dline[at(place.before)]);
            add_scaled_body::<A>(scores, place.share, &mut dline[at(place.after)]);
        }
    }
    loss
}

/// See [`crate::pixel_cross_entropy`]; `None` if this is not for the CPU backend.
pub(crate) fn pixel_cross_entropy(
    logits: &Tensor<3>,
    map: [usize; 2],
    labels: PixelLabels<'_>,
) -> Option<Tensor<1>> {
    let [batch, positions, classes] = logits.dims();
    let shape = [batch, positions, classes];
    let inputs = vec![Input::of(logits)?];
    let counted = labels.counted();
    Some(custom_op(inputs, |inputs, wanted| {
        if counted == 0 {
            let saved = wanted.then(|| {
                let gradient = vec![0.0; shape.iter().product()];
                Arc::new(SavedGradient { gradient, shape }) as Arc<dyn Saved>
            });
            return (tensor(vec![0.0], &[1]), saved);
        }
        let maps = Maps {
            logits: as_f32_slice(&inputs[0]),
            map,
            classes,
            labels,
            columns: &neighbors(map[1], labels.size[1], 0..labels.size[1]),
            weight: 1.0 / counted as f32,
            with_gradient: wanted,
        };
        let tasks = (0..batch)
            .flat_map(|image| {
                let rows = (0..labels.size[0]).step_by(ROWS);
                rows.map(move |first| (image, first))
            })
            .collect();
        let parts = parallel::results(tasks, |(image, first)| part(maps, image, first));
        let loss: f64 = parts.iter().map(|part| part.loss).sum();
        let saved = wanted.then(|| {
            let mut gradient = vec![0.0; shape.iter().product()];
            for part in &parts {
                let first = part.first * map[1] * classes;
                add_scaled(
                    &part.gradient,
                    1.0,
                    &mut gradient[first..][..part.gradient.len()],
                );
            }
            Arc::new(SavedGradient { gradient, shape }) as Arc<dyn Saved>
        });
        (tensor(vec![(loss / counted as f64) as f32], &[1]), saved)
    }))
}

#[derive(Debug)]
struct SavedGradient {
    gradient: Vec<f32>,
    shape: [usize; 3],
}

impl Saved for SavedGradient {
    fn backward(&self, dout: &FlexTensor, _wanted: &[bool]) -> Vec<Gradient> {
        let factor = as_f32_slice(dout)[0];
        let gradient = self.gradient.iter().map(|value| value * factor).collect();
        vec![Some(tensor(gradient, &self.shape))]
    }
}
