//! Encoders for other programs: the tables of [`crate::format`] followed the other way.

use std::path::{Path, PathBuf};

use semaim::config::{Activation, ArchOptions, SizeError};
use semaim::parameters::{Weight, Weights};
use semaim::position::resize;
use serde_json::{Value, json};

use crate::atomic;
use crate::checkpoint::{Checkpoint, fill_patch_bias, fill_qkv_biases};
use crate::error::TensorFileError;
use crate::format::rule::{Need, Rule};
use crate::format::tables::{HF_CLIP, HF_DINOV2_4, HF_VIT_4};
use crate::metadata::metadata;
use crate::sidecar::is_a_librarys_name;
use crate::tensors::{Precision, TensorFile};

/// The share of the short side that a view shows.
const SHOWN: f64 = 224.0 / 256.0;

/// For whom an encoder is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// timm's vision transformers.
    Timm,
    /// Hugging Face's library: `ViTModel`, `Dinov2Model`, `Dinov2WithRegistersModel` or `CLIPVisionModel`, whichever
    /// computes the same, with a `config.json` and a `preprocessor_config.json`.
    HuggingFace,
    /// The published masked autoencoders.
    Mae,
    /// Ourselves: sizes in the metadata, everything kept.
    Semaim,
}

impl ExportFormat {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timm => "timm",
            Self::HuggingFace => "huggingface",
            Self::Mae => "mae",
            Self::Semaim => "semaim",
        }
    }
}

/// An encoder as it will be written.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Its tensors with their metadata.
    pub file: TensorFile,
    /// Files to stand beside it, by what libraries call them.
    pub beside: Vec<(&'static str, Value)>,
    /// What the format cannot say of the network, for people to read.
    pub notes: Vec<String>,
}

/// Why an encoder cannot be written in a format.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The format's network does not compute what the encoder does.
    #[error("the format {} has no {what}, which {path} has", format.name())]
    NotInFormat {
        /// The encoder's file.
        path: PathBuf,
        /// The format.
        format: ExportFormat,
        /// What it does not have.
        what: &'static str,
    },
    /// A tensor that cannot be brought into the format.
    #[error("{path}: `{name}` {message}")]
    Tensor {
        /// The encoder's file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// A size of images that the patches do not fill.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// A file was not written.
    #[error(transparent)]
    File(#[from] TensorFileError),
}

impl Checkpoint {
    /// The same encoder for images of another size (height, width): its position table is resized as by
    /// [`semaim::position::resize`].
    ///
    /// # Errors
    /// A size that the patches do not fill.
    pub fn resized(mut self, image_size: [usize; 2]) -> Result<Self, ExportError> {
        let from = self.config.grid();
        self.config.image_size = image_size;
        self.config.validate()?;
        let (to, d) = (self.config.grid(), self.config.embed_dim);
        if let Some(table) = self.weights.get_mut("pos_embed") {
            *table = Weight {
                values: resize(&table.values, d, from, to, self.interpolation),
                shape: vec![1, 1 + to.patches(), d],
            };
        }
        Ok(self)
    }

    /// The encoder in a format.
    ///
    /// # Errors
    /// An encoder that computes what the format's network does not.
    pub fn export(&self, format: ExportFormat) -> Result<Exported, ExportError> {
        match format {
            ExportFormat::Semaim => Ok(Exported {
                file: TensorFile {
                    weights: self.weights.clone(),
                    metadata: metadata(
                        &self.config,
                        &self.arch,
                        &self.normalisation,
                        self.interpolation,
                    ),
                },
                beside: Vec::new(),
                notes: Vec::new(),
            }),
            ExportFormat::Timm => self.timm(),
            ExportFormat::Mae => self.mae(),
            ExportFormat::HuggingFace => self.huggingface(),
        }
    }

    fn refused(&self, format: ExportFormat, what: &'static str) -> ExportError {
        ExportError::NotInFormat {
            path: self.path.clone(),
            format,
            what,
        }
    }

    fn layer_scale(&self) -> bool {
        self.weights.contains_key("blocks.0.ls1.gamma")
    }

    fn timm(&self) -> Result<Exported, ExportError> {
        let mut weights = self.weights.clone();
        weights.remove("mask_token");
        // A network with registers adds positions to patches only: the class token's is added here once and for all.
        if self.arch.registers > 0 {
            fold_class_position(&mut weights);
        }
        // timm keeps CLIP's projection as the head of a classifier.
        if let Some(projection) = weights.remove("projection.weight") {
            let outputs = projection.shape.first().copied().unwrap_or(0);
            weights.insert("head.weight".into(), projection);
            weights.insert("head.bias".into(), zeros(vec![outputs]));
        }
        Ok(self.in_timms_names(weights))
    }

    fn mae(&self) -> Result<Exported, ExportError> {
        let ArchOptions {
            activation,
            registers,
            norm_pre,
            projection,
            epsilon: _,
        } = self.arch;
        let refused = |what| Err(self.refused(ExportFormat::Mae, what));
        if registers > 0 {
            return refused("register tokens");
        }
        if norm_pre {
            return refused("norm before the first block");
        }
        if projection.is_some() {
            return refused("projection of its tokens");
        }
        if self.layer_scale() {
            return refused("LayerScale");
        }
        if activation != Activation::Gelu {
            return refused("activation but GELU");
        }
        let mut weights = self.weights.clone();
        weights.remove("mask_token");
        Ok(self.in_timms_names(weights))
    }

    /// With the biases that these networks always have, and notes of what their files do not say.
    fn in_timms_names(&self, mut weights: Weights) -> Exported {
        if !self.arch.norm_pre {
            fill_patch_bias(&mut weights, &self.config);
        }
        fill_qkv_biases(&mut weights, &self.config);
        let mut exported = exported(weights);
        if self.arch.activation == Activation::QuickGelu {
            let note = "the activation is QuickGELU, which the file does not say";
            exported.notes.push(note.into());
        }
        let usual = match self.arch.norm_pre {
            true => 1e-5,
            false => ArchOptions::default().epsilon,
        };
        if self.arch.epsilon != usual {
            let note = format!(
                "the layer norms have epsilon {:e}, which the file does not say",
                self.arch.epsilon
            );
            exported.notes.push(note);
        }
        exported
    }

    fn huggingface(&self) -> Result<Exported, ExportError> {
        let refused = |what| self.refused(ExportFormat::HuggingFace, what);
        let dinov2 = self.layer_scale()
            || self.arch.registers > 0
            || self.arch.activation == Activation::SwiGlu;
        let mut weights = self.weights.clone();
        // Networks without a bias compute what networks with a bias of zero do.
        fill_patch_bias(&mut weights, &self.config);
        fill_qkv_biases(&mut weights, &self.config);
        let bias = weights.get("patch_embed.proj.bias");
        let bias_is_zero = bias.iter().all(|b| b.values.iter().all(|&v| v == 0.0));
        let (rules, config) = if self.arch.norm_pre {
            if dinov2 {
                return Err(refused("CLIP with LayerScale, registers or SwiGLU"));
            }
            if !bias_is_zero {
                return Err(refused("CLIP with a bias in its patch embedding"));
            }
            (HF_CLIP, self.clip_config())
        } else {
            if self.arch.projection.is_some() {
                return Err(refused("projection of tokens but CLIP's"));
            }
            match dinov2 {
                true => (HF_DINOV2_4, self.dinov2_config(&mut weights)?),
                false => (HF_VIT_4, self.vit_config()),
            }
        };
        let gated = self.arch.activation == Activation::SwiGlu;
        let written = self.written(rules, &weights)?;
        let written = written.into_iter().map(|(name, weight)| {
            let tower = self.arch.norm_pre && !name.starts_with("visual_projection");
            let name = match tower {
                true => format!("vision_model.{name}"),
                false if gated => name
                    .replace(".mlp.fc1.", ".mlp.weights_in.")
                    .replace(".mlp.fc2.", ".mlp.weights_out."),
                false => name,
            };
            (name, weight)
        });
        let mut exported = exported(written.collect());
        exported.beside = vec![
            ("config.json", config),
            ("preprocessor_config.json", self.preprocessor()),
        ];
        Ok(exported)
    }

    /// Tensors under the names of a table.
    fn written(&self, rules: &[Rule], weights: &Weights) -> Result<Weights, ExportError> {
        let mut written = Weights::new();
        for rule in rules {
            let blocks = match rule.is_per_block() {
                true => self.config.depth,
                false => 1,
            };
            for block in 0..blocks {
                let name = rule.our_name(block);
                let wrong = |message: String| ExportError::Tensor {
                    path: self.path.clone(),
                    name: name.clone(),
                    message,
                };
                let Some(weight) = weights.get(&name) else {
                    if rule.need == Need::Required {
                        return Err(wrong("is missing".into()));
                    }
                    continue;
                };
                let parts = rule.write(weight).map_err(wrong)?;
                written.extend(rule.their_names(block).into_iter().zip(parts));
            }
        }
        Ok(written)
    }

    /// How images are shown to the encoder: the short side is resized so that the view shows 224 of 256 pixels, and the
    /// centre is cut out.
    fn preprocessor(&self) -> Value {
        let [height, width] = self.config.image_size;
        let short = short_side(self.config.image_size);
        json!({
            "image_processor_type": "CLIPImageProcessor",
            "do_convert_rgb": true,
            "do_resize": true,
            "size": {"shortest_edge": short},
            "resample": 3,
            "do_center_crop": true,
            "crop_size": {"height": height, "width": width},
            "do_rescale": true,
            "rescale_factor": 1.0 / 255.0,
            "do_normalize": true,
            "image_mean": self.normalisation.mean,
            "image_std": self.normalisation.std,
        })
    }

    /// What the configurations of all networks of Hugging Face's have in common.
    fn common_config(&self, model_type: &str, class: &str) -> Value {
        let config = &self.config;
        let image_size = match config.image_size {
            [height, width] if height == width => json!(height),
            sizes => json!(sizes),
        };
        json!({
            "model_type": model_type,
            "architectures": [class],
            "hidden_size": config.embed_dim,
            "num_hidden_layers": config.depth,
            "num_attention_heads": config.num_heads,
            "intermediate_size": config.mlp_dim(),
            "hidden_act": match self.arch.activation {
                Activation::QuickGelu => "quick_gelu",
                Activation::Gelu | Activation::SwiGlu => "gelu",
            },
            "layer_norm_eps": self.arch.epsilon,
            "image_size": image_size,
            "patch_size": config.patch_size,
            "num_channels": config.channels,
            "qkv_bias": true,
        })
    }

    fn vit_config(&self) -> Value {
        self.common_config("vit", "ViTModel")
    }

    fn clip_config(&self) -> Value {
        let Some(width) = self.arch.projection else {
            return self.common_config("clip_vision_model", "CLIPVisionModel");
        };
        let mut config = self.common_config("clip_vision_model", "CLIPVisionModelWithProjection");
        config["projection_dim"] = json!(width);
        config
    }

    /// Also fills in what these networks always have.
    fn dinov2_config(&self, weights: &mut Weights) -> Result<Value, ExportError> {
        let (config, registers) = (&self.config, self.arch.registers);
        let d = config.embed_dim;
        let gated = self.arch.activation == Activation::SwiGlu;
        let ratio = config.mlp_dim() / d;
        if self.arch.activation == Activation::QuickGelu {
            return Err(self.refused(ExportFormat::HuggingFace, "DINOv2 with QuickGELU"));
        }
        // The library rounds the width of gated layers to a multiple of 8 from two thirds of the ratio, which is 4.
        let hidden = match gated {
            true => (4 * d * 2 / 3).div_ceil(8) * 8,
            false => ratio * d,
        };
        if hidden != config.mlp_dim() {
            return Err(self.refused(
                ExportFormat::HuggingFace,
                "DINOv2 with such a width of its MLP",
            ));
        }
        let ones = || Weight {
            shape: vec![d],
            values: vec![1.0; d],
        };
        for block in 0..config.depth {
            for scale in ["ls1", "ls2"] {
                let name = format!("blocks.{block}.{scale}.gamma");
                weights.entry(name).or_insert_with(ones);
            }
        }
        let mask = weights.entry("mask_token".into());
        mask.or_insert_with(|| zeros(vec![1, 1, d]));
        let mut json = match registers {
            0 => self.common_config("dinov2", "Dinov2Model"),
            _ => self.common_config("dinov2_with_registers", "Dinov2WithRegistersModel"),
        };
        if registers > 0 {
            json["num_register_tokens"] = json!(registers);
        }
        json["mlp_ratio"] = json!(if gated { 4 } else { ratio });
        json["use_swiglu_ffn"] = json!(gated);
        Ok(json)
    }
}

/// What the short side of images is resized to before their centre is cut out, for an encoder of images of a size.
pub fn short_side([height, width]: [usize; 2]) -> usize {
    (height.max(width) as f64 / SHOWN).round() as usize
}

fn exported(weights: Weights) -> Exported {
    let metadata = [("format".to_string(), "pt".to_string())];
    Exported {
        file: TensorFile {
            weights,
            metadata: metadata.into_iter().collect(),
        },
        beside: Vec::new(),
        notes: Vec::new(),
    }
}

fn zeros(shape: Vec<usize>) -> Weight {
    Weight {
        values: vec![0.0; shape.iter().product()],
        shape,
    }
}

/// Adds the class token's row of the position table to the class token, and takes it off the table.
fn fold_class_position(weights: &mut Weights) {
    let Some(table) = weights.get_mut("pos_embed") else {
        return;
    };
    let &[_, places, d] = table.shape.as_slice() else {
        return;
    };
    let row: Vec<f32> = table.values.drain(..d.min(table.values.len())).collect();
    table.shape = vec![1, places.saturating_sub(1), d];
    if let Some(class) = weights.get_mut("cls_token") {
        class
            .values
            .iter_mut()
            .zip(row)
            .for_each(|(value, position)| *value += position);
    }
}

impl Exported {
    /// Writes the file, and what stands beside it: `config.json` beside a `model.safetensors`, `NAME.config.json` beside
    /// any other, so that nothing is said of other files in the folder. Gives the paths beside.
    ///
    /// # Errors
    /// The file system.
    pub fn write(&self, path: &Path, precision: Precision) -> Result<Vec<PathBuf>, ExportError> {
        self.file.write_as(path, precision)?;
        let mut written = Vec::new();
        for (name, content) in &self.beside {
            let beside = match is_a_librarys_name(path) {
                true => path.with_file_name(name),
                false => path.with_extension(name),
            };
            let text = format!("{content:#}\n");
            atomic::write_bytes(&beside, text.as_bytes()).map_err(|source| {
                TensorFileError::Io {
                    action: "writing",
                    path: beside.clone(),
                    source,
                }
            })?;
            written.push(beside);
        }
        Ok(written)
    }
}
