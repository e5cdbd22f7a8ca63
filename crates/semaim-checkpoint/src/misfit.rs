//! Tensors that their network cannot take.

use std::collections::BTreeMap;
use std::fmt;

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use semaim::config::VitConfig;
use semaim::parameters::{NamedVisitor, Weight, visit_named};
use semaim::vit::Vit;

use crate::checkpoint::Checkpoint;

/// A tensor of another shape than its network has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Its name, under ours.
    pub name: String,
    /// The shape that it has.
    pub found: Vec<usize>,
    /// The shape that the network has.
    pub expected: Vec<usize>,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            found,
            expected,
        } = self;
        write!(
            f,
            "`{name}` has shape {found:?}, its network needs {expected:?}"
        )
    }
}

impl Checkpoint {
    /// Its tensors of other shapes than its network has: with any of them no [encoder](Checkpoint::encoder) comes of it.
    pub fn misfits(&self) -> Vec<Misfit> {
        // One block has the shapes of all.
        let one = VitConfig {
            depth: 1,
            ..self.config.clone()
        };
        let mut network = Shapes::default();
        visit_named(
            &Vit::zeros_as(&one, &self.arch, &Device::flex()),
            &mut network,
        );
        for scale in ["ls1", "ls2"] {
            let name = format!("blocks.0.{scale}.gamma");
            network.0.insert(name, vec![self.config.embed_dim]);
        }
        let misfit = |(name, weight): (&String, &Weight)| {
            let expected = network.0.get(&in_the_first_block(name))?;
            (weight.shape != *expected).then(|| Misfit {
                name: name.clone(),
                found: weight.shape.clone(),
                expected: expected.clone(),
            })
        };
        self.weights.iter().filter_map(misfit).collect()
    }
}

/// The shapes of a network's weights.
#[derive(Default)]
struct Shapes(BTreeMap<String, Vec<usize>>);

impl NamedVisitor for Shapes {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        self.0.insert(name.into(), param.val().dims().to_vec());
    }
}

/// The name of a tensor in the first block that has this name in its own.
fn in_the_first_block(name: &str) -> String {
    let of_a_block = name.strip_prefix("blocks.");
    match of_a_block.and_then(|name| name.split_once('.')) {
        Some((_, part)) => format!("blocks.0.{part}"),
        None => name.into(),
    }
}
