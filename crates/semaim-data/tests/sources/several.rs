//! Several data sets as one, images that are left out, and a limit.

use std::path::Path;
use std::sync::Arc;

use semaim_data::{DataError, OpenOptions, Source, Split, open_all};

use super::{folder, labels, reds};

fn opened(
    paths: &[&Path],
    split: Split,
    exclude: &[&str],
    limit: usize,
) -> Result<Arc<dyn Source>, DataError> {
    let options = OpenOptions {
        exclude: exclude.iter().map(|text| text.to_string()).collect(),
        limit,
        ..OpenOptions::default()
    };
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    open_all(&paths, split, &options)
}

fn named(source: &Arc<dyn Source>) -> Vec<String> {
    let labels = labels(source).into_iter().flatten();
    labels
        .map(|label| source.classes()[label as usize].clone())
        .collect()
}

#[test]
fn classes_of_one_name_are_one_class() {
    let first = folder(&["dog/1.png", "cat/2.png"]);
    let second = folder(&["ape/1.png", "dog/2.png", "dog/3.png"]);
    let both = opened(&[first.path(), second.path()], Split::Train, &[], 0).unwrap();
    assert_eq!(both.classes(), ["ape", "cat", "dog"]);
    assert_eq!(named(&both), ["cat", "dog", "ape", "dog", "dog"]);
    assert_eq!(reds(&both), [1, 0, 0, 1, 2]);
    assert!(both.name(2).starts_with(second.path().to_str().unwrap()));
    // In the order in which they are named.
    let turned = opened(&[second.path(), first.path()], Split::Train, &[], 0).unwrap();
    assert_eq!(named(&turned), ["ape", "dog", "dog", "cat", "dog"]);
    // Neither has a part to evaluate on, so both are all of it.
    let eval = opened(&[first.path(), second.path()], Split::Eval, &[], 0).unwrap();
    assert!(semaim_data::same_images(&*both, &*eval));
}

#[test]
fn folders_called_by_numbers_keep_their_names() {
    let first = folder(&["00000/1.png", "00001/2.png", "2019/3.png"]);
    let second = folder(&["00001/4.png", "2019/5.png", "empty/6.png"]);
    let paths = [first.path(), second.path()];
    let both = opened(&paths, Split::Train, &["empty"], 0).unwrap();
    assert_eq!(both.classes(), ["00000", "00001", "2019"]);
    assert_eq!(named(&both), ["00000", "00001", "2019", "00001", "2019"]);
}

#[test]
fn numbers_of_lists_are_one_class_each() {
    let root = folder(&["1.png", "2.png", "3.png"]);
    let [first, second] = ["a.txt", "b.txt"].map(|name| root.path().join(name));
    std::fs::write(&first, "1.png 2\n").unwrap();
    std::fs::write(&second, "2.png 11\n3.png 02\n").unwrap();
    let both = opened(&[&first, &second], Split::Train, &[], 0).unwrap();
    assert_eq!(both.classes().len(), 12);
    assert_eq!(labels(&both), [Some(2), Some(11), Some(2)]);
}

#[test]
fn an_image_comes_once_however_it_is_named() {
    let root = folder(&["a/1.png", "b/2.png"]);
    let below = root.path().join("a");
    let refused = opened(&[root.path(), &below], Split::Train, &[], 0).unwrap_err();
    assert!(matches!(refused, DataError::Repeated { .. }), "{refused}");
    // Left out of one of them, it is in the other.
    let both = opened(&[&root.path().join("b"), &below], Split::Train, &[], 0).unwrap();
    assert_eq!(reds(&both), [1, 0]);
}

#[test]
fn a_set_without_a_part_to_evaluate_on_is_trained_on_alone() {
    let divided = folder(&["train/cat/1.png", "val/cat/2.png"]);
    let other = folder(&["dog/3.png", "cat/4.png"]);
    let paths = [divided.path(), other.path()];
    let train = opened(&paths, Split::Train, &[], 0).unwrap();
    let eval = opened(&paths, Split::Eval, &[], 0).unwrap();
    assert_eq!(named(&train), ["cat", "cat", "dog"]);
    assert_eq!(reds(&eval), [1]);
    assert_eq!(train.classes(), eval.classes());
}

#[test]
fn patterns_leave_out_files_folders_and_classes() {
    let root = folder(&[
        "train/cat/1.png",
        "train/cat/1_mask.png",
        "train/dog/2.png",
        "train/thumbs/3.png",
        "val/cat/4.png",
        "val/dog/5.png",
        "val/thumbs/6.png",
    ]);
    let open = |split, exclude: &[&str]| opened(&[root.path()], split, exclude, 0);
    let left = open(Split::Train, &["*_mask.png", "thumbs"]).unwrap();
    assert_eq!(reds(&left), [0, 2]);
    assert_eq!(left.classes(), ["cat", "dog"]);
    assert!(left.describe().starts_with("2 of "), "{}", left.describe());
    let eval = open(Split::Eval, &["*_mask.png", "thumbs"]).unwrap();
    assert_eq!(eval.classes(), left.classes());
    assert_eq!(reds(&eval), [4, 5]);
    let of_train = open(Split::Train, &["train/dog/*"]).unwrap();
    assert_eq!(of_train.classes(), ["cat", "thumbs"]);
    // The folder that was named is not meant, whatever it is called.
    let name = root.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(open(Split::Train, &[name]).unwrap().len(), 4);
    let none = open(Split::Train, &["*.png"]).unwrap_err();
    assert!(matches!(none, DataError::AllExcluded { .. }), "{none}");
    let bad = open(Split::Train, &["[a"]).unwrap_err();
    assert!(bad.to_string().contains("[a"), "{bad}");
}

#[test]
fn members_and_lists_are_left_out_by_their_paths() {
    let root = folder(&["a/1.png", "b/2.png"]);
    let list = root.path().join("list.csv");
    std::fs::write(&list, "a/1.png,x\nb/2.png,y\n").unwrap();
    let left = opened(&[&list], Split::Train, &["b"], 0).unwrap();
    assert_eq!(
        (reds(&left), left.classes().to_vec()),
        (vec![0], vec!["x".to_owned()])
    );
    let tar = root.path().join("set.tar");
    let members = [("a/1.png", super::png(7)), ("b/2.png", super::png(8))];
    std::fs::write(&tar, super::tars::tar_of(&members)).unwrap();
    let left = opened(&[&tar], Split::Train, &["a/*"], 0).unwrap();
    assert_eq!(reds(&left), [8]);
}

#[test]
fn a_limit_is_of_what_is_left_of_all_sets() {
    let first = folder(&["cat/0.png", "cat/1.png", "cat/2.png", "cat/3.png"]);
    let second = folder(&["dog/0.png", "dog/1.png", "dog/2.png", "dog/x.png"]);
    let paths = [first.path(), second.path()];
    let some = opened(&paths, Split::Train, &["x.png", "cat/0.png"], 4).unwrap();
    assert_eq!(some.len(), 4);
    assert_eq!(named(&some), ["cat", "cat", "dog", "dog"]);
    assert_eq!(opened(&paths, Split::Train, &[], 100).unwrap().len(), 8);
    // The two splits of a set that is not divided are limited alike.
    let eval = opened(&paths, Split::Eval, &["x.png", "cat/0.png"], 4).unwrap();
    assert!(semaim_data::same_images(&*some, &*eval));
}

#[cfg(unix)]
#[test]
fn an_image_comes_once_whatever_links_lead_there() {
    use std::os::unix::fs::symlink;
    let root = folder(&["a/1.png", "a/2.png", "b/3.png"]);
    let path = |name: &str| root.path().join(name);
    symlink(path("a"), path("link")).unwrap();
    std::fs::create_dir(path("c")).unwrap();
    symlink("../a/2.png", path("c/other.png")).unwrap();
    // A link of an image alone, as in stores of files, is one of its own.
    let linked = opened(&[&path("a"), &path("c")], Split::Train, &[], 0).unwrap();
    assert_eq!(linked.len(), 3);
    for other in ["link", "b/../a"] {
        let refused = opened(&[&path("a"), &path(other)], Split::Train, &[], 0).unwrap_err();
        assert!(matches!(refused, DataError::Repeated { .. }), "{refused}");
    }
    let both = opened(&[&path("link"), &path("b")], Split::Train, &[], 0).unwrap();
    assert_eq!(reds(&both), [0, 1, 2]);
}
