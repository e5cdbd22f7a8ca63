//! Loading images with objects.

use std::sync::Arc;

use semaim_data::{
    Augment, Batch, EvaluationLoader, LoaderOptions, ObjectSet, ObjectSpec, Objects, OpenOptions,
    Position, Source, Split, TrainingLoader, open_objects,
};

use super::{image, open, text};

fn batches(set: &Arc<ObjectSet>, workers: usize, from: Position) -> Vec<Batch<Objects>> {
    let options = LoaderOptions {
        batch_size: 3,
        batches_per_epoch: 4,
        epochs: 2,
        workers,
        queue: 2,
        seed: 5,
        ..LoaderOptions::default()
    };
    let augment = Augment::on_canvas([48, 48], 3);
    let loader = TrainingLoader::start(Arc::clone(set), augment, options, from);
    loader.map(Result::unwrap).collect()
}

#[test]
fn workers_and_resumption_change_nothing() {
    let mut options = OpenOptions::default();
    options.shapes.count = 7;
    options.shapes.image_size = [40, 32];
    let open = || {
        let spec = ObjectSpec::of("shapes");
        Arc::new(open_objects(&spec, Split::Train, &options).unwrap())
    };
    let one = batches(&open(), 1, Position::default());
    assert_eq!(one.len(), 8);
    for workers in [2, 5] {
        assert_eq!(one, batches(&open(), workers, Position::default()));
    }
    let from = Position { epoch: 1, batch: 2 };
    assert_eq!(one[6..], batches(&open(), 2, from));
    let objects = one.iter().flat_map(|batch| &batch.targets);
    assert!(objects.clone().any(|objects| objects.boxes.len() == 1));
    let sizes: Vec<[usize; 2]> = one
        .iter()
        .flat_map(|batch| batch.valid_sizes.clone())
        .collect();
    assert!(sizes.iter().any(|size| *size != sizes[0]));
}

#[test]
fn images_that_do_not_fit_their_annotations_are_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    image(&folder.path().join("a.png"), [40, 30]);
    image(&folder.path().join("b.png"), [30, 40]);
    let images = ["a", "b"].map(|name| {
        let id = name.len() + usize::from(name == "b");
        format!(r#"{{"id": {id}, "file_name": "{name}.png", "width": 40, "height": 30}}"#)
    });
    let json = format!(
        r#"{{"images": [{}], "categories": [{{"id": 1, "name": "x"}}], "annotations": []}}"#,
        images.join(",")
    );
    text(&folder.path().join("train.json"), &json);
    text(&folder.path().join("val.json"), &json);
    let set = Arc::new(open(folder.path(), Split::Eval).unwrap());
    let augment = Augment::on_canvas([16, 16], 3);
    let items = 0..set.len() as u64;
    let mut loader = EvaluationLoader::start(set, augment, items, 2, 1, 1);
    let batch = loader.next().unwrap().unwrap();
    assert_eq!(batch.targets, [Objects::default()]);
    assert_eq!(batch.valid_sizes, [[12, 16]]);
    assert!(
        batch.bad[0].error.contains("the image is 30x40 pixels"),
        "{:?}",
        batch.bad
    );
}
