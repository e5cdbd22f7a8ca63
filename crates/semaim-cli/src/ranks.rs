//! The processes that a launcher of MPI (`mpirun`, `srun`) starts: one program together.

use std::process::ExitCode;

use semaim_train::ranks;

use crate::exit::Exit;

/// Where launchers say how many processes there are.
#[cfg(not(feature = "mpi"))]
const COUNTS: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"];

/// The processes that this one belongs to, to the end of the program.
pub(crate) struct World {
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
            return Ok(Self { universe: None });
        }
        // Other threads compute and load; only the one that trains talks.
        let (universe, _) = ::mpi::initialize_with_threading(Threading::Funneled)
            .ok_or_else(|| Exit::ours("MPI cannot be started"))?;
        if universe.world().size() > 1 {
            ranks::join(std::rc::Rc::new(mpi::MpiRanks::new(universe.world())));
        }
        Ok(Self {
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
            Ok(code) => return code,
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
            "{count} processes were started together; pretrain, finetune and detect share their work among several"
        ))),
    }
}

/// How many processes a launcher says that it has started.
#[cfg(not(feature = "mpi"))]
fn started() -> Option<usize> {
    let said = |name: &&str| std::env::var(name).ok()?.parse().ok();
    COUNTS.iter().find_map(said)
}

#[cfg(feature = "mpi")]
mod mpi {
    use std::fmt;

    use ::mpi::collective::CommunicatorCollectives;
    use ::mpi::datatype::{Partition, PartitionMut};
    use ::mpi::topology::{Communicator, SimpleCommunicator};
    use semaim_train::ranks::Ranks;

    /// Processes that talk by MPI. Its own handling of errors ends all of them when one is lost.
    pub(super) struct MpiRanks {
        world: SimpleCommunicator,
    }

    impl MpiRanks {
        pub(super) fn new(world: SimpleCommunicator) -> Self {
            Self { world }
        }
    }

    impl fmt::Debug for MpiRanks {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "rank {} of {}", self.rank(), self.count())
        }
    }

    impl Ranks for MpiRanks {
        fn rank(&self) -> usize {
            self.world.rank() as usize
        }

        fn count(&self) -> usize {
            self.world.size() as usize
        }

        fn all_gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
            // An empty vector stands at the address 1, which means something else to MPI: no message is empty.
            let own = [&[0], own].concat();
            let mut lengths = vec![0_i32; self.count()];
            self.world
                .all_gather_into(&(own.len() as i32), &mut lengths[..]);
            let starts = starts(&lengths);
            let mut all = vec![0_u8; lengths.iter().sum::<i32>() as usize];
            let mut parts = PartitionMut::new(&mut all[..], &lengths[..], &starts[..]);
            self.world.all_gather_varcount_into(&own[..], &mut parts);
            let part = |(&start, &length): (&i32, &i32)| {
                all[start as usize..][1..length as usize].to_vec()
            };
            starts.iter().zip(&lengths).map(part).collect()
        }

        fn all_to_all(&self, numbers: &[f32], lengths: &[usize], received: &[usize]) -> Vec<f32> {
            let (lengths, received) = (counts(lengths), counts(received));
            let (from, to) = (starts(&lengths), starts(&received));
            let mut all = vec![0.0_f32; received.iter().sum::<i32>() as usize];
            let own = Partition::new(numbers, &lengths[..], &from[..]);
            let mut parts = PartitionMut::new(&mut all[..], &received[..], &to[..]);
            self.world.all_to_all_varcount_into(&own, &mut parts);
            all
        }

        fn all_gather_numbers(&self, own: &[f32], lengths: &[usize]) -> Vec<f32> {
            let lengths = counts(lengths);
            let starts = starts(&lengths);
            let mut all = vec![0.0_f32; lengths.iter().sum::<i32>() as usize];
            let mut parts = PartitionMut::new(&mut all[..], &lengths[..], &starts[..]);
            self.world.all_gather_varcount_into(own, &mut parts);
            all
        }
    }

    /// As MPI counts: gradients of two thousand million weights are more than a machine holds here.
    fn counts(lengths: &[usize]) -> Vec<i32> {
        let count = |&length: &usize| i32::try_from(length).unwrap_or(i32::MAX);
        lengths.iter().map(count).collect()
    }

    /// Where each part starts.
    fn starts(lengths: &[i32]) -> Vec<i32> {
        let mut next = 0;
        let start = |&length: &i32| {
            let start = next;
            next += length;
            start
        };
        lengths.iter().map(start).collect()
    }
}
