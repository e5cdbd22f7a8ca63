//! Rows of numbers within larger ones.

/// Rows of numbers, `[count, width]`, their beginnings `stride` apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(crate) count: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
}

impl<'a> Rows<'a> {
    /// # Panics
    /// If `values` is too short for the rows.
    pub(crate) fn new(values: &'a [f32], count: usize, width: usize, stride: usize) -> Self {
        assert_fits(values.len(), count, width, stride);
        Self {
            values,
            count,
            width,
            stride,
        }
    }

    /// Rows without gaps.
    pub(crate) fn dense(values: &'a [f32], width: usize) -> Self {
        Self::new(values, values.len() / width.max(1), width, width)
    }

    pub(crate) fn row(&self, i: usize) -> &'a [f32] {
        &self.values[i * self.stride..][..self.width]
    }

    /// The part of `count` rows from `row` and `width` columns from `column`.
    pub(crate) fn part(&self, row: usize, count: usize, column: usize, width: usize) -> Self {
        assert!(row + count <= self.count && column + width <= self.width);
        if count == 0 || width == 0 {
            return Self::new(&[], 0, width, self.stride);
        }
        Self::new(
            &self.values[row * self.stride + column..],
            count,
            width,
            self.stride,
        )
    }
}

/// As [`Rows`], to be written to.
#[derive(Debug)]
pub(crate) struct RowsMut<'a> {
    pub(super) values: &'a mut [f32],
    pub(crate) count: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
}

impl<'a> RowsMut<'a> {
    /// # Panics
    /// If `values` is too short for the rows.
    pub(crate) fn new(values: &'a mut [f32], count: usize, width: usize, stride: usize) -> Self {
        assert_fits(values.len(), count, width, stride);
        Self {
            values,
            count,
            width,
            stride,
        }
    }

    /// Rows without gaps.
    pub(crate) fn dense(values: &'a mut [f32], width: usize) -> Self {
        let count = values.len() / width.max(1);
        Self::new(values, count, width, width)
    }

    /// The same rows, to be read.
    pub(crate) fn read(&self) -> Rows<'_> {
        Rows::new(self.values, self.count, self.width, self.stride)
    }

    pub(crate) fn row(&mut self, i: usize) -> &mut [f32] {
        &mut self.values[i * self.stride..][..self.width]
    }

    /// The part of `count` rows from `row` and `width` columns from `column`.
    pub(crate) fn part(
        &mut self,
        row: usize,
        count: usize,
        column: usize,
        width: usize,
    ) -> RowsMut<'_> {
        assert!(row + count <= self.count && column + width <= self.width);
        if count == 0 || width == 0 {
            return RowsMut::new(&mut [], 0, width, self.stride);
        }
        RowsMut::new(
            &mut self.values[row * self.stride + column..],
            count,
            width,
            self.stride,
        )
    }
}

fn assert_fits(len: usize, count: usize, width: usize, stride: usize) {
    assert!(
        width <= stride || count <= 1,
        "rows of {width} overlap at a stride of {stride}"
    );
    let needed = count.checked_sub(1).map_or(0, |last| last * stride + width);
    assert!(
        needed <= len,
        "{count} rows of {width}, {stride} apart, do not fit in {len} numbers"
    );
}
