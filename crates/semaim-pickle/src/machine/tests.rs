//! The opcodes that move objects about, one group in a test.

use crate::recorded::{NAMESPACE, PLAIN};
use crate::rendered::{fault, load, python};
use crate::{ContentError, PickleFault};

fn pickle_fault(pickle: &[u8]) -> (usize, &'static str, PickleFault) {
    match load(pickle).unwrap_err() {
        ContentError::Pickle { source, .. } => (source.offset, source.opcode, source.fault),
        other => panic!("{other}"),
    }
}

#[test]
fn plain_objects_are_the_same_in_all_protocols() {
    for pickle in PLAIN {
        assert_eq!(
            python(pickle),
            "(set(1, 2), set(3), b'\\x00\\xff', b'ab', int[0, 0, 0, 0, 0, 0, 0, 0, 192], True, None, \
             [1.5, {'ü': (1)}], (), {}, [])"
        );
    }
}

#[test]
fn an_object_of_a_class_is_kept_by_name_in_all_protocols() {
    for pickle in NAMESPACE {
        let text = python(pickle);
        assert!(text.starts_with("<argparse.Namespace"), "{text}");
        assert!(text.ends_with(" state {'lr': 0.1, 'name': 'x'}>"), "{text}");
    }
}

#[test]
fn constants() {
    assert_eq!(python(b"N."), "None");
    assert_eq!(python(b"\x88."), "True");
    assert_eq!(python(b"\x89."), "False");
    assert_eq!(python(b"K\x07."), "7");
}

#[test]
fn stack_opcodes() {
    assert_eq!(python(b"K\x01K\x020."), "1", "POP");
    assert_eq!(python(b"K\x012\x86."), "(1, 1)", "DUP");
    assert_eq!(python(b"K\x01(K\x02K\x031."), "1", "POP_MARK");
    assert_eq!(python(b"K\x01(0."), "1", "POP of a mark");
    assert_eq!(pickle_fault(b"0."), (0, "POP", PickleFault::StackEmpty));
    assert_eq!(
        pickle_fault(b"K\x01(2."),
        (3, "DUP", PickleFault::StackEmpty)
    );
    assert_eq!(pickle_fault(b"."), (0, "STOP", PickleFault::StackEmpty));
    assert_eq!(pickle_fault(b"1."), (0, "POP_MARK", PickleFault::NoMark));
}

#[test]
fn tuples() {
    assert_eq!(python(b")."), "()");
    assert_eq!(python(b"K\x01\x85."), "(1)");
    assert_eq!(python(b"K\x01K\x02\x86."), "(1, 2)");
    assert_eq!(python(b"K\x01K\x02K\x03\x87."), "(1, 2, 3)");
    assert_eq!(python(b"((K\x01tK\x02t."), "((1), 2)");
    assert_eq!(
        pickle_fault(b"K\x01(K\x02\x86."),
        (5, "TUPLE2", PickleFault::StackEmpty),
        "not across a mark"
    );
}

#[test]
fn lists() {
    assert_eq!(python(b"]K\x01aK\x02a."), "[1, 2]");
    assert_eq!(python(b"](K\x01K\x02e(K\x03e."), "[1, 2, 3]");
    assert_eq!(python(b"(K\x01K\x02l."), "[1, 2]");
    assert_eq!(
        pickle_fault(b"}K\x01a.").2,
        PickleFault::Operand {
            expected: "a list to append to",
            found: "a dictionary"
        }
    );
    assert_eq!(pickle_fault(b"]e.").2, PickleFault::NoMark);
}

#[test]
fn dictionaries() {
    assert_eq!(python(b"}K\x01K\x02s."), "{1: 2}");
    assert_eq!(python(b"}(K\x01K\x02K\x03K\x04u."), "{1: 2, 3: 4}");
    assert_eq!(python(b"(K\x01K\x02d."), "{1: 2}");
    assert_eq!(pickle_fault(b"}(K\x01u.").2, PickleFault::OddItems);
    assert_eq!(pickle_fault(b"(K\x01d.").2, PickleFault::OddItems);
    assert!(matches!(
        pickle_fault(b"]K\x01K\x02s.").2,
        PickleFault::Operand {
            found: "a list",
            ..
        }
    ));
}

#[test]
fn sets() {
    assert_eq!(python(b"\x8f(K\x01K\x02\x90."), "set(1, 2)");
    assert_eq!(python(b"(K\x01\x91."), "set(1)");
}

#[test]
fn the_memo() {
    assert_eq!(python(b"]q\x00h\x00\x86."), "([], [])");
    assert_eq!(python(b"K\x01p10\ng10\n\x86."), "(1, 1)");
    assert_eq!(
        python(b"K\x01r\x00\x10\x00\x00j\x00\x10\x00\x00\x86."),
        "(1, 1)"
    );
    assert_eq!(
        python(b"K\x01\x94K\x02\x94h\x00h\x01\x86\x87."),
        "(1, 2, (1, 2))"
    );
    assert_eq!(pickle_fault(b"h\x07.").2, PickleFault::NoMemo { index: 7 });
    assert_eq!(pickle_fault(b"q\x00.").2, PickleFault::StackEmpty);
    // Numbers far beyond the others would take room for all between.
    assert!(matches!(
        pickle_fault(b"Nr\xff\xff\xff\xff.").2,
        PickleFault::Memory(_)
    ));
    assert_eq!(
        pickle_fault(b"Nq\x05h\x04.").2,
        PickleFault::NoMemo { index: 4 }
    );
}

/// A list that is changed after it was kept is changed wherever it is.
#[test]
fn kept_objects_are_shared() {
    assert_eq!(python(b"]q\x00h\x00K\x05a\x86."), "([5], [5])");
}

#[test]
fn classes_and_calls() {
    assert_eq!(python(b"cos\nsystem\n."), "<os.system>");
    assert_eq!(python(b"\x8c\x02os\x8c\x06system\x93."), "<os.system>");
    assert_eq!(
        python(b"cos\nsystem\nX\x02\x00\x00\x00ls\x85R."),
        "<os.system('ls')>"
    );
    assert_eq!(python(b"(ios\nsystem\n."), "<os.system>", "INST");
    assert_eq!(
        python(b"(X\x01\x00\x00\x00aios\nsystem\n."),
        "<os.system('a')>"
    );
    assert_eq!(python(b"(cos\nsystem\nK\x01o."), "<os.system(1)>", "OBJ");
    assert_eq!(python(b"cm\nC\n)\x81."), "<m.C>", "NEWOBJ");
    assert_eq!(
        python(b"cm\nC\nK\x01\x85}K\x02K\x03s\x92."),
        "<m.C(1, {2: 3})>",
        "NEWOBJ_EX"
    );
    assert_eq!(
        python(b"cm\nC\n)\x81}K\x01K\x02sb."),
        "<m.C state {1: 2}>",
        "BUILD"
    );
    assert_eq!(
        python(b"cm\nf\n)R)R."),
        "<m.f>",
        "the result of a call, called"
    );
    // A list or dictionary of a class of its own.
    assert_eq!(python(b"cm\nL\n)\x81K\x05aK\x06a."), "<m.L{0: 5, 1: 6}>");
    assert_eq!(python(b"cm\nD\n)\x81K\x05K\x06s."), "<m.D{5: 6}>");
}

#[test]
fn what_cannot_be_called_is_refused() {
    let operand = |expected, found| PickleFault::Operand { expected, found };
    assert_eq!(
        pickle_fault(b"K\x01)R."),
        (3, "REDUCE", operand("something to call", "an integer"))
    );
    assert_eq!(
        pickle_fault(b"cm\nf\nK\x01R.").2,
        operand("a tuple of arguments", "an integer")
    );
    assert_eq!(
        pickle_fault(b"cm\nf\n]}\x92.").2,
        operand("a tuple of arguments", "a list")
    );
    assert_eq!(pickle_fault(b"(o.").2, PickleFault::StackEmpty);
    assert_eq!(
        pickle_fault(b"K\x01X\x01\x00\x00\x00a\x93.").2,
        operand("text", "an integer")
    );
    assert_eq!(
        pickle_fault(b"X\x01\x00\x00\x00a}b.").2,
        operand("an object to set the state of", "text")
    );
}

#[test]
fn errors_tell_where_they_stand() {
    let text = fault(b"\x80\x02K\x01\xff.");
    assert_eq!(
        text,
        "test: opcode ? at byte 4: no opcode has the number 0xff"
    );
    let text = fault(b"\x80\x02X\xff\x00\x00\x00a.");
    assert_eq!(
        text,
        "test: opcode BINUNICODE at byte 2: the bytes end here"
    );
    assert_eq!(pickle_fault(b"K\x01"), (2, "?", PickleFault::Truncated));
    assert_eq!(pickle_fault(b""), (0, "?", PickleFault::Truncated));
}

/// Each opcode that makes something small out of one or two bytes, as often as a file of one megabyte can hold.
#[test]
fn a_flood_of_small_objects_is_over_budget() {
    for unit in [
        &b"]"[..],
        b"}",
        b")",
        b"\x8f",
        b"N",
        b"]\x94",
        b"cm\nf\n",
        b"U\x00",
    ] {
        let flood = unit.repeat((1 << 20) / unit.len());
        let (.., fault) = pickle_fault(&flood);
        assert!(matches!(fault, PickleFault::Memory(_)), "{unit:?}: {fault}");
    }
}
