//! Times the opening of a data set: `cargo run --release -p semaim-data --example list -- PATH`.
//!
//! Prints what was found, the seconds it took, and on Linux the peak of resident memory.

use std::error::Error;
use std::time::Instant;

use semaim_data::{OpenOptions, Split, open};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a data set")?;
    let start = Instant::now();
    let source = open(&path, Split::Train, &OpenOptions::default())?;
    println!("{}", source.describe());
    println!("{:.2} s", start.elapsed().as_secs_f64());
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find(|line| line.starts_with("VmHWM"));
        println!("{}", peak.unwrap_or_default());
    }
    Ok(())
}
