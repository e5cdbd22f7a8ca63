//! Windows that slide over an image.

/// A part of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Windows of `crop` pixels, `stride` apart, over an image `[height, width]`, row by row. The last ones are moved back so
/// that they end where the image ends; an image that is smaller than a window is seen whole.
pub fn windows([height, width]: [usize; 2], crop: usize, stride: usize) -> Vec<Window> {
    let rows = starts(height, crop, stride);
    rows.into_iter()
        .flat_map(|top| {
            let columns = starts(width, crop, stride).into_iter();
            columns.map(move |left| Window {
                top,
                left,
                height: crop.min(height),
                width: crop.min(width),
            })
        })
        .collect()
}

/// Where the windows of one axis begin.
fn starts(side: usize, crop: usize, stride: usize) -> Vec<usize> {
    let last = side.saturating_sub(crop);
    let steps = last.div_ceil(stride.max(1));
    (0..=steps).map(|step| (step * stride).min(last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_where_the_image_ends() {
        assert_eq!(starts(512, 512, 341), [0]);
        assert_eq!(starts(683, 512, 341), [0, 171]);
        assert_eq!(starts(853, 512, 341), [0, 341]);
        assert_eq!(starts(854, 512, 341), [0, 341, 342]);
        assert_eq!(starts(300, 512, 341), [0]);
        let window = |left| Window {
            top: 0,
            left,
            height: 3,
            width: 4,
        };
        assert_eq!(windows([3, 7], 4, 2), [0, 2, 3].map(window));
    }

    /// mmsegmentation's grid, written out.
    #[test]
    fn windows_are_those_of_mmsegmentation() {
        for (side, crop, stride) in (1..40_usize)
            .flat_map(|side| (1..9_usize).flat_map(move |c| (1..=c).map(move |s| (side, c, s))))
        {
            let count = (side + stride - 1).saturating_sub(crop) / stride + 1;
            let theirs = (0..count).map(|i| (i * stride + crop).min(side).saturating_sub(crop));
            assert_eq!(starts(side, crop, stride), theirs.collect::<Vec<_>>());
        }
    }
}
