//! Holding images out for evaluation where a set has no split of its own.

use semaim_random::{KeyedRng, Stream};

use crate::source::Split;

/// One in this many images is held out.
const HELD_OUT: u64 = 5;

/// Which of the images of the given names, relative to their folder, belong to `split` where one in five is held out for
/// evaluation.
///
/// It is drawn by the name alone: runs of any seed hold out the same images, and adding images moves no other. Both splits have
/// an image at least, a single one belonging to both.
pub(crate) fn part<'a>(names: impl Iterator<Item = &'a str>, split: Split) -> Vec<bool> {
    let draws = names.map(|name| {
        let mut rng = KeyedRng::named(0, &name.replace('\\', "/"), Stream::Split);
        (rng.below(HELD_OUT) == 0, rng.bits())
    });
    let draws: Vec<(bool, u64)> = draws.collect();
    let mut held_out: Vec<bool> = draws.iter().map(|draw| draw.0).collect();
    if held_out.len() < 2 {
        return vec![true; held_out.len()];
    }
    let all_alike = held_out.windows(2).all(|pair| pair[0] == pair[1]);
    let least = (0..draws.len()).min_by_key(|at| draws[*at].1);
    if let Some(least) = least.filter(|_| all_alike) {
        held_out[least] ^= true;
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
