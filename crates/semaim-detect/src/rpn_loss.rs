//! What the region proposal network is taught.

use burn::tensor::{Int, Tensor, TensorData};
use semaim_random::{Key, KeyedRng, Stream};

use crate::boxes::BoundingBox;
use crate::config::ProposalConfig;
use crate::losses::{binary_cross_entropy, l1};
use crate::matcher::{Label, Matcher, Matches};
use crate::proposals::PROPOSAL_CODER;
use crate::rpn_head::RpnOutput;
use crate::sampler::Sampler;

/// The labels of anchors and the objects that they stand for.
pub fn label_anchors(
    config: &ProposalConfig,
    anchors: &[BoundingBox],
    objects: &[BoundingBox],
) -> Matches {
    let matcher = Matcher {
        low: config.negative_iou,
        high: config.positive_iou,
        keep_best: true,
    };
    matcher.matches(objects, anchors)
}

/// Objectness over the sampled anchors and deltas over the positive ones among them, each summed and divided by the
/// number of samples asked for, whether there are as many or not. `objects` and `keys` are by image.
pub fn rpn_losses(
    config: &ProposalConfig,
    anchors: &[BoundingBox],
    output: &RpnOutput,
    objects: &[&[BoundingBox]],
    keys: &[Key],
) -> [Tensor<1>; 2] {
    let [batch, count] = output.logits.dims();
    let sampler = Sampler {
        count: config.samples,
        positive_fraction: config.positive_fraction,
    };
    let mut positive = Vec::new();
    let mut negative = Vec::new();
    let mut targets = Vec::new();
    for (image, (objects, key)) in objects.iter().zip(keys).enumerate() {
        let matches = label_anchors(config, anchors, objects);
        let of = |label: Label| -> Vec<usize> {
            let labels = matches.labels.iter().enumerate();
            labels
                .filter(|(_, l)| **l == label)
                .map(|(i, _)| i)
                .collect()
        };
        let mut rng = KeyedRng::new(*key, Stream::AnchorSample);
        let [taken, rest] = sampler.sample(&of(Label::Positive), &of(Label::Negative), &mut rng);
        for &anchor in &taken {
            let object = objects[matches.objects[anchor]];
            targets.extend(PROPOSAL_CODER.encode(anchors[anchor], object));
        }
        let flat = |anchor: usize| (image * count + anchor) as i64;
        positive.extend(taken.into_iter().map(flat));
        negative.extend(rest.into_iter().map(flat));
    }
    let device = output.logits.device();
    let share = 1.0 / (config.samples * batch) as f64;
    let positives = positive.len();
    let sampled: Vec<i64> = positive.iter().chain(&negative).copied().collect();
    let truths: Vec<f32> = (0..sampled.len())
        .map(|i| f32::from(u8::from(i < positives)))
        .collect();
    let logits = output.logits.clone().reshape([batch * count]);
    let objectness = if sampled.is_empty() {
        logits.sum() * 0.0
    } else {
        let sampled = Tensor::<1, Int>::from_ints(sampled.as_slice(), &device);
        let truths = Tensor::<1>::from_floats(truths.as_slice(), &device);
        binary_cross_entropy(logits.select(0, sampled), truths) * share
    };
    let deltas = output.deltas.clone().reshape([batch * count, 4]);
    let bounds = if positives == 0 {
        deltas.sum() * 0.0
    } else {
        let positive = Tensor::<1, Int>::from_ints(positive.as_slice(), &device);
        let targets = Tensor::from_data(TensorData::new(targets, [positives, 4]), &device);
        l1(deltas.select(0, positive), targets) * share
    };
    [objectness, bounds]
}
