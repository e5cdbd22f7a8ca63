//! Times training views: `cargo run --release -p semaim-data --example throughput -- PATH SIZE IMAGES [RUNS]`.
//!
//! One worker thread, so that the number is that of one core. Prints images per second, a line per run.

use std::error::Error;

use semaim_data::{Augment, OpenOptions, Split, measure, open};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("name a data set")?;
    let size: usize = args.next().map_or(Ok(224), |text| text.parse())?;
    let images: u64 = args.next().map_or(Ok(1000), |text| text.parse())?;
    let runs: usize = args.next().map_or(Ok(1), |text| text.parse())?;
    let source = open(&path, Split::Train, &OpenOptions::default())?;
    for _ in 0..runs {
        let augment = Augment::new([size, size], 3);
        let result = measure(source.clone(), augment, 1, images)?;
        println!(
            "{:.1} images/s, {} unreadable",
            result.images_per_second(),
            result.bad
        );
    }
    Ok(())
}
