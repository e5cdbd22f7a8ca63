//! Kinds of checkpoints that people have, each made small: what is read is what was put in, and what would be read wrongly is
//! refused by name.

// A test says what is wrong by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod networks;
mod positions;
mod shapes;
#[path = "../../../semaim-pickle/tests/support/mod.rs"]
mod support;
mod warnings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use semaim::config::{Activation, ArchOptions, VitConfig};
use semaim::init::initialize;
use semaim::parameters::{Weight, Weights, to_host, weights};
use semaim::position::Interpolation;
use semaim::vit::Vit;
use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_checkpoint::format::CheckpointFormat;
use semaim_checkpoint::tensors::TensorFile;
use semaim_checkpoint::weights_source::WeightsSource;
use serde_json::json;
use support::pickle::{Storage, dict, zipped};
use tempfile::TempDir;

fn config() -> VitConfig {
    VitConfig {
        image_size: [16, 16],
        patch_size: 4,
        channels: 3,
        embed_dim: 24,
        depth: 2,
        num_heads: 3,
        mlp_ratio: 2.0,
    }
}

/// A network's tensors under timm's names, positions that are not symmetrical included.
fn made(config: &VitConfig, arch: &ArchOptions) -> Weights {
    let vit = initialize(Vit::zeros_as(config, arch, &Device::flex()), 5);
    let mut weights = weights(&vit).unwrap();
    for (at, (_, weight)) in weights.iter_mut().enumerate() {
        for (i, value) in weight.values.iter_mut().enumerate() {
            *value += 0.1 * ((i * 31 + at * 17) as f32).sin();
        }
    }
    weights
}

fn plain() -> Weights {
    made(&config(), &ArchOptions::default())
}

fn renamed(weights: Weights, name: impl Fn(&str) -> String) -> Weights {
    weights
        .into_iter()
        .map(|(key, weight)| (name(&key), weight))
        .collect()
}

fn write(folder: &TempDir, name: &str, weights: Weights) -> PathBuf {
    let path = folder.path().join(name);
    let metadata = BTreeMap::new();
    TensorFile { weights, metadata }.write(&path).unwrap();
    path
}

/// Writes what `torch.save` writes of a dictionary.
fn pickled(folder: &TempDir, name: &str, weights: &Weights, class: &'static str) -> PathBuf {
    let storages: Vec<Storage> = weights
        .values()
        .enumerate()
        .map(|(key, weight)| Storage {
            class,
            key: key.to_string().leak(),
            elements: weight.values.len() as i32,
            bytes: match class {
                "HalfStorage" => weight
                    .values
                    .iter()
                    .flat_map(|&v| half::f16::from_f32(v).to_le_bytes())
                    .collect(),
                _ => weight.values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            },
        })
        .collect();
    let entries: Vec<(&str, Vec<u8>)> = weights
        .iter()
        .zip(&storages)
        .map(|((name, weight), storage)| {
            let shape: Vec<i32> = weight.shape.iter().map(|&side| side as i32).collect();
            let stride = |axis: usize| shape[axis + 1..].iter().product();
            let strides: Vec<i32> = (0..shape.len()).map(stride).collect();
            (name.as_str(), storage.tensor(0, &shape, &strides))
        })
        .collect();
    let path = folder.path().join(name);
    std::fs::write(&path, zipped(&dict(&entries), &storages)).unwrap();
    path
}

fn heads(num_heads: usize) -> WeightsSource {
    WeightsSource {
        num_heads: Some(num_heads),
        ..WeightsSource::default()
    }
}

fn tokens(vit: &Vit, image_size: [usize; 2]) -> Vec<f32> {
    let [height, width] = image_size;
    let values: Vec<f32> = (0..3 * height * width)
        .map(|i| (i as f32 * 0.7).sin())
        .collect();
    let images = Tensor::from_data(
        TensorData::new(values, [1, 3, height, width]),
        &Device::flex(),
    );
    to_host("tokens", vit.all_tokens(images)).unwrap().values
}

/// Reads a file; gives what was read and its tokens.
#[track_caller]
fn read(path: &Path, options: &WeightsSource) -> (Checkpoint, Vec<f32>) {
    let found = Checkpoint::read(&options.at(path)).unwrap_or_else(|error| panic!("{error}"));
    let encoder = found.clone().encoder(&Device::flex()).unwrap();
    let tokens = tokens(&encoder.vit, found.config.image_size);
    (found, tokens)
}

#[track_caller]
fn refused(path: &Path, options: &WeightsSource, parts: &[&str]) {
    let read = Checkpoint::read(&options.at(path)).and_then(|found| found.encoder(&Device::flex()));
    let error = read.unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "{part} in: {error}");
    }
}

/// Types that are not read, of tensors that are not used.
#[test]
fn tensors_of_other_types_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(&folder, "good.safetensors", plain());
    let (_, expected) = read(&good, &heads(3));
    let bytes = std::fs::read(&good).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    header.as_object_mut().unwrap().remove("__metadata__");
    let mut end = bytes.len() - 8 - length;
    for (dtype, size) in [
        ("F8_E4M3", 1),
        ("F8_E5M2", 1),
        ("U16", 2),
        ("U32", 4),
        ("U64", 8),
        ("BOOL", 1),
        ("C64", 8),
    ] {
        header[format!("text.{dtype}")] =
            json!({"dtype": dtype, "shape": [2], "data_offsets": [end, end + 2 * size]});
        end += 2 * size;
    }
    let text = header.to_string();
    let mut file = (text.len() as u64).to_le_bytes().to_vec();
    file.extend(text.as_bytes());
    file.extend(&bytes[8 + length..]);
    file.resize(8 + text.len() + end, 1);
    let path = folder.path().join("more.safetensors");
    std::fs::write(&path, &file).unwrap();
    let (found, tokens) = read(&path, &heads(3));
    assert_eq!(tokens, expected);
    assert_eq!(found.loading.unused.len(), 7);
    // One that is used is refused by name.
    let class = text.replace(
        r#""dtype":"F32","shape":[1,1,24]"#,
        r#""dtype":"C64","shape":[1,1,12]"#,
    );
    assert_ne!(class, text);
    file[8..8 + class.len()].copy_from_slice(class.as_bytes());
    std::fs::write(&path, &file).unwrap();
    refused(&path, &heads(3), &["cls_token", "complex64"]);
    // Integers are read, and weights in them are not what they stand for.
    let quantized = text.replace(
        r#""dtype":"F32","shape":[1,1,24]"#,
        r#""dtype":"I32","shape":[1,1,24]"#,
    );
    file[8..8 + quantized.len()].copy_from_slice(quantized.as_bytes());
    std::fs::write(&path, &file).unwrap();
    refused(&path, &heads(3), &["cls_token", "int32", "quantized"]);
}

#[test]
fn shards_are_read_by_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let (_, expected) = read(&write(&folder, "plain.safetensors", plain()), &heads(3));
    let model = tempfile::tempdir().unwrap();
    let mut parts = [Weights::new(), Weights::new(), Weights::new()];
    let mut map = serde_json::Map::new();
    for (i, (name, weight)) in plain().into_iter().enumerate() {
        map.insert(
            name.clone(),
            json!(format!("model-0000{}-of-00003.safetensors", 1 + i % 3)),
        );
        parts[i % 3].insert(name, weight);
    }
    for (i, part) in parts.into_iter().enumerate() {
        write(
            &model,
            &format!("model-0000{}-of-00003.safetensors", i + 1),
            part,
        );
    }
    let index = model.path().join("model.safetensors.index.json");
    std::fs::write(
        &index,
        json!({"metadata": {}, "weight_map": map}).to_string(),
    )
    .unwrap();
    let config = json!({"architecture": "vit_x", "model_args": {"num_heads": 3}});
    std::fs::write(model.path().join("config.json"), config.to_string()).unwrap();
    let shard = model.path().join("model-00002-of-00003.safetensors");
    for path in [model.path(), &index, &shard] {
        assert_eq!(
            read(path, &WeightsSource::default()).1,
            expected,
            "{}",
            path.display()
        );
    }
    // A shard that is not there, and one outside.
    std::fs::remove_file(&shard).unwrap();
    refused(
        model.path(),
        &WeightsSource::default(),
        &["model-00002-of-00003.safetensors"],
    );
    std::fs::write(&index, r#"{"weight_map": {"a": "../other.safetensors"}}"#).unwrap();
    refused(
        model.path(),
        &WeightsSource::default(),
        &["../other.safetensors"],
    );
}

/// A library makes as many layers as its configuration says, whatever else is in the file.
#[test]
fn layers_that_the_configuration_does_not_know_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "model.safetensors", plain());
    let said = |layers: usize| {
        let config = json!({"num_attention_heads": 3, "num_hidden_layers": layers});
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    };
    said(1);
    let parts = ["config.json", "1 layers", "has 2"];
    refused(&path, &WeightsSource::default(), &parts);
    said(2);
    read(&path, &WeightsSource::default());
}

/// A checkpoint of a run has the settings of the run.
#[test]
fn checkpoints_of_runs_find_their_configuration() {
    let run = tempfile::tempdir().unwrap();
    std::fs::create_dir(run.path().join("checkpoints")).unwrap();
    let wide = VitConfig {
        image_size: [8, 32],
        ..config()
    };
    let weights = made(&wide, &ArchOptions::default());
    let mut all = renamed(weights.clone(), |name| format!("model.{name}"));
    all.extend(renamed(weights, |name| format!("ema.{name}")));
    let path = run.path().join("checkpoints/step-000005.safetensors");
    let metadata = [("semaim_version".to_string(), "0.1.0".to_string())];
    let file = TensorFile {
        weights: all,
        metadata: metadata.into_iter().collect(),
    };
    file.write(&path).unwrap();
    refused(&path, &WeightsSource::default(), &["--heads"]);
    let settings = "[model]\nnum_heads = 3\nimage_size = [8, 32]\n[data]\nmean = [0.1, 0.2, 0.3]\nstd = [1.0, 2.0, 3.0]\n";
    std::fs::write(run.path().join("config.toml"), settings).unwrap();
    let (found, _) = read(&path, &WeightsSource::default());
    assert_eq!(found.config, wide);
    assert_eq!(found.normalization.mean, [0.1, 0.2, 0.3]);
    assert_eq!(found.loading.prefix, "model.");
    // What the settings leave open is as in training.
    let settings = "[model]\nnum_heads = 3\nimage_size = [8, 32]\n[data]\nmean = []\nstd = []\n";
    std::fs::write(run.path().join("config.toml"), settings).unwrap();
    let (found, _) = read(&path, &WeightsSource::default());
    assert_eq!(found.normalization.mean, [0.485, 0.456, 0.406]);
    assert!(found.defaults_used.is_empty());
    assert_eq!(found.loading.format, CheckpointFormat::Semaim);
    // Another network than ours is still shown images as in training.
    let arch = ArchOptions {
        norm_pre: true,
        activation: Activation::QuickGelu,
        epsilon: 1e-4,
        ..ArchOptions::default()
    };
    let file = TensorFile {
        weights: renamed(made(&wide, &arch), |name| format!("model.{name}")),
        metadata: file.metadata,
    };
    file.write(&path).unwrap();
    let settings = format!("{settings}[arch]\nepsilon = 1e-4\nactivation = \"quick-gelu\"\n");
    std::fs::write(run.path().join("config.toml"), settings).unwrap();
    let (found, _) = read(&path, &WeightsSource::default());
    assert_eq!(found.arch, arch);
    assert_eq!(found.normalization.mean, [0.485, 0.456, 0.406]);
    assert!(found.defaults_used.is_empty());
}

/// A checkpoint of a run that started from an encoder is read as that was.
#[test]
fn checkpoints_of_runs_on_an_encoder_find_how_it_was_read() {
    let run = tempfile::tempdir().unwrap();
    std::fs::create_dir(run.path().join("checkpoints")).unwrap();
    let arch = ArchOptions {
        activation: Activation::QuickGelu,
        epsilon: 1e-4,
        ..ArchOptions::default()
    };
    let metadata = [("semaim_version".to_string(), "0.1.0".to_string())];
    let file = TensorFile {
        weights: renamed(made(&config(), &arch), |name| {
            format!("model.encoder.{name}")
        }),
        metadata: metadata.into_iter().collect(),
    };
    let path = run.path().join("checkpoints/step-000005.safetensors");
    file.write(&path).unwrap();
    // A run of before kept nothing of its encoder: what is taken for granted is said.
    let settings = "pool = \"mean\"\n[data]\nmean = []\nstd = []\n";
    std::fs::write(run.path().join("config.toml"), settings).unwrap();
    let with_heads = WeightsSource {
        num_heads: Some(config().num_heads),
        ..WeightsSource::default()
    };
    let said = |path: &Path| read(path, &with_heads).0.defaults_used.join("; ");
    let assumed = said(&path);
    assert!(
        assumed.contains("images are normalized") && assumed.contains("gelu"),
        "{assumed}"
    );
    let start = json!({
        "weights": "elsewhere.safetensors",
        "normalization": {"mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 3.0]},
        "network": {"config": config(), "arch": arch, "interpolation": "offset"},
    });
    std::fs::write(run.path().join("start.json"), start.to_string()).unwrap();
    let (found, _) = read(&path, &WeightsSource::default());
    assert_eq!((found.config, found.arch), (config(), arch.clone()));
    assert_eq!(found.normalization.mean, [0.1, 0.2, 0.3]);
    assert_eq!(found.interpolation, Interpolation::Offset);
    assert!(found.defaults_used.is_empty(), "{:?}", found.defaults_used);
    // What the run's own settings say of images comes before that.
    let own = settings
        .replace("mean = []", "mean = [0.5, 0.5, 0.5]")
        .replace("std = []", "std = [0.5, 0.5, 0.5]");
    std::fs::write(run.path().join("config.toml"), own).unwrap();
    let (found, _) = read(&path, &WeightsSource::default());
    assert_eq!(found.normalization.mean, [0.5, 0.5, 0.5]);
    // Its position table is of the size that the run takes.
    let wide = VitConfig {
        image_size: [8, 32],
        ..config()
    };
    let resized = TensorFile {
        weights: renamed(made(&wide, &arch), |name| format!("model.encoder.{name}")),
        ..file.clone()
    };
    resized.write(&path).unwrap();
    let taken = format!("[encoder]\nimage_size = [8, 32]\n{settings}");
    std::fs::write(run.path().join("config.toml"), taken).unwrap();
    let (found, _) = read(&path, &WeightsSource::default());
    assert_eq!(found.config, wide);
    file.write(&path).unwrap();
    std::fs::write(run.path().join("config.toml"), settings).unwrap();
    // Away from its run it says nothing of all that.
    let moved = run.path().join("moved.safetensors");
    std::fs::copy(&path, &moved).unwrap();
    assert_eq!(said(&moved), assumed);
    // A file of another project is not read by a configuration that is of ours by its name.
    let theirs = TensorFile {
        metadata: BTreeMap::new(),
        ..file
    };
    theirs.write(&path).unwrap();
    let (found, _) = read(&path, &with_heads);
    assert_eq!(found.loading.format, CheckpointFormat::Timm);
    assert!(found.beside.is_empty(), "{:?}", found.beside);
}
