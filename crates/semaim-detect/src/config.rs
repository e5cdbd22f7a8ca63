//! All settings of a detector, with ViTDet's published values as defaults.

use serde::{Deserialize, Serialize};

/// Sizes and thresholds of a detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectorConfig {
    /// Kinds of objects, background not counted. Not a setting: as many as the data have.
    #[serde(skip)]
    pub classes: usize,
    /// Side in pixels of the square that images are padded to; a multiple of the encoder's patch size.
    pub canvas: usize,
    /// The encoder's attention.
    pub attention: AttentionConfig,
    /// Channels of every map of the pyramid.
    pub pyramid_channels: usize,
    /// Region proposals.
    pub proposals: ProposalConfig,
    /// Boxes and masks of regions.
    pub regions: RegionConfig,
    /// Inference.
    pub inference: InferenceConfig,
}

/// Which tokens see each other in which block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AttentionConfig {
    /// Side of a window in patches; 0: every block attends globally.
    pub window: usize,
    /// Numbers (from 0) of the blocks that attend globally nonetheless; by default the last of each quarter of the blocks.
    pub global_blocks: Option<Vec<usize>>,
    /// Whether each block has decomposed relative positions.
    pub relative_positions: bool,
}

/// The region proposal network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProposalConfig {
    /// Sides in pixels of the square anchors of levels p2 to p6.
    pub anchor_sizes: [f64; 5],
    /// Height over width of the anchors at a position.
    pub aspect_ratios: Vec<f64>,
    /// 3×3 convolutions of the head.
    pub convolutions: usize,
    /// Anchors whose best overlap is below this are negative.
    pub negative_iou: f32,
    /// Anchors whose best overlap is at least this are positive.
    pub positive_iou: f32,
    /// Anchors of an image in the losses, whose sums are divided by it.
    pub samples: usize,
    /// Largest share of positive ones among them.
    pub positive_fraction: f64,
    /// Best proposals of a level that are decoded, in training.
    pub before_nms_training: usize,
    /// The same at inference.
    pub before_nms_inference: usize,
    /// Proposals of an image that are kept, in training.
    pub after_nms_training: usize,
    /// The same at inference.
    pub after_nms_inference: usize,
    /// Proposals of a level that overlap a better one by more are dropped.
    pub nms_iou: f32,
}

/// Box and mask head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegionConfig {
    /// Regions whose best overlap is at least this are foreground.
    pub foreground_iou: f32,
    /// Regions of an image in the losses.
    pub samples: usize,
    /// Largest share of foreground among them.
    pub foreground_fraction: f64,
    /// Channels of the heads' convolutions.
    pub channels: usize,
    /// Bins in each direction of a region in the box head.
    pub box_bins: usize,
    /// 3×3 convolutions of the box head.
    pub box_convolutions: usize,
    /// Width of the box head's linear layer.
    pub box_hidden: usize,
    /// Bins in each direction of a region in the mask head; a mask has twice as many.
    pub mask_bins: usize,
    /// 3×3 convolutions of the mask head.
    pub mask_convolutions: usize,
}

/// From scores to detections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InferenceConfig {
    /// Detections must score more than this.
    pub score: f32,
    /// Detections of a class that overlap a better one by more are dropped.
    pub nms_iou: f32,
    /// Detections of an image that are kept.
    pub detections: usize,
    /// Pixels whose mask is at least this belong to the object.
    pub mask: f32,
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self {
            classes: 80,
            canvas: 1024,
            attention: AttentionConfig::default(),
            pyramid_channels: 256,
            proposals: ProposalConfig::default(),
            regions: RegionConfig::default(),
            inference: InferenceConfig::default(),
        }
    }
}

impl Default for AttentionConfig {
    fn default() -> Self {
        Self {
            window: 14,
            global_blocks: None,
            relative_positions: true,
        }
    }
}

impl Default for ProposalConfig {
    fn default() -> Self {
        Self {
            anchor_sizes: [32.0, 64.0, 128.0, 256.0, 512.0],
            aspect_ratios: vec![0.5, 1.0, 2.0],
            convolutions: 2,
            negative_iou: 0.3,
            positive_iou: 0.7,
            samples: 256,
            positive_fraction: 0.5,
            before_nms_training: 2000,
            before_nms_inference: 1000,
            after_nms_training: 1000,
            after_nms_inference: 1000,
            nms_iou: 0.7,
        }
    }
}

impl Default for RegionConfig {
    fn default() -> Self {
        Self {
            foreground_iou: 0.5,
            samples: 512,
            foreground_fraction: 0.25,
            channels: 256,
            box_bins: 7,
            box_convolutions: 4,
            box_hidden: 1024,
            mask_bins: 14,
            mask_convolutions: 4,
        }
    }
}

impl Default for InferenceConfig {
    fn default() -> Self {
        Self {
            score: 0.05,
            nms_iou: 0.5,
            detections: 100,
            mask: 0.5,
        }
    }
}

impl AttentionConfig {
    /// The window's side of block `block` of `depth`; `None`: the block attends globally.
    pub fn window_of(&self, block: usize, depth: usize) -> Option<usize> {
        let global = match &self.global_blocks {
            Some(blocks) => blocks.contains(&block),
            None => (1..=4).any(|quarter| block + 1 == (depth * quarter).div_ceil(4)),
        };
        (self.window > 0 && !global).then_some(self.window)
    }
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {message}")]
pub struct ConfigError {
    /// The setting's name, with the names of the tables around it.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
}

impl DetectorConfig {
    /// Refuses settings that weights of another detector do not fit. Those of another canvas and other windows do: tables of
    /// relative positions are resized.
    ///
    /// # Errors
    /// The first setting that is another than `weights_of`, the settings that the weights were trained with.
    pub fn check_fits(&self, weights_of: &Self) -> Result<(), ConfigError> {
        let (ours, theirs) = (&self.regions, &weights_of.regions);
        let settings = [
            (
                "pyramid_channels",
                self.pyramid_channels,
                weights_of.pyramid_channels,
            ),
            (
                "proposals.convolutions",
                self.proposals.convolutions,
                weights_of.proposals.convolutions,
            ),
            ("regions.channels", ours.channels, theirs.channels),
            ("regions.box_bins", ours.box_bins, theirs.box_bins),
            (
                "regions.box_convolutions",
                ours.box_convolutions,
                theirs.box_convolutions,
            ),
            ("regions.box_hidden", ours.box_hidden, theirs.box_hidden),
            (
                "regions.mask_convolutions",
                ours.mask_convolutions,
                theirs.mask_convolutions,
            ),
        ];
        let other = |key, message| Err(ConfigError { key, message });
        if let Some((key, ours, theirs)) = settings.into_iter().find(|(_, a, b)| a != b) {
            return other(key, format!("is {ours}, the weights are of {theirs}"));
        }
        let [ours, theirs] = [self, weights_of].map(|config| config.proposals.aspect_ratios.len());
        if ours != theirs {
            let message = format!("has {ours} ratios, the weights are of {theirs}");
            return other("proposals.aspect_ratios", message);
        }
        let [ours, theirs] = [self, weights_of].map(|config| config.attention.relative_positions);
        if ours != theirs {
            let message = format!("is {ours}, the weights are of {theirs}");
            return other("attention.relative_positions", message);
        }
        Ok(())
    }

    /// Checks the settings for an encoder of `depth` blocks on patches of `patch_size` pixels.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self, patch_size: usize, depth: usize) -> Result<(), ConfigError> {
        self.validate_alone()?;
        let refuse = |key, message: String| Err(ConfigError { key, message });
        if patch_size == 0 || !self.canvas.is_multiple_of(patch_size) {
            let message = format!(
                "{} is not a multiple of the patch size {patch_size}",
                self.canvas
            );
            return refuse("canvas", message);
        }
        if self.canvas < 2 * patch_size {
            let message = format!("{} is less than two patches of {patch_size}", self.canvas);
            return refuse("canvas", message);
        }
        let mut blocks = self.attention.global_blocks.iter().flatten();
        match blocks.find(|&&block| block >= depth) {
            None => Ok(()),
            Some(block) => {
                let message = format!("names block {block}, the encoder's last is {}", depth - 1);
                refuse("attention.global_blocks", message)
            }
        }
    }

    /// Checks what can be checked without an encoder.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate_alone(&self) -> Result<(), ConfigError> {
        let refuse = |key, message: String| Err(ConfigError { key, message });
        let (proposals, regions) = (&self.proposals, &self.regions);
        for (key, count) in [
            ("classes", self.classes),
            ("pyramid_channels", self.pyramid_channels),
            ("proposals.samples", proposals.samples),
            ("proposals.convolutions", proposals.convolutions),
            ("proposals.aspect_ratios", proposals.aspect_ratios.len()),
            (
                "proposals.before_nms_training",
                proposals.before_nms_training,
            ),
            (
                "proposals.before_nms_inference",
                proposals.before_nms_inference,
            ),
            ("proposals.after_nms_training", proposals.after_nms_training),
            (
                "proposals.after_nms_inference",
                proposals.after_nms_inference,
            ),
            ("regions.samples", regions.samples),
            ("regions.channels", regions.channels),
            ("regions.box_bins", regions.box_bins),
            ("regions.box_hidden", regions.box_hidden),
            ("regions.mask_bins", regions.mask_bins),
            ("inference.detections", self.inference.detections),
        ] {
            if count == 0 {
                return refuse(key, "must be at least 1".into());
            }
        }
        for (key, share) in [
            ("proposals.negative_iou", f64::from(proposals.negative_iou)),
            ("proposals.positive_iou", f64::from(proposals.positive_iou)),
            ("proposals.positive_fraction", proposals.positive_fraction),
            ("proposals.nms_iou", f64::from(proposals.nms_iou)),
            ("regions.foreground_iou", f64::from(regions.foreground_iou)),
            ("regions.foreground_fraction", regions.foreground_fraction),
            ("inference.score", f64::from(self.inference.score)),
            ("inference.nms_iou", f64::from(self.inference.nms_iou)),
            ("inference.mask", f64::from(self.inference.mask)),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return refuse(key, format!("{share} is not in 0..=1"));
            }
        }
        if proposals.negative_iou > proposals.positive_iou {
            return refuse("proposals.negative_iou", "is above positive_iou".into());
        }
        for (key, sizes) in [
            ("proposals.anchor_sizes", proposals.anchor_sizes.as_slice()),
            ("proposals.aspect_ratios", &proposals.aspect_ratios),
        ] {
            if !sizes.iter().all(|size| size.is_finite() && *size > 0.0) {
                return refuse(key, "must all be above 0".into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_global_blocks() {
        for (depth, global) in [
            (12, [2, 5, 8, 11]),
            (24, [5, 11, 17, 23]),
            (32, [7, 15, 23, 31]),
        ] {
            let config = AttentionConfig::default();
            let found: Vec<usize> = (0..depth)
                .filter(|&block| config.window_of(block, depth).is_none())
                .collect();
            assert_eq!(found, global);
        }
        let none = AttentionConfig {
            window: 0,
            ..AttentionConfig::default()
        };
        assert!((0..12).all(|block| none.window_of(block, 12).is_none()));
    }

    #[test]
    fn settings_that_cannot_be_used_are_named() {
        let published = DetectorConfig::default();
        assert_eq!(published.validate(16, 12), Ok(()));
        let key = |change: fn(&mut DetectorConfig)| {
            let mut config = DetectorConfig::default();
            change(&mut config);
            config.validate(16, 12).map_err(|error| error.key)
        };
        assert_eq!(key(|c| c.canvas = 1000), Err("canvas"));
        assert_eq!(key(|c| c.canvas = 16), Err("canvas"));
        assert_eq!(key(|c| c.classes = 0), Err("classes"));
        let blocks = |c: &mut DetectorConfig| c.attention.global_blocks = Some(vec![3, 12]);
        assert_eq!(key(blocks), Err("attention.global_blocks"));
        assert_eq!(
            key(|c| c.inference.score = f32::NAN),
            Err("inference.score")
        );
        let low = |c: &mut DetectorConfig| c.proposals.negative_iou = 0.8;
        assert_eq!(key(low), Err("proposals.negative_iou"));
        let sizes = |c: &mut DetectorConfig| c.proposals.anchor_sizes[1] = 0.0;
        assert_eq!(key(sizes), Err("proposals.anchor_sizes"));
    }
}
