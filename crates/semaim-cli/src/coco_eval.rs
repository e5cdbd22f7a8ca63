//! `semaim coco-eval`.

use std::path::Path;
use std::process::ExitCode;

use semaim_coco::{
    Annotations, EvaluateOptions, Evaluation, IouType, METRICS, Repair, Results, Scores, evaluate,
    summary_line,
};

use crate::args::{CocoEvalArgs, IouTypeArg};
use crate::exit::Exit;

pub(crate) fn run(args: &CocoEvalArgs) -> Result<ExitCode, Exit> {
    let only = args.iou_type.map(|kind| match kind {
        IouTypeArg::Bbox => IouType::Bbox,
        IouTypeArg::Segm => IouType::Segm,
    });
    let truth = Annotations::read(&args.annotations).map_err(Exit::user)?;
    let detections = Results::read(&args.detections).map_err(Exit::user)?;
    if detections.results().is_empty() {
        tracing::warn!("{}: there are no detections", args.detections.display());
    }
    let options = EvaluateOptions {
        only,
        class_agnostic: args.class_agnostic,
    };
    let scores = evaluate(&truth, detections, options).map_err(Exit::user)?;
    warn(&args.annotations, &scores.annotation_repairs);
    warn(&args.detections, &scores.result_repairs);
    if let Some(file) = &scores.without_masks {
        tracing::warn!("masks are not scored: {} has none", file.display());
    }
    if args.json {
        println!("{}", scores.to_json());
    } else {
        print(&scores);
    }
    Ok(ExitCode::SUCCESS)
}

fn warn(file: &Path, repairs: &[Repair]) {
    for repair in repairs {
        tracing::warn!("{}: {repair}", file.display());
    }
}

fn print(scores: &Scores) {
    let kinds = [("Boxes", &scores.bbox), ("Masks", &scores.segm)];
    let kinds: Vec<(&str, &Evaluation)> = kinds
        .into_iter()
        .filter_map(|(title, evaluation)| Some((title, evaluation.as_ref()?)))
        .collect();
    for (title, evaluation) in &kinds {
        println!("{title}");
        for (metric, value) in METRICS.into_iter().zip(evaluation.stats()) {
            println!("{}", summary_line(metric, value));
        }
        println!();
    }
    let names = scores
        .categories
        .iter()
        .map(|(_, name)| name.chars().count());
    let width = names.max().unwrap_or(0).max("category".len());
    print!("{:<width$}", "category");
    for (title, _) in &kinds {
        let title = title.to_lowercase();
        print!("  {:>10}  {:>10}", format!("{title} AP"), "AP50");
    }
    println!();
    for (category, (_, name)) in scores.categories.iter().enumerate() {
        print!("{name:<width$}");
        for (_, evaluation) in &kinds {
            for value in evaluation.category_ap(category) {
                match value < 0.0 {
                    // There is no truth to find.
                    true => print!("  {:>10}", "-"),
                    false => print!("  {value:>10.3}"),
                }
            }
        }
        println!();
    }
}
