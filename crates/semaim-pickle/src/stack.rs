//! The stack of a pickle and the marks on it.

use crate::budget::Budget;
use crate::heap::{ITEM_COST, Item};
use crate::pickle_error::PickleFault;

/// What a mark costs.
const MARK_COST: usize = 2 * size_of::<usize>();

/// A stack. Nothing below the last mark can be taken before the mark is.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    items: Vec<Item>,
    /// The heights at which marks stand.
    marks: Vec<usize>,
    /// The most items and marks that there ever were, which is what was paid for.
    most: (usize, usize),
}

impl Stack {
    /// Puts an object on top.
    pub(crate) fn push(&mut self, item: Item, budget: &mut Budget) -> Result<(), PickleFault> {
        if self.items.len() == self.most.0 {
            budget.charge(ITEM_COST)?;
            self.most.0 += 1;
        }
        self.items.push(item);
        Ok(())
    }

    /// Puts a mark on top.
    pub(crate) fn mark(&mut self, budget: &mut Budget) -> Result<(), PickleFault> {
        if self.marks.len() == self.most.1 {
            budget.charge(MARK_COST)?;
            self.most.1 += 1;
        }
        self.marks.push(self.items.len());
        Ok(())
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    /// Takes the object on top.
    pub(crate) fn pop(&mut self) -> Result<Item, PickleFault> {
        if self.items.len() <= self.floor() {
            return Err(PickleFault::StackEmpty);
        }
        self.items.pop().ok_or(PickleFault::StackEmpty)
    }

    /// Takes the object on top, or the mark where that is on top.
    pub(crate) fn discard(&mut self) -> Result<(), PickleFault> {
        if self.marks.last() == Some(&self.items.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(|_| ())
    }

    /// The object on top.
    pub(crate) fn top(&self) -> Result<Item, PickleFault> {
        let above = self.items.get(self.floor()..);
        let top = above.and_then(<[Item]>::last);
        top.copied().ok_or(PickleFault::StackEmpty)
    }

    /// Takes the last mark and what stands above it, which is paid for as a vector of just that size.
    pub(crate) fn marked(&mut self, budget: &mut Budget) -> Result<Vec<Item>, PickleFault> {
        let height = self.marks.pop().ok_or(PickleFault::NoMark)?;
        let count = self.items.len().saturating_sub(height);
        budget.charge_each(count, size_of::<Item>())?;
        Ok(self.items.drain(height.min(self.items.len())..).collect())
    }

    /// Takes the last mark and what stands above it, with which a container starts that may grow.
    pub(crate) fn growing(&mut self, budget: &mut Budget) -> Result<Vec<Item>, PickleFault> {
        let items = self.marked(budget)?;
        budget.charge_each(items.len(), ITEM_COST - size_of::<Item>())?;
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_from_below_a_mark() {
        let budget = &mut Budget::for_file(0);
        let mut stack = Stack::default();
        stack.push(Item::Int(1), budget).unwrap();
        stack.mark(budget).unwrap();
        assert_eq!(stack.pop(), Err(PickleFault::StackEmpty));
        assert_eq!(stack.top(), Err(PickleFault::StackEmpty));
        stack.push(Item::Int(2), budget).unwrap();
        stack.push(Item::Int(3), budget).unwrap();
        assert_eq!(stack.top(), Ok(Item::Int(3)));
        let marked = stack.marked(budget).unwrap();
        assert_eq!(marked, [Item::Int(2), Item::Int(3)]);
        assert_eq!(stack.pop(), Ok(Item::Int(1)));
        assert_eq!(stack.marked(budget), Err(PickleFault::NoMark));
    }

    #[test]
    fn room_is_paid_for_once() {
        let mut budget = Budget::for_file(0);
        let mut stack = Stack::default();
        for _ in 0..budget.limit() {
            stack.mark(&mut budget).unwrap();
            stack.push(Item::None, &mut budget).unwrap();
            stack.pop().unwrap();
            stack.discard().unwrap();
        }
        let deep = (0..budget.limit()).try_for_each(|_| stack.push(Item::None, &mut budget));
        assert!(matches!(deep, Err(PickleFault::Memory(_))));
    }
}
