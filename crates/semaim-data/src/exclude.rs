//! Images that a user leaves out of a data set by patterns of their paths.

use std::path::Path;
use std::sync::Arc;

use glob::{MatchOptions, Pattern};

use crate::counted::counted;
use crate::error::DataError;
use crate::notices;
use crate::renumbered::Renumbered;
use crate::source::Source;
use crate::subset::Subset;

/// As a shell matches: `*` and `?` stay within a component, upper and lower case differ.
const AS_A_SHELL: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Patterns of images to leave out.
#[derive(Clone, Debug)]
pub(crate) struct Exclusions(Vec<Pattern>);

impl Exclusions {
    /// Reads patterns: `*` is any part of a name, `?` any letter, `[ab]` one of some, `**` any folders.
    ///
    /// # Errors
    ///
    /// [`DataError::Pattern`].
    pub(crate) fn new(patterns: &[String]) -> Result<Self, DataError> {
        let pattern = |text: &String| {
            let plain = text.replace('\\', "/");
            let plain = plain.trim_end_matches('/');
            let plain = plain.strip_prefix("./").unwrap_or(plain);
            let wrong = |reason: String| DataError::Pattern {
                pattern: text.clone(),
                reason,
            };
            match plain {
                "" => Err(wrong("it is empty".to_owned())),
                plain => Pattern::new(plain).map_err(|error| wrong(error.msg.to_owned())),
            }
        };
        patterns
            .iter()
            .map(pattern)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The images of a source that no pattern matches. Classes left without images are dropped. `roots` are what
    /// the user named: only what is below them is matched, so that a pattern cannot mean the set itself.
    ///
    /// A pattern that matches nothing is said.
    ///
    /// # Errors
    ///
    /// [`DataError::AllExcluded`] when no image is left.
    pub(crate) fn apply(
        &self,
        source: Arc<dyn Source>,
        roots: &[&Path],
    ) -> Result<Arc<dyn Source>, DataError> {
        if self.0.is_empty() {
            return Ok(source);
        }
        let roots: Vec<String> = roots
            .iter()
            .map(|root| root.display().to_string())
            .collect();
        let mut used = vec![false; self.0.len()];
        let mut kept = Vec::new();
        for index in 0..source.len() {
            let name = source.name(index);
            let below = start_below(&name, &roots);
            let name = name.replace('\\', "/");
            let mut out = false;
            for (pattern, used) in self.0.iter().zip(&mut used) {
                // Each is looked at, so that none is called useless beside another.
                let matches = matches(pattern, &name, below);
                *used |= matches;
                out |= matches;
            }
            if !out {
                kept.push(index as u64);
            }
        }
        for (pattern, _) in self.0.iter().zip(used).filter(|(_, used)| !used) {
            notices::warn(format!(
                "--exclude {pattern}: no image of {} is called so",
                source.describe()
            ));
        }
        if kept.is_empty() {
            return Err(DataError::AllExcluded {
                set: source.describe(),
                images: counted(source.len(), "image"),
            });
        }
        if kept.len() == source.len() {
            return Ok(source);
        }
        let left = Subset::new(Arc::clone(&source), kept);
        Ok(without_lost_classes(&*source, Arc::new(left)))
    }
}

/// The images that are left, without the classes that had images in `all` and have none now.
fn without_lost_classes(all: &dyn Source, left: Arc<dyn Source>) -> Arc<dyn Source> {
    let has = |source: &dyn Source| {
        let mut has = vec![false; source.classes().len()];
        let labels = (0..source.len()).filter_map(|index| source.label(index));
        for label in labels {
            if let Some(has) = has.get_mut(label as usize) {
                *has = true;
            }
        }
        has
    };
    let lost: Vec<bool> = has(all)
        .into_iter()
        .zip(has(&*left))
        .map(|(before, now)| before && !now)
        .collect();
    if !lost.contains(&true) {
        return left;
    }
    let names = all.classes().iter().zip(lost);
    let names = names
        .filter(|(_, lost)| !lost)
        .map(|(name, _)| name.clone());
    Arc::new(Renumbered::new(left, names.collect()))
}

/// Where in an image's name that begins which is below what the user named.
fn start_below(name: &str, roots: &[String]) -> usize {
    let below = roots.iter().filter_map(|root| {
        let rest = name.strip_prefix(root.as_str())?;
        let rest = match root.ends_with(['/', '\\']) {
            true => rest,
            false => rest.strip_prefix(['/', '\\', ':', '#'])?,
        };
        Some(name.len() - rest.len())
    });
    below.max().unwrap_or(0)
}

/// Whether a pattern matches a run of whole components of `name` that ends beyond `below`.
fn matches(pattern: &Pattern, name: &str, below: usize) -> bool {
    let ends = name
        .match_indices('/')
        .map(|(at, _)| at)
        .chain([name.len()])
        .filter(|&end| end > below);
    let starts = || {
        let after = name.match_indices('/').map(|(at, _)| at + 1);
        after.chain([0, below])
    };
    ends.into_iter().any(|end| {
        starts()
            .filter(|&start| start < end)
            .filter_map(|start| name.get(start..end))
            .any(|run| pattern.matches_with(run, AS_A_SHELL))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(pattern: &str, name: &str, root: &str) -> bool {
        let pattern = &Exclusions::new(&[pattern.to_owned()]).unwrap().0[0];
        matches(pattern, name, start_below(name, &[root.to_owned()]))
    }

    #[test]
    fn patterns_match_whole_components_below_the_set() {
        let name = "data/photos/train/cat/1_mask.png";
        for pattern in [
            "1_mask.png",
            "*_mask.png",
            "*.png",
            "cat",
            "cat/",
            "train/cat",
            "train/*/1_mask.png",
            "train/**",
            "**/1_*",
            "ca[tr]",
            "?_mask.png",
            // What a shell completes.
            "data/photos/train/cat",
            "./data/photos/train/cat/",
        ] {
            assert!(excluded(pattern, name, "data/photos"), "{pattern}");
        }
        for pattern in [
            "mask.png", "ca", "at", "*.jpg", "photos", "data", "data/*", "train/1*", "Cat", "*.PNG",
        ] {
            assert!(!excluded(pattern, name, "data/photos"), "{pattern}");
        }
        assert!(excluded("a/1.jpg", "x/y.tar:a/1.jpg", "x/y.tar"));
        assert!(excluded("a", "x/y.tar:a/1.jpg", "x/y.tar"));
        assert!(excluded(
            "17",
            "x/train-images-ubyte#17",
            "x/train-images-ubyte"
        ));
    }

    #[test]
    fn patterns_that_are_none_are_refused() {
        for pattern in ["", "/", "[", "a**b"] {
            let error = Exclusions::new(&[pattern.to_owned()]);
            assert!(matches!(error, Err(DataError::Pattern { .. })), "{pattern}");
        }
    }
}
