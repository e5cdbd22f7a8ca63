//! Kind `trajectory`: several optimizer steps.

use burn::module::Module;
use burn::tensor::Tensor;
use semaim::order::PredictionOrder;
use semaim::parameters::weights;
use semaim::vit::ForwardOptions;
use semaim_train::ema;
use semaim_train::gradients::{Gradients, clip_factor};
use semaim_train::optimizer::{Optimizer, UpdateRule};
use semaim_train::param_groups::ParamGroups;
use semaim_train::schedule::{Decay, EmaDecay, LrSchedule};

use crate::Failure;
use crate::compare::{Comparisons, Tolerance, largest, values};
use crate::recorded::Recorded;
use crate::settings::{Settings, feature_target};
use crate::step::{model, noise_of};

const KEYS: &[&str] = &[
    "steps",
    "clip_grad",
    "lr",
    "min_lr",
    "warmup_epochs",
    "epochs",
    "iterations_per_epoch",
    "weight_decay",
    "betas",
    "eps",
    "use_ema",
];

pub(crate) fn check(file: &Recorded) -> Result<usize, Failure> {
    let device = crate::device();
    let settings = Settings::read(file, KEYS)?;
    let by_copy = match feature_target(file)?.as_deref() {
        None => false,
        Some("ema") => true,
        Some(other) => return Err(format!("a trajectory with target {other}")),
    };
    let prefix = if file.under("model.").is_empty() {
        "start."
    } else {
        "model."
    };
    let mut model = model(file, prefix, &settings, &device)?;
    let mut copy = match file.optional("use_ema").map(String::as_str) {
        None | Some("False" | "false") => None,
        Some("True" | "true") => Some(model.clone()),
        Some(other) => return Err(format!("use_ema `{other}`")),
    };
    let schedule = LrSchedule {
        extended_to: Vec::new(),
        decay: Decay::Cosine,
        peak: file.number("lr")?,
        min: file.number("min_lr")?,
        warmup_epochs: file.number("warmup_epochs")?,
        warmup_start: 0.0,
        epochs: file.number("epochs")?,
    };
    let betas = file.metadata("betas")?;
    let parsed: Vec<f64> = betas
        .trim_matches(['(', ')', '[', ']'])
        .split(',')
        .filter_map(|b| b.trim().parse().ok())
        .collect();
    let &[beta1, beta2] = parsed.as_slice() else {
        return Err(format!("betas `{betas}`"));
    };
    let param_groups = ParamGroups::pretrain(file.number("weight_decay")?);
    let rule = UpdateRule::AdamW {
        betas: [beta1, beta2],
        epsilon: file.number("eps")?,
    };
    let mut optimizer = Optimizer::new(rule, param_groups);
    let max_norm: Option<f64> = match file.optional("clip_grad") {
        Some(text) => Some(text.parse().map_err(|_| format!("clip_grad `{text}`"))?),
        None => None,
    };
    let per_epoch: u64 = file.number("iterations_per_epoch")?;
    let steps: usize = file.number("steps")?;
    let batch: usize = file.number("n")?;
    let images: Tensor<4> = file.array("images")?.tensor(&device)?;
    let batches = images.dims()[0] / batch;
    let losses = file.array("losses")?.values.clone();
    let norms = file.array("grad_norms")?.values.clone();
    let rates = file.array("learning_rates")?.values.clone();
    if [losses.len(), norms.len(), rates.len()] != [steps; 3] || batches == 0 {
        return Err(format!(
            "{steps} steps, but {} losses and {batches} batches",
            losses.len()
        ));
    }
    let prediction_order = PredictionOrder::new(settings.order, settings.model.vit.grid(), &device);
    let mut compare = Comparisons::default();
    let close = Tolerance::relative(1e-3);

    for step in 0..steps {
        let images = images.clone().narrow(0, step % batches * batch, batch);
        let axis = |name: &str| match file.tensors.get(name) {
            Some(array) => array.row(step).as_f32(),
            None => vec![0.0; batch],
        };
        let patch_noise = match file.tensors.get("order.noise") {
            Some(array) => array.row(step).as_f32(),
            None => vec![0.0; batch * settings.model.vit.grid().patches()],
        };
        let noise = noise_of(
            patch_noise,
            axis("order.noise1"),
            axis("order.noise2"),
            &device,
        )?;
        // The copy gives order and target, where there are feature targets; otherwise the model gives the order.
        let looking = match (&copy, by_copy) {
            (Some(copy), true) => copy,
            (None, true) => return Err("target ema without use_ema".into()),
            _ => &model,
        };
        let patch_size = settings.model.vit.patch_size;
        let (tokens, similarity) = settings
            .similarity
            .with_tokens(&looking.encoder, images.clone());
        let keys = prediction_order.rank_keys(Some(similarity), &noise);
        let targets = match settings.target.of_images(images.clone(), patch_size) {
            Some(targets) => targets,
            None => tokens.narrow(1, 1, settings.model.vit.grid().patches()),
        };
        let tracked = model.clone().train();
        let (images, keys) = (Tensor::from_inner(images), Tensor::from_inner(keys));
        let targets = Tensor::from_inner(targets);
        let output = tracked.forward(
            images,
            keys,
            None,
            targets,
            &settings.target,
            ForwardOptions::default(),
        );
        let output = output.map_err(|e| e.to_string())?;
        let loss = values(output.loss.clone().inner())?;
        compare.slice(
            &format!("loss of step {step}"),
            &loss,
            &losses[step..=step],
            close,
        )?;
        let gradients = Gradients::of(&tracked, output.loss.backward());
        let norm = gradients.norm().map_err(|e| e.to_string())?;
        compare.slice(
            &format!("gradient norm of step {step}"),
            &[norm],
            &norms[step..=step],
            close,
        )?;
        let factor = max_norm.map_or(1.0, |max_norm| clip_factor(norm, max_norm));
        let lr = schedule.at(step as f64 / per_epoch as f64);
        let rate_tolerance = Tolerance::relative(1e-9);
        compare.slice(
            &format!("learning rate of step {step}"),
            &[lr],
            &rates[step..=step],
            rate_tolerance,
        )?;
        optimizer.step(&mut model, gradients, factor, lr);
        if let Some(copy) = &mut copy {
            ema::update(
                copy,
                &model,
                EmaDecay::PUBLISHED.at(step as u64 / per_epoch),
                None,
            );
        }
    }

    let peak = largest(&rates);
    compare_weights(&mut compare, "final.", &model, file, peak)?;
    match (copy, file.under("ema.").is_empty()) {
        (Some(copy), _) => compare_weights(&mut compare, "ema.", &copy, file, peak)?,
        (None, true) => {}
        (None, false) => return Err("an EMA copy is recorded, but use_ema is not set".into()),
    }
    Ok(compare.count)
}

fn compare_weights<M: Module>(
    compare: &mut Comparisons,
    prefix: &str,
    model: &M,
    file: &Recorded,
    peak_lr: f64,
) -> Result<(), Failure> {
    let ours = weights(model).map_err(|e| e.to_string())?;
    let recorded = file.under(prefix);
    if recorded.is_empty() {
        return Err(format!("no `{prefix}*` is recorded"));
    }
    for (name, expected) in recorded {
        let Some(weight) = ours.get(&name) else {
            continue;
        };
        // Adam divides a gradient by its own size, so one that is zero but for rounding (a bias on keys) moves
        // its weight by up to the learning rate in a direction that is chance.
        let is_key_bias = name.ends_with("attn.k.bias") || name.ends_with("attn.qkv.bias");
        let absolute = if is_key_bias {
            24.0 * peak_lr
        } else {
            0.05 * peak_lr
        };
        let tolerance = Tolerance {
            relative: 1e-3,
            absolute,
        };
        let found: Vec<f64> = weight.values.iter().map(|&v| f64::from(v)).collect();
        compare.slice(
            &format!("{prefix}{name}"),
            &found,
            &expected.values,
            tolerance,
        )?;
    }
    Ok(())
}
