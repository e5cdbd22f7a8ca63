use std::fs;

use serde_json::{Value, json};

use super::*;

/// One image with an object of 40 x 40 pixels; `change` may spoil it.
fn truth(change: impl Fn(&mut Value)) -> Value {
    let mut truth = json!({
        "images": [{"id": 7, "width": 100, "height": 80}],
        "categories": [{"id": 3}],
        "annotations": [{
            "id": 1, "image_id": 7, "category_id": 3, "iscrowd": 0, "area": 1600, "bbox": [10, 10, 40, 40],
            "segmentation": [[10, 10, 50, 10, 50, 50, 10, 50]],
        }],
    });
    change(&mut truth);
    truth
}

/// A detection of the object; `change` may spoil it.
fn found(change: impl Fn(&mut Value)) -> Value {
    let mut found = json!([{
        "image_id": 7, "category_id": 3, "score": 0.5, "bbox": [10, 10, 40, 40],
        "segmentation": [[10, 10, 50, 10, 50, 50, 10, 50]],
    }]);
    change(&mut found);
    found
}

fn remove(value: &mut Value, field: &str) {
    value.as_object_mut().unwrap().remove(field);
}

fn score(truth: &Value, found: &Value, only: Option<IouType>) -> Result<Scores, CocoError> {
    let options = EvaluateOptions {
        only,
        ..EvaluateOptions::default()
    };
    score_with(truth, found, options)
}

fn score_with(truth: &Value, found: &Value, options: EvaluateOptions) -> Result<Scores, CocoError> {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, value: &Value| {
        let path = folder.path().join(name);
        fs::write(&path, value.to_string()).unwrap();
        path
    };
    let truth = Annotations::read(&written("truth.json", truth)).unwrap();
    evaluate(
        &truth,
        Results::read(&written("found.json", found)).unwrap(),
        options,
    )
}

fn repairs(repairs: &[Repair]) -> Vec<(Repaired, usize)> {
    repairs
        .iter()
        .map(|repair| (repair.what, repair.count))
        .collect()
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-9
}

#[test]
fn an_object_of_another_category_is_found_where_all_are_one() {
    let truth = truth(|truth| {
        truth["categories"] = json!([{"id": 3}, {"id": 5}]);
        let mut other = truth["annotations"][0].clone();
        other["id"] = json!(2);
        other["bbox"] = json!([60, 10, 30, 30]);
        other["segmentation"] = json!([[60, 10, 90, 10, 90, 40, 60, 40]]);
        truth["annotations"].as_array_mut().unwrap().push(other);
    });
    let found = found(|found| found[0]["category_id"] = json!(5));
    for (class_agnostic, names, ap) in [
        (false, vec![(3, "3"), (5, "5")], 0.0),
        // One of two, up to a recall of a half.
        (true, vec![(-1, "all as one")], 51.0 / 101.0),
    ] {
        let options = EvaluateOptions {
            class_agnostic,
            ..EvaluateOptions::default()
        };
        let scores = score_with(&truth, &found, options).unwrap();
        let names: Vec<(i64, String)> = names.into_iter().map(|(id, n)| (id, n.into())).collect();
        assert_eq!(scores.categories, names);
        for evaluation in [scores.bbox.unwrap(), scores.segm.unwrap()] {
            assert!(near(evaluation.stats()[0], ap), "{:?}", evaluation.stats());
        }
    }
}

#[test]
fn what_is_found_is_found() {
    let scores = score(&truth(|_| {}), &found(|_| {}), None).unwrap();
    for evaluation in [scores.bbox.unwrap(), scores.segm.unwrap()] {
        let stats = evaluation.stats();
        // Medium.
        assert!(
            [0, 1, 2, 4, 6, 8, 10]
                .into_iter()
                .all(|n| near(stats[n], 1.0)),
            "{stats:?}"
        );
        assert!(
            [3, 5, 9, 11].into_iter().all(|n| stats[n] == -1.0),
            "{stats:?}"
        );
        let precision = evaluation.precision(0, 9).unwrap();
        assert!(precision.len() == 101 && precision.iter().all(|p| near(*p, 1.0)));
        assert!(evaluation.precision(0, 10).is_none() && evaluation.precision(1, 0).is_none());
    }
    assert_eq!(scores.categories, [(3, "3".to_owned())]);
    assert!(scores.annotation_repairs.is_empty() && scores.result_repairs.is_empty());
}

#[test]
fn missing_boxes_and_areas_are_those_of_the_mask() {
    let truth = truth(|truth| {
        remove(&mut truth["annotations"][0], "bbox");
        remove(&mut truth["annotations"][0], "area");
    });
    let found = found(|found| remove(&mut found[0], "bbox"));
    let expected = [(Repaired::BoxOfMask, 1), (Repaired::AreaOfMask, 1)];
    // The same whether masks are scored or not.
    for only in [None, Some(IouType::Bbox)] {
        let scores = score(&truth, &found, only).unwrap();
        let stats = scores.bbox.unwrap().stats();
        assert!(near(stats[4], 1.0), "{stats:?}");
        assert_eq!(repairs(&scores.annotation_repairs), expected);
    }
    let without_mask = super::tests::truth(|truth| {
        remove(&mut truth["annotations"][0], "segmentation");
        remove(&mut truth["annotations"][0], "area");
    });
    let scores = score(&without_mask, &found, None).unwrap();
    assert_eq!(
        repairs(&scores.annotation_repairs),
        [(Repaired::AreaOfBox, 1)]
    );
    assert!(scores.segm.is_none() && scores.without_masks.unwrap().ends_with("truth.json"));
}

#[test]
fn areas_of_results_are_those_of_boxes_where_the_first_has_one() {
    // A detection elsewhere, with a small mask in a medium box: does it count among the medium ones?
    let found = |with_box: bool| {
        found(|found| {
            let mask = json!([[60, 10, 70, 10, 70, 20, 60, 20]]);
            found[0] = json!({"image_id": 7, "category_id": 3, "score": 0.9, "segmentation": mask});
            if with_box {
                found[0]["bbox"] = json!([55, 5, 40, 40]);
            }
            let mut right = super::tests::found(|_| {})[0].clone();
            if !with_box {
                remove(&mut right, "bbox");
            }
            found.as_array_mut().unwrap().push(right);
        })
    };
    let medium = |with_box| {
        let scores = score(&truth(|_| {}), &found(with_box), None).unwrap();
        scores.segm.unwrap().stats()[4]
    };
    assert!(near(medium(true), 0.5), "{}", medium(true));
    assert!(near(medium(false), 1.0), "{}", medium(false));
}

#[test]
fn a_result_without_a_mask_among_others_is_scored_by_its_box() {
    let found = found(|found| {
        let mut second = found[0].clone();
        remove(&mut second, "segmentation");
        second["bbox"] = json!([60, 10, 20, 20]);
        found.as_array_mut().unwrap().push(second);
    });
    let scores = score(&truth(|_| {}), &found, None).unwrap();
    assert_eq!(repairs(&scores.result_repairs), [(Repaired::MaskOfBox, 1)]);
    assert!(near(scores.segm.unwrap().stats()[0], 1.0));
    assert_eq!(scores.result_repairs[0].first, Entry::Result(1));
}

#[test]
fn boxes_need_no_size_of_the_image_and_masks_do() {
    let truth = truth(|truth| remove(&mut truth["images"][0], "width"));
    let scores = score(&truth, &found(|_| {}), Some(IouType::Bbox)).unwrap();
    assert!(near(scores.bbox.unwrap().stats()[0], 1.0));
    let error = score(&truth, &found(|_| {}), None).unwrap_err();
    assert!(
        matches!(
            &error,
            CocoError::Segmentation {
                entry: Entry::Annotation(1),
                problem: crate::SegmentationProblem::NoImageSize,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_broken_mask_does_not_matter_where_boxes_alone_are_scored() {
    let truth = truth(|truth| truth["annotations"][0]["segmentation"] = json!([[1, 2]]));
    assert!(score(&truth, &found(|_| {}), None).is_err());
    let scores = score(&truth, &found(|_| {}), Some(IouType::Bbox)).unwrap();
    assert!(near(scores.bbox.unwrap().stats()[0], 1.0) && scores.without_masks.is_none());
}

#[test]
fn sets_without_anything_have_no_numbers() {
    let empty = truth(|truth| truth["annotations"] = json!([]));
    let scores = score(&empty, &found(|_| {}), None).unwrap();
    assert_eq!(scores.bbox.unwrap().stats(), [-1.0; 12]);
    assert_eq!(scores.segm.unwrap().stats(), [-1.0; 12]);
    let scores = score(&truth(|_| {}), &json!([]), None).unwrap();
    let stats = scores.bbox.unwrap().stats();
    assert_eq!(
        [stats[0], stats[4], stats[8], stats[3]],
        [0.0, 0.0, 0.0, -1.0]
    );
}

#[test]
fn ids_are_numbers_however_written_and_results_need_known_ones() {
    let floats = found(|found| found[0]["image_id"] = json!(7.0));
    assert!(score(&truth(|_| {}), &floats, None).is_ok());
    for (field, what) in [("image_id", "image"), ("category_id", "category")] {
        let unknown = found(|found| found[0][field] = json!(8));
        let error = score(&truth(|_| {}), &unknown, None).unwrap_err();
        assert!(
            matches!(&error, CocoError::Unknown { entry: Entry::Result(0), what: w, id: 8, .. } if *w == what),
            "{error}"
        );
    }
}

#[test]
fn results_that_name_another_image_are_refused() {
    let listed = truth(|truth| {
        truth["images"] = json!([
            {"id": 7, "file_name": "val/b.png", "width": 100, "height": 80},
            {"id": 9, "file_name": "val/a.png", "width": 100, "height": 80},
        ]);
    });
    let named = |truth: &Value, name: Value| {
        score(
            truth,
            &found(|found| found[0]["file_name"] = name.clone()),
            None,
        )
    };
    for name in [
        "b.png",
        "val/b.png",
        "/data/val/b.png",
        "./b.png",
        r"data\val\b.png",
        "set.tar:val/b.png",
    ] {
        let scores = named(&listed, json!(name)).unwrap();
        assert!(near(scores.bbox.unwrap().stats()[0], 1.0), "{name}");
    }
    assert!(named(&listed, Value::Null).is_ok());
    // Annotations without names contradict none.
    assert!(named(&truth(|_| {}), json!("a.png")).is_ok());
    // What is no name, other folders or another extension alone, and names of no image say nothing.
    for name in [
        json!(9),
        json!(["a.png"]),
        json!("train/b.png"),
        json!("b.jpg"),
        json!("b"),
        json!("bb.png"),
    ] {
        let scores = named(&listed, name.clone()).unwrap();
        assert!(near(scores.bbox.unwrap().stats()[0], 1.0), "{name}");
    }
    // Of two images that differ by their folders or extensions alone the nearer one is meant.
    let near_ones = truth(|truth| {
        truth["images"] = json!([
            {"id": 7, "file_name": "cats/a.png", "width": 100, "height": 80},
            {"id": 8, "file_name": "dogs/a.png", "width": 100, "height": 80},
            {"id": 9, "file_name": "cats/a.jpg", "width": 100, "height": 80},
        ]);
    });
    for (name, expected) in [
        ("cats/a.png", None),
        ("birds/a.png", None),
        ("cats/a.bmp", None),
        ("dogs/a.png", Some(8)),
        ("dogs/a.bmp", Some(8)),
        ("cats/a.jpg", Some(9)),
    ] {
        let other = match named(&near_ones, json!(name)) {
            Err(CocoError::OtherImage(other)) => Some(other.named),
            other => other.map(|_| None).unwrap(),
        };
        assert_eq!(other, expected, "{name}");
    }
    for name in ["a.png", "/data/val/a.png", "train/a.png", "a.jpg", "a"] {
        let error = named(&listed, json!(name)).unwrap_err();
        let CocoError::OtherImage(other) = &error else {
            panic!("{error}")
        };
        let OtherImage {
            entry,
            image,
            stated,
            named,
            ..
        } = &**other;
        assert_eq!((*entry, *image, *named), (Entry::Result(0), 7, 9));
        assert_eq!(stated, "val/b.png");
        let text = error.to_string();
        for part in [
            name,
            "val/b.png",
            "image 7",
            "is image 9 there",
            "predict --annotations",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn fractions_of_images_are_refused_in_either_file() {
    let refused = |truth: &Value, found: &Value, only| match score(truth, found, only) {
        Ok(_) => None,
        Err(CocoError::Fractions {
            path, what, first, ..
        }) => Some((path.ends_with("found.json"), what, first)),
        Err(other) => panic!("{other}"),
    };
    let two = truth(|truth| {
        let mut other = truth["images"][0].clone();
        other["id"] = json!(8);
        truth["images"].as_array_mut().unwrap().push(other);
    });
    // Results in both images, that differ.
    let several = |count: usize, change: &dyn Fn(&mut Value, f64)| {
        let each = (0..count).map(|at| {
            let mut one = found(|_| {})[0].clone();
            one["image_id"] = json!(7 + at % 2);
            change(&mut one, 0.1 + 0.01 * at as f64);
            one
        });
        Value::Array(each.collect())
    };
    let boxed = |one: &mut Value, left: f64| {
        one["bbox"] = json!([left, 0.125, 0.4, 0.5]);
        remove(one, "segmentation");
    };
    let drawn = |one: &mut Value, left: f64| {
        one["segmentation"] = json!([[left, 0.1, 0.5, 0.1, 0.5, 0.6]]);
    };
    let first = Entry::Result(0);
    for only in [None, Some(IouType::Bbox)] {
        let is = refused(&two, &several(10, &boxed), only);
        assert_eq!(is, Some((true, "boxes", first)));
        // A few, all alike, or all in one image may be those of a poor model.
        assert_eq!(refused(&two, &several(9, &boxed), only), None);
        let alike = several(10, &|one: &mut Value, _: f64| boxed(one, 0.1));
        assert_eq!(refused(&two, &alike, only), None);
        let in_one = several(10, &|one: &mut Value, left: f64| {
            boxed(one, left);
            one["image_id"] = json!(7);
        });
        assert_eq!(refused(&two, &in_one, only), None);
    }
    let polygons = several(10, &drawn);
    assert_eq!(
        refused(&two, &polygons, None),
        Some((true, "polygons", first))
    );
    // Masks that are not scored do not matter, and one box in pixels speaks for all.
    assert_eq!(refused(&two, &polygons, Some(IouType::Bbox)), None);
    let mut mixed = several(10, &boxed);
    mixed[9]["bbox"] = json!([10, 10, 40, 40]);
    assert_eq!(refused(&two, &mixed, None), None);
    let truth = truth(|truth| truth["annotations"][0]["bbox"] = json!([0.1, 0.125, 0.4, 0.5]));
    assert_eq!(
        refused(&truth, &found(|_| {}), Some(IouType::Bbox)),
        Some((false, "boxes", Entry::Annotation(1)))
    );
}

#[test]
fn truths_whose_masks_are_elsewhere_are_said_where_masks_are_scored() {
    let halved = truth(|truth| {
        truth["annotations"][0]["segmentation"] = json!([[5, 5, 25, 5, 25, 25, 5, 25]]);
    });
    for (only, expected) in [
        (None, vec![(Repaired::Apart, 1)]),
        (Some(IouType::Bbox), vec![]),
    ] {
        let scores = score(&halved, &found(|_| {}), only).unwrap();
        assert_eq!(repairs(&scores.annotation_repairs), expected);
    }
}

#[test]
fn nothing_matches_an_empty_box_and_it_is_said() {
    let truth = truth(|truth| truth["annotations"][0]["bbox"] = json!([10, 10, 0, 40]));
    let scores = score(&truth, &found(|_| {}), Some(IouType::Bbox)).unwrap();
    assert_eq!(
        repairs(&scores.annotation_repairs),
        [(Repaired::EmptyBox, 1)]
    );
    assert_eq!(scores.bbox.unwrap().stats()[0], 0.0);
}

#[test]
fn boxes_that_cannot_be_are_refused() {
    let problem = |bbox: Value| {
        let found = found(|found| found[0]["bbox"] = bbox.clone());
        match score(&truth(|_| {}), &found, Some(IouType::Bbox)) {
            Err(CocoError::Box {
                entry: Entry::Result(0),
                problem,
                ..
            }) => problem,
            other => panic!("{other:?}"),
        }
    };
    let negative = problem(json!([5, 5, 3, -1]));
    assert!(matches!(
        negative,
        BoxProblem::Negative { height: -1.0, .. }
    ));
    let far = problem(json!([5, 1e300, 3, 1]));
    assert!(matches!(far, BoxProblem::Coordinate { value: 1e300, .. }));
    // The first result says that the file has boxes.
    let second = found(|found| {
        let mut second = found[0].clone();
        remove(&mut second, "bbox");
        found.as_array_mut().unwrap().push(second);
    });
    let error = score(&truth(|_| {}), &second, None).unwrap_err();
    assert!(
        matches!(
            error,
            CocoError::Box {
                entry: Entry::Result(1),
                problem: BoxProblem::Absent,
                ..
            }
        ),
        "{error}"
    );
}
