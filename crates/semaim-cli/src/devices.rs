//! `semaim devices`.

use std::process::ExitCode;

use burn::tensor::Device;
use semaim_kernels::device::{NamedDevice, all, describe};
use serde_json::{Value, json};

use crate::args::DevicesArgs;
use crate::device::tested;
use crate::exit::Exit;

/// A device, and whether it computes what the CPU computes where that was tested.
struct Row {
    name: String,
    kind: &'static str,
    adapter: String,
    /// Bytes, where they are known.
    memory: Option<u64>,
    self_test: Option<Result<(), String>>,
}

impl Row {
    fn of(found: NamedDevice, untested: bool) -> Self {
        let NamedDevice { name, device } = found;
        let is_tested = !untested && device != Device::flex();
        let (kind, adapter, memory) = match describe(&device) {
            Some(described) => (described.kind, described.adapter, described.memory),
            None => ("GPU", "cannot be opened".to_string(), None),
        };
        Self {
            kind,
            adapter,
            memory,
            self_test: is_tested.then(|| tested(&name, &device)),
            name,
        }
    }

    fn text(&self) -> String {
        let Self {
            name,
            kind,
            adapter,
            memory,
            self_test,
        } = self;
        let memory = memory.map_or("-".into(), |bytes| format!("{:.1} GB", bytes as f64 / 1e9));
        let test = match self_test {
            None => String::new(),
            Some(Ok(())) => "; computes what the CPU computes".to_string(),
            Some(Err(wrong)) => format!("; {wrong}"),
        };
        format!("{name:9} {kind:14} {memory:>9}  {adapter}{test}")
    }

    fn json(&self) -> Value {
        let self_test = self.self_test.as_ref().map(|result| match result {
            Ok(()) => json!({"passed": true}),
            Err(wrong) => json!({"passed": false, "message": wrong}),
        });
        json!({
            "device": self.name,
            "kind": self.kind,
            "adapter": self.adapter,
            "memory_bytes": self.memory,
            "self_test": self_test,
        })
    }
}

pub(crate) fn run(args: &DevicesArgs) -> Result<ExitCode, Exit> {
    let rows: Vec<Row> = all()
        .into_iter()
        .map(|found| Row::of(found, args.untested))
        .collect();
    if args.json {
        let devices: Vec<Value> = rows.iter().map(Row::json).collect();
        println!("{}", json!({"devices": devices}));
    } else {
        for row in rows {
            println!("{}", row.text());
        }
    }
    Ok(ExitCode::SUCCESS)
}
