//! Some of a source's images, as a source.

use std::sync::Arc;

use semaim_random::{Key, KeyedRng, Stream};

use crate::error::ImageError;
use crate::region::{DecodeRequest, DecodedRegion};
use crate::scratch::Scratch;
use crate::source::Source;

/// Chosen images of another source, numbered anew in the order in which they were chosen. Classes and names are the
/// other's.
#[derive(Clone, Debug)]
pub struct Subset {
    source: Arc<dyn Source>,
    items: Vec<u64>,
}

/// `limit` places among `count`, spread evenly, rising; all of them where there are no more, or `limit` is 0.
pub fn spread(count: usize, limit: usize) -> impl Iterator<Item = usize> {
    let taken = match limit {
        0 => count,
        limit => limit.min(count),
    };
    // A product of two numbers of images is beyond 32 bits.
    (0..taken).map(move |place| (place as u128 * count as u128 / taken as u128) as usize)
}

/// What sets the draws of [`drawn`] apart from those that divide a set into splits, which are of epoch 0: with the same draws, the
/// images held out would be of the first places of their runs.
const LIMIT_EPOCH: u64 = 1;

/// `limit` places among `count`, rising: one of each of as many runs of neighbors, drawn by the run's number alone. `limit` is
/// neither 0 nor above `count`.
///
/// Places at a fixed distance would be images of one class where a list goes through the classes in turn.
fn drawn(count: usize, limit: usize) -> impl Iterator<Item = usize> {
    // A product of two numbers of images is beyond 32 bits.
    let start = move |run: usize| (run as u128 * count as u128 / limit as u128) as usize;
    (0..limit).map(move |run| {
        let key = Key::new(0, LIMIT_EPOCH, run as u64);
        let length = start(run + 1) - start(run);
        start(run) + KeyedRng::new(key, Stream::Split).below(length as u64) as usize
    })
}

impl Subset {
    /// At most `limit` images of a source, drawn evenly all over it; 0 is no limit.
    pub(crate) fn at_most(source: Arc<dyn Source>, limit: usize) -> Arc<dyn Source> {
        let count = source.len();
        if limit == 0 || count <= limit {
            return source;
        }
        let items = drawn(count, limit).map(|item| item as u64).collect();
        Arc::new(Self::new(source, items))
    }

    /// The images `items` of a source; numbers that it does not have are images that cannot be read.
    pub fn new(source: Arc<dyn Source>, items: Vec<u64>) -> Self {
        Self { source, items }
    }

    /// The number of an image in the source it comes from; past the end, a number that no source has.
    fn original(&self, index: usize) -> usize {
        let item = self.items.get(index).copied();
        item.and_then(|item| usize::try_from(item).ok())
            .unwrap_or(usize::MAX)
    }
}

impl Source for Subset {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.source.label(self.original(index))
    }

    fn classes(&self) -> &[String] {
        self.source.classes()
    }

    fn name(&self, index: usize) -> String {
        self.source.name(self.original(index))
    }

    fn decode(
        &self,
        index: usize,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        self.source.decode(self.original(index), request, scratch)
    }

    fn is_same(&self, a: usize, b: usize) -> bool {
        self.source.is_same(self.original(a), self.original(b))
    }

    fn objects_checksum(&self, index: usize) -> Option<u32> {
        self.source.objects_checksum(self.original(index))
    }

    fn describe(&self) -> String {
        format!("{} of {}", self.items.len(), self.source.describe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::{Shapes, ShapesOptions};

    #[test]
    fn a_limit_spreads_over_the_whole_set() {
        let places = |count, limit| spread(count, limit).collect::<Vec<_>>();
        assert_eq!(places(10, 4), [0, 2, 5, 7]);
        assert_eq!(places(3, 4), [0, 1, 2]);
        assert_eq!(places(3, 0), [0, 1, 2]);
        let all: Arc<dyn Source> = Arc::new(Shapes::new(ShapesOptions::default()).unwrap());
        let some = Subset::at_most(Arc::clone(&all), 2);
        assert_eq!(some.len(), 2);
        assert_eq!(some.classes(), all.classes());
    }

    #[test]
    fn a_limit_draws_one_image_of_each_run() {
        for (count, limit) in [(10, 4), (1000, 100), (7, 6), (3, 3)] {
            let places: Vec<usize> = drawn(count, limit).collect();
            assert_eq!(places.len(), limit);
            for (run, place) in places.iter().enumerate() {
                let run = run * count / limit..(run + 1) * count / limit;
                assert!(run.contains(place), "{place} of {run:?}");
            }
            assert_eq!(places, drawn(count, limit).collect::<Vec<_>>());
        }
        // A list that goes through ten classes in turn keeps them.
        let mut classes: Vec<usize> = drawn(1000, 100).map(|place| place % 10).collect();
        classes.sort_unstable();
        classes.dedup();
        assert_eq!(classes.len(), 10);
    }

    #[test]
    fn images_are_those_that_were_chosen() {
        let all = Arc::new(Shapes::new(ShapesOptions::default()).unwrap());
        let some = Subset::new(Arc::clone(&all) as Arc<dyn Source>, vec![7, 3]);
        assert_eq!(some.len(), 2);
        for (index, original) in [(0, 7), (1, 3)] {
            assert_eq!(some.label(index), all.label(original));
            assert_eq!(some.name(index), all.name(original));
            assert_eq!(some.image(index).unwrap(), all.image(original).unwrap());
        }
        assert_eq!(some.label(2), None);
        assert!(some.image(2).is_err());
    }
}
