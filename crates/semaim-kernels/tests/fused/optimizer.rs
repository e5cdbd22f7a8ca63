//! The optimizer's arithmetic, against the formulas in double precision.

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use semaim_kernels::{AdamWStep, Moments, adamw, moving_average, sum_of_squares};

use crate::draw::Numbers;
use crate::operation::flat;

fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

fn assert_near(got: &[f32], expected: &[f64], what: &str) {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    for (g, e) in got.iter().zip(expected) {
        assert!(
            (f64::from(*g) - e).abs() <= 1e-6 * largest,
            "{what}: {g} instead of {e}"
        );
    }
}

#[test]
fn adamw_follows_its_formula() {
    for seed in 0..10 {
        let numbers = &mut Numbers::new(seed);
        let shape = [numbers.whole(1, 40), numbers.whole(1, 700)];
        let count = shape[0] * shape[1];
        let start = numbers.values(count, 1.0);
        let (mut weight, mut moments) = (tensor(&start, shape), None::<Moments>);
        let mut w: Vec<f64> = start.iter().map(|&w| f64::from(w)).collect();
        let (mut m, mut v) = (vec![0.0; count], vec![0.0; count]);
        for step in 1..4 {
            let rule = AdamWStep {
                lr: 1e-2,
                weight_decay: 0.05,
                betas: [0.9, 0.95],
                epsilon: 1e-8,
                count: step,
                gradient_factor: 0.7,
            };
            let gradient = numbers.values(count, 2.0);
            let (new, kept) = adamw(weight, tensor(&gradient, [count]), moments, rule);
            (weight, moments) = (new, Some(kept));
            for (i, &g) in gradient.iter().enumerate() {
                let g = 0.7 * f64::from(g);
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.95 * v[i] + 0.05 * g * g;
                let first = m[i] / (1.0 - 0.9_f64.powi(step as i32));
                let second = v[i] / (1.0 - 0.95_f64.powi(step as i32));
                w[i] = w[i] * (1.0 - 1e-2 * 0.05) - 1e-2 * first / (second.sqrt() + 1e-8);
            }
        }
        let moments = moments.unwrap();
        assert_near(&flat(weight), &w, "weight");
        assert_near(&flat(moments.first), &m, "first moment");
        assert_near(&flat(moments.second), &v, "second moment");
    }
}

/// A tensor that somebody else still holds must not change under his hands.
#[test]
fn shared_tensors_are_left_alone() {
    let (a, b) = (tensor(&[1.0, 2.0, 3.0], [3]), tensor(&[5.0, 5.0, 5.0], [3]));
    let mean = moving_average(a.clone(), b.clone(), 0.75);
    assert_eq!(flat(mean), [2.0, 2.75, 3.5]);
    let rule = AdamWStep {
        lr: 0.1,
        weight_decay: 0.0,
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        count: 1,
        gradient_factor: 1.0,
    };
    let (moved, _) = adamw(a.clone(), b.clone(), None, rule);
    assert!(
        flat(moved)
            .iter()
            .zip([0.9, 1.9, 2.9])
            .all(|(got, e)| (got - e).abs() < 1e-6)
    );
    assert_eq!(flat(a), [1.0, 2.0, 3.0]);
    assert_eq!(flat(b), [5.0, 5.0, 5.0]);
}

/// A part of a larger tensor is updated as a tensor of its own is, to the bit: a run whose weights are views at first goes on, after a
/// kill, with weights that are none.
#[test]
fn views_are_updated_as_tensors_of_their_own() {
    let numbers = &mut Numbers::new(7);
    let (rows, width) = (12, 37);
    let whole = tensor(&numbers.values(rows * width, 1.0), [rows, width]);
    let gradient = tensor(&numbers.values(4 * width, 1.0), [4 * width]);
    let view = || whole.clone().narrow(0, 5, 4);
    let own = || tensor(&flat(view()), [4, width]);
    let rule = AdamWStep {
        lr: 1e-2,
        weight_decay: 0.05,
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        count: 1,
        gradient_factor: 0.7,
    };
    let before = flat(whole.clone());
    let moved = |weight: Tensor<2>| flat(adamw(weight, gradient.clone(), None, rule).0);
    assert_eq!(moved(view()), moved(own()));
    let mean = |average: Tensor<2>, value: Tensor<2>| flat(moving_average(average, value, 0.3));
    assert_eq!(mean(view(), own()), mean(own(), view()));
    assert_eq!(flat(whole), before);
}

#[test]
fn squares_are_summed_in_any_number_of_threads_alike() {
    for seed in 0..10 {
        let numbers = &mut Numbers::new(seed);
        let count = numbers.whole(1, 400_000);
        let values = numbers.values(count, 1.0);
        let expected: f64 = values.iter().map(|&v| f64::from(v).powi(2)).sum();
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| flat(sum_of_squares(tensor(&values, [count]))))
        };
        let sum = with(1);
        assert_near(&sum, &[expected], "sum");
        assert_eq!([with(2), with(7)], [sum.clone(), sum]);
    }
}

/// Other types than `f32` go the composed way.
#[test]
fn numbers_of_another_type_are_updated_too() {
    let double = |values: &[f32]| tensor(values, [values.len()]).cast(FloatDType::F64);
    let values = |tensor: Tensor<1>| -> Vec<f64> { tensor.into_data().try_to_vec().unwrap() };
    assert_eq!(values(sum_of_squares(double(&[3.0, 4.0]))), [25.0]);
    let mean = moving_average(double(&[1.0]), double(&[5.0]), 0.75);
    assert_eq!(values(mean), [2.0]);
    let rule = AdamWStep {
        lr: 0.1,
        weight_decay: 0.0,
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        count: 1,
        gradient_factor: 1.0,
    };
    let (moved, moments) = adamw(double(&[1.0]), double(&[2.0]), None, rule);
    assert!((values(moved)[0] - 0.9).abs() < 1e-6);
    assert!((values(moments.first)[0] - 0.2).abs() < 1e-6);
}
