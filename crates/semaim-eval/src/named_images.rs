//! What settings name as images to train and to evaluate on, where objects or pixels are labeled.

use semaim_config::Problems;
use semaim_data::same_sets;

/// Whether there is a set of its own to evaluate on. The same set twice, however it is written, is one set, part of which is held
/// out, as for classifiers.
pub(crate) fn is_another_set(eval: &str, path: &str) -> bool {
    !eval.is_empty() && !same_sets(&[eval], &[path])
}

/// Which of the settings of the table `data` are given: a set as a whole, or what is labeled with its folder of images.
pub(crate) struct NamedImages<'a> {
    pub(crate) path: &'a str,
    /// Settings that name labels to train on, and whether they are given.
    pub(crate) annotated: &'a [(&'static str, bool)],
    pub(crate) images: bool,
    pub(crate) eval: &'a str,
    /// Those to evaluate on, in the same order.
    pub(crate) eval_annotated: &'a [(&'static str, bool)],
    pub(crate) eval_images: bool,
}

impl NamedImages<'_> {
    /// Refuses what would not be looked at.
    pub(crate) fn check(&self, problems: &mut Problems) {
        let all = |settings: &[(&str, bool)]| {
            let names: Vec<&str> = settings.iter().map(|(name, _)| *name).collect();
            names.join(" or ")
        };
        for ((eval, is_given), (train, is_train_given)) in
            self.eval_annotated.iter().zip(self.annotated)
        {
            problems.require(
                !is_given || *is_train_given,
                eval,
                format!("goes with data.{train}; where data.path names what is trained on, data.eval does what is evaluated on"),
            );
        }
        for (whole, name, settings, images, images_name) in [
            (self.path, "path", self.annotated, self.images, "images"),
            (
                self.eval,
                "eval",
                self.eval_annotated,
                self.eval_images,
                "eval_images",
            ),
        ] {
            if let Some((other, _)) = settings.iter().find(|(_, is_given)| *is_given) {
                problems.require(
                    whole.is_empty(),
                    name,
                    format!("and data.{other} both name images; give one of them"),
                );
            }
            problems.require(
                !images || settings.iter().any(|(_, is_given)| *is_given),
                images_name,
                format!(
                    "is the folder of images of data.{}, which is not given",
                    all(settings)
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: NamedImages<'static> = NamedImages {
        path: "",
        annotated: &[("labels", false), ("annotations", false)],
        images: false,
        eval: "",
        eval_annotated: &[("eval_labels", false), ("eval_annotations", false)],
        eval_images: false,
    };
    const LABELS: &[(&str, bool)] = &[("labels", true), ("annotations", false)];
    const EVAL_LABELS: &[(&str, bool)] = &[("eval_labels", true), ("eval_annotations", false)];
    const EVAL_ANNOTATIONS: &[(&str, bool)] = &[("eval_labels", false), ("eval_annotations", true)];

    fn said(named: &NamedImages<'_>) -> String {
        let mut problems = Problems::new();
        named.check(&mut problems);
        let keys: Vec<&str> = problems
            .iter()
            .map(|problem| problem.key.as_str())
            .collect();
        keys.join(" ")
    }

    #[test]
    fn what_would_not_be_looked_at_is_refused() {
        let labels = NamedImages {
            annotated: LABELS,
            images: true,
            ..NONE
        };
        let whole = NamedImages {
            path: "photos",
            ..NONE
        };
        for right in [
            NamedImages {
                eval: "more",
                ..whole
            },
            NamedImages {
                eval: "more",
                ..labels
            },
            NamedImages {
                eval_annotated: EVAL_LABELS,
                eval_images: true,
                ..labels
            },
        ] {
            assert_eq!(said(&right), "");
        }
        for (wrong, key) in [
            (
                NamedImages {
                    path: "photos",
                    ..labels
                },
                "path",
            ),
            (
                NamedImages {
                    images: true,
                    ..whole
                },
                "images",
            ),
            (
                NamedImages {
                    eval_images: true,
                    ..labels
                },
                "eval_images",
            ),
            (
                NamedImages {
                    eval_annotated: EVAL_ANNOTATIONS,
                    ..whole
                },
                "eval_annotations",
            ),
            (
                NamedImages {
                    eval_annotated: EVAL_ANNOTATIONS,
                    ..labels
                },
                "eval_annotations",
            ),
            (
                NamedImages {
                    eval: "more",
                    eval_annotated: EVAL_LABELS,
                    ..labels
                },
                "eval",
            ),
        ] {
            assert_eq!(said(&wrong), key);
        }
    }
}
