//! What the directory of a run keeps of its start, in `start.json`: the encoder that it is trained on, and the images that it is
//! evaluated on. It goes on with these alone: the weights that it has learned belong to the normalization of its encoder, and the
//! best of a run is the best on one set of images.
//!
//! The same for everything that is trained on an encoder: classifiers, detectors and segmenters.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use semaim::config::{ArchOptions, Normalization, VitConfig};
use semaim::position::Interpolation;
use semaim::vit::Vit;
use semaim_checkpoint::digest::sha256;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::error::EncoderError;
use semaim_checkpoint::weights_source::WeightsSource;
use semaim_data::{Source, counted};
use semaim_train::callbacks::Observer;
use semaim_train::error::TrainError;
use semaim_train::ranks;
use semaim_train::run_dir::{RunDir, checkpoints};
use semaim_train::start::{StartRecord, keep, kept, step_of};
use semaim_train::state::DataDigest;
use serde::{Deserialize, Serialize};

/// The file, in which pre-training keeps the weights that it starts from.
const FILE: &str = "start.json";
/// What a run writes with each checkpoint: it stays where all of them are lost.
const LATEST: &str = "latest_checkpoint";

/// What a run keeps of its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStart {
    /// The file of its encoder.
    #[serde(flatten)]
    pub file: StartRecord,
    /// [`Encoder::checksum`] of what was read of it: shards, and files beside it that say how it is read, are no part of its
    /// SHA-256.
    pub checksum: String,
    /// How images are normalized for the encoder.
    pub normalization: Normalization,
    /// What else a checkpoint does not say of the encoder.
    pub network: Network,
    /// The images that the run is evaluated on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluated: Option<EvaluatedImages>,
}

/// The network of an encoder as its file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Its sizes.
    pub config: VitConfig,
    /// Where it differs from SemAIM's own.
    pub arch: ArchOptions,
    /// How its position table is resized.
    pub interpolation: Interpolation,
}

/// Which images are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluatedImages {
    /// How many there are.
    pub images: u64,
    /// Which those are, with their labels and the names of classes.
    #[serde(flatten)]
    pub digest: DataDigest,
}

impl EvaluatedImages {
    /// Those of a data set.
    pub fn of(images: &(impl Source + ?Sized)) -> Self {
        Self {
            images: images.len() as u64,
            digest: DataDigest::of(images, true),
        }
    }

    /// What tells them from those of before, in words; `None` where they are the same.
    pub fn difference(&self, then: &Self) -> Option<String> {
        if self.images != then.images {
            let now = counted(self.images, "image");
            return Some(format!("{now} now, {} then", then.images));
        }
        self.digest.difference(&then.digest).map(String::from)
    }
}

/// Why a run cannot start from an encoder, or go on with it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The encoder cannot be used.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// The run directory.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Another encoder than the run began with.
    #[error(
        "{} (SHA-256 {}…) is not the encoder that the run in {run} began with, {} (SHA-256 {}…): put that one back, under whatever \
         name, or give another --out",
        files[0].weights.display(),
        short(&files[0].sha256),
        files[1].weights.display(),
        short(&files[1].sha256)
    )]
    OtherEncoder {
        /// The run directory.
        run: PathBuf,
        /// The encoder's file, and that which the run began with.
        files: Box<[StartRecord; 2]>,
    },
    /// The same file, read otherwise.
    #[error(
        "{path} is the file of the encoder that the run in {run} began with, but it is read otherwise: one of its shards, or a file \
         beside it that says how images are normalized or what network it is, has changed; put that back, or give another --out"
    )]
    ReadOtherwise {
        /// The run directory.
        run: PathBuf,
        /// The encoder's file.
        path: PathBuf,
    },
    /// Other images to evaluate on than the run began with.
    #[error(
        "the images to evaluate on have changed since the run in {run} began ({what}): what it came to before and what it comes to \
         now would not compare. Put them back, or give another --out"
    )]
    OtherImages {
        /// The run directory.
        run: PathBuf,
        /// What tells them apart.
        what: String,
    },
}

/// As much of a checksum as tells two files apart.
fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

impl RunStart {
    /// What a run directory has kept; `None` where it has kept nothing, as those that began before runs did.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub fn read(run: &Path) -> Result<Option<Self>, TrainError> {
        let path = run.join(FILE);
        let Some(start) = kept::<Self>(&path)? else {
            return Ok(None);
        };
        let damaged = |message: String| TrainError::Damaged {
            path: path.clone(),
            message,
        };
        let (vit, normalization) = (&start.network.config, &start.normalization);
        vit.validate().map_err(|error| damaged(error.to_string()))?;
        if [normalization.mean.len(), normalization.std.len()] != [vit.channels; 2] {
            return Err(damaged(format!(
                "{} means and {} deviations for {} channels",
                normalization.mean.len(),
                normalization.std.len(),
                vit.channels
            )));
        }
        Ok(Some(start))
    }

    fn write(&self, run: &Path) -> Result<(), TrainError> {
        keep(&run.join(FILE), self)
    }

    /// Refuses another encoder than a run began with, `then`.
    fn check_encoder(&self, then: &Self, run: &Path) -> Result<(), StartError> {
        let run = run.to_path_buf();
        if self.file.sha256 != then.file.sha256 {
            return Err(StartError::OtherEncoder {
                run,
                files: Box::new([self.file.clone(), then.file.clone()]),
            });
        }
        match self.checksum == then.checksum {
            true => Ok(()),
            false => Err(StartError::ReadOtherwise {
                run,
                path: self.file.weights.clone(),
            }),
        }
    }
}

/// An encoder that a run is to be trained on.
#[derive(Clone, Debug)]
pub(crate) struct StartingEncoder {
    pub(crate) encoder: Encoder,
    start: RunStart,
    /// Whether its file is gone: the network is what the run kept of it, and its weights are for a checkpoint to replace.
    is_gone: bool,
}

impl StartingEncoder {
    /// Reads an encoder with the position table that its file has, whatever [`WeightsSource::image_size`] says. Where the file is gone and
    /// the run in `run` has saved a checkpoint, that has all weights, and the rest is what the run kept of its start.
    ///
    /// # Errors
    /// An encoder that cannot be read, and a run directory.
    pub(crate) fn read(
        source: &WeightsSource,
        run: &Path,
        device: &Device,
    ) -> Result<Self, StartError> {
        Ok(match Self::of_file(source, device) {
            Err(error) if is_gone(&error, &source.weights) => match Self::kept(run, device)? {
                Some(kept) => kept,
                None => return Err(error.into()),
            },
            read => read?,
        })
    }

    fn of_file(source: &WeightsSource, device: &Device) -> Result<Self, EncoderError> {
        let checkpoint = source.checkpoint()?;
        let (path, layout) = (checkpoint.path.clone(), checkpoint.loading.format);
        let notes = checkpoint.notes();
        let encoder = checkpoint.encoder(device)?;
        let mut starting = Self::new(encoder, &path, layout.name(), &source.weights)?;
        starting.start.file.notes = notes;
        Ok(starting)
    }

    /// An encoder that was read from `file`, which has this layout and was named as `named`.
    ///
    /// # Errors
    /// A file that cannot be read again, and a backend that fails.
    pub(crate) fn new(
        encoder: Encoder,
        file: &Path,
        layout: &str,
        named: &Path,
    ) -> Result<Self, EncoderError> {
        let start = RunStart {
            file: StartRecord {
                weights: std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf()),
                sha256: sha256(file)?,
                layout: layout.into(),
                step: step_of(named),
                notes: Vec::new(),
            },
            checksum: encoder.checksum()?,
            normalization: encoder.normalization.clone(),
            network: Network {
                config: encoder.config.clone(),
                arch: encoder.vit.arch_options(),
                interpolation: encoder.interpolation,
            },
            evaluated: None,
        };
        Ok(Self {
            encoder,
            start,
            is_gone: false,
        })
    }

    /// The encoder of a run that has begun, by what the run kept of it; `None` where there is no such run.
    fn kept(run: &Path, device: &Device) -> Result<Option<Self>, TrainError> {
        if !has_begun(run)? {
            return Ok(None);
        }
        let kept = RunStart::read(run)?.map(|start| {
            let Network {
                config,
                arch,
                interpolation,
            } = start.network.clone();
            Self {
                encoder: Encoder {
                    vit: Vit::zeros_as(&config, &arch, device),
                    config,
                    normalization: start.normalization.clone(),
                    interpolation,
                },
                start,
                is_gone: true,
            }
        });
        Ok(kept)
    }

    /// The same encoder for images of another size.
    ///
    /// # Errors
    /// A size that the patches do not fill.
    pub(crate) fn resized(self, image_size: [usize; 2]) -> Result<Self, EncoderError> {
        Ok(Self {
            encoder: self.encoder.resized(image_size)?,
            ..self
        })
    }

    /// Holds a run to its start: one that begins keeps the encoder and the images that it is evaluated on, one that goes on with
    /// others is refused. (Runs that began before they kept any are not.)
    ///
    /// # Errors
    /// [`StartError`].
    pub(crate) fn hold(
        &self,
        run: &RunDir,
        evaluated: EvaluatedImages,
        observer: &mut dyn Observer,
    ) -> Result<(), StartError> {
        let path = run.path();
        if !has_begun(path)? {
            let file = &self.start.file;
            for note in &file.notes {
                observer.say(&format!("{}: {note}", file.weights.display()));
            }
            if self.encoder.vit.projection.is_some() {
                observer.say("the projection of the encoder's final tokens is left out");
            }
            if ranks::current().is_root() {
                let start = RunStart {
                    evaluated: Some(evaluated),
                    ..self.start.clone()
                };
                start.write(path)?;
            }
            return Ok(());
        }
        let Some(then) = RunStart::read(path)? else {
            return Ok(());
        };
        match self.is_gone {
            true => observer.say(&format!(
                "the encoder {} is gone; the run goes on without it, with the weights that it has saved",
                then.file.weights.display()
            )),
            false => self.start.check_encoder(&then, path)?,
        }
        match then.evaluated.and_then(|then| evaluated.difference(&then)) {
            None => Ok(()),
            Some(what) => Err(StartError::OtherImages {
                run: path.to_path_buf(),
                what,
            }),
        }
    }
}

/// Whether an encoder could not be read because it is no longer where it was.
fn is_gone(error: &EncoderError, named: &Path) -> bool {
    matches!(error, EncoderError::NoEncoder { .. }) || !named.exists()
}

/// Whether a run has saved anything.
pub(crate) fn has_begun(run: &Path) -> Result<bool, TrainError> {
    if run.join(LATEST).exists() {
        return Ok(true);
    }
    // Before a run there is no folder.
    Ok(run.join("checkpoints").is_dir() && !checkpoints(run)?.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use semaim::init::initialize;
    use semaim_checkpoint::encoder::write_encoder;
    use semaim_train::callbacks::{Progress, StepReport};
    use semaim_train::run_dir::DataPlace;
    use serde_json::{Value, json};

    use super::*;
    use crate::finetune::config::FinetuneConfig;

    /// Hears what is said.
    #[derive(Default)]
    struct Listener(Vec<String>);

    impl Observer for Listener {
        fn started(&mut self, _: Progress) {}

        fn stepped(&mut self, _: &StepReport) {}

        fn doing(&mut self, _: &'static str) {}

        fn say(&mut self, line: &str) {
            self.0.push(line.into());
        }

        fn stop_requested(&self) -> bool {
            false
        }
    }

    const DIGEST: DataDigest = DataDigest {
        names: 1,
        classes: 2,
        objects: Some(3),
    };
    const IMAGES: EvaluatedImages = EvaluatedImages {
        images: 27,
        digest: DIGEST,
    };

    fn write(path: &Path, seed: u64, mean: f32) {
        let (config, device) = (VitConfig::tiny(), Device::flex());
        let vit = initialize(Vit::zeros(&config, &device), seed);
        let normalization = Normalization {
            mean: vec![mean; 3],
            std: vec![0.25; 3],
        };
        write_encoder(path, &vit, &config, &normalization).unwrap();
    }

    fn read(path: &Path, run: &Path) -> Result<StartingEncoder, StartError> {
        StartingEncoder::read(&WeightsSource::new(path), run, &Device::flex())
    }

    fn opened(path: &Path) -> RunDir {
        RunDir::open(path, &FinetuneConfig::default(), DataPlace::Recorded).unwrap()
    }

    fn hold(encoder: &Path, run: &RunDir, images: EvaluatedImages) -> Result<(), String> {
        let read = read(encoder, run.path()).unwrap();
        let held = read.hold(run, images, &mut Listener::default());
        held.map_err(|error| error.to_string())
    }

    /// As a checkpoint that was saved leaves it.
    fn begin(run: &RunDir) {
        fs::write(run.checkpoint(7), b"").unwrap();
    }

    #[test]
    fn a_run_goes_on_with_the_encoder_that_it_began_with_wherever_that_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (first, other, shown) = (at("first"), at("other"), at("shown"));
        write(&first, 0, 0.5);
        write(&other, 1, 0.5);
        write(&shown, 0, 0.25);
        let run = opened(&at("run"));
        // Until something is saved nothing is decided.
        hold(&other, &run, IMAGES).unwrap();
        hold(&first, &run, IMAGES).unwrap();
        begin(&run);
        hold(&first, &run, IMAGES).unwrap();
        // Other weights, and the same for images that are normalized otherwise.
        for changed in [&other, &shown] {
            let refused = hold(changed, &run, IMAGES).unwrap_err();
            let name = changed.display().to_string();
            for part in [name.as_str(), "first (SHA-256 ", "is not the encoder"] {
                assert!(refused.contains(part), "{part}: {refused}");
            }
        }
        fs::rename(&first, at("moved")).unwrap();
        hold(&at("moved"), &run, IMAGES).unwrap();
        fs::copy(&other, &first).unwrap();
        hold(&first, &run, IMAGES).unwrap_err();
    }

    #[test]
    fn a_run_that_has_saved_goes_on_without_the_file_of_its_encoder() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let first = at("first");
        write(&first, 0, 0.5);
        let run = opened(&at("run"));
        let encoder = read(&first, run.path()).unwrap();
        encoder
            .hold(&run, IMAGES, &mut Listener::default())
            .unwrap();
        fs::remove_file(&first).unwrap();
        assert!(read(&first, run.path()).is_err());
        begin(&run);
        let kept = read(&first, run.path()).unwrap();
        assert_eq!(kept.encoder.config, encoder.encoder.config);
        assert_eq!(kept.encoder.normalization, encoder.encoder.normalization);
        assert_eq!(
            kept.encoder.vit.arch_options(),
            encoder.encoder.vit.arch_options()
        );
        let mut listener = Listener::default();
        kept.hold(&run, IMAGES, &mut listener).unwrap();
        assert!(listener.0[0].contains("first is gone"), "{:?}", listener.0);
        // The evaluation images are there, and are looked at all the same.
        let more = EvaluatedImages {
            images: 33,
            ..IMAGES
        };
        kept.hold(&run, more, &mut listener).unwrap_err();
        // A run that keeps nothing of its start needs the file.
        fs::remove_file(run.path().join(FILE)).unwrap();
        assert!(read(&first, run.path()).is_err());
    }

    #[test]
    fn changed_evaluation_images_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("first");
        write(&first, 0, 0.5);
        let run = opened(&folder.path().join("run"));
        hold(&first, &run, IMAGES).unwrap();
        begin(&run);
        let of = |digest| EvaluatedImages { digest, ..IMAGES };
        let others = |objects| DataDigest { objects, ..DIGEST };
        let more = EvaluatedImages {
            images: 33,
            ..IMAGES
        };
        for (changed, what) in [
            (more, "33 images now, 27 then"),
            (of(DataDigest { names: 9, ..DIGEST }), "other names"),
            (
                of(DataDigest {
                    classes: 9,
                    ..DIGEST
                }),
                "other labels",
            ),
            (of(others(Some(9))), "other boxes, masks or similarity maps"),
        ] {
            let refused = hold(&first, &run, changed).unwrap_err();
            assert!(refused.contains(what), "{what}: {refused}");
        }
        hold(&first, &run, IMAGES).unwrap();
        // Records of before do not tell of boxes.
        hold(&first, &run, of(others(None))).unwrap();
        // A run of before has kept nothing.
        fs::remove_file(run.path().join(FILE)).unwrap();
        let other = folder.path().join("other");
        write(&other, 1, 0.5);
        hold(&other, &run, IMAGES).unwrap();
    }

    #[test]
    fn the_record_is_that_of_pre_training_and_more() {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("first.safetensors");
        write(&first, 0, 0.5);
        let run = opened(&folder.path().join("run"));
        hold(&first, &run, IMAGES).unwrap();
        let record = StartRecord::read(run.path()).unwrap().unwrap();
        assert_eq!(record.sha256, sha256(&first).unwrap());
        assert_eq!((&*record.layout, record.step), ("semaim", None));
        let path = run.path().join(FILE);
        let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(value["normalization"]["mean"], json!([0.5, 0.5, 0.5]));
        assert_eq!(value["evaluated"]["images"], 27);
        let start = RunStart::read(run.path()).unwrap().unwrap();
        assert_eq!(start.file, record);
        assert_eq!(start.evaluated, Some(IMAGES));
        // What makes no sense is refused, and nothing panics.
        value["network"]["config"]["patch_size"] = json!(0);
        fs::write(&path, value.to_string()).unwrap();
        let refused = RunStart::read(run.path()).unwrap_err().to_string();
        assert!(
            refused.contains("start.json") && refused.contains("patch_size"),
            "{refused}"
        );
    }
}
