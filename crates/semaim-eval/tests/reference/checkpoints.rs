//! Other people's checkpoints give the tokens that their own libraries give.
//!
//! `checkpoints/checkpoints.json` in the folder of recorded files says which layout each file has, how many heads where
//! that cannot be told, and which tokens it must give; `expected.safetensors` beside it holds images (already normalized)
//! and tokens. A folder named by `SEMAIM_TEACHER_DIR` may hold larger ones: `NAME.expected.safetensors` beside the
//! `NAME.*.safetensors` that must give its `tokens` for its `images`.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use semaim::parameters::to_host;
use semaim_checkpoint::checkpoint::Checkpoint;
use semaim_checkpoint::encoder::Encoder;
use semaim_checkpoint::weights_source::WeightsSource;
use semaim_kernels::Kernels;
use serde_json::Value;

use crate::recorded::{Array, Recorded};
use crate::{Failure, folder};

/// How near tokens must be.
#[derive(Clone, Copy, Debug)]
enum Near {
    /// Each number, as a share of the largest.
    Relative(f64),
    /// The cosine of each token with the recorded one.
    Cosine(f64),
}

impl Near {
    fn of(text: Option<&str>) -> Self {
        match text {
            Some(text) if text.contains("cosine") => Self::Cosine(0.999),
            Some(text) if text.contains("1e-3") => Self::Relative(1e-3),
            _ => Self::Relative(1e-4),
        }
    }

    fn check(self, found: &[f32], expected: &[f64], width: usize) -> Result<(), Failure> {
        if found.len() != expected.len() || width == 0 {
            return Err(format!(
                "{} numbers, expected {}",
                found.len(),
                expected.len()
            ));
        }
        match self {
            Self::Relative(share) => {
                let largest = expected.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
                let off = |(f, e): (&f32, &f64)| (f64::from(*f) - e).abs();
                let worst = found.iter().zip(expected).map(off).fold(0.0, f64::max);
                // Not a number is not near.
                if worst <= share * largest && found.iter().all(|v| v.is_finite()) {
                    return Ok(());
                }
                Err(format!("off by {worst:e} where the largest is {largest}"))
            }
            Self::Cosine(least) => {
                let tokens = found.chunks(width).zip(expected.chunks(width));
                for (i, (found, expected)) in tokens.enumerate() {
                    let found: Vec<f64> = found.iter().map(|&v| f64::from(v)).collect();
                    let dot =
                        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                    let cosine = dot(&found, expected)
                        / (dot(&found, &found) * dot(expected, expected)).sqrt();
                    if cosine.is_nan() || cosine <= least {
                        return Err(format!("token {i} has cosine {cosine}"));
                    }
                }
                Ok(())
            }
        }
    }
}

/// An encoder's tokens of recorded images, at their size, registers included.
fn compare(
    encoder: Encoder,
    images: &Array,
    tokens: &Array,
    near: Near,
    device: &Device,
) -> Result<(), Failure> {
    let &[_, _, height, width] = images.shape.as_slice() else {
        return Err(format!("images of shape {:?}", images.shape));
    };
    let encoder = match encoder.config.image_size == [height, width] {
        true => encoder,
        false => encoder
            .resized([height, width])
            .map_err(|e| e.to_string())?,
    };
    let found = encoder.vit.all_tokens(images.tensor(device)?);
    let found = to_host("tokens", found).map_err(|e| e.to_string())?;
    if found.shape != tokens.shape {
        return Err(format!(
            "{:?} tokens, expected {:?}",
            found.shape, tokens.shape
        ));
    }
    near.check(&found.values, &tokens.values, tokens.shape[2])
}

fn check(folder: &Path, name: &str, entry: &Value, expected: &Recorded) -> Result<usize, Failure> {
    let device = crate::device();
    let layout = entry["layout"].as_str().unwrap_or_default();
    // Where a checkpoint does not say how many heads it has, the file beside it does, in a key or in words.
    let in_words = || {
        let rest = layout.split_once("heads ")?.1;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    };
    let heads = entry["heads"].as_u64().or_else(in_words);
    let options = WeightsSource {
        num_heads: heads.map(|heads| heads as usize),
        ..WeightsSource::default()
    };
    let checkpoint =
        Checkpoint::read(&options.at(&folder.join(name))).map_err(|e| e.to_string())?;
    if !checkpoint.loading.missing.is_empty() {
        return Err(format!("{:?} is missing", checkpoint.loading.missing));
    }
    let word = |key: &str| -> Option<String> {
        let text = entry[key].as_str()?;
        let end = text.find([' ', ':']).unwrap_or(text.len());
        Some(text[..end].to_string())
    };
    let near = Near::of(entry["tolerance"].as_str());
    let mut compared = 0;
    for expects in [word("expected"), word("also")].into_iter().flatten() {
        let get = |part: &str| {
            let name = format!("{expects}.{part}");
            let found = expected.tensors.get(&name);
            found.ok_or_else(|| format!("expected.safetensors has no {name}"))
        };
        let encoder = checkpoint
            .clone()
            .encoder(&device)
            .map_err(|e| e.to_string())?;
        compare(encoder, get("images")?, get("tokens")?, near, &device)
            .map_err(|failure| format!("{expects}: {failure}"))?;
        compared += 1;
    }
    match compared {
        0 => Err("nothing is expected of it".into()),
        count => Ok(count),
    }
}

#[test]
fn checkpoints_of_others_give_their_tokens() {
    let folder = folder().join("checkpoints");
    if !folder.is_dir() {
        println!("skipped: no folder {}", folder.display());
        return;
    }
    let text = std::fs::read(folder.join("checkpoints.json")).unwrap();
    let entries: Value = serde_json::from_slice(&text).unwrap();
    let expected = Recorded::read(&folder.join("expected.safetensors")).unwrap();
    let entries = entries.as_object().unwrap();
    assert!(!entries.is_empty());
    let mut failures = Vec::new();
    for kernels in [Kernels::Fused, Kernels::Composed] {
        semaim_kernels::choose(kernels);
        for (name, entry) in entries {
            match check(&folder, name, entry, &expected) {
                Ok(count) => println!("agrees   {name}: {count} comparisons ({kernels:?})"),
                Err(failure) => failures.push(format!("{name} ({kernels:?}): {failure}")),
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn trained_teachers_give_their_tokens() {
    let Some(folder) = std::env::var_os("SEMAIM_TEACHER_DIR").map(PathBuf::from) else {
        println!("skipped: SEMAIM_TEACHER_DIR is not set");
        return;
    };
    let names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let expected = |name: &&String| name.ends_with(".expected.safetensors");
    let mut compared = 0;
    for expects in names.iter().filter(expected) {
        let stem = expects.trim_end_matches("expected.safetensors");
        let recorded = Recorded::read(&folder.join(expects)).unwrap();
        let teachers = names.iter().filter(|name| {
            name.starts_with(stem) && name.ends_with(".safetensors") && *name != expects
        });
        for name in teachers {
            let device = crate::device();
            let encoder = Encoder::read(&folder.join(name), &device).unwrap();
            let (images, tokens) = (&recorded.tensors["images"], &recorded.tensors["tokens"]);
            compare(encoder, images, tokens, Near::Cosine(0.9999), &device)
                .unwrap_or_else(|failure| panic!("{name}: {failure}"));
            compared += 1;
        }
    }
    assert!(compared > 0, "no teacher in {}", folder.display());
}
