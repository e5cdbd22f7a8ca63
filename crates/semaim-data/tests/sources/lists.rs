//! Lists of paths, with and without labels.

use super::said::said;
use super::*;

#[test]
fn lists() {
    let root = folder(&["a.png", "my pictures/b 1.png", "c.png"]);
    let read = |name: &str, text: &str| {
        write(root.path(), name, text.as_bytes());
        train(&root.path().join(name))
    };
    let source = read(
        "l.txt",
        "# comment\nc.png 4\n\nmy pictures/b 1.png 0\r\na.png\n",
    );
    assert_eq!(reds(&source), [2, 1, 0]);
    assert_eq!(labels(&source), [Some(4), Some(0), None]);
    assert_eq!(source.classes().len(), 5);
    let source = read("l.lst", "a.png\nmy pictures/b 1.png\n");
    assert_eq!(
        (reds(&source), labels(&source)),
        (vec![0, 1], vec![None, None])
    );
    let source = read("l.tsv", "a.png\tbig dog\nmy pictures/b 1.png\tcat\n");
    assert_eq!(source.classes(), ["big dog", "cat"]);
    assert_eq!(labels(&source), [Some(0), Some(1)]);
    let source = read("l.csv", "path,label\n\"my pictures/b 1.png\",x\nc.png,w\n");
    assert_eq!(
        (reds(&source), labels(&source)),
        (vec![1, 2], vec![Some(1), Some(0)])
    );
}

#[test]
fn an_empty_field_is_no_label() {
    let root = folder(&["a.png", "b.png", "c.png"]);
    for (name, text) in [
        ("l.csv", "a.png,dog\nb.png,\nc.png,\"\"\n"),
        ("l.tsv", "a.png\tdog\nb.png\t \"\"\nc.png\t\"\"\n"),
    ] {
        write(root.path(), name, text.as_bytes());
        let source = train(&root.path().join(name));
        assert_eq!(source.classes(), ["dog"], "{name}");
        assert_eq!(labels(&source), [Some(0), None, None], "{name}");
    }
}

#[test]
fn broken_lists_are_explained() {
    let root = folder(&["a.png"]);
    let path = root.path().join("l.txt");
    fs::write(&path, "# nothing\n").unwrap();
    assert!(matches!(
        opened(&path, Split::Train),
        Err(DataError::NoImages { .. })
    ));
    fs::write(&path, "# c\nx.png\ny.png\n").unwrap();
    let error = opened(&path, Split::Train).unwrap_err();
    assert!(matches!(error, DataError::List { line: 2, .. }), "{error}");
    fs::write(&path, b"a.png\n\xFF.png\n").unwrap();
    let error = opened(&path, Split::Train).unwrap_err();
    assert!(matches!(error, DataError::List { line: 2, .. }), "{error}");
}

#[test]
fn lists_with_words_as_labels() {
    let root = folder(&["hat/a.png", "my pictures/b 1.png", "c.png"]);
    let read = |text: &str| {
        write(root.path(), "l.txt", text.as_bytes());
        train(&root.path().join("l.txt"))
    };
    let source = read("hat/a.png hat\nmy pictures/b 1.png big dog\nc.png\n");
    assert_eq!(reds(&source), [0, 1, 2]);
    assert_eq!(source.classes(), ["big dog", "hat"]);
    assert_eq!(labels(&source), [Some(1), Some(0), None]);
    let path = root.path().join("l.txt");
    fs::write(&path, "hat/a.png 1 0 1\n").unwrap();
    let error = opened(&path, Split::Train).unwrap_err();
    assert!(matches!(error, DataError::List { line: 1, .. }), "{error}");
    assert!(error.to_string().contains("several numbers"), "{error}");
}

#[test]
fn quotes_of_tables_are_read() {
    let root = folder(&["a.png", "b, c.png", "d \"e\".png"]);
    for (name, text) in [
        (
            "l.csv",
            "file,label\na.png,\"dog, wild\"\n\"b, c.png\", \"the \"\"old\"\" cat\"\n\"d \"\"e\"\".png\",\"dog, wild\"\n",
        ),
        (
            "l.tsv",
            "a.png\t\"dog, wild\"\nb, c.png\t\"the \"\"old\"\" cat\"\n\"d \"\"e\"\".png\"\tdog, wild\n",
        ),
    ] {
        write(root.path(), name, text.as_bytes());
        let source = train(&root.path().join(name));
        assert_eq!(source.classes(), ["dog, wild", "the \"old\" cat"], "{name}");
        assert_eq!(labels(&source), [Some(0), Some(1), Some(0)], "{name}");
        assert_eq!(reds(&source), [0, 1, 2], "{name}");
    }
    // Between tabs, quotes that do not fit are letters.
    write(root.path(), "inches.tsv", b"a.png\t\"dog\nb, c.png\tcat\n");
    let source = train(&root.path().join("inches.tsv"));
    assert_eq!(source.classes(), ["\"dog", "cat"]);
    // Commas in quotes alone are no separators.
    write(root.path(), "one.csv", b"\"b, c.png\"\n");
    let source = train(&root.path().join("one.csv"));
    assert_eq!((reds(&source), labels(&source)), (vec![1], vec![None]));
    // A comma in a path without quotes, as before.
    write(root.path(), "bare.csv", b"b, c.png,x\n");
    assert_eq!(reds(&train(&root.path().join("bare.csv"))), [1]);
    for (text, words) in [
        (
            "# c\na.png,\"dog\n\"b, c.png\",cat\n",
            "a quote is not closed",
        ),
        ("\na.png,\"dog\" x\n", "`x` follows"),
        ("a.png,x\n,y\n", "no path"),
    ] {
        write(root.path(), "bad.csv", text.as_bytes());
        let error = opened(&root.path().join("bad.csv"), Split::Train).unwrap_err();
        assert!(matches!(error, DataError::List { line: 2, .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn an_image_with_two_labels_is_refused() {
    let root = folder(&["a.png", "b.png", "c.npy"]);
    for (name, text) in [
        ("l.csv", "path,label\na.png,dog\nb.png,cat\n./a.png,cat\n"),
        ("l.txt", "# labels\na.png 0\nb.png 1\na.png 1\n"),
        (
            "stack.csv",
            "# files\na.png,c.npy,dog\nb.png,c.npy,cat\na.png,c.npy,cat\n",
        ),
    ] {
        write(root.path(), name, text.as_bytes());
        let error = opened(&root.path().join(name), Split::Train).unwrap_err();
        assert!(matches!(error, DataError::List { line: 4, .. }), "{error}");
        let error = error.to_string();
        for word in ["a.png", "on line 2", "several labels per image"] {
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}

#[test]
fn an_image_that_is_named_again_counts_once() {
    let root = folder(&["a.png", "b.png", "c.png"]);
    for (name, text, expected) in [
        (
            "l.csv",
            "b.png,dog\na.png,cat\nb.png,dog\n./b.png,dog\n",
            "2 lines name images again",
        ),
        (
            "l.txt",
            "b.png\na.png\nb.png\n",
            "a line names an image again",
        ),
    ] {
        write(root.path(), name, text.as_bytes());
        let list = root.path().join(name);
        let said = said(&list, || {
            let source = train(&list);
            assert_eq!(reds(&source), [1, 0], "{name}");
            assert!(source.describe().contains("2 images"));
        });
        let is_told = |text: &String| text.contains(expected) && text.contains("b.png");
        assert!(said.iter().any(is_told), "{said:?}");
    }
    write(root.path(), "once.txt", b"a.png\nb.png\n");
    let list = root.path().join("once.txt");
    let said = said(&list, || assert_eq!(train(&list).len(), 2));
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn numbers_that_no_image_has_are_told_of() {
    let root = folder(&["a.png", "b.png", "c.png"]);
    for (name, text, words) in [
        (
            "one.csv",
            "a.png,1\nb.png,2\nc.png,3\n",
            "0 to 3, and no image has 0;",
        ),
        (
            "gaps.txt",
            "a.png 7\nb.png 1007\nc.png 2007\n",
            "0 to 2007, and no image has 0 to 6, 8 to 1006, 1008 to 2006;",
        ),
    ] {
        write(root.path(), name, text.as_bytes());
        let list = root.path().join(name);
        let said = said(&list, || {
            // The numbers stay what they are.
            let source = train(&list);
            let last = source.label(2).unwrap() as usize;
            assert_eq!(
                (source.classes().len(), &*source.classes()[last]),
                (last + 1, &*last.to_string())
            );
        });
        assert!(said.iter().any(|text| text.contains(words)), "{said:?}");
    }
}

#[test]
fn images_may_be_called_as_comments_begin() {
    let root = folder(&["#1.png", "a.png", "#b/2.png", "#r.png"]);
    for (name, text, expected) in [
        (
            "l.txt",
            "#1.png 0\n# a.png\n#a.png 1\na.png 1\n",
            &[0, 1][..],
        ),
        (
            "l.csv",
            "#1.png,x\n#path,label\n#b/2.png,y\n#none\n",
            &[0, 2],
        ),
        ("l.tsv", "# comment\n#1.png\tx\na.png\ty\n", &[0, 1]),
    ] {
        write(root.path(), name, text.as_bytes());
        let source = train(&root.path().join(name));
        assert_eq!(reds(&source), expected, "{name}");
        assert_eq!(labels(&source), [Some(0), Some(1)], "{name}");
    }
    write(
        root.path(),
        "files.csv",
        b"#r.png,a.png,x\na.png,#1.png,y\n",
    );
    let source = train(&root.path().join("files.csv"));
    assert!(source.describe().contains("2 images of 2 files each"));
}

#[test]
fn a_table_that_has_labels_in_some_lines_only_is_refused() {
    let root = folder(&["a.png", "b.png", "c,1.png"]);
    let path = root.path().join("l.csv");
    for (text, line) in [
        ("a.png\nb.png,0\n", 2),
        ("# c\na.png\n\nb.png, big dog\n", 4),
        ("b.png,0\na.png\n", 1),
    ] {
        fs::write(&path, text).unwrap();
        let error = opened(&path, Split::Train).unwrap_err();
        assert!(
            matches!(error, DataError::List { line: found, .. } if found == line),
            "{error}"
        );
        let error = error.to_string();
        assert!(
            error.contains("has none") && error.contains("`a.png,`"),
            "{error}"
        );
    }
    // A comma in a path is none before a label.
    fs::write(&path, "a.png\nc,1.png\n").unwrap();
    assert_eq!(reds(&train(&path)), [0, 2]);
}

#[test]
fn a_first_line_that_names_a_file_is_no_heading() {
    let root = folder(&["0a1f", "77be"]);
    for (name, heading) in [("a.csv", ""), ("b.csv", "path,label\n")] {
        let text = format!("{heading}0a1f,cat\n77be,dog\n");
        write(root.path(), name, text.as_bytes());
        let source = train(&root.path().join(name));
        assert_eq!(labels(&source), [Some(0), Some(1)], "{name}");
    }
}
