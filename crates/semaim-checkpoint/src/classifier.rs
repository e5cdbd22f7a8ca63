//! A fine-tuned classifier on its own, under timm's names.
//!
//! Beside the encoder's weights: `head.*`, and `fc_norm.*` where patch tokens are averaged (timm's
//! `global_pool="avg"`), in place of the encoder's final norm, which is not used then and not written.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use semaim::classifier::{Classifier, Pool};
use semaim::config::{Normalisation, VitConfig};
use semaim::parameters::{WeightError, Weights, weights, with_weights};
use semaim::position::Interpolation;
use semaim::vit::Vit;

use crate::architecture::Architecture;
use crate::error::EncoderError;
use crate::metadata::{check_sizes, described, metadata};
use crate::tensors::TensorFile;

/// The metadata key under which the names of the classes stand, as a JSON list.
pub(crate) const CLASSES: &str = "semaim.classes";

/// A classifier from a file.
#[derive(Clone, Debug)]
pub struct ClassifierFile {
    /// The network.
    pub model: Classifier,
    /// The encoder's sizes.
    pub config: VitConfig,
    /// How its input is normalised.
    pub normalisation: Normalisation,
    /// The names of the classes.
    pub classes: Vec<String>,
}

impl ClassifierFile {
    /// Writes the classifier. Equal ones give equal bytes.
    ///
    /// # Errors
    /// [`EncoderError`].
    pub fn write(&self, path: &Path) -> Result<(), EncoderError> {
        let mut weights = weights(&self.model.clone().no_grad())?;
        if self.model.pool() == Pool::Mean {
            weights.retain(|name, _| !name.starts_with("norm."));
        }
        let mut metadata = metadata(
            &self.config,
            &self.model.encoder.arch_options(),
            &self.normalisation,
            Interpolation::default(),
        );
        let classes = serde_json::json!(self.classes).to_string();
        metadata.insert(CLASSES.into(), classes);
        TensorFile { weights, metadata }.write(path)?;
        Ok(())
    }

    /// Reads what [`ClassifierFile::write`] wrote.
    ///
    /// # Errors
    /// [`EncoderError`], each with the path; the first weight that is missing or has another shape is named.
    pub fn read(path: &Path, device: &Device) -> Result<Self, EncoderError> {
        let file = TensorFile::read(path)?;
        let Architecture {
            config,
            arch,
            normalisation,
            ..
        } = described(path, &file.metadata)?;
        let text = file
            .metadata
            .get(CLASSES)
            .ok_or_else(|| EncoderError::NoClasses {
                path: path.to_path_buf(),
            })?;
        let classes: Vec<String> =
            serde_json::from_str(text).map_err(|error| EncoderError::Damaged {
                path: path.to_path_buf(),
                message: error.to_string(),
            })?;
        let mismatch = |source| EncoderError::Mismatch {
            path: path.to_path_buf(),
            source,
        };
        check_sizes(&config, &arch, &file.weights).map_err(mismatch)?;
        check_head(&file.weights, classes.len(), config.embed_dim).map_err(mismatch)?;
        let encoder = Vit::zeros_as(&config, &arch, device);
        let mut found = file.weights;
        let pool = if found.contains_key("fc_norm.weight") {
            let unused = weights(&encoder.norm)?;
            let named = |(name, weight)| (format!("norm.{name}"), weight);
            found.extend(unused.into_iter().map(named));
            Pool::Mean
        } else {
            Pool::Cls
        };
        let model = Classifier::new(encoder, pool, classes.len(), 0, device);
        Ok(Self {
            model: with_weights(model, &found).map_err(mismatch)?.no_grad(),
            config,
            normalisation,
            classes,
        })
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
    use super::*;
    use burn::tensor::Tensor;
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
        for pool in [Pool::Mean, Pool::Cls] {
            let encoder = semaim::init::initialise(Vit::zeros(&config, &device), 3);
            let file = ClassifierFile {
                model: Classifier::new(encoder, pool, 3, 5, &device),
                config: config.clone(),
                normalisation: Normalisation {
                    mean: vec![0.5, 0.25],
                    std: vec![1.0, 2.0],
                },
                classes: vec!["a".into(), "b".into(), "ü".into()],
            };
            let path = folder.path().join("classifier.safetensors");
            file.write(&path).unwrap();
            let read = ClassifierFile::read(&path, &device).unwrap();
            assert_eq!(read.classes, file.classes);
            assert_eq!(read.model.pool(), pool);
            let images = Tensor::<4>::ones([2, 2, 8, 16], &device) * 0.3;
            let logits = |model: &Classifier| {
                let logits = model.forward(images.clone(), ForwardOptions::default());
                to_host("logits", logits).unwrap().values
            };
            assert_eq!(logits(&read.model), logits(&file.model.clone().no_grad()));
            let names = TensorFile::read(&path).unwrap().weights;
            assert_eq!(names.contains_key("norm.weight"), pool == Pool::Cls);
        }
    }
}
