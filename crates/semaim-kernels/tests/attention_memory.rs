//! Composed attention keeps no matrix of weights per block. One test, alone in its process: it counts bytes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Device, Tensor};
use semaim_kernels::{PrefixMask, composed};

/// Knows how many bytes are in use, and how many were at most.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Most bytes that a pass forward and backward through so many layers of attention takes.
fn peak(layers: usize, heads: usize, tokens: usize) -> usize {
    let device = Device::flex().autodiff();
    let lens = (1..=tokens as u32).collect();
    let mask = PrefixMask::new(lens, 1, tokens);
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let x = Tensor::<3>::ones([1, tokens, heads * 4], &device).require_grad();
    let mut y = x.clone();
    for _ in 0..layers {
        y = composed::attention(y.clone(), y.clone(), y, heads, Some(&mask));
    }
    let gradients = y.sum().backward();
    assert!(x.grad(&gradients).is_some());
    PEAK.load(Ordering::Relaxed) - before
}

#[test]
fn more_layers_do_not_keep_more_weights() {
    let (heads, tokens) = (4, 256);
    let weights = heads * tokens * tokens * size_of::<f32>();
    peak(1, heads, tokens);
    let [few, many] = [2, 12].map(|layers| peak(layers, heads, tokens));
    // Queries, keys, values, results and gradients of ten more layers are a small part of the weights of one.
    assert!(many < few + 2 * weights, "{few} {many}, weights {weights}");
}
