//! `semaim knn`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use burn::tensor::Device;
use semaim_data::Split;
use semaim_eval::embed::{EmbedOptions, Embedder, Embeddings};
use semaim_eval::knn::{Labelled, knn};
use semaim_eval::labelled::{LabelledSets, Part};
use semaim_eval::vectors::read_labelled;
use serde_json::{Value, json};

use crate::args::KnnArgs;
use crate::encoder::Loaded;
use crate::exit::Exit;
use crate::progress::counting_bar;

/// Vectors and classes of the images on one side.
type Side = (Vec<f32>, Vec<u32>);

pub(crate) fn run(args: &KnnArgs) -> Result<ExitCode, Exit> {
    let start = Instant::now();
    let (bank, queries, device) = match (&args.bank, &args.queries, &args.encoder) {
        (Some(bank), Some(queries), _) => (read(bank)?, read(queries)?, Device::flex()),
        (_, _, Some(encoder)) => embedded(args, &Loaded::of(encoder)?)?,
        _ => {
            return Err(Exit::user(
                "give --weights and --data, or --bank and --queries with vectors of semaim embed",
            ));
        }
    };
    let embedded = start.elapsed().as_secs_f64();
    let ks: Vec<usize> = args.k.iter().map(|&k| k as usize).collect();
    let start = Instant::now();
    let accuracies = knn(
        Labelled {
            features: &bank.0,
            labels: &bank.1,
        },
        Labelled {
            features: &queries.0,
            labels: &queries.1,
        },
        &ks,
        args.temperature,
        &device,
    )
    .map_err(Exit::user)?;
    let searched = start.elapsed().as_secs_f64();
    if args.json {
        let rows: Vec<Value> = ks
            .iter()
            .zip(&accuracies)
            .map(|(k, accuracy)| json!({"k": k, "top1": accuracy.top1, "top5": accuracy.top5}))
            .collect();
        let report = json!({
            "bank": bank.1.len(),
            "queries": queries.1.len(),
            "temperature": args.temperature,
            "knn": rows,
            "seconds_embedding": embedded,
            "seconds_search": searched,
        });
        println!("{report}");
    } else {
        println!(
            "{} images classified by their neighbours among {}",
            queries.1.len(),
            bank.1.len()
        );
        println!("{:>6} {:>9} {:>9}", "k", "top-1", "top-5");
        for (k, accuracy) in ks.iter().zip(&accuracies) {
            println!(
                "{k:>6} {:>7.2} % {:>7.2} %",
                100.0 * accuracy.top1,
                100.0 * accuracy.top5
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Side, Exit> {
    let vectors = read_labelled(path).map_err(Exit::user)?;
    Ok((vectors.features, vectors.labels))
}

/// Embeds both sides of a labelled data set.
fn embedded(args: &KnnArgs, loaded: &Loaded) -> Result<(Side, Side, Device), Exit> {
    let data = args.data.as_deref().unwrap_or("shapes");
    let bank = loaded.open(data, Split::Train)?;
    let queries = loaded.open(data, Split::Eval)?;
    let sets = LabelledSets::divide(bank, queries, args.seed).map_err(Exit::user)?;
    let Some(sets) = sets else {
        return Err(Exit::user(format!(
            "{data}: kNN needs labels (class folders, .cls members or a list with labels)"
        )));
    };
    let options = EmbedOptions {
        representation: args.feature.representation(),
        ..loaded.options
    };
    let bar = counting_bar((sets.bank.items.len() + sets.queries.items.len()) as u64);
    let side = |part: &Part| -> Result<Side, Exit> {
        let mut all = Embeddings::default();
        let items = part.items.iter().copied();
        let (vit, augment) = (&loaded.encoder.vit, loaded.augment());
        for batch in Embedder::start(vit, &part.source, items, &augment, options, &loaded.device) {
            let batch = batch.map_err(Exit::ours)?;
            for bad in &batch.bad {
                bar.suspend(|| eprintln!("left out {}: {}", bad.name, bad.error));
            }
            bar.inc((batch.items.len() + batch.bad.len()) as u64);
            all.width = all.width.max(batch.width);
            all.features.extend(batch.features);
            all.labels.extend(batch.labels);
        }
        Ok(all.labelled())
    };
    let sides = (side(&sets.bank)?, side(&sets.queries)?);
    bar.finish_and_clear();
    Ok((sides.0, sides.1, loaded.device.clone()))
}
