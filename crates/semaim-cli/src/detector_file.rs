//! Detectors from files, and the settings that lie over those of a file.

use std::path::Path;

use semaim_checkpoint::model_file::ModelKind;
use semaim_config::{Layers, Problems, Validate, to_toml};
use semaim_detect::config::DetectorConfig;
use semaim_eval::detect::file::{DetectorFile, Detectron2Config, ToldDetector};
use serde::{Deserialize, Serialize};

use crate::args::DetectorFileArgs;
use crate::exit::Exit;
use crate::settings;

/// The settings of a detector that is used, under the names that they have for `semaim detect`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UseConfig {
    detector: DetectorConfig,
    detectron2: Detectron2Config,
}

impl Validate for UseConfig {
    fn check(&self, problems: &mut Problems) {
        if let Err(refused) = self.detector.validate_alone() {
            problems.add(format!("detector.{}", refused.key), refused.message);
        }
        problems.within("detectron2", |problems| self.detectron2.check(problems));
    }

    fn optional_keys() -> &'static [&'static str] {
        &["detector.attention.global_blocks"]
    }
}

/// The detector at a path, with the settings that options give it; `None` where there is none. Says what its file does not say.
pub(crate) fn open(
    path: &Path,
    args: &DetectorFileArgs,
    heads: Option<usize>,
) -> Result<Option<DetectorFile>, Exit> {
    let classes = args.classes.as_ref().map(|path| path.to_string_lossy());
    let layers = Layers::new().sets(&args.set)?;
    let options = [("detectron2.classes", settings::quoted(classes.as_deref()))];
    let layers = settings::with_options(layers, &args.set, &options)?;
    let config: UseConfig = layers.load()?;
    let told = ToldDetector {
        num_heads: heads,
        ..told(&layers, &config.detector, &config.detectron2)?
    };
    let Some(found) = DetectorFile::read(path, &told).map_err(Exit::user)? else {
        return Ok(None);
    };
    if let Some(notice) = found.notice() {
        eprintln!("note: {notice}");
    }
    if args.set.is_empty() {
        return Ok(Some(found));
    }
    let config: UseConfig = over(&found, &layers)?.load()?;
    let found = found.with_settings(&config.detector);
    found.map(Some).map_err(Exit::user)
}

/// Refuses options for detectors with a model of another kind.
pub(crate) fn refuse_options(
    args: &DetectorFileArgs,
    heads: Option<usize>,
    path: &Path,
    kind: ModelKind,
) -> Result<(), Exit> {
    match args.given().or(heads.map(|_| "--heads")) {
        None => Ok(()),
        Some(option) => Err(Exit::user(format!(
            "{option} is for detectors; {} is a {kind}",
            path.display()
        ))),
    }
}

/// What layers of settings tell of a detector whose file does not say it; what they leave at its default is not told.
pub(crate) fn told(
    layers: &Layers,
    config: &DetectorConfig,
    detectron2: &Detectron2Config,
) -> Result<ToldDetector, Exit> {
    let all = ToldDetector::by(config, detectron2);
    let names = |key: &str| layers.names(&format!("detector.{key}"));
    let anchors = names("proposals.anchor_sizes")? || names("proposals.aspect_ratios")?;
    let (canvas, window) = (names("canvas")?, names("attention.window")?);
    let mask_bins = names("regions.mask_bins")?;
    Ok(ToldDetector {
        canvas: all.canvas.filter(|_| canvas),
        window: all.window.filter(|_| window),
        anchors: all.anchors.filter(|_| anchors),
        mask_bins: all.mask_bins.filter(|_| mask_bins),
        ..all
    })
}

/// Layers over the settings of a detector's file.
pub(crate) fn over(found: &DetectorFile, layers: &Layers) -> Result<Layers, Exit> {
    #[derive(Serialize)]
    struct OfFile<'a> {
        detector: &'a DetectorConfig,
    }
    let text = to_toml(&OfFile {
        detector: &found.settings.detector,
    })?;
    let name = format!("the settings of {}", found.path.display());
    Ok(Layers::new().text(name, &text)?.under(layers))
}
