//! A watch over processes that hang.
//!
//! When a process dies, MPI ends the others. One that hangs (on a file system that no longer answers, on a machine that stands
//! still) would hold up the others for ever, as they wait for it. So a thread of each process tells the first one that it is there,
//! again and again (the first tells the second), and looks whether its own process does anything: computes, reads, writes, or
//! waits for others. Whoever finds something wrong names it and ends all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::mpi::point_to_point::{Destination, Source};
use ::mpi::topology::{Communicator, SimpleCommunicator};

use crate::exit::Exit;

/// What a process is given before it counts as hung, unless `SEMAIM_HANG_SECONDS` says otherwise; 0 is for ever.
const SECONDS: u64 = 45;

/// How long MPI may take to end the job before the process ends by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of our messages; the one that trains has a communicator of its own.
const TAG: i32 = 1;

/// What a process tells.
const HERE: u8 = 1;
const GONE: u8 = 0;

/// What the thread that trains and the one that watches share.
#[derive(Debug, Default)]
pub(super) struct Excuse(AtomicBool);

impl Excuse {
    /// Whether it is all right to do nothing.
    pub(super) fn set(&self, excused: bool) {
        self.0.store(excused, Ordering::Relaxed);
    }
}

/// What a process is given before it counts as hung; `None` for ever.
///
/// # Errors
/// `SEMAIM_HANG_SECONDS` that is no number of seconds.
pub(super) fn limit() -> Result<Option<Duration>, Exit> {
    let seconds = match std::env::var("SEMAIM_HANG_SECONDS") {
        Err(_) => SECONDS,
        Ok(said) => said.parse().map_err(|_| {
            Exit::user(format!(
                "SEMAIM_HANG_SECONDS is `{said}`; it must be a whole number of seconds, 0 to wait for ever"
            ))
        })?,
    };
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

/// The thread that watches; it ends when this is dropped, and says good-bye.
#[derive(Debug)]
pub(super) struct Watch {
    end: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts to watch; `hosts` names the machine of each process. `None` where there are no threads.
    pub(super) fn start(hosts: Vec<String>, limit: Duration, excuse: Arc<Excuse>) -> Option<Self> {
        let end = Arc::new((Mutex::new(false), Condvar::new()));
        let shared = Arc::clone(&end);
        let thread = std::thread::Builder::new().name("watch".into());
        let thread = thread.spawn(move || watch(&hosts, limit, &excuse, &shared));
        Some(Self {
            end,
            thread: Some(thread.ok()?),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (end, wake) = &*self.end;
        *end.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // It ends all processes where it fails to.
            let _ = thread.join();
        }
    }
}

fn watch(hosts: &[String], limit: Duration, excuse: &Excuse, end: &(Mutex<bool>, Condvar)) {
    let world = SimpleCommunicator::world();
    let (rank, count) = (world.rank() as usize, world.size() as usize);
    let every = (limit / 10).min(Duration::from_secs(2));
    // The first hears all others, the second hears the first.
    let heard = match rank {
        0 => 1..count,
        1 => 0..1,
        _ => 0..0,
    };
    let to = world.process_at_rank(i32::from(rank == 0));
    let mut silence = Silence::new(heard.collect(), Instant::now());
    let mut idleness = Idleness::new(Activity::now(), Instant::now());
    let fail = |what: String| {
        // In one piece: the launcher mixes what processes say.
        let message = format!(
            "error: {what}; the job ends. The same command goes on from the last checkpoint\n"
        );
        eprint!("{message}");
        // MPI asks its daemons to end all, and waits for those that do not answer.
        std::thread::spawn(|| {
            std::thread::sleep(PATIENCE);
            std::process::abort()
        });
        world.abort(1)
    };
    let mut last = Instant::now();
    loop {
        let (ended, wake) = end;
        let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = wake.wait_timeout_while(ended, every, |ended| !*ended);
        if *ended.unwrap_or_else(PoisonError::into_inner).0 {
            to.send_with_tag(&GONE, TAG);
            return;
        }
        to.send_with_tag(&HERE, TAG);
        let now = Instant::now();
        // Whoever stood still itself, with its machine perhaps, judges nobody by it.
        if now - last > 3 * every {
            silence.begin(now);
            idleness = Idleness::new(Activity::now(), now);
        }
        last = now;
        while let Some(status) = world.any_process().immediate_probe_with_tag(TAG) {
            let from = status.source_rank();
            let (told, _) = world.process_at_rank(from).receive_with_tag::<u8>(TAG);
            silence.hear(from as usize, told == GONE, now);
        }
        if let Some((silent, time)) = silence.longest(now)
            && time > limit
        {
            let host = hosts.get(silent).map_or("?", String::as_str);
            let seconds = time.as_secs();
            fail(format!(
                "process {silent} of {count} on {host} has not been heard of for {seconds} s"
            ));
        }
        let idle = idleness.of(Activity::now(), excuse.0.load(Ordering::Relaxed), now);
        if idle > limit {
            let host = hosts.get(rank).map_or("?", String::as_str);
            let seconds = idle.as_secs();
            fail(format!(
                "process {rank} of {count} on {host} has neither computed nor read anything for {seconds} s"
            ));
        }
    }
}

/// Since when processes have not been heard of.
#[derive(Debug)]
struct Silence {
    since: Vec<(usize, Instant)>,
}

impl Silence {
    fn new(ranks: Vec<usize>, now: Instant) -> Self {
        let since = ranks.into_iter().map(|rank| (rank, now));
        Self {
            since: since.collect(),
        }
    }

    /// Counts from now.
    fn begin(&mut self, now: Instant) {
        self.since.iter_mut().for_each(|(_, since)| *since = now);
    }

    fn hear(&mut self, rank: usize, gone: bool, now: Instant) {
        self.since.retain(|(other, _)| !(gone && *other == rank));
        for (_, since) in self.since.iter_mut().filter(|(other, _)| *other == rank) {
            *since = now;
        }
    }

    /// The one that has been silent longest.
    fn longest(&self, now: Instant) -> Option<(usize, Duration)> {
        let times = self.since.iter().map(|(rank, since)| (*rank, now - *since));
        times.max_by_key(|(_, time)| *time)
    }
}

/// What a process has done so far, where the system tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Activity {
    /// Hundredths of a second on the processor.
    ticks: u64,
    /// Bytes that it read and wrote.
    bytes: u64,
}

impl Activity {
    /// The watch's own share between two looks is less.
    const LEAST: Self = Self {
        ticks: 2,
        bytes: 1 << 14,
    };

    /// `None` where there is no `/proc`.
    fn now() -> Option<Self> {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).ok();
        Self::of(&read("stat")?, &read("io").unwrap_or_default())
    }

    fn of(stat: &str, io: &str) -> Option<Self> {
        // The name of the program comes before, in parentheses, and may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut times = fields.split_whitespace().skip(11);
        let mut time = || times.next()?.parse::<u64>().ok();
        let bytes = io.lines().filter_map(|line| {
            let (name, bytes) = line.split_once(": ")?;
            matches!(name, "rchar" | "wchar").then(|| bytes.parse::<u64>().ok())?
        });
        Some(Self {
            ticks: time()? + time()?,
            bytes: bytes.sum(),
        })
    }
}

/// Since when a process has done nothing.
#[derive(Debug)]
struct Idleness {
    before: Option<Activity>,
    since: Instant,
}

impl Idleness {
    fn new(before: Option<Activity>, now: Instant) -> Self {
        Self { before, since: now }
    }

    /// How long it has done nothing, nor had an excuse.
    fn of(&mut self, now_done: Option<Activity>, excused: bool, now: Instant) -> Duration {
        let did_something = match (self.before, now_done) {
            (Some(before), Some(done)) => {
                done.ticks >= before.ticks + Activity::LEAST.ticks
                    || done.bytes >= before.bytes + Activity::LEAST.bytes
            }
            // Nobody knows.
            _ => true,
        };
        self.before = now_done;
        if did_something || excused {
            self.since = now;
        }
        now - self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_is_found_and_who_has_gone_is_not_missed() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut silence = Silence::new(vec![1, 2, 3], start);
        silence.hear(1, false, at(8));
        silence.hear(2, false, at(4));
        silence.hear(3, true, at(9));
        assert_eq!(silence.longest(at(10)), Some((2, Duration::from_secs(6))));
        silence.begin(at(20));
        assert_eq!(silence.longest(at(21)).unwrap().1, Duration::from_secs(1));
        silence.hear(1, true, at(21));
        silence.hear(2, true, at(21));
        assert_eq!(silence.longest(at(30)), None);
    }

    #[test]
    fn what_computes_or_reads_or_has_an_excuse_does_not_hang() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let done = |ticks, bytes| Some(Activity { ticks, bytes });
        let mut idleness = Idleness::new(done(0, 0), start);
        let mut look = |seconds, done, excused| idleness.of(done, excused, at(seconds)).as_secs();
        assert_eq!(look(2, done(1, 1000), false), 2);
        assert_eq!(look(4, done(9, 1000), false), 0);
        assert_eq!(look(6, done(9, 100_000), false), 0);
        assert_eq!(look(30, done(10, 101_000), false), 24);
        assert_eq!(look(32, done(10, 102_000), true), 0);
        assert_eq!(look(40, None, false), 0);
    }

    #[test]
    fn the_system_tells_what_was_done() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 12 30 0 0 20 0 1 0 5 0 0";
        let io = "rchar: 100\nwchar: 20\nsyscr: 9\n";
        let found = Activity::of(stat, io);
        let expected = Activity {
            ticks: 42,
            bytes: 120,
        };
        assert_eq!(found, Some(expected));
        assert_eq!(Activity::of("", io), None);
    }
}
