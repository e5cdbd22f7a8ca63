//! What is exported and read again is the same network, for every kind of encoder and every layout that can hold it.

// A test says what is wrong by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use semaim::classifier::Pool;
use semaim::config::{Activation, ArchOptions, Normalization, VitConfig, covered};
use semaim::init::initialize;
use semaim::parameters::{Weight, Weights, to_host, weights};
use semaim::position::Interpolation;
use semaim::vit::Vit;
use semaim_checkpoint::Loading;
use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_checkpoint::error::EncoderError;
use semaim_checkpoint::export::{ExportError, ExportFormat, Exported, Head};
use semaim_checkpoint::format::CheckpointFormat;
use semaim_checkpoint::tensors::{Precision, TensorFile};
use semaim_checkpoint::weights_source::WeightsSource;

const FORMATS: [ExportFormat; 4] = [
    ExportFormat::Timm,
    ExportFormat::HuggingFace,
    ExportFormat::Mae,
    ExportFormat::Semaim,
];

fn config() -> VitConfig {
    VitConfig {
        image_size: [16, 16],
        patch_size: 4,
        embed_dim: 24,
        num_heads: 3,
        mlp_ratio: 4.0,
        ..VitConfig::tiny()
    }
}

/// An encoder as if it had been read. Where no weight is zero, no tensor that is forgotten goes unnoticed.
fn checkpoint(config: VitConfig, variant: ArchOptions, layer_scale: bool) -> Checkpoint {
    let device = Device::flex();
    let vit = initialize(Vit::zeros_as(&config, &variant, &device), 5);
    let mut weights = weights(&vit).unwrap();
    if layer_scale {
        for block in 0..config.depth {
            for scale in ["ls1", "ls2"] {
                let gamma = Weight {
                    shape: vec![config.embed_dim],
                    values: vec![0.0; config.embed_dim],
                };
                weights.insert(format!("blocks.{block}.{scale}.gamma"), gamma);
            }
        }
    }
    for (n, weight) in weights.values_mut().enumerate() {
        for (i, value) in weight.values.iter_mut().enumerate() {
            *value += ((i * 31 + n * 17) % 97) as f32 / 970.0 - 0.04;
        }
    }
    if variant.norm_pre {
        // CLIP's patch embedding has no bias.
        weights.remove("patch_embed.proj.bias");
    }
    Checkpoint {
        path: PathBuf::from("made.safetensors"),
        weights,
        arch: variant,
        normalization: Normalization {
            mean: vec![0.5, 0.25, 0.125],
            std: vec![0.25, 0.5, 1.0],
        },
        interpolation: Interpolation::default(),
        loading: Loading {
            format: CheckpointFormat::Semaim,
            prefix: String::new(),
            used: Vec::new(),
            unused: Vec::new(),
            missing: Vec::new(),
            unknown: Vec::new(),
            not_finite: Vec::new(),
            dtypes: Vec::new(),
            opaque: Vec::new(),
        },
        defaults_used: Vec::new(),
        beside: Vec::new(),
        config,
    }
}

fn kinds() -> Vec<(&'static str, Checkpoint)> {
    let plain = ArchOptions::default();
    let dinov2 = ArchOptions {
        registers: 3,
        ..plain.clone()
    };
    let gated = ArchOptions {
        activation: Activation::SwiGlu,
        ..plain.clone()
    };
    // The width that gated layers have beside 24.
    let giant = VitConfig {
        mlp_ratio: 64.0 / 24.0,
        ..config()
    };
    let clip = ArchOptions {
        epsilon: 1e-5,
        activation: Activation::QuickGelu,
        norm_pre: true,
        projection: Some(10),
        ..plain.clone()
    };
    vec![
        ("plain", checkpoint(config(), plain.clone(), false)),
        ("layer scale", checkpoint(config(), plain, true)),
        ("registers", checkpoint(config(), dinov2, true)),
        ("gated", checkpoint(giant, gated, true)),
        ("clip", checkpoint(config(), clip, false)),
    ]
}

/// Final tokens of a picture, registers included.
fn tokens(checkpoint: &Checkpoint) -> Vec<f32> {
    let device = Device::flex();
    let [height, width] = checkpoint.config.image_size;
    let pixels: Vec<f32> = (0..3 * height * width)
        .map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0)
        .collect();
    let images = Tensor::from_data(TensorData::new(pixels, [1, 3, height, width]), &device);
    let encoder = checkpoint.clone().encoder(&device).unwrap();
    to_host("tokens", encoder.vit.all_tokens(images))
        .unwrap()
        .values
}

fn write(checkpoint: &Checkpoint, format: ExportFormat, precision: Precision, path: &Path) -> bool {
    match checkpoint.export(format, None) {
        Ok(exported) => {
            exported.write(path, precision).unwrap();
            true
        }
        Err(ExportError::NotInFormat { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

fn read(path: &Path) -> Checkpoint {
    let options = WeightsSource {
        num_heads: Some(3),
        ..WeightsSource::default()
    };
    Checkpoint::read(&options.at(path)).unwrap()
}

#[test]
fn what_is_exported_gives_the_same_tokens() {
    let mut written = Vec::new();
    for (kind, made) in kinds() {
        let expected = tokens(&made);
        for format in FORMATS {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model.safetensors");
            if !write(&made, format, Precision::F32, &path) {
                continue;
            }
            // How many heads there are is not in files of this name; all others say so beside them.
            let told = WeightsSource {
                num_heads: (format == ExportFormat::Mae).then_some(3),
                ..WeightsSource::default()
            };
            let found = Checkpoint::read(&told.at(&path)).unwrap();
            assert!(found.loading.missing.is_empty() && found.loading.unknown.is_empty());
            // timm keeps CLIP's projection where other networks have a head for classes.
            if !(kind == "clip" && format == ExportFormat::Timm) {
                assert_eq!(tokens(&found), expected, "{kind}, {}", format.name());
                assert_eq!(found.config, made.config, "{kind}, {}", format.name());
            }
            if format != ExportFormat::Mae {
                assert_eq!(found.normalization, made.normalization);
                assert_eq!(found.arch.activation, made.arch.activation);
                assert!(
                    found.defaults_used.is_empty(),
                    "{kind}: {:?}",
                    found.defaults_used
                );
            }
            written.push((kind, format.name()));
        }
    }
    let refused: Vec<_> = kinds()
        .iter()
        .flat_map(|(kind, _)| FORMATS.map(|format| (*kind, format.name())))
        .filter(|pair| !written.contains(pair))
        .collect();
    assert_eq!(
        refused,
        [
            ("layer scale", "mae"),
            ("registers", "mae"),
            ("gated", "mae"),
            ("clip", "mae")
        ]
    );
}

fn head(pool: Pool) -> Head {
    let weight = |shape: &[usize]| Weight {
        shape: shape.to_vec(),
        values: (0..shape.iter().product())
            .map(|i| i as f32 + 1.0)
            .collect(),
    };
    let mut weights = Weights::new();
    weights.insert("head.weight".into(), weight(&[2, 24]));
    weights.insert("head.bias".into(), weight(&[2]));
    if pool == Pool::Mean {
        weights.insert("fc_norm.weight".into(), weight(&[24]));
        weights.insert("fc_norm.bias".into(), weight(&[24]));
    }
    Head {
        pool,
        classes: vec!["cat".into(), "dög".into()],
        weights,
    }
}

#[test]
fn classifiers_have_their_heads_and_the_names_of_their_classes() {
    let config_of = |exported: &Exported| exported.beside[0].1.clone();
    let plain = checkpoint(config(), ArchOptions::default(), false);
    // timm: averaged tokens have a norm of their own, and no other.
    let exported = plain
        .export(ExportFormat::Timm, Some(&head(Pool::Mean)))
        .unwrap();
    let names: Vec<_> = exported.file.weights.keys().map(String::as_str).collect();
    assert!(names.contains(&"fc_norm.weight") && names.contains(&"head.bias"));
    assert!(!names.contains(&"norm.weight"));
    let said = config_of(&exported);
    assert_eq!(said["global_pool"], "avg");
    assert_eq!(said["model_args"]["fc_norm"], true);
    assert_eq!(said["num_classes"], 2);
    assert_eq!(said["label_names"][1], "dög");
    // Read again it is an encoder; that its final norm was behind the mean is said.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    exported.write(&path, Precision::F32).unwrap();
    let found = Checkpoint::read(&WeightsSource::new(&path)).unwrap();
    assert_eq!(
        found.weights["norm.weight"],
        head(Pool::Mean).weights["fc_norm.weight"]
    );
    assert!(
        found
            .defaults_used
            .iter()
            .any(|said| said.contains("fc_norm"))
    );

    let exported = plain
        .export(ExportFormat::Timm, Some(&head(Pool::Cls)))
        .unwrap();
    assert!(exported.file.weights.contains_key("norm.weight"));
    assert_eq!(config_of(&exported)["global_pool"], "token");

    // Hugging Face: BEiT averages, without a bias of its keys.
    let exported = plain
        .export(ExportFormat::HuggingFace, Some(&head(Pool::Mean)))
        .unwrap();
    let weights = &exported.file.weights;
    let query = "beit.encoder.layer.1.attention.attention.query.bias";
    assert!(weights.contains_key(query));
    assert!(!weights.contains_key(&query.replace("query", "key")));
    assert!(weights.contains_key(&query.replace("query.bias", "key.weight")));
    assert_eq!(
        weights["beit.pooler.layernorm.bias"],
        head(Pool::Mean).weights["fc_norm.bias"]
    );
    assert!(!weights.contains_key("beit.layernorm.weight"));
    assert_eq!(weights["classifier.weight"].shape, [2, 24]);
    let said = config_of(&exported);
    assert_eq!(said["architectures"][0], "BeitForImageClassification");
    assert_eq!(said["id2label"]["1"], "dög");
    assert_eq!(said["label2id"]["cat"], 0);

    let exported = plain
        .export(ExportFormat::HuggingFace, Some(&head(Pool::Cls)))
        .unwrap();
    assert!(exported.file.weights.contains_key("vit.layernorm.bias"));
    assert_eq!(
        config_of(&exported)["architectures"][0],
        "ViTForImageClassification"
    );

    // DINOv2's head sees the class token and the mean: not looking at the mean is the same.
    let registers = ArchOptions {
        registers: 2,
        ..ArchOptions::default()
    };
    let dinov2 = checkpoint(config(), registers, false);
    let exported = dinov2
        .export(ExportFormat::HuggingFace, Some(&head(Pool::Cls)))
        .unwrap();
    let weight = &exported.file.weights["classifier.weight"];
    assert_eq!(weight.shape, [2, 48]);
    let row: Vec<f32> = (25..49).map(|i| i as f32).chain([0.0; 24]).collect();
    assert_eq!(weight.values[48..], row);
    let tower = "dinov2_with_registers.embeddings.cls_token";
    assert!(exported.file.weights.contains_key(tower));

    let wide = checkpoint(
        VitConfig {
            image_size: [16, 24],
            ..self::config()
        },
        ArchOptions::default(),
        false,
    );
    for (made, pool, format) in [
        (&dinov2, Pool::Mean, ExportFormat::HuggingFace),
        (&wide, Pool::Mean, ExportFormat::HuggingFace),
        (&plain, Pool::Cls, ExportFormat::Mae),
        (&plain, Pool::Cls, ExportFormat::Semaim),
    ] {
        let refused = made.export(format, Some(&head(pool))).unwrap_err();
        assert!(
            matches!(refused, ExportError::NotInFormat { .. }),
            "{refused}"
        );
    }
}

/// Their networks with a norm before the first block have a patch embedding without a bias.
#[test]
fn a_bias_of_patches_goes_into_their_positions() {
    let arch = ArchOptions {
        norm_pre: true,
        ..ArchOptions::default()
    };
    let registers = ArchOptions {
        registers: 2,
        ..arch.clone()
    };
    for (arch, formats) in [
        (arch, &[ExportFormat::Timm, ExportFormat::HuggingFace][..]),
        (registers, &[ExportFormat::Timm]),
    ] {
        let mut made = checkpoint(config(), arch, false);
        let bias = Weight {
            shape: vec![config().embed_dim],
            values: (0..config().embed_dim).map(|i| i as f32 - 9.0).collect(),
        };
        made.weights.insert("patch_embed.proj.bias".into(), bias);
        let expected = tokens(&made);
        for format in formats {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model.safetensors");
            let exported = made.export(*format, None).unwrap();
            let has_bias = |name: &String| name.contains("patch_embed") && name.ends_with("bias");
            assert!(!exported.file.weights.keys().any(has_bias));
            assert!(exported.notes.is_empty(), "{:?}", exported.notes);
            exported.write(&path, Precision::F32).unwrap();
            let found = Checkpoint::read(&WeightsSource::new(&path)).unwrap();
            assert_eq!(found.arch, made.arch, "{}", format.name());
            let off = tokens(&found).into_iter().zip(&expected);
            let off = off.map(|(found, expected)| (found - expected).abs());
            let off = off.fold(0.0, f32::max);
            assert!(off < 1e-4, "{}: {off}", format.name());
        }
    }
}

/// timm has no name for the epsilon of layer norms: it stands in `config.json` for other readers.
#[test]
fn an_unusual_epsilon_comes_back() {
    let arch = ArchOptions {
        epsilon: 1e-3,
        ..ArchOptions::default()
    };
    let made = checkpoint(config(), arch, false);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let exported = made.export(ExportFormat::Timm, None).unwrap();
    assert!(exported.notes[0].contains("1e-3"), "{:?}", exported.notes);
    exported.write(&path, Precision::F32).unwrap();
    let found = Checkpoint::read(&WeightsSource::new(&path)).unwrap();
    assert_eq!((tokens(&found), found.arch), (tokens(&made), made.arch));
}

/// What stands beside a file decides how it is read: what another export left there is not taken for this one's.
#[test]
fn an_export_is_not_written_beside_what_is_said_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let made = checkpoint(config(), ArchOptions::default(), false);
    let export = |format, path: &Path| {
        let exported = made.export(format, None).unwrap();
        exported.write(path, Precision::F32)
    };
    let refused = |format, path: &Path, beside: &str| {
        let before = std::fs::read(path).unwrap();
        let error = export(format, path).unwrap_err();
        assert!(matches!(error, ExportError::Beside { .. }));
        assert!(error.to_string().contains(beside), "{error}");
        assert_eq!(std::fs::read(path).unwrap(), before);
    };
    let whole = folder.path().join("model.safetensors");
    export(ExportFormat::HuggingFace, &whole).unwrap();
    export(ExportFormat::HuggingFace, &whole).unwrap();
    refused(ExportFormat::Timm, &whole, "preprocessor_config.json");
    let single = folder.path().join("one.safetensors");
    export(ExportFormat::Timm, &single).unwrap();
    refused(ExportFormat::Mae, &single, "one.config.json");
    // Encoders of ours say everything themselves.
    export(ExportFormat::Semaim, &single).unwrap();
    std::fs::remove_file(folder.path().join("one.config.json")).unwrap();
    export(ExportFormat::Mae, &single).unwrap();
}

/// The library's DINOv2 and CLIP take every position table for a square one; its `ViTModel` does not.
#[test]
fn towers_of_views_that_are_not_square_are_not_written_for_hugging_face() {
    let wide = |(kind, mut made): (&'static str, Checkpoint)| {
        let d = made.config.embed_dim;
        made.config.image_size = [16, 24];
        let table = Weight {
            shape: vec![1, 1 + 4 * 6, d],
            values: vec![0.5; (1 + 4 * 6) * d],
        };
        made.weights.insert("pos_embed".into(), table);
        (kind, made)
    };
    for (kind, made) in kinds().into_iter().map(wide) {
        let exported = made.export(ExportFormat::HuggingFace, None);
        match exported {
            Ok(exported) => {
                assert_eq!(kind, "plain");
                let size = &exported.beside[0].1["image_size"];
                assert_eq!(*size, serde_json::json!([16, 24]));
            }
            Err(error) => {
                let expected = match kind {
                    "clip" => "CLIP for images that are not square",
                    "plain" => panic!("{error}"),
                    _ => "DINOv2 for images that are not square",
                };
                assert!(error.to_string().contains(expected), "{kind}: {error}");
            }
        }
        // timm resizes tables of any grid.
        assert!(made.export(ExportFormat::Timm, None).is_ok(), "{kind}");
    }
}

/// A configuration names the class; what its published checkpoints were trained with is taken for granted, and said.
#[test]
fn classes_of_hugging_face_are_normalized_as_they_were_trained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let made = checkpoint(config(), ArchOptions::default(), false);
    assert!(write(
        &made,
        ExportFormat::HuggingFace,
        Precision::F32,
        &path
    ));
    std::fs::remove_file(folder.path().join("preprocessor_config.json")).unwrap();
    let imagenet = [0.485, 0.456, 0.406];
    let clip = [0.481_454_66, 0.457_827_5, 0.408_210_73];
    for (class, whose, mean) in [
        ("vit_mae", "transformers' `vit_mae`", imagenet),
        ("vit_msn", "transformers' `vit_msn`", imagenet),
        ("deit", "transformers' `deit`", imagenet),
        (
            "flava_image_model",
            "transformers' `flava_image_model`",
            clip,
        ),
        ("vit", "hf-vit", [0.5; 3]),
    ] {
        let told = serde_json::json!({"model_type": class, "num_attention_heads": 3, "hidden_act": "gelu"});
        std::fs::write(folder.path().join("config.json"), told.to_string()).unwrap();
        let found = Checkpoint::read(&WeightsSource::new(&path)).unwrap();
        assert_eq!(found.normalization.mean, mean, "{class}");
        let [said] = found.defaults_used.as_slice() else {
            panic!("{:?}", found.defaults_used);
        };
        let expected = format!("images are normalized as is usual for {whose}: mean");
        assert!(said.starts_with(&expected), "{said}");
    }
}

/// timm divides the view's side by `crop_pct` and cuts to whole pixels.
#[test]
fn timm_resizes_images_to_the_size_that_we_do() {
    for side in (16..=512).step_by(4) {
        let sizes = VitConfig {
            image_size: [side, side],
            ..config()
        };
        let exported = checkpoint(sizes, ArchOptions::default(), false)
            .export(ExportFormat::Timm, None)
            .unwrap();
        let said = &exported.beside[0].1["pretrained_cfg"];
        let share = said["crop_pct"].as_f64().unwrap();
        assert_eq!(
            (side as f64 / share).floor() as usize,
            covered([side, side])[0],
            "{side}"
        );
    }
}

#[test]
fn narrow_numbers_come_back_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, made) in kinds() {
        for precision in [Precision::F16, Precision::Bf16] {
            let (first, second) = (
                folder.path().join("a.safetensors"),
                folder.path().join("b.safetensors"),
            );
            assert!(write(&made, ExportFormat::Semaim, precision, &first));
            let found = read(&first);
            assert!(write(&found, ExportFormat::Semaim, precision, &second));
            assert_eq!(
                std::fs::read(&first).unwrap(),
                std::fs::read(&second).unwrap(),
                "{kind}"
            );
            for (name, weight) in &made.weights {
                let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 0.005 * a.abs() + 1e-6;
                let both = weight.values.iter().zip(&found.weights[name].values);
                assert!(both.clone().all(near), "{kind}: {name}");
            }
        }
    }
}

#[test]
fn another_image_size_resizes_the_position_table_alone() {
    let made = checkpoint(config(), ArchOptions::default(), false);
    let resized = made.clone().resized([24, 32]).unwrap();
    assert_eq!(resized.weights["pos_embed"].shape, [1, 1 + 6 * 8, 24]);
    assert_eq!(resized.weights["cls_token"], made.weights["cls_token"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    assert!(write(
        &resized,
        ExportFormat::HuggingFace,
        Precision::F32,
        &path
    ));
    let found = read(&path);
    assert_eq!(found.config.image_size, [24, 32]);
    assert_eq!(tokens(&found), tokens(&resized));
    // Beside a file that says what its table is for, a size to resize to is no hindrance.
    let other = WeightsSource {
        image_size: Some([16, 16]),
        ..WeightsSource::default()
    };
    let found = Checkpoint::read(&other.at(&path)).unwrap();
    assert_eq!(found.config.image_size, [24, 32]);
    assert!(made.resized([24, 33]).is_err());
}

#[test]
fn what_is_missing_or_not_understood_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let made = checkpoint(config(), ArchOptions::default(), false);
    let exported = made.export(ExportFormat::Timm, None).unwrap().file;
    let with = |change: &dyn Fn(&mut TensorFile)| {
        let mut file = exported.clone();
        change(&mut file);
        file.write(&path).unwrap();
    };
    let options = |allow_partial| WeightsSource {
        num_heads: Some(3),
        allow_partial,
        ..WeightsSource::default()
    };
    with(&|file| {
        file.weights.remove("blocks.1.mlp.fc1.bias");
        file.weights.remove("norm.weight");
    });
    match Checkpoint::read(&options(false).at(&path)).unwrap_err() {
        EncoderError::Incomplete { names, .. } => {
            assert_eq!(names, ["blocks.1.mlp.fc1.bias", "norm.weight"]);
        }
        other => panic!("{other}"),
    }
    let partial = Checkpoint::read(&options(true).at(&path)).unwrap();
    assert_eq!(partial.loading.missing.len(), 2);
    // What was filled in is exported, too.
    let again = folder.path().join("again.safetensors");
    assert!(write(
        &partial,
        ExportFormat::Semaim,
        Precision::F32,
        &again
    ));
    let again = Checkpoint::read(&WeightsSource::new(&again)).unwrap();
    assert_eq!(tokens(&again), tokens(&partial));
    assert!(tokens(&partial).iter().all(|v| v.is_finite()));

    with(&|file| {
        let weight = file.weights["norm.weight"].clone();
        file.weights
            .insert("blocks.0.attn.q_norm.weight".into(), weight.clone());
        file.weights.insert("head.weight".into(), weight);
    });
    match Checkpoint::read(&options(false).at(&path)).unwrap_err() {
        EncoderError::Unknown { names, .. } => assert_eq!(names, ["blocks.0.attn.q_norm.weight"]),
        other => panic!("{other}"),
    }

    // One bias of two is not a network without biases.
    with(&|file| {
        file.weights.remove("blocks.0.attn.qkv.bias");
    });
    assert!(matches!(
        Checkpoint::read(&options(false).at(&path)),
        Err(EncoderError::Incomplete { .. })
    ));
    with(&|file| {
        file.weights.remove("blocks.0.attn.qkv.bias");
        file.weights.remove("blocks.1.attn.qkv.bias");
    });
    assert!(Checkpoint::read(&options(false).at(&path)).is_ok());

    // A size with as many patches as the table has places is the table's, though it could be square.
    with(&|_| {});
    let told = WeightsSource {
        image_size: Some([8, 32]),
        ..options(false)
    };
    assert_eq!(
        Checkpoint::read(&told.at(&path)).unwrap().config.image_size,
        [8, 32]
    );

    let unknown_heads = Checkpoint::read(&WeightsSource::new(&path));
    assert!(matches!(
        unknown_heads,
        Err(EncoderError::Heads { embed_dim: 24, .. })
    ));
    let other = WeightsSource {
        layout: Some(CheckpointFormat::HfVit),
        ..options(false)
    };
    assert!(matches!(
        Checkpoint::read(&other.at(&path)),
        Err(EncoderError::Unrecognized { .. })
    ));
}

/// Whichever tensor of a file of ours is gone.
#[test]
fn any_tensor_that_is_missing_can_be_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let made = checkpoint(config(), ArchOptions::default(), false);
    let whole = made.export(ExportFormat::Semaim, None).unwrap().file;
    // Of these sizes are known.
    let known = ["patch_embed.proj.weight"];
    for name in whole
        .weights
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
    {
        let mut file = whole.clone();
        file.weights.remove(name);
        file.write(&path).unwrap();
        let source = WeightsSource {
            allow_partial: true,
            ..WeightsSource::default()
        };
        let found = Checkpoint::read(&source.at(&path));
        let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(tokens(&found).iter().all(|v| v.is_finite()), "{name}");
    }
}

/// Hugging Face's library shows images as an evaluation does: 224 of 256 pixels of the short side, whole ones, the center.
#[test]
fn preprocessors_of_hugging_face_cut_the_center() {
    for (image_size, short) in [
        ([224, 224], 256),
        ([96, 96], 109),
        ([64, 64], 73),
        ([16, 32], 36),
    ] {
        let config = VitConfig {
            image_size,
            patch_size: 16,
            ..config()
        };
        let made = checkpoint(config, ArchOptions::default(), false);
        let exported = made.export(ExportFormat::HuggingFace, None).unwrap();
        let (_, found) = exported
            .beside
            .iter()
            .find(|(name, _)| *name == "preprocessor_config.json")
            .unwrap();
        let [height, width] = image_size;
        assert_eq!(
            found["crop_size"],
            serde_json::json!({"height": height, "width": width})
        );
        assert_eq!(exported.notes.len(), usize::from(height != width));
        assert_eq!(found["size"], serde_json::json!({"shortest_edge": short}));
        assert_eq!(
            (&found["do_center_crop"], &found["resample"]),
            (&true.into(), &3.into())
        );
        assert_eq!(
            found["image_mean"],
            serde_json::json!(made.normalization.mean)
        );
        assert_eq!(found["do_convert_rgb"], true);
    }
    // The library would make colors of gray.
    let gray = VitConfig {
        channels: 1,
        ..config()
    };
    let made = checkpoint(gray, ArchOptions::default(), false);
    let exported = made.export(ExportFormat::HuggingFace, None).unwrap();
    assert_eq!(exported.beside[1].1["do_convert_rgb"], false);
    assert!(exported.notes[0].contains("of 1 channels"));
}

/// MAE's files have nothing beside them.
#[test]
fn what_files_of_mae_do_not_say_is_noted() {
    let made = checkpoint(config(), ArchOptions::default(), false);
    let exported = made.export(ExportFormat::Mae, None).unwrap();
    let notes = exported.notes.join("; ");
    assert!(notes.contains("3 heads"), "{notes}");
    assert!(notes.contains("mean [0.5, 0.25, 0.125]"), "{notes}");
    let sizes = VitConfig {
        embed_dim: 768,
        depth: 1,
        num_heads: 12,
        ..config()
    };
    let mut usual = checkpoint(sizes, ArchOptions::default(), false);
    usual.normalization = Normalization::usual(3);
    let exported = usual.export(ExportFormat::Mae, None).unwrap();
    assert!(exported.notes.is_empty(), "{:?}", exported.notes);
}

#[test]
fn numbers_that_half_precision_does_not_hold_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut made = checkpoint(config(), ArchOptions::default(), false);
    let bias = made.weights.get_mut("blocks.0.mlp.fc2.bias").unwrap();
    bias.values[1] = 1e6;
    let exported = made.export(ExportFormat::Timm, None).unwrap();
    let error = exported.write(&path, Precision::F16).unwrap_err();
    for part in ["model.safetensors", "blocks.0.mlp.fc2.bias", "bf16"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(!path.exists() && !folder.path().join("config.json").exists());
    exported.write(&path, Precision::Bf16).unwrap();
}
