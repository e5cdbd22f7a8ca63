//! Products against plain loops, within bounds.

use super::*;

/// Numbers from a formula, different in each place.
pub(super) fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0)
        .collect()
}

/// `[rows, width]` with `gap` numbers after each row but the last that nobody may use.
pub(super) fn spread(values: &[f32], width: usize, gap: usize) -> Vec<f32> {
    let rows: Vec<&[f32]> = values.chunks(width.max(1)).collect();
    let mut out = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        out.extend_from_slice(row);
        if i + 1 < rows.len() {
            out.extend(std::iter::repeat_n(f32::NAN, gap));
        }
    }
    out
}

/// The transpose of `[height, width]`.
pub(super) fn transposed(x: &[f32], width: usize) -> Vec<f32> {
    let height = x.len() / width.max(1);
    (0..x.len())
        .map(|i| x[i % height * width + i / height])
        .collect()
}

/// Asserts that a result `[rows, width]`, spread with `gap` numbers between rows, is what `expected(row, column)` says, to the
/// rounding of sums of `depth` terms, and that nothing was written between rows.
pub(super) fn assert_result(
    case: &str,
    out: &[f32],
    [rows, depth, width, gap]: [usize; 4],
    expected: impl Fn(usize, usize) -> f64,
) {
    let tolerance = 1e-6 * (1.0 + depth as f64).sqrt() * 4.0;
    for i in 0..rows {
        for j in 0..width {
            let (got, expected) = (f64::from(out[i * (width + gap) + j]), expected(i, j));
            assert!(
                (got - expected).abs() < tolerance,
                "{rows} × {depth} × {width}, {case}, {got} {expected}"
            );
        }
        let after = &out[i * (width + gap) + width..];
        assert!(
            after.iter().take(gap).all(|v| v.is_nan()),
            "written between rows"
        );
    }
}

struct Case {
    rows: usize,
    depth: usize,
    columns: usize,
    gap: usize,
}

/// All ways to compute one product, with every finish, against a plain loop in double precision. Slices end where
/// the last number does, and gaps hold NaN: a read beyond would show, a write beyond would panic or show.
fn check(case: &Case) {
    let Case {
        rows,
        depth,
        columns,
        gap,
    } = *case;
    let (a, b) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
    let (bias, base) = (numbers(columns, 3), numbers(rows * columns, 4));
    let a_rows = spread(&a, depth, gap);
    let a_columns = spread(&transposed(&a, depth), rows, gap);
    let mut tiles = vec![0.0; rows * depth];
    let by_depth = Rows::new(&a_columns, depth, rows, rows + gap);
    pack_tiles(by_depth, &mut tiles);
    let mut packed = vec![f32::NAN; packed_len(depth, columns)];
    let b_rows = spread(&b, columns, gap);
    pack_columns(
        Rows::new(&b_rows, depth, columns, columns + gap),
        &mut packed,
    );
    let b_columns = spread(&transposed(&b, columns), depth, gap);
    let mut other = vec![f32::NAN; packed.len()];
    super::pack::pack_rows(
        Rows::new(&b_columns, columns, depth, depth + gap),
        &mut other,
    );
    assert_eq!(packed, other);
    let right = Panels::new(&packed, depth, columns);
    for (with_bias, with_base, scale) in [
        (false, 0, 1.0),
        (true, 0, 1.0),
        (true, 1, 0.5),
        (false, 1, 2.0),
        (false, 2, 1.0),
    ] {
        let base_rows = spread(&base, columns, gap);
        let finish = Finish {
            base: match with_base {
                0 => Base::Zero,
                1 => Base::Rows(Rows::new(&base_rows, rows, columns, columns + gap)),
                _ => Base::Out,
            },
            bias: if with_bias { &bias } else { &[] },
            scale,
        };
        for layout in 0..3 {
            let mut out = spread(&base, columns, gap);
            let mut view = RowsMut::new(&mut out, rows, columns, columns + gap);
            match layout {
                0 => product(
                    Rows::new(&a_rows, rows, depth, depth + gap),
                    right,
                    finish,
                    &mut view,
                ),
                1 => product(Lhs::Transposed(by_depth), right, finish, &mut view),
                _ => product(Tiles::new(&tiles, depth, rows), right, finish, &mut view),
            }
            let case = format!("layout {layout}");
            assert_result(&case, &out, [rows, depth, columns, gap], |i, j| {
                let sum: f64 = (0..depth)
                    .map(|p| f64::from(a[i * depth + p]) * f64::from(b[p * columns + j]))
                    .sum();
                let bias = if with_bias { f64::from(bias[j]) } else { 0.0 };
                let base = if with_base > 0 {
                    f64::from(base[i * columns + j])
                } else {
                    0.0
                };
                base + f64::from(scale) * (sum + bias)
            });
        }
    }
}

#[test]
fn products_of_all_sizes_stay_within_bounds() {
    let mut cases = Vec::new();
    for rows in [1, 2, 5, 6, 7, 11, 12, 13, 18, 25] {
        for columns in [1, 15, 16, 17, 33] {
            for depth in [0, 1, 2, 9] {
                cases.push(Case {
                    rows,
                    depth,
                    columns,
                    gap: if depth == 0 { 0 } else { (rows + columns) % 3 },
                });
            }
        }
    }
    // Miri takes its time.
    let step = if cfg!(miri) { 17 } else { 1 };
    cases.iter().step_by(step).for_each(check);
}

#[test]
fn sums_longer_than_registers_hold_go_on() {
    if cfg!(miri) {
        return;
    }
    for depth in [DEPTH - 1, DEPTH, DEPTH + 1, 2 * DEPTH + 3] {
        check(&Case {
            rows: 13,
            depth,
            columns: 19,
            gap: 1,
        });
    }
}

#[test]
#[should_panic(expected = "shapes of a product")]
fn shapes_that_do_not_match_are_refused() {
    let (a, b) = (numbers(6, 1), numbers(packed_len(4, 2), 2));
    let mut out = vec![0.0; 4];
    product(
        Rows::dense(&a, 3),
        Panels::new(&b, 4, 2),
        Finish::PLAIN,
        &mut RowsMut::dense(&mut out, 2),
    );
}

#[test]
#[should_panic(expected = "do not fit")]
fn rows_that_do_not_fit_are_refused() {
    Rows::new(&numbers(11, 1), 3, 4, 4);
}
