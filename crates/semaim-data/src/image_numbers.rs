//! The numbers of images that no annotations number.

use std::collections::BTreeSet;

/// Where the numbers of images come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberedBy {
    /// Annotations give them.
    Annotations,
    /// The images' names are numbers, all of them different: COCO's `000000000139.jpg` is 139.
    Names,
    /// Their places, from 1 on.
    Order,
}

/// The numbers of images of these names, in their order: the names themselves without folder and extension, where all are
/// different whole numbers, else places from 1 on.
pub fn image_numbers<S: AsRef<str>>(names: &[S]) -> (Vec<u64>, NumberedBy) {
    let numbers: Option<Vec<u64>> = names.iter().map(|name| number(name.as_ref())).collect();
    let distinct = |numbers: &Vec<u64>| {
        let set: BTreeSet<&u64> = numbers.iter().collect();
        set.len() == names.len()
    };
    match numbers.filter(distinct) {
        Some(numbers) => (numbers, NumberedBy::Names),
        None => ((1..=names.len() as u64).collect(), NumberedBy::Order),
    }
}

/// The number that an image is called: of `photos/000139.jpg` and of a tar's member `a.tar:000139.jpg` 139.
fn number(name: &str) -> Option<u64> {
    let name = name.rsplit(['/', '\\', ':']).next()?;
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let digits = stem.bytes().all(|byte| byte.is_ascii_digit());
    stem.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_different_numbers_are_the_numbers() {
        for (names, numbers, by) in [
            (
                ["a/000000000139.jpg", "b/7.png", "x.tar:c/20.jpeg"],
                [139, 7, 20],
                NumberedBy::Names,
            ),
            (["0.jpg", "1.jpg", "2"], [0, 1, 2], NumberedBy::Names),
            // The same number twice, a sign, something else, a number that is too large.
            (["7.jpg", "007.jpg", "8.jpg"], [1, 2, 3], NumberedBy::Order),
            (["1.jpg", "+2.jpg", "3.jpg"], [1, 2, 3], NumberedBy::Order),
            (["1.jpg", "b.jpg", "3.jpg"], [1, 2, 3], NumberedBy::Order),
            (
                ["1.jpg", "99999999999999999999.jpg", "3.jpg"],
                [1, 2, 3],
                NumberedBy::Order,
            ),
            (["x#1", "x#2", ".jpg"], [1, 2, 3], NumberedBy::Order),
        ] {
            assert_eq!(image_numbers(&names), (numbers.to_vec(), by), "{names:?}");
        }
    }
}
