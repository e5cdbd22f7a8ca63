//! Archives, good and bad.

use std::sync::Arc;

use super::*;
use crate::zip_writer::{Entry as Written, Form, archive};

fn open(file: Vec<u8>) -> Result<(Arc<Vec<u8>>, Archive, Budget), ArchiveError> {
    let mut budget = Budget::for_file(file.len());
    let opened = Archive::open(&file, &mut budget)?;
    Ok((Arc::new(file), opened, budget))
}

fn read(file: Vec<u8>, name: &str) -> Result<Vec<u8>, ArchiveError> {
    let (file, opened, mut budget) = open(file)?;
    let bytes = opened.find(name).unwrap().read(&file, &mut budget)?;
    Ok(bytes.as_slice().to_vec())
}

fn refused(entries: &[Written], form: Form) -> ArchiveError {
    open(archive(entries, form)).unwrap_err()
}

#[test]
fn stored_and_deflated_entries_of_both_forms_are_read() {
    let text = b"pickle ".repeat(40);
    let entries = [
        Written::stored("a/empty", b""),
        Written::stored("a/stored", b"as it is"),
        Written::deflated("a/deflated", &text),
    ];
    for form in [Form::Narrow, Form::Wide] {
        let file = archive(&entries, form);
        assert!(!file.windows(text.len()).any(|part| part == text));
        assert_eq!(read(file.clone(), "a/empty").unwrap(), b"");
        assert_eq!(read(file.clone(), "a/stored").unwrap(), b"as it is");
        assert_eq!(read(file.clone(), "a/deflated").unwrap(), text);
        let (_, opened, _) = open(file).unwrap();
        let names: Vec<&str> = opened.names().collect();
        assert_eq!(names, ["a/deflated", "a/empty", "a/stored"]);
    }
}

#[test]
fn a_comment_at_the_end_is_passed_over() {
    let mut file = archive(&[Written::stored("a", b"x")], Form::Narrow);
    let at = file.len() - 2;
    file[at] = 29;
    file.extend(b"a comment with PK\x05\x06 in itself");
    assert_eq!(file.len(), at + 2 + 29);
    assert_eq!(read(file, "a").unwrap(), b"x");
}

#[test]
fn a_cut_off_archive_has_no_directory() {
    let file = archive(&[Written::stored("a", b"x")], Form::Wide);
    for length in 0..file.len() {
        assert!(open(file[..length].to_vec()).is_err(), "{length}");
    }
    let cut = open(file[..file.len() - 1].to_vec()).unwrap_err();
    assert_eq!(cut, ArchiveError::NoDirectory);
}

#[test]
fn two_entries_of_one_name_are_refused() {
    let entry = Written::stored("a/data.pkl", b"x");
    let other = Written::stored("a/data.pkl", b"y");
    assert_eq!(
        refused(&[entry, other], Form::Wide),
        ArchiveError::Duplicate {
            name: "a/data.pkl".into()
        }
    );
}

#[test]
fn entries_that_overlap_are_refused() {
    // The outer entry holds the header and bytes of the inner one.
    let inner = archive(&[Written::stored("inner", b"12345678")], Form::Narrow);
    let outer = Written::stored("outer", &inner);
    let mut alias = Written::stored("inner", b"12345678");
    alias.header = Some(30 + 5 + 6);
    assert_eq!(
        refused(&[outer, alias.clone()], Form::Narrow),
        ArchiveError::Overlap {
            name: "inner".into()
        }
    );
    // Two entries at one place need one name there, and that is refused too.
    let mut same = Written::stored("inner", b"12345678");
    same.header = Some(0);
    alias.header = None;
    assert!(matches!(
        refused(&[alias, same], Form::Narrow),
        ArchiveError::Duplicate { .. }
    ));
}

#[test]
fn entries_that_are_not_where_the_directory_says_are_refused() {
    for header in [1, 1 << 20, u64::from(u32::MAX) - 1] {
        for form in [Form::Narrow, Form::Wide] {
            let mut entry = Written::stored("a", b"12345678");
            entry.header = Some(header);
            assert_eq!(
                refused(&[entry], form),
                ArchiveError::Entry { name: "a".into() }
            );
        }
    }
    let mut wide = Written::stored("a", b"12345678");
    wide.header = Some(u64::MAX);
    assert!(open(archive(&[wide], Form::Wide)).is_err());
    // A stored entry has one size.
    let mut larger = Written::stored("a", b"12345678");
    larger.size = 9;
    assert!(matches!(
        refused(&[larger], Form::Wide),
        ArchiveError::Entry { .. }
    ));
}

#[test]
fn encrypted_and_otherwise_packed_entries_are_refused_by_name() {
    let mut entry = Written::stored("a", b"x");
    entry.flags = 1;
    assert_eq!(
        refused(&[entry], Form::Narrow).to_string(),
        "entry `a` is encrypted, which is not read"
    );
    let mut file = archive(&[Written::stored("a", b"x")], Form::Narrow);
    let directory = file
        .windows(4)
        .position(|four| four == b"PK\x01\x02")
        .unwrap();
    file[directory + 10] = 12;
    assert_eq!(
        open(file).unwrap_err().to_string(),
        "entry `a` is neither stored nor deflated, which is not read"
    );
}

#[test]
fn a_damaged_entry_does_not_match_its_checksum() {
    let mut entry = Written::stored("a", b"x");
    entry.checksum ^= 1;
    let file = archive(&[entry.clone()], Form::Wide);
    assert!(matches!(
        read(file, "a"),
        Err(ArchiveError::Checksum { .. })
    ));
    // Zero says that there is none.
    entry.checksum = 0;
    assert_eq!(read(archive(&[entry], Form::Wide), "a").unwrap(), b"x");
}

#[test]
fn an_entry_that_inflates_to_another_size_is_refused() {
    for size in [0, 99, 101, 5000] {
        let mut entry = Written::deflated("a", &[7; 100]);
        entry.size = size;
        assert!(
            matches!(
                read(archive(&[entry], Form::Wide), "a"),
                Err(ArchiveError::Inflate { .. })
            ),
            "{size}"
        );
    }
    let mut entry = Written::deflated("a", &[7; 100]);
    entry.content[0] ^= 0xFF;
    assert!(matches!(
        read(archive(&[entry], Form::Wide), "a"),
        Err(ArchiveError::Inflate { .. })
    ));
}

/// Eight megabytes of zeros in eight kilobytes, and an entry that only says it is large.
#[test]
fn entries_out_of_proportion_to_the_file_are_refused() {
    let bomb = Written::deflated("a", &vec![0; 8 << 20]);
    assert!(bomb.content.len() < 1 << 14);
    let file = archive(&[bomb], Form::Wide);
    assert!(matches!(read(file, "a"), Err(ArchiveError::Memory(_))));
    let mut liar = Written::deflated("a", b"x");
    liar.size = u64::MAX / 2;
    let file = archive(&[liar], Form::Wide);
    assert!(matches!(read(file, "a"), Err(ArchiveError::Memory(_))));
}

#[test]
fn directories_that_are_not_where_the_end_says_are_refused() {
    let good = archive(&[Written::stored("a", b"x")], Form::Narrow);
    let end = good.len() - 22;
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[end + at..end + at + bytes.len()].copy_from_slice(bytes);
        open(bad).unwrap_err()
    };
    assert_eq!(with(16, &[0xFF; 4]), ArchiveError::Directory);
    assert_eq!(with(12, &[0xFF; 4]), ArchiveError::Directory);
    assert_eq!(with(4, &[1]), ArchiveError::Parts);
    assert_eq!(with(8, &[2, 0]), ArchiveError::Parts);
    assert!(matches!(
        with(8, &[2, 0, 2, 0]),
        ArchiveError::DirectoryEntry { .. }
    ));
    assert!(matches!(
        with(8, &[0xFF; 4]),
        ArchiveError::DirectoryEntry { .. }
    ));
}
