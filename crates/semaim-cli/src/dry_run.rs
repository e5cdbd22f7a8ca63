//! `--dry-run`: what a run would be.

use std::process::ExitCode;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use semaim::classifier::Pool;
use semaim::parameters::{NamedVisitor, visit_named};
use semaim_config::to_toml;
use semaim_data::{Source, counted};
use semaim_detect::names;
use semaim_eval::detect;
use semaim_eval::detect::config::DetectConfig;
use semaim_eval::detect::memory::DetectMemory;
use semaim_eval::finetune::Prepared;
use semaim_eval::finetune::config::FinetuneConfig;
use semaim_eval::segment::config::SegmentConfig;
use semaim_eval::segment::memory::SegmentMemory;
use semaim_eval::segment::{self, Caching};
use semaim_kernels::Kernels;
use semaim_train::config::{PretrainConfig, RunSettings};
use semaim_train::memory::Memory;
use semaim_train::param_groups::layer;
use serde_json::json;

use crate::bar;
use crate::exit::Exit;

/// Prints what a run would be.
pub(crate) fn print(
    config: &PretrainConfig,
    teacher: Option<usize>,
    source: &dyn Source,
    steps_per_epoch: u64,
    kernels: Kernels,
    as_json: bool,
) -> Result<ExitCode, Exit> {
    let text = to_toml(config)?;
    let (data, images) = (&source.describe(), source.len());
    let parameters = config.parameters(teacher);
    let memory = Memory::estimate(config, teacher, kernels);
    let steps = steps_per_epoch * config.train.total_epochs();
    if as_json {
        let value = json!({
            "config": text,
            "data": data,
            "encoder_parameters": parameters.encoder,
            "decoder_parameters": parameters.decoder,
            "memory_bytes": memory.total(),
            "steps_per_epoch": steps_per_epoch,
            "steps": steps,
        });
        println!("{value}");
        return Ok(ExitCode::SUCCESS);
    }
    let parameters = format!(
        "{:.2} M in the encoder, {:.2} M in the decoder",
        parameters.encoder as f64 / 1e6,
        parameters.decoder as f64 / 1e6
    );
    print!("{text}");
    print_run(&config.run(), data, &parameters, memory, steps_per_epoch);
    if let Some(few) = config.run().few_steps(images) {
        println!("# warning          {few}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what fine-tuning would be.
pub(crate) fn finetuning(
    config: &FinetuneConfig,
    prepared: &Prepared,
    steps_per_epoch: u64,
    kernels: Kernels,
    as_json: bool,
) -> Result<(), Exit> {
    let text = to_toml(config)?;
    let (encoder, sets) = (prepared.encoder(), prepared.sets());
    let classes = sets.train.source.classes().len();
    let width = encoder.config.embed_dim;
    // A classifier is without the encoder's projection, and has a norm behind the mean of the patch tokens.
    let projection = encoder.vit.projection.as_ref();
    let projection = projection.map_or(0, Module::num_params);
    let norm = match config.pool {
        Pool::Mean => 2 * width,
        Pool::Cls => 0,
    };
    let head = (width + 1) * classes;
    let parameters = (encoder.vit.num_params() - projection + norm + head) as u64;
    let memory = Memory::finetuning(
        &encoder.config,
        parameters,
        config.train.micro_batch(),
        config.train.recompute,
        kernels,
    );
    let images = sets.train.items.len();
    if as_json {
        let value = json!({
            "config": text,
            "data": sets.train.source.describe(),
            "parameters": parameters,
            "memory_bytes": memory.total(),
            "steps_per_epoch": steps_per_epoch,
            "steps": steps_per_epoch * config.train.total_epochs(),
        });
        println!("{value}");
        return Ok(());
    }
    let data = format!(
        "{images} images of {classes} classes to train on, {} to test",
        sets.test.items.len()
    );
    let parameters = format!("{:.2} M", parameters as f64 / 1e6);
    print!("{text}");
    print_run(&config.run(), &data, &parameters, memory, steps_per_epoch);
    if let Some(few) = config.run().few_steps(images) {
        println!("# warning          {few}");
    }
    Ok(())
}

/// A run that trains an encoder with heads on it.
struct DenseRun<'a> {
    /// All settings.
    text: String,
    run: RunSettings<'a>,
    train: &'a dyn Source,
    /// Images to evaluate.
    eval: usize,
    /// All weights, those of the encoder, and those that do not learn.
    parameters: [u64; 3],
    memory: Memory,
    steps_per_epoch: u64,
    seconds_per_step: f64,
    /// On how many images that was measured.
    measured_on: &'a str,
}

impl DenseRun<'_> {
    fn print(&self, as_json: bool) {
        let [all, encoder, frozen] = self.parameters;
        let steps = self.steps_per_epoch * self.run.train.total_epochs();
        if as_json {
            let value = json!({
                "config": self.text,
                "data": self.train.describe(),
                "parameters": all,
                "parameters_trained": all - frozen,
                "memory_bytes": self.memory.total(),
                "steps_per_epoch": self.steps_per_epoch,
                "steps": steps,
                "seconds_per_step": self.seconds_per_step,
            });
            println!("{value}");
            return;
        }
        let data = format!("{}; {} to evaluate", self.train.describe(), self.eval);
        let parameters = format!(
            "{:.2} M, {:.2} M of them in the encoder{}",
            all as f64 / 1e6,
            encoder as f64 / 1e6,
            match frozen {
                0 => String::new(),
                frozen if frozen == encoder => " (frozen)".into(),
                frozen => format!(" ({:.2} M frozen)", frozen as f64 / 1e6),
            }
        );
        print!("{}", self.text);
        print_run(
            &self.run,
            &data,
            &parameters,
            self.memory,
            self.steps_per_epoch,
        );
        println!(
            "# time             about {:.2} s per step, {} in all without evaluations; measured with {}",
            self.seconds_per_step,
            bar::duration(self.seconds_per_step * steps as f64),
            self.measured_on
        );
        if let Some(few) = self.run.few_steps(self.train.len()) {
            println!("# warning          {few}");
        }
    }
}

/// Numbers in weights that stay as they are: those of the encoder, where `all` of it does, or those in its embedding and first
/// `blocks` blocks. `layer` gives the layer of a weight by its name.
fn frozen<M: Module, E: Module>(
    model: &M,
    encoder: &E,
    all: bool,
    blocks: usize,
    layer: impl Fn(&str) -> usize,
) -> u64 {
    struct Count<F> {
        is_frozen: F,
        numbers: usize,
    }
    impl<F: Fn(&str) -> bool> NamedVisitor for Count<F> {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
            if (self.is_frozen)(name) {
                self.numbers += param.val().dims().iter().product::<usize>();
            }
        }
    }
    if all {
        return encoder.num_params() as u64;
    }
    let mut count = Count {
        // As training freezes them: the embedding learns where no block is frozen.
        is_frozen: |name: &str| blocks > 0 && layer(name) <= blocks,
        numbers: 0,
    };
    visit_named(model, &mut count);
    count.numbers as u64
}

/// What an estimate adds for weights that stay as they are in an encoder that learns otherwise: it takes one with frozen weights to
/// keep nothing for the backward pass.
fn beside(memory: Memory, frozen: u64) -> Memory {
    Memory {
        state: memory.state + 4 * frozen,
        ..memory
    }
}

/// Prints what the training of a detector would be.
pub(crate) fn detection(
    config: &DetectConfig,
    prepared: &detect::Prepared,
    steps_per_epoch: u64,
    device: &Device,
    kernels: Kernels,
    as_json: bool,
) -> Result<(), Exit> {
    let model = prepared.model();
    let (all, encoder) = (
        model.num_params() as u64,
        model.backbone.num_params() as u64,
    );
    let (blocks, depth) = (config.train.freeze_blocks, prepared.encoder().config.depth);
    let layer = |name: &str| names::layer(name, depth);
    let frozen = frozen(model, &model.backbone, config.freeze, blocks, layer);
    let without_graph = if config.freeze { frozen } else { 0 };
    let memory = DetectMemory {
        trained: all - frozen,
        frozen: without_graph,
        micro_batch: config.train.micro_batch(),
        recompute: config.train.recompute,
        kernels,
    };
    DenseRun {
        text: to_toml(config)?,
        run: config.run(),
        train: &**prepared.train(),
        eval: prepared.eval().len(),
        parameters: [all, encoder, frozen],
        memory: beside(
            memory.estimate(&prepared.encoder().config, model.config()),
            frozen - without_graph,
        ),
        steps_per_epoch,
        seconds_per_step: detect::time_of_step(config, prepared, device)?.as_secs_f64(),
        measured_on: "one image",
    }
    .print(as_json);
    Ok(())
}

/// Prints what the training of a segmenter would be.
pub(crate) fn segmentation(
    config: &SegmentConfig,
    prepared: &segment::Prepared,
    steps_per_epoch: u64,
    device: &Device,
    kernels: Kernels,
    as_json: bool,
) -> Result<(), Exit> {
    let model = prepared.model();
    let (all, encoder) = (model.num_params() as u64, model.encoder.num_params() as u64);
    let (blocks, depth) = (config.train.freeze_blocks, prepared.encoder().config.depth);
    let layer = |name: &str| layer(name, depth);
    let frozen = frozen(model, &model.encoder, config.freeze, blocks, layer);
    let without_graph = if config.freeze { frozen } else { 0 };
    let (cached, measured_on) = match prepared.caching() {
        Caching::Once(bytes) => (
            *bytes,
            "two images that the encoder sees for the first time",
        ),
        Caching::NotFrozen | Caching::Every(_) => (0, "two images"),
    };
    let memory = SegmentMemory {
        trained: all - frozen,
        frozen: without_graph,
        micro_batch: config.train.micro_batch(),
        recompute: config.train.recompute,
        kernels,
        cached,
    };
    DenseRun {
        text: to_toml(config)?,
        run: config.run(),
        train: &**prepared.train(),
        eval: prepared.eval().len(),
        parameters: [all, encoder, frozen],
        memory: beside(
            memory.estimate(&prepared.encoder().config, model.config()),
            frozen - without_graph,
        ),
        steps_per_epoch,
        seconds_per_step: segment::time_of_step(config, prepared, device)?.as_secs_f64(),
        measured_on,
    }
    .print(as_json);
    match prepared.caching() {
        Caching::NotFrozen => {}
        _ if as_json => {}
        Caching::Once(bytes) => println!(
            "# frozen encoder   sees each image once; what it gives is kept in {:.2} GB",
            *bytes as f64 / 1e9
        ),
        Caching::Every(why) => println!("# frozen encoder   sees every view anew: {why}"),
    }
    Ok(())
}

fn print_run(
    run: &RunSettings<'_>,
    data: &str,
    parameters: &str,
    memory: Memory,
    steps_per_epoch: u64,
) {
    println!();
    println!("# data             {data}");
    println!("# parameters       {parameters}");
    println!(
        "# memory           about {:.2} GB: {:.2} GB weights, gradients and optimizer, {:.2} GB activations of {}",
        memory.total() as f64 / 1e9,
        memory.state as f64 / 1e9,
        memory.activations as f64 / 1e9,
        counted(run.train.micro_batch(), "image")
    );
    let steps = steps_per_epoch * run.train.total_epochs();
    println!("# steps            {steps_per_epoch} per epoch, {steps} in all");
    let lr = run.lr_schedule();
    println!(
        "# learning rate    {:.3e} at its peak, for batches of {}",
        lr.peak, run.train.batch_size
    );
}

#[cfg(test)]
mod tests {
    use semaim::config::VitConfig;
    use semaim::parameters::flat_weights;
    use semaim::vit::Vit;

    use super::*;

    #[test]
    fn the_embedding_and_the_first_blocks_are_counted_as_frozen() {
        let config = VitConfig::tiny();
        let vit = Vit::zeros(&config, &Device::flex());
        let all = vit.num_params() as u64;
        let of = |part: &str| -> u64 {
            let weights = flat_weights(&vit).into_iter();
            let weights = weights.filter(|(name, _)| name.starts_with(part));
            let numbers = weights.map(|(_, weight)| weight.shape.iter().product::<usize>());
            numbers.sum::<usize>() as u64
        };
        let count = |all, blocks| frozen(&vit, &vit, all, blocks, |name| layer(name, config.depth));
        assert_eq!((count(true, 0), count(false, 0)), (all, 0));
        assert_eq!(config.depth, 2);
        let (last, norm) = (of("blocks.1."), of("norm."));
        assert!(last > 0 && norm > 0);
        assert_eq!(count(false, 1), all - last - norm);
        assert_eq!(count(false, 2), all - norm);
    }
}
