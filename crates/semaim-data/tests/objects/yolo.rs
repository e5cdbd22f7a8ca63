//! YOLO's format.

use std::path::{Path, PathBuf};

use semaim_data::{Augment, Dataset, ObjectSpec, OpenOptions, Source, Split, open_objects};
use semaim_random::Key;

use super::{image, open, refusal, text};

const YAML: &str = "path: .\ntrain: images/train\nval: images/val\nnames: {0: dog, 1: cup}\n";

/// A folder of one image of 40 x 30 pixels to train on with the given labels, and one to evaluate on.
fn folder(yaml: &str, labels: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    image(&path("images/train/a.png"), [40, 30]);
    image(&path("images/val/b.png"), [40, 30]);
    text(&path("labels/train/a.txt"), labels);
    text(&path("labels/val/b.txt"), "");
    text(&path("data.yaml"), yaml);
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

#[test]
fn the_forms_of_data_yaml() {
    for yaml in [
        YAML,
        "train: images/train\nval: images/val\nnc: 2\nnames: ['dog', 'cup']\n",
        // Roboflow's paths, and a path of another machine.
        "train: ../images/train\nval: ../images/val\nnames:\n- dog\n- cup\n",
        "path: ../datasets/pets # elsewhere\ntrain: [images/train]\nval: [images/val]\ntest:\nnames:\n  0: dog\n  1: cup\n",
    ] {
        let folder = folder(yaml, "1 0.5 0.5 0.5 0.5\n");
        assert_eq!(names(folder.path(), Split::Train), ["a.png"], "{yaml}");
        assert_eq!(names(folder.path(), Split::Eval), ["b.png"], "{yaml}");
        assert_eq!(
            names(&folder.path().join("data.yaml"), Split::Eval),
            ["b.png"]
        );
        let set = open(folder.path(), Split::Train).unwrap();
        assert_eq!(set.classes(), ["dog", "cup"]);
        assert_eq!(set.category_ids(), [0, 1]);
        assert!(set.notices().is_empty(), "{:?}", set.notices());
    }
}

#[test]
fn an_empty_place_is_none() {
    for val in ["", "\"\"", "' '", "[]", "[\"\"]"] {
        let yaml = format!("train: images/train\nval: {val}\nnames: [dog, cup]\n");
        let folder = folder(&yaml, "");
        for number in 0..20 {
            let name = format!("images/train/{number}.png");
            image(&folder.path().join(name), [8, 8]);
        }
        // One in five of what is trained on, and nothing else of the folder.
        let [mut all, eval] = [Split::Train, Split::Eval].map(|split| names(folder.path(), split));
        assert!(
            !eval.is_empty() && eval.len() < all.len(),
            "{val}: {eval:?}"
        );
        all.extend(eval);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 21, "{val}");
        assert!(!all.contains(&"b.png".to_owned()), "{val}");
    }
    let empty = folder("train: \"\"\nnames: [dog]\n", "");
    assert!(refusal(empty.path()).contains("there is no `train`"));
}

#[test]
fn images_may_be_listed_and_lie_beside_their_labels() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["12", "7"] {
        image(&path(&format!("all/{name}.png")), [40, 30]);
        text(&path(&format!("all/{name}.txt")), "0 0.5 0.5 0.5 0.5");
    }
    text(&path("train.txt"), "./all/7.png\nall/12.png\n");
    text(
        &path("data.yaml"),
        "train: train.txt\nval: train.txt\nnames: [dog]\n",
    );
    let set = open(folder.path(), Split::Train).unwrap();
    // Names that are numbers are the images' numbers.
    assert_eq!([set.image_id(0), set.image_id(1)], [12, 7]);
    assert!(set.notices()[0].contains("to train on and to evaluate on are the same"));
}

#[test]
fn whoever_looks_at_images_gets_all_of_them_without_labels_too() {
    let folder = folder("train: images/train\nnames: [dog]\n", "");
    for name in ["c", "d", "e", "f"] {
        image(
            &folder.path().join(format!("images/train/{name}.png")),
            [8, 8],
        );
    }
    let spec = ObjectSpec {
        every_image: true,
        ..ObjectSpec::of(folder.path().display().to_string())
    };
    let open = || open_objects(&spec, Split::Eval, &OpenOptions::default()).unwrap();
    assert_eq!(open().len(), 5);
    std::fs::remove_dir_all(folder.path().join("labels")).unwrap();
    assert_eq!(open().len(), 5);
}

#[test]
fn it_is_the_same_as_in_cocos_form() {
    let yolo = folder(
        YAML,
        "1 0.5 0.5 0.25 0.4\n0 0.1 0.2 0.7 0.2 0.7 0.6 0.4 0.9\n",
    );
    let coco = tempfile::tempdir().unwrap();
    image(&coco.path().join("a.png"), [40, 30]);
    text(
        &coco.path().join("instances.json"),
        r#"{"images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "categories": [{"id": 0, "name": "dog"}, {"id": 1, "name": "cup"}], "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [15, 9, 10, 12]},
        {"id": 2, "image_id": 1, "category_id": 0, "bbox": [4, 6, 24, 21],
         "segmentation": [[4, 6, 28, 6, 28, 18, 16, 27]]}]}"#,
    );
    let [yolo, coco] = [&yolo, &coco].map(|folder| open(folder.path(), Split::Train).unwrap());
    let [a, b] = [&yolo, &coco].map(|set| set.truth(0).unwrap());
    assert_eq!(
        (a.size, &a.classes, &a.masks),
        (b.size, &b.classes, &b.masks)
    );
    assert_eq!(
        (&a.areas[1], &a.annotation_ids),
        (&b.areas[1], &b.annotation_ids)
    );
    for (a, b) in a.boxes.iter().flatten().zip(b.boxes.iter().flatten()) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }
    let augment = Augment::on_canvas([48, 64], 3);
    for item in 0..30 {
        let view = augment
            .training_view([40, 30], Key::new(0, 0, item))
            .geometry();
        let [a, b] = [&yolo, &coco].map(|set| set.target(0, &view).unwrap());
        assert_eq!((&a.classes, &a.masks), (&b.classes, &b.masks), "{view:?}");
        for (a, b) in a.boxes.iter().flatten().zip(b.boxes.iter().flatten()) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}

#[test]
fn what_is_put_right_is_said() {
    for (labels, notice, objects) in [
        (
            "0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.5 0.5\n",
            "1 line repeated in the same file: left out",
            1,
        ),
        (
            "0 1.005 0.5 0.5 0.5\n",
            "1 line with a coordinate that is a little out of 0 to 1",
            1,
        ),
        (
            "0 0.9 0.5 0.5 0.5\n",
            "1 line with a box that reaches out of its image",
            1,
        ),
        (
            "\u{feff}0 0.5 0.5 0 0.5\r\n",
            "1 line with a box without area",
            1,
        ),
    ] {
        let folder = folder(YAML, labels);
        let set = open(folder.path(), Split::Train).unwrap();
        assert!(set.notices()[0].contains(notice), "{:?}", set.notices());
        assert!(
            set.notices()[0].contains("a.txt, line "),
            "{:?}",
            set.notices()
        );
        assert_eq!(set.truth(0).unwrap().boxes.len(), objects);
    }
    let folder = folder(YAML, "0.0 0.5 0.5 0.5 0.5\n\n");
    image(&folder.path().join("images/train/c.png"), [8, 8]);
    let set = open(folder.path(), Split::Train).unwrap();
    assert!(set.notices()[0].contains("1 image without a label file, so without objects"));
    assert!(set.truth(1).unwrap().boxes.is_empty());
}

#[test]
fn what_cannot_be_used_is_refused_with_file_line_and_reason() {
    for (labels, reason) in [
        (
            "0 0.5 0.5 0.5 0.5\n2 0.5 0.5 0.5 0.5",
            "a.txt, line 2: there is no class 2; data.yaml names 0 to 1",
        ),
        ("-1 0.5 0.5 0.5 0.5", "line 1: there is no class -1"),
        ("0.5 0.5 0.5 0.5 0.5", "line 1: there is no class 0.5"),
        ("0 20 15 10 10", "line 1: 20 is not within 0 to 1"),
        ("0 0.5 0.5 0.5", "line 1: 4 numbers; a box has 5"),
        (
            "0 0.5 0.5 0.5 0.5 0.9",
            "with a sixth, a score, they are detections, not labels",
        ),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "line 1: 8 numbers"),
        ("dog 0.5 0.5 0.5 0.5", "line 1: \"dog\" is no number"),
        ("0 nan 0.5 0.5 0.5", "line 1: \"nan\" is no number"),
    ] {
        let refused = refusal(folder(YAML, labels).path());
        assert!(refused.contains(reason), "{refused}");
    }
    for (yaml, reason) in [
        ("names: [a", "not YAML"),
        ("just a text", "it has no fields"),
        ("train: images/train\n", "`names` must be a list"),
        (
            "train: images/train\nnames: {0: a, 2: b}\n",
            "class 1 has no name; the numbers must be 0 to 1",
        ),
        (
            "train: images/train\nnc: 3\nnames: [a, b]\n",
            "`nc` is 3, but `names` has 2 names",
        ),
        (
            "train: images/nowhere\nnames: [a, b]\n",
            "`train` is images/nowhere, but there is no",
        ),
        ("val: images/val\nnames: [a, b]\n", "there is no `train`"),
        (
            "train: images/train\nnames: [a, b]\nkpt_shape: [17, 3]\n",
            "labels of keypoints are not read",
        ),
        (
            "a: &a [x]\ntrain: images/train\nnames: *a\n",
            "aliases (`*name`) are not read",
        ),
        ("train: images/train\nnames: []\n", "there are no classes"),
    ] {
        let folder = folder(yaml, "");
        let refused = refusal(folder.path());
        assert!(refused.contains(reason), "{refused}");
        assert!(refused.contains("data.yaml"), "{refused}");
    }
    let folder = folder(YAML, "");
    std::fs::remove_dir_all(folder.path().join("labels")).unwrap();
    assert!(refusal(folder.path()).contains("none of the 1 image of `train` has a label file"));
}
