//! Heads that are trained on a frozen encoder's tokens.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use semaim::layers::Linear;
use semaim_kernels::composed;
use semaim_random::{KeyedRng, Stream};
use serde::{Deserialize, Serialize};

/// Standard deviation of first weights, as published for linear probes.
const DEVIATION: f64 = 0.01;

/// What is trained on frozen tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadKind {
    /// A linear layer on one vector per image.
    #[default]
    Linear,
    /// A learned query that attends to the patch tokens, then a linear layer (El-Nouby et al., AIM, ICML 2024).
    Attentive,
}

/// One head.
#[derive(Module, Debug)]
pub struct Head {
    /// Attention pooling; none for a linear probe.
    pub pool: Option<Pooling>,
    /// From one vector per image to one number per class.
    pub fc: Linear,
}

/// Attention of one learned query to the tokens of an image.
#[derive(Module, Debug)]
pub struct Pooling {
    /// The query, `[1, 1, width]`.
    pub query: Param<Tensor<3>>,
    /// Keys, `[width, width]`.
    pub key: Param<Tensor<2>>,
    /// Values, `[width, width]`.
    pub value: Param<Tensor<2>>,
    num_heads: usize,
}

/// Heads that see the same tokens and learn at different rates.
#[derive(Module, Debug)]
pub struct Heads {
    /// One for each setting.
    pub heads: Vec<Head>,
}

/// Sizes of a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadSize {
    /// Numbers per token.
    pub width: usize,
    /// Attention heads of a pooling head; divides `width`.
    pub num_heads: usize,
    /// Classes.
    pub classes: usize,
}

impl Heads {
    /// `count` heads with the same first weights.
    pub fn new(kind: HeadKind, size: HeadSize, count: usize, seed: u64, device: &Device) -> Self {
        let draws = |name: &str, shape: [usize; 2]| -> Tensor<2> {
            let mut draw = KeyedRng::named(seed, name, Stream::Init);
            let numbers = shape[0] * shape[1];
            let values: Vec<f32> = (0..numbers)
                .map(|_| (DEVIATION * draw.normal()) as f32)
                .collect();
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        let HeadSize {
            width,
            num_heads,
            classes,
        } = size;
        let head = |_| Head {
            pool: (kind == HeadKind::Attentive).then(|| Pooling {
                query: Param::from_tensor(draws("query", [1, width]).reshape([1, 1, width])),
                key: Param::from_tensor(draws("key", [width, width])),
                value: Param::from_tensor(draws("value", [width, width])),
                num_heads,
            }),
            fc: Linear {
                weight: Param::from_tensor(draws("fc", [classes, width])),
                bias: Param::from_tensor(Tensor::zeros([classes], device)),
            },
        };
        Self {
            heads: (0..count).map(head).collect(),
        }
    }
}

impl Head {
    /// Logits `[batch, classes]` of normalized tokens `[batch, tokens, width]`: one token per image for a linear probe.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<2> {
        let vector = match &self.pool {
            Some(pool) => pool.forward(tokens),
            None => tokens,
        };
        self.fc.forward(vector).squeeze_dim(1)
    }
}

impl Pooling {
    /// `[batch, tokens, width]` to `[batch, 1, width]`.
    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, count, width] = tokens.dims();
        let project = |weight: &Param<Tensor<2>>| {
            tokens
                .clone()
                .reshape([batch * count, width])
                .matmul(weight.val().transpose())
                .reshape([batch, count, width])
        };
        let query = self.query.val().expand([batch, 1, width]);
        let (key, value) = (project(&self.key), project(&self.value));
        composed::attention(query, key, value, self.num_heads, None)
    }
}
