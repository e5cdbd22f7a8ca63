//! The block, as content block and as query block.

use burn::tensor::Tensor;
use semaim_kernels::{
    BlockWeights, Branches, LinearWeights, NormWeights, Projections, Recompute, Visible, block,
    composed,
};

use crate::compare::{Any, Named, assert_close, result_and_gradients};
use crate::draw::Numbers;

/// A block and what goes into it.
struct Case {
    x: Tensor<3>,
    context: Option<Tensor<3>>,
    visible: Option<Visible>,
    weights: BlockWeights,
    branches: Option<Branches>,
    weighting: Tensor<3>,
    text: String,
}

/// What is asked of a case; the rest is drawn.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    samples: usize,
    looking: usize,
    /// `None`: the block looks at its own input.
    seen: Option<usize>,
    heads: usize,
    head_width: usize,
    hidden: usize,
}

impl Case {
    fn draw(numbers: &mut Numbers, sizes: Sizes, joint: bool, masked: bool, dropped: bool) -> Self {
        let Sizes {
            samples,
            looking,
            seen,
            heads,
            head_width,
            hidden,
        } = sizes;
        let width = heads * head_width;
        let deviation = (width as f64).powf(-0.5);
        let linear = |numbers: &mut Numbers, outputs, inputs: usize| LinearWeights {
            weight: numbers.tensor([outputs, inputs], 1.5 * (inputs as f64).powf(-0.5)),
            bias: numbers.tensor([outputs], 0.3),
        };
        let norm = |numbers: &mut Numbers| NormWeights {
            weight: numbers.tensor([width], 0.5),
            bias: numbers.tensor([width], 0.3),
        };
        let projections = if joint {
            Projections::Joint(Box::new(linear(numbers, 3 * width, width)))
        } else {
            Projections::Separate(Box::new([0, 1, 2].map(|_| linear(numbers, width, width))))
        };
        let weights = BlockWeights {
            norm1: norm(numbers),
            projections,
            proj: linear(numbers, width, width),
            norm2: norm(numbers),
            fc1: linear(numbers, hidden, width),
            fc2: linear(numbers, width, hidden),
            num_heads: heads,
        };
        let factors =
            |numbers: &mut Numbers| (0..samples).map(|_| numbers.pick(&[0.0, 1.25])).collect();
        let tokens = seen.unwrap_or(looking);
        Self {
            x: numbers.tensor([samples, looking, width], 1.0),
            context: seen.map(|seen| numbers.tensor([samples, seen, width], 1.0)),
            visible: masked
                .then(|| Visible::new(numbers.counts(samples, looking, tokens), samples, tokens)),
            weights,
            branches: dropped.then(|| Branches {
                attention: factors(numbers),
                mlp: factors(numbers),
            }),
            weighting: numbers.tensor([samples, looking, width], deviation),
            text: format!("{sizes:?}, joint {joint}, masked {masked}, dropped {dropped}"),
        }
    }

    fn inputs(&self) -> Vec<(&'static str, Any)> {
        let w = &self.weights;
        let mut inputs = vec![("x", Any::Three(self.x.clone()))];
        if let Some(context) = &self.context {
            inputs.push(("context", Any::Three(context.clone())));
        }
        let layers: Vec<(&str, &str, &LinearWeights)> = match &w.projections {
            Projections::Joint(qkv) => vec![("qkv.weight", "qkv.bias", &**qkv)],
            Projections::Separate(all) => vec![
                ("q.weight", "q.bias", &all[0]),
                ("k.weight", "k.bias", &all[1]),
                ("v.weight", "v.bias", &all[2]),
            ],
        };
        let others = [
            ("proj.weight", "proj.bias", &w.proj),
            ("fc1.weight", "fc1.bias", &w.fc1),
            ("fc2.weight", "fc2.bias", &w.fc2),
        ];
        for (weight, bias, layer) in layers.into_iter().chain(others) {
            inputs.push((weight, Any::Two(layer.weight.clone())));
            inputs.push((bias, Any::One(layer.bias.clone())));
        }
        for (weight, bias, norm) in [
            ("norm1.weight", "norm1.bias", &w.norm1),
            ("norm2.weight", "norm2.bias", &w.norm2),
        ] {
            inputs.push((weight, Any::One(norm.weight.clone())));
            inputs.push((bias, Any::One(norm.bias.clone())));
        }
        inputs
    }

    fn fused(&self, recompute: Recompute) -> Vec<Named> {
        let (context, weights) = (self.context.clone(), self.weights.clone());
        let out = block(
            self.x.clone(),
            context,
            self.visible.as_ref(),
            weights,
            self.branches.as_ref(),
            recompute,
        );
        result_and_gradients(out, self.weighting.clone().detach(), &self.inputs())
    }

    fn composed(&self) -> Vec<Named> {
        let (context, weights) = (self.context.clone(), self.weights.clone());
        let out = composed::block(
            self.x.clone(),
            context,
            self.visible.as_ref(),
            weights,
            self.branches.as_ref(),
        );
        result_and_gradients(out, self.weighting.clone().detach(), &self.inputs())
    }
}

fn random_case(seed: u64) -> Case {
    let numbers = &mut Numbers::new(seed);
    let looking = numbers.pick(&[1, 2, 5, 12, 13, 24, 37, 50, 65]);
    let sizes = Sizes {
        samples: numbers.whole(1, 5),
        looking,
        seen: match numbers.whole(0, 2) {
            0 => None,
            1 => Some(looking + 1),
            _ => Some(numbers.whole(1, 70)),
        },
        heads: numbers.whole(1, 4),
        head_width: numbers.pick(&[1, 3, 7, 8, 16, 17, 32, 64]),
        hidden: numbers.pick(&[1, 5, 16, 48, 100, 257]),
    };
    let (joint, masked, dropped) = (
        numbers.chance(0.5),
        numbers.chance(0.7),
        numbers.chance(0.3),
    );
    Case::draw(numbers, sizes, joint, masked, dropped)
}

#[test]
fn random_blocks_agree_with_composed_ones() {
    for seed in 0..60 {
        let case = random_case(seed);
        assert_close(
            &format!("seed {seed}: {}", case.text),
            &case.fused(Recompute::None),
            &case.composed(),
            1e-5,
        );
    }
}

#[test]
fn a_block_of_the_method_agrees() {
    let numbers = &mut Numbers::new(1000);
    for (seen, joint) in [(None, true), (Some(197), false), (Some(197), true)] {
        let looking = if seen.is_some() { 196 } else { 197 };
        let sizes = Sizes {
            samples: 3,
            looking,
            seen,
            heads: 3,
            head_width: 64,
            hidden: 768,
        };
        let case = Case::draw(numbers, sizes, joint, true, false);
        assert_close(
            &case.text,
            &case.fused(Recompute::None),
            &case.composed(),
            1e-5,
        );
    }
}

#[test]
fn computing_again_changes_no_bit() {
    for seed in 0..12 {
        let case = random_case(seed);
        let expected = case.fused(Recompute::None);
        for recompute in [Recompute::Mlp, Recompute::Block] {
            let got = case.fused(recompute);
            assert!(got == expected, "seed {seed}, {recompute:?}: {}", case.text);
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for seed in 0..12 {
        let case = random_case(seed);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| case.fused(Recompute::None))
        };
        let expected = with(1);
        assert!(
            with(2) == expected && with(7) == expected,
            "seed {seed}: {}",
            case.text
        );
    }
}

#[test]
fn without_gradients_the_result_is_the_same() {
    for seed in 0..12 {
        let case = random_case(seed);
        let expected = case.fused(Recompute::None);
        let weights = case.weights.clone();
        let plain = block(
            case.x.clone().detach(),
            case.context.clone().map(Tensor::detach),
            case.visible.as_ref(),
            weights,
            case.branches.as_ref(),
            Recompute::None,
        );
        assert_eq!(crate::compare::flat(plain.inner()), expected[0].1);
    }
}
