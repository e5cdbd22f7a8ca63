//! Encoders, classifiers and segmenters as ONNX files: the same computation as a graph of ONNX's operators, its weights, and
//! in the metadata how images are to be prepared.
//!
//! * [`encoder()`], [`classifier()`], [`segmenter()`]: the three kinds of models; [`Model`]: what comes out.
//! * [`proto`]: the part of `onnx.proto` that is written, which reads files again, too.
//! * `graph` builds graphs, `vit` is the transformer, `dense` maps and convolutions, `metadata` what is said beside.
//!
//! The operators are those of opset 18 and computed in single precision. LayerScale is in the weights already.

mod classifier;
mod dense;
mod encoder;
mod error;
mod graph;
mod linear_head;
mod metadata;
mod model;
pub mod proto;
mod segmenter;
mod size;
mod upernet;
mod vit;

pub use classifier::classifier;
pub use encoder::encoder;
pub use error::OnnxError;
pub use metadata::About;
pub use model::Model;
pub use segmenter::segmenter;
pub use size::ImageSize;
