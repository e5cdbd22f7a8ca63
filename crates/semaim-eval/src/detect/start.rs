//! The first weights of a detector that is trained: those of another detector, as far as they fit.

use std::collections::BTreeSet;
use std::path::Path;

use semaim::parameters::{Weight, WeightError, Weights, weights, with_weights};
use semaim_checkpoint::error::EncoderError;
use semaim_detect::model::MaskRcnn;
use semaim_detect::relative_position::fit_tables;

use super::file::{DetectorFile, DetectorFileError};

/// Weights with outputs for each class: their names, and how many outputs a class has.
const OF_CLASSES: [(&str, usize); 6] = [
    ("box_predictor.cls_score.weight", 1),
    ("box_predictor.cls_score.bias", 1),
    ("box_predictor.bbox_pred.weight", 4),
    ("box_predictor.bbox_pred.bias", 4),
    ("mask_head.predictor.weight", 1),
    ("mask_head.predictor.bias", 1),
];

/// A detector with first weights, and what is to be said of them.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) model: MaskRcnn,
    pub(super) said: Vec<String>,
}

/// Gives a detector of `classes`, whose pyramid and heads have first weights, the weights of another: all of them, those of
/// classes where they have the same name. Where `encoder_only`, the backbone's alone.
///
/// # Errors
/// Settings that the weights do not fit, and weights that are missing, of another shape, or not finite.
pub(super) fn started(
    model: MaskRcnn,
    from: &DetectorFile,
    classes: &[String],
    encoder_only: bool,
) -> Result<Started, DetectorFileError> {
    from.model.check_finite(&from.path)?;
    let name = from.path.display();
    let config = model.config().clone();
    let mut theirs = from.model.weights.clone();
    let vit = &from.model.config;
    fit_tables(&mut theirs, &config, vit.patch_size, vit.depth);
    let mut said: Vec<String> = from.notice().into_iter().collect();
    let has_tables = theirs.keys().any(|name| name.contains(".rel_pos_"));
    if encoder_only {
        said.push(format!(
            "of the detector {name} the encoder alone is taken; pyramid and heads begin anew"
        ));
        if has_tables && !config.attention.relative_positions {
            said.push(
                "its relative positions are left out, as detector.attention.relative_positions is false"
                    .into(),
            );
        }
    } else {
        let fits = config.check_fits(&from.settings.detector);
        fits.map_err(|source| DetectorFileError::Settings {
            path: from.path.clone(),
            source,
        })?;
    }
    let untaught = !from.settings.masks;
    if untaught && !encoder_only {
        said.push(format!(
            "{name} was taught no masks; the mask head begins anew"
        ));
    }
    let places = places(classes, &from.model.classes);
    let mut first = weights(&model).map_err(EncoderError::from)?;
    for (weight_name, weight) in &mut first {
        let in_backbone = weight_name.starts_with("backbone.");
        let anew = !in_backbone && encoder_only
            || untaught && weight_name.starts_with("mask_head.")
            // Relative positions that the other detector does not have begin as zeros, which change no score.
            || weight_name.contains(".rel_pos_") && !has_tables;
        if anew {
            continue;
        }
        let source = taken(weight_name, weight, &theirs, &places);
        *weight = source.map_err(|source| EncoderError::Mismatch {
            path: from.path.clone(),
            source,
        })?;
    }
    if !encoder_only {
        let theirs = &from.model.classes;
        said.push(of_classes(&from.path, theirs, classes, &places));
    }
    let model = with_weights(model, &first).map_err(|source| EncoderError::Mismatch {
        path: from.path.clone(),
        source,
    })?;
    Ok(Started { model, said })
}

/// For each class its number in the other detector, where that has one of its name. The same names in the same order are the
/// same classes; otherwise a name that several classes have, here or there, does not tell which of them is meant (as in
/// [`numbers_of`](crate::known_classes::numbers_of), which has nothing to begin anew with and refuses it).
fn places(classes: &[String], theirs: &[String]) -> Vec<Option<usize>> {
    if classes == theirs {
        return (0..classes.len()).map(Some).collect();
    }
    let is_one_of = |names: &[String], class: &String| {
        let same = names.iter().filter(|name| *name == class);
        same.count() == 1
    };
    let place = |class: &String| {
        let place = theirs.iter().position(|known| known == class)?;
        let is_told = is_one_of(classes, class) && is_one_of(theirs, class);
        is_told.then_some(place)
    };
    classes.iter().map(place).collect()
}

/// What a weight begins as: the other detector's, with outputs of classes in their places.
fn taken(
    name: &str,
    first: &Weight,
    theirs: &Weights,
    places: &[Option<usize>],
) -> Result<Weight, WeightError> {
    let weight = theirs.get(name).ok_or_else(|| WeightError::Missing {
        name: name.to_string(),
        expected: first.shape.clone(),
    })?;
    let of_classes = OF_CLASSES.iter().find(|(known, _)| *known == name);
    let (inner, &(_, outputs)) = match (weight.shape.get(1..), of_classes) {
        (Some(inner), Some(of_classes)) if first.shape.get(1..) == Some(inner) => {
            (inner.iter().product::<usize>(), of_classes)
        }
        (_, None) if weight.shape == first.shape => return Ok(weight.clone()),
        _ => {
            return Err(WeightError::Shape {
                name: name.to_string(),
                expected: first.shape.clone(),
                found: weight.shape.clone(),
            });
        }
    };
    let mut taken = first.clone();
    let of_a_class = outputs * inner;
    let mut copy = |from: usize, to: usize| {
        let (from, to) = (from * of_a_class, to * of_a_class);
        if let Some(values) = weight.values.get(from..from + of_a_class) {
            taken.values[to..to + of_a_class].copy_from_slice(values);
        }
    };
    for (class, place) in places.iter().enumerate() {
        if let Some(place) = place {
            copy(*place, class);
        }
    }
    // The last output of the scores is the background's.
    if name.contains("cls_score") {
        copy(weight.shape[0].saturating_sub(1), places.len());
    }
    Ok(taken)
}

/// Which classes go on and which begin anew, for people to read.
fn of_classes(
    path: &Path,
    theirs: &[String],
    classes: &[String],
    places: &[Option<usize>],
) -> String {
    let name = path.display();
    let (alike, new): (Vec<&str>, Vec<&str>) = classes
        .iter()
        .zip(places)
        .filter(|(_, place)| place.is_none())
        .map(|(class, _)| class.as_str())
        .partition(|class| theirs.iter().any(|known| known == class));
    let left = theirs.len() - places.iter().flatten().count();
    let mut text = match (new.len(), classes.len()) {
        (0, _) if !alike.is_empty() => {
            format!("weights are those of {name}, its classes by their names")
        }
        (0, _) => format!("all weights are those of {name}, its classes by their names"),
        (new, all) if new == all => format!(
            "weights are those of {name}, but for the last layers: it knows none of the classes by name"
        ),
        (_, all) => format!(
            "weights are those of {name}; {} of {all} classes are new to it and begin anew: {}",
            new.len(),
            new.join(", ")
        ),
    };
    if !alike.is_empty() {
        let alike: BTreeSet<String> = alike.iter().map(|class| format!("`{class}`")).collect();
        let alike: Vec<String> = alike.into_iter().collect();
        text += &format!(
            "; several classes are called {}, here or there, and begin anew, as classes are told apart by their names",
            alike.join(", ")
        );
    }
    if left > 0 {
        text += &format!("; {left} of its own are left out");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(shape: &[usize], from: f32) -> Weight {
        let count: usize = shape.iter().product();
        Weight {
            shape: shape.to_vec(),
            values: (0..count).map(|i| from + i as f32).collect(),
        }
    }

    fn texts(names: &str) -> Vec<String> {
        names.split(' ').map(str::to_string).collect()
    }

    #[test]
    fn classes_that_are_called_alike_begin_anew() {
        for (classes, theirs, expected, said) in [
            // Each is itself where all are the same.
            (
                "cup brush cup",
                "cup brush cup",
                vec![Some(0), Some(1), Some(2)],
                "all weights are those of a.safetensors, its classes by their names",
            ),
            (
                "brush cup",
                "cup brush cup",
                vec![Some(1), None],
                "weights are those of a.safetensors, its classes by their names; several classes are called `cup`, here or \
                 there, and begin anew, as classes are told apart by their names; 2 of its own are left out",
            ),
            (
                "cup fork cup",
                "cup brush",
                vec![None, None, None],
                "weights are those of a.safetensors; 1 of 3 classes are new to it and begin anew: fork; several classes are \
                 called `cup`, here or there, and begin anew, as classes are told apart by their names; 2 of its own are left \
                 out",
            ),
            // Those that are not there do not matter.
            (
                "brush",
                "cup brush cup",
                vec![Some(1)],
                "all weights are those of a.safetensors, its classes by their names; 2 of its own are left out",
            ),
        ] {
            let (classes, theirs) = (texts(classes), texts(theirs));
            let places = places(&classes, &theirs);
            assert_eq!(places, expected);
            let text = of_classes(Path::new("a.safetensors"), &theirs, &classes, &places);
            assert_eq!(text, said);
        }
    }

    #[test]
    fn classes_go_on_by_name_and_the_background_stays_last() {
        let places = places(&texts("c x a"), &texts("a b c d"));
        assert_eq!(places, [Some(2), None, Some(0)]);
        let theirs = Weights::from([
            (
                "box_predictor.cls_score.weight".to_string(),
                weight(&[5, 2], 0.0),
            ),
            (
                "box_predictor.bbox_pred.bias".to_string(),
                weight(&[16], 0.0),
            ),
            ("box_head.fc1.bias".to_string(), weight(&[3], 7.0)),
        ]);
        let take = |name: &str, first: &Weight| taken(name, first, &theirs, &places);
        let scores = take("box_predictor.cls_score.weight", &weight(&[4, 2], 100.0)).unwrap();
        assert_eq!(scores.values, [4.0, 5.0, 102.0, 103.0, 0.0, 1.0, 8.0, 9.0]);
        let boxes = take("box_predictor.bbox_pred.bias", &weight(&[12], 100.0)).unwrap();
        let expected = [
            8.0, 9.0, 10.0, 11.0, 104.0, 105.0, 106.0, 107.0, 0.0, 1.0, 2.0, 3.0,
        ];
        assert_eq!(boxes.values, expected);
        let hidden = take("box_head.fc1.bias", &weight(&[3], 0.0)).unwrap();
        assert_eq!(hidden.values, [7.0, 8.0, 9.0]);
        assert!(take("box_head.fc1.bias", &weight(&[4], 0.0)).is_err());
        assert!(take("box_predictor.cls_score.weight", &weight(&[4, 3], 0.0)).is_err());
        assert!(take("pyramid.finer2.bias", &weight(&[4], 0.0)).is_err());
    }
}
