//! Fused or composed.

use std::sync::atomic::{AtomicBool, Ordering};

/// Which form of the operations runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernels {
    /// Fused operations where there are any, which is on the CPU; composed ones elsewhere.
    #[default]
    Fused,
    /// Operations composed of the framework's own, on every device.
    Composed,
}

static COMPOSED: AtomicBool = AtomicBool::new(false);

/// Chooses for the whole process. Operations that have begun are not affected: a backward pass is of the form of its
/// forward pass.
pub fn choose(kernels: Kernels) {
    COMPOSED.store(kernels == Kernels::Composed, Ordering::Relaxed);
}

/// What has been chosen.
pub fn chosen() -> Kernels {
    if COMPOSED.load(Ordering::Relaxed) {
        Kernels::Composed
    } else {
        Kernels::Fused
    }
}
