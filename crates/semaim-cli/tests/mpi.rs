//! Several processes under `mpirun`. Needs the feature `mpi` and Open MPI's or MPICH's `mpirun`.
#![cfg(feature = "mpi")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Eight images in four parts a step; seconds in all.
const SMALL: &[&str] = &[
    "model.image_size=[16,16]",
    "model.patch_size=8",
    "model.embed_dim=16",
    "model.depth=2",
    "model.num_heads=2",
    "decoder.query_depth=1",
    "train.epochs=4",
    "train.batch_size=8",
    "train.ema=true",
    "optimizer.warmup_epochs=1",
    "data.path=shapes",
    "data.shapes_count=40",
    "data.shapes_eval_count=20",
    "data.workers=1",
    "eval.pictures=2",
    "log.every_steps=1",
];

fn started(processes: usize, arguments: &[&str]) -> Command {
    let program = env!("CARGO_BIN_EXE_semaim");
    let mut command = match processes {
        1 => Command::new(program),
        _ => {
            let mut command = Command::new("mpirun");
            command.args(["-n", &processes.to_string(), program]);
            command
        }
    };
    command.args(arguments).stdin(Stdio::null());
    command.env("RAYON_NUM_THREADS", "1");
    // Containers run as root, on fewer cores than processes, without ssh.
    for (name, value) in [
        ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
        ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
        ("OMPI_MCA_rmaps_base_oversubscribe", "1"),
        ("OMPI_MCA_plm_rsh_agent", "true"),
    ] {
        command.env(name, value);
    }
    command
}

fn pretrain(processes: usize, out: &Path, more: &[&str]) -> Command {
    let mut arguments = vec!["pretrain", "--out", out.to_str().unwrap()];
    for setting in SMALL {
        arguments.extend(["--set", setting]);
    }
    started(processes, &[&arguments[..], more].concat())
}

fn run(mut command: Command) -> Output {
    command.output().expect("mpirun starts")
}

fn succeed(command: Command) -> String {
    let ran = run(command);
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        ran.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    said
}

fn encoders(out: &Path) -> [Vec<u8>; 2] {
    ["encoder.safetensors", "encoder_ema.safetensors"]
        .map(|name| std::fs::read(out.join(name)).unwrap())
}

fn lines(out: &Path) -> usize {
    let log = std::fs::read(out.join("metrics.jsonl")).unwrap_or_default();
    log.iter().filter(|&&byte| byte == b'\n').count()
}

#[test]
fn processes_end_with_the_bytes_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let parts = ["--set", "train.grad_accum_steps=4"];
    let of = |processes: usize| folder.path().join(processes.to_string());
    for processes in [1, 2, 3, 4] {
        let said = succeed(pretrain(processes, &of(processes), &parts));
        // One of them tells.
        assert_eq!(said.matches("encoder  ").count(), 1, "{said}");
        assert_eq!(encoders(&of(processes)), encoders(&of(1)), "{processes}");
    }
    assert!(of(2).join("report.html").is_file());
}

#[test]
fn a_run_goes_on_with_another_number_of_processes() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
    // A part for each process, where nothing is set.
    let said = succeed(pretrain(2, &whole, &[]));
    assert!(said.contains("each batch in 2 parts"), "{said}");
    let mut child = pretrain(2, &stopped, &["--set", "checkpoint.every_steps=1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while lines(&stopped) < 6 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The processes of a launcher that was killed end by themselves; until then the run is theirs.
    let again = || {
        run(pretrain(
            1,
            &stopped,
            &["--set", "checkpoint.every_steps=1"],
        ))
    };
    let mut ran = again();
    while String::from_utf8_lossy(&ran.stderr).contains("in use") {
        std::thread::yield_now();
        ran = again();
    }
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert_eq!(encoders(&stopped), encoders(&whole));
    let many = run(pretrain(
        3,
        &stopped,
        &["--set", "checkpoint.every_steps=1"],
    ));
    assert_eq!(many.status.code(), Some(2));
    let said = String::from_utf8_lossy(&many.stderr);
    assert!(said.contains("3 processes, but train.grad_accum_steps is 2"));
}

#[test]
fn what_is_trained_on_an_encoder_ends_with_the_bytes_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = folder.path().join("encoder");
    succeed(pretrain(1, &encoder, &["--set", "train.epochs=2"]));
    let weights = encoder.to_str().unwrap();
    let fixed = ["--weights", weights, "--data", "shapes"];
    let detector = [
        "detector.canvas=32",
        "detector.pyramid_channels=8",
        "detector.proposals.anchor_sizes=[4.0,8.0,16.0,32.0,64.0]",
        "detector.proposals.convolutions=1",
        "detector.regions.channels=8",
        "detector.regions.box_hidden=16",
        "detector.regions.box_convolutions=1",
        "detector.regions.mask_convolutions=1",
        "optimizer.schedule=cosine",
        "optimizer.milestones=[]",
    ];
    // With batch norm.
    let segmenter = [
        "head=upernet",
        "upernet.channels=8",
        "upernet.auxiliary_channels=4",
        "augment.crop=32",
        "eval.pictures=0",
    ];
    for (command, of_it, model) in [
        (
            "finetune",
            &["augment.mixup=0.8", "data.shapes_count=40"][..],
            "classifier.safetensors",
        ),
        ("detect", &detector[..], "detector.safetensors"),
        ("segment", &segmenter[..], "segmenter.safetensors"),
    ] {
        let mut bytes = Vec::new();
        for processes in [1, 2, 3] {
            let out = folder.path().join(format!("{command}-{processes}"));
            let mut arguments = vec![command, "--out", out.to_str().unwrap()];
            arguments.extend(fixed);
            for setting in [
                "train.epochs=2",
                "train.batch_size=8",
                "train.grad_accum_steps=4",
                "optimizer.warmup_epochs=1",
                "data.shapes_count=24",
                "data.shapes_eval_count=10",
            ]
            .iter()
            .chain(of_it)
            {
                arguments.extend(["--set", setting]);
            }
            let said = succeed(started(processes, &arguments));
            assert_eq!(said.matches("last  ").count(), 1, "{said}");
            bytes.push(std::fs::read(out.join(model)).unwrap());
        }
        assert!(bytes.iter().all(|own| *own == bytes[0]), "{command}");
    }
}

#[test]
fn mistakes_end_all_processes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let ran = run(pretrain(2, &out, &["--data", "/nowhere/at/all"]));
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert!(said.contains("error: process 0 of 2:"), "{said}");
    let ran = run(started(2, &["recipes", "list"]));
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("share their work"));
}

#[test]
fn several_processes_embed_and_classify_what_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = folder.path().join("encoder");
    succeed(pretrain(1, &encoder, &["--set", "train.epochs=2"]));
    let weights = encoder.to_str().unwrap();
    let mut found = Vec::new();
    for processes in [1, 2, 3] {
        // Seven batches, of which the last is short.
        let embed = |split: &str| {
            let out = folder
                .path()
                .join(format!("{split}-{processes}.safetensors"));
            let name = out.to_str().unwrap();
            let fixed = ["embed", "--weights", weights, "--data", "shapes"];
            let more = [
                "--limit",
                "50",
                "--batch-size",
                "8",
                "--split",
                split,
                "--out",
                name,
            ];
            let said = succeed(started(processes, &[&fixed[..], &more].concat()));
            assert_eq!(said.matches("50 images in").count(), 1, "{said}");
            out
        };
        let (bank, queries) = (embed("train"), embed("eval"));
        let read = |path: &Path| std::fs::read(path).unwrap();
        let files = [
            read(&bank),
            read(&bank.with_extension("csv")),
            read(&queries),
        ];
        let knn = |of: &[&str]| {
            let said = succeed(started(
                processes,
                &[&["knn", "--k", "1,5", "--json"], of].concat(),
            ));
            let result: serde_json::Value = serde_json::from_str(&said).unwrap();
            result["knn"].clone()
        };
        let name = |path: &Path| path.to_str().unwrap().to_string();
        let of_files = knn(&["--bank", &name(&bank), "--queries", &name(&queries)]);
        let of_images = knn(&["--weights", weights, "--data", "shapes", "--limit", "700"]);
        assert_eq!(of_images.as_array().unwrap().len(), 2);
        found.push((files, of_files, of_images));
    }
    assert!(found.iter().all(|own| *own == found[0]));
}

/// The process of a rank among those that `mpirun` has started.
fn process_of(launcher: u32, rank: usize) -> Option<u32> {
    let said = format!("OMPI_COMM_WORLD_RANK={rank}");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|process: &u32| {
            let read = |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}"));
            let status = read("status").unwrap_or_default();
            let child = format!("PPid:\t{launcher}\n");
            let environment = read("environ").unwrap_or_default();
            status.contains(&child) && environment.split('\0').any(|own| own == said)
        })
}

#[test]
fn a_process_that_hangs_is_named_and_ends_the_job() {
    for stopped in [0, 1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let more = [
            "--set",
            "train.grad_accum_steps=4",
            "--set",
            "train.epochs=100000",
            "--set",
            "checkpoint.every_steps=5",
        ];
        let mut command = pretrain(3, &out, &more);
        command
            .env("SEMAIM_HANG_SECONDS", "3")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut job = command.spawn().unwrap();
        while lines(&out) < 6 {
            assert!(job.try_wait().unwrap().is_none(), "it ended early");
            std::thread::yield_now();
        }
        let process = process_of(job.id(), stopped).expect("a process of the rank");
        let process = process.to_string();
        let stop = Command::new("kill").args(["-STOP", &process]).status();
        assert!(stop.unwrap().success());
        let ended = job.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success());
        let expected = format!("error: process {stopped} of 3 on ");
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains("has not been heard of for"), "{said}");
    }
}
