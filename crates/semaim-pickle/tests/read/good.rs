//! Small files in every form that is read.

use semaim_pickle::{Checkpoint, Dtype, TensorError, Value};

use crate::support::pickle::{Storage, dict, entries, legacy, whole, zipped};
use crate::support::zip::{Entry, Form, archive};

fn floats(key: &'static str, values: &[f32]) -> Storage {
    Storage {
        class: "FloatStorage",
        key,
        elements: values.len() as i32,
        bytes: values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
    }
}

/// Two tensors of one storage and one of another, in two dictionaries.
fn example() -> (Vec<u8>, [Storage; 2]) {
    let weights = floats("0", &[0.5, 1.5, 2.5, 3.5, 4.5, 5.5]);
    let bytes = Storage {
        class: "CharStorage",
        key: "1",
        elements: 2,
        bytes: vec![0xFF, 7],
    };
    let model = dict(&[
        ("norm.weight", weights.tensor(0, &[2, 3], &[3, 1])),
        ("norm.weight_t", weights.tensor(0, &[3, 2], &[1, 3])),
        ("steps", bytes.tensor(1, &[], &[])),
    ]);
    (dict(&[("model", model)]), [weights, bytes])
}

#[track_caller]
fn check(file: Vec<u8>) {
    let read = Checkpoint::from_bytes(file).unwrap();
    let tensors: Vec<(String, Dtype, Vec<usize>, Vec<f32>)> = read
        .tensors()
        .into_iter()
        .map(|(path, t)| (path, t.dtype(), t.shape().to_vec(), t.to_f32().unwrap()))
        .collect();
    let expected = [
        (
            "model.norm.weight".to_string(),
            Dtype::F32,
            vec![2, 3],
            vec![0.5, 1.5, 2.5, 3.5, 4.5, 5.5],
        ),
        (
            "model.norm.weight_t".to_string(),
            Dtype::F32,
            vec![3, 2],
            vec![0.5, 3.5, 1.5, 4.5, 2.5, 5.5],
        ),
        ("model.steps".to_string(), Dtype::I8, vec![], vec![7.0]),
    ];
    assert_eq!(tensors, expected);
}

#[test]
fn archives_and_legacy_files_hold_the_same() {
    let (object, storages) = example();
    check(zipped(&object, &storages));
    check(legacy(&object, &storages));
}

#[test]
fn archives_of_all_forms_are_read() {
    let (object, storages) = example();
    let stored = entries(&whole(&object), "little", &storages);
    let deflated: Vec<Entry> = stored
        .iter()
        .map(|entry| Entry::deflated(&entry.name, &entry.content))
        .collect();
    // Files before version 2.0 do not tell their byte order.
    let untold: Vec<Entry> = stored
        .iter()
        .filter(|entry| entry.name != "name/byteorder")
        .cloned()
        .collect();
    for form in [Form::Narrow, Form::Wide] {
        check(archive(&stored, form));
        check(archive(&deflated, form));
        check(archive(&untold, form));
    }
}

#[test]
fn storages_of_the_other_byte_order_are_read() {
    let (object, mut storages) = example();
    let elements = storages[0].bytes.chunks_mut(4);
    elements.for_each(|element| element.reverse());
    check(archive(
        &entries(&whole(&object), "big", &storages),
        Form::Wide,
    ));
}

#[test]
fn a_storage_without_elements_may_be_missing() {
    let empty = floats("0", &[]);
    let object = empty.tensor(0, &[0, 4], &[4, 1]);
    let read = Checkpoint::from_bytes(zipped(&object, &[])).unwrap();
    let tensor = read.root.as_tensor().unwrap();
    assert_eq!((tensor.shape(), tensor.elements()), (&[0, 4][..], 0));
    assert_eq!(tensor.to_f32().unwrap(), []);
}

#[test]
fn an_expanded_tensor_is_read_in_proportion_to_its_file() {
    let one = floats("0", &[3.0]);
    let file = |rows: i32| {
        zipped(
            &one.tensor(0, &[rows, 1000], &[0, 0]),
            std::slice::from_ref(&one),
        )
    };
    let small = Checkpoint::from_bytes(file(200)).unwrap();
    let values = small.root.as_tensor().unwrap().to_f32().unwrap();
    assert_eq!(values, vec![3.0; 200_000]);
    let large = Checkpoint::from_bytes(file(i32::MAX)).unwrap();
    let tensor = large.root.as_tensor().unwrap();
    assert_eq!(tensor.elements(), i32::MAX as usize * 1000);
    assert!(matches!(tensor.to_f32(), Err(TensorError::TooLarge { .. })));
}

/// The objects of a scripted module: classes under `__torch__` with their attributes as state.
#[test]
fn attributes_of_objects_have_paths() {
    let (_, [weights, _]) = example();
    let class = |attributes: Vec<u8>| [b"c__torch__.m\nM\n)\x81", &attributes[..], b"b"].concat();
    let inner = class(dict(&[("weight", weights.tensor(0, &[6], &[1]))]));
    let outer = class(dict(&[("norm", inner)]));
    let read = Checkpoint::from_bytes(zipped(&outer, &[weights])).unwrap();
    let paths: Vec<String> = read.tensors().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["norm.weight"]);
    let opaque: Vec<String> = read
        .opaque()
        .into_iter()
        .map(|(path, object)| format!("{path}={}.{}", object.module, object.name))
        .collect();
    assert_eq!(opaque, ["=__torch__.m.M", "norm=__torch__.m.M"]);
    assert!(matches!(read.get("norm"), Some(Value::Opaque(_))));
}

#[test]
fn tensors_outlive_their_checkpoint() {
    let (object, storages) = example();
    let read = Checkpoint::from_bytes(zipped(&object, &storages)).unwrap();
    let tensor = read
        .get("model.steps")
        .and_then(Value::as_tensor)
        .unwrap()
        .clone();
    drop(read);
    assert_eq!(tensor.to_f32().unwrap(), [7.0]);
}
