//! Batches for training and evaluation from worker threads.

use std::sync::Arc;

use semaim_random::Key;

use crate::augment::Augment;
use crate::batch::{BadImage, Batch};
use crate::error::{ImageError, LoaderError};
use crate::permutation::Permutations;
use crate::prefetch::{BatchPlan, Delivery, Prepared, Used};
use crate::region::DecodeRequest;
use crate::scratch::Scratch;
use crate::source::{Dataset, Source};
use crate::view::{ViewGeometry, ViewPlan};

/// How many images are tried for one place in a training batch.
const TRIES: u64 = 20;

/// How a training loader works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderOptions {
    /// Images per batch, at least 1.
    pub batch_size: usize,
    /// Batches in an epoch, at least 1. When they need more images than there are, the epoch's permutation is
    /// used again from its start; when they need fewer, its end is not used.
    pub batches_per_epoch: u64,
    /// The epoch before which to end: epochs `0..epochs` are delivered.
    pub epochs: u64,
    /// Worker threads; 0 means one per core. They have no influence on what the batches hold.
    pub workers: usize,
    /// Batches prepared ahead of the consumer, at least 1.
    pub queue: usize,
    /// The seed of the permutations, crops and flips.
    pub seed: u64,
    /// Which of the batches are delivered; the others are those of other processes.
    pub turns: Turns,
}

/// Which batches of a run are a process's own, where several share them in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// Batches of a step, at least 1; a run starts with the first of one.
    pub of: u64,
    /// The first of them that is its own, below `of`.
    pub first: u64,
    /// How many further the next is, at least 1.
    pub every: u64,
}

impl Turns {
    /// All batches.
    pub const ALL: Self = Self {
        of: 1,
        first: 0,
        every: 1,
    };

    /// How many batches of a step are its own.
    pub fn per_step(self) -> u64 {
        self.of
            .saturating_sub(self.first)
            .div_ceil(self.every.max(1))
    }

    /// The batch of the run that is its `own`th, both from 0.
    fn batch(self, own: u64) -> u64 {
        let per_step = self.per_step().max(1);
        own / per_step * self.of + self.first + own % per_step * self.every
    }
}

impl Default for LoaderOptions {
    /// One epoch of one batch of 1 image, a worker per core, 4 batches ahead, seed 0.
    fn default() -> Self {
        Self {
            batch_size: 1,
            batches_per_epoch: 1,
            epochs: 1,
            workers: 0,
            queue: 4,
            seed: 0,
            turns: Turns::ALL,
        }
    }
}

/// A place in a training run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The epoch, from 0.
    pub epoch: u64,
    /// The batch within the epoch, from 0. Values past the epoch's end mean the epochs after it.
    pub batch: u64,
}

/// Delivers the training batches of a run in order, from any position on.
///
/// Batch `b` of an epoch holds the images at places `b * batch_size ..` of the epoch's permutation. An image that
/// cannot be read is replaced by walking on in the permutation by a stride that depends only on the seed, the epoch
/// and the place; it is listed in [`Batch::bad`]. When 20 images (or all there are) in a row cannot be read, the
/// iterator gives [`LoaderError::OnlyBadImages`] and ends.
///
/// Dropping the loader stops its threads; it waits for the images in their hands.
#[derive(Debug)]
pub struct TrainingLoader<D: Dataset + ?Sized = dyn Source> {
    delivery: Delivery<TrainingPlan<D>>,
}

impl<D: Dataset + ?Sized> TrainingLoader<D> {
    /// Starts the worker threads at `from`. Options that make no sense give an error as the first item.
    pub fn start(
        dataset: Arc<D>,
        augment: Augment,
        options: LoaderOptions,
        from: Position,
    ) -> Self {
        let plan = TrainingPlan::new(dataset, augment, &options, from);
        Self {
            delivery: Delivery::start(plan, options.workers, options.queue),
        }
    }

    /// Batches that are prepared and not asked for yet, at most [`LoaderOptions::queue`]: none where the images are the limit.
    pub fn ready(&self) -> usize {
        self.delivery.ready()
    }
}

impl<D: Dataset + ?Sized> Iterator for TrainingLoader<D> {
    type Item = Result<Batch<D::Target>, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.delivery.next()
    }
}

struct TrainingPlan<D: ?Sized> {
    dataset: Arc<D>,
    augment: Augment,
    permutations: Permutations,
    seed: u64,
    batch_size: usize,
    batches_per_epoch: u64,
    /// The first batch, counted over all epochs.
    start: u64,
    /// Batches that are delivered.
    batches: u64,
    turns: Turns,
}

impl<D: Dataset + ?Sized> TrainingPlan<D> {
    fn new(
        dataset: Arc<D>,
        augment: Augment,
        options: &LoaderOptions,
        from: Position,
    ) -> Result<Self, LoaderError> {
        let wrong = |text: String| Err(LoaderError::Options(text));
        if options.batch_size == 0 || options.batches_per_epoch == 0 {
            return wrong("batch_size and batches_per_epoch must be at least 1".to_owned());
        }
        if dataset.is_empty() {
            return Err(LoaderError::NoImages);
        }
        let turns = options.turns;
        if turns.per_step() == 0 || turns.every == 0 {
            return wrong(format!("no batch in {turns:?}"));
        }
        let Ok(len) = u32::try_from(dataset.len()) else {
            return wrong(format!(
                "{} images are more than {}",
                dataset.len(),
                u32::MAX
            ));
        };
        let count = |epoch: u64| epoch.checked_mul(options.batches_per_epoch);
        let start = count(from.epoch).and_then(|n| n.checked_add(from.batch));
        let (Some(start), Some(end)) = (start, count(options.epochs)) else {
            return wrong("more batches than can be counted".to_owned());
        };
        Ok(Self {
            dataset,
            augment,
            permutations: Permutations::new(options.seed, len),
            seed: options.seed,
            batch_size: options.batch_size,
            batches_per_epoch: options.batches_per_epoch,
            start,
            batches: end.saturating_sub(start) / turns.of * turns.per_step(),
            turns,
        })
    }
}

impl<D: Dataset + ?Sized> BatchPlan for TrainingPlan<D> {
    type Target = D::Target;

    fn batches(&self) -> u64 {
        self.batches
    }

    fn slots(&self, _: u64) -> usize {
        self.batch_size
    }

    fn position(&self, sequence: u64) -> (u64, u64) {
        let batch = self.start + self.turns.batch(sequence);
        (
            batch / self.batches_per_epoch,
            batch % self.batches_per_epoch,
        )
    }

    fn view_len(&self) -> usize {
        self.augment.view_len()
    }

    fn fill(
        &self,
        sequence: u64,
        slot: usize,
        scratch: &mut Scratch,
        view: &mut [f32],
    ) -> Result<Prepared<D::Target>, LoaderError> {
        let (epoch, batch) = self.position(sequence);
        let permutation = self.permutations.of(epoch);
        let len = permutation.len() as u64;
        let position = batch * self.batch_size as u64 + slot as u64;
        let tries = TRIES.min(len);
        let mut bad = Vec::new();
        let mut stride = None;
        for attempt in 0..tries {
            let step = match attempt {
                0 => 0,
                _ => *stride.get_or_insert_with(|| self.permutations.stride(epoch, position)),
            };
            let place = (position % len + attempt * step) % len;
            let Some(&item) = permutation.get(place as usize) else {
                break;
            };
            let item = u64::from(item);
            let key = Key::new(self.seed, epoch, item);
            let plans = |size| self.augment.training_views(size, key);
            match self::view(&*self.dataset, item, plans, scratch, view) {
                Ok(used) => {
                    let used = Some(used);
                    return Ok(Prepared { used, bad });
                }
                Err(error) => bad.push(unusable(&*self.dataset, item, error)),
            }
        }
        let last = bad.last().map_or_else(String::new, |bad: &BadImage| {
            format!("{}: {}", bad.name, bad.error)
        });
        Err(LoaderError::OnlyBadImages {
            epoch,
            batch,
            tried: bad.len(),
            last,
        })
    }
}

/// The view of an image that was chosen, with its target.
struct Chosen<'a, T> {
    plan: ViewPlan<'a>,
    target: T,
}

impl<'a, T> Chosen<'a, T> {
    fn new<D: Dataset<Target = T> + ?Sized>(
        dataset: &D,
        index: usize,
        mut plans: Vec<ViewPlan<'a>>,
    ) -> Result<Self, ImageError> {
        let geometries: Vec<ViewGeometry> = plans.iter().map(ViewPlan::geometry).collect();
        let (at, target) = dataset.choose_view(index, &geometries)?;
        if at >= plans.len() {
            return Err(ImageError::out_of_range(
                dataset.name(index),
                at,
                plans.len(),
            ));
        }
        let plan = plans.swap_remove(at);
        Ok(Self { plan, target })
    }
}

/// Reads an image and writes a view of it, of those that `plans` says, given the image's columns and rows.
fn view<'a, D: Dataset + ?Sized>(
    dataset: &D,
    item: u64,
    plans: impl Fn([u32; 2]) -> Vec<ViewPlan<'a>>,
    scratch: &mut Scratch,
    out: &mut [f32],
) -> Result<Used<D::Target>, String> {
    let index = item as usize;
    let mut chosen = None;
    let mut request = |size| {
        let of_size = chosen.take().filter(|chosen| is_of(chosen, size));
        let choice = of_size.unwrap_or_else(|| Chosen::new(dataset, index, plans(size)));
        let request = match &choice {
            Ok(choice) => choice.plan.request(),
            Err(_) => DecodeRequest::corner(),
        };
        chosen = Some(choice);
        request
    };
    // The image's name is kept beside the error in `BadImage`; that of another file, such as its similarity map, is told here.
    let told = |error: ImageError| match error.name == dataset.name(index) {
        true => error.problem.to_string(),
        false => error.to_string(),
    };
    let decoded = dataset.decode(index, &mut request, scratch).map_err(told)?;
    let chosen = chosen.filter(|chosen| is_of(chosen, decoded.image_size));
    let chosen = chosen.unwrap_or_else(|| Chosen::new(dataset, index, plans(decoded.image_size)));
    let Chosen { plan, target } = chosen.map_err(told)?;
    let rendered = plan.render(&decoded, scratch, out);
    scratch.decoding.reuse(decoded.pixels);
    rendered.map_err(|error| error.to_string())?;
    Ok(Used {
        item,
        target,
        valid_size: plan.geometry().valid_size,
    })
}

/// Whether a choice was made, or failed, for an image of the given columns and rows.
fn is_of<T>(chosen: &Result<Chosen<'_, T>, ImageError>, size: [u32; 2]) -> bool {
    match chosen {
        Ok(chosen) => chosen.plan.image_size() == size,
        Err(_) => true,
    }
}

fn unusable<D: Dataset + ?Sized>(dataset: &D, item: u64, error: String) -> BadImage {
    BadImage {
        item,
        name: dataset.name(item as usize),
        error,
    }
}

/// Delivers the central view of chosen images, each once, in the given order.
///
/// The last batch may be short. Images that cannot be read are left out and listed in [`Batch::bad`], so a batch may
/// hold fewer images than `batch_size`, even none.
#[derive(Debug)]
pub struct EvaluationLoader<D: Dataset + ?Sized = dyn Source> {
    delivery: Delivery<EvaluationPlan<D>>,
}

impl<D: Dataset + ?Sized> EvaluationLoader<D> {
    /// Starts the worker threads (`workers` 0: one per core) that keep up to `queue` batches prepared.
    ///
    /// `items` are numbers in the source, such as `0..dataset.len() as u64`; numbers out of range are listed as
    /// bad. A `batch_size` of 0 gives an error as the first item.
    pub fn start(
        dataset: Arc<D>,
        augment: Augment,
        items: impl IntoIterator<Item = u64>,
        batch_size: usize,
        workers: usize,
        queue: usize,
    ) -> Self {
        let plan = if batch_size == 0 {
            let text = "batch_size must be at least 1".to_owned();
            Err(LoaderError::Options(text))
        } else {
            Ok(EvaluationPlan {
                dataset,
                augment,
                items: items.into_iter().collect(),
                batch_size,
            })
        };
        Self {
            delivery: Delivery::start(plan, workers, queue),
        }
    }
}

impl<D: Dataset + ?Sized> Iterator for EvaluationLoader<D> {
    type Item = Result<Batch<D::Target>, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.delivery.next()
    }
}

struct EvaluationPlan<D: ?Sized> {
    dataset: Arc<D>,
    augment: Augment,
    items: Vec<u64>,
    batch_size: usize,
}

impl<D: Dataset + ?Sized> BatchPlan for EvaluationPlan<D> {
    type Target = D::Target;

    fn batches(&self) -> u64 {
        self.items.len().div_ceil(self.batch_size) as u64
    }

    fn slots(&self, sequence: u64) -> usize {
        let before = sequence as usize * self.batch_size;
        self.batch_size.min(self.items.len().saturating_sub(before))
    }

    fn position(&self, sequence: u64) -> (u64, u64) {
        (0, sequence)
    }

    fn view_len(&self) -> usize {
        self.augment.view_len()
    }

    fn fill(
        &self,
        sequence: u64,
        slot: usize,
        scratch: &mut Scratch,
        view: &mut [f32],
    ) -> Result<Prepared<D::Target>, LoaderError> {
        let place = sequence as usize * self.batch_size + slot;
        let mut prepared = Prepared {
            used: None,
            bad: Vec::new(),
        };
        if let Some(&item) = self.items.get(place) {
            let plans = |size| vec![self.augment.evaluation_view(size)];
            match self::view(&*self.dataset, item, plans, scratch, view) {
                Ok(used) => prepared.used = Some(used),
                Err(error) => prepared.bad.push(unusable(&*self.dataset, item, error)),
            }
        }
        Ok(prepared)
    }
}
