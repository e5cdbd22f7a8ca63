//! Lists of paths, with and without labels.

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
