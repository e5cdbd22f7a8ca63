//! Segmenters from files, and the settings that lie over those of a file.

use std::path::Path;

use burn::tensor::Device;
use semaim_checkpoint::model_file::{ModelFile, ModelKind};
use semaim_config::{Layers, Problems, Validate, to_toml};
use semaim_eval::segment::segmenter::{SegmenterSettings, TestSize, TrainedSegmenter};
use semaim_segment::config::{InferenceConfig, InferenceMode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::args::{DetectorFileArgs, first_given};
use crate::exit::Exit;

/// The settings of a segmenter that is used, under the names that they have for `semaim segment`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UseConfig {
    eval: Testing,
}

/// How images are seen; of sides that are 0 those of the file hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Testing {
    short_side: usize,
    long_side: usize,
    mode: InferenceMode,
    crop: usize,
    stride: usize,
    flip: bool,
    scales: Vec<f64>,
}

impl Default for Testing {
    fn default() -> Self {
        Self::from(InferenceConfig::default())
    }
}

impl From<InferenceConfig> for Testing {
    fn from(inference: InferenceConfig) -> Self {
        let InferenceConfig {
            mode,
            crop,
            stride,
            flip,
            scales,
            // It is the training's.
            square: _,
        } = inference;
        Self {
            short_side: 0,
            long_side: 0,
            mode,
            crop,
            stride,
            flip,
            scales,
        }
    }
}

impl Validate for UseConfig {
    fn check(&self, problems: &mut Problems) {
        let Testing {
            short_side,
            long_side,
            crop,
            stride,
            ..
        } = self.eval;
        problems.within("eval", |problems| {
            problems.in_range("short_side", short_side, ..=8_192);
            problems.in_range("long_side", long_side, ..=8_192);
            problems.require(
                short_side == 0 || long_side == 0,
                "long_side",
                "and short_side are both told; one of them says what images are resized to",
            );
            problems.in_range("crop", crop, 1..=8_192);
            problems.in_range("stride", stride, 1..=crop);
            let scales = &self.eval.scales;
            problems.require(
                !scales.is_empty() && scales.iter().all(|s| s.is_finite() && *s > 0.0),
                "scales",
                "must be numbers above 0",
            );
        });
    }
}

/// The segmenter at a path, with the settings that options give it; `None` where there is none.
pub(crate) fn open(
    path: &Path,
    args: &DetectorFileArgs,
    heads: Option<usize>,
    device: &Device,
) -> Result<Option<TrainedSegmenter>, Exit> {
    if ModelFile::kind_at(path) != Some(ModelKind::Segmenter) {
        return Ok(None);
    }
    let for_detectors = first_given([
        ("--classes", args.classes.is_some()),
        ("--heads", heads.is_some()),
    ]);
    if let Some(option) = for_detectors {
        return Err(Exit::user(format!(
            "{option} is for detectors; {} is a segmenter",
            path.display()
        )));
    }
    let mut file = ModelFile::read(path).map_err(Exit::user)?;
    if !args.set.is_empty()
        && let Ok(mut settings) = serde_json::from_value::<SegmenterSettings>(file.settings.clone())
    {
        let of_file = UseConfig {
            eval: settings.segmenter.inference.clone().into(),
        };
        let name = format!("the settings of {}", path.display());
        let layers = Layers::new().text(name, &to_toml(&of_file)?)?;
        let config: UseConfig = layers.sets(&args.set)?.load()?;
        let own = &settings.segmenter.inference;
        let has_window = config.eval.crop != own.crop || config.eval.stride != own.stride;
        if config.eval.mode == InferenceMode::Whole && has_window {
            eprintln!(
                "warning: eval.crop and eval.stride are not used, as eval.mode is `whole`; --set eval.mode=slide uses them"
            );
        }
        let Testing {
            short_side,
            long_side,
            mode,
            crop,
            stride,
            flip,
            scales,
        } = config.eval;
        settings.size = match (short_side, long_side) {
            (0, 0) => settings.size,
            (0, long_side) => TestSize::LongSide(long_side),
            (short_side, _) => TestSize::ShortSide(short_side),
        };
        let square = own.square;
        settings.segmenter.inference = InferenceConfig {
            mode,
            crop,
            stride,
            flip,
            scales,
            square,
        };
        file.settings = json!(settings);
    }
    let segmenter = TrainedSegmenter::of_file(file, path, device);
    segmenter.map(Some).map_err(Exit::user)
}
