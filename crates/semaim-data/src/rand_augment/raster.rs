//! Interleaved bytes with their sizes, as the operations see them.

use crate::augment_error::AugmentError;

/// An image that is changed in place.
pub(super) struct Raster<'a> {
    /// `[height, width, channels]`.
    pub(super) samples: &'a mut [u8],
    /// Rows.
    pub(super) height: usize,
    /// Columns.
    pub(super) width: usize,
    /// Samples per pixel.
    pub(super) channels: usize,
}

impl<'a> Raster<'a> {
    /// Checks that the sizes agree with the length of `samples`.
    pub(super) fn new(
        samples: &'a mut [u8],
        [height, width]: [usize; 2],
        channels: usize,
    ) -> Result<Self, AugmentError> {
        AugmentError::check_length("samples", samples.len(), &[height, width, channels])?;
        Ok(Self {
            samples,
            height,
            width,
            channels,
        })
    }

    /// How many channels, from the first, have a color: all but the alpha of RGBA.
    pub(super) fn colors(&self) -> usize {
        if self.channels == 4 { 3 } else { self.channels }
    }

    /// The pixels, `channels` samples each. There are none in an image without channels.
    pub(super) fn pixels_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.samples.chunks_exact_mut(self.channels.max(1))
    }

    /// How often each value occurs in a channel.
    pub(super) fn histogram(&self, channel: usize) -> [u64; 256] {
        let mut counts = [0; 256];
        for &sample in self.samples.iter().skip(channel).step_by(self.channels) {
            counts[usize::from(sample)] += 1;
        }
        counts
    }

    /// Looks every sample of a channel up in a table.
    pub(super) fn map_channel(&mut self, channel: usize, table: &[u8; 256]) {
        let samples = self.samples.iter_mut().skip(channel);
        for sample in samples.step_by(self.channels) {
            *sample = table[usize::from(*sample)];
        }
    }

    /// Looks every sample of the colors up in a table.
    pub(super) fn map_colors(&mut self, table: &[u8; 256]) {
        let colors = self.colors();
        for pixel in self.pixels_mut() {
            for sample in &mut pixel[..colors] {
                *sample = table[usize::from(*sample)];
            }
        }
    }
}
