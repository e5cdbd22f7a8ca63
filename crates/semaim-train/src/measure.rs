//! How long a step takes, and how near it comes to its matrix products alone.

use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use semaim::config::{SemaimConfig, VitConfig};
use semaim::drop_path::DropPath;
use semaim::model::Semaim;
use semaim::order::{Order, OrderNoise, PredictionOrder};
use semaim::parameters::{reads, to_host};
use semaim::predicted::PredictedPlaces;
use semaim::similarity::Similarity;
use semaim::target::{PixelTarget, Target};
use semaim::vit::ForwardOptions;
use semaim_kernels::roofline::{Attention, GemmWorkload};
use semaim_kernels::{
    Kernels, Launches, Precision, Recompute, count_launches, kernels_on, with_precision,
};

use crate::config::OnNan;
use crate::error::TrainError;
use crate::exchange::{ShardedSum, Told};
use crate::gradients::{Gradients, clip_factor};
use crate::loss_values::{LossValues, TogetherTime};
use crate::optimizer::{Optimizer, UpdateRule};
use crate::param_groups::ParamGroups;
use crate::ranks;
use crate::task::Loss;
use crate::unread::{Before, UnreadLoss, UnreadSteps};

/// A part of a step that was waited for.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepPart {
    /// How long it took.
    pub time: Duration,
    /// How many kernels were launched in it, where that can be counted.
    pub launches: Option<u64>,
}

impl StepPart {
    /// Does the work of a part, which ends by reading a number off the device.
    fn of<T>(work: impl FnOnce() -> Result<T, TrainError>) -> Result<(T, Self), TrainError> {
        let start = Instant::now();
        let (result, launches) = count_launches(work);
        let part = Self {
            time: start.elapsed(),
            launches: launches.map(|launches| launches.count),
        };
        Ok((result?, part))
    }
}

impl From<Duration> for StepPart {
    /// A part in which the device is not asked for anything.
    fn from(time: Duration) -> Self {
        Self {
            time,
            launches: None,
        }
    }
}

/// Where the time of a pre-training step goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepTimes {
    /// Encoding for the order, and the order.
    pub order: StepPart,
    /// Targets, the two streams and the loss.
    pub forward: StepPart,
    /// Gradients; where they are read before the update, which is on the CPU and of several ranks, their norm too.
    pub backward: StepPart,
    /// Waiting for other ranks, where there are any.
    pub ranks: StepPart,
    /// Exchanging gradients with them.
    pub exchange: StepPart,
    /// Clipping and AdamW; elsewhere the gradient norm too.
    pub update: StepPart,
}

impl StepTimes {
    /// All of it.
    pub fn total(&self) -> Duration {
        let parts = [
            self.order,
            self.forward,
            self.backward,
            self.ranks,
            self.exchange,
            self.update,
        ];
        parts.iter().map(|part| part.time).sum()
    }
}

/// A pre-training step as published (semantic order from the class token, blurred and normalized pixels, clipping at 3,
/// AdamW), on random images.
#[derive(Debug)]
pub struct StepBench {
    model: Semaim,
    config: SemaimConfig,
    target: Target,
    prediction_order: PredictionOrder,
    optimizer: Optimizer,
    images: Tensor<4>,
    downscale: usize,
    recompute: Recompute,
    precision: Precision,
    device: Device,
    step: u64,
}

impl StepBench {
    /// Builds model and images. The order's encoding sees images whose sides are divided by `downscale`, which divides the rows and
    /// columns of patches.
    ///
    /// # Errors
    /// [`TrainError::Size`] for sizes that do not fit together.
    pub fn new(
        config: &SemaimConfig,
        batch: usize,
        downscale: usize,
        recompute: Recompute,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, TrainError> {
        precision.check(device)?;
        let target = Target::Pixels(PixelTarget::default());
        let param_groups = ParamGroups::pretrain(0.05);
        let rule = UpdateRule::AdamW {
            betas: [0.9, 0.95],
            epsilon: 1e-8,
        };
        Ok(Self {
            model: config.init(&target, 0, device)?,
            prediction_order: PredictionOrder::new(Order::Semantic, config.vit.grid(), device),
            optimizer: Optimizer::new(rule, param_groups),
            images: images(&config.vit, batch, device),
            config: config.clone(),
            target,
            downscale,
            recompute,
            precision,
            device: device.clone(),
            step: 0,
        })
    }

    /// Takes one step, and waits for each of its parts.
    ///
    /// # Errors
    /// A device that fails.
    pub fn step(&mut self) -> Result<StepTimes, TrainError> {
        with_precision(self.precision, || self.step_in_precision())
    }

    fn step_in_precision(&mut self) -> Result<StepTimes, TrainError> {
        let (rank_keys, order) = StepPart::of(|| {
            let rank_keys = self.rank_keys();
            // Devices that compute in the background have to be waited for.
            to_host("rank keys", rank_keys.clone())?;
            Ok(rank_keys)
        })?;
        let model = self.model.clone().train();
        let ((loss, value), forward) = StepPart::of(|| {
            let loss = self.loss(&model, rank_keys)?;
            let value = to_host("loss", loss.clone().inner())?;
            Ok((loss, value))
        })?;
        let is_read = kernels_on(&self.device) == Kernels::Fused || ranks::current().count() > 1;
        let total = loss.clone().inner();
        let ((gradients, together, norm), mut backward) = StepPart::of(|| {
            let gradients = Gradients::of(&model, loss.backward());
            drop(model);
            let (gradients, together) = self.exchanged(gradients)?;
            let norm = match is_read {
                true => Some(gradients.norm()?),
                false => {
                    wait_for(&gradients)?;
                    None
                }
            };
            Ok((gradients, together, norm))
        })?;
        backward.time = backward.time - together.waiting - together.exchange;
        let ((), update) = StepPart::of(|| {
            match norm {
                Some(norm) => {
                    let factor = clip_factor(norm, CLIP_NORM);
                    self.optimizer.step(&mut self.model, gradients, factor, LR);
                }
                None => self.update_unread(&mut UnreadSteps::default(), total, gradients),
            }
            to_host("class token", self.model.encoder.cls_token.val())?;
            Ok(())
        })?;
        self.step += 1;
        if !value.values.iter().all(|loss| loss.is_finite()) {
            return Err(not_finite());
        }
        Ok(StepTimes {
            order,
            forward,
            backward,
            ranks: StepPart::from(together.waiting),
            exchange: StepPart::from(together.exchange),
            update,
        })
    }

    /// Gradients summed over ranks, and what that took.
    fn exchanged(&self, gradients: Gradients) -> Result<(Gradients, TogetherTime), TrainError> {
        let ranks = ranks::current();
        if ranks.count() == 1 {
            return Ok((gradients, TogetherTime::default()));
        }
        let told = Told::new(&LossValues::default(), self.images.dims()[0], &[]);
        let mut sum = ShardedSum::default();
        sum.add(&*ranks, Some((gradients, told)), ranks.count())?;
        Ok(sum.finish(&*ranks, &self.device))
    }

    /// Takes steps as a run takes them between two lines of its log where nobody waits for single steps: all are read together.
    ///
    /// # Errors
    /// A device that fails.
    pub fn steps_unread(&mut self, steps: u32) -> Result<StepsUnread, TrainError> {
        let (before, start) = (reads(), Instant::now());
        let (taken, launches) = count_launches(|| {
            let mut unread = UnreadSteps::default();
            for _ in 0..steps {
                with_precision(self.precision, || self.step_unread(&mut unread))?;
            }
            Ok::<_, TrainError>(unread.read()?)
        });
        if !taken?.iter().all(|step| step.loss.total.is_finite()) {
            return Err(not_finite());
        }
        Ok(StepsUnread {
            steps,
            time: start.elapsed() / steps.max(1),
            reads: reads() - before,
            launches,
        })
    }

    fn step_unread(&mut self, unread: &mut UnreadSteps) -> Result<(), TrainError> {
        let rank_keys = self.rank_keys();
        let model = self.model.clone().train();
        let total = self.loss(&model, rank_keys)?;
        let gradients = Gradients::of(&model, total.backward());
        drop(model);
        self.update_unread(unread, total, gradients);
        self.step += 1;
        Ok(())
    }

    /// Gradient norm, clipping and AdamW by numbers that nobody has read.
    fn update_unread(&mut self, unread: &mut UnreadSteps, total: Tensor<1>, gradients: Gradients) {
        let mut loss = UnreadLoss::default();
        loss.add(Loss::from(total), 1.0);
        let gathered = self.optimizer.gather(&self.model, gradients);
        let norm = gathered.unread_norm();
        if let Some(step) = unread.take(Before::default(), loss, norm, CLIP_NORM, OnNan::Stop) {
            self.optimizer
                .step_unread(&mut self.model, gathered, &step, LR);
        }
    }

    fn rank_keys(&self) -> Tensor<2> {
        let items: Vec<u64> = (0..self.images.dims()[0] as u64).collect();
        let (encoder, images) = (&self.model.encoder, self.images.clone());
        let similarity = Similarity::Cls.of_downscaled(encoder, images, self.downscale);
        let noise = OrderNoise::draw(0, self.step, &items, self.config.vit.grid(), &self.device);
        self.prediction_order.rank_keys(Some(similarity), &noise)
    }

    fn loss(&self, model: &Semaim, rank_keys: Tensor<2>) -> Result<Tensor<1>, TrainError> {
        let options = ForwardOptions {
            drop_path: None::<&DropPath>,
            recompute: self.recompute,
        };
        let images = Tensor::from_inner(self.images.clone());
        let targets =
            PixelTarget::default().values(self.images.clone(), self.config.vit.patch_size);
        let targets = Tensor::from_inner(targets);
        let items: Vec<u64> = (0..self.images.dims()[0] as u64).collect();
        let patches = self.config.vit.grid().patches();
        let predicted = PredictedPlaces::draw(&self.config.decoder, patches, 0, self.step, &items);
        let output = model.forward(
            images,
            rank_keys,
            predicted.as_ref(),
            targets,
            &self.target,
            options,
        )?;
        Ok(output.loss)
    }
}

/// Largest gradient norm of the steps that are measured.
const CLIP_NORM: f64 = 3.0;
/// Their learning rate.
const LR: f64 = 1e-4;

/// Waits until a device has computed gradients.
fn wait_for(gradients: &Gradients) -> Result<(), TrainError> {
    // Reading any of them waits for all that was asked before; the shortest is read.
    let shortest = gradients
        .iter()
        .min_by_key(|(_, gradient)| gradient.dims()[0]);
    if let Some((name, gradient)) = shortest {
        to_host(name, gradient.clone())?;
    }
    Ok(())
}

fn not_finite() -> TrainError {
    TrainError::Internal("the loss of the benchmark is not finite".into())
}

/// Steps in a row of which none was waited for.
#[derive(Clone, Debug)]
pub struct StepsUnread {
    /// How many.
    pub steps: u32,
    /// Mean time of one.
    pub time: Duration,
    /// How often something was read off the device, in all steps together.
    pub reads: u64,
    /// How many kernels were launched in all of them, where that can be counted.
    pub launches: Option<Launches>,
}

/// Embedding of random images.
#[derive(Debug)]
pub struct EmbedBench {
    precision: Precision,
    model: Semaim,
    images: Tensor<4>,
}

impl EmbedBench {
    /// Builds model and images.
    ///
    /// # Errors
    /// [`TrainError::Size`] for sizes that do not fit together, [`TrainError::Precision`].
    pub fn new(
        config: &SemaimConfig,
        batch: usize,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, TrainError> {
        precision.check(device)?;
        Ok(Self {
            precision,
            model: config.init(&Target::Pixels(PixelTarget::default()), 0, device)?,
            images: images(&config.vit, batch, device),
        })
    }

    /// Embeds the batch.
    ///
    /// # Errors
    /// A device that fails.
    pub fn step(&mut self) -> Result<Duration, TrainError> {
        let start = Instant::now();
        let tokens = with_precision(self.precision, || {
            self.model.encoder.tokens(self.images.clone())
        });
        let [_, count, _] = tokens.dims();
        to_host("features", tokens.narrow(1, 1, count - 1).mean_dim(1))?;
        Ok(start.elapsed())
    }
}

fn images(vit: &VitConfig, batch: usize, device: &Device) -> Tensor<4> {
    let [height, width] = vit.image_size;
    let count = batch * vit.channels * height * width;
    // Smooth enough to be a picture, different enough to have an order.
    let values: Vec<f32> = (0..count)
        .map(|i| ((i % 9973) as f32 * 0.013).sin() + ((i / 224) as f32 * 0.11).cos())
        .collect();
    Tensor::from_data(
        TensorData::new(values, [batch, vit.channels, height, width]),
        device,
    )
}

/// The products of embedding `batch` images, with how often they are made.
pub fn embed_products(vit: &VitConfig, batch: usize) -> Vec<(GemmWorkload, usize)> {
    let tokens = 1 + vit.grid().patches();
    vec![
        (embedding(vit, batch), 1),
        (forward(vit, batch, tokens, false), vit.depth),
    ]
}

/// The products of a pre-training step, with how often they are made.
pub fn step_products(config: &SemaimConfig, batch: usize) -> Vec<(GemmWorkload, usize)> {
    let vit = &config.vit;
    let (tokens, patches, d) = (
        1 + vit.grid().patches(),
        vit.grid().patches(),
        vit.embed_dim,
    );
    let mut products = embed_products(vit, batch);
    let rows = batch * patches;
    let by_rows = |layers: &[[usize; 2]]| GemmWorkload::Chain {
        rows,
        sample: 1,
        layers: layers.to_vec(),
        attention: None,
    };
    let weights_by_rows = |layers: &[[usize; 2]]| GemmWorkload::WeightGradients {
        rows,
        sample: 1,
        layers: layers.to_vec(),
    };
    products.push((embedding(vit, batch), 1));
    products.push((weights_by_rows(&[[d, vit.patch_values()]]), 1));
    for (tokens, count) in [(tokens, vit.depth), (patches, config.decoder.query_depth)] {
        products.push((forward(vit, batch, tokens, true), count));
        let layers = block_layers(vit).into_iter();
        let layers: Vec<_> = layers.map(|[depth, columns]| [columns, depth]).collect();
        let gradients = GemmWorkload::WeightGradients {
            rows: batch * tokens,
            sample: tokens,
            layers: layers.clone(),
        };
        let inputs = GemmWorkload::Chain {
            rows: batch * tokens,
            sample: tokens,
            layers,
            attention: Some(attention(vit, tokens, true, true)),
        };
        products.extend([(gradients, count), (inputs, count)]);
    }
    let hidden = vit.mlp_dim();
    let outputs = vit.patch_values();
    products.push((by_rows(&[[d, hidden], [hidden, outputs]]), 1));
    products.push((by_rows(&[[outputs, hidden], [hidden, d]]), 1));
    products.push((weights_by_rows(&[[hidden, d], [outputs, hidden]]), 1));
    products
}

fn embedding(vit: &VitConfig, batch: usize) -> GemmWorkload {
    GemmWorkload::Chain {
        rows: batch * vit.grid().patches(),
        sample: 1,
        layers: vec![[vit.patch_values(), vit.embed_dim]],
        attention: None,
    }
}

/// The products of a block's forward pass.
fn forward(vit: &VitConfig, batch: usize, tokens: usize, causal: bool) -> GemmWorkload {
    GemmWorkload::Chain {
        rows: batch * tokens,
        sample: tokens,
        layers: block_layers(vit),
        attention: Some(attention(vit, tokens, causal, false)),
    }
}

fn attention(vit: &VitConfig, tokens: usize, causal: bool, backward: bool) -> Attention {
    Attention {
        heads: vit.num_heads,
        tokens,
        width: vit.embed_dim / vit.num_heads,
        causal,
        backward,
    }
}

/// Depth and columns of a block's linear layers: queries, keys, values, the projection, the MLP.
fn block_layers(vit: &VitConfig) -> Vec<[usize; 2]> {
    let (d, hidden) = (vit.embed_dim, vit.mlp_dim());
    vec![[d, d], [d, d], [d, d], [d, d], [d, hidden], [hidden, d]]
}
