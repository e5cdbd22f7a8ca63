//! Semantic segmentation: the class of every pixel of an image, by an encoder that is frozen or fine-tuned for it, under a
//! linear head or UPerNet (Xiao et al., ECCV 2018) as masked autoencoders and BEiT are evaluated.
//!
//! Read the files in this order:
//!
//! 1. [`taps`]: maps after some of the encoder's blocks.
//! 2. [`linear_head`]: batch norm and one linear layer on the last of them.
//! 3. [`neck`]: maps of four scales from those of a plain transformer; [`conv_module`]: what heads are made of.
//! 4. [`pyramid_pooling`], [`upernet`]: the scene as a whole, and from coarse to fine; [`fcn_head`]: the auxiliary head.
//! 5. [`losses`]: cross-entropy of enlarged logits.
//! 6. [`model`]: all of it, from images to losses and to logits.
//! 7. [`windows`] and [`inference`]: whole images or windows that slide over them, mirror images and scales.
//! 8. [`confusion`]: mIoU, and what else one confusion matrix says.
//!
//! [`config`] holds every setting, [`init`] the first weights, [`names`] the names of weights in Hugging Face's checkpoints.
//!
//! Maps have their channels last ([`semaim::feature_map`]); [`semaim::resample`] enlarges and pools them,
//! [`semaim::batch_norm`] normalizes them.

pub mod config;
pub mod confusion;
pub mod conv_module;
pub mod error;
pub mod fcn_head;
pub mod inference;
pub mod init;
pub mod linear_head;
pub mod losses;
pub mod model;
pub mod names;
pub mod neck;
pub mod pyramid_pooling;
pub mod taps;
pub mod upernet;
pub mod windows;

/// A label that says nothing about its pixel.
pub const IGNORED: u8 = 255;
