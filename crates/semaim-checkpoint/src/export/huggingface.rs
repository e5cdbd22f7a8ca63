//! Encoders and classifiers for Hugging Face's library: weights, `config.json`, `preprocessor_config.json`.

use semaim::classifier::Pool;
use semaim::config::{Activation, covered};
use semaim::parameters::{Weight, Weights};
use serde_json::{Map, Value, json};

use super::{
    ExportError, ExportFormat, Exported, Head, exported, fill_layer_scale, fold_patch_bias,
    is_square, zeros,
};
use crate::checkpoint::{Checkpoint, fill_patch_bias, fill_qkv_biases};
use crate::format::rule::{Need, Rule};
use crate::format::tables::{HF_CLIP, HF_DINOV2_4, HF_VIT_4};

/// A network of the library's.
struct Network {
    rules: &'static [Rule],
    config: Value,
    /// What stands before the names of its encoder.
    tower: &'static str,
    /// What stands before the names of the final norm.
    norm: &'static str,
    /// Whether its keys have a bias.
    key_bias: bool,
    /// Whether a classifier sees the mean of the patch tokens beside the class token.
    beside_the_mean: bool,
}

impl Network {
    fn of(rules: &'static [Rule], config: Value) -> Self {
        Self {
            rules,
            config,
            tower: "",
            norm: "layernorm.",
            key_bias: true,
            beside_the_mean: false,
        }
    }
}

/// A head `[classes, embed_dim]` for twice the width that does not look at the second half.
fn beside_zeros(weight: &Weight) -> Weight {
    let &[classes, width] = weight.shape.as_slice() else {
        return weight.clone();
    };
    let rows = weight.values.chunks(width.max(1));
    let padding = vec![0.0; width];
    Weight {
        shape: vec![classes, 2 * width],
        values: rows
            .flat_map(|row| row.iter().chain(&padding))
            .copied()
            .collect(),
    }
}

impl Checkpoint {
    pub(super) fn huggingface(&self, head: Option<&Head>) -> Result<Exported, ExportError> {
        let mut weights = self.weights.clone();
        // Networks without a bias compute what networks with a bias of zero do.
        fill_patch_bias(&mut weights, &self.config);
        fill_qkv_biases(&mut weights, &self.config);
        let network = self.network(head, &mut weights)?;
        let gated = self.arch.activation == Activation::SwiGlu;
        let written = self.written(network.rules, &weights)?;
        let mut written: Weights = written
            .into_iter()
            .filter(|(name, _)| network.key_bias || !name.ends_with(".key.bias"))
            .map(|(name, weight)| {
                let name = match gated {
                    true => name
                        .replace(".mlp.fc1.", ".mlp.weights_in.")
                        .replace(".mlp.fc2.", ".mlp.weights_out."),
                    false => name.replace("layernorm.", network.norm),
                };
                let outside = name.starts_with("visual_projection");
                (
                    if outside {
                        name
                    } else {
                        format!("{}{name}", network.tower)
                    },
                    weight,
                )
            })
            .collect();
        let mut config = network.config;
        if let Some(head) = head {
            for part in ["weight", "bias"] {
                let theirs = format!("classifier.{part}");
                let Some(ours) = head.weights.get(&format!("head.{part}")) else {
                    continue;
                };
                let both = network.beside_the_mean && part == "weight";
                let ours = if both {
                    beside_zeros(ours)
                } else {
                    ours.clone()
                };
                written.insert(theirs, ours);
            }
            let names = head.classes.iter().enumerate();
            let by_number = names
                .clone()
                .map(|(n, class)| (n.to_string(), json!(class)));
            config["id2label"] = Value::Object(by_number.collect::<Map<_, _>>());
            let by_name = names.map(|(n, class)| (class.clone(), json!(n)));
            config["label2id"] = Value::Object(by_name.collect::<Map<_, _>>());
        }
        let mut exported = exported(written);
        if !is_square(self.config.image_size) {
            let note = "views are not square, for which transformers resizes images to another size than `semaim` does: it shows less of \
                        them, and vectors differ";
            exported.notes.push(note.into());
        }
        let channels = self.config.channels;
        if channels != 3 {
            exported.notes.push(format!(
                "transformers opens images in RGB; of {channels} channels it has to be given arrays"
            ));
        }
        exported.beside = vec![
            ("config.json", config),
            ("preprocessor_config.json", self.preprocessor()),
        ];
        Ok(exported)
    }

    /// The network of the library's that computes the same. Fills in what it always has.
    fn network(&self, head: Option<&Head>, weights: &mut Weights) -> Result<Network, ExportError> {
        let refused = |what| self.refused(ExportFormat::HuggingFace, what);
        let dinov2 = self.layer_scale()
            || self.arch.registers > 0
            || self.arch.activation == Activation::SwiGlu;
        let pool = head.map(|head| head.pool);
        // These take any position table for a square one: they resize it as if it were, or do not load it.
        let is_square = is_square(self.config.image_size);
        if self.arch.norm_pre {
            if dinov2 {
                return Err(refused("CLIP with LayerScale, registers or SwiGLU"));
            }
            if !is_square {
                return Err(refused("CLIP for images that are not square"));
            }
            fold_patch_bias(weights);
            if head.is_some() {
                return Err(refused("classifier of CLIP's final tokens"));
            }
            return Ok(Network {
                tower: "vision_model.",
                ..Network::of(HF_CLIP, self.clip_config())
            });
        }
        if dinov2 && !is_square {
            return Err(refused("DINOv2 for images that are not square"));
        }
        // A classifier does without the projection.
        if self.arch.projection.is_some() && head.is_none() {
            return Err(refused("projection of tokens but CLIP's"));
        }
        if pool == Some(Pool::Mean) {
            if dinov2 {
                let what = "classifier of averaged tokens with registers, SwiGLU or LayerScale";
                return Err(refused(what));
            }
            if !is_square {
                return Err(refused(
                    "classifier of averaged tokens for images that are not square",
                ));
            }
            for part in ["weight", "bias"] {
                let behind_the_mean = head.and_then(|h| h.weights.get(&format!("fc_norm.{part}")));
                let behind_the_mean =
                    behind_the_mean.map(|norm| (format!("norm.{part}"), norm.clone()));
                weights.extend(behind_the_mean);
            }
            // BEiT with positions as ViT has them. Its keys have no bias: softmax does not see one, which adds the same
            // number to all products of a query.
            return Ok(Network {
                tower: "beit.",
                norm: "pooler.layernorm.",
                key_bias: false,
                ..Network::of(HF_VIT_4, self.beit_config())
            });
        }
        let mut network = match dinov2 {
            true => Network::of(HF_DINOV2_4, self.dinov2_config(weights)?),
            false => Network::of(HF_VIT_4, self.common_config("vit", "ViTModel")),
        };
        if pool.is_some() {
            let (class, tower) = match (dinov2, self.arch.registers) {
                (false, _) => ("ViTForImageClassification", "vit."),
                (true, 0) => ("Dinov2ForImageClassification", "dinov2."),
                (true, _) => (
                    "Dinov2WithRegistersForImageClassification",
                    "dinov2_with_registers.",
                ),
            };
            network.config["architectures"] = json!([class]);
            network.tower = tower;
            network.beside_the_mean = dinov2;
        }
        Ok(network)
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

    /// How images are shown to the encoder. The library knows of short sides alone: for a view that is not square they are so long
    /// that an image of any shape covers it.
    fn preprocessor(&self) -> Value {
        let [height, width] = self.config.image_size;
        let [rows, columns] = covered(self.config.image_size);
        json!({
            "image_processor_type": "CLIPImageProcessor",
            "do_convert_rgb": self.config.channels == 3,
            "do_resize": true,
            "size": {"shortest_edge": rows.max(columns)},
            "resample": 3,
            "do_center_crop": true,
            "crop_size": {"height": height, "width": width},
            "do_rescale": true,
            "rescale_factor": 1.0 / 255.0,
            "do_normalize": true,
            "image_mean": self.normalization.mean,
            "image_std": self.normalization.std,
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

    fn beit_config(&self) -> Value {
        let mut json = self.common_config("beit", "BeitForImageClassification");
        json["use_absolute_position_embeddings"] = json!(true);
        json["use_relative_position_bias"] = json!(false);
        json["use_shared_relative_position_bias"] = json!(false);
        json["use_mask_token"] = json!(false);
        json["use_mean_pooling"] = json!(true);
        json["layer_scale_init_value"] = json!(0.0);
        json["drop_path_rate"] = json!(0.0);
        json
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
        fill_layer_scale(weights, config);
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
