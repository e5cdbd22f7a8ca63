//! What the tests of JPEGs, here and in `semaim-data`, check of parts of pictures.

/// A picture, or a part of one.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    /// Columns and rows.
    pub(crate) size: [u32; 2],
    pub(crate) channels: usize,
    /// `[rows, columns, channels]`.
    pub(crate) samples: &'a [u8],
    /// Left and top edge, in pixels of the picture.
    pub(crate) origin: [i64; 2],
    /// How many of the picture's pixels, across and down, one stands for.
    pub(crate) shrink: u32,
}

impl Part<'_> {
    /// The samples of a region of it.
    pub(crate) fn cut(self, [left, top, width, height]: [u32; 4]) -> Vec<u8> {
        let row = |y: u32| {
            let start = (y * self.size[0] + left) as usize * self.channels;
            &self.samples[start..start + width as usize * self.channels]
        };
        (top..top + height).flat_map(row).copied().collect()
    }

    /// Checks that a shrunk part covers a region, and no more than it must.
    pub(crate) fn assert_covers(self, [left, top, width, height]: [u32; 4], shrink: u32) {
        assert_eq!(self.shrink, shrink);
        let shrink = i64::from(shrink);
        for (axis, start, len) in [(0, left, width), (1, top, height)] {
            let (start, end) = (i64::from(start), i64::from(start + len));
            let origin = self.origin[axis];
            let reached = origin + i64::from(self.size[axis]) * shrink;
            assert!(origin <= start && origin > start - shrink);
            assert!(reached >= end && reached < end + shrink);
        }
    }

    /// Checks that the pixels are about the means of what they stand for, as far as that is inside the whole picture.
    pub(crate) fn assert_averages(self, whole: Part<'_>, what: &str) {
        let (shrink, channels) = (i64::from(self.shrink), self.channels);
        let [width, height] = whole.size.map(i64::from);
        let (mut sum, mut count) = (0.0, 0.0);
        for (pixel, samples) in (0..).zip(self.samples.chunks_exact(channels)) {
            let [columns, ..] = self.size.map(i64::from);
            let left = self.origin[0] + pixel % columns * shrink;
            let top = self.origin[1] + pixel / columns * shrink;
            if left < 0 || top < 0 || left + shrink > width || top + shrink > height {
                continue;
            }
            let place = [left, top, shrink, shrink].map(|side| side as u32);
            let under = whole.cut(place);
            for (channel, &sample) in samples.iter().enumerate() {
                let under = under.iter().skip(channel).step_by(channels);
                let mean = under.map(|&v| f64::from(v)).sum::<f64>() / (shrink * shrink) as f64;
                let difference = f64::from(sample) - mean;
                assert!(difference.abs() < 40.0, "{what}: off by {difference}");
                sum += difference * difference;
                count += 1.0;
            }
        }
        // A few pixels have no average to speak of; the bound on each holds for them too.
        if count >= 48.0 {
            let error = f64::sqrt(sum / count);
            // Colors that are kept at a quarter of the width are mixed across edges.
            assert!(error < 14.0, "{what}: {error}");
        }
    }
}
