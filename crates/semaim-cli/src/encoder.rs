//! What commands that use an encoder have in common: `--weights` and how images are shown to it.

use std::sync::Arc;

use burn::tensor::Device;
use semaim_checkpoint::encoder::Encoder;
use semaim_data::{Augment, Source, Split, open};
use semaim_eval::embed::{EmbedOptions, Representation};
use semaim_eval::views::{open_options, views};

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
        let Encoder {
            config, mean, std, ..
        } = &self.encoder;
        views(config, mean, std)
    }

    /// Opens images in the form that the encoder takes.
    pub(crate) fn open(&self, data: &str, split: Split) -> Result<Arc<dyn Source>, Exit> {
        Ok(open(data, split, &open_options(&self.encoder.config))?)
    }
}
