use super::*;

fn one(bytes: &[u8]) -> Result<Instruction<'_>, PickleFault> {
    let mut cursor = Cursor::new(bytes, 0);
    let opcode = Opcode::of(cursor.u8().unwrap()).unwrap();
    let instruction = decode(opcode, &mut cursor)?;
    assert_eq!(cursor.left(), 0, "all of {bytes:?} belongs to it");
    Ok(instruction)
}

#[test]
fn integers_of_all_protocols() {
    let int = |bytes| match one(bytes).unwrap() {
        Instruction::Int(value) => value,
        other => panic!("{other:?}"),
    };
    assert_eq!(int(b"I-12\n"), -12);
    assert_eq!(int(b"L77L\n"), 77);
    assert_eq!(int(b"J\xff\xff\xff\xff"), -1);
    assert_eq!(int(b"K\xff"), 255);
    assert_eq!(int(b"M\x01\x02"), 0x201);
    assert_eq!(int(b"\x8a\x00"), 0);
    assert_eq!(int(b"\x8a\x01\x80"), -128);
    assert_eq!(int(b"\x8a\x02\xff\x00"), 255);
    // Nine bytes, of which the last only repeats the sign.
    assert_eq!(
        int(b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\x00"),
        i64::MAX
    );
    assert_eq!(int(b"\x8b\x02\x00\x00\x00\x00\x80"), -32768);
    assert_eq!(one(b"I01\n").unwrap(), Instruction::Bool(true));
    assert_eq!(one(b"I00\n").unwrap(), Instruction::Bool(false));
}

#[test]
fn integers_beyond_64_bits_are_bytes_alike_in_all_protocols() {
    // 2^64, by `pickle.dumps(2 ** 64, protocol)`.
    let expected = Instruction::BigInt(vec![0, 0, 0, 0, 0, 0, 0, 0, 1].into());
    assert_eq!(one(b"L18446744073709551616L\n").unwrap(), expected);
    assert_eq!(
        one(b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01").unwrap(),
        expected
    );
}

#[test]
fn integers_that_are_none_or_too_long_are_refused() {
    assert!(matches!(one(b"Iten\n"), Err(PickleFault::Number { text, .. }) if text == "ten"));
    let long = format!("L{}\n", "9".repeat(60));
    assert!(matches!(
        one(long.as_bytes()),
        Err(PickleFault::Number { .. })
    ));
    assert_eq!(
        one(b"\x8b\x01\x04\x00\x00"),
        Err(PickleFault::LongInteger {
            bytes: 1025,
            limit: 1024
        })
    );
    // A negative length is one beyond 2 GiB.
    assert!(matches!(
        one(b"\x8b\xff\xff\xff\xff"),
        Err(PickleFault::LongInteger { .. })
    ));
}

#[test]
fn floats_of_all_protocols() {
    assert_eq!(one(b"F2.5\n").unwrap(), Instruction::Float(2.5));
    assert_eq!(one(b"Finf\n").unwrap(), Instruction::Float(f64::INFINITY));
    assert_eq!(
        one(b"G\x40\x04\x00\x00\x00\x00\x00\x00").unwrap(),
        Instruction::Float(2.5)
    );
    assert!(matches!(one(b"F1,5\n"), Err(PickleFault::Number { .. })));
}

#[test]
fn text_and_bytes_of_all_protocols() {
    let text = |bytes| match one(bytes).unwrap() {
        Instruction::Text(text) => text.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text(b"S'a\\'b'\n"), "a'b");
    assert_eq!(text(b"T\x02\x00\x00\x00ab"), "ab");
    assert_eq!(text(b"U\x02ab"), "ab");
    assert_eq!(text(b"Vz\\u00fc\n"), "zü");
    assert_eq!(text("X\x03\0\0\0zü".as_bytes()), "zü");
    assert_eq!(text(b"\x8c\x03z\xc3\xbc"), "zü");
    assert_eq!(text(b"\x8d\x02\x00\x00\x00\x00\x00\x00\x00ab"), "ab");
    let bytes = |bytes| match one(bytes).unwrap() {
        Instruction::Bytes(bytes) => bytes.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(bytes(b"U\x02\xff\x00"), b"\xff\x00", "no UTF-8");
    assert_eq!(bytes(b"S'\\xff'\n"), b"\xff");
    assert_eq!(bytes(b"C\x02ab"), b"ab");
    assert_eq!(bytes(b"B\x02\x00\x00\x00ab"), b"ab");
    assert_eq!(bytes(b"\x8e\x02\x00\x00\x00\x00\x00\x00\x00ab"), b"ab");
    assert_eq!(bytes(b"\x96\x02\x00\x00\x00\x00\x00\x00\x00ab"), b"ab");
}

#[test]
fn lengths_beyond_the_end_are_truncations() {
    for bytes in [
        &b"X\xff\xff\xff\xffab"[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fab",
        b"B\x03\x00\x00\x00ab",
        b"U\x03ab",
        b"\x95\x03\x00\x00\x00\x00\x00\x00\x00ab",
        b"cmodule\nname",
        b"K",
        b"\x8a\x02\x00",
    ] {
        assert_eq!(one(bytes), Err(PickleFault::Truncated), "{bytes:?}");
    }
}

#[test]
fn text_that_is_none_is_refused() {
    let not = |encoding| Err(PickleFault::Text { encoding });
    assert_eq!(one(b"X\x01\x00\x00\x00\xff"), not("UTF-8"));
    assert_eq!(one(b"c\xff\nname\n"), not("UTF-8"));
    assert_eq!(one(b"Sabc\n"), not("quoted text"));
    assert_eq!(one(b"V\\ud800\n"), not("escaped Unicode"));
}

#[test]
fn memo_numbers_and_headers() {
    assert_eq!(one(b"g12\n").unwrap(), Instruction::Get(12));
    assert_eq!(one(b"p0\n").unwrap(), Instruction::Put(0));
    assert_eq!(one(b"h\x05").unwrap(), Instruction::Get(5));
    assert_eq!(
        one(b"r\x00\x00\x00\x80").unwrap(),
        Instruction::Put(1 << 31)
    );
    assert!(matches!(one(b"g-1\n"), Err(PickleFault::Number { .. })));
    assert_eq!(one(b"\x80\x05").unwrap(), Instruction::Nothing);
    assert_eq!(one(b"\x80\x06"), Err(PickleFault::Protocol { version: 6 }));
}

#[test]
fn what_lies_outside_the_file_is_refused_by_name() {
    for bytes in [&b"\x82\x01"[..], b"\x83\x01\x00", b"\x84\x01\x00\x00\x00"] {
        assert!(
            matches!(one(bytes), Err(PickleFault::Outside { what }) if what.contains("registered"))
        );
    }
    for bytes in [b"\x97", b"\x98"] {
        assert!(
            matches!(one(bytes), Err(PickleFault::Outside { what }) if what.contains("buffers"))
        );
    }
}
