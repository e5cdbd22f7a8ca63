//! A classifier: from images to one number per class.

use semaim::classifier::{Classifier, Pool};
use semaim::config::VitConfig;
use semaim::parameters::weights;

use crate::encoder::mean;
use crate::error::OnnxError;
use crate::graph::{Axis, Graph};
use crate::metadata::About;
use crate::model::Model;
use crate::size::ImageSize;
use crate::vit::{VitNodes, linear};

/// A fine-tuned classifier as ONNX: of images it gives `logits`, `[batch, classes]`.
///
/// # Errors
/// What cannot be written: see [`OnnxError`].
pub fn classifier(
    model: &Classifier,
    config: &VitConfig,
    size: ImageSize,
    about: &About<'_>,
) -> Result<Model, OnnxError> {
    let arch = model.encoder.arch_options();
    let nodes = VitNodes {
        config,
        arch: &arch,
        size,
    };
    let [classes] = model.head.bias.dims();
    let mut graph = Graph::new("classifier", weights(model)?);
    let images = nodes.images(&mut graph);
    let (mut h, _) = nodes.embed(&mut graph, &images)?;
    for block in 0..config.depth {
        h = nodes.block(&mut graph, &h, block)?;
    }
    let vector = match model.pool() {
        Pool::Mean => {
            let patches = nodes.patches_of(&mut graph, &h);
            let mean = mean(&mut graph, &patches);
            nodes.norm(&mut graph, &mean, "fc_norm")?
        }
        Pool::Cls => {
            let class = nodes.class_of(&mut graph, &h);
            let axis = graph.ints(&[1]);
            let class = graph.node("Squeeze", &[&class, &axis], []);
            nodes.norm(&mut graph, &class, "norm")?
        }
    };
    let logits = linear(&mut graph, &vector, "head")?;
    let axes = [Axis::Named("batch"), Axis::Fixed(classes)];
    let text = "One number per class, in the order of the metadata `semaim.classes`; a softmax makes probabilities of them";
    graph.output(&logits, "logits", &axes, text);
    Model::new(graph, config, size, about)
}
