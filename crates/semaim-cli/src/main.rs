//! The program: from a command's arguments to calls of the libraries, and what people see of it: progress, files, pictures,
//! messages and exit codes.

#[macro_use]
mod output;

mod args;
mod bar;
mod bench_loader;
mod bench_pointing;
mod bench_step;
mod coco_eval;
mod compare;
mod completions;
mod detect;
mod detector_file;
mod device;
mod devices;
mod dry_run;
mod embed;
mod embed_splits;
mod encoder;
mod evaluate;
mod evaluation_log;
mod evaluations;
mod exit;
mod export;
mod finetune;
mod inspect;
mod knn;
mod label_pictures;
mod man;
mod maps;
mod object_pictures;
mod origin;
mod outcome;
mod picture_folder;
mod pictures;
mod predict;
mod pretrain;
mod probe;
mod ranks;
mod recipes;
mod report;
mod scores;
mod segment;
mod segmenter_file;
mod settings;
mod show;
mod signals;
mod start;
mod stats;
mod trained;
mod trained_on;
mod warnings;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Bench, Command, Recipes};
use exit::Exit;
use ranks::World;

fn main() -> ExitCode {
    exit::explain_panics();
    semaim_kernels::keep_memory();
    let world = match World::join() {
        Ok(world) => world,
        Err(Exit { code, message }) => {
            eprintln!("error: {message}");
            return ExitCode::from(code);
        }
    };
    let args = Args::parse();
    if semaim_train::ranks::current().is_root() {
        warnings::print_to_stderr();
    }
    world.end(run(args))
}

fn run(args: Args) -> Result<ExitCode, Exit> {
    let plans = match &args.command {
        Command::Pretrain(args) => args.run.dry_run,
        Command::Finetune(args) => args.run.dry_run,
        Command::Detect(args) => args.run.dry_run,
        Command::Segment(args) => args.run.dry_run,
        Command::Embed(_) | Command::Knn(_) => false,
        Command::Bench {
            command: Bench::Step(_),
        } => false,
        _ => {
            ranks::alone()?;
            false
        }
    };
    // One of several processes tells what would be done.
    if plans && !semaim_train::ranks::current().is_root() {
        return Ok(ExitCode::SUCCESS);
    }
    match args.command {
        Command::Pretrain(args) => pretrain::run(&args),
        Command::Embed(args) => embed::run(&args),
        Command::Maps(args) => maps::run(&args),
        Command::Knn(args) => knn::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::Finetune(args) => finetune::run(&args),
        Command::Detect(args) => detect::run(&args),
        Command::Segment(args) => segment::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::CocoEval(args) => coco_eval::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Recipes { command, json } => match command.unwrap_or(Recipes::List) {
            Recipes::List => recipes::list(json),
            Recipes::Show { name } => recipes::show(&name, json),
        },
        Command::Bench { command } => match command {
            Bench::Loader(args) => bench_loader::run(&args),
            Bench::Pointing(args) => bench_pointing::run(&args),
            Bench::Step(args) => bench_step::run(&args, bench_step::Work::Step),
            Bench::Embed(args) => bench_step::run(&args, bench_step::Work::Embed),
        },
    }
}
