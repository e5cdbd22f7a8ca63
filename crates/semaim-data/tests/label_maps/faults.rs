//! What is wrong with label images.

use std::fs;

use semaim_data::{
    Augment, Dataset, ImageProblem, LabelMapSet, LabelMapSpec, ObjectSpec, OpenOptions, Source,
    Split, open_label_maps,
};

use super::{columns, image, labels, open, places, refusal, text};

/// A folder of three images with the given label images, each of which may be missing.
fn folder(values: [Option<Vec<u8>>; 3]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, values) in ["a", "b", "c"].into_iter().zip(values) {
        for split in ["train", "val"] {
            image(&folder.path().join(format!("images/{split}/{name}.png")));
            if let Some(values) = &values {
                labels(
                    &folder.path().join(format!("labels/{split}/{name}.png")),
                    values,
                );
            }
        }
    }
    folder
}

#[test]
fn what_lacks_the_other_is_counted_and_named() {
    let folder = folder([Some(columns([0, 1, 2, 0, 1, 2])), None, None]);
    labels(&folder.path().join("labels/train/z.png"), &columns([0; 6]));
    let set = open(folder.path(), Split::Train).unwrap();
    let [images, label_images] = set.notices() else {
        panic!("{:?}", set.notices())
    };
    assert!(
        images.ends_with("2 of 3 images without a label image and left out: b, c"),
        "{images}"
    );
    assert!(
        label_images.ends_with("1 label image without an image and left out: z"),
        "{label_images}"
    );
    for split in ["train", "val"] {
        fs::remove_file(folder.path().join(format!("labels/{split}/a.png"))).unwrap();
    }
    let reason = refusal(folder.path());
    assert!(
        reason.contains("none of the 3 images of") && reason.contains("such as a.png"),
        "{reason}"
    );
    labels(&folder.path().join("images/train/a.bmp"), &columns([0; 6]));
    assert!(refusal(folder.path()).contains("has the same name but for its ending"));
    fs::remove_dir_all(folder.path().join("labels")).unwrap();
    let reason = refusal(folder.path());
    assert!(
        reason.contains("no label images found") && reason.contains("data.yaml"),
        "{reason}"
    );
}

#[test]
fn values_that_are_no_classes_are_named_with_their_place() {
    let folder = folder([
        Some(columns([0, 1, 0, 1, 0, 255])),
        Some(columns([0, 1, 0, 7, 0, 255])),
        Some(columns([0, 1, 0, 1, 0, 1])),
    ]);
    text(&folder.path().join("classes.txt"), "no\nyes\n");
    let set = open(folder.path(), Split::Train).unwrap();
    assert!(set.truth(0).is_ok() && set.truth(2).is_ok());
    let error = set.truth(1).unwrap_err();
    assert!(error.name.ends_with("b.png"));
    let expected = "its value in column 3, row 0 is 7, which is no class: the values of the 2 classes are 0 to 1";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn label_images_of_another_size_are_refused_when_they_are_shown() {
    let folder = folder([Some(columns([0, 1, 0, 1, 0, 1])), None, None]);
    let path = folder.path().join("labels/train/a.png");
    image::save_buffer(&path, &[0, 1, 0, 1], 2, 2, image::ExtendedColorType::L8).unwrap();
    let set = open(folder.path(), Split::Train).unwrap();
    let view = Augment::scaled_crop([8, 8], 8, 3)
        .evaluation_view([6, 4])
        .geometry();
    for error in [
        set.target(0, &view).unwrap_err(),
        set.choose_view(0, &[view]).unwrap_err(),
    ] {
        assert!(matches!(
            error.problem,
            ImageProblem::OtherSize {
                image: [6, 4],
                stated: [2, 2]
            }
        ));
    }
}

#[test]
fn colors_are_refused_at_once() {
    let folder = folder([Some(columns([0, 1, 0, 1, 0, 1])), None, None]);
    let path = folder.path().join("labels/train/a.png");
    image::save_buffer(&path, &[9; 72], 6, 4, image::ExtendedColorType::Rgb8).unwrap();
    let reason = refusal(folder.path());
    assert!(
        reason.contains("a.png: it is RGB, whose colors say no class"),
        "{reason}"
    );
}

#[test]
fn masks_of_0_and_255_are_told() {
    let folder = folder([Some(columns([0, 255, 0, 255, 0, 0])), None, None]);
    let reason = refusal(folder.path());
    assert!(
        reason.contains("there is only one class, `0` (a value is a class, but for 255"),
        "{reason}"
    );
    text(&folder.path().join("classes.txt"), "no\nyes\n");
    let set = open(folder.path(), Split::Train).unwrap();
    let said = set.notices().join("\n");
    let expected = "the first have the values 0 and 255: are these 2 classes? 255 is the ignore label; if it is a class";
    assert!(said.contains(expected), "{said}");
}

/// The notice of a set that has one.
fn only_notice(set: &LabelMapSet) -> &str {
    let [notice] = set.notices() else {
        panic!("{:?}", set.notices())
    };
    notice
}

#[test]
fn values_with_gaps_are_told_of_both_splits_together() {
    let folder = tempfile::tempdir().unwrap();
    for split in ["train", "val"] {
        image(&folder.path().join(format!("images/{split}/a.png")));
        labels(
            &folder.path().join(format!("labels/{split}/a.png")),
            &columns([0, 85, 0, 170, 255, 255]),
        );
    }
    let [train, eval] =
        [Split::Train, Split::Eval].map(|split| open(folder.path(), split).unwrap());
    assert_eq!(train.classes(), ["0", "85", "170"]);
    let said = only_notice(&train);
    let expected = "they have the values 0, 85, 170 and 255: are these 4 classes? 255 is the ignore label; if it is a class";
    assert!(said.contains(expected), "{said}");
    // The same, so that it is said once.
    assert_eq!(said, only_notice(&eval));
    // A list says what the values are.
    text(
        &folder.path().join("classes.txt"),
        "0 road\n85 car\n170 sky\n",
    );
    let listed = open(folder.path(), Split::Train).unwrap();
    let said = only_notice(&listed);
    assert!(said.contains("classes.txt, which lies beside"), "{said}");
}

#[test]
fn masks_that_were_smoothed_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // Two fields with twenty grays between them, of a thousand rows one each.
    let rows = (0..1000u32).flat_map(|row| [(row.saturating_sub(400).min(21) * 12) as u8; 100]);
    let values: Vec<u8> = rows.collect();
    for kind in ["images", "masks"] {
        for split in ["train", "val"] {
            let file = path(&format!("{kind}/{split}/a.png"));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            image::save_buffer(file, &values, 100, 1000, image::ExtendedColorType::L8).unwrap();
        }
    }
    let set = open(folder.path(), Split::Train).unwrap();
    assert_eq!(set.classes().len(), 22);
    let said = only_notice(&set);
    let expected = "20 of which cover very few pixels of the images that have them: masks that were smoothed or colored";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn classes_that_no_training_image_has_are_named() {
    let folder = folder([Some(columns([0, 1, 0, 1, 0, 1])), None, None]);
    let mut stray = columns([0, 1, 0, 1, 0, 255]);
    stray[0] = 2;
    let file = folder.path().join("labels/val/a.png");
    labels(&file, &stray);
    for split in [Split::Train, Split::Eval] {
        let set = open(folder.path(), split).unwrap();
        let said = set.notices().join("\n");
        let file = file.display();
        let expected = format!(
            "1 class of the images to evaluate on is in no image to train on, which can only lower the mean IoU: 2 (1 pixel, the \
             first in {file})"
        );
        assert!(said.contains(&expected), "{said}");
    }
    // Trained on, it is a class as others are.
    labels(&folder.path().join("labels/train/b.png"), &columns([2; 6]));
    let set = open(folder.path(), Split::Train).unwrap();
    let said = set.notices().join("\n");
    assert!(!said.contains("no image to train on"), "{said}");
}

#[test]
fn classes_that_only_images_that_are_held_out_have_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |kind: &str, name: &str| folder.path().join(kind).join(name);
    for number in 0..20 {
        let name = format!("{number}.png");
        image(&path("images", &name));
        labels(&path("labels", &name), &columns([0, 1, 0, 1, 0, 1]));
    }
    let held_out = open(folder.path(), Split::Eval).unwrap();
    assert_eq!(held_out.notices().len(), 1);
    let image = std::path::PathBuf::from(held_out.name(0));
    let name = image.file_name().unwrap().to_str().unwrap();
    labels(&path("labels", name), &columns([0, 1, 0, 1, 0, 2]));
    let said = open(folder.path(), Split::Train)
        .unwrap()
        .notices()
        .join("\n");
    assert!(
        said.contains(
            "is in no image to train on, which can only lower the mean IoU: 2 (4 pixels, "
        ),
        "{said}"
    );
}

const BLACK: [u8; 3] = [0; 3];
const RED: [u8; 3] = [255, 0, 0];
const BLUE: [u8; 3] = [0, 0, 255];

#[test]
fn palettes_that_contradict_each_other_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let values = columns([0, 1, 2, 0, 1, 2]);
    let usual = [BLACK, RED, BLUE];
    let swapped = [BLACK, BLUE, RED];
    for split in ["train", "val"] {
        for name in ["a", "b"] {
            image(&path(&format!("images/{split}/{name}.png")));
            let file = path(&format!("labels/{split}/{name}.png"));
            places(&file, &values, &usual);
        }
    }
    let opened = || [Split::Train, Split::Eval].map(|split| open(folder.path(), split));
    let [train, eval] = opened().map(Result::unwrap);
    train.check_same_classes(&eval).unwrap();
    // In one split, whose values are classes of the other, too.
    let other = path("labels/val/b.png");
    places(&other, &values, &swapped);
    let expected = format!(
        "{}: place 1 of its palette is #0000ff, but #ff0000 in {}; a class is its place in the palette",
        other.display(),
        path("labels/train/a.png").display()
    );
    let [train, eval] = opened().map(|set| set.unwrap_err().to_string());
    assert!(train.starts_with(&expected), "{train}");
    let place = "place 1 of its palette is #0000ff, but #ff0000 in ";
    assert!(eval.contains(place), "{eval}");
    // With a list the first of the split are looked at.
    text(&path("classes.txt"), "none\ncat\ndog\n");
    let [train, eval] = opened();
    assert!(train.is_ok());
    let reason = eval.unwrap_err().to_string();
    assert!(reason.contains(place), "{reason}");
    // Each split agrees with itself, but not with the other.
    places(&path("labels/val/a.png"), &values, &swapped);
    let [train, eval] = opened().map(Result::unwrap);
    let reason = train.check_same_classes(&eval).unwrap_err().to_string();
    assert!(reason.contains("place 1 of its palette is #"), "{reason}");
    assert!(
        reason.contains("labels/train/a.png") && reason.contains("labels/val/a.png"),
        "{reason}"
    );
}

#[test]
fn other_colors_of_a_place_are_told_where_classes_are_given() {
    let folder = folder([None, None, None]);
    let path = |name: &str| folder.path().join(name);
    let values = columns([0, 1, 2, 0, 1, 2]);
    let green = [0, 255, 0];
    let usual = [BLACK, RED, green];
    let write = |other: &[[u8; 3]]| {
        for split in ["train", "val"] {
            for name in ["a", "b", "c"] {
                let file = path(&format!("labels/{split}/{name}.png"));
                let is_other = name == "b";
                places(&file, &values, if is_other { other } else { &usual });
            }
        }
    };
    text(&path("given.txt"), "none\ncat\ndog\n");
    let given = LabelMapSpec {
        classes: Some(path("given.txt")),
        ..LabelMapSpec::of(folder.path().display().to_string())
    };
    let known = LabelMapSpec {
        known: Some(
            (0..)
                .zip(["none", "cat", "dog"].map(str::to_owned))
                .collect(),
        ),
        ..LabelMapSpec::of(folder.path().display().to_string())
    };
    write(&[BLACK, BLUE, green]);
    let reason = refusal(folder.path());
    assert!(reason.contains("place 1 of its palette is #"), "{reason}");
    for spec in [&given, &known] {
        let [train, eval] = [Split::Train, Split::Eval]
            .map(|split| open_label_maps(spec, split, &OpenOptions::default()).unwrap());
        for set in [&train, &eval] {
            let said = only_notice(set);
            assert!(said.contains("place 1 of its palette is #"), "{said}");
        }
        train.check_same_classes(&eval).unwrap();
    }
    // The same colors at other places.
    write(&[RED, BLACK, green]);
    for spec in [&given, &known] {
        let error = open_label_maps(spec, Split::Train, &OpenOptions::default()).unwrap_err();
        let reason = error.to_string();
        assert!(reason.contains("of its palette, but place"), "{reason}");
    }
    // Zero says nothing, and has no color then.
    write(&[BLUE, RED, green]);
    assert!(!refusal(folder.path()).is_empty());
    let without_zero = LabelMapSpec {
        ignore_zero: true,
        ..LabelMapSpec::of(folder.path().display().to_string())
    };
    let set = open_label_maps(&without_zero, Split::Train, &OpenOptions::default()).unwrap();
    assert_eq!(set.values(), [1, 2]);
    // A gray image that was given a palette.
    let ramp: Vec<[u8; 3]> = (0..=255).map(|value| [value; 3]).collect();
    write(&ramp);
    assert!(open(folder.path(), Split::Train).is_ok());
}

#[test]
fn a_color_with_another_place_in_a_palette_of_its_own_is_refused() {
    let folder = folder([None, None, None]);
    let path = |name: &str| folder.path().join(name);
    for split in ["train", "val"] {
        let file = |name: &str| path(&format!("labels/{split}/{name}.png"));
        places(
            &file("a"),
            &columns([0, 1, 0, 1, 0, 1]),
            &[BLACK, BLUE, RED],
        );
        // A palette may end after what is used.
        places(&file("b"), &columns([0; 6]), &[BLACK]);
        places(
            &file("c"),
            &columns([0, 2, 0, 2, 0, 2]),
            &[BLACK, BLUE, RED],
        );
    }
    assert!(open(folder.path(), Split::Train).is_ok());
    let short = path("labels/train/c.png");
    places(&short, &columns([0, 2, 0, 2, 0, 2]), &[BLACK, RED, BLUE]);
    let expected = format!(
        "{}: #0000ff is place 2 of its palette, but place 1 in ",
        short.display()
    );
    let reason = refusal(folder.path());
    assert!(reason.starts_with(&expected), "{reason}");
}

#[test]
fn other_folders_that_might_be_meant_are_named() {
    let map = columns([0, 1, 0, 1, 0, 1]);
    for images in [["images/train", "images/val"], ["train", "val"]] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (split, images) in ["train", "val"].into_iter().zip(images) {
            image(&path(&format!("{images}/a.bmp")));
            for kind in ["labels", "masks"] {
                labels(&path(&format!("{kind}/{split}/a.png")), &map);
            }
        }
        // No PNGs: boxes, as YOLO has them.
        text(&path("annotations/train/a.txt"), "0 0.5 0.5 1 1");
        let [train, eval] =
            [Split::Train, Split::Eval].map(|split| open(folder.path(), split).unwrap());
        let expected = format!(
            "{}: label images are those in labels; PNGs in masks are not looked at",
            folder.path().display()
        );
        let said = only_notice(&train);
        assert!(said.starts_with(&expected), "{said}");
        assert_eq!(said, only_notice(&eval));
        fs::remove_dir_all(path("masks")).unwrap();
        assert!(
            open(folder.path(), Split::Train)
                .unwrap()
                .notices()
                .is_empty()
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for split in ["train", "val"] {
        image(&path(&format!("{split}/images/a.bmp")));
        labels(&path(&format!("{split}/gt/a.png")), &map);
        labels(&path(&format!("{split}/mask/a.png")), &map);
    }
    let set = open(folder.path(), Split::Eval).unwrap();
    let said = only_notice(&set);
    let expected = "val: label images are those in mask; PNGs in gt are not looked at";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn errors_of_objects_name_the_file_of_annotations() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    image(&path("a.png"));
    let json = r#"{"images": [{"id": 1, "file_name": "a.png", "width": 6, "height": 4}],
        "categories": [{"id": 1, "name": "cup"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 4, "bbox": [0, 0, 2, 2]}]}"#;
    for name in ["train.json", "val.json"] {
        text(&path(name), json);
    }
    let refused = |split, ignore_zero, objects| {
        let spec = LabelMapSpec {
            objects: Some(objects),
            ignore_zero,
            ..LabelMapSpec::default()
        };
        let error = open_label_maps(&spec, split, &OpenOptions::default());
        error.unwrap_err().to_string()
    };
    let both = ObjectSpec {
        annotations: Some(path("train.json")),
        eval_annotations: Some(path("val.json")),
        ..ObjectSpec::default()
    };
    for (split, file) in [(Split::Train, "train.json"), (Split::Eval, "val.json")] {
        for (ignore_zero, reason) in [
            (false, "there are objects without a mask"),
            (true, "no value 0 to ignore"),
        ] {
            let error = refused(split, ignore_zero, both.clone());
            assert!(
                error.starts_with(&format!("{}: ", path(file).display())) && error.contains(reason),
                "{error}"
            );
        }
    }
    // One file for either split.
    let one = ObjectSpec {
        eval_annotations: None,
        ..both
    };
    let error = refused(Split::Eval, true, one);
    assert!(error.contains("train.json: label maps made of"), "{error}");
}

#[test]
fn a_split_that_cannot_be_listed_is_refused_wherever_both_are_gone_over() {
    let folder = folder([Some(columns([0, 1, 2, 0, 1, 2])), None, None]);
    let path = |name: &str| folder.path().join(name);
    let spec = LabelMapSpec {
        images: Some(path("images/train")),
        labels: Some(path("labels/train")),
        eval_images: Some(path("images/nowhere")),
        eval_labels: Some(path("labels/nowhere")),
        ignore_zero: true,
        ..LabelMapSpec::default()
    };
    let refused = || {
        let error = open_label_maps(&spec, Split::Train, &OpenOptions::default());
        error.unwrap_err().to_string()
    };
    assert!(refused().contains("nowhere: no such file"), "{}", refused());
    // The largest value tells whether the first name is of 0 or of 1.
    text(&path("labels/classes.txt"), "background\ncat\ndog\n");
    assert!(refused().contains("nowhere: no such file"), "{}", refused());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = folder([Some(columns([0, 1, 0, 1, 0, 1])), None, None]);
    let data = folder.path().display().to_string();
    let refused = |spec: LabelMapSpec| {
        let error = open_label_maps(&spec, Split::Train, &OpenOptions::default());
        error.unwrap_err().to_string()
    };
    let shapes = || LabelMapSpec::of("shapes");
    assert!(
        refused(LabelMapSpec {
            ignore_zero: true,
            ..shapes()
        })
        .contains("no value 0 to ignore")
    );
    let classes = Some("names.txt".into());
    assert!(
        refused(LabelMapSpec {
            classes,
            ..shapes()
        })
        .contains("names of classes of their own")
    );
    let missing = Some(folder.path().join("nowhere.txt"));
    let spec = LabelMapSpec {
        classes: missing,
        ..LabelMapSpec::of(data)
    };
    assert!(refused(spec).contains("nowhere.txt: no such file"));
    fs::remove_dir_all(folder.path().join("images/train")).unwrap();
    fs::remove_dir_all(folder.path().join("labels/train")).unwrap();
    assert!(refusal(folder.path()).contains("none to train on"));
}
