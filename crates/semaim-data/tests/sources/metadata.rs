//! Labels in metadata files beside images, as Hugging Face's image folders have them.

use super::said::said;
use super::*;

#[test]
fn metadata_files_are_labels_and_folders_beside_them_are_none() {
    let table =
        "file_name,text,label\npart0/0.png,\"a, b\",dog\npart0/1.png,,cat\npart1/2.png,,dog\n";
    let objects = "{\"file_name\": \"part0/0.png\", \"label\": 1}\n{\"file_name\": \"part0/1.png\", \"label\": 0}\n\
                   {\"file_name\": \"part1/2.png\", \"label\": 1}\n";
    for (name, text, classes) in [
        ("metadata.csv", table, ["cat", "dog"]),
        ("metadata.jsonl", objects, ["0", "1"]),
    ] {
        let root = folder(&["part0/0.png", "part0/1.png", "part1/2.png"]);
        write(root.path(), name, text.as_bytes());
        let source = train(root.path());
        assert_eq!(source.classes(), classes, "{name}");
        assert_eq!(labels(&source), [Some(1), Some(0), Some(1)], "{name}");
        assert_eq!(reds(&source), [0, 1, 2]);
        let members = [
            ("part0/0.png", png(0)),
            (name, text.as_bytes().to_vec()),
            ("part0/1.png", png(1)),
            ("part1/2.png", png(2)),
        ];
        write(root.path(), "x/set.tar", &tars::tar_of(&members));
        let source = train(&root.path().join("x/set.tar"));
        assert_eq!(source.classes(), classes, "{name}");
        assert_eq!(labels(&source), [Some(1), Some(0), Some(1)], "{name}");
    }
}

#[test]
fn metadata_files_may_lie_in_folders_and_above_splits() {
    let root = folder(&["train/a/0.png", "train/b/1.png", "test/a/2.png"]);
    let path = root.path();
    write(path, "train/a/metadata.csv", b"file_name,label\n0.png,x\n");
    write(path, "train/metadata.csv", b"label,file_name\ny,b/1.png\n");
    write(path, "metadata.csv", b"file_name,label\ntest/a/2.png,z\n");
    let source = train(path);
    assert_eq!(source.classes(), ["x", "y"]);
    assert_eq!(labels(&source), [Some(0), Some(1)]);
    let eval = opened(path, Split::Eval).unwrap();
    assert_eq!(
        (eval.classes(), labels(&eval)),
        (&["z".to_owned()][..], vec![Some(0)])
    );
    let members = [
        ("train/a/0.png", png(0)),
        (
            "train/metadata.csv",
            b"file_name,label\na/0.png,x\n".to_vec(),
        ),
        ("test/a/2.png", png(2)),
        (
            "test/metadata.csv",
            b"file_name,label\na/2.png,z\n".to_vec(),
        ),
    ];
    write(path, "x/set.tar", &tars::tar_of(&members));
    let tar = path.join("x/set.tar");
    assert_eq!(train(&tar).classes(), ["x"]);
    assert_eq!(opened(&tar, Split::Eval).unwrap().classes(), ["z"]);
}

#[test]
fn images_without_a_label_there_are_told_of() {
    let root = folder(&["a/0.png", "b/1.png", "b/2.png"]);
    write(
        root.path(),
        "metadata.csv",
        b"file_name,label\na/0.png,x\nb/2.png,\n",
    );
    let said = said(root.path(), || {
        let source = train(root.path());
        assert_eq!(source.classes(), ["x"]);
        assert_eq!(labels(&source), [Some(0), None, None]);
    });
    let words = "metadata.csv, in which 2 of 3 images have none: b/1.png, b/2.png";
    assert!(said.iter().any(|text| text.contains(words)), "{said:?}");
}

#[test]
fn folders_are_classes_beside_metadata_without_labels_alone() {
    let root = folder(&["a/0.png", "b/1.png"]);
    write(
        root.path(),
        "metadata.csv",
        b"file_name,text\na/0.png,x\nb/1.png,y\n",
    );
    assert_eq!(train(root.path()).classes(), ["a", "b"]);
    // Labels of which the image is not known are none, and said.
    for (text, words) in [
        ("image_path,label\na/0.png,x\n", "no `file_name`"),
        ("file_name,label\n0.png,x\n", "none is of an image of"),
    ] {
        write(root.path(), "metadata.csv", text.as_bytes());
        let said = said(root.path(), || {
            assert_eq!(train(root.path()).classes(), ["a", "b"]);
        });
        let is_told =
            |text: &String| text.contains(words) && text.ends_with("folders are the classes");
        assert!(said.iter().any(is_told), "{said:?}");
    }
    // No folders that could be classes.
    let flat = folder(&["0.png"]);
    write(flat.path(), "metadata.csv", b"image,label\n0.png,x\n");
    assert!(train(flat.path()).classes().is_empty());
}

#[test]
fn metadata_of_another_split_leaves_folders_to_be_classes() {
    let files = ["data/train/cat/0.png", "data/train/dog/1.png"];
    let root = folder(&[files[0], files[1], "data/test/1.png"]);
    let data = root.path().join("data");
    let table = b"file_name,label\ntest/1.png,cat\n";
    write(&data, "metadata.csv", table);
    let members = [
        (files[0], png(0)),
        (files[1], png(1)),
        ("data/test/1.png", png(2)),
        ("data/metadata.csv", table.to_vec()),
    ];
    write(root.path(), "x/set.tar", &tars::tar_of(&members));
    let tar = root.path().join("x/set.tar");
    for path in [&data, &tar] {
        let said = said(root.path(), || {
            let source = train(path);
            assert_eq!(source.classes(), ["cat", "dog"]);
            assert_eq!(labels(&source), [Some(0), Some(1)]);
        });
        let is_of_it = |text: &String| text.contains("metadata.csv");
        assert!(!said.iter().any(is_of_it), "{said:?}");
        let eval = opened(path, Split::Eval).unwrap();
        assert_eq!(eval.classes(), ["cat"]);
        assert_eq!(labels(&eval), [Some(0)]);
    }
}

#[test]
fn lines_of_metadata_without_one_label_are_told_of() {
    let root = folder(&["a/0.png", "b/1.png", "b/2.png"]);
    let text = "{\"file_name\": \"a/0.png\", \"label\": \"x\"}\n{\"file_name\": \"b/1.png\", \"label\": \"x\"}\n\
                {\"file_name\": \"b/1.png\", \"label\": \"y\"}\n{\"file_name\": \"b/2.png\", \"label\": NaN}\n";
    write(root.path(), "metadata.jsonl", text.as_bytes());
    let said = said(root.path(), || {
        let source = train(root.path());
        assert_eq!(source.classes(), ["x", "y"]);
        assert_eq!(labels(&source), [Some(0), None, None]);
    });
    for words in [
        "metadata.jsonl: line 4 cannot be read",
        "an image has more than one label and is without, such as b/1.png: `x` on line 2 of",
    ] {
        let is_told = said.iter().any(|text| text.contains(words));
        assert!(is_told, "{words}: {said:?}");
    }
}

#[test]
fn splits_have_the_classes_of_all_rows() {
    let root = folder(&["train/0.png", "train/1.png", "test/2.png"]);
    let table = b"file_name,label\ntrain/0.png,x\ntrain/1.png,y\ntest/2.png,y\n";
    write(root.path(), "metadata.csv", table);
    assert_eq!(train(root.path()).classes(), ["x", "y"]);
    let eval = opened(root.path(), Split::Eval).unwrap();
    assert_eq!(eval.classes(), ["x", "y"]);
    assert_eq!(labels(&eval), [Some(1)]);
}

#[test]
fn labels_that_are_not_read_are_told_of() {
    for (name, text, words) in [
        (
            "metadata.csv",
            "file_name;label\ntrain/a/0.png;x\n",
            "its first line is `file_name;label`",
        ),
        (
            "Metadata.csv",
            "file_name,label\ntrain/a/0.png,x\n",
            "its name is to be in lower case",
        ),
        (
            "metadata.csv",
            "file_name,label\na/0.png,x\nb/1.png,y\n",
            "none is of an image of",
        ),
    ] {
        let root = folder(&["train/a/0.png", "train/b/1.png", "val/a/2.png"]);
        write(root.path(), name, text.as_bytes());
        let said = said(root.path(), || {
            assert_eq!(train(root.path()).classes(), ["a", "b"]);
        });
        let is_told =
            |text: &String| text.contains(words) && text.ends_with("folders are the classes");
        assert!(said.iter().any(is_told), "{words}: {said:?}");
    }
    // Captions are none.
    let root = folder(&["a/0.png", "b/1.png"]);
    write(root.path(), "metadata.csv", b"file_name;text\na/0.png;x\n");
    let said = said(root.path(), || {
        assert_eq!(train(root.path()).classes(), ["a", "b"]);
    });
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn a_comma_in_no_quotes_makes_no_class() {
    let root = folder(&["0.png", "1.png", "2.png"]);
    let table = b"file_name,text,label\n0.png,a dog, asleep,dog\n1.png,x,cat\n2.png,y,dog\n";
    write(root.path(), "metadata.csv", table);
    let said = said(root.path(), || {
        let source = train(root.path());
        assert_eq!(source.classes(), ["cat", "dog"]);
        assert_eq!(labels(&source), [None, Some(0), Some(1)]);
    });
    let words = "line 2 cannot be read and is left out, as are others like it: it has 4 fields in place of 3";
    assert!(said.iter().any(|text| text.contains(words)), "{said:?}");
}

#[test]
fn minus_one_is_no_label_and_told_of() {
    let root = folder(&["0.png", "1.png", "2.png"]);
    let table = b"file_name,label\n0.png,1\n1.png,-1\n2.png,0\n";
    write(root.path(), "metadata.csv", table);
    let said = said(root.path(), || {
        let source = train(root.path());
        assert_eq!(source.classes(), ["0", "1"]);
        assert_eq!(labels(&source), [Some(1), None, Some(0)]);
    });
    let words = "an image has no single label and is without: 1.png (-1)";
    assert!(said.iter().any(|text| text.contains(words)), "{said:?}");
}
