//! Carrying out the opcodes of one pickle.
//!
//! The machine moves objects between a stack, a memo and a heap, all of bounded size. It has no way to import, run or
//! look up anything: what a pickle calls is either one of the few constructors in [`call`](crate::call), which are
//! imitated, or is kept by name.

use crate::budget::Budget;
use crate::call::{build, call};
use crate::cursor::Cursor;
use crate::heap::{Heap, ITEM_COST, Item, Node, SHARED_TEXT_COST};
use crate::instruction::{Instruction, decode};
use crate::opcode::Opcode;
use crate::persistent::persistent;
use crate::pickle_error::{PickleError, PickleFault};
use crate::stack::Stack;

/// A pickle that was carried out.
#[derive(Debug)]
pub(crate) struct Pickle<'b> {
    /// Its objects.
    pub(crate) heap: Heap<'b>,
    /// The one it is about.
    pub(crate) root: Item,
    /// Where the bytes after it start.
    pub(crate) end: usize,
}

/// Carries out the pickle that starts at byte `at`.
pub(crate) fn run<'b>(
    bytes: &[u8],
    at: usize,
    budget: &'b mut Budget,
) -> Result<Pickle<'b>, PickleError> {
    let mut cursor = Cursor::new(bytes, at);
    let mut machine = Machine {
        stack: Stack::default(),
        memo: Vec::new(),
        kept: 0,
        heap: Heap::new(budget),
    };
    loop {
        let offset = cursor.at();
        let mut opcode = None;
        let step = |opcode: &mut Option<Opcode>| {
            let byte = cursor.u8().ok_or(PickleFault::Truncated)?;
            let code = Opcode::of(byte).ok_or(PickleFault::UnknownOpcode { byte })?;
            *opcode = Some(code);
            let instruction = decode(code, &mut cursor)?;
            machine.step(instruction)
        };
        match { step }(&mut opcode) {
            Ok(None) => {}
            Ok(Some(root)) => {
                return Ok(Pickle {
                    heap: machine.heap,
                    root,
                    end: cursor.at(),
                });
            }
            Err(fault) => {
                return Err(PickleError {
                    offset,
                    opcode: opcode.map_or("?", Opcode::name),
                    fault,
                });
            }
        }
    }
}

struct Machine<'b> {
    stack: Stack,
    /// What was kept, by number. Python numbers without gaps, so a number far beyond is not worth its room.
    memo: Vec<Option<Item>>,
    /// How many objects that is.
    kept: u32,
    heap: Heap<'b>,
}

impl Machine<'_> {
    /// Carries out one instruction; gives the object of the pickle at its end.
    fn step(&mut self, instruction: Instruction<'_>) -> Result<Option<Item>, PickleFault> {
        match instruction {
            Instruction::Nothing => {}
            Instruction::Stop => return self.stack.pop().map(Some),
            Instruction::Mark => self.stack.mark(self.heap.budget)?,
            Instruction::Pop => self.stack.discard()?,
            Instruction::PopMark => {
                self.marked()?;
            }
            Instruction::Dup => {
                let top = self.stack.top()?;
                self.push(top)?;
            }
            Instruction::None => self.push(Item::None)?,
            Instruction::Bool(value) => self.push(Item::Bool(value))?,
            Instruction::Int(value) => self.push(Item::Int(value))?,
            Instruction::Float(value) => self.push(Item::Float(value))?,
            Instruction::BigInt(bytes) => {
                self.heap.budget.charge(bytes.len())?;
                self.add(Node::BigInt((&*bytes).into()))?;
            }
            Instruction::Text(text) => {
                let item = self.heap.add_text(&text)?;
                self.push(item)?;
            }
            Instruction::Bytes(bytes) => {
                let item = self.heap.add_bytes(&bytes)?;
                self.push(item)?;
            }
            Instruction::EmptyTuple => self.add(Node::Tuple(Box::default()))?,
            Instruction::EmptyList => self.add(Node::List(Vec::new()))?,
            Instruction::EmptyDict => self.add(Node::Dict(Vec::new()))?,
            Instruction::EmptySet => self.add(Node::Set(Vec::new()))?,
            Instruction::Tuple(count) => {
                let mut items = [Item::None; 3];
                let items = items.get_mut(..count).unwrap_or_default();
                for item in items.iter_mut().rev() {
                    *item = self.stack.pop()?;
                }
                let tuple = self.heap.add_tuple(items)?;
                self.push(tuple)?;
            }
            Instruction::MarkedTuple => {
                let items = self.marked()?;
                self.add(Node::tuple(items))?;
            }
            Instruction::MarkedList => {
                let items = self.growing()?;
                self.add(Node::List(items))?;
            }
            Instruction::MarkedFrozenSet => {
                let items = self.growing()?;
                self.add(Node::Set(items))?;
            }
            Instruction::MarkedDict => {
                let entries = pairs(&self.growing()?)?;
                self.add(Node::Dict(entries))?;
            }
            Instruction::Append => {
                let item = self.stack.pop()?;
                self.heap.budget.charge(size_of::<Item>())?;
                self.extend(vec![item], "a list to append to")?;
            }
            Instruction::Appends => {
                let items = self.marked()?;
                self.extend(items, "a list to append to")?;
            }
            Instruction::AddItems => {
                let items = self.marked()?;
                self.extend(items, "a set to add to")?;
            }
            Instruction::SetItem => {
                let value = self.stack.pop()?;
                let key = self.stack.pop()?;
                self.set(vec![(key, value)])?;
            }
            Instruction::SetItems => {
                let entries = pairs(&self.marked()?)?;
                self.set(entries)?;
            }
            Instruction::Global(module, name) => {
                let global = self.global(module, name)?;
                self.push(global)?;
            }
            Instruction::StackGlobal => {
                let name = self.stack.pop()?;
                let module = self.stack.pop()?;
                let text = |item| {
                    let text = self.heap.text(item);
                    text.cloned().ok_or_else(|| self.heap.not("text", item))
                };
                let (module, name) = (text(module)?, text(name)?);
                let global = self.heap.add_global(module, name)?;
                self.push(global)?;
            }
            Instruction::PersistentText => {
                return Err(PickleFault::Operand {
                    expected: "a tuple as persistent id",
                    found: "text",
                });
            }
            Instruction::Persistent => {
                let id = self.stack.pop()?;
                let item = persistent(&mut self.heap, id)?;
                self.push(item)?;
            }
            Instruction::Reduce | Instruction::NewObj => {
                let arguments = self.stack.pop()?;
                let function = self.stack.pop()?;
                let result = call(&mut self.heap, function, arguments)?;
                self.push(result)?;
            }
            Instruction::NewObjEx => {
                let keywords = self.stack.pop()?;
                let arguments = self.stack.pop()?;
                let class = self.stack.pop()?;
                let mut all = match self.heap.tuple(arguments) {
                    Some(items) => items.to_vec(),
                    None => return Err(self.heap.not("a tuple of arguments", arguments)),
                };
                // The tuple may be shared, so its copy is paid for here.
                self.heap.budget.charge_each(all.len(), ITEM_COST)?;
                all.push(keywords);
                let arguments = self.heap.add_tuple(&all)?;
                let result = call(&mut self.heap, class, arguments)?;
                self.push(result)?;
            }
            Instruction::Inst(module, name) => {
                let items = self.marked()?;
                let class = self.global(module, name)?;
                self.construct(class, &items)?;
            }
            Instruction::Obj => {
                let items = self.marked()?;
                let (&class, arguments) = items.split_first().ok_or(PickleFault::StackEmpty)?;
                self.construct(class, arguments)?;
            }
            Instruction::Build => {
                let state = self.stack.pop()?;
                let target = self.stack.top()?;
                build(&mut self.heap, target, state)?;
            }
            Instruction::Get(index) => match self.memo.get(index as usize) {
                Some(&Some(item)) => self.push(item)?,
                _ => return Err(PickleFault::NoMemo { index }),
            },
            Instruction::Put(index) => self.keep(index)?,
            Instruction::Memoize => self.keep(self.kept)?,
        }
        Ok(None)
    }

    fn push(&mut self, item: Item) -> Result<(), PickleFault> {
        self.stack.push(item, self.heap.budget)
    }

    fn add(&mut self, node: Node) -> Result<(), PickleFault> {
        let item = self.heap.add(node)?;
        self.push(item)
    }

    fn marked(&mut self) -> Result<Vec<Item>, PickleFault> {
        self.stack.marked(self.heap.budget)
    }

    fn growing(&mut self) -> Result<Vec<Item>, PickleFault> {
        self.stack.growing(self.heap.budget)
    }

    fn keep(&mut self, index: u32) -> Result<(), PickleFault> {
        let top = self.stack.top()?;
        let index = index as usize;
        if index >= self.memo.len() {
            let new = index.saturating_add(1) - self.memo.len();
            self.heap.budget.charge_each(new, ITEM_COST)?;
            self.memo.resize(index.saturating_add(1), None);
        }
        if let Some(place) = self.memo.get_mut(index)
            && place.replace(top).is_none()
        {
            self.kept = self.kept.saturating_add(1);
        }
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<Item, PickleFault> {
        let cost = module.len() + name.len() + 2 * SHARED_TEXT_COST;
        self.heap.budget.charge(cost)?;
        Ok(self.heap.add_global(module.into(), name.into())?)
    }

    fn construct(&mut self, class: Item, arguments: &[Item]) -> Result<(), PickleFault> {
        let arguments = self.heap.add_tuple(arguments)?;
        let result = call(&mut self.heap, class, arguments)?;
        self.push(result)
    }

    /// Appends to what is on top of the stack.
    fn extend(&mut self, items: Vec<Item>, expected: &'static str) -> Result<(), PickleFault> {
        let target = self.stack.top()?;
        let count = items.len();
        let cost = match self.heap.node(target) {
            Some(Node::List(list) | Node::Set(list)) => grown(list.len(), count),
            Some(Node::Object(object)) => 2 * grown(object.entries.len(), count),
            _ => 0,
        };
        self.heap.budget.charge_each(cost, ITEM_COST)?;
        match self.heap.node_mut(target) {
            Some(Node::List(list) | Node::Set(list)) => list.extend(items),
            Some(Node::Object(object)) => {
                let indices = (object.entries.len() as i64..).map(Item::Int);
                object.entries.extend(indices.zip(items));
            }
            _ => return Err(self.heap.not(expected, target)),
        }
        self.heap.budget.release(count * size_of::<Item>());
        Ok(())
    }

    /// Sets entries of what is on top of the stack.
    fn set(&mut self, entries: Vec<(Item, Item)>) -> Result<(), PickleFault> {
        let target = self.stack.top()?;
        let count = entries.len();
        let cost = match self.heap.node(target) {
            Some(Node::Dict(all)) => grown(all.len(), count),
            Some(Node::Object(object)) => grown(object.entries.len(), count),
            _ => 0,
        };
        self.heap.budget.charge_each(cost, 2 * ITEM_COST)?;
        match self.heap.node_mut(target) {
            Some(Node::Dict(all)) => all.extend(entries),
            Some(Node::Object(object)) => object.entries.extend(entries),
            _ => return Err(self.heap.not("a dictionary to set items of", target)),
        }
        Ok(())
    }
}

/// For how many items room is paid when `new` ones join `old` ones: a vector of one has room for four, of which each
/// item pays for two.
fn grown(old: usize, new: usize) -> usize {
    match old {
        0 => new.max(2),
        _ => new,
    }
}

fn pairs(items: &[Item]) -> Result<Vec<(Item, Item)>, PickleFault> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(PickleFault::OddItems);
    }
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}

#[cfg(test)]
mod tests;
