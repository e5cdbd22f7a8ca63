//! The files that PyTorch wrote, against numbers that were worked out from them with the pickle module of CPython
//! and a reader of storages of a few lines.

use semaim_pickle::{Checkpoint, Dtype};

use crate::support::{FILES, folder};

fn read(name: &str) -> Checkpoint {
    Checkpoint::open(&folder().join(name)).unwrap()
}

/// The number of tensors, of their elements, and the CRC-32 of each tensor's path, shape and values as float32.
fn summary(checkpoint: &Checkpoint) -> (usize, usize, String) {
    let mut hash = crc32fast::Hasher::new();
    let tensors = &checkpoint.tensors;
    let mut elements = 0;
    for (path, tensor) in tensors {
        hash.update(format!("{path} {:?}\n", tensor.shape()).as_bytes());
        for value in tensor.read().unwrap() {
            hash.update(&value.to_le_bytes());
            elements += 1;
        }
    }
    (tensors.len(), elements, format!("{:08x}", hash.finalize()))
}

#[test]
fn all_tensors_are_as_recorded() {
    let expected = [
        (37, 118_001, "4f897e93"),
        (30, 68_496, "0e0b54f2"),
        (61, 137_001, "e6b76330"),
        (67, 85_575, "9940cb03"),
    ];
    for (name, (tensors, elements, sum)) in FILES.into_iter().zip(expected) {
        assert_eq!(
            summary(&read(name)),
            (tensors, elements, sum.into()),
            "{name}"
        );
    }
}

#[track_caller]
fn check(checkpoint: &Checkpoint, path: &str, dtype: Dtype, shape: &[usize], start: [f32; 2]) {
    let tensor = &checkpoint.tensors[path];
    assert_eq!((tensor.dtype(), tensor.shape()), (dtype, shape), "{path}");
    assert_eq!(tensor.read().unwrap()[..2], start, "{path}");
}

#[test]
fn half_precision_of_clip() {
    let clip = read("clip_state_dict.fp16.pth");
    let start = [-0.203_002_93, -0.130_859_38];
    check(
        &clip,
        "visual.positional_embedding",
        Dtype::F16,
        &[50, 64],
        start,
    );
    let start = [-0.009_193_42, -0.327_636_72];
    check(&clip, "visual.proj", Dtype::F16, &[64, 24], start);
    assert!(clip.classes.is_empty());
}

#[test]
fn a_legacy_state_dictionary() {
    let dino = read("dino_backbone.legacy.pth");
    let start = [0.020_029_37, -0.005_592_732_7];
    check(&dino, "cls_token", Dtype::F32, &[1, 1, 48], start);
    let start = [0.960_438_97, 1.065_723_5];
    check(&dino, "norm.weight", Dtype::F32, &[48], start);
}

#[test]
fn a_training_checkpoint_with_arguments_of_a_class() {
    let dino = read("dino_full_checkpoint.pth");
    let start = [-0.102_813_91, -0.161_207_45];
    let path = "teacher.backbone.patch_embed.proj.weight";
    check(&dino, path, Dtype::F32, &[48, 3, 4, 4], start);
    check(
        &dino,
        "student.module.backbone.norm.weight",
        Dtype::F32,
        &[48],
        [0.0, 0.0],
    );
    assert_eq!(dino.classes, ["types.SimpleNamespace"]);
    // The legacy file holds the same network.
    let backbone = read("dino_backbone.legacy.pth");
    for (path, tensor) in &backbone.tensors {
        let same = &dino.tensors[&format!("teacher.backbone.{path}")];
        assert_eq!(same.read().unwrap(), tensor.read().unwrap(), "{path}");
    }
}

#[test]
fn a_training_checkpoint_with_an_optimizer() {
    let semaim = read("semaim_authors_training.pth");
    let start = [0.036_569_737, 0.010_827_57];
    check(
        &semaim,
        "state_dict.module.cls_token",
        Dtype::F32,
        &[1, 1, 36],
        start,
    );
    assert!(semaim.classes.is_empty());
}

/// Whether a file opens and all of its tensors can be read.
fn is_whole(bytes: Vec<u8>) -> bool {
    let opened = Checkpoint::from_bytes(bytes);
    opened.is_ok_and(|read| read.tensors.values().all(|tensor| tensor.read().is_ok()))
}

#[test]
fn every_cut_is_noticed() {
    for name in FILES {
        let good = std::fs::read(folder().join(name)).unwrap();
        for length in (0..good.len())
            .step_by(good.len() / 50)
            .chain([good.len() - 1])
        {
            let cut = good[..length].to_vec();
            assert!(!is_whole(cut), "{name} cut at {length}");
        }
    }
}

/// Archives have check sums: a flipped bit in what is read is an error, or changes nothing that is read.
#[test]
fn flipped_bits_in_archives_do_not_change_tensors() {
    let name = "clip_state_dict.fp16.pth";
    let good = std::fs::read(folder().join(name)).unwrap();
    let expected = summary(&Checkpoint::from_bytes(good.clone()).unwrap());
    for bit in (0..good.len() * 8).step_by(9973) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        if is_whole(bad.clone()) {
            let read = Checkpoint::from_bytes(bad).unwrap();
            assert_eq!(summary(&read), expected, "bit {bit}");
        }
    }
}
