//! The processes that a launcher of MPI (`mpirun`, `srun`) starts: one program together.

#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "mpi")]
mod watch;

use std::process::ExitCode;

use semaim_train::ranks;

use crate::exit::Exit;

/// Where launchers say how many processes there are.
#[cfg(not(feature = "mpi"))]
const COUNTS: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"];

/// The processes that this one belongs to, to the end of the program.
pub(crate) struct World {
    /// Ended before MPI is.
    #[cfg(feature = "mpi")]
    _watch: Option<watch::Watch>,
    #[cfg(feature = "mpi")]
    universe: Option<::mpi::environment::Universe>,
}

impl World {
    /// Joins the others, if a launcher has started several.
    ///
    /// # Errors
    /// Several, and a build that cannot talk to them.
    #[cfg(feature = "mpi")]
    pub(crate) fn join() -> Result<Self, Exit> {
        use ::mpi::Threading;
        use ::mpi::topology::Communicator;

        let launched = ["PMIX_RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK"];
        if !launched.iter().any(|name| std::env::var_os(name).is_some()) {
            return Ok(Self {
                _watch: None,
                universe: None,
            });
        }
        // The thread that trains talks, and the one that watches; others compute and load.
        let (universe, threading) = ::mpi::initialize_with_threading(Threading::Multiple)
            .ok_or_else(|| Exit::ours("MPI cannot be started"))?;
        let world = universe.world();
        let mut watch = None;
        if world.size() > 1 {
            let excuse = std::sync::Arc::<watch::Excuse>::default();
            // A communicator of its own: the watch has the other.
            let own = mpi::MpiRanks::new(world.duplicate(), std::sync::Arc::clone(&excuse));
            let hosts = own.hosts();
            match (watch::limit()?, threading) {
                (None, _) => {}
                (Some(limit), Threading::Multiple) => {
                    watch = watch::Watch::start(hosts, limit, excuse);
                }
                _ if world.rank() == 0 => eprintln!(
                    "warning: this MPI lets only one thread talk: a process that hangs is not noticed"
                ),
                (Some(_), _) => {}
            }
            ranks::join(std::rc::Rc::new(own));
        }
        Ok(Self {
            _watch: watch,
            universe: Some(universe),
        })
    }

    #[cfg(not(feature = "mpi"))]
    pub(crate) fn join() -> Result<Self, Exit> {
        match started() {
            Some(count) if count > 1 => Err(Exit::user(format!(
                "{count} processes were started together, and this build of semaim cannot talk to them: build it with `--features \
                 mpi` (docs/cluster.md), or start one process"
            ))),
            _ => Ok(Self {}),
        }
    }

    /// The end, with all others.
    pub(crate) fn end(self, result: Result<ExitCode, Exit>) -> ExitCode {
        let (rank, count) = (ranks::current().rank(), ranks::current().count());
        let Exit { code, message } = match result {
            Ok(code) => {
                ranks::leave();
                return code;
            }
            Err(exit) => exit,
        };
        if count == 1 {
            eprintln!("error: {message}");
            return ExitCode::from(code);
        }
        // What all meet the first tells; it ends the others meanwhile.
        if rank > 0 {
            std::thread::sleep(std::time::Duration::from_secs(2));
        }
        // In one piece: the launcher mixes what processes say.
        let message = format!("error: process {rank} of {count}: {message}\n");
        eprint!("{message}");
        self.abort(code)
    }

    #[cfg(feature = "mpi")]
    fn abort(self, code: u8) -> ExitCode {
        use ::mpi::topology::Communicator;

        match &self.universe {
            Some(universe) => universe.world().abort(i32::from(code)),
            None => ExitCode::from(code),
        }
    }

    #[cfg(not(feature = "mpi"))]
    fn abort(self, code: u8) -> ExitCode {
        ExitCode::from(code)
    }
}

/// Refuses several processes, which would each do the same for themselves.
pub(crate) fn alone() -> Result<(), Exit> {
    match ranks::current().count() {
        1 => Ok(()),
        count => Err(Exit::user(format!(
            "{count} processes were started together; pretrain, finetune, detect, segment, embed and knn share their work among several"
        ))),
    }
}

/// How many processes a launcher says that it has started.
#[cfg(not(feature = "mpi"))]
fn started() -> Option<usize> {
    let said = |name: &&str| std::env::var(name).ok()?.parse().ok();
    COUNTS.iter().find_map(said)
}
