//! `semaim pretrain --dry-run`.

use std::process::ExitCode;

use semaim_config::to_toml;
use semaim_data::counted;
use semaim_kernels::Kernels;
use semaim_train::config::PretrainConfig;
use semaim_train::memory::Memory;
use serde_json::json;

use crate::exit::Exit;

/// Prints what a run would be.
pub(crate) fn print(
    config: &PretrainConfig,
    teacher: Option<usize>,
    data: &str,
    steps_per_epoch: u64,
    kernels: Kernels,
    as_json: bool,
) -> Result<ExitCode, Exit> {
    let text = to_toml(config)?;
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
    print!("{text}");
    println!();
    println!("# data             {data}");
    println!(
        "# parameters       {:.2} M in the encoder, {:.2} M in the decoder",
        parameters.encoder as f64 / 1e6,
        parameters.decoder as f64 / 1e6
    );
    println!(
        "# memory           about {:.2} GB: {:.2} GB weights, gradients and optimiser, {:.2} GB activations of {}",
        memory.total() as f64 / 1e9,
        memory.state as f64 / 1e9,
        memory.activations as f64 / 1e9,
        counted(config.train.micro_batch(), "image")
    );
    println!("# steps            {steps_per_epoch} per epoch, {steps} in all");
    let lr = config.run().lr_schedule();
    println!(
        "# learning rate    {:.3e} at its peak, for batches of {}",
        lr.peak, config.train.batch_size
    );
    Ok(ExitCode::SUCCESS)
}
