//! Loaders: the same bytes for any number of workers and any start, broken images, early ends.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing test may panic"
)]

use std::sync::{Arc, Condvar, Mutex};

use semaim_data::{
    Augment, Batch, Dataset, DecodeRequest, DecodedRegion, EvaluationLoader, ImageError,
    ImageProblem, LoaderError, LoaderOptions, Pixels, Position, Scratch, Source, TrainingLoader,
    Turns, ViewGeometry, measure,
};

/// Images by formula; some are broken, some make the source panic.
#[derive(Debug)]
struct Made {
    len: usize,
    broken: Vec<usize>,
    panics: Vec<usize>,
}

impl Made {
    fn good(len: usize) -> Arc<dyn Source> {
        Self::with_broken(len, &[])
    }

    fn with_broken(len: usize, broken: &[usize]) -> Arc<dyn Source> {
        Arc::new(Self {
            len,
            broken: broken.to_vec(),
            panics: Vec::new(),
        })
    }
}

impl Source for Made {
    fn len(&self) -> usize {
        self.len
    }

    fn label(&self, index: usize) -> Option<u32> {
        Some(index as u32 % 3)
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn name(&self, index: usize) -> String {
        format!("made#{index}")
    }

    fn decode(
        &self,
        index: usize,
        _: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        _: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        assert!(!self.panics.contains(&index), "image {index} panics");
        if index >= self.len {
            return Err(ImageError::out_of_range("made", index, self.len));
        }
        if self.broken.contains(&index) {
            return Err(ImageError {
                name: self.name(index),
                problem: ImageProblem::Empty,
            });
        }
        let data: Vec<u8> = (0..12 * 10 * 3)
            .map(|i| (i * (index + 3) % 251) as u8)
            .collect();
        let pixels = Pixels::new(12, 10, 3, data).unwrap();
        Ok(DecodedRegion::whole(pixels))
    }

    fn describe(&self) -> String {
        "made".to_owned()
    }
}

fn augment() -> Augment {
    Augment::new([8, 8], 3)
}

fn options(workers: usize) -> LoaderOptions {
    LoaderOptions {
        batch_size: 4,
        batches_per_epoch: 5,
        epochs: 3,
        workers,
        queue: 2,
        seed: 11,
        turns: Turns::ALL,
    }
}

fn run(source: &Arc<dyn Source>, workers: usize, from: Position) -> Vec<Batch> {
    TrainingLoader::start(Arc::clone(source), augment(), options(workers), from)
        .map(Result::unwrap)
        .collect()
}

#[test]
fn workers_change_nothing() {
    let source = Made::with_broken(17, &[3, 8]);
    let one = run(&source, 1, Position::default());
    assert_eq!(one.len(), 15);
    for workers in [2, 7] {
        assert_eq!(one, run(&source, workers, Position::default()));
    }
    for (number, batch) in one.iter().enumerate() {
        assert_eq!(
            (batch.epoch, batch.index),
            (number as u64 / 5, number as u64 % 5)
        );
        assert_eq!(batch.images.len(), 4 * 3 * 8 * 8);
        assert!(
            batch
                .items
                .iter()
                .zip(&batch.targets)
                .all(|(i, l)| *l == Some(*i as u32 % 3))
        );
    }
}

#[test]
fn processes_take_batches_in_turn() {
    let source = Made::with_broken(17, &[3, 8]);
    let options = |turns| LoaderOptions {
        batches_per_epoch: 6,
        turns,
        ..options(2)
    };
    let run = |turns, from| -> Vec<Batch> {
        TrainingLoader::start(Arc::clone(&source), augment(), options(turns), from)
            .map(Result::unwrap)
            .collect()
    };
    let from = Position { epoch: 1, batch: 3 };
    let all = run(Turns::ALL, from);
    assert_eq!(all.len(), 9);
    // Three batches a step, two processes: the first takes the first and the third of each.
    for (first, of_a_step) in [(0, vec![0, 2]), (1, vec![1])] {
        let turns = Turns {
            of: 3,
            first,
            every: 2,
        };
        assert_eq!(turns.per_step(), of_a_step.len() as u64);
        let own = run(turns, from);
        let expected = (0..3).flat_map(|step| of_a_step.iter().map(move |at| 3 * step + at));
        let expected: Vec<&Batch> = expected.map(|at| &all[at]).collect();
        assert_eq!(own.iter().collect::<Vec<_>>(), expected, "{turns:?}");
    }
    let none = Turns {
        of: 2,
        first: 2,
        every: 3,
    };
    let mut loader = TrainingLoader::start(source.clone(), augment(), options(none), from);
    assert!(matches!(loader.next(), Some(Err(LoaderError::Options(_)))));
}

#[test]
fn resuming_changes_nothing() {
    let source = Made::with_broken(17, &[5]);
    let all = run(&source, 2, Position::default());
    for (epoch, batch) in [(0, 1), (1, 0), (1, 3), (2, 4), (0, 7)] {
        let rest = run(&source, 3, Position { epoch, batch });
        assert_eq!(rest, all[(epoch * 5 + batch) as usize..]);
    }
    assert!(run(&source, 2, Position { epoch: 3, batch: 0 }).is_empty());
    assert!(run(&source, 2, Position { epoch: 9, batch: 0 }).is_empty());
}

#[test]
fn an_epoch_is_a_permutation_and_wraps() {
    let items = |batches: &[Batch]| -> Vec<u64> {
        batches
            .iter()
            .flat_map(|batch| batch.items.clone())
            .collect()
    };
    let batches = run(&Made::good(20), 2, Position::default());
    let mut first = items(&batches[..5]);
    assert_ne!(first, items(&batches[5..10]));
    first.sort_unstable();
    assert_eq!(first, (0..20).collect::<Vec<u64>>());
    let wrapped = items(&run(&Made::good(7), 2, Position::default())[..5]);
    assert_eq!(wrapped[..7], wrapped[7..14]);
    let mut first = wrapped[..7].to_vec();
    first.sort_unstable();
    assert_eq!(first, (0..7).collect::<Vec<u64>>());
}

#[test]
fn views_depend_on_the_image_not_on_the_batch() {
    let source = Made::good(20);
    let small = run(&source, 2, Position::default());
    let large = LoaderOptions {
        batch_size: 10,
        batches_per_epoch: 2,
        epochs: 1,
        ..options(2)
    };
    let large = TrainingLoader::start(source, augment(), large, Position::default());
    let large: Vec<f32> = large.flat_map(|batch| batch.unwrap().images).collect();
    let small: Vec<f32> = small[..5]
        .iter()
        .flat_map(|batch| batch.images.clone())
        .collect();
    assert_eq!(large, small);
}

#[test]
fn broken_images_are_replaced_and_listed() {
    let broken = [2, 3, 5, 7, 11];
    let batches = run(&Made::with_broken(20, &broken), 2, Position::default());
    let clean = run(&Made::good(20), 2, Position::default());
    let mut listed = Vec::new();
    for (batch, clean) in batches.iter().zip(&clean).take(5) {
        assert_eq!(batch.items.len(), 4);
        for (item, wanted) in batch.items.iter().zip(&clean.items) {
            let was_broken = broken.contains(&(*wanted as usize));
            assert_eq!(item != wanted, was_broken);
            assert!(!broken.contains(&(*item as usize)));
        }
        listed.extend(batch.bad.iter().map(|bad| bad.item as usize));
        assert!(
            batch
                .bad
                .iter()
                .all(|bad| bad.name == format!("made#{}", bad.item))
        );
        assert!(batch.bad.iter().all(|bad| bad.error.contains("0 bytes")));
    }
    listed.sort_unstable();
    listed.dedup();
    assert_eq!(listed, broken);
}

#[test]
fn nothing_but_broken_images_is_an_error() {
    for (len, tried) in [(3, 3), (50, 20)] {
        let all: Vec<usize> = (0..len).collect();
        let source = Made::with_broken(len, &all);
        let mut loader = TrainingLoader::start(source, augment(), options(2), Position::default());
        match loader.next() {
            Some(Err(LoaderError::OnlyBadImages {
                tried: n, batch: 0, ..
            })) => assert_eq!(n, tried),
            other => panic!("{other:?}"),
        }
        assert!(loader.next().is_none());
    }
}

#[test]
fn a_panic_is_an_error_of_its_batch() {
    let source: Arc<dyn Source> = Arc::new(Made {
        len: 20,
        broken: Vec::new(),
        panics: vec![4],
    });
    let results: Vec<_> =
        TrainingLoader::start(source, augment(), options(3), Position::default()).collect();
    let Some((
        Err(LoaderError::Worker {
            message,
            epoch: 0,
            batch,
        }),
        good,
    )) = results.split_last()
    else {
        panic!("{results:?}")
    };
    assert!(message.contains("image 4 panics"), "{message}");
    assert_eq!(good.len() as u64, *batch);
    assert!(good.iter().all(Result::is_ok));
}

#[test]
fn dropping_early_ends_the_threads() {
    let source = Made::good(20);
    for consumed in 0..4 {
        let many = LoaderOptions {
            epochs: u64::MAX / 5,
            ..options(5)
        };
        let mut loader =
            TrainingLoader::start(Arc::clone(&source), augment(), many, Position::default());
        for _ in 0..consumed {
            assert!(loader.next().unwrap().is_ok());
        }
        drop(loader);
        // The threads held the other references.
        assert_eq!(Arc::strong_count(&source), 1);
    }
}

#[test]
fn senseless_options_are_errors() {
    let refuse = |source: Arc<dyn Source>, options| {
        let mut loader = TrainingLoader::start(source, augment(), options, Position::default());
        let error = loader.next().unwrap().unwrap_err();
        assert!(loader.next().is_none());
        error
    };
    assert!(matches!(
        refuse(Made::good(0), options(1)),
        LoaderError::NoImages
    ));
    let none = LoaderOptions {
        batch_size: 0,
        ..options(1)
    };
    assert!(matches!(
        refuse(Made::good(1), none),
        LoaderError::Options(_)
    ));
    let mut evaluation = EvaluationLoader::start(Made::good(1), augment(), 0..1, 0, 1, 1);
    assert!(matches!(
        evaluation.next(),
        Some(Err(LoaderError::Options(_)))
    ));
}

#[test]
fn evaluation_takes_each_image_once() {
    let source = Made::with_broken(10, &[4, 6]);
    let load = |workers| -> Vec<Batch> {
        let loader = EvaluationLoader::start(Arc::clone(&source), augment(), 0..11, 4, workers, 3);
        loader.map(Result::unwrap).collect()
    };
    let batches = load(1);
    assert_eq!(batches, load(7));
    let items: Vec<Vec<u64>> = batches.iter().map(|batch| batch.items.clone()).collect();
    assert_eq!(items, [vec![0, 1, 2, 3], vec![5, 7], vec![8, 9]]);
    let bad: Vec<u64> = batches
        .iter()
        .flat_map(|b| &b.bad)
        .map(|bad| bad.item)
        .collect();
    assert_eq!(bad, [4, 6, 10]);
    assert!(
        batches
            .iter()
            .all(|b| b.images.len() == b.items.len() * 3 * 64)
    );
    assert_eq!(batches[1].index, 1);
    let none = EvaluationLoader::start(source, augment(), [], 4, 2, 3);
    assert_eq!(none.count(), 0);
}

#[test]
fn measuring_counts_images() {
    let result = measure(Made::with_broken(40, &[1]), augment(), 2, 50).unwrap();
    assert_eq!((result.images, result.workers), (64, 2));
    assert!(result.bad >= 1 && result.images_per_second() > 0.0);
}

/// Images whose targets are a point of each: where it is in the view.
#[derive(Debug)]
struct Points(Made);

impl Source for Points {
    fn len(&self) -> usize {
        self.0.len
    }

    fn label(&self, _: usize) -> Option<u32> {
        None
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn name(&self, index: usize) -> String {
        self.0.name(index)
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
        "points".to_owned()
    }
}

impl Dataset for Points {
    type Target = [f64; 2];

    fn target(&self, index: usize, view: &ViewGeometry) -> Result<[f64; 2], ImageError> {
        if index == 4 {
            return Err(ImageError {
                name: self.name(index),
                problem: ImageProblem::Empty,
            });
        }
        Ok(view.to_view([6.0, 5.0]))
    }
}

#[test]
fn targets_of_any_type_follow_the_view() {
    let points = Arc::new(Points(Made {
        len: 6,
        broken: Vec::new(),
        panics: Vec::new(),
    }));
    let loader = TrainingLoader::start(
        Arc::clone(&points),
        augment(),
        options(2),
        Position::default(),
    );
    for batch in loader.map(Result::unwrap) {
        for (&item, target) in batch.items.iter().zip(&batch.targets) {
            let key = semaim_random::Key::new(11, batch.epoch, item);
            let augment = augment();
            let geometry = augment.training_view([12, 10], key).geometry();
            assert_eq!(*target, geometry.to_view([6.0, 5.0]));
        }
        assert_eq!(batch.valid_sizes, [[8, 8]; 4]);
    }
    // An image whose target cannot be read is a bad image.
    let batch = EvaluationLoader::start(points, augment(), 0..6, 6, 1, 1)
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(batch.items, [0, 1, 2, 3, 5]);
    assert_eq!(batch.bad[0].item, 4);
    // The short side of 10 becomes 9 and the crop of 8 begins at its row 0, as 0.5 is rounded to the even number.
    assert_eq!(batch.targets, [[4.0, 4.5]; 5]);
}

/// Images of which all but the first few wait until they are let go.
#[derive(Debug)]
struct Held {
    made: Made,
    free: usize,
    gate: (Mutex<bool>, Condvar),
}

impl Source for Held {
    fn len(&self) -> usize {
        self.made.len
    }

    fn label(&self, _: usize) -> Option<u32> {
        None
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn name(&self, index: usize) -> String {
        self.made.name(index)
    }

    fn decode(
        &self,
        index: usize,
        request: &mut dyn FnMut([u32; 2]) -> DecodeRequest,
        scratch: &mut Scratch,
    ) -> Result<DecodedRegion, ImageError> {
        let (open, opened) = &self.gate;
        if index >= self.free {
            drop(
                opened
                    .wait_while(open.lock().unwrap(), |open| !*open)
                    .unwrap(),
            );
        }
        self.made.decode(index, request, scratch)
    }

    fn describe(&self) -> String {
        "held".to_owned()
    }
}

#[test]
fn the_fill_of_the_queue_tells_who_waits_for_whom() {
    let held = |free| {
        Arc::new(Held {
            made: Made {
                len: 60,
                broken: Vec::new(),
                panics: Vec::new(),
            },
            free,
            gate: Default::default(),
        })
    };
    let start = |source: &Arc<Held>| {
        let source: Arc<dyn Source> = Arc::clone(source) as _;
        TrainingLoader::start(source, augment(), options(2), Position::default())
    };
    // Nobody asks: the queue fills.
    let loader = start(&held(60));
    while loader.ready() < 2 {
        std::thread::yield_now();
    }
    assert_eq!(loader.ready(), 2);
    // The images are held: it stays empty.
    let source = held(0);
    let mut loader = start(&source);
    assert_eq!(loader.ready(), 0);
    *source.gate.0.lock().unwrap() = true;
    source.gate.1.notify_all();
    assert_eq!(loader.next().unwrap().unwrap().items.len(), 4);
}
