//! `--device`.

use std::convert::Infallible;

use burn::tensor::Device;
use semaim_kernels::Kernels;
use semaim_kernels::device::{describe, find, quietly};
use semaim_kernels::self_test::{Disagreement, self_test};

use crate::exit::Exit;

/// Where launchers say which of the processes of a machine this is: Open MPI, SLURM, Intel MPI and MPICH, PALS.
const LOCAL_RANKS: [&str; 4] = [
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "SLURM_LOCALID",
    "MPI_LOCALRANKID",
    "PALS_LOCAL_RANKID",
];

/// The device that a name such as `cuda:auto` means for this process: the first of those on a machine has the first adapter.
pub(crate) fn of_process(name: &str) -> Result<String, Infallible> {
    let number = |name: &&str| std::env::var(name).ok()?.parse().ok();
    let rank = LOCAL_RANKS.iter().find_map(number);
    Ok(of_local_rank(name, rank.unwrap_or(0)))
}

fn of_local_rank(name: &str, rank: usize) -> String {
    match name.strip_suffix(":auto") {
        // All processes of a machine share its processor.
        Some("cpu") => "cpu".to_string(),
        Some(backend) => format!("{backend}:{rank}"),
        None => name.to_string(),
    }
}

/// The device of a name such as `cpu` or `cuda:1`. Any but the CPU has to compute what the CPU does before it is used;
/// with `unchecked` it is warned of instead.
pub(crate) fn open(name: &str, unchecked: bool) -> Result<Device, Exit> {
    let device = find(name).map_err(Exit::user)?;
    if device == Device::flex() {
        return Ok(device);
    }
    match tested(name, &device) {
        Ok(()) => Ok(device),
        Err(wrong) if unchecked => {
            tracing::warn!("{wrong}; --device-unchecked: it is used all the same");
            Ok(device)
        }
        Err(wrong) => Err(Exit::user(format!(
            "{wrong}. Results would be wrong; another driver or backend may help. --device-unchecked goes on"
        ))),
    }
}

/// Compares a device with the CPU; gives what is wrong with it in one sentence.
pub(crate) fn tested(name: &str, device: &Device) -> Result<(), String> {
    // Found out before, because a device of that name may be anything.
    let adapter =
        describe(device).map_or_else(String::new, |found| format!(" ({})", found.adapter));
    eprintln!(
        "{name}{adapter}: compared with the CPU and tuned, which takes a minute or two on software"
    );
    match quietly(|| self_test(device)) {
        Ok(wrong) if wrong.is_empty() => Ok(()),
        Ok(wrong) => Err(format!(
            "device `{name}` does not compute what the CPU computes: {}",
            listed(&wrong)
        )),
        Err(message) => Err(format!(
            "device `{name}` failed in the self-test: {message}"
        )),
    }
}

/// All that disagrees, the first of it by name.
fn listed(wrong: &[Disagreement]) -> String {
    /// More are counted.
    const NAMED: usize = 5;
    let mut named: Vec<String> = wrong.iter().take(NAMED).map(ToString::to_string).collect();
    if wrong.len() > NAMED {
        named.push(format!("{} more", wrong.len() - NAMED));
    }
    named.join("; ")
}

/// Which form of the operations runs on a device.
pub(crate) fn kernels(name: &str) -> Kernels {
    match name.split(':').next() {
        Some("cpu") => semaim_kernels::chosen(),
        _ => Kernels::Composed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_of_a_machine_has_its_own_adapter() {
        for (name, rank, device) in [
            ("cuda:auto", 0, "cuda:0"),
            ("cuda:auto", 3, "cuda:3"),
            ("cuda:1", 3, "cuda:1"),
            ("cpu:auto", 3, "cpu"),
            ("cpu", 3, "cpu"),
        ] {
            assert_eq!(of_local_rank(name, rank), device);
        }
    }
}
