//! Tar files: WebDataset and folders in a tar.

use super::said::said;
use super::*;

/// A tar header block.
fn header(name: &[u8], size: usize, kind: u8, prefix: &[u8]) -> Vec<u8> {
    header_of_link(name, size, kind, prefix, b"")
}

fn header_of_link(name: &[u8], size: usize, kind: u8, prefix: &[u8], target: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[157..157 + target.len()].copy_from_slice(target);
    block[..name.len()].copy_from_slice(name);
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[345..345 + prefix.len()].copy_from_slice(prefix);
    write_checksum(&mut block);
    block
}

fn write_checksum(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

/// A member of GNU tar with a hole before its data, and perhaps another header for pieces that it does not have.
fn sparse_member(tar: &mut Vec<u8>, name: &[u8], data: &[u8], is_extended: bool) {
    let hole = 1 << 20;
    let mut block = header(name, data.len(), b'S', b"");
    block[257..265].copy_from_slice(b"ustar  \0");
    for (at, number) in [(386, hole), (398, data.len()), (483, hole + data.len())] {
        block[at..at + 12].copy_from_slice(format!("{number:011o}\0").as_bytes());
    }
    block[482] = u8::from(is_extended);
    write_checksum(&mut block);
    tar.extend(block);
    if is_extended {
        tar.extend([0; 512]);
    }
    tar.extend(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn member(tar: &mut Vec<u8>, name: &[u8], data: &[u8], kind: u8) {
    tar.extend(header(name, data.len(), kind, b""));
    tar.extend(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

pub(super) fn tar_of(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
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
fn a_shard_that_is_cut_short_while_it_is_read_loses_its_images_only() {
    let root = tempfile::tempdir().unwrap();
    for shard in 0..2 {
        let members = (0..8).map(|i| (format!("{i}.png"), png(10 * shard + i)));
        let members: Vec<(String, Vec<u8>)> = members.collect();
        let members: Vec<(&str, Vec<u8>)> = members
            .iter()
            .map(|(name, data)| (name.as_str(), data.clone()))
            .collect();
        write(root.path(), &format!("{shard}.tar"), &tar_of(&members));
    }
    let spec = root.path().join("{0..1}.tar").display().to_string();
    let source = open(&spec, Split::Train, &OpenOptions::default()).unwrap();
    let options = LoaderOptions {
        batch_size: 16,
        epochs: 2,
        workers: 1,
        queue: 1,
        ..LoaderOptions::default()
    };
    let augment = Augment::new([8, 8], 3);
    let read = || {
        let batches = TrainingLoader::start(
            Arc::clone(&source),
            augment.clone(),
            options.clone(),
            Position::default(),
        );
        batches.map(Result::unwrap).collect::<Vec<_>>()
    };
    assert!(read().iter().all(|batch| batch.bad.is_empty()));
    // The last member's bytes and all that follows.
    let shard = root.path().join("1.tar");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&shard)
        .unwrap();
    file.set_len(512).unwrap();
    for batch in read() {
        // A full batch of what is left, and each image that is not named once.
        assert_eq!(batch.items.len(), 16);
        assert!(batch.items.iter().all(|item| *item < 8));
        assert!(!batch.bad.is_empty());
        let is_of_shard = |bad: &BadImage| bad.name.contains("1.tar:") && bad.item >= 8;
        assert!(batch.bad.iter().all(is_of_shard));
    }
}

#[test]
fn shards_with_classes_follow_the_split_rule() {
    let root = tempfile::tempdir().unwrap();
    let tar = tar_of(&[
        ("set/train/0.png", png(1)),
        ("set/train/0.cls", b"dog".to_vec()),
        ("set/val/0.png", png(2)),
        ("set/val/0.cls", b"cat".to_vec()),
        ("set/val/1.png", png(3)),
        ("set/val/1.cls", b" \n".to_vec()),
    ]);
    write(root.path(), "set.tar", &tar);
    let path = root.path().join("set.tar");
    let source = train(&path);
    assert_eq!((reds(&source), labels(&source)), (vec![1], vec![Some(1)]));
    let eval = opened(&path, Split::Eval).unwrap();
    // An empty member is no class.
    assert_eq!(eval.classes(), ["cat", "dog"]);
    assert_eq!(
        (reds(&eval), labels(&eval)),
        (vec![2, 3], vec![Some(0), None])
    );
}

#[test]
fn hard_links_are_members_and_hidden_folders_are_not() {
    let root = tempfile::tempdir().unwrap();
    let mut tar = Vec::new();
    member(&mut tar, b"a/1.png", &png(1), b'0');
    member(&mut tar, b".thumbs/1.png", &png(2), b'0');
    member(&mut tar, b"a/.cache/1.png", &png(3), b'0');
    let links: [(&[u8], &[u8], u8); 4] = [
        (b"b/2.png", b"./a/1.png", b'1'),
        (b"b/3.png", b"b/2.png", b'1'),
        (b"b/lost.png", b"nowhere.png", b'1'),
        (b"b/soft.png", b"../a/1.png", b'2'),
    ];
    for (name, target, kind) in links {
        tar.extend(header_of_link(name, 0, kind, b"", target));
    }
    tar.extend([0; 1024]);
    write(root.path(), "a.tar", &tar);
    let source = train(&root.path().join("a.tar"));
    assert_eq!(reds(&source), [1, 1, 1]);
    assert_eq!(source.classes(), ["a", "b"]);
    assert_eq!(labels(&source), [Some(0), Some(1), Some(1)]);
    assert!(source.name(2).ends_with("b/3.png"));
}

#[test]
fn hard_links_may_hold_classes() {
    let root = tempfile::tempdir().unwrap();
    let mut tar = Vec::new();
    member(&mut tar, b"1.png", &png(1), b'0');
    member(&mut tar, b"1.cls", b"dog", b'0');
    member(&mut tar, b"2.png", &png(2), b'0');
    tar.extend(header_of_link(b"2.cls", 0, b'1', b"", b"1.cls"));
    tar.extend([0; 1024]);
    write(root.path(), "a.tar", &tar);
    assert_eq!(
        labels(&train(&root.path().join("a.tar"))),
        [Some(0), Some(0)]
    );
}

#[test]
fn folders_of_tars_may_hold_other_folders() {
    let root = tempfile::tempdir().unwrap();
    for (name, value) in [("train-0.tar", 1), ("val-0.tar", 2), ("test-0.tar", 3)] {
        write(root.path(), name, &tar_of(&[("a.png", png(value))]));
    }
    write(root.path(), "notes/readme.md", b"x");
    assert_eq!(reds(&train(root.path())), [1]);
    assert_eq!(reds(&opened(root.path(), Split::Eval).unwrap()), [2]);
    // Images beside them are the set, as it is said.
    write(root.path(), "notes/picture.png", &png(9));
    assert_eq!(reds(&train(root.path())), [9]);
}

#[test]
fn json_members_may_hold_the_labels() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.tar");
    let tar = tar_of(&[
        ("a0/000000.png", png(1)),
        ("a0/000000.json", br#"{"label": 1, "width": 9}"#.to_vec()),
        ("a0/000001.json", br#"{"cls": 0}"#.to_vec()),
        ("a0/000001.png", png(2)),
        ("a1/000002.png", png(3)),
        ("a1/000002.json", br#"{"caption": "x"}"#.to_vec()),
    ]);
    fs::write(&path, tar).unwrap();
    let source = train(&path);
    assert_eq!(source.classes(), ["0", "1"]);
    assert_eq!(labels(&source), [Some(1), Some(0), None]);
    // Names; several labels are none, and said.
    let tar = tar_of(&[
        ("a0/0.png", png(1)),
        ("a0/0.json", br#"{"label": "dog"}"#.to_vec()),
        ("a0/1.png", png(2)),
        ("a0/1.json", br#"{"label": [1, 2]}"#.to_vec()),
    ]);
    fs::write(&path, tar).unwrap();
    let said = said(root.path(), || {
        let source = train(&path);
        assert_eq!(source.classes(), ["dog"]);
        assert_eq!(labels(&source), [Some(0), None]);
    });
    assert!(
        said.iter().any(|text| text.contains("a0/1 ([1,2])")),
        "{said:?}"
    );
    // `.cls` members are the labels where there are some, and without any label folders are.
    let tar = tar_of(&[
        ("a0/0.png", png(1)),
        ("a0/0.json", br#"{"label": "dog"}"#.to_vec()),
        ("a0/0.cls", b"cat".to_vec()),
    ]);
    fs::write(&path, tar).unwrap();
    assert_eq!(train(&path).classes(), ["cat"]);
    let tar = tar_of(&[
        ("a0/0.png", png(1)),
        ("a0/0.json", br#"{"caption": "the \"label\""}"#.to_vec()),
        ("a1/1.png", png(2)),
        ("notes.json", br#"{"label": "x"}"#.to_vec()),
    ]);
    fs::write(&path, tar).unwrap();
    assert_eq!(train(&path).classes(), ["a0", "a1"]);
    // A hard link is the member that it leads to.
    let mut tar = Vec::new();
    member(&mut tar, b"1.png", &png(1), b'0');
    member(&mut tar, b"1.json", br#"{"label": "dog"}"#, b'0');
    member(&mut tar, b"2.png", &png(2), b'0');
    tar.extend(header_of_link(b"2.json", 0, b'1', b"", b"1.json"));
    tar.extend([0; 1024]);
    fs::write(&path, tar).unwrap();
    assert_eq!(labels(&train(&path)), [Some(0), Some(0)]);
}

#[test]
fn json_members_without_single_labels_leave_folders_to_be_classes() {
    let root = tempfile::tempdir().unwrap();
    for (name, json) in [
        ("a.tar", r#"{"label": [1, 2]}"#),
        ("b.tar", r#"{"cls": {"a": 1}}"#),
        ("c.tar", r#"{"label": 0.5}"#),
        ("d.tar", r#"{"label": 1, "score": NaN}"#),
    ] {
        let path = root.path().join(name);
        let json = json.as_bytes().to_vec();
        let tar = tar_of(&[
            ("a/0.png", png(1)),
            ("a/0.json", json.clone()),
            ("a/0.left.png", png(2)),
            ("b/1.png", png(3)),
            ("b/1.json", json),
            ("b/2.png", png(4)),
            ("b/2.json", br#"{"label": "x"}"#.to_vec()),
            ("c/3.png", png(5)),
        ]);
        fs::write(&path, tar).unwrap();
        let said = said(&path, || {
            let source = train(&path);
            assert_eq!(source.classes(), ["a", "b", "c"]);
            assert_eq!(source.len(), 5);
        });
        let words = "not used, as 1 of the 3 .json members of images has a single name";
        assert!(said.iter().any(|text| text.contains(words)), "{said:?}");
    }
}

#[test]
fn json_members_are_not_read_where_they_hold_no_labels() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.tar");
    let labeled = br#"{"label": "x"}"#.to_vec();
    let large = format!(r#"{{"label": "x", "more": "{}"}}"#, "y".repeat(64 << 10));
    let large = ["a/0.json", "b/1.json"].map(|name| (name, large.clone().into_bytes()));
    let [first, second] = large;
    let tar = tar_of(&[("a/0.png", png(1)), first, ("b/1.png", png(2)), second]);
    fs::write(&path, tar).unwrap();
    assert_eq!(train(&path).classes(), ["a", "b"]);
    // After 64 without a label.
    let names: Vec<[String; 2]> = (0..200)
        .map(|number| ["png", "json"].map(|end| format!("{}/{number}.{end}", number % 2)))
        .collect();
    for (without, classes) in [(64, &["0", "1"][..]), (63, &["x"])] {
        let mut members = Vec::new();
        for (number, [image, json]) in names.iter().enumerate() {
            members.push((image.as_str(), png(1)));
            let content = if number < without {
                b"{}".to_vec()
            } else {
                labeled.clone()
            };
            members.push((json.as_str(), content));
        }
        fs::write(&path, tar_of(&members)).unwrap();
        assert_eq!(train(&path).classes(), classes);
    }
}

#[test]
fn samples_of_several_images_are_told_of() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.tar");
    let tar = tar_of(&[
        ("0.left.png", png(1)),
        ("0.right.png", png(2)),
        ("0.cls", b"0".to_vec()),
        ("1.left.png", png(3)),
        ("1.right.png", png(4)),
        ("1.cls", b"1".to_vec()),
        ("2.png", png(5)),
        ("2.seg.png", png(6)),
        ("2.cls", b"1".to_vec()),
    ]);
    fs::write(&path, tar).unwrap();
    let said = said(root.path(), || assert_eq!(reds(&train(&path)), [1, 3, 5]));
    let words = "2 samples have more than one image, of which the first is taken and the others are left out: 0, 1";
    let is_told = said.iter().any(|text| text.ends_with(words));
    assert!(is_told, "{said:?}");
}

#[test]
fn numbers_that_no_member_has_are_told_of() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.tar");
    let tar = tar_of(&[
        ("train/0.png", png(1)),
        ("train/0.cls", b"1".to_vec()),
        ("val/1.png", png(2)),
        ("val/1.cls", b"2".to_vec()),
    ]);
    fs::write(&path, tar).unwrap();
    let said = said(root.path(), || assert_eq!(train(&path).classes().len(), 3));
    let words = "0 to 2, and no image has 0;";
    assert!(said.iter().any(|text| text.contains(words)), "{said:?}");
}

#[test]
fn sparse_members_are_left_out_and_told_of() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.tar");
    let mut tar = Vec::new();
    sparse_member(&mut tar, b"a.png", &png(1), false);
    member(&mut tar, b"b.png", &png(2), b'0');
    member(&mut tar, b"GNUSparseFile.7/c.png", &png(3), b'0');
    let record = b"22 GNU.sparse.major=1\n";
    member(&mut tar, b"PaxHeader", record, b'x');
    member(&mut tar, b"d.png", &png(4), b'0');
    sparse_member(&mut tar, b"notes.txt", b"x", false);
    sparse_member(&mut tar, b"e.png", &png(5), true);
    let whole = tar.len();
    tar.extend([0; 1024]);
    fs::write(&path, &tar).unwrap();
    let said = said(root.path(), || assert_eq!(reds(&train(&path)), [2]));
    let words = "4 sparse members are left out (pack without -S): a.png, GNUSparseFile.7/c.png, d.png, e.png";
    assert!(said.iter().any(|text| text.ends_with(words)), "{said:?}");
    // The end is still where it is.
    fs::write(&path, &tar[..whole]).unwrap();
    let error = opened(&path, Split::Train).unwrap_err().to_string();
    assert!(error.contains("cut off"), "{error}");
}

#[test]
fn labels_after_many_that_are_null_are_read() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.tar");
    let names: Vec<[String; 2]> = (0..200)
        .map(|number| ["png", "json"].map(|end| format!("{number}.{end}")))
        .collect();
    let mut members = Vec::new();
    for (number, [image, json]) in names.iter().enumerate() {
        let content = match number < 64 {
            true => &br#"{"label": null}"#[..],
            false => br#"{"label": "x"}"#,
        };
        members.push((image.as_str(), png(1)));
        members.push((json.as_str(), content.to_vec()));
    }
    fs::write(&path, tar_of(&members)).unwrap();
    let source = train(&path);
    assert_eq!(source.classes(), ["x"]);
    assert_eq!((source.label(0), source.label(64)), (None, Some(0)));
}

#[test]
fn classes_of_no_image_are_told_of() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.tar");
    let tar = tar_of(&[
        ("train/0.png", png(1)),
        ("train/0.cls", b"0".to_vec()),
        ("val/1.png", png(2)),
        ("val/1.cls", b"1".to_vec()),
        ("train/img2.cls", b"1".to_vec()),
    ]);
    fs::write(&path, tar).unwrap();
    let said = said(root.path(), || assert_eq!(train(&path).len(), 1));
    let words = "a .cls member belongs to no image that is read: train/img2";
    assert!(said.iter().any(|text| text.ends_with(words)), "{said:?}");
}

#[test]
fn folders_of_systems_in_tars_are_left_out() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.tar");
    let tar = tar_of(&[
        ("set/a/1.png", png(1)),
        ("set/a/@eaDir/1.png/THUMB.jpg", png(2)),
        ("set/b/2.png", png(3)),
        ("__MACOSX/set/b/2.png", png(4)),
    ]);
    fs::write(&path, tar).unwrap();
    let said = said(root.path(), || {
        let source = train(&path);
        assert_eq!(reds(&source), [1, 3]);
        assert_eq!(source.classes(), ["a", "b"]);
    });
    let words = "2 images are left out, in folders that systems make for themselves";
    assert!(said.iter().any(|text| text.contains(words)), "{said:?}");
}

#[test]
fn other_folders_of_the_same_split_in_tars_are_told_of() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.tar");
    let tar = tar_of(&[
        ("train/a/1.png", png(1)),
        ("train2/a/2.png", png(2)),
        ("val/a/3.png", png(3)),
    ]);
    fs::write(&path, tar).unwrap();
    let said = said(root.path(), || assert_eq!(reds(&train(&path)), [1]));
    let words = "so 1 image beside it (train2) is left out";
    assert!(said.iter().any(|text| text.contains(words)), "{said:?}");
}

#[test]
fn what_is_not_told_apart_in_tars_is_said() {
    let one = |value: u8| tar_of(&[("a.png", png(value))]);
    // A file that says no split makes all of them both.
    let root = tempfile::tempdir().unwrap();
    for (name, value) in [("train-0.tar", 1), ("val-0.tar", 2), ("unlabeled-0.tar", 3)] {
        write(root.path(), name, &one(value));
    }
    write(root.path(), "train-1.tar.gz", b"packed");
    let said_of = said(root.path(), || {
        assert_eq!(reds(&train(root.path())), [1, 3, 2]);
    });
    for words in [
        "all 3 files are in either split, as names of some say none: unlabeled-0.tar",
        "compressed tar files are not read; unpack them to .tar: train-1.tar.gz",
    ] {
        assert!(
            said_of.iter().any(|text| text.contains(words)),
            "{said_of:?}"
        );
    }
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "test.tar", &one(1));
    write(root.path(), "val.tar", &one(2));
    let said_of = said(root.path(), || {
        assert_eq!(reds(&train(root.path())), [1, 2]);
    });
    let words = "all 2 files are trained on, as no name says train";
    assert!(
        said_of.iter().any(|text| text.contains(words)),
        "{said_of:?}"
    );
    // Files put one after the other are read to the first one's end.
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "both.tar", &[one(1), one(2)].concat());
    let said_of = said(root.path(), || {
        assert_eq!(reds(&train(root.path())), [1]);
    });
    let words = "after its end mark are not read";
    assert!(
        said_of.iter().any(|text| text.contains(words)),
        "{said_of:?}"
    );
    // Parts of samples are images where nothing has a label.
    let root = tempfile::tempdir().unwrap();
    let pairs = tar_of(&[
        ("a.png", png(1)),
        ("a.seg.png", png(9)),
        ("v1.2.png", png(2)),
    ]);
    write(root.path(), "pairs.tar", &pairs);
    let said_of = said(root.path(), || {
        assert_eq!(reds(&train(root.path())), [1, 9, 2]);
    });
    let words = "also 1 that would be part of another's sample: a.seg.png";
    assert!(
        said_of.iter().any(|text| text.contains(words)),
        "{said_of:?}"
    );
}
