//! All that a run needs to go on bit for bit: weights, optimizer, EMA copy and where it stands.
//!
//! There is no generator state in it: every random draw has an address (see `semaim_random`).

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use crc32c::crc32c_append;
use semaim::parameters::{FlatWeight, Weights, device_of, flat_weights, to_host, with_weights};
use semaim_checkpoint::error::TensorFileError;
use semaim_checkpoint::tensors::{Precision, TensorFile, write_tensors};
use semaim_data::Source;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::loss_values::UnloggedLoss;
use crate::optimizer::Optimizer;

/// What changes from step to step.
#[derive(Clone, Debug)]
pub struct TrainState<M> {
    /// The model, without gradients.
    pub model: M,
    /// Its EMA copy, where one is kept.
    pub ema: Option<M>,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Counts.
    pub counts: TrainCounters,
}

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainCounters {
    /// Steps of the schedule done, skipped ones included.
    pub step: u64,
    /// Steps left out because a number was not finite.
    pub skipped: u64,
    /// Images that could not be read.
    pub bad_images: u64,
    /// Images in the data set.
    pub data_len: u64,
    /// Which images and classes those are; `None`: not known, as in older checkpoints.
    pub data: Option<DataDigest>,
    /// What the next line of the log is to tell of the steps before; in older checkpoints nothing.
    pub unlogged: UnloggedLoss,
}

/// Which images a run learns from, and which classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataDigest {
    /// A checksum of the images' names in their order; without folders and archives, which may be moved and called otherwise.
    pub names: u32,
    /// A checksum of their labels and of the names of classes, where these are learned; else 0.
    pub classes: u32,
    /// A checksum of the boxes and masks that annotations give them, or of the files of their similarity maps; `None` where they have
    /// none, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<u32>,
}

impl DataDigest {
    /// That of a data set.
    pub fn of(images: &(impl Source + ?Sized), learns_classes: bool) -> Self {
        let mut digest = Self::default();
        for index in 0..images.len() {
            let name = images.name(index);
            // `train/7.jpg`, `shards.tar:7.jpg`, `images.idx#7`.
            let name = name.rsplit(['/', '\\', ':', '#']).next();
            let name = name.unwrap_or_default().as_bytes();
            digest.names = crc32c_append(crc32c_append(digest.names, name), &[0]);
            if learns_classes {
                let label = images.label(index).map_or(u64::MAX, u64::from);
                digest.classes = crc32c_append(digest.classes, &label.to_le_bytes());
            }
            if let Some(objects) = images.objects_checksum(index) {
                let sum = digest.objects.unwrap_or_default();
                digest.objects = Some(crc32c_append(sum, &objects.to_le_bytes()));
            }
        }
        let classes = images.classes().iter().filter(|_| learns_classes);
        for class in classes {
            digest.classes = crc32c_append(crc32c_append(digest.classes, class.as_bytes()), &[0]);
        }
        digest
    }

    /// What tells it from that of before, in words; `None` where the images are the same as far as both know.
    pub fn difference(&self, then: &Self) -> Option<&'static str> {
        if self.names != then.names {
            return Some("other names, or another order");
        }
        if self.classes != then.classes {
            return Some("other labels, or other names of classes");
        }
        let differ = |(now, then): (u32, u32)| now != then;
        let objects = self.objects.zip(then.objects);
        objects
            .is_some_and(differ)
            .then_some("other boxes, masks or similarity maps")
    }

    /// Names and classes in one number, as checkpoints hold them.
    fn number(self) -> u64 {
        u64::from(self.names) << 32 | u64::from(self.classes)
    }

    fn of_numbers(number: u64, objects: Option<u32>) -> Self {
        Self {
            names: (number >> 32) as u32,
            classes: number as u32,
            objects,
        }
    }
}

/// The prefix of the model's weights in a checkpoint.
pub const MODEL: &str = "model.";
const EMA: &str = "ema.";
/// The key of the losses that no line of the log has told of.
const UNLOGGED: &str = "unlogged_loss";

/// The prefix of an optimizer's state and the key of the count of its steps.
fn names(optimizer: &Optimizer) -> (String, String) {
    let name = optimizer.name();
    (format!("{name}."), format!("{name}_steps"))
}

impl<M: Module> TrainState<M> {
    /// A copy in the host's memory; on the CPU it shares its numbers until they change.
    pub fn on_host(&self) -> Self {
        let host = Device::flex();
        let moved = |model: &M| model.clone().to_device(&host);
        Self {
            model: moved(&self.model),
            ema: self.ema.as_ref().map(moved),
            optimizer: self.optimizer.on(&host),
            counts: self.counts.clone(),
        }
    }

    /// What it takes in bytes.
    pub fn bytes(&self) -> u64 {
        let models = 1 + u64::from(self.ema.is_some());
        4 * (models * self.model.num_params() as u64 + self.optimizer.numbers())
    }

    /// Writes the state to one safetensors file, whole or not at all.
    ///
    /// # Errors
    /// A device or the file system.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let mut all = BTreeMap::new();
        let mut put = |prefix: &str, part: BTreeMap<String, FlatWeight>| {
            let named = part.into_iter();
            all.extend(named.map(|(name, weight)| (format!("{prefix}{name}"), weight)));
        };
        put(MODEL, flat_weights(&self.model));
        if let Some(ema) = &self.ema {
            put(EMA, flat_weights(ema));
        }
        let (optimizer, optimizer_steps) = names(&self.optimizer);
        let buffers = self.optimizer.state().into_iter();
        let buffers = buffers.map(|(name, values)| (name, FlatWeight::of(values)));
        put(&optimizer, buffers.collect());
        let data = self.counts.data.map(DataDigest::number);
        let objects = self.counts.data.and_then(|data| data.objects);
        let numbers = [
            ("step", self.counts.step),
            ("skipped", self.counts.skipped),
            ("bad_images", self.counts.bad_images),
            ("data_len", self.counts.data_len),
            (optimizer_steps.as_str(), self.optimizer.steps()),
        ];
        let mut metadata: BTreeMap<String, String> = numbers
            .iter()
            .chain(&data.map(|data| ("data_digest", data)))
            .chain(&objects.map(|objects| ("objects_digest", u64::from(objects))))
            .map(|(key, value)| ((*key).to_string(), value.to_string()))
            .collect();
        metadata.insert("semaim_version".into(), env!("CARGO_PKG_VERSION").into());
        metadata.insert(UNLOGGED.into(), self.counts.unlogged.text());
        let shapes = all.iter();
        let shapes = shapes.map(|(name, weight)| (name.as_str(), weight.shape.as_slice()));
        // One at a time: of a large model there is no room for all of them twice.
        let values = |name: &str| {
            let weight = all.get(name).ok_or(io::ErrorKind::NotFound)?;
            let weight = to_host(name, weight.values.clone()).map_err(io::Error::other)?;
            Ok(weight.values.into())
        };
        write_tensors(path, Precision::F32, &metadata, shapes, values)?;
        Ok(())
    }

    /// Takes up a saved state; `self` gives the shapes and the device's copies to replace.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged or does not fit the model.
    pub fn load(self, path: &Path) -> Result<Self, TrainError> {
        let TensorFile { weights, metadata } = TensorFile::read(path)?;
        let damaged = |message: String| -> TrainError {
            let path = path.to_path_buf();
            TensorFileError::Damaged { path, message }.into()
        };
        let number = |key: &str| -> Result<u64, TrainError> {
            let text = metadata.get(key).and_then(|text| text.parse().ok());
            text.ok_or_else(|| damaged(format!("its metadata has no number `{key}`")))
        };
        let Self {
            model,
            ema,
            mut optimizer,
            ..
        } = self;
        let (prefix, steps) = names(&optimizer);
        // Moved, not copied: of a large model there is no room for two.
        let [mut of_model, mut of_ema, mut of_optimizer] = [(); 3].map(|()| Weights::new());
        for (name, weight) in weights {
            if let Some(name) = name.strip_prefix(MODEL) {
                of_model.insert(name.to_string(), weight);
            } else if let Some(name) = name.strip_prefix(EMA) {
                of_ema.insert(name.to_string(), weight);
            } else if let Some(name) = name.strip_prefix(&prefix) {
                of_optimizer.insert(name.to_string(), weight);
            }
        }
        optimizer.restore(number(&steps)?, &of_optimizer, &device_of(&model))?;
        drop(of_optimizer);
        let step = number("step")?;
        let objects = match metadata.contains_key("objects_digest") {
            true => u32::try_from(number("objects_digest")?).ok(),
            false => None,
        };
        let unlogged = match metadata.get(UNLOGGED) {
            Some(text) => UnloggedLoss::of_text(text)
                .filter(|unlogged| unlogged.after <= step)
                .ok_or_else(|| damaged(format!("its metadata has no sums `{UNLOGGED}`")))?,
            None => UnloggedLoss::starting_after(step),
        };
        Ok(Self {
            model: with_weights(model, &of_model)?,
            ema: ema.map(|ema| with_weights(ema, &of_ema)).transpose()?,
            optimizer,
            counts: TrainCounters {
                step,
                skipped: number("skipped")?,
                bad_images: number("bad_images")?,
                data_len: number("data_len")?,
                data: match metadata.contains_key("data_digest") {
                    true => Some(DataDigest::of_numbers(number("data_digest")?, objects)),
                    false => None,
                },
                unlogged,
            },
        })
    }
}
