//! Names of image files, in results and in annotations.

/// Whether two names can be of one file: the last parts of both are the same, and their folders as far as both have some. Folders that
/// only one of them has, as that of all images, say nothing.
pub(crate) fn agree(a: &str, b: &str) -> bool {
    from_behind(a).zip(from_behind(b)).all(|(a, b)| a == b)
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
    fn names_agree_as_far_as_both_go() {
        for (a, b) in [
            ("a.png", "a.png"),
            ("photos/cats/a.png", "a.png"),
            ("/data/photos/cats/a.png", "cats/a.png"),
            ("./a.png", "cats/a.png"),
            ("../a.png", "cats/a.png"),
            ("cats//a.png", "./cats/a.png"),
            (r"C:\photos\cats\a.png", "cats/a.png"),
            ("photos.tar:cats/a.png", "cats/a.png"),
        ] {
            assert!(agree(a, b) && agree(b, a), "{a} {b}");
        }
        for (a, b) in [
            ("a.png", "b.png"),
            ("a.png", "aa.png"),
            ("a.png", "a.jpg"),
            ("cats/a.png", "dogs/a.png"),
            ("photos/cats/a.png", "dogs/a.png"),
            ("/one/cats/a.png", "/two/cats/a.png"),
        ] {
            assert!(!agree(a, b) && !agree(b, a), "{a} {b}");
        }
    }
}
