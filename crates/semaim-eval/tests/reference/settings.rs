//! From the authors' settings to ours.

use semaim::config::{Decoder, DecoderWeights, Head, SemaimConfig, VitConfig};
use semaim::order::Order;
use semaim::similarity::Similarity;
use semaim::target::{Blur, PixelLoss, PixelTarget, Target};

use crate::Failure;
use crate::recorded::Recorded;

/// Settings of a `step` or `trajectory` file.
pub(crate) struct Settings {
    pub(crate) model: SemaimConfig,
    pub(crate) order: Order,
    pub(crate) similarity: Similarity,
    pub(crate) target: Target,
}

const STEP_KEYS: &[&str] = &[
    "kind",
    "seed",
    "img",
    "patch",
    "dim",
    "depth",
    "heads",
    "query_depth",
    "mlp_ratio",
    "order",
    "attention",
    "head",
    "gk",
    "gs",
    "loss",
    "norm_pix",
    "target",
    "out_dim",
    "n",
];

/// Our name of an order.
pub(crate) fn order(authors_name: &str) -> Result<Order, Failure> {
    Ok(match authors_name {
        "attention_center" => Order::Semantic,
        "attention" => Order::Similarity,
        "attention_guided" => Order::SemanticWindows,
        "zigzag" => Order::Raster,
        "raster" => Order::Snake,
        "stochastic" => Order::Stochastic,
        "center2out" => Order::CenterOut,
        "stochastic_center" => Order::StochasticCenter,
        other => return Err(format!("unknown order `{other}`")),
    })
}

impl Settings {
    /// Reads the settings; `more_keys` are those that the kind of file adds to a step's.
    pub(crate) fn read(file: &Recorded, more_keys: &[&str]) -> Result<Self, Failure> {
        for key in file.keys() {
            if !STEP_KEYS.contains(&key) && !more_keys.contains(&key) {
                return Err(format!("a setting `{key}` that is not handled"));
            }
        }
        let images = &file.array("images")?.shape;
        let &[_, channels, height, width] = images.as_slice() else {
            return Err(format!("images of shape {images:?}"));
        };
        let side: usize = file.number("img")?;
        if side != height {
            return Err(format!("img is {side}, the images are {height} × {width}"));
        }
        let vit = VitConfig {
            image_size: [height, width],
            patch_size: file.number("patch")?,
            channels,
            embed_dim: file.number("dim")?,
            depth: file.number("depth")?,
            num_heads: file.number("heads")?,
            mlp_ratio: match file.optional("mlp_ratio") {
                Some(text) => text.parse().map_err(|_| format!("mlp_ratio `{text}`"))?,
                None => 4.0,
            },
        };
        let decoder = Decoder {
            query_depth: file.number("query_depth")?,
            weights: DecoderWeights::Own,
            head: match file.metadata("head")?.to_uppercase().as_str() {
                "MLP" => Head::Mlp,
                "LINEAR" => Head::Linear,
                other => return Err(format!("unknown head `{other}`")),
            },
            ..Decoder::default()
        };
        let blur = match (file.optional("gk"), file.optional("gs")) {
            (Some(size), Some(sigma)) => Some(Blur {
                size: size.parse().map_err(|_| format!("gk `{size}`"))?,
                sigma: sigma.parse().map_err(|_| format!("gs `{sigma}`"))?,
            }),
            (None, None) => None,
            other => return Err(format!("blur settings {other:?}")),
        };
        let pixels = PixelTarget {
            blur,
            normalize: match file.metadata("norm_pix")?.to_lowercase().as_str() {
                "true" | "1" => true,
                "false" | "0" => false,
                other => return Err(format!("norm_pix `{other}`")),
            },
            loss: match file.metadata("loss")?.to_uppercase().as_str() {
                "L1" => PixelLoss::L1,
                "L2" => PixelLoss::L2,
                other => return Err(format!("unknown loss `{other}`")),
            },
        };
        Ok(Self {
            model: SemaimConfig {
                vit,
                decoder,
                ..SemaimConfig::default()
            },
            order: order(file.metadata("order")?)?,
            similarity: match file.metadata("attention")?.as_str() {
                "cls" => Similarity::Cls,
                "gap" => Similarity::Gap,
                "self" => Similarity::SelfAttention,
                other => return Err(format!("unknown attention `{other}`")),
            },
            target: match feature_target(file)?.as_deref() {
                None => Target::Pixels(pixels),
                Some("clip") => Target::Features {
                    width: file.number("out_dim")?,
                },
                Some(_) => Target::Features {
                    width: file.number("dim")?,
                },
            },
        })
    }
}

/// The feature target of a file, if it has one: `ema`, `dino`, `clip`.
pub(crate) fn feature_target(file: &Recorded) -> Result<Option<String>, Failure> {
    match file.optional("target").map(String::as_str) {
        None | Some("pixels") => Ok(None),
        Some(kind @ ("ema" | "dino" | "clip")) => Ok(Some(kind.to_string())),
        Some(other) => Err(format!("unknown target `{other}`")),
    }
}
