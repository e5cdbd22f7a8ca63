//! The layouts that people have.

use std::fs;
use std::path::{Path, PathBuf};

use semaim_data::{
    LabelMapSpec, ObjectSpec, OpenOptions, Shapes, ShapesOptions, Source, Split, has_label_images,
    open_label_maps,
};

use super::{SIZE, columns, image, labels, open, places, text};

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

#[test]
fn folders_of_images_and_label_images() {
    for (train, val) in [
        (
            ["images/train", "annotations/train"],
            ["images/val", "annotations/val"],
        ),
        (
            ["images/training", "annotations/training"],
            ["images/validation", "annotations/validation"],
        ),
        (
            ["Images/Train", "masks/train"],
            ["Images/Valid", "masks/val"],
        ),
        (
            ["train/images", "train/labels"],
            ["test/images", "test/labels"],
        ),
        (
            ["train2017", "semantic/train2017"],
            ["val2017", "semantic/val2017"],
        ),
        (["images/train", "labels"], ["images/val", "labels"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for (place, name, values) in [
            (train, "a", [0, 0, 1, 1, 2, 255]),
            (val, "b", [0, 0, 0, 3, 3, 3]),
        ] {
            let path = |folder_of, ending| {
                folder
                    .path()
                    .join(folder_of)
                    .join(format!("{name}.{ending}"))
            };
            image(&path(place[0], "bmp"));
            labels(&path(place[1], "png"), &columns(values));
        }
        assert_eq!(names(folder.path(), Split::Train), ["a.bmp"], "{train:?}");
        assert_eq!(names(folder.path(), Split::Eval), ["b.bmp"], "{train:?}");
        let [train, eval] =
            [Split::Train, Split::Eval].map(|split| open(folder.path(), split).unwrap());
        // Without names, the values of both splits.
        assert_eq!(train.classes(), ["0", "1", "2", "3"]);
        train.check_same_classes(&eval).unwrap();
        assert_eq!(
            train.truth(0).unwrap().labels,
            columns([0, 0, 1, 1, 2, 255])
        );
        assert_eq!(eval.truth(0).unwrap().size, [4, 6]);
        // What only one image to evaluate on has is said, and nothing else.
        for set in [train, eval] {
            let [notice] = set.notices() else {
                panic!("{:?}", set.notices())
            };
            let class = "1 class of the images to evaluate on is in no image to train on";
            assert!(notice.contains(class), "{notice}");
            let named = format!("3 (12 pixels, the first in {}", folder.path().display());
            assert!(notice.contains(&named), "{notice}");
        }
    }
}

#[test]
fn ade20k() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for split in ["training", "validation"] {
        image(&path(&format!("images/{split}/ADE_1.png")));
        labels(
            &path(&format!("annotations/{split}/ADE_1.png")),
            &columns([0, 1, 2, 3, 3, 0]),
        );
    }
    let table = "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.1\t9\t9\t1\twall, house\n2\t0.1\t9\t9\t1\tsky\n3\t0.1\t9\t9\t1\tbed\n";
    text(&path("objectInfo150.txt"), table);
    let mut spec = LabelMapSpec::of(folder.path().display().to_string());
    spec.ignore_zero = true;
    let set = open_label_maps(&spec, Split::Eval, &OpenOptions::default()).unwrap();
    assert_eq!(set.classes(), ["wall, house", "sky", "bed"]);
    assert_eq!(set.values(), [1, 2, 3]);
    assert_eq!(
        set.truth(0).unwrap().labels,
        columns([255, 0, 1, 2, 2, 255])
    );
    // A list of names alone begins at 1 then; without the table the values that occur are the classes.
    fs::remove_file(path("objectInfo150.txt")).unwrap();
    let by_value = open_label_maps(&spec, Split::Train, &OpenOptions::default()).unwrap();
    assert_eq!(by_value.classes(), ["1", "2", "3"]);
    text(&path("names.txt"), "wall\nsky\nbed\n");
    let named = open_label_maps(&spec, Split::Train, &OpenOptions::default()).unwrap();
    assert_eq!(named.classes(), ["wall", "sky", "bed"]);
    assert_eq!(named.truth(0).unwrap(), by_value.truth(0).unwrap());
    // The value 0 is no class when nothing says that it is to be ignored, and the table begins at 1.
    text(&path("names.txt"), "1 wall\n2 sky\n3 bed\n");
    let error = open(folder.path(), Split::Train).unwrap_err();
    let reason = "its value in column 0, row 0 is 0, which is no class: the values of the 3 classes are 1 to 3";
    assert!(error.to_string().contains(reason), "{error}");
}

#[test]
fn pascal_voc() {
    for base in ["", "VOCdevkit/VOC2012"] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(base).join(name);
        for name in ["2007_1", "2007_2", "2008_3", "unused"] {
            image(&path(&format!("JPEGImages/{name}.png")));
            // A palette whose colors are not its places.
            let colors = (0..=255).map(|place: u8| [place.wrapping_mul(91), 3, 200]);
            places(
                &path(&format!("SegmentationClass/{name}.png")),
                &columns([0, 15, 15, 20, 255, 0]),
                &colors.collect::<Vec<_>>(),
            );
        }
        text(
            &path("ImageSets/Segmentation/train.txt"),
            "2007_2\n2007_1\n",
        );
        text(&path("ImageSets/Segmentation/val.txt"), "2008_3\n2008_4\n");
        assert_eq!(
            names(folder.path(), Split::Train),
            ["2007_1.png", "2007_2.png"]
        );
        let eval = open(folder.path(), Split::Eval).unwrap();
        assert_eq!(eval.classes(), ["0", "15", "20"]);
        assert_eq!(eval.truth(0).unwrap().labels, columns([0, 1, 1, 2, 255, 0]));
        let [missing, gaps] = eval.notices() else {
            panic!("{:?}", eval.notices())
        };
        assert!(
            missing.contains("1 of 2 images missing and left out: 2008_4"),
            "{missing}"
        );
        assert!(
            gaps.contains("they have the values 0, 15, 20 and 255: are these 4 classes?"),
            "{gaps}"
        );
    }
}

#[cfg(unix)]
#[test]
fn folders_may_be_links() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    image(&path("disk/photos/a.png"));
    labels(&path("disk/drawn/a.png"), &columns([0, 1, 0, 1, 0, 1]));
    for (kind, place) in [("images", "disk/photos"), ("annotations", "disk/drawn")] {
        fs::create_dir_all(path("set").join(kind)).unwrap();
        for split in ["train", "val"] {
            std::os::unix::fs::symlink(path(place), path("set").join(kind).join(split)).unwrap();
        }
    }
    assert!(has_label_images(path("set").to_str().unwrap()).unwrap());
    assert_eq!(names(&path("set"), Split::Train), ["a.png"]);
}

#[test]
fn folders_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    image(&path("one/a.png"));
    labels(&path("two/a.png"), &columns([0, 1, 0, 1, 0, 1]));
    text(&path("three.json"), r#"["no", "yes"]"#);
    let spec = LabelMapSpec {
        images: Some(path("one")),
        labels: Some(path("two")),
        eval_images: Some(path("one")),
        eval_labels: Some(path("two")),
        classes: Some(path("three.json")),
        ..LabelMapSpec::default()
    };
    let set = open_label_maps(&spec, Split::Eval, &OpenOptions::default()).unwrap();
    assert_eq!(set.classes(), ["no", "yes"]);
    assert!(set.notices().is_empty());
}

#[test]
fn coco_files_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    image(&path("a.png"));
    let object = |id: u32, category: u32, crowd: u32, [x, y, right, bottom]: [u32; 4]| {
        format!(
            r#"{{"id": {id}, "image_id": 1, "category_id": {category}, "iscrowd": {crowd}, "area": 4, "bbox": [{x}, {y}, 2, 2],
            "segmentation": [[{x}, {y}, {right}, {y}, {right}, {bottom}, {x}, {bottom}]]}}"#
        )
    };
    let objects = [
        object(1, 9, 0, [0, 0, 4, 2]),
        object(2, 4, 0, [2, 0, 5, 3]),
        object(3, 4, 1, [5, 3, 6, 4]),
    ];
    let json = format!(
        r#"{{"images": [{{"id": 1, "file_name": "a.png", "width": 6, "height": 4}}],
        "categories": [{{"id": 9, "name": "dog"}}, {{"id": 4, "name": "cup"}}], "annotations": [{}]}}"#,
        objects.join(",")
    );
    text(&path("instances.json"), &json);
    let set = open(folder.path(), Split::Train).unwrap();
    assert_eq!(set.classes(), ["background", "cup", "dog"]);
    #[rustfmt::skip]
    let expected = [
        2, 2, 1, 1, 1, 0,
        2, 2, 1, 1, 1, 0,
        0, 0, 1, 1, 1, 0,
        0, 0, 0, 0, 0, 255,
    ];
    assert_eq!(set.truth(0).unwrap().labels, expected);
    let spec = LabelMapSpec {
        objects: Some(ObjectSpec {
            eval_annotations: Some(path("instances.json")),
            ..ObjectSpec::default()
        }),
        ..LabelMapSpec::default()
    };
    let set = open_label_maps(&spec, Split::Eval, &OpenOptions::default()).unwrap();
    assert_eq!(set.truth(0).unwrap().labels, expected);
    text(&path("instances.json"), &json.replace("dog", "background"));
    assert!(super::refusal(folder.path()).contains("a class of objects is called `background`"));
    let without = json.replace(r#""segmentation""#, r#""unknown""#);
    text(&path("instances.json"), &without);
    assert!(super::refusal(folder.path()).contains("known by their boxes alone"));
}

#[test]
fn shapes_have_a_background() {
    let mut options = OpenOptions::default();
    options.shapes.count = 3;
    options.shapes.image_size = [20, 24];
    let set = open_label_maps(&LabelMapSpec::of("shapes"), Split::Eval, &options).unwrap();
    assert_eq!(set.classes().len(), 11);
    assert_eq!(set.classes()[0], "background");
    let shapes = Shapes::new(ShapesOptions {
        split: Split::Eval,
        ..options.shapes
    });
    let sample = shapes.unwrap().sample(2);
    let map = set.truth(2).unwrap();
    assert_eq!(map.size, [20, 24]);
    for (label, inside) in map.labels.iter().zip(sample.mask) {
        assert_eq!(u32::from(*label), if inside { sample.label + 1 } else { 0 });
    }
}

#[test]
fn classes_that_are_known_stand_in_for_a_file_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    assert!(!has_label_images(&data).unwrap() && !has_label_images("shapes").unwrap());
    image(&folder.path().join("images/a.png"));
    labels(
        &folder.path().join("labels/a.png"),
        &columns([7, 7, 3, 3, 7, 255]),
    );
    assert!(has_label_images(&data).unwrap());
    let known = [(7, "cup"), (3, "tea"), (200, "pot")];
    let spec = LabelMapSpec {
        known: Some(known.map(|(value, name)| (value, name.to_string())).into()),
        ..LabelMapSpec::of(data)
    };
    let open = || open_label_maps(&spec, Split::Train, &OpenOptions::default()).unwrap();
    assert_eq!(open().classes(), ["tea", "cup", "pot"]);
    assert_eq!(
        open().truth(0).unwrap().labels,
        columns([1, 1, 0, 0, 1, 255])
    );
    let [width, height] = SIZE;
    assert!(open().truth_of_size(0, [width, height]).is_ok());
    assert!(open().truth_of_size(0, [height, width]).is_err());
    text(&folder.path().join("classes.txt"), "3 leaf\n7 cup\n");
    assert_eq!(open().classes(), ["leaf", "cup"]);
}

#[test]
fn a_set_that_is_used_whole_has_all_images_in_either_split() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..20 {
        image(&folder.path().join(format!("images/{number}.png")));
        labels(
            &folder.path().join(format!("labels/{number}.png")),
            &columns([0, 1, 0, 1, 0, 1]),
        );
    }
    let spec = LabelMapSpec {
        whole: true,
        ..LabelMapSpec::of(folder.path().display().to_string())
    };
    for split in [Split::Train, Split::Eval] {
        let set = open_label_maps(&spec, split, &OpenOptions::default()).unwrap();
        assert_eq!(set.len(), 20);
        assert!(set.has_label_images() && set.notices().is_empty());
    }
}

/// The names of the images of a split, for whoever looks at images alone.
fn images_alone(folder: &Path, split: Split) -> Vec<String> {
    let spec = LabelMapSpec::of(folder.display().to_string());
    let set = spec.open_images(split, &OpenOptions::default()).unwrap();
    let below = |index| {
        let name = PathBuf::from(set.name(index));
        name.strip_prefix(folder).unwrap().display().to_string()
    };
    (0..set.len()).map(below).collect()
}

#[test]
fn images_alone_are_all_of_those_of_a_split_with_label_images_or_without() {
    let map = columns([0, 1, 0, 1, 0, 1]);
    // Not divided: all, one with a label image.
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["a", "b", "c"] {
        image(&path(&format!("images/{name}.png")));
    }
    labels(&path("labels/b.png"), &map);
    for split in [Split::Train, Split::Eval] {
        let found = images_alone(folder.path(), split);
        assert_eq!(found, ["images/a.png", "images/b.png", "images/c.png"]);
    }
    // Divided, the part to test without label images.
    for (train, test, drawn) in [
        ("images/train", "images/test", "labels/train"),
        ("train/images", "test/images", "train/labels"),
        ("train2017", "test2017", "semantic/train2017"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = |place: &str, name: &str| folder.path().join(place).join(name);
        image(&path(train, "a.png"));
        image(&path(train, "b.png"));
        labels(&path(drawn, "a.png"), &map);
        image(&path(test, "t.png"));
        let of = |split| images_alone(folder.path(), split);
        assert_eq!(of(Split::Eval), [format!("{test}/t.png")]);
        assert_eq!(
            of(Split::Train),
            [format!("{train}/a.png"), format!("{train}/b.png")]
        );
    }
}

#[test]
fn names_lie_beside_folders_that_are_named_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    image(&path("pictures/a.png"));
    labels(&path("drawn/a.png"), &columns([0, 1, 0, 1, 0, 1]));
    text(&path("classes.txt"), "_background_\ncat\ndog\n");
    let spec = LabelMapSpec {
        images: Some(path("pictures")),
        labels: Some(path("drawn")),
        whole: true,
        ..LabelMapSpec::default()
    };
    let set = open_label_maps(&spec, Split::Train, &OpenOptions::default()).unwrap();
    assert_eq!(set.classes(), ["_background_", "cat", "dog"]);
    let said = set.notices().join("\n");
    assert!(said.contains("classes.txt, which lies beside"), "{said}");
    // The value 0 is the background, and says nothing.
    let ignoring = LabelMapSpec {
        ignore_zero: true,
        ..spec
    };
    let set = open_label_maps(&ignoring, Split::Train, &OpenOptions::default()).unwrap();
    assert_eq!(
        (set.classes(), set.values()),
        (&["cat", "dog"].map(str::to_owned)[..], &[1, 2][..])
    );
    let said = set.notices().join("\n");
    assert!(said.contains("_background_ is no class"), "{said}");
}
