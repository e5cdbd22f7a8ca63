//! How long a file takes as a whole, shrunk, and in part: `cargo bench -p semaim-jpeg -- FILE.jpg ...`

use std::time::Instant;

use semaim_jpeg::{Buffers, Jpeg, JpegError, Region};

/// How often each file is decoded.
const ROUNDS: u32 = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    if files.is_empty() {
        println!("give JPEG files: cargo bench -p semaim-jpeg -- FILE.jpg ...");
    }
    for file in files {
        let bytes = std::fs::read(&file)?;
        let [width, height] = Jpeg::parse(&bytes)?.size();
        let whole = Region {
            left: 0,
            top: 0,
            width,
            height,
        };
        let center = Region {
            left: width / 4,
            top: height / 4,
            width: width.div_ceil(2),
            height: height.div_ceil(2),
        };
        println!("{file}: {width} x {height}");
        for (what, region, shrink) in [
            ("whole", whole, 1),
            ("half the size", whole, 2),
            ("a quarter of the size", whole, 4),
            ("the central quarter", center, 1),
        ] {
            let milliseconds = time(&bytes, region, shrink)?;
            println!("{what:>24}: {milliseconds:8.3} ms");
        }
    }
    Ok(())
}

fn time(bytes: &[u8], region: Region, shrink: u32) -> Result<f64, JpegError> {
    let mut buffers = Buffers::default();
    let mut samples = Vec::new();
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let jpeg = Jpeg::parse(bytes)?;
        samples = jpeg.decode(region, shrink, &mut buffers, samples)?.samples;
    }
    Ok(start.elapsed().as_secs_f64() * 1e3 / f64::from(ROUNDS))
}
