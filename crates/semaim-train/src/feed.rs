//! A run's batches, their images on the way to the device before the step that they are for.
//!
//! Where operations are composed nobody waits for a step (see `unread`), and what a step needs of the host should not make the device
//! wait either. A thread of its own takes batches from the loader, brings their views into the form in which they travel, and
//! asks the device to copy them; the step finds them there. On the CPU there is nothing to copy.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

use burn::tensor::Tensor;
use semaim_data::{Batch, Dataset, LoaderError, TrainingLoader, panic_message};
use semaim_kernels::PackedBytes;

use crate::error::TrainError;

/// The images of a batch on a device, or on their way to it.
#[derive(Clone, Debug)]
pub enum SentImages {
    /// As the model takes them, `[batch, channels, height, width]`.
    Views(Tensor<4>),
    /// As bytes of the same order, which are normalized there.
    Bytes(PackedBytes),
}

/// Sends the images of a batch to a device.
pub type Sender<T> = Box<dyn Fn(&Batch<T>) -> Result<SentImages, TrainError> + Send>;

/// A batch, and its images where they have been sent.
#[derive(Debug)]
pub(crate) struct Fed<T> {
    batch: Batch<T>,
    pub(crate) sent: Option<SentImages>,
}

impl<T> Deref for Fed<T> {
    type Target = Batch<T>;

    fn deref(&self) -> &Batch<T> {
        &self.batch
    }
}

/// Batches that wait on the device for the one that is computed, at most: one here, and one in the thread's hands.
const AHEAD: usize = 1;

/// Where a run's batches come from, in their order.
pub(crate) enum Feed<D: Dataset + ?Sized> {
    /// As the loader gives them.
    Loaded(TrainingLoader<D>),
    /// With their images sent.
    Sent(SendingThread<D::Target>),
}

impl<D: Dataset + ?Sized> Feed<D> {
    /// Batches of a loader, their images sent by `sender` if there is one.
    pub(crate) fn start(
        loader: TrainingLoader<D>,
        sender: Option<Sender<D::Target>>,
    ) -> Result<Self, TrainError> {
        Ok(match sender {
            None => Self::Loaded(loader),
            Some(sender) => Self::Sent(SendingThread::start(loader, sender)?),
        })
    }

    /// How many batches the loader had ready when it was last asked for one, by the run or by the thread that sends.
    pub(crate) fn ready(&self) -> usize {
        match self {
            Self::Loaded(loader) => loader.ready(),
            Self::Sent(thread) => thread.ready.load(Ordering::Relaxed),
        }
    }

    /// The next batch.
    ///
    /// # Errors
    /// The loader's, a device that fails, or [`TrainError::Internal`] after the last batch.
    pub(crate) fn next(&mut self) -> Result<Fed<D::Target>, TrainError> {
        match self {
            Self::Loaded(loader) => {
                let batch = loader.next().ok_or_else(ended)??;
                Ok(Fed { batch, sent: None })
            }
            Self::Sent(thread) => thread.next(),
        }
    }
}

fn ended() -> TrainError {
    TrainError::Internal("the loader ended before the run".into())
}

/// What the thread gives for a batch.
type Item<T> = Result<Fed<T>, TrainError>;

/// The thread that sends, and the end at which its batches arrive.
pub(crate) struct SendingThread<T> {
    /// `None` once the thread is told to end.
    batches: Option<Receiver<Item<T>>>,
    ready: Arc<AtomicUsize>,
    /// What a device said that failed.
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl<T: Send + 'static> SendingThread<T> {
    fn start<D: Dataset<Target = T> + ?Sized>(
        mut loader: TrainingLoader<D>,
        sender: Sender<T>,
    ) -> Result<Self, TrainError> {
        let (give, batches) = sync_channel(AHEAD);
        let ready = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&ready);
        let send = move || {
            loop {
                counted.store(loader.ready(), Ordering::Relaxed);
                let Some(batch) = loader.next() else {
                    break;
                };
                let item = match batch {
                    Err(error) => Err(error.into()),
                    Ok(batch) => {
                        // A device that fails may panic in its framework; that is to end the run, not to leave it waiting.
                        let sent = catch_unwind(AssertUnwindSafe(|| sender(&batch)));
                        let sent = sent.map_err(|panic| panic_message(&*panic))?;
                        sent.map(|sent| Fed {
                            batch,
                            sent: Some(sent),
                        })
                    }
                };
                // Nobody takes batches any more: the run has ended.
                if give.send(item).is_err() {
                    break;
                }
            }
            Ok(())
        };
        let thread = Builder::new().name("sender".into()).spawn(send);
        Ok(Self {
            batches: Some(batches),
            ready,
            thread: Some(thread.map_err(LoaderError::Spawn)?),
        })
    }

    fn next(&mut self) -> Result<Fed<T>, TrainError> {
        let item = self.batches.as_ref().and_then(|from| from.recv().ok());
        match item {
            Some(item) => item,
            None => Err(match self.end() {
                Some(message) => {
                    TrainError::Internal(format!("sending a batch to the device failed: {message}"))
                }
                None => ended(),
            }),
        }
    }
}

impl<T> SendingThread<T> {
    /// Ends the thread and waits for it; gives what went wrong in it.
    fn end(&mut self) -> Option<String> {
        // First the channel: the thread may be waiting for room in it.
        drop(self.batches.take());
        match self.thread.take()?.join() {
            Ok(result) => result.err(),
            Err(panic) => Some(panic_message(&*panic)),
        }
    }
}

impl<T> Drop for SendingThread<T> {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use semaim::parameters::to_host;
    use semaim_data::{
        Augment, ClassTarget, LoaderOptions, Position, Shapes, ShapesOptions, Source,
    };

    use crate::config::PretrainConfig;
    use crate::task::images;

    const SHAPE: [usize; 3] = [3, 16, 16];

    fn loader(batches_per_epoch: u64) -> TrainingLoader {
        let options = ShapesOptions {
            count: 6,
            ..ShapesOptions::default()
        };
        let source: Arc<dyn Source> = Arc::new(Shapes::new(options).unwrap());
        let mut config = PretrainConfig::default();
        config.model.image_size = [SHAPE[1], SHAPE[2]];
        let augment: Augment = config.augment();
        let options = LoaderOptions {
            batch_size: 2,
            batches_per_epoch,
            workers: 1,
            ..LoaderOptions::default()
        };
        TrainingLoader::start(source, augment, options, Position::default())
    }

    fn views() -> Sender<ClassTarget> {
        Box::new(|batch| Ok(SentImages::Views(images(batch, SHAPE, &Device::flex()))))
    }

    #[test]
    fn batches_come_in_their_order_with_their_images() {
        let mut feed = Feed::start(loader(5), Some(views())).unwrap();
        for expected in loader(5) {
            let expected = expected.unwrap();
            let fed = feed.next().unwrap();
            assert_eq!(*fed, expected);
            let Some(SentImages::Views(views)) = fed.sent else {
                panic!("{:?}", fed.sent)
            };
            assert_eq!(to_host("views", views).unwrap().values, expected.images);
        }
        let after = feed.next().map(|fed| fed.index).unwrap_err().to_string();
        assert!(after.contains("ended before"), "{after}");
    }

    #[test]
    fn what_nobody_takes_is_not_waited_for() {
        for taken in [0, 1, 3] {
            let sent = Arc::new(AtomicUsize::new(0));
            let (counted, views) = (Arc::clone(&sent), views());
            let sender: Sender<ClassTarget> = Box::new(move |batch| {
                counted.fetch_add(1, Ordering::Relaxed);
                views(batch)
            });
            let mut feed = Feed::start(loader(1000), Some(sender)).unwrap();
            for _ in 0..taken {
                feed.next().unwrap();
            }
            drop(feed);
            let sent = sent.load(Ordering::Relaxed);
            assert!(sent <= taken + AHEAD + 1, "{sent} sent, {taken} taken");
        }
    }

    #[test]
    fn a_device_that_fails_ends_the_run_with_what_it_says() {
        let sender: Sender<ClassTarget> = Box::new(|_| panic!("the adapter is gone"));
        let mut feed = Feed::start(loader(3), Some(sender)).unwrap();
        let error = feed.next().map(|fed| fed.index).unwrap_err().to_string();
        assert!(error.contains("the adapter is gone"), "{error}");
    }

    #[test]
    fn what_cannot_be_sent_ends_the_run_with_its_error() {
        let sender: Sender<ClassTarget> =
            Box::new(|_| Err(TrainError::Internal("a label too large".into())));
        let mut feed = Feed::start(loader(3), Some(sender)).unwrap();
        let error = feed.next().map(|fed| fed.index).unwrap_err().to_string();
        assert!(error.contains("a label too large"), "{error}");
    }

    #[test]
    fn errors_of_the_loader_come_through() {
        let mut feed = Feed::start(loader(0), Some(views())).unwrap();
        let error = feed.next().map(|fed| fed.index).unwrap_err();
        assert!(matches!(error, TrainError::Loader(_)), "{error}");
    }
}
