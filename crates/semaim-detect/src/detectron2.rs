//! Detectors in detectron2's checkpoints (ViTDet's `model_final*.pkl`, and `.pth` of its training): read and written.
//!
//! Sizes are told from shapes (`shapes.rs`); what no shape tells is asked for or, where it is the same in all that is
//! published, taken for granted and said. A tensor of something that is not computed here is refused by its name.

mod pixels;
mod shapes;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use semaim::config::{Normalization, SizeError, VitConfig};
use semaim::parameters::{NamedVisitor, WeightError, Weights, visit_named, with_weights};
use semaim::vit::Vit;
use semaim_checkpoint::archive::{Archive, Stored};

use crate::config::{ConfigError, DetectorConfig};
use crate::error::DetectError;
use crate::model::MaskRcnn;
use crate::names::detectron2_name;
use crate::relative_position;
pub use pixels::ChannelOrder;
use pixels::Pixels;
use shapes::{Shapes, Sizes};
pub use write::{Written, to_detectron2};

/// The tensor by which a detector is found in a file.
const PATCHES: &str = "backbone.net.patch_embed.proj.weight";

/// Numbers of buffers that are compared with what is computed here may differ by so much.
const ROUNDING: f64 = 1e-3;

/// What a checkpoint does not say by its shapes. What it says may not be told otherwise, but for the canvas and the side of
/// windows, to which relative positions are resized.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Attention heads. The tables of relative positions tell.
    pub num_heads: Option<usize>,
    /// Side of the canvas in pixels. The tables of blocks that attend globally tell the one of training.
    pub canvas: Option<usize>,
    /// Side of a window in patches. The tables of blocks that attend in windows tell.
    pub window: Option<usize>,
    /// Blocks that attend globally. Tables of two lengths tell.
    pub global_blocks: Option<Vec<usize>>,
    /// Sides of the anchors and their ratios. Older files tell; ViTDet's are published.
    pub anchors: Option<Anchors>,
    /// Bins in each direction of a region in the mask head. ViTDet has 14.
    pub mask_bins: Option<usize>,
    /// Which color comes first. ViTDet's configurations take red.
    pub channel_order: Option<ChannelOrder>,
    /// Mean and deviation of pixels, in the network's order of channels. Older files tell; ViTDet's are ImageNet's.
    pub normalization: Option<Normalization>,
    /// What stands before the names of the copy to take, such as `model.`; else an average of weights is taken where there is
    /// one.
    pub prefix: Option<String>,
}

/// Sides of the anchors of each level in pixels, and their ratios of height over width.
#[derive(Clone, Debug, PartialEq)]
pub struct Anchors {
    /// Of p2 to p6.
    pub sizes: [f64; 5],
    /// At each position.
    pub aspect_ratios: Vec<f64>,
}

/// A detector out of a checkpoint.
#[derive(Clone, Debug)]
pub struct Detectron2Model {
    /// The encoder's sizes.
    pub vit: VitConfig,
    /// The detector's; its thresholds, and numbers of proposals and samples, are those published.
    pub config: DetectorConfig,
    /// How images, red first, are normalized.
    pub normalization: Normalization,
    /// Under our names, for images with red first.
    pub weights: Weights,
    /// What stands before the names of the copy that was taken.
    pub prefix: String,
    /// The same of other copies in the file.
    pub other_copies: Vec<String>,
    /// What nothing said and was taken as published, for people to read.
    pub defaults_used: Vec<String>,
}

/// Why a detector could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Detectron2Error {
    /// There is none.
    #[error(
        "{path} holds no Mask R-CNN on a plain vision transformer under detectron2's names: {message}"
    )]
    NotThere {
        /// The file.
        path: PathBuf,
        /// What it has.
        message: String,
    },
    /// Tensors that it must have are not there.
    #[error("{path} lacks {} of the detector's tensors, the first: {}", names.len(), names.join(", "))]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// Their names in it.
        names: Vec<String>,
    },
    /// A tensor of something that is not computed here.
    #[error("{path}: `{name}` belongs to {what}, which is not computed here")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Its name in it.
        name: String,
        /// What it belongs to.
        what: &'static str,
    },
    /// A tensor that is not what it should be.
    #[error("{path}: `{name}` {message}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// Its name in it.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// Something changes the numbers, and nothing says what it is.
    #[error("{path}: nothing says {what}; tell it with {option}")]
    Untold {
        /// The file.
        path: PathBuf,
        /// What is not known.
        what: &'static str,
        /// What tells it, on the command line.
        option: &'static str,
    },
    /// The file says one thing and the caller another.
    #[error("{path} has {found} {what}, not {told}")]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// Of what.
        what: &'static str,
        /// What the file says.
        found: String,
        /// What was told.
        told: String,
    },
    /// A detector that detectron2's code does not compute.
    #[error("detectron2's detector has no {0}, which this one has")]
    NotTheirs(&'static str),
    /// Sizes of the encoder that do not fit together.
    #[error(transparent)]
    Sizes(#[from] SizeError),
    /// Settings that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The detector could not be made.
    #[error(transparent)]
    Detector(#[from] DetectError),
    /// Weights did not come off the device.
    #[error(transparent)]
    Weights(#[from] WeightError),
}

/// Whether a file holds a detector under detectron2's names, of whatever kind.
pub fn is_detectron2(archive: &Archive) -> bool {
    let mut names = archive.tensors.keys();
    names.any(|name| name.contains("roi_heads.") || name.contains("proposal_generator."))
}

impl Detectron2Model {
    /// Reads the detector of a file.
    ///
    /// # Errors
    /// [`Detectron2Error`], each with the path.
    pub fn read(path: &Path, archive: &Archive, told: &Told) -> Result<Self, Detectron2Error> {
        let (prefix, other_copies) = copies(path, archive, told)?;
        let mut theirs: BTreeMap<&str, &Stored> = archive
            .tensors
            .iter()
            .filter_map(|(name, stored)| Some((name.strip_prefix(&prefix)?, stored)))
            .collect();
        let in_file = |name: &str| format!("{prefix}{name}");
        let unknown = |name: &str, what| Detectron2Error::Unknown {
            path: path.to_path_buf(),
            name: in_file(name),
            what,
        };
        if let Some((name, what)) = theirs.keys().find_map(|name| Some((name, foreign(name)?))) {
            return Err(unknown(name, what));
        }
        let shapes = Shapes {
            path,
            prefix: &prefix,
            theirs: &theirs,
        };
        let Sizes {
            vit,
            config,
            mut defaults_used,
        } = shapes.sizes(told)?;
        vit.validate()?;
        let expected = shapes_of(&MaskRcnn::new(
            Vit::zeros(&vit, &Device::flex()),
            config.clone(),
            0,
            &Device::flex(),
        )?);
        let failed = |name: &str, message: String| Detectron2Error::Tensor {
            path: path.to_path_buf(),
            name: in_file(name),
            message,
        };
        let pixels = Pixels::of(&shapes, vit.channels, told, &mut defaults_used)?;
        let mut weights = Weights::new();
        let mut missing = Vec::new();
        for (name, shape) in expected {
            let their_name = their_name(&name, &config);
            let Some(stored) = theirs.remove(their_name.as_str()) else {
                missing.push(in_file(&their_name));
                continue;
            };
            let failed = |message: String| failed(&their_name, message);
            let mut weight = stored.read().map_err(failed)?;
            if let (true, &[_, _]) = (name.contains(".rel_pos_"), weight.shape.as_slice())
                && weight.shape[1] == shape[1]
                && weight.shape[0] != shape[0]
            {
                weight = relative_position::resized(&weight, shape[0]);
            }
            if weight.shape != shape {
                let found = weight.shape;
                return Err(failed(format!("has shape {found:?}, not {shape:?}")));
            }
            let wrong = weight.values.iter().filter(|v| !v.is_finite()).count();
            if wrong > 0 {
                return Err(failed(format!("has {wrong} numbers that are not finite")));
            }
            pixels.turn(&their_name, &mut weight);
            weights.insert(name, weight);
        }
        let is_known = |name: &str| shapes::BUFFERS.iter().any(|known| name.starts_with(known));
        if let Some(name) = theirs.into_keys().find(|name| !is_known(name)) {
            return Err(unknown(name, "another kind of detector or backbone"));
        }
        if !missing.is_empty() {
            return Err(Detectron2Error::Incomplete {
                path: path.to_path_buf(),
                names: missing,
            });
        }
        Ok(Self {
            vit,
            config,
            normalization: pixels.normalization,
            weights,
            prefix,
            other_copies,
            defaults_used,
        })
    }

    /// The detector on a device.
    ///
    /// # Errors
    /// [`Detectron2Error::Detector`] for settings that were changed to what cannot be used, and [`Detectron2Error::Weights`] for
    /// weights that do not fit them.
    pub fn detector(&self, device: &Device) -> Result<MaskRcnn, Detectron2Error> {
        let encoder = Vit::zeros(&self.vit, device);
        let model = MaskRcnn::new(encoder, self.config.clone(), 0, device)?;
        Ok(with_weights(model, &self.weights)?)
    }
}

/// A head with one convolution does not number it.
fn their_name(name: &str, config: &DetectorConfig) -> String {
    let name = detectron2_name(name);
    match config.proposals.convolutions {
        1 => name.replace("rpn_head.conv.conv0.", "rpn_head.conv."),
        _ => name,
    }
}

/// What stands before the names of the copy to take, and before those of others.
fn copies(
    path: &Path,
    archive: &Archive,
    told: &Told,
) -> Result<(String, Vec<String>), Detectron2Error> {
    let names = || archive.tensors.keys();
    let mut prefixes: Vec<&str> = names()
        .filter_map(|name| name.strip_suffix(PATCHES))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
        .collect();
    let average = |prefix: &&str| prefix.split(['.', '_']).any(|part| part == "ema");
    prefixes.sort_by_key(|prefix| (!average(prefix), prefix.len()));
    let taken = match &told.prefix {
        Some(told) => prefixes.iter().position(|prefix| prefix == told),
        None => (!prefixes.is_empty()).then_some(0),
    };
    if let Some(taken) = taken {
        let prefix = prefixes.remove(taken).to_string();
        return Ok((prefix, prefixes.into_iter().map(str::to_string).collect()));
    }
    let has = |part: &str| names().any(|name| name.contains(part));
    let message = if !prefixes.is_empty() {
        format!("its copies are under {prefixes:?}")
    } else if has("backbone.bottom_up.") {
        "its backbone is another, with a pyramid on it (backbone.bottom_up: Swin, MViT or a convolutional network)".into()
    } else if has("backbone.net.") {
        "its backbone has no patch embedding `backbone.net.patch_embed.proj`".into()
    } else {
        let first: Vec<&str> = names().take(5).map(String::as_str).collect();
        format!("its first tensors are {}", first.join(", "))
    };
    Err(Detectron2Error::NotThere {
        path: path.to_path_buf(),
        message,
    })
}

/// What a tensor belongs to that is known not to be computed here.
fn foreign(name: &str) -> Option<&'static str> {
    let part_after = |part: &str| name.strip_prefix(part)?.split('.').next();
    let numbered = |part: &str| part_after(part).is_some_and(|part| part.parse::<usize>().is_ok());
    let of_a_head = |part: &str| name.starts_with(part) && name.ends_with(".bias");
    let norm = name.contains(".norm.");
    if numbered("roi_heads.box_head.") || numbered("roi_heads.box_predictor.") {
        Some("a cascade of box heads (Cascade R-CNN)")
    } else if name.contains(".running_") || name.ends_with(".num_batches_tracked") {
        Some("a batch norm")
    } else if !norm
        && (of_a_head("roi_heads.mask_head.mask_fcn") || of_a_head("roi_heads.box_head.conv"))
    {
        Some("a convolution without a norm")
    } else if name.contains(".residual.") {
        Some("a convolution in a block")
    } else if name.starts_with("roi_heads.keypoint_head.") {
        Some("a keypoint head")
    } else {
        None
    }
}

/// Our names of a model's weights, and their shapes.
fn shapes_of(model: &MaskRcnn) -> Vec<(String, Vec<usize>)> {
    struct Collect(Vec<(String, Vec<usize>)>);
    impl NamedVisitor for Collect {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
            self.0.push((name.to_string(), param.val().dims().to_vec()));
        }
    }
    let mut collect = Collect(Vec::new());
    visit_named(model, &mut collect);
    collect.0
}
