//! Tests of the set as a whole.

use super::*;

fn set(count: usize, image_size: [u32; 2], channels: usize, split: Split) -> Shapes {
    Shapes::new(ShapesOptions {
        count,
        image_size,
        channels,
        seed: 0,
        split,
    })
    .unwrap()
}

/// FNV-1a: an independent and tiny hash, for pinning.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01B3)
    })
}

#[test]
fn the_bytes_are_pinned() {
    // Over many small images, so that every class, texture and kind of clutter takes part.
    let set = set(60, [24, 20], 3, Split::Train);
    let bytes: Vec<u8> = (0..60)
        .flat_map(|i| set.sample(i).pixels.bytes().into_owned())
        .collect();
    let hash = hash(&bytes);
    assert_eq!(
        hash, 0x5BF6_AE71_CCD8_4D6A,
        "the pictures changed: {hash:#x}"
    );
}

#[test]
fn the_order_of_asking_does_not_matter() {
    let set = set(8, [16, 16], 3, Split::Train);
    let forward: Vec<Sample> = (0..8).map(|i| set.sample(i)).collect();
    let threads: Vec<Sample> = std::thread::scope(|scope| {
        let set = &set;
        let handles: Vec<_> = (0..8)
            .rev()
            .map(|i| scope.spawn(move || set.sample(i)))
            .collect();
        let mut samples: Vec<Sample> = handles.into_iter().map(|h| h.join().unwrap()).collect();
        samples.reverse();
        samples
    });
    assert_eq!(forward, threads);
}

#[test]
fn what_is_kept_is_what_was_drawn() {
    let set = set(4, [24, 20], 3, Split::Eval);
    let other = set.clone();
    let mut scratch = Scratch::default();
    for _ in 0..2 {
        for index in [2, 0, 3] {
            let mut whole = |size| DecodeRequest::whole(size);
            let decoded = set.decode(index, &mut whole, &mut scratch).unwrap();
            assert_eq!(decoded.pixels, set.sample(index).pixels, "{index}");
        }
        let kept: Vec<bool> = other.drawn.iter().map(|d| d.get().is_some()).collect();
        assert_eq!(kept, [true, false, true, true]);
    }
    // A gigabyte of pictures is drawn again each time.
    let large = super::tests::set(1 << 20, [32, 32], 1, Split::Train);
    assert!(large.drawn.is_empty());
}

#[test]
fn seeds_splits_and_indices_differ() {
    let base = set(20, [24, 24], 3, Split::Train);
    let eval = set(20, [24, 24], 3, Split::Eval);
    let seeded = Shapes::new(ShapesOptions {
        seed: 1,
        ..*base.options()
    })
    .unwrap();
    for i in 0..20 {
        let data = base.sample(i).pixels.samples;
        assert_ne!(data, eval.sample(i).pixels.samples);
        assert_ne!(data, seeded.sample(i).pixels.samples);
        assert_ne!(data, base.sample(i + 1).pixels.samples);
    }
    let labels = |set: &Shapes| (0..20).map(|i| set.label(i)).collect::<Vec<_>>();
    assert_ne!(labels(&base), labels(&eval));
}

#[test]
fn labels_are_balanced_in_every_block_of_ten() {
    let set = set(1000, [8, 8], 1, Split::Train);
    let mut places = [0u32; CLASSES];
    for block in 0..100 {
        let mut labels: Vec<u32> = (0..10).filter_map(|i| set.label(block * 10 + i)).collect();
        places[labels[0] as usize] += 1;
        labels.sort_unstable();
        assert_eq!(labels, (0..10).collect::<Vec<_>>());
    }
    assert!(places.iter().all(|n| *n < 30), "a fixed order: {places:?}");
    assert_eq!(set.sample(33).label, set.label(33).unwrap());
}

#[test]
fn box_and_mask_agree_and_areas_are_in_range() {
    let set = set(300, [48, 64], 3, Split::Eval);
    let mut areas = Vec::new();
    for i in 0..300 {
        let s = set.sample(i);
        let b = s.bounds;
        let shown = |x: u32, y: u32| s.mask[(y * 64 + x) as usize];
        let (right, bottom) = (b.x + b.width, b.y + b.height);
        assert!(right <= 64 && bottom <= 48);
        for y in 0..48 {
            for x in 0..64 {
                let inside = (b.x..right).contains(&x) && (b.y..bottom).contains(&y);
                assert!(inside || !shown(x, y), "image {i}: outside the box");
            }
        }
        // Tight: all four sides of the box touch the object.
        assert!((b.x..right).any(|x| shown(x, b.y)) && (b.x..right).any(|x| shown(x, bottom - 1)));
        assert!((b.y..bottom).any(|y| shown(b.x, y)) && (b.y..bottom).any(|y| shown(right - 1, y)));
        areas.push(s.mask.iter().filter(|m| **m).count() as f32 / (48.0 * 48.0));
    }
    // Up to 15 % may be outside, and a strand may hide a little.
    assert!(areas.iter().all(|a| (0.09..0.53).contains(a)), "{areas:?}");
    assert!(areas.iter().any(|a| *a < 0.16) && areas.iter().any(|a| *a > 0.4));
}

#[test]
fn any_size_and_channel_count_works() {
    let sizes = [[1, 1], [1, 9], [7, 1], [2, 2], [5, 40], [33, 17]];
    for (n, image_size) in sizes.into_iter().enumerate() {
        for channels in [1, 2, 3, 4, 7, 40] {
            let s = set(50, image_size, channels, Split::Train).sample(n);
            assert!(s.pixels.is_consistent());
            assert_eq!([s.pixels.height, s.pixels.width], image_size);
            assert_eq!(s.pixels.channels, channels);
            assert!(s.mask.contains(&true));
        }
    }
}

#[test]
fn resolution_does_not_change_the_scene() {
    for i in 0..20 {
        let small = set(20, [32, 32], 1, Split::Train).sample(i);
        let large = set(20, [128, 128], 1, Split::Train).sample(i);
        let differing = (0..32 * 32)
            .filter(|n| {
                let (x, y) = (n % 32, n / 32);
                small.mask[*n] != large.mask[(y * 4 + 2) * 128 + x * 4 + 2]
            })
            .count();
        assert!(differing < 40, "image {i}: {differing} of 1024");
    }
}

#[test]
fn nonsense_is_refused() {
    let base = ShapesOptions::default();
    let wrong = [
        ShapesOptions { count: 0, ..base },
        ShapesOptions {
            channels: 0,
            ..base
        },
        ShapesOptions {
            image_size: [0, 5],
            ..base
        },
        ShapesOptions {
            image_size: [5, 0],
            ..base
        },
        ShapesOptions {
            image_size: [u32::MAX, u32::MAX],
            channels: usize::MAX,
            ..base
        },
    ];
    for options in wrong {
        assert!(Shapes::new(options).is_err(), "{options:?}");
    }
}

#[test]
fn it_is_a_source() {
    let set = set(30, [16, 16], 3, Split::Eval);
    assert_eq!(set.len(), 30);
    assert_eq!(set.classes().len(), 10);
    assert!(set.classes().is_sorted());
    assert_eq!(set.name(17), "shapes#17");
    assert_eq!(set.image(29).unwrap(), set.sample(29).pixels);
    assert!(set.image(30).is_err());
    assert_eq!(set.label(30), None);
    assert!(set.describe().contains("30 generated images of 16x16"));
}
