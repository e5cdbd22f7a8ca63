//! A tensor in a file.

use std::sync::Arc;

use crate::budget::limit;
use crate::container::{Container, Place};
use crate::dtype::Dtype;
use crate::error::TensorError;
use crate::heap::Strided;

/// A tensor whose numbers lie in a file until they are [read](Self::read).
#[derive(Clone, Debug)]
pub struct Tensor {
    container: Arc<Container>,
    place: Place,
    dtype: Dtype,
    /// First element in its storage.
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl Tensor {
    pub(crate) fn new(container: Arc<Container>, place: Place, strided: Strided) -> Self {
        let Strided {
            storage: _,
            dtype,
            offset,
            shape,
            strides,
        } = strided;
        Self {
            container,
            place,
            dtype,
            offset,
            shape,
            strides,
        }
    }

    /// The type of its elements.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Sizes of its axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many numbers it holds.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Reads its numbers as `f32`, last axis fastest.
    ///
    /// # Errors
    /// A type that is not read, a storage that is damaged, or more numbers than are in proportion to the file.
    pub fn read(&self) -> Result<Vec<f32>, TensorError> {
        let size = self.dtype.size().filter(|_| self.dtype.is_read());
        let size = size.ok_or(TensorError::Unread(self.dtype))?;
        let elements = self.elements();
        if elements == 0 {
            return Ok(Vec::new());
        }
        if (elements as u64).saturating_mul(4) > limit(self.container.file_len()) {
            return Err(TensorError::TooLarge { elements });
        }
        // The part of the storage that it touches; that it lies within was checked on opening.
        let span = self.shape.iter().zip(&self.strides);
        let span = 1 + span
            .map(|(side, stride)| (side - 1) * stride)
            .sum::<usize>();
        let bytes = self
            .container
            .read(&self.place, self.offset * size, span * size)?;
        let numbers = self.dtype.to_f32(&bytes, self.container.big_endian());
        Ok(match self.is_contiguous() {
            true => numbers,
            false => self.gather(&numbers),
        })
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape
            .iter()
            .zip(&self.strides)
            .rev()
            .all(|(&side, &stride)| {
                let fits = side == 1 || stride == expected;
                expected *= side;
                fits
            })
    }

    fn gather(&self, numbers: &[f32]) -> Vec<f32> {
        let mut index = vec![0; self.shape.len()];
        let mut at = 0;
        let elements = self.elements();
        let mut gathered = Vec::with_capacity(elements);
        for _ in 0..elements {
            gathered.push(numbers.get(at).copied().unwrap_or_default());
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= self.strides[axis] * self.shape[axis];
                index[axis] = 0;
            }
        }
        gathered
    }
}
