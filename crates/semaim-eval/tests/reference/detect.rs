//! Kind `detect_step`: ViTDet's Mask R-CNN, forward and backward, and what it detects.

mod settings;

use burn::module::Module;
use burn::tensor::Tensor;
use semaim::feature_map::FeatureMap;
use semaim::parameters::with_weights;
use semaim::vit::ForwardOptions;
use semaim_detect::boxes::BoundingBox;
use semaim_detect::detections::{Detection, resized};
use semaim_detect::instances::Instances;
use semaim_detect::losses::Losses;
use semaim_detect::matcher::Label;
use semaim_detect::model::{MaskRcnn, Mode};
use semaim_detect::names::{detectron2_name, layer};
use semaim_detect::paste::paste;
use semaim_detect::region_sampling::{SampledRegion, sample_regions};
use semaim_detect::rpn_loss::label_anchors;
use semaim_random::Key;
use semaim_train::gradients::Gradients;

use crate::Failure;
use crate::compare::{Comparisons, Tolerance, largest};
use crate::recorded::{Array, Recorded};
use settings::Settings;

/// Convolutions sum in other orders.
const CLOSE: f64 = 1e-3;

/// How far corners of proposals and detections may be apart, in pixels.
const CORNERS: f64 = 1e-2;

pub(crate) fn check(file: &Recorded) -> Result<usize, Failure> {
    let device = crate::device();
    let settings = Settings::read(file)?;
    let weights = settings.weights(file)?;
    let model = with_weights(settings.model(&device)?, &weights).map_err(text)?;
    let mut case = Case {
        file,
        model,
        input: settings.input(file, &device)?,
        truths: settings.truths(file)?,
        settings,
        compare: Comparisons::default(),
    };
    let input = case.input.clone();
    case.compare
        .tensor("input", input, file.array("input")?, relative(1e-5))?;
    case.learning_rates()?;
    let maps = case.maps()?;
    case.proposals(&maps)?;
    case.heads(&maps)?;
    case.losses()?;
    case.detections()?;
    Ok(case.compare.count)
}

fn text(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}

fn relative(share: f64) -> Tolerance {
    Tolerance::relative(share)
}

struct Case<'a> {
    file: &'a Recorded,
    settings: Settings,
    model: MaskRcnn,
    input: Tensor<4>,
    truths: Vec<Instances>,
    compare: Comparisons,
}

type Maps = [FeatureMap; 5];

impl Case<'_> {
    /// The factors of the learning rates, by layer.
    fn learning_rates(&mut self) -> Result<(), Failure> {
        let (factors, depth) = (&self.settings.lr_factors, self.settings.depth);
        let names = self.settings.names(&self.model)?;
        if factors.len() != names.len() {
            return Err(format!(
                "{} factors of {} weights",
                factors.len(),
                names.len()
            ));
        }
        // The decay is that of the last block.
        let of_layer = |wanted: usize| {
            let name = names.iter().find(|name| layer(name, depth) == wanted);
            name.and_then(|name| factors.get(&detectron2_name(name)))
        };
        let decay = of_layer(depth).ok_or("no factor of the last block")?;
        for name in &names {
            let theirs = detectron2_name(name);
            let recorded = factors
                .get(&theirs)
                .ok_or(format!("no factor of {theirs}"))?;
            let ours = decay.powi((depth + 1 - layer(name, depth)) as i32);
            let what = format!("learning rate of {theirs}");
            self.compare
                .slice(&what, &[ours], &[*recorded], relative(1e-12))?;
        }
        Ok(())
    }

    fn maps(&mut self) -> Result<Maps, Failure> {
        let options = ForwardOptions::default();
        let tokens = self.model.backbone.forward(self.input.clone(), options);
        self.map("backbone.tokens", &tokens)?;
        let maps = self.model.pyramid.forward(&tokens);
        for (map, level) in maps.iter().zip(2..) {
            self.map(&format!("features.p{level}"), map)?;
        }
        Ok(maps)
    }

    fn map(&mut self, name: &str, map: &FeatureMap) -> Result<(), Failure> {
        let expected = self.file.array(name)?;
        self.compare
            .tensor(name, map.channels_first(), expected, relative(CLOSE))
    }

    fn proposals(&mut self, maps: &Maps) -> Result<(), Failure> {
        let file = self.file;
        let levels = self.model.anchors();
        let anchors = levels.concat();
        let corners: Vec<f64> = anchors.iter().flat_map(|a| doubles(&a.corners())).collect();
        let exact = Tolerance::exact();
        let expected = &file.array("rpn.anchors")?.values;
        self.compare
            .slice("rpn.anchors", &corners, expected, exact)?;
        let output = self.model.rpn_head.forward(maps);
        for (name, found) in [
            ("rpn.logits", output.logits.clone().flatten::<1>(0, 1)),
            ("rpn.deltas", output.deltas.clone().flatten::<1>(0, 2)),
        ] {
            self.compare
                .tensor(name, found, file.array(name)?, relative(CLOSE))?;
        }
        let config = self.model.config().clone();
        for (i, truth) in self.truths.iter().enumerate() {
            let matches = label_anchors(&config.proposals, &anchors, &truth.boxes);
            let number = |label: &Label| match label {
                Label::Negative => 0.0,
                Label::Ignored => -1.0,
                Label::Positive => 1.0,
            };
            let found: Vec<f64> = matches.labels.iter().map(number).collect();
            let expected = file.array("rpn.labels")?.row(i).values;
            let what = format!("rpn.labels of image {i}");
            self.compare.slice(&what, &found, &expected, exact)?;
        }
        let sizes = &self.settings.images;
        let proposals = self
            .model
            .proposals(&output, &levels, sizes, Mode::Training)
            .map_err(text)?;
        for (i, proposals) in proposals.into_iter().enumerate() {
            let logits = file.array(&format!("proposals.{i}.logits"))?;
            let expected = file.boxes(&format!("proposals.{i}.boxes"))?;
            let allowed = CLOSE * largest(&logits.values);
            let found: Vec<_> = proposals.iter().map(|p| (p.bounds, p.logit)).collect();
            self.same_set(&format!("proposals.{i}"), &expected, &found, |at, logit| {
                (logits.values[at] - f64::from(*logit)).abs() <= allowed
            })?;

            let bounds = proposals.iter().map(|proposal| proposal.bounds);
            let truth = &self.truths[i];
            let sampled = sample_regions(&config.regions, 0, bounds, truth, Key::default());
            let classes = file.array(&format!("sampled.{i}.classes"))?;
            let expected = file.boxes(&format!("sampled.{i}.boxes"))?;
            let truth = std::slice::from_ref(truth);
            let found: Vec<_> = sampled
                .iter()
                .map(|region| (region.bounds, region.class(truth, config.classes)))
                .collect();
            self.same_set(&format!("sampled.{i}"), &expected, &found, |at, class| {
                classes.values[at] == *class as f64
            })?;
        }
        Ok(())
    }

    /// The recorded regions, in their order, each with the object that it overlaps most, if it is not background.
    fn regions(&self) -> Result<Vec<SampledRegion>, Failure> {
        let classes = self.model.config().classes as f64;
        let mut regions = Vec::new();
        for (image, truth) in self.truths.iter().enumerate() {
            let recorded = self.file.array(&format!("sampled.{image}.classes"))?;
            let boxes = self.file.boxes(&format!("sampled.{image}.boxes"))?;
            for (bounds, &class) in boxes.into_iter().zip(&recorded.values) {
                let iou = |&object: &usize| truth.boxes[object].iou(bounds);
                let best = (0..truth.boxes.len())
                    .rev()
                    .max_by(|a, b| iou(a).total_cmp(&iou(b)));
                let object = best.filter(|_| class != classes);
                if object.is_none() && class != classes {
                    return Err("foreground without objects".into());
                }
                regions.push(SampledRegion {
                    image,
                    bounds,
                    object,
                });
            }
        }
        Ok(regions)
    }

    /// The heads on the recorded regions.
    fn heads(&mut self, maps: &Maps) -> Result<(), Failure> {
        let file = self.file;
        let sampled = self.regions()?;
        let regions: Vec<_> = sampled.iter().map(|r| (r.image, r.bounds)).collect();
        let mut foreground = Vec::new();
        let mut targets = Vec::new();
        let side = 2 * self.model.config().regions.mask_bins;
        for SampledRegion {
            image,
            bounds,
            object,
        } in sampled
        {
            if let Some(object) = object {
                foreground.push((image, bounds));
                let mask = self.truths[image].masks[object].as_ref();
                let mask = mask.ok_or("a truth without a mask")?;
                let cells = mask.cropped(bounds, side);
                targets.extend(cells.into_iter().map(f64::from));
            }
        }
        if regions.is_empty() {
            return Ok(());
        }
        let pooled = self.model.pool_boxes(maps, &regions);
        self.first_rows("roi.pooled", pooled.clone())?;
        let output = self.model.boxes(pooled);
        for (name, found) in [("roi.scores", output.scores), ("roi.deltas", output.deltas)] {
            self.compare
                .tensor(name, found, file.array(name)?, relative(CLOSE))?;
        }
        if !foreground.is_empty() {
            let pooled = self.model.pool_masks(maps, &foreground);
            self.first_rows("mask.logits", self.model.mask_head.forward(pooled))?;
            let expected = &file.array("mask.targets")?.values;
            self.compare
                .slice("mask.targets", &targets, expected, Tolerance::exact())?;
        }
        Ok(())
    }

    /// The first rows of `[rows, positions, channels]`, as many as are recorded as `[rows, channels, height, width]`.
    fn first_rows(&mut self, name: &str, found: Tensor<3>) -> Result<(), Failure> {
        let expected = self.file.array(name)?;
        let rows = expected.shape[0];
        if rows > found.dims()[0] {
            return Err(format!("{name}: {rows} rows recorded, {}", found.dims()[0]));
        }
        let found = found.narrow(0, 0, rows).swap_dims(1, 2);
        self.compare.tensor(name, found, expected, relative(CLOSE))
    }

    fn losses(&mut self) -> Result<(), Failure> {
        let tracked = self.model.clone().train();
        let input = Tensor::from_inner(self.input.clone());
        let keys = vec![Key::default(); self.truths.len()];
        let (sizes, options) = (&self.settings.images, ForwardOptions::default());
        let own = tracked
            .losses(input.clone(), sizes, &self.truths, &keys, options)
            .map_err(text)?;
        self.agreeing(&own)?;
        // Corners of proposals agree to a thousandth of a pixel or so, as their deltas are rounded: enough to bring inputs
        // of a head's ReLU to its other side. In a few dozen regions one such input moves a gradient by more than is
        // allowed, so gradients are compared on the recorded corners.
        let maps = tracked.features(input, options);
        let output = tracked.rpn_head.forward(&maps);
        let losses = tracked.losses_on(&maps, &output, &self.regions()?, &self.truths, &keys);
        self.agreeing(&losses)?;
        self.gradients(&Gradients::of(&tracked, losses.total().backward()))
    }

    fn agreeing(&mut self, losses: &Losses) -> Result<(), Failure> {
        let (file, near) = (self.file, relative(1e-4));
        let recorded = file.under("loss.");
        if recorded.len() != losses.by_name().len() {
            return Err(format!("losses {:?}", recorded.keys()));
        }
        let parts = losses
            .by_name()
            .map(|(name, loss)| (format!("loss.{name}"), loss));
        for (name, loss) in parts.into_iter().chain([("loss".into(), losses.total())]) {
            self.compare
                .tensor(&name, loss.inner(), file.array(&name)?, near)?;
        }
        Ok(())
    }

    fn gradients(&mut self, found: &Gradients) -> Result<(), Failure> {
        let recorded = self.file.under("grad.");
        if found.iter().count() != recorded.len() {
            let found = found.iter().count();
            return Err(format!("{found} gradients, recorded {}", recorded.len()));
        }
        // As for the other kinds: a bias on keys has no gradient but for rounding.
        let most = recorded
            .values()
            .map(|array| largest(&array.values))
            .fold(0.0, f64::max);
        let tolerance = Tolerance {
            relative: CLOSE,
            absolute: 1e-7 * most,
        };
        for (name, gradient) in found.iter() {
            let name = format!("grad.{}", detectron2_name(name));
            let expected = self.file.array(&name)?;
            self.compare
                .tensor(&name, gradient.clone(), expected, tolerance)?;
        }
        Ok(())
    }

    fn detections(&mut self) -> Result<(), Failure> {
        let file = self.file;
        let sizes = self.settings.images.clone();
        let found = self
            .model
            .detect(self.input.clone(), &sizes)
            .map_err(text)?;
        for (i, detections) in found.into_iter().enumerate() {
            let output = self.settings.output[i];
            // The recorded boxes have been scaled to the output's size, but none is left out.
            let factor = |axis: usize| output[axis] as f32 / sizes[i][axis] as f32;
            let scaled = |d: &Detection| d.bounds.scaled(factor(1), factor(0)).clipped(output);
            let expected = file.boxes(&format!("detections.{i}.boxes"))?;
            let scores = file.array(&format!("detections.{i}.scores"))?;
            let classes = file.array(&format!("detections.{i}.classes"))?;
            let masks = file.array(&format!("detections.{i}.masks"))?;
            let pairs: Vec<_> = detections.iter().map(|d| (scaled(d), d)).collect();
            self.same_set(&format!("detections.{i}"), &expected, &pairs, |at, d| {
                let mask = masks.row(at).values;
                let off = mask
                    .iter()
                    .zip(&d.mask)
                    .map(|(e, f)| (e - f64::from(*f)).abs());
                classes.values[at] == d.class as f64
                    && (scores.values[at] - f64::from(d.score)).abs() <= CLOSE
                    && mask.len() == d.mask.len()
                    && off.fold(0.0, f64::max) <= CLOSE
            })?;
            self.pasted(i, masks, &expected)?;
            // Ours leaves out what has no area in the output.
            let kept = resized(detections, sizes[i], output);
            let pasted = file.boxes(&format!("pasted.{i}.boxes"))?;
            let found: Vec<_> = kept.iter().map(|d| (d.bounds, ())).collect();
            for bounds in pasted {
                let near = |(found, ()): &(BoundingBox, ())| apart(*found, bounds) <= CORNERS;
                if !found.iter().any(near) {
                    return Err(format!("pasted.{i}: nothing at {bounds:?}"));
                }
            }
        }
        Ok(())
    }

    /// The recorded masks, pasted into the recorded boxes.
    fn pasted(&mut self, i: usize, masks: &Array, boxes: &[BoundingBox]) -> Result<(), Failure> {
        let expected = self.file.array(&format!("pasted.{i}.masks"))?;
        let bounds = self.file.boxes(&format!("pasted.{i}.boxes"))?;
        let threshold = self.model.config().inference.mask;
        let with_area = (0..boxes.len()).filter(|&at| boxes[at].has_area());
        for (number, (at, bounds)) in with_area.zip(bounds).enumerate() {
            let mask = masks.row(at).as_f32();
            let (side, output) = (mask.len().isqrt(), self.settings.output[i]);
            let found = paste(&mask, side, bounds, output, threshold);
            let found: Vec<f64> = found.pixels.into_iter().map(f64::from).collect();
            let what = format!("pasted.{i}.masks[{number}]");
            let expected = expected.row(number).values;
            self.compare
                .slice(&what, &found, &expected, Tolerance::exact())?;
        }
        Ok(())
    }

    /// Each recorded box must have its own found one whose corners are near and of which `same` is true.
    fn same_set<T>(
        &mut self,
        what: &str,
        expected: &[BoundingBox],
        found: &[(BoundingBox, T)],
        same: impl Fn(usize, &T) -> bool,
    ) -> Result<(), Failure> {
        self.compare.count += 1;
        if expected.len() != found.len() {
            let (found, expected) = (found.len(), expected.len());
            return Err(format!("{what}: {found} boxes, recorded {expected}"));
        }
        let mut taken = vec![false; found.len()];
        for (at, bounds) in expected.iter().enumerate() {
            let partner = (0..found.len()).find(|&j| {
                !taken[j] && apart(found[j].0, *bounds) <= CORNERS && same(at, &found[j].1)
            });
            match partner {
                Some(j) => taken[j] = true,
                None => {
                    let nearest = found
                        .iter()
                        .map(|(found, _)| apart(*found, *bounds))
                        .fold(f64::INFINITY, f64::min);
                    return Err(format!(
                        "{what}[{at}]: none like {bounds:?}, corners of the nearest {nearest} apart"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn apart(a: BoundingBox, b: BoundingBox) -> f64 {
    let pairs = a.corners().into_iter().zip(b.corners());
    pairs
        .map(|(a, b)| f64::from((a - b).abs()))
        .fold(0.0, f64::max)
}
