//! `inspect`, `export`, and encoders of others in every command.

use std::path::Path;

use crate::evaluate::{COLORS, colored, json, path, trained};
use crate::runner::{pretrain, refuse, semaim, succeed};

fn exported(weights: &Path, to: &Path, more: &[&str]) {
    let fixed = ["export", "--weights", path(weights), "--to", path(to)];
    succeed(semaim(&[&fixed[..], more].concat()));
}

/// timm and MAE give their tensors the same names and resize positions in different ways.
#[test]
fn how_positions_are_resized_is_said_where_nothing_tells() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let square = ["--set", "train.epochs=2", "--set", "model.image_size=16"];
    succeed(pretrain(&run, &square));
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 2);
    let timm = folder.path().join("timm.safetensors");
    exported(&run, &timm, &["--layout", "timm"]);
    let out = folder.path().join("v.npy");
    let embed = |more: &[&str]| {
        let fixed = ["embed", "--weights", path(&timm), "--data", path(&data)];
        let sized = ["--image-size", "48", "--heads", "2", "--out", path(&out)];
        succeed(semaim(&[&fixed[..], &sized, more].concat()))
    };
    let said = "position table is resized as timm does it";
    assert!(embed(&[]).stderr.contains(said));
    assert!(!embed(&["--layout", "mae"]).stderr.contains(said));
    let sized = [
        "--image-size",
        "48",
        "--heads",
        "2",
        "--weights",
        path(&timm),
    ];
    let picture = folder.path().join("p.png");
    let show = ["show", "--images", path(&data), "--out", path(&picture)];
    let larger = folder.path().join("larger.safetensors");
    let export = ["export", "--to", path(&larger)];
    for command in [&show[..], &export] {
        let ran = succeed(semaim(&[command, &sized].concat()));
        assert!(ran.stderr.contains(said), "{command:?}: {}", ran.stderr);
    }
}

#[test]
fn what_is_exported_is_inspected_and_classifies_alike() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 6);
    colored(&data, "val", COLORS, 3);
    let ours = json(&succeed(semaim(&["inspect", path(&run), "--json"])));
    assert_eq!(ours["layout"], "semaim");
    assert_eq!(ours["missing"].as_array().map(Vec::len), Some(0));
    let heads = ours["num_heads"].to_string();
    let knn = |weights: &Path, more: &[&str]| {
        let fixed = [
            "knn",
            "--data",
            path(&data),
            "--k",
            "3",
            "--json",
            "--weights",
            path(weights),
        ];
        json(&succeed(semaim(&[&fixed[..], more].concat())))["knn"].clone()
    };
    let expected = knn(&run, &[]);

    let hf = folder.path().join("hf");
    exported(&run, &hf, &["--layout", "huggingface"]);
    assert!(hf.join("config.json").is_file() && hf.join("preprocessor_config.json").is_file());
    let found = json(&succeed(semaim(&["inspect", path(&hf), "--json"])));
    assert_eq!(found["layout"], "hf-vit");
    for key in [
        "embed_dim",
        "depth",
        "num_heads",
        "image_size",
        "mean",
        "std",
    ] {
        assert_eq!(found[key], ours[key], "{key}");
    }
    assert_eq!(knn(&hf, &[]), expected);

    let timm = folder.path().join("timm.safetensors");
    exported(&run, &timm, &["--dtype", "bf16"]);
    // The file beside it says all that weights do not; without it heads and size have to be told.
    let _ = knn(&timm, &[]);
    std::fs::remove_file(folder.path().join("timm.config.json")).unwrap();
    let found = succeed(semaim(&[
        "inspect",
        path(&timm),
        "--tensors",
        "--image-size",
        "16x24",
    ]));
    for part in [
        "timm",
        "bfloat16",
        "heads not told",
        "blocks.0.attn.qkv.weight",
    ] {
        assert!(found.stdout.contains(part), "{part} in {}", found.stdout);
    }
    refuse(
        semaim(&["inspect", path(&timm)]),
        &["timm.safetensors", "no square grid", "--image-size"],
    );
    let size = ["--image-size", "16x24"];
    let unsaid = ["knn", "--data", path(&data), "--weights", path(&timm)];
    refuse(
        semaim(&[&unsaid[..], &size].concat()),
        &["timm.safetensors", "--heads"],
    );
    // A run keeps what was measured of it; of its normalization these weights alone say nothing.
    let _ = knn(&timm, &[&size[..], &["--heads", &heads]].concat());
    let kept = std::fs::read_to_string(run.join("evaluations.jsonl")).unwrap();
    assert_eq!(
        kept.lines().count(),
        1,
        "the same evaluation is kept once: {kept}"
    );

    let whole = folder.path().join("whole.safetensors");
    exported(&run, &whole, &["--layout", "semaim", "--whole"]);
    let found = json(&succeed(semaim(&["inspect", path(&whole), "--json"])));
    let left = found["left"].to_string();
    assert!(
        left.contains("prediction_head") && left.contains("query_blocks"),
        "{left}"
    );
    assert_eq!(knn(&whole, &[]), expected);
}

#[test]
fn checkpoints_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let file = folder.path().join("x.safetensors");
    let to = path(&file);
    refuse(semaim(&["inspect", "nowhere.pth"]), &["nowhere.pth"]);
    refuse(
        semaim(&["inspect", path(folder.path())]),
        &["model.safetensors"],
    );
    std::fs::write(folder.path().join("text.pth"), "hello").unwrap();
    refuse(
        semaim(&["inspect", path(&folder.path().join("text.pth"))]),
        &["text.pth"],
    );
    refuse(
        semaim(&["inspect", path(&run), "--layout", "resnet"]),
        &["resnet", "dinov2"],
    );
    refuse(
        semaim(&["inspect", path(&run), "--layout", "clip"]),
        &["holds no vision transformer in the layout clip"],
    );
    let run = path(&run);
    let whole = ["export", "--weights", run, "--to", to, "--whole"];
    refuse(
        semaim(&[&whole[..], &["--layout", "timm"]].concat()),
        &["--whole"],
    );
    refuse(
        semaim(&["export", "--weights", run, "--to", "x.pth"]),
        &[".safetensors"],
    );
    refuse(
        semaim(&["export", "--weights", run, "--to", to, "--image-size", "33"]),
        &["33", "patch_size"],
    );
    assert!(!file.exists());
}

/// The encoder of a fine-tuned run, and of a checkpoint of a run, in every command that takes one.
#[test]
fn runs_and_their_checkpoints_are_encoders() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 8);
    colored(&data, "val", COLORS, 3);
    let tuned = folder.path().join("tuned");
    let finetune = |weights: &Path, out: &Path| {
        let mut command = semaim(&[
            "finetune",
            "--weights",
            path(weights),
            "--data",
            path(&data),
        ]);
        command.args([
            "--out",
            path(out),
            "--set",
            "train.epochs=2",
            "--set",
            "train.batch_size=8",
        ]);
        command.args(["--set", "optimizer.warmup_epochs=1"]);
        command
    };
    succeed(finetune(&run, &tuned));
    let step = std::fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "safetensors")
        })
        .unwrap();
    let classifier = tuned.join("classifier.safetensors");
    // With its head and classes for libraries; they are encoders still.
    let timm = folder.path().join("timm");
    exported(&tuned, &timm, &["--layout", "timm"]);
    let config = |folder: &Path| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap()
    };
    assert_eq!(config(&timm)["num_classes"], COLORS.len());
    assert_eq!(config(&timm)["label_names"][0], COLORS[0].0);
    let alone = folder.path().join("alone");
    exported(&tuned, &alone, &["--without-head"]);
    assert_eq!(config(&alone)["num_classes"], 0);
    let huggingface = folder.path().join("huggingface");
    let export = [
        "export",
        "--layout",
        "huggingface",
        "--weights",
        path(&tuned),
    ];
    let export = [&export[..], &["--to", path(&huggingface)]].concat();
    // BEiT resizes tables that are not square as if they were.
    refuse(semaim(&export), &["not square"]);
    succeed(semaim(&[&export[..], &["--image-size", "16"]].concat()));
    assert_eq!(config(&huggingface)["id2label"]["0"], COLORS[0].0);
    let fixed = [
        "export",
        "--without-head",
        "--to",
        path(&alone),
        "--weights",
    ];
    refuse(
        semaim(&[&fixed[..], &[path(&run)]].concat()),
        &["classifiers"],
    );
    for (i, weights) in [&tuned, &classifier, &step, &timm].into_iter().enumerate() {
        let out = folder.path().join(format!("new-{i}/further"));
        let file = |name: &str| out.join(name);
        let with = |command: &str, more: &[&str]| {
            let fixed = [command, "--weights", path(weights)];
            semaim(&[&fixed[..], more].concat())
        };
        let said = succeed(with("knn", &["--data", path(&data), "--k", "1"]));
        // What is taken for the final norm of a classifier of averaged tokens is said.
        assert_eq!(said.stderr.contains("fc_norm"), i != 2, "{}", said.stderr);
        succeed(with("export", &["--to", path(&file("x.safetensors"))]));
        assert!(file("x.safetensors").is_file());
        succeed(with(
            "embed",
            &["--data", path(&data), "--out", path(&file("v.npy"))],
        ));
        let (picture, image) = (file("p.png"), data.join("val/red/0.bmp"));
        let show = ["show", "--images", path(&image), "--weights", path(weights)];
        succeed(semaim(&[&show[..], &["--out", path(&picture)]].concat()));
    }
    succeed(finetune(&tuned, &folder.path().join("again")));
}

/// One number that is not finite makes every vector so: said, and nothing is computed.
#[test]
fn weights_that_are_not_finite_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 3);
    let encoder = run.join("encoder.safetensors");
    let mut bytes = std::fs::read(&encoder).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    // A checksum of another name is none.
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
    bytes.splice(
        8..8 + length,
        header.replace("crc32c", "crc32d").into_bytes(),
    );
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    let broken = folder.path().join("broken.safetensors");
    std::fs::write(&broken, bytes).unwrap();
    let (weights, images) = (path(&broken), path(&data));
    let out = folder.path().join("out.safetensors");
    for command in [
        &["knn", "--k", "1"][..],
        &["probe"],
        &["embed", "--out", path(&out)],
    ] {
        let fixed = ["--weights", weights, "--data", images];
        refuse(
            semaim(&[command, &fixed].concat()),
            &["broken.safetensors", "NaN"],
        );
    }
    let found = json(&succeed(semaim(&["inspect", weights, "--json"])));
    assert_eq!(found["not_finite"].as_array().map(Vec::len), Some(1));
    assert!(!out.exists());
    let converted = succeed(semaim(&[
        "export",
        "--weights",
        weights,
        "--to",
        path(&out),
    ]));
    assert!(
        converted.stderr.contains("NaN or infinite in 1 number;"),
        "{}",
        converted.stderr
    );
}

#[test]
fn onnx_files_are_of_encoders_and_classifiers_and_say_how_images_are_prepared() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let file = folder.path().join("deep/er/model.onnx");
    let ran = {
        let fixed = ["export", "--layout", "onnx", "--weights", path(&run)];
        succeed(semaim(
            &[&fixed[..], &["--to", path(&file), "--json"]].concat(),
        ))
    };
    let said = json(&ran);
    assert_eq!(
        (&said["kind"], &said["layout"]),
        (&"encoder".into(), &"onnx".into())
    );
    let holds = |file: &Path, text: &str| {
        let bytes = std::fs::read(file).unwrap();
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    for text in [
        "semaim.input",
        "center_crop",
        "LayerNormalization",
        "blocks.1.mlp.fc2.weight",
    ] {
        assert!(holds(&file, text), "{text}");
    }
    assert!(!holds(&file, "Resize"));
    let any = folder.path().join("any.onnx");
    exported(&run, &any, &["--layout", "onnx", "--dynamic-size"]);
    assert!(holds(&any, "Resize") && holds(&any, "multiple_of"));
    let first = std::fs::read(&any).unwrap();
    exported(&run, &any, &["--layout", "onnx", "--dynamic-size"]);
    assert_eq!(std::fs::read(&any).unwrap(), first);

    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 6);
    colored(&data, "val", COLORS, 3);
    let tuned = folder.path().join("tuned");
    let settings = [
        "train.epochs=1",
        "train.batch_size=4",
        "optimizer.warmup_epochs=0",
    ];
    let settings: Vec<&str> = settings
        .iter()
        .flat_map(|setting| ["--set", setting])
        .collect();
    let fixed = [
        "finetune",
        "--weights",
        path(&run),
        "--data",
        path(&data),
        "--out",
        path(&tuned),
    ];
    succeed(semaim(&[&fixed[..], &settings].concat()));
    let classes = folder.path().join("classes.onnx");
    exported(
        &tuned,
        &classes,
        &["--layout", "onnx", "--image-size", "32x32"],
    );
    assert!(holds(&classes, "semaim.classes") && holds(&classes, COLORS[0].0));

    let refused = |more: &[&str], parts: &[&str]| {
        let fixed = ["export", "--weights", path(&run)];
        refuse(semaim(&[&fixed[..], more].concat()), parts);
    };
    let to = path(&any);
    refused(&["--layout", "onnx", "--to", "x.pth"], &[".onnx"]);
    refused(
        &["--layout", "onnx", "--to", to, "--dtype", "f16"],
        &["--dtype"],
    );
    refused(&["--layout", "onnx", "--to", to, "--whole"], &["--whole"]);
    refused(
        &["--to", "x.safetensors", "--dynamic-size"],
        &["--layout onnx"],
    );
}
