//! The forms that are a header and numbers: `.safetensors` and `.npy`.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use serde_json::json;

use super::VectorOrigin;

/// Room for a header that is written last.
const HEADER: usize = 1024;

/// The forms a file can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `.safetensors`.
    Safetensors,
    /// `.npy`.
    Npy,
}

/// Numbers after room for a header.
#[derive(Debug)]
pub(super) struct Plain {
    form: Form,
    /// Sizes of one image's vector.
    shape: Vec<usize>,
    file: BufWriter<File>,
    labels: Vec<i64>,
    /// What the vectors are of, for the header.
    pub(super) origin: Option<VectorOrigin>,
}

impl Plain {
    pub(super) fn start(form: Form, shape: &[usize], file: File) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&[b' '; HEADER])?;
        Ok(Self {
            form,
            shape: shape.to_vec(),
            file,
            labels: Vec::new(),
            origin: None,
        })
    }

    pub(super) fn add(&mut self, vector: &[f32], label: Option<u32>) -> io::Result<()> {
        let bytes: Vec<u8> = vector.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.file.write_all(&bytes)?;
        self.labels.push(label.map_or(-1, i64::from));
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<File> {
        let count = self.labels.len();
        let header = match self.form {
            Form::Safetensors => {
                for label in &self.labels {
                    self.file.write_all(&label.to_le_bytes())?;
                }
                safetensors_header(count, &self.shape, self.origin.as_ref())
            }
            Form::Npy => npy_header(count, &self.shape),
        };
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        self.file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
    }
}

/// [`HEADER`] bytes: the length of the rest, JSON, spaces.
fn safetensors_header(count: usize, shape: &[usize], origin: Option<&VectorOrigin>) -> Vec<u8> {
    let mut features = vec![count];
    features.extend_from_slice(shape);
    let end = 4 * features.iter().product::<usize>();
    let mut text = json!({
        "features": {"dtype": "F32", "shape": features, "data_offsets": [0, end]},
        "labels": {"dtype": "I64", "shape": [count], "data_offsets": [end, end + 8 * count]},
    });
    if let Some(origin) = origin {
        text["__metadata__"] = json!(origin);
    }
    let mut header = ((HEADER - 8) as u64).to_le_bytes().to_vec();
    header.extend_from_slice(text.to_string().as_bytes());
    header.resize(HEADER, b' ');
    header
}

/// [`HEADER`] bytes of NumPy's format 1.0.
fn npy_header(count: usize, shape: &[usize]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!(", {size}")).collect();
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}{sizes}), }}");
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend_from_slice(&((HEADER - 10) as u16).to_le_bytes());
    header.extend_from_slice(text.as_bytes());
    header.resize(HEADER - 1, b' ');
    header.push(b'\n');
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numpys_header_says_shape_and_order() {
        let header = npy_header(5, &[3, 4]);
        assert_eq!(header.len(), HEADER);
        assert!(header.starts_with(b"\x93NUMPY\x01\x00\xf6\x03{'descr': '<f4', 'fortran_order': False, 'shape': (5, 3, 4), }"));
        assert_eq!(header.last(), Some(&b'\n'));
    }
}
