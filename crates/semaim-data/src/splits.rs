//! What data sets call their parts.

use std::path::Path;

use crate::counted::counted;
use crate::notices;
use crate::source::Split;

/// The names of the split, the preferred first, in lower case.
fn names(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train", "training"],
        Split::Eval => &[
            "val",
            "valid",
            "validation",
            "dev",
            "eval",
            "evaluation",
            "test",
            "testing",
        ],
    }
}

/// What people add to such names: `train2017`, `test_set`, `training-images`.
const ADDED: [&str; 5] = ["set", "images", "imgs", "data", "split"];

/// A name without what people add to it, in lower case.
fn plain(name: &str) -> String {
    let is_added = |c: char| c.is_ascii_digit() || matches!(c, '_' | '-' | ' ' | '.');
    let lower = name.to_ascii_lowercase();
    let mut rest = lower.trim_end_matches(is_added);
    for added in ADDED {
        if let Some(shorter) = rest.strip_suffix(added) {
            rest = shorter.trim_end_matches(is_added);
        }
    }
    rest.to_owned()
}

/// The split that is called so, in lower case and without additions, and its place among the names of that split.
fn of_word(word: &str) -> Option<(Split, usize)> {
    [Split::Train, Split::Eval].into_iter().find_map(|split| {
        let place = names(split).iter().position(|known| *known == word)?;
        Some((split, place))
    })
}

/// The split that a folder's name says, and its place among the names of that split.
pub(crate) fn of_folder_name(name: &str) -> Option<(Split, usize)> {
    of_word(&plain(name))
}

/// The words of a name, in lower case. They end at everything that is no letter, and before a capital after a small letter.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    for c in name.chars() {
        let begins = before.is_ascii_lowercase() && c.is_ascii_uppercase();
        if begins || !c.is_alphabetic() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphabetic() {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// What stands before the name of a split at the end of a folder's name, and that split: `seg` of `seg_train`.
fn with_prefix(name: &str) -> Option<(String, Split, usize)> {
    let words = words(name);
    let (last, before) = words.split_last()?;
    let (split, place) = of_word(last)?;
    (!before.is_empty()).then(|| (before.join(" "), split, place))
}

/// The folder for `split` where all folders are splits of one name, such as `seg_train` and `seg_test`.
fn choose_prefixed(split: Split, folders: &[String]) -> Option<&String> {
    let told: Option<Vec<(String, Split, usize)>> =
        folders.iter().map(|name| with_prefix(name)).collect();
    let told = told?;
    let is_of_one_name = told.windows(2).all(|pair| pair[0].0 == pair[1].0);
    let has = |split: Split| told.iter().any(|told| told.1 == split);
    let is_repeated = told.iter().enumerate().any(|(at, one)| {
        let mut before = told.iter().take(at);
        before.any(|other| (other.1, other.2) == (one.1, one.2))
    });
    if !is_of_one_name || is_repeated || !has(Split::Train) || !has(Split::Eval) {
        return None;
    }
    let of_split = folders
        .iter()
        .zip(&told)
        .filter(|(_, told)| told.1 == split);
    let first = of_split.min_by_key(|(_, told)| told.2);
    first.map(|(folder, _)| folder)
}

/// Whether folders look like splits although no rule takes them for such: all of their names say one somewhere, or two are splits
/// of one name.
fn look_like_splits(folders: &[String]) -> bool {
    let said: Option<Vec<Split>> = folders
        .iter()
        .map(|name| words(name).iter().find_map(|word| of_word(word)))
        .map(|found| found.map(|(split, _)| split))
        .collect();
    let are_both =
        said.is_some_and(|said| said.contains(&Split::Train) && said.contains(&Split::Eval));
    let told: Vec<_> = folders
        .iter()
        .filter_map(|name| with_prefix(name))
        .collect();
    are_both
        || told
            .iter()
            .any(|one| told.iter().any(|two| one.0 == two.0 && one.1 != two.1))
}

/// What folders side by side are to a split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The folder that holds the split; `None` when all of them together are the set.
    pub(crate) folder: Option<String>,
    /// Folders beside it that are left out, which is to be said: those that are no split by their names, and those that are the same
    /// split by theirs, such as `train2` beside `train`.
    pub(crate) beside: Vec<String>,
    /// Whether the name is not one of the usual, in lower case.
    pub(crate) unusual: bool,
}

impl Chosen {
    /// Warns that a folder of `place` is taken for a split, where that is no matter of course: because `images` images beside
    /// it (in the folders `ignored`, or in none) are left out, or because of its name.
    pub(crate) fn warn(&self, place: &Path, split: Split, images: u64, ignored: &[String]) {
        let Some(name) = &self.folder else {
            return;
        };
        let place = place.display();
        let purpose = match split {
            Split::Train => "training",
            Split::Eval => "evaluation",
        };
        if images > 0 {
            let places = match ignored {
                [] => String::new(),
                folders => format!(" ({})", notices::some_of(folders)),
            };
            notices::warn(format!(
                "{place}: the subfolder {name} is taken for the {purpose} split, so {} beside it{places} {} left out; if {name} \
                 is a class, rename it, or name the folder to use",
                counted(images, "image"),
                if images == 1 { "is" } else { "are" },
            ));
        } else if self.unusual {
            notices::warn(format!(
                "{place}: the subfolder {name} is taken for the {purpose} split"
            ));
        }
    }
}

/// Chooses the folder for `split` among folders side by side, by the names people use, in upper or lower case.
///
/// For training it is `train` or `training`, for evaluation the first of `val`, `valid`, `validation`, `dev`, `eval`,
/// `evaluation`, `test`, `testing`; names with something added, such as `train2017` or `test_set`, count where there is one
/// such folder only. A set with a training split alone is evaluated on it.
pub(crate) fn choose(split: Split, folders: &[String]) -> Chosen {
    let told: Vec<(&String, Split, usize, bool)> = folders
        .iter()
        .filter_map(|folder| {
            let (split, place) = of_folder_name(folder)?;
            let usual = names(split).contains(&folder.as_str());
            Some((folder, split, place, usual))
        })
        .collect();
    let first = |split: Split| {
        let of_split = || told.iter().filter(|told| told.1 == split);
        let usual = of_split().filter(|told| told.3).min_by_key(|told| told.2);
        usual.or_else(|| {
            let best = of_split().map(|told| told.2).min()?;
            let mut best = of_split().filter(|told| told.2 == best);
            // Several such as `train1` and `train2` are no splits but classes, as far as names can tell.
            let only = best.next()?;
            let exact = |name: &str| names(split).contains(&name.to_ascii_lowercase().as_str());
            (best.next().is_none() || exact(only.0)).then_some(only)
        })
    };
    let chosen = first(split).or_else(|| match split {
        Split::Train => None,
        Split::Eval => first(Split::Train),
    });
    let Some(&(folder, of, place, usual)) = chosen else {
        return Chosen::default();
    };
    // That `val` is taken before `test` is no matter to be told of, as both are held out.
    let is_same = |told: (Split, usize)| told.0 == of && (of == Split::Train || told.1 == place);
    let beside = folders
        .iter()
        .filter(|name| *name != folder && of_folder_name(name).is_none_or(is_same));
    Chosen {
        folder: Some(folder.clone()),
        beside: beside.cloned().collect(),
        unusual: !usual,
    }
}

/// The folders to train and to evaluate on, where there are such.
pub(crate) fn choose_both(folders: &[String]) -> [Option<String>; 2] {
    let [train, eval] = [Split::Train, Split::Eval].map(|split| choose(split, folders).folder);
    let eval = eval.filter(|eval| train.as_ref() != Some(eval));
    [train, eval]
}

/// Says which folders of `place` are taken for neither split though they are called like one of those that are, such as `train_2`.
pub(crate) fn warn_of_beside(place: &Path, folders: &[String]) {
    for split in [Split::Train, Split::Eval] {
        let chosen = choose(split, folders);
        let is_alike = |name: &&String| of_folder_name(name).is_some();
        let beside: Vec<&String> = chosen.beside.iter().filter(is_alike).collect();
        if let (Some(folder), false) = (&chosen.folder, beside.is_empty()) {
            notices::warn(format!(
                "{}: beside {folder} not read: {}",
                place.display(),
                notices::some_of(&beside)
            ));
        }
    }
}

/// [`choose`] for folders of images, at `place`, which are classes where none is a split.
///
/// Where none is by its name alone, all of them may be splits of one name, such as `seg_train` and `seg_test`. What looks like
/// splits and is taken for classes is said.
pub(crate) fn choose_among_classes(place: &Path, split: Split, folders: &[String]) -> Chosen {
    let chosen = choose(split, folders);
    let is_split = |name: &String| of_folder_name(name).is_some();
    if chosen.folder.is_some() || folders.iter().any(is_split) {
        return chosen;
    }
    if let Some(folder) = choose_prefixed(split, folders) {
        return Chosen {
            folder: Some(folder.clone()),
            beside: Vec::new(),
            unusual: true,
        };
    }
    if look_like_splits(folders) {
        notices::warn(format!(
            "{}: subfolders have names like splits and are all used, as classes where images lie in nothing else: {}; for splits, \
             call them train and val",
            place.display(),
            notices::some_of(folders),
        ));
    }
    chosen
}

/// Whether folders side by side are a set's splits: one for training, and one for evaluation unless there is nothing else.
pub(crate) fn are_splits(folders: &[String]) -> bool {
    let [train, eval] = [Split::Train, Split::Eval].map(|split| choose(split, folders));
    match train.folder.is_some() {
        true => {
            let is_split = |name: &String| of_folder_name(name).is_some();
            eval.folder != train.folder || train.beside.iter().all(is_split)
        }
        false => choose_prefixed(Split::Train, folders).is_some(),
    }
}

/// The split that a file name such as `val-0003.tar` or `t10k-images-idx3-ubyte` belongs to, if it says so, and its place among
/// the names of that split.
fn of_file_name(name: &str) -> Option<(Split, usize)> {
    let lower = name.to_ascii_lowercase();
    lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .find_map(|word| match word {
            "t10k" => of_word("test"),
            word => of_folder_name(word),
        })
}

/// The split that a file name says in one of its words, such as `instances_train2017.json`, and its place among the names of
/// that split.
pub(crate) fn place_of_file_name(name: &str) -> Option<(Split, usize)> {
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.find_map(of_folder_name)
}

/// Keeps the files of `place` whose names say that they belong to `split`; for evaluation those of the first of its names that there
/// is, as with folders. All of them when any name says nothing, which is said; those for training when evaluation has none of its own.
pub(crate) fn of_files<T>(
    place: &Path,
    files: Vec<T>,
    split: Split,
    name: impl Fn(&T) -> String,
) -> Vec<T> {
    let names: Vec<String> = files.iter().map(name).collect();
    let told: Vec<_> = names.iter().map(|name| of_file_name(name)).collect();
    let parts: Option<Vec<(Split, usize)>> = told.iter().copied().collect();
    let Some(parts) = parts else {
        let untold = names.iter().zip(&told).filter(|(_, part)| part.is_none());
        let untold: Vec<&String> = untold.map(|(name, _)| name).collect();
        if untold.len() < names.len() {
            notices::warn(format!(
                "{}: all {} files are in either split, as names of some say none: {}",
                place.display(),
                names.len(),
                notices::some_of(&untold)
            ));
        }
        return files;
    };
    let of_split = parts.iter().filter(|part| part.0 == split);
    let Some(first) = of_split.map(|part| part.1).min() else {
        if split == Split::Train && parts.windows(2).any(|pair| pair[0].1 != pair[1].1) {
            notices::warn(format!(
                "{}: all {} files are trained on, as no name says train: {}",
                place.display(),
                names.len(),
                notices::some_of(&names)
            ));
        }
        return files;
    };
    let is_kept =
        |part: &(Split, usize)| part.0 == split && (split == Split::Train || part.1 == first);
    let kept = files
        .into_iter()
        .zip(parts)
        .filter(|(_, part)| is_kept(part));
    kept.map(|(file, _)| file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(split: Split, folders: &[&str]) -> Option<String> {
        let folders: Vec<String> = folders.iter().map(|folder| folder.to_string()).collect();
        choose(split, &folders).folder
    }

    #[test]
    fn the_right_part_is_chosen() {
        let all = ["test", "train", "val", "valid", "validation"];
        assert_eq!(chosen(Split::Train, &all).as_deref(), Some("train"));
        assert_eq!(chosen(Split::Eval, &all).as_deref(), Some("val"));
        assert_eq!(chosen(Split::Eval, &["test"]).as_deref(), Some("test"));
        assert_eq!(chosen(Split::Eval, &["train"]).as_deref(), Some("train"));
        assert_eq!(chosen(Split::Train, &["val"]), None);
        assert_eq!(chosen(Split::Eval, &["cats", "dogs"]), None);
    }

    #[test]
    fn people_write_the_names_in_many_ways() {
        for (train, test) in [
            ("Training", "Testing"),
            ("TRAIN", "VAL"),
            ("Train", "Valid"),
            ("train2017", "val2017"),
            ("training_set", "test_set"),
            ("train-images", "test-images"),
            ("train", "dev"),
            ("trainset", "testset"),
            ("Train_data", "Validation_data"),
        ] {
            let both = [test, train, "annotations"];
            assert_eq!(chosen(Split::Train, &both).as_deref(), Some(train));
            assert_eq!(chosen(Split::Eval, &both).as_deref(), Some(test));
        }
        // The usual spelling before others, and no guess among several.
        assert_eq!(
            chosen(Split::Train, &["Train", "train"]).as_deref(),
            Some("train")
        );
        assert_eq!(chosen(Split::Train, &["train1", "train2", "bus"]), None);
        assert_eq!(
            chosen(Split::Train, &["trainer", "strain", "data", "set"]),
            None
        );
    }

    #[test]
    fn what_is_ignored_is_known() {
        let folders = ["Train", "x", "y"].map(str::to_owned);
        let chosen = choose(Split::Eval, &folders);
        assert_eq!(chosen.beside, ["x", "y"]);
        assert!(chosen.unusual);
    }

    #[test]
    fn other_folders_of_the_same_split_are_ignored_and_known() {
        let beside = |split, folders: &[&str]| {
            let folders: Vec<String> = folders.iter().map(|folder| folder.to_string()).collect();
            choose(split, &folders).beside
        };
        for other in ["Train", "training", "train2", "train_2"] {
            assert_eq!(beside(Split::Train, &["train", other, "val"]), [other]);
        }
        let all = ["test", "train", "train_2", "val", "val_2", "x"];
        assert_eq!(beside(Split::Train, &all), ["train_2", "x"]);
        assert_eq!(beside(Split::Eval, &all), ["val_2", "x"]);
        // They are splits all the same.
        assert!(are_splits(&["train", "train2"].map(str::to_owned)));
        assert!(!are_splits(&["train", "x"].map(str::to_owned)));
    }

    #[test]
    fn splits_may_have_a_name_before_them() {
        let place = Path::new("set");
        let chosen = |split, folders: &[&str]| {
            let folders: Vec<String> = folders.iter().map(|folder| folder.to_string()).collect();
            choose_among_classes(place, split, &folders).folder
        };
        for [train, eval, test] in [
            ["seg_train", "seg_val", "seg_test"],
            ["birdsTrain", "birdsVal", "birdsTest"],
            ["my set training", "my-set-validation", "my_set_testing2"],
        ] {
            let all = [test, train, eval];
            assert_eq!(chosen(Split::Train, &all).as_deref(), Some(train));
            assert_eq!(chosen(Split::Eval, &all).as_deref(), Some(eval));
            assert_eq!(chosen(Split::Eval, &[train, test]).as_deref(), Some(test));
        }
        for folders in [
            &["trainA", "trainB", "testA", "testB"][..],
            &["seg_train", "seg_test", "seg_pred"],
            &["toy_train", "real_train", "toy_test"],
            &["a_train", "b_test"],
            &["a_train", "a_car"],
            &["1_train", "2_bus"],
        ] {
            assert_eq!(chosen(Split::Train, folders), None, "{folders:?}");
        }
        let look = |folders: &[&str]| {
            let folders: Vec<String> = folders.iter().map(|folder| folder.to_string()).collect();
            look_like_splits(&folders)
        };
        assert!(look(&["trainA", "trainB", "testA", "testB"]));
        assert!(look(&["seg_train", "seg_test", "seg_pred"]));
        assert!(!look(&["a_train", "a_bus"]));
        assert!(!look(&["test_positive", "test_negative"]));
        assert!(!look(&["trainer", "testament"]));
    }

    #[test]
    fn file_names_tell_their_part() {
        let of_file_name = |name| super::of_file_name(name).map(|(split, _)| split);
        assert_eq!(of_file_name("imagenet-train-0001.tar"), Some(Split::Train));
        assert_eq!(of_file_name("t10k-images-idx3-ubyte"), Some(Split::Eval));
        assert_eq!(of_file_name("VAL_3.tar"), Some(Split::Eval));
        assert_eq!(of_file_name("training_trains.tar"), Some(Split::Train));
        assert_eq!(of_file_name("contrast.tar"), None);
        let pick = |files: &[&'static str], split| {
            of_files(Path::new("set"), files.to_vec(), split, |f| f.to_string())
        };
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
        // Evaluation is of one part, as with folders.
        let three = ["test-0", "train-0", "val-0", "val-1"];
        assert_eq!(pick(&three, Split::Eval), ["val-0", "val-1"]);
        assert_eq!(pick(&["test-0", "train-0"], Split::Eval), ["test-0"]);
    }
}
