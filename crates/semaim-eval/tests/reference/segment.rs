//! Kind `segment_step`: UPerNet with its auxiliary head, in evaluation and in training.

mod settings;

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use burn::tensor::Tensor;
use semaim::batch_norm::NormMode;
use semaim::feature_map::FeatureMap;
use semaim::grid::Grid;
use semaim::parameters::{Weight, weights, with_weights};
use semaim::resample::Resampling;
use semaim::vit::ForwardOptions;
use semaim_segment::losses::cross_entropy;
use semaim_segment::model::{Head, Segmenter};
use semaim_segment::names::{Part, huggingface_parts};
use semaim_train::gradients::Gradients;

use crate::Failure;
use crate::compare::{Comparisons, Tolerance, largest, values};
use crate::recorded::{Array, Recorded};
use settings::{Settings, joined};

/// Convolutions sum in other orders.
const CLOSE: f64 = 1e-3;

pub(crate) fn check(file: &Recorded) -> Result<usize, Failure> {
    let device = crate::device();
    let settings = Settings::read(file)?;
    let fresh = settings.model(&device)?;
    let weights = settings.weights(file, &fresh)?;
    let images: Tensor<4> = file.array("images")?.tensor(&device)?;
    let [_, _, rows, columns] = images.dims();
    let labels = file.array("labels")?;
    let mut case = Case {
        file,
        model: with_weights(fresh, &weights).map_err(text)?,
        images,
        labels: labels.values.iter().map(|&label| label as u8).collect(),
        pixels: Grid { rows, columns },
        compare: Comparisons::default(),
    };
    case.evaluation()?;
    case.training()?;
    Ok(case.compare.count)
}

fn text(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}

fn near() -> Tolerance {
    Tolerance::relative(CLOSE)
}

struct Case<'a> {
    file: &'a Recorded,
    model: Segmenter,
    images: Tensor<4>,
    labels: Vec<u8>,
    pixels: Grid,
    compare: Comparisons,
}

impl Case<'_> {
    fn map(&mut self, name: &str, map: &FeatureMap) -> Result<(), Failure> {
        let expected = self.file.array(name)?;
        self.compare
            .tensor(name, map.channels_first(), expected, near())
    }

    /// Batch norms by the recorded statistics.
    fn evaluation(&mut self) -> Result<(), Failure> {
        let options = ForwardOptions::default();
        let maps = self
            .model
            .encode(self.images.clone(), options)
            .map_err(text)?;
        for (number, map) in maps.iter().enumerate() {
            let name = format!("eval.tokens.{number}");
            // A single number stands for tokens that were not kept.
            if self.file.array(&name)?.shape != [1] {
                self.map(&name, map)?;
            }
        }
        let Head::Upernet(head) = &self.model.head else {
            return Err("no UPerNet".into());
        };
        let scales = head.neck.forward(&maps, &mut NormMode::Running);
        for (number, map) in scales.iter().enumerate() {
            self.map(&format!("eval.features.{number}"), map)?;
        }
        let logits = self.model.logits(&maps, &mut NormMode::Running).main;
        self.map(
            "eval.logits",
            &Resampling::Bilinear.apply(&logits, self.pixels),
        )?;
        self.prediction()
    }

    /// The class of each pixel, through inference on whole images; where two classes are as good as equal either will do.
    fn prediction(&mut self) -> Result<(), Failure> {
        let Grid { rows, columns } = self.pixels;
        let logits = self.file.array("eval.logits")?;
        let expected = self.file.array("eval.prediction")?;
        let margin = 2.0 * CLOSE * largest(&logits.values);
        for image in 0..self.images.dims()[0] {
            let view = self.images.clone().narrow(0, image, 1);
            let found = self
                .model
                .classes_of_pixels(&[view], [rows, columns])
                .map_err(text)?;
            let (logits, expected) = (logits.row(image).values, expected.row(image).values);
            if found.len() != expected.len() {
                return Err(format!(
                    "{} classes of {} pixels",
                    found.len(),
                    expected.len()
                ));
            }
            self.compare.count += 1;
            for (pixel, (&found, &expected)) in found.iter().zip(&expected).enumerate() {
                let of = |class: usize| logits[class * (rows * columns) + pixel];
                if of(expected as usize) - of(usize::from(found)) > margin {
                    return Err(format!(
                        "eval.prediction of image {image}, pixel {pixel}: {found} where {expected} is recorded"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Batch norms by the batch's statistics.
    fn training(&mut self) -> Result<(), Failure> {
        let options = ForwardOptions::default();
        let tracked = self.model.clone().train();
        let images = Tensor::from_inner(self.images.clone());
        let maps = tracked.encode(images, options).map_err(text)?;
        let logits = tracked.logits(&maps, &mut NormMode::training());
        let auxiliary = logits.auxiliary.ok_or("no auxiliary head")?;
        self.map("train.logits_small", &without_graph(&logits.main))?;
        self.map("train.auxiliary_small", &without_graph(&auxiliary))?;
        for (name, logits) in [("loss.main", logits.main), ("loss.auxiliary", auxiliary)] {
            let loss = cross_entropy(&logits, &self.labels, self.pixels);
            let expected = self.file.array(name)?;
            self.compare
                .tensor(name, loss.inner(), expected, Tolerance::relative(1e-4))?;
        }

        let (losses, statistics) = tracked
            .losses(&maps, &self.labels, self.pixels)
            .map_err(text)?;
        let total = losses.total();
        let expected = self.file.array("loss")?;
        let loss = total.clone().inner();
        self.compare
            .tensor("loss", loss, expected, Tolerance::relative(1e-4))?;
        self.gradients(&Gradients::of(&tracked, total.backward()))?;

        let mut after = self.model.clone();
        statistics.update(&mut after, None);
        let ours = weights(&after).map_err(text)?;
        let mut recorded = self.file.under("after.");
        for (name, weight) in &ours {
            if !name.ends_with(".running_mean") && !name.ends_with(".running_var") {
                continue;
            }
            let theirs = joined(name, &mut recorded)?;
            let doubles = |weight: &Weight| -> Vec<f64> {
                weight.values.iter().copied().map(f64::from).collect()
            };
            let (found, expected) = (doubles(weight), doubles(&theirs));
            self.compare
                .slice(&format!("after.{name}"), &found, &expected, near())?;
        }
        none_left("after", &recorded)
    }

    fn gradients(&mut self, found: &Gradients) -> Result<(), Failure> {
        let mut recorded = self.file.under("grad.");
        let most = recorded
            .values()
            .map(|array| largest(&array.values))
            .fold(0.0, f64::max);
        // As for the other kinds: a bias on keys has no gradient but for rounding.
        let tolerance = Tolerance {
            relative: CLOSE,
            absolute: 1e-7 * most,
        };
        for (name, gradient) in found.iter() {
            let found = values(gradient.clone())?;
            let parts = huggingface_parts(name);
            if parts.is_empty() {
                return Err(format!("a gradient of {name}, which they have not"));
            }
            for (part, found) in parts.iter().zip(found.chunks(found.len() / parts.len())) {
                let what = format!("grad.{name}");
                let zeros = vec![0.0; found.len()];
                let expected = match part {
                    Part::Zeros => &zeros,
                    Part::Named(theirs) => {
                        let array = recorded.remove(theirs);
                        &array.ok_or(format!("no grad.{theirs}"))?.values
                    }
                };
                self.compare.slice(&what, found, expected, tolerance)?;
            }
        }
        none_left("grad", &recorded)
    }
}

fn none_left(what: &str, recorded: &BTreeMap<String, &Array>) -> Result<(), Failure> {
    let names: BTreeSet<&String> = recorded.keys().collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(format!("{what} of {names:?} recorded, ours have none"))
}

fn without_graph(map: &FeatureMap) -> FeatureMap {
    FeatureMap {
        values: map.values.clone().inner(),
        grid: map.grid,
    }
}
