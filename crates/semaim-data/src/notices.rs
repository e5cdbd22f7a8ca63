//! What a user must be told about a data set.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::counted::counted;
use crate::source::Source;
use crate::spec::Places;

/// What was said.
static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Warns of something. A set may be opened several times, once per split: the same is said once only.
pub(crate) fn warn(text: String) {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if !said.contains(&text) {
        tracing::warn!("{text}");
        said.insert(text);
    }
}

/// The first of some names, and how many more there are: `a, b, c and 4 more`.
pub fn some_of<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Warns of images that have no label in a set where others have one: no accuracy counts them.
pub fn warn_of_unlabeled(source: &dyn Source) {
    let is_unlabeled = |item: &usize| source.label(*item).is_none();
    let count = (0..source.len()).filter(is_unlabeled).count();
    if count > 0 && count < source.len() {
        let images = counted(count, "image");
        warn(format!(
            "{}: {images} without a label left out",
            source.describe()
        ));
    }
}

/// Warns of images to evaluate on that are trained on as well, by their paths however these are written and whatever links lead there:
/// what is measured on them says nothing of new images. Generated images have no paths, and are others for either split.
pub fn warn_of_shared(train: &dyn Source, eval: &dyn Source) {
    let shared = shared(train, eval);
    if !shared.is_empty() {
        warn(format!(
            "{} of the {} images to evaluate on are trained on, too: {}",
            shared.len(),
            eval.len(),
            some_of(&shared)
        ));
    }
}

/// The names of the images of `eval` that `train` has as well.
fn shared(train: &dyn Source, eval: &dyn Source) -> Vec<String> {
    let mut places = Places::default();
    let mut place = |name: &str| -> Option<PathBuf> {
        let is_generated = name.starts_with("shapes#");
        (!is_generated).then(|| places.of(name))
    };
    let names = |set: &dyn Source| -> Vec<String> { (0..set.len()).map(|i| set.name(i)).collect() };
    let trained: HashSet<PathBuf> = names(train).iter().filter_map(|name| place(name)).collect();
    let mut found = names(eval);
    found.retain(|name| place(name).is_some_and(|place| trained.contains(&place)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::{OpenOptions, open};
    use crate::source::Split;

    #[test]
    fn images_are_shared_however_their_paths_are_written() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/1.png", "a/2.png", "b/1.png"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::GrayImage::new(4, 4).save(path).unwrap();
        }
        let source = |name: &str| {
            let path = folder.path().join(name);
            open(
                path.to_str().unwrap(),
                Split::Train,
                &OpenOptions::default(),
            )
            .unwrap()
        };
        let all = source("");
        assert_eq!(shared(&*all, &*source("a")).len(), 2);
        assert_eq!(shared(&*source("a"), &*all).len(), 2);
        assert_eq!(shared(&*source("a"), &*source("./b/.")).len(), 0);
        assert_eq!(shared(&*source("./a"), &*source("a/.")).len(), 2);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path().join("a"), folder.path().join("val")).unwrap();
            assert_eq!(shared(&*source("a"), &*source("val")).len(), 2);
            assert_eq!(shared(&*source("b"), &*source("val/../b")).len(), 1);
        }
        let shapes = open("shapes", Split::Train, &OpenOptions::default()).unwrap();
        assert!(shared(&*shapes, &*shapes).is_empty());
    }
}
