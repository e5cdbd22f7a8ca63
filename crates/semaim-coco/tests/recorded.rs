//! Agreement with recorded numbers of pycocotools.
//!
//! `coco_eval/` in the folder that `SEMAIM_REFERENCE_DIR` names; without it in `../shared/reference` beside the
//! repository, and the copy in this crate, which holds the smallest set.

// A test says what is wrong by panicking, in its helpers too.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use semaim_coco::{Annotations, EvaluateOptions, Evaluation, Results, Scores, evaluate};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Set {
    truth: PathBuf,
    detections: PathBuf,
    bbox: Expected,
    segm: Expected,
}

#[derive(Deserialize)]
struct Expected {
    stats: [f64; 12],
    per_category_ap_ap50: BTreeMap<i64, [f64; 2]>,
}

#[derive(Deserialize)]
struct Published {
    bbox: [f64; 12],
    segm: [f64; 12],
}

fn json<T: DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn scores(truth: &Path, detections: &Path) -> Scores {
    let truth = Annotations::read(truth).unwrap();
    let options = EvaluateOptions::default();
    evaluate(&truth, Results::read(detections).unwrap(), options).unwrap()
}

fn agree(name: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (found - expected).abs();
        assert!(
            off <= tolerance,
            "{name}, number {n}: {found}, not {expected}"
        );
    }
}

/// The folder that belongs to the repository's surroundings.
fn shared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared")
}

#[test]
fn sets_with_crowds_ties_and_bounds_agree() {
    let folders = match std::env::var_os("SEMAIM_REFERENCE_DIR") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => vec![
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"),
            shared().join("reference"),
        ],
    };
    for folder in folders {
        let folder = folder.join("coco_eval");
        if !folder.join("expected.json").is_file() {
            println!("{} is not there", folder.display());
            continue;
        }
        let sets: BTreeMap<String, Set> = json(&folder.join("expected.json"));
        for (name, set) in sets {
            let scores = scores(&folder.join(set.truth), &folder.join(set.detections));
            let check = |kind: &str, found: &Evaluation, expected: &Expected| {
                let name = format!("{name} {kind}");
                agree(&name, &found.stats(), &expected.stats, 1e-9);
                assert_eq!(scores.categories.len(), expected.per_category_ap_ap50.len());
                for (category, (id, _)) in scores.categories.iter().enumerate() {
                    let expected = expected.per_category_ap_ap50[id];
                    agree(
                        &format!("{name} {id}"),
                        &found.category_ap(category),
                        &expected,
                        1e-9,
                    );
                }
            };
            check("bbox", scores.bbox.as_ref().unwrap(), &set.bbox);
            check("segm", scores.segm.as_ref().unwrap(), &set.segm);
        }
    }
}

#[test]
fn published_numbers_of_coco_agree() {
    let folder = shared().join("data/coco_eval_reference");
    if !folder.is_dir() {
        println!("{} is not there", folder.display());
        return;
    }
    let expected: Published = json(&folder.join("expected.json"));
    let truth = folder.join("instances_val2014_100.json");
    let boxes = scores(
        &truth,
        &folder.join("instances_val2014_fakebbox100_results.json"),
    );
    assert!(boxes.segm.is_none(), "the file has no masks");
    agree("bbox", &boxes.bbox.unwrap().stats(), &expected.bbox, 1e-6);
    let masks = scores(
        &truth,
        &folder.join("instances_val2014_fakesegm100_results.json"),
    );
    agree("segm", &masks.segm.unwrap().stats(), &expected.segm, 1e-6);
}
