//! The encoders that are shown, and what they compute of the images.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use semaim::order::Order;
use semaim::parameters::to_host;
use semaim::similarity::Similarity;
use semaim::teacher::Teacher;
use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_checkpoint::encoder::Encoder;
use semaim_data::Pixels;
use semaim_eval::features::{FeatureError, ImageFeatures, extract_features};
use semaim_eval::orders::orders_of_views;
use semaim_eval::pca::colors;
use semaim_train::config::{Method, OrderSource, PretrainConfig, TargetKind};
use semaim_train::pretrain::{EMA_ENCODER, teacher};
use semaim_train::restore::{Restored, restore, run_config};

use super::columns::name;
use super::images::NamedImage;
use crate::args::ShowArgs;
use crate::encoder::{tell, tell_resizing};
use crate::exit::Exit;

/// An encoder's features of all images.
pub(crate) struct EncoderFeatures {
    /// What it is called in the picture.
    pub(crate) name: String,
    /// The similarity and the order of its run; by the class token and semantic where there is none.
    similarity: Similarity,
    pub(crate) order: Order,
    /// Whose similarity the order follows, and that of each image where it is another network's.
    source: OrderSource,
    /// What the sides of images are divided by for it.
    downscale: usize,
    source_maps: Option<Vec<Vec<f32>>>,
    seed: u64,
    pub(crate) images: Vec<ImageFeatures>,
    /// Predicted images, where a run predicts pixels.
    pub(crate) predictions: Option<Vec<Vec<u8>>>,
    /// Colors of the patch tokens of all images.
    pub(crate) colors: Vec<[f32; 3]>,
}

/// What is to be computed of an encoder beside its own features.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// Predictions, if its run makes any.
    pub(super) predictions: bool,
    /// What the order of its run follows.
    pub(super) order: bool,
}

/// Reads an encoder.
pub(super) fn read(args: &ShowArgs, path: &Path, device: &Device) -> Result<Encoder, Exit> {
    let source = args.layout.source(path, args.image_size);
    let checkpoint = Checkpoint::read(&source).map_err(Exit::user)?;
    tell(&checkpoint);
    tell_resizing(&checkpoint, &source, args.image_size);
    let encoder = checkpoint.encoder(device).map_err(Exit::user)?;
    match args.image_size {
        Some(size) => encoder.resized(size).map_err(Exit::user),
        None => Ok(encoder),
    }
}

impl EncoderFeatures {
    /// Computes the features of `images`, and what is `wanted` of the run at `path`, if it is one.
    pub(super) fn compute(
        args: &ShowArgs,
        path: &Path,
        name: String,
        encoder: &Encoder,
        images: &[NamedImage],
        wanted: Wanted,
        device: &Device,
    ) -> Result<Self, Exit> {
        let pixels: Vec<Pixels> = images.iter().map(|image| image.pixels.clone()).collect();
        if pixels
            .iter()
            .any(|pixels| pixels.channels != encoder.config.channels)
        {
            return Err(Exit::user(format!(
                "{} is for images of {} channels, the first encoder for others",
                path.display(),
                encoder.config.channels
            )));
        }
        let images = extract_features(encoder, &pixels, device).map_err(|error| match error {
            FeatureError::View(_) => Exit::user(error),
            FeatureError::Weights(_) => Exit::ours(error),
        })?;
        let config = run_config(path)?;
        let order_source = config.as_ref().and_then(PretrainConfig::order_source);
        let source = order_source.unwrap_or(OrderSource::Model);
        let source_maps = match &config {
            Some(config) if wanted.order => {
                source_maps(args, path, config, encoder, &pixels, &images, device)?
            }
            _ => None,
        };
        let predictions = match config
            .as_ref()
            .filter(|config| predicts_pixels(args, config))
        {
            Some(config) if wanted.predictions => {
                let maps = source_maps.as_deref();
                Some(predictions(path, config, &images, maps, device)?)
            }
            _ => None,
        };
        let tokens: Vec<f32> = images
            .iter()
            .flat_map(|image| image.tokens.clone())
            .collect();
        let similarity = config
            .as_ref()
            .map_or(Similarity::Cls, |c| c.order.similarity);
        let order = config
            .as_ref()
            .map_or(Order::Semantic, |config| match config.method {
                Method::Semaim => config.order.kind,
                // A masked autoencoder keeps patches at random.
                Method::Mae => Order::Stochastic,
            });
        Ok(Self {
            name,
            similarity,
            order,
            source,
            downscale: config.as_ref().map_or(1, |config| config.order.downscale),
            source_maps,
            seed: config.as_ref().map_or(0, |config| config.seed),
            colors: colors(&tokens, encoder.vit.width()),
            images,
            predictions,
        })
    }

    /// A map of an image's similarity; `None`: the one that the run's order follows.
    pub(super) fn similarity(&self, kind: Option<Similarity>, image: usize) -> &[f32] {
        match (kind, &self.source_maps) {
            (None, Some(maps)) => &maps[image],
            (kind, _) => self.images[image].similarity(kind.unwrap_or(self.similarity)),
        }
    }

    /// What the run's order follows, in a few words.
    pub(super) fn similarity_name(&self) -> String {
        let kind = match self.downscale {
            1 => name(self.similarity),
            divisor => format!("{} at 1/{divisor}", name(self.similarity)),
        };
        match self.source {
            OrderSource::Model => kind,
            OrderSource::Ema => format!("{kind}, EMA"),
            OrderSource::Teacher => "teacher".into(),
            OrderSource::Maps | OrderSource::Masks => format!("{kind}, own, not as given"),
        }
    }

    /// Rank keys of an image's patches in an order; `None`: the run's own.
    pub(super) fn rank_keys(
        &self,
        order: Option<Order>,
        image: usize,
        device: &Device,
    ) -> Result<Vec<f32>, Exit> {
        let order = order.unwrap_or(self.order);
        let key = [self.seed, image as u64];
        self.images[image]
            .order(order, self.similarity(None, image), key, device)
            .map_err(Exit::ours)
    }
}

/// Whether the run at a path, if it is one, makes predictions that can be shown.
pub(super) fn makes_predictions(args: &ShowArgs, path: &Path) -> bool {
    let config = run_config(path).ok().flatten();
    config.is_some_and(|config| predicts_pixels(args, &config))
}

/// Whether a run's predictions can be shown: it predicts pixels, at the size at which images are shown.
fn predicts_pixels(args: &ShowArgs, config: &PretrainConfig) -> bool {
    let same_size = |size| size == config.model.image_size;
    config.target.kind == TargetKind::Pixels && args.image_size.is_none_or(same_size)
}

/// The similarity of each image, `[patches]`, that training took from another network than the model, or from smaller images.
fn source_maps(
    args: &ShowArgs,
    path: &Path,
    config: &PretrainConfig,
    encoder: &Encoder,
    pixels: &[Pixels],
    images: &[ImageFeatures],
    device: &Device,
) -> Result<Option<Vec<Vec<f32>>>, Exit> {
    match config.order_source() {
        None | Some(OrderSource::Maps | OrderSource::Masks) => Ok(None),
        Some(OrderSource::Model) if config.order.downscale == 1 => Ok(None),
        Some(OrderSource::Model) => Ok(Some(downscaled_maps(encoder, config, images, device)?)),
        Some(OrderSource::Ema) => {
            let ema = read(args, &path.join(EMA_ENCODER), device)?;
            if config.order.downscale > 1 {
                return Ok(Some(downscaled_maps(&ema, config, images, device)?));
            }
            let found = extract_features(&ema, pixels, device).map_err(Exit::ours)?;
            let kind = config.order.similarity;
            let map = |image: &ImageFeatures| image.similarity(kind).to_vec();
            Ok(Some(found.iter().map(map).collect()))
        }
        Some(OrderSource::Teacher) => {
            let read = teacher(config, device).map_err(|error| {
                Exit::user(format!(
                    "the order of {} is its teacher's: {error}. --columns image,attention,similarity:cls,pca shows what \
                     needs none",
                    path.display()
                ))
            })?;
            let Some(teacher) = read else { return Ok(None) };
            let teacher = Teacher::new(
                teacher.vit,
                teacher.config.image_size,
                &teacher.normalization,
                &encoder.normalization,
                encoder.config.grid(),
                device,
            );
            let map = |image: &ImageFeatures| {
                let [height, width] = image.size;
                let shape = [1, encoder.config.channels, height, width];
                let view = Tensor::from_data(TensorData::new(image.view.clone(), shape), device);
                let similarity = teacher.forward(view).similarity;
                let map = to_host("similarity", similarity).map_err(Exit::ours)?;
                Ok(map.values)
            };
            Ok(Some(images.iter().map(map).collect::<Result<_, Exit>>()?))
        }
    }
}

/// The similarity of each image, `[patches]`, by an encoder that training shows smaller images.
fn downscaled_maps(
    encoder: &Encoder,
    config: &PretrainConfig,
    images: &[ImageFeatures],
    device: &Device,
) -> Result<Vec<Vec<f32>>, Exit> {
    let (divisor, grid) = (config.order.downscale, encoder.config.grid());
    if !grid.rows.is_multiple_of(divisor) || !grid.columns.is_multiple_of(divisor) {
        return Err(Exit::user(format!(
            "the order of this run is of images whose sides are divided by {divisor} (order.downscale), which does not divide a \
             grid of {} × {} patches; another --image-size, or --columns image,attention,similarity:cls,pca",
            grid.rows, grid.columns
        )));
    }
    let map = |image: &ImageFeatures| {
        let [height, width] = image.size;
        let shape = [1, encoder.config.channels, height, width];
        let view = Tensor::from_data(TensorData::new(image.view.clone(), shape), device);
        let similarity = config.order.similarity_by(&encoder.vit, view);
        Ok(to_host("similarity", similarity)
            .map_err(Exit::ours)?
            .values)
    };
    images.iter().map(map).collect()
}

/// What a run predicts of the views that its encoder got, in the order that follows `maps`, or the model's own similarity.
fn predictions(
    path: &Path,
    config: &PretrainConfig,
    images: &[ImageFeatures],
    maps: Option<&[Vec<f32>]>,
    device: &Device,
) -> Result<Vec<Vec<u8>>, Exit> {
    let items: Vec<u64> = (0..images.len() as u64).collect();
    let views: Vec<f32> = images.iter().flat_map(|image| image.view.clone()).collect();
    let [height, width] = config.model.image_size;
    let shape = [images.len(), config.model.channels, height, width];
    let views = Tensor::from_data(TensorData::new(views, shape), device);
    let found = match restore(path, config, device)? {
        Restored::Semaim(model) => {
            let similarity = |shown| match maps {
                Some(maps) => Tensor::from_data(
                    TensorData::new(maps.concat(), [maps.len(), config.model.grid().patches()]),
                    device,
                ),
                None => config.order.similarity_by(&model.encoder, shown),
            };
            orders_of_views(&*model, &similarity, config, &items, views)
        }
        Restored::Mae(model) => {
            let similarity = |shown| config.order.similarity.of(&model.encoder, shown);
            orders_of_views(&*model, &similarity, config, &items, views)
        }
    };
    let found = found.map_err(Exit::ours)?;
    Ok(found
        .into_iter()
        .filter_map(|order| order.prediction)
        .collect())
}

/// What to call encoders: the ends of their paths, as long as it takes to tell them apart.
pub(super) fn names(paths: &[PathBuf]) -> Vec<String> {
    let end = |path: &PathBuf, parts: usize| {
        // A folder's name may have dots that begin no extension.
        let path = match path.is_dir() {
            true => path.clone(),
            false => path.with_extension(""),
        };
        let all: Vec<_> = path
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        all[all.len().saturating_sub(parts)..].join("/")
    };
    let longest = paths
        .iter()
        .map(|path| path.components().count())
        .max()
        .unwrap_or(1);
    let told_apart = |parts: &usize| {
        let mut names: Vec<String> = paths.iter().map(|path| end(path, *parts)).collect();
        names.sort();
        names.windows(2).all(|two| two[0] != two[1])
    };
    let parts = (1..=longest).find(told_apart).unwrap_or(1);
    paths.iter().map(|path| end(path, parts)).collect()
}
