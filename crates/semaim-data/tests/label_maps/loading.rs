//! Loading images with label maps.

use std::sync::Arc;

use semaim_data::{
    Augment, Batch, Dataset, EvaluationLoader, Framing, IGNORED, LabelMap, LabelMapSet,
    LabelMapSpec, LoaderOptions, OpenOptions, Position, Scratch, Source, Split, TrainingLoader,
    open_label_maps, short_side_size,
};
use semaim_normalization::Normalization;
use semaim_random::Key;

use super::open;

fn shapes(count: usize) -> LabelMapSet {
    let mut options = OpenOptions::default();
    options.shapes.count = count;
    options.shapes.image_size = [40, 48];
    open_label_maps(&LabelMapSpec::of("shapes"), Split::Train, &options).unwrap()
}

fn batches(workers: usize, from: Position) -> Vec<Batch<LabelMap>> {
    let options = LoaderOptions {
        batch_size: 3,
        batches_per_epoch: 4,
        epochs: 2,
        workers,
        queue: 2,
        seed: 5,
        ..LoaderOptions::default()
    };
    let augment = Augment::scaled_crop([32, 32], 32, 3);
    let loader = TrainingLoader::start(Arc::new(shapes(7)), augment, options, from);
    loader.map(Result::unwrap).collect()
}

#[test]
fn workers_and_resumption_change_nothing() {
    let one = batches(1, Position::default());
    assert_eq!(one.len(), 8);
    for workers in [2, 5] {
        assert_eq!(one, batches(workers, Position::default()));
    }
    assert_eq!(one[6..], batches(2, Position { epoch: 1, batch: 2 }));
    for batch in &one {
        for (map, valid) in batch.targets.iter().zip(&batch.valid_sizes) {
            assert_eq!(map.size, [32, 32]);
            let ignored = map.labels.iter().filter(|label| **label == IGNORED).count();
            assert_eq!(ignored, 32 * 32 - valid[0] * valid[1]);
        }
    }
    assert!(
        one.iter()
            .any(|batch| batch.valid_sizes.iter().any(|valid| *valid != [32, 32]))
    );
}

#[test]
fn no_class_has_most_of_a_view_where_it_can_be_helped() {
    let set = shapes(40);
    let augment = Augment::scaled_crop([24, 24], 40, 3);
    let most = |map: &LabelMap| {
        let mut counts = [0usize; 256];
        map.labels
            .iter()
            .for_each(|label| counts[usize::from(*label)] += 1);
        let all: usize = counts[..255].iter().sum();
        *counts[..255].iter().max().unwrap() as f64 / all as f64
    };
    let (mut later, mut shares) = (0, [0, 0]);
    for index in 0..40 {
        let size = [48, 40];
        let key = Key::new(3, 0, index as u64);
        let plans = augment.training_views(size, key);
        assert_eq!(plans.len(), 10);
        assert_eq!(
            plans[0].geometry(),
            augment.training_view(size, key).geometry()
        );
        let views: Vec<_> = plans.iter().map(|plan| plan.geometry()).collect();
        let (at, map) = set.choose_view(index, &views).unwrap();
        let all: Vec<LabelMap> = views
            .iter()
            .map(|view| set.target(index, view).unwrap())
            .collect();
        assert_eq!(map, all[at]);
        // Those before are not good enough; it is, unless it is the last.
        assert!(all[..at].iter().all(|map| most(map) >= 0.75));
        assert!(at == 9 || most(&map) < 0.75);
        later += usize::from(at > 0);
        shares[0] += usize::from(most(&all[0]) < 0.75);
        shares[1] += usize::from(most(&map) < 0.75);
    }
    assert!(later > 5 && shares[1] > shares[0] + 5, "{later} {shares:?}");
    let any = set.with_max_class_share(1.0);
    let views: Vec<_> = augment.training_views([48, 40], Key::new(3, 0, 0));
    let views: Vec<_> = views.iter().map(|plan| plan.geometry()).collect();
    let (at, map) = any.choose_view(0, &views).unwrap();
    assert!(at == 9 || most(&map) < 1.0);
}

#[test]
fn labels_are_those_of_the_pixels_that_are_shown() {
    // Images whose red is 60 times the label.
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<u8> = (0..64 * 48u32)
        .map(|at| ((at % 64 / 20 + at / 64 / 16 * 2) % 4) as u8)
        .collect();
    for split in ["train", "val"] {
        let path = |what: &str| folder.path().join(format!("{what}/{split}/a.png"));
        for (what, factor) in [("images", 60), ("labels", 1)] {
            let data: Vec<u8> = values.iter().map(|value| value * factor).collect();
            std::fs::create_dir_all(path(what).parent().unwrap()).unwrap();
            image::save_buffer(path(what), &data, 64, 48, image::ExtendedColorType::L8).unwrap();
        }
    }
    let set = open(folder.path(), Split::Train).unwrap();
    let image = set.image(0).unwrap();
    let mut augment = Augment::scaled_crop([40, 56], 40, 3);
    augment.photometric = None;
    augment.normalization = Normalization {
        mean: vec![0.0; 3],
        std: vec![60.0 / 255.0; 3],
    };
    let mut flips = 0;
    for item in 0..60 {
        let plan = augment.training_view([64, 48], Key::new(1, 0, item));
        let mut view = vec![f32::NAN; augment.view_len()];
        plan.render_image(&image, &mut Scratch::new(), &mut view)
            .unwrap();
        let geometry = plan.geometry();
        flips += usize::from(geometry.flip);
        let map = set.target(0, &geometry).unwrap();
        let [rows, columns] = geometry.valid_size;
        let mut differ = 0;
        for (at, label) in map.labels.iter().enumerate() {
            if at % 56 < columns && at / 56 < rows {
                differ += usize::from((view[at] - f32::from(*label)).abs() > 0.5);
            } else {
                assert_eq!((*label, view[at]), (IGNORED, 0.0));
            }
        }
        // Between labels that are not neighbors, smoothed edges pass through others.
        assert!(
            differ * 10 < rows * columns,
            "{differ} of {rows}x{columns}: {geometry:?}"
        );
    }
    assert!((15..45).contains(&flips));
}

#[test]
fn whole_images_are_evaluated() {
    let set = Arc::new(shapes(3));
    let mut augment = Augment::scaled_crop([32, 40], 32, 3);
    let mut loader = EvaluationLoader::start(Arc::clone(&set), augment.clone(), 0..3, 3, 1, 1);
    let batch = loader.next().unwrap().unwrap();
    assert_eq!(batch.valid_sizes, [[32, 38]; 3]);
    // The same, without padding and at its own size.
    let image = set.image(1).unwrap();
    let size = short_side_size(image.size(), 32);
    assert_eq!(size, [32, 38]);
    let whole = augment
        .resized(&image, size, false, &mut Scratch::new())
        .unwrap();
    let view = &batch.images[3 * 32 * 40..][..3 * 32 * 40];
    for (row, padded) in whole.chunks(38).zip(view.chunks(40)) {
        assert_eq!(row, &padded[..38]);
    }
    let mirrored = augment
        .resized(&image, size, true, &mut Scratch::new())
        .unwrap();
    for (row, mirrored) in whole.chunks(38).zip(mirrored.chunks(38)) {
        assert!(row.iter().eq(mirrored.iter().rev()));
    }
    // Evaluation knows no random colors; training does.
    let rendered = |augment: &Augment, item| {
        let plan = augment.training_view([48, 40], Key::new(0, 0, item));
        let mut view = vec![0.0; augment.view_len()];
        plan.render_image(&image, &mut Scratch::new(), &mut view)
            .unwrap();
        view
    };
    let distorted: Vec<_> = (0..20).map(|item| rendered(&augment, item)).collect();
    augment.photometric = None;
    let plain: Vec<_> = (0..20).map(|item| rendered(&augment, item)).collect();
    let changed = distorted.iter().zip(&plain).filter(|(a, b)| a != b).count();
    assert!((12..20).contains(&changed), "{changed}");
    assert!(matches!(
        augment.framing,
        Framing::ScaledCrop { short_side: 32, .. }
    ));
}
