//! Processes that train one model together: each computes some of the parts of a step's batch, the gradients of all are added up
//! by everybody alike, so that all keep the same weights.
//!
//! A process is a rank among [`Ranks`]. How they talk is not known here: a program that runs on MPI says so with [`join`], tests let
//! threads be ranks. What is summed is summed in the order in which one process would do it, so that any number of ranks ends with
//! the same bytes.

use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;

/// Processes that know each other. Every call waits for all of them, who make the same calls in the same order; a process that is
/// lost ends the others.
pub trait Ranks: Debug {
    /// The number of this one, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn count(&self) -> usize;

    /// What each of them gives, in rank order.
    fn all_gather(&self, own: &[u8]) -> Vec<Vec<u8>>;

    /// Numbers to each of them, of which there are `lengths` for each rank here; gives what each had for this one, in rank order.
    /// `received` is how many numbers come from each.
    fn all_to_all(&self, numbers: &[f32], lengths: &[usize], received: &[usize]) -> Vec<f32>;

    /// Numbers of all of them one after the other; `lengths` is how many each gives.
    fn all_gather_numbers(&self, own: &[f32], lengths: &[usize]) -> Vec<f32>;

    /// Whether it is looked after that this one goes on. A process that neither computes nor waits for others counts as hung; one that
    /// waits for a disk says so.
    fn set_watched(&self, _watched: bool) {}

    /// Whether this one speaks for all: writes, evaluates, shows.
    fn is_root(&self) -> bool {
        self.rank() == 0
    }

    /// Whether any of them says yes.
    fn any(&self, own: bool) -> bool {
        match self.count() {
            1 => own,
            _ => self.all_gather(&[u8::from(own)]).contains(&vec![1]),
        }
    }

    /// Waits until everybody is here.
    fn barrier(&self) {
        let _ = self.all_gather(&[]);
    }
}

/// One process by itself.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn count(&self) -> usize {
        1
    }

    fn all_gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        vec![own.to_vec()]
    }

    fn all_to_all(&self, numbers: &[f32], _: &[usize], _: &[usize]) -> Vec<f32> {
        numbers.to_vec()
    }

    fn all_gather_numbers(&self, own: &[f32], _: &[usize]) -> Vec<f32> {
        own.to_vec()
    }
}

thread_local! {
    static RANKS: RefCell<Rc<dyn Ranks>> = RefCell::new(Rc::new(Alone));
}

/// Says whom the thread that trains belongs to.
pub fn join(ranks: Rc<dyn Ranks>) {
    RANKS.with(|own| *own.borrow_mut() = ranks);
}

/// The thread belongs to nobody any more: what talks to the others is let go, before the means to talk are.
pub fn leave() {
    join(Rc::new(Alone));
}

/// Those whom this thread belongs to; [`Alone`] where nothing was said.
pub fn current() -> Rc<dyn Ranks> {
    RANKS.with(|own| Rc::clone(&own.borrow()))
}

/// Does what this process does without the others, which wait for it: whatever would share its work with them does not.
pub fn by_itself<V>(act: impl FnOnce() -> V) -> V {
    let ranks = RANKS.with(|own| own.replace(Rc::new(Alone)));
    let done = act();
    join(ranks);
    done
}
