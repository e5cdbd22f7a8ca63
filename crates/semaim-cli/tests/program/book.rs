//! The book under `docs/book`: its commands are run as they stand, its links lead somewhere, and what it names is there.
//!
//! One reader goes through all chapters in one folder, so what a chapter takes for granted is what earlier ones made. Before a
//! command trains, its plan (`--dry-run`) is made of exactly what is typed; then it is run with a few settings more that make
//! it small. All other commands are run as typed. A block that cannot be run is marked `not-run`; what may stand in one is
//! listed here, and where another program starts this one, its plan is made.

mod chapters;
mod commands;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::runner::{run, semaim, succeed};
use crate::shell::commands_below;
use chapters::{Block, Chapter, chapters, files, folder};
use commands::{Typed, commands};

/// Programs that blocks marked `not-run` call, with the number of commands; and the languages of blocks that are no commands.
const NOT_RUN: &[(&str, usize)] = &[
    ("cargo", 2),
    ("hf", 1),
    ("mpirun", 1),
    ("pip", 1),
    ("python", 4),
    ("sbatch", 1),
    ("text", 4),
    ("toml", 3),
];

/// Endings of names that are of files and not of settings.
const FILES: &[&str] = &["safetensors", "yaml", "json", "toml", "html", "png", "csv"];

/// A block of commands that is run.
fn is_run(block: &Block) -> bool {
    block.is("bash") && !block.is("not-run")
}

/// Why a command of the book fails, or nothing.
fn failure(typed: &Typed, more: &[&str], folder: &Path) -> Option<String> {
    let Some(arguments) = typed.arguments() else {
        return Some("no command of semaim, in a block that is run".into());
    };
    if typed.needs_a_shell {
        return Some("needs a shell, or shells differ in it".into());
    }
    let arguments = arguments.iter().map(String::as_str);
    let mut command: Command = semaim(&arguments.chain(more.iter().copied()).collect::<Vec<_>>());
    command.current_dir(folder);
    let ran = run(command);
    if ran.code != Some(0) {
        return Some(format!("{:?}: {}{}", ran.code, ran.stdout, ran.stderr));
    }
    if let Some(file) = &typed.into {
        fs::write(folder.join(file), ran.stdout).unwrap();
    }
    None
}

/// The same of a command that is planned first, where it trains, and then made small.
fn plan_and_run(typed: &Typed, folder: &Path) -> Option<String> {
    if typed.is_a_plan() {
        return failure(typed, &[], folder);
    }
    let plan = typed.trains() && !typed.goes_on();
    let planned = plan.then(|| failure(typed, &["--dry-run"], folder));
    planned
        .flatten()
        .or_else(|| failure(typed, &typed.small(), folder))
}

#[test]
fn every_command_of_the_book_runs() {
    let desk = tempfile::tempdir().unwrap();
    reader::furnish(desk.path());
    let mut failures = String::new();
    let mut count = 0;
    for chapter in chapters() {
        for block in &chapter.blocks {
            if let Some(file) = block.file() {
                fs::write(desk.path().join(file), &block.text).unwrap();
            }
            if !block.is("bash") {
                continue;
            }
            for typed in commands(block) {
                // What starts the program somewhere else is planned here.
                let launched = typed.launched();
                if !is_run(block) && launched.is_none() {
                    continue;
                }
                count += 1;
                let failed = match launched {
                    Some(typed) => failure(&typed, &["--dry-run"], desk.path()),
                    None => plan_and_run(&typed, desk.path()),
                };
                if let Some(why) = failed {
                    let (name, line, words) = (&chapter.name, typed.line, typed.words.join(" "));
                    writeln!(failures, "{name}:{line}: {words}\n{why}").unwrap();
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(count >= 40, "{count} commands");
}

#[test]
fn what_is_not_run_is_of_known_kinds() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for chapter in chapters() {
        for block in chapter.blocks.iter().filter(|block| !is_run(block)) {
            if !block.is("bash") {
                *counts.entry(block.kind[0].clone()).or_default() += 1;
                continue;
            }
            for typed in commands(block) {
                let (name, line) = (&chapter.name, typed.line);
                assert!(
                    typed.arguments().is_none(),
                    "{name}:{line}: a command of semaim is run"
                );
                *counts.entry(typed.words[0].clone()).or_default() += 1;
            }
        }
    }
    let known = NOT_RUN
        .iter()
        .map(|(name, count)| (name.to_string(), *count));
    assert_eq!(counts, known.collect());
}

#[test]
fn the_table_of_contents_has_every_chapter_and_links_lead_somewhere() {
    let chapters = chapters();
    let mut listed: Vec<&str> = chapters
        .iter()
        .map(|chapter| chapter.name.as_str())
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, files());
    for chapter in &chapters {
        for (line, link) in &chapter.links {
            let at = format!("{}:{line}: {link}", chapter.name);
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { &chapter.name } else { file };
            if !file.ends_with(".md") {
                assert!(folder().join("src").join(file).is_file(), "{at}");
                continue;
            }
            let target = chapters.iter().find(|chapter| chapter.name == file);
            let target = target.unwrap_or_else(|| panic!("{at}: no such chapter"));
            assert!(anchor.is_empty() || target.has_anchor(anchor), "{at}");
        }
    }
    assert!(folder().join("book.toml").is_file());
}

/// The options of all commands.
fn options() -> BTreeSet<String> {
    let mut help = String::new();
    for command in commands_below(&[]) {
        help += &succeed(semaim(&[&command, "--help"])).stdout;
        for below in commands_below(&[&command]) {
            help += &succeed(semaim(&[&command, &below, "--help"])).stdout;
        }
    }
    let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let options = words.filter(|word| word.starts_with("--"));
    options
        .map(str::to_string)
        .chain(["--version".into()])
        .collect()
}

/// The keys of all settings of what trains, with those of tables in front, as `train.epochs`.
fn settings() -> BTreeSet<String> {
    let desk = tempfile::tempdir().unwrap();
    reader::furnish(desk.path());
    let mut keys = BTreeSet::new();
    // Plans of the published detectors and segmenters would compute a step of theirs.
    for (command, data, more) in [
        ("pretrain", "photos", &[][..]),
        ("finetune", "labeled", &["--weights", "dino-vits16"]),
        (
            "detect",
            "annotated",
            &["--weights", "dino-vits16", "--recipe", "detect-small"],
        ),
        (
            "segment",
            "scenes",
            &["--weights", "dino-vits16", "--recipe", "upernet-small"],
        ),
    ] {
        let words = [
            command,
            "--data",
            data,
            "--dry-run",
            "--json",
            "--set",
            "train.batch_size=8",
        ];
        let words = [&words[..], more].concat();
        let mut command = semaim(&words);
        command.current_dir(desk.path());
        let plan = crate::evaluate::json(&succeed(command));
        let table: toml::Table = plan["config"].as_str().unwrap().parse().unwrap();
        add_keys(&mut keys, "", &table);
    }
    keys
}

fn add_keys(keys: &mut BTreeSet<String>, before: &str, table: &toml::Table) {
    for (key, value) in table {
        let key = format!("{before}{key}");
        match value.as_table() {
            Some(below) => add_keys(keys, &format!("{key}."), below),
            None => {
                keys.insert(key);
            }
        }
    }
}

#[test]
fn options_settings_and_commands_that_the_text_names_are_there() {
    let (options, settings, commands) = (options(), settings(), commands_below(&[]));
    let tables: BTreeSet<&str> = settings
        .iter()
        .filter_map(|key| Some(key.split_once('.')?.0))
        .collect();
    let mut wrong = String::new();
    for chapter in chapters() {
        for (line, code) in &chapter.words {
            let first = code.split([' ', '=']).next().unwrap_or_default();
            let is_there = match code.strip_prefix("semaim ") {
                Some(rest) => commands.contains(&rest.split(' ').next().unwrap_or("").to_string()),
                None if first.starts_with("--") => options.contains(first),
                None => match first.split_once('.') {
                    Some((table, key)) if tables.contains(table) => {
                        settings.contains(first) || FILES.contains(&key)
                    }
                    _ => true,
                },
            };
            if !is_there {
                writeln!(wrong, "{}:{line}: `{code}`", chapter.name).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A test that finds nothing to test would find nothing wrong either.
#[test]
fn chapters_are_read_as_mdbook_reads_them() {
    let chapter = Chapter::parse(
        "one.md",
        "# A `b`, c\n\n[x](two.md#y) `train.epochs`\n\n```bash\nsemaim knn \\\n  --k 3 > a.txt # why\n```\n\n```toml\n# m.toml\n```\n",
    );
    assert!(chapter.has_anchor("a-b-c"));
    assert_eq!(chapter.links, [(3, "two.md#y".to_string())]);
    assert_eq!(chapter.words[1], (3, "train.epochs".to_string()));
    let typed = commands(&chapter.blocks[0]);
    assert_eq!(typed.len(), 1);
    assert_eq!(typed[0].line, 6);
    assert_eq!(typed[0].words, ["semaim", "knn", "--k", "3"]);
    assert_eq!(typed[0].into.as_deref(), Some("a.txt"));
    assert!(typed[0].launched().is_none() && !typed[0].needs_a_shell);
    let of_a_shell = Chapter::parse("one.md", "```bash\nsemaim knn '*' # *\nsemaim knn *\n```\n");
    let of_a_shell = commands(&of_a_shell.blocks[0]);
    assert!(!of_a_shell[0].needs_a_shell && of_a_shell[1].needs_a_shell);
    let block = &Chapter::parse(
        "one.md",
        "```bash\nsrun -n 2 semaim pretrain --seed 1\n```\n",
    )
    .blocks[0];
    let launched = commands(block)[0].launched().unwrap();
    assert_eq!(launched.words, ["semaim", "pretrain", "--seed", "1"]);
    assert_eq!(chapter.blocks[1].file(), Some("m.toml"));
    assert_eq!(chapter.blocks[0].file(), None);
}
