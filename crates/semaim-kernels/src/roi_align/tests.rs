use super::*;
use burn::tensor::Device;
use semaim_random::{Key, KeyedRng, Stream};

/// The definition, sample by sample and channel by channel, in double precision but for the places of samples.
fn brute_force(features: &[f32], channels: usize, region: &Region, form: &RoiAlign) -> Vec<f64> {
    let [rows, columns] = form.map;
    let positions = rows * columns;
    let image = &features[region.image * positions * channels..][..positions * channels];
    let [x0, y0, x1, y1] = region.corners.map(|corner| corner * form.scale - 0.5);
    let (width, height) = (x1 - x0, y1 - y0);
    let (bin_width, bin_height) = (width / form.bins as f32, height / form.bins as f32);
    let (across, down) = (bin_width.ceil() as usize, bin_height.ceil() as usize);
    let mut out = Vec::new();
    for by in 0..form.bins {
        for bx in 0..form.bins {
            for channel in 0..channels {
                let mut sum = 0.0;
                for sy in 0..down {
                    for sx in 0..across {
                        let y = y0
                            + by as f32 * bin_height
                            + (sy as f32 + 0.5) * bin_height / down as f32;
                        let x = x0
                            + bx as f32 * bin_width
                            + (sx as f32 + 0.5) * bin_width / across as f32;
                        sum += bilinear(image, channels, channel, form.map, y, x);
                    }
                }
                out.push(sum / (across * down).max(1) as f64);
            }
        }
    }
    out
}

fn bilinear(
    image: &[f32],
    channels: usize,
    channel: usize,
    [rows, columns]: [usize; 2],
    y: f32,
    x: f32,
) -> f64 {
    if y < -1.0 || y > rows as f32 || x < -1.0 || x > columns as f32 {
        return 0.0;
    }
    let neighbors = |place: f32, size: usize| {
        let place = place.max(0.0);
        let low = place as usize;
        if low >= size - 1 {
            (size - 1, size - 1, 0.0)
        } else {
            (low, low + 1, f64::from(place - low as f32))
        }
    };
    let (top, bottom, down) = neighbors(y, rows);
    let (left, right, across) = neighbors(x, columns);
    let at = |y: usize, x: usize| f64::from(image[(y * columns + x) * channels + channel]);
    (1.0 - down) * ((1.0 - across) * at(top, left) + across * at(top, right))
        + down * ((1.0 - across) * at(bottom, left) + across * at(bottom, right))
}

/// Features, regions and form of a random case: regions of no area, outside, larger than the map.
fn random_case(item: u64) -> (Vec<f32>, [usize; 3], Vec<Region>, RoiAlign) {
    let mut rng = KeyedRng::new(Key::new(9, 0, item), Stream::Init);
    let form = RoiAlign {
        map: [1 + rng.below(9) as usize, 1 + rng.below(9) as usize],
        scale: [1.0, 0.5, 0.0625][rng.below(3) as usize],
        bins: 1 + rng.below(4) as usize,
    };
    let (batch, channels) = (2, 3);
    let shape = [batch, form.map[0] * form.map[1], channels];
    let features = (0..shape.iter().product())
        .map(|_| rng.between(-1.0, 1.0) as f32)
        .collect();
    let size = 12.0 / f64::from(form.scale);
    let regions = (0..8)
        .map(|number| {
            let [x, y] = [0, 1].map(|_| rng.between(-0.5, 1.2) * size);
            let [width, height] = [0, 1].map(|_| rng.uniform_f64() * size);
            let (width, height) = match number {
                0 => (0.0, height),
                1 => (0.0, 0.0),
                2 => (0.01, 3.0 * size),
                _ => (width, height),
            };
            Region {
                image: rng.below(2) as usize,
                corners: [x, y, x + width, y + height].map(|v| v as f32),
            }
        })
        .collect();
    (features, shape, regions, form)
}

fn tensor(values: &[f32], shape: [usize; 3], device: &Device) -> Tensor<3> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

type Operation = fn(Tensor<3>, &[Region], &RoiAlign) -> Tensor<3>;

fn values(x: Tensor<3>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

fn agrees_with_brute_force(operation: Operation) {
    let device = Device::flex();
    for item in 0..40 {
        let (features, shape, regions, form) = random_case(item);
        for regions in [regions.as_slice(), &regions[..1]] {
            let out = operation(tensor(&features, shape, &device), regions, &form);
            assert_eq!(out.dims(), [regions.len(), form.bins * form.bins, shape[2]]);
            let expected = regions
                .iter()
                .flat_map(|region| brute_force(&features, shape[2], region, &form));
            for (found, expected) in values(out).into_iter().zip(expected) {
                assert!((f64::from(found) - expected).abs() < 1e-5);
            }
        }
    }
}

/// The operation is linear in the features, so finite differences have no error but rounding.
fn gradient_by_finite_differences(operation: Operation) {
    let device = Device::flex();
    for item in 0..10 {
        let (features, shape, regions, form) = random_case(item);
        let mut rng = KeyedRng::new(Key::new(10, 0, item), Stream::Init);
        let outs = regions.len() * form.bins * form.bins * shape[2];
        let weights: Vec<f32> = (0..outs).map(|_| rng.between(-1.0, 1.0) as f32).collect();
        let tracked = device.clone().autodiff();
        let x = tensor(&features, shape, &tracked).require_grad();
        let out = operation(x.clone(), &regions, &form);
        let loss = (out.clone() * tensor(&weights, out.dims(), &tracked)).sum();
        let gradients = loss.backward();
        let gradient = values(x.grad(&gradients).unwrap());
        let loss = |features: &[f32]| -> f64 {
            let all = regions
                .iter()
                .flat_map(|region| brute_force(features, shape[2], region, &form));
            all.zip(&weights).map(|(v, w)| v * f64::from(*w)).sum()
        };
        for i in 0..features.len() {
            let mut moved = [features.clone(), features.clone()];
            moved[0][i] = 1.5;
            moved[1][i] = -0.5;
            let difference = (loss(&moved[0]) - loss(&moved[1])) / 2.0;
            assert!((difference - f64::from(gradient[i])).abs() < 1e-4);
        }
    }
}

fn fused_form(features: Tensor<3>, regions: &[Region], form: &RoiAlign) -> Tensor<3> {
    fused::roi_align::roi_align(&features, regions, form).unwrap()
}

#[test]
fn fused_agrees_with_brute_force() {
    agrees_with_brute_force(fused_form);
}

#[test]
fn fused_gradient_agrees_with_finite_differences() {
    gradient_by_finite_differences(fused_form);
}

#[test]
fn composed_agrees_with_brute_force() {
    agrees_with_brute_force(composed);
}

#[test]
fn composed_gradient_agrees_with_finite_differences() {
    gradient_by_finite_differences(composed);
}

#[test]
fn a_constant_map_gives_the_constant_inside() {
    let device = Device::flex();
    let form = RoiAlign {
        map: [6, 5],
        scale: 0.25,
        bins: 3,
    };
    let region = Region {
        image: 0,
        corners: [3.0, 2.0, 16.0, 21.0],
    };
    let out = roi_align(Tensor::ones([1, 30, 2], &device), &[region], &form);
    assert!(values(out).iter().all(|v| (v - 1.0).abs() < 1e-6));
}
