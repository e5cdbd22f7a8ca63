//! Worker threads that prepare batches ahead of their consumer, image by image.
//!
//! What a batch holds is decided by a [`BatchPlan`]; the prefetcher only decides who prepares which image when. Batches
//! are delivered strictly in order, and no more than a fixed number of them is ahead of the consumer.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::batch::{BadImage, Batch};
use crate::error::LoaderError;
use crate::panic::panic_message;
use crate::scratch::Scratch;

/// What to prepare. Implementations are pure: the same (batch, slot) gives the same result on any thread.
pub(crate) trait BatchPlan: Send + Sync + 'static {
    /// What is to be learnt about an image.
    type Target: Send + 'static;

    /// How many batches there are.
    fn batches(&self) -> u64;

    /// How many images batch number `sequence` is made of.
    fn slots(&self, sequence: u64) -> usize;

    /// The epoch of a batch and its number within it.
    fn position(&self, sequence: u64) -> (u64, u64);

    /// Numbers in one view.
    fn view_len(&self) -> usize;

    /// Prepares one image of a batch in `view`, which has `view_len` numbers.
    fn fill(
        &self,
        sequence: u64,
        slot: usize,
        scratch: &mut Scratch,
        view: &mut [f32],
    ) -> Result<Prepared<Self::Target>, LoaderError>;
}

/// The outcome for one slot of a batch.
#[derive(Debug)]
pub(crate) struct Prepared<T> {
    /// The image that was used; `None` leaves the slot out of the batch.
    pub(crate) used: Option<Used<T>>,
    /// The images that could not be used.
    pub(crate) bad: Vec<BadImage>,
}

/// An image of a batch, beside its view.
#[derive(Debug)]
pub(crate) struct Used<T> {
    /// Its number in the source.
    pub(crate) item: u64,
    pub(crate) target: T,
    /// Rows and columns of the view that show the image.
    pub(crate) valid_size: [usize; 2],
}

/// A finished slot: its outcome and its view.
type Slot<T> = (Prepared<T>, Vec<f32>);

/// A batch in preparation.
struct Assembly<T> {
    slots: Vec<Option<Slot<T>>>,
    missing: usize,
}

struct State<T> {
    /// The next image to hand to a worker.
    next: (u64, usize),
    /// Batches given to the consumer.
    delivered: u64,
    assemblies: BTreeMap<u64, Assembly<T>>,
    ready: BTreeMap<u64, Result<Batch<T>, LoaderError>>,
    /// View buffers to use again, so that their memory is not mapped anew for every image.
    spare: Vec<Vec<f32>>,
    workers_alive: usize,
    stop: bool,
}

struct Shared<P: BatchPlan> {
    plan: P,
    ahead: u64,
    state: Mutex<State<P::Target>>,
    /// Signaled when there may be work to start.
    work: Condvar,
    /// Signaled when a batch is ready or the workers are gone.
    done: Condvar,
}

impl<P: BatchPlan> Shared<P> {
    /// A panic of another thread leaves the state usable: every change under the lock is complete.
    fn lock(&self) -> MutexGuard<'_, State<P::Target>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a loader gives: the batches of a prefetcher, or the refusal of a plan as the only item.
pub(crate) enum Delivery<P: BatchPlan> {
    Running(Prefetcher<P>),
    Refused(Option<LoaderError>),
}

impl<P: BatchPlan> std::fmt::Debug for Delivery<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Running(prefetcher) => prefetcher.fmt(f),
            Self::Refused(error) => f.debug_tuple("Refused").field(error).finish(),
        }
    }
}

impl<P: BatchPlan> Delivery<P> {
    /// Starts a prefetcher (see [`Prefetcher::start`]) if there is a plan.
    pub(crate) fn start(plan: Result<P, LoaderError>, workers: usize, ahead: usize) -> Self {
        match plan {
            Ok(plan) => Self::Running(Prefetcher::start(plan, workers, ahead)),
            Err(error) => Self::Refused(Some(error)),
        }
    }

    /// Batches that nobody would have to wait for.
    pub(crate) fn ready(&self) -> usize {
        match self {
            Self::Running(prefetcher) => prefetcher.shared.lock().ready.len(),
            Self::Refused(_) => 0,
        }
    }

    /// The next batch, or the refusal, once.
    pub(crate) fn next(&mut self) -> Option<Result<Batch<P::Target>, LoaderError>> {
        match self {
            Self::Running(prefetcher) => prefetcher.next(),
            Self::Refused(error) => error.take().map(Err),
        }
    }
}

/// The running workers and the consumer's end.
pub(crate) struct Prefetcher<P: BatchPlan> {
    shared: Arc<Shared<P>>,
    workers: Vec<JoinHandle<()>>,
    failed: bool,
    spawn_error: Option<std::io::Error>,
}

impl<P: BatchPlan> std::fmt::Debug for Prefetcher<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prefetcher")
            .field("batches", &self.shared.plan.batches())
            .field("workers", &self.workers.len())
            .field("ahead", &self.shared.ahead)
            .finish_non_exhaustive()
    }
}

impl<P: BatchPlan> Prefetcher<P> {
    /// Starts `workers` threads (0: one per core) that keep up to `ahead` batches (at least 1) prepared.
    pub(crate) fn start(plan: P, workers: usize, ahead: usize) -> Self {
        let workers = worker_count(workers);
        let shared = Arc::new(Shared {
            plan,
            ahead: ahead.max(1) as u64,
            state: Mutex::new(State {
                next: (0, 0),
                delivered: 0,
                assemblies: BTreeMap::new(),
                ready: BTreeMap::new(),
                spare: Vec::new(),
                workers_alive: 0,
                stop: false,
            }),
            work: Condvar::new(),
            done: Condvar::new(),
        });
        let mut prefetcher = Self {
            shared,
            workers: Vec::with_capacity(workers),
            failed: false,
            spawn_error: None,
        };
        for number in 0..workers {
            prefetcher.shared.lock().workers_alive += 1;
            let shared = Arc::clone(&prefetcher.shared);
            let name = format!("loader-{number}");
            match std::thread::Builder::new()
                .name(name)
                .spawn(move || work(&shared))
            {
                Ok(handle) => prefetcher.workers.push(handle),
                Err(error) => {
                    // Fewer workers are slower, not wrong; only none at all is an error.
                    prefetcher.shared.lock().workers_alive -= 1;
                    prefetcher.spawn_error = Some(error);
                    break;
                }
            }
        }
        prefetcher
    }

    /// The next batch in order; `None` after the last one or after an error.
    pub(crate) fn next(&mut self) -> Option<Result<Batch<P::Target>, LoaderError>> {
        if self.failed {
            return None;
        }
        let result = self.wait()?;
        self.failed = result.is_err();
        Some(result)
    }

    fn wait(&mut self) -> Option<Result<Batch<P::Target>, LoaderError>> {
        let plan = &self.shared.plan;
        let mut state = self.shared.lock();
        if state.delivered == plan.batches() {
            return None;
        }
        loop {
            let wanted = state.delivered;
            if let Some(batch) = state.ready.remove(&wanted) {
                state.delivered += 1;
                drop(state);
                self.shared.work.notify_all();
                return Some(batch);
            }
            if state.workers_alive == 0 {
                let (epoch, batch) = plan.position(wanted);
                return Some(Err(match self.spawn_error.take() {
                    Some(error) => LoaderError::Spawn(error),
                    None => LoaderError::Worker {
                        epoch,
                        batch,
                        message: "all loader threads have ended".to_owned(),
                    },
                }));
            }
            state = self
                .shared
                .done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<P: BatchPlan> Drop for Prefetcher<P> {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.work.notify_all();
        for worker in self.workers.drain(..) {
            // A panic of the worker has been reported as the error of its batch.
            let _ = worker.join();
        }
    }
}

/// How many threads a request for `workers` means.
pub(crate) fn worker_count(workers: usize) -> usize {
    match workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    }
}

/// Counts a worker as gone however it ends, so that the consumer never waits for nobody.
struct Leaving<'a, P: BatchPlan>(&'a Shared<P>);

impl<P: BatchPlan> Drop for Leaving<'_, P> {
    fn drop(&mut self) {
        self.0.lock().workers_alive -= 1;
        self.0.done.notify_all();
    }
}

fn work<P: BatchPlan>(shared: &Shared<P>) {
    let _leaving = Leaving(shared);
    let mut scratch = Scratch::new();
    while let Some((sequence, slot, mut view)) = take(shared) {
        view.resize(shared.plan.view_len(), 0.0);
        // Decoders run on unchecked data; a panic must become an error of this batch, not a hang.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            shared.plan.fill(sequence, slot, &mut scratch, &mut view)
        }));
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(panic) => {
                scratch = Scratch::new();
                let (epoch, batch) = shared.plan.position(sequence);
                Err(LoaderError::Worker {
                    epoch,
                    batch,
                    message: panic_message(&*panic),
                })
            }
        };
        finish(shared, sequence, slot, outcome, view);
    }
}

/// Waits for an image to prepare; `None` when there are no more.
fn take<P: BatchPlan>(shared: &Shared<P>) -> Option<(u64, usize, Vec<f32>)> {
    let mut state = shared.lock();
    loop {
        let (sequence, slot) = state.next;
        if state.stop || sequence >= shared.plan.batches() {
            return None;
        }
        if sequence < state.delivered + shared.ahead {
            let slots = shared.plan.slots(sequence);
            if slot == 0 {
                let assembly = Assembly {
                    slots: (0..slots).map(|_| None).collect(),
                    missing: slots,
                };
                state.assemblies.insert(sequence, assembly);
            }
            state.next = if slot + 1 < slots {
                (sequence, slot + 1)
            } else {
                (sequence + 1, 0)
            };
            let view = state.spare.pop().unwrap_or_default();
            return Some((sequence, slot, view));
        }
        state = shared
            .work
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

fn finish<P: BatchPlan>(
    shared: &Shared<P>,
    sequence: u64,
    slot: usize,
    outcome: Result<Prepared<P::Target>, LoaderError>,
    view: Vec<f32>,
) {
    let mut state = shared.lock();
    let prepared = match outcome {
        Ok(prepared) => prepared,
        Err(error) => {
            // The first error to arrive stands for the batch; its other slots find their assembly gone.
            if state.assemblies.remove(&sequence).is_some() {
                state.ready.insert(sequence, Err(error));
                drop(state);
                shared.done.notify_all();
            }
            return;
        }
    };
    let Some(assembly) = state.assemblies.get_mut(&sequence) else {
        return;
    };
    if let Some(place) = assembly.slots.get_mut(slot) {
        *place = Some((prepared, view));
        assembly.missing -= 1;
    }
    if assembly.missing > 0 {
        return;
    }
    let Some(assembly) = state.assemblies.remove(&sequence) else {
        return;
    };
    drop(state);
    // Outside the lock: a batch is many megabytes, and the other workers go on meanwhile.
    let (batch, views) = assemble(shared, sequence, assembly);
    let mut state = shared.lock();
    state.spare.extend(views);
    state.ready.insert(sequence, Ok(batch));
    drop(state);
    shared.done.notify_all();
}

fn assemble<P: BatchPlan>(
    shared: &Shared<P>,
    sequence: u64,
    assembly: Assembly<P::Target>,
) -> (Batch<P::Target>, Vec<Vec<f32>>) {
    let (epoch, index) = shared.plan.position(sequence);
    let mut batch = Batch {
        epoch,
        index,
        images: Vec::with_capacity(assembly.slots.len() * shared.plan.view_len()),
        ..Batch::default()
    };
    let mut views = Vec::with_capacity(assembly.slots.len());
    for (prepared, view) in assembly.slots.into_iter().flatten() {
        if let Some(used) = prepared.used {
            batch.images.extend_from_slice(&view);
            batch.valid_sizes.push(used.valid_size);
            batch.items.push(used.item);
            batch.targets.push(used.target);
        }
        batch.bad.extend(prepared.bad);
        views.push(view);
    }
    (batch, views)
}
