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

/// Who wrote a checkpoint, as far as it can be told from its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CheckpointFormat {
    /// An encoder or a classifier written by semaim: its sizes stand in the metadata.
    Semaim,
    /// The SemAIM authors' training checkpoints.
    SemaimAuthors,
    /// Vision transformers of timm; DeiT and others use the same names.
    Timm,
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
    pub const ALL: [Self; 11] = [
        Self::Semaim,
        Self::SemaimAuthors,
        Self::Timm,
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
            | Self::Dino
            | Self::Dinov2
            | Self::Mae => &[tables::TIMM],
            Self::Clip | Self::OpenClip => &[tables::CLIP],
            Self::HfVit => &[tables::HF_VIT_4, tables::HF_VIT_5],
            Self::HfDinov2 => &[tables::HF_DINOV2_4, tables::HF_DINOV2_5],
            Self::HfClip => &[tables::HF_CLIP],
        }
    }

    /// A name as the tables spell it, where it is written in more than one way.
    pub(crate) fn normalized_name(self, name: &str) -> String {
        match self {
            Self::HfDinov2 => name
                .replace(".mlp.weights_in.", ".mlp.fc1.")
                .replace(".mlp.weights_out.", ".mlp.fc2."),
            // The projection stands beside the tower, and newer versions leave the tower's name out.
            Self::HfClip => name.replace("vision_model.", ""),
            Self::HfVit | Self::Clip | Self::OpenClip => name.to_string(),
            _ => unchunked(name)
                .replace(".mlp.w12.", ".mlp.fc1.")
                .replace(".mlp.w3.", ".mlp.fc2.")
                .replace("register_tokens", "reg_token"),
        }
    }
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

/// No layout has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no layout is called `{name}`; there are {}", CheckpointFormat::ALL.map(CheckpointFormat::name).join(", "))]
pub struct UnknownFormat {
    /// The name.
    pub name: String,
}

impl FromStr for CheckpointFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.into_iter().find(|layout| layout.name() == name);
        found.ok_or_else(|| UnknownFormat { name: name.into() })
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
    }
}
