//! In which numbers matrix products are formed.

use std::cell::Cell;

use burn::tensor::{Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::fused::matmul::{Bf16Unit, PanelFormat};
use crate::ops::{Kernels, chosen};

/// In which numbers the products of blocks, linear layers and MLPs are formed. Weights, gradients, the optimizer, norms, softmax
/// and losses are `f32` either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit numbers.
    #[default]
    F32,
    /// The factors are rounded to bf16, the upper half of an `f32`, and sums formed in `f32`: what mixed precision is called
    /// elsewhere. The range is that of `f32`, so losses need no scale.
    Bf16,
}

/// The device does not compute in bf16.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBf16 {
    /// The CPU.
    #[error(
        "this processor has no instructions for bf16 (AVX-512 BF16 or AMX); with the environment variable SEMAIM_BF16=emulated \
         factors are rounded and multiplied in 32 bits, which is slower than f32 and shows what bf16 does to training"
    )]
    Cpu,
    /// Another device.
    #[error("the framework does not compute in bf16 on {0}")]
    Device(String),
}

thread_local! {
    static CURRENT: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// Runs `f`, in whose operations on this thread products are formed in the given precision. A backward pass is of the
/// precision of its forward pass, wherever it runs.
pub fn with_precision<R>(precision: Precision, f: impl FnOnce() -> R) -> R {
    /// Puts back what was, also when `f` panics.
    struct Before(Precision);
    impl Drop for Before {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let before = Before(CURRENT.replace(precision));
    let result = f();
    drop(before);
    result
}

impl Precision {
    /// Whether products can be formed so on a device.
    ///
    /// # Errors
    /// [`NoBf16`] on a CPU without such instructions, unless the environment variable `SEMAIM_BF16` is `emulated`, and on devices
    /// of which the framework says so.
    pub fn check(self, device: &Device) -> Result<(), NoBf16> {
        if self == Self::F32 {
            return Ok(());
        }
        if *device == Device::flex() {
            return Bf16Unit::get().map(|_| ()).ok_or(NoBf16::Cpu);
        }
        match device.supports_dtype(FloatDType::BF16) {
            true => Ok(()),
            false => Err(NoBf16::Device(format!("{device:?}"))),
        }
    }

    /// What is known of this precision on a device where it was measured to be slower than `f32`, as a sentence; `None` where it
    /// was faster, or was not measured.
    pub fn slower_than_f32(self, device: &Device) -> Option<&'static str> {
        if self == Self::F32 || *device != Device::flex() {
            return None;
        }
        match chosen() {
            Kernels::Fused => Bf16Unit::get()?.slower_than_f32(),
            Kernels::Composed => Some(
                "composed operations on the CPU round factors to bf16 and multiply in 32 bits, which is slower than f32",
            ),
        }
    }

    /// What has been chosen for operations that begin now on this thread.
    pub(crate) fn current() -> Self {
        CURRENT.get()
    }

    /// How fused operations that begin now pack their factors.
    pub(crate) fn format() -> PanelFormat {
        match Self::current() {
            Self::F32 => PanelFormat::F32,
            Self::Bf16 => PanelFormat::Bf16(Bf16Unit::get().unwrap_or(Bf16Unit::Emulated)),
        }
    }
}

/// `left · right` in the current precision, for composed operations.
pub(crate) fn matmul<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    Precision::current().matmul(left, right)
}

impl Precision {
    /// `left · right` of composed operations.
    pub(crate) fn matmul<const D: usize>(self, left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => left.matmul(right),
            // The CPU backend has no products in bf16: there the factors are rounded, and that is all.
            Self::Bf16 if left.device() == Device::flex() => {
                let rounded = |x: Tensor<D>| x.cast(FloatDType::BF16).cast(FloatDType::F32);
                rounded(left).matmul(rounded(right))
            }
            Self::Bf16 => {
                let bf16 = |x: Tensor<D>| x.cast(FloatDType::BF16);
                bf16(left).matmul(bf16(right)).cast(FloatDType::F32)
            }
        }
    }
}
