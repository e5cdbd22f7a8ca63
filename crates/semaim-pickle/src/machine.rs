//! The stack machine whose programs pickles are.

use std::collections::HashMap;
use std::io::BufRead;

use crate::arrays;
use crate::calls::{call, persistent};
use crate::error::Error;
use crate::heap::{EMPTY, FALSE, Heap, Id, NONE, Node, OTHER, Span, TRUE};
use crate::input::Input;

/// Bytes of a slot on the stack, in the memo or in a container, with room to grow.
const SLOT: usize = 8;

struct Machine<'h> {
    heap: &'h mut Heap,
    stack: Vec<Id>,
    /// Heights of the stack at which marks stand.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

/// Runs one pickle to its end; gives the object that it makes.
pub(crate) fn run<R: BufRead>(
    input: &mut Input<R>,
    heap: &mut Heap,
    part: &str,
) -> Result<Id, Error> {
    let mut machine = Machine {
        heap,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        let at = input.at;
        let failed = |opcode, message| Error::Pickle {
            part: part.into(),
            opcode,
            at,
            message,
        };
        let opcode = input.u8().map_err(|message| failed(b'?', message))?;
        if opcode == b'.' {
            return machine.pop().map_err(|message| failed(opcode, message));
        }
        machine
            .step(opcode, input)
            .map_err(|message| failed(opcode, message))?;
    }
}

impl Machine<'_> {
    fn push(&mut self, id: Id) -> Result<(), String> {
        self.heap.budget.charge(SLOT)?;
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > floor {
            true => Ok(self.stack.pop().unwrap_or(NONE)),
            false => Err("takes more than there is on the stack".into()),
        }
    }

    fn top(&self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.last().filter(|_| self.stack.len() > floor);
        top.copied()
            .ok_or_else(|| "takes more than there is on the stack".into())
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self
            .marks
            .pop()
            .ok_or("takes what follows a mark, and there is none")?;
        Ok(self.stack.split_off(mark))
    }

    fn add(&mut self, node: Node, beside: usize) -> Result<(), String> {
        let id = self.heap.add(node, beside)?;
        self.push(id)
    }

    fn text(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        let id = self.heap.text(text)?;
        self.push(id)
    }

    fn int(&mut self, value: i64) -> Result<(), String> {
        let id = self.heap.int(value)?;
        self.push(id)
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        let id = self.heap.tuple(items)?;
        self.push(id)
    }

    fn remember(&mut self, key: u32) -> Result<(), String> {
        self.heap.budget.charge(4 * SLOT)?;
        self.memo.insert(key, self.top()?);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        let id = self.memo.get(&key).copied();
        self.push(id.ok_or_else(|| format!("recalls object {key}, which was not remembered"))?)
    }

    /// Adds to a list, or to an object that is one.
    fn append(&mut self, new: &[Id]) -> Result<(), String> {
        self.heap.budget.charge(SLOT * new.len())?;
        let target = self.top()?;
        match self.heap.node_mut(target) {
            Node::List(items) => items.extend(new),
            Node::Object(object) => object.list.extend(new),
            _ => {
                return Err(format!(
                    "adds to {}, which is no list",
                    self.heap.kind(target)
                ));
            }
        }
        Ok(())
    }

    /// Adds to a dictionary, or to an object that is one.
    fn set(&mut self, new: &[Id]) -> Result<(), String> {
        self.heap.budget.charge(SLOT * new.len())?;
        let target = self.top()?;
        let (pairs, rest) = new.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("sets a key without a value".into());
        }
        let pairs = pairs.iter().map(|&[key, value]| (key, value));
        match self.heap.node_mut(target) {
            Node::Dict(items) => items.extend(pairs),
            Node::Object(object) => object.items.extend(pairs),
            _ => {
                return Err(format!(
                    "sets keys of {}, which is no dictionary",
                    self.heap.kind(target)
                ));
            }
        }
        Ok(())
    }

    /// An object of a class, made by its constructor or not.
    fn object(&mut self, class: Id, arguments: Id) -> Result<(), String> {
        // What is called is what a call of the class gives: empty containers stay containers.
        let id = call(self.heap, class, arguments)?;
        self.push(id)
    }

    /// Passes over bytes, whose place alone is kept, if at all.
    fn bytes<R: BufRead>(&mut self, len: u64, input: &mut Input<R>) -> Result<(), String> {
        let at = input.at;
        input.skip(len)?;
        match self.heap.arrays {
            true => self.add(Node::Bytes(Box::new(Span { at, len })), size_of::<Span>()),
            false => self.push(OTHER),
        }
    }

    fn global(&mut self, module: String, name: String) -> Result<(), String> {
        let beside = 64 + module.len() + name.len();
        self.add(Node::Global(Box::new([module, name])), beside)
    }

    fn build(&mut self) -> Result<(), String> {
        let state = self.pop()?;
        let target = self.top()?;
        match self.heap.node_mut(target) {
            Node::Object(object) => object.state = Some(state),
            Node::Array => *self.heap.node_mut(target) = arrays::content(self.heap, state)?,
            Node::ArrayType(dtype) => {
                let dtype = *dtype;
                *self.heap.node_mut(target) = arrays::byte_order(self.heap, dtype, state);
            }
            // Attributes of a dictionary or of a tensor are nothing that is looked for.
            _ => {}
        }
        Ok(())
    }

    fn step<R: BufRead>(&mut self, opcode: u8, input: &mut Input<R>) -> Result<(), String> {
        match opcode {
            // Protocol and frame.
            0x80 => input.u8().map(|_| ()),
            0x95 => input.array::<8>().map(|_| ()),
            // Constants and numbers.
            b'N' => self.push(NONE),
            0x88 => self.push(TRUE),
            0x89 => self.push(FALSE),
            b'I' => match input.line()?.trim() {
                "00" => self.push(FALSE),
                "01" => self.push(TRUE),
                number => self.int(number.parse().map_err(|_| "has a number that is none")?),
            },
            b'J' => {
                let value = i32::from_le_bytes(input.array()?);
                self.int(value.into())
            }
            b'K' => {
                let value = input.u8()?;
                self.int(value.into())
            }
            b'M' => {
                let value = u16::from_le_bytes(input.array()?);
                self.int(value.into())
            }
            b'L' => match input.line()?.trim_end_matches('L').parse() {
                Ok(value) => self.int(value),
                Err(_) => self.push(OTHER),
            },
            0x8a | 0x8b => {
                let length = match opcode {
                    0x8a => input.u8()?.into(),
                    _ => input.u32()?,
                };
                let bytes = input.bytes(length.into())?;
                match long(&bytes) {
                    Some(value) => self.int(value),
                    None => self.push(OTHER),
                }
            }
            b'F' => input.line().and_then(|_| self.push(OTHER)),
            b'G' => input.array::<8>().and_then(|_| self.push(OTHER)),
            // Texts, and bytes, which are passed over.
            b'X' | b'T' => {
                let length = input.u32()?;
                let bytes = input.bytes(length.into())?;
                self.text(bytes)
            }
            0x8c | b'U' => {
                let length = input.u8()?;
                let bytes = input.bytes(length.into())?;
                self.text(bytes)
            }
            0x8d => {
                let length = u64::from_le_bytes(input.array()?);
                let bytes = input.bytes(length)?;
                self.text(bytes)
            }
            b'V' => input.line().and_then(|line| self.text(line.into_bytes())),
            b'S' => {
                let line = input.line()?;
                self.text(line.trim_matches(['\'', '"']).as_bytes().to_vec())
            }
            b'C' => {
                let length = input.u8()?;
                self.bytes(length.into(), input)
            }
            b'B' => {
                let length = input.u32()?;
                self.bytes(length.into(), input)
            }
            0x8e | 0x96 => {
                let length = u64::from_le_bytes(input.array()?);
                self.bytes(length, input)
            }
            // Containers.
            b'(' => {
                self.heap.budget.charge(2 * SLOT)?;
                self.marks.push(self.stack.len());
                Ok(())
            }
            b')' => self.push(EMPTY),
            b']' | 0x8f => self.add(Node::List(Vec::new()), 0),
            b'}' => self.add(Node::Dict(Vec::new()), 0),
            b't' => {
                let items = self.pop_mark()?;
                let id = self.heap.tuple(items)?;
                self.push(id)
            }
            0x85 => self.tuple(1),
            0x86 => self.tuple(2),
            0x87 => self.tuple(3),
            b'l' | 0x91 => {
                let items = self.pop_mark()?;
                let beside = SLOT * items.len();
                self.add(Node::List(items), beside)
            }
            b'd' => {
                let items = self.pop_mark()?;
                self.add(Node::Dict(Vec::new()), 0)?;
                self.set(&items)
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.append(&items)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set(&items)
            }
            // The stack and the memo.
            b'0' => match self.marks.last() == Some(&self.stack.len()) {
                true => self.marks.pop().map(|_| ()).ok_or_else(String::new),
                false => self.pop().map(|_| ()),
            },
            b'1' => self.pop_mark().map(|_| ()),
            b'2' => self.top().and_then(|top| self.push(top)),
            b'p' => {
                let key = input
                    .line()?
                    .trim()
                    .parse()
                    .map_err(|_| "has a number that is none")?;
                self.remember(key)
            }
            b'q' => {
                let key = input.u8()?;
                self.remember(key.into())
            }
            b'r' => {
                let key = input.u32()?;
                self.remember(key)
            }
            0x94 => self.remember(self.memo.len() as u32),
            b'g' => {
                let key = input
                    .line()?
                    .trim()
                    .parse()
                    .map_err(|_| "has a number that is none")?;
                self.recall(key)
            }
            b'h' => {
                let key = input.u8()?;
                self.recall(key.into())
            }
            b'j' => {
                let key = input.u32()?;
                self.recall(key)
            }
            // Classes, calls and objects.
            b'c' => {
                let (module, name) = (input.line()?, input.line()?);
                self.global(module, name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |id| self.heap.as_text(id).map(str::to_string);
                let (Some(module), Some(name)) = (text(module), text(name)) else {
                    return Err("names a class by what is no text".into());
                };
                self.global(module, name)
            }
            b'R' | 0x81 => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                self.object(class, arguments)
            }
            0x92 => {
                let (_named, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.object(class, arguments)
            }
            b'o' => {
                let items = self.pop_mark()?;
                let (class, rest) = items.split_first().ok_or("makes an object of no class")?;
                let arguments = self.heap.tuple(rest.to_vec())?;
                self.object(*class, arguments)
            }
            b'i' => {
                let (module, name) = (input.line()?, input.line()?);
                let items = self.pop_mark()?;
                self.global(module, name)?;
                let class = self.pop()?;
                let arguments = self.heap.tuple(items)?;
                self.object(class, arguments)
            }
            b'b' => self.build(),
            b'Q' => {
                let id = self.pop()?;
                let object = persistent(self.heap, id)?;
                self.push(object)
            }
            // Extension codes, texts as persistent ids and buffers beside the file: nothing that PyTorch writes.
            _ => Err("is none that checkpoints have".into()),
        }
    }
}

/// An integer of Python; `None` if it has more than 64 bits.
fn long(bytes: &[u8]) -> Option<i64> {
    let fill = match bytes.last() {
        Some(last) if last & 0x80 != 0 => 0xFF,
        _ => 0,
    };
    let mut value = [fill; 8];
    value.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(value))
}

#[cfg(test)]
mod tests {
    use super::long;

    #[test]
    fn integers_of_python() {
        assert_eq!(long(&[]), Some(0));
        assert_eq!(long(&[0xff]), Some(-1));
        assert_eq!(long(&[0xff, 0]), Some(255));
        assert_eq!(long(&[0, 0, 0, 0, 0, 0, 0, 0x80]), Some(i64::MIN));
        assert_eq!(long(&[0; 9]), None);
    }
}
