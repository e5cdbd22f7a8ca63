//! A number that tells whether annotations are what they were.

use crc32c::crc32c_append;
use semaim_coco::{Annotation, Segmentation};

/// A checksum of the objects of an image in their order: classes, boxes, areas, masks and which are crowds. Their numbers teach nothing.
pub(super) fn checksum(objects: &[Annotation]) -> u32 {
    let mut checksum = Checksum(0);
    for object in objects {
        checksum.number(object.category as u64);
        checksum.number(u64::from(object.is_crowd));
        checksum.list(object.bbox.as_ref().map_or(&[][..], |bbox| bbox));
        checksum.list(object.area.as_slice());
        match &object.segmentation {
            None => checksum.number(0),
            Some(Segmentation::Polygons(polygons)) => {
                checksum.number(1);
                checksum.number(polygons.len() as u64);
                for polygon in polygons {
                    checksum.list(polygon);
                }
            }
            Some(Segmentation::Counts { size, counts }) => {
                checksum.number(2);
                size.iter().for_each(|side| checksum.number(*side));
                checksum.number(counts.len() as u64);
                counts
                    .iter()
                    .for_each(|count| checksum.bytes(&count.to_le_bytes()));
            }
            Some(Segmentation::Text { size, counts }) => {
                checksum.number(3);
                size.iter().for_each(|side| checksum.number(*side));
                checksum.number(counts.len() as u64);
                checksum.bytes(counts.as_bytes());
            }
        }
    }
    checksum.0
}

struct Checksum(u32);

impl Checksum {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 = crc32c_append(self.0, bytes);
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// With its length, so that values do not move from one list to the next unnoticed.
    fn list(&mut self, values: &[f64]) {
        self.number(values.len() as u64);
        values
            .iter()
            .for_each(|value| self.bytes(&value.to_le_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_taught_changes_it() {
        let object = Annotation {
            id: 7,
            category: 2,
            is_crowd: false,
            bbox: Some([1.0, 2.0, 3.0, 4.0]),
            area: None,
            segmentation: Some(Segmentation::Polygons(vec![vec![
                1.0, 2.0, 4.0, 2.0, 4.0, 6.0,
            ]])),
        };
        let with = |change: fn(&mut Annotation)| {
            let mut object = object.clone();
            change(&mut object);
            checksum(&[object])
        };
        let same = checksum(std::slice::from_ref(&object));
        assert_eq!(with(|object| object.id = 8), same);
        let changed = [
            with(|object| object.category = 1),
            with(|object| object.is_crowd = true),
            with(|object| object.bbox = Some([1.0, 2.0, 3.0, 4.5])),
            with(|object| object.bbox = None),
            with(|object| object.area = Some(12.0)),
            with(|object| object.segmentation = None),
            with(|object| {
                let polygon = vec![1.0, 2.0, 4.0, 2.0, 4.0, 6.5];
                object.segmentation = Some(Segmentation::Polygons(vec![polygon]));
            }),
            with(|object| {
                let (size, counts) = ([6, 4], vec![8, 16]);
                object.segmentation = Some(Segmentation::Counts { size, counts });
            }),
            with(|object| {
                let (size, counts) = ([6, 4], "8@".to_owned());
                object.segmentation = Some(Segmentation::Text { size, counts });
            }),
            checksum(&[]),
            checksum(&[object.clone(), object.clone()]),
        ];
        for (place, sum) in changed.iter().enumerate() {
            assert_ne!(*sum, same, "{place}");
            assert!(!changed[..place].contains(sum), "{place}");
        }
    }
}
