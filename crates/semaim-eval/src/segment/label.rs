//! A segmenter at work: from images to the class of every pixel of theirs.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use burn::tensor::{Device, Tensor, TensorData};
use semaim::parameters::device_of;
use semaim_data::{
    Augment, BadImage, DataError, ImageError, Scratch, Source, ViewError, counted, panic_message,
};
use semaim_segment::error::SegmentError;

use super::segmenter::{SegmenterInfo, TestSize, TrainedSegmenter};
use crate::detect::find::NO_NUMBERS;
use crate::known_classes::UnknownClass;

/// Images that are prepared ahead.
const AHEAD: usize = 2;

/// Why pixels could not be labeled.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// The data set cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The network.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// A set whose classes the segmenter does not know.
    #[error(transparent)]
    UnknownClass(#[from] UnknownClass),
    /// The thread that prepares images.
    #[error("preparing images: {0}")]
    Thread(#[from] io::Error),
    /// Nothing to look at.
    #[error("{set}: no image could be used{}", first.as_ref().map_or(String::new(), |bad| format!(", the first: {}: {}", bad.name, bad.error)))]
    Empty {
        /// The set.
        set: String,
        /// The first image that could not be.
        first: Option<BadImage>,
    },
    /// Nothing to count.
    #[error("{set}: no pixel has a class, all labels say nothing")]
    NoLabels {
        /// The set.
        set: String,
    },
}

/// The class of every pixel of an image, and what was asked for beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct LabeledImage<T> {
    /// The image's number in its source.
    pub item: u64,
    /// Rows and columns of the image.
    pub size: [usize; 2],
    /// Numbers of classes, row by row.
    pub classes: Vec<u8>,
    /// What was asked for.
    pub beside: T,
}

/// An image in the sizes in which the network sees it.
#[derive(Debug)]
struct Prepared<T> {
    item: u64,
    name: String,
    /// Rows and columns of the image.
    size: [usize; 2],
    /// Rows and columns of each view, and its numbers, `[channels, rows, columns]`.
    views: Vec<([usize; 2], Vec<f32>)>,
    beside: T,
}

/// A segmenter over images, one by one as they differ in size: memory does not grow with their number. A thread prepares the
/// next ones.
#[derive(Debug)]
pub struct LabelIter<'a, T> {
    segmenter: &'a TrainedSegmenter,
    images: Ahead<Result<Prepared<T>, BadImage>>,
    device: Device,
}

impl<'a, T: Send + 'static> LabelIter<'a, T> {
    /// Starts on the images `items` of a source. `beside` is asked first, with each image's number, columns and rows, for what is
    /// wanted beside its classes; images without are not looked at.
    ///
    /// # Errors
    /// A system that gives no thread.
    pub fn start<S: Source + ?Sized>(
        segmenter: &'a TrainedSegmenter,
        source: Arc<S>,
        items: Vec<u64>,
        beside: impl Fn(&S, u64, [u32; 2]) -> Result<T, ImageError> + Send + 'static,
    ) -> Result<Self, LabelError> {
        let sizes = Sizes::of(&segmenter.info);
        let images = Ahead::start(items, move |item, scratch| {
            let bad = |error: String| BadImage {
                item,
                name: source.name(item as usize),
                error,
            };
            let prepared = sizes.prepare(&*source, item, &beside, scratch);
            prepared.map_err(bad)
        });
        Ok(Self {
            segmenter,
            images: images?,
            device: device_of(&segmenter.model),
        })
    }

    fn label(&self, image: Prepared<T>) -> Result<Result<LabeledImage<T>, BadImage>, LabelError> {
        let channels = self.segmenter.info.config.channels;
        let view = |([rows, columns], numbers): ([usize; 2], Vec<f32>)| {
            let data = TensorData::new(numbers, [1, channels, rows, columns]);
            Tensor::<4>::from_data(data, &self.device)
        };
        let views: Vec<Tensor<4>> = image.views.into_iter().map(view).collect();
        let classes = match self.segmenter.model.classes_of_pixels(&views, image.size) {
            Ok(classes) => classes,
            Err(SegmentError::NotFinite) => {
                return Ok(Err(BadImage {
                    item: image.item,
                    name: image.name,
                    error: NO_NUMBERS.to_owned(),
                }));
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Ok(LabeledImage {
            item: image.item,
            size: image.size,
            classes,
            beside: image.beside,
        }))
    }
}

impl<T: Send + 'static> Iterator for LabelIter<'_, T> {
    /// An image, or one that could not be used.
    type Item = Result<Result<LabeledImage<T>, BadImage>, LabelError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.images.next()? {
            Ok(Ok(image)) => Some(self.label(image)),
            Ok(Err(bad)) => Some(Ok(Err(bad))),
            Err(ended) => Some(Err(ended)),
        }
    }
}

/// What a thread makes of items, in their order, a few of them ahead.
#[derive(Debug)]
struct Ahead<P> {
    prepared: Option<Receiver<P>>,
    thread: Option<JoinHandle<()>>,
    /// Items that are still to come.
    left: usize,
}

impl<P: Send + 'static> Ahead<P> {
    fn start(
        items: Vec<u64>,
        prepare: impl Fn(u64, &mut Scratch) -> P + Send + 'static,
    ) -> io::Result<Self> {
        let (send, receive) = sync_channel(AHEAD);
        let left = items.len();
        let work = move || {
            let mut scratch = Scratch::new();
            for item in items {
                // Nobody listens any more: the iterator is gone.
                if send.send(prepare(item, &mut scratch)).is_err() {
                    return;
                }
            }
        };
        Ok(Self {
            prepared: Some(receive),
            thread: Some(thread::Builder::new().name("images".into()).spawn(work)?),
            left,
        })
    }
}

impl<P> Ahead<P> {
    /// What the thread that ended before its last item left undone, and why.
    fn ended(&mut self) -> LabelError {
        let missing = counted(std::mem::take(&mut self.left), "image");
        let why = match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => panic_message(&*panic),
            _ => "the thread has ended".into(),
        };
        LabelError::Thread(io::Error::other(format!("{missing} not prepared: {why}")))
    }
}

impl<P> Iterator for Ahead<P> {
    type Item = Result<P, LabelError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let Ok(prepared) = self.prepared.as_ref()?.recv() else {
            return Some(Err(self.ended()));
        };
        self.left -= 1;
        Some(Ok(prepared))
    }
}

impl<P> Drop for Ahead<P> {
    fn drop(&mut self) {
        // The thread ends when nobody listens.
        self.prepared = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// In which sizes images are seen.
struct Sizes {
    views: Augment,
    size: TestSize,
    scales: Vec<f64>,
}

impl Sizes {
    fn of(info: &SegmenterInfo) -> Self {
        Self {
            views: info.views(),
            size: info.settings.size,
            scales: info.settings.segmenter.inference.scales.clone(),
        }
    }

    /// Reads an image and resizes it.
    fn prepare<S: Source + ?Sized, T>(
        &self,
        source: &S,
        item: u64,
        beside: impl Fn(&S, u64, [u32; 2]) -> Result<T, ImageError>,
        scratch: &mut Scratch,
    ) -> Result<Prepared<T>, String> {
        // The name is kept beside the error, so only the problem is told here.
        let told = |error: ImageError| error.problem.to_string();
        let image = source.image(item as usize).map_err(told)?;
        let beside = beside(source, item, image.size()).map_err(told)?;
        let view = |scale: &f64| {
            let size = self.size.of_image(image.size(), *scale);
            let numbers = self.views.resized(&image, size, false, scratch)?;
            Ok((size, numbers))
        };
        let views: Result<_, ViewError> = self.scales.iter().map(view).collect();
        let [columns, rows] = image.size().map(|side| side as usize);
        Ok(Prepared {
            item,
            name: source.name(item as usize),
            size: [rows, columns],
            views: views.map_err(|error| error.to_string())?,
            beside,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_is_no_end_of_the_images() {
        let ahead = |bad: u64| {
            Ahead::start((0..5).collect(), move |item, _| {
                assert!(item != bad, "a bug");
                item
            })
            .unwrap()
        };
        let all: Vec<u64> = ahead(9).map(Result::unwrap).collect();
        assert_eq!(all, [0, 1, 2, 3, 4]);
        let mut some = ahead(3);
        let first: Vec<u64> = some.by_ref().take(3).map(Result::unwrap).collect();
        assert_eq!(first, [0, 1, 2]);
        let error = some.next().unwrap().unwrap_err().to_string();
        assert_eq!(error, "preparing images: 2 images not prepared: a bug");
        assert!(some.next().is_none());
        // Whoever has seen enough does not wait for the rest.
        drop(ahead(9));
    }
}
