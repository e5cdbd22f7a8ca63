//! IDX files: MNIST and its like.

use super::said::said;
use super::*;

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
    assert_eq!(*pixels.bytes(), [7, 7, 7, 8, 8, 8]);
    assert!(source.name(1).ends_with("train-images-idx3-ubyte.gz#1"));
    assert!(source.image(2).is_err() && source.image(usize::MAX).is_err());
    let eval = opened(root.path(), Split::Eval).unwrap();
    assert_eq!((reds(&eval), labels(&eval)), (vec![9], vec![None]));
    let gray = OpenOptions {
        channels: 1,
        ..OpenOptions::default()
    };
    let spec = root.path().display().to_string();
    let image = open(&spec, Split::Train, &gray).unwrap().image(0).unwrap();
    assert_eq!(*image.bytes(), [5, 6]);
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
fn of_several_sets_none_is_guessed() {
    let root = tempfile::tempdir().unwrap();
    let one = |value: u8| idx(&[1, 1, 1], &[value]);
    let set = |name: &str, value: u8| write(root.path(), name, &one(value));
    set("train-images-idx3-ubyte", 1);
    set("t10k-images-idx3-ubyte", 2);
    set("val-images-idx3-ubyte", 3);
    assert_eq!(reds(&train(root.path())), [1]);
    // As with folders.
    assert_eq!(reds(&opened(root.path(), Split::Eval).unwrap()), [3]);
    // The same images once more, packed and under the other usual name.
    write(root.path(), "train-images.idx3-ubyte.gz", &gzip(&one(1)));
    assert_eq!(reds(&train(root.path())), [1]);
    set("letters-train-images-idx3-ubyte", 4);
    let error = opened(root.path(), Split::Train).unwrap_err();
    assert!(matches!(error, DataError::Spec { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("letters-train-images-idx3-ubyte"), "{text}");
    assert_eq!(reds(&opened(root.path(), Split::Eval).unwrap()), [3]);
}

#[test]
fn labels_are_found_in_any_case_and_other_images_are_told_of() {
    let root = tempfile::tempdir().unwrap();
    let images = idx(&[2, 1, 2], &[5, 6, 7, 8]);
    write(root.path(), "Train-Images-idx3-ubyte", &images);
    write(
        root.path(),
        "Train-Labels.idx1-ubyte.gz",
        &gzip(&idx(&[2], &[1, 0])),
    );
    write(root.path(), "photos/a.png", &png(1));
    let said = said(root.path(), || {
        assert_eq!(labels(&train(root.path())), [Some(1), Some(0)]);
    });
    let words = "those of Train-Images-idx3-ubyte; 1 image in other files is not read";
    assert!(said.iter().any(|text| text.contains(words)), "{said:?}");
}
