//! What data sets call their parts.

use crate::source::Split;

/// The names of the part for `split`, the preferred first.
pub(crate) fn names(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train"],
        Split::Eval => &["val", "valid", "validation", "test"],
    }
}

/// Chooses the part for `split`, given which names exist.
///
/// For training it is `train`, for evaluation the first of `val`, `valid`, `validation`, `test`. A set with `train` alone is
/// evaluated on it. `None` means that the set as a whole is both.
pub(crate) fn choose(split: Split, exists: impl Fn(&str) -> bool) -> Option<&'static str> {
    let wanted = names(split).iter().copied().find(|name| exists(name));
    wanted.or_else(|| {
        let train = names(Split::Train).iter().copied();
        train
            .filter(|name| exists(name))
            .find(|_| split == Split::Eval)
    })
}

/// The part that a file name such as `val-0003.tar` or `t10k-images-idx3-ubyte` belongs to, if it says so.
pub(crate) fn of_file_name(name: &str) -> Option<Split> {
    let lower = name.to_ascii_lowercase();
    lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .find_map(|word| {
            if names(Split::Train).contains(&word) || word == "training" {
                Some(Split::Train)
            } else if names(Split::Eval).contains(&word) || word == "t10k" {
                Some(Split::Eval)
            } else {
                None
            }
        })
}

/// Keeps the files whose names say that they belong to `split`. All of them when any name says nothing; those for
/// training when evaluation has none of its own.
pub(crate) fn of_files<T>(files: Vec<T>, split: Split, name: impl Fn(&T) -> String) -> Vec<T> {
    let parts: Option<Vec<Split>> = files.iter().map(|f| of_file_name(&name(f))).collect();
    let Some(parts) = parts else {
        return files;
    };
    if !parts.contains(&split) {
        return files;
    }
    let kept = files.into_iter().zip(parts).filter(|(_, p)| *p == split);
    kept.map(|(file, _)| file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_part_is_chosen() {
        let all = |_: &str| true;
        assert_eq!(choose(Split::Train, all), Some("train"));
        assert_eq!(choose(Split::Eval, all), Some("val"));
        assert_eq!(choose(Split::Eval, |n| n == "test"), Some("test"));
        assert_eq!(choose(Split::Eval, |n| n == "train"), Some("train"));
        assert_eq!(choose(Split::Train, |n| n == "val"), None);
        assert_eq!(choose(Split::Eval, |_| false), None);
    }

    #[test]
    fn file_names_tell_their_part() {
        assert_eq!(of_file_name("imagenet-train-0001.tar"), Some(Split::Train));
        assert_eq!(of_file_name("t10k-images-idx3-ubyte"), Some(Split::Eval));
        assert_eq!(of_file_name("VAL_3.tar"), Some(Split::Eval));
        assert_eq!(of_file_name("training_trains.tar"), Some(Split::Train));
        assert_eq!(of_file_name("contrast.tar"), None);
        let pick =
            |files: &[&'static str], split| of_files(files.to_vec(), split, |f| f.to_string());
        assert_eq!(
            pick(&["train-0", "val-0", "train-1"], Split::Train),
            ["train-0", "train-1"]
        );
        assert_eq!(pick(&["train-0", "val-0"], Split::Eval), ["val-0"]);
        assert_eq!(
            pick(&["train-0", "other"], Split::Train),
            ["train-0", "other"]
        );
        assert_eq!(pick(&["train-0"], Split::Eval), ["train-0"]);
        assert_eq!(pick(&["val-0"], Split::Train), ["val-0"]);
    }
}
