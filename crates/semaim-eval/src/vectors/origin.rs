//! What files of vectors say of the encoder that they are of.

use std::path::Path;

use semaim::representation::Representation;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::VectorError;
use super::read::open;

/// By what vectors were computed; in a `.safetensors` file as its metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorOrigin {
    /// [`Encoder::checksum`](semaim_checkpoint::encoder::Encoder::checksum): the same whatever layout its file has.
    pub encoder: String,
    /// Which of its tokens they are.
    pub feature: Representation,
    /// Height and width of the views in pixels, as `224x224`.
    pub image_size: String,
}

impl VectorOrigin {
    /// What a `.safetensors` file says; `None` where it was written by another program, or before this was written down.
    ///
    /// # Errors
    /// [`VectorError::Io`] and [`VectorError::Content`].
    pub fn read(path: &Path) -> Result<Option<Self>, VectorError> {
        let (_, header) = open(path)?;
        let written = header.metadata.metadata().as_ref();
        Ok(written.and_then(|written| serde_json::from_value(json!(written)).ok()))
    }

    /// Why vectors of this origin do not compare with those of another, in words; `None` where they do.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.feature != other.feature {
            let [one, another] = [self, other].map(|origin| json!(origin.feature));
            return Some(format!("one is --feature {one}, the other {another}").replace('"', ""));
        }
        // Before the encoder, of whose checksum the size is a part.
        if self.image_size != other.image_size {
            let sizes = [&self.image_size, &other.image_size];
            return Some(format!(
                "of views of {} and of {} pixels",
                sizes[0], sizes[1]
            ));
        }
        (self.encoder != other.encoder).then(|| "they are of different encoders".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::VectorWriter;

    #[test]
    fn what_vectors_are_of_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.safetensors");
        let origin = VectorOrigin {
            encoder: "5f".repeat(32),
            feature: Representation::Both,
            image_size: "1024x1024".into(),
        };
        let write = |origin: Option<VectorOrigin>| {
            let mut writer = VectorWriter::create(&path, vec![123_456]).unwrap();
            if let Some(origin) = origin {
                writer = writer.of(origin);
            }
            writer.add(&[0.5; 123_456], "a.png", None).unwrap();
            writer.finish().unwrap();
            VectorOrigin::read(&path).unwrap()
        };
        assert_eq!(write(Some(origin.clone())), Some(origin.clone()));
        assert_eq!(write(None), None);
        let others = [
            VectorOrigin {
                encoder: "6f".repeat(32),
                ..origin.clone()
            },
            VectorOrigin {
                feature: Representation::Cls,
                ..origin.clone()
            },
            VectorOrigin {
                image_size: "1024x512".into(),
                ..origin.clone()
            },
        ];
        let words = [
            "different encoders",
            "--feature both, the other cls",
            "1024x512",
        ];
        for (other, words) in others.iter().zip(words) {
            let difference = origin.difference(other).unwrap();
            assert!(difference.contains(words), "{difference}");
        }
        assert_eq!(origin.difference(&origin), None);
    }
}
