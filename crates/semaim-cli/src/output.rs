//! Standard output and standard error, either of which may go away: a pipe that is closed, a terminal that hangs up, a
//! full disk.
//!
//! The standard macros panic then. Those of this file, which stand in for them in the whole program, do not: what
//! is said on standard error is lost, and a failure of standard output ends the program, quietly if the reader closed the
//! pipe. A run of training goes on in any case.

use std::fmt::Arguments;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use semaim_data::{DataSpec, Source};

use crate::exit::Exit;

/// As the standard macro, but does not panic.
macro_rules! print {
    ($($argument:tt)*) => { $crate::output::to_stdout(::std::format_args!($($argument)*)) };
}

/// As the standard macro, but does not panic.
macro_rules! println {
    () => { $crate::output::to_stdout(::std::format_args!("\n")) };
    ($($argument:tt)*) => {
        $crate::output::to_stdout(::std::format_args!("{}\n", ::std::format_args!($($argument)*)))
    };
}

/// As the standard macro, but does not panic.
macro_rules! eprintln {
    ($($argument:tt)*) => {
        $crate::output::to_stderr(::std::format_args!("{}\n", ::std::format_args!($($argument)*)))
    };
}

/// Whether the program goes on without standard output.
static GOES_ON: AtomicBool = AtomicBool::new(false);
/// Whether standard output is known to be lost.
static LOST: AtomicBool = AtomicBool::new(false);

/// From here on the loss of standard output does not end the program: it trains, and what it writes to the disk counts.
pub(crate) fn go_on_without_stdout() {
    GOES_ON.store(true, Ordering::Relaxed);
}

pub(crate) fn to_stdout(text: Arguments<'_>) {
    if LOST.load(Ordering::Relaxed) {
        return;
    }
    let mut stdout = io::stdout().lock();
    let written = stdout.write_fmt(text).and_then(|()| stdout.flush());
    drop(stdout);
    if let Err(error) = written {
        lost(&error);
    }
}

pub(crate) fn to_stderr(text: Arguments<'_>) {
    // There is nobody to tell.
    let _ = io::stderr().write_fmt(text);
}

/// Standard output cannot be written. Ends the program unless it goes on without; a reader who has enough, as `head`,
/// makes no failure of it.
pub(crate) fn lost(error: &io::Error) {
    let closed = error.kind() == ErrorKind::BrokenPipe;
    if GOES_ON.load(Ordering::Relaxed) {
        if !LOST.swap(true, Ordering::Relaxed) && !closed {
            eprintln!("warning: standard output cannot be written ({error}); going on without");
        }
        return;
    }
    if closed {
        std::process::exit(0);
    }
    eprintln!("error: writing to standard output: {error}");
    std::process::exit(2);
}

/// Creates the folder that a file is to be written into.
///
/// # Errors
/// The file system.
pub(crate) fn create_folder_of(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if folder != Path::new("") => fs::create_dir_all(folder),
        _ => Ok(()),
    }
}

/// What a command reads, none of which it is to write over.
#[derive(Default)]
pub(crate) struct Inputs<'a> {
    /// A file of weights.
    pub(crate) weights: Option<&'a Path>,
    /// Data sets, as `--data` names them.
    pub(crate) data: &'a [String],
    /// A file of annotations.
    pub(crate) annotations: Option<&'a Path>,
    /// The images of all these.
    pub(crate) images: Option<&'a dyn Source>,
}

impl Inputs<'_> {
    /// Refuses to write over what is read.
    ///
    /// # Errors
    /// An output that is one of these files.
    pub(crate) fn refuse(&self, outputs: &[&Path]) -> Result<(), Exit> {
        for output in outputs {
            // What is not there yet is nobody's.
            let Ok(there) = fs::canonicalize(output) else {
                continue;
            };
            if self.is_read(&there) {
                return Err(Exit::user(format!(
                    "{} is read by this command and would be written over; give another name",
                    output.display()
                )));
            }
        }
        Ok(())
    }

    fn is_read(&self, there: &Path) -> bool {
        let is_it = |path: &Path| fs::canonicalize(path).is_ok_and(|path| path == there);
        let name = there.file_name().unwrap_or_default();
        let of_data = |spec: &String| match spec.parse() {
            Ok(DataSpec::Paths(paths)) => paths.iter().any(|path| is_it(path)),
            _ => false,
        };
        // Links may have other names than what they lead to.
        let may_be_it = |path: &PathBuf| path.file_name() == Some(name) || path.is_symlink();
        let of_images = |images: &dyn Source| {
            let names = (0..images.len()).map(|item| PathBuf::from(images.name(item)));
            names.filter(may_be_it).any(|path| is_it(&path))
        };
        self.weights.is_some_and(is_it)
            || self.data.iter().any(of_data)
            || self.annotations.is_some_and(is_it)
            || self.images.is_some_and(of_images)
    }
}
