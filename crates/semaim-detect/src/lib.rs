//! ViTDet's Mask R-CNN (Li, Mao, Girshick and He, ECCV 2022; He et al., ICCV 2017): objects of an image, their classes,
//! boxes and masks, found by an encoder that is fine-tuned for it.
//!
//! Read the files in this order:
//!
//! 1. [`boxes`] and [`box_coding`]: boxes, their overlap, and what is regressed; [`bitmask`]: an object's pixels.
//! 2. [`backbone`]: the encoder's blocks on [`windows`] of the map of patches ([`window_block`], [`relative_position`]).
//! 3. [`pyramid`]: maps of five scales from its last map.
//! 4. [`anchors`], [`rpn_head`], [`proposals`]: regions where objects may be; [`nms`] of those that overlap.
//! 5. [`region_pooling`], [`box_head`], [`mask_head`]: what is in a region, where exactly, and which pixels are it.
//! 6. [`matcher`], [`sampler`], [`rpn_loss`], [`region_sampling`], [`losses`]: what is taught, by [`instances`].
//! 7. [`detections`] and [`paste`]: from scores to objects of the original image.
//! 8. [`model`]: all of it, from images on their [`canvas`] to losses and to detections.
//!
//! [`config`] holds every setting, [`init`] the first weights, [`detectron2`] reads and writes its checkpoints, by [`names`].
//!
//! Maps have their channels last ([`semaim::feature_map`]), so that all but the 3×3 convolutions are linear layers.
//! Matching, sampling and suppression run on the host.

pub mod anchors;
pub mod backbone;
pub mod bitmask;
pub mod box_coding;
pub mod box_head;
pub mod boxes;
pub mod canvas;
pub mod config;
pub mod detections;
pub mod detectron2;
pub mod error;
mod head_convs;
pub mod init;
pub mod instances;
pub mod losses;
pub mod mask_head;
pub mod matcher;
pub mod model;
pub mod names;
pub mod nms;
pub mod paste;
pub mod proposals;
pub mod pyramid;
pub mod region_pooling;
pub mod region_sampling;
pub mod relative_position;
pub mod rpn_head;
pub mod rpn_loss;
pub mod sampler;
pub mod window_block;
pub mod windows;
