//! Folders, tar files, IDX files and lists: what is found, in which order, with which labels and errors.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test may panic"
)]

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;

use semaim_data::{DataError, ImageProblem, OpenOptions, Source, Split, open};
use tempfile::TempDir;

/// A 1x1 PNG whose red is `value`.
fn png(value: u8) -> Vec<u8> {
    let image = image::RgbImage::from_pixel(1, 1, image::Rgb([value, 0, 0]));
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn folder(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (value, name) in files.iter().enumerate() {
        write(root.path(), name, &png(value as u8));
    }
    root
}

fn opened(path: &Path, split: Split) -> Result<Arc<dyn Source>, DataError> {
    open(&path.display().to_string(), split, &OpenOptions::default())
}

fn train(path: &Path) -> Arc<dyn Source> {
    opened(path, Split::Train).unwrap()
}

/// The red of every image, which tells the files of [`folder`] apart.
fn reds(source: &Arc<dyn Source>) -> Vec<u8> {
    let red = |index| source.image(index).unwrap().data[0];
    (0..source.len()).map(red).collect()
}

fn labels(source: &Arc<dyn Source>) -> Vec<Option<u32>> {
    (0..source.len()).map(|index| source.label(index)).collect()
}

#[test]
fn folders_are_sorted_and_labelled() {
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

/// A tar header block.
fn header(name: &[u8], size: usize, kind: u8, prefix: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name);
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[345..345 + prefix.len()].copy_from_slice(prefix);
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn member(tar: &mut Vec<u8>, name: &[u8], data: &[u8], kind: u8) {
    tar.extend(header(name, data.len(), kind, b""));
    tar.extend(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn tar_of(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, data) in members {
        member(&mut tar, name.as_bytes(), data, b'0');
    }
    tar.extend([0; 1024]);
    tar
}

#[test]
fn tars_in_webdataset_form() {
    let root = tempfile::tempdir().unwrap();
    let first = tar_of(&[
        ("000.cls", b"2\n".to_vec()),
        ("000.png", png(10)),
        ("000.seg.png", png(99)),
        ("001.jpg", png(11)),
        ("001.json", b"{}".to_vec()),
    ]);
    let second = tar_of(&[("000.png", png(12)), ("000.cls", b"0".to_vec())]);
    write(root.path(), "part-1.tar", &second);
    write(root.path(), "part-0.tar", &first);
    let spec = root.path().join("part-{0..1}.tar").display().to_string();
    let by_range = open(&spec, Split::Train, &OpenOptions::default()).unwrap();
    for source in [by_range, train(root.path())] {
        assert_eq!(reds(&source), [10, 11, 12]);
        assert_eq!(labels(&source), [Some(2), None, Some(0)]);
        assert_eq!(source.classes(), ["0", "1", "2"]);
        assert!(source.name(0).ends_with("part-0.tar:000.png"));
    }
}

#[test]
fn tars_of_folders_follow_the_split_rule() {
    let root = tempfile::tempdir().unwrap();
    let tar = tar_of(&[
        ("./set/train/dog/1.png", png(1)),
        ("./set/train/cat/2.png", png(2)),
        ("./set/val/cat/3.png", png(3)),
        ("./set/README", b"x".to_vec()),
    ]);
    write(root.path(), "set.tar", &tar);
    let path = root.path().join("set.tar");
    let source = train(&path);
    assert_eq!(reds(&source), [1, 2]);
    assert_eq!(labels(&source), [Some(1), Some(0)]);
    assert_eq!(reds(&opened(&path, Split::Eval).unwrap()), [3]);
    let tar = tar_of(&[("photos/cat/1.png", png(1)), ("photos/dog/2.png", png(2))]);
    write(root.path(), "set.tar", &tar);
    assert_eq!(train(&path).classes(), ["cat", "dog"]);
}

#[test]
fn long_names_in_all_three_ways() {
    let root = tempfile::tempdir().unwrap();
    let long = |name: &str| format!("{}/{name}.png", "d".repeat(120));
    let mut tar = Vec::new();
    member(&mut tar, b"././@LongLink", long("gnu").as_bytes(), b'L');
    member(&mut tar, b"short.png", &png(1), b'0');
    let record = format!("path={}\n", long("pax"));
    let record = format!("{} {record}", record.len() + 4);
    member(&mut tar, b"PaxHeader", record.as_bytes(), b'x');
    member(&mut tar, b"short.png", &png(2), b'0');
    let data = png(3);
    tar.extend(header(
        b"x.png",
        data.len(),
        b'0',
        "p".repeat(130).as_bytes(),
    ));
    tar.extend(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
    member(&mut tar, b"link.png", b"", b'2');
    member(&mut tar, b"plain.png", &png(4), b'0');
    tar.extend([0; 1024]);
    write(root.path(), "a.tar", &tar);
    let source = train(&root.path().join("a.tar"));
    assert_eq!(reds(&source), [1, 2, 3, 4]);
    let ends = [
        &long("gnu"),
        &long("pax"),
        &format!("{}/x.png", "p".repeat(130)),
        "plain.png",
    ];
    for (index, end) in ends.into_iter().enumerate() {
        assert!(
            source.name(index).ends_with(&format!(":{end}")),
            "{}",
            source.name(index)
        );
    }
}

#[test]
fn broken_tars_are_explained() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.tar");
    let whole = tar_of(&[("a/1.png", png(1)), ("a/2.png", vec![7; 1000])]);
    let reason = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error = opened(&path, Split::Train).unwrap_err();
        assert!(matches!(error, DataError::Tar { .. }), "{error}");
        assert!(error.to_string().contains("a.tar"), "{error}");
        error.to_string()
    };
    assert!(reason(&whole[..1024 + 512 + 300]).contains("member a/2.png"));
    assert!(reason(&whole[..1024]).contains("cut off"));
    assert!(reason(&whole[..1024 + 100]).contains("cut off"));
    assert!(reason(&[]).contains("cut off"));
    let mut damaged = whole.clone();
    damaged[1024 + 3] ^= 1;
    let damaged = reason(&damaged);
    assert!(
        damaged.contains("byte 1024") && damaged.contains("checksum"),
        "{damaged}"
    );
    let mut gzip = vec![0x1F, 0x8B];
    gzip.resize(2048, 5);
    assert!(reason(&gzip).contains("gzip"));
    fs::write(&path, tar_of(&[("a.txt", b"x".to_vec())])).unwrap();
    let error = opened(&path, Split::Train).unwrap_err();
    assert!(matches!(error, DataError::NoImages { others: 1, .. }));
}

fn idx(sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 8, sizes.len() as u8];
    out.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    out.extend(data);
    out
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn idx_files_with_labels() {
    let root = tempfile::tempdir().unwrap();
    let images = idx(&[2, 1, 2], &[5, 6, 7, 8]);
    write(root.path(), "train-images-idx3-ubyte.gz", &gzip(&images));
    write(root.path(), "train-labels-idx1-ubyte", &idx(&[2], &[3, 1]));
    write(
        root.path(),
        "t10k-images-idx3-ubyte",
        &idx(&[1, 1, 1], &[9]),
    );
    let source = train(root.path());
    assert_eq!(labels(&source), [Some(3), Some(1)]);
    assert_eq!(source.classes(), ["0", "1", "2", "3"]);
    let pixels = source.image(1).unwrap();
    assert_eq!((pixels.width, pixels.height, pixels.channels), (2, 1, 3));
    assert_eq!(pixels.data, [7, 7, 7, 8, 8, 8]);
    assert!(source.name(1).ends_with("train-images-idx3-ubyte.gz#1"));
    assert!(source.image(2).is_err() && source.image(usize::MAX).is_err());
    let eval = opened(root.path(), Split::Eval).unwrap();
    assert_eq!((reds(&eval), labels(&eval)), (vec![9], vec![None]));
    let grey = OpenOptions {
        channels: 1,
        ..OpenOptions::default()
    };
    let spec = root.path().display().to_string();
    assert_eq!(
        open(&spec, Split::Train, &grey)
            .unwrap()
            .image(0)
            .unwrap()
            .data,
        [5, 6]
    );
}

#[test]
fn broken_idx_files_are_explained() {
    let root = tempfile::tempdir().unwrap();
    let reason = |name: &str, bytes: &[u8]| {
        let path = root.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = opened(&path, Split::Train).unwrap_err();
        assert!(matches!(error, DataError::Idx { .. }), "{error}");
        error.to_string()
    };
    let images = idx(&[2, 1, 2], &[5, 6, 7, 8]);
    assert!(reason("a-ubyte", &images[..19]).contains("does not fit"));
    assert!(reason("a-ubyte", &[&images[..], &[0]].concat()).contains("does not fit"));
    assert!(reason("a-ubyte", &images[..9]).contains("cut off"));
    assert!(reason("a-ubyte", &idx(&[1], &[0])).contains("labels file"));
    assert!(reason("a-ubyte", b"hello").contains("starts with"));
    assert!(reason("a-ubyte", &idx(&[u32::MAX; 3], &[])).contains("absurd"));
    assert!(reason("a-ubyte", &idx(&[0, 1, 1], &[])).contains("0 images"));
    // A small file that promises much must not be believed.
    let bomb = gzip(&idx(&[1_000_000, 1000, 1], &[0; 10]));
    assert!(reason("a-ubyte.gz", &bomb).contains("does not fit"));
    let zipped = gzip(&images);
    assert!(reason("a-ubyte.gz", &zipped[..zipped.len() - 12]).contains("a-ubyte.gz"));
    assert!(reason("a-ubyte.gz", &gzip(&[&images[..], &[0]].concat())).contains("goes on"));
    fs::write(root.path().join("x-labels-ubyte"), idx(&[1], &[0])).unwrap();
    assert!(reason("x-images-ubyte", &images).contains("1 labels for 2 images"));
}

#[test]
fn lists() {
    let root = folder(&["a.png", "my pictures/b 1.png", "c.png"]);
    let read = |name: &str, text: &str| {
        write(root.path(), name, text.as_bytes());
        train(&root.path().join(name))
    };
    let source = read(
        "l.txt",
        "# comment\nc.png 4\n\nmy pictures/b 1.png 0\r\na.png\n",
    );
    assert_eq!(reds(&source), [2, 1, 0]);
    assert_eq!(labels(&source), [Some(4), Some(0), None]);
    assert_eq!(source.classes().len(), 5);
    let source = read("l.lst", "a.png\nmy pictures/b 1.png\n");
    assert_eq!(
        (reds(&source), labels(&source)),
        (vec![0, 1], vec![None, None])
    );
    let source = read("l.tsv", "a.png\tbig dog\nmy pictures/b 1.png\tcat\n");
    assert_eq!(source.classes(), ["big dog", "cat"]);
    assert_eq!(labels(&source), [Some(0), Some(1)]);
    let source = read("l.csv", "path,label\n\"my pictures/b 1.png\",x\nc.png,w\n");
    assert_eq!(
        (reds(&source), labels(&source)),
        (vec![1, 2], vec![Some(1), Some(0)])
    );
}

#[test]
fn broken_lists_are_explained() {
    let root = folder(&["a.png"]);
    let path = root.path().join("l.txt");
    fs::write(&path, "# nothing\n").unwrap();
    assert!(matches!(
        opened(&path, Split::Train),
        Err(DataError::NoImages { .. })
    ));
    fs::write(&path, "# c\nx.png\ny.png\n").unwrap();
    let error = opened(&path, Split::Train).unwrap_err();
    assert!(matches!(error, DataError::List { line: 2, .. }), "{error}");
    fs::write(&path, b"a.png\n\xFF.png\n").unwrap();
    let error = opened(&path, Split::Train).unwrap_err();
    assert!(matches!(error, DataError::List { line: 2, .. }), "{error}");
}

#[test]
fn several_paths_must_be_tars() {
    let error = open("a.tar,b.jpg", Split::Train, &OpenOptions::default()).unwrap_err();
    assert!(matches!(error, DataError::Spec { .. }), "{error}");
}

#[test]
fn splits_by_the_names_people_use() {
    for [train_name, eval_name] in [
        ["Training", "Testing"],
        ["Train", "Val"],
        ["TRAIN", "valid"],
        ["train2017", "val2017"],
        ["training_set", "test_set"],
    ] {
        let files = [
            format!("{train_name}/a/1.png"),
            format!("{eval_name}/a/2.png"),
            format!("{train_name}/b/3.png"),
        ];
        let root = folder(&files.each_ref().map(String::as_str));
        let source = train(root.path());
        assert_eq!(reds(&source), [0, 2]);
        assert_eq!(source.classes(), ["a", "b"]);
        let eval = opened(root.path(), Split::Eval).unwrap();
        assert_eq!((reds(&eval), eval.classes().len()), (vec![1], 1));
        let members: Vec<(&str, Vec<u8>)> = files
            .iter()
            .zip(0..)
            .map(|(name, value)| (name.as_str(), png(value)))
            .collect();
        write(root.path(), "set.tar", &tar_of(&members));
        let path = root.path().join("set.tar");
        assert_eq!(reds(&train(&path)), [0, 2]);
        assert_eq!(reds(&opened(&path, Split::Eval).unwrap()), [1]);
    }
}

#[test]
fn of_members_of_one_name_the_last_counts() {
    let root = tempfile::tempdir().unwrap();
    let tar = tar_of(&[
        ("a.png", png(1)),
        ("a.cls", b"3".to_vec()),
        ("b.png", png(2)),
        ("b.CLS", b"1".to_vec()),
        ("a.png", png(9)),
        ("a.cls", b"2".to_vec()),
    ]);
    write(root.path(), "a.tar", &tar);
    let source = train(&root.path().join("a.tar"));
    assert_eq!(reds(&source), [9, 2]);
    assert_eq!(labels(&source), [Some(2), Some(1)]);
}

#[test]
fn lists_with_words_as_labels() {
    let root = folder(&["hat/a.png", "my pictures/b 1.png", "c.png"]);
    let read = |text: &str| {
        write(root.path(), "l.txt", text.as_bytes());
        train(&root.path().join("l.txt"))
    };
    let source = read("hat/a.png hat\nmy pictures/b 1.png big dog\nc.png\n");
    assert_eq!(reds(&source), [0, 1, 2]);
    assert_eq!(source.classes(), ["big dog", "hat"]);
    assert_eq!(labels(&source), [Some(1), Some(0), None]);
    let path = root.path().join("l.txt");
    fs::write(&path, "hat/a.png 1 0 1\n").unwrap();
    let error = opened(&path, Split::Train).unwrap_err();
    assert!(matches!(error, DataError::List { line: 1, .. }), "{error}");
    assert!(error.to_string().contains("several numbers"), "{error}");
}

#[test]
fn single_images_are_sets() {
    let root = folder(&["a.png", "b.png"]);
    let source = train(&root.path().join("b.png"));
    assert_eq!((reds(&source), labels(&source)), (vec![1], vec![None]));
    assert!(source.name(0).ends_with("b.png"));
    let both = ["b.png", "a.png"].map(|name| root.path().join(name).display().to_string());
    let source = open(&both.join(","), Split::Eval, &OpenOptions::default()).unwrap();
    assert_eq!(reds(&source), [1, 0]);
    // What is inside decides where the extension says nothing.
    write(root.path(), "c.photo", &png(7));
    assert_eq!(reds(&train(&root.path().join("c.photo"))), [7]);
    let missing = root.path().join("d.png");
    assert!(matches!(
        opened(&missing, Split::Train).unwrap_err(),
        DataError::Missing { .. }
    ));
}

#[test]
fn formats_that_are_not_read_are_named() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a.HEIC", "b.heic", "c.avif", "d.txt"] {
        write(root.path(), name, b"x");
    }
    let error = opened(root.path(), Split::Train).unwrap_err().to_string();
    assert!(
        error.contains("1 AVIF file, 2 HEIC files are not read"),
        "{error}"
    );
    let error = opened(&root.path().join("a.HEIC"), Split::Train).unwrap_err();
    assert!(matches!(error, DataError::NotRead { .. }), "{error}");
    // One that says it is a JPEG.
    write(root.path(), "e.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    let source = train(root.path());
    let error = source.image(0).unwrap_err();
    assert!(matches!(error.problem, ImageProblem::Unsupported { .. }));
    assert!(error.to_string().contains("a HEIC file"), "{error}");
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
            .args(["--exact", "folders_that_cannot_be_read_are_left_out"])
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
