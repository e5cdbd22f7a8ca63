//! The memory that reading one file may take.

/// How many bytes per byte of the file.
const FACTOR: usize = 16;
/// How many bytes besides, so that small files of many small objects are read.
const BASE: usize = 1 << 20;

/// A file asks for more memory than its size warrants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it would take more than {limit} bytes of memory, which is out of proportion to the file")]
pub struct OverBudget {
    /// The most that a file of this size may take, beside its own bytes.
    pub limit: usize,
}

/// Counts what is taken for one file. Most of it is counted as if it were never given back.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    left: usize,
}

/// The most memory that is taken for a file of `bytes` bytes, beside the file itself: 16 bytes per byte and 1 MiB.
pub(crate) fn limit_for(bytes: usize) -> usize {
    bytes.saturating_mul(FACTOR).saturating_add(BASE)
}

impl Budget {
    /// The budget of a file of `bytes` bytes.
    pub(crate) fn for_file(bytes: usize) -> Self {
        let limit = limit_for(bytes);
        Self { limit, left: limit }
    }

    /// The whole of it.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Counts `bytes`; to be called before they are allocated.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), OverBudget> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(OverBudget { limit: self.limit }),
        }
    }

    /// Gives back what was charged for something short-lived.
    pub(crate) fn release(&mut self, bytes: usize) {
        self.left = self.left.saturating_add(bytes).min(self.limit);
    }

    /// Counts `count` things of `size` bytes.
    pub(crate) fn charge_each(&mut self, count: usize, size: usize) -> Result<(), OverBudget> {
        self.charge(count.saturating_mul(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_ends_exactly_at_its_limit() {
        let mut budget = Budget::for_file(10);
        assert_eq!(budget.limit(), 160 + (1 << 20));
        budget.charge(100).unwrap();
        let rest = budget.limit() - 100;
        assert!(budget.charge(rest + 1).is_err());
        budget.charge(rest).unwrap();
        assert_eq!(
            budget.charge(1),
            Err(OverBudget {
                limit: budget.limit()
            })
        );
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut budget = Budget::for_file(0);
        budget.charge(budget.limit()).unwrap();
        budget.release(7);
        assert!(budget.charge(8).is_err());
        budget.charge(7).unwrap();
    }

    #[test]
    fn sizes_beyond_the_address_space_are_over_budget() {
        let mut budget = Budget::for_file(usize::MAX);
        budget.charge(1).unwrap();
        assert!(budget.charge_each(usize::MAX, 2).is_err());
    }
}
