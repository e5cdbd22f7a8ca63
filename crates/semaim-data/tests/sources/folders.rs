//! Folders of images.

use super::said::said;
use super::*;

#[test]
fn folders_are_sorted_and_labeled() {
    let root = folder(&["dog/2.PNG", "cat/x/1.jpg", "cat-b/9.tiff", "cat/0.webp"]);
    write(root.path(), "cat/.hidden.png", b"");
    write(root.path(), "notes.txt", b"");
    let source = train(root.path());
    // Bytewise by path: `cat-b/` comes before `cat/`. The content is what counts, all are PNGs.
    assert_eq!(reds(&source), [2, 3, 1, 0]);
    assert_eq!(source.classes(), ["cat", "cat-b", "dog"]);
    assert_eq!(labels(&source), [Some(1), Some(0), Some(0), Some(2)]);
    assert!(source.name(3).ends_with("2.PNG"), "{}", source.name(3));
    assert!(source.describe().ends_with(": 4 images, 3 classes"));
    assert_eq!(source.label(4), None);
    let error = source.image(4).unwrap_err();
    assert!(matches!(
        error.problem,
        ImageProblem::OutOfRange { index: 4, len: 4 }
    ));
}

#[test]
fn an_image_in_the_root_means_no_labels() {
    let root = folder(&["dog/1.png", "2.png"]);
    let source = train(root.path());
    assert!(source.classes().is_empty());
    assert_eq!(labels(&source), [None, None]);
}

#[test]
fn splits_of_folders() {
    let root = folder(&[
        "train/a/1.png",
        "test/a/2.png",
        "valid/b/3.png",
        "train/b/4.png",
    ]);
    assert_eq!(reds(&train(root.path())), [0, 3]);
    let eval = opened(root.path(), Split::Eval).unwrap();
    assert_eq!(reds(&eval), [2]);
    assert_eq!(eval.classes(), ["b"]);
    let only = folder(&["train/a/1.png"]);
    assert_eq!(opened(only.path(), Split::Eval).unwrap().classes(), ["a"]);
    let none = folder(&["a/1.png", "b/2.png"]);
    assert_eq!(opened(none.path(), Split::Eval).unwrap().len(), 2);
}

#[test]
fn splits_are_found_below_folders_with_nothing_else() {
    let files = ["train/a/1.png", "train/b/2.png", "val/a/3.png"];
    let below = |prefix: &str| {
        let files = files.map(|file| format!("{prefix}{file}"));
        folder(&files.each_ref().map(String::as_str))
    };
    for prefix in ["set/", "archive/my set/"] {
        let root = below(prefix);
        write(root.path(), "README.md", b"x");
        write(root.path(), ".hidden/x.png", &png(9));
        let source = train(root.path());
        assert_eq!(reds(&source), [0, 1], "{prefix}");
        assert_eq!(source.classes(), ["a", "b"]);
        assert_eq!(reds(&opened(root.path(), Split::Eval).unwrap()), [2]);
    }
    // An image or a folder beside it: the folder is a class.
    for beside in ["9.png", "other/9.png"] {
        let root = below("set/");
        write(root.path(), beside, &png(9));
        assert_eq!(train(root.path()).len(), 4, "{beside}");
    }
    // A single class stays one, whatever is in it.
    for files in [&["dog/1.png"][..], &["dog/bus/1.png", "dog/train/2.png"]] {
        let source = train(folder(files).path());
        assert_eq!(source.classes(), ["dog"]);
        assert_eq!(source.len(), files.len());
    }
}

#[test]
fn splits_of_one_name_are_splits() {
    let root = folder(&[
        "seg_train/seg_train/a/1.png",
        "seg_train/seg_train/b/2.png",
        "seg_test/seg_test/a/3.png",
    ]);
    let source = train(root.path());
    assert_eq!(reds(&source), [0, 1]);
    assert_eq!(source.classes(), ["a", "b"]);
    assert_eq!(reds(&opened(root.path(), Split::Eval).unwrap()), [2]);
    let tar = tars::tar_of(&[("seg_train/a/1.png", png(1)), ("seg_test/a/2.png", png(2))]);
    write(root.path(), "set.tar", &tar);
    let path = root.path().join("set.tar");
    assert_eq!(reds(&train(&path)), [1]);
    assert_eq!(reds(&opened(&path, Split::Eval).unwrap()), [2]);
}

#[test]
fn errors_of_folders_name_the_path() {
    let root = tempfile::tempdir().unwrap();
    let missing = root.path().join("nowhere");
    let error = opened(&missing, Split::Train).unwrap_err();
    assert!(
        matches!(&error, DataError::Missing { path } if *path == missing),
        "{error}"
    );
    write(root.path(), "a/notes.md", b"");
    write(root.path(), "b.doc", b"");
    let error = opened(root.path(), Split::Train).unwrap_err();
    assert!(
        matches!(error, DataError::NoImages { others: 2, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("jpg, jpeg, png"), "{error}");
    let error = opened(&root.path().join("b.doc"), Split::Train).unwrap_err();
    assert!(matches!(error, DataError::UnknownKind { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;
    let root = folder(&["a/1.png", "b/2.png"]);
    let outside = folder(&["3.png"]);
    symlink(root.path(), root.path().join("a/up")).unwrap();
    symlink(root.path().join("a"), root.path().join("b/cross")).unwrap();
    symlink(root.path().join("b"), root.path().join("a/back")).unwrap();
    symlink(outside.path(), root.path().join("c")).unwrap();
    symlink(outside.path().join("3.png"), root.path().join("a/0.png")).unwrap();
    symlink("nowhere", root.path().join("a/dangling.png")).unwrap();
    let source = train(root.path());
    let names: Vec<String> = (0..source.len())
        .map(|index| source.name(index)[root.path().display().to_string().len() + 1..].to_owned())
        .collect();
    // a and b are reached from each other once, then the circle is noticed.
    assert_eq!(
        names,
        [
            "a/0.png",
            "a/1.png",
            "a/back/2.png",
            "b/2.png",
            "b/cross/0.png",
            "b/cross/1.png",
            "c/3.png"
        ]
    );
}

#[test]
fn unreadable_images_are_named() {
    let root = folder(&["1.png"]);
    write(root.path(), "0.png", b"");
    let source = train(root.path());
    let error = source.image(0).unwrap_err();
    assert!(matches!(error.problem, ImageProblem::Empty));
    assert!(error.to_string().contains("0.png"), "{error}");
    fs::remove_file(root.path().join("1.png")).unwrap();
    assert!(matches!(
        source.image(1).unwrap_err().problem,
        ImageProblem::Read(_)
    ));
}

/// Set in a copy of this program that runs without the rights of root, who may read everything.
#[cfg(unix)]
const UNPRIVILEGED: &str = "SEMAIM_TEST_UNPRIVILEGED";

#[cfg(unix)]
#[test]
fn folders_that_cannot_be_read_are_left_out() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let root = folder(&["a/1.png", "b/2.png", "lost+found/3.png", "c/@eaDir/4.png"]);
    let lock = |name: &str, mode: u32| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(root.path().join(name), mode).unwrap();
    };
    for name in ["lost+found", "c/@eaDir"] {
        lock(name, 0);
    }
    let is_root = fs::read_dir(root.path().join("lost+found")).is_ok();
    if is_root && std::env::var_os(UNPRIVILEGED).is_none() {
        let again = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "folders::folders_that_cannot_be_read_are_left_out",
            ])
            .env(UNPRIVILEGED, "1")
            .env("TMPDIR", "/tmp")
            .current_dir("/")
            .gid(65534)
            .uid(65534)
            .status()
            .unwrap();
        assert!(again.success());
        return;
    }
    assert!(!is_root);
    for _ in 0..50 {
        let source = train(root.path());
        assert_eq!(reds(&source), [0, 1]);
        assert_eq!(source.classes(), ["a", "b"]);
    }
    lock("lost+found", 0o700);
    lock("c/@eaDir", 0o700);
    // The folder itself must be readable.
    lock("a", 0);
    let error = opened(&root.path().join("a"), Split::Train).unwrap_err();
    assert!(matches!(error, DataError::Read { .. }), "{error}");
    lock("a", 0o700);
}

#[test]
fn other_folders_of_the_same_split_are_told_of() {
    for other in ["Train", "training", "train2", "train_2"] {
        let second = format!("{other}/a/2.png");
        let root = folder(&["train/a/1.png", &second, "val/a/3.png"]);
        let said = said(root.path(), || assert_eq!(reds(&train(root.path())), [0]));
        let words = format!("so 1 image beside it ({other}) is left out");
        assert!(said.iter().any(|text| text.contains(&words)), "{said:?}");
    }
    let root = folder(&[
        "train/a/1.png",
        "val/a/2.png",
        "val_2/a/3.png",
        "test/a/4.png",
    ]);
    let said = said(root.path(), || {
        let eval = opened(root.path(), Split::Eval).unwrap();
        assert_eq!(reds(&eval), [1]);
    });
    let words = "so 1 image beside it (val_2) is left out";
    assert!(said.iter().any(|text| text.contains(words)), "{said:?}");
}

#[test]
fn folders_of_systems_are_no_classes() {
    let root = folder(&[
        "a/1.png",
        "a/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg",
        "@eaDir/x.jpg",
        "b/2.png",
        "__MACOSX/b/2.png",
    ]);
    let said = said(root.path(), || {
        let source = train(root.path());
        assert_eq!(reds(&source), [0, 3]);
        assert_eq!(source.classes(), ["a", "b"]);
    });
    let words = "3 images are left out, in folders that systems make for themselves: @eaDir, __MACOSX, a/@eaDir";
    assert!(said.iter().any(|text| text.ends_with(words)), "{said:?}");
    // Nor are they beside what is to be used.
    let root = folder(&["set/train/a/1.png", "set/val/a/2.png", "__MACOSX/set/3.png"]);
    assert_eq!(reds(&train(root.path())), [0]);
    assert_eq!(reds(&opened(root.path(), Split::Eval).unwrap()), [1]);
    let root = folder(&["@eaDir/x.jpg"]);
    write(root.path(), "a.tar", &tars::tar_of(&[("1.png", png(7))]));
    assert_eq!(reds(&train(root.path())), [7]);
}
