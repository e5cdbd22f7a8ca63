//! COCO's format.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use semaim_data::{
    Augment, Dataset, ImageProblem, LabelMapSpec, MappedImages, ObjectSpec, OpenOptions, Source,
    Split, Subset, is_annotated, open_label_maps, open_objects,
};

use super::{image, open, refusal, text};

/// A COCO file of images of 40 x 30 pixels with the given annotations.
fn json(images: &[(u64, &str)], annotations: &str) -> String {
    let images: Vec<String> = images
        .iter()
        .map(|(id, name)| {
            format!(r#"{{"id": {id}, "file_name": "{name}", "width": 40, "height": 30}}"#)
        })
        .collect();
    format!(
        r#"{{"images": [{}], "categories": [{{"id": 7, "name": "cup"}}, {{"id": 3, "name": "dog"}}],
        "annotations": [{annotations}]}}"#,
        images.join(",")
    )
}

/// An annotation of image 1; `fields` come last, so that they replace those before.
fn object(id: u64, fields: &str) -> String {
    format!(r#"{{"id": {id}, "image_id": 1, "category_id": 3, "iscrowd": 0{fields}}}"#)
}

const BOX: &str = r#", "bbox": [10, 5, 20, 10], "area": 200"#;
const POLYGON: &str = r#", "segmentation": [[10, 5, 30, 5, 30, 15, 10, 15]]"#;

/// A folder of an image and a file with the given annotations.
fn folder(annotations: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    image(&folder.path().join("a.png"), [40, 30]);
    text(
        &folder.path().join("instances.json"),
        &json(&[(1, "a.png")], annotations),
    );
    folder
}

fn names(path: &Path, split: Split) -> Vec<String> {
    let set = open(path, split).unwrap();
    let name = |index| {
        PathBuf::from(set.name(index))
            .file_name()
            .unwrap()
            .to_owned()
    };
    (0..set.len())
        .map(|index| name(index).into_string().unwrap())
        .collect()
}

/// Whatever form a set is taken in, changed masks are noticed.
#[test]
fn checksums_of_objects_are_those_of_every_form_of_a_set() {
    let checksums = |mask: &str| -> Vec<Option<u32>> {
        let folder = folder(&object(1, &format!("{BOX}{mask}")));
        let path = folder.path().display().to_string();
        let options = OpenOptions::default();
        let set = Arc::new(open(folder.path(), Split::Train).unwrap());
        let some = Subset::new(Arc::clone(&set) as Arc<dyn Source>, vec![0]);
        let labels = LabelMapSpec {
            data: path.clone(),
            ..LabelMapSpec::default()
        };
        let labels = open_label_maps(&labels, Split::Train, &options).unwrap();
        let mapped = MappedImages::with_masks(&[path], &options, [3, 4]).unwrap();
        let forms: [&dyn Source; 4] = [&*set, &some, &labels, &mapped];
        forms.map(|form| form.objects_checksum(0)).to_vec()
    };
    let (before, after) = (
        checksums(POLYGON),
        checksums(&POLYGON.replace("30, 15", "30, 14")),
    );
    assert!(before[0].is_some() && before.iter().all(|sum| *sum == before[0]));
    assert!(after[0] != before[0] && after.iter().all(|sum| *sum == after[0]));
}

#[test]
fn the_layouts_that_people_have() {
    for (train_json, train_image, val_json, val_image) in [
        (
            "annotations/instances_train2017.json",
            "train2017/a.png",
            "annotations/instances_val2017.json",
            "val2017/b.png",
        ),
        (
            "annotations/instances_train.json",
            "images/train/a.png",
            "annotations/instances_val.json",
            "images/val/b.png",
        ),
        (
            "train/_annotations.coco.json",
            "train/a.png",
            "valid/_annotations.coco.json",
            "valid/b.png",
        ),
        ("train.json", "images/a.png", "val.json", "images/b.png"),
        (
            "annotations/train.json",
            "a.png",
            "annotations/test.json",
            "b.png",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        image(&path(train_image), [40, 30]);
        image(&path(val_image), [40, 30]);
        text(&path(train_json), &json(&[(1, "a.png")], &object(1, BOX)));
        text(&path(val_json), &json(&[(2, "b.png")], ""));
        // What COCO has besides.
        if train_json.contains("instances") {
            text(&path("annotations/captions_train2017.json"), "{}");
            text(&path("annotations/person_keypoints_val2017.json"), "{}");
        }
        assert_eq!(
            names(folder.path(), Split::Train),
            ["a.png"],
            "{train_json}"
        );
        assert_eq!(names(folder.path(), Split::Eval), ["b.png"], "{train_json}");
        let [train, eval] = [Split::Train, Split::Eval].map(|s| open(folder.path(), s).unwrap());
        assert!(train.notices().is_empty() && eval.notices().is_empty());
        train.check_same_classes(&eval).unwrap();
        // Without annotations, a negative.
        assert!(eval.truth(0).unwrap().boxes.is_empty());
        assert_eq!((train.image_id(0), eval.image_id(0)), (1, 2));
        assert_eq!(train.classes(), ["dog", "cup"]);
        assert_eq!(train.category_ids(), [3, 7]);
    }
}

#[test]
fn files_and_folders_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    image(&path("pictures/a.png"), [40, 30]);
    text(
        &path("made/one.json"),
        &json(&[(1, "a.png")], &object(1, BOX)),
    );
    text(&path("made/two.json"), &json(&[(9, "a.png")], ""));
    let spec = ObjectSpec {
        annotations: Some(path("made/one.json")),
        images: Some(path("pictures")),
        eval_annotations: Some(path("made/two.json")),
        ..ObjectSpec::default()
    };
    let ids = [Split::Train, Split::Eval].map(|split| {
        let set = open_objects(&spec, split, &OpenOptions::default()).unwrap();
        assert!(set.notices().is_empty());
        set.image_id(0)
    });
    assert_eq!(ids, [1, 9]);
    let alone = ObjectSpec {
        annotations: None,
        ..spec.clone()
    };
    let error = open_objects(&alone, Split::Train, &OpenOptions::default()).unwrap_err();
    assert!(error.to_string().contains("none to train on"), "{error}");
    let nowhere = ObjectSpec {
        images: None,
        ..spec
    };
    let error = open_objects(&nowhere, Split::Train, &OpenOptions::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("its images, such as a.png, are not in"),
        "{error}"
    );
    // Two files, neither of which says what it is for.
    let reason = refusal(&path("made"));
    assert!(
        reason.contains("one.json, two.json could be the annotations to train on"),
        "{reason}"
    );
    // One says that it is to train on, and the other nothing.
    let apart = path("apart");
    image(&apart.join("a.png"), [40, 30]);
    image(&apart.join("b.png"), [40, 30]);
    let (train, other) = (json(&[(1, "a.png")], ""), json(&[(2, "b.png")], ""));
    text(&apart.join("annotations/instances_train.json"), &train);
    text(&apart.join("annotations/instances_night.json"), &other);
    assert_eq!(names(&apart, Split::Train), ["a.png"]);
    // Of what says a split that files of instances leave open, that is taken.
    text(&apart.join("annotations/val_annotations.json"), &other);
    assert_eq!(names(&apart, Split::Train), ["a.png"]);
    assert_eq!(names(&apart, Split::Eval), ["b.png"]);
    assert!(refusal(&path("pictures")).contains("no annotations found"));
    assert!(refusal(&path("nothing")).contains("no such file"));
}

#[test]
fn one_in_five_is_held_out_where_there_is_no_split() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<String> = (1..=40).map(|n| format!("{n}.png")).collect();
    for file in &files {
        image(&folder.path().join("images").join(file), [40, 30]);
    }
    let images: Vec<(u64, &str)> = (1..).zip(files.iter().map(String::as_str)).collect();
    text(&folder.path().join("annotations.json"), &json(&images, ""));
    let [mut train, eval] = [Split::Train, Split::Eval].map(|split| names(folder.path(), split));
    assert!((2..=16).contains(&eval.len()), "{eval:?}");
    train.extend(eval.clone());
    train.sort();
    let mut all = files.clone();
    all.sort();
    assert_eq!(train, all);
    let notices = open(folder.path(), Split::Eval).unwrap().notices().to_vec();
    let expected = format!("one image in five is held out ({} of 40)", eval.len());
    assert!(notices[0].contains(&expected), "{notices:?}");
}

#[test]
fn names_of_windows_are_found() {
    let folder = tempfile::tempdir().unwrap();
    image(&folder.path().join("images/cats/a.png"), [40, 30]);
    // In JSON a backslash is written twice.
    let text_of = |name: &str| json(&[(1, name)], &object(1, BOX));
    text(
        &folder.path().join("instances.json"),
        &text_of(r"images\\cats\\a.png"),
    );
    let set = open(folder.path(), Split::Train).unwrap();
    assert!(
        Path::new(&set.name(0)).ends_with("images/cats/a.png"),
        "{}",
        set.name(0)
    );
    assert!(
        set.notices().iter().all(|said| !said.contains("missing")),
        "{:?}",
        set.notices()
    );
    text(
        &folder.path().join("instances.json"),
        &text_of(r"images\\cats\\b.png"),
    );
    let refused = refusal(folder.path());
    assert!(
        refused.contains(r"such as images\cats\b.png, are not in"),
        "{refused}"
    );
}

#[test]
fn whoever_named_the_folder_of_images_is_not_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    image(&path("pictures/a.png"), [40, 30]);
    text(&path("made/one.json"), &json(&[(1, "cats/a.png")], ""));
    let refused = |images: Option<PathBuf>| {
        let spec = ObjectSpec {
            annotations: Some(path("made/one.json")),
            images,
            ..ObjectSpec::default()
        };
        let opened = open_objects(&spec, Split::Train, &OpenOptions::default());
        opened.unwrap_err().to_string()
    };
    let advice = "name their folder";
    assert!(refused(None).contains(advice), "{}", refused(None));
    let said = refused(Some(path("pictures")));
    assert!(
        said.contains("such as cats/a.png, are not in") && said.contains("pictures"),
        "{said}"
    );
    assert!(!said.contains(advice), "{said}");
}

#[test]
fn files_under_several_ids_are_said() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.png", "b.png", "c.png"] {
        image(&folder.path().join(name), [40, 30]);
    }
    let listed = [
        (1, "a.png"),
        (2, "b.png"),
        (3, "c.png"),
        (101, "a.png"),
        (103, "./c.png"),
        (201, "a.png"),
    ];
    let said = |listed: &[(u64, &str)]| {
        text(&folder.path().join("instances.json"), &json(listed, ""));
        let set = open(folder.path(), Split::Train).unwrap();
        let mut notices = set.notices().iter();
        notices.find(|said| said.contains("several ids")).cloned()
    };
    assert_eq!(said(&listed[..3]), None);
    let one = said(&listed[..4]).unwrap();
    assert!(
        one.contains("1 file is listed under several ids (the first: a.png, 1 and 101)"),
        "{one}"
    );
    let several = said(&listed).unwrap();
    assert!(
        several.contains("2 files are listed under several ids (the first: a.png, 1 and 101)"),
        "{several}"
    );
}

/// A folder of so many images and a file that lists some of them.
fn partly_listed(count: u64, listed: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<String> = (1..=count).map(|n| format!("{n}.png")).collect();
    for file in &files {
        image(&folder.path().join("images").join(file), [40, 30]);
    }
    let images: Vec<(u64, &str)> = (1..=listed).zip(files.iter().map(String::as_str)).collect();
    text(&folder.path().join("annotations.json"), &json(&images, ""));
    folder
}

#[test]
fn a_set_that_is_used_whole_has_all_images_in_either_split() {
    let folder = partly_listed(20, 20);
    for data in [folder.path(), &folder.path().join("annotations.json")] {
        let spec = ObjectSpec {
            whole: true,
            ..ObjectSpec::of(data.display().to_string())
        };
        for split in [Split::Train, Split::Eval] {
            let set = open_objects(&spec, split, &OpenOptions::default()).unwrap();
            assert_eq!(set.len(), 20);
            let said: &[&str] = match split {
                Split::Train => &[],
                Split::Eval => &["so all of it is evaluated (20 images)"],
            };
            assert_eq!(set.notices().len(), said.len(), "{:?}", set.notices());
            for (notice, said) in set.notices().iter().zip(said) {
                assert!(notice.contains(said), "{notice}");
            }
        }
    }
}

#[test]
fn whoever_looks_at_images_gets_those_that_are_not_listed() {
    let folder = partly_listed(12, 5);
    let open = |data: &Path| {
        let spec = ObjectSpec {
            every_image: true,
            ..ObjectSpec::of(data.display().to_string())
        };
        open_objects(&spec, Split::Eval, &OpenOptions::default()).unwrap()
    };
    let set = open(folder.path());
    assert_eq!(set.len(), 12);
    let mut ids: Vec<u64> = (0..12).map(|item| set.image_id(item)).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=12).collect::<Vec<u64>>());
    assert!(
        set.notices()[0].contains("7 images of the folder not listed there, numbered from 6 on"),
        "{:?}",
        set.notices()
    );
    assert!(set.truth(11).unwrap().boxes.is_empty());
    // A file that is named itself means its own images.
    assert_eq!(open(&folder.path().join("annotations.json")).len(), 5);
}

#[test]
fn other_files_beside_images_are_no_annotations() {
    let folder = partly_listed(3, 3);
    let path = |name: &str| folder.path().join(name);
    text(
        &path("side.json"),
        r#"{"shapes": [], "imagePath": "1.png"}"#,
    );
    text(&path("settings.yaml"), "names: 3\nlr: 0.1\n");
    text(&path(".hidden.yaml"), "names: [a]\ntrain: images\n");
    let set = open(folder.path(), Split::Train).unwrap();
    assert!(
        set.describe().contains("annotations.json"),
        "{}",
        set.describe()
    );
    // Not even what is called as YOLO's, where there are annotations of COCO's form.
    text(&path("data.yaml"), "remote: s3\n");
    assert!(open(folder.path(), Split::Train).is_ok());
    fs::remove_file(path("data.yaml")).unwrap();
    let data = folder.path().display().to_string();
    assert!(is_annotated(&data).unwrap());
    fs::remove_file(path("annotations.json")).unwrap();
    assert!(!is_annotated(&data).unwrap());
    let reason = refusal(folder.path());
    for part in ["no annotations found", "side.json", "settings.yaml"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    assert!(!reason.contains("hidden"), "{reason}");
    // Where each image has a file of its own, the annotations are known by their name.
    for number in 0..40 {
        text(&path(&format!("{number}.json")), "{}");
    }
    assert!(!is_annotated(&data).unwrap());
    text(&path("my_annotations.json"), &json(&[(1, "1.png")], ""));
    assert!(is_annotated(&data).unwrap());
}

#[test]
fn a_file_may_only_list_images() {
    let folder = tempfile::tempdir().unwrap();
    image(&folder.path().join("a.png"), [40, 30]);
    let whole = json(&[(7, "a.png")], "");
    let file = folder.path().join("image_info.json");
    text(
        &file,
        &whole.replace(r#""annotations": []"#, r#""info": 1"#),
    );
    let set = open(&file, Split::Eval).unwrap();
    assert_eq!(
        (set.len(), set.image_id(0), set.count_objects().all),
        (1, 7, 0)
    );
}

#[test]
fn missing_images_are_counted_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    image(&path("train2017/a.png"), [40, 30]);
    image(&path("val2017/v.png"), [40, 30]);
    let listed = [(1, "a.png"), (2, "gone.png"), (3, "away.png")];
    text(
        &path("annotations/instances_train2017.json"),
        &json(&listed, ""),
    );
    text(
        &path("annotations/instances_val2017.json"),
        &json(&[(1, "v.png")], ""),
    );
    let set = open(folder.path(), Split::Train).unwrap();
    assert_eq!(set.len(), 1);
    let [notice] = set.notices() else {
        panic!("{:?}", set.notices())
    };
    assert!(
        notice.ends_with("2 of 3 images missing and left out: gone.png, away.png"),
        "{notice}"
    );
    fs::remove_file(path("train2017/a.png")).unwrap();
    assert!(refusal(folder.path()).contains("its images, such as a.png, are not in"));
}

#[test]
fn what_is_put_right_is_said() {
    let crowd = r#", "iscrowd": 1, "segmentation": {"size": [30, 40], "counts": [0, 1200]}, "bbox": [0, 0, 40, 30], "area": 1200"#;
    for (annotation, notice) in [
        (
            object(5, &format!("{BOX}{POLYGON}")).replace(r#", "iscrowd": 0"#, ""),
            "1 annotation without `iscrowd`: taken as 0 (the first: annotation 5)",
        ),
        (
            object(5, r#", "bbox": [10, 5, 20, 10]"#),
            "1 annotation without `area`: that of the box is taken",
        ),
        (
            object(5, &format!(r#", "bbox": [10, 5, 20, 10]{POLYGON}"#)),
            "1 annotation without `area`: that of the mask is taken",
        ),
        (
            object(5, &format!(r#", "area": 200{POLYGON}"#)),
            "1 annotation without `bbox`: that of the mask is taken",
        ),
        (
            object(5, r#", "bbox": [10, 5, 0, 10], "area": 0"#),
            "1 annotation with a box without area",
        ),
        (
            object(5, r#", "bbox": [30, 5, 50, 10], "area": 500"#),
            "1 annotation with a box that reaches out of its image",
        ),
        (
            object(
                5,
                &format!("{BOX}{}", POLYGON.replace("]]", "], [1, 1, 2, 2]]")),
            ),
            "1 annotation with polygons of fewer than three points beside others",
        ),
        (object(0, BOX), "1 annotation with the id 0"),
        (
            object(
                5,
                &format!(r#"{BOX}, "segmentation": [[5, 2.5, 15, 2.5, 15, 7.5, 5, 7.5]]"#),
            ),
            "1 annotation whose `bbox` and `segmentation` overlap by less than half",
        ),
        (object(5, &crowd.replace(r#""iscrowd": 1, "#, "")), ""),
    ] {
        let folder = folder(&annotation);
        let set = open(folder.path(), Split::Train).unwrap();
        let said: Vec<&String> = set
            .notices()
            .iter()
            .filter(|n| !n.contains("only image"))
            .collect();
        match (said[..].first(), notice) {
            (None, "") => {}
            (Some(said), notice) => assert!(said.contains(notice), "{said}"),
            (None, notice) => panic!("{notice} is not said"),
        }
        let truth = set.truth(0).unwrap();
        assert_eq!((truth.boxes.len(), truth.annotation_ids.len()), (1, 1));
    }
    // The truth has what was made.
    let folder = folder(&object(5, POLYGON));
    let truth = open(folder.path(), Split::Train).unwrap().truth(0).unwrap();
    assert_eq!(
        (truth.boxes[0], truth.areas[0]),
        ([10.0, 5.0, 20.0, 10.0], 200.0)
    );
}

#[test]
fn what_cannot_be_used_is_refused_with_file_annotation_and_reason() {
    let rle =
        |size: &str| format!(r#"{BOX}, "segmentation": {{"size": {size}, "counts": [0, 1200]}}"#);
    for (annotations, reason) in [
        (
            object(5, BOX).replace(r#""image_id": 1"#, r#""image_id": 8"#),
            "annotation 5 names the image 8, which the file does not have",
        ),
        (
            object(5, BOX).replace(r#""category_id": 3"#, r#""category_id": 8"#),
            "annotation 5 names the category 8, which the file does not have",
        ),
        (
            object(5, &format!(r#"{BOX}, "segmentation": [[1, 1, 9, 9]]"#)),
            "annotation 5: polygon 0 has 4 numbers",
        ),
        (
            object(
                5,
                &format!(r#"{BOX}, "segmentation": [[1, 1, 9, 9, 3, 3, 4]]"#),
            ),
            "annotation 5: polygon 0 has 7 numbers",
        ),
        (
            object(
                5,
                &format!(r#"{BOX}, "segmentation": [[1, 1, 9, 1e9, 3, 3]]"#),
            ),
            "annotation 5: polygon 0 has a corner at 1000000000",
        ),
        (
            object(5, &rle("[40, 30]")),
            "annotation 5: the segmentation is of 40x30 pixels, the image of 30x40",
        ),
        (
            object(5, &rle("[30, 40]").replace("1200", "1199")),
            "annotation 5: the runs up to 2 have 1199 pixels",
        ),
        (object(5, ""), "annotation 5: there is no `bbox`"),
        (
            object(5, r#", "bbox": [10, 5, -20, 10]"#),
            "annotation 5: the box is -20 wide",
        ),
        (
            object(5, r#", "bbox": [10, 5, 20, 10], "area": -1"#),
            "annotation 5 has the area -1",
        ),
        (
            format!("{}, {}", object(5, BOX), object(5, BOX)),
            "there are several annotations with the id 5",
        ),
        (
            object(5, BOX).replace(r#""id": 5"#, r#""id": "5""#),
            "annotations[0].id: invalid type: string \"5\", expected an integer",
        ),
        (
            object(5, BOX).replace(r#""image_id": 1"#, r#""image_id": "1""#),
            "annotations[0].image_id: invalid type: string \"1\", expected an integer",
        ),
        (
            object(5, r#", "bbox": [10, 5, 20]"#),
            "annotations[0].bbox: invalid length 3",
        ),
        (
            (5..10)
                .map(|id| object(id, r#", "bbox": [25, 20, 38, 28]"#))
                .collect::<Vec<_>>()
                .join(","),
            "boxes must be [x, y, width, height], but 5 of 5 reach out",
        ),
        (
            object(5, r#", "bbox": [0.2, 0.1, 0.5, 0.8]"#),
            "all 1 boxes lie within 0 to 1 (the first: annotation 5)",
        ),
        (
            object(
                5,
                &format!(r#"{BOX}, "segmentation": [[0.1, 0.1, 0.9, 0.1, 0.9, 0.7]]"#),
            ),
            "all 1 polygons lie within 0 to 1 (the first: annotation 5)",
        ),
    ] {
        let folder = folder(&annotations);
        let refused = refusal(folder.path());
        assert!(refused.contains(reason), "{refused}");
        assert!(refused.contains("instances.json"), "{refused}");
    }
    let refused = |json: &str| {
        let folder = tempfile::tempdir().unwrap();
        text(&folder.path().join("instances.json"), json);
        refusal(folder.path())
    };
    let whole = json(&[(1, "a.png")], "");
    let without = whole.replace(r#""file_name": "a.png", "#, "");
    assert!(refused(&without).contains("image 1 has no `file_name`"));
    assert!(
        refused(&whole.replace(r#""id": 1"#, r#""id": -1"#))
            .contains("image -1 has a number below 0")
    );
    assert!(refused("[]").contains("not a COCO file"));
}

#[test]
fn an_image_of_another_size_is_refused_when_it_is_shown() {
    let folder = folder(&object(5, BOX));
    let set = open(folder.path(), Split::Train).unwrap();
    let augment = Augment::on_canvas([32, 32], 3);
    for (size, turned) in [([30, 40], true), ([41, 30], false)] {
        let view = augment.evaluation_view(size).geometry();
        let error = set.target(0, &view).unwrap_err();
        assert!(matches!(
            error.problem,
            ImageProblem::OtherSize {
                stated: [40, 30],
                ..
            }
        ));
        assert_eq!(error.to_string().contains("orientation"), turned, "{error}");
    }
    assert!(
        set.target(0, &augment.evaluation_view([40, 30]).geometry())
            .is_ok()
    );
}

#[test]
fn files_may_leave_out_the_sizes_of_images() {
    let folder = tempfile::tempdir().unwrap();
    image(&folder.path().join("a.png"), [40, 30]);
    let without = json(&[(1, "a.png")], &object(5, &format!("{BOX}{POLYGON}")));
    let without = without.replace(r#", "width": 40, "height": 30"#, "");
    text(&folder.path().join("instances.json"), &without);
    let truth = open(folder.path(), Split::Train).unwrap().truth(0).unwrap();
    assert_eq!(truth.size, [30, 40]);
    assert_eq!(truth.masks[0].as_ref().unwrap().area(), 200);
}

#[test]
fn classes_of_both_splits_must_be_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    image(&path("a.png"), [40, 30]);
    text(&path("train.json"), &json(&[(1, "a.png")], ""));
    text(
        &path("val.json"),
        &json(&[(1, "a.png")], "").replace("cup", "mug"),
    );
    let [train, eval] =
        [Split::Train, Split::Eval].map(|split| open(folder.path(), split).unwrap());
    let error = train.check_same_classes(&eval).unwrap_err().to_string();
    assert!(
        error.contains("class 1 is 7 `cup` here and 7 `mug` in"),
        "{error}"
    );
}
