//! Products in bf16 against plain loops over rounded numbers, within bounds, by every unit of the machine.

use super::super::right::{PanelFormat, Right};
use super::super::tests::{assert_result, numbers, spread, transposed};
use super::super::{Base, Finish, Lhs, Rows, RowsMut, product};
use super::Bf16Unit;

/// To the nearest number in bf16, ties to even: by halves and quarters, without looking at bits.
fn nearest(x: f32) -> f64 {
    if x == 0.0 {
        return 0.0;
    }
    let x = f64::from(x);
    let step = 2f64.powi(x.abs().log2().floor() as i32 - 7);
    (x / step).round_ties_even() * step
}

/// The right-hand side in panels, packed in each of the three ways; the memory ends where the last panel does.
fn packings(format: PanelFormat, b: &[f32], depth: usize, columns: usize) -> Vec<Vec<f32>> {
    let len = format.packed_len(depth, columns);
    let blank = || vec![f32::NAN; len];
    let (mut by_column, mut by_row, mut rounded) = (blank(), blank(), blank());
    let gap = if depth == 0 { 0 } else { 3 };
    let rows = spread(b, columns, gap);
    format.pack_columns(
        Rows::new(&rows, depth, columns, columns + gap),
        &mut by_column,
    );
    let other = spread(&transposed(b, columns), depth, gap);
    format.pack_rows(Rows::new(&other, columns, depth, depth + gap), &mut by_row);
    format.fill([depth, columns], &mut rounded, |panels| {
        PanelFormat::F32.pack_columns(Rows::new(&rows, depth, columns, columns + gap), panels);
    });
    vec![by_column, by_row, rounded]
}

fn check(unit: Bf16Unit, [rows, depth, columns]: [usize; 3]) {
    let format = PanelFormat::Bf16(unit);
    let gap = if depth == 0 { 0 } else { (rows + columns) % 3 };
    let (a, b) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
    let (bias, base) = (numbers(columns, 3), numbers(rows * columns, 4));
    let a_rows = spread(&a, depth, gap);
    let a_columns = spread(&transposed(&a, depth), rows, gap);
    let base_rows = spread(&base, columns, gap);
    let packed = packings(format, &b, depth, columns);
    let finishes = [
        Finish::PLAIN,
        Finish::bias(&bias),
        Finish {
            base: Base::Rows(Rows::new(&base_rows, rows, columns, columns + gap)),
            bias: &bias,
            scale: 0.5,
        },
        Finish::ADD,
    ];
    for (i, finish) in finishes.into_iter().enumerate() {
        let packed = &packed[i % packed.len()];
        let right: Right<'_> = format.panels(packed, depth, columns);
        for by_depth in [false, true] {
            let left = match by_depth {
                false => Lhs::Rows(Rows::new(&a_rows, rows, depth, depth + gap)),
                true => Lhs::Transposed(Rows::new(&a_columns, depth, rows, rows + gap)),
            };
            let mut out = spread(&base, columns, gap);
            let mut view = RowsMut::new(&mut out, rows, columns, columns + gap);
            product(left, right, finish, &mut view);
            let case = format!("{unit:?}, by depth: {by_depth}");
            assert_result(&case, &out, [rows, depth, columns, gap], |i, j| {
                let term = |p: usize| nearest(a[i * depth + p]) * nearest(b[p * columns + j]);
                let sum: f64 = (0..depth).map(term).sum();
                let bias = finish.bias.get(j).map_or(0.0, |&bias| f64::from(bias));
                let base = match finish.base {
                    Base::Zero => 0.0,
                    _ => f64::from(base[i * columns + j]),
                };
                base + f64::from(finish.scale) * (sum + bias)
            });
        }
    }
}

#[test]
fn products_of_all_sizes_stay_within_bounds() {
    let step = if cfg!(miri) { 17 } else { 1 };
    let mut cases = Vec::new();
    for rows in [1, 2, 15, 16, 17, 32, 33, 70] {
        for columns in [1, 15, 16, 17, 32, 33, 48] {
            for depth in [0, 1, 2, 31, 32, 33, 100] {
                cases.push([rows, depth, columns]);
            }
        }
    }
    for unit in Bf16Unit::all() {
        cases
            .iter()
            .step_by(step)
            .for_each(|&case| check(unit, case));
    }
}

#[test]
fn every_way_to_pack_rounds_alike() {
    let format = PanelFormat::Bf16(Bf16Unit::Emulated);
    for [depth, columns] in [[1, 1], [7, 20], [64, 33], [33, 16]] {
        let packed = packings(format, &numbers(depth * columns, 5), depth, columns);
        let bits = |panels: &[f32]| panels.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert!(packed.iter().all(|other| bits(other) == bits(&packed[0])));
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    for unit in Bf16Unit::all() {
        let format = PanelFormat::Bf16(unit);
        // All bits set: rounding up would make zero of it.
        for (x, is_right) in [
            (f32::from_bits(u32::MAX), f32::is_nan as fn(f32) -> bool),
            (f32::from_bits(0x7f80_0001), f32::is_nan),
            (f32::INFINITY, |y| y == f32::INFINITY),
            (f32::MAX, |y| y == f32::INFINITY),
        ] {
            let mut packed = vec![0.0; format.packed_len(1, 1)];
            format.pack_columns(Rows::dense(&[x], 1), &mut packed);
            let mut out = [0.0];
            product(
                Rows::dense(&[1.0], 1),
                format.panels(&packed, 1, 1),
                Finish::PLAIN,
                &mut RowsMut::dense(&mut out, 1),
            );
            assert!(is_right(out[0]), "{unit:?}: {x} became {}", out[0]);
        }
    }
}

#[test]
#[should_panic(expected = "shapes of a product")]
fn shapes_that_do_not_match_are_refused() {
    let format = PanelFormat::Bf16(Bf16Unit::Emulated);
    let packed = vec![0.0; format.packed_len(4, 2)];
    let mut out = [0.0; 4];
    product(
        Rows::dense(&numbers(6, 1), 3),
        format.panels(&packed, 4, 2),
        Finish::PLAIN,
        &mut RowsMut::dense(&mut out, 2),
    );
}
