//! Which of the images that are listed are kept: those that are there, and those of a split where a set has none of its own.

use std::path::{Path, PathBuf};

use semaim_random::{KeyedRng, Stream};

use crate::counted::counted;
use crate::error::DataError;
use crate::notices::some_of;
use crate::source::Split;

/// One in this many images is held out.
const HELD_OUT: u64 = 5;

/// Drops what has no image file, and tells of it. `what` is what the set is called.
pub(crate) fn existing<T>(
    what: &str,
    images: &mut Vec<(String, T)>,
    path: impl Fn(&T) -> &Path,
) -> Result<Option<String>, DataError> {
    let all = images.len();
    let mut missing = Vec::new();
    images.retain(|(name, image)| {
        let there = path(image).is_file();
        if !there {
            missing.push(name.clone());
        }
        there
    });
    let some = some_of(&missing);
    match (images.is_empty(), missing.len()) {
        (false, 0) => Ok(None),
        (false, count) => Ok(Some(format!(
            "{what}: {count} of {} missing and left out: {some}",
            counted(all, "image")
        ))),
        (true, count) => Err(DataError::Annotations {
            path: PathBuf::from(what),
            reason: match count {
                0 => "there are no images".to_owned(),
                _ => format!("none of the {} is there: {some}", counted(all, "image")),
            },
        }),
    }
}

/// Drops the images that belong to the other split, and tells of it.
pub(crate) fn of_split<T>(what: &str, images: &mut Vec<(String, T)>, split: Split) -> String {
    let all = images.len();
    let mut part = part(images.iter().map(|(name, _)| name.as_str()), split).into_iter();
    images.retain(|_| part.next() == Some(true));
    let held_out = match split {
        Split::Train => all - images.len(),
        Split::Eval => images.len(),
    };
    match all {
        1 => format!("{what}: its only image is trained on and evaluated"),
        _ => format!(
            "{what}: nothing is said to be for evaluation, so one image in five is held out ({held_out} of {all})"
        ),
    }
}

/// Tells that all images of a set that is not divided are evaluated.
pub(crate) fn all_evaluated(what: &str, count: usize) -> String {
    format!(
        "{what}: nothing is said to be for evaluation, so all of it is evaluated ({})",
        counted(count, "image")
    )
}

/// Which of some images are held out, one in `every`, each by its own draws. Of two or more, one is and one is not at least: where chance
/// leaves a part empty, the image with the least number changes sides.
pub fn held_out(draws: impl Iterator<Item = KeyedRng>, every: u64) -> Vec<bool> {
    let draws: Vec<(bool, u64)> = draws
        .map(|mut rng| (rng.below(every) == 0, rng.bits()))
        .collect();
    let mut held_out: Vec<bool> = draws.iter().map(|draw| draw.0).collect();
    let all_alike = held_out.windows(2).all(|pair| pair[0] == pair[1]);
    let least = (0..draws.len()).min_by_key(|at| draws[*at].1);
    if let Some(least) = least.filter(|_| all_alike && held_out.len() > 1) {
        held_out[least] ^= true;
    }
    held_out
}

/// Which of the images of the given names, relative to their folder, belong to `split` where one in five is held out for
/// evaluation.
///
/// It is drawn by the name alone: runs of any seed hold out the same images, and adding images moves no other. Both splits have
/// an image at least, a single one belonging to both.
fn part<'a>(names: impl Iterator<Item = &'a str>, split: Split) -> Vec<bool> {
    let draws = names.map(|name| KeyedRng::named(0, &name.replace('\\', "/"), Stream::Split));
    let held_out = held_out(draws, HELD_OUT);
    if held_out.len() < 2 {
        return vec![true; held_out.len()];
    }
    match split {
        Split::Train => held_out.into_iter().map(|held_out| !held_out).collect(),
        Split::Eval => held_out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_splits_divide_the_images() {
        let names: Vec<String> = (0..1000).map(|n| format!("{n}.jpg")).collect();
        let part =
            |count: usize, split| super::part(names.iter().take(count).map(String::as_str), split);
        for count in [2, 3, 10, 1000] {
            let (train, eval) = (part(count, Split::Train), part(count, Split::Eval));
            assert!(train.iter().zip(&eval).all(|(a, b)| a != b));
            assert!(train.contains(&true) && eval.contains(&true), "{count}");
        }
        let held_out = part(1000, Split::Eval).iter().filter(|held| **held).count();
        assert!((160..240).contains(&held_out), "{held_out}");
        assert_eq!(part(1, Split::Train), [true]);
        assert_eq!(part(1, Split::Eval), [true]);
    }

    #[test]
    fn more_images_move_no_other() {
        let names: Vec<String> = (0..100).map(|n| format!("{n}.jpg")).collect();
        let few = part(names.iter().take(50).map(String::as_str), Split::Eval);
        let many = part(names.iter().map(String::as_str), Split::Eval);
        assert_eq!(few, many[..50]);
    }
}
