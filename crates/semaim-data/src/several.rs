//! Several data sets as one.

use std::collections::{BTreeSet, HashMap, hash_map::Entry};
use std::path::PathBuf;
use std::sync::Arc;

use crate::classes;
use crate::counted::counted;
use crate::error::{DataError, ImageError};
use crate::region::{DecodeRequest, DecodedRegion};
use crate::renumbered::Renumbered;
use crate::scratch::Scratch;
use crate::source::Source;
use crate::spec::Places;

/// The images of several sources, one source after the other, under the classes of all of them.
#[derive(Debug)]
pub(crate) struct Several {
    parts: Vec<Arc<dyn Source>>,
    /// The number of the first image after each part.
    ends: Vec<usize>,
    classes: Vec<String>,
}

impl Several {
    /// Puts sources together. Classes of one name are one class; `others` are classes beside those of the parts.
    ///
    /// # Errors
    ///
    /// [`DataError::Repeated`] when an image is in two parts; more images than can be numbered.
    pub(crate) fn new(parts: Vec<Arc<dyn Source>>, others: &[String]) -> Result<Self, DataError> {
        check_names(&parts)?;
        let classes = united(parts.iter().flat_map(|part| part.classes()).chain(others));
        let parts: Vec<Arc<dyn Source>> = parts
            .into_iter()
            .map(|part| Arc::new(Renumbered::new(part, classes.clone())) as Arc<dyn Source>)
            .collect();
        let mut ends = Vec::with_capacity(parts.len());
        let mut count = 0usize;
        for part in &parts {
            count = count.saturating_add(part.len());
            ends.push(count);
        }
        DataError::check_count("all data sets together".as_ref(), count)?;
        Ok(Self {
            parts,
            ends,
            classes,
        })
    }

    /// The part that an image is in, and its number there.
    fn place(&self, index: usize) -> Option<(&dyn Source, usize)> {
        let at = self.ends.partition_point(|&end| end <= index);
        let start = match at {
            0 => 0,
            at => *self.ends.get(at - 1)?,
        };
        Some((&**self.parts.get(at)?, index - start))
    }
}

/// The different names: by their values where all of them are numbers in their shortest form, else bytewise.
///
/// Names stay as they are: a folder called `00000` is found under this name only, and sets whose classes are numbers (lists,
/// `.cls` members) have named all numbers up to their largest themselves.
fn united<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let names: BTreeSet<&String> = names.collect();
    let mut names: Vec<String> = names.into_iter().cloned().collect();
    let value = |name: &String| classes::number(name).filter(|value| value.to_string() == *name);
    if names.iter().all(|name| value(name).is_some()) {
        names.sort_by_key(value);
    }
    names
}

/// Refuses images that are in two sources, however the paths are written and whatever links lead to their folders. An image that is
/// a link itself is one of its own: sets may be links into one store of files.
fn check_names(parts: &[Arc<dyn Source>]) -> Result<(), DataError> {
    let mut places = Places::default();
    let mut seen: HashMap<PathBuf, usize> = HashMap::new();
    for (number, part) in parts.iter().enumerate() {
        for index in 0..part.len() {
            let name = part.name(index);
            match seen.entry(places.of_link(&name)) {
                Entry::Vacant(place) => {
                    place.insert(number);
                }
                // What a list names twice is its own matter.
                Entry::Occupied(place) if *place.get() == number => {}
                Entry::Occupied(place) => {
                    return Err(DataError::Repeated {
                        name,
                        first: parts[*place.get()].describe(),
                        second: part.describe(),
                    });
                }
            }
        }
    }
    Ok(())
}

impl Source for Several {
    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn label(&self, index: usize) -> Option<u32> {
        let (part, index) = self.place(index)?;
        part.label(index)
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        self.place(index)
            .map_or_else(String::new, |(part, index)| part.name(index))
    }

    fn decode(
        &self,
        index: usize,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        match self.place(index) {
            Some((part, index)) => part.decode(index, request, scratch),
            None => Err(ImageError::out_of_range(self.describe(), index, self.len())),
        }
    }

    fn is_same(&self, a: usize, b: usize) -> bool {
        // No image is in two parts.
        let are_named_alike = self.name(a) == self.name(b);
        match (self.place(a), self.place(b)) {
            (Some((part, a)), Some((_, b))) if are_named_alike => part.is_same(a, b),
            _ => false,
        }
    }

    fn objects_checksum(&self, index: usize) -> Option<u32> {
        let (part, index) = self.place(index)?;
        part.objects_checksum(index)
    }

    fn describe(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(|part| part.describe()).collect();
        format!(
            "{}: {}, {} ({})",
            counted(self.parts.len(), "data set"),
            counted(self.len(), "image"),
            classes::describe(&self.classes),
            parts.join("; ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::{Shapes, ShapesOptions};

    fn shapes(count: usize, seed: u64) -> Arc<dyn Source> {
        let options = ShapesOptions {
            count,
            seed,
            ..ShapesOptions::default()
        };
        Arc::new(Shapes::new(options).unwrap())
    }

    /// A source whose images and classes have other names.
    #[derive(Debug)]
    struct Other(Arc<dyn Source>, Vec<String>);

    impl Source for Other {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn label(&self, index: usize) -> Option<u32> {
            self.0.label(index).map(|label| label % self.1.len() as u32)
        }
        fn classes(&self) -> &[String] {
            &self.1
        }
        fn name(&self, index: usize) -> String {
            format!("other{index}")
        }
        fn decode(
            &self,
            index: usize,
            request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
            scratch: &mut Scratch,
        ) -> Result<DecodedRegion, ImageError> {
            self.0.decode(index, request, scratch)
        }
        fn describe(&self) -> String {
            "others".into()
        }
    }

    #[test]
    fn images_follow_each_other_and_classes_of_one_name_are_one() {
        let first = shapes(4, 0);
        let names = vec![first.classes()[3].clone(), "another".to_owned()];
        let second: Arc<dyn Source> = Arc::new(Other(shapes(3, 1), names.clone()));
        let all = Several::new(
            vec![Arc::clone(&first), Arc::clone(&second)],
            &["third".into()],
        )
        .unwrap();
        assert_eq!(all.len(), 7);
        assert_eq!(all.classes().len(), first.classes().len() + 2);
        assert!(all.classes().is_sorted());
        for index in 0..7 {
            let (part, at) = if index < 4 {
                (&first, index)
            } else {
                (&second, index - 4)
            };
            assert_eq!(all.name(index), part.name(at));
            assert_eq!(all.image(index).unwrap(), part.image(at).unwrap());
            let named = |source: &dyn Source, at| {
                let label: u32 = source.label(at).unwrap();
                source.classes()[label as usize].clone()
            };
            assert_eq!(named(&all, index), named(&**part, at));
        }
        assert!(all.image(7).is_err() && all.label(7).is_none());
    }

    #[test]
    fn an_image_in_two_sets_is_refused() {
        let twice = Several::new(vec![shapes(4, 0), shapes(4, 0)], &[]);
        assert!(matches!(twice, Err(DataError::Repeated { .. })));
    }

    /// Two images with the classes `names`.
    fn named(names: &[&str], seed: u64) -> Arc<dyn Source> {
        let names = names.iter().map(|name| name.to_string()).collect();
        Arc::new(Other(shapes(2, seed), names))
    }

    #[test]
    fn numbers_are_in_their_order() {
        let numbers: Vec<String> = (0..12).map(|number| number.to_string()).collect();
        let texts: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let all = Several::new(vec![named(&texts, 0)], &["3".to_owned()]).unwrap();
        assert_eq!(all.classes(), numbers);
    }

    #[test]
    fn names_of_digits_stay_what_they_are() {
        for names in [&["00000", "00001"][..], &["2019", "2020"], &["0", "2"]] {
            let part = named(names, 0);
            let all = Several::new(vec![Arc::clone(&part)], &[]).unwrap();
            assert_eq!(all.classes(), names);
            for index in 0..2 {
                assert!(all.label(index).is_some());
                assert_eq!(all.label(index), part.label(index));
            }
        }
    }
}
