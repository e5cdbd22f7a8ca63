//! One source, several instruction sets, chosen at run time.
//!
//! A kernel is written once, as plain loops over `f32`. [`versions!`] compiles it for AVX-512, for AVX2 with FMA and
//! for the target's baseline, and calls the best version that the machine has. On AArch64 the baseline is NEON.

use std::sync::OnceLock;

use super::line::{Line, Plain};

/// What differs between instruction sets beside the width of a register.
pub(crate) trait Arithmetic {
    /// Rows of the tile that a matrix product keeps in registers; see [`super::matmul`].
    const TILE_ROWS: usize;

    /// Panels, of 16 columns each, of that tile: 1 or 2.
    const TILE_PANELS: usize;

    /// A line of a panel in registers.
    type Line: Line;

    /// `a * b + c`.
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

/// A fused multiply-add, and registers for a tile of 6 × 16: AVX2 and NEON.
pub(crate) struct Joined;

/// A fused multiply-add, and registers for a tile of 12 × 32: AVX-512.
#[cfg(target_arch = "x86_64")]
pub(crate) struct JoinedWide;

/// No fused multiply-add to rely on: two roundings, as calling a library for one would be very slow.
pub(crate) struct Separate;

impl Arithmetic for Joined {
    const TILE_ROWS: usize = 6;
    const TILE_PANELS: usize = 1;
    #[cfg(target_arch = "x86_64")]
    type Line = super::line::Pair;
    #[cfg(not(target_arch = "x86_64"))]
    type Line = Plain<Self>;

    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

#[cfg(target_arch = "x86_64")]
impl Arithmetic for JoinedWide {
    const TILE_ROWS: usize = 12;
    const TILE_PANELS: usize = 2;
    type Line = super::line::Wide;

    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Arithmetic for Separate {
    const TILE_ROWS: usize = 2;
    const TILE_PANELS: usize = 1;
    type Line = Plain<Self>;

    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

/// The instruction sets that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// What the target guarantees: SSE2 on x86-64, NEON on AArch64.
    Baseline,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, VL, BW and DQ.
    Avx512,
}

impl Cpu {
    /// The best set that this machine has, found out once.
    ///
    /// `SEMAIM_CPU=baseline` (or `avx2`, where there is more) holds it back, so that tests can run every version.
    pub fn get() -> Self {
        static CPU: OnceLock<Cpu> = OnceLock::new();
        *CPU.get_or_init(|| {
            let best = Self::detect();
            match std::env::var("SEMAIM_CPU").as_deref() {
                Ok("baseline") => Self::Baseline,
                Ok("avx2") if best == Self::Avx512 => Self::Avx2,
                _ => best,
            }
        })
    }

    fn detect() -> Self {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            let joined = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq");
            if joined && wide {
                return Self::Avx512;
            }
            if joined {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }
}

/// Declares a function that runs the best version of a generic body `fn body<A: Arithmetic>(…)`, which must be
/// `#[inline(always)]` to be compiled for the instruction set of its caller.
macro_rules! versions {
    ($(#[$doc:meta])* $vis:vis fn $name:ident = $body:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?;) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    $body::<$crate::fused::cpu::Joined>($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    $body::<$crate::fused::cpu::JoinedWide>($($arg),*)
                }
                match $crate::fused::cpu::Cpu::get() {
                    // SAFETY: these instruction sets have been detected on this machine.
                    $crate::fused::cpu::Cpu::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::fused::cpu::Cpu::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::fused::cpu::Cpu::Baseline => {}
                }
            }
            #[cfg(target_arch = "aarch64")]
            return $body::<$crate::fused::cpu::Joined>($($arg),*);
            #[cfg(not(target_arch = "aarch64"))]
            $body::<$crate::fused::cpu::Separate>($($arg),*)
        }
    };
}

pub(crate) use versions;
