//! The segmenter: from images to losses, and from images to logits.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use semaim::batch_norm::{BatchStatistics, NormMode};
use semaim::feature_map::FeatureMap;
use semaim::grid::Grid;
use semaim::vit::{ForwardOptions, Vit};

use crate::IGNORED;
use crate::config::{HeadKind, SegmenterConfig};
use crate::error::SegmentError;
use crate::init::initialize;
use crate::linear_head::LinearHead;
use crate::losses::{Losses, cross_entropy};
use crate::taps::{final_map, maps};
use crate::upernet::{Logits, UperNet};

/// An encoder and a head.
#[derive(Module, Debug)]
pub struct Segmenter {
    /// The encoder. UPerNet does not use its final norm.
    pub encoder: Vit,
    /// What stands on it.
    pub head: Head,
    #[module(skip)]
    config: SegmenterConfig,
}

/// What stands on the encoder.
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a model has one, and the framework has no modules in boxes"
)]
pub enum Head {
    /// The linear head.
    Linear(LinearHead),
    /// UPerNet.
    Upernet(UperNet),
}

impl Segmenter {
    /// A segmenter on an encoder; the head gets its first weights. Like everything in the encoder, the position table is
    /// trained; a projection of the encoder's tokens (CLIP's) is left out.
    ///
    /// # Errors
    /// [`SegmentError::Config`] for settings that cannot be used with this encoder.
    pub fn new(
        mut encoder: Vit,
        config: SegmenterConfig,
        seed: u64,
        device: &Device,
    ) -> Result<Self, SegmentError> {
        config.validate(encoder.blocks.len())?;
        encoder.pos_embed = encoder.pos_embed.set_require_grad(true);
        encoder.projection = None;
        let (width, classes) = (encoder.width(), config.classes);
        let head = match config.head {
            HeadKind::Linear => Head::Linear(LinearHead::zeros(width, classes, device)),
            HeadKind::Upernet => {
                Head::Upernet(UperNet::zeros(width, classes, &config.upernet, device))
            }
        };
        let model = Self {
            encoder,
            head,
            config,
        };
        Ok(initialize(model, seed))
    }

    /// The settings.
    pub fn config(&self) -> &SegmenterConfig {
        &self.config
    }

    /// Side of a patch in pixels.
    pub fn patch_size(&self) -> usize {
        self.encoder.patch_embed.proj.weight.dims()[2]
    }

    /// Fewest patches in each direction of an image.
    pub(crate) fn fewest_patches(&self) -> usize {
        match self.head {
            Head::Linear(_) => 1,
            // The coarsest map has half as many.
            Head::Upernet(_) => 2,
        }
    }

    /// The same model, whose head alone learns: of the encoder no graph is kept.
    pub fn frozen(self) -> Self {
        Self {
            encoder: self.encoder.no_grad(),
            ..self
        }
    }

    /// What the head sees of images `[batch, channels, height, width]`, normalized.
    ///
    /// # Errors
    /// [`SegmentError::Images`] when they are not made of whole patches, or of too few.
    pub fn encode(
        &self,
        images: Tensor<4>,
        options: ForwardOptions<'_>,
    ) -> Result<Vec<FeatureMap>, SegmentError> {
        let [_, _, height, width] = images.dims();
        let (patch, fewest) = (self.patch_size(), self.fewest_patches());
        let fits = |side: usize| side.is_multiple_of(patch) && side >= fewest * patch;
        if !fits(height) || !fits(width) {
            let message = format!(
                "sides must be multiples of {patch}, at least {}",
                fewest * patch
            );
            return Err(SegmentError::Images {
                height,
                width,
                message,
            });
        }
        Ok(match &self.head {
            Head::Linear(_) => vec![final_map(&self.encoder, images, options)],
            Head::Upernet(_) => {
                let taps = self.config.upernet.taps(self.encoder.blocks.len());
                maps(&self.encoder, images, &taps, options)
            }
        })
    }

    /// Logits on the head's grid, which is coarser than pixels, from what [`Segmenter::encode`] gave.
    pub fn logits(&self, maps: &[FeatureMap], mode: &mut NormMode) -> Logits {
        match &self.head {
            Head::Linear(head) => Logits {
                main: head.forward(&maps[0], mode),
                auxiliary: None,
            },
            Head::Upernet(head) => head.forward(maps, mode),
        }
    }

    /// The losses of images of `pixels`, of which [`Segmenter::encode`] gave `maps`, and what batch norms measured.
    /// `labels` are `[batch, rows, columns]`, each a class or [`IGNORED`].
    ///
    /// # Errors
    /// [`SegmentError::LabelCount`] and [`SegmentError::Label`] for labels that do not fit, and
    /// [`SegmentError::SingleValue`].
    pub fn losses(
        &self,
        maps: &[FeatureMap],
        labels: &[u8],
        pixels: Grid,
    ) -> Result<(Losses, BatchStatistics), SegmentError> {
        let batch = maps[0].values.dims()[0];
        self.check(batch, labels, pixels)?;
        if batch * self.fewest_positions(maps[0].grid) < 2 {
            return Err(SegmentError::SingleValue);
        }
        let mut mode = NormMode::training();
        let logits = self.logits(maps, &mut mode);
        let weight = self.config.upernet.auxiliary_weight;
        let losses = Losses {
            main: cross_entropy(&logits.main, labels, pixels),
            auxiliary: logits
                .auxiliary
                .map(|logits| (cross_entropy(&logits, labels, pixels), weight)),
        };
        Ok((losses, mode.into_statistics()))
    }

    fn check(&self, batch: usize, labels: &[u8], pixels: Grid) -> Result<(), SegmentError> {
        let area = pixels.patches();
        if labels.len() != batch * area {
            return Err(SegmentError::LabelCount {
                expected: batch * area,
                found: labels.len(),
            });
        }
        let classes = self.config.classes;
        let wrong = |label: u8| usize::from(label) >= classes && label != IGNORED;
        match labels.iter().position(|&label| wrong(label)) {
            None => Ok(()),
            Some(place) => Err(SegmentError::Label {
                label: labels[place],
                number: place / area.max(1),
                classes,
            }),
        }
    }

    /// Positions of the smallest map that is normalized, for an image of `patches`.
    fn fewest_positions(&self, patches: Grid) -> usize {
        match self.head {
            Head::Linear(_) => patches.patches(),
            Head::Upernet(_) => {
                let bins = self
                    .config
                    .upernet
                    .pool_scales
                    .iter()
                    .map(|bins| bins * bins);
                let coarsest = (patches.rows / 2) * (patches.columns / 2);
                bins.chain([coarsest]).min().unwrap_or(coarsest)
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use semaim::config::VitConfig;
    use semaim::init;
    use semaim::parameters::{NamedVisitor, visit_named, weights};
    use semaim_random::{Key, KeyedRng, Stream};

    use crate::config::UperNetConfig;

    /// A segmenter of three classes on a tiny encoder with patches of 8.
    pub(crate) fn tiny(head: HeadKind, change: impl FnOnce(&mut SegmenterConfig)) -> Segmenter {
        let device = Device::flex();
        let encoder = init::initialize(Vit::zeros(&VitConfig::tiny(), &device), 1);
        let mut config = SegmenterConfig {
            classes: 3,
            head,
            upernet: UperNetConfig {
                pool_scales: vec![1, 2],
                auxiliary_channels: 4,
                ..UperNetConfig::default()
            },
            ..SegmenterConfig::default()
        };
        change(&mut config);
        Segmenter::new(encoder, config, 5, &device).unwrap()
    }

    pub(crate) fn random_images(shape: [usize; 4]) -> Tensor<4> {
        let mut rng = KeyedRng::new(Key::new(6, 0, 0), Stream::Init);
        let pixels: Vec<f32> = (0..shape.iter().product())
            .map(|_| rng.normal() as f32)
            .collect();
        Tensor::from_data(TensorData::new(pixels, shape), &Device::flex())
    }

    const PIXELS: Grid = Grid {
        rows: 24,
        columns: 32,
    };

    fn labels(batch: usize) -> Vec<u8> {
        let of = |pixel: usize| {
            if pixel.is_multiple_of(5) {
                IGNORED
            } else {
                (pixel / 7 % 3) as u8
            }
        };
        (0..batch * PIXELS.patches()).map(of).collect()
    }

    fn encode(model: &Segmenter, images: Tensor<4>) -> Vec<FeatureMap> {
        model.encode(images, ForwardOptions::default()).unwrap()
    }

    /// Names of the weights that have a gradient, and of those that have none.
    fn by_gradient(model: &Segmenter, total: &Tensor<1>) -> [Vec<String>; 2] {
        struct Sort([Vec<String>; 2], burn::tensor::Gradients);
        impl NamedVisitor for Sort {
            fn visit<const D: usize>(
                &mut self,
                name: &str,
                param: &burn::module::Param<Tensor<D>>,
            ) {
                let none = param.val().grad(&self.1).is_none();
                self.0[usize::from(none)].push(name.into());
            }
        }
        let mut sort = Sort(Default::default(), total.backward());
        visit_named(model, &mut sort);
        sort.0
    }

    #[test]
    fn everything_learns_but_running_statistics_and_what_upernet_does_not_use() {
        for (head, unused) in [(HeadKind::Linear, 0), (HeadKind::Upernet, 2)] {
            let model = tiny(head, |_| ()).train();
            let images = Tensor::from_inner(random_images([2, 3, 24, 32]));
            let maps = encode(&model, images);
            let (losses, _) = model.losses(&maps, &labels(2), PIXELS).unwrap();
            let [_, none] = by_gradient(&model, &losses.total());
            let (running, others): (Vec<_>, Vec<_>) = none
                .into_iter()
                .partition(|name| name.contains(".running_"));
            assert!(running.len() >= 2);
            assert_eq!(others.len(), unused, "{others:?}");
            assert!(others.iter().all(|name| name.starts_with("norm.")));
        }
    }

    #[test]
    fn a_frozen_encoder_does_not_learn() {
        for head in [HeadKind::Linear, HeadKind::Upernet] {
            let model = tiny(head, |_| ()).frozen().train();
            let maps = encode(&model, Tensor::from_inner(random_images([2, 3, 24, 32])));
            // Nothing of the encoder is kept for a backward pass.
            assert!(maps.iter().all(|map| !map.values.is_tracked()));
            let (losses, _) = model.losses(&maps, &labels(2), PIXELS).unwrap();
            let [learn, _] = by_gradient(&model, &losses.total());
            assert!(!learn.is_empty());
            assert!(
                learn.iter().all(|name| name.starts_with("head.")),
                "{learn:?}"
            );
        }
    }

    #[test]
    fn first_weights_depend_on_the_seed_and_leave_the_encoder() {
        let model = tiny(HeadKind::Upernet, |_| ());
        let of = |seed| {
            let encoder = model.encoder.clone();
            let other = Segmenter::new(encoder, model.config().clone(), seed, &Device::flex());
            weights(&other.unwrap()).unwrap()
        };
        let (first, other) = (weights(&model).unwrap(), of(6));
        assert_eq!(first, of(5));
        for (name, weight) in &first {
            let drawn = name.starts_with("head.") && weight.shape.len() > 1;
            assert_eq!(*weight != other[name], drawn, "{name}");
        }
        let deviation = |name: &str| {
            let values = &first[name].values;
            let squares: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
            (squares / values.len() as f64).sqrt()
        };
        // 16 channels: 3×3 kernels have 144 outputs, of which half the variance is lost to ReLU.
        let fusion = deviation("head.fusion.conv.weight");
        assert!(
            (fusion / (2.0_f64 / 144.0).sqrt() - 1.0).abs() < 0.05,
            "{fusion}"
        );
        let classifier = deviation("head.classifier.weight");
        assert!((classifier / 0.01 - 1.0).abs() < 0.3, "{classifier}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let model = tiny(HeadKind::Upernet, |_| ());
        let refused = |height, width| {
            let images = random_images([1, 3, height, width]);
            model.encode(images, ForwardOptions::default()).is_err()
        };
        assert!(refused(24, 36));
        assert!(refused(8, 32));
        assert!(!refused(16, 16));
        let maps = encode(&model, random_images([2, 3, 24, 32]));
        let error = |labels: &[u8]| model.losses(&maps, labels, PIXELS).unwrap_err();
        let mut wrong = labels(2);
        assert!(matches!(
            error(&wrong[1..]),
            SegmentError::LabelCount {
                found: 1535,
                expected: 1536
            }
        ));
        wrong[800] = 3;
        assert!(matches!(
            error(&wrong),
            SegmentError::Label {
                label: 3,
                number: 1,
                classes: 3
            }
        ));
        let one = encode(&model, random_images([1, 3, 24, 32]));
        let single = model.losses(&one, &labels(1), PIXELS);
        assert!(matches!(single, Err(SegmentError::SingleValue)));
        let linear = tiny(HeadKind::Linear, |_| ());
        let one = encode(&linear, random_images([1, 3, 24, 32]));
        assert!(linear.losses(&one, &labels(1), PIXELS).is_ok());
    }
}
