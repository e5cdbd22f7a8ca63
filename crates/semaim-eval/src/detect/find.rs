//! A detector at work: from images to objects in their own pixels.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;
use semaim::parameters::device_of;
use semaim_coco::Rle;
use semaim_data::{
    BadImage, Batch, DataError, Dataset, DecodeRequest, DecodedRegion, EvaluationLoader,
    ImageError, LoaderError, Scratch, Source, ViewGeometry,
};
use semaim_detect::boxes::BoundingBox;
use semaim_detect::detections::{Detection, resized};
use semaim_detect::error::DetectError;
use semaim_train::task::images;

use super::detector::Detector;
use crate::image_batches::BatchOptions;
use crate::known_classes::UnknownClass;

/// Why objects could not be found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The images did not arrive.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// The data set cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The network.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// A set whose classes the detector does not know.
    #[error(transparent)]
    UnknownClass(#[from] UnknownClass),
    /// Nothing to look at.
    #[error("{set}: no image could be read{}", first.as_ref().map_or(String::new(), |bad| format!(", the first: {}: {}", bad.name, bad.error)))]
    Empty {
        /// The set.
        set: String,
        /// The first image that could not be.
        first: Option<BadImage>,
    },
}

/// What is said of an image for which a network gives what is no number.
pub(crate) const NO_NUMBERS: &str = "what the network gives for it holds a NaN: its weights have diverged, or the image has values far from \
                                     all that it was trained on";

/// An object that was found, in the pixels of the image itself.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundObject {
    /// Number of the class.
    pub class: usize,
    /// In 0..=1.
    pub score: f32,
    /// Inside the image.
    pub bounds: BoundingBox,
    /// Its pixels; `None` of a detector that was taught no masks.
    pub mask: Option<Rle>,
}

/// What was found in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageFinds {
    /// The image's number in its source.
    pub item: u64,
    /// Rows and columns of the image.
    pub size: [usize; 2],
    /// The objects, best first.
    pub objects: Vec<FoundObject>,
}

/// A batch of images and what was found in them.
#[derive(Clone, Debug, Default)]
pub struct Finds {
    /// One for each image that could be read.
    pub images: Vec<ImageFinds>,
    /// Images that could not be read.
    pub bad: Vec<BadImage>,
}

impl FoundObject {
    /// `[x, y, width, height]` in pixels.
    pub fn bbox(&self) -> [f64; 4] {
        let [x0, y0, x1, y1] = self.bounds.corners().map(f64::from);
        [x0, y0, x1 - x0, y1 - y0]
    }
}

/// A detector over images, batch by batch: memory does not grow with their number.
#[derive(Debug)]
pub struct FindIter<'a> {
    detector: &'a Detector,
    source: Arc<dyn Source>,
    loader: EvaluationLoader<Framed>,
    device: Device,
}

impl<'a> FindIter<'a> {
    /// Starts on the images `items` of a source.
    pub fn start(
        detector: &'a Detector,
        source: Arc<dyn Source>,
        items: impl IntoIterator<Item = u64>,
        options: BatchOptions,
    ) -> Self {
        let BatchOptions {
            batch_size,
            workers,
        } = options;
        let framed = Arc::new(Framed(Arc::clone(&source)));
        Self {
            detector,
            source,
            loader: EvaluationLoader::start(
                framed,
                detector.info.views(),
                items,
                batch_size,
                workers,
                2,
            ),
            device: device_of(&detector.model),
        }
    }

    fn finds(&self, batch: Batch<ViewGeometry>) -> Result<Finds, FindError> {
        if batch.items.is_empty() {
            return Ok(Finds {
                images: Vec::new(),
                bad: batch.bad,
            });
        }
        let info = &self.detector.info;
        let canvas = info.settings.detector.canvas;
        let shape = [info.config.channels, canvas, canvas];
        let images = images(&batch, shape, &self.device);
        let found = self.detections(images, &batch.valid_sizes)?;
        let each = batch.items.iter().zip(&batch.targets).zip(found);
        let mut finds = Finds {
            images: Vec::new(),
            bad: batch.bad,
        };
        for ((&item, view), detections) in each {
            let longest = view.image_size.into_iter().max().unwrap_or(0);
            let found = match detections {
                None => Err(NO_NUMBERS.to_owned()),
                Some(_) if info.settings.masks && longest > Rle::MOST_SIDE => Err(format!(
                    "a side of {longest} pixels is too long for masks, which have at most {}",
                    Rle::MOST_SIDE
                )),
                Some(detections) => Ok(self.in_image(item, view, detections)),
            };
            match found {
                Ok(found) => finds.images.push(found),
                Err(error) => finds.bad.push(BadImage {
                    item,
                    name: self.source.name(item as usize),
                    error,
                }),
            }
        }
        Ok(finds)
    }

    /// The detections of each image; `None` of one for which the network gives what is no number.
    fn detections(
        &self,
        images: Tensor<4>,
        sizes: &[[usize; 2]],
    ) -> Result<Vec<Option<Vec<Detection>>>, FindError> {
        let model = &self.detector.model;
        match model.detect(images.clone(), sizes) {
            Ok(found) => return Ok(found.into_iter().map(Some).collect()),
            Err(DetectError::NotFinite { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        // One such image says nothing of the others of its batch.
        let alone = |(number, size): (usize, &[usize; 2])| match model
            .detect(images.clone().narrow(0, number, 1), &[*size])
        {
            Ok(mut found) => Ok(found.pop()),
            Err(DetectError::NotFinite { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        };
        sizes.iter().enumerate().map(alone).collect()
    }

    /// Detections on the canvas in the image itself.
    fn in_image(&self, item: u64, view: &ViewGeometry, found: Vec<Detection>) -> ImageFinds {
        let [columns, rows] = view.image_size.map(|side| side as usize);
        let size = [rows, columns];
        let settings = &self.detector.info.settings;
        let threshold = settings.detector.inference.mask;
        let mask = |detection: &Detection| {
            let pixels = detection.pixels(size, threshold).pixels;
            Rle::from_bits(&pixels, view.image_size[0], view.image_size[1])
        };
        let objects = resized(found, view.valid_size, size)
            .into_par_iter()
            .map(|detection| FoundObject {
                class: detection.class,
                score: detection.score,
                bounds: detection.bounds,
                mask: settings.masks.then(|| mask(&detection)).flatten(),
            });
        ImageFinds {
            item,
            size,
            objects: objects.collect(),
        }
    }
}

impl Iterator for FindIter<'_> {
    type Item = Result<Finds, FindError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.loader.next()?;
        Some(
            batch
                .map_err(Into::into)
                .and_then(|batch| self.finds(batch)),
        )
    }
}

/// The images of any source, each with how it is shown.
#[derive(Debug)]
struct Framed(Arc<dyn Source>);

impl Source for Framed {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.0.label(index)
    }

    fn classes(&self) -> &[String] {
        self.0.classes()
    }

    fn name(&self, index: usize) -> String {
        self.0.name(index)
    }

    fn decode(
        &self,
        index: usize,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        self.0.decode(index, request, scratch)
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

impl Dataset for Framed {
    type Target = ViewGeometry;

    fn target(&self, _: usize, view: &ViewGeometry) -> Result<ViewGeometry, ImageError> {
        Ok(*view)
    }
}
