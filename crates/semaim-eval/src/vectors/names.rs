//! The names of images beside files of vectors.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use semaim_data::Places;

use super::{VectorError, VectorWriter};

/// The images of a file of vectors that another has as well, by their paths in the `.csv` beside each, however these are written.
/// Generated images have no paths, and are others for either split.
///
/// # Errors
/// [`VectorError::Content`]: names that cannot be read.
pub fn shared_images(bank: &Path, queries: &Path) -> Result<Vec<String>, VectorError> {
    let mut places = Places::default();
    let mut place = |name: &str| (!name.starts_with("shapes#")).then(|| places.of(name));
    let in_bank = images_of(bank)?;
    let in_bank: HashSet<PathBuf> = in_bank.iter().filter_map(|name| place(name)).collect();
    let mut shared = images_of(queries)?;
    shared.retain(|name| place(name).is_some_and(|place| in_bank.contains(&place)));
    Ok(shared)
}

/// The names of the images of a file of vectors, in their order.
fn images_of(vectors: &Path) -> Result<Vec<String>, VectorError> {
    let path = VectorWriter::names_of(vectors);
    let unreadable = |error: csv::Error| VectorError::Content {
        path: path.clone(),
        message: error.to_string(),
    };
    let rows = csv::Reader::from_path(&path).map_err(unreadable)?;
    let name = |row: csv::StringRecord| row.get(0).unwrap_or_default().to_string();
    let names = rows.into_records();
    names.map(|row| row.map(name).map_err(unreadable)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_paths_however_these_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, images: &[&str]| {
            let path = folder.path().join(name);
            let mut writer = VectorWriter::create(&path, vec![1]).unwrap();
            for image in images {
                writer.add(&[0.0], image, Some((0, "a"))).unwrap();
            }
            writer.finish().unwrap();
            path
        };
        let bank = ["a/1.png", "a/\"2\", x.png", "t.tar:3", "shapes#4"];
        let bank = file("bank.safetensors", &bank);
        let queries = ["b/1.png", "./a/\"2\", x.png", "shapes#4", "t.tar:3"];
        let queries = file("queries.safetensors", &queries);
        let shared = shared_images(&bank, &queries).unwrap();
        assert_eq!(shared, ["./a/\"2\", x.png", "t.tar:3"]);
        std::fs::remove_file(VectorWriter::names_of(&bank)).unwrap();
        let error = shared_images(&bank, &queries).unwrap_err().to_string();
        assert!(error.contains("bank.csv"), "{error}");
    }
}
