//! A detector's sizes, told from the shapes of detectron2's tensors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use semaim::config::VitConfig;
use semaim_checkpoint::archive::Stored;

use super::pixels::{MEAN, STD};
use super::{Anchors, Detectron2Error, PATCHES, ROUNDING, Told};
use crate::config::{AttentionConfig, DetectorConfig, ProposalConfig, RegionConfig};

/// Beginnings of names of what is no weight, in older files.
pub(super) const BUFFERS: [&str; 3] = [CELL_ANCHORS, MEAN, STD];
/// Anchors at the first position of each level.
const CELL_ANCHORS: &str = "proposal_generator.anchor_generator.cell_anchors.";

/// The tensors of one copy of a detector.
pub(super) struct Shapes<'a> {
    pub(super) path: &'a Path,
    pub(super) prefix: &'a str,
    /// By detectron2's names.
    pub(super) theirs: &'a BTreeMap<&'a str, &'a Stored>,
}

/// What the shapes tell.
pub(super) struct Sizes {
    pub(super) vit: VitConfig,
    pub(super) config: DetectorConfig,
    pub(super) defaults_used: Vec<String>,
}

/// What the tables of relative positions tell.
struct Attention {
    config: AttentionConfig,
    canvas: Option<usize>,
    num_heads: Option<usize>,
}

impl Shapes<'_> {
    /// All sizes; `told` says what shapes do not.
    pub(super) fn sizes(&self, told: &Told) -> Result<Sizes, Detectron2Error> {
        let mut defaults_used = Vec::new();
        let [embed_dim, channels, patch_size, _] = self.dims(PATCHES)?;
        let [_, places, _] = self.dims("backbone.net.pos_embed")?;
        let side = places.saturating_sub(1).isqrt();
        if side == 0 || side * side + 1 != places {
            let message = format!("has {places} places, not one and those of a square");
            return Err(self.tensor("backbone.net.pos_embed", message));
        }
        let depth = (0..)
            .take_while(|block| self.has(&format!("backbone.net.blocks.{block}.norm1.weight")))
            .count();
        let [hidden, _] = self.dims("backbone.net.blocks.0.mlp.fc1.weight")?;
        let Attention {
            config: attention,
            canvas,
            num_heads,
        } = self.attention(depth, patch_size, told, &mut defaults_used)?;
        let [rows, _] = self.dims("roi_heads.box_predictor.cls_score.weight")?;
        let classes = rows.saturating_sub(1);
        for (name, per_class) in [
            ("roi_heads.box_predictor.bbox_pred.bias", 4),
            ("roi_heads.mask_head.predictor.bias", 1),
        ] {
            let [outputs] = self.dims(name)?;
            if outputs != per_class * classes {
                let message = format!("has {outputs} numbers for {classes} classes");
                return Err(self.tensor(name, message));
            }
        }
        let [pyramid_channels, ..] = self.dims::<4>("backbone.simfp_4.0.weight")?;
        let anchors = self.anchors(told, &mut defaults_used)?;
        let proposals = ProposalConfig {
            anchor_sizes: anchors.sizes,
            aspect_ratios: anchors.aspect_ratios,
            convolutions: match self.has("proposal_generator.rpn_head.conv.weight") {
                true => 1,
                false => self.count("proposal_generator.rpn_head.conv.conv", 0),
            },
            ..ProposalConfig::default()
        };
        let [_, region_channels, ..] = self.dims::<4>("roi_heads.mask_head.deconv.weight")?;
        let box_convolutions = self.count("roi_heads.box_head.conv", 1);
        let fc1 = "roi_heads.box_head.fc1.weight";
        let [box_hidden, inputs] = self.dims(fc1)?;
        let of_a_bin = match box_convolutions {
            0 => pyramid_channels,
            _ => region_channels,
        };
        let box_bins = (inputs / of_a_bin.max(1)).isqrt();
        if box_bins * box_bins * of_a_bin != inputs {
            let message = format!("has {inputs} inputs, not {of_a_bin} for each bin of a square");
            return Err(self.tensor(fc1, message));
        }
        let regions = RegionConfig {
            channels: region_channels,
            box_bins,
            box_convolutions,
            box_hidden,
            mask_convolutions: self.count("roi_heads.mask_head.mask_fcn", 1),
            mask_bins: told.mask_bins.unwrap_or(RegionConfig::default().mask_bins),
            ..RegionConfig::default()
        };
        if told.mask_bins.is_none() {
            let bins = regions.mask_bins;
            defaults_used.push(format!("a mask head that looks at {bins} × {bins} bins"));
        }
        defaults_used.push("norms of convolutions over the channels at a position".into());
        defaults_used
            .push("scores by a softmax over classes and background, not use_sigmoid_ce".into());
        Ok(Sizes {
            vit: VitConfig {
                image_size: [side * patch_size; 2],
                patch_size,
                channels,
                embed_dim,
                depth,
                num_heads: num_heads
                    .ok_or(self.untold("how many attention heads there are", "--heads"))?,
                mlp_ratio: hidden as f64 / embed_dim as f64,
            },
            config: DetectorConfig {
                classes,
                canvas: canvas.ok_or(
                    self.untold("how large the canvas is", "--set detector.canvas=PIXELS"),
                )?,
                attention,
                pyramid_channels,
                proposals,
                regions,
                ..DetectorConfig::default()
            },
            defaults_used,
        })
    }

    /// Windows, global blocks, canvas and heads.
    fn attention(
        &self,
        depth: usize,
        patch_size: usize,
        told: &Told,
        defaults_used: &mut Vec<String>,
    ) -> Result<Attention, Detectron2Error> {
        if !self.has("backbone.net.blocks.0.attn.rel_pos_h") {
            let config = AttentionConfig {
                window: told.window.ok_or_else(|| {
                    self.untold(
                        "how large windows are (0: every block attends globally)",
                        "--set detector.attention.window=PATCHES",
                    )
                })?,
                global_blocks: told.global_blocks.clone(),
                relative_positions: false,
            };
            if config.window > 0 && config.global_blocks.is_none() {
                let is_global = |block: &usize| config.window_of(*block, depth).is_none();
                let global: Vec<usize> = (0..depth).filter(is_global).collect();
                defaults_used.push(format!("of its blocks {global:?} attend globally"));
            }
            return Ok(Attention {
                config,
                canvas: told.canvas,
                num_heads: told.num_heads,
            });
        }
        let mut sides = Vec::new();
        let mut head_dim = 0;
        for block in 0..depth {
            let table = |axis: &str| format!("backbone.net.blocks.{block}.attn.rel_pos_{axis}");
            let [length, width] = self.dims(&table("h"))?;
            let other = self.dims(&table("w"))?;
            if other != [length, width] || length % 2 == 0 {
                let message = format!("has shape {other:?} beside {:?}", [length, width]);
                return Err(self.tensor(&table("w"), message));
            }
            head_dim = width;
            sides.push(length / 2 + 1);
        }
        let [embed_dim, ..] = self.dims::<4>(PATCHES)?;
        let num_heads = embed_dim / head_dim.max(1);
        self.agree("attention heads", num_heads, told.num_heads)?;
        let different: Vec<usize> = sides
            .iter()
            .copied()
            .collect::<BTreeSet<usize>>()
            .into_iter()
            .collect();
        let (window, map, global_blocks) = match different[..] {
            [window, map] => {
                let global: Vec<usize> = (0..depth).filter(|&block| sides[block] == map).collect();
                self.agree("global blocks", &global, told.global_blocks.as_ref())?;
                (window, Some(map), global)
            }
            // All blocks attend alike, in windows or globally.
            [side] => {
                let global = told.global_blocks.clone().ok_or_else(|| {
                    self.untold(
                        "which blocks attend globally, as the tables of relative positions are of one length",
                        "--set detector.attention.global_blocks=[...]",
                    )
                })?;
                let all = (0..depth).all(|block| global.contains(&block));
                let map = (!global.is_empty()).then_some(side);
                (if all { 0 } else { side }, map, global)
            }
            _ => {
                let message = format!("is one of tables for maps of sides {different:?}");
                return Err(self.tensor("backbone.net.blocks.0.attn.rel_pos_h", message));
            }
        };
        Ok(Attention {
            config: AttentionConfig {
                window: told.window.unwrap_or(window),
                global_blocks: Some(global_blocks),
                relative_positions: true,
            },
            canvas: told.canvas.or(map.map(|side| side * patch_size)),
            num_heads: Some(num_heads),
        })
    }

    /// Sides and ratios of anchors.
    fn anchors(
        &self,
        told: &Told,
        defaults_used: &mut Vec<String>,
    ) -> Result<Anchors, Detectron2Error> {
        let logits = "proposal_generator.rpn_head.objectness_logits.bias";
        let [count] = self.dims(logits)?;
        let found = match (self.cell_anchors()?, &told.anchors) {
            (Some(found), None) => found,
            (found, Some(told)) => {
                if let Some(found) = found {
                    self.agree("anchors", &found, Some(told))?;
                }
                told.clone()
            }
            (None, None) => {
                let ProposalConfig {
                    anchor_sizes,
                    aspect_ratios,
                    ..
                } = ProposalConfig::default();
                if aspect_ratios.len() != count {
                    return Err(self.untold(
                        "what sides and ratios the anchors have",
                        "--set detector.proposals.anchor_sizes=[...] and detector.proposals.aspect_ratios=[...]",
                    ));
                }
                defaults_used.push(format!(
                    "anchors of {anchor_sizes:?} pixels with ratios {aspect_ratios:?}"
                ));
                Anchors {
                    sizes: anchor_sizes,
                    aspect_ratios,
                }
            }
        };
        let ratios = found.aspect_ratios.len();
        self.agree("anchors at a position", count, Some(ratios))?;
        Ok(found)
    }

    /// Sides and ratios of the anchors that a file tells.
    fn cell_anchors(&self) -> Result<Option<Anchors>, Detectron2Error> {
        if !self.has(&format!("{CELL_ANCHORS}0")) {
            return Ok(None);
        }
        let mut sizes = [0.0; 5];
        let mut ratios = Vec::new();
        for (level, size) in sizes.iter_mut().enumerate() {
            let name = format!("{CELL_ANCHORS}{level}");
            let corners = self.values(&name)?;
            let shapes: Vec<[f64; 2]> = corners
                .chunks_exact(4)
                .map(|c| [c[2] - c[0], c[3] - c[1]].map(f64::from))
                .collect();
            let rounded = |value: f64| (value / ROUNDING).round() * ROUNDING;
            let sides: Vec<f64> = shapes
                .iter()
                .map(|[w, h]| rounded((w * h).sqrt()))
                .collect();
            let here: Vec<f64> = shapes.iter().map(|[w, h]| rounded(h / w)).collect();
            let centered = corners.chunks_exact(4).all(|c| {
                f64::from(c[0] + c[2])
                    .abs()
                    .max(f64::from(c[1] + c[3]).abs())
                    < ROUNDING
            });
            let alike = sides.windows(2).all(|pair| pair[0] == pair[1]);
            if !centered || !alike || sides.is_empty() || (level > 0 && here != ratios) {
                let message = "holds anchors that are not of one side in every ratio".into();
                return Err(self.tensor(&name, message));
            }
            (*size, ratios) = (sides[0], here);
        }
        if self.has(&format!("{CELL_ANCHORS}5")) {
            let message = "is of a sixth level".into();
            return Err(self.tensor(&format!("{CELL_ANCHORS}5"), message));
        }
        Ok(Some(Anchors {
            sizes,
            aspect_ratios: ratios,
        }))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.theirs.contains_key(name)
    }

    /// How many convolutions a head has, whose numbers begin at `first`.
    fn count(&self, stem: &str, first: usize) -> usize {
        (first..)
            .take_while(|number| self.has(&format!("{stem}{number}.weight")))
            .count()
    }

    fn stored(&self, name: &str) -> Result<&Stored, Detectron2Error> {
        let missing = || Detectron2Error::Incomplete {
            path: self.path.to_path_buf(),
            names: vec![format!("{}{name}", self.prefix)],
        };
        self.theirs.get(name).copied().ok_or_else(missing)
    }

    fn dims<const D: usize>(&self, name: &str) -> Result<[usize; D], Detectron2Error> {
        let shape = self.stored(name)?.shape();
        let message = || format!("has shape {shape:?}, not {D} axes");
        shape.try_into().map_err(|_| self.tensor(name, message()))
    }

    pub(super) fn values(&self, name: &str) -> Result<Vec<f32>, Detectron2Error> {
        let read = self.stored(name)?.read();
        Ok(read.map_err(|message| self.tensor(name, message))?.values)
    }

    pub(super) fn tensor(&self, name: &str, message: String) -> Detectron2Error {
        Detectron2Error::Tensor {
            path: self.path.to_path_buf(),
            name: format!("{}{name}", self.prefix),
            message,
        }
    }

    pub(super) fn untold(&self, what: &'static str, option: &'static str) -> Detectron2Error {
        Detectron2Error::Untold {
            path: self.path.to_path_buf(),
            what,
            option,
        }
    }

    pub(super) fn contradiction(
        &self,
        what: &'static str,
        found: String,
        told: String,
    ) -> Detectron2Error {
        Detectron2Error::Contradiction {
            path: self.path.to_path_buf(),
            what,
            found,
            told,
        }
    }

    fn agree<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &'static str,
        found: T,
        told: Option<T>,
    ) -> Result<(), Detectron2Error> {
        match told {
            Some(told) if told != found => {
                Err(self.contradiction(what, format!("{found:?}"), format!("{told:?}")))
            }
            _ => Ok(()),
        }
    }
}
