//! What is wrong with label images.

use std::fs;

use semaim_data::{
    Augment, Dataset, ImageProblem, LabelMapSpec, OpenOptions, Split, open_label_maps,
};

use super::{columns, image, labels, open, refusal, text};

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
    assert!(
        set.notices().iter().any(|n| n.contains("0 and 255 alone")),
        "{:?}",
        set.notices()
    );
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
