//! A segmenter at work: from images to the class of every pixel of theirs.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use burn::tensor::{Device, Tensor, TensorData};
use semaim::parameters::device_of;
use semaim_data::{Augment, BadImage, DataError, ImageError, Scratch, Source, ViewError};
use semaim_segment::error::SegmentError;

use super::segmenter::{SegmenterInfo, TestSize, TrainedSegmenter};
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
    Thread(#[from] std::io::Error),
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
struct Prepared<T> {
    item: u64,
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
    prepared: Option<Receiver<Result<Prepared<T>, BadImage>>>,
    thread: Option<JoinHandle<()>>,
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
        let (send, receive) = sync_channel(AHEAD);
        let sizes = Sizes::of(&segmenter.info);
        let work = move || {
            let mut scratch = Scratch::new();
            for item in items {
                let bad = |error: String| BadImage {
                    item,
                    name: source.name(item as usize),
                    error,
                };
                let prepared = sizes.prepare(&*source, item, &beside, &mut scratch);
                // Nobody listens any more: the iterator is gone.
                if send.send(prepared.map_err(bad)).is_err() {
                    return;
                }
            }
        };
        Ok(Self {
            segmenter,
            prepared: Some(receive),
            thread: Some(thread::Builder::new().name("images".into()).spawn(work)?),
            device: device_of(&segmenter.model),
        })
    }

    fn label(&self, image: Prepared<T>) -> Result<LabeledImage<T>, LabelError> {
        let channels = self.segmenter.info.config.channels;
        let view = |([rows, columns], numbers): ([usize; 2], Vec<f32>)| {
            let data = TensorData::new(numbers, [1, channels, rows, columns]);
            Tensor::<4>::from_data(data, &self.device)
        };
        let views: Vec<Tensor<4>> = image.views.into_iter().map(view).collect();
        Ok(LabeledImage {
            item: image.item,
            size: image.size,
            classes: self.segmenter.model.classes_of_pixels(&views, image.size)?,
            beside: image.beside,
        })
    }
}

impl<T: Send + 'static> Iterator for LabelIter<'_, T> {
    /// An image, or one that could not be used.
    type Item = Result<Result<LabeledImage<T>, BadImage>, LabelError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.prepared.as_ref()?.recv().ok()? {
            Ok(image) => Some(self.label(image).map(Ok)),
            Err(bad) => Some(Ok(Err(bad))),
        }
    }
}

impl<T> Drop for LabelIter<'_, T> {
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
            size: [rows, columns],
            views: views.map_err(|error| error.to_string())?,
            beside,
        })
    }
}
