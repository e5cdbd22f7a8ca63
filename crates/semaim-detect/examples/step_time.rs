//! Where the time of a training step goes: ViT-Ti at a canvas of 512, two images, parts forward one by one, then whole
//! steps. `cargo run --release -p semaim-detect --example step_time [composed] [rel-pos]`.

#![allow(clippy::unwrap_used)]

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use semaim::config::{Size, VitConfig};
use semaim::feature_map::FeatureMap;
use semaim::init::initialise;
use semaim::vit::{ForwardOptions, Vit};
use semaim_detect::bitmask::BitMask;
use semaim_detect::boxes::BoundingBox;
use semaim_detect::config::DetectorConfig;
use semaim_detect::instances::Instances;
use semaim_detect::model::{MaskRcnn, Mode};
use semaim_kernels::Kernels;
use semaim_random::{Key, KeyedRng, Stream};

const CANVAS: usize = 512;
const BATCH: usize = 2;
const OBJECTS: usize = 7;

fn truth(image: u64) -> Instances {
    let mut rng = KeyedRng::new(Key::new(0, 0, image), Stream::Init);
    let mut truth = Instances::default();
    for _ in 0..OBJECTS {
        let side = |rng: &mut KeyedRng| 16 + rng.below(200) as usize;
        let (width, height) = (side(&mut rng), side(&mut rng));
        let x = rng.below((CANVAS - width) as u64) as usize;
        let y = rng.below((CANVAS - height) as u64) as usize;
        let mut mask = BitMask::empty([CANVAS, CANVAS]);
        for row in y..y + height {
            mask.pixels[row * CANVAS + x..][..width].fill(true);
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

fn main() {
    let given: Vec<String> = std::env::args().collect();
    if given.iter().any(|word| word == "composed") {
        semaim_kernels::choose(Kernels::Composed);
    }
    semaim_kernels::keep_memory();
    let device = Device::flex();
    let vit = VitConfig::sized(Size::Tiny);
    let encoder = initialise(Vit::zeros(&vit, &device), 0);
    let mut config = DetectorConfig {
        canvas: CANVAS,
        ..DetectorConfig::default()
    };
    config.attention.window = 16;
    config.attention.relative_positions = given.iter().any(|word| word == "rel-pos");
    let model = MaskRcnn::new(encoder, config, 0, &device).unwrap().train();
    let mut rng = KeyedRng::new(Key::default(), Stream::Init);
    let shape = [BATCH, 3, CANVAS, CANVAS];
    let pixels: Vec<f32> = (0..shape.iter().product())
        .map(|_| rng.normal() as f32)
        .collect();
    let tracked = device.autodiff();
    let images = Tensor::<4>::from_data(TensorData::new(pixels, shape), &tracked);
    let sizes = [[CANVAS, CANVAS]; BATCH];
    let truths: Vec<Instances> = (0..BATCH as u64).map(truth).collect();
    let keys: Vec<Key> = (0..BATCH as u64).map(|item| Key::new(0, 0, item)).collect();
    let options = ForwardOptions::default();
    // A map without what it was computed from, so that parts can be gone back through one by one.
    let leaf = |map: &FeatureMap| FeatureMap {
        values: map.values.clone().detach().require_grad(),
        grid: map.grid,
    };
    for round in 0..3 {
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
