//! Settings that have no part in what a run learns, though each of them is allowed.

use semaim::config::DecoderWeights;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    DataConfig, DataNames, Method, OptimizerConfig, OrderSource, PretrainConfig, TargetKind,
};
use crate::schedule::ScheduleKind;

/// Settings of the query stream; others of `decoder` are refused where there is none.
const DECODER: &[&str] = &["decoder.query_depth", "decoder.weights", "decoder.head"];
const MAE: &[&str] = &[
    "mae.mask_ratio",
    "mae.decoder_dim",
    "mae.decoder_depth",
    "mae.decoder_heads",
];
const ORDER: &[&str] = &["order.kind", "order.similarity", "order.source"];
const PIXELS: &[&str] = &[
    "target.blur_size",
    "target.blur_sigma",
    "target.normalize",
    "target.loss",
];
const ENCODER: &[&str] = &[
    "encoder.layout",
    "encoder.num_heads",
    "encoder.activation",
    "encoder.allow_partial",
    "encoder.image_size",
];
const TEACHER: &[&str] = &[
    "teacher.weights",
    "teacher.layout",
    "teacher.num_heads",
    "teacher.activation",
    "teacher.allow_partial",
    "teacher.image_size",
    "teacher_cache",
];
const EMA: &[&str] = &["train.ema_decay", "train.ema_epochs"];

/// The value at a dotted key of a configuration as JSON.
pub fn setting<'a>(config: &'a Value, key: &str) -> Option<&'a Value> {
    config.pointer(&format!("/{}", key.replace('.', "/")))
}

/// Keys of settings, and why training does not look at them.
pub type Unused = (&'static [&'static str], &'static str);

/// The keys of those settings that are not at their defaults, each with the reason.
pub fn unused_of_own<C: Serialize + Default>(
    config: &C,
    unused: Vec<Unused>,
) -> Vec<(&'static str, &'static str)> {
    let (own, default) = (json!(config), json!(C::default()));
    let keys = unused
        .into_iter()
        .flat_map(|(keys, why)| keys.iter().map(move |&key| (key, why)));
    keys.filter(|(key, _)| setting(&own, key) != setting(&default, key))
        .collect()
}

impl OptimizerConfig {
    /// What the schedule does not look at.
    pub fn unused(&self) -> Vec<Unused> {
        let mut all: Vec<Unused> = Vec::new();
        if self.schedule != ScheduleKind::Steps {
            all.push((&["optimizer.gamma"], "optimizer.schedule is not `steps`"));
        }
        if self.schedule != ScheduleKind::Polynomial {
            let why = "optimizer.schedule is not `polynomial`";
            all.push((&["optimizer.power"], why));
        }
        if self.warmup_epochs == 0.0 {
            let why = "optimizer.warmup_epochs is 0";
            all.push((&["optimizer.warmup_start"], why));
        }
        all
    }
}

impl DataConfig {
    /// How many images are generated, where none are.
    pub fn unused(&self) -> Vec<Unused> {
        let are_generated =
            |names: &DataNames| names.as_slice().iter().any(|name| name == "shapes");
        let evaluated = match self.eval.is_empty() {
            true => &self.path,
            false => &self.eval,
        };
        // kNN of generated images searches such as well.
        let trained = are_generated(&self.path) || are_generated(&self.eval);
        unused_counts(trained, are_generated(evaluated))
    }
}

/// The numbers of generated images, where those that are trained on and those that are evaluated are not generated.
pub fn unused_counts(trained: bool, evaluated: bool) -> Vec<Unused> {
    let mut all: Vec<Unused> = Vec::new();
    if !trained {
        let why = "no images to train on are generated";
        all.push((&["data.shapes_count"], why));
    }
    if !evaluated {
        let why = "no images to evaluate on are generated";
        all.push((&["data.shapes_eval_count"], why));
    }
    all
}

impl PretrainConfig {
    /// The keys of settings that are not at their defaults and that training does not look at, each with the reason. (Pictures may:
    /// those of similarity follow `order.similarity` whatever gives the order.)
    pub fn unused(&self) -> Vec<(&'static str, &'static str)> {
        let mut all = self.optimizer.unused();
        match (self.method, self.order_source()) {
            (Method::Mae, _) => {
                all.push((DECODER, "method is `mae`"));
                all.push((ORDER, "method is `mae`"));
            }
            (Method::Semaim, source) => {
                all.push((MAE, "method is `semaim`"));
                match source {
                    None => all.push((
                        &["order.similarity", "order.source"],
                        "order.kind follows no similarity",
                    )),
                    Some(OrderSource::Maps | OrderSource::Masks) => {
                        all.push((&["order.similarity"], "order.source gives the similarity"));
                    }
                    Some(OrderSource::Teacher) => {
                        all.push((&["order.similarity"], "a teacher's is by its class token"));
                    }
                    Some(OrderSource::Model | OrderSource::Ema) => {}
                }
            }
        }
        if self.target.kind != TargetKind::Pixels {
            all.push((PIXELS, "target.kind is not `pixels`"));
        } else if self.target.blur_size == 0 {
            all.push((&["target.blur_sigma"], "target.blur_size is 0"));
        }
        if self.model.depth == 1 {
            let why = "model.depth is 1, and the first block is never left out";
            all.push((&["train.drop_path"], why));
        }
        if !self.train.ema {
            all.push((EMA, "train.ema is false"));
        }
        if !self.needs_teacher() {
            let why = "neither order.source nor target.kind is `teacher`";
            all.push((TEACHER, why));
        }
        if !self.encoder.is_named() {
            all.push((ENCODER, "there are no weights to start from (--init)"));
        } else {
            let why = "but for a position table that does not tell its own size: images are of model.image_size";
            all.push((&["encoder.image_size"], why));
        }
        if self.decoder.weights == DecoderWeights::Shared {
            all.push((&["query_start"], "decoder.weights is `shared`"));
        }
        if self.train.freeze_blocks > 0 {
            let why = "train.freeze_blocks leaves the position table as it is";
            all.push((&["positions"], why));
        }
        all.extend(self.data.unused());
        unused_of_own(self, all)
    }
}

#[cfg(test)]
mod tests {
    use semaim_config::Layers;

    use super::*;

    fn unused(settings: &[&str]) -> Vec<&'static str> {
        let layers = Layers::new().sets(settings).unwrap();
        let config: PretrainConfig = layers.load().unwrap();
        config.unused().into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn what_a_run_does_not_look_at_is_named() {
        assert_eq!(unused(&[]), [""; 0]);
        let all = [
            "method=mae",
            "mae.decoder_dim=64",
            "mae.decoder_heads=2",
            "decoder.head=linear",
            "decoder.query_depth=1",
            "order.kind=raster",
            "order.similarity=gap",
        ];
        let queries = ["decoder.query_depth", "decoder.head"];
        assert_eq!(
            unused(&all),
            [&queries[..], &["order.kind", "order.similarity"]].concat()
        );
        assert_eq!(
            unused(&all[1..]),
            ["mae.decoder_dim", "mae.decoder_heads", "order.similarity"]
        );
        let gap = "order.similarity=gap";
        assert_eq!(unused(&[gap]), [""; 0]);
        assert_eq!(unused(&[gap, "order.source=masks"]), ["order.similarity"]);
        let teacher = ["teacher.weights=t.safetensors", "order.source=teacher"];
        assert_eq!(unused(&teacher), [""; 0]);
        assert_eq!(unused(&[gap, teacher[0], teacher[1]]), ["order.similarity"]);
        assert_eq!(unused(&teacher[..1]), ["teacher.weights"]);
        assert_eq!(
            unused(&["target.loss=l1", "target.kind=self"]),
            ["target.loss"]
        );
        assert_eq!(unused(&["train.ema_epochs=3"]), ["train.ema_epochs"]);
        assert_eq!(unused(&["train.ema_epochs=3", "train.ema=true"]), [""; 0]);
    }

    #[test]
    fn what_nothing_reads_in_a_run_of_its_kind_is_named() {
        let all = ["encoder.image_size", "teacher.num_heads"];
        let (size, heads) = ("encoder.image_size=32", "teacher.num_heads=3");
        assert_eq!(unused(&[size, heads]), [all[1], all[0]]);
        let read = [
            "encoder.weights=e.safetensors",
            "teacher.weights=t.safetensors",
            "order.source=teacher",
        ];
        // What the run starts from has the size of its images.
        assert_eq!(
            unused(&[&read[..], &[size, heads]].concat()),
            ["encoder.image_size"]
        );
        assert_eq!(
            unused(&["teacher.image_size=32", "teacher.layout=timm"]),
            ["teacher.layout", "teacher.image_size"]
        );
        let start = "optimizer.warmup_start=0.5";
        assert_eq!(unused(&[start]), [""; 0]);
        assert_eq!(
            unused(&[start, "optimizer.warmup_epochs=0"]),
            ["optimizer.warmup_start"]
        );
        let trained = "positions=trained";
        assert_eq!(unused(&[trained]), [""; 0]);
        assert_eq!(unused(&[trained, "train.freeze_blocks=1"]), ["positions"]);
        assert_eq!(unused(&["train.freeze_blocks=1"]), [""; 0]);
    }

    #[test]
    fn numbers_of_generated_images_are_of_use_where_there_are_such() {
        let counts = ["data.shapes_count=7", "data.shapes_eval_count=8"];
        let with = |settings: &[&str]| unused(&[&counts[..], settings].concat());
        assert_eq!(with(&[]), [""; 0]);
        assert_eq!(
            with(&["data.path=photos"]),
            ["data.shapes_count", "data.shapes_eval_count"]
        );
        assert_eq!(with(&["data.path=photos", "data.eval=shapes"]), [""; 0]);
        assert_eq!(with(&["data.path=[\"photos\",\"shapes\"]"]), [""; 0]);
        assert_eq!(with(&["data.eval=photos"]), ["data.shapes_eval_count"]);
    }

    /// A key that does not exist is at its default everywhere, and would never be named.
    #[test]
    fn the_keys_exist() {
        let config = json!(PretrainConfig::default());
        let rest = [
            "optimizer.gamma",
            "optimizer.power",
            "optimizer.warmup_start",
            "positions",
            "data.shapes_count",
            "data.shapes_eval_count",
        ];
        for key in [DECODER, MAE, ORDER, PIXELS, EMA, ENCODER, TEACHER, &rest].concat() {
            assert!(setting(&config, key).is_some(), "{key}");
        }
    }
}
