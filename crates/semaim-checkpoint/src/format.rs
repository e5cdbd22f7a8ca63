//! The layouts of other people's checkpoints, as tables of names.
//!
//! Our own names are timm's (see [`crate::encoder`]). A layout is a table of rules: which of its tensors becomes
//! which of ours, and how. Reading follows the tables one way (`canonical.rs`), [exporting](crate::export)
//! the other way.

pub(crate) mod rule;
pub(crate) mod tables;

use std::fmt;
use std::str::FromStr;

use rule::Rule;
use semaim::config::{CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD};
use semaim::position::Interpolation;

/// Who wrote a checkpoint, as far as it can be told from its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CheckpointFormat {
    /// An encoder or a classifier written by semaim: its sizes stand in the metadata.
    Semaim,
    /// The SemAIM authors' training checkpoints.
    SemaimAuthors,
    /// Vision transformers of timm; DeiT and others use the same names.
    Timm,
    /// `MoCo` v3: timm's names, twelve heads whatever the width.
    MocoV3,
    /// DINO, its backbone alone or the whole training checkpoint.
    Dino,
    /// DINOv2 as published, or timm's form of it: LayerScale, register tokens, SwiGLU.
    Dinov2,
    /// Masked autoencoders as published.
    Mae,
    /// OpenAI's CLIP: the visual tower, with `QuickGELU`.
    Clip,
    /// CLIP trained with `open_clip`: the same names, with GELU.
    OpenClip,
    /// Hugging Face's `ViTModel`.
    HfVit,
    /// Hugging Face's `Dinov2Model` and `Dinov2WithRegistersModel`.
    HfDinov2,
    /// The vision tower of Hugging Face's `CLIPModel`.
    HfClip,
}

impl CheckpointFormat {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Semaim,
        Self::SemaimAuthors,
        Self::Timm,
        Self::MocoV3,
        Self::Dino,
        Self::Dinov2,
        Self::Mae,
        Self::Clip,
        Self::OpenClip,
        Self::HfVit,
        Self::HfDinov2,
        Self::HfClip,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Semaim => "semaim",
            Self::SemaimAuthors => "semaim-authors",
            Self::Timm => "timm",
            Self::MocoV3 => "moco-v3",
            Self::Dino => "dino",
            Self::Dinov2 => "dinov2",
            Self::Mae => "mae",
            Self::Clip => "clip",
            Self::OpenClip => "open-clip",
            Self::HfVit => "hf-vit",
            Self::HfDinov2 => "hf-dinov2",
            Self::HfClip => "hf-clip",
        }
    }

    /// Whether it is the visual tower of a model of images and texts.
    pub(crate) fn is_clip(self) -> bool {
        matches!(self, Self::Clip | Self::OpenClip | Self::HfClip)
    }

    /// The tables of names that it is written with: versions of libraries differ.
    pub(crate) fn tables(self) -> &'static [&'static [Rule]] {
        match self {
            Self::Semaim
            | Self::SemaimAuthors
            | Self::Timm
            | Self::MocoV3
            | Self::Dino
            | Self::Dinov2
            | Self::Mae => &[tables::TIMM],
            Self::Clip | Self::OpenClip => &[tables::CLIP],
            Self::HfVit => &[tables::HF_VIT_4, tables::HF_VIT_5],
            Self::HfDinov2 => &[tables::HF_DINOV2_4, tables::HF_DINOV2_5],
            Self::HfClip => &[tables::HF_CLIP],
        }
    }

    /// Heads of a network of this width, where the project has no others.
    pub(crate) fn heads(self, embed_dim: usize) -> Option<usize> {
        let heads: &[(usize, usize)] = match self {
            Self::MocoV3 => &[(384, 12), (768, 12)],
            Self::Dino => &[(192, 3), (384, 6), (768, 12)],
            Self::Dinov2 => &[(384, 6), (768, 12), (1024, 16), (1536, 24)],
            Self::Mae | Self::SemaimAuthors => &[(768, 12), (1024, 16), (1280, 16)],
            // The larger ones, all of open_clip's, have heads that are wider than 64.
            Self::Clip | Self::OpenClip => &[(1280, 16), (1408, 16), (1664, 16), (1792, 16)],
            _ => &[],
        };
        let known = heads.iter().find(|(width, _)| *width == embed_dim);
        let of_64 = matches!(self, Self::Clip | Self::OpenClip) && embed_dim.is_multiple_of(64);
        known
            .map(|(_, heads)| *heads)
            .or(of_64.then_some(embed_dim / 64))
    }

    /// What layer norms add to the variance, where no file says it.
    pub(crate) fn epsilon(self) -> f64 {
        match self {
            Self::HfVit => 1e-12,
            format if format.is_clip() => 1e-5,
            _ => 1e-6,
        }
    }

    /// How images were normalized in the training of most checkpoints of the format: mean and standard deviation of red,
    /// green and blue in 0..1.
    pub(crate) fn normalization(self) -> [[f32; 3]; 2] {
        match self {
            format if format.is_clip() => [CLIP_MEAN, CLIP_STD],
            Self::HfVit => [[0.5; 3]; 2],
            _ => [IMAGENET_MEAN, IMAGENET_STD],
        }
    }

    /// How the project resizes position tables.
    pub(crate) fn interpolation(self, registers: usize) -> Interpolation {
        match self {
            Self::Timm | Self::Clip | Self::OpenClip => Interpolation::Antialiased,
            Self::Dino => Interpolation::Offset,
            Self::Dinov2 if registers == 0 => Interpolation::Offset,
            Self::Dinov2 => Interpolation::Antialiased,
            Self::HfDinov2 if registers > 0 => Interpolation::Antialiased,
            Self::Semaim | Self::SemaimAuthors | Self::Mae | Self::MocoV3 => Interpolation::Bicubic,
            Self::HfVit | Self::HfDinov2 | Self::HfClip => Interpolation::Bicubic,
        }
    }

    /// A name as the tables spell it, where it is written in more than one way.
    pub(crate) fn normalized_name(self, name: &str) -> String {
        let name = unwrapped(name);
        match self {
            Self::HfDinov2 => name
                .replace(".mlp.weights_in.", ".mlp.fc1.")
                .replace(".mlp.weights_out.", ".mlp.fc2."),
            // The projection stands beside the tower, and newer versions leave the tower's name out.
            Self::HfClip => name.replace("vision_model.", ""),
            Self::HfVit | Self::Clip | Self::OpenClip => name,
            _ => unchunked(&name)
                .replace(".mlp.w12.", ".mlp.fc1.")
                .replace(".mlp.w3.", ".mlp.fc2.")
                .replace("register_tokens", "reg_token")
                // DeiT III and BEiT.
                .replace(".gamma_1", ".ls1.gamma")
                .replace(".gamma_2", ".ls2.gamma"),
        }
    }
}

/// A name without what wrappers put into it: `torch.compile`, activation checkpointing and FSDP, around the whole network
/// or around each block.
fn unwrapped(name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('.') {
        let of_a_block = parts
            .last()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        match part {
            "_orig_mod" | "_checkpoint_wrapped_module" | "_fsdp_wrapped_module" => {}
            "module" if of_a_block => {}
            part => parts.push(part),
        }
    }
    parts.join(".")
}

/// `blocks.2.17.norm1.weight` is block 17, in the second of the chunks that large models are trained in.
fn unchunked(name: &str) -> String {
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty();
    let parts: Vec<&str> = name.split('.').collect();
    let chunk = parts
        .windows(3)
        .position(|three| three[0] == "blocks" && number(three[1]) && number(three[2]));
    match chunk {
        Some(at) => [&parts[..=at], &parts[at + 2..]].concat().join("."),
        None => name.to_string(),
    }
}

impl fmt::Display for CheckpointFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A setting of a checkpoint has a value that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownName {
    /// No format has this name.
    #[error("no layout is called `{name}`; there are {}", CheckpointFormat::ALL.map(CheckpointFormat::name).join(", "))]
    Format {
        /// The name.
        name: String,
    },
    /// No activation has this name.
    #[error("no activation is called `{name}`; there are gelu, quick-gelu and swiglu")]
    Activation {
        /// The name.
        name: String,
    },
}

impl FromStr for CheckpointFormat {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|layout| layout.name() == name);
        found.ok_or_else(|| UnknownName::Format { name: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for layout in CheckpointFormat::ALL {
            assert_eq!(layout.name().parse(), Ok(layout));
        }
        assert!("vit".parse::<CheckpointFormat>().is_err());
    }

    #[test]
    fn spellings_come_together() {
        let normalized = |name| CheckpointFormat::Dinov2.normalized_name(name);
        assert_eq!(
            normalized("blocks.2.17.norm1.weight"),
            "blocks.17.norm1.weight"
        );
        assert_eq!(
            normalized("blocks.17.norm1.weight"),
            "blocks.17.norm1.weight"
        );
        assert_eq!(
            normalized("teacher.blocks.3.mlp.w12.bias"),
            "teacher.blocks.3.mlp.fc1.bias"
        );
        assert_eq!(normalized("register_tokens"), "reg_token");
        for name in [
            "blocks.0._orig_mod.norm1.weight",
            "blocks.0._checkpoint_wrapped_module.norm1.weight",
            "blocks.0.module.norm1.weight",
            "_orig_mod.blocks.0.norm1.weight",
        ] {
            assert_eq!(normalized(name), "blocks.0.norm1.weight");
        }
        assert_eq!(normalized("module.norm.weight"), "module.norm.weight");
        assert_eq!(normalized("blocks.3.gamma_2"), "blocks.3.ls2.gamma");
    }
}
