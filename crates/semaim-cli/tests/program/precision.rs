//! Training in bf16.

use crate::runner::{encoder, pretrain, refuse, succeed, values};

/// Where the processor has no such instructions, rounding is emulated: every machine can run this.
#[test]
fn losses_in_bf16_follow_those_in_f32_and_threads_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, precision: &str, threads: &str| {
        let out = folder.path().join(name);
        let mut command = pretrain(&out, &["--set", precision]);
        command.env("SEMAIM_BF16", "emulated");
        command.env("RAYON_NUM_THREADS", threads);
        let told = succeed(command)
            .stderr
            .contains("bf16 is emulated, which is slower");
        assert_eq!(told, precision.ends_with("bf16"));
        (values(&out, "train/loss"), encoder(&out))
    };
    let (f32, _) = run("f32", "train.precision=f32", "1");
    let (bf16, bytes) = run("bf16", "train.precision=bf16", "1");
    assert_eq!(f32.len(), bf16.len());
    assert_ne!(f32, bf16);
    for (f, b) in f32.iter().zip(&bf16) {
        assert!((f - b).abs() < 2e-2 * f, "{f32:?} {bf16:?}");
    }
    let (_, again) = run("threads", "train.precision=bf16", "3");
    assert!(again == bytes);
}

#[test]
fn a_processor_without_bf16_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = pretrain(
        &folder.path().join("run"),
        &["--set", "train.precision=bf16"],
    );
    // AVX2 at most.
    command.env("SEMAIM_CPU", "baseline");
    refuse(
        command,
        &["train.precision", "no instructions for bf16", "SEMAIM_BF16"],
    );
}
