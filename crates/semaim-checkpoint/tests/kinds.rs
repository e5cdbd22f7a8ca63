//! Kinds of checkpoints that people have, each made small: what is read is what was put in, and what would be read wrongly is
//! refused by name.

// A test says what is wrong by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../semaim-pickle/tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use semaim::config::{Activation, ArchOptions, VitConfig};
use semaim::init::initialise;
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
    let vit = initialise(Vit::zeros_as(config, arch, &Device::flex()), 5);
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

#[test]
fn wrappers_around_networks_and_blocks_are_seen_through() {
    let folder = tempfile::tempdir().unwrap();
    let (_, expected) = read(&write(&folder, "plain.safetensors", plain()), &heads(3));
    for wrapper in [
        "_orig_mod",
        "_checkpoint_wrapped_module",
        "_fsdp_wrapped_module",
        "module",
    ] {
        let inside = renamed(plain(), |name| {
            match name.split('.').collect::<Vec<_>>()[..] {
                ["blocks", block, ref rest @ ..] => {
                    format!("module.blocks.{block}.{wrapper}.{}", rest.join("."))
                }
                _ => format!("module.{name}"),
            }
        });
        let path = pickled(&folder, "wrapped.pth", &inside, "FloatStorage");
        assert_eq!(read(&path, &heads(3)).1, expected, "{wrapper}");
        let outside = renamed(plain(), |name| format!("{wrapper}.{name}"));
        let path = write(&folder, "wrapped.safetensors", outside);
        assert_eq!(read(&path, &heads(3)).1, expected, "{wrapper}");
    }
}

/// LayerScale by the names of DeiT III, whose position table has no place for the class token.
#[test]
fn gammas_of_deit_3_scale_layers() {
    let folder = tempfile::tempdir().unwrap();
    let mut scaled = plain();
    for block in 0..2 {
        for scale in ["gamma_1", "gamma_2"] {
            let values = (0..24).map(|i| 0.1 + 0.02 * i as f32).collect();
            let name = format!("blocks.{block}.{scale}");
            scaled.insert(
                name,
                Weight {
                    shape: vec![24],
                    values,
                },
            );
        }
    }
    let table = scaled.get_mut("pos_embed").unwrap();
    table.values.drain(..24);
    table.shape[1] = 16;
    let theirs = pickled(
        &folder,
        "deit3.pth",
        &renamed(scaled.clone(), |name| format!("model.{name}")),
        "FloatStorage",
    );
    let ours = renamed(scaled, |name| {
        name.replace("gamma_1", "ls1.gamma")
            .replace("gamma_2", "ls2.gamma")
    });
    let ours = write(&folder, "timm.safetensors", ours);
    let (found, tokens) = read(&theirs, &heads(3));
    assert_eq!(tokens, read(&ours, &heads(3)).1);
    assert_eq!(found.loading.format, CheckpointFormat::Timm);
}

/// GEGLU has the tensors of SwiGLU: a gated MLP is one or the other only where something says so.
#[test]
fn gates_are_not_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let gated = ArchOptions {
        activation: Activation::SwiGlu,
        ..ArchOptions::default()
    };
    let path = write(&folder, "gated.safetensors", made(&config(), &gated));
    refused(
        &path,
        &heads(3),
        &["blocks.0.mlp.fc1.weight", "GEGLU", "--activation swiglu"],
    );
    let told = WeightsSource {
        activation: Some(Activation::SwiGlu),
        ..heads(3)
    };
    let (_, tokens) = read(&path, &told);
    // DINOv2 has no other.
    let dinov2 = renamed(made(&config(), &gated), |name| {
        name.replace("mlp.fc1", "mlp.w12")
            .replace("mlp.fc2", "mlp.w3")
    });
    let dinov2 = pickled(&folder, "dinov2.pth", &dinov2, "FloatStorage");
    assert_eq!(read(&dinov2, &heads(3)).1, tokens);
    let path = write(&folder, "plain.safetensors", plain());
    refused(&path, &told, &["gives no gate"]);
}

#[test]
fn heads_are_told_or_those_of_the_project() {
    let folder = tempfile::tempdir().unwrap();
    let small = VitConfig {
        embed_dim: 384,
        depth: 1,
        num_heads: 12,
        mlp_ratio: 0.25,
        ..config()
    };
    let weights = made(&small, &ArchOptions::default());
    let moco = renamed(weights.clone(), |name| {
        format!("state_dict.module.base_encoder.{name}")
    });
    let moco = pickled(&folder, "moco.pth", &moco, "FloatStorage");
    let (found, tokens) = read(&moco, &WeightsSource::default());
    assert_eq!(
        (found.config.num_heads, found.loading.format),
        (12, CheckpointFormat::MocoV3)
    );
    let dino = renamed(weights.clone(), |name| format!("teacher.backbone.{name}"));
    let dino = pickled(&folder, "dino.pth", &dino, "FloatStorage");
    let (found, others) = read(&dino, &WeightsSource::default());
    assert_eq!(
        (found.config.num_heads, found.loading.format),
        (6, CheckpointFormat::Dino)
    );
    assert_ne!(tokens, others);
    // Under timm's names there are both.
    let timm = write(&folder, "timm.safetensors", weights);
    refused(&timm, &WeightsSource::default(), &["384", "--heads"]);
    let config = json!({"architecture": "vit_small_patch16_224", "model_args": {"num_heads": 12}});
    std::fs::write(folder.path().join("timm.config.json"), config.to_string()).unwrap();
    assert_eq!(read(&timm, &WeightsSource::default()).1, tokens);
}

#[test]
fn numbers_that_are_not_finite_are_told_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    for value in [f32::NAN, f32::INFINITY] {
        let mut broken = plain();
        broken.get_mut("blocks.1.mlp.fc2.weight").unwrap().values[7] = value;
        let path = write(&folder, "broken.safetensors", broken);
        let found = Checkpoint::read(&heads(3).at(&path)).unwrap();
        assert_eq!(
            found.loading.not_finite,
            [("blocks.1.mlp.fc2.weight".to_string(), 1)]
        );
        refused(&path, &heads(3), &["blocks.1.mlp.fc2.weight", "NaN"]);
    }
}

/// A table of 4 by 16 places has as many as one of 8 by 8.
#[test]
fn a_size_that_fits_the_table_is_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let wide = VitConfig {
        image_size: [16, 64],
        ..config()
    };
    let path = write(
        &folder,
        "wide.safetensors",
        made(&wide, &ArchOptions::default()),
    );
    let told = WeightsSource {
        image_size: Some([16, 64]),
        ..heads(3)
    };
    let (found, _) = read(&path, &told);
    assert_eq!(found.config.image_size, [16, 64]);
    assert!(
        found
            .defaults_used
            .iter()
            .any(|used| used.contains("4 x 16"))
    );
    // Any other size is one to resize to.
    let (found, _) = read(
        &path,
        &WeightsSource {
            image_size: Some([16, 32]),
            ..heads(3)
        },
    );
    assert_eq!(found.config.image_size, [32, 32]);
    // A file beside it is asked first.
    let beside = json!({"pretrained_cfg": {"input_size": [3, 64, 16]}});
    std::fs::write(folder.path().join("wide.config.json"), beside.to_string()).unwrap();
    assert_eq!(read(&path, &told).0.config.image_size, [64, 16]);
}

/// timm gives registers places in the table; they are added to the registers.
#[test]
fn registers_in_the_table_are_no_places_of_the_grid() {
    let folder = tempfile::tempdir().unwrap();
    let config = VitConfig {
        image_size: [8, 8],
        ..config()
    };
    let arch = ArchOptions {
        registers: 4,
        ..ArchOptions::default()
    };
    let expected = made(&config, &arch);
    let mut theirs = expected.clone();
    let places: Vec<f32> = (0..4 * 24).map(|i| (i as f32).cos()).collect();
    let register = theirs.get_mut("reg_token").unwrap();
    register
        .values
        .iter_mut()
        .zip(&places)
        .for_each(|(value, place)| *value -= place);
    let table = theirs.get_mut("pos_embed").unwrap();
    table.values.splice(24..24, places);
    table.shape[1] = 9;
    let path = write(&folder, "timm.safetensors", theirs);
    // Nine places are three by three as well.
    refused(&path, &heads(3), &["pos_embed", "2 or 3", "--image-size"]);
    let (found, _) = read(
        &path,
        &WeightsSource {
            image_size: Some([8, 8]),
            ..heads(3)
        },
    );
    assert_eq!(found.config.image_size, [8, 8]);
    for name in ["reg_token", "pos_embed"] {
        let near = found.weights[name]
            .values
            .iter()
            .zip(&expected[name].values);
        assert!(near.clone().all(|(a, b)| (a - b).abs() < 1e-5), "{name}");
    }
    // DINOv2's table has none for them.
    let dinov2 = renamed(made(&config, &arch), |name| {
        name.replace("reg_token", "register_tokens")
    });
    let (found, _) = read(
        &pickled(&folder, "reg.pth", &dinov2, "FloatStorage"),
        &heads(3),
    );
    assert_eq!(found.config.image_size, [8, 8]);
}

#[test]
fn what_is_not_computed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_, expected) = read(&write(&folder, "plain.safetensors", plain()), &heads(3));
    let more = |name: &str| {
        let mut weights = plain();
        weights.insert(
            name.into(),
            Weight {
                shape: vec![24],
                values: vec![2.0; 24],
            },
        );
        write(&folder, "more.safetensors", weights)
    };
    for name in [
        "patch_embed.norm.weight",
        "patch_embed.backbone.stem.conv.weight",
        "dist_token",
        "blocks.0.attn.q_norm.weight",
        "blocks.1.attn.rel_pos_bias.table",
        "rope.freqs",
        "attn_pool.latent",
    ] {
        refused(&more(name), &heads(3), &[name]);
        let partial = WeightsSource {
            allow_partial: true,
            ..heads(3)
        };
        assert_eq!(read(&more(name), &partial).1, expected, "{name}");
    }
    for name in [
        "head.weight",
        "fc_norm.weight",
        "mask_token",
        "decoder_embed.weight",
        "projector.0.weight",
    ] {
        assert_eq!(read(&more(name), &heads(3)).1, expected, "{name}");
    }
}

/// CLIP's tower, by OpenAI with QuickGELU, by `open_clip` with GELU.
#[test]
fn towers_are_known_by_who_trained_them() {
    let folder = tempfile::tempdir().unwrap();
    let config = VitConfig {
        embed_dim: 64,
        num_heads: 1,
        ..config()
    };
    let arch = ArchOptions {
        norm_pre: true,
        epsilon: 1e-5,
        ..ArchOptions::default()
    };
    let mut tower = renamed(made(&config, &arch), |name| {
        name.replace("patch_embed.proj.", "conv1.")
            .replace("cls_token", "class_embedding")
            .replace("pos_embed", "positional_embedding")
            .replace("norm_pre", "ln_pre")
            .replace("blocks.", "transformer.resblocks.")
            .replace("norm1", "ln_1")
            .replace("norm2", "ln_2")
            .replace("attn.qkv.", "attn.in_proj_")
            .replace("attn.proj", "attn.out_proj")
            .replace("mlp.fc1", "mlp.c_fc")
            .replace("mlp.fc2", "mlp.c_proj")
            .replace("norm.", "ln_post.")
    });
    tower.remove("conv1.bias");
    tower.get_mut("class_embedding").unwrap().shape = vec![64];
    tower.get_mut("positional_embedding").unwrap().shape = vec![17, 64];
    let under = |prefix: &str| renamed(tower.clone(), |name| format!("{prefix}{name}"));
    let read_as = |path: &Path| {
        let found = Checkpoint::read(&WeightsSource::new(path)).unwrap();
        (found.loading.format, found.arch.activation)
    };
    let trained = pickled(
        &folder,
        "epoch_1.pt",
        &under("state_dict.module.visual."),
        "FloatStorage",
    );
    assert_eq!(
        read_as(&trained),
        (CheckpointFormat::OpenClip, Activation::Gelu)
    );
    let published = pickled(&folder, "openai.pt", &under("visual."), "HalfStorage");
    assert_eq!(
        read_as(&published),
        (CheckpointFormat::Clip, Activation::QuickGelu)
    );
    // Nobody knows who trained this one.
    let bare = write(&folder, "bare.safetensors", under("visual."));
    refused(
        &bare,
        &WeightsSource::default(),
        &["OpenAI", "--activation"],
    );
    let told = |format| WeightsSource {
        layout: Some(format),
        ..WeightsSource::default()
    };
    for (format, expected) in [
        (CheckpointFormat::OpenClip, Activation::Gelu),
        (CheckpointFormat::Clip, Activation::QuickGelu),
    ] {
        let found = Checkpoint::read(&told(format).at(&bare)).unwrap();
        assert_eq!(found.arch.activation, expected, "{format}");
    }
    let quick = WeightsSource {
        activation: Some(Activation::QuickGelu),
        ..WeightsSource::default()
    };
    assert_eq!(
        Checkpoint::read(&quick.at(&bare)).unwrap().arch.activation,
        Activation::QuickGelu
    );
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
    assert_eq!(found.normalisation.mean, [0.1, 0.2, 0.3]);
    assert_eq!(found.loading.prefix, "model.");
    // What the settings leave open is as in training.
    let settings = "[model]\nnum_heads = 3\nimage_size = [8, 32]\n[data]\nmean = []\nstd = []\n";
    std::fs::write(run.path().join("config.toml"), settings).unwrap();
    let (found, _) = read(&path, &WeightsSource::default());
    assert_eq!(found.normalisation.mean, [0.485, 0.456, 0.406]);
    assert!(found.defaults_used.is_empty());
    assert_eq!(found.loading.format, CheckpointFormat::Semaim);
}

#[test]
fn position_tables_are_resized_as_their_libraries_do() {
    let folder = tempfile::tempdir().unwrap();
    let interpolation = |path: &Path, options: &WeightsSource| read(path, options).0.interpolation;
    let timm = write(&folder, "timm.safetensors", plain());
    assert_eq!(interpolation(&timm, &heads(3)), Interpolation::Antialiased);
    let code = pickled(&folder, "code.pth", &plain(), "FloatStorage");
    assert_eq!(interpolation(&code, &heads(3)), Interpolation::Bicubic);
    for (format, expected) in [
        (CheckpointFormat::Timm, Interpolation::Antialiased),
        (CheckpointFormat::Mae, Interpolation::Bicubic),
        (CheckpointFormat::Dino, Interpolation::Offset),
        (CheckpointFormat::Dinov2, Interpolation::Offset),
    ] {
        let told = WeightsSource {
            layout: Some(format),
            ..heads(3)
        };
        assert_eq!(interpolation(&code, &told), expected, "{format}");
    }
    let dino = renamed(plain(), |name| format!("teacher.backbone.{name}"));
    let dino = pickled(&folder, "dino.pth", &dino, "FloatStorage");
    assert_eq!(interpolation(&dino, &heads(3)), Interpolation::Offset);
    let registers = ArchOptions {
        registers: 4,
        ..ArchOptions::default()
    };
    let dinov2 = renamed(made(&config(), &registers), |name| {
        name.replace("reg_token", "register_tokens")
    });
    let dinov2 = pickled(&folder, "dinov2.pth", &dinov2, "FloatStorage");
    assert_eq!(
        interpolation(&dinov2, &heads(3)),
        Interpolation::Antialiased
    );
}
