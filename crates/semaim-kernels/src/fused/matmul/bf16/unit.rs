//! What multiplies numbers in bf16 on this machine.

use std::sync::OnceLock;

/// What multiplies numbers in bf16, two at a time, and adds the products up in `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bf16Unit {
    /// AMX: tiles of 16 × 32 numbers.
    Amx,
    /// AVX-512 BF16: 32 numbers at a time.
    Avx512,
    /// Plain arithmetic on rounded numbers: slower than `f32`, to see what bf16 does to training where there is no unit.
    Emulated,
}

impl Bf16Unit {
    /// The best unit of this machine, found out once; `None` where there is none.
    ///
    /// `SEMAIM_BF16=avx512` (where there is more) or `SEMAIM_BF16=emulated` (anywhere) is taken instead.
    pub fn get() -> Option<Self> {
        static UNIT: OnceLock<Option<Bf16Unit>> = OnceLock::new();
        *UNIT.get_or_init(|| match std::env::var("SEMAIM_BF16").as_deref() {
            Ok("emulated") => Some(Self::Emulated),
            Ok("avx512") => detected::avx512().then_some(Self::Avx512),
            _ if detected::amx() => Some(Self::Amx),
            _ => detected::avx512().then_some(Self::Avx512),
        })
    }

    /// What was measured of a unit whose products are slower than those in 32 bits (docs/performance.md).
    pub(crate) fn slower_than_f32(self) -> Option<&'static str> {
        match self {
            Self::Amx => None,
            Self::Avx512 => Some(
                "products in bf16 are formed by AVX-512 BF16 here, not by AMX; where that was measured, steps were slower than in f32 \
                 (an AMD EPYC: 0.76 of the speed)",
            ),
            Self::Emulated => Some(
                "bf16 is emulated, which is slower than f32 and shows what bf16 does to training",
            ),
        }
    }

    /// Every unit that this machine has, and emulation.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut units = vec![Self::Emulated];
        units.extend(detected::avx512().then_some(Self::Avx512));
        units.extend(detected::amx().then_some(Self::Amx));
        units
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod detected {
    use std::arch::x86_64::{__cpuid_count, _xgetbv};

    use crate::fused::simd::Cpu;

    pub(super) fn avx512() -> bool {
        Cpu::get() == Cpu::Avx512 && is_x86_feature_detected!("avx512bf16")
    }

    /// Whether there are AMX tiles with bf16 products, and the system lets this process use them.
    pub(super) fn amx() -> bool {
        // CPUID 7.0, EDX.
        const AMX_BF16: u32 = 1 << 22;
        const AMX_TILE: u32 = 1 << 24;
        // Configuration and data of tiles in the state that the system saves.
        const TILE_STATE: u64 = 0b11 << 17;
        if !avx512() || !is_x86_feature_detected!("xsave") {
            return false;
        }
        let features = __cpuid_count(7, 0).edx;
        if features & (AMX_BF16 | AMX_TILE) != AMX_BF16 | AMX_TILE {
            return false;
        }
        #[target_feature(enable = "xsave")]
        fn saved_state() -> u64 {
            // SAFETY: register 0 exists wherever XSAVE does.
            unsafe { _xgetbv(0) }
        }
        // SAFETY: XSAVE has been detected.
        let saved = unsafe { saved_state() };
        saved & TILE_STATE == TILE_STATE && permitted()
    }

    /// Asks the kernel for the tiles' registers, which it gives to processes that ask.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn permitted() -> bool {
        const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
        const XFEATURE_XTILEDATA: libc::c_long = 18;
        // SAFETY: the call takes two numbers and touches no memory of ours.
        let refused = unsafe {
            libc::syscall(
                libc::SYS_arch_prctl,
                ARCH_REQ_XCOMP_PERM,
                XFEATURE_XTILEDATA,
            )
        };
        refused == 0
    }

    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    fn permitted() -> bool {
        false
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
mod detected {
    pub(super) fn avx512() -> bool {
        false
    }

    pub(super) fn amx() -> bool {
        false
    }
}
