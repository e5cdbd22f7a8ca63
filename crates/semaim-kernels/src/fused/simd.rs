//! One source, several instruction sets, chosen at run time.
//!
//! A kernel is written once, as plain loops over `f32`. [`multiversion!`] compiles it for AVX-512, for AVX2 with FMA and
//! for the target's baseline, and calls the best version that the machine has. On AArch64 the baseline is NEON.
//!
//! The innermost loops of products name their instructions, through [`F32x16`]: a compiler left to itself turns the tile
//! of sums on its side now and then (seen with AVX-512, where products of packed tiles became fifty times slower), and
//! nothing in the source would tell. All other kernels are plain loops.

use std::sync::OnceLock;

use super::matmul::PANEL;

/// What differs between instruction sets beside the width of a register.
pub(crate) trait Arithmetic {
    /// Rows of the tile that a matrix product keeps in registers; see [`super::matmul`].
    const TILE_ROWS: usize;

    /// Panels, of 16 columns each, of that tile: 1 or 2.
    const TILE_PANELS: usize;

    /// A line of a panel in registers.
    type Vector: F32x16;

    /// `a * b + c`.
    fn mul_add(a: f32, b: f32, c: f32) -> f32;

    /// Writes 16 rows of 16 words as columns.
    #[inline(always)]
    fn transpose(rows: &[[u32; PANEL]; PANEL], out: &mut [u32; PANEL * PANEL]) {
        let (lines, _) = out.as_chunks_mut::<PANEL>();
        for (p, line) in lines.iter_mut().enumerate() {
            for (to, row) in line.iter_mut().zip(rows) {
                *to = row[p];
            }
        }
    }
}

/// A fused multiply-add, and registers for a tile of 6 × 16: AVX2 and NEON.
pub(crate) struct Fma256;

/// A fused multiply-add, and registers for a tile of 12 × 32: AVX-512.
#[cfg(target_arch = "x86_64")]
pub(crate) struct Fma512;

/// No fused multiply-add to rely on: two roundings, as calling a library for one would be very slow.
pub(crate) struct NoFma;

impl Arithmetic for Fma256 {
    const TILE_ROWS: usize = 6;
    const TILE_PANELS: usize = 1;
    #[cfg(target_arch = "x86_64")]
    type Vector = x86::Avx2Pair;
    #[cfg(not(target_arch = "x86_64"))]
    type Vector = Portable<Self>;

    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

#[cfg(target_arch = "x86_64")]
impl Arithmetic for Fma512 {
    const TILE_ROWS: usize = 12;
    const TILE_PANELS: usize = 2;
    type Vector = x86::Avx512;

    #[inline(always)]
    fn transpose(rows: &[[u32; PANEL]; PANEL], out: &mut [u32; PANEL * PANEL]) {
        // SAFETY: this type stands for code that is compiled for AVX-512 and runs where it has been detected.
        unsafe { x86::transpose(rows, out) };
    }

    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Arithmetic for NoFma {
    const TILE_ROWS: usize = 2;
    const TILE_PANELS: usize = 1;
    type Vector = Portable<Self>;

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
macro_rules! multiversion {
    ($(#[$doc:meta])* $vis:vis fn $name:ident = $body:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?;) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    $body::<$crate::fused::simd::Fma256>($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    $body::<$crate::fused::simd::Fma512>($($arg),*)
                }
                match $crate::fused::simd::Cpu::get() {
                    // SAFETY: these instruction sets have been detected on this machine.
                    $crate::fused::simd::Cpu::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::fused::simd::Cpu::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::fused::simd::Cpu::Baseline => {}
                }
            }
            #[cfg(target_arch = "aarch64")]
            return $body::<$crate::fused::simd::Fma256>($($arg),*);
            #[cfg(not(target_arch = "aarch64"))]
            $body::<$crate::fused::simd::NoFma>($($arg),*)
        }
    };
}

pub(crate) use multiversion;

/// Sixteen numbers side by side, in registers: one line of a panel.
///
/// # Safety
/// Of all functions: the machine must have the instruction set, and addresses must be good for 16 numbers (one for
/// [`F32x16::splat`]), which need not be aligned.
pub(crate) trait F32x16: Copy {
    unsafe fn load(from: *const f32) -> Self;

    unsafe fn store(self, to: *mut f32);

    /// The number at an address, sixteen times.
    unsafe fn splat(from: *const f32) -> Self;

    unsafe fn add(self, other: Self) -> Self;

    unsafe fn mul(self, other: Self) -> Self;

    /// `self * other + sum`.
    unsafe fn mul_add(self, other: Self, sum: Self) -> Self;
}

/// For any target.
pub(crate) struct Portable<A>([f32; PANEL], std::marker::PhantomData<A>);

impl<A> Clone for Portable<A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Portable<A> {}

impl<A: Arithmetic> F32x16 for Portable<A> {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the address is good for 16 numbers by the contract; arrays of numbers have their alignment.
        Self(unsafe { *from.cast() }, std::marker::PhantomData)
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { *to.cast() = self.0 };
    }

    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: as above, for one number.
        Self([unsafe { *from }; PANEL], std::marker::PhantomData)
    }

    #[inline(always)]
    unsafe fn add(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a += b;
        }
        self
    }

    #[inline(always)]
    unsafe fn mul(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a *= b;
        }
        self
    }

    #[inline(always)]
    unsafe fn mul_add(self, other: Self, mut sum: Self) -> Self {
        for ((a, b), sum) in self.0.into_iter().zip(other.0).zip(&mut sum.0) {
            *sum = A::mul_add(a, b, *sum);
        }
        sum
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::PANEL;
    use std::arch::x86_64::{
        __m256, __m512, __m512i, _mm256_add_ps, _mm256_broadcast_ss, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_mul_ps, _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_shuffle_i32x4, _mm512_storeu_ps,
        _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    };

    /// The transpose of 16 rows of 16 words: pairs of rows, fours, then quarters of rows change places.
    ///
    /// # Safety
    /// The machine must have AVX-512.
    #[inline(always)]
    pub(super) unsafe fn transpose(rows: &[[u32; PANEL]; PANEL], out: &mut [u32; PANEL * PANEL]) {
        // SAFETY: the contract, and any 512 bits are sixteen words.
        unsafe {
            let r: [__m512i; PANEL] = std::mem::transmute_copy(rows);
            let mut t = r;
            for i in 0..8 {
                t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
                t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
            }
            // u[4 i + j]: column j of each quarter, of rows 4 i to 4 i + 3.
            let mut u = t;
            for i in 0..4 {
                u[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
                u[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
                u[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
                u[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
            }
            let mut columns = u;
            for j in 0..4 {
                let even = _mm512_shuffle_i32x4::<0x88>(u[j], u[4 + j]);
                let odd = _mm512_shuffle_i32x4::<0xdd>(u[j], u[4 + j]);
                let other_even = _mm512_shuffle_i32x4::<0x88>(u[8 + j], u[12 + j]);
                let other_odd = _mm512_shuffle_i32x4::<0xdd>(u[8 + j], u[12 + j]);
                columns[j] = _mm512_shuffle_i32x4::<0x88>(even, other_even);
                columns[8 + j] = _mm512_shuffle_i32x4::<0xdd>(even, other_even);
                columns[4 + j] = _mm512_shuffle_i32x4::<0x88>(odd, other_odd);
                columns[12 + j] = _mm512_shuffle_i32x4::<0xdd>(odd, other_odd);
            }
            *out = std::mem::transmute::<[__m512i; PANEL], [u32; PANEL * PANEL]>(columns);
        }
    }

    use super::F32x16;

    /// AVX-512.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(__m512);

    /// AVX2 with FMA.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2Pair(__m256, __m256);

    impl F32x16 for Avx512 {
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the trait's contract.
            Self(unsafe { _mm512_loadu_ps(from) })
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the trait's contract.
            unsafe { _mm512_storeu_ps(to, self.0) };
        }

        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            // SAFETY: the trait's contract.
            Self(unsafe { _mm512_set1_ps(*from) })
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the trait's contract.
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            // SAFETY: the trait's contract.
            Self(unsafe { _mm512_mul_ps(self.0, other.0) })
        }

        #[inline(always)]
        unsafe fn mul_add(self, other: Self, sum: Self) -> Self {
            // SAFETY: the trait's contract.
            Self(unsafe { _mm512_fmadd_ps(self.0, other.0, sum.0) })
        }
    }

    impl F32x16 for Avx2Pair {
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the trait's contract.
            unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the trait's contract.
            unsafe {
                _mm256_storeu_ps(to, self.0);
                _mm256_storeu_ps(to.add(8), self.1);
            }
        }

        #[inline(always)]
        unsafe fn splat(from: *const f32) -> Self {
            // SAFETY: the trait's contract.
            let half = unsafe { _mm256_broadcast_ss(&*from) };
            Self(half, half)
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the trait's contract.
            unsafe {
                Self(
                    _mm256_add_ps(self.0, other.0),
                    _mm256_add_ps(self.1, other.1),
                )
            }
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            // SAFETY: the trait's contract.
            unsafe {
                Self(
                    _mm256_mul_ps(self.0, other.0),
                    _mm256_mul_ps(self.1, other.1),
                )
            }
        }

        #[inline(always)]
        unsafe fn mul_add(self, other: Self, sum: Self) -> Self {
            // SAFETY: the trait's contract.
            unsafe {
                Self(
                    _mm256_fmadd_ps(self.0, other.0, sum.0),
                    _mm256_fmadd_ps(self.1, other.1, sum.1),
                )
            }
        }
    }
}
