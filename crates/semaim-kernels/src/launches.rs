//! How many kernels a device is asked to run.

/// Kernels that devices were asked to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launches {
    /// All of them.
    pub count: u64,
    /// How many of each, by the names that the framework has for them.
    pub by_kernel: std::collections::BTreeMap<&'static str, u64>,
}

#[cfg(feature = "gpu")]
mod counter {
    use std::sync::{Arc, Mutex, PoisonError};

    use cubecl_runtime::logging::{LaunchObservation, LaunchObserver};

    use super::Launches;

    #[derive(Default)]
    struct Counter(Mutex<Launches>);

    impl LaunchObserver for Counter {
        fn launched(&self, kernel: &'static str) {
            let mut launches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            launches.count += 1;
            *launches.by_kernel.entry(kernel).or_default() += 1;
        }
    }

    pub(super) fn count<T>(f: impl FnOnce() -> T) -> (T, Launches) {
        let counter = Arc::new(Counter::default());
        let watching = LaunchObservation::new(counter.clone());
        let result = f();
        drop(watching);
        let launches = counter.0.lock().unwrap_or_else(PoisonError::into_inner);
        (result, launches.clone())
    }
}

/// Runs something, and counts the kernels that all devices of this process are asked to run meanwhile; `None` in a build
/// without devices but the CPU, on which nothing is launched.
///
/// Operations are put together before they are launched, so what is counted should end by reading a number off the device.
/// What is counted must not count in turn.
pub fn count_launches<T>(f: impl FnOnce() -> T) -> (T, Option<Launches>) {
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
