//! The command line and what a finished run leaves behind.

use safetensors::SafeTensors;
use serde_json::Value;

use crate::runner::{close, encoder, pretrain, refuse, semaim, succeed, values};

#[test]
fn a_run_leaves_what_the_readme_says() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let ran = succeed(pretrain(&out, &[]));
    assert!(ran.stdout.contains("kNN top-1"), "{}", ran.stdout);
    assert!(ran.stdout.contains("encoder.safetensors"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "", "quiet without a terminal");
    for file in [
        "config.toml",
        "metrics.jsonl",
        "encoder.safetensors",
        "orders.png",
    ] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let names: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        names
            .iter()
            .any(|name| name.starts_with("events.out.tfevents.")),
        "{names:?}"
    );
    assert!(
        !names.iter().any(|name| name.ends_with(".tmp")),
        "{names:?}"
    );
    assert_eq!(values(&out, "train/loss").len(), 15);
    assert_eq!(values(&out, "eval/knn_top1").len(), 2);

    let again = succeed(pretrain(&out, &[]));
    assert!(
        again.stdout.contains("this run is finished"),
        "{}",
        again.stdout
    );
}

#[test]
fn the_encoder_has_timms_names_and_shapes() {
    let folder = tempfile::tempdir().unwrap();
    succeed(pretrain(folder.path(), &["--set", "train.epochs=2"]));
    let bytes = encoder(folder.path());
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| file.tensor(name).unwrap().shape().to_vec();
    assert_eq!(shape("cls_token"), [1, 1, 16]);
    assert_eq!(shape("pos_embed"), [1, 7, 16]);
    assert_eq!(shape("patch_embed.proj.weight"), [16, 3, 8, 8]);
    assert_eq!(shape("blocks.1.attn.qkv.weight"), [48, 16]);
    assert_eq!(shape("blocks.0.mlp.fc2.bias"), [16]);
    assert_eq!(shape("norm.weight"), [16]);
    // cls, pos, 2 of the patch embedding, 12 per block, 2 of the norm
    assert_eq!(file.names().len(), 4 + 2 * 12 + 2);
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    assert_eq!(metadata["format"], "pt");
    let sizes: Value = serde_json::from_str(&metadata["semaim.vit"]).unwrap();
    assert_eq!(sizes["num_heads"], 2);
}

#[test]
fn json_is_one_object_on_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let ran = succeed(pretrain(folder.path(), &["--json"]));
    let value: Value = serde_json::from_str(ran.stdout.trim()).unwrap();
    assert_eq!(value["ending"], "finished");
    assert_eq!(value["steps"], 15);
    assert!(value["knn_top1"].is_number());
}

#[test]
fn every_order_similarity_head_and_decoder_trains() {
    let folder = tempfile::tempdir().unwrap();
    let settings: &[&[&str]] = &[
        &["order.kind=similarity", "order.similarity=gap"],
        &["order.kind=semantic-windows", "order.similarity=self"],
        &["order.kind=raster", "decoder.head=linear"],
        &["order.kind=snake", "decoder.weights=shared"],
        &[
            "order.kind=stochastic",
            "target.loss=l1",
            "target.normalize=false",
        ],
        &[
            "order.kind=center-out",
            "target.blur_size=0",
            "train.drop_path=0.3",
        ],
        &["order.kind=stochastic-center", "model.channels=1"],
        &["order.source=ema", "train.ema=true", "model.channels=5"],
        &[
            "train.grad_accum_steps=4",
            "decoder.query_depth=2",
            "train.recompute=block",
        ],
        &["target.kind=ema", "order.source=ema", "train.ema=true"],
        &["target.kind=self", "order.kind=stochastic"],
        &[
            "target.kind=ema",
            "order.source=model",
            "train.ema=true",
            "order.similarity=self",
        ],
        &[
            "method=mae",
            "mae.decoder_dim=8",
            "mae.decoder_depth=1",
            "mae.decoder_heads=2",
            "train.ema=true",
            "train.recompute=mlp",
        ],
    ];
    for (i, settings) in settings.iter().enumerate() {
        let out = folder.path().join(i.to_string());
        let mut arguments = vec!["--set", "train.epochs=2"];
        for setting in *settings {
            arguments.extend(["--set", setting]);
        }
        succeed(pretrain(&out, &arguments));
        let losses = values(&out, "train/loss");
        assert!(
            losses.iter().all(|loss| loss.is_finite()),
            "{settings:?}: {losses:?}"
        );
        assert_eq!(
            out.join("encoder_ema.safetensors").exists(),
            settings.contains(&"train.ema=true")
        );
    }
}

#[test]
fn recipes_are_listed_shown_and_run_dry() {
    let list = succeed(semaim(&["recipes"])).stdout;
    assert!(
        list.contains("quickstart") && list.contains("vit-b16-800e"),
        "{list}"
    );
    let shown = succeed(semaim(&["recipes", "show", "vit-b16-800e"])).stdout;
    assert!(shown.contains("epochs = 800"), "{shown}");
    refuse(
        semaim(&["recipes", "show", "vit-z"]),
        &["vit-z", "quickstart"],
    );
    let dry = succeed(semaim(&[
        "pretrain",
        "--recipe",
        "vit-b16-800e",
        "--dry-run",
        "--set",
        "data.shapes_count=4096",
    ]));
    assert!(dry.stdout.contains("embed_dim = 768"), "{}", dry.stdout);
    assert!(
        dry.stdout.contains("85.65 M in the encoder"),
        "{}",
        dry.stdout
    );
    assert!(
        dry.stdout.contains("2 per epoch, 1600 in all"),
        "{}",
        dry.stdout
    );
}

#[test]
fn settings_without_effect_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let dry = |more: &[&str]| {
        let ran = succeed(pretrain(&out, &[&["--dry-run"], more].concat()));
        ran.stderr
    };
    let mae = ["--set", "method=mae", "--set", "order.kind=raster"];
    let said = dry(&mae);
    for key in ["decoder.query_depth", "order.kind"] {
        let part = format!("{key} (method is `mae`)");
        assert!(
            said.contains("without effect on training") && said.contains(&part),
            "{said}"
        );
    }
    let said = dry(&["--set", "order.kind=raster"]);
    assert!(!said.contains("without effect"), "{said}");
    let file = folder.path().join("own.toml");
    std::fs::write(&file, "[mae]\ndecoder_dim = 8\ndecoder_heads = 2\n").unwrap();
    let said = dry(&["--config", file.to_str().unwrap()]);
    assert!(
        said.contains("mae.decoder_heads (method is `semaim`)"),
        "{said}"
    );
    // What a recipe says of the other method is nobody's mistake.
    let recipe = [
        "pretrain",
        "--recipe",
        "quickstart",
        "--dry-run",
        mae[0],
        mae[1],
        "--out",
    ];
    let ran = succeed(semaim(&[&recipe[..], &[out.to_str().unwrap()]].concat()));
    assert!(!ran.stderr.contains("without effect"), "{}", ran.stderr);
}

#[test]
fn options_that_would_not_be_looked_at_are_refused() {
    // The last option of each line goes with none of the others. What it requires is not missed then, so it has to say so itself.
    let lines = [
        "knn --weights w --data d --queries f",
        "predict --weights w --data d --images x",
        "detect --data d --images x",
        "detect --data d --eval-annotations f",
        "detect --data d --eval-images x",
        "detect --data d --eval-data e --eval-images x",
        "detect --annotations a --eval-data e --eval-images x",
        "segment --data d --eval-annotations f",
        "segment --labels l --images i --eval-annotations f",
        "segment --data d --eval-images x --eval-labels l",
        "segment --annotations a --eval-images x --eval-labels l",
        "segment --eval-annotations f --eval-images x --eval-labels l",
        "evaluate --weights w --data d --images x",
        "bench pointing --weights w --images x --count 5",
        "bench pointing --weights w --coco f --images x --seed 1",
    ];
    // Vectors in files have seen an encoder before.
    let of_encoders = [
        "--weights w",
        "--layout timm",
        "--heads 3",
        "--activation gelu",
        "--allow-partial",
        "--image-size 32",
        "--batch-size 8",
        "--workers 2",
        "--max-pixels 9",
        "--device cpu",
        "--device-unchecked",
        "--kernels composed",
        "--data d",
        "--exclude x",
        "--limit 5",
        "--feature cls",
        "--seed 3",
    ];
    let of_encoders = of_encoders.map(|option| format!("knn --bank b --queries f {option}"));
    for line in lines.map(String::from).iter().chain(&of_encoders) {
        let arguments: Vec<&str> = line.split(' ').collect();
        let option = arguments
            .iter()
            .rfind(|word| word.starts_with("--"))
            .unwrap();
        refuse(semaim(&arguments), &[*option, "cannot be used with"]);
    }
}

#[test]
fn help_shows_defaults() {
    for command in [
        &["--help"][..],
        &["pretrain", "--help"],
        &["recipes", "--help"],
        &["bench", "loader", "--help"],
    ] {
        let help = succeed(semaim(command)).stdout;
        assert!(help.contains("Usage"), "{help}");
    }
    let help = succeed(semaim(&["pretrain", "--help"])).stdout;
    assert!(
        help.contains("[default: cpu]") && help.contains("runs/quickstart"),
        "{help}"
    );
}

#[test]
fn the_loader_bench_counts_images() {
    let ran = succeed(semaim(&[
        "bench",
        "loader",
        "--image-size",
        "32",
        "--images",
        "64",
        "--workers",
        "1,2",
        "--json",
    ]));
    let value: Value = serde_json::from_str(ran.stdout.trim()).unwrap();
    assert_eq!(value["loader"].as_array().unwrap().len(), 2);
    assert_eq!(value["loader"][1]["workers"], 2);
    assert!(value["loader"][0]["images"].as_u64().unwrap() >= 64);
}

#[test]
fn composed_kernels_train_to_the_same_losses() {
    let folder = tempfile::tempdir().unwrap();
    let losses = |kernels: &str| {
        let out = folder.path().join(kernels);
        succeed(pretrain(&out, &["--kernels", kernels]));
        values(&out, "train/loss")
    };
    close(&losses("fused"), &losses("composed"));
}

#[test]
fn computing_again_changes_memory_and_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let after = |recompute: &str| {
        let out = folder.path().join(recompute);
        let setting = format!("train.recompute=\"{recompute}\"");
        succeed(pretrain(&out, &["--set", &setting]));
        encoder(&out)
    };
    let expected = after("none");
    assert!(after("mlp") == expected);
    assert!(after("block") == expected);
    let estimate = |recompute: &str| {
        let setting = format!("train.recompute=\"{recompute}\"");
        let out = folder.path().join("dry");
        let ran = succeed(pretrain(&out, &["--dry-run", "--json", "--set", &setting]));
        let value: Value = serde_json::from_str(&ran.stdout).unwrap();
        value["memory_bytes"].as_u64().unwrap()
    };
    assert!(estimate("none") > estimate("mlp") && estimate("mlp") > estimate("block"));
}

#[test]
fn steps_and_embeddings_are_measured() {
    for work in ["step", "embed"] {
        let sizes = ["--batch", "2", "--image-size", "32", "--depth", "1"];
        let mut command = semaim(&["bench", work, "--steps", "1", "--threads", "1", "--json"]);
        command.args(sizes);
        let value: Value = serde_json::from_str(&succeed(command).stdout).unwrap();
        for key in [
            "seconds",
            "images_per_second",
            "gflop",
            "gflop_per_second",
            "seconds_products_alone",
            "share_of_bound",
        ] {
            assert!(value[key].as_f64().unwrap() > 0.0, "{key} in {value}");
        }
        assert_eq!(value["seconds_by_part"].is_object(), work == "step");
        assert_eq!(value["threads"], 1);
        let text = succeed(semaim(&[
            "bench",
            work,
            "--steps",
            "1",
            "--image-size",
            "16",
            "--depth",
            "1",
        ]));
        assert!(text.stdout.contains("products alone"), "{}", text.stdout);
    }
    let sizes = [
        "--batch",
        "2",
        "--image-size",
        "32",
        "--depth",
        "1",
        "--steps",
        "3",
        "--json",
    ];
    let mut command = semaim(&["bench", "step", "--kernels", "composed", "--no-bound"]);
    command.args(sizes);
    let value: Value = serde_json::from_str(&succeed(command).stdout).unwrap();
    assert_eq!(value["steps_in_a_row"]["steps"], 3);
    assert_eq!(value["steps_in_a_row"]["reads"], 1, "{value}");
    refuse(
        semaim(&["bench", "step", "--image-size", "100"]),
        &["100", "patch"],
    );
    refuse(semaim(&["bench", "step", "--model", "vit-x"]), &["vit-b16"]);
}

#[test]
fn a_teacher_of_another_grid_and_width_gives_order_and_target() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = folder.path().join("teacher");
    let wider = ["model.image_size=[24,24]", "model.embed_dim=24"];
    let wider = wider.iter().flat_map(|setting| ["--set", setting]);
    succeed(pretrain(&teacher, &wider.collect::<Vec<_>>()));
    let weights = format!("teacher.weights={}", teacher.display());
    let student = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let more = more.iter().flat_map(|setting| ["--set", setting]);
        let fixed = ["--set", weights.as_str()];
        (
            out.clone(),
            pretrain(&out, &fixed.into_iter().chain(more).collect::<Vec<_>>()),
        )
    };
    let both = ["target.kind=teacher", "order.source=teacher"];
    let (out, command) = student("both", &both);
    succeed(command);
    let losses = values(&out, "train/loss");
    // Opposite directions cost 4, equal ones nothing.
    assert!(
        losses.iter().all(|loss| (0.0..4.0).contains(loss)),
        "{losses:?}"
    );
    assert!(losses.last() < losses.first(), "{losses:?}");
    let (order_only, command) = student("order", &both[1..]);
    succeed(command);
    assert!(
        values(&order_only, "train/loss")
            .iter()
            .all(|loss| loss.is_finite())
    );
    // Gray images are shown to a teacher of colors, and that is said; colors to one of gray images are not.
    let (gray, command) = student("of-gray", &["order.source=teacher", "model.channels=1"]);
    let said = succeed(command).stdout;
    assert!(said.contains("teacher's 3 channels"), "{said}");
    let as_teacher = format!("teacher.weights={}", gray.display());
    let (_, command) = student("of-colors", &[both[1], &as_teacher]);
    refuse(command, &["images of 1 channel"]);
    // What a teacher said is kept where views are fixed, and changes no byte.
    let fixed = [both[0], both[1], "data.crop_scale=[1.0,1.0]"];
    let kept = folder.path().join("kept");
    let cache = format!("teacher_cache={}", kept.display());
    let encoders = [
        ("asked", None),
        ("first", Some(&cache)),
        ("second", Some(&cache)),
    ];
    let encoders = encoders.map(|(name, cache)| {
        let more: Vec<&str> = fixed.into_iter().chain(cache.map(String::as_str)).collect();
        let (out, command) = student(name, &more);
        succeed(command);
        encoder(&out)
    });
    assert!(encoders[0] == encoders[1] && encoders[1] == encoders[2]);
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 1);
    let (_, command) = student("cropped", &[both[0], &cache]);
    refuse(command, &["teacher_cache", "crop_scale"]);
    let nowhere = ["target.kind=teacher", "teacher.weights=nowhere"];
    refuse(student("nowhere", &nowhere).1, &["nowhere"]);
    refuse(
        student("empty", &["target.kind=teacher", "teacher.weights="]).1,
        &["teacher.weights"],
    );
    refuse(
        student("mae", &["target.kind=teacher", "method=mae"]).1,
        &["target.kind"],
    );
    refuse(student("ema", &["target.kind=ema"]).1, &["train.ema"]);
}

#[test]
fn devices_are_listed_with_what_they_are() {
    let listed = succeed(semaim(&["devices", "--untested"])).stdout;
    let first: Vec<&str> = listed.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(first[..2], ["cpu", "CPU"], "{listed}");
    let json = succeed(semaim(&["devices", "--untested", "--json"])).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["devices"][0]["device"], "cpu");
    assert_eq!(
        json["devices"].as_array().unwrap().len(),
        listed.lines().count()
    );
}
