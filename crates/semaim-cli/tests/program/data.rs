//! Every form of data through the whole program.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::bitmap::bitmap;
use crate::evaluate::{json, path, trained};
use crate::runner::{pretrain, refuse, semaim, succeed, values};

/// A small picture of one of two kinds.
fn bmp(kind: usize, number: usize) -> Vec<u8> {
    bitmap(20, |x, y| {
        std::array::from_fn(|channel| {
            let along = (3 * x + channel) * (1 + 5 * kind);
            ((along + y * (3 + kind) + number * 7) % 251) as u8
        })
    })
}

/// `train/{a,b}` and `val/{a,b}`.
fn class_folders(root: &Path, each: usize) {
    for split in ["train", "val"] {
        for (kind, class) in ["a", "b"].iter().enumerate() {
            let folder = root.join(split).join(class);
            fs::create_dir_all(&folder).unwrap();
            for i in 0..each {
                fs::write(folder.join(format!("{i}.bmp")), bmp(kind, i)).unwrap();
            }
        }
    }
}

#[test]
fn class_folders_give_labels_and_knn() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    class_folders(&images, 12);
    let out = folder.path().join("run");
    let ran = succeed(pretrain(&out, &["--data", images.to_str().unwrap()]));
    assert!(
        ran.stdout.contains("24 images") && ran.stdout.contains("2 classes"),
        "{}",
        ran.stdout
    );
    assert_eq!(values(&out, "eval/knn_top1").len(), 2);
}

#[test]
fn splits_below_a_folder_with_nothing_else_are_used_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    class_folders(&archive.join("set"), 2);
    let ran = succeed(semaim(&["stats", path(&archive), "--json"]));
    assert_eq!(json(&ran)["images"].as_u64(), Some(4));
    assert!(ran.stderr.contains("only subfolder"), "{}", ran.stderr);
    // One class is too few to tell apart.
    let one = archive.join("set/train/a");
    fs::create_dir(folder.path().join("one")).unwrap();
    fs::rename(one, folder.path().join("one/a")).unwrap();
    let ran = succeed(semaim(&["stats", path(&folder.path().join("one"))]));
    assert!(ran.stderr.contains("of one class, `a`"), "{}", ran.stderr);
}

#[test]
fn unlabeled_images_train_without_knn_and_take_labels_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (images, labeled) = (folder.path().join("images"), folder.path().join("labeled"));
    fs::create_dir(&images).unwrap();
    for i in 0..16 {
        fs::write(images.join(format!("{i}.BMP")), bmp(0, i)).unwrap();
    }
    class_folders(&labeled, 6);
    let out = folder.path().join("run");
    let ran = succeed(pretrain(&out, &["--data", images.to_str().unwrap()]));
    assert!(ran.stdout.contains("no labels"), "{}", ran.stdout);
    assert!(out.join("orders.png").exists());
    let out = folder.path().join("second");
    let arguments = [
        "--data",
        images.to_str().unwrap(),
        "--eval-data",
        labeled.to_str().unwrap(),
    ];
    succeed(pretrain(&out, &arguments));
    assert_eq!(values(&out, "eval/knn_top1").len(), 2);
}

#[test]
fn tar_idx_and_list_train() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);

    fs::write(
        at("pictures.tar"),
        tar(&(0..16)
            .map(|i| (format!("{i:03}.bmp"), bmp(i % 2, i)))
            .collect::<Vec<_>>()),
    )
    .unwrap();

    let mut idx = vec![0, 0, 8, 3];
    for side in [16_u32, 20, 20] {
        idx.extend(side.to_be_bytes());
    }
    idx.extend((0..16 * 400).map(|i| (i % 253) as u8));
    fs::write(at("train-images-idx3-ubyte"), idx).unwrap();

    let mut list = fs::File::create(at("list.txt")).unwrap();
    for i in 0..16 {
        let name = format!("listed {i}.bmp");
        fs::write(at(&name), bmp(i % 2, i)).unwrap();
        writeln!(list, "{name} {}", i % 2).unwrap();
    }
    for (i, name) in ["pictures.tar", "train-images-idx3-ubyte", "list.txt"]
        .iter()
        .enumerate()
    {
        let data = at(name);
        succeed(pretrain(
            &at(&format!("run{i}")),
            &["--data", data.to_str().unwrap()],
        ));
    }
    assert_eq!(values(&at("run2"), "eval/knn_top1").len(), 2);
}

#[test]
fn a_dry_run_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut command = semaim(&["pretrain", "--dry-run", "--out"]);
    command.arg(&out);
    succeed(command);
    assert!(!out.exists());
}

/// A tar file with ustar headers.
fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, data) in members {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
        header[156] = b'0';
        header[257..263].copy_from_slice(b"ustar\0");
        header[263..265].copy_from_slice(b"00");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        bytes.extend(header);
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

#[test]
fn what_is_left_out_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    class_folders(&images, 12);
    fs::create_dir(images.join("x")).unwrap();
    fs::write(images.join("x/1.bmp"), bmp(0, 1)).unwrap();
    fs::write(images.join("train/a/phone.HEIC"), b"x").unwrap();
    let out = folder.path().join("run");
    let data = images.to_str().unwrap();
    let ran = succeed(pretrain(&out, &["--data", data, "--dry-run"]));
    for words in [
        "the subfolder train is taken for the training split, so 1 image beside it (x) is left out",
        "1 HEIC file is not read",
    ] {
        assert_eq!(ran.stderr.matches(words).count(), 1, "{}", ran.stderr);
    }
    // Folders of splits alone are a matter of course.
    fs::remove_file(images.join("x/1.bmp")).unwrap();
    fs::remove_file(images.join("train/a/phone.HEIC")).unwrap();
    let ran = succeed(pretrain(&out, &["--data", data, "--dry-run"]));
    assert!(!ran.stderr.contains("left out"), "{}", ran.stderr);
}

/// An order given by files: two sets of maps train two encoders, the same maps one, and what does not fit is refused.
#[test]
fn similarity_maps_from_files_give_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    class_folders(&at("images"), 8);
    let maps = |name: &str, place: usize| {
        for class in ["a", "b"] {
            fs::create_dir_all(at(name).join(class)).unwrap();
            for i in 0..8 {
                let map = bitmap(20, |x, y| {
                    [u8::from((x / 10 + y / 10 * 2) == place) * 200; 3]
                });
                fs::write(at(name).join(class).join(format!("{i}.bmp")), map).unwrap();
            }
        }
    };
    maps("first", 0);
    maps("last", 3);
    let images = at("images");
    let run = |out: &str, maps: &str| {
        let maps = format!("order.maps={}", at(maps).display());
        let more = [
            "--data",
            images.to_str().unwrap(),
            "--set",
            "order.source=maps",
        ];
        pretrain(&at(out), &[&more[..], &["--set", &maps]].concat())
    };
    let encoder = |out: &str, maps: &str| {
        succeed(run(out, maps));
        fs::read(at(out).join("encoder.safetensors")).unwrap()
    };
    let first = encoder("run-1", "first");
    assert_eq!(encoder("run-2", "first"), first);
    assert_ne!(encoder("run-3", "last"), first);
    // Other maps under the same names, for a run that goes on.
    let path = at("first").join("a/0.bmp");
    let map = fs::read(&path).unwrap();
    fs::copy(at("last").join("a/0.bmp"), &path).unwrap();
    let mut longer = run("run-2", "first");
    longer.args(["--extend", "5"]);
    refuse(longer, &["similarity maps"]);
    fs::write(&path, map).unwrap();
    fs::remove_file(at("last").join("b/7.bmp")).unwrap();
    refuse(run("run-4", "last"), &["no map", "1 image of 16", "7.bmp"]);
    refuse(run("run-4", "nowhere"), &["nowhere"]);
    assert!(!at("run-4").exists());
}

/// Maps of an encoder are found by pre-training as they were written, and never take an image's place.
#[test]
fn maps_of_a_teacher_are_an_order() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    class_folders(&at("images"), 4);
    let teacher = trained(folder.path());
    let maps = |data: &Path, out: &Path, more: &[&str]| {
        let fixed = ["maps", "--weights", path(&teacher), "--data", path(data)];
        semaim(&[&fixed[..], &["--out", path(out)], more].concat())
    };
    let written = json(&succeed(maps(&at("images"), &at("maps"), &["--json"])));
    assert_eq!(written["images"], 8);
    assert_eq!(written["unreadable"], 0);
    let map = |name: &str| fs::read(at(name).join("a/0.png")).unwrap();
    // The same of any batch, another of another similarity.
    succeed(maps(&at("images"), &at("again"), &["--batch-size", "3"]));
    assert_eq!(map("again"), map("maps"));
    succeed(maps(&at("images"), &at("gap"), &["--similarity", "gap"]));
    assert_ne!(map("gap"), map("maps"));
    let order = format!("order.maps={}", at("maps").display());
    let images = at("images");
    let by_maps = ["--data", path(&images), "--set", "order.source=maps"];
    let by_maps = [&by_maps[..], &["--set", &order]].concat();
    let ran = succeed(pretrain(&at("by-maps"), &by_maps));
    assert!(!ran.stderr.contains("were made of"), "{}", ran.stderr);
    // Names alone do not tell of which images maps are.
    class_folders(&at("others"), 4);
    let others = at("others");
    let by_maps = ["--data", path(&others), "--set", "order.source=maps"];
    let by_maps = [&by_maps[..], &["--set", &order]].concat();
    let ran = succeed(pretrain(&at("by-others"), &by_maps));
    assert!(ran.stderr.contains("were made of"), "{}", ran.stderr);
    // What is no image has no map, and is told.
    fs::write(at("images").join("train/a/broken.png"), b"no picture").unwrap();
    let ran = succeed(maps(&at("images"), &at("some"), &["--json"]));
    assert_eq!(json(&ran)["unreadable"], 1);
    assert!(ran.stderr.contains("broken.png"), "{}", ran.stderr);
    // What others have put there stays.
    fs::create_dir_all(at("hand/b")).unwrap();
    fs::write(at("hand/b/1.npy"), b"by hand").unwrap();
    let hand = refuse(
        maps(&at("images"), &at("hand"), &[]),
        &["1.npy", "maps.json"],
    );
    assert!(!at("hand/a").exists(), "{}", hand.stderr);
    refuse(
        maps(&at("images").join("train"), &at("images"), &[]),
        &["lies in this folder"],
    );
    refuse(
        maps(Path::new("shapes"), &at("none"), &[]),
        &["order.source=masks"],
    );
    assert!(!at("none").exists());
}
