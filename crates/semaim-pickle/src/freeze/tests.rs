//! Objects that hold each other in ways that no tree has.

use super::DEPTH;
use crate::rendered::{fault, python};
use crate::value::Value;

#[test]
fn an_object_that_holds_itself_is_refused_with_its_path() {
    assert_eq!(fault(b"]q\x00h\x00a."), "at `0`: an object holds itself");
    let text = fault(b"}q\x00(U\x01a}(U\x01b]h\x00auu.");
    assert_eq!(text, "at `a.b.0`: an object holds itself");
    let text = fault(b"cm\nC\n)\x81q\x00}U\x04selfh\x00sb.");
    assert!(text.ends_with("an object holds itself"), "{text}");
    // As its own key.
    assert!(fault(b"}q\x00h\x00Ns.").ends_with("an object holds itself"));
}

#[test]
fn an_object_that_holds_itself_and_is_thrown_away_does_no_harm() {
    assert_eq!(python(b"]q\x00h\x00a0K\x01."), "1");
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| [&b"N"[..], &b"\x85".repeat(depth), b"."].concat();
    assert!(python(&nested(DEPTH)).starts_with("((("));
    let text = fault(&nested(DEPTH + 2));
    assert!(text.contains("more than 256 deep"), "{text}");
    let text = fault(&nested(100_000));
    assert!(
        text.contains("more than 256 deep") || text.contains("out of proportion"),
        "{text}"
    );
}

/// Twice the same deep object, the second time in a deep place.
#[test]
fn depth_is_bounded_for_shared_objects_too() {
    let half = DEPTH / 2 + 10;
    let deep = [
        &b"N"[..],
        &b"\x85".repeat(half),
        b"q\x00h\x00",
        &b"\x85".repeat(half),
        b"\x86.",
    ]
    .concat();
    assert!(fault(&deep).contains("more than 256 deep"));
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    assert_eq!(
        fault(b"}(U\x01aNU\x01aNu."),
        "at ``: the key `a` stands twice"
    );
    assert_eq!(
        fault(b"]}(K\x05NK\x05Nua."),
        "at `0`: the key `5` stands twice"
    );
    assert_eq!(python(b"}(K\x05NU\x015Nu."), "{5: None, '5': None}");
}

#[test]
fn shared_objects_stay_shared() {
    let Value::Tuple(items) = crate::rendered::load(b"]q\x00h\x00\x86.").unwrap() else {
        panic!("no tuple");
    };
    let [Value::List(a), Value::List(b)] = &*items else {
        panic!("no lists");
    };
    assert!(std::sync::Arc::ptr_eq(a, b));
}

/// Each list holds the one before it twice: 2^200 objects in 1 kB.
#[test]
fn objects_shared_exponentially_are_refused() {
    let mut laughs = b"]q\x00".to_vec();
    for _ in 0..200 {
        laughs.extend(b"0h\x00h\x00\x86q\x00");
    }
    laughs.push(b'.');
    assert!(fault(&laughs).contains("shared so often"));
    // The same in the arguments of a call, in a state and in a key.
    let base = &laughs[..laughs.len() - 1];
    for tail in [
        &b"q\x000cm\nf\nh\x00R."[..],
        b"q\x000cm\nf\n)Rh\x00b.",
        b"q\x000}h\x00Ns.",
    ] {
        let text = fault(&[base, tail].concat());
        assert!(text.contains("shared so often"), "{text}");
    }
}

/// One long key, used at every level: few objects with long paths.
#[test]
fn paths_of_shared_keys_are_bounded() {
    let key = [&b"B\x00\x00\x01\x00"[..], &b"k".repeat(1 << 16)].concat();
    let key = [b"X", &key[1..], b"q\x000"].concat();
    let mut pickle = [&key[..], b"cm\nC\n"].concat();
    for _ in 0..200 {
        pickle.extend(b"q\x010}h\x00h\x01s");
    }
    pickle.push(b'.');
    assert!(fault(&pickle).contains("shared so often"));
}

/// The deepest tree that is read, walked over, printed and dropped on a stack an eighth as large as that of a thread.
#[test]
fn the_deepest_tree_needs_little_stack() {
    let objects = [&b"N"[..], &b"q\x000cm\nC\n)\x81h\x00b".repeat(DEPTH), b"."].concat();
    let keyed = [&b"N"[..], &b"q\x000}Nh\x00s".repeat(DEPTH), b"."].concat();
    let appended = [
        &b"N"[..],
        &b"q\x000cm\nC\n)\x81h\x00a".repeat(DEPTH / 2),
        b".",
    ]
    .concat();
    for pickle in [objects, keyed, appended] {
        let walk = move || {
            let root = crate::rendered::load(&pickle).unwrap();
            let checkpoint = crate::Checkpoint { root };
            assert!(checkpoint.tensors().is_empty());
            assert!(checkpoint.get("None.None.x").is_none());
            checkpoint.opaque().len() + format!("{checkpoint:?}").len()
        };
        let small = std::thread::Builder::new().stack_size(256 << 10);
        assert!(small.spawn(walk).unwrap().join().unwrap() > DEPTH);
    }
}
