//! Kind `step`: one forward and backward pass.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use semaim::model::Semaim;
use semaim::order::{Order, OrderNoise, PredictionOrder};
use semaim::parameters::with_weights;
use semaim::sequence::Sequence;
use semaim::similarity::{Similarity, class_similarity, mean_similarity};
use semaim::vit::ForwardOptions;
use semaim_train::gradients::Gradients;

use crate::Failure;
use crate::compare::{Comparisons, Tolerance};
use crate::recorded::Recorded;
use crate::settings::Settings;

/// A weight of the authors' model that is computed here: the kernel of the blur.
const COMPUTED: &str = "gaussian_blur.weight";

pub(crate) fn check(file: &Recorded) -> Result<usize, Failure> {
    let device = crate::device();
    let settings = Settings::read(file, &[])?;
    let model = model(file, "model.", &settings, &device)?;
    let images: Tensor<4> = file.array("images")?.tensor(&device)?;
    let mut compare = Comparisons::default();

    let close = Tolerance::relative(1e-4);
    let tokens = model.encoder.tokens(images.clone());
    compare.tensor(
        "encoder.tokens",
        tokens.clone(),
        file.array("encoder.tokens")?,
        close,
    )?;
    let by_features = match settings.similarity {
        Similarity::Gap => mean_similarity(tokens),
        _ => class_similarity(tokens),
    };
    let recorded = file.array("encoder.feature_attention")?;
    compare.tensor("encoder.feature_attention", by_features, recorded, close)?;
    let attention = model.encoder.class_attention(images.clone());
    compare.tensor(
        "encoder.self_attention",
        attention,
        file.array("encoder.self_attention")?,
        close,
    )?;

    let grid = settings.model.vit.grid();
    let similarity = settings.similarity.of(&model.encoder, images.clone());
    let noise = noise(file, images.dims()[0], grid.patches(), &device)?;
    let keys =
        PredictionOrder::new(settings.order, grid, &device).rank_keys(Some(similarity), &noise);
    let recorded_keys = file.array("order.rank_key")?;
    // Distances were recorded with a square root that is not correctly rounded: keys may differ in the last bit,
    // what they make visible may not.
    let key_tolerance = match settings.order {
        Order::Similarity => close,
        _ => Tolerance::relative(3e-7),
    };
    compare.tensor("order.rank_key", keys.clone(), recorded_keys, key_tolerance)?;
    if settings.order != Order::Similarity {
        let visibility = |keys| {
            Sequence::of(keys)
                .and_then(|s| s.visibility())
                .map_err(|e| e.to_string())
        };
        if visibility(keys)? != visibility(recorded_keys.tensor(&device)?)? {
            return Err("visibility differs".into());
        }
    }

    let tracked = model.clone().train();
    let keys: Tensor<2> = recorded_keys.tensor(&device)?;
    let targets = match settings
        .target
        .of_images(images.clone(), settings.model.vit.patch_size)
    {
        Some(targets) => targets,
        // The class token's is recorded first and not predicted here.
        None => file
            .array("target_tokens")?
            .tensor::<3>(&device)?
            .narrow(1, 1, grid.patches()),
    };
    let output = tracked
        .forward(
            Tensor::from_inner(images.clone()),
            Tensor::from_inner(keys.clone()),
            None,
            Tensor::from_inner(targets),
            &settings.target,
            ForwardOptions::default(),
        )
        .map_err(|e| e.to_string())?;
    let predictions = model.predict(images, keys).map_err(|e| e.to_string())?;
    let [_, patches, _] = predictions.dims();
    // The class token's prediction goes unused and is not computed here.
    let recorded: Tensor<3> = file
        .array("predictions")?
        .tensor::<3>(&device)?
        .narrow(1, 1, patches);
    let recorded = crate::compare::values(recorded)?;
    compare.slice(
        "predictions",
        &crate::compare::values(predictions)?,
        &recorded,
        close,
    )?;
    compare.tensor(
        "loss_map",
        output.loss_map.clone().inner(),
        file.array("loss_map")?,
        close,
    )?;
    let loss_tolerance = Tolerance::relative(1e-5);
    compare.tensor(
        "loss",
        output.loss.clone().inner(),
        file.array("loss")?,
        loss_tolerance,
    )?;

    let gradients = Gradients::of(&tracked, output.loss.backward());
    compare.gradients(&gradients, file)?;
    Ok(compare.count)
}

/// The recorded model; a weight that ours does not know is a failure.
pub(crate) fn model(
    file: &Recorded,
    prefix: &str,
    settings: &Settings,
    device: &Device,
) -> Result<Semaim, Failure> {
    let fresh = settings
        .model
        .init(&settings.target, 0, device)
        .map_err(|e| e.to_string())?;
    let recorded = file.weights(prefix);
    let ours = semaim::parameters::weights(&fresh).map_err(|e| e.to_string())?;
    let unknown: Vec<&String> = recorded
        .keys()
        .filter(|name| !ours.contains_key(*name) && *name != COMPUTED)
        .collect();
    if !unknown.is_empty() {
        return Err(format!("weights that are not known: {unknown:?}"));
    }
    with_weights(fresh, &recorded).map_err(|e| e.to_string())
}

/// The recorded draws; zeros where the order draws nothing.
fn noise(
    file: &Recorded,
    batch: usize,
    patches: usize,
    device: &Device,
) -> Result<OrderNoise, Failure> {
    let get = |names: [&str; 2]| names.iter().find_map(|name| file.tensors.get(*name));
    let patch_noise = match get(["order.noise", "order.noise0"]) {
        Some(array) => array.as_f32(),
        None => vec![0.0; batch * patches],
    };
    let axis = |name: &str| match file.tensors.get(name) {
        Some(array) => array.as_f32(),
        None => vec![0.0; batch],
    };
    noise_of(
        patch_noise,
        axis("order.noise1"),
        axis("order.noise2"),
        device,
    )
}

/// Noise from its parts: per patch, and the center's row and column.
pub(crate) fn noise_of(
    patches: Vec<f32>,
    row: Vec<f32>,
    column: Vec<f32>,
    device: &Device,
) -> Result<OrderNoise, Failure> {
    let batch = row.len();
    if batch == 0 || !patches.len().is_multiple_of(batch) || column.len() != batch {
        return Err(format!(
            "noise of {} values for {batch} images",
            patches.len()
        ));
    }
    let shape = [batch, patches.len() / batch];
    let center: Vec<f32> = row
        .into_iter()
        .zip(column)
        .flat_map(|(row, column)| [row, column])
        .collect();
    let tensor = |values: Vec<f32>, shape: [usize; 2]| {
        Tensor::from_data(burn::tensor::TensorData::new(values, shape), device)
    };
    Ok(OrderNoise {
        patches: tensor(patches, shape),
        center: tensor(center, [batch, 2]),
    })
}
