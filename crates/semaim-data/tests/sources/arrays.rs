//! Arrays of NumPy's and images of several files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use semaim_data::{DataError, ImageProblem, OpenOptions, Samples, Source, Split, decode, open};

use super::{folder, labels, png, reds, tars, train, write};

/// A `.npy` file of the format's first version.
fn npy(descr: &str, shape: &str, column_major: bool, data: &[u8]) -> Vec<u8> {
    let order = if column_major { "True" } else { "False" };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.bytes());
    out.extend(data);
    out
}

fn with(path: &Path, channels: usize) -> Result<Arc<dyn Source>, DataError> {
    let options = OpenOptions {
        channels,
        ..OpenOptions::default()
    };
    open(&path.display().to_string(), Split::Train, &options)
}

#[test]
fn arrays_of_every_type_and_order() {
    let read = |file: &[u8], channels| decode(file, channels, 1000).unwrap();
    // Twenty rows, so that the channels are the last axis.
    let bytes: Vec<u8> = (0..20 * 3 * 2).collect();
    let image = read(&npy("|u1", "(20, 3, 2)", false, &bytes), 2);
    assert_eq!((image.size(), image.channels), ([3, 20], 2));
    assert_eq!(image.samples, bytes.clone().into());
    // The same by channels first, and by columns.
    let first: Vec<u8> = (0..2)
        .flat_map(|channel| bytes.iter().skip(channel).step_by(2).copied())
        .collect();
    let wide = npy("|u1", "(2, 20, 3)", false, &first);
    assert!(matches!(
        decode(&wide, 5, 1000),
        Err(ImageProblem::Unsupported { .. })
    ));
    assert_eq!(read(&wide, 2).samples, bytes.clone().into());
    let mut by_columns = vec![0; bytes.len()];
    for (place, &byte) in bytes.iter().enumerate() {
        let (y, x, c) = (place / 6, place / 2 % 3, place % 2);
        by_columns[y + 20 * x + 60 * c] = byte;
    }
    let image = read(&npy("|u1", "(20, 3, 2)", true, &by_columns), 2);
    assert_eq!(image.samples, bytes.into());
    // Gray as RGB, in 16 bits of both byte orders and as floats.
    let image = read(&npy("<u2", "(1, 2)", false, &[1, 2, 0, 255]), 3);
    assert_eq!(
        image.samples,
        vec![513u16, 513, 513, 65_280, 65_280, 65_280].into()
    );
    let image = read(&npy(">u2", "(1, 2)", false, &[1, 2, 0, 255]), 1);
    assert_eq!(image.samples, vec![258u16, 255].into());
    let floats: Vec<u8> = [-7.5f64, 1e5]
        .iter()
        .flat_map(|v| v.to_be_bytes())
        .collect();
    let image = read(&npy(">f8", "(2, 1)", false, &floats), 1);
    assert_eq!(
        (image.size(), &image.samples),
        ([1, 2], &vec![-7.5f32, 1e5].into())
    );
    let image = read(&npy("<f2", "(1, 1)", false, &[0x00, 0x3C]), 1);
    assert_eq!(image.samples, vec![1.0f32].into());
}

#[test]
fn arrays_that_are_no_images_are_refused_by_name() {
    let refused = |file: &[u8]| decode(file, 3, 1000).unwrap_err().to_string();
    for (file, words) in [
        (npy("<i8", "(2, 1)", false, &[0; 16]), "int64"),
        (npy("|b1", "(2, 1)", false, &[0; 2]), "bool"),
        (npy("<c8", "(2, 1)", false, &[0; 16]), "complex64"),
        (npy("|u1", "(4, 5, 4)", false, &[0; 80]), "(4, 5, 4)"),
        (
            npy("|u1", "(2, 20, 3, 3)", false, &[0; 360]),
            "several images",
        ),
        (npy("|u1", "(7,)", false, &[0; 7]), "(7,)"),
        (npy("|u1", "(2, 3)", false, &[0; 5]), "5 bytes"),
        (npy("|u1", "(0, 3)", false, &[]), "nothing to see"),
        (npy("|u1", "(2000, 3)", false, &[]), "more than the limit"),
        (npy("|u1", "(20, 3, 5)", false, &[0; 300]), "5 channels"),
        (
            npy(
                "<f4",
                "(1, 2)",
                false,
                &f32::INFINITY.to_le_bytes().repeat(2),
            ),
            "inf at column 0",
        ),
    ] {
        let error = refused(&file);
        assert!(error.contains(words), "{words}: {error}");
    }
    let whole = npy("<u2", "(4, 5)", false, &[7; 40]);
    for end in 0..whole.len() {
        assert!(decode(&whole[..end], 3, 1000).is_err(), "{end}");
    }
}

#[test]
fn floats_beyond_what_normalization_is_for_are_refused_where_that_is_said() {
    let root = tempfile::tempdir().unwrap();
    let floats: Vec<u8> = [0.0f32, 200.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    write(root.path(), "1.npy", &npy("<f4", "(1, 2)", false, &floats));
    let spec = root.path().display().to_string();
    let with = |unit_floats| {
        let options = OpenOptions {
            channels: 1,
            unit_floats,
            ..OpenOptions::default()
        };
        open(&spec, Split::Train, &options).unwrap().image(0)
    };
    let refused = with(true).unwrap_err().to_string();
    assert!(
        refused.contains("from 0 to 200") && refused.contains("semaim stats"),
        "{refused}"
    );
    assert_eq!(with(false).unwrap().samples, vec![0.0f32, 200.0].into());
}

#[test]
fn arrays_are_images_where_there_are_no_others() {
    let array = npy("|u1", "(1, 1)", false, &[9]);
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a/1.npy", &array);
    write(root.path(), "b/2.NPY", &array);
    let source = train(root.path());
    assert_eq!(
        (reds(&source), labels(&source)),
        (vec![9, 9], vec![Some(0), Some(1)])
    );
    write(root.path(), "b/3.png", &png(1));
    assert_eq!(reds(&train(root.path())), [1]);
    let tar = root.path().join("set.tar");
    let members = [("a/1.npy", array.clone()), ("a/2.npy", array.clone())];
    fs::write(&tar, tars::tar_of(&members)).unwrap();
    assert_eq!(reds(&train(&tar)), [9, 9]);
    let members = [("a/1.npy", array.clone()), ("a/2.png", png(2))];
    fs::write(&tar, tars::tar_of(&members)).unwrap();
    assert_eq!(reds(&train(&tar)), [2]);
    // One that is named is one.
    assert_eq!(reds(&train(&root.path().join("a/1.npy"))), [9]);
    write(root.path(), "list.txt", b"a/1.npy 1\nb/3.png 0\n");
    let source = train(&root.path().join("list.txt"));
    assert_eq!(
        (reds(&source), labels(&source)),
        (vec![9, 1], vec![Some(1), Some(0)])
    );
}

#[test]
fn a_list_stacks_files() {
    let root = folder(&["1_rgb.png", "2_rgb.png"]);
    for (number, value) in [(1, 0x0102u16), (2, 0xFFFF)] {
        let array = npy("<u2", "(1, 1)", false, &value.to_le_bytes());
        write(root.path(), &format!("{number}_nir.npy"), &array);
    }
    let list = |name: &str, text: &str| {
        write(root.path(), name, text.as_bytes());
        root.path().join(name)
    };
    let comma = list(
        "a.csv",
        "rgb,nir,class\n1_rgb.png, 1_nir.npy ,forest\n\"2_rgb.png\",2_nir.npy,water\n",
    );
    let source = with(&comma, 4).unwrap();
    assert_eq!(source.classes(), ["forest", "water"]);
    assert!(
        source.describe().contains("2 images of 2 files each"),
        "{}",
        source.describe()
    );
    assert!(source.name(1).ends_with("2_rgb.png"));
    let Samples::U16(samples) = source.image(1).unwrap().samples else {
        panic!("16 bits are the deepest");
    };
    assert_eq!(samples, [257, 0, 0, 0xFFFF]);
    // Without labels, by tabs, in another order of the files, the same file twice.
    let tabs = list(
        "b.txt",
        "1_nir.npy\t1_rgb.png\t1_nir.npy\n2_nir.npy\t2_rgb.png\t2_nir.npy\n",
    );
    let source = with(&tabs, 5).unwrap();
    assert_eq!(labels(&source), [None, None]);
    assert_eq!(
        source.image(0).unwrap().samples,
        vec![0x0102u16, 0, 0, 0, 0x0102].into()
    );
    // What does not fit is a bad image, or a bad line.
    let error = with(&comma, 3).unwrap().image(0).unwrap_err();
    assert!(
        error.to_string().contains("(3 + 1), and 3 are wanted"),
        "{error}"
    );
    write(
        root.path(),
        "2_nir.npy",
        &npy("|u1", "(2, 1)", false, &[1, 2]),
    );
    let error = with(&comma, 4).unwrap().image(1).unwrap_err().to_string();
    assert!(error.contains("1x1") && error.contains("1x2"), "{error}");
    for (text, words) in [
        (
            "1_rgb.png,1_nir.npy,a\n2_rgb.png,2_nir.npy,1_nir.npy,b\n",
            "3 files here and 2",
        ),
        ("1_rgb.png,1_nir.npy,a,b\n2_rgb.png,2_nir.npy,c,d\n", "`b`"),
    ] {
        let error = with(&list("bad.csv", text), 4).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("line"), "{error}");
    }
    // One file and a label is a list as before.
    let plain = list("plain.csv", "1_rgb.png,1_nir.npy\n2_rgb.png,x\n");
    assert_eq!(with(&plain, 3).unwrap().classes(), ["1_nir.npy", "x"]);
}
