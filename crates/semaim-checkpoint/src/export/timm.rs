//! Encoders and classifiers for timm: weights and the `config.json` from which `timm.create_model("local-dir:FOLDER")` makes
//! the model and its transform.

use semaim::classifier::Pool;
use semaim::config::{Activation, ArchOptions};
use semaim::parameters::Weights;
use serde_json::{Value, json};

use super::{
    ExportError, ExportFormat, Exported, Head, exported, fill_layer_scale, fold_patch_bias,
    is_square, zeros,
};
use crate::architecture::usual_normalization;
use crate::checkpoint::{Checkpoint, fill_patch_bias, fill_qkv_biases};
use crate::format::CheckpointFormat;

/// timm's plain networks, by the greatest width that is called so; all else is said by arguments.
const NAMED_BY_WIDTH: [(usize, &str); 4] = [
    (192, "vit_tiny_patch16_224"),
    (384, "vit_small_patch16_224"),
    (768, "vit_base_patch16_224"),
    (1024, "vit_large_patch16_224"),
];
const WIDEST: &str = "vit_huge_patch14_224";
/// What transformers calls the epsilon of layer norms, which timm has no name for.
const EPSILON: &str = "layer_norm_eps";
/// The epsilon of layer norms in timm's CLIP towers.
const CLIP_EPSILON: f64 = 1e-5;
/// The share of a resized image that its transform cuts out: it divides by it and cuts to whole pixels, as
/// [`semaim::config::covered`] does; where views are not square it rounds the longer side, which is cut off there.
const CROP_PCT: f64 = 0.875;
/// What timm's LayerScale begins with; any number makes the layer, which then is loaded.
const LAYER_SCALE: f64 = 1e-5;

impl Checkpoint {
    pub(super) fn timm(&self, head: Option<&Head>) -> Result<Exported, ExportError> {
        let mut weights = self.weights.clone();
        weights.remove("mask_token");
        if let Some(head) = head {
            weights.remove("projection.weight");
            if head.pool == Pool::Mean {
                weights.retain(|name, _| !name.starts_with("norm."));
            }
            weights.extend(head.weights.clone());
        }
        // timm's networks with gated layers are made with LayerScale.
        if self.arch.activation == Activation::SwiGlu {
            fill_layer_scale(&mut weights, &self.config);
        }
        // timm's networks with a norm before the first block have no bias in the patch embedding.
        if self.arch.norm_pre {
            fold_patch_bias(&mut weights);
        }
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
        let mut exported = self.in_timms_names(weights);
        let default = ArchOptions::default().epsilon;
        let is_said = self.arch.epsilon == default || self.arch.epsilon == self.timm_epsilon();
        if !is_said {
            exported.notes.push(format!(
                "the layer norms have epsilon {:e}, which timm does not read of the file (`{EPSILON}` in config.json; semaim.load does)",
                self.arch.epsilon
            ));
        }
        if !is_square(self.config.image_size) {
            let note = "views are not square, of which timm rounds the longer side where `semaim` cuts it off: up to a pixel differs";
            exported.notes.push(note.into());
        }
        let channels = self.config.channels;
        if ![1, 3].contains(&channels) {
            exported.notes.push(format!(
                "timm opens images in gray or RGB; of {channels} channels it has to be given tensors"
            ));
        }
        let mut config = self.timm_config(head);
        if !is_said {
            config[EPSILON] = json!(self.arch.epsilon);
        }
        exported.beside = vec![("config.json", config)];
        Ok(exported)
    }

    pub(super) fn mae(&self) -> Result<Exported, ExportError> {
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
        let mut exported = self.in_timms_names(weights);
        self.note_what_is_not_maes(&mut exported);
        Ok(exported)
    }

    /// Says of norms, heads and images what a file without any beside it does not, where they are not as in MAE.
    fn note_what_is_not_maes(&self, exported: &mut Exported) {
        let (format, config) = (CheckpointFormat::Mae, &self.config);
        if self.arch.epsilon != ArchOptions::default().epsilon {
            exported.notes.push(format!(
                "the layer norms have epsilon {:e}, which the file does not say",
                self.arch.epsilon
            ));
        }
        if format.heads(config.embed_dim) != Some(config.num_heads) {
            exported.notes.push(format!(
                "the network has {} heads, which the file does not say",
                config.num_heads
            ));
        }
        if self.normalization != usual_normalization(format, config.channels) {
            exported.notes.push(format!(
                "images are normalized with mean {:?}, deviation {:?}, which the file does not say",
                self.normalization.mean, self.normalization.std
            ));
        }
    }

    /// With the biases that these networks always have.
    fn in_timms_names(&self, mut weights: Weights) -> Exported {
        if !self.arch.norm_pre {
            fill_patch_bias(&mut weights, &self.config);
        }
        fill_qkv_biases(&mut weights, &self.config);
        exported(weights)
    }

    /// The epsilon of layer norms that the [architecture](Self::timm_architecture) has without arguments.
    fn timm_epsilon(&self) -> f64 {
        let gated = self.arch.activation == Activation::SwiGlu;
        match self.arch.norm_pre && !gated {
            true => CLIP_EPSILON,
            false => ArchOptions::default().epsilon,
        }
    }

    /// The model's name, its arguments and its transform as timm's hub keeps them.
    fn timm_config(&self, head: Option<&Head>) -> Value {
        let config = &self.config;
        let outputs = head.map(|head| head.classes.len());
        let outputs = outputs.or(self.arch.projection).unwrap_or(0);
        let averaged = head.is_some_and(|head| head.pool == Pool::Mean);
        let pool = if averaged { "avg" } else { "token" };
        let mut json = json!({
            "architecture": self.timm_architecture(),
            "num_classes": outputs,
            "num_features": config.embed_dim,
            "global_pool": pool,
            "model_args": {
                "img_size": config.image_size,
                "patch_size": config.patch_size,
                "in_chans": config.channels,
                "embed_dim": config.embed_dim,
                "depth": config.depth,
                "num_heads": config.num_heads,
                "mlp_ratio": self.timm_mlp_ratio(),
                "reg_tokens": self.arch.registers,
                "no_embed_class": self.arch.registers > 0,
                "pre_norm": self.arch.norm_pre,
                "global_pool": pool,
                "fc_norm": averaged,
            },
            "pretrained_cfg": {
                "input_size": [config.channels, config.image_size[0], config.image_size[1]],
                "fixed_input_size": true,
                "interpolation": "bicubic",
                "crop_pct": CROP_PCT,
                "crop_mode": "center",
                "mean": self.normalization.mean,
                "std": self.normalization.std,
                "num_classes": outputs,
                "pool_size": null,
                "first_conv": "patch_embed.proj",
                "classifier": "head",
            },
        });
        if let Some(head) = head {
            json["label_names"] = json!(head.classes);
        }
        let args = &mut json["model_args"];
        // What is left out is as the architecture has it.
        if self.layer_scale() {
            args["init_values"] = json!(LAYER_SCALE);
        }
        if self.arch.activation == Activation::QuickGelu {
            args["act_layer"] = json!("quick_gelu");
        }
        let epsilon = self.arch.epsilon;
        if epsilon != self.timm_epsilon() && epsilon == ArchOptions::default().epsilon {
            args["norm_layer"] = json!("layernorm");
        }
        json
    }

    /// A network of timm's that differs from this one in nothing but arguments.
    fn timm_architecture(&self) -> &'static str {
        match (self.arch.activation, self.arch.norm_pre) {
            (Activation::SwiGlu, _) if self.arch.registers > 0 => "vit_giant_patch14_reg4_dinov2",
            (Activation::SwiGlu, _) => "vit_giant_patch14_dinov2",
            (Activation::QuickGelu, true) => "vit_base_patch16_clip_quickgelu_224",
            (Activation::Gelu, true) => "vit_base_patch16_clip_224",
            (_, false) => {
                let wide = |(width, _): &&(usize, &str)| self.config.embed_dim <= *width;
                NAMED_BY_WIDTH
                    .iter()
                    .find(wide)
                    .map_or(WIDEST, |(_, name)| name)
            }
        }
    }

    /// Units of an MLP's hidden layer over the width. timm cuts the product to a whole number: half a unit more is no unit.
    fn timm_mlp_ratio(&self) -> f64 {
        let gates = match self.arch.activation {
            // The two halves of a gated layer are one.
            Activation::SwiGlu => 2,
            Activation::Gelu | Activation::QuickGelu => 1,
        };
        let (hidden, width) = (gates * self.config.mlp_dim(), self.config.embed_dim);
        match hidden % width {
            0 => (hidden / width) as f64,
            _ => (hidden as f64 + 0.5) / width as f64,
        }
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
