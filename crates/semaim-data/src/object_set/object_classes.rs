//! Classes of objects: their names, and the numbers that files of results give them.

use std::fs;
use std::path::{Path, PathBuf};

use semaim_coco::{Annotations, Category};

use super::yolo::DataYaml;
use crate::error::DataError;
use crate::open::has_extension;

/// Classes of objects, in ascending order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectClasses {
    /// Their names.
    pub names: Vec<String>,
    /// The number of each in files of results.
    pub ids: Vec<u64>,
}

impl ObjectClasses {
    /// The classes of a file: the categories of a COCO file (`.json`), the `names` of a `data.yaml`, numbered from 0, or of any
    /// other file a name on each line, numbered from 1.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is of another form, or names none.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let classes = if has_extension(path, &["json"]) {
            let annotations = Annotations::read(path)?;
            Self::in_order(path, annotations.categories())?.1
        } else if has_extension(path, &["yaml", "yml"]) {
            DataYaml::read(path)?.classes()
        } else {
            let text = fs::read_to_string(path).map_err(|e| DataError::unreadable(path, e))?;
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let lines = text.lines().map(str::trim);
            let names: Vec<String> = lines
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect();
            Self {
                ids: (1..=names.len() as u64).collect(),
                names,
            }
        };
        match classes.names.is_empty() {
            false => Ok(classes),
            true => Err(DataError::Annotations {
                path: path.to_owned(),
                reason: "there are no classes".to_owned(),
            }),
        }
    }

    /// The 80 of COCO's detection task.
    pub fn coco() -> Self {
        Self {
            names: COCO.iter().map(|(_, name)| (*name).to_owned()).collect(),
            ids: COCO.iter().map(|(id, _)| *id).collect(),
        }
    }

    /// The categories of a COCO file in the order of their numbers, and for each its place in the file.
    pub(super) fn in_order(
        path: &Path,
        categories: &[Category],
    ) -> Result<(Vec<usize>, Self), DataError> {
        let mut order: Vec<usize> = (0..categories.len()).collect();
        order.sort_by_key(|at| categories[*at].id);
        let ids = order.iter().map(|at| {
            let id = categories[*at].id;
            u64::try_from(id).map_err(|_| DataError::Annotations {
                path: PathBuf::from(path),
                reason: format!("the category {id} has a number below 0"),
            })
        });
        let classes = Self {
            ids: ids.collect::<Result<_, _>>()?,
            names: order
                .iter()
                .map(|at| categories[*at].name.clone())
                .collect(),
        };
        Ok((order, classes))
    }
}

/// The categories of `instances_val2017.json`.
#[rustfmt::skip]
const COCO: [(u64, &str); 80] = [
    (1, "person"), (2, "bicycle"), (3, "car"), (4, "motorcycle"), (5, "airplane"), (6, "bus"), (7, "train"), (8, "truck"),
    (9, "boat"), (10, "traffic light"), (11, "fire hydrant"), (13, "stop sign"), (14, "parking meter"), (15, "bench"),
    (16, "bird"), (17, "cat"), (18, "dog"), (19, "horse"), (20, "sheep"), (21, "cow"), (22, "elephant"), (23, "bear"),
    (24, "zebra"), (25, "giraffe"), (27, "backpack"), (28, "umbrella"), (31, "handbag"), (32, "tie"), (33, "suitcase"),
    (34, "frisbee"), (35, "skis"), (36, "snowboard"), (37, "sports ball"), (38, "kite"), (39, "baseball bat"),
    (40, "baseball glove"), (41, "skateboard"), (42, "surfboard"), (43, "tennis racket"), (44, "bottle"), (46, "wine glass"),
    (47, "cup"), (48, "fork"), (49, "knife"), (50, "spoon"), (51, "bowl"), (52, "banana"), (53, "apple"), (54, "sandwich"),
    (55, "orange"), (56, "broccoli"), (57, "carrot"), (58, "hot dog"), (59, "pizza"), (60, "donut"), (61, "cake"),
    (62, "chair"), (63, "couch"), (64, "potted plant"), (65, "bed"), (67, "dining table"), (70, "toilet"), (72, "tv"),
    (73, "laptop"), (74, "mouse"), (75, "remote"), (76, "keyboard"), (77, "cell phone"), (78, "microwave"), (79, "oven"),
    (80, "toaster"), (81, "sink"), (82, "refrigerator"), (84, "book"), (85, "clock"), (86, "vase"), (87, "scissors"),
    (88, "teddy bear"), (89, "hair drier"), (90, "toothbrush"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_every_kind_of_file() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            ObjectClasses::read(&path)
        };
        let coco = r#"{"images": [], "annotations": [], "categories": [{"id": 9, "name": "cup"}, {"id": 2, "name": "brush"}]}"#;
        for (name, text, names, ids) in [
            ("a.json", coco, ["brush", "cup"], [2, 9]),
            (
                "b.yaml",
                "train: x\nnames: [brush, cup]\n",
                ["brush", "cup"],
                [0, 1],
            ),
            (
                "c.txt",
                "\u{feff}brush\r\n\r\n cup \r\n",
                ["brush", "cup"],
                [1, 2],
            ),
        ] {
            let found = read(name, text).unwrap();
            assert_eq!(found.names, names, "{name}");
            assert_eq!(found.ids, ids, "{name}");
        }
        assert!(read("d.txt", "\n").is_err());
        assert!(read("e.json", &coco.replace('9', "-9")).is_err());
    }

    #[test]
    fn cocos_classes_ascend_and_differ() {
        let ObjectClasses { mut names, ids } = ObjectClasses::coco();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!((ids[0], ids[79]), (1, 90));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 80);
    }
}
