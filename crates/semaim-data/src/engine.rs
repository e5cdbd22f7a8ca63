//! Worker threads that prepare batches ahead of their consumer, image by image.
//!
//! What a batch holds is decided by a [`Plan`]; the engine only decides who prepares which image when. Batches
//! are delivered strictly in order, and no more than a fixed number of them is ahead of the consumer.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::batch::{BadImage, Batch};
use crate::error::LoaderError;
use crate::resample::Scratch;

/// What to prepare. Implementations are pure: the same (batch, slot) gives the same result on any thread.
pub(crate) trait Plan: Send + Sync + 'static {
    /// How many batches there are.
    fn batches(&self) -> u64;

    /// How many images batch number `sequence` is made of.
    fn slots(&self, sequence: u64) -> usize;

    /// The epoch of a batch and its number within it.
    fn address(&self, sequence: u64) -> (u64, u64);

    /// Numbers in one view.
    fn view_len(&self) -> usize;

    /// Prepares one image of a batch in `view`, which has `view_len` numbers.
    fn fill(
        &self,
        sequence: u64,
        slot: usize,
        scratch: &mut Scratch,
        view: &mut [f32],
    ) -> Result<Filled, LoaderError>;
}

/// The outcome for one slot of a batch.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    /// The image that was used and its label; `None` leaves the slot out of the batch.
    pub(crate) used: Option<(u64, Option<u32>)>,
    /// The images that could not be used.
    pub(crate) bad: Vec<BadImage>,
}

/// A finished slot: its outcome and its view.
type Slot = (Filled, Vec<f32>);

/// A batch in preparation.
struct Assembly {
    slots: Vec<Option<Slot>>,
    missing: usize,
}

struct State {
    /// The next image to hand to a worker.
    next: (u64, usize),
    /// Batches given to the consumer.
    delivered: u64,
    assemblies: BTreeMap<u64, Assembly>,
    ready: BTreeMap<u64, Result<Batch, LoaderError>>,
    /// View buffers to use again, so that their memory is not mapped anew for every image.
    spare: Vec<Vec<f32>>,
    workers_alive: usize,
    stop: bool,
}

struct Shared<P> {
    plan: P,
    ahead: u64,
    state: Mutex<State>,
    /// Signalled when there may be work to start.
    work: Condvar,
    /// Signalled when a batch is ready or the workers are gone.
    done: Condvar,
}

impl<P> Shared<P> {
    /// A panic of another thread leaves the state usable: every change under the lock is complete.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a loader gives: the batches of an engine, or the refusal of a plan as the only item.
pub(crate) enum Delivery<P: Plan> {
    Running(Engine<P>),
    Refused(Option<LoaderError>),
}

impl<P: Plan> std::fmt::Debug for Delivery<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Running(engine) => engine.fmt(f),
            Self::Refused(error) => f.debug_tuple("Refused").field(error).finish(),
        }
    }
}

impl<P: Plan> Delivery<P> {
    /// Starts an engine (see [`Engine::start`]) if there is a plan.
    pub(crate) fn start(plan: Result<P, LoaderError>, workers: usize, ahead: usize) -> Self {
        match plan {
            Ok(plan) => Self::Running(Engine::start(plan, workers, ahead)),
            Err(error) => Self::Refused(Some(error)),
        }
    }

    /// The next batch, or the refusal, once.
    pub(crate) fn next(&mut self) -> Option<Result<Batch, LoaderError>> {
        match self {
            Self::Running(engine) => engine.next(),
            Self::Refused(error) => error.take().map(Err),
        }
    }
}

/// The running workers and the consumer's end.
pub(crate) struct Engine<P: Plan> {
    shared: Arc<Shared<P>>,
    workers: Vec<JoinHandle<()>>,
    failed: bool,
    spawn_error: Option<std::io::Error>,
}

impl<P: Plan> std::fmt::Debug for Engine<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("batches", &self.shared.plan.batches())
            .field("workers", &self.workers.len())
            .field("ahead", &self.shared.ahead)
            .finish_non_exhaustive()
    }
}

impl<P: Plan> Engine<P> {
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
        let mut engine = Self {
            shared,
            workers: Vec::with_capacity(workers),
            failed: false,
            spawn_error: None,
        };
        for number in 0..workers {
            engine.shared.lock().workers_alive += 1;
            let shared = Arc::clone(&engine.shared);
            let name = format!("loader-{number}");
            match std::thread::Builder::new()
                .name(name)
                .spawn(move || work(&shared))
            {
                Ok(handle) => engine.workers.push(handle),
                Err(error) => {
                    // Fewer workers are slower, not wrong; only none at all is an error.
                    engine.shared.lock().workers_alive -= 1;
                    engine.spawn_error = Some(error);
                    break;
                }
            }
        }
        engine
    }

    /// The next batch in order; `None` after the last one or after an error.
    pub(crate) fn next(&mut self) -> Option<Result<Batch, LoaderError>> {
        if self.failed {
            return None;
        }
        let result = self.wait()?;
        self.failed = result.is_err();
        Some(result)
    }

    fn wait(&mut self) -> Option<Result<Batch, LoaderError>> {
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
                let (epoch, batch) = plan.address(wanted);
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

impl<P: Plan> Drop for Engine<P> {
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
struct Leaving<'a, P>(&'a Shared<P>);

impl<P> Drop for Leaving<'_, P> {
    fn drop(&mut self) {
        self.0.lock().workers_alive -= 1;
        self.0.done.notify_all();
    }
}

fn work<P: Plan>(shared: &Shared<P>) {
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
                let (epoch, batch) = shared.plan.address(sequence);
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

/// The text of a panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Waits for an image to prepare; `None` when there are no more.
fn take<P: Plan>(shared: &Shared<P>) -> Option<(u64, usize, Vec<f32>)> {
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

fn finish<P: Plan>(
    shared: &Shared<P>,
    sequence: u64,
    slot: usize,
    outcome: Result<Filled, LoaderError>,
    view: Vec<f32>,
) {
    let mut state = shared.lock();
    let filled = match outcome {
        Ok(filled) => filled,
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
        *place = Some((filled, view));
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

fn assemble<P: Plan>(
    shared: &Shared<P>,
    sequence: u64,
    assembly: Assembly,
) -> (Batch, Vec<Vec<f32>>) {
    let (epoch, index) = shared.plan.address(sequence);
    let mut batch = Batch {
        epoch,
        index,
        images: Vec::with_capacity(assembly.slots.len() * shared.plan.view_len()),
        ..Batch::default()
    };
    let mut views = Vec::with_capacity(assembly.slots.len());
    for (filled, view) in assembly.slots.into_iter().flatten() {
        if let Some((item, label)) = filled.used {
            batch.images.extend_from_slice(&view);
            batch.items.push(item);
            batch.labels.push(label);
        }
        batch.bad.extend(filled.bad);
        views.push(view);
    }
    (batch, views)
}
