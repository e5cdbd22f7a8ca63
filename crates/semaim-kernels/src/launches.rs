//! How many kernels a device is asked to run.

#[cfg(feature = "gpu")]
mod counter {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use cubecl_runtime::logging::{LaunchObservation, LaunchObserver};

    #[derive(Default)]
    struct Launches(AtomicU64);

    impl LaunchObserver for Launches {
        fn launched(&self, _kernel: &'static str) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn count<T>(f: impl FnOnce() -> T) -> (T, u64) {
        let launches = Arc::new(Launches::default());
        let watching = LaunchObservation::new(launches.clone());
        let result = f();
        drop(watching);
        (result, launches.0.load(Ordering::Relaxed))
    }
}

/// Runs something, and counts the kernels that all devices of this process are asked to run meanwhile; `None` in a build
/// without devices but the CPU, on which nothing is launched.
///
/// Operations are put together before they are launched, so what is counted should end by reading a number off the device.
pub fn count_launches<T>(f: impl FnOnce() -> T) -> (T, Option<u64>) {
    #[cfg(feature = "gpu")]
    {
        let (result, launches) = counter::count(f);
        (result, Some(launches))
    }
    #[cfg(not(feature = "gpu"))]
    {
        (f(), None)
    }
}
