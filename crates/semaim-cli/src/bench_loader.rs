//! `semaim bench loader`.

use std::process::ExitCode;
use std::sync::Arc;

use semaim_data::{Augment, OpenOptions, ShapesOptions, Split, measure, open_all};
use serde_json::json;

use crate::args::BenchLoaderArgs;
use crate::exit::Exit;

pub(crate) fn run(args: &BenchLoaderArgs) -> Result<ExitCode, Exit> {
    let side = args.image_size;
    let options = OpenOptions {
        channels: args.channels as usize,
        max_pixels: args.limit.max_pixels,
        shapes: ShapesOptions {
            image_size: [side, side],
            ..ShapesOptions::default()
        },
        ..OpenOptions::default()
    };
    let source = open_all(&args.data, Split::Train, &args.selection.of(options))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers: Vec<usize> = match args.workers.as_slice() {
        [] => (1..=cores).collect(),
        given => given.iter().map(|&n| n as usize).collect(),
    };
    let augment = Augment::new([side as usize; 2], args.channels as usize);
    // The first pass brings files into the system's cache, so that the measurements see the same disk.
    measure(Arc::clone(&source), augment.clone(), 0, args.images).map_err(Exit::user)?;
    let mut rows = Vec::new();
    if !args.json {
        println!(
            "{}, views of {side} × {side} px, {cores} cores",
            source.describe()
        );
        println!("{:>8} {:>12}", "workers", "images/s");
    }
    for count in workers {
        let result = measure(Arc::clone(&source), augment.clone(), count, args.images)
            .map_err(Exit::user)?;
        if args.json {
            rows.push(json!({
                "workers": count,
                "images": result.images,
                "unreadable": result.bad,
                "seconds": result.elapsed.as_secs_f64(),
                "images_per_second": result.images_per_second(),
            }));
        } else {
            println!("{count:>8} {:>12.0}", result.images_per_second());
        }
    }
    if args.json {
        println!(
            "{}",
            json!({"data": args.selection.named(&args.data), "image_size": side, "cores": cores, "loader": rows})
        );
    }
    Ok(ExitCode::SUCCESS)
}
