//! What the program brings for shells and for `man`.

use std::fs;
use std::process::Command;

use crate::evaluate::{json, path};
use crate::runner::{refuse, semaim, succeed};

/// The commands below one, by what its `--help` lists.
pub(crate) fn commands_below(command: &[&str]) -> Vec<String> {
    let help = succeed(semaim(&[command, &["-h"]].concat())).stdout;
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    // What does not fit a line goes on further to the right.
    let names = lines.filter_map(|line| {
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        (!name.is_empty() && name != "help").then(|| name.to_string())
    });
    names.collect()
}

fn completions(shell: &str) -> String {
    succeed(semaim(&["completions", shell])).stdout
}

#[test]
fn every_shell_knows_every_command() {
    let commands = commands_below(&[]);
    for known in ["pretrain", "completions", "man"] {
        assert!(commands.iter().any(|name| name == known), "{commands:?}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = completions(shell);
        let words: Vec<&str> = script
            .split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'))
            .collect();
        for name in &commands {
            assert!(words.contains(&name.as_str()), "{shell}: {name}");
        }
        assert!(script.contains("weights"), "{shell}");
    }
    refuse(semaim(&["completions", "tcsh"]), &["tcsh", "bash", "fish"]);
}

/// What bash offers for the last of some words; `None` where there is no bash.
fn offered(words: &[&str]) -> Option<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("semaim.bash");
    fs::write(&file, completions("bash")).unwrap();
    let ask = r#"source "$1" || exit 9
shift
complete -p semaim > /dev/null || exit 8
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_semaim "$1" "${@: -1}" "${@: -2:1}"
printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", ask, "bash", path(&file)]);
    let output = bash.args(words).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    let offered = String::from_utf8(output.stdout).unwrap();
    Some(offered.split_whitespace().map(str::to_string).collect())
}

#[test]
fn bash_completes_commands_options_and_values() {
    for (words, expected) in [
        (&["semaim", "pretr"][..], &["pretrain"][..]),
        (&["semaim", "recipes", "sh"], &["show"]),
        (&["semaim", "pretrain", "--ext"], &["--extend"]),
        (&["semaim", "segment", "--head", ""], &["linear", "upernet"]),
        (&["semaim", "completions", "z"], &["zsh"]),
    ] {
        let Some(offered) = offered(words) else {
            return;
        };
        assert_eq!(offered, expected, "{words:?}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("share/man1");
    let mut expected = vec!["semaim".to_string()];
    for name in commands_below(&[]) {
        expected.push(format!("semaim-{name}"));
        let below = commands_below(&[&name]);
        expected.extend(below.iter().map(|below| format!("semaim-{name}-{below}")));
    }
    for name in ["semaim-bench-step", "semaim-recipes-show"] {
        assert!(expected.iter().any(|page| page == name), "{expected:?}");
    }
    expected.sort();
    let written = json(&succeed(semaim(&["man", "--out", path(&out), "--json"])));
    let mut names = Vec::new();
    for file in fs::read_dir(&out).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap().to_string();
        assert_eq!(file.extension().unwrap(), "1");
        assert!(
            written["pages"]
                .as_array()
                .unwrap()
                .contains(&path(&file).into()),
            "{written}"
        );
        let page = fs::read_to_string(&file).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
        assert!(page.contains(".SH DESCRIPTION"), "{page}");
        names.push(name);
    }
    names.sort();
    assert_eq!(names, expected);
    let pretrain = fs::read_to_string(out.join("semaim-pretrain.1")).unwrap();
    for part in ["resumes where it stopped", r"\-\-extend", "EPOCHS"] {
        let page = pretrain.to_lowercase();
        assert!(page.contains(&part.to_lowercase()), "{part} in {pretrain}");
    }

    let page = succeed(semaim(&["man"])).stdout;
    assert_eq!(page, fs::read_to_string(out.join("semaim.1")).unwrap());
    for name in commands_below(&[]) {
        let named = format!(r"semaim\-{}(1)", name.replace('-', r"\-"));
        assert!(page.contains(&named), "{named} in {page}");
    }
    let said = succeed(semaim(&["man", "--out", path(&out)])).stdout;
    assert!(
        said.starts_with(&format!("{} pages", expected.len())),
        "{said}"
    );
    refuse(semaim(&["man", "--json"]), &["--out"]);
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    refuse(
        semaim(&["man", "--out", path(&file)]),
        &["writing", path(&file)],
    );
}
