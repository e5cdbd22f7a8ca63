//! ViTDet's Mask R-CNN.

pub mod anchors;
pub mod box_coding;
pub mod boxes;
pub mod matcher;
pub mod nms;
pub mod sampler;
