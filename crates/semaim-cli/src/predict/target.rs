//! Where predictions go.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use semaim_checkpoint::atomic::Unfinished;
use semaim_data::Source;

use crate::args::PredictArgs;
use crate::exit::Exit;
use crate::output::{self, Inputs};

/// Standard output, or a file that has its name once all predictions are in it.
pub(super) struct Target {
    writer: BufWriter<Box<dyn Write>>,
    file: Option<(Unfinished, PathBuf)>,
}

impl Target {
    /// Standard output or `--out`, which must be none of the files that predictions are made from.
    pub(super) fn create(args: &PredictArgs, images: &dyn Source) -> Result<Self, Exit> {
        let Some(out) = &args.out else {
            return Ok(Self {
                writer: BufWriter::new(Box::new(io::stdout().lock())),
                file: None,
            });
        };
        let inputs = Inputs {
            weights: Some(&args.model.weights),
            data: &args.data,
            annotations: args.annotations.as_deref(),
            images: Some(images),
        };
        inputs.refuse(&[out])?;
        let create = || {
            output::create_folder_of(out)?;
            let unfinished = Unfinished::create(out)?;
            Ok((unfinished.file()?, unfinished))
        };
        let (file, unfinished) = create().map_err(|error: io::Error| {
            Exit::user(format!("writing {}: {error}", out.display()))
        })?;
        Ok(Self {
            writer: BufWriter::new(Box::new(file)),
            file: Some((unfinished, out.to_path_buf())),
        })
    }

    /// Writes with a function; whoever reads standard output may have enough.
    pub(super) fn write(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Exit> {
        write(&mut self.writer).map_err(|error| self.failed(&error))
    }

    /// All is written.
    pub(super) fn keep(mut self) -> Result<(), Exit> {
        self.write(|writer| writer.flush())?;
        let Some((unfinished, out)) = self.file else {
            return Ok(());
        };
        let finished = unfinished.finish();
        finished.map_err(|error| Exit::user(format!("writing {}: {error}", out.display())))
    }

    fn failed(&self, error: &io::Error) -> Exit {
        match &self.file {
            Some((_, path)) => Exit::user(format!("writing {}: {error}", path.display())),
            None => {
                output::lost(error);
                Exit::user(format!("writing predictions: {error}"))
            }
        }
    }
}
