//! The functions that are imitated.

use crate::recorded::{ARRAYS, COLLECTIONS, NUMBERS};
use crate::rendered::{fault, python};

#[test]
fn collections_are_the_same_in_all_protocols() {
    for pickle in COLLECTIONS {
        assert_eq!(
            python(pickle),
            "({'x': 1, 'y': 2}, {'a': [1]}, {'a': 2, 'b': 1})"
        );
    }
}

#[test]
fn numbers_of_numpy_are_the_same_in_all_protocols() {
    for pickle in NUMBERS {
        assert_eq!(python(pickle), "[2.5, -7, True, 65535, 0.5]");
    }
}

#[test]
fn arrays_of_numpy_are_the_same_in_all_protocols() {
    for (protocol, pickle) in ARRAYS.iter().enumerate() {
        let text = python(pickle);
        let plain = "[Tensor(int16, [2, 3])[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], \
                     Tensor(float32, [2, 3])[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], <numpy._core.";
        assert!(text.starts_with(plain), "{protocol}: {text}");
        // Complex numbers are not read, so their array stays opaque.
        assert!(text.contains("<numpy.dtype('c16', False, True)"), "{text}");
    }
}

#[test]
fn an_array_larger_than_its_bytes_is_refused() {
    // The first array of protocol 3, its shape (2, 3) made (2, 4).
    let pickle = ARRAYS[3];
    let at = pickle
        .windows(4)
        .position(|four| four == b"K\x02K\x03")
        .unwrap();
    let mut larger = pickle.to_vec();
    larger[at + 3] = 4;
    let text = fault(&larger);
    assert!(
        text.contains("opcode BUILD") && text.contains("reaches beyond"),
        "{text}"
    );
}

#[test]
fn python_2_writes_ordered_dictionaries_as_lists_of_pairs() {
    let pickle = b"ccollections\nOrderedDict\n]](U\x01aK\x01ea](U\x01bK\x02ea\x85R.";
    assert_eq!(python(pickle), "{'a': 1, 'b': 2}");
}

#[test]
fn containers_of_other_forms_stay_opaque() {
    assert_eq!(
        python(b"ccollections\nOrderedDict\nK\x01\x85R."),
        "<collections.OrderedDict(1)>"
    );
    assert_eq!(
        python(b"ccollections\ndeque\n]\x85R."),
        "<collections.deque([])>"
    );
    assert_eq!(python(b"cbuiltins\nset\nK\x01\x85R."), "<builtins.set(1)>");
    assert_eq!(
        python(b"cbuiltins\neval\nU\x011\x85R."),
        "<builtins.eval('1')>"
    );
    assert_eq!(
        python(b"c_codecs\nencode\nU\x01aU\x05utf-8\x86R."),
        "<_codecs.encode('a', 'utf-8')>"
    );
}

#[test]
fn sizes_and_attributes_are_plain() {
    assert_eq!(python(b"ctorch\nSize\nK\x02K\x03\x86\x85R."), "(2, 3)");
    // The versions that a state dictionary carries as an attribute.
    assert_eq!(
        python(b"ccollections\nOrderedDict\n)RU\x01aK\x01s}U\x09_metadataNsb."),
        "{'a': 1}"
    );
}

#[test]
fn bytes_written_as_text_are_bytes_again() {
    let encode = |text: &str| {
        let length = [text.len() as u8];
        let text = [b"U", &length[..], text.as_bytes()].concat();
        [b"c_codecs\nencode\n", &text[..], b"U\x06latin1\x86R."].concat()
    };
    assert_eq!(python(&encode("aÿ")), "b'a\\xff'");
    let text = fault(&encode("€"));
    assert!(text.ends_with("not valid Latin-1"), "{text}");
    assert_eq!(python(b"cbuiltins\nbytes\n)R."), "b''");
}

/// A few bytes that copy a long list each time they are repeated.
#[test]
fn repeated_copies_are_over_budget() {
    let long = [b"(", &b"N".repeat(5000)[..], b"l\x85q\x010"].concat();
    for function in ["cbuiltins\nlist\n", "cbuiltins\nset\n", "ctorch\nSize\n"] {
        let head = [function.as_bytes(), b"q\x020", &long].concat();
        let flood = [head, b"h\x02h\x01R0".repeat(5000)].concat();
        let text = fault(&flood);
        assert!(text.contains("out of proportion"), "{function}: {text}");
    }
}
