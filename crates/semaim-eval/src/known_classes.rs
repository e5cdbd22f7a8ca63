//! Classes of a data set as a trained model numbers them: by name.

use std::collections::{HashMap, HashSet};

use semaim_data::Source;

/// A set whose classes are not known by their names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownClass {
    /// A class that a model does not know.
    #[error("{set}: the class `{class}` is none of the model's, which are {}", known.join(", "))]
    Unknown {
        /// The set.
        set: String,
        /// The first class that is not known.
        class: String,
        /// Those that are.
        known: Vec<String>,
    },
    /// A name that stands for several classes.
    #[error(
        "{set}: several classes are called `{class}`, there or in the model; rename all but one, as the classes are told apart by their names"
    )]
    Ambiguous {
        /// The set.
        set: String,
        /// The name.
        class: String,
    },
}

/// The number that a model has for each class of a set. Where both have the same names in the same order, as a set that a model
/// was trained on, each class is itself, whatever it is called.
///
/// # Errors
/// [`UnknownClass`]; the set may lack classes that the model knows.
pub fn numbers_of(
    set: &(impl Source + ?Sized),
    known: &[String],
) -> Result<Vec<usize>, UnknownClass> {
    if set.classes() == known {
        return Ok((0..known.len()).collect());
    }
    for names in [set.classes(), known] {
        let mut seen = HashSet::new();
        let twice = names.iter().find(|name| !seen.insert(*name));
        if let Some(class) = twice.filter(|class| set.classes().contains(class)) {
            return Err(UnknownClass::Ambiguous {
                set: set.describe(),
                class: class.clone(),
            });
        }
    }
    let numbers: HashMap<&String, usize> = known.iter().zip(0..).collect();
    let number = |class: &String| {
        numbers
            .get(class)
            .copied()
            .ok_or_else(|| UnknownClass::Unknown {
                set: set.describe(),
                class: class.clone(),
                known: known.to_vec(),
            })
    };
    set.classes().iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use semaim_data::{ObjectSet, ObjectSpec, OpenOptions, Split, open_objects};

    use super::*;

    /// A set with an image and these classes.
    fn set(folder: &Path, names: &[&str]) -> ObjectSet {
        let categories: Vec<_> = names
            .iter()
            .zip(1..)
            .map(|(name, id)| serde_json::json!({"id": id, "name": name}))
            .collect();
        let images = serde_json::json!([{"id": 1, "file_name": "1.png", "width": 8, "height": 8}]);
        let text =
            serde_json::json!({"images": images, "annotations": [], "categories": categories});
        let file = folder.join("a.json");
        std::fs::write(&file, text.to_string()).unwrap();
        std::fs::write(folder.join("1.png"), "").unwrap();
        let spec = ObjectSpec::of(file.to_str().unwrap());
        open_objects(&spec, Split::Eval, &OpenOptions::default()).unwrap()
    }

    #[test]
    fn classes_are_known_by_names_that_stand_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let known = ["cup", "brush", "cup"].map(str::to_string);
        let numbers =
            |names: &[&str], known: &[String]| numbers_of(&set(folder.path(), names), known);
        assert_eq!(numbers(&["brush", "cup"], &known[..2]).unwrap(), [1, 0]);
        assert_eq!(numbers(&["brush"], &known).unwrap(), [1]);
        assert_eq!(
            numbers(&["cup", "brush", "cup"], &known).unwrap(),
            [0, 1, 2]
        );
        let error = numbers(&["cup"], &known).unwrap_err().to_string();
        assert!(
            error.contains("several classes are called `cup`"),
            "{error}"
        );
        let error = numbers(&["brush", "brush"], &known[..2]).unwrap_err();
        assert!(matches!(error, UnknownClass::Ambiguous { .. }));
        let error = numbers(&["fork"], &known[..2]).unwrap_err().to_string();
        assert!(
            error.contains("fork") && error.contains("cup, brush"),
            "{error}"
        );
    }
}
