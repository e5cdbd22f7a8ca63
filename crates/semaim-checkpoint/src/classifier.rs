//! A fine-tuned classifier as a [model file](ModelFile), under timm's names.
//!
//! Beside the encoder's weights: `head.*`, and `fc_norm.*` where patch tokens are averaged (timm's
//! `global_pool="avg"`), in place of the encoder's final norm, which is not used then and not written.

use burn::module::Module;
use burn::tensor::Device;
use semaim::classifier::{Classifier, Pool};
use semaim::parameters::{WeightError, Weights, weights, with_weights};
use semaim::vit::Vit;
use serde_json::Value;

use crate::encoder::Encoder;
use crate::error::EncoderError;
use crate::metadata::check_sizes;
use crate::model_file::{ModelFile, ModelKind};

impl ModelFile {
    /// A classifier on an encoder, of which sizes and normalization are taken.
    ///
    /// # Errors
    /// [`EncoderError::Weights`] when the backend fails.
    pub fn of_classifier(
        encoder: &Encoder,
        classes: &[String],
        model: &Classifier,
    ) -> Result<Self, EncoderError> {
        let mut weights = weights(&model.clone().no_grad())?;
        if model.pool() == Pool::Mean {
            weights.retain(|name, _| !name.starts_with("norm."));
        }
        Ok(Self {
            kind: ModelKind::Classifier,
            config: encoder.config.clone(),
            arch: model.encoder.arch_options(),
            normalization: encoder.normalization.clone(),
            interpolation: encoder.interpolation,
            classes: classes.to_vec(),
            settings: Value::Null,
            weights,
        })
    }

    /// The network of a classifier.
    ///
    /// # Errors
    /// The first weight that is missing or has another shape.
    pub fn classifier(&self, device: &Device) -> Result<Classifier, WeightError> {
        check_sizes(&self.config, &self.arch, &self.weights)?;
        check_head(&self.weights, self.classes.len(), self.config.embed_dim)?;
        let encoder = Vit::zeros_as(&self.config, &self.arch, device);
        let mut found = self.weights.clone();
        let pool = if found.contains_key("fc_norm.weight") {
            let unused = weights(&encoder.norm)?;
            let named = |(name, weight)| (format!("norm.{name}"), weight);
            found.extend(unused.into_iter().map(named));
            Pool::Mean
        } else {
            Pool::Cls
        };
        let model = Classifier::new(encoder, pool, self.classes.len(), 0, device);
        Ok(with_weights(model, &found)?.no_grad())
    }
}

/// Checks the head's size before memory is taken for it.
fn check_head(weights: &Weights, classes: usize, embed_dim: usize) -> Result<(), WeightError> {
    let (name, expected) = ("head.weight".to_string(), vec![classes, embed_dim]);
    match weights.get(&name) {
        None => Err(WeightError::Missing { name, expected }),
        Some(weight) if weight.shape != expected => Err(WeightError::Shape {
            name,
            expected,
            found: weight.shape.clone(),
        }),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use semaim::position::Interpolation;

    use super::*;
    use crate::tensors::TensorFile;
    use burn::tensor::Tensor;
    use semaim::config::{Normalization, VitConfig};
    use semaim::parameters::to_host;
    use semaim::vit::ForwardOptions;

    #[test]
    fn what_is_written_classifies_alike() {
        let device = Device::flex();
        let config = VitConfig {
            image_size: [8, 16],
            patch_size: 4,
            channels: 2,
            embed_dim: 8,
            ..VitConfig::tiny()
        };
        let folder = tempfile::tempdir().unwrap();
        let encoder = Encoder {
            vit: semaim::init::initialize(Vit::zeros(&config, &device), 3),
            config,
            normalization: Normalization {
                mean: vec![0.5, 0.25],
                std: vec![1.0, 2.0],
            },
            interpolation: Interpolation::Offset,
        };
        let classes = ["a".to_string(), "b".into(), "ü".into()];
        for pool in [Pool::Mean, Pool::Cls] {
            let model = Classifier::new(encoder.vit.clone(), pool, 3, 5, &device);
            let file = ModelFile::of_classifier(&encoder, &classes, &model).unwrap();
            let path = folder.path().join("classifier.safetensors");
            file.clone().write(&path).unwrap();
            for named in [path.as_path(), folder.path()] {
                assert_eq!(ModelFile::read(named).unwrap(), file);
            }
            let read = file.classifier(&device).unwrap();
            assert_eq!(read.pool(), pool);
            let images = Tensor::<4>::ones([2, 2, 8, 16], &device) * 0.3;
            let logits = |model: &Classifier| {
                let logits = model.forward(images.clone(), ForwardOptions::default());
                to_host("logits", logits).unwrap().values
            };
            assert_eq!(logits(&read), logits(&model.clone().no_grad()));
            let names = TensorFile::read(&path).unwrap().weights;
            assert_eq!(names.contains_key("norm.weight"), pool == Pool::Cls);
            let mut smaller = file;
            smaller.classes.pop();
            assert!(smaller.classifier(&device).is_err());
        }
    }
}
