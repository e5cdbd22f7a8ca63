//! Writes the report of a made-up run, to look at: `cargo run -p semaim-report --example page -- FILE`.

use std::error::Error;

#[path = "page/sample.rs"]
mod sample;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("name a file")?;
    std::fs::write(file, sample::page()?.html())?;
    Ok(())
}
