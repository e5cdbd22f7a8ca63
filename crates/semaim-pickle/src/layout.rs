//! Where the elements of a tensor lie in its storage.

use crate::pickle_error::PickleFault;

/// The most axes a tensor may have, as in PyTorch.
pub(crate) const AXES: usize = 64;

/// A tensor's shape, strides and offset do not fit each other or the storage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// More axes than PyTorch has.
    #[error("has {axes} axes, at most 64 are read")]
    Axes {
        /// How many.
        axes: usize,
    },
    /// Shape and strides differ in their number of axes.
    #[error("has {shape} axes in its shape and {strides} in its strides")]
    Strides {
        /// The axes of the shape.
        shape: usize,
        /// The axes of the strides.
        strides: usize,
    },
    /// The number of elements exceeds the address space.
    #[error("of shape {shape:?} has more elements than can be counted")]
    Uncountable {
        /// The shape.
        shape: Vec<usize>,
    },
    /// The last element lies beyond the storage.
    #[error(
        "of shape {shape:?} and strides {strides:?} from {offset} on reaches beyond its storage of {elements}"
    )]
    Beyond {
        /// The shape.
        shape: Vec<usize>,
        /// The strides, in elements.
        strides: Vec<usize>,
        /// The place of the first element.
        offset: usize,
        /// The number of elements of the storage.
        elements: usize,
    },
}

/// Shape, strides and offset, all in elements, known to fit a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    shape: Box<[usize]>,
    strides: Box<[usize]>,
    offset: usize,
    elements: usize,
}

impl Layout {
    /// Checks that the elements all lie within a storage of `stored` elements.
    pub(crate) fn new(
        shape: Vec<usize>,
        strides: Vec<usize>,
        offset: usize,
        stored: usize,
    ) -> Result<Self, LayoutError> {
        let axes = shape.len();
        if axes > AXES {
            return Err(LayoutError::Axes { axes });
        }
        if strides.len() != axes {
            return Err(LayoutError::Strides {
                shape: axes,
                strides: strides.len(),
            });
        }
        // A tensor without elements may have any other sizes; their product is never formed.
        let elements = if shape.contains(&0) {
            Some(0)
        } else {
            shape.iter().try_fold(1, |n: usize, &d| n.checked_mul(d))
        };
        let Some(elements) = elements else {
            return Err(LayoutError::Uncountable { shape });
        };
        let last = shape
            .iter()
            .zip(&strides)
            .try_fold(offset, |at, (&size, stride)| {
                at.checked_add(size.saturating_sub(1).checked_mul(*stride)?)
            });
        if elements > 0 && last.is_none_or(|last| last >= stored) {
            return Err(LayoutError::Beyond {
                shape,
                strides,
                offset,
                elements: stored,
            });
        }
        Ok(Self {
            shape: shape.into(),
            strides: strides.into(),
            offset,
            elements,
        })
    }

    /// The same layout in a storage of which the first one was a part, from element `by` on.
    pub(crate) fn moved(mut self, by: usize) -> Self {
        self.offset = self.offset.saturating_add(by);
        self
    }

    /// The layout of elements one after another, the last axis fastest.
    pub(crate) fn dense(shape: Vec<usize>, stored: usize) -> Result<Self, LayoutError> {
        let strides = dense_strides(&shape);
        Self::new(shape, strides, 0, stored)
    }

    /// The layout of elements one after another, the first axis fastest.
    pub(crate) fn dense_reversed(shape: Vec<usize>, stored: usize) -> Result<Self, LayoutError> {
        let mut reversed = shape.clone();
        reversed.reverse();
        let mut strides = dense_strides(&reversed);
        strides.reverse();
        Self::new(shape, strides, 0, stored)
    }

    /// The size of each axis.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The product of the sizes.
    pub(crate) fn elements(&self) -> usize {
        self.elements
    }

    /// Where the elements lie, if they lie one after another in order.
    pub(crate) fn dense_start(&self) -> Option<usize> {
        let dense = dense_strides(&self.shape);
        let same = self.shape.iter().zip(&self.strides).zip(&dense);
        // The stride of an axis of size 1 is never used.
        same.into_iter()
            .all(|((&size, stride), dense)| size == 1 || stride == dense)
            .then_some(self.offset)
    }

    /// Calls `visit` with the place of each element in order.
    pub(crate) fn places(&self, mut visit: impl FnMut(usize)) {
        if self.elements == 0 {
            return;
        }
        let mut index = vec![0; self.shape.len()];
        let mut place = self.offset;
        loop {
            visit(place);
            let axes = index.iter_mut().zip(self.shape.iter().zip(&self.strides));
            let mut done = true;
            for (at, (&size, &stride)) in axes.rev() {
                if *at + 1 < size {
                    *at += 1;
                    place += stride;
                    done = false;
                    break;
                }
                place -= stride * *at;
                *at = 0;
            }
            if done {
                return;
            }
        }
    }
}

/// The strides of a dense tensor. They overflow only where an axis of size 0 makes them meaningless.
fn dense_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    let mut step = 1usize;
    for (stride, &size) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step = step.saturating_mul(size);
    }
    strides
}

/// A size, stride or offset as the pickle has it.
pub(crate) fn natural(value: i64) -> Result<usize, PickleFault> {
    usize::try_from(value).map_err(|_| PickleFault::Operand {
        expected: "a size that is not negative",
        found: "a negative number",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(layout: &Layout) -> Vec<usize> {
        let mut places = Vec::new();
        layout.places(|place| places.push(place));
        places
    }

    #[test]
    fn elements_are_visited_in_order_of_the_last_axis_first() {
        let transposed = Layout::new(vec![3, 2], vec![1, 3], 1, 7).unwrap();
        assert_eq!(places(&transposed), [1, 4, 2, 5, 3, 6]);
        assert_eq!(transposed.dense_start(), None);
        let expanded = Layout::new(vec![2, 3], vec![0, 1], 0, 3).unwrap();
        assert_eq!(places(&expanded), [0, 1, 2, 0, 1, 2]);
        let dense = Layout::new(vec![2, 1, 2], vec![2, 99, 1], 4, 8).unwrap();
        assert_eq!(dense.dense_start(), Some(4));
        assert_eq!(places(&dense), [4, 5, 6, 7]);
        let scalar = Layout::new(vec![], vec![], 3, 4).unwrap();
        assert_eq!((places(&scalar), scalar.elements()), (vec![3], 1));
        let fortran = Layout::dense_reversed(vec![2, 3], 6).unwrap();
        assert_eq!(places(&fortran), [0, 2, 4, 1, 3, 5]);
    }

    #[test]
    fn tensors_without_elements_need_no_storage() {
        let empty = Layout::new(vec![0, usize::MAX, 2], vec![9, 9, 9], 50, 0).unwrap();
        assert_eq!((empty.elements(), places(&empty)), (0, vec![]));
        assert_eq!(
            Layout::dense(vec![usize::MAX, 2, 0], 0).unwrap().elements(),
            0
        );
    }

    #[test]
    fn what_reaches_beyond_the_storage_is_refused() {
        let beyond = |shape: &[usize], strides: &[usize], offset, stored| {
            matches!(
                Layout::new(shape.into(), strides.into(), offset, stored),
                Err(LayoutError::Beyond { .. })
            )
        };
        assert!(!beyond(&[2, 3], &[3, 1], 0, 6));
        assert!(beyond(&[2, 3], &[3, 1], 0, 5));
        assert!(beyond(&[2, 3], &[3, 1], 1, 6));
        assert!(beyond(&[], &[], 0, 0));
        assert!(beyond(&[3], &[usize::MAX], 0, usize::MAX));
        assert!(beyond(&[2], &[1], usize::MAX, usize::MAX));
    }

    #[test]
    fn shapes_that_are_none_are_refused() {
        let make = |shape: Vec<usize>| Layout::dense(shape, 1);
        assert!(matches!(
            make(vec![1 << 40, 1 << 40]),
            Err(LayoutError::Uncountable { .. })
        ));
        assert_eq!(make(vec![1; 65]), Err(LayoutError::Axes { axes: 65 }));
        assert!(make(vec![1; 64]).is_ok());
        let strides = Layout::new(vec![1], vec![], 0, 1);
        assert_eq!(
            strides,
            Err(LayoutError::Strides {
                shape: 1,
                strides: 0
            })
        );
        assert!(natural(-1).is_err());
    }
}
