//! What commands that use an encoder have in common: `--weights` and how images are shown to it.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use semaim::representation::Representation;
use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::format::CheckpointFormat;
use semaim_checkpoint::weights_source::WeightsSource;
use semaim_data::{Augment, OpenOptions, Source, Split, counted, open_all, same_images};
use semaim_eval::embed::EmbedOptions;
use semaim_eval::image_batches::BatchOptions;
use semaim_eval::views::{open_options, views};

use crate::args::{EncoderArgs, SelectionArgs};
use crate::exit::Exit;

/// An encoder on its device.
pub(crate) struct Loaded {
    pub(crate) encoder: Encoder,
    /// The file that it is from.
    pub(crate) path: PathBuf,
    pub(crate) device: Device,
    pub(crate) options: EmbedOptions,
    /// The most pixels an image may have.
    pub(crate) max_pixels: u64,
}

impl Loaded {
    pub(crate) fn of(args: &EncoderArgs) -> Result<Self, Exit> {
        let device = args.device.open()?;
        let source = args.source();
        let checkpoint = Checkpoint::read(&source).map_err(Exit::user)?;
        tell(&checkpoint);
        tell_resizing(&checkpoint, &source, args.image_size);
        let path = checkpoint.path.clone();
        let mut encoder = checkpoint.encoder(&device).map_err(Exit::user)?;
        if let Some(image_size) = args.image_size {
            encoder = encoder.resized(image_size).map_err(Exit::user)?;
        }
        Ok(Self {
            encoder,
            path,
            device,
            options: EmbedOptions {
                representation: Representation::Mean,
                batches: BatchOptions {
                    batch_size: args.loader.batch_size,
                    workers: args.loader.workers,
                },
            },
            max_pixels: args.loader.limit.max_pixels,
        })
    }

    /// The views that the encoder was trained for.
    pub(crate) fn augment(&self) -> Augment {
        views(&self.encoder.config, &self.encoder.normalization)
    }

    /// Opens images in the form that the encoder takes.
    pub(crate) fn open(
        &self,
        data: &[String],
        selection: &SelectionArgs,
        split: Split,
    ) -> Result<Arc<dyn Source>, Exit> {
        let options = OpenOptions {
            max_pixels: self.max_pixels,
            ..open_options(&self.encoder.config, &self.encoder.normalization)
        };
        Ok(open_all(data, split, &selection.of(options))?)
    }

    /// The same of the split that the user names; says so where it is no other than the training split.
    pub(crate) fn open_split(
        &self,
        data: &[String],
        selection: &SelectionArgs,
        split: Split,
    ) -> Result<Arc<dyn Source>, Exit> {
        let images = self.open(data, selection, split)?;
        let to_train_on = || self.open(data, selection, Split::Train);
        warn_of_undivided(data, split, &*images, to_train_on);
        Ok(images)
    }
}

/// Says of images to evaluate on where they are no others than those to train on.
pub(crate) fn warn_of_undivided<E>(
    data: &[String],
    split: Split,
    images: &dyn Source,
    to_train_on: impl FnOnce() -> Result<Arc<dyn Source>, E>,
) {
    let is_generated = data.iter().all(|data| data == "shapes");
    if split == Split::Eval
        && !is_generated
        && to_train_on().is_ok_and(|others| same_images(&*others, images))
    {
        eprintln!(
            "warning: {} is not divided: --split eval gives the same {} as --split train",
            data.join(", "),
            counted(images.len(), "image")
        );
    }
}

/// Says how positions are resized for images of another size, where nothing tells.
pub(crate) fn tell_resizing(
    checkpoint: &Checkpoint,
    source: &WeightsSource,
    image_size: Option<[usize; 2]>,
) {
    if let Some(assumed) = checkpoint.assumed_resizing(source, image_size) {
        eprintln!("  assumed: {assumed}");
    }
}

/// Says what was read, where it is not our own.
pub(crate) fn tell(checkpoint: &Checkpoint) {
    let loading = &checkpoint.loading;
    if loading.format == CheckpointFormat::Semaim && checkpoint.defaults_used.is_empty() {
        return;
    }
    let place = match loading.prefix.as_str() {
        "" => String::new(),
        prefix => format!(", under `{prefix}`"),
    };
    eprintln!(
        "{}: {}{place}: {} used, {} left, {} missing",
        checkpoint.path.display(),
        loading.format,
        counted(loading.used.len(), "tensor"),
        loading.unused.len(),
        loading.missing.len(),
    );
    for path in &checkpoint.beside {
        eprintln!("  read too: {}", path.display());
    }
    for assumed in &checkpoint.defaults_used {
        eprintln!("  assumed: {assumed}");
    }
}
