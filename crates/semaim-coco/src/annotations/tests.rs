//! Tests of whole files.

use std::fs;

use std::path::Path;

use crate::Annotations;
use crate::error::{CocoError, Entry, SegmentationProblem};
use crate::repairs::{Repair, Repaired};

/// Writes `json` to a file and reads that.
fn read(json: &str) -> Result<Annotations, CocoError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instances.json");
    fs::write(&path, json).unwrap();
    Annotations::read(&path)
}

/// A file of two images of 4 x 3 pixels with the given annotations.
fn file(annotations: &str) -> String {
    format!(
        r#"{{"info": {{"year": 2024}}, "licenses": [{{}}],
        "images": [{{"id": 7, "file_name": "a.png", "width": 4, "height": 3, "license": 1}},
                   {{"id": 3, "file_name": "b.png", "width": 4, "height": 3}}],
        "categories": [{{"id": 90, "name": "brush", "supercategory": "indoor"}}, {{"id": 1, "name": "cup"}}],
        "annotations": [{annotations}]}}"#
    )
}

/// An annotation with the given segmentation.
fn annotation(id: i64, image: i64, segmentation: &str) -> String {
    format!(
        r#"{{"id": {id}, "image_id": {image}, "category_id": 1, "segmentation": {segmentation}}}"#
    )
}

/// What is wrong with a segmentation.
fn problem(segmentation: &str) -> SegmentationProblem {
    let set = read(&file(&annotation(5, 7, segmentation))).unwrap();
    let image = &set.images()[0];
    match set.mask(image, &image.annotations[0]) {
        Err(CocoError::Segmentation {
            entry: Entry::Annotation(5),
            problem,
            ..
        }) => problem,
        other => panic!("{other:?}"),
    }
}

/// A square of 2 x 2 pixels in the upper left corner.
const SQUARE: &str = "[[0, 0, 2, 0, 2, 2, 0, 2]]";
/// The last column.
const COLUMN: &str = r#"{"size": [3, 4], "counts": [9, 3]}"#;
/// Everything but the last column.
const REST: &str = r#"{"size": [3, 4], "counts": "093"}"#;

#[test]
fn all_forms_are_read() {
    let crowd = r#"{"id": 2, "image_id": 3, "category_id": 90, "iscrowd": 1, "bbox": [0, 0, 3, 3.5],
        "area": 9.25, "segmentation": {"counts": "093", "size": [3, 4]}}"#;
    let all = [
        annotation(1, 3, SQUARE),
        crowd.into(),
        annotation(9, 7, COLUMN),
    ]
    .join(",");
    let set = read(&file(&all)).unwrap();
    assert_eq!(set.categories()[1].name, "cup");
    let [a, b] = set.images() else {
        panic!("{set:?}")
    };
    assert_eq!(
        (a.id, a.file_name.as_deref(), a.size),
        (7, Some("a.png"), Some([4, 3]))
    );
    assert_eq!(a.annotations.len(), 1);
    assert_eq!(
        b.annotations.iter().map(|o| o.id).collect::<Vec<_>>(),
        [1, 2]
    );
    let crowd = &b.annotations[1];
    assert!(crowd.is_crowd && !b.annotations[0].is_crowd);
    assert_eq!((crowd.category, b.annotations[0].category), (0, 1));
    assert_eq!(
        (crowd.bbox, crowd.area),
        (Some([0.0, 0.0, 3.0, 3.5]), Some(9.25))
    );
    let column = set.mask(a, &a.annotations[0]).unwrap();
    let rest = set.mask(b, crowd).unwrap();
    assert_eq!(column.counts(), [9, 3]);
    assert_eq!(rest.counts(), [0, 9, 3]);
    let square = set.mask(b, &b.annotations[0]).unwrap();
    assert!(square.counts() == [0, 2, 1, 2, 7]);
}

#[test]
fn a_broken_segmentation_is_named() {
    use SegmentationProblem as Problem;
    assert_eq!(problem("null"), Problem::Absent);
    assert_eq!(problem("[]"), Problem::Absent);
    assert!(matches!(
        problem("[[]]"),
        Problem::PolygonLength { numbers: 0, .. }
    ));
    assert!(matches!(
        problem("[[0, 0, 1e9, 0, 1, 1]]"),
        Problem::Coordinate { .. }
    ));
    let size = problem(r#"{"size": [4, 3], "counts": [12]}"#);
    assert!(matches!(
        size,
        Problem::Size {
            found_height: 4,
            found_width: 3,
            height: 3,
            width: 4
        }
    ));
    // Nothing of the stated size is allocated.
    let size = problem(r#"{"size": [18446744073709551615, 4], "counts": "0"}"#);
    assert!(matches!(size, Problem::Size { .. }));
    let runs = |counts: &str| problem(&format!(r#"{{"size": [3, 4], "counts": {counts}}}"#));
    assert!(matches!(
        runs("[5, -2, 9]"),
        Problem::NegativeRun {
            index: 1,
            length: -2
        }
    ));
    assert!(matches!(
        runs("[5, 8]"),
        Problem::Total {
            found: 13,
            expected: 12,
            ..
        }
    ));
    assert!(matches!(runs("\"09P\""), Problem::Truncated { length: 3 }));
    let set = read(&file(&annotation(5, 7, "[]"))).unwrap();
    let image = &set.images()[0];
    let error = set
        .mask(image, &image.annotations[0])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("instances.json: annotation 5: there is no"),
        "{error}"
    );
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let unknown = read(&file(&annotation(1, 8, SQUARE))).unwrap_err();
    assert!(matches!(
        unknown,
        CocoError::Unknown {
            what: "image",
            id: 8,
            ..
        }
    ));
    let category = annotation(1, 7, SQUARE).replace("\"category_id\": 1", "\"category_id\": 2");
    let unknown = read(&file(&category)).unwrap_err();
    assert!(matches!(
        unknown,
        CocoError::Unknown {
            what: "category",
            id: 2,
            ..
        }
    ));
    let twice = read(&file("").replace("\"id\": 3", "\"id\": 7")).unwrap_err();
    assert!(matches!(
        twice,
        CocoError::Repeated {
            what: "images",
            id: 7,
            ..
        }
    ));
    let twice = read(&file("").replace("\"id\": 90", "\"id\": 1")).unwrap_err();
    assert!(matches!(
        twice,
        CocoError::Repeated {
            what: "categories",
            id: 1,
            ..
        }
    ));
    for width in ["0", "-4", "65536", "4294967297"] {
        let width = format!("\"width\": {width}");
        let error = read(&file("").replacen("\"width\": 4", &width, 1)).unwrap_err();
        assert!(
            matches!(error, CocoError::ImageSize { image: 7, .. }),
            "{width}"
        );
    }
}

#[test]
fn files_of_other_forms_are_errors_with_a_place() {
    let missing = Annotations::read(Path::new("no/such.json")).unwrap_err();
    assert!(matches!(missing, CocoError::Read { .. }));
    let deep = "[".repeat(100_000);
    for json in [
        "",
        "[]",
        "{}",
        "\u{0}",
        &deep,
        &file(&annotation(1, 7, "\"text\"")),
        &file(&annotation(1, 7, "[0, 0, 1, 1]")),
        &file(&annotation(1, 7, "[[0, 0, 1e999, 1]]")),
        &file(&annotation(1, 7, &deep)),
        &file(&annotation(1, 7, r#"{"size": [3], "counts": [12]}"#)),
        &file(&annotation(1, 7, r#"{"size": [3, 4], "counts": [1.5]}"#)),
        &file(&annotation(1, 7, r#"{"size": [-3, 4], "counts": [12]}"#)),
        &file("").replace("\"width\": 4", "\"width\": 4.5"),
        &file("").replace("\"width\": 4", "\"width\": 18446744073709551615"),
    ] {
        let error = read(json).unwrap_err();
        assert!(matches!(error, CocoError::Json { .. }), "{error}");
    }
    let error = read(&file(&annotation(1, 7, "\"text\"")))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("line 5") && error.contains("polygons"),
        "{error}"
    );
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let whole = file(&[annotation(1, 3, SQUARE), annotation(2, 7, REST)].join(","));
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_err(), "{end}");
    }
    assert!(read(&whole).is_ok());
}

#[test]
fn a_check_finds_what_using_an_annotation_would() {
    let object = |fields: &str| {
        format!(r#"{{"id": 5, "image_id": 7, "category_id": 1, "iscrowd": 0, {fields}}}"#)
    };
    let check = |fields: &str| read(&file(&object(fields))).unwrap().check();
    let area = r#""bbox": [0, 0, 2, 2], "area": 4"#;
    assert_eq!(
        check(&format!(r#"{area}, "segmentation": {SQUARE}"#)).unwrap(),
        []
    );
    for broken in [
        r#""segmentation": []"#,
        r#""bbox": [0, 0, 2, -2]"#,
        r#""bbox": [0, 0, 2, 1e7]"#,
        r#""bbox": [0, 0, 2, 2], "area": -1"#,
        r#""bbox": [0, 0, 2, 2], "segmentation": [[0, 0, 1, 1]]"#,
        r#""bbox": [0, 0, 2, 2], "segmentation": {"size": [3, 4], "counts": [9, 2]}"#,
        r#""bbox": [0, 0, 2, 2], "segmentation": {"size": [4, 3], "counts": "093"}"#,
    ] {
        let error = check(broken).unwrap_err();
        assert!(error.to_string().contains("annotation 5"), "{error}");
    }
    let repaired = check(&format!(r#""segmentation": {COLUMN}"#)).unwrap();
    let said: Vec<Repaired> = repaired.iter().map(|repair| repair.what).collect();
    assert_eq!(said, [Repaired::BoxOfMask, Repaired::AreaOfMask]);
}

#[test]
fn boxes_and_masks_that_do_not_belong_together_are_counted() {
    let object = |id: i64, crowd: u8, bbox: &str, segmentation: &str| {
        format!(
            r#"{{"id": {id}, "image_id": 7, "category_id": 1, "iscrowd": {crowd}, "area": 9, "bbox": {bbox},
            "segmentation": {segmentation}}}"#
        )
    };
    let bbox = "[10, 10, 20, 10]";
    // The first ten columns.
    let elsewhere = r#"{"size": [30, 40], "counts": [0, 300, 900]}"#;
    let objects = [
        object(1, 0, bbox, "[[10, 10, 30, 10, 30, 20, 10, 20]]"),
        // At half its coordinates.
        object(2, 0, bbox, "[[5, 5, 15, 5, 15, 10, 5, 10]]"),
        object(3, 0, bbox, elsewhere),
        object(4, 1, bbox, elsewhere),
        object(5, 0, "[30, 20, 3, 3]", "[[15, 10, 16, 10, 16, 11, 15, 11]]"),
        object(6, 0, "[30, 5, 10, 10]", "[[30, 5, 90, 5, 90, 15, 30, 15]]"),
    ];
    let small = r#""width": 4, "height": 3"#;
    let large = r#""width": 40, "height": 30"#;
    let set = read(&file(&objects.join(",")).replacen(small, large, 1)).unwrap();
    let apart = Repair {
        what: Repaired::Apart,
        count: 2,
        first: Entry::Annotation(2),
    };
    assert_eq!(set.check().unwrap(), [apart]);
}

#[test]
fn lines_beside_polygons_are_left_out() {
    let two = annotation(5, 7, "[[3, 3], [0, 0, 2, 0, 2, 2, 0, 2], [1, 1, 2, 2]]");
    let set = read(&file(&two)).unwrap();
    assert!(
        set.repairs()
            .iter()
            .any(|repair| repair.what == Repaired::Line)
    );
    let image = &set.images()[0];
    assert_eq!(set.mask(image, &image.annotations[0]).unwrap().area(), 4);
    assert!(matches!(
        problem("[[3, 3], [1, 1, 2, 2]]"),
        SegmentationProblem::PolygonLength {
            polygon: 0,
            numbers: 2
        }
    ));
}
