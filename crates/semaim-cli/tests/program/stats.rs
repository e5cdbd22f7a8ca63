//! `semaim stats`.

use std::fs;

use crate::bitmap::bitmap;
use crate::evaluate::{json, path};
use crate::runner::{pretrain, refuse, semaim, succeed};

#[test]
fn a_folder_is_measured_and_its_settings_are_those_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let write = |name: &str, bytes: &[u8]| {
        let path = data.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    // Half of the pixels of blue are 0 and half 255; green is 51 and 153 by image; red 0, 0, 102, 102.
    let picture = |green: u8| {
        bitmap(20, move |x, y| {
            [(x % 2) as u8 * 255, green, (y % 2) as u8 * 102]
        })
    };
    write("train/a/1.bmp", &picture(51));
    write("train/b/2.bmp", &picture(153));
    write("train/b/3.bmp", &picture(51));
    write("train/b/broken.bmp", &picture(51)[..100]);
    write("val/a/4.bmp", &picture(153));
    write("val/b/5.bmp", &picture(7));
    let with = |more: &[&str]| semaim(&[&["stats", path(&data)], more].concat());
    let ran = succeed(with(&["--json"]));
    assert!(ran.stderr.contains("broken.bmp"), "{}", ran.stderr);
    let found = json(&ran);
    let near = |value: &serde_json::Value, wanted: f64| {
        let value = value.as_f64().unwrap();
        assert!((value - wanted).abs() < 1e-9, "{value} {wanted}");
    };
    assert_eq!(found["images"], 3);
    assert_eq!(found["unreadable"].as_array().unwrap().len(), 1);
    near(&found["channels"][0]["mean"], 0.2);
    near(&found["channels"][0]["std"], 0.2);
    near(&found["channels"][1]["mean"], (0.2 + 0.2 + 0.6) / 3.0);
    near(&found["channels"][1]["std"], 0.4 * (2.0f64 / 9.0).sqrt());
    near(&found["channels"][2]["mean"], 0.5);
    near(&found["channels"][2]["std"], 0.5);
    near(&found["channels"][2]["max"], 1.0);
    assert_eq!(found["width"]["median"], 20);
    assert_eq!(found["classes"][1]["images"], 3);
    // The same picture under two names, of different classes, and one that is held out and to train on.
    let group = &found["duplicates"][0];
    assert_eq!(
        (&group[0]["class"], &group[1]["class"]),
        (&"a".into(), &"b".into())
    );
    assert_eq!(found["held_out"]["images"], 2);
    let in_both = found["held_out"]["in_both"].as_array().unwrap();
    assert_eq!(in_both.len(), 1);
    assert!(in_both[0][0].as_str().unwrap().ends_with("4.bmp"));
    for workers in ["1", "3"] {
        let again = succeed(with(&["--json", "--workers", workers]));
        assert_eq!(again.stdout, ran.stdout);
    }
    let text = succeed(with(&[])).stdout;
    for words in [
        "3 read, 1 cannot be read",
        "1.bmp",
        "(of different classes)",
        "1 of them are to train on, too",
        "mean = [0.2, 0.333333, 0.5]",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // What is to be pasted is taken.
    let settings: Vec<&str> = found["settings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|setting| setting.as_str().unwrap())
        .collect();
    let run = folder.path().join("run");
    let mut more = vec!["--data", path(&data), "--dry-run"];
    for setting in &settings {
        more.extend(["--set", setting]);
    }
    let dry = succeed(pretrain(
        &run,
        &[&more[..], &["--set", "train.batch_size=1"]].concat(),
    ));
    assert!(dry.stdout.contains("0.333333"), "{}", dry.stdout);
}

#[test]
fn sets_without_a_readable_image_and_flat_channels_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("1.bmp"), b"BM").unwrap();
    refuse(semaim(&["stats", path(&data)]), &["no image could be read"]);
    fs::write(data.join("2.bmp"), bitmap(4, |_, _| [1, 2, 3])).unwrap();
    let text = succeed(semaim(&["stats", path(&data)])).stdout;
    assert!(text.contains("no settings: channel 0"), "{text}");
    refuse(
        semaim(&["stats", path(&data.join("none"))]),
        &["no such file"],
    );
    let shapes = succeed(semaim(&["stats", "shapes", "--limit", "40", "--json"]));
    let found = json(&shapes);
    assert_eq!(
        (&found["images"], &found["held_out"]),
        (&40.into(), &serde_json::Value::Null)
    );
}
