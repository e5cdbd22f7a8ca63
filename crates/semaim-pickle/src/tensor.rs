//! Tensors and their values.

use std::fmt;
use std::sync::Arc;

use half::{bf16, f16};

use crate::dtype::Dtype;
use crate::layout::Layout;
use crate::storage::Storage;

/// A tensor of a checkpoint: a view of bytes of the file, which stay in memory as long as any of its tensors.
#[derive(Clone)]
pub struct Tensor {
    storage: Arc<Storage>,
    layout: Layout,
}

/// A tensor's values could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The tensor repeats its elements so often that its values would be out of proportion to the file.
    #[error(
        "a tensor of shape {shape:?} would take more than {limit} bytes as float32, out of proportion to its file"
    )]
    TooLarge {
        /// Its shape.
        shape: Vec<usize>,
        /// The most bytes that the values of one tensor of this file may take.
        limit: usize,
    },
}

impl Tensor {
    /// The view that `layout`, which was made for this storage, describes.
    pub(crate) fn new(storage: Arc<Storage>, layout: Layout) -> Self {
        Self { storage, layout }
    }

    /// The type of the elements as they stand in the file.
    pub fn dtype(&self) -> Dtype {
        self.storage.dtype
    }

    /// The size of each axis; empty for a scalar. At most 64 axes, and sizes may be 0.
    pub fn shape(&self) -> &[usize] {
        self.layout.shape()
    }

    /// The number of elements: the product of the shape.
    pub fn elements(&self) -> usize {
        self.layout.elements()
    }

    /// The values in order, the last axis fastest, whatever the strides. Numbers that `f32` does not have are
    /// rounded to the nearest, beyond its range to infinity; truth values become 0 and 1.
    ///
    /// Tensors may share their bytes, so the values of all tensors together can be larger than the file; see
    /// [`elements`](Tensor::elements).
    ///
    /// # Errors
    ///
    /// [`TensorError::TooLarge`] when the values of this one tensor would take more than 16 bytes per byte of the
    /// file and 1 MiB, as only an expanded tensor can.
    pub fn to_f32(&self) -> Result<Vec<f32>, TensorError> {
        let limit = self.storage.limit;
        if self.elements().saturating_mul(size_of::<f32>()) > limit {
            return Err(TensorError::TooLarge {
                shape: self.shape().to_vec(),
                limit,
            });
        }
        Ok(match self.storage.dtype {
            Dtype::F64 => self.gather(|bytes| f64::from_le_bytes(bytes) as f32),
            Dtype::F32 => self.gather(f32::from_le_bytes),
            Dtype::F16 => self.gather(|bytes| f16::from_le_bytes(bytes).to_f32()),
            Dtype::Bf16 => self.gather(|bytes| bf16::from_le_bytes(bytes).to_f32()),
            Dtype::I64 => self.gather(|bytes| i64::from_le_bytes(bytes) as f32),
            Dtype::I32 => self.gather(|bytes| i32::from_le_bytes(bytes) as f32),
            Dtype::I16 => self.gather(|bytes| i16::from_le_bytes(bytes).into()),
            Dtype::I8 => self.gather(|bytes| i8::from_le_bytes(bytes).into()),
            Dtype::U8 => self.gather(|bytes| u8::from_le_bytes(bytes).into()),
            Dtype::Bool => self.gather(|bytes: [u8; 1]| if bytes == [0] { 0.0 } else { 1.0 }),
        })
    }

    fn gather<const N: usize>(&self, value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let stored = self.storage.bytes.as_slice().as_chunks::<N>().0;
        let big_endian = self.storage.big_endian;
        let value = |mut bytes: [u8; N]| {
            if big_endian {
                bytes.reverse();
            }
            value(bytes)
        };
        let elements = self.elements();
        if let Some(start) = self.layout.dense_start() {
            let stored = stored.iter().skip(start).take(elements);
            return stored.map(|bytes| value(*bytes)).collect();
        }
        let mut out = Vec::with_capacity(elements);
        self.layout
            .places(|place| out.extend(stored.get(place).map(|bytes| value(*bytes))));
        out
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({}, {:?})", self.dtype(), self.shape())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Bytes;

    fn tensor(dtype: Dtype, bytes: &[u8], big_endian: bool, layout: Layout) -> Tensor {
        let storage = Storage {
            dtype,
            big_endian,
            bytes: Bytes::all(bytes.to_vec()),
            limit: 1000,
        };
        Tensor::new(Arc::new(storage), layout)
    }

    fn dense(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
        let count = bytes.len() / dtype.size();
        let layout = || Layout::dense(vec![count], count).unwrap();
        let little = tensor(dtype, bytes, false, layout()).to_f32().unwrap();
        let mut swapped = bytes.to_vec();
        swapped
            .chunks_mut(dtype.size())
            .for_each(|element| element.reverse());
        assert_eq!(
            tensor(dtype, &swapped, true, layout()).to_f32().unwrap(),
            little
        );
        little
    }

    #[test]
    fn every_type_is_converted_from_either_byte_order() {
        let bytes = [1.5f32.to_le_bytes(), (-0.25f32).to_le_bytes()].concat();
        assert_eq!(dense(Dtype::F32, &bytes), [1.5, -0.25]);
        let bytes = [0.1f64.to_le_bytes(), 1e300f64.to_le_bytes()].concat();
        assert_eq!(dense(Dtype::F64, &bytes), [0.1f32, f32::INFINITY]);
        // 1, the largest and the smallest subnormal of half precision.
        let bytes = [0x00, 0x3C, 0xFF, 0x7B, 0x01, 0x00];
        assert_eq!(dense(Dtype::F16, &bytes), [1.0, 65504.0, 2f32.powi(-24)]);
        assert_eq!(dense(Dtype::Bf16, &[0xC0, 0x3F]), [1.5]);
        let bytes = [(-3i64).to_le_bytes(), ((1i64 << 24) + 1).to_le_bytes()].concat();
        assert_eq!(dense(Dtype::I64, &bytes), [-3.0, 16_777_216.0]);
        assert_eq!(dense(Dtype::I32, &(-7i32).to_le_bytes()), [-7.0]);
        assert_eq!(dense(Dtype::I16, &(-300i16).to_le_bytes()), [-300.0]);
        assert_eq!(dense(Dtype::I8, &[0x80, 0x7F]), [-128.0, 127.0]);
        assert_eq!(dense(Dtype::U8, &[0x80, 0xFF]), [128.0, 255.0]);
        assert_eq!(dense(Dtype::Bool, &[0, 1, 2]), [0.0, 1.0, 1.0]);
    }

    #[test]
    fn strides_are_followed() {
        let bytes: Vec<u8> = (0..6).collect();
        let transposed = Layout::new(vec![3, 2], vec![1, 3], 0, 6).unwrap();
        let values = tensor(Dtype::U8, &bytes, false, transposed)
            .to_f32()
            .unwrap();
        assert_eq!(values, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let view = Layout::new(vec![2], vec![1], 3, 6).unwrap();
        let values = tensor(Dtype::U8, &bytes, false, view).to_f32().unwrap();
        assert_eq!(values, [3.0, 4.0]);
    }

    #[test]
    fn an_expanded_tensor_is_read_up_to_its_limit() {
        let expanded = |n| Layout::new(vec![n], vec![0], 1, 2).unwrap();
        let small = tensor(Dtype::U8, &[8, 9], false, expanded(250));
        assert_eq!(small.to_f32().unwrap(), [9.0; 250]);
        let large = tensor(Dtype::U8, &[8, 9], false, expanded(251));
        assert_eq!(
            large.to_f32(),
            Err(TensorError::TooLarge {
                shape: vec![251],
                limit: 1000
            })
        );
        let absurd = tensor(Dtype::U8, &[8, 9], false, expanded(usize::MAX));
        assert!(absurd.to_f32().is_err());
    }

    #[test]
    fn printing_a_tensor_does_not_print_its_file() {
        let layout = Layout::dense(vec![2, 1], 2).unwrap();
        let tensor = tensor(Dtype::U8, &[8, 9], false, layout);
        assert_eq!(format!("{tensor:?}"), "Tensor(uint8, [2, 1])");
    }
}
