//! How networks are named, and what they compute beside the plain encoder.

use super::*;

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
        "prompt_embeddings",
        "deep_prompt_embeddings",
        "temporal_embed",
        "channel_embed",
        "adapter.0.down.weight",
        "lora.blocks.0.attn.qkv.A",
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

/// A head of this name is no projection of tokens, but in files of ours.
#[test]
fn projections_of_others_are_left() {
    let folder = tempfile::tempdir().unwrap();
    let (_, expected) = read(&write(&folder, "plain.safetensors", plain()), &heads(3));
    let filled = |shape: &[usize]| Weight {
        shape: shape.to_vec(),
        values: vec![0.5; shape.iter().product()],
    };
    let mut projected = plain();
    projected.insert("projection.weight".into(), filled(&[8, 24]));
    let alone = write(&folder, "alone.safetensors", projected.clone());
    projected.insert("projection.bias".into(), filled(&[8]));
    let biased = pickled(&folder, "biased.pth", &projected, "FloatStorage");
    for (path, names) in [
        (&alone, &["projection.weight"][..]),
        (&biased, &["projection.bias", "projection.weight"][..]),
    ] {
        let (found, tokens) = read(path, &heads(3));
        assert_eq!(tokens, expected);
        assert_eq!(found.arch.projection, None);
        assert_eq!(found.loading.unused, names);
    }
    let ours = WeightsSource {
        layout: Some(CheckpointFormat::Semaim),
        ..heads(3)
    };
    let (found, tokens) = read(&alone, &ours);
    assert_eq!(found.arch.projection, Some(8));
    assert_eq!(tokens.len(), expected.len() / 3);
    // Ours has no bias.
    refused(&biased, &ours, &["projection.bias"]);
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
    let scalar = |name: &str| {
        let weight = Weight {
            shape: vec![1],
            values: vec![1.0],
        };
        (name.to_string(), weight)
    };
    // OpenAI's archives have entries that no others have.
    let mut published = under("visual.");
    published.extend(["input_resolution", "context_length", "vocab_size"].map(scalar));
    let published = pickled(&folder, "openai.pt", &published, "HalfStorage");
    assert_eq!(
        read_as(&published),
        (CheckpointFormat::Clip, Activation::QuickGelu)
    );
    let said = |path: &Path| {
        let found = Checkpoint::read(&WeightsSource::new(path)).unwrap();
        let mut lines = found.defaults_used.iter();
        lines.any(|line| line.contains("quick-gelu"))
    };
    assert!(!said(&published));
    // A whole model in half precision is taken for theirs, which is said.
    let mut whole = under("visual.");
    whole.extend(["logit_scale", "text_projection", "token_embedding.weight"].map(scalar));
    let half = pickled(&folder, "half.pt", &whole, "HalfStorage");
    assert_eq!(
        read_as(&half),
        (CheckpointFormat::Clip, Activation::QuickGelu)
    );
    assert!(said(&half));
    // Neither numbers nor wrappers alone tell.
    for (prefix, class) in [
        ("visual.", "HalfStorage"),
        ("state_dict.module.visual.", "FloatStorage"),
        ("module.visual.", "HalfStorage"),
    ] {
        let path = pickled(&folder, "untold.pt", &under(prefix), class);
        refused(
            &path,
            &WeightsSource::default(),
            &["OpenAI", "--activation"],
        );
    }
    let single = pickled(&folder, "single.pt", &whole, "FloatStorage");
    refused(&single, &WeightsSource::default(), &["--activation"]);
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

/// Stages that number their blocks anew have two tensors of one name, chunks that go on counting have not.
#[test]
fn blocks_of_chunks_are_read_and_those_of_stages_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, expected) = read(&write(&folder, "plain.safetensors", plain()), &heads(3));
    let chunks = renamed(plain(), |name| {
        name.replace("blocks.0.", "blocks.0.0.")
            .replace("blocks.1.", "blocks.1.1.")
    });
    let path = write(&folder, "chunks.safetensors", chunks);
    assert_eq!(read(&path, &heads(3)).1, expected);
    let stages = renamed(plain(), |name| {
        name.replace("blocks.0.", "blocks.0.0.")
            .replace("blocks.1.", "blocks.1.0.")
    });
    refused(
        &write(&folder, "stages.safetensors", stages),
        &heads(3),
        &["blocks.0.0.", "blocks.1.0."],
    );
}

#[test]
fn of_several_encoders_the_average_is_read_or_the_others_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_, expected) = read(&write(&folder, "plain.safetensors", plain()), &heads(3));
    let zero = |name: &str, prefix: &str| {
        let mut both = renamed(plain(), |part| format!("{name}{part}"));
        let mut others = renamed(plain(), |part| format!("{prefix}{part}"));
        others
            .values_mut()
            .for_each(|weight| weight.values.fill(0.0));
        both.extend(others);
        write(&folder, "both.safetensors", both)
    };
    for (wanted, other) in [
        ("ema.", "model."),
        ("ema_model.", "model."),
        ("target_encoder.", "encoder."),
    ] {
        let (found, tokens) = read(&zero(wanted, other), &heads(3));
        assert_eq!(found.loading.prefix, wanted);
        assert_eq!(tokens, expected, "{wanted}");
        let mut said = found.defaults_used.iter();
        assert!(!said.any(|line| line.contains("as complete are those")));
    }
    let (found, _) = read(&zero("models.0.", "models.1."), &heads(3));
    assert_eq!(found.loading.prefix, "models.0.");
    let mut said = found.defaults_used.iter();
    assert!(
        said.any(|line| line.contains("as complete are those") && line.contains("`models.1.`"))
    );
}

/// MAE's fine-tuned models have the norm behind the mean under the prefix of all else.
#[test]
fn norms_of_heads_are_found_under_any_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let (_, expected) = read(&write(&folder, "plain.safetensors", plain()), &heads(3));
    for prefix in ["", "model.", "state_dict.module."] {
        let tuned = renamed(plain(), |name| match name.strip_prefix("norm.") {
            Some(part) => format!("{prefix}fc_norm.{part}"),
            None => format!("{prefix}{name}"),
        });
        let path = pickled(&folder, "tuned.pth", &tuned, "FloatStorage");
        let (found, tokens) = read(&path, &heads(3));
        assert_eq!(tokens, expected, "{prefix}");
        let mut said = found.defaults_used.iter();
        assert!(said.any(|line| line.contains("fc_norm")), "{prefix}");
    }
}

#[test]
fn what_is_told_against_a_file_beside_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "model.safetensors", plain());
    let config =
        json!({"architecture": "vit_x", "model_args": {"num_heads": 3, "act_layer": "gelu"}});
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let said = |options: &WeightsSource, part: &str| {
        let (found, _) = read(&path, options);
        let mut lines = found.defaults_used.iter();
        lines.any(|line| line.contains(part))
    };
    assert!(said(
        &heads(6),
        "6 heads, as told (--heads), where the files beside it say 3 (config.json)"
    ));
    assert!(!said(&heads(3), "as told"));
    let quick = WeightsSource {
        activation: Some(Activation::QuickGelu),
        ..WeightsSource::default()
    };
    assert!(said(
        &quick,
        "where the files beside it say gelu (config.json)"
    ));
    // The heads of a library's class are said, those of other classes asked for.
    let wide = made(
        &VitConfig {
            num_heads: 12,
            ..self::config()
        },
        &ArchOptions::default(),
    );
    let path = write(&folder, "model.safetensors", wide);
    let of_class = |class: &str| {
        let config = json!({"model_type": class}).to_string();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
    };
    of_class("vit");
    let (found, _) = read(&path, &WeightsSource::default());
    assert_eq!(found.config.num_heads, 12);
    let mut lines = found.defaults_used.iter();
    assert!(lines.any(|line| line.contains("12 heads, as transformers' `vit`")));
    of_class("my_vit");
    refused(&path, &WeightsSource::default(), &["--heads"]);
}

#[test]
fn what_is_guessed_of_heads_and_activations_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "model.safetensors", plain());
    let said = |options: &WeightsSource| -> Vec<String> {
        let (found, _) = read(&path, options);
        let mut lines = found.defaults_used;
        lines.retain(|line| line.contains("gelu") || line.contains("heads"));
        lines
    };
    let gelu = "gelu, as all of timm have (--activation)";
    assert_eq!(said(&heads(3)), [gelu]);
    let told = WeightsSource {
        activation: Some(Activation::Gelu),
        ..heads(3)
    };
    assert!(said(&told).is_empty());
    // A network of timm's is known by its name, its heads less surely than by its arguments.
    let beside = |config: serde_json::Value| {
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    };
    beside(json!({"architecture": "vit_tiny_patch16_224"}));
    assert_eq!(
        said(&WeightsSource::default()),
        ["3 heads, as timm's `vit_tiny_patch16_224` has by its name (--heads)"]
    );
    beside(json!({"architecture": "vit_tiny_patch16_224", "model_args": {"num_heads": 3}}));
    assert!(said(&WeightsSource::default()).is_empty());
    beside(json!({"num_attention_heads": 3, "hidden_act": "gelu"}));
    assert!(said(&WeightsSource::default()).is_empty());
}
