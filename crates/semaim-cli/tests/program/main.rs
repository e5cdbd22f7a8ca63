//! The program as a user runs it: command line, bad input, killing and going on.

// A test says what is wrong by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bitmap;
mod book;
mod channels;
mod checkpoints;
mod cli;
mod coco_eval;
mod compare;
mod data;
mod detect;
mod evaluate;
mod faults;
mod figures;
mod habits;
mod held_out;
mod kept;
mod pictures;
mod pipes;
mod precision;
mod resume;
mod runner;
mod segment;
mod selection;
mod shell;
mod start;
mod stats;
mod train_classifier;
