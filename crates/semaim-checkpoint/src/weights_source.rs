//! Where an encoder's weights come from, and what their file does not say: the same on the command line and in settings.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use semaim::config::Activation;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::checkpoint::{Checkpoint, activation_name, parse_activation};
use crate::encoder::Encoder;
use crate::error::EncoderError;
use crate::format::CheckpointFormat;

/// A file of weights and how it is read. In settings an empty layout, activation or image size and 0 heads mean that they are
/// not told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WeightsSource {
    /// A run directory, or the file of an encoder in any layout that `semaim inspect` knows; empty: none.
    pub weights: PathBuf,
    /// The layout of that file; `None`: told from its names.
    #[serde(serialize_with = "layout_name", deserialize_with = "known_layout")]
    pub layout: Option<CheckpointFormat>,
    /// Its attention heads; `None`: as the file or one beside it says, or as all of its layout have.
    #[serde(serialize_with = "or_zero", deserialize_with = "above_zero")]
    pub num_heads: Option<usize>,
    /// What stands between the layers of its MLPs, `gelu`, `quick-gelu` or `swiglu`; `None`: as a file beside it says, or as
    /// all of its layout have.
    #[serde(
        serialize_with = "told_activation",
        deserialize_with = "known_activation"
    )]
    pub activation: Option<Activation>,
    /// Whether an encoder with missing tensors, or with some that are not understood, is read all the same: what is
    /// missing gets first weights, what is not understood is left out.
    pub allow_partial: bool,
    /// Height and width in pixels of the images that it will see; `None`: as in its own training. The position table is
    /// resized to it. If the table has as many places as such images have patches, and no file beside it says otherwise, it is
    /// the table's own size.
    #[serde(serialize_with = "sides", deserialize_with = "side_or_sides")]
    pub image_size: Option<[usize; 2]>,
}

impl WeightsSource {
    /// A file of which nothing is told.
    pub fn new(weights: impl Into<PathBuf>) -> Self {
        Self {
            weights: weights.into(),
            ..Self::default()
        }
    }

    /// The same options for another file.
    #[must_use]
    pub fn at(&self, weights: &Path) -> Self {
        Self {
            weights: weights.to_path_buf(),
            ..self.clone()
        }
    }

    /// Whether a file is named.
    pub fn is_named(&self) -> bool {
        !self.weights.as_os_str().is_empty()
    }

    /// Reads the file. Warns of what nothing said and was taken for granted: who tells that otherwise takes [`Checkpoint::read`].
    ///
    /// # Errors
    /// [`EncoderError`], each with the path.
    pub fn checkpoint(&self) -> Result<Checkpoint, EncoderError> {
        let checkpoint = Checkpoint::read(self)?;
        let resizing = checkpoint.assumed_resizing(self, self.image_size);
        for assumed in checkpoint.defaults_used.iter().chain(&resizing) {
            tracing::warn!("{}: assumed: {assumed}", checkpoint.path.display());
        }
        Ok(checkpoint)
    }

    /// Reads the encoder, its position table resized where a size is told. Warns as [`WeightsSource::checkpoint`] does.
    ///
    /// # Errors
    /// [`EncoderError`], each with the path.
    pub fn encoder(&self, device: &Device) -> Result<Encoder, EncoderError> {
        let encoder = self.checkpoint()?.encoder(device)?;
        match self.image_size {
            Some(size) => encoder.resized(size),
            None => Ok(encoder),
        }
    }
}

fn layout_name<S: Serializer>(
    layout: &Option<CheckpointFormat>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(layout.map_or("", CheckpointFormat::name))
}

fn known_layout<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<CheckpointFormat>, D::Error> {
    named(deserializer, |name| name.parse())
}

fn told_activation<S: Serializer>(
    activation: &Option<Activation>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(activation.map_or("", activation_name))
}

fn known_activation<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Activation>, D::Error> {
    named(deserializer, parse_activation)
}

/// What a name means; `None` where it is empty.
fn named<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "" => Ok(None),
        name => parse(name).map(Some).map_err(serde::de::Error::custom),
    }
}

fn or_zero<S: Serializer>(count: &Option<usize>, serializer: S) -> Result<S::Ok, S::Error> {
    count.unwrap_or(0).serialize(serializer)
}

fn above_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    Ok(Some(usize::deserialize(deserializer)?).filter(|&count| count > 0))
}

fn sides<S: Serializer>(size: &Option<[usize; 2]>, serializer: S) -> Result<S::Ok, S::Error> {
    size.as_ref()
        .map_or(&[][..], |size| &size[..])
        .serialize(serializer)
}

/// `224` is `[224, 224]`, `[]` is none.
fn side_or_sides<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<[usize; 2]>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "must be a side, as 224, or height and width, as [224, 336], or empty, as []"
    )]
    enum Given {
        Side(usize),
        Sides([usize; 2]),
        Nothing([usize; 0]),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::Side(side) => Some([side, side]),
        Given::Sides(sides) => Some(sides),
        Given::Nothing(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_is_empty_in_settings() {
        let text = toml::to_string(&WeightsSource::default()).unwrap();
        let empty = "weights = \"\"\nlayout = \"\"\nnum_heads = 0\nactivation = \"\"\nallow_partial = false\nimage_size = []\n";
        assert_eq!(text, empty);
        assert_eq!(
            toml::from_str::<WeightsSource>(empty).unwrap(),
            WeightsSource::default()
        );
        let told = WeightsSource {
            weights: "a.pth".into(),
            layout: Some(CheckpointFormat::Dino),
            num_heads: Some(6),
            activation: Some(Activation::QuickGelu),
            allow_partial: true,
            image_size: Some([112, 224]),
        };
        let text = toml::to_string(&told).unwrap();
        assert_eq!(toml::from_str::<WeightsSource>(&text).unwrap(), told);
        let side = toml::from_str::<WeightsSource>("image_size = 112").unwrap();
        assert_eq!(side.image_size, Some([112, 112]));
        for (text, part) in [
            ("layout = \"torch\"", "no layout is called `torch`"),
            ("activation = \"relu\"", "no activation is called `relu`"),
            ("image_size = [1]", "height and width"),
            ("num_heads = -1", "num_heads"),
        ] {
            let refused = toml::from_str::<WeightsSource>(text).unwrap_err();
            assert!(refused.to_string().contains(part), "{refused}");
        }
    }
}
