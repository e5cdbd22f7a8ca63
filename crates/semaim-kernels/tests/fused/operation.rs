//! An operation in both forms, and what is asked of it.

use burn::tensor::{Device, Tensor, TensorData};
use semaim_kernels::{Precision, with_precision};

use crate::draw::Numbers;

/// One form of an operation, as a function of its inputs.
pub(crate) type Form = Box<dyn Fn(&[Any]) -> Tensor<3> + Send + Sync>;

/// A named tensor, flattened.
pub(crate) type Named = (&'static str, Vec<f32>);

/// A tensor of any number of axes.
#[derive(Clone, Debug)]
pub(crate) enum Any {
    One(Tensor<1>),
    Two(Tensor<2>),
    Three(Tensor<3>),
    Four(Tensor<4>),
}

/// An operation on some inputs.
pub(crate) struct Operation {
    /// What failures are reported with.
    pub(crate) text: String,
    /// Differentiable inputs.
    pub(crate) inputs: Vec<(&'static str, Any)>,
    /// Under test.
    pub(crate) fused: Form,
    /// What it is to agree with.
    pub(crate) composed: Form,
    /// How much each number of the result counts in the sum whose gradients are compared.
    pub(crate) weighting: Vec<f32>,
}

pub(crate) fn flat<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

impl Any {
    fn zip_with(&self, other: &[f32], f: impl Fn(f32, f32) -> f32) -> Self {
        fn zipped<const D: usize>(
            t: &Tensor<D>,
            other: &[f32],
            f: impl Fn(f32, f32) -> f32,
        ) -> Tensor<D> {
            let values: Vec<f32> = flat(t.clone())
                .iter()
                .zip(other)
                .map(|(&a, &b)| f(a, b))
                .collect();
            let data = TensorData::new(values, t.dims());
            Tensor::from_data(data, &Device::flex().autodiff()).require_grad()
        }
        match self {
            Self::One(t) => Self::One(zipped(t, other, f)),
            Self::Two(t) => Self::Two(zipped(t, other, f)),
            Self::Three(t) => Self::Three(zipped(t, other, f)),
            Self::Four(t) => Self::Four(zipped(t, other, f)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::One(t) => t.shape().num_elements(),
            Self::Two(t) => t.shape().num_elements(),
            Self::Three(t) => t.shape().num_elements(),
            Self::Four(t) => t.shape().num_elements(),
        }
    }

    fn without_gradient(&self) -> Self {
        match self {
            Self::One(t) => Self::One(t.clone().detach()),
            Self::Two(t) => Self::Two(t.clone().detach()),
            Self::Three(t) => Self::Three(t.clone().detach()),
            Self::Four(t) => Self::Four(t.clone().detach()),
        }
    }

    pub(crate) fn one(&self) -> Tensor<1> {
        match self {
            Self::One(t) => t.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn two(&self) -> Tensor<2> {
        match self {
            Self::Two(t) => t.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn three(&self) -> Tensor<3> {
        match self {
            Self::Three(t) => t.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn four(&self) -> Tensor<4> {
        match self {
            Self::Four(t) => t.clone(),
            other => panic!("{other:?}"),
        }
    }
}

impl Operation {
    fn values(&self) -> Vec<Any> {
        self.inputs.iter().map(|(_, input)| input.clone()).collect()
    }

    /// The result and the gradients of all inputs.
    pub(crate) fn run(&self, form: &Form) -> Vec<Named> {
        let out = form(&self.values());
        let weighting = TensorData::new(self.weighting.clone(), out.dims());
        let weighting = Tensor::from_data(weighting, &Device::flex().autodiff());
        let mut all = vec![("result", flat(out.clone().inner()))];
        let gradients = (out * weighting).sum().backward();
        for (name, input) in &self.inputs {
            let gradient = match input {
                Any::One(t) => t.grad(&gradients).map(flat),
                Any::Two(t) => t.grad(&gradients).map(flat),
                Any::Three(t) => t.grad(&gradients).map(flat),
                Any::Four(t) => t.grad(&gradients).map(flat),
            };
            all.push((name, gradient.unwrap_or_default()));
        }
        all
    }

    /// Both forms give the same to 1e-5 of each tensor's largest value.
    pub(crate) fn assert_forms_agree(&self) {
        assert_close(
            &self.text,
            &self.run(&self.fused),
            &self.run(&self.composed),
            1e-5,
        );
    }

    /// One, two and seven threads give the same bytes.
    pub(crate) fn assert_threads_change_no_bit(&self) {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| self.run(&self.fused))
        };
        let expected = with(1);
        assert!(with(2) == expected, "two threads: {}", self.text);
        assert!(with(7) == expected, "seven threads: {}", self.text);
    }

    /// The operation whose fused form computes in bf16.
    pub(crate) fn in_bf16(self) -> Self {
        let fused = self.fused;
        Self {
            text: format!("bf16: {}", self.text),
            fused: Box::new(move |inputs| with_precision(Precision::Bf16, || fused(inputs))),
            ..self
        }
    }

    /// The fused form, which is to compute in bf16, gives what the composed one does in `f32` but for rounding of the factors,
    /// and for that it does not give the same.
    pub(crate) fn assert_forms_agree_but_for_rounding(&self) {
        let length = |v: &[f32]| v.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let (got, expected) = (self.run(&self.fused), self.run(&self.composed));
        assert!(got != expected, "{}: nothing was rounded", self.text);
        let of_all = expected.iter().map(|(_, x)| length(x)).fold(0.0, f64::max);
        for ((name, got), (_, expected)) in got.iter().zip(&expected) {
            assert_eq!(got.len(), expected.len(), "{}: {name}", self.text);
            let difference: Vec<f32> = got.iter().zip(expected).map(|(g, e)| g - e).collect();
            let off = length(&difference) / length(expected).max(0.05 * of_all);
            assert!(off < 0.1, "{}: {name} is off by {off:e}", self.text);
        }
    }

    /// Without anything to differentiate, the result is the same to the bit.
    pub(crate) fn assert_same_without_gradients(&self) {
        let plain: Vec<Any> = self.values().iter().map(Any::without_gradient).collect();
        let result = flat((self.fused)(&plain).inner());
        assert!(result == self.run(&self.fused)[0].1, "{}", self.text);
    }

    /// Each input's gradient is what a small step of it along a random direction, forth and back, makes of the result.
    pub(crate) fn assert_gradients_are_differences(&self, numbers: &mut Numbers) {
        const STEP: f32 = 1e-2;
        let gradients = self.run(&self.fused);
        let sum_at = |values: &[Any]| -> f64 {
            let out = flat((self.fused)(values).inner());
            out.iter()
                .zip(&self.weighting)
                .map(|(&o, &w)| f64::from(o) * f64::from(w))
                .sum()
        };
        for (i, (name, gradient)) in gradients.iter().skip(1).enumerate() {
            let mut values = self.values();
            let here = values[i].clone();
            let direction: Vec<f32> = (0..here.len()).map(|_| numbers.normal()).collect();
            let mut at = |step: f32| {
                values[i] = here.zip_with(&direction, |x, d| x + step * d);
                sum_at(&values)
            };
            let measured = (at(STEP) - at(-STEP)) / (2.0 * f64::from(STEP));
            let expected: f64 = gradient
                .iter()
                .zip(&direction)
                .map(|(&g, &d)| f64::from(g) * f64::from(d))
                .sum();
            let length = |v: &[f32]| v.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            let off =
                (measured - expected).abs() / (length(gradient) * length(&direction)).max(1e-1);
            assert!(
                off < 5e-3,
                "{}: {name}: measured {measured}, gradient {expected}",
                self.text
            );
        }
    }
}

/// Asserts agreement to `tolerance` of each tensor's largest value.
pub(crate) fn assert_close(case: &str, got: &[Named], expected: &[Named], tolerance: f32) {
    assert_eq!(got.len(), expected.len());
    // The gradient of a key's bias is zero but for rounding: it has no largest value of its own.
    let of_all = expected
        .iter()
        .flat_map(|(_, values)| values)
        .fold(0.0_f32, |m, v| m.max(v.abs()));
    for ((name, got), (_, expected)) in got.iter().zip(expected) {
        assert_eq!(got.len(), expected.len(), "{case}: {name}");
        let largest = expected.iter().fold(0.05 * of_all, |m, v| m.max(v.abs()));
        for (i, (g, e)) in got.iter().zip(expected).enumerate() {
            let off = (g - e).abs() / largest;
            assert!(
                off <= tolerance,
                "{case}: {name}[{i}] is {g}, composed {e}, off by {off:e} of {largest}"
            );
        }
    }
}
