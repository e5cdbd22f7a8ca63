//! Tests of views and objects together; of forms and faults in `tests/objects`.

use std::fs;

use semaim_normalization::Normalization;
use semaim_random::Key;

use super::*;
use crate::augment::Augment;
use crate::framing::Framing;
use crate::open::OpenOptions;
use crate::pixels::Pixels;
use crate::source::Split;
use crate::view::ViewPlan;

/// A red triangle, stored as a polygon, and a green frame with a hole, stored as run lengths, on black, `[60, 80]` pixels.
fn picture() -> (Pixels, String) {
    let triangle = [[10.0, 5.0], [50.0, 15.0], [20.0, 45.0]];
    let polygon = Segmentation::Polygons(vec![triangle.concat()]);
    let red = polygon.rle(80, 60).unwrap();
    let frame: Vec<bool> = (0..80 * 60u32)
        .map(|at| {
            let (x, y) = (at % 80, at / 80);
            let inside = |low: u32, high: u32| {
                (52 + low..52 + high).contains(&x) && (20 + low..20 + high).contains(&y)
            };
            inside(0, 24) && !inside(8, 16)
        })
        .collect();
    let green = Rle::from_bits(&frame, 80, 60).unwrap();
    let red_bits = red.to_bits();
    let data =
        (0..80 * 60).flat_map(|at| [u8::from(red_bits[at]) * 255, u8::from(frame[at]) * 255, 0]);
    let json = format!(
        r#"{{"images": [{{"id": 5, "file_name": "a.png", "width": 80, "height": 60}}],
        "categories": [{{"id": 9, "name": "frame"}}, {{"id": 2, "name": "triangle"}}],
        "annotations": [
            {{"id": 1, "image_id": 5, "category_id": 2, "bbox": [10, 5, 40, 40], "area": 800, "iscrowd": 0,
              "segmentation": [{:?}]}},
            {{"id": 2, "image_id": 5, "category_id": 9, "bbox": [52, 20, 24, 24], "area": 512, "iscrowd": 0,
              "segmentation": {{"size": [60, 80], "counts": {:?}}}}},
            {{"id": 3, "image_id": 5, "category_id": 9, "bbox": [0, 0, 80, 60], "area": 4800, "iscrowd": 1,
              "segmentation": {{"size": [60, 80], "counts": [0, 4800]}}}}]}}"#,
        triangle.concat(),
        green.to_text()
    );
    (
        Pixels::new(80, 60, 3, data.collect::<Vec<u8>>()).unwrap(),
        json,
    )
}

fn opened() -> (tempfile::TempDir, ObjectSet) {
    let folder = tempfile::tempdir().unwrap();
    let (pixels, json) = picture();
    image::save_buffer(
        folder.path().join("a.png"),
        &pixels.bytes(),
        pixels.width,
        pixels.height,
        image::ExtendedColorType::Rgb8,
    )
    .unwrap();
    fs::write(folder.path().join("instances.json"), json).unwrap();
    let spec = ObjectSpec::of(folder.path().display().to_string());
    let set = open_objects(&spec, Split::Train, &OpenOptions::default()).unwrap();
    (folder, set)
}

/// Checks that the pixels that the mask says are those of `channel`, but for the outline, and that its box is around it.
fn check(objects: &Objects, class: u32, plan: &ViewPlan<'_>, view: &[f32], channel: usize) {
    let geometry = plan.geometry();
    let [rows, columns] = geometry.valid_size;
    let width = geometry.size[1];
    let plane = &view[channel * geometry.size[0] * width..];
    let shown = |x: usize, y: usize| plane[y * width + x] > 0.5;
    let pixels = (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y)));
    let count = pixels.clone().filter(|(x, y)| shown(*x, *y)).count();
    let Some(at) = objects.classes.iter().position(|c| *c == class) else {
        assert!(count <= 8, "{count} pixels without a mask");
        return;
    };
    let mask = objects.masks[at].as_ref().unwrap();
    assert_eq!(
        [mask.height() as usize, mask.width() as usize],
        geometry.valid_size
    );
    let bits = mask.to_bits();
    // They may differ at the outline only, by a pixel of the image; the tips of the triangle are too thin to be seen.
    let tip = 2 * usize::from(class == 0);
    let reach = (columns as f64 / geometry.source[2]).ceil() as usize + tip;
    let near = |at: usize, end: usize| at.saturating_sub(reach)..(at + reach + 1).min(end);
    for (x, y) in pixels {
        let (inside, shown_there) = (bits[y * columns + x], shown(x, y));
        let at_outline = inside == shown_there
            || near(y, rows).any(|y| near(x, columns).any(|x| shown(x, y) == inside));
        assert!(at_outline, "{x} {y} in {geometry:?}");
    }
    let [x0, y0, x1, y1] = objects.boxes[at].map(|edge| edge as usize);
    let around = Rle::from_bits(&bits, columns as u32, rows as u32)
        .unwrap()
        .bounding_box();
    assert_eq!([x0, y0, x1 - x0, y1 - y0].map(|edge| edge as f64), around);
}

#[test]
fn masks_and_boxes_follow_the_pixels() {
    let (_folder, set) = opened();
    let image = set.image(0).unwrap();
    let (mut flips, mut cuts, mut pads, mut seen) = (0, 0, 0, 0);
    for canvas in [[64, 64], [96, 64], [150, 160]] {
        let mut augment = Augment::on_canvas(canvas, 3);
        augment.normalization = Normalization {
            mean: vec![0.0; 3],
            std: vec![1.0; 3],
        };
        augment.framing = Framing::Canvas { scale: [0.4, 2.0] };
        for item in 0..60 {
            let plan = match item {
                0 => augment.evaluation_view(image.size()),
                _ => augment.training_view(image.size(), Key::new(1, 0, item)),
            };
            let mut view = vec![f32::NAN; augment.view_len()];
            plan.render_image(&image, &mut Scratch::new(), &mut view)
                .unwrap();
            let geometry = plan.geometry();
            let objects = set.target(0, &geometry).unwrap();
            // Class 0 is number 2, the triangle.
            check(&objects, 0, &plan, &view, 0);
            check(&objects, 1, &plan, &view, 1);
            assert!(objects.classes.len() <= 2, "the crowd is left out");
            seen += objects.classes.len();
            flips += u32::from(geometry.flip);
            cuts += u32::from(geometry.source[2] < 80.0);
            pads += u32::from(geometry.valid_size != canvas);
            let [rows, columns] = geometry.valid_size;
            for (at, value) in view.iter().enumerate() {
                let (x, y) = (at % canvas[1], at / canvas[1] % canvas[0]);
                assert!(value.is_finite());
                assert!(x < columns && y < rows || *value == 0.0);
            }
        }
    }
    assert!(
        flips > 50 && cuts > 50 && pads > 50 && seen > 250,
        "{flips} {cuts} {pads} {seen}"
    );
}

#[test]
fn a_view_by_hand() {
    let (_folder, set) = opened();
    // Twice as large, mirrored; columns 40 to 120 of 160 and rows 0 to 60 of 120 are shown.
    let view = ViewGeometry {
        image_size: [80, 60],
        source: [20.0, 0.0, 40.0, 30.0],
        flip: true,
        size: [64, 96],
        valid_size: [60, 80],
    };
    let objects = set.target(0, &view).unwrap();
    assert_eq!(objects.classes, [0, 1]);
    // The frame's left side, from column 52 to the edge at 60: 16 columns, now at the left; rows 20 to 30.
    assert_eq!(objects.boxes[1], [0.0, 40.0, 16.0, 60.0]);
    // The triangle, from the edge at column 20 to 50.
    assert!((20.0..=22.0).contains(&objects.boxes[0][0]));
    assert_eq!(objects.boxes[0][2], 80.0);
    assert_eq!(
        view_objects::box_in_view([52.0, 20.0, 24.0, 24.0], &view),
        [0.0, 40.0, 16.0, 60.0]
    );
    assert_eq!(
        view_objects::box_in_view([0.0, 0.0, 20.0, 10.0], &view),
        [80.0, 0.0, 80.0, 20.0]
    );
}

#[test]
fn the_truth_is_in_the_image_and_has_the_crowd() {
    let (_folder, set) = opened();
    let truth = set.truth(0).unwrap();
    assert_eq!(truth.size, [60, 80]);
    assert_eq!(truth.boxes[0], [10.0, 5.0, 40.0, 40.0]);
    assert_eq!(truth.areas, [800.0, 512.0, 4800.0]);
    assert_eq!(truth.crowds, [false, false, true]);
    assert_eq!(truth.classes, [0, 1, 1]);
    assert_eq!(truth.annotation_ids, [1, 2, 3]);
    assert_eq!(truth.masks[1].as_ref().unwrap().area(), 512);
    assert_eq!((set.image_id(0), set.category_ids()), (5, &[2, 9][..]));
    assert_eq!(set.classes(), ["triangle", "frame"]);
    assert!(set.truth(1).is_err());
}

#[test]
fn shapes_know_their_objects() {
    let mut options = OpenOptions::default();
    options.shapes.count = 5;
    options.shapes.image_size = [48, 64];
    let set = open_objects(&ObjectSpec::of("shapes"), Split::Eval, &options).unwrap();
    let augment = Augment::on_canvas([48, 64], 3);
    for index in 0..5 {
        let sample = match &set.images {
            Images::Shapes { shapes, .. } => shapes.sample(index),
            Images::Files { .. } => panic!("files"),
        };
        let bounds = sample.bounds;
        let truth = set.truth(index).unwrap();
        let expected = [bounds.x, bounds.y, bounds.width, bounds.height].map(f64::from);
        assert_eq!(truth.boxes, [expected]);
        assert_eq!(truth.classes, [sample.label]);
        assert_eq!(set.image(index).unwrap(), sample.pixels);
        let view = augment.evaluation_view([64, 48]).geometry();
        let objects = set.target(index, &view).unwrap();
        assert_eq!(objects.masks[0].as_ref().unwrap().to_bits(), sample.mask);
    }
    assert!(set.truth(5).is_err());
}
