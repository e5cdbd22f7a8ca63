//! Which regions the heads are trained on.

use semaim_random::{Key, KeyedRng, Stream};

use crate::box_head::REGION_CODER;
use crate::boxes::BoundingBox;
use crate::config::RegionConfig;
use crate::instances::Instances;
use crate::matcher::{Label, Matcher};
use crate::sampler::Sampler;

/// A region that the heads are trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampledRegion {
    /// The number of its image in the batch.
    pub image: usize,
    /// Where it is.
    pub bounds: BoundingBox,
    /// The number of the image's object that it stands for; `None`: background.
    pub object: Option<usize>,
}

impl SampledRegion {
    /// The class, `classes` for the background.
    pub fn class(&self, truths: &[Instances], classes: usize) -> usize {
        self.object
            .map_or(classes, |object| truths[self.image].classes[object])
    }

    /// The deltas to the object's box; `None` for the background.
    pub fn deltas(&self, truths: &[Instances]) -> Option<[f32; 4]> {
        let object = truths[self.image].boxes[self.object?];
        Some(REGION_CODER.encode(self.bounds, object))
    }
}

/// Regions of one image from its proposals, the objects' own boxes among them: first foreground, then background.
pub fn sample_regions(
    config: &RegionConfig,
    image: usize,
    proposals: impl IntoIterator<Item = BoundingBox>,
    truth: &Instances,
    key: Key,
) -> Vec<SampledRegion> {
    let regions: Vec<BoundingBox> = proposals
        .into_iter()
        .chain(truth.boxes.iter().copied())
        .collect();
    let matcher = Matcher {
        low: config.foreground_iou,
        high: config.foreground_iou,
        keep_best: false,
    };
    let matches = matcher.matches(&truth.boxes, &regions);
    let (foreground, background): (Vec<usize>, Vec<usize>) =
        (0..regions.len()).partition(|&i| matches.labels[i] == Label::Positive);
    let sampler = Sampler {
        count: config.samples,
        positive_fraction: config.foreground_fraction,
    };
    let mut rng = KeyedRng::new(key, Stream::RegionSample);
    let [foreground, background] = sampler.sample(&foreground, &background, &mut rng);
    let foreground = foreground
        .into_iter()
        .map(|i| (i, Some(matches.objects[i])));
    let background = background.into_iter().map(|i| (i, None));
    foreground
        .chain(background)
        .map(|(i, object)| SampledRegion {
            image,
            bounds: regions[i],
            object,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_regions_too() {
        let square = |x: f32| BoundingBox::new(x, 0.0, x + 10.0, 10.0);
        let truth = Instances {
            boxes: vec![square(0.0), square(50.0)],
            classes: vec![2, 0],
            masks: vec![None, None],
        };
        let config = RegionConfig {
            samples: 8,
            foreground_fraction: 0.5,
            ..RegionConfig::default()
        };
        let proposals = [square(25.0), square(51.0), square(6.0)];
        let key = Key::new(1, 0, 0);
        let regions = sample_regions(&config, 0, proposals, &truth, key);
        let truths = [truth];
        let found: Vec<_> = regions
            .iter()
            .map(|r| (r.bounds.x0, r.class(&truths, 3)))
            .collect();
        assert_eq!(found, [(51.0, 0), (0.0, 2), (50.0, 0), (25.0, 3), (6.0, 3)]);
        assert_eq!(regions[1].deltas(&truths), Some([0.0; 4]));
        assert_eq!(regions[0].deltas(&truths), Some([-1.0, 0.0, 0.0, 0.0]));
        assert_eq!(regions[4].deltas(&truths), None);
        let none = sample_regions(&config, 0, proposals, &Instances::default(), key);
        assert!(none.len() == 3 && none.iter().all(|r| r.object.is_none()));
        assert!(sample_regions(&config, 0, [], &Instances::default(), key).is_empty());
    }
}
