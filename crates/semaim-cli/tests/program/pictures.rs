//! `show` and `report`.

use std::fs;
use std::path::Path;

use crate::bitmap::bitmap;
use crate::evaluate::{COLORS, colored, path, trained};
use crate::runner::{pretrain, refuse, semaim, succeed};

/// Columns and rows of a PNG file.
fn size(file: &Path) -> [u32; 2] {
    let bytes = std::fs::read(file).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));
    [16, 20].map(|at| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()))
}

#[test]
fn pictures_have_the_columns_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 3);
    let out = folder.path().join("out.png");
    let show = |more: &[&str]| {
        let fixed = [
            "show",
            "--weights",
            path(&run),
            "--images",
            path(&data),
            "--out",
            path(&out),
        ];
        semaim(&[&fixed[..], &["--cell", "128"], more].concat())
    };
    let width = |more: &[&str]| {
        succeed(show(more));
        size(&out)[0]
    };
    // Six columns: the run predicts pixels.
    let usual = width(&[]);
    let all = "image,attention,similarity,order,pca,reconstruction";
    assert_eq!(usual, width(&["--columns", all]));
    let nine = format!("{all},similarity:self,order:raster,order:center-out");
    assert!(width(&["--columns", &nine]) > usual);
    let other = ["--weights", path(&run)];
    assert_eq!(
        width(&[&other[..], &["--columns", "image,order,order:raster@2"]].concat()),
        width(&["--columns", "image,attention,similarity,order"]),
    );
    succeed(show(&["--image-size", "64x48"]));
    let picture = data.join("train/red/0.bmp");
    succeed(semaim(&[
        "show",
        "--weights",
        path(&run),
        "--images",
        path(&picture),
        path(&picture),
        "--out",
        path(&out),
    ]));
    succeed(show(&["--animate", "--count", "2"]));
    let animated = std::fs::read(&out).unwrap();
    assert!(animated.windows(4).any(|chunk| chunk == b"acTL"));

    refuse(
        show(&["--columns", "image,heat"]),
        &["heat", "reconstruction"],
    );
    refuse(show(&["--columns", "pca@2"]), &["encoder 2"]);
    refuse(
        show(&["--columns", "reconstruction", "--image-size", "64"]),
        &["reconstruction"],
    );
    let encoder = run.join("encoder.safetensors");
    refuse(
        semaim(&[
            "show",
            "--weights",
            path(&encoder),
            "--images",
            path(&data),
            "--out",
            path(&out),
            "--columns",
            "reconstruction",
        ]),
        &["reconstruction", "run directory"],
    );
    refuse(
        semaim(&[
            "show",
            "--weights",
            path(&run),
            "--images",
            "nowhere",
            "--out",
            path(&out),
        ]),
        &["nowhere"],
    );
}

#[test]
fn a_run_has_a_report_that_knows_its_evaluations() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let page = |name: &Path| std::fs::read_to_string(name).unwrap();
    let first = page(&run.join("report.html"));
    for part in [
        "<svg",
        "Loss",
        "Learning rate",
        "data:image/png;base64",
        "config.toml",
        "cores",
        // When, how and where.
        " UTC",
        "semaim pretrain --out",
        "<dt>host</dt>",
        // In the dark.
        "class=\"dark\"",
        // Nothing was measured yet.
        "semaim knn, probe, finetune, detect and segment",
    ] {
        assert!(first.contains(part), "{part}");
    }
    assert!(!first.contains("http://") || !first.contains("src=\"http"));
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 6);
    colored(&data, "val", COLORS, 3);
    succeed(semaim(&[
        "knn",
        "--weights",
        path(&run),
        "--data",
        path(&data),
        "--k",
        "3",
    ]));
    let second = page(&run.join("report.html"));
    assert!(second.contains("k = 3") && !first.contains("k = 3"));
    assert!(second.contains("chance") && second.contains(">50.00 %<"));
    let other = folder.path().join("other.html");
    succeed(semaim(&["report", path(&run), "--out", path(&other)]));
    assert_eq!(page(&other), second);
    refuse(semaim(&["report", path(folder.path())]), &["config.toml"]);
    // Not over a file of another kind.
    let encoder = run.join("encoder.safetensors");
    let before = fs::read(&encoder).unwrap();
    let over = ["report", path(&run), "--out", path(&encoder)];
    refuse(semaim(&over), &["encoder.safetensors", ".html"]);
    assert_eq!(fs::read(&encoder).unwrap(), before);
}

#[test]
fn single_images_are_shown_whatever_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let out = folder.path().join("new/folder/out.png");
    let show = |image: &Path, more: &[&str]| {
        let fixed = ["show", "--weights", path(&run), "--out", path(&out)];
        semaim(&[&fixed[..], &["--images", path(image)], more].concat())
    };
    let image = |name: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, bitmap(24, |x, y| [x as u8, y as u8, 90])).unwrap();
        file
    };
    let mut pictures = Vec::new();
    for name in [
        "猫.bmp",
        "кошка.bmp",
        "고양이, 2.bmp",
        "???.bmp",
        "\u{1f9ff}.bmp",
    ] {
        let ran = succeed(show(&image(name), &["--columns", "image"]));
        assert!(ran.stdout.starts_with("1 image in "), "{}", ran.stdout);
        pictures.push(std::fs::read(&out).unwrap());
    }
    // The same image each time: it is the names that differ, so none is drawn as `???`.
    let all: std::collections::BTreeSet<_> = pictures.iter().collect();
    assert_eq!(all.len(), pictures.len());

    let large = image("large.bmp");
    refuse(
        show(&large, &["--max-pixels", "100"]),
        &["large.bmp", "24x24", "--max-pixels"],
    );
    std::fs::write(&large, b"BM, and nothing more").unwrap();
    refuse(show(&large, &[]), &["large.bmp"]);
    let heic = folder.path().join("one.heic");
    std::fs::write(&heic, b"\0\0\0\x18ftypheic").unwrap();
    refuse(show(&heic, &[]), &["one.heic", "HEIC"]);
    // In a folder they are counted and named, and the others are shown.
    let several = folder.path().join("several");
    std::fs::create_dir(&several).unwrap();
    std::fs::copy(&heic, several.join("one.heic")).unwrap();
    std::fs::copy(image("good.bmp"), several.join("good.bmp")).unwrap();
    let ran = succeed(show(&several, &[]));
    assert!(ran.stderr.contains("1 HEIC"), "{}", ran.stderr);
}

/// One picture of each image stands behind what all encoders see.
#[test]
fn encoders_of_other_views_are_not_shown_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let runs = ["[16,24]", "[24,24]"].map(|size| {
        let run = folder.path().join(size);
        let size = format!("model.image_size={size}");
        succeed(pretrain(&run, &["--set", &size]));
        run
    });
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 1);
    let out = folder.path().join("out.png");
    let show = |more: &[&str]| {
        let encoders = [
            "show",
            "--weights",
            path(&runs[0]),
            "--weights",
            path(&runs[1]),
        ];
        let fixed = ["--images", path(&data), "--out", path(&out)];
        semaim(&[&encoders[..], &fixed, more].concat())
    };
    refuse(
        show(&[]),
        &["encoder 2", "24 x 24", "16 x 24", "--image-size"],
    );
    assert!(!out.exists());
    succeed(show(&["--image-size", "16x24"]));
    // As large in another size.
    succeed(show(&["--image-size", "32x48"]));
}

/// The order's picture is of the network that training asks: the EMA copy and the teacher, not the encoder that is shown.
#[test]
fn orders_are_those_that_training_follows() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = trained(folder.path());
    let data = folder.path().join("data");
    colored(&data, "train", COLORS, 3);
    let out = folder.path().join("out.png");
    let order = |run: &Path| {
        let fixed = ["show", "--weights", path(run), "--images", path(&data)];
        succeed(semaim(
            &[&fixed[..], &["--animate", "--out", path(&out)]].concat(),
        ));
        std::fs::read(&out).unwrap()
    };
    let weights = format!("teacher.weights={}", path(&teacher));
    let by_teacher = ["--set", "order.source=teacher", "--set", &weights];
    let by_ema = ["--set", "order.source=ema", "--set", "train.ema=true"];
    for (name, settings) in [("teacher", by_teacher), ("ema", by_ema)] {
        let run = folder.path().join(name);
        succeed(pretrain(&run, &settings));
        let drawn = order(&run);
        // By the model's own features, of the same weights.
        let config = run.join("config.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let own = text.replace(&format!("source = \"{name}\""), "source = \"model\"");
        assert_ne!(own, text);
        std::fs::write(&config, own).unwrap();
        assert!(drawn != order(&run), "{name}");
    }
    let run = folder.path().join("teacher");
    let config = run.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let moved = text.replace("source = \"model\"", "source = \"teacher\"");
    std::fs::write(&config, moved).unwrap();
    std::fs::rename(&teacher, folder.path().join("moved")).unwrap();
    let show = |columns| {
        let fixed = ["show", "--weights", path(&run), "--images", path(&data)];
        semaim(&[&fixed[..], &["--out", path(&out), "--columns", columns]].concat())
    };
    refuse(show("order"), &["teacher", "similarity:cls"]);
    succeed(show("image,attention,similarity:cls,pca,order:raster"));
}
