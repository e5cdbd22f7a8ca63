//! Images of other channels and depths than photographs have.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::evaluate::{json, path};
use crate::runner::{encoder, pretrain, refuse, semaim, succeed, values};

/// A `.npy` file.
fn npy(descr: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let mut sides = String::new();
    for side in shape {
        write!(sides, "{side}, ").unwrap();
    }
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sides}), }}\n");
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.bytes());
    out.extend(data);
    out
}

/// Five channels of floats far from 0 to 1, of two classes, in `train` and `val`.
fn floats(root: &Path) {
    for split in ["train", "val"] {
        for (kind, class) in ["a", "b"].iter().enumerate() {
            let folder = root.join(split).join(class);
            fs::create_dir_all(&folder).unwrap();
            for number in 0..6 {
                let value = |at: usize| {
                    let (x, y, channel) = (at / 5 % 20, at / 100, at % 5);
                    let wave = (x * (1 + 3 * kind) + y + number * 5 + split.len()) % 17;
                    (1000 * channel) as f32 + 10.0 * wave as f32 - 50.0
                };
                let numbers = (0..20 * 20 * 5).map(value);
                let data: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
                let file = npy("<f4", &[20, 20, 5], &data);
                fs::write(folder.join(format!("{number}.npy")), file).unwrap();
            }
        }
    }
}

const FIVE: [&str; 2] = ["--set", "model.channels=5"];

#[test]
fn five_channels_of_floats_go_the_whole_way() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    floats(&data);
    let at = |name: &str| folder.path().join(name);
    // Nothing is usual for five channels.
    let five = ["--data", path(&data), FIVE[0], FIVE[1]];
    refuse(
        pretrain(&at("run"), &five),
        &[
            "model.channels is 5",
            "data.mean",
            "semaim stats --channels 5",
        ],
    );
    // What is not measured is measured, and pasted.
    let found = json(&succeed(semaim(&["stats", path(&data), "--json"])));
    assert_eq!(found["channels"].as_array().unwrap().len(), 5);
    let mean = found["channels"][4]["mean"].as_f64().unwrap();
    assert!((3950.0..4200.0).contains(&mean), "{mean}");
    let settings: Vec<&str> = found["settings"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|setting| ["--set", setting.as_str().unwrap()])
        .collect();
    let measured = [&five[..], &settings].concat();
    let ran = succeed(pretrain(&at("run"), &measured));
    let complaint = "another image takes its place";
    assert!(!ran.stderr.contains(complaint), "{}", ran.stderr);
    let losses = values(&at("run"), "train/loss");
    let sane = losses.iter().all(|loss| loss.is_finite() && *loss < 10.0);
    assert!(sane, "{losses:?}");
    assert_eq!(values(&at("run"), "eval/knn_top1").len(), 2);
    // The same bytes with other threads, and where views travel in another form.
    let other = [&measured[..], &["--set", "data.workers=3"]].concat();
    succeed(pretrain(&at("other"), &other));
    assert_eq!(encoder(&at("run")), encoder(&at("other")));
    let composed = [&measured[..], &["--kernels", "composed"]].concat();
    succeed(pretrain(&at("composed"), &composed));
    let composed = values(&at("composed"), "train/loss");
    for (a, b) in losses.iter().zip(&composed) {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
    // Everything that takes an encoder takes them.
    let run = at("run");
    let with = |command: &str, more: &[&str]| {
        let fixed = [command, "--weights", path(&run), "--data", path(&data)];
        semaim(&[&fixed, more].concat())
    };
    let vectors = at("vectors.npy");
    let embedded = succeed(with("embed", &["--out", path(&vectors), "--json"]));
    assert_eq!(json(&embedded)["images"], 12);
    succeed(with("knn", &["--k", "1"]));
    succeed(with("probe", &["--epochs", "2"]));
    let tuned = at("tuned");
    let quick = [
        "--out",
        path(&tuned),
        "--set",
        "train.epochs=2",
        "--set",
        "optimizer.warmup_epochs=1",
        "--set",
        "train.batch_size=4",
    ];
    // RandAugment is for bytes.
    refuse(with("finetune", &quick), &["augment.rand_layers=0"]);
    fs::remove_dir_all(&tuned).unwrap();
    let plain = [&quick[..], &["--set", "augment.rand_layers=0"]].concat();
    succeed(with("finetune", &plain));
    let seen = semaim(&["predict", "--weights", path(&tuned), "--data", path(&data)]);
    assert_eq!(succeed(seen).stdout.lines().count(), 13);
    let shown = at("seen.png");
    succeed(semaim(&[
        "show",
        "--weights",
        path(&run),
        "--images",
        path(&data.join("val")),
        "--out",
        path(&shown),
        "--count",
        "2",
    ]));
}

#[test]
fn figures_of_another_number_of_channels_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let with = |more: &[&str]| {
        let all = [&["--dry-run", "--data", "x", FIVE[0], FIVE[1]], more].concat();
        pretrain(&run, &all)
    };
    let three = [
        "--set",
        "data.mean=[1.0,2.0,3.0]",
        "--set",
        "data.std=[1.0,1.0,1.0]",
    ];
    refuse(with(&three), &["data.mean", "3 values for 5 channels"]);
    // One alone is not enough.
    refuse(with(&["--set", "data.mean=[1,2,3,4,5]"]), &["semaim stats"]);
    // Gray, RGB and what is generated need none.
    succeed(pretrain(&run, &["--dry-run", FIVE[0], FIVE[1]]));
    succeed(pretrain(&run, &["--dry-run", "--set", "model.channels=1"]));
}

#[test]
fn images_of_several_files_and_of_16_bits_train() {
    let folder = tempfile::tempdir().unwrap();
    let mut list = String::from("first,second,class\n");
    for number in 0..16usize {
        let level = |at: usize| ((at * 601 + number * 977) % 65_536) as u16;
        let words: Vec<u8> = (0..400).flat_map(|at| level(at).to_le_bytes()).collect();
        let bytes: Vec<u8> = (0..400).map(|at| level(at * 3) as u8).collect();
        for (name, file) in [
            ("first", npy("<u2", &[20, 20], &words)),
            ("second", npy("|u1", &[20, 20], &bytes)),
        ] {
            fs::write(folder.path().join(format!("{number}_{name}.npy")), file).unwrap();
        }
        writeln!(
            list,
            "{number}_first.npy,{number}_second.npy,{}",
            number % 2
        )
        .unwrap();
    }
    let data = folder.path().join("list.csv");
    fs::write(&data, list).unwrap();
    let run = folder.path().join("run");
    let arguments = [
        "--data",
        path(&data),
        "--set",
        "model.channels=2",
        "--set",
        "data.mean=[0.5,0.5]",
        "--set",
        "data.std=[0.3,0.3]",
    ];
    let ran = succeed(pretrain(&run, &arguments));
    let described = ran.stdout.contains("16 images of 2 files each");
    assert!(described, "{}", ran.stdout);
    assert_eq!(values(&run, "train/bad_images").last(), Some(&0.0));
    let found = json(&succeed(semaim(&["stats", path(&data), "--json"])));
    assert_eq!(found["channels"].as_array().unwrap().len(), 2);
}
