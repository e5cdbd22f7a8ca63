//! `inspect`, `export`, and encoders of others in every command.

use std::path::Path;

use crate::evaluate::{COLOURS, coloured, json, path, trained};
use crate::runner::{refuse, semaim, succeed};

fn exported(weights: &Path, to: &Path, more: &[&str]) {
    let fixed = ["export", "--weights", path(weights), "--to", path(to)];
    succeed(semaim(&[&fixed[..], more].concat()));
}

#[test]
fn what_is_exported_is_inspected_and_classifies_alike() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    coloured(&data, "train", COLOURS, 6);
    coloured(&data, "val", COLOURS, 3);
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
    // A run keeps what was measured of it; its normalisation is told to timm by no file.
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
