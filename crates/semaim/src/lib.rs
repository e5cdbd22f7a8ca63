//! SemAIM: semantic-aware autoregressive image modeling (Song, Zhang and Wang, AAAI 2024).
//!
//! A vision transformer is pre-trained by predicting every patch of an image from the patches that come before
//! it, in an order that starts at the most semantic spot of the image and moves outward. Read the files in this
//! order and you have read the method:
//!
//! 1. [`vit`]: the encoder that is kept, the *content stream*.
//! 2. [`similarity`]: how semantic each patch is, by the encoder's own tokens; [`downscaled`]: the same of smaller images.
//! 3. [`order`]: from similarity to rank keys.
//! 4. [`sequence`]: from rank keys to tokens in the order of prediction, and who sees whom.
//! 5. [`query`]: the decoder that is thrown away, the *query stream*, and the prediction head; [`predicted`]: which patches
//!    have a query, where not all are to be predicted.
//! 6. [`target`]: what is predicted and how far off a prediction is; [`teacher`]: a frozen network that gives it.
//! 7. [`model`]: the two streams side by side, from images to the loss.
//!
//! Beside it stands [`mae`], the baseline: only what differs; [`pretrained`] is what both leave. [`representation`] says what of
//! an encoder's tokens stands for an image. [`classifier`] is an encoder with a head, for fine-tuning.
//!
//! What a block computes is written in `semaim_kernels`, once composed of the framework's operations and once fused.
//! Beneath the method: [`layers`], [`drop_path`], [`position`], [`grid`]; for dense heads [`feature_map`], [`resample`] and
//! [`batch_norm`]; [`parameters`] gives every
//! weight its checkpoint name, [`init`] its first value, [`config`] all sizes and where other people's encoders differ, and [`param_count`] counts weights.
//!
//! This crate knows nothing of files, data sets, optimizers or loops.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use semaim::config::{Decoder, SemaimConfig, VitConfig};
//! use semaim::order::{Order, OrderNoise, PredictionOrder};
//! use semaim::similarity::Similarity;
//! use semaim::target::{PixelTarget, Target};
//! use semaim::vit::ForwardOptions;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::flex();
//! let vit = VitConfig { image_size: [32, 48], patch_size: 8, embed_dim: 24, depth: 2, num_heads: 3, ..VitConfig::default() };
//! let target = Target::Pixels(PixelTarget::default());
//! let config = SemaimConfig { vit, decoder: Decoder { query_depth: 2, ..Decoder::default() }, ..SemaimConfig::default() };
//! let model = config.init(&target, 7, &device)?;
//!
//! let images = Tensor::<4>::ones([2, 3, 32, 48], &device);
//! let grid = config.vit.grid();
//! let order = PredictionOrder::new(Order::Semantic, grid, &device);
//! let similarity = Similarity::Cls.of(&model.encoder, images.clone());
//! let ranks = order.rank_keys(Some(similarity), &OrderNoise::draw(0, 0, &[0, 1], grid, &device));
//!
//! let targets = PixelTarget::default().values(images.clone(), 8);
//! let output = model.forward(images, ranks, None, targets, &target, ForwardOptions::default())?;
//! assert_eq!(output.loss_map.dims(), [2, 24]);
//! # Ok(())
//! # }
//! ```

pub mod batch_norm;
pub mod classifier;
pub mod config;
pub mod downscaled;
pub mod drop_path;
pub mod feature_map;
pub mod grid;
pub mod init;
pub mod layers;
pub mod mae;
pub mod model;
pub mod order;
pub mod param_count;
pub mod parameters;
pub mod position;
pub mod predicted;
pub mod pretrained;
pub mod query;
pub mod representation;
pub mod resample;
pub mod sequence;
pub mod similarity;
pub mod target;
pub mod teacher;
pub mod vit;
