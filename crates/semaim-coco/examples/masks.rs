//! Prints a line for each object of a COCO file, to compare with other readers of the format:
//! `cargo run --release -p semaim-coco --example masks -- instances.json`.
//!
//! A line has the annotation's number, the pixels inside and the FNV-1a hash of the mask's bytes (0 or 1, row by row).

use std::error::Error;
use std::path::Path;

use semaim_coco::Annotations;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a COCO file")?;
    let set = Annotations::read(Path::new(&path))?;
    for image in set.images() {
        for object in &image.annotations {
            match set.mask(image, object) {
                Ok(mask) => {
                    let hash = mask
                        .to_bits()
                        .iter()
                        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, bit| {
                            (hash ^ u64::from(*bit)).wrapping_mul(0x100_0000_01B3)
                        });
                    println!("{} {} {hash:016x}", object.id, mask.area());
                }
                Err(error) => println!("{} {error}", object.id),
            }
        }
    }
    Ok(())
}
