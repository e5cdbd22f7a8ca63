//! Large buffers that are lent and come back: what a step needs is asked of the system once.
//!
//! A lent buffer holds whatever was left in it, so that nobody has to clear what is about to be written.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::scratch::LINE;

static POOL: Mutex<Pool> = Mutex::new(Pool {
    idle: Vec::new(),
    lent: 0,
    most: 0,
});

struct Pool {
    /// The longest unused first.
    idle: Vec<Vec<f32>>,
    /// Numbers that are lent.
    lent: usize,
    /// Most numbers that were ever lent at once: no more than these are held in all.
    most: usize,
}

impl Pool {
    fn get() -> MutexGuard<'static, Self> {
        // Every change leaves the pool whole.
        POOL.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The smallest idle buffer that is long enough, if it is not much too long.
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        let fits =
            |(_, buffer): &(usize, &Vec<f32>)| buffer.len() >= len && buffer.len() <= len + len / 4;
        let (i, _) = self
            .idle
            .iter()
            .enumerate()
            .filter(fits)
            .min_by_key(|(_, buffer)| buffer.len())?;
        Some(self.idle.remove(i))
    }

    fn forget_what_is_too_much(&mut self) {
        let mut held = self.lent + self.idle.iter().map(Vec::len).sum::<usize>();
        while held > self.most && !self.idle.is_empty() {
            held -= self.idle.remove(0).len();
        }
    }
}

/// A buffer from the pool that begins on a cache line; dropped, it goes back.
#[derive(Default)]
pub(crate) struct PooledBuf {
    buffer: Vec<f32>,
    start: usize,
    len: usize,
}

impl PooledBuf {
    /// `len` numbers of any value.
    pub(crate) fn new(len: usize) -> Self {
        if len == 0 {
            return Self::default();
        }
        let taken = Pool::get().take(len + LINE);
        let buffer = taken.unwrap_or_else(|| vec![0.0; len + LINE]);
        let to_line = buffer.as_ptr().align_offset(LINE * size_of::<f32>());
        let mut pool = Pool::get();
        pool.lent += buffer.len();
        pool.most = pool.most.max(pool.lent);
        pool.forget_what_is_too_much();
        Self {
            buffer,
            start: to_line.min(LINE),
            len,
        }
    }

    /// Pieces of the given sizes, one after the other.
    ///
    /// # Panics
    /// If there are not as many numbers.
    pub(crate) fn pieces_of(&mut self, sizes: impl IntoIterator<Item = usize>) -> Vec<&mut [f32]> {
        let mut rest = &mut **self;
        sizes
            .into_iter()
            .map(|size| {
                let (piece, after) = std::mem::take(&mut rest).split_at_mut(size);
                rest = after;
                piece
            })
            .collect()
    }
}

impl Drop for PooledBuf {
    fn drop(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let mut pool = Pool::get();
        pool.lent -= self.buffer.len();
        pool.idle.push(std::mem::take(&mut self.buffer));
        pool.forget_what_is_too_much();
    }
}

impl Deref for PooledBuf {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.buffer[self.start..][..self.len]
    }
}

impl DerefMut for PooledBuf {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[self.start..][..self.len]
    }
}

impl fmt::Debug for PooledBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} numbers", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_and_no_more_is_held_than_was_lent() {
        // Sizes that no other test of this process asks for.
        let size = 1_234_567;
        let mut first = PooledBuf::new(size);
        first[size - 1] = 7.0;
        let place = first.as_ptr();
        drop(first);
        let again = PooledBuf::new(size - 10);
        assert_eq!(again.as_ptr(), place);
        assert_eq!(again.len(), size - 10);
        assert_eq!(again.as_ptr().align_offset(64), 0);
        let two = [PooledBuf::new(size), PooledBuf::new(size)];
        assert!(two.iter().all(|buffer| buffer.as_ptr() != place));
        drop((again, two));
        let pool = Pool::get();
        let idle: usize = pool.idle.iter().map(Vec::len).sum();
        assert!(idle + pool.lent <= pool.most);
    }

    #[test]
    fn pieces_cover_what_was_asked_for() {
        let mut lent = PooledBuf::new(10);
        let pieces = lent.pieces_of([3, 0, 7]);
        assert_eq!(
            pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(),
            [3, 0, 7]
        );
    }
}
