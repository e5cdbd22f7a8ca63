//! An allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// Tests of one binary run at one time; one of them counts at a time.
static COUNTING: Mutex<()> = Mutex::new(());

thread_local! {
    static HERE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

struct Counting;

fn here() -> bool {
    HERE.try_with(std::cell::Cell::get).unwrap_or(false)
}

fn took(bytes: usize) {
    if here() {
        let now = NOW.fetch_add(bytes, Ordering::Relaxed) + bytes;
        PEAK.fetch_max(now, Ordering::Relaxed);
    }
}

fn gave(bytes: usize) {
    if here() {
        // What was taken before the count began may be given back within it.
        let _ = NOW.try_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            Some(now.saturating_sub(bytes))
        });
    }
}

// SAFETY: every call is passed on to the system's allocator as it is; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller keeps the contract of this function, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller keeps the contract of this function, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there at once while the content is copied, but the system moves large pages instead.
        gave(layout.size());
        took(size);
        // SAFETY: the caller keeps the contract of this function, which is the same.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        gave(layout.size());
        // SAFETY: the caller keeps the contract of this function, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `run` gives, and the most bytes that this thread had taken at one time while it ran.
pub(crate) fn peak_of<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let _one = COUNTING.lock().unwrap_or_else(|broken| broken.into_inner());
    NOW.store(0, Ordering::Relaxed);
    PEAK.store(0, Ordering::Relaxed);
    HERE.set(true);
    let result = run();
    HERE.set(false);
    (result, PEAK.load(Ordering::Relaxed))
}

#[test]
fn the_peak_is_counted() {
    let (sum, peak) = peak_of(|| {
        let first = vec![1u8; 1 << 20];
        drop(first);
        let second = vec![1u8; 3 << 20];
        second.len()
    });
    assert_eq!(sum, 3 << 20);
    assert!((3 << 20..4 << 20).contains(&peak), "{peak}");
}
