//! Detectors under detectron2's names: files that Python wrote, round trips, and what is refused.
//!
//! `vitdet.pkl` is a pickle of arrays as ViTDet's models are published; `vitdet.pth` is a training checkpoint by `torch.save`
//! with the buffers that older versions keep and an average of the weights in half precision under `ema_state`. Number `i` of
//! the tensor `name` is `sum(name.encode()) % 997 + i / 1024`.

// A test says what is wrong by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use semaim::config::{Normalization, VitConfig};
use semaim::init::initialize;
use semaim::parameters::{Weight, Weights, weights};
use semaim::vit::{ForwardOptions, Vit};
use semaim_checkpoint::archive::Archive;
use semaim_checkpoint::tensors::TensorFile;
use semaim_detect::config::{DetectorConfig, RegionConfig};
use semaim_detect::detectron2::{
    Anchors, ChannelOrder, Detectron2Error, Detectron2Model, Told, to_detectron2,
};
use semaim_detect::model::MaskRcnn;
use semaim_detect::names::detectron2_name;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn read(path: &Path, told: &Told) -> Result<Detectron2Model, Detectron2Error> {
    Detectron2Model::read(path, &Archive::read(path).unwrap(), told)
}

fn expected(name: &str, shape: &[usize]) -> Weight {
    let sum: usize = name.bytes().map(usize::from).sum();
    let count: usize = shape.iter().product();
    Weight {
        shape: shape.to_vec(),
        values: (0..count)
            .map(|i| (sum % 997) as f32 + i as f32 / 1024.0)
            .collect(),
    }
}

fn check(model: &Detectron2Model, close: f32) {
    assert!(model.weights.len() > 100);
    for (name, weight) in &model.weights {
        let expected = expected(&detectron2_name(name), &weight.shape);
        for (found, expected) in weight.values.iter().zip(expected.values) {
            assert!((found - expected).abs() <= close * expected, "{name}");
        }
    }
}

#[test]
fn a_published_pickle() {
    let model = read(&file("vitdet.pkl"), &Told::default()).unwrap();
    assert_eq!(
        (model.prefix.as_str(), model.other_copies.len()),
        ("model.", 0)
    );
    check(&model, 0.0);
    let vit = VitConfig {
        image_size: [12, 12],
        patch_size: 4,
        channels: 3,
        embed_dim: 16,
        depth: 4,
        num_heads: 2,
        mlp_ratio: 2.0,
    };
    assert_eq!(model.vit, vit);
    let mut config = DetectorConfig {
        classes: 5,
        canvas: 24,
        pyramid_channels: 4,
        regions: RegionConfig {
            channels: 3,
            box_convolutions: 2,
            box_hidden: 6,
            mask_convolutions: 1,
            ..RegionConfig::default()
        },
        ..DetectorConfig::default()
    };
    config.attention.window = 2;
    config.attention.global_blocks = Some(vec![1, 3]);
    assert_eq!(model.config, config);
    assert_eq!(model.defaults_used.len(), 6, "{:?}", model.defaults_used);
    assert_eq!(model.normalization.mean, [0.485, 0.456, 0.406]);
    // It runs.
    let device = Device::flex();
    let detector = model.detector(&device).unwrap();
    let images = Tensor::zeros([1, 3, 24, 24], &device);
    let maps = detector.features(images, ForwardOptions::default());
    assert_eq!(maps[0].values.dims(), [1, 24 * 24, 4]);
}

#[test]
fn a_training_checkpoint_with_buffers_and_an_average() {
    let path = file("vitdet.pth");
    let average = read(&path, &Told::default()).unwrap();
    assert_eq!(average.prefix, "ema_state.");
    assert_eq!(average.other_copies, ["model."]);
    check(&average, 1e-3);
    let told = Told {
        prefix: Some("model.".into()),
        ..Told::default()
    };
    let model = read(&path, &told).unwrap();
    check(&model, 0.0);
    let sizes = [16.0, 32.0, 64.0, 128.0, 200.0];
    assert_eq!(model.config.proposals.anchor_sizes, sizes);
    assert_eq!(model.config.proposals.aspect_ratios, [0.5, 1.0, 2.0]);
    assert_eq!(model.defaults_used.len(), 4, "{:?}", model.defaults_used);
    let near = |found: &[f32], expected: [f32; 3]| {
        let pairs = found.iter().zip(expected);
        assert!(
            pairs.into_iter().all(|(f, e)| (f - e).abs() < 1e-6),
            "{found:?}"
        );
    };
    near(&model.normalization.mean, [0.485, 0.456, 0.406]);
    near(&model.normalization.std, [0.229, 0.224, 0.225]);
    let other = Told {
        anchors: Some(Anchors {
            sizes,
            aspect_ratios: vec![1.0, 2.0, 3.0],
        }),
        ..told
    };
    let error = read(&path, &other).unwrap_err();
    assert!(
        matches!(error, Detectron2Error::Contradiction { .. }),
        "{error}"
    );
}

#[test]
fn tables_are_resized_to_another_canvas_and_window() {
    let told = Told {
        canvas: Some(40),
        window: Some(3),
        ..Told::default()
    };
    let model = read(&file("vitdet.pkl"), &told).unwrap();
    assert_eq!(
        (model.config.canvas, model.config.attention.window),
        (40, 3)
    );
    let table =
        |block: usize| &model.weights[&format!("backbone.blocks.{block}.positions.rel_pos_h")];
    assert_eq!(table(0).shape, [5, 8]);
    assert_eq!(table(1).shape, [19, 8]);
    // Rows of the recorded table lie 8 / 1024 apart, and the ends stay.
    let first = expected("backbone.net.blocks.1.attn.rel_pos_h", &[11, 8]);
    assert_eq!(table(1).values[0], first.values[0]);
    assert_eq!(table(1).values[18 * 8..], first.values[10 * 8..]);
    let middle = table(1).values[9 * 8] - first.values[5 * 8];
    assert!(middle.abs() < 1e-4, "{middle}");
    assert!(model.detector(&Device::flex()).is_ok());
}

/// A detector whose weights are all different.
fn detector(config: DetectorConfig) -> MaskRcnn {
    let device = Device::flex();
    let vit = VitConfig {
        image_size: [16, 16],
        ..VitConfig::tiny()
    };
    let mut weights = Weights::new();
    let encoder = initialize(Vit::zeros(&vit, &device), 3);
    let model = MaskRcnn::new(encoder, config, 3, &device).unwrap();
    for (name, weight) in semaim::parameters::weights(&model).unwrap() {
        let weight = expected(&name, &weight.shape);
        weights.insert(name, weight);
    }
    semaim::parameters::with_weights(model, &weights).unwrap()
}

fn small() -> DetectorConfig {
    let mut config = DetectorConfig {
        classes: 3,
        canvas: 32,
        pyramid_channels: 4,
        ..DetectorConfig::default()
    };
    config.attention.window = 2;
    config.attention.global_blocks = Some(vec![1]);
    config.regions.channels = 4;
    config.regions.box_hidden = 6;
    config
}

#[test]
fn every_weight_comes_back_from_both_kinds_of_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut one = small();
    one.proposals.convolutions = 1;
    one.regions.box_convolutions = 0;
    one.regions.mask_convolutions = 0;
    let mut plain = small();
    plain.attention.relative_positions = false;
    plain.proposals.convolutions = 3;
    for (config, told) in [
        (small(), Told::default()),
        (one, Told::default()),
        (
            plain,
            Told {
                num_heads: Some(2),
                canvas: Some(32),
                window: Some(2),
                global_blocks: Some(vec![1]),
                ..Told::default()
            },
        ),
    ] {
        let model = detector(config.clone());
        let file = TensorFile {
            weights: written(config.clone()),
            ..TensorFile::default()
        };
        let paths = ["a.pkl", "a.safetensors"].map(|name| folder.path().join(name));
        file.write_pickle(&paths[0], "semaim").unwrap();
        file.write(&paths[1]).unwrap();
        for (path, prefix) in paths.iter().zip(["model.", ""]) {
            let found = read(path, &told).unwrap();
            assert_eq!(found.prefix, prefix);
            assert_eq!(found.config, config);
            assert_eq!(found.weights, weights(&model).unwrap());
            let again = found.detector(&Device::flex()).unwrap();
            assert_eq!(weights(&again).unwrap(), found.weights);
        }
    }
}

/// A detector's tensors under their names.
fn written(config: DetectorConfig) -> Weights {
    let usual = Normalization::usual(3);
    to_detectron2(&detector(config), &usual).unwrap().weights
}

/// Reads the small detector after a change of its tensors.
fn changed(change: impl FnOnce(&mut Weights)) -> Result<Detectron2Model, Detectron2Error> {
    let folder = tempfile::tempdir().unwrap();
    let mut file = TensorFile {
        weights: written(small()),
        ..TensorFile::default()
    };
    change(&mut file.weights);
    let path = folder.path().join("a.safetensors");
    file.write(&path).unwrap();
    read(&path, &Told::default())
}

#[test]
fn what_is_not_computed_is_refused_by_name() {
    let tensor = || Weight {
        shape: vec![4],
        values: vec![0.5; 4],
    };
    for (name, what) in [
        ("roi_heads.box_head.0.fc1.weight", "a cascade"),
        ("roi_heads.box_predictor.2.cls_score.bias", "a cascade"),
        (
            "roi_heads.mask_head.mask_fcn2.norm.running_mean",
            "a batch norm",
        ),
        ("roi_heads.mask_head.mask_fcn1.bias", "without a norm"),
        (
            "backbone.net.blocks.1.residual.conv1.weight",
            "a convolution in a block",
        ),
        ("backbone.net.blocks.0.attn.q_norm.weight", "another kind"),
        ("backbone.fpn_output2.weight", "another kind"),
        (
            "roi_heads.keypoint_head.score_lowres.weight",
            "a keypoint head",
        ),
        ("roi_heads.box_head.fc2.weight", "another kind"),
    ] {
        let error = changed(|weights| {
            weights.insert(name.into(), tensor());
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(what), "{error}");
    }
    let other = changed(|weights| {
        let theirs = std::mem::take(weights).into_iter();
        weights.extend(theirs.map(|(name, weight)| (name.replace(".net.", ".bottom_up."), weight)));
    });
    let error = other.unwrap_err().to_string();
    assert!(error.contains("Swin"), "{error}");
}

#[test]
fn what_does_not_fit_or_is_not_told_is_refused() {
    let is = |result: Result<Detectron2Model, Detectron2Error>, words: &[&str]| {
        let error = result.unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    let gone = |name: &'static str| changed(|weights| assert!(weights.remove(name).is_some()));
    let name = "backbone.net.blocks.1.mlp.fc2.bias";
    is(gone(name), &["lacks", name]);
    let name = "roi_heads.box_predictor.cls_score.weight";
    is(gone(name), &["lacks", name]);
    let name = "backbone.simfp_5.2.norm.weight";
    let nan = changed(|weights| weights.get_mut(name).unwrap().values[1] = f32::NAN);
    is(nan, &[name, "not finite"]);
    // A mask for all classes at once.
    let agnostic = changed(|weights| {
        let bias = weights.get_mut("roi_heads.mask_head.predictor.bias");
        *bias.unwrap() = expected("", &[1]);
    });
    is(agnostic, &["mask_head.predictor.bias", "classes"]);
    let no_tables = changed(|weights| weights.retain(|name, _| !name.contains("rel_pos")));
    is(no_tables, &["nothing says", "windows"]);
    let one_length = changed(|weights| {
        for (name, weight) in weights.iter_mut() {
            if name.contains("rel_pos") {
                *weight = expected(name, &[3, 8]);
            }
        }
    });
    is(one_length, &["nothing says", "which blocks"]);
    let four_anchors = changed(|weights| {
        let bias = weights.get_mut("proposal_generator.rpn_head.objectness_logits.bias");
        *bias.unwrap() = expected("", &[4]);
    });
    is(four_anchors, &["nothing says", "anchors"]);
    let blue_first = changed(|weights| {
        for (name, values) in [
            ("pixel_mean", [103.53, 116.28, 123.675]),
            ("pixel_std", [1.0; 3]),
        ] {
            let values = values.to_vec();
            let shape = vec![3, 1, 1];
            weights.insert(name.into(), Weight { shape, values });
        }
    });
    is(blue_first, &["blue", "detectron2.channel_order"]);
    let told = Told {
        num_heads: Some(4),
        ..Told::default()
    };
    is(
        read(&file("vitdet.pkl"), &told),
        &["attention heads", "2", "4"],
    );
    let told = Told {
        prefix: Some("teacher.".into()),
        ..Told::default()
    };
    is(read(&file("vitdet.pkl"), &told), &["model."]);
}

/// A detector that was trained with blue first finds the same here, where red comes first.
#[test]
fn blue_first_is_turned_around() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let theirs = written(small());
    let file = TensorFile {
        weights: theirs.clone(),
        ..TensorFile::default()
    };
    file.write(&path).unwrap();
    let told = Told {
        channel_order: Some(ChannelOrder::Bgr),
        normalization: Some(Normalization {
            mean: vec![0.1, 0.2, 0.3],
            std: vec![0.4, 0.5, 0.6],
        }),
        ..Told::default()
    };
    let model = read(&path, &told).unwrap();
    assert_eq!(model.normalization.mean, [0.3, 0.2, 0.1]);
    assert_eq!(model.normalization.std, [0.6, 0.5, 0.4]);
    let ours = &model.weights["backbone.patch_embed.proj.weight"];
    let theirs = &theirs["backbone.net.patch_embed.proj.weight"];
    let plane = ours.shape[2] * ours.shape[3];
    for (ours, theirs) in ours
        .values
        .chunks(3 * plane)
        .zip(theirs.values.chunks(3 * plane))
    {
        for color in 0..3 {
            let [ours, theirs] = [(ours, color), (theirs, 2 - color)]
                .map(|(values, color)| &values[color * plane..(color + 1) * plane]);
            assert_eq!(ours, theirs);
        }
    }
    let one_channel = Told {
        normalization: Some(Normalization::usual(1)),
        ..Told::default()
    };
    assert!(read(&path, &one_channel).is_err());
}

/// Mean and deviation are written where they are not the usual ones, and a position table of no square as the canvas takes it.
#[test]
fn what_theirs_needs_otherwise_is_written_otherwise() {
    let device = Device::flex();
    let vit = VitConfig {
        image_size: [8, 24],
        ..VitConfig::tiny()
    };
    let encoder = initialize(Vit::zeros(&vit, &device), 3);
    let model = MaskRcnn::new(encoder, small(), 3, &device).unwrap();
    let normalization = Normalization {
        mean: vec![0.5; 3],
        std: vec![0.25; 3],
    };
    let written = to_detectron2(&model, &normalization).unwrap();
    assert_eq!(written.notes.len(), 2, "{:?}", written.notes);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pkl");
    let file = TensorFile {
        weights: written.weights,
        ..TensorFile::default()
    };
    file.write_pickle(&path, "semaim").unwrap();
    let found = read(&path, &Told::default()).unwrap();
    assert_eq!(found.normalization, normalization);
    let images = || Tensor::ones([1, 3, 32, 32], &device);
    let maps = |model: &MaskRcnn| -> Vec<f32> {
        let [map, ..] = model.features(images(), ForwardOptions::default());
        map.values.into_data().try_to_vec().unwrap()
    };
    assert_eq!(maps(&found.detector(&device).unwrap()), maps(&model));
}
