//! Names of image files, in results and in annotations.

/// How far apart two names are that can be of one file, `None` where they cannot: 0 where the files are the same, and their folders
/// as far as both have some; 1 where they differ by the extension alone; 2 by the folders alone; 3 by both. Folders that only one of
/// them has, as that of all images, say nothing.
pub(crate) fn distance(a: &str, b: &str) -> Option<u8> {
    if stem(a) != stem(b) {
        return None;
    }
    let (mut a, mut b) = (from_behind(a), from_behind(b));
    let other_file = a.next() != b.next();
    let other_folder = a.zip(b).any(|(a, b)| a != b);
    Some(u8::from(other_file) + 2 * u8::from(other_folder))
}

/// The file without its folders and its extension, which has a letter: the end of `frame.0001` is none.
pub(crate) fn stem(name: &str) -> &str {
    let file = from_behind(name).next().unwrap_or_default();
    let is_letter = |character: char| character.is_ascii_alphabetic();
    match file.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.contains(is_letter) => stem,
        _ => file,
    }
}

/// The file and its folders, from the last to the first: of a path of any system, or of a file in a tar file (`a.tar:cats/1.jpg`).
fn from_behind(name: &str) -> impl Iterator<Item = &str> {
    // What does not say which folder it is is left out.
    name.rsplit(['/', '\\', ':'])
        .filter(|part| !matches!(*part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_far_as_both_go() {
        for (a, b, expected) in [
            ("a.png", "a.png", Some(0)),
            ("photos/cats/a.png", "a.png", Some(0)),
            ("/data/photos/cats/a.png", "cats/a.png", Some(0)),
            ("./a.png", "cats/a.png", Some(0)),
            ("../a.png", "cats/a.png", Some(0)),
            ("cats//a.png", "./cats/a.png", Some(0)),
            (r"C:\photos\cats\a.png", "cats/a.png", Some(0)),
            ("photos.tar:cats/a.png", "cats/a.png", Some(0)),
            ("a.png", "a.jpg", Some(1)),
            ("a", "cats/a.jpg", Some(1)),
            ("frame.0001", "frame.0001.jpg", Some(1)),
            ("cats/a.png", "dogs/a.png", Some(2)),
            ("photos/cats/a.png", "dogs/a.png", Some(2)),
            ("/one/cats/a.png", "/two/cats/a.png", Some(2)),
            ("cats/a.png", "dogs/a.jpg", Some(3)),
            ("a.png", "b.png", None),
            ("a.png", "aa.png", None),
            ("frame.0001", "frame.0002.jpg", None),
            (".png", ".jpg", None),
            ("", "a.png", None),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }
}
