//! The images and how they are shown.

use semaim_data::{Augment, Normalization, OpenOptions, ShapesOptions};
use serde::{Deserialize, Serialize};

use super::data_names::DataNames;
use crate::error::TrainError;

/// The images and how they are shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// `shapes`, a folder, tar files, an IDX file or a list, or several of them; see `semaim pretrain --help`.
    pub path: DataNames,
    /// Labeled images for kNN, in any of the same forms; empty: the evaluation split of `path`, if it has labels.
    pub eval: DataNames,
    /// Patterns of images that are left out, of `path` and of `eval`; see [`OpenOptions::exclude`].
    pub exclude: Vec<String>,
    /// The most images of each split, one drawn from each of so many equal runs of it, always the same; 0: all.
    pub limit: usize,
    /// Generated training images when `path` is `shapes`.
    pub shapes_count: usize,
    /// Generated evaluation images when `path` is `shapes`.
    pub shapes_eval_count: usize,
    /// Smallest and largest share of an image's area that a crop shows, within (0, 1].
    pub crop_scale: [f64; 2],
    /// Smallest and largest width-to-height ratio of a crop.
    pub crop_ratio: [f64; 2],
    /// Probability of mirroring, in [0, 1].
    pub flip: f64,
    /// Per channel, subtracted from values (bytes over 255, 16 bits over 65535, floats as they are); empty: ImageNet's for 1 and 3
    /// channels. For other numbers of channels `semaim stats` measures them.
    pub mean: Vec<f32>,
    /// Per channel, divided by after that; empty: ImageNet's for 1 and 3 channels.
    pub std: Vec<f32>,
    /// Largest image that is decoded, in pixels.
    pub max_pixels: u64,
    /// Share of unreadable images that stops the run.
    pub max_bad_fraction: f64,
    /// Threads that prepare images; 0: one per core.
    pub workers: usize,
    /// Batches prepared ahead.
    pub queue: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        // Channels and size are the model's.
        let usual = Augment::new([1, 1], 3);
        Self {
            path: "shapes".into(),
            eval: DataNames::default(),
            exclude: Vec::new(),
            limit: 0,
            shapes_count: 6_000,
            shapes_eval_count: 1_000,
            crop_scale: usual.crop_scale,
            crop_ratio: usual.crop_ratio,
            flip: usual.flip,
            mean: Vec::new(),
            std: Vec::new(),
            max_pixels: OpenOptions::default().max_pixels,
            max_bad_fraction: 0.01,
            workers: 0,
            queue: 4,
        }
    }
}

/// What a [trainer](crate::trainer) reads of the data of a run, whatever they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loading {
    /// Share of unreadable images that stops the run, in [0, 1].
    pub max_bad_fraction: f64,
    /// Threads that prepare images; 0: one per core.
    pub workers: usize,
    /// Batches prepared ahead.
    pub queue: usize,
}

impl DataConfig {
    /// The names of all data sets.
    pub fn data_sets(&mut self) -> Vec<&mut String> {
        self.path.iter_mut().chain(self.eval.iter_mut()).collect()
    }

    /// What the trainer reads.
    pub fn loading(&self) -> Loading {
        Loading {
            max_bad_fraction: self.max_bad_fraction,
            workers: self.workers,
            queue: self.queue,
        }
    }

    /// Refuses to begin a run on images of `channels` whose mean and standard deviation are not given although nothing is usual for so
    /// many. The channels of `shapes` are known.
    ///
    /// # Errors
    /// [`TrainError::Unmeasured`].
    pub fn check_measured(&self, channels: usize) -> Result<(), TrainError> {
        let given = !self.mean.is_empty() && !self.std.is_empty();
        let known = self.path.as_slice().iter().all(|name| name == "shapes");
        match given || known || matches!(channels, 1 | 3) {
            true => Ok(()),
            false => Err(TrainError::Unmeasured { channels }),
        }
    }

    /// How images of `channels` are shown, in views of `image_size` (height and width in pixels).
    pub fn augment(&self, image_size: [usize; 2], channels: usize) -> Augment {
        let usual = Augment::new(image_size, channels);
        let or_usual = |given: &[f32], usual: &[f32]| match given {
            [] => usual.to_vec(),
            given => given.to_vec(),
        };
        Augment {
            crop_scale: self.crop_scale,
            crop_ratio: self.crop_ratio,
            flip: self.flip,
            normalization: Normalization {
                mean: or_usual(&self.mean, &usual.normalization.mean),
                std: or_usual(&self.std, &usual.normalization.std),
            },
            ..usual
        }
    }

    /// How data sets are opened.
    pub fn open_options(&self, image_size: [usize; 2], channels: usize, seed: u64) -> OpenOptions {
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
        let normalization = self.augment(image_size, channels).normalization;
        OpenOptions {
            channels,
            unit_floats: normalization.is_a_convention(),
            max_pixels: self.max_pixels,
            shapes: ShapesOptions {
                count: self.shapes_count,
                image_size: image_size.map(side),
                seed,
                ..ShapesOptions::default()
            },
            exclude: self.exclude.clone(),
            limit: self.limit,
        }
    }
}
