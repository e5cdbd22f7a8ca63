//! A finished model: the message and its bytes.

use prost::Message;
use semaim::config::VitConfig;

use crate::error::OnnxError;
use crate::graph::Graph;
use crate::metadata::{About, entries};
use crate::proto::{IR_VERSION, ModelProto, OPSET, OperatorSetIdProto};
use crate::size::ImageSize;

/// Bytes from which on a message cannot be read.
const LIMIT: usize = 1 << 31;

/// A model as it will be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    proto: ModelProto,
}

impl Model {
    pub(crate) fn new(
        graph: Graph,
        config: &VitConfig,
        size: ImageSize,
        about: &About<'_>,
    ) -> Result<Self, OnnxError> {
        let graph = graph.finish();
        let proto = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "semaim".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            doc_string: format!("A {} written by semaim", graph.name),
            metadata_props: entries(&graph.name, config, size, about),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: OPSET,
            }],
        };
        match proto.encoded_len() {
            bytes if bytes >= LIMIT => Err(OnnxError::TooLarge { bytes }),
            _ => Ok(Self { proto }),
        }
    }

    /// The message.
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// The bytes of the file. Equal models give equal bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    /// Numbers of constants and of nodes.
    pub fn counts(&self) -> (usize, usize) {
        let graph = self.proto.graph.as_ref();
        graph.map_or((0, 0), |graph| (graph.initializer.len(), graph.node.len()))
    }
}
