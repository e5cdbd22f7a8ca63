//! Files that are refused, and what is said of them.

use semaim_pickle::{Checkpoint, Error};

use crate::support::pickle::{
    LEGACY_HEAD, SYSTEM, Storage, dict, entries, legacy, text, whole, zipped,
};
use crate::support::zip::{Entry, Form, archive};

#[track_caller]
fn refused(file: impl Into<Vec<u8>>, expected: &str) {
    let error = Checkpoint::from_bytes(file.into()).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

fn storage() -> Storage {
    Storage {
        class: "ByteStorage",
        key: "0",
        elements: 4,
        bytes: vec![1, 2, 3, 4],
    }
}

#[test]
fn files_of_other_kinds_are_refused_by_name() {
    refused("", "an empty file");
    refused("\x7fELF and so on", "no checkpoint of PyTorch");
    refused(whole(b"}"), "a pickle that torch.save did not write");
    refused("(dp0\n.", "a pickle that torch.save did not write");
    refused(
        *b"\x80\x04\x95\x05\0\0\0\0\0\0\0M\xe9\x03\x94.",
        "a pickle that torch.save did not write",
    );
    refused(*b"\x40\0\0\0\0\0\0\0{\"a\":1}", "a safetensors file");
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    refused(
        tar,
        "a tar archive, as torch.save wrote before version 0.1.10",
    );
}

#[test]
fn paths_that_are_no_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Checkpoint::open(&folder.path().join("none.pth")).unwrap_err();
    assert!(matches!(missing, Error::Io(_)));
    assert!(Checkpoint::open(folder.path()).is_err());
    let path = folder.path().join("bad.pth");
    std::fs::write(&path, "text").unwrap();
    let content = Checkpoint::open(&path).unwrap_err();
    assert!(matches!(content, Error::NotPytorch { .. }));
}

#[test]
fn archives_without_one_pickle_are_refused() {
    let of = |names: &[&str]| {
        let entries: Vec<Entry> = names
            .iter()
            .map(|name| Entry::stored(name, b"N."))
            .collect();
        archive(&entries, Form::Wide)
    };
    refused(of(&[]), "no checkpoint of PyTorch");
    // What another library wrote is not damaged.
    let other =
        "is a zip that torch.save did not write (NumPy's .npz, torch.export's .pt2 are such)";
    refused(archive(&[], Form::Narrow), other);
    refused(of(&["data.pkl", "/data.pkl", "a/b/data.pkl"]), other);
    refused(of(&["x.npy"]), other);
    refused(of(&["x/archive_format", "x/data/weights/weight_0"]), other);
    // Zeros take little room in the `.npz` of compressed arrays.
    let zeros = [Entry::deflated("x.npy", &vec![0; 8 << 20])];
    refused(archive(&zeros, Form::Wide), other);
    refused(of(&["a/data.pkl", "b/data.pkl"]), "2 entries `*/data.pkl`");
    refused(
        of(&["a/data.pkl", "a/byteorder"]),
        "neither `little` nor `big`",
    );
}

#[test]
fn storages_that_are_missing_or_short_are_refused() {
    let object = storage().tensor(0, &[4], &[1]);
    refused(zipped(&object, &[]), "storage `0` is not in the file");
    let mut short = storage();
    short.bytes.pop();
    refused(
        zipped(&object, &[short]),
        "storage `0` holds 3 bytes; its pickle says 4",
    );
    let mut all = entries(&whole(&object), "little", &[storage()]);
    for entry in &mut all {
        entry.checksum ^= 1;
    }
    refused(archive(&all, Form::Wide), "checksum");
}

#[test]
fn errors_of_pickles_tell_the_entry_the_place_and_the_opcode() {
    refused(
        zipped(b"K\x01)R", &[]),
        "name/data.pkl: opcode R at byte 5: takes something to call, found an integer",
    );
    let bytes = legacy(b"K\x01)R", &[]);
    let at = LEGACY_HEAD.len() + SYSTEM.len() + 5;
    refused(
        bytes,
        &format!("the pickle of the objects: opcode R at byte {at}:"),
    );
}

#[test]
fn legacy_files_that_are_not_whole_are_refused() {
    let object = storage().tensor(0, &[4], &[1]);
    let good = legacy(&object, &[storage()]);
    assert!(Checkpoint::from_bytes(good.clone()).is_ok());
    for length in 0..good.len() {
        assert!(
            Checkpoint::from_bytes(good[..length].to_vec()).is_err(),
            "{length}"
        );
    }
    let start = good.len() - 12;
    refused(
        &good[..good.len() - 1],
        &format!("takes 4 elements from byte {start} on, beyond the end of the file"),
    );
    let mut count = good.clone();
    count[start] = 5;
    refused(count, "storage `0` holds 5 elements; its pickle says 4");
    let mut count = good;
    count[start + 7] = 0x80;
    refused(count, "its pickle says 4");
}

#[test]
fn legacy_files_of_another_form_are_refused() {
    let with = |version: &[u8], keys: &[u8], object: &[u8]| {
        let magic = &LEGACY_HEAD[..15];
        [magic, &whole(version), SYSTEM, &whole(object), &whole(keys)].concat()
    };
    assert!(Checkpoint::from_bytes(with(b"M\xe9\x03", b"]", b"N")).is_ok());
    refused(
        with(b"M\xea\x03", b"]", b"N"),
        "the pickle of the version is not 1001",
    );
    refused(
        with(b"M\xe9\x03", b"}", b"N"),
        "the pickle of the storage keys is not a list of texts",
    );
    refused(
        with(b"M\xe9\x03", b"]Na", b"N"),
        "the pickle of the storage keys is not a list of texts",
    );
    let unknown = [b"]", &text("7")[..], b"a"].concat();
    refused(
        with(b"M\xe9\x03", &unknown, b"N"),
        "storage `7` has a type that is not read, or none",
    );
    let object = storage().tensor(0, &[4], &[1]);
    refused(
        with(b"M\xe9\x03", b"]", &object),
        "storage `0` is not in the file",
    );
}

/// A storage of 2^31 - 1 doubles and a tensor of as many, in a small file.
#[test]
fn sizes_are_not_believed() {
    let mut huge = storage();
    huge.class = "DoubleStorage";
    huge.elements = i32::MAX;
    let object = huge.tensor(0, &[i32::MAX], &[1]);
    refused(
        zipped(&object, &[huge.clone()]),
        "its pickle says 17179869176",
    );
    refused(legacy(&object, &[huge]), "beyond the end of the file");
    let negative = storage().tensor(-1, &[1], &[1]);
    refused(zipped(&negative, &[storage()]), "a negative number");
}

#[test]
fn an_inflated_storage_out_of_proportion_is_refused() {
    let mut zeros = storage();
    zeros.elements = 8 << 20;
    let object = zeros.tensor(0, &[zeros.elements], &[1]);
    let mut all = entries(&whole(&object), "little", &[]);
    all.push(Entry::deflated("name/data/0", &vec![0; 8 << 20]));
    refused(archive(&all, Form::Wide), "out of proportion");
    // A pickle that inflates to the same.
    let flood = [b"\x80\x02", &b"}".repeat(8 << 20)[..], b"."].concat();
    let pickle = [Entry::deflated("name/data.pkl", &flood)];
    refused(archive(&pickle, Form::Wide), "out of proportion");
}

/// `{"a": {"b": x}, "a.b": y}` has two tensors of one path.
#[test]
fn one_name_of_two_tensors_is_neither_of_them() {
    let tensor = |offset| storage().tensor(offset, &[2], &[1]);
    let object = |second| {
        let below = dict(&[("b", tensor(0))]);
        dict(&[("a", below), ("a.b", tensor(second)), ("c", tensor(0))])
    };
    let read = |second| Checkpoint::from_bytes(zipped(&object(second), &[storage()])).unwrap();
    let found = read(2);
    let error = found.tensors["a.b"].read().unwrap_err();
    assert!(
        error.to_string().contains("two different tensors"),
        "{error}"
    );
    // It does not hide the rest, and the same one twice is no matter.
    assert!(found.tensors["c"].read().is_ok());
    assert!(read(0).tensors["a.b"].read().is_ok());
}
