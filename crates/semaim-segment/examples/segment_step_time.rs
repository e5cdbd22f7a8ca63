//! Where the time of a training step goes: a head on an encoder at a crop of 512, part by part; or whole steps alone, with a line of JSON.
//! `cargo run --release -p semaim-segment --example segment_step_time -- [tiny|small|base] [linear|upernet] [frozen] [composed] [whole]
//! [batch=2] [crop=512] [classes=150] [rounds=3]`.

#![allow(clippy::unwrap_used)]

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use semaim::batch_norm::NormMode;
use semaim::config::{Size, VitConfig};
use semaim::feature_map::FeatureMap;
use semaim::grid::Grid;
use semaim::init::initialize;
use semaim::vit::{ForwardOptions, Vit};
use semaim_kernels::Kernels;
use semaim_random::{Key, KeyedRng, Stream};
use semaim_segment::config::{HeadKind, SegmenterConfig};
use semaim_segment::losses::cross_entropy;
use semaim_segment::model::Segmenter;

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    println!("{what:<28} {:8.3} s", start.elapsed().as_secs_f64());
    result
}

/// A map without what it was computed from, so that parts can be gone back through one by one.
fn leaf(map: &FeatureMap) -> FeatureMap {
    FeatureMap {
        values: map.values.clone().detach().require_grad(),
        grid: map.grid,
    }
}

/// Runs something once uncounted and `rounds` times more; a line of JSON with the median.
fn report(rounds: usize, mut run: impl FnMut()) {
    let mut seconds: Vec<f64> = (0..=rounds)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .skip(1)
        .collect();
    seconds.sort_by(f64::total_cmp);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes: u64 = peak.map_or(0, |peak| {
        peak.trim().trim_end_matches(" kB").parse().unwrap_or(0)
    });
    println!(
        "{{\"seconds\": {}, \"peak_bytes\": {}}}",
        seconds[rounds / 2],
        1024 * kibibytes
    );
}

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let is = |word: &str| given.iter().any(|given| given == word);
    let number = |name: &str, usual: usize| -> usize {
        let value = given
            .iter()
            .find_map(|given| given.strip_prefix(name)?.strip_prefix('='));
        value.map_or(usual, |value| value.parse().unwrap())
    };
    if is("composed") {
        semaim_kernels::choose(Kernels::Composed);
    }
    semaim_kernels::keep_memory();
    let (batch, crop) = (number("batch", 2), number("crop", 512));
    let device = Device::flex();
    let size = match (is("small"), is("base")) {
        (true, _) => Size::Small,
        (_, true) => Size::Base,
        _ => Size::Tiny,
    };
    let encoder = initialize(Vit::zeros(&VitConfig::sized(size), &device), 0);
    let config = SegmenterConfig {
        classes: number("classes", 150),
        head: if is("linear") {
            HeadKind::Linear
        } else {
            HeadKind::Upernet
        },
        ..SegmenterConfig::default()
    };
    let classes = config.classes as u64;
    let model = Segmenter::new(encoder, config, 0, &device).unwrap();
    let model = if is("frozen") { model.frozen() } else { model };
    let model = model.train();
    let mut rng = KeyedRng::new(Key::default(), Stream::Init);
    let shape = [batch, 3, crop, crop];
    let pixels: Vec<f32> = (0..shape.iter().product())
        .map(|_| rng.normal() as f32)
        .collect();
    let images = Tensor::<4>::from_data(TensorData::new(pixels, shape), &device);
    let labels: Vec<u8> = (0..batch * crop * crop)
        .map(|_| rng.below(classes) as u8)
        .collect();
    let size = Grid {
        rows: crop,
        columns: crop,
    };
    let encode = || {
        let images = Tensor::from_inner(images.clone());
        model.encode(images, ForwardOptions::default()).unwrap()
    };
    let rounds = number("rounds", 3);
    let step = || {
        let (losses, _) = model.losses(&encode(), &labels, size).unwrap();
        losses.total().backward()
    };
    if is("whole") {
        report(rounds, || drop(step()));
        return;
    }
    for round in 0..rounds {
        println!("round {round}");
        timed("whole step", step);
        let maps = timed("encoder", encode);
        let cut: Vec<FeatureMap> = maps.iter().map(leaf).collect();
        if !is("frozen") {
            timed("encoder backward", || {
                let sums = maps.into_iter().map(|map| map.values.sum());
                Tensor::cat(sums.collect(), 0).sum().backward();
            });
        }
        let logits = timed("heads", || model.logits(&cut, &mut NormMode::training()));
        let cut = leaf(&logits.main);
        timed("heads backward", || {
            let auxiliary = logits.auxiliary.iter().map(|map| map.values.clone().sum());
            let sums = auxiliary.chain([logits.main.values.clone().sum()]);
            Tensor::cat(sums.collect(), 0).sum().backward();
        });
        let loss = timed("loss", || cross_entropy(&cut, &labels, size));
        timed("loss backward", || loss.backward());
    }
}
