//! `semaim man`: manual pages, from what `--help` says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use semaim_data::counted;
use serde_json::json;

use crate::args::{Args, ManArgs};
use crate::exit::Exit;

pub(crate) fn run(args: &ManArgs) -> Result<ExitCode, Exit> {
    let mut program = Args::command().disable_help_subcommand(true);
    // Names the commands after the program.
    program.build();
    let Some(folder) = &args.out else {
        let (_, page) = page(program)?;
        print!("{page}");
        return Ok(ExitCode::SUCCESS);
    };
    let files = write_all(program, folder)?;
    match args.json {
        true => println!("{}", json!({"pages": files})),
        false => println!(
            "{} in {}",
            counted(files.len() as u64, "page"),
            folder.display()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages of a command and of all below it; gives their paths, sorted.
fn write_all(command: Command, folder: &Path) -> Result<Vec<PathBuf>, Exit> {
    let failed =
        |path: &Path, error: &io::Error| Exit::user(format!("writing {}: {error}", path.display()));
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let mut files = Vec::new();
    let mut left = vec![command];
    while let Some(command) = left.pop() {
        left.extend(command.get_subcommands().cloned());
        let (name, page) = page(command)?;
        let path = folder.join(name);
        fs::write(&path, page).map_err(|error| failed(&path, &error))?;
        files.push(path);
    }
    files.sort();
    Ok(files)
}

/// The name of a command's page, and the page.
fn page(command: Command) -> Result<(String, String), Exit> {
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render(&mut page).map_err(Exit::ours)?;
    let page = String::from_utf8(page).map_err(Exit::ours)?;
    Ok((man.get_filename(), page))
}
