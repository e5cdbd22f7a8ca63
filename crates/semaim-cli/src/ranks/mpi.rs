//! Ranks that talk by MPI.

use std::fmt;
use std::sync::Arc;

use ::mpi::collective::CommunicatorCollectives;
use ::mpi::datatype::{Partition, PartitionMut};
use ::mpi::topology::{Communicator, SimpleCommunicator};
use semaim_train::ranks::Ranks;

use super::watch::Excuse;

/// Processes that talk by MPI. Its own handling of errors ends all of them when one is lost.
pub(super) struct MpiRanks {
    world: SimpleCommunicator,
    excuse: Arc<Excuse>,
}

impl MpiRanks {
    pub(super) fn new(world: SimpleCommunicator, excuse: Arc<Excuse>) -> Self {
        Self { world, excuse }
    }

    /// The machine of each process.
    pub(super) fn hosts(&self) -> Vec<String> {
        let own = ::mpi::environment::processor_name().unwrap_or_default();
        let all = self.all_gather(own.as_bytes()).into_iter();
        all.map(|host| String::from_utf8_lossy(&host).into_owned())
            .collect()
    }

    /// Does something that waits for the others.
    fn together<V>(&self, act: impl FnOnce(&SimpleCommunicator) -> V) -> V {
        self.excuse.set(true);
        let done = act(&self.world);
        self.excuse.set(false);
        done
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

    fn set_watched(&self, watched: bool) {
        self.excuse.set(!watched);
    }

    fn all_gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        // An empty vector stands at the address 1, which means something else to MPI: no message is empty.
        let own = [&[0], own].concat();
        let mut lengths = vec![0_i32; self.count()];
        let length = own.len() as i32;
        self.together(|world| world.all_gather_into(&length, &mut lengths[..]));
        let starts = starts(&lengths);
        let mut all = vec![0_u8; lengths.iter().sum::<i32>() as usize];
        let mut parts = PartitionMut::new(&mut all[..], &lengths[..], &starts[..]);
        self.together(|world| world.all_gather_varcount_into(&own[..], &mut parts));
        let part =
            |(&start, &length): (&i32, &i32)| all[start as usize..][1..length as usize].to_vec();
        starts.iter().zip(&lengths).map(part).collect()
    }

    fn all_to_all(&self, numbers: &[f32], lengths: &[usize], received: &[usize]) -> Vec<f32> {
        let (lengths, received) = (counts(lengths), counts(received));
        let (from, to) = (starts(&lengths), starts(&received));
        let mut all = vec![0.0_f32; received.iter().sum::<i32>() as usize];
        let own = Partition::new(numbers, &lengths[..], &from[..]);
        let mut parts = PartitionMut::new(&mut all[..], &received[..], &to[..]);
        self.together(|world| world.all_to_all_varcount_into(&own, &mut parts));
        all
    }

    fn all_gather_numbers(&self, own: &[f32], lengths: &[usize]) -> Vec<f32> {
        let lengths = counts(lengths);
        let starts = starts(&lengths);
        let mut all = vec![0.0_f32; lengths.iter().sum::<i32>() as usize];
        let mut parts = PartitionMut::new(&mut all[..], &lengths[..], &starts[..]);
        self.together(|world| world.all_gather_varcount_into(own, &mut parts));
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
