//! `--dry-run`: what a run would be.

use std::process::ExitCode;

use burn::module::Module;
use burn::tensor::Device;
use semaim_config::to_toml;
use semaim_data::{Source, counted};
use semaim_eval::detect::config::DetectConfig;
use semaim_eval::detect::memory::DetectMemory;
use semaim_eval::detect::{self, time_of_step};
use semaim_eval::finetune::Prepared;
use semaim_eval::finetune::config::FinetuneConfig;
use semaim_kernels::Kernels;
use semaim_train::config::{PretrainConfig, RunSettings};
use semaim_train::memory::Memory;
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
    let steps = steps_per_epoch * config.train.epochs;
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
    let parameters = (encoder.vit.num_params() + (encoder.vit.width() + 1) * classes) as u64;
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
            "steps": steps_per_epoch * config.train.epochs,
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

/// Prints what the training of a detector would be.
pub(crate) fn detection(
    config: &DetectConfig,
    prepared: &detect::Prepared,
    steps_per_epoch: u64,
    device: &Device,
    kernels: Kernels,
    as_json: bool,
) -> Result<(), Exit> {
    let text = to_toml(config)?;
    let (train, model) = (prepared.train(), prepared.model());
    let (all, encoder) = (
        model.num_params() as u64,
        model.backbone.num_params() as u64,
    );
    let frozen = if config.freeze { encoder } else { 0 };
    let memory = DetectMemory {
        trained: all - frozen,
        frozen,
        micro_batch: config.train.micro_batch(),
        recompute: config.train.recompute,
        kernels,
    };
    let memory = memory.estimate(&prepared.encoder().config, model.config());
    let time = time_of_step(config, prepared, device)?.as_secs_f64();
    let steps = steps_per_epoch * config.train.epochs;
    if as_json {
        let value = json!({
            "config": text,
            "data": train.describe(),
            "parameters": all,
            "parameters_trained": all - frozen,
            "memory_bytes": memory.total(),
            "steps_per_epoch": steps_per_epoch,
            "steps": steps,
            "seconds_per_step": time,
        });
        println!("{value}");
        return Ok(());
    }
    let data = format!(
        "{}; {} to evaluate",
        train.describe(),
        prepared.eval().len()
    );
    let parameters = format!(
        "{:.2} M, {:.2} M of them the encoder's{}",
        all as f64 / 1e6,
        encoder as f64 / 1e6,
        if config.freeze {
            ", which do not learn"
        } else {
            ""
        }
    );
    print!("{text}");
    print_run(&config.run(), &data, &parameters, memory, steps_per_epoch);
    println!(
        "# time             about {time:.2} s per step, {} in all without evaluations; measured with one image",
        bar::duration(time * steps as f64)
    );
    if let Some(few) = config.run().few_steps(train.len()) {
        println!("# warning          {few}");
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
        "# memory           about {:.2} GB: {:.2} GB weights, gradients and optimiser, {:.2} GB activations of {}",
        memory.total() as f64 / 1e9,
        memory.state as f64 / 1e9,
        memory.activations as f64 / 1e9,
        counted(run.train.micro_batch(), "image")
    );
    let steps = steps_per_epoch * run.train.epochs;
    println!("# steps            {steps_per_epoch} per epoch, {steps} in all");
    let lr = run.lr_schedule();
    println!(
        "# learning rate    {:.3e} at its peak, for batches of {}",
        lr.peak, run.train.batch_size
    );
}
