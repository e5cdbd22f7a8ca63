//! Prints what `semaim coco-eval --json` prints, without building the rest of the program:
//! `cargo run --release -p semaim-coco --example score -- truth.json detections.json`.

use std::error::Error;
use std::path::Path;

use semaim_coco::{Annotations, EvaluateOptions, Results, evaluate};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("name a truth and detections");
    let (truth, detections) = (next()?, next()?);
    let truth = Annotations::read(Path::new(&truth))?;
    let scores = evaluate(
        &truth,
        Results::read(Path::new(&detections))?,
        EvaluateOptions::default(),
    )?;
    for repair in scores
        .annotation_repairs
        .iter()
        .chain(&scores.result_repairs)
    {
        eprintln!("{repair}");
    }
    println!("{}", scores.to_json());
    Ok(())
}
