//! What commands that use an encoder have in common: `--weights` and how images are shown to it.

use std::sync::Arc;

use burn::tensor::Device;
use semaim_checkpoint::encoder::Encoder;
use semaim_data::{Augment, OpenOptions, ShapesOptions, Source, Split, open};
use semaim_eval::embed::{EmbedOptions, Representation};

use crate::args::EncoderArgs;
use crate::device;
use crate::exit::Exit;

/// An encoder on its device.
pub(crate) struct Loaded {
    pub(crate) encoder: Encoder,
    pub(crate) device: Device,
    pub(crate) options: EmbedOptions,
}

impl Loaded {
    pub(crate) fn of(args: &EncoderArgs) -> Result<Self, Exit> {
        args.kernels.choose();
        let device = device::parse(&args.device)?;
        Ok(Self {
            encoder: Encoder::read(&args.weights, &device).map_err(Exit::user)?,
            device,
            options: EmbedOptions {
                representation: Representation::Mean,
                batch_size: args.batch_size as usize,
                workers: args.workers as usize,
            },
        })
    }

    /// The views that the encoder was trained for.
    pub(crate) fn augment(&self) -> Augment {
        let config = &self.encoder.config;
        Augment {
            mean: self.encoder.mean.clone(),
            std: self.encoder.std.clone(),
            ..Augment::new(config.image_size, config.channels)
        }
    }

    /// Opens images in the form that the encoder takes.
    pub(crate) fn open(&self, data: &str, split: Split) -> Result<Arc<dyn Source>, Exit> {
        let config = &self.encoder.config;
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
        let options = OpenOptions {
            channels: config.channels,
            shapes: ShapesOptions {
                image_size: config.image_size.map(side),
                ..ShapesOptions::default()
            },
            ..OpenOptions::default()
        };
        Ok(open(data, split, &options)?)
    }
}
