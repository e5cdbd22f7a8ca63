//! Where the time of a training step goes: Mask R-CNN on a plain encoder at a canvas of 512, part by part; or whole steps
//! alone, or inference alone, with a line of JSON.
//! `cargo run --release -p semaim-detect --example detect_step_time -- [tiny|small|base] [whole|infer] [composed] [rel-pos]
//! [batch=2] [canvas=512] [window=16] [rounds=3]`.

#![allow(clippy::unwrap_used)]

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use semaim::config::{Size, VitConfig};
use semaim::feature_map::FeatureMap;
use semaim::init::initialize;
use semaim::vit::{ForwardOptions, Vit};
use semaim_detect::bitmask::BitMask;
use semaim_detect::boxes::BoundingBox;
use semaim_detect::config::DetectorConfig;
use semaim_detect::instances::Instances;
use semaim_detect::model::{MaskRcnn, Mode};
use semaim_kernels::Kernels;
use semaim_random::{Key, KeyedRng, Stream};

const OBJECTS: usize = 7;

/// Rectangles that are masks too.
fn truth(image: u64, canvas: usize) -> Instances {
    let mut rng = KeyedRng::new(Key::new(0, 0, image), Stream::Init);
    let mut truth = Instances::default();
    for _ in 0..OBJECTS {
        let side = |rng: &mut KeyedRng| 16 + rng.below(canvas as u64 / 3) as usize;
        let (width, height) = (side(&mut rng), side(&mut rng));
        let x = rng.below((canvas - width) as u64) as usize;
        let y = rng.below((canvas - height) as u64) as usize;
        let mut mask = BitMask::empty([canvas, canvas]);
        for row in y..y + height {
            mask.pixels[row * canvas + x..][..width].fill(true);
        }
        let corners = [x, y, x + width, y + height].map(|v| v as f32);
        truth.boxes.push(BoundingBox::from_corners(corners));
        truth.classes.push(rng.below(80) as usize);
        truth.masks.push(Some(mask));
    }
    truth
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    println!("{what:<28} {:8.3} s", start.elapsed().as_secs_f64());
    result
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
    let (batch, canvas) = (number("batch", 2), number("canvas", 512));
    let device = Device::flex();
    let size = match (is("small"), is("base")) {
        (true, _) => Size::Small,
        (_, true) => Size::Base,
        _ => Size::Tiny,
    };
    let encoder = initialize(Vit::zeros(&VitConfig::sized(size), &device), 0);
    let mut config = DetectorConfig {
        canvas,
        ..DetectorConfig::default()
    };
    config.attention.window = number("window", 16);
    config.attention.relative_positions = is("rel-pos");
    // Of weights that have learned nothing no score is high; as many detections as there can be are what takes longest.
    config.inference.score = 0.0;
    let model = MaskRcnn::new(encoder, config, 0, &device).unwrap();
    let mut rng = KeyedRng::new(Key::default(), Stream::Init);
    let shape = [batch, 3, canvas, canvas];
    let pixels: Vec<f32> = (0..shape.iter().product())
        .map(|_| rng.normal() as f32)
        .collect();
    let images = Tensor::<4>::from_data(TensorData::new(pixels, shape), &device);
    let sizes = vec![[canvas, canvas]; batch];
    let rounds = number("rounds", 3);
    if is("infer") {
        report(rounds, || {
            model.detect(images.clone(), &sizes).unwrap();
        });
        return;
    }
    let model = model.train();
    let images = Tensor::from_inner(images);
    let items = || 0..batch as u64;
    let truths: Vec<Instances> = items().map(|image| truth(image, canvas)).collect();
    let keys: Vec<Key> = items().map(|item| Key::new(0, 0, item)).collect();
    let options = ForwardOptions::default();
    if is("whole") {
        report(rounds, || {
            let losses = model.losses(images.clone(), &sizes, &truths, &keys, options);
            losses.unwrap().total().backward();
        });
        return;
    }
    // A map without what it was computed from, so that parts can be gone back through one by one.
    let leaf = |map: &FeatureMap| FeatureMap {
        values: map.values.clone().detach().require_grad(),
        grid: map.grid,
    };
    for round in 0..rounds {
        println!("round {round}");
        let tokens = timed("backbone", || {
            model.backbone.forward(images.clone(), options)
        });
        let cut = leaf(&tokens);
        timed("backbone backward", || tokens.values.sum().backward());
        let maps = timed("pyramid", || model.pyramid.forward(&cut));
        let cut = maps.each_ref().map(leaf);
        timed("pyramid backward", || {
            let sums = maps.map(|map| map.values.sum());
            Tensor::cat(sums.to_vec(), 0).sum().backward();
        });
        let output = timed("proposal head", || model.rpn_head.forward(&cut));
        let anchors = model.anchors();
        let proposals = timed("proposals", || {
            model
                .proposals(&output, &anchors, &sizes, Mode::Training)
                .unwrap()
        });
        timed("proposal head backward", || {
            (output.logits.sum() + output.deltas.sum()).backward();
        });
        let regions: Vec<(usize, BoundingBox)> = proposals
            .iter()
            .enumerate()
            .flat_map(|(image, found)| found.iter().take(512).map(move |p| (image, p.bounds)))
            .collect();
        let few = &regions[..regions.len().min(64)];
        println!("{} regions, {} masks", regions.len(), few.len());
        let pooled = timed("pooling for boxes", || model.pool_boxes(&cut, &regions));
        let cut_pooled = pooled.clone().detach().require_grad();
        timed("pooling backward", || pooled.sum().backward());
        let boxes = timed("box head", || model.boxes(cut_pooled));
        timed("box head backward", || {
            (boxes.scores.sum() + boxes.deltas.sum()).backward();
        });
        let pooled = timed("pooling for masks", || model.pool_masks(&cut, few));
        let pooled = pooled.detach().require_grad();
        let masks = timed("mask head", || model.mask_head.forward(pooled));
        timed("mask head backward", || masks.sum().backward());
        let losses = timed("whole forward", || {
            model
                .losses(images.clone(), &sizes, &truths, &keys, options)
                .unwrap()
        });
        timed("whole backward", || losses.total().backward());
    }
}
