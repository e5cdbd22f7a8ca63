//! All settings of a segmenter, with the published values of UPerNet on masked autoencoders as defaults.

use serde::{Deserialize, Serialize};

/// Sizes of a segmenter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SegmenterConfig {
    /// Kinds of regions, background among them where it is one; at most 255.
    pub classes: usize,
    /// What stands on the encoder.
    pub head: HeadKind,
    /// UPerNet; the linear head has no settings.
    pub upernet: UperNetConfig,
    /// Inference.
    pub inference: InferenceConfig,
}

/// What stands on the encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadKind {
    /// Batch norm and one linear layer on the final patch tokens.
    Linear,
    /// Pyramid pooling and a feature pyramid.
    #[default]
    Upernet,
}

/// UPerNet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UperNetConfig {
    /// Numbers (from 1) of the four blocks whose maps it sees, from the finest scale to the coarsest; by default those at a
    /// third, a half, two thirds and the whole of the encoder's depth.
    pub taps: Option<[usize; 4]>,
    /// Bins in each direction of the maps that the coarsest one is pooled to.
    pub pool_scales: Vec<usize>,
    /// Channels of every map of the head; by default the encoder's width.
    pub channels: Option<usize>,
    /// Channels of the auxiliary head.
    pub auxiliary_channels: usize,
    /// Weight of the auxiliary head's loss; 0: there is none.
    pub auxiliary_weight: f64,
}

/// From an image to the logits of its pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InferenceConfig {
    /// Whether images are seen whole or through a window.
    pub mode: InferenceMode,
    /// Side in pixels of the window.
    pub crop: usize,
    /// Pixels between windows.
    pub stride: usize,
    /// Whether mirror images are seen as well.
    pub flip: bool,
    /// Sizes in which images are seen, as factors.
    pub scales: Vec<f64>,
    /// Whether whatever is seen at a time is padded to a square, at the bottom and at the right, as images that are trained on whole
    /// are: patches have the places that they had there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub square: bool,
}

/// How much of an image is seen at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InferenceMode {
    /// All of it.
    Whole,
    /// A window that slides over it.
    #[default]
    Slide,
}

impl Default for SegmenterConfig {
    fn default() -> Self {
        Self {
            classes: 150,
            head: HeadKind::default(),
            upernet: UperNetConfig::default(),
            inference: InferenceConfig::default(),
        }
    }
}

impl Default for UperNetConfig {
    fn default() -> Self {
        Self {
            taps: None,
            pool_scales: vec![1, 2, 3, 6],
            channels: None,
            auxiliary_channels: 256,
            auxiliary_weight: 0.4,
        }
    }
}

impl Default for InferenceConfig {
    fn default() -> Self {
        Self {
            mode: InferenceMode::default(),
            crop: 512,
            stride: 341,
            flip: false,
            scales: vec![1.0],
            square: false,
        }
    }
}

impl UperNetConfig {
    /// The blocks, numbered from 1, whose maps are seen of an encoder of `depth` blocks.
    pub fn taps(&self, depth: usize) -> [usize; 4] {
        let published = [depth / 3, depth / 2, 2 * depth / 3, depth];
        self.taps
            .unwrap_or_else(|| published.map(|block| block.max(1)))
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

impl SegmenterConfig {
    /// Checks the settings for an encoder of `depth` blocks.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self, depth: usize) -> Result<(), ConfigError> {
        self.validate_alone()?;
        let taps = self.upernet.taps(depth);
        match taps.into_iter().find(|tap| !(1..=depth).contains(tap)) {
            None => Ok(()),
            Some(tap) => Err(ConfigError {
                key: "upernet.taps",
                message: format!("names block {tap}, the encoder's are 1..={depth}"),
            }),
        }
    }

    /// Checks what does not depend on the encoder.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate_alone(&self) -> Result<(), ConfigError> {
        let refuse = |key, message: String| Err(ConfigError { key, message });
        if !(2..=255).contains(&self.classes) {
            return refuse("classes", format!("{} is not in 2..=255", self.classes));
        }
        let upernet = &self.upernet;
        if upernet.pool_scales.contains(&0) {
            return refuse("upernet.pool_scales", "must all be at least 1".into());
        }
        for (key, count) in [
            ("upernet.channels", upernet.channels.unwrap_or(1)),
            ("upernet.auxiliary_channels", upernet.auxiliary_channels),
            ("inference.crop", self.inference.crop),
            ("inference.stride", self.inference.stride),
        ] {
            if count == 0 {
                return refuse(key, "must be at least 1".into());
            }
        }
        let weight = upernet.auxiliary_weight;
        if !weight.is_finite() || weight < 0.0 {
            let message = format!("{weight} is not a number of at least 0");
            return refuse("upernet.auxiliary_weight", message);
        }
        let inference = &self.inference;
        if inference.stride > inference.crop {
            let message = format!(
                "{} leaves gaps between windows of {}",
                inference.stride, inference.crop
            );
            return refuse("inference.stride", message);
        }
        let scales = &inference.scales;
        if scales.is_empty() || !scales.iter().all(|s| s.is_finite() && *s > 0.0) {
            return refuse("inference.scales", "must be numbers above 0".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_taps() {
        let taps = |depth| UperNetConfig::default().taps(depth);
        assert_eq!(taps(12), [4, 6, 8, 12]);
        assert_eq!(taps(24), [8, 12, 16, 24]);
        assert_eq!(taps(2), [1, 1, 1, 2]);
    }

    #[test]
    fn settings_that_cannot_be_used_are_named() {
        assert_eq!(SegmenterConfig::default().validate(12), Ok(()));
        let key = |change: fn(&mut SegmenterConfig)| {
            let mut config = SegmenterConfig::default();
            change(&mut config);
            config.validate(12).map_err(|error| error.key)
        };
        assert_eq!(key(|c| c.classes = 256), Err("classes"));
        assert_eq!(key(|c| c.classes = 1), Err("classes"));
        let taps = |c: &mut SegmenterConfig| c.upernet.taps = Some([1, 2, 3, 13]);
        assert_eq!(key(taps), Err("upernet.taps"));
        let taps = |c: &mut SegmenterConfig| c.upernet.taps = Some([0, 2, 3, 12]);
        assert_eq!(key(taps), Err("upernet.taps"));
        let pools = |c: &mut SegmenterConfig| c.upernet.pool_scales = vec![1, 0];
        assert_eq!(key(pools), Err("upernet.pool_scales"));
        let channels = |c: &mut SegmenterConfig| c.upernet.channels = Some(0);
        assert_eq!(key(channels), Err("upernet.channels"));
        let weight = |c: &mut SegmenterConfig| c.upernet.auxiliary_weight = f64::NAN;
        assert_eq!(key(weight), Err("upernet.auxiliary_weight"));
        assert_eq!(key(|c| c.inference.stride = 513), Err("inference.stride"));
        assert_eq!(key(|c| c.inference.crop = 0), Err("inference.crop"));
        let scales = |c: &mut SegmenterConfig| c.inference.scales.clear();
        assert_eq!(key(scales), Err("inference.scales"));
    }
}
