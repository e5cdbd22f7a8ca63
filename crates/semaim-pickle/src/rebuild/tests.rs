//! Tensors and the storages that they are views of.

use crate::rendered::{fault, load, python};

/// The persistent id of a storage of `elements` elements.
fn storage(class: &str, key: &str, elements: u8) -> Vec<u8> {
    let key = [b"U", &[key.len() as u8][..], key.as_bytes()].concat();
    let class = format!("ctorch\n{class}\n");
    [
        b"(U\x07storage",
        class.as_bytes(),
        &key,
        b"U\x03cpuK",
        &[elements],
        b"tQ",
    ]
    .concat()
}

/// `_rebuild_tensor_v2` of a storage with offset, shape and strides.
fn tensor(storage: &[u8], offset: u8, shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let tuple = |sizes: &[u8]| {
        let items = sizes.iter().flat_map(|&size| [b'K', size]);
        [b'(']
            .into_iter()
            .chain(items)
            .chain([b't'])
            .collect::<Vec<u8>>()
    };
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n(",
        storage,
        b"K",
        &[offset],
        &tuple(shape),
        &tuple(strides),
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat()
}

fn dot(pickle: &[u8]) -> Vec<u8> {
    [pickle, b"."].concat()
}

#[test]
fn a_tensor_is_a_view_of_its_storage() {
    let bytes = storage("ByteStorage", "0", 6);
    assert_eq!(
        python(&dot(&tensor(&bytes, 0, &[2, 3], &[3, 1]))),
        "Tensor(uint8, [2, 3])[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]"
    );
    assert_eq!(
        python(&dot(&tensor(&bytes, 1, &[2, 2], &[1, 3]))),
        "Tensor(uint8, [2, 2])[1.0, 4.0, 2.0, 5.0]"
    );
    assert_eq!(
        python(&dot(&tensor(&bytes, 5, &[3], &[0]))),
        "Tensor(uint8, [3])[5.0, 5.0, 5.0]"
    );
    assert_eq!(
        python(&dot(&tensor(&bytes, 4, &[], &[]))),
        "Tensor(uint8, [])[4.0]"
    );
    assert_eq!(
        python(&dot(&tensor(&bytes, 0, &[0, 7], &[7, 1]))),
        "Tensor(uint8, [0, 7])[]"
    );
}

#[test]
fn every_storage_class_has_its_type() {
    for (class, name, size) in [
        ("DoubleStorage", "float64", 8),
        ("FloatStorage", "float32", 4),
        ("HalfStorage", "float16", 2),
        ("BFloat16Storage", "bfloat16", 2),
        ("LongStorage", "int64", 8),
        ("IntStorage", "int32", 4),
        ("ShortStorage", "int16", 2),
        ("CharStorage", "int8", 1),
        ("ByteStorage", "uint8", 1),
        ("BoolStorage", "bool", 1),
    ] {
        let value = load(&dot(&tensor(&storage(class, "0", 2), 0, &[2], &[1]))).unwrap();
        let tensor = value.as_tensor().unwrap();
        assert_eq!(tensor.dtype().to_string(), name);
        assert_eq!(tensor.dtype().size(), size);
        assert_eq!(tensor.to_f32().unwrap().len(), 2);
        // A storage that is saved on its own is told by its class.
        let alone = python(&dot(&storage(class, "0", 2)));
        assert_eq!(alone, format!("<torch.{class}>"));
    }
}

#[test]
fn parameters_are_their_tensors() {
    let inner = tensor(&storage("ByteStorage", "0", 1), 0, &[1], &[1]);
    for function in ["_rebuild_parameter", "_rebuild_parameter_with_state"] {
        let function = format!("ctorch._utils\n{function}\n(");
        let pickle = [function.as_bytes(), &inner, b"\x88)tR}b."].concat();
        assert_eq!(python(&pickle), "Tensor(uint8, [1])[0.0]", "{function}");
    }
    let typed = [
        &b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor\ncm\nT\n("[..],
        &storage("ByteStorage", "0", 1),
        b"K\x00K\x01\x85K\x01\x85t}tR.",
    ]
    .concat();
    assert_eq!(python(&typed), "Tensor(uint8, [1])[0.0]");
}

#[test]
fn types_that_are_not_read_leave_the_rest_readable() {
    let complex = tensor(&storage("ComplexFloatStorage", "0", 2), 0, &[2], &[1]);
    let bytes = tensor(&storage("ByteStorage", "1", 1), 0, &[1], &[1]);
    let text = python(&[&b"]("[..], &complex, &bytes, b"e."].concat());
    assert!(
        text.starts_with("[<torch._utils._rebuild_tensor_v2(<torch.ComplexFloatStorage>"),
        "{text}"
    );
    assert!(text.ends_with("Tensor(uint8, [1])[0.0]]"), "{text}");
}

#[test]
fn a_tensor_beyond_its_storage_is_refused() {
    let bytes = storage("ByteStorage", "0", 6);
    for (offset, shape, strides) in [
        (1, [2, 3], [3, 1]),
        (0, [2, 4], [3, 1]),
        (0, [2, 3], [4, 1]),
    ] {
        let text = fault(&dot(&tensor(&bytes, offset, &shape, &strides)));
        assert!(
            text.contains("opcode REDUCE") && text.contains("reaches beyond its storage of 6"),
            "{text}"
        );
    }
    let text = fault(&dot(&tensor(&bytes, 0, &[6], &[1, 1])));
    assert!(
        text.contains("1 axes in its shape and 2 in its strides"),
        "{text}"
    );
}

#[test]
fn views_of_storages_count_from_their_start() {
    let view = |offset: u8, length: u8| {
        let bytes = storage("ByteStorage", "0", 6);
        let id = bytes.strip_suffix(b"tQ").unwrap();
        let view = [b'U', 1, b'v', b'K', offset, b'K', length, 0x87];
        [id, &view, b"tQ"].concat()
    };
    assert_eq!(
        python(&dot(&tensor(&view(2, 3), 1, &[2], &[1]))),
        "Tensor(uint8, [2])[3.0, 4.0]"
    );
    let text = fault(&dot(&tensor(&view(2, 3), 1, &[3], &[1])));
    assert!(text.contains("reaches beyond its storage of 3"), "{text}");
    let text = fault(&dot(&tensor(&view(2, 5), 0, &[1], &[1])));
    assert!(
        text.contains("a view of 5 elements from 2 on, in a storage of 6"),
        "{text}"
    );
}

#[test]
fn persistent_ids_of_other_forms_are_refused() {
    for pickle in [
        &b"U\x01aQ."[..],
        b")Q.",
        b"(U\x05otherK\x01tQ.",
        b"(U\x07storageK\x01U\x010U\x03cpuK\x01tQ.",
        b"(U\x07storagectorch\nByteStorage\nU\x010U\x03cpuJ\xff\xff\xff\xfftQ.",
        b"(U\x07storagectorch\nByteStorage\n)U\x03cpuK\x01tQ.",
        b"Pid\n.",
    ] {
        let text = fault(pickle);
        assert!(text.contains("PERSID at byte"), "{text}");
    }
    let twice = [
        storage("ByteStorage", "0", 6),
        storage("ByteStorage", "0", 7),
        b"\x86.".to_vec(),
    ];
    assert!(fault(&twice.concat()).contains("storage `0` has two types or sizes"));
    // A class with its source text, as whole models are saved.
    assert_eq!(
        python(b"(U\x06modulecm\nC\nU\x04fileU\x04texttQ)\x81."),
        "<m.C>"
    );
}

#[test]
fn calls_with_too_few_arguments_are_refused() {
    let text = fault(b"ctorch._utils\n_rebuild_tensor_v2\n)R.");
    assert!(text.contains("too few arguments"), "{text}");
    let text = fault(b"ctorch._utils\n_rebuild_tensor\n(NK\x00))tR.");
    assert!(text.contains("takes a storage, found None"), "{text}");
}
