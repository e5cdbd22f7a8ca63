//! Files damaged in a thousand ways: whatever they have become, reading them ends, and takes no more memory than
//! their size warrants.

// A test says what is wrong by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod counting;
#[path = "../support/mod.rs"]
mod support;

use semaim_pickle::Checkpoint;
use semaim_random::{Key, KeyedRng, Stream};

use counting::peak_of;
use support::pickle::{Storage, dict, legacy, zipped};
use support::zip::{Entry, Form, archive};
use support::{FILES, folder};

/// What reading may take at most: the file itself, and 32 bytes per byte of it and 1 MiB for all objects, which may be twice
/// as much while a list of them grows. Values as float32 come on top.
fn bound(length: usize) -> usize {
    length + 2 * (32 * length + (1 << 20))
}

/// Reads a file, and all tensors of it, as a user would; gives whether it could be read.
fn exercise(file: &[u8], what: &str) -> bool {
    let length = file.len();
    let (read, peak) = peak_of(|| Checkpoint::from_bytes(file.to_vec()));
    assert!(
        peak <= bound(length),
        "{what}: {peak} bytes for a file of {length}"
    );
    let Ok(read) = read else {
        return false;
    };
    let ((), peak) = peak_of(|| {
        // Many tensors may share a storage: a hundred of them say what there is to say.
        for (path, tensor) in read.tensors.iter().take(100) {
            let _ = tensor.read();
            assert!(path.len() <= 1 << 16, "{what}");
        }
    });
    // Paths and the values of one tensor.
    assert!(
        peak <= 2 * bound(length),
        "{what}: {peak} bytes for the tensors of a file of {length}"
    );
    drop(read);
    true
}

/// Damages some bytes in one of a few ways.
fn damage(bytes: &mut Vec<u8>, draw: &mut KeyedRng) -> &'static str {
    let length = bytes.len() as u64;
    let at = draw.below(length.max(1)) as usize;
    if bytes.is_empty() {
        return "nothing";
    }
    match draw.below(7) {
        0 => {
            bytes[at] ^= 1 << draw.below(8);
            "a bit flipped"
        }
        1 => {
            bytes[at] = draw.below(256) as u8;
            "a byte changed"
        }
        2 => {
            bytes.truncate(at);
            "cut"
        }
        3 => {
            let new: Vec<u8> = (0..1 + draw.below(8))
                .map(|_| draw.below(256) as u8)
                .collect();
            bytes.splice(at..at, new);
            "bytes inserted"
        }
        4 => {
            let end = bytes.len().min(at + 1 + draw.below(64) as usize);
            bytes.drain(at..end);
            "bytes removed"
        }
        5 => {
            // A piece from one place to another.
            let from = draw.below(length) as usize;
            let end = bytes.len().min(from + 1 + draw.below(64) as usize);
            let piece = bytes[from..end].to_vec();
            bytes.splice(at..at, piece);
            "a piece copied"
        }
        _ => {
            // Sizes are fields of one to eight bytes.
            let end = bytes.len().min(at + (1 << draw.below(4)));
            bytes[at..end].fill(0xFF);
            "a size made huge"
        }
    }
}

#[test]
fn a_thousand_damaged_files_do_no_harm() {
    let files: Vec<Vec<u8>> = FILES
        .iter()
        .map(|name| std::fs::read(folder().join(name)).unwrap())
        .collect();
    let mut read = 0;
    for case in 0..1000 {
        let mut draw = KeyedRng::new(Key::new(1, 0, case), Stream::Shapes);
        let mut file = files[case as usize % files.len()].clone();
        // Where the objects are described: the rest is bytes of storages, which mean nothing.
        let range = match (file.starts_with(b"PK"), draw.bernoulli(0.5)) {
            (true, true) => 0..file.len() / 20,
            (true, false) => file.len() - file.len() / 40..file.len(),
            (false, _) => 0..6000,
        };
        let mut part = file[range.clone()].to_vec();
        let mut done = Vec::new();
        for _ in 0..1 + draw.below(3) {
            done.push(damage(&mut part, &mut draw));
        }
        file.splice(range, part);
        read += usize::from(exercise(&file, &format!("case {case}, {done:?}")));
    }
    // Some damage hits what does not matter; most of it is noticed.
    println!("{read} of 1000 could still be read");
    assert!((1..1000).contains(&read), "{read}");
}

/// The small pickle of a checkpoint.
fn object() -> (Vec<u8>, [Storage; 1]) {
    let storage = Storage {
        class: "FloatStorage",
        key: "0",
        elements: 6,
        bytes: vec![1; 24],
    };
    let model = dict(&[
        ("a", storage.tensor(0, &[2, 3], &[3, 1])),
        (
            "b",
            [
                b"(",
                &storage.tensor(0, &[3, 2], &[1, 3])[..],
                b"cm\nC\n)\x81}b]K\x01aK\x02a\x8fl",
            ]
            .concat(),
        ),
    ]);
    (dict(&[("model", model)]), [storage])
}

/// Damaged pickles with the right check sums, so that the damage gets through to what reads pickles.
#[test]
fn ten_thousand_damaged_pickles_do_no_harm() {
    let (object, storages) = object();
    let good = zipped(&object, &storages);
    assert!(exercise(&good, "the good file"));
    assert!(exercise(
        &legacy(&object, &storages),
        "the good legacy file"
    ));
    let mut read = 0;
    for case in 0..10_000 {
        let mut draw = KeyedRng::new(Key::new(2, 0, case), Stream::Shapes);
        let mut pickle = [b"\x80\x02", &object[..], b"."].concat();
        let mut done = Vec::new();
        for _ in 0..1 + draw.below(3) {
            done.push(damage(&mut pickle, &mut draw));
        }
        let file = if draw.bernoulli(0.5) {
            let entries = [
                Entry::stored("n/data.pkl", &pickle),
                Entry::stored("n/data/0", &storages[0].bytes),
            ];
            archive(&entries, Form::Narrow)
        } else {
            let mut file = legacy(&object, &storages);
            let start = file
                .windows(8)
                .position(|part| part == &object[..8])
                .unwrap()
                - 2;
            file.splice(start..start + object.len() + 3, pickle);
            file
        };
        read += usize::from(exercise(&file, &format!("case {case}, {done:?}")));
    }
    println!("{read} of 10000 could still be read");
    assert!((1..10_000).contains(&read), "{read}");
}

/// Damaged pickles of arrays, whose numbers stand in them.
#[test]
fn damaged_pickles_of_arrays_do_no_harm() {
    let mut read = 0;
    for case in 0..8000 {
        let name = format!("tests/data/arrays.protocol{}.pkl", 2 + case % 4);
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let mut file = std::fs::read(path).unwrap();
        let mut draw = KeyedRng::new(Key::new(3, 0, case), Stream::Shapes);
        let mut done = Vec::new();
        for _ in 0..1 + draw.below(3) {
            done.push(damage(&mut file, &mut draw));
        }
        read += usize::from(exercise(&file, &format!("case {case}, {done:?}")));
    }
    println!("{read} of 8000 could still be read");
    assert!((1..8000).contains(&read), "{read}");
}

/// Pickles that ask for as much memory as they can with each of their bytes: one piece, repeated to a megabyte. Some
/// are within what their size warrants and some are not; none takes more.
#[test]
fn floods_stay_within_the_bound() {
    let tensor = b"ctorch._utils\n_rebuild_tensor\nq\x000(U\x07storagectorch\nByteStorage\nU\x010U\x03cpuK\x01tQq\x010\
                   (K\x01K\x01K\x01K\x01tq\x020";
    let text = [b"X\x00\x10\x00\x00", &b"t".repeat(4096)[..], b"q\x000"].concat();
    let cases: [(&[u8], &[u8], &[u8]); 29] = [
        (b"(", b"N", b"t."),
        (b"(", b"N", b"l."),
        (b"](", b"N", b"e."),
        (b"]", b"Na", b"."),
        (b"](", b"]", b"e."),
        (b"](", b"}", b"e."),
        (b"](", b")", b"e."),
        (b"](", b"\x8f", b"e."),
        (b"](", b"]\x94", b"e."),
        (b"](", b"U\x00", b"e."),
        (b"](", b"C\x00", b"e."),
        (b"](", b"U\x04abcd", b"e."),
        (b"](", b"K\x07", b"e."),
        (
            b"](",
            b"(NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNlNa",
            b"e.",
        ),
        (b"](", b"]Na", b"e."),
        (b"](", b"(NNdNNs", b"e."),
        (b"](", b"G\x00\x00\x00\x00\x00\x00\x00\x00", b"e."),
        (b"](", b"N\x85", b"e."),
        (b"](", b"cm\nC\n", b"e."),
        (b"](", b"cm\nC\n)R", b"e."),
        (b"cm\nC\nq\x000](", b"h\x00)R", b"e."),
        (b"cm\nC\n)R", b"Na", b"."),
        (b"](", b"(", b"e."),
        (b"N", b"\x85", b"."),
        (b"", b"]", b"."),
        (tensor, b"h\x00(h\x01K\x00h\x02h\x02tR", b"."),
        (&text, b"c_codecs\nencode\nh\x00U\x06latin1\x86R", b"."),
        (&text, b"(h\x00h\x00h\x00h\x00l", b"."),
        (&text, b"}h\x00h\x00s", b"."),
    ];
    let array =
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR(K\x01K\x01\x85\
                  cnumpy\ndtype\nU\x02f4\x89\x88\x87R\x89C\x04abcdtb";
    for size in [1 << 14, 1 << 17, 1 << 20] {
        for piece in [&array[..], b"C\x00"] {
            let file = [b"\x80\x03](", &piece.repeat(size / piece.len())[..], b"e."].concat();
            exercise(&file, &format!("{size} bytes of {}", piece.escape_ascii()));
        }
    }
    for (head, piece, tail) in cases {
        let mut read = 0;
        for size in [1 << 14, 1 << 17, 1 << 20] {
            let pickle = [head, &piece.repeat(size / piece.len()), tail].concat();
            let storage = [Entry::stored("n/data/0", b"1")];
            let entries = [&[Entry::stored("n/data.pkl", &pickle)], &storage[..]].concat();
            let what = format!("{} bytes of {}", size, piece.escape_ascii());
            read += usize::from(exercise(&archive(&entries, Form::Narrow), &what));
        }
        println!("{}: {read} of 3 sizes read", piece.escape_ascii());
    }
}

/// Archives of many entries, and of entries that inflate.
#[test]
fn large_directories_stay_within_the_bound() {
    for length in [0, 10, 200] {
        let mut entries = vec![Entry::stored("n/data.pkl", b"N.")];
        for index in 0..5000 {
            let name = format!("{index}{}", "x".repeat(length));
            entries.push(Entry::stored(&name, b""));
        }
        let file = archive(&entries, Form::Narrow);
        assert!(exercise(&file, "a large directory"));
    }
    let zeros = vec![0; 1 << 20];
    let entries: Vec<Entry> = (0..40)
        .map(|key| Entry::deflated(&format!("n/data/{key}"), &zeros))
        .collect();
    let storages = (0..40).flat_map(|key| {
        let id = format!("(U\x07storagectorch\nByteStorage\nI{key}\nU\x03cpuI1\ntQ");
        id.into_bytes()
    });
    let pickle: Vec<u8> = [b'('].into_iter().chain(storages).chain(*b"t.").collect();
    let entries = [&[Entry::stored("n/data.pkl", &pickle)], &entries[..]].concat();
    assert!(!exercise(&archive(&entries, Form::Wide), "forty bombs"));
}
