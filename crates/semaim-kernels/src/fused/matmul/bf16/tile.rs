//! 32 × 32 sums of products in bf16, by each unit.

use super::unit::Bf16Unit;
use super::{DEPTH_BLOCK, TILE};
use crate::fused::matmul::PANEL;

/// Words of a block: 16 lines of 16 pairs.
const BLOCK: usize = TILE * DEPTH_BLOCK / 2;

/// Two tiles of rows times two panels: the sums of 32 rows in each of the panels.
#[repr(align(64))]
pub(super) struct Sums(pub(super) [[[f32; PANEL]; 2]; 2 * TILE]);

impl Sums {
    pub(super) const ZERO: Self = Self([[[0.0; PANEL]; 2]; 2 * TILE]);
}

/// Adds what `blocks` blocks along the depth give, for two tiles `a` of the left-hand side and two panels `b` of the right one, all
/// of them `blocks` blocks long.
#[inline]
pub(super) fn add_tile(
    unit: Bf16Unit,
    a: [&[u32]; 2],
    b: [&[u32]; 2],
    blocks: usize,
    sums: &mut Sums,
) {
    for side in [a, b].as_flattened() {
        assert!(side.len() >= blocks * BLOCK, "blocks of a product in bf16");
    }
    if blocks == 0 {
        return;
    }
    match unit {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the unit is there, tiles have been set up by the caller's `Tiles`, and each side has `blocks` blocks.
        Bf16Unit::Amx => unsafe { x86::amx(a, b, blocks, sums) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Bf16Unit::Avx512 => unsafe { x86::avx512(a, b, blocks, sums) },
        _ => emulated(a, b, blocks, sums),
    }
}

/// The two numbers of a pair.
fn numbers(pair: u32) -> [f32; 2] {
    [
        f32::from_bits(pair << 16),
        f32::from_bits(pair & 0xffff_0000),
    ]
}

fn emulated(a: [&[u32]; 2], b: [&[u32]; 2], blocks: usize, sums: &mut Sums) {
    for (panel, b) in b.into_iter().enumerate() {
        for p in 0..blocks * DEPTH_BLOCK / 2 {
            let right: [[f32; 2]; PANEL] = std::array::from_fn(|j| numbers(b[p * PANEL + j]));
            for (row, sums) in sums.0.iter_mut().enumerate() {
                let at = p / TILE * BLOCK + row % TILE * TILE + p % TILE;
                let left = numbers(a[row / TILE][at]);
                for (sum, right) in sums[panel].iter_mut().zip(right) {
                    *sum += left[0] * right[0] + left[1] * right[1];
                }
            }
        }
    }
}

/// Tiles set up for products of whole blocks, and given back at the end.
pub(super) struct Tiles(Bf16Unit);

impl Tiles {
    pub(super) fn set_up(unit: Bf16Unit) -> Self {
        #[cfg(target_arch = "x86_64")]
        if unit == Bf16Unit::Amx {
            // SAFETY: the unit is there and the system allows its use.
            unsafe { x86::set_up() };
        }
        Self(unit)
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if self.0 == Bf16Unit::Amx {
            // SAFETY: as above.
            unsafe { x86::give_back() };
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::{
        __m512bh, _mm512_castsi512_ps, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512,
        _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
    };
    use std::mem::transmute;

    use super::{BLOCK, Sums};
    use crate::fused::matmul::PANEL;
    use crate::fused::matmul::bf16::TILE;

    /// The layout of the eight tiles: palette 1, each of 16 rows of 64 bytes.
    #[repr(align(64))]
    struct Configuration([u8; 64]);

    static CONFIGURATION: Configuration = {
        let mut bytes = [0; 64];
        bytes[0] = 1;
        let mut tile = 0;
        while tile < 8 {
            bytes[16 + 2 * tile] = 64;
            bytes[48 + tile] = 16;
            tile += 1;
        }
        Configuration(bytes)
    };

    /// # Safety
    /// The machine must have AMX, and the process the permission to use it.
    pub(super) unsafe fn set_up() {
        // SAFETY: by the contract; 64 bytes are read.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) CONFIGURATION.0.as_ptr(), options(nostack, readonly, preserves_flags));
        }
    }

    /// # Safety
    /// As [`set_up`].
    pub(super) unsafe fn give_back() {
        // SAFETY: by the contract.
        unsafe {
            asm!("tilerelease",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, nomem, preserves_flags));
        }
    }

    /// # Safety
    /// As [`set_up`], which must have been called on this thread. Each side must have `blocks` blocks, at least one.
    pub(super) unsafe fn amx(a: [&[u32]; 2], b: [&[u32]; 2], blocks: usize, sums: &mut Sums) {
        // SAFETY: by the contract. A block is 1,024 bytes, a line 64; four times 16 lines of sums are read and written, two side by side.
        unsafe {
            asm!(
                "tileloadd tmm0, [{sums} + {line}*2]",
                "tileloadd tmm1, [{sums} + {line}*2 + 64]",
                "tileloadd tmm2, [{sums} + {line}*2 + 2048]",
                "tileloadd tmm3, [{sums} + {line}*2 + 2112]",
                "2:",
                "tileloadd tmm4, [{a0} + {line}*1]",
                "tileloadd tmm6, [{b0} + {line}*1]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{b1} + {line}*1]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{a1} + {line}*1]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a0}, 1024",
                "add {a1}, 1024",
                "add {b0}, 1024",
                "add {b1}, 1024",
                "dec {blocks}",
                "jnz 2b",
                "tilestored [{sums} + {line}*2], tmm0",
                "tilestored [{sums} + {line}*2 + 64], tmm1",
                "tilestored [{sums} + {line}*2 + 2048], tmm2",
                "tilestored [{sums} + {line}*2 + 2112], tmm3",
                a0 = inout(reg) a[0].as_ptr() => _,
                a1 = inout(reg) a[1].as_ptr() => _,
                b0 = inout(reg) b[0].as_ptr() => _,
                b1 = inout(reg) b[1].as_ptr() => _,
                blocks = inout(reg) blocks => _,
                sums = in(reg) sums.0.as_mut_ptr(),
                line = in(reg) 64_usize,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }

    /// Rows whose sums are held in registers.
    const ROWS: usize = 8;

    /// # Safety
    /// The machine must have AVX-512 BF16. Each side must have `blocks` blocks.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn avx512(a: [&[u32]; 2], b: [&[u32]; 2], blocks: usize, sums: &mut Sums) {
        for (tile, a) in a.into_iter().enumerate() {
            for row in (0..TILE).step_by(ROWS) {
                let lines = &mut sums.0[tile * TILE + row..][..ROWS];
                let mut held = [[_mm512_setzero_ps(); 2]; ROWS];
                for (held, line) in held.iter_mut().flatten().zip(lines.as_flattened()) {
                    // SAFETY: a line has 16 numbers.
                    *held = unsafe { _mm512_loadu_ps(line.as_ptr()) };
                }
                for block in 0..blocks {
                    for p in 0..TILE {
                        // SAFETY: line `p` of a block that is there, in each panel.
                        let right = b.map(|b| unsafe {
                            let line = b.as_ptr().add(block * BLOCK + p * PANEL);
                            as_bf16(_mm512_castsi512_ps(_mm512_loadu_si512(line.cast())))
                        });
                        for (i, held) in held.iter_mut().enumerate() {
                            // SAFETY: pair `p` of one of the 16 rows of a block that is there.
                            let pair =
                                unsafe { *a.as_ptr().add(block * BLOCK + (row + i) * TILE + p) };
                            let left =
                                as_bf16(_mm512_castsi512_ps(_mm512_set1_epi32(pair.cast_signed())));
                            for (sum, right) in held.iter_mut().zip(right) {
                                *sum = _mm512_dpbf16_ps(*sum, left, right);
                            }
                        }
                    }
                }
                for (held, line) in held.iter().flatten().zip(lines.as_flattened_mut()) {
                    // SAFETY: as above.
                    unsafe { _mm512_storeu_ps(line.as_mut_ptr(), *held) };
                }
            }
        }
    }

    #[inline(always)]
    fn as_bf16(words: std::arch::x86_64::__m512) -> __m512bh {
        // SAFETY: both are 512 bits of which every value is allowed.
        unsafe { transmute(words) }
    }
}
