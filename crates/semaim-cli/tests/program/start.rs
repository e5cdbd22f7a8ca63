//! Runs that start from weights, and runs that are lengthened.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use safetensors::SafeTensors;

use crate::evaluate::path;
use crate::runner::{self, SMALL, encoder, pretrain, refuse, semaim, succeed, values};

/// The small run's settings that are no sizes of its network.
fn from_weights(out: &Path, more: &[&str]) -> Command {
    let mut command = semaim(&["pretrain", "--data", "shapes", "--out", path(out)]);
    let others = SMALL
        .iter()
        .filter(|setting| !setting.starts_with("model."));
    for setting in others {
        command.args(["--set", setting]);
    }
    command.args(more);
    command
}

fn sets<'a>(settings: &[&'a str]) -> Vec<&'a str> {
    settings
        .iter()
        .flat_map(|setting| ["--set", setting])
        .collect()
}

/// Tensors of a file whose names begin with `prefix`, without it.
fn tensors(file: &Path, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let named = file.iter().filter_map(|(name, tensor)| {
        Some((
            name.strip_prefix(prefix)?.to_string(),
            tensor.data().to_vec(),
        ))
    });
    named.collect()
}

fn checkpoint(run: &Path, step: u64) -> BTreeMap<String, Vec<u8>> {
    tensors(
        &run.join(format!("checkpoints/step-{step:09}.safetensors")),
        "model.",
    )
}

/// With a rate of nothing the encoder that comes out is the one that went in, whatever kind it is, by either method.
#[test]
fn weights_of_every_kind_are_where_a_run_starts() {
    let folder = tempfile::tempdir().unwrap();
    let kinds: [&[&str]; 3] = [
        &[],
        &[
            "arch.registers=2",
            "arch.activation=swi-glu",
            "model.mlp_ratio=3",
            // Hugging Face's DINOv2 is for square images.
            "model.image_size=16",
        ],
        &[
            "arch.norm_pre=true",
            "arch.activation=quick-gelu",
            "arch.epsilon=1e-5",
        ],
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let first = folder.path().join(format!("first-{number}"));
        succeed(pretrain(
            &first,
            &sets(&[kind, &["train.epochs=2"]].concat()),
        ));
        for method in ["semaim", "mae"] {
            let out = folder.path().join(format!("{method}-{number}"));
            let method = format!("method={method}");
            let still = [
                "optimizer.base_lr=0",
                &method,
                "mae.decoder_dim=8",
                "mae.decoder_heads=2",
                "mae.decoder_depth=1",
            ];
            let mut command = from_weights(&out, &sets(&still));
            command.arg("--init").arg(&first);
            succeed(command);
            assert_eq!(encoder(&out), encoder(&first), "{kind:?} {method}");
        }
    }
    // Registers and LayerScale by way of another library's layout.
    let hf = folder.path().join("hf");
    let first = folder.path().join("first-1");
    let export = [
        "export",
        "--layout",
        "huggingface",
        "--weights",
        path(&first),
        "--to",
        path(&hf),
    ];
    succeed(semaim(&export));
    let out = folder.path().join("from-hf");
    let still = sets(&["optimizer.base_lr=0"]);
    let mut command = from_weights(&out, &still);
    command.arg("--init").arg(&hf);
    succeed(command);
    let weights = |run: &Path| tensors(&run.join("encoder.safetensors"), "");
    assert_eq!(weights(&out), weights(&first));
    let inspected = succeed(semaim(&["inspect", path(&out)])).stdout;
    for part in [
        "started from",
        "hf-dinov2",
        "SHA-256",
        "LayerScale is multiplied",
    ] {
        assert!(inspected.contains(part), "{part}: {inspected}");
    }
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("Origin") && report.contains("hf-dinov2"));
    assert!(
        !succeed(semaim(&["inspect", path(&first)]))
            .stdout
            .contains("origin")
    );
}

#[test]
fn a_run_from_weights_goes_on_without_them_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first");
    succeed(pretrain(&first, &["--set", "train.epochs=2"]));
    let file = folder.path().join("start.safetensors");
    fs::copy(first.join("encoder.safetensors"), &file).unwrap();
    let settings = sets(&[
        "query_start=encoder",
        "positions=trained",
        "layer_decay=0.7",
        "train.freeze_blocks=1",
        "new_parts_epochs=1",
        "train.ema=true",
        "checkpoint.every_steps=1",
        "checkpoint.keep_every_epochs=1",
        "optimizer.base_lr=0.03",
    ]);
    let command = |out: &Path| {
        let mut command = from_weights(out, &settings);
        command.arg("--init").arg(&file);
        command
    };
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    succeed(command(&whole));
    for lines in [4, 11] {
        runner::killed(command(&killed), &killed, lines);
    }
    assert!(!checkpoint_names(&killed).is_empty());
    fs::remove_file(&file).unwrap();
    succeed(command(&killed));
    assert_eq!(encoder(&killed), encoder(&whole));
    // Five steps of each of three epochs: in the first the parts alone learn that are new.
    let start = tensors(&first.join("encoder.safetensors"), "");
    let (after_one, last) = (checkpoint(&whole, 5), checkpoint(&whole, 15));
    for (name, values) in &start {
        assert_eq!(&after_one[name], values, "{name} waits");
        let frozen = !(name.starts_with("blocks.1.") || name.starts_with("norm."));
        assert_eq!(&last[name] == values, frozen, "{name}");
    }
    let query = "query_blocks.0.mlp.fc1.weight";
    assert_eq!(after_one[query], start["blocks.1.mlp.fc1.weight"]);
    assert_ne!(last[query], after_one[query]);
    let mut head = after_one
        .keys()
        .filter(|name| name.starts_with("prediction_head"));
    assert!(head.any(|name| last[name] != after_one[name]));
}

fn checkpoint_names(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run.join("checkpoints")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn what_does_not_fit_is_fitted_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first");
    succeed(pretrain(&first, &["--set", "train.epochs=2"]));
    let out = folder.path().join("out");
    let with = |settings: &[&str]| {
        let mut command = from_weights(&out, &sets(settings));
        command.arg("--init").arg(&first);
        command
    };
    for (setting, parts) in [
        ("model.embed_dim=24", ["model.embed_dim is 24", "has 16"]),
        ("model.patch_size=4", ["model.patch_size is 4", "has 8"]),
        ("model.mlp_ratio=2", ["model.mlp_ratio is 2", "64 units"]),
        ("arch.registers=1", ["arch.registers is 1", "has 0"]),
        ("arch.norm_pre=true", ["arch.norm_pre is true", "has false"]),
    ] {
        refuse(with(&[setting]), &parts);
        assert!(!out.exists());
    }
    refuse(
        pretrain(&out, &sets(&["query_start=encoder"])),
        &["query_start", "--init"],
    );
    let mut missing = from_weights(&out, &[]);
    missing.args(["--init", "nowhere.pth"]);
    refuse(missing, &["nowhere.pth"]);
    assert!(!out.exists());
    succeed(with(&[
        "model.channels=1",
        "model.image_size=[32,32]",
        "positions=trained",
    ]));
    let inspected = succeed(semaim(&["inspect", path(&out)])).stdout;
    for part in [
        "3 channels is added up for 1",
        "2 x 3 patches are resized to 4 x 4",
        "after step 10",
    ] {
        assert!(inspected.contains(part), "{part}: {inspected}");
    }
    // Another start is another experiment.
    let mut other = from_weights(
        &out,
        &sets(&[
            "model.channels=1",
            "model.image_size=[32,32]",
            "positions=trained",
        ]),
    );
    other.arg("--init").arg(&out);
    refuse(other, &["encoder.weights"]);
}

#[test]
fn a_finished_run_is_lengthened_once_by_the_same_command() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let keep = ["--set", "checkpoint.every_steps=1"];
    refuse(
        pretrain(&whole, &["--extend", "9"]),
        &["--extend", "holds none"],
    );
    succeed(pretrain(&whole, &keep));
    let first = encoder(&whole);
    succeed(pretrain(&killed, &keep));
    let longer = [&keep[..], &["--extend", "9"]].concat();
    succeed(pretrain(&whole, &longer));
    let logged = runner::lines(&killed.join("metrics.jsonl"));
    runner::killed(pretrain(&killed, &longer), &killed, logged + 5);
    // What was lengthened stays so: the run's own command goes on.
    succeed(pretrain(&killed, &keep));
    assert_eq!(encoder(&killed), encoder(&whole));
    assert_ne!(encoder(&whole), first);
    // Three epochs of five steps, then six: the rate goes through the same, at half the pace.
    let rates = values(&whole, "train/lr");
    assert_eq!(rates.len(), 45);
    for step in 0..15 {
        assert!(
            (rates[15 + 2 * step] - rates[step]).abs() < 1e-12,
            "{step}: {rates:?}"
        );
    }
    let bytes = encoder(&whole);
    let again = succeed(pretrain(&whole, &longer));
    assert_eq!(
        (encoder(&whole), values(&whole, "train/lr").len()),
        (bytes, 45),
        "{}",
        again.stdout
    );
    refuse(
        pretrain(&whole, &["--extend", "7"]),
        &["already has 9 epochs"],
    );
    let told = "from 3 to 9 epochs";
    assert!(
        succeed(semaim(&["inspect", path(&whole)]))
            .stdout
            .contains(told)
    );
    assert!(
        fs::read_to_string(whole.join("report.html"))
            .unwrap()
            .contains(told)
    );
    // Its past stays as it was.
    refuse(
        pretrain(&whole, &["--set", "train.extended_to=[8,9]"]),
        &["train.extended_to"],
    );
}

#[test]
fn how_weights_are_read_is_told_with_weights_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for told in [
        &["--heads", "2"][..],
        &["--layout", "timm"],
        &["--allow-partial"],
    ] {
        let refused = refuse(pretrain(&out, told), &[told[0], "--init"]);
        assert!(!out.exists(), "{}", refused.stderr);
    }
}
