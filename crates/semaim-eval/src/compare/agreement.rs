//! What trials of a comparison have in common, as they are paired: the images that they are trained on, what they read from files beside
//! those, and the images that they are tested on. A trial that would differ in it from one that is there is refused.
//!
//! Others' records are read anew each time, hours apart: other processes write them meanwhile.

use semaim_checkpoint::encoder::Encoder;
use semaim_data::counted;
use semaim_train::start::StartRecord;
use semaim_train::state::DataDigest;

use super::CompareError;
use super::frozen::FrozenEvaluation;
use super::record::Record;
use super::trial::Trial;
use crate::run_start::EvaluatedImages;

/// What a file that a trial reads is for, in its record.
const TEACHER: &str = "teacher";
const MAPS: &str = "similarity maps";

impl Trial {
    /// Refuses to train on other images than a trial that is there: one of this variant with another seed, or one of another variant
    /// that has the same settings of data.
    pub(super) fn check_images(&self, all: &[Trial], record: &Record) -> Result<(), CompareError> {
        let of_data = |trial: &Trial| {
            let data = &trial.pretrain().data;
            (data.exclude.clone(), data.limit, data.shapes_count)
        };
        for trial in all.iter().filter(|trial| of_data(trial) == of_data(self)) {
            let other = trial.record()?;
            if other.steps == 0 || self.is(trial) {
                continue;
            }
            let what = if trial.variant() == self.variant() && other.steps != record.steps {
                format!("{} steps now, {} then", record.steps, other.steps)
            } else if other.images.is_some() && other.images != record.images {
                "other names, or another order".into()
            } else {
                continue;
            };
            return Err(CompareError::OtherImages {
                trial: self.name(),
                other: trial.name(),
                what,
            });
        }
        Ok(())
    }

    /// Keeps what is read from files: weights to begin with, a teacher, a checksum of similarity maps and how many images they are
    /// of. Refuses anything else than what a trial that is there read from the same place: that may have changed meanwhile, as the encoder
    /// of a run that goes on does.
    pub(super) fn keep_files(
        &self,
        all: &[Trial],
        record: &mut Record,
        start: Option<StartRecord>,
        teacher: Option<&Encoder>,
        maps: Option<(u32, usize)>,
    ) -> Result<(), CompareError> {
        if let Some(start) = start {
            let file = format!("first weights, {}", start.weights.display());
            record.files.insert(file, start.sha256);
        }
        if let Some(teacher) = teacher {
            let file = self.pretrain().teacher.weights.display();
            let file = format!("{TEACHER}, {file}");
            record.files.insert(file, teacher.checksum()?);
        }
        if let Some((checksum, count)) = maps {
            let (count, folder) = (
                counted(count, "image"),
                self.pretrain().order.maps.display(),
            );
            let file = format!("{MAPS} of {count}, {folder}");
            record.files.insert(file, format!("{checksum:08x}"));
        }
        for trial in all {
            // Until something is saved nothing is decided.
            if self.is(trial) && self.steps_done() == 0 {
                continue;
            }
            // A record made with other settings, or damaged, is for whoever works at it.
            let Ok(other) = trial.record() else {
                continue;
            };
            // A teacher that is read otherwise is another one, and maps of other images are other maps.
            let are_alike = |file: &str| {
                (!file.starts_with(TEACHER) || trial.pretrain().teacher == self.pretrain().teacher)
                    && (!file.starts_with(MAPS) || other.images == record.images)
            };
            let differs = |(file, now): &(&String, &String)| {
                let then = other.files.get(*file).filter(|_| are_alike(file));
                then.is_some_and(|then| then != *now)
            };
            if let Some((file, _)) = record.files.iter().find(differs) {
                return Err(CompareError::OtherFile {
                    trial: self.name(),
                    other: trial.name(),
                    file: file.clone(),
                    folder: trial.folder().to_path_buf(),
                });
            }
        }
        // Before anything is trained, so that other processes do not begin with others meanwhile.
        record.write(&self.path())
    }

    /// Keeps which images kNN and probes classify.
    pub(super) fn keep_tested(
        &self,
        all: &[Trial],
        record: &mut Record,
        frozen: &FrozenEvaluation<'_>,
    ) -> Result<(), CompareError> {
        let Some(tested) = frozen.tested() else {
            return Ok(());
        };
        self.check_tested(all, tested, |record| record.tested)?;
        record.tested = Some(tested);
        // Before they are classified, so that other processes do not begin with others meanwhile.
        record.write(&self.path())
    }

    /// Refuses to test on other images than a trial that is there, this one among them, was tested on as its record says: seeds are
    /// paired, and means are over all of them.
    pub(super) fn check_tested(
        &self,
        all: &[Trial],
        now: EvaluatedImages,
        of: impl Fn(&Record) -> Option<EvaluatedImages>,
    ) -> Result<(), CompareError> {
        for trial in all {
            // Another variant's record, made with other settings or damaged, is for whoever works at it.
            let Some(then) = trial.record().ok().as_ref().and_then(&of) else {
                continue;
            };
            let then = match trial.seed() == self.seed() {
                true => then,
                // Generated images have labels of their own for each seed.
                false => {
                    let classes = now.digest.classes;
                    let digest = DataDigest {
                        classes,
                        ..then.digest
                    };
                    EvaluatedImages { digest, ..then }
                }
            };
            if let Some(what) = now.difference(&then) {
                return Err(CompareError::OtherTestImages {
                    trial: self.name(),
                    other: trial.name(),
                    what,
                });
            }
        }
        Ok(())
    }

    /// Whether this is the same trial.
    fn is(&self, other: &Trial) -> bool {
        self.name() == other.name()
    }
}
