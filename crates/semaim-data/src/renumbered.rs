//! A source under the classes of another list.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::ImageError;
use crate::region::{DecodeRequest, DecodedRegion};
use crate::scratch::Scratch;
use crate::source::Source;

/// The images of a source with labels that are places in other classes; found by name.
#[derive(Clone, Debug)]
pub(crate) struct Renumbered {
    source: Arc<dyn Source>,
    classes: Vec<String>,
    /// The new number of each class of the source.
    numbers: Vec<Option<u32>>,
}

impl Renumbered {
    /// An image of a class that is not among `classes` has no label.
    pub(crate) fn new(source: Arc<dyn Source>, classes: Vec<String>) -> Self {
        let places: HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
        let number = |name: &String| places.get(name.as_str()).copied();
        let numbers = source.classes().iter().map(number).collect();
        Self {
            numbers,
            classes,
            source,
        }
    }
}

impl Source for Renumbered {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        let label = self.source.label(index)?;
        self.numbers.get(label as usize).copied().flatten()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        self.source.name(index)
    }

    fn decode(
        &self,
        index: usize,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        self.source.decode(index, request, scratch)
    }

    fn is_same(&self, a: usize, b: usize) -> bool {
        self.source.is_same(a, b)
    }

    fn objects_checksum(&self, index: usize) -> Option<u32> {
        self.source.objects_checksum(index)
    }

    fn describe(&self) -> String {
        self.source.describe()
    }
}
