//! The operations, each in the form that has been chosen: fused where the tensors are on the CPU, composed elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Tensor};

use crate::composed;
use crate::fused::{block_op, ops as fused, update};
use crate::types::{
    AdamWStep, BlockWeights, Channels, DropPathScales, LinearWeights, Loss, Moments, NormWeights,
    PixelPatches, PrefixMask, Recompute,
};

/// Which form of the operations runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernels {
    /// Fused operations where there are any, which is on the CPU; composed ones elsewhere.
    #[default]
    Fused,
    /// Operations composed of the framework's own, on every device.
    Composed,
}

static COMPOSED: AtomicBool = AtomicBool::new(false);

/// Chooses for the whole process. Operations that have begun are not affected: a backward pass is of the form of its
/// forward pass.
pub fn choose(kernels: Kernels) {
    COMPOSED.store(kernels == Kernels::Composed, Ordering::Relaxed);
}

/// What has been chosen.
pub fn chosen() -> Kernels {
    if COMPOSED.load(Ordering::Relaxed) {
        Kernels::Composed
    } else {
        Kernels::Fused
    }
}

/// Which form of the operations runs on a device. Whatever is composed is not waited for: operations may only be on their way
/// when they return, and a number that is read off the device waits for all of them.
pub fn kernels_on(device: &Device) -> Kernels {
    if *device == Device::flex() {
        chosen()
    } else {
        Kernels::Composed
    }
}

/// What a fused operation gives, where it has been chosen and takes these tensors.
pub(crate) fn fused<T>(operation: impl FnOnce() -> Option<T>) -> Option<T> {
    match chosen() {
        Kernels::Fused => operation(),
        Kernels::Composed => None,
    }
}

/// One block: `y = x + Proj(Attn(q = Wq LN₁ x, k = Wk LN₁ c, v = Wv LN₁ c)); out = y + MLP(LN₂ y)`.
///
/// * `x`: the tokens that ask, `[batch, query_len, embed_dim]`; the result has the same shape.
/// * `context`: the tokens that they attend to, c above, `[batch, key_len, embed_dim]`; `None`: `x` itself.
/// * `mask`: to which of them each token attends; `None`: to all.
/// * `drop_path`: factors of the residual branches; `None`: 1.
/// * `recompute`: what a fused backward pass computes again instead of keeping it.
pub fn block(
    x: Tensor<3>,
    context: Option<Tensor<3>>,
    mask: Option<&PrefixMask>,
    weights: BlockWeights,
    drop_path: Option<&DropPathScales>,
    recompute: Recompute,
) -> Tensor<3> {
    fused(|| block_op::block(&x, context.as_ref(), mask, &weights, drop_path, recompute))
        // Its layers may be fused where the whole is not: the rows of such do not depend on how many there are.
        .unwrap_or_else(|| {
            let layers = composed::Layers { layer_norm, linear };
            composed::block_of(layers, x, context, mask, weights, drop_path)
        })
}

/// Layer norm over the last axis of `[batch, tokens, embed_dim]`.
pub fn layer_norm(x: Tensor<3>, weights: NormWeights) -> Tensor<3> {
    fused(|| fused::layer_norm(&x, &weights)).unwrap_or_else(|| composed::layer_norm(x, weights))
}

/// `x Wᵀ + b`: `[batch, tokens, in]` to `[batch, tokens, out]`.
pub fn linear(x: Tensor<3>, weights: LinearWeights) -> Tensor<3> {
    fused(|| fused::linear(&x, &weights)).unwrap_or_else(|| composed::linear(x, weights))
}

/// Two linear layers with the exact (erf) GELU between them: `[batch, tokens, in]` to `[batch, tokens, out]`.
pub fn mlp(x: Tensor<3>, fc1: LinearWeights, fc2: LinearWeights) -> Tensor<3> {
    fused(|| fused::mlp(&x, &fc1, &fc2)).unwrap_or_else(|| composed::mlp(x, fc1, fc2))
}

/// The loss of each row, `[batch, tokens]`, for predictions and targets `[batch, tokens, width]`. The targets are taken
/// for constant.
pub fn loss(loss: Loss, predictions: Tensor<3>, targets: Tensor<3>) -> Tensor<2> {
    fused(|| fused::loss(loss, &predictions, &targets))
        .unwrap_or_else(|| composed::loss(loss, predictions, targets))
}

/// Cuts images `[batch, channels, height, width]` into patches: `[batch, patches, channels * patch_size²]`, patches row
/// by row. Rows and columns that fill no patch are left out.
pub fn patches(images: Tensor<4>, patch_size: usize, channels: Channels) -> Tensor<3> {
    fused(|| fused::patches(&images, patch_size, channels))
        .unwrap_or_else(|| composed::patches(images, patch_size, channels))
}

/// The pixels that are to be predicted for images `[batch, channels, height, width]`:
/// `[batch, patches, patch_size² * channels]` in the order row, column, channel, blurred and normalized as `form` says.
/// They are taken for constant.
pub fn pixel_patches(images: Tensor<4>, form: &PixelPatches) -> Tensor<3> {
    fused(|| fused::pixel_patches(&images, form))
        .unwrap_or_else(|| composed::pixel_patches(images, form))
}

/// Moves a weight one step against its gradient `[values]`; `moments` are `None` before the first step.
///
/// On the CPU this happens in place where nobody else holds the tensors.
pub fn adamw<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<1>,
    moments: Option<Moments>,
    step: AdamWStep,
) -> (Tensor<D>, Moments) {
    let moments = moments.unwrap_or_else(|| Moments::zeros(&gradient));
    match fused(|| update::InPlace::of(&weight, &gradient, &moments)) {
        Some(tensors) => {
            // The other handles must be gone, or writing would copy.
            drop((weight, moments));
            tensors.adamw(step)
        }
        None => composed::adamw(weight, gradient, moments, step),
    }
}

/// `average ← decay · average + (1 − decay) · value`, in place on the CPU where nobody else holds `average`.
pub fn moving_average<const D: usize>(
    average: Tensor<D>,
    value: Tensor<D>,
    decay: f64,
) -> Tensor<D> {
    match fused(|| {
        Some((
            update::owned_or_copied(&average)?,
            update::owned_or_copied(&value)?,
        ))
    }) {
        Some((mean, value)) => {
            drop(average);
            update::moving_average(mean, &value, decay)
        }
        None => composed::moving_average(average, value, decay),
    }
}

/// The sum of a tensor's squares, `[1]`.
pub fn sum_of_squares(values: Tensor<1>) -> Tensor<1> {
    fused(|| update::sum_of_squares(&values)).unwrap_or_else(|| composed::sum_of_squares(values))
}
