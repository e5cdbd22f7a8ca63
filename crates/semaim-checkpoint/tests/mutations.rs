//! Damaged checkpoints give errors: no panic, no hang, and no network out of proportion to the file.

// A test says what is wrong by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../semaim-pickle/tests/mutations/counting.rs"]
mod counting;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use semaim::config::{Normalization, VitConfig};
use semaim::init::initialize;
use semaim::vit::Vit;
use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_checkpoint::encoder::write_encoder;
use semaim_checkpoint::export::ExportFormat;
use semaim_checkpoint::tensors::Precision;
use semaim_checkpoint::weights_source::WeightsSource;

use counting::peak_of;

/// What reading an encoder may take at most: what is missing is filled in, and widened numbers stand beside the network
/// that they are put into.
fn bound(length: usize) -> usize {
    256 * length + (16 << 20)
}

/// A small generator of numbers, the same everywhere (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Files of several layouts, of 10 to 600 KB.
fn originals(folder: &Path) -> Vec<PathBuf> {
    let device = Device::flex();
    let config = VitConfig {
        image_size: [16, 16],
        patch_size: 4,
        embed_dim: 12,
        num_heads: 3,
        ..VitConfig::tiny()
    };
    let vit = initialize(Vit::zeros(&config, &device), 1);
    let ours = folder.join("ours.safetensors");
    let normalization = Normalization {
        mean: vec![0.5; 3],
        std: vec![0.5; 3],
    };
    write_encoder(&ours, &vit, &config, &normalization).unwrap();
    let read = Checkpoint::read(&WeightsSource::new(&ours)).unwrap();
    let timm = folder.join("timm.safetensors");
    let exported = read.export(ExportFormat::Timm, None).unwrap();
    exported.write(&timm, Precision::F16).unwrap();
    let pickles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../semaim-pickle/tests/data");
    let pickles = [
        "clip_state_dict.fp16.pth",
        "dino_backbone.legacy.pth",
        "semaim_authors_training.pth",
    ]
    .map(|name| pickles.join(name));
    [vec![ours, timm], pickles.to_vec()].concat()
}

/// Most changes go to the first kilobytes, where the structure of a safetensors file is, or anywhere.
fn mutated(original: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..1 + numbers.below(4) {
        let end = match numbers.below(3) {
            0 => bytes.len(),
            _ => bytes.len().min(4096),
        };
        let at = numbers.below(end);
        match numbers.below(6) {
            0 => bytes.truncate(at),
            1 => {
                let other = numbers.below(bytes.len());
                let length = numbers.below(64).min(bytes.len() - at.max(other));
                bytes.copy_within(other..other + length, at);
            }
            // A digit of a shape or an offset becomes another.
            2 => {
                if let Some(digit) = bytes[at..].iter_mut().find(|b| b.is_ascii_digit()) {
                    *digit = b'0' + numbers.below(10) as u8;
                }
            }
            3 => bytes[at] = numbers.next() as u8,
            _ => bytes[at] ^= 1 << numbers.below(8),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

#[test]
fn a_thousand_damaged_files_are_refused_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut numbers = Numbers(2026);
    let originals = originals(folder.path());
    let path = folder.path().join("damaged");
    let (mut read, mut refused) = (0, 0);
    for original in &originals {
        let good = std::fs::read(original).unwrap();
        for round in 0..200 {
            let bad = mutated(&good, &mut numbers);
            std::fs::write(&path, &bad).unwrap();
            let options = WeightsSource {
                num_heads: Some(3),
                allow_partial: round % 2 == 0,
                ..WeightsSource::default()
            };
            let (found, peak) = peak_of(|| {
                let found = Checkpoint::read(&options.at(&path));
                found.and_then(|found| found.encoder(&Device::flex()))
            });
            let length = bad.len();
            assert!(
                peak <= bound(length),
                "round {round}: {peak} bytes for {length}"
            );
            match found {
                Ok(_) => read += 1,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    refused += 1;
                }
            }
        }
    }
    assert_eq!(read + refused, 1000);
    // A change in a number of a weight is no damage that a file without a checksum shows.
    assert!(read > 10 && refused > 300, "{read} read, {refused} refused");
}
