use crate::checkpoint::Checkpoint;
use crate::rendered::{load, render};

/// A tensor of one byte.
const TENSOR: &[u8] = b"ctorch._utils\n_rebuild_tensor\n((U\x07storagectorch\nByteStorage\nU\x010U\x03cpuK\x01tQK\x00))tR";

fn checkpoint(parts: &[&[u8]]) -> Checkpoint {
    let root = load(&parts.concat()).unwrap();
    Checkpoint { root }
}

fn paths(checkpoint: &Checkpoint) -> Vec<String> {
    checkpoint
        .tensors()
        .into_iter()
        .map(|(path, _)| path)
        .collect()
}

#[test]
fn tensors_are_found_in_everything_that_holds_objects() {
    let all = checkpoint(&[
        b"}(U\x01a",
        TENSOR,
        b"K\x07](",
        TENSOR,
        b"N",
        TENSOR,
        b"\x85eU\x03b.c}U\x01d",
        TENSOR,
        b"sU\x01mcm\nM\n",
        TENSOR,
        b"\x85R}U\x01p",
        TENSOR,
        b"sbU\x01nK\x01u.",
    ]);
    let expected = ["a", "7.0", "7.2.0", "b.c.d", "m.p", "m.arguments.0"];
    assert_eq!(paths(&all), expected);
    for path in expected {
        assert!(all.get(path).unwrap().as_tensor().is_some(), "{path}");
    }
    assert_eq!(render(all.get("n").unwrap()), "1");
    assert_eq!(render(all.get("7.1").unwrap()), "None");
    for path in ["a.0", "7.3", "b", "b.c.d.", ".a", "m.q", "aa", "7."] {
        assert!(all.get(path).is_none(), "{path}");
    }
    let opaque = all.opaque();
    assert_eq!(opaque.len(), 1);
    assert_eq!(
        (&*opaque[0].0, &*opaque[0].1.module, &*opaque[0].1.name),
        ("m", "m", "M")
    );
}

#[test]
fn a_tensor_on_its_own_has_the_empty_path() {
    let alone = checkpoint(&[TENSOR, b"."]);
    assert_eq!(paths(&alone), [""]);
    assert!(alone.get("").unwrap().as_tensor().is_some());
}

#[test]
fn keys_that_are_no_text_have_paths() {
    let odd = checkpoint(&[
        b"}(N",
        TENSOR,
        b"\x88",
        TENSOR,
        b"G\x3f\xe0\x00\x00\x00\x00\x00\x00",
        TENSOR,
        b")",
        TENSOR,
        b"J\xff\xff\xff\xff",
        TENSOR,
        b"u.",
    ]);
    let expected = ["None", "True", "0.5", "<key 3>", "-1"];
    assert_eq!(paths(&odd), expected);
    for path in expected {
        assert!(odd.get(path).is_some(), "{path}");
    }
}

#[test]
fn a_key_that_starts_like_another_is_told_apart() {
    let two = checkpoint(&[b"}(U\x01a}U\x01xK\x01sU\x03a.bK\x02U\x02abK\x03u."]);
    assert_eq!(render(two.get("a.b").unwrap()), "2");
    assert_eq!(render(two.get("ab").unwrap()), "3");
    assert_eq!(render(two.get("a.x").unwrap()), "1");
}

#[test]
fn empty_keys_have_paths() {
    let empty = checkpoint(&[b"}U\x00}(U\x01x", TENSOR, b"U\x00", TENSOR, b"us."]);
    assert_eq!(paths(&empty), [".x", "."]);
    assert!(empty.get(".x").unwrap().as_tensor().is_some());
    assert!(empty.get(".").unwrap().as_tensor().is_some());
    assert!(empty.get("x").is_none());
}
