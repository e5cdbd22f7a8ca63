//! Memory that is written before it is read: pooled scratch for a thread, and results not yet filled.

use std::cell::RefCell;
use std::mem::MaybeUninit;

thread_local! {
    /// What this thread has used before, the most recently returned last.
    static POOL: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Numbers in a cache line; every piece of scratch begins on a line.
pub(super) const LINE: usize = 16;

/// Lends pieces of the given sizes to `f`. They hold whatever was left in them, and no memory is asked of the system
/// once a thread has had as much.
pub(crate) fn with_scratch<const N: usize, R>(
    sizes: [usize; N],
    f: impl FnOnce([&mut [f32]; N]) -> R,
) -> R {
    let needed = sizes
        .iter()
        .map(|size| size.next_multiple_of(LINE))
        .sum::<usize>()
        + LINE;
    let mut memory = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
    if memory.len() < needed {
        memory.resize(needed, 0.0);
    }
    let offset = memory
        .as_ptr()
        .align_offset(LINE * size_of::<f32>())
        .min(LINE);
    let mut rest = &mut memory[offset..];
    let pieces = sizes.map(|size| {
        let (piece, after) = std::mem::take(&mut rest).split_at_mut(size.next_multiple_of(LINE));
        rest = after;
        &mut piece[..size]
    });
    let result = f(pieces);
    POOL.with_borrow_mut(|pool| pool.push(memory));
    result
}

/// A result of known length that tasks fill piece by piece, without clearing all of it first on one thread.
#[derive(Debug, Default)]
pub(crate) struct UninitBuf {
    values: Vec<MaybeUninit<f32>>,
}

/// A piece of a [`UninitBuf`].
#[derive(Debug)]
pub(crate) struct UninitSlice<'a>(&'a mut [MaybeUninit<f32>]);

impl UninitBuf {
    pub(crate) fn new(len: usize) -> Self {
        let mut values = Vec::with_capacity(len);
        values.resize_with(len, MaybeUninit::uninit);
        Self { values }
    }

    /// Pieces of `size`, the last perhaps shorter.
    pub(crate) fn pieces(&mut self, size: usize) -> impl Iterator<Item = UninitSlice<'_>> {
        self.values.chunks_mut(size.max(1)).map(UninitSlice)
    }

    /// All of it in pieces of the given sizes.
    pub(crate) fn pieces_of(
        &mut self,
        sizes: impl IntoIterator<Item = usize>,
    ) -> Vec<UninitSlice<'_>> {
        let mut rest = self.values.as_mut_slice();
        sizes
            .into_iter()
            .map(|size| {
                let (piece, after) = std::mem::take(&mut rest).split_at_mut(size);
                rest = after;
                UninitSlice(piece)
            })
            .collect()
    }

    /// # Safety
    /// Every piece must have been [filled](UninitSlice::zeros).
    pub(crate) unsafe fn filled(self) -> Vec<f32> {
        let mut values = std::mem::ManuallyDrop::new(self.values);
        // SAFETY: a `MaybeUninit<f32>` is laid out like an `f32`, and the caller vouches for the values.
        unsafe { Vec::from_raw_parts(values.as_mut_ptr().cast(), values.len(), values.capacity()) }
    }
}

impl<'a> UninitSlice<'a> {
    /// The piece, full of zeros: cleared by the task that uses it, so that it is in that task's cache.
    pub(crate) fn zeros(self) -> &'a mut [f32] {
        self.0.fill(MaybeUninit::new(0.0));
        // SAFETY: every number has just been written.
        unsafe { &mut *(std::ptr::from_mut(self.0) as *mut [f32]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_begin_on_lines_and_do_not_overlap() {
        for _ in 0..3 {
            with_scratch([5, 0, 33], |[a, none, b]| {
                assert_eq!((a.len(), none.len(), b.len()), (5, 0, 33));
                assert!(a.as_ptr().cast::<u8>().align_offset(64) == 0);
                assert!(b.as_ptr().cast::<u8>().align_offset(64) == 0);
                a.fill(1.0);
                with_scratch([40], |[inner]| inner.fill(2.0));
                b.fill(3.0);
                assert!(a.iter().all(|&v| v == 1.0));
            });
        }
    }

    #[test]
    fn a_blank_is_what_its_tasks_made_it() {
        let mut blank = UninitBuf::new(7);
        for (i, piece) in blank.pieces(3).enumerate() {
            piece.zeros()[0] = i as f32 + 1.0;
        }
        // SAFETY: all pieces have been filled.
        let values = unsafe { blank.filled() };
        assert_eq!(values, [1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 3.0]);
    }
}
