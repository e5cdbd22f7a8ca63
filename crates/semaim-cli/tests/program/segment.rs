//! Training a segmenter, and using it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use semaim_report::encode_indexed_png;
use serde_json::{Value, json};

use crate::bitmap::bitmap;
use crate::evaluate::{json as parsed, path, trained};
use crate::runner::{
    close, killed, metrics, overflowing, pretrain, refuse, semaim, succeed, values,
};

/// Settings of a segmenter that trains in a second or two.
pub(crate) const QUICK: &[&str] = &[
    "augment.crop=32",
    "upernet.channels=8",
    "upernet.auxiliary_channels=4",
    "upernet.pool_scales=[1,2]",
    "train.batch_size=4",
    "train.epochs=3",
    "optimizer.base_lr=0.2",
    "optimizer.warmup_epochs=0.5",
    "eval.every_epochs=1",
    "eval.pictures=2",
    "log.every_steps=1",
];

/// `semaim segment` of a small segmenter on an encoder, into `out`.
fn segment(encoder: &Path, data: &[&str], out: &Path, more: &[&str]) -> Command {
    let mut command = semaim(&["segment", "--weights", path(encoder), "--out", path(out)]);
    command.args(data);
    for setting in QUICK {
        command.args(["--set", setting]);
    }
    command.args(more);
    command
}

/// A label image of a square.
fn labels(side: u32, values: &[u8]) -> Vec<u8> {
    encode_indexed_png(side, side, values, &[[7; 3]; 256]).unwrap()
}

/// The values of a label image that the program wrote, and its palette.
fn read_labels(file: &Path) -> (Vec<u8>, Vec<u8>) {
    let bytes = fs::read(file).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
        .read_info()
        .unwrap();
    assert_eq!(reader.info().color_type, png::ColorType::Indexed);
    let palette = reader.info().palette.as_ref().unwrap().to_vec();
    let mut values = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut values).unwrap();
    (values, palette)
}

/// Pictures of 40 pixels with a red field on blue, and label images in which the field has the second value and the rest the
/// first; the first row says nothing.
pub(crate) fn fields(root: &Path, split: &str, count: usize, values: [u8; 3]) {
    let [rest, field, nothing] = values;
    for folder in ["images", "annotations"] {
        fs::create_dir_all(root.join(folder).join(split)).unwrap();
    }
    for number in 0..count {
        let from = 4 + number % 9;
        let inside = |column: usize, row: usize| {
            (from..from + 20).contains(&column) && (8..30).contains(&row)
        };
        // Rows of a bitmap are from below.
        let picture = bitmap(40, |column, row| match inside(column, 39 - row) {
            true => [20, 30, 220],
            false => [200, (90 + column) as u8, 30],
        });
        let of = |at: usize| match (at % 40, at / 40) {
            (_, 0) => nothing,
            (column, row) if inside(column, row) => field,
            _ => rest,
        };
        let map: Vec<u8> = (0..1600).map(of).collect();
        let file = |folder: &str, ending: &str| {
            root.join(folder)
                .join(split)
                .join(format!("{number}.{ending}"))
        };
        fs::write(file("images", "bmp"), picture).unwrap();
        fs::write(file("annotations", "png"), labels(40, &map)).unwrap();
    }
}

/// A set of fields with both splits.
fn set_of_fields(root: &Path, values: [u8; 3]) -> PathBuf {
    let data = root.join("fields");
    fields(&data, "training", 16, values);
    fields(&data, "validation", 5, values);
    data
}

#[test]
fn a_segmenter_on_generated_images_logs_its_losses_and_resumes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let shapes = ["--data", "shapes", "--set", "data.shapes_count=16"];
    let shapes = [&shapes[..], &["--set", "data.shapes_eval_count=6"]].concat();
    let saving = ["--set", "checkpoint.every_steps=1"];
    let command = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        segment(&encoder, &shapes, &out, &[&saving, more].concat())
    };
    let whole = folder.path().join("whole");
    let result = parsed(&succeed(command("whole", &["--json"])));
    assert_eq!(result["ending"], "finished", "{result}");
    assert_eq!(result["scores"]["images"], 6);
    assert_eq!(result["scores"]["pixels"], 6 * 32 * 32);
    assert!(result["scores"]["per_class"]["background"]["iou"].is_number());
    for entry in metrics(&whole)
        .iter()
        .filter(|e| e.get("train/loss").is_some())
    {
        let value = |name: &str| entry[name].as_f64().unwrap();
        let sum = value("train/loss_main") + value("train/loss_auxiliary");
        assert!((sum - value("train/loss")).abs() < 1e-5, "{entry}");
    }
    let losses = values(&whole, "train/loss");
    assert_eq!(losses.len(), 12);
    assert!(losses[11] < losses[0], "{losses:?}");
    // Composed operations, whose images are sent ahead of their steps, begin with the same losses.
    succeed(command("composed", &["--kernels", "composed"]));
    let composed = values(&folder.path().join("composed"), "train/loss");
    close(&losses[..2], &composed[..2]);
    let found = values(&whole, "eval/mean_iou");
    assert_eq!(found.len(), 3);
    assert_eq!(found[2], result["scores"]["mean_iou"].as_f64().unwrap());
    let report = fs::read_to_string(whole.join("report.html")).unwrap();
    for part in [
        "Losses by part",
        "Classes of pixels",
        "Intersection over union",
        "Truth and prediction",
    ] {
        assert!(report.contains(part), "{part}");
    }
    // The encoder's run knows of it.
    let log = fs::read_to_string(encoder.join("evaluations.jsonl")).unwrap();
    assert!(
        log.contains("segmentation") && log.contains("UPerNet"),
        "{log}"
    );

    killed(command("killed", &[]), &folder.path().join("killed"), 7);
    let mut again = command("killed", &["--set", "data.workers=3"]);
    again.env("RAYON_NUM_THREADS", "3");
    succeed(again);
    let files = |name: &str| {
        ["segmenter.safetensors", "best.safetensors", "results.json"]
            .map(|file| fs::read(folder.path().join(name).join(file)).unwrap())
    };
    assert_eq!(files("killed"), files("whole"));
    assert_eq!(values(&folder.path().join("killed"), "train/loss"), losses);
    // Running statistics of batch norm have moved.
    let weight = |name: &str, weight: &str| {
        let bytes = fs::read(folder.path().join(name)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        tensors.tensor(weight).unwrap().data().to_vec()
    };
    let mean = weight(
        "whole/segmenter.safetensors",
        "head.fusion.batch_norm.running_mean",
    );
    assert!(mean.iter().any(|byte| *byte != 0));
    // What is finished is not trained again; another experiment is refused.
    assert_eq!(
        parsed(&succeed(command("whole", &["--json"])))["ending"],
        "already finished"
    );
    refuse(
        command("whole", &["--freeze"]),
        &["freeze (false then, true now)"],
    );
    refuse(command("whole", &["--head", "linear"]), &["head"]);
    // Frozen, the encoder keeps its weights, and the rest learns.
    succeed(command("frozen", &["--freeze"]));
    let block = "blocks.0.attn.qkv.weight";
    let before = weight("run/encoder.safetensors", block);
    assert_eq!(weight("frozen/segmenter.safetensors", block), before);
    assert_ne!(weight("whole/segmenter.safetensors", block), before);
    succeed(command("scratch", &["--from-scratch"]));
    assert_ne!(files("scratch")[0], files("whole")[0]);
}

#[test]
fn a_stopped_segmenter_goes_on_with_its_own_encoder_and_images() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = set_of_fields(folder.path(), [0, 1, 255]);
    let out = folder.path().join("out");
    let command = |weights: &Path| {
        let data = ["--data", path(&data)];
        let saving = ["--set", "checkpoint.every_steps=1", "--head", "linear"];
        segment(weights, &data, &out, &saving)
    };
    killed(command(&encoder), &out, 5);
    let file = encoder.join("encoder.safetensors");
    let own = fs::read(&file).unwrap();
    let other = folder.path().join("other");
    succeed(pretrain(&other, &["--seed", "1"]));
    fs::copy(other.join("encoder.safetensors"), &file).unwrap();
    refuse(command(&encoder), &["is not the encoder", "SHA-256"]);
    fs::write(&file, own).unwrap();
    let added = ["images/validation/9.bmp", "annotations/validation/9.png"];
    for added in added {
        let like = data.join(added.replace('9', "0"));
        fs::copy(like, data.join(added)).unwrap();
    }
    refuse(command(&encoder), &["6 images now, 5 then"]);
    added
        .iter()
        .for_each(|added| fs::remove_file(data.join(added)).unwrap());
    // What is saved needs no file of the encoder.
    fs::rename(&encoder, folder.path().join("elsewhere")).unwrap();
    let ran = succeed(command(&encoder));
    assert!(ran.stdout.contains("is gone"), "{}", ran.stdout);
    succeed(command(&folder.path().join("elsewhere")));
}

#[test]
fn a_frozen_encoder_sees_each_image_once_and_the_bytes_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = set_of_fields(folder.path(), [0, 1, 255]);
    let run = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let fixed = [
            "--recipe",
            "linear-seg",
            "--set",
            "augment.view=whole",
            "--set",
            "augment.photometric=false",
        ];
        let ran = succeed(segment(
            &encoder,
            &["--data", path(&data)],
            &out,
            &[&fixed[..], more].concat(),
        ));
        (
            fs::read(out.join("segmenter.safetensors")).unwrap(),
            ran.stdout,
        )
    };
    let (once, said) = run("once", &[]);
    assert!(!said.contains("anew"), "{said}");
    let (every, said) = run("every", &["--set", "feature_cache_mb=0"]);
    assert!(said.contains("anew: feature_cache_mb is 0"), "{said}");
    assert_eq!(once, every);
    let (_, said) = run("cut", &["--set", "augment.view=crop"]);
    assert!(said.contains("anew: views are cut"), "{said}");
    let (_, said) = run("colored", &["--set", "augment.photometric=true"]);
    assert!(said.contains("anew: colors"), "{said}");
    let dry = ["--dry-run", "--recipe", "linear-seg"];
    let data = ["--data", path(&data), "--set", "augment.view=whole"];
    let said = succeed(segment(&encoder, &data, &folder.path().join("dry"), &dry)).stdout;
    assert!(said.contains("sees each image once"), "{said}");
}

#[test]
fn predictions_are_label_images_of_the_data_sets_own_values() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    // As in ADE20K: 0 says nothing, classes begin at 1.
    let data = set_of_fields(folder.path(), [1, 3, 0]);
    fs::write(data.join("classes.txt"), "sea\nnothing like it\nboat\n").unwrap();
    let out = folder.path().join("segmenter");
    let longer = [
        "--ignore-zero",
        "--set",
        "train.epochs=12",
        "--set",
        "eval.every_epochs=6",
        "--json",
    ];
    let data_of = ["--data", path(&data)];
    let result = parsed(&succeed(segment(&encoder, &data_of, &out, &longer)));
    let found = result["scores"]["mean_iou"].as_f64().unwrap();
    assert!(found > 0.5, "{result}");
    // The row that says nothing does not count, and a class that occurs nowhere has no IoU unless it was predicted.
    assert_eq!(result["scores"]["pixels"], 5 * 40 * 39);
    assert!(
        result["scores"]["per_class"]["boat"]["iou"]
            .as_f64()
            .unwrap()
            > 0.3
    );

    let evaluate = ["evaluate", "--weights", path(&out), "--data", path(&data)];
    let again = parsed(&succeed(semaim(&[&evaluate[..], &["--json"]].concat())));
    assert_eq!(again, result["scores"]);
    let said = succeed(semaim(&evaluate)).stdout;
    assert!(
        said.contains("mIoU") && said.contains("nothing like it"),
        "{said}"
    );
    for option in ["--batch-size", "--workers"] {
        let several = semaim(&[&evaluate[..], &[option, "4"]].concat());
        refuse(several, &[option, "one at a time"]);
    }

    // How images are seen can be said anew.
    let other = |settings: &[&str]| {
        let settings = settings.iter().flat_map(|setting| ["--set", *setting]);
        let mut command = semaim(&evaluate);
        command.args(settings).arg("--json");
        command
    };
    let same = ["eval.mode=slide", "eval.crop=32", "eval.stride=21"];
    assert_eq!(parsed(&succeed(other(&same))), again);
    let twice = ["eval.flip=true", "eval.scales=[1.0,1.5]"];
    let found = parsed(&succeed(other(&twice)));
    assert_eq!(found["pixels"], again["pixels"]);
    assert_ne!(found["pixel_accuracy"], again["pixel_accuracy"]);
    refuse(other(&["eval.stride=40"]), &["eval.stride", "at most 32"]);
    refuse(other(&["detector.canvas=40"]), &["detector.canvas"]);

    let predicted = folder.path().join("predicted");
    let seen = folder.path().join("seen");
    let mut command = semaim(&["predict", "--weights", path(&out), "--data", path(&data)]);
    command.args(["--out", path(&predicted), "--pictures", path(&seen)]);
    let ran = succeed(command);
    assert!(ran.stderr.contains("5 label images"), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("0, which says nothing there, is not written")
    );
    let names: Value =
        serde_json::from_str(&fs::read_to_string(predicted.join("classes.json")).unwrap()).unwrap();
    assert_eq!(
        names,
        json!({"1": "sea", "2": "nothing like it", "3": "boat"})
    );
    let place = |folder: &Path, number: usize| {
        folder
            .join("images/validation")
            .join(format!("{number}.png"))
    };
    let mut counts = [0; 256];
    for number in 0..5 {
        let (values, palette) = read_labels(&place(&predicted, number));
        assert_eq!(values.len(), 1600);
        values.iter().for_each(|v| counts[usize::from(*v)] += 1);
        assert_ne!(palette[3..6], palette[9..12]);
        let picture = fs::read(seen.join(format!("{number}.png"))).unwrap();
        assert!(picture.starts_with(b"\x89PNG"));
    }
    assert!(counts[1] > 0 && counts[3] > 0);
    assert_eq!(counts[1] + counts[2] + counts[3], 5 * 1600);
    // What was predicted, taken as truth, is what is predicted.
    let mine = folder.path().join("mine");
    fs::create_dir_all(mine.join("labels")).unwrap();
    fs::create_dir_all(mine.join("images")).unwrap();
    for number in 0..5 {
        let image = data.join("images/validation").join(format!("{number}.bmp"));
        fs::copy(image, mine.join(format!("images/{number}.bmp"))).unwrap();
        let labels = mine.join(format!("labels/{number}.png"));
        fs::copy(place(&predicted, number), labels).unwrap();
    }
    let evaluate = ["evaluate", "--weights", path(&out), "--data", path(&mine)];
    let split = ["--split", "train", "--json"];
    let found = parsed(&succeed(semaim(&[&evaluate[..], &split].concat())));
    assert_eq!(found["pixel_accuracy"], 1.0, "{found}");
    let (labels, images) = (mine.join("labels"), mine.join("images"));
    let folders = [
        "--labels",
        path(&labels),
        "--images",
        path(&images),
        "--json",
    ];
    let of_folders = semaim(&[&evaluate[..3], &folders].concat());
    let found = parsed(&succeed(of_folders));
    assert_eq!(found["images"], 5, "{found}");
    // Of a set that is not divided every image, with labels or without.
    for number in 1..5 {
        fs::remove_file(mine.join(format!("labels/{number}.png"))).unwrap();
    }
    let all = folder.path().join("all");
    let mut command = semaim(&["predict", "--weights", path(&out), "--data", path(&mine)]);
    command.args(["--out", path(&all), "--json"]);
    let ran = succeed(command);
    assert_eq!(parsed(&ran)["images"], 5, "{}", ran.stdout);
    assert!(!ran.stderr.contains("held out"), "{}", ran.stderr);
    // Images alone; and what is no folder is refused.
    let plain = folder.path().join("plain");
    let images = data.join("images/validation");
    let mut command = semaim(&["predict", "--weights", path(&out), "--data", path(&images)]);
    command.args(["--out", path(&plain), "--json"]);
    let told = parsed(&succeed(command));
    assert_eq!(told["images"], 5);
    assert_eq!(told["values"]["3"], "boat");
    for number in 0..5 {
        let file = plain.join(format!("{number}.png"));
        assert_eq!(
            fs::read(file).unwrap(),
            fs::read(place(&predicted, number)).unwrap()
        );
    }
    // Images of one name are told apart by their folders, whichever of them can be read.
    let list = folder.path().join("list.txt");
    fs::write(&list, "x/7.bmp\ny/7.bmp\n").unwrap();
    for (set, number) in [("x", 0), ("y", 1)] {
        let entries = fs::read_dir(&images)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let stem = number.to_string();
        let image = entries
            .into_iter()
            .find(|file| file.file_stem().unwrap() == &*stem);
        fs::create_dir_all(folder.path().join(set)).unwrap();
        fs::copy(image.unwrap(), folder.path().join(set).join("7.bmp")).unwrap();
    }
    let listed = folder.path().join("listed");
    let by_list = ["predict", "--weights", path(&out), "--data", path(&list)];
    let by_list = [&by_list[..], &["--out", path(&listed)]].concat();
    succeed(semaim(&by_list));
    fs::write(folder.path().join("x/7.bmp"), b"no image").unwrap();
    let ran = succeed(semaim(&by_list));
    assert!(ran.stderr.contains("1 unreadable"), "{}", ran.stderr);
    for (set, number) in [("x", 0), ("y", 1)] {
        let label = fs::read(listed.join(set).join("7.png")).unwrap();
        assert_eq!(label, fs::read(place(&predicted, number)).unwrap());
    }
    let graph = folder.path().join("graph.onnx");
    let export = ["export", "--weights", path(&out), "--layout", "onnx"];
    let export = [&export[..], &["--to", path(&graph)]].concat();
    for (more, part) in [
        (["--image-size", "32x64"], "window is square"),
        (["--heads", "7"], "says itself how it is to be read"),
    ] {
        refuse(semaim(&[&export[..], &more].concat()), &[part]);
    }
    let predict = ["predict", "--weights", path(&out), "--data", path(&images)];
    refuse(semaim(&predict), &["--out", "folder"]);
    let into_plain = [&predict[..], &["--out", path(&plain)]].concat();
    for (option, kind) in [("--top", "classifiers"), ("--picture-score", "detectors")] {
        let said = format!("{option} is for {kind}");
        refuse(
            semaim(&[&into_plain[..], &[option, "1"]].concat()),
            &[&said],
        );
    }
    // The same values may be written over; label images of others would be left under these names.
    succeed(semaim(&into_plain));
    let other = json!({"1": "lake"}).to_string();
    fs::write(plain.join("classes.json"), &other).unwrap();
    refuse(
        semaim(&into_plain),
        &["plain/classes.json names other classes"],
    );
    let kept = fs::read_to_string(plain.join("classes.json")).unwrap();
    assert_eq!(kept, other);
    let truth = data.join("annotations/validation");
    refuse(
        semaim(&[&predict[..], &["--out", path(&truth)]].concat()),
        &["not empty", "classes.json"],
    );
    refuse(
        semaim(&[&predict[..], &["--out", "found.json"]].concat()),
        &["found.json", "folder"],
    );
    // What is no number is no class.
    let overflowing = overflowing(&out.join("segmenter.safetensors"));
    let evaluate = ["evaluate", "--weights", path(&overflowing)];
    refuse(
        semaim(&[&evaluate[..], &data_of].concat()),
        &["no image could be used", "holds a NaN"],
    );
}

#[test]
fn what_a_segmenter_comes_to_names_its_images_and_what_is_not_usual() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = set_of_fields(folder.path(), [0, 1, 255]);
    let other = set_of_fields(&folder.path().join("other"), [0, 1, 255]);
    let out = folder.path().join("out");
    let named = ["--data", path(&data), "--eval-data", path(&other)];
    let short = ["--head", "linear", "--seed", "3", "--set", "train.epochs=1"];
    let frozen = ["--set", "train.freeze_blocks=1"];
    succeed(segment(
        &encoder,
        &named,
        &out,
        &[&short[..], &frozen].concat(),
    ));
    let log = fs::read_to_string(encoder.join("evaluations.jsonl")).unwrap();
    let images = format!("\"{}, evaluated on {}\"", path(&data), path(&other));
    let setting = "\"linear, 1 block frozen, 1 epoch, batch";
    assert!(log.contains(&images) && log.contains(setting), "{log}");
    assert!(log.contains(", seed 3\""), "{log}");
}

#[test]
fn label_images_that_cannot_be_used_are_left_out_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = set_of_fields(folder.path(), [0, 1, 255]);
    let out = folder.path().join("out");
    let on = |more: &[&str]| segment(&encoder, &["--data", path(&data)], &out, more);
    refuse(on(&["--set", "augment.crop=36"]), &["augment.crop 36", "8"]);
    refuse(
        on(&["--set", "train.batch_size=1"]),
        &["train.batch_size", "at least 2", "pool_scales"],
    );
    refuse(on(&["--set", "eval.stride=99"]), &["eval.stride"]);
    refuse(on(&["--set", "upernet.taps=[1,2,3,4]"]), &["upernet.taps"]);
    refuse(
        on(&["--recipe", "detect-small"]),
        &["semaim detect", "linear-seg"],
    );
    let bare = folder.path().join("fields/images");
    refuse(
        segment(&encoder, &["--data", path(&bare)], &out, &[]),
        &["no label images found"],
    );
    refuse(
        segment(&encoder, &[], &out, &[]),
        &["data.path", "--labels"],
    );
    assert!(!out.exists());

    // In the part to evaluate on: another size, a value that is no class, colors, and none.
    let file = |number: usize| {
        data.join("annotations/validation")
            .join(format!("{number}.png"))
    };
    fs::write(data.join("classes.txt"), "sea\nboat\n").unwrap();
    fs::write(file(1), labels(20, &[0; 400])).unwrap();
    fs::write(file(2), labels(40, &[9; 1600])).unwrap();
    let mut colors = Vec::new();
    let mut encoder_of = png::Encoder::new(&mut colors, 1, 1);
    encoder_of.set_color(png::ColorType::Rgb);
    let mut writer = encoder_of.write_header().unwrap();
    writer.write_image_data(&[1, 2, 3]).unwrap();
    writer.finish().unwrap();
    fs::write(file(3), &colors).unwrap();
    fs::remove_file(file(4)).unwrap();
    let ran = succeed(on(&["--json"]));
    let result = parsed(&ran);
    assert_eq!(result["scores"]["images"], 1, "{result}");
    assert_eq!(result["scores"]["unreadable"], 3);
    assert!(
        ran.stderr.contains("1 of 5 images without a label image"),
        "{}",
        ran.stderr
    );
    let evaluate = ["evaluate", "--weights", path(&out), "--data", path(&data)];
    let ran = succeed(semaim(&evaluate));
    for part in [
        "annotations are for 20x20",
        "is 9, which is no class",
        "whose colors say no class",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    // In training they are replaced, up to a share.
    fs::write(
        data.join("annotations/training/0.png"),
        labels(20, &[0; 400]),
    )
    .unwrap();
    let few = folder.path().join("few");
    let allow = ["--set", "data.max_bad_fraction=0.5"];
    let again = segment(&encoder, &["--data", path(&data)], &few, &allow);
    let ran = succeed(again);
    assert!(
        ran.stderr.contains("another image takes its place"),
        "{}",
        ran.stderr
    );
    let none = folder.path().join("none");
    let strict = segment(&encoder, &["--data", path(&data)], &none, &[]);
    refuse(strict, &["data.max_bad_fraction"]);
    // Classes that the segmenter does not know.
    fs::write(data.join("classes.txt"), "sea\nship\n").unwrap();
    refuse(semaim(&evaluate), &["ship", "sea, boat"]);
}

#[test]
fn a_dry_run_of_segmentation_tells_memory_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = trained(folder.path());
    let data = set_of_fields(folder.path(), [0, 1, 255]);
    let out = folder.path().join("out");
    let data = ["--data", path(&data)];
    let said = succeed(segment(&encoder, &data, &out, &["--dry-run"])).stdout;
    for part in ["# memory", "# time", "[upernet]", "crop = 32", "16 images"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let linear = ["--dry-run", "--head", "linear"];
    let ran = succeed(segment(&encoder, &data, &out, &linear));
    let unused = "warning: without effect on training: upernet.pool_scales (head is `linear`)";
    assert!(ran.stderr.contains(unused), "{}", ran.stderr);
    let planned = |more: &[&str]| {
        let dry = ["--dry-run", "--json"];
        parsed(&succeed(segment(
            &encoder,
            &data,
            &out,
            &[&dry[..], more].concat(),
        )))
    };
    let (whole, frozen) = (planned(&[]), planned(&["--freeze"]));
    assert!(whole["memory_bytes"].as_u64().unwrap() > 0, "{whole}");
    assert!(whole["seconds_per_step"].as_f64().unwrap() > 0.0);
    assert_eq!(frozen["parameters"], whole["parameters"]);
    assert!(frozen["parameters_trained"].as_u64() < whole["parameters_trained"].as_u64());
    assert!(!out.exists());
}
