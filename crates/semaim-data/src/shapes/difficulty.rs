//! Tests that the set is neither trivial nor hopeless: nearest neighbors on raw pixels, and on the cut-out mask.

use super::*;

const BANK: usize = 1000;
const QUERIES: usize = 300;
/// Small, to be quick without optimization; accuracies at 64 pixels are within a few hundredths.
const SIDE: u32 = 24;
const NEIGHBORS: usize = 20;

fn set(split: Split) -> Shapes {
    Shapes::new(ShapesOptions {
        count: BANK,
        image_size: [SIDE, SIDE],
        split,
        ..ShapesOptions::default()
    })
    .unwrap()
}

/// Centered and scaled to length one, so that a dot product is a cosine.
fn normalized(mut v: Vec<f32>) -> Vec<f32> {
    let mean = v.iter().sum::<f32>() / v.len() as f32;
    v.iter_mut().for_each(|x| *x -= mean);
    let length = v.iter().map(|x| x * x).sum::<f32>().sqrt();
    v.iter_mut().for_each(|x| *x /= length);
    v
}

/// The share of queries whose class the plurality of the nearest bank images by `feature` gives.
fn accuracy(feature: impl Fn(&Sample) -> Vec<f32>) -> f32 {
    let describe = |set: &Shapes, count: usize| -> Vec<(u32, Vec<f32>)> {
        (0..count)
            .map(|i| set.sample(i))
            .map(|s| (s.label, normalized(feature(&s))))
            .collect()
    };
    let bank = describe(&set(Split::Train), BANK);
    let queries = describe(&set(Split::Eval), QUERIES);
    let mut right = 0;
    for (label, query) in &queries {
        let mut near: Vec<(f32, u32)> = bank
            .iter()
            .map(|(label, v)| (v.iter().zip(query).map(|(a, b)| a * b).sum(), *label))
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut votes = [0u32; CLASSES];
        for (_, label) in &near[..NEIGHBORS] {
            votes[*label as usize] += 1;
        }
        let best = (0..CLASSES).max_by_key(|c| votes[*c]).unwrap();
        right += u32::from(best as u32 == *label);
    }
    right as f32 / QUERIES as f32
}

#[test]
fn raw_pixels_say_little() {
    let accuracy = accuracy(|s| s.pixels.bytes().iter().map(|b| f32::from(*b)).collect());
    assert!((0.08..0.35).contains(&accuracy), "{accuracy}");
}

#[test]
fn the_outline_says_nearly_all() {
    // The mask, cut out by its box and brought to 10 x 10 cells: what a perfect segmentation knows.
    let accuracy = accuracy(|s| {
        let side = 10;
        (0..side * side)
            .map(|n| {
                let x = s.bounds.x + (n % side) * s.bounds.width / side;
                let y = s.bounds.y + (n / side) * s.bounds.height / side;
                f32::from(u8::from(s.mask[(y * SIDE + x) as usize]))
            })
            .collect()
    });
    assert!(accuracy > 0.75, "{accuracy}");
}
