//! Whether a file is one of annotations at all.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use crate::error::CocoError;

/// The byte order mark that some editors begin a file with.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Which fields of a file of annotations were found.
#[derive(Default)]
struct Fields {
    images: bool,
    /// `annotations` or `categories`.
    objects: bool,
}

/// Whether a file is of the form of COCO's annotations: a JSON object with `images`, and `annotations` or `categories`. It is read
/// no further than that takes, and not kept.
///
/// # Errors
///
/// [`CocoError::Read`] when the file cannot be read. What is no JSON is no file of annotations; what begins as one and breaks off is, so
/// that what is wrong with it is said.
pub fn is_annotation_file(path: &Path) -> Result<bool, CocoError> {
    let failed = |source| CocoError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    if file.fill_buf().map_err(failed)?.starts_with(BOM) {
        file.consume(BOM.len());
    }
    let mut fields = Fields::default();
    let mut deserializer = serde_json::Deserializer::from_reader(file);
    match deserializer.deserialize_map(Looking(&mut fields)) {
        Err(error) if error.is_io() => Err(failed(error.into())),
        Err(error) if error.is_syntax() => Ok(fields.images || fields.objects),
        // Where enough was seen, reading stopped amidst the object, which is an error too.
        _ => Ok(fields.are_enough()),
    }
}

impl Fields {
    fn are_enough(&self) -> bool {
        self.images && self.objects
    }
}

struct Looking<'a>(&'a mut Fields);

impl<'de> Visitor<'de> for Looking<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self(fields) = self;
        while let Some(name) = entries.next_key::<String>()? {
            match name.as_str() {
                "images" => fields.images = true,
                "annotations" | "categories" => fields.objects = true,
                _ => {}
            }
            if fields.are_enough() {
                break;
            }
            entries.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_annotations_are_told_by_their_fields() {
        let folder = tempfile::tempdir().unwrap();
        let is_one = |text: &str| {
            let path = folder.path().join("a.json");
            std::fs::write(&path, text).unwrap();
            is_annotation_file(&path).unwrap()
        };
        for text in [
            r#"{"info": {"a": [1, {}]}, "images": [], "annotations": []}"#,
            r#"{"categories": [], "images": [{"id": 1}]}"#,
            // What is broken begins as one, or enough is seen before it.
            r#"{"images": [], "annotations": [}"#,
            r#"{"images": [}"#,
            r#"{"images": [{"id": NaN}], "annotations": []}"#,
            "\u{feff}{\"images\": [], \"annotations\": []}",
        ] {
            assert!(is_one(text), "{text}");
        }
        for text in [
            "",
            "[]",
            "3",
            r#"{"images": []}"#,
            r#"{"shapes": [], "imagePath": "a.png"}"#,
            r#"{"a": {"images": [], "annotations": []}}"#,
            r#"[{"images": [], "annotations": []}]"#,
        ] {
            assert!(!is_one(text), "{text}");
        }
        assert!(is_annotation_file(&folder.path().join("none.json")).is_err());
    }
}
