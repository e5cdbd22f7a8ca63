//! `semaim inspect`.

use std::process::ExitCode;

use semaim::config::{Activation, ArchOptions};
use semaim_checkpoint::Misfit;
use semaim_checkpoint::archive::Archive;
use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_checkpoint::error::EncoderError;
use semaim_data::counted;
use semaim_detect::detectron2::is_detectron2;
use serde_json::json;

use crate::args::InspectArgs;
use crate::exit::Exit;
use crate::origin;

/// How many names are shown of a list.
const SHOWN: usize = 8;

pub(crate) fn run(args: &InspectArgs) -> Result<ExitCode, Exit> {
    refuse_detectors(args)?;
    let (found, heads) = read(args)?;
    let tensors = match args.tensors {
        true => Archive::read(&found.path).map_err(Exit::user)?.tensors,
        false => Default::default(),
    };
    let misfits = found.misfits();
    let numbers: usize = found.weights.values().map(|w| w.values.len()).sum();
    let dtypes = found.loading.dtypes.iter().map(|dtype| dtype.name());
    let dtypes: Vec<&str> = dtypes.collect();
    if args.json {
        let tensors: Vec<_> = tensors
            .iter()
            .map(|(name, t)| json!({"name": name, "shape": t.shape(), "dtype": t.dtype().name()}))
            .collect();
        let (config, variant, loading) = (&found.config, &found.arch, &found.loading);
        let mut value = json!({
            "file": found.path,
            "layout": loading.format.name(),
            "prefix": loading.prefix,
            "dtypes": dtypes,
            "parameters": numbers,
            "embed_dim": config.embed_dim,
            "depth": config.depth,
            "num_heads": heads,
            "mlp_dim": config.mlp_dim(),
            "patch_size": config.patch_size,
            "channels": config.channels,
            "image_size": config.image_size,
            "grid": [config.grid().rows, config.grid().columns],
            "registers": variant.registers,
            "layer_scale": has_layer_scale(&found),
            "activation": activation(variant.activation),
            "layer_norm_epsilon": variant.epsilon,
            "norm_before_blocks": variant.norm_pre,
            "projection": variant.projection,
            "mean": found.normalization.mean,
            "std": found.normalization.std,
            "used": loading.used,
            "left": loading.unused,
            "missing": loading.missing,
            "unknown": loading.unknown,
            "not_finite": loading.not_finite.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "objects_not_made": loading.opaque,
            "read_beside": found.beside,
            "assumed": found.defaults_used,
        });
        let told = |misfit: &Misfit| {
            let (shape, expected) = (&misfit.found, &misfit.expected);
            json!({"name": misfit.name, "shape": shape, "expected": expected})
        };
        value["misfits"] = misfits.iter().map(told).collect();
        let origin = origin::pairs(&args.path)?.into_iter();
        value["origin"] = origin.map(|(name, text)| json!([name, text])).collect();
        if args.tensors {
            value["tensors"] = json!(tensors);
        }
        println!("{value}");
        return usable(&found, &misfits);
    }
    print(&found, heads, numbers, &dtypes);
    for misfit in &misfits {
        println!("misfit      {misfit}");
    }
    for (name, text) in origin::pairs(&args.path)? {
        println!("origin      {name}: {text}");
    }
    for (name, tensor) in tensors {
        println!("  {name}  {:?}  {}", tensor.shape(), tensor.dtype());
    }
    usable(&found, &misfits)
}

/// Fails where tensors do not fit their network: no command makes an encoder of them, whatever it is told.
fn usable(found: &Checkpoint, misfits: &[Misfit]) -> Result<ExitCode, Exit> {
    match misfits {
        [] => Ok(ExitCode::SUCCESS),
        [first, ..] => Err(Exit::user(format!(
            "{}: {} of another shape than the network's, the first: {first}",
            found.path.display(),
            counted(misfits.len(), "tensor"),
        ))),
    }
}

/// Detectors of detectron2's have an encoder in them that is not all of one: it lacks what a detector does not use.
fn refuse_detectors(args: &InspectArgs) -> Result<(), Exit> {
    match Archive::read(&args.path) {
        Ok(archive) if is_detectron2(&archive) => Err(Exit::user(format!(
            "{} is a detector of detectron2's and no encoder on its own; `semaim predict`, `evaluate`, `detect` and `export` take it",
            args.path.display()
        ))),
        // What cannot be read is told below.
        _ => Ok(()),
    }
}

/// A checkpoint and its number of heads, if anything tells it: all else can be said without.
fn read(args: &InspectArgs) -> Result<(Checkpoint, Option<usize>), Exit> {
    let mut source = args.layout.source(&args.path, args.image_size);
    match Checkpoint::read(&source) {
        Err(EncoderError::Heads { .. }) => {
            source.num_heads = Some(1);
            let found = Checkpoint::read(&source).map_err(Exit::user)?;
            Ok((found, None))
        }
        read => {
            let found = read.map_err(Exit::user)?;
            let heads = found.config.num_heads;
            Ok((found, Some(heads)))
        }
    }
}

fn has_layer_scale(found: &Checkpoint) -> bool {
    found.weights.contains_key("blocks.0.ls1.gamma")
}

fn activation(activation: Activation) -> &'static str {
    match activation {
        Activation::Gelu => "GELU",
        Activation::QuickGelu => "QuickGELU",
        Activation::SwiGlu => "SwiGLU",
    }
}

fn print(found: &Checkpoint, heads: Option<usize>, numbers: usize, dtypes: &[&str]) {
    let (config, loading) = (&found.config, &found.loading);
    let ArchOptions {
        epsilon,
        activation: by,
        registers,
        norm_pre,
        projection,
    } = found.arch;
    println!("file        {}", found.path.display());
    let place = match loading.prefix.as_str() {
        "" => String::new(),
        prefix => format!(", the encoder under `{prefix}`"),
    };
    println!("layout      {}{place}", loading.format);
    println!(
        "encoder     {} wide, {}, {}, MLP {} with {}, {:.2} M parameters in {}",
        config.embed_dim,
        counted(config.depth, "block"),
        match heads {
            Some(heads) => counted(heads, "head"),
            None => "heads not told (--heads)".into(),
        },
        config.mlp_dim(),
        activation(by),
        numbers as f64 / 1e6,
        dtypes.join(" and "),
    );
    let grid = config.grid();
    let [height, width] = config.image_size;
    println!(
        "images      {height} x {width} px, {}, patches of {} px: positions on a grid of {} x {}",
        counted(config.channels, "channel"),
        config.patch_size,
        grid.rows,
        grid.columns
    );
    println!(
        "normalized  mean {:?}, deviation {:?}",
        found.normalization.mean, found.normalization.std
    );
    let mut differs = Vec::new();
    if registers > 0 {
        differs.push(counted(registers, "register token"));
    }
    if has_layer_scale(found) {
        differs.push("LayerScale".into());
    }
    if norm_pre {
        differs.push("a norm before the first block".into());
    }
    if let Some(width) = projection {
        differs.push(format!("tokens projected to {width}"));
    }
    if epsilon != ArchOptions::default().epsilon {
        differs.push(format!("layer norms with epsilon {epsilon:e}"));
    }
    if !differs.is_empty() {
        println!("with        {}", differs.join(", "));
    }
    println!("used        {}", listed(&loading.used));
    println!("left        {}", listed(&loading.unused));
    println!("missing     {}", listed(&loading.missing));
    if !loading.unknown.is_empty() {
        println!("unknown     {}", listed(&loading.unknown));
    }
    if !loading.opaque.is_empty() {
        println!(
            "not made    objects of classes {}: a checkpoint is data, nothing in it runs",
            loading.opaque.join(", ")
        );
    }
    for path in &found.beside {
        println!("read too    {}", path.display());
    }
    for (name, count) in &loading.not_finite {
        println!("not finite  {name}: {count} of its numbers NaN or infinite");
    }
    for assumed in &found.defaults_used {
        println!("assumed     {assumed}");
    }
}

/// How many, and the first of them.
fn listed(names: &[String]) -> String {
    match names {
        [] => "none".into(),
        [one] => format!("1 tensor: {one}"),
        names if names.len() <= SHOWN => format!("{} tensors: {}", names.len(), names.join(", ")),
        names => format!(
            "{} tensors: {}, …",
            names.len(),
            names[..SHOWN / 2].join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use clap::Parser;
    use semaim::config::VitConfig;
    use semaim::parameters::{Weight, weights};
    use semaim::vit::Vit;
    use semaim_checkpoint::tensors::TensorFile;

    use super::*;
    use crate::args::{Args, Command};

    #[test]
    fn shapes_that_no_command_reads_are_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let config = VitConfig {
            image_size: [16, 16],
            ..VitConfig::tiny()
        };
        let mut file = TensorFile {
            weights: weights(&Vit::zeros(&config, &Device::flex())).unwrap(),
            metadata: Default::default(),
        };
        let inspect = |more: &[&str]| {
            let fixed = ["semaim", "inspect", path.to_str().unwrap(), "--heads", "2"];
            let args = Args::try_parse_from(fixed.iter().chain(more).copied()).unwrap();
            let Command::Inspect(args) = args.command else {
                panic!("another command");
            };
            run(&args)
        };
        file.write(&path).unwrap();
        assert!(inspect(&[]).is_ok() && inspect(&["--json"]).is_ok());
        let narrow = Weight {
            shape: vec![8],
            values: vec![1.0; 8],
        };
        file.weights.insert("blocks.1.norm1.weight".into(), narrow);
        file.write(&path).unwrap();
        for more in [vec![], vec!["--json"]] {
            let Err(Exit { code, message }) = inspect(&more) else {
                panic!("{more:?} is well");
            };
            assert_eq!(code, 2);
            let expected = "1 tensor of another shape than the network's, the first: `blocks.1.norm1.weight` has shape [8]";
            assert!(message.contains(expected), "{message}");
        }
    }
}
