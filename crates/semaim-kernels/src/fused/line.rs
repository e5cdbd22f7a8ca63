//! Sixteen numbers side by side, in registers.
//!
//! The innermost loops of products name their instructions: a compiler left to itself turns the tile of sums on its
//! side now and then (seen with AVX-512, where products of packed tiles became fifty times slower), and nothing in the
//! source would tell. All other kernels are plain loops.

use super::cpu::Arithmetic;
use super::matmul::PANEL;

/// One line of a panel in registers.
///
/// # Safety
/// Of all functions: the machine must have the instruction set, and addresses must be good for 16 numbers (one for
/// [`Line::splat`]), which need not be aligned.
pub(crate) trait Line: Copy {
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
pub(crate) struct Plain<A>([f32; PANEL], std::marker::PhantomData<A>);

impl<A> Clone for Plain<A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Plain<A> {}

impl<A: Arithmetic> Line for Plain<A> {
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
    use std::arch::x86_64::{
        __m256, __m512, _mm256_add_ps, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps,
        _mm256_mul_ps, _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
        _mm512_mul_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::Line;

    /// AVX-512.
    #[derive(Clone, Copy)]
    pub(crate) struct Wide(__m512);

    /// AVX2 with FMA.
    #[derive(Clone, Copy)]
    pub(crate) struct Pair(__m256, __m256);

    impl Line for Wide {
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

    impl Line for Pair {
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

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Pair, Wide};
