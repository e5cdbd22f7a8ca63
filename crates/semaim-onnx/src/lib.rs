//! Encoders, classifiers, detectors and segmenters as ONNX files: the same computation as a graph of ONNX's operators, its weights, and
//! in the metadata how images are to be prepared.
//!
//! * [`encoder()`], [`classifier()`], [`detector()`], [`segmenter()`]: the kinds of models; [`Model`]: what comes out.
//! * [`proto`]: the part of `onnx.proto` that is written, which reads files again, too.
//! * `graph` builds graphs, `vit` is the transformer, `dense` maps and convolutions, `metadata` what is said beside.
//! * Detectors: `window_blocks`, `pyramid`, `proposals`, `regions`, in this order from the image on, and `boxes`.
//!
//! The operators are those of opset 18 and computed in single precision. LayerScale is in the weights already.

mod boxes;
mod classifier;
mod dense;
mod detector;
mod encoder;
mod error;
mod graph;
mod linear_head;
mod metadata;
mod model;
mod proposals;
pub mod proto;
mod pyramid;
mod regions;
mod segmenter;
mod size;
mod upernet;
mod vit;
mod window_blocks;

pub use classifier::classifier;
pub use detector::detector;
pub use encoder::encoder;
pub use error::OnnxError;
pub use metadata::About;
pub use model::Model;
pub use segmenter::segmenter;
pub use size::ImageSize;
