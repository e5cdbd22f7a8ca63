//! Kind `mae_step`: one forward and backward pass of the masked autoencoder.

use burn::module::Module;
use burn::tensor::Tensor;
use semaim::config::{ArchOptions, VitConfig};
use semaim::mae::MaeConfig;
use semaim::parameters::{weights, with_weights};
use semaim::target::{PixelLoss, PixelTarget, Target};
use semaim::vit::ForwardOptions;
use semaim_train::gradients::Gradients;

use crate::Failure;
use crate::compare::{Comparisons, Tolerance};
use crate::recorded::Recorded;

const KEYS: &[&str] = &[
    "kind",
    "seed",
    "img",
    "patch",
    "dim",
    "depth",
    "heads",
    "mlp_ratio",
    "decoder_dim",
    "decoder_depth",
    "decoder_heads",
    "mask_ratio",
    "norm_pix",
    "n",
];

pub(crate) fn check(file: &Recorded) -> Result<usize, Failure> {
    for key in file.keys() {
        if !KEYS.contains(&key) {
            return Err(format!("a setting `{key}` that is not handled"));
        }
    }
    let device = crate::device();
    let images = file.array("images")?;
    let &[_, channels, height, width] = images.shape.as_slice() else {
        return Err(format!("images of shape {:?}", images.shape));
    };
    let vit = VitConfig {
        image_size: [height, width],
        patch_size: file.number("patch")?,
        channels,
        embed_dim: file.number("dim")?,
        depth: file.number("depth")?,
        num_heads: file.number("heads")?,
        mlp_ratio: file.number("mlp_ratio")?,
    };
    let config = MaeConfig {
        mask_ratio: file.number("mask_ratio")?,
        decoder_dim: file.number("decoder_dim")?,
        decoder_depth: file.number("decoder_depth")?,
        decoder_heads: file.number("decoder_heads")?,
    };
    let target = Target::Pixels(PixelTarget {
        blur: None,
        normalize: file.metadata("norm_pix")?.eq_ignore_ascii_case("true"),
        loss: PixelLoss::L2,
    });
    let fresh = config
        .init(&vit, &ArchOptions::default(), &target, 0, &device)
        .map_err(|e| e.to_string())?;
    let recorded = file.weights("model.");
    let ours = weights(&fresh).map_err(|e| e.to_string())?;
    let unknown: Vec<&String> = recorded
        .keys()
        .filter(|name| !ours.contains_key(*name))
        .collect();
    if !unknown.is_empty() {
        return Err(format!("weights that are not known: {unknown:?}"));
    }
    let mut compare = Comparisons::default();
    let close = Tolerance::relative(1e-4);
    // Tables are computed, not trained: what a file holds must be what we compute.
    for name in ["pos_embed", "decoder_pos_embed"] {
        compare.slice(
            name,
            &doubles(&ours[name].values),
            &doubles(&recorded[name].values),
            close,
        )?;
    }
    let model = with_weights(fresh, &recorded).map_err(|e| e.to_string())?;
    let images: Tensor<4> = images.tensor(&device)?;
    let noise: Tensor<2> = file.array("mask.noise")?.tensor(&device)?;
    let predictions = model
        .predict(images.clone(), noise.clone())
        .map_err(|e| e.to_string())?;
    compare.tensor(
        "predictions",
        predictions,
        file.array("predictions")?,
        close,
    )?;

    let tracked = model.clone().train();
    let targets = target
        .of_images(images.clone(), vit.patch_size)
        .ok_or("no targets")?;
    let (images, targets) = (Tensor::from_inner(images), Tensor::from_inner(targets));
    let output = tracked
        .forward(images, noise, targets, &target, ForwardOptions::default())
        .map_err(|e| e.to_string())?;
    // A kept patch costs exactly nothing, a removed one hardly ever does.
    let removed = output.loss_map.clone().inner().greater_elem(0.0).float();
    let exact = Tolerance::exact();
    compare.tensor("mask", removed, file.array("mask")?, exact)?;
    compare.tensor(
        "loss",
        output.loss.clone().inner(),
        file.array("loss")?,
        Tolerance::relative(1e-5),
    )?;
    let gradients = Gradients::of(&tracked, output.loss.backward());
    compare.gradients(&gradients, file)?;
    Ok(compare.count)
}

fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}
