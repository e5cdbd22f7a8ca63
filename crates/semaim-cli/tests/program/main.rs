//! The program as a user runs it: command line, bad input, killing and going on.

mod cli;
mod data;
mod faults;
mod resume;
mod runner;
