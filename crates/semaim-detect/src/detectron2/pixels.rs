//! How images are prepared for a detector of detectron2's: the order of channels, mean and deviation.
//!
//! Newer checkpoints say nothing of it; ViTDet's configurations take RGB and ImageNet's numbers.

use semaim::config::Normalization;
use semaim::parameters::Weight;

use super::shapes::Shapes;
use super::{Detectron2Error, PATCHES, ROUNDING, Told};

/// Mean of the pixels from 0 to 255.
pub(super) const MEAN: &str = "pixel_mean";
/// Their deviation.
pub(super) const STD: &str = "pixel_std";

/// Which color a network's first channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// How images are prepared for a detector here, where red comes first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pixels {
    /// Of values in [0, 1], red first.
    pub(super) normalization: Normalization,
    /// Whether the detector was trained with blue first, so that its patch embedding is turned around.
    pub(super) blue_first: bool,
}

impl Pixels {
    /// What the file or the caller says, else what ViTDet's configurations do, which is said.
    pub(super) fn of(
        shapes: &Shapes<'_>,
        channels: usize,
        told: &Told,
        defaults_used: &mut Vec<String>,
    ) -> Result<Self, Detectron2Error> {
        let stated = stated(shapes, channels)?;
        if let Some(told) = &told.normalization
            && told.channels() != channels
        {
            let [found, told] = [channels, told.channels()].map(|count| count.to_string());
            return Err(shapes.contradiction("channels", found, told));
        }
        let given = match (stated, told.normalization.clone()) {
            (Some(stated), Some(told)) if !close(&stated, &told) => {
                let [found, told] =
                    [&stated, &told].map(|n| format!("{:?} and {:?}", n.mean, n.std));
                return Err(shapes.contradiction("as mean and deviation", found, told));
            }
            (Some(stated), _) => Some(stated),
            (None, told) => told,
        };
        let order = match (told.channel_order, &given) {
            (Some(_), _) if channels != 3 => {
                let found = format!("{channels}");
                return Err(shapes.contradiction("channels", found, "those of RGB or BGR".into()));
            }
            (Some(order), _) => order,
            // ImageNet's blue is the darkest.
            (None, Some(given)) if channels == 3 && given.mean[0] < given.mean[2] => {
                return Err(shapes.untold(
                    "whether red or blue comes first, and its mean looks like blue",
                    "--set detectron2.channel_order=rgb, or bgr",
                ));
            }
            (None, _) => {
                if channels == 3 {
                    defaults_used.push("images in RGB".into());
                }
                ChannelOrder::Rgb
            }
        };
        let blue_first = order == ChannelOrder::Bgr;
        let normalization = match given {
            Some(mut given) => {
                if blue_first {
                    given.mean.reverse();
                    given.std.reverse();
                }
                given
            }
            None => {
                let usual = Normalization::usual(channels);
                defaults_used.push(match channels {
                    3 => "images normalized by ImageNet's mean and deviation".into(),
                    _ => format!("images normalized by {:?} and {:?}", usual.mean, usual.std),
                });
                usual
            }
        };
        Ok(Self {
            normalization,
            blue_first,
        })
    }

    /// Turns the patch embedding of a detector that was trained with blue first, so that it takes red first.
    pub(super) fn turn(&self, their_name: &str, weight: &mut Weight) {
        let &[_, channels, rows, columns] = weight.shape.as_slice() else {
            return;
        };
        if !self.blue_first || their_name != PATCHES {
            return;
        }
        let plane = rows * columns;
        for of_an_output in weight.values.chunks_mut((channels * plane).max(1)) {
            let turned: Vec<f32> = of_an_output.rchunks(plane).flatten().copied().collect();
            of_an_output.copy_from_slice(&turned);
        }
    }
}

/// Mean and deviation as older files state them, in their order of channels.
fn stated(shapes: &Shapes<'_>, channels: usize) -> Result<Option<Normalization>, Detectron2Error> {
    if !shapes.has(MEAN) {
        return Ok(None);
    }
    let of = |name: &str| -> Result<Vec<f32>, Detectron2Error> {
        let values = shapes.values(name)?;
        match values.len() == channels {
            true => Ok(values.into_iter().map(|v| v / 255.0).collect()),
            false => Err(shapes.tensor(name, format!("is not of {channels} channels"))),
        }
    };
    let (mean, std) = (of(MEAN)?, of(STD)?);
    Ok(Some(Normalization { mean, std }))
}

fn close(a: &Normalization, b: &Normalization) -> bool {
    let near = |a: &[f32], b: &[f32]| {
        let mut pairs = a.iter().zip(b);
        pairs.all(|(a, b)| f64::from((a - b).abs()) < ROUNDING / 255.0)
    };
    near(&a.mean, &b.mean) && near(&a.std, &b.std)
}
