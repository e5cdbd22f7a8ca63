//! Small files in every form that is read.

use semaim_pickle::{Checkpoint, Dtype, TensorError};

use crate::support::pickle::{
    Storage, dict, entries, int, ints, legacy, text, tuple, whole, zipped,
};
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
        .tensors
        .into_iter()
        .map(|(path, t)| (path, t.dtype(), t.shape().to_vec(), t.read().unwrap()))
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
    let object = dict(&[("a", empty.tensor(0, &[0, 4], &[4, 1]))]);
    let read = Checkpoint::from_bytes(zipped(&object, &[])).unwrap();
    let tensor = &read.tensors["a"];
    assert_eq!((tensor.shape(), tensor.elements()), (&[0, 4][..], 0));
    assert_eq!(tensor.read().unwrap(), []);
}

#[test]
fn an_expanded_tensor_is_read_in_proportion_to_its_file() {
    let one = floats("0", &[3.0]);
    let file = |rows: i32| {
        zipped(
            &dict(&[("a", one.tensor(0, &[rows, 1000], &[0, 0]))]),
            std::slice::from_ref(&one),
        )
    };
    let small = Checkpoint::from_bytes(file(200)).unwrap();
    let values = small.tensors["a"].read().unwrap();
    assert_eq!(values, vec![3.0; 200_000]);
    let large = Checkpoint::from_bytes(file(i32::MAX)).unwrap();
    let tensor = &large.tensors["a"];
    assert_eq!(tensor.elements(), i32::MAX as usize * 1000);
    assert!(matches!(tensor.read(), Err(TensorError::TooLarge { .. })));
}

/// The objects of a scripted module: classes under `__torch__` with their attributes as state.
#[test]
fn attributes_of_objects_have_paths() {
    let (_, [weights, _]) = example();
    let class = |attributes: Vec<u8>| [b"c__torch__.m\nM\n)\x81", &attributes[..], b"b"].concat();
    let inner = class(dict(&[("weight", weights.tensor(0, &[6], &[1]))]));
    let outer = class(dict(&[("norm", inner)]));
    let read = Checkpoint::from_bytes(zipped(&outer, &[weights])).unwrap();
    assert!(read.tensors.keys().eq(["norm.weight"]));
    assert_eq!(read.classes, ["__torch__.m.M"]);
}

/// A module that was saved whole has the names of its state dictionary.
#[test]
fn whole_modules_are_read_as_their_state() {
    let (_, [weights, _]) = example();
    let tensor = || weights.tensor(0, &[6], &[1]);
    let empty = || dict(&[]);
    let class = |attributes: Vec<u8>| [b"c__main__\nNet\n)\x81", &attributes[..], b"b"].concat();
    let module = |parameters, buffers, modules| {
        class(dict(&[
            ("training", b"\x89".to_vec()),
            ("_parameters", parameters),
            ("_buffers", buffers),
            (
                "_non_persistent_buffers_set",
                [b"c__builtin__\nset\n(](", &text("mask")[..], b"etR"].concat(),
            ),
            ("_modules", modules),
            ("cache", tensor()),
        ]))
    };
    let inner = module(
        dict(&[("weight", tensor()), ("bias", b"N".to_vec())]),
        dict(&[("mask", tensor()), ("steps", tensor())]),
        empty(),
    );
    let outer = module(empty(), empty(), dict(&[("norm", inner)]));
    let read = Checkpoint::from_bytes(zipped(&outer, &[weights])).unwrap();
    assert!(read.tensors.keys().eq(["norm.steps", "norm.weight"]));
}

/// Objects that know what holds them, as the nodes of OmegaConf do, and dictionaries that stand in two places.
#[test]
fn objects_may_hold_themselves() {
    let (_, [weights, _]) = example();
    let state = dict(&[("w", weights.tensor(0, &[6], &[1]))]);
    let object = [
        b"}q\x00(",
        &text("state_dict")[..],
        &state,
        b"q\x01",
        &text("teacher"),
        b"h\x01",
        &text("config"),
        b"comegaconf.dictconfig\nDictConfig\n)\x81q\x02}(",
        &text("_parent"),
        b"h\x00",
        &text("_content"),
        b"}(",
        &text("optimizer"),
        b"comegaconf.dictconfig\nDictConfig\n)\x81}(",
        &text("_parent"),
        b"h\x02ubuub",
        &text("itself"),
        b"h\x00u",
    ]
    .concat();
    let read = Checkpoint::from_bytes(zipped(&object, &[weights])).unwrap();
    assert!(read.tensors.keys().eq(["state_dict.w", "teacher.w"]));
    assert_eq!(read.classes, ["omegaconf.dictconfig.DictConfig"]);
}

/// What decided against a reader that refuses a file for any tensor or key that it does not know.
#[test]
fn what_is_not_read_does_not_hide_the_rest() {
    let weights = floats("0", &[0.5, 1.5]);
    let other = |class, key, bytes| Storage {
        class,
        key,
        elements: 2,
        bytes: vec![0; bytes],
    };
    let complex = other("ComplexFloatStorage", "1", 16);
    let quantized = other("QInt8Storage", "2", 2);
    let bytes = other("UntypedStorage", "3", 2);
    let unheard = other("FutureStorage", "4", 5);
    let float8 = |name: &str| {
        let call = b"ctorch._utils\n_rebuild_tensor_v3\n(".to_vec();
        let class = format!("ctorch\n{name}\n").into_bytes();
        let rest = [int(0), ints(&[2]), ints(&[1]), b"\x89N".to_vec(), class];
        [call, bytes.id(), rest.concat(), b"tR".to_vec()].concat()
    };
    let sparse = [
        b"ctorch._utils\n_rebuild_sparse_tensor\n(N(",
        &weights.tensor(0, &[2], &[1])[..],
        b"ttR",
    ]
    .concat();
    let entry = |key: &[u8], value: &[u8]| [key, value].concat();
    let tensors = [
        entry(&text("w"), &weights.tensor(0, &[2], &[1])),
        entry(&text("freqs_cis"), &complex.tensor(0, &[2], &[1])),
        entry(&text("q"), &quantized.tensor(0, &[2], &[1])),
        entry(&text("f8"), &float8("float8_e4m3fn")),
        entry(&text("u16"), &float8("uint8")),
        entry(&text("new"), &unheard.tensor(0, &[2], &[1])),
        entry(&text("sparse"), &sparse),
        entry(b"K\x01K\x02\x86", b"N"),
        entry(b"N", b"G\x00\x00\x00\x00\x00\x00\x00\x00"),
        entry(
            &text("ema"),
            &[
                b"c__main__\nEma\n)\x81",
                &dict(&[("shadow", weights.tensor(0, &[2], &[1]))])[..],
                b"b",
            ]
            .concat(),
        ),
    ];
    let object = [b"}(", &tensors.concat()[..], b"u"].concat();
    let read = Checkpoint::from_bytes(zipped(
        &object,
        &[weights, complex, quantized, bytes, unheard],
    ))
    .unwrap();
    let dtypes: Vec<(&str, &str)> = read
        .tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor.dtype().name()))
        .collect();
    let unknown = "a type that is not known";
    assert_eq!(
        dtypes,
        [
            ("ema.shadow", "float32"),
            ("f8", "float8_e4m3fn"),
            ("freqs_cis", "complex64"),
            ("new", unknown),
            ("q", "qint8"),
            ("u16", "uint8"),
            ("w", "float32"),
        ]
    );
    assert_eq!(read.tensors["w"].read().unwrap(), [0.5, 1.5]);
    assert_eq!(read.tensors["u16"].read().unwrap(), [0.0, 0.0]);
    let unread = read.tensors["freqs_cis"].read();
    assert!(matches!(unread, Err(TensorError::Unread(_))));
}

/// A view whose numbers are negated or conjugated on reading says so beside its storage.
#[test]
fn tensors_with_properties_that_change_their_numbers_are_not_read() {
    let weights = floats("0", &[0.5, 1.5]);
    let with = |metadata: Vec<u8>| {
        let parts = [
            weights.id(),
            int(0),
            ints(&[2]),
            ints(&[1]),
            b"\x89".to_vec(),
            b"N".to_vec(),
            metadata,
        ];
        let call = b"ctorch._utils\n_rebuild_tensor_v2\n".to_vec();
        [call, tuple(&parts), b"R".to_vec()].concat()
    };
    let object = dict(&[
        ("empty", with(dict(&[]))),
        ("neg", with(dict(&[("neg", b"\x88".to_vec())]))),
        ("none", with(b"N".to_vec())),
        ("unset", with(dict(&[("conj", b"\x89".to_vec())]))),
    ]);
    let read = Checkpoint::from_bytes(zipped(&object, &[weights])).unwrap();
    for name in ["empty", "none", "unset"] {
        assert_eq!(read.tensors[name].read().unwrap(), [0.5, 1.5], "{name}");
    }
    let error = read.tensors["neg"].read().unwrap_err();
    assert!(matches!(error, TensorError::Unread(_)));
    assert!(error.to_string().contains("neg"), "{error}");
}

#[test]
fn of_a_key_that_is_set_again_the_last_counts() {
    let weights = floats("0", &[0.5, 1.5]);
    let at = |offset| weights.tensor(offset, &[1], &[1]);
    let object = dict(&[
        ("w", at(0)),
        ("v", at(0)),
        ("w", at(1)),
        ("v", b"N".to_vec()),
    ]);
    let read = Checkpoint::from_bytes(zipped(&object, &[weights])).unwrap();
    assert!(read.tensors.keys().eq(["w"]));
    assert_eq!(read.tensors["w"].read().unwrap(), [1.5]);
}

/// A tensor is read when it is asked for: damage elsewhere does not matter to it.
#[test]
fn numbers_are_read_when_they_are_asked_for() {
    let (object, storages) = example();
    let mut all = entries(&whole(&object), "little", &storages);
    for entry in &mut all {
        if entry.name == "name/data/1" {
            entry.content[0] ^= 1;
        }
    }
    let read = Checkpoint::from_bytes(archive(&all, Form::Wide)).unwrap();
    assert!(read.tensors["model.norm.weight"].read().is_ok());
}

#[test]
fn tensors_outlive_their_checkpoint() {
    let (object, storages) = example();
    let read = Checkpoint::from_bytes(zipped(&object, &storages)).unwrap();
    let tensor = read.tensors["model.steps"].clone();
    drop(read);
    assert_eq!(tensor.read().unwrap(), [7.0]);
}
