//! The block, as content block and as query block.

use burn::tensor::Tensor;
use semaim_kernels::{
    Activation, BlockWeights, DropPathScales, LAYER_NORM_EPSILON, LinearWeights, NormWeights,
    PrefixMask, Projections, Recompute, block, composed,
};

use crate::draw::Numbers;
use crate::operation::{Any, Operation};

/// What a block is drawn for.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    samples: usize,
    query_len: usize,
    /// `None`: the block looks at its own input.
    key_len: Option<usize>,
    heads: usize,
    head_width: usize,
    hidden: usize,
    /// Whether queries, keys and values are one layer.
    joint: bool,
    masked: bool,
    dropped: bool,
}

/// Takes a block's inputs off a list that [`operation`] made.
fn weights(inputs: &mut impl Iterator<Item = Any>, sizes: Sizes) -> BlockWeights {
    fn linear(inputs: &mut impl Iterator<Item = Any>) -> LinearWeights {
        LinearWeights {
            weight: inputs.next().unwrap().two(),
            bias: inputs.next().unwrap().one(),
        }
    }
    fn norm(inputs: &mut impl Iterator<Item = Any>, epsilon: f64) -> NormWeights {
        NormWeights {
            weight: inputs.next().unwrap().one(),
            bias: inputs.next().unwrap().one(),
            epsilon,
        }
    }
    BlockWeights {
        norm1: norm(inputs, 1e-3),
        norm2: norm(inputs, LAYER_NORM_EPSILON),
        proj: linear(inputs),
        fc1: linear(inputs),
        activation: Activation::Gelu,
        fc2: linear(inputs),
        projections: if sizes.joint {
            Projections::Joint(Box::new(linear(inputs)))
        } else {
            Projections::Separate(Box::new([linear(inputs), linear(inputs), linear(inputs)]))
        },
        num_heads: sizes.heads,
    }
}

fn operation(numbers: &mut Numbers, sizes: Sizes, recompute: Recompute) -> Operation {
    operation_with(numbers, sizes, recompute, None)
}

/// With these factors of both branches, or random ones where the sizes ask for any.
fn operation_with(
    numbers: &mut Numbers,
    sizes: Sizes,
    recompute: Recompute,
    factors: Option<[f32; 3]>,
) -> Operation {
    let Sizes {
        samples,
        query_len,
        key_len,
        heads,
        head_width,
        hidden,
        joint,
        ..
    } = sizes;
    let width = heads * head_width;
    let mut inputs = vec![(
        "x",
        Any::Three(numbers.tensor([samples, query_len, width], 1.0)),
    )];
    if let Some(key_len) = key_len {
        inputs.push((
            "context",
            Any::Three(numbers.tensor([samples, key_len, width], 1.0)),
        ));
    }
    for name in ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"] {
        inputs.push((name, Any::One(numbers.tensor([width], 0.5))));
    }
    let mut linear = |[weight, bias]: [&'static str; 2], outputs: usize, depth: usize| {
        let deviation = 1.5 * (depth as f64).powf(-0.5);
        inputs.push((
            weight,
            Any::Two(numbers.tensor([outputs, depth], deviation)),
        ));
        inputs.push((bias, Any::One(numbers.tensor([outputs], 0.3))));
    };
    linear(["proj.weight", "proj.bias"], width, width);
    linear(["fc1.weight", "fc1.bias"], hidden, width);
    linear(["fc2.weight", "fc2.bias"], width, hidden);
    if joint {
        linear(["qkv.weight", "qkv.bias"], 3 * width, width);
    } else {
        for names in [
            ["q.weight", "q.bias"],
            ["k.weight", "k.bias"],
            ["v.weight", "v.bias"],
        ] {
            linear(names, width, width);
        }
    }
    let tokens = key_len.unwrap_or(query_len);
    let mask = sizes.masked.then(|| {
        PrefixMask::new(
            numbers.prefix_lens(samples, query_len, tokens),
            samples,
            tokens,
        )
    });
    let mut factors = || match factors {
        Some(factors) => factors.to_vec(),
        None => (0..samples).map(|_| numbers.pick(&[0.0, 1.25])).collect(),
    };
    let drop_path = sizes.dropped.then(|| DropPathScales {
        attention: factors(),
        mlp: factors(),
    });
    let deviation = (width as f64).powf(-0.5);
    let form = move |fused: bool| {
        let (mask, drop_path) = (mask.clone(), drop_path.clone());
        move |inputs: &[Any]| {
            let mut inputs = inputs.iter().cloned();
            let x = inputs.next().unwrap().three();
            let context = key_len.map(|_| inputs.next().unwrap().three());
            let weights = weights(&mut inputs, sizes);
            let (mask, drop_path) = (mask.as_ref(), drop_path.as_ref());
            if fused {
                block(x, context, mask, weights, drop_path, recompute)
            } else {
                composed::block(x, context, mask, weights, drop_path)
            }
        }
    };
    Operation {
        text: format!("{sizes:?}"),
        inputs,
        weighting: numbers.values(samples * query_len * width, deviation),
        composed: Box::new(form(false)),
        fused: Box::new(form(true)),
    }
}

/// Sizes of every kind: one token, one sample, odd head widths, more than one stripe of rows.
fn random_sizes(numbers: &mut Numbers) -> Sizes {
    let query_len = numbers.pick(&[1, 2, 5, 12, 13, 24, 37, 50, 65, 110]);
    let head_width = numbers.pick(&[1, 3, 7, 8, 16, 17, 32, 64]);
    Sizes {
        samples: numbers.whole(1, 5),
        query_len,
        key_len: match numbers.whole(0, 2) {
            0 => None,
            1 => Some(query_len + 1),
            _ => Some(numbers.whole(1, 70)),
        },
        // Layer norm of a few numbers that happen to be close magnifies rounding without bound.
        heads: numbers.whole(1, 4).max(8_usize.div_ceil(head_width)),
        head_width,
        hidden: numbers.pick(&[1, 5, 16, 48, 100, 257]),
        joint: numbers.bernoulli(0.5),
        masked: numbers.bernoulli(0.7),
        dropped: numbers.bernoulli(0.3),
    }
}

fn random(seed: u64, recompute: Recompute) -> Operation {
    let numbers = &mut Numbers::new(seed);
    let sizes = random_sizes(numbers);
    operation(numbers, sizes, recompute)
}

#[test]
fn random_blocks_agree_with_composed_ones() {
    for seed in 0..60 {
        random(seed, Recompute::None).assert_forms_agree();
    }
}

/// Layer norms of few numbers magnify rounding, so sizes are those of networks.
#[test]
fn blocks_in_bf16_agree_but_for_rounding() {
    let numbers = &mut Numbers::new(5000);
    for round in 0..12 {
        let query_len = numbers.pick(&[1, 15, 33, 64, 110, 130]);
        let sizes = Sizes {
            samples: 3,
            query_len,
            key_len: numbers.bernoulli(0.5).then(|| numbers.whole(1, 140)),
            heads: numbers.whole(2, 4),
            head_width: numbers.pick(&[16, 32, 40]),
            hidden: numbers.pick(&[48, 100, 257]),
            joint: round % 2 == 0,
            masked: numbers.bernoulli(0.7),
            dropped: numbers.bernoulli(0.3),
        };
        let recompute = numbers.pick(&[Recompute::None, Recompute::Mlp, Recompute::Block]);
        let factors = Some([0.0, 1.25, 1.25]);
        let operation = operation_with(numbers, sizes, recompute, factors).in_bf16();
        operation.assert_forms_agree_but_for_rounding();
        operation.assert_threads_change_no_bit();
        operation.assert_same_without_gradients();
    }
}

#[test]
fn a_block_of_the_method_agrees() {
    let numbers = &mut Numbers::new(1000);
    for (key_len, joint) in [(None, true), (Some(197), false), (Some(197), true)] {
        let sizes = Sizes {
            samples: 3,
            query_len: if key_len.is_some() { 196 } else { 197 },
            key_len,
            heads: 3,
            head_width: 64,
            hidden: 768,
            joint,
            masked: true,
            dropped: false,
        };
        operation(numbers, sizes, Recompute::None).assert_forms_agree();
    }
}

#[test]
fn computing_again_changes_no_bit() {
    for seed in 0..12 {
        let kept = random(seed, Recompute::None);
        let expected = kept.run(&kept.fused);
        for recompute in [Recompute::Mlp, Recompute::Block] {
            let again = random(seed, recompute);
            assert!(
                again.run(&again.fused) == expected,
                "{recompute:?}: {}",
                kept.text
            );
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for seed in 0..12 {
        random(seed, Recompute::None).assert_threads_change_no_bit();
    }
}

#[test]
fn without_gradients_the_result_is_the_same() {
    for seed in 0..12 {
        random(seed, Recompute::None).assert_same_without_gradients();
    }
}

#[test]
fn gradients_are_differences() {
    let numbers = &mut Numbers::new(2000);
    for round in 0..16 {
        let sizes = Sizes {
            samples: 2,
            query_len: numbers.whole(1, 14),
            key_len: numbers.bernoulli(0.5).then(|| numbers.whole(1, 20)),
            heads: numbers.whole(1, 2),
            head_width: numbers.pick(&[3, 8]),
            hidden: numbers.pick(&[5, 16]),
            joint: round % 2 == 0,
            masked: numbers.bernoulli(0.7),
            dropped: numbers.bernoulli(0.3),
        };
        operation(numbers, sizes, Recompute::None).assert_gradients_are_differences(numbers);
    }
}

/// What drop path leaves out is not computed: weights that would spoil it do not show, forward or backward.
#[test]
fn dropped_branches_are_not_computed() {
    let finite = |named: &[crate::operation::Named]| {
        named.iter().all(|(_, x)| x.iter().all(|x| x.is_finite()))
    };
    for recompute in [Recompute::None, Recompute::Mlp, Recompute::Block] {
        for (key_len, spoilt) in [
            (None, "fc1.bias"),
            (Some(9), "fc2.bias"),
            (Some(9), "proj.bias"),
        ] {
            let numbers = &mut Numbers::new(3000);
            let sizes = Sizes {
                samples: 3,
                query_len: 7,
                key_len,
                heads: 2,
                head_width: 8,
                hidden: 24,
                joint: true,
                masked: false,
                dropped: true,
            };
            let mut operation = operation_with(numbers, sizes, recompute, Some([0.0; 3]));
            assert!(finite(&operation.run(&operation.fused)));
            for (name, input) in &mut operation.inputs {
                if *name == spoilt {
                    *input = Any::One((input.one() * f32::NAN).detach().require_grad());
                }
            }
            let plain: Vec<Any> = operation.inputs.iter().map(|(_, x)| x.clone()).collect();
            let result = crate::operation::flat((operation.fused)(&plain).inner());
            let x = crate::operation::flat(plain[0].three().inner());
            assert!(result == x, "{spoilt}, {recompute:?}");
            assert!(finite(&operation.run(&operation.fused)));
        }
    }
}

/// A mask that is on a device stays there, and the block with it is the composed one.
#[test]
fn masks_on_a_device_are_those_on_the_host() {
    let numbers = &mut Numbers::new(4000);
    let [samples, query_len, key_len] = [2, 5, 7];
    let host = PrefixMask::new(
        numbers.prefix_lens(samples, query_len, key_len),
        samples,
        key_len,
    );
    let device = PrefixMask::on_device(host.prefix_lens(), key_len);
    let mut x = |tokens: usize| numbers.tensor::<3>([samples, tokens, 12], 1.0);
    let (query, key, value) = (x(query_len), x(key_len), x(key_len));
    let attention = |mask: &PrefixMask| {
        let [query, key, value] = [&query, &key, &value].map(Tensor::clone);
        crate::operation::flat(composed::attention(query, key, value, 3, Some(mask)).inner())
    };
    assert_eq!(attention(&device), attention(&host));
}
