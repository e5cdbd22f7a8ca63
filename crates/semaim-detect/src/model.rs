//! Mask R-CNN on a plain transformer: from images to losses, and from images to detections.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use semaim::grid::Grid;
use semaim::parameters::to_host;
use semaim::vit::{ForwardOptions, Vit};
use semaim_random::Key;

use crate::anchors::AnchorLevel;
use crate::backbone::Backbone;
use crate::box_head::{BoxHead, BoxOutput, BoxPredictor};
use crate::boxes::BoundingBox;
use crate::config::DetectorConfig;
use crate::detections::{Detection, select};
use crate::error::DetectError;
use crate::init::initialize;
use crate::instances::Instances;
use crate::losses::{Losses, binary_cross_entropy, cross_entropy, l1};
use crate::mask_head::{MaskHead, of_class};
use crate::proposals::{Proposal, ProposalSelection};
use crate::pyramid::{LEVELS, Pyramid, grids, strides};
use crate::region_pooling::pool;
use crate::region_sampling::{SampledRegion, sample_regions};
use crate::rpn_head::{RpnHead, RpnOutput};
use crate::rpn_loss::rpn_losses;
use semaim::feature_map::FeatureMap;

/// The detector.
#[derive(Module, Debug)]
pub struct MaskRcnn {
    /// The encoder.
    pub backbone: Backbone,
    /// Maps of five scales.
    pub pyramid: Pyramid,
    /// Where objects may be.
    pub rpn_head: RpnHead,
    /// Vectors of regions.
    pub box_head: BoxHead,
    /// Classes and boxes of regions.
    pub box_predictor: BoxPredictor,
    /// Masks of regions.
    pub mask_head: MaskHead,
    #[module(skip)]
    config: DetectorConfig,
    #[module(skip)]
    patch_size: usize,
}

/// Whether proposals are for training or for inference, which look at different numbers of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For the losses.
    Training,
    /// For detections.
    Inference,
}

impl MaskRcnn {
    /// A detector on an encoder; pyramid and heads get their first weights.
    ///
    /// # Errors
    /// [`DetectError::Config`] for settings that cannot be used with this encoder.
    pub fn new(
        encoder: Vit,
        config: DetectorConfig,
        seed: u64,
        device: &Device,
    ) -> Result<Self, DetectError> {
        let [embed_dim, _, patch_size, _] = encoder.patch_embed.proj.weight.dims();
        config.validate(patch_size, encoder.blocks.len())?;
        let side = config.canvas / patch_size;
        let grid = Grid {
            rows: side,
            columns: side,
        };
        let channels = config.pyramid_channels;
        let (proposals, regions) = (&config.proposals, &config.regions);
        let model = Self {
            backbone: Backbone::new(encoder, &config.attention, grid, device),
            pyramid: Pyramid::zeros(embed_dim, channels, device),
            rpn_head: RpnHead::zeros(
                channels,
                proposals.convolutions,
                proposals.aspect_ratios.len(),
                device,
            ),
            box_head: BoxHead::zeros(
                channels,
                regions.channels,
                regions.box_convolutions,
                regions.box_bins,
                regions.box_hidden,
                device,
            ),
            box_predictor: BoxPredictor::zeros(regions.box_hidden, config.classes, device),
            mask_head: MaskHead::zeros(
                channels,
                regions.channels,
                regions.mask_convolutions,
                config.classes,
                device,
            ),
            config,
            patch_size,
        };
        Ok(initialize(model, seed))
    }

    /// The settings.
    pub fn config(&self) -> &DetectorConfig {
        &self.config
    }

    /// The patches of the canvas.
    pub(crate) fn grid(&self) -> Grid {
        let side = self.config.canvas / self.patch_size;
        Grid {
            rows: side,
            columns: side,
        }
    }

    /// The anchors of each level.
    pub fn anchors(&self) -> Vec<Vec<BoundingBox>> {
        let patches = self.grid();
        let proposals = &self.config.proposals;
        grids(patches)
            .into_iter()
            .zip(strides(self.patch_size))
            .zip(proposals.anchor_sizes)
            .map(|((grid, stride), size)| {
                let level = AnchorLevel {
                    size,
                    aspect_ratios: proposals.aspect_ratios.clone(),
                    stride,
                };
                level.anchors(grid)
            })
            .collect()
    }

    /// The maps p2 to p6 of images `[batch, channels, canvas, canvas]`, normalized and padded.
    pub fn features(&self, images: Tensor<4>, options: ForwardOptions<'_>) -> [FeatureMap; LEVELS] {
        self.pyramid
            .forward(&self.backbone.forward(images, options))
    }

    /// The proposals of each image. No gradient passes through them.
    ///
    /// # Errors
    /// [`DetectError::NotFinite`] in inference, and [`DetectError::Weight`] when the device does not give the numbers.
    pub fn proposals(
        &self,
        output: &RpnOutput,
        anchors: &[Vec<BoundingBox>],
        sizes: &[[usize; 2]],
        mode: Mode,
    ) -> Result<Vec<Vec<Proposal>>, DetectError> {
        let config = &self.config.proposals;
        let (before_nms, after_nms) = match mode {
            Mode::Training => (config.before_nms_training, config.after_nms_training),
            Mode::Inference => (config.before_nms_inference, config.after_nms_inference),
        };
        let selection = ProposalSelection {
            before_nms,
            after_nms,
            nms_iou: config.nms_iou,
        };
        let logits = to_host("objectness logits", output.logits.clone().detach())?.values;
        let deltas = to_host("anchor deltas", output.deltas.clone().detach())?.values;
        let count = logits.len() / sizes.len().max(1);
        // Of a diverged training the loss tells.
        if mode == Mode::Inference {
            for (numbers, size) in [(&logits, count), (&deltas, 4 * count)] {
                let mut images = numbers.chunks(size.max(1));
                if let Some(number) = images.position(holds_nan) {
                    return Err(DetectError::NotFinite { number });
                }
            }
        }
        Ok(logits
            .chunks(count.max(1))
            .zip(deltas.chunks(4 * count.max(1)))
            .zip(sizes)
            .map(|((logits, deltas), size)| selection.select(anchors, logits, deltas, *size))
            .collect())
    }

    /// Regions as the box head sees them, `[regions, bins · bins, channels]`. There must be at least one region.
    pub fn pool_boxes(
        &self,
        maps: &[FeatureMap; LEVELS],
        regions: &[(usize, BoundingBox)],
    ) -> Tensor<3> {
        self.pool(maps, regions, self.config.regions.box_bins)
    }

    /// Regions as the mask head sees them, `[regions, bins · bins, channels]`. There must be at least one region.
    pub fn pool_masks(
        &self,
        maps: &[FeatureMap; LEVELS],
        regions: &[(usize, BoundingBox)],
    ) -> Tensor<3> {
        self.pool(maps, regions, self.config.regions.mask_bins)
    }

    fn pool(
        &self,
        maps: &[FeatureMap; LEVELS],
        regions: &[(usize, BoundingBox)],
        bins: usize,
    ) -> Tensor<3> {
        // The coarsest map is for proposals only.
        let [maps @ .., _] = maps;
        pool(maps, &strides(self.patch_size), regions, bins)
    }

    /// What the box head says about pooled regions.
    pub fn boxes(&self, pooled: Tensor<3>) -> BoxOutput {
        self.box_predictor.forward(self.box_head.forward(pooled))
    }

    /// The losses of images `[batch, channels, canvas, canvas]`, normalized and padded. `sizes` are their sizes on the
    /// canvas, `[height, width]`; `keys` decide which anchors and regions are sampled.
    ///
    /// # Errors
    /// [`DetectError::Batch`], [`DetectError::Image`] and [`DetectError::Instances`] for arguments that do not fit, and
    /// [`DetectError::Weight`] when the device does not give numbers.
    pub fn losses(
        &self,
        images: Tensor<4>,
        sizes: &[[usize; 2]],
        truths: &[Instances],
        keys: &[Key],
        options: ForwardOptions<'_>,
    ) -> Result<Losses, DetectError> {
        self.check(&images, sizes)?;
        for (what, found) in [("objects", truths.len()), ("keys", keys.len())] {
            if found != sizes.len() {
                return Err(DetectError::Batch {
                    images: sizes.len(),
                    what,
                    found,
                });
            }
        }
        for (number, (truth, size)) in truths.iter().zip(sizes).enumerate() {
            truth.check(number, *size, self.config.classes)?;
        }
        let maps = self.features(images, options);
        let output = self.rpn_head.forward(&maps);
        let proposals = self.proposals(&output, &self.anchors(), sizes, Mode::Training)?;
        let regions: Vec<SampledRegion> = proposals
            .into_iter()
            .zip(truths)
            .zip(keys)
            .enumerate()
            .flat_map(|(image, ((proposals, truth), key))| {
                let proposals = proposals.into_iter().map(|proposal| proposal.bounds);
                sample_regions(&self.config.regions, image, proposals, truth, *key)
            })
            .collect();
        Ok(self.losses_on(&maps, &output, &regions, truths, keys))
    }

    /// The losses of what the proposal head says of the maps, and of these regions of them.
    pub fn losses_on(
        &self,
        maps: &[FeatureMap; LEVELS],
        output: &RpnOutput,
        regions: &[SampledRegion],
        truths: &[Instances],
        keys: &[Key],
    ) -> Losses {
        let objects: Vec<&[BoundingBox]> = truths.iter().map(|t| t.boxes.as_slice()).collect();
        let [rpn_objectness, rpn_box] = rpn_losses(
            &self.config.proposals,
            &self.anchors().concat(),
            output,
            &objects,
            keys,
        );
        let [class, bounds] = self.box_losses(maps, regions, truths);
        Losses {
            rpn_objectness,
            rpn_box,
            class,
            bounds,
            mask: self.mask_loss(maps, regions, truths),
        }
    }

    /// Cross-entropy averaged over all regions, and L1 over the foreground's own class divided by all regions.
    fn box_losses(
        &self,
        maps: &[FeatureMap; LEVELS],
        regions: &[SampledRegion],
        truths: &[Instances],
    ) -> [Tensor<1>; 2] {
        if regions.is_empty() {
            let BoxOutput { scores, deltas } = self.boxes(self.pool_boxes(maps, &[ANYWHERE]));
            return [scores.sum() * 0.0, deltas.sum() * 0.0];
        }
        let places: Vec<_> = regions.iter().map(|r| (r.image, r.bounds)).collect();
        let BoxOutput { scores, deltas } = self.boxes(self.pool_boxes(maps, &places));
        let classes = self.config.classes;
        let class_of: Vec<usize> = regions.iter().map(|r| r.class(truths, classes)).collect();
        let mut rows = Vec::new();
        let mut targets = Vec::new();
        for (number, region) in regions.iter().enumerate() {
            if let Some(target) = region.deltas(truths) {
                rows.push((number * classes + class_of[number]) as i64);
                targets.extend(target);
            }
        }
        let bounds = if rows.is_empty() {
            deltas.sum() * 0.0
        } else {
            let device = deltas.device();
            let targets = TensorData::new(targets, [rows.len(), 4]);
            let rows = Tensor::<1, Int>::from_ints(rows.as_slice(), &device);
            let found = deltas.reshape([regions.len() * classes, 4]).select(0, rows);
            l1(found, Tensor::from_data(targets, &device)) / regions.len() as f64
        };
        [cross_entropy(scores, &class_of), bounds]
    }

    /// Binary cross-entropy of the mask of each foreground region's class, averaged over cells and regions. Regions of objects
    /// whose mask is not known are left out.
    fn mask_loss(
        &self,
        maps: &[FeatureMap; LEVELS],
        regions: &[SampledRegion],
        truths: &[Instances],
    ) -> Tensor<1> {
        let mut places = Vec::new();
        let mut classes = Vec::new();
        let mut targets = Vec::new();
        let side = 2 * self.config.regions.mask_bins;
        for region in regions {
            let truth = &truths[region.image];
            let mask = region
                .object
                .and_then(|object| Some((object, truth.masks[object].as_ref()?)));
            if let Some((object, mask)) = mask {
                places.push((region.image, region.bounds));
                classes.push(truth.classes[object]);
                let cells = mask.cropped(region.bounds, side);
                targets.extend(cells.into_iter().map(|on| f32::from(u8::from(on))));
            }
        }
        if places.is_empty() {
            // The mask head is part of the graph in any case: its gradients are zeros.
            let logits = self.mask_head.forward(self.pool_masks(maps, &[ANYWHERE]));
            return logits.sum() * 0.0;
        }
        let logits = self.mask_head.forward(self.pool_masks(maps, &places));
        let logits = of_class(logits, &classes);
        let count = targets.len();
        let targets = TensorData::new(targets, [places.len(), side * side]);
        let targets = Tensor::from_data(targets, &logits.device());
        binary_cross_entropy(logits, targets) / count as f64
    }

    /// The detections of images `[batch, channels, canvas, canvas]`, normalized and padded, best first, on the canvas.
    /// `sizes` are the images' sizes on it, `[height, width]`.
    ///
    /// # Errors
    /// [`DetectError::Batch`] and [`DetectError::Image`] for arguments that do not fit, [`DetectError::NotFinite`], and
    /// [`DetectError::Weight`] when the device does not give numbers.
    pub fn detect(
        &self,
        images: Tensor<4>,
        sizes: &[[usize; 2]],
    ) -> Result<Vec<Vec<Detection>>, DetectError> {
        self.check(&images, sizes)?;
        let maps = self.features(images, ForwardOptions::default());
        let output = self.rpn_head.forward(&maps);
        let proposals = self.proposals(&output, &self.anchors(), sizes, Mode::Inference)?;
        let mut found = Vec::new();
        for (image, (proposals, size)) in proposals.iter().zip(sizes).enumerate() {
            let regions: Vec<BoundingBox> = proposals.iter().map(|p| p.bounds).collect();
            let mut detections = self.detections(&maps, image, &regions, *size)?;
            self.add_masks(&maps, image, &mut detections)?;
            found.push(detections);
        }
        Ok(found)
    }

    fn detections(
        &self,
        maps: &[FeatureMap; LEVELS],
        image: usize,
        regions: &[BoundingBox],
        size: [usize; 2],
    ) -> Result<Vec<Detection>, DetectError> {
        if regions.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<_> = regions.iter().map(|&region| (image, region)).collect();
        let BoxOutput { scores, deltas } = self.boxes(self.pool_boxes(maps, &places));
        let probabilities = to_host("probabilities", activation::softmax(scores, 1))?.values;
        let deltas = to_host("region deltas", deltas)?.values;
        if holds_nan(&probabilities) || holds_nan(&deltas) {
            return Err(DetectError::NotFinite { number: image });
        }
        let (config, classes) = (&self.config.inference, self.config.classes);
        Ok(select(
            config,
            regions,
            &probabilities,
            &deltas,
            classes,
            size,
        ))
    }

    fn add_masks(
        &self,
        maps: &[FeatureMap; LEVELS],
        image: usize,
        detections: &mut [Detection],
    ) -> Result<(), DetectError> {
        if detections.is_empty() {
            return Ok(());
        }
        let places: Vec<_> = detections.iter().map(|d| (image, d.bounds)).collect();
        let classes: Vec<usize> = detections.iter().map(|d| d.class).collect();
        let logits = self.mask_head.forward(self.pool_masks(maps, &places));
        let masks = activation::sigmoid(of_class(logits, &classes));
        let masks = to_host("masks", masks)?.values;
        if holds_nan(&masks) {
            return Err(DetectError::NotFinite { number: image });
        }
        let cells = masks.len() / detections.len();
        for (detection, mask) in detections.iter_mut().zip(masks.chunks(cells.max(1))) {
            detection.mask = mask.to_vec();
        }
        Ok(())
    }

    fn check(&self, images: &Tensor<4>, sizes: &[[usize; 2]]) -> Result<(), DetectError> {
        let [batch, _, height, width] = images.dims();
        if batch != sizes.len() {
            return Err(DetectError::Batch {
                images: batch,
                what: "sizes",
                found: sizes.len(),
            });
        }
        let canvas = self.config.canvas;
        for (number, size) in sizes.iter().enumerate() {
            let fits = |side: &usize| (1..=canvas).contains(side);
            if (height, width) != (canvas, canvas) || !size.iter().all(fits) {
                let [rows, columns] = size;
                return Err(DetectError::Image {
                    number,
                    message: format!(
                        "{rows} × {columns} on {height} × {width}, the canvas is {canvas} × {canvas}"
                    ),
                });
            }
        }
        Ok(())
    }
}

/// A region that stands in where there is none, so that every weight is part of the graph.
const ANYWHERE: (usize, BoundingBox) = (
    0,
    BoundingBox {
        x0: 0.0,
        y0: 0.0,
        x1: 16.0,
        y1: 16.0,
    },
);

fn holds_nan(numbers: &[f32]) -> bool {
    numbers.iter().any(|number| number.is_nan())
}
