//! `semaim knn`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use burn::tensor::Device;
use semaim_data::{counted, same_images, some_of};
use semaim_eval::class_names::{Comparison, share_numbering};
use semaim_eval::knn::knn;
use semaim_eval::vectors::{LabeledVectors, VectorOrigin, read_labeled, shared_images};
use semaim_train::ranks;
use semaim_train::start::step_of;
use serde_json::{Value, json};

use crate::args::{KNN_TEMPERATURE, KnnArgs};
use crate::embed_splits::{embed_splits, labeled};
use crate::encoder::Loaded;
use crate::exit::Exit;
use crate::{evaluation_log, report};

pub(crate) fn run(args: &KnnArgs) -> Result<ExitCode, Exit> {
    let start = Instant::now();
    // Before the measurement: a run may go on meanwhile.
    let encoder = args.encoder.0.as_ref();
    let mut is_divided_by_seed = false;
    let step = encoder.and_then(|encoder| step_of(&encoder.weights));
    let (bank, queries, device) = match (&args.bank, &args.queries, &args.encoder.0) {
        (Some(bank), Some(queries), _) => {
            let (bank, queries) = vectors(bank, queries)?;
            (bank, queries, Device::flex())
        }
        (_, _, Some(encoder)) => {
            if args.data.is_empty() {
                return Err(Exit::user(
                    "--weights needs --data: the labeled images (`shapes` for the generated ones)",
                ));
            }
            let loaded = Loaded::of(encoder)?;
            let sets = labeled(&loaded, &args.data, &args.selection, args.seed)?;
            is_divided_by_seed = same_images(&*sets.train.source, &*sets.test.source);
            if args.seed != 0 && !is_divided_by_seed {
                eprintln!("warning: --seed has no effect: the set has its own division");
            }
            let splits = embed_splits(&loaded, &sets, args.feature)?;
            (splits.train, splits.eval, loaded.device)
        }
        _ => {
            return Err(Exit::user(
                "give --weights and --data, or --bank and --queries with vectors of semaim embed",
            ));
        }
    };
    let embedded = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let accuracies = knn(
        bank.view(),
        queries.view(),
        &args.k,
        args.temperature,
        &device,
    )?;
    let searched = start.elapsed().as_secs_f64();
    if !ranks::current().is_root() {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(encoder) = &args.encoder.0 {
        let data = &args.selection.named(&args.data);
        let classes = bank.labels.iter().collect::<BTreeSet<_>>().len();
        for (k, accuracy) in args.k.iter().zip(&accuracies) {
            // What is usual is not told.
            let mut first = format!("k = {k}");
            if args.temperature != KNN_TEMPERATURE {
                first += &format!(", temperature {}", args.temperature);
            }
            if args.seed != 0 && is_divided_by_seed {
                first += &format!(", seed {}", args.seed);
            }
            let evaluation = evaluation_log::Evaluation {
                name: "kNN",
                data,
                setting: evaluation_log::setting(&first, args.feature, encoder),
                worth: evaluation_log::Worth::Accuracy {
                    top1: accuracy.top1,
                    top5: accuracy.top5,
                    classes,
                },
            };
            report::record_at(&encoder.weights, step, &evaluation);
        }
    }
    if args.json {
        let rows: Vec<Value> = args
            .k
            .iter()
            .zip(&accuracies)
            .map(|(k, accuracy)| json!({"k": k, "top1": accuracy.top1, "top5": accuracy.top5}))
            .collect();
        let report = json!({
            "bank": bank.labels.len(),
            "queries": queries.labels.len(),
            "temperature": args.temperature,
            "knn": rows,
            "seconds_embedding": embedded,
            "seconds_search": searched,
        });
        println!("{report}");
    } else {
        println!(
            "{} classified by their neighbors among {}",
            counted(queries.labels.len(), "image"),
            bank.labels.len()
        );
        println!("{:>6} {:>9} {:>9}", "k", "top-1", "top-5");
        for (k, accuracy) in args.k.iter().zip(&accuracies) {
            println!(
                "{k:>6} {:>7.2} % {:>7.2} %",
                100.0 * accuracy.top1,
                100.0 * accuracy.top5
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Two files of vectors, their labels under one numbering.
fn vectors(bank: &Path, queries: &Path) -> Result<(LabeledVectors, LabeledVectors), Exit> {
    let mut of_bank = read_labeled(bank).map_err(Exit::user)?;
    let mut of_queries = read_labeled(queries).map_err(Exit::user)?;
    let compared = share_numbering((bank, &mut of_bank), (queries, &mut of_queries));
    let compared = compared.map_err(Exit::user)?;
    // One of several processes tells.
    if !ranks::current().is_root() {
        return Ok((of_bank, of_queries));
    }
    let origin = |path| VectorOrigin::read(path).map_err(Exit::user);
    let origins = origin(bank)?.zip(origin(queries)?);
    if let Some(what) = origins.and_then(|(bank, queries)| bank.difference(&queries)) {
        eprintln!(
            "warning: {} and {} hold vectors that do not compare: {what}",
            bank.display(),
            queries.display()
        );
    }
    match compared {
        Comparison::ByName { not_in_bank } => {
            if !not_in_bank.is_empty() {
                eprintln!(
                    "warning: no vector of the bank is of these classes of the queries: {}",
                    not_in_bank.join(", ")
                );
            }
            warn_of_shared(bank, queries, of_queries.labels.len())?;
        }
        Comparison::ByNumber => eprintln!(
            "warning: there is no {} and no {}: labels are compared by their numbers, which mean the same only if both are of one data set",
            bank.with_extension("csv").display(),
            queries.with_extension("csv").display()
        ),
    }
    Ok((of_bank, of_queries))
}

/// Warns of queries that are in the bank as well, by the names beside the vectors: an image is its own nearest neighbor.
fn warn_of_shared(bank: &Path, queries: &Path, count: usize) -> Result<(), Exit> {
    let shared = shared_images(bank, queries).map_err(Exit::user)?;
    if !shared.is_empty() {
        eprintln!(
            "warning: {} of the {count} queries are in the bank, too: {}",
            shared.len(),
            some_of(&shared)
        );
    }
    Ok(())
}
