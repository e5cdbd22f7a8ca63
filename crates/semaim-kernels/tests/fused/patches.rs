//! Images cut into patches.

use semaim_kernels::{Channels, PixelPatches, composed, patches, pixel_patches};

use crate::draw::Numbers;
use crate::operation::{Any, Operation};

fn image_shape(numbers: &mut Numbers) -> ([usize; 4], usize) {
    let patch_size = numbers.whole(1, 5);
    let side =
        |numbers: &mut Numbers| patch_size * numbers.whole(1, 5) + numbers.whole(0, patch_size - 1);
    (
        [
            numbers.whole(1, 3),
            numbers.whole(1, 4),
            side(numbers),
            side(numbers),
        ],
        patch_size,
    )
}

#[test]
fn patches_agree_with_composed_ones() {
    for seed in 0..30 {
        let numbers = &mut Numbers::new(seed);
        let (shape, p) = image_shape(numbers);
        for channels in [Channels::First, Channels::Last] {
            let [batch, count, height, width] = shape;
            let len = batch * count * (height / p * p) * (width / p * p);
            let operation = Operation {
                text: format!("{shape:?}, patches of {p}, {channels:?}"),
                inputs: vec![("images", Any::Four(numbers.tensor(shape, 1.0)))],
                fused: Box::new(move |i| patches(i[0].four(), p, channels)),
                composed: Box::new(move |i| composed::patches(i[0].four(), p, channels)),
                weighting: numbers.values(len, 1.0),
            };
            operation.assert_forms_agree();
            operation.assert_threads_change_no_bit();
        }
    }
}

#[test]
fn pixels_to_be_predicted_agree_with_composed_ones() {
    for seed in 0..30 {
        let numbers = &mut Numbers::new(seed);
        let (shape, patch_size) = image_shape(numbers);
        let images = numbers.tensor::<4>(shape, 1.0).detach();
        let taps = numbers.whole(0, 9);
        let form = PixelPatches {
            patch_size,
            blur: numbers.values(taps, 0.3),
            normalize: numbers.bernoulli(0.5),
        };
        let text = format!("{shape:?}, {form:?}");
        let got = crate::operation::flat(pixel_patches(images.clone(), &form).inner());
        let expected = crate::operation::flat(composed::pixel_patches(images, &form).inner());
        crate::operation::assert_close(&text, &[("pixels", got)], &[("pixels", expected)], 1e-5);
    }
}
