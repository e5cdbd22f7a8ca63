//! Tasks for all threads of the pool.
//!
//! Which thread runs a task, and when, has no influence on results: a task writes only what is its own, and what
//! tasks give back is put together in the order of the tasks.

use std::sync::Mutex;

use rayon::prelude::*;

/// Runs tasks on all threads, each taking the next one when it is free: put long tasks first.
pub(crate) fn each<T: Send>(tasks: Vec<T>, run: impl Fn(T) + Sync) {
    results(tasks, run);
}

/// As [`each`], and gives what the tasks gave, in their order.
pub(crate) fn results<T: Send, R: Send>(tasks: Vec<T>, run: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = rayon::current_num_threads().min(tasks.len());
    if threads <= 1 {
        return tasks.into_iter().map(run).collect();
    }
    let queue = Mutex::new(tasks.into_iter().enumerate());
    // A task that panics has let go of the queue before.
    let next = || {
        queue
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .next()
    };
    let mut done: Vec<(usize, R)> = (0..threads)
        .into_par_iter()
        .with_max_len(1)
        .flat_map_iter(|_| {
            let mine: Vec<(usize, R)> = std::iter::from_fn(next)
                .map(|(i, task)| (i, run(task)))
                .collect();
            mine
        })
        .collect();
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_tasks() {
        for count in [0, 1, 2, 100] {
            let got = results((0..count).collect(), |i: usize| i * i);
            assert_eq!(got, (0..count).map(|i| i * i).collect::<Vec<_>>());
        }
    }
}
