//! What is measured of a pre-training run: kNN and pictures.

use burn::tensor::{Device, Tensor};
use semaim::pretrained::Pretrained;
use semaim::teacher::Teacher;
use semaim_data::{BadImage, counted};
use semaim_eval::accuracy::Accuracy;
use semaim_eval::embed::{EmbedError, EmbedOptions, Embeddings, embed};
use semaim_eval::image_batches::BatchOptions;
use semaim_eval::knn::knn;
use semaim_eval::orders::learned_orders;
use semaim_eval::splits::{ImageSubset, LabeledSplits};
use semaim_eval::unreadable::Unreadable;
use semaim_train::callbacks::{Evaluator, Observer, Progress};
use semaim_train::config::{OrderSource, PretrainConfig};
use semaim_train::error::TrainError;
use semaim_train::log::RunLog;
use semaim_train::run_dir::RunDir;
use semaim_train::state::TrainState;

use crate::pictures;
use crate::report;

/// Names of the kNN entries in the log.
pub(crate) const KNN_TOP1: &str = "eval/knn_top1";
const KNN_TOP5: &str = "eval/knn_top5";
/// The top-1 accuracy of guessing.
const KNN_CHANCE: &str = "eval/knn_chance";

/// Measures for the command line.
pub(crate) struct Evaluations<'a> {
    pub(crate) config: &'a PretrainConfig,
    pub(crate) run: &'a RunDir,
    pub(crate) device: &'a Device,
    /// Labeled images, where there are any.
    pub(crate) labeled: Option<LabeledSplits>,
    /// Images for the picture.
    pub(crate) pictures: ImageSubset,
    /// The teacher, where the order is its own.
    pub(crate) teacher: Option<Teacher>,
    /// Images that kNN could not read so far.
    pub(crate) unreadable: Unreadable,
}

impl Evaluations<'_> {
    fn embed<M: Pretrained>(
        &self,
        model: &M,
        part: &ImageSubset,
    ) -> Result<Embeddings, EmbedError> {
        let options = EmbedOptions {
            representation: self.config.eval.feature,
            batches: BatchOptions {
                batch_size: self.config.eval.batch_size,
                workers: self.config.data.workers,
            },
        };
        embed(
            model.encoder(),
            &part.source,
            &part.items,
            &self.config.augment(),
            options,
        )
    }

    /// The accuracy, and the images that could not be read.
    fn knn<M: Pretrained>(
        &self,
        model: &M,
        sets: &LabeledSplits,
    ) -> Result<(Accuracy, Vec<BadImage>), Box<dyn std::error::Error + Send + Sync>> {
        let bank = self.embed(model, &sets.train)?;
        let queries = self.embed(model, &sets.test)?;
        let bad = [&bank.bad[..], &queries.bad[..]].concat();
        let (bank, queries) = (bank.labeled(), queries.labeled());
        // A small bank has fewer images than the usual number of neighbors.
        let k = self.config.eval.knn_k.min(bank.labels.len().max(1));
        let accuracies = knn(
            bank.view(),
            queries.view(),
            &[k],
            self.config.eval.knn_temperature,
            self.device,
        )?;
        let accuracy = accuracies.first().copied().ok_or("no accuracy")?;
        Ok((accuracy, bad))
    }

    fn picture<M: Pretrained>(
        &self,
        state: &TrainState<M>,
        progress: Progress,
        log: &mut RunLog,
    ) -> Result<(), TrainError> {
        let failed = TrainError::evaluation(progress.step);
        // Of the network that training asks.
        let similarity = |images: Tensor<4>| {
            let model = match (self.config.order_source(), &self.teacher, &state.ema) {
                (Some(OrderSource::Teacher), Some(teacher), _) => {
                    return teacher.forward(images).similarity;
                }
                (Some(OrderSource::Ema), _, Some(ema)) => ema,
                _ => &state.model,
            };
            self.config.order.similarity_by(model.encoder(), images)
        };
        let ImageSubset { source, items } = &self.pictures;
        let seen = learned_orders(
            &state.model,
            &similarity,
            self.config,
            source,
            items,
            self.device,
        )
        .map_err(|error| failed(error.into()))?;
        if seen.is_empty() {
            return Ok(());
        }
        let epochs = counted(progress.epoch().round() as u64, "epoch");
        let title = format!("{} after {epochs}", pictures::title_of_orders(self.config));
        let picture =
            pictures::orders(seen, self.config, title).map_err(|error| failed(error.into()))?;
        let run = self.run.path();
        report::write_orders(run, progress.step, &picture).map_err(|source| TrainError::Io {
            action: "writing pictures into",
            path: run.to_path_buf(),
            source,
        })?;
        log.picture(progress.step, "orders", &picture.light)
    }
}

fn is_not_finite(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<EmbedError>();
    matches!(error, Some(EmbedError::NotFinite { .. }))
}

impl<M: Pretrained> Evaluator<M> for Evaluations<'_> {
    fn evaluate(
        &mut self,
        state: &TrainState<M>,
        progress: Progress,
        log: &mut RunLog,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let failed = TrainError::evaluation(progress.step);
        if let Some(sets) = &self.labeled {
            observer.doing("kNN");
            let (accuracy, bad) = match self.knn(&state.model, sets) {
                Ok(found) => found,
                // Whether the run goes on is its own affair (train.on_nan).
                Err(error) if is_not_finite(&*error) => {
                    observer.say(&format!("warning: no kNN at this time: {error}"));
                    return Ok(());
                }
                Err(error) => return Err(failed(error)),
            };
            self.unreadable.note(&bad, progress.step, log, observer)?;
            let chance = 1.0 / sets.train.source.classes().len().max(1) as f64;
            let scalars = [
                (KNN_TOP1, accuracy.top1),
                (KNN_TOP5, accuracy.top5),
                (KNN_CHANCE, chance),
            ];
            log.scalars(progress.step, progress.epoch(), &scalars)?;
            observer.say(&format!(
                "epoch {:>5.1}  kNN top-1 {:.1} %  top-5 {:.1} %",
                progress.epoch(),
                100.0 * accuracy.top1,
                100.0 * accuracy.top5
            ));
        }
        if !self.pictures.items.is_empty() {
            observer.doing("picture");
            self.picture(state, progress, log)?;
        }
        // A page that cannot be written is no reason to stop training.
        if let Err(error) = report::write(self.run.path(), None) {
            observer.say(&format!("warning: no report: {}", error.message));
        }
        Ok(())
    }
}
