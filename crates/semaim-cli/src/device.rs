//! `--device`.

use burn::tensor::{Device, DeviceType};
use semaim_kernels::Kernels;
use semaim_kernels::self_test::{Disagreement, self_test};

use crate::exit::Exit;

/// The backends that `--device` knows, with whether this build has them.
const BACKENDS: &[(&str, bool)] = &[
    ("cpu", true),
    ("cuda", cfg!(feature = "cuda")),
    ("rocm", cfg!(feature = "rocm")),
    ("metal", cfg!(feature = "metal")),
    ("vulkan", cfg!(feature = "vulkan")),
    ("wgpu", cfg!(feature = "wgpu")),
];

/// The device of a name such as `cpu` or `cuda:1`. Any but the CPU has to compute what the CPU does before it is used;
/// with `unchecked` it is warned of instead.
pub(crate) fn open(name: &str, unchecked: bool) -> Result<Device, Exit> {
    let device = parse(name)?;
    if backend_of(name) == "cpu" {
        return Ok(device);
    }
    let tested = device.clone();
    let wrong = quietly(move || self_test(&tested));
    match wrong {
        Some(wrong) if wrong.is_empty() => Ok(device),
        wrong if unchecked => {
            tracing::warn!(
                "{}; --device-unchecked: it is used all the same",
                refusal(name, wrong)
            );
            Ok(device)
        }
        wrong => Err(Exit::user(format!(
            "{}. Results would be wrong; another driver or backend may help. --device-unchecked goes on",
            refusal(name, wrong)
        ))),
    }
}

/// What is wrong with a device, in one sentence: all that disagrees, or `None` where the test did not come to its end.
fn refusal(name: &str, wrong: Option<Vec<Disagreement>>) -> String {
    /// More are counted.
    const NAMED: usize = 5;
    let Some(wrong) = wrong else {
        return format!("device `{name}` failed in the self-test");
    };
    let mut named: Vec<String> = wrong.iter().take(NAMED).map(ToString::to_string).collect();
    if wrong.len() > NAMED {
        named.push(format!("{} more", wrong.len() - NAMED));
    }
    let named = named.join("; ");
    format!("device `{name}` does not compute what the CPU computes: {named}")
}

fn backend_of(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

/// The device of a name.
fn parse(name: &str) -> Result<Device, Exit> {
    let (backend, index) = match name.split_once(':') {
        Some((backend, index)) => {
            let index: usize = index.parse().map_err(|_| {
                Exit::user(format!(
                    "device `{name}`: `{index}` is no number; write {backend}:0"
                ))
            })?;
            (backend, index)
        }
        None => (name, 0),
    };
    match BACKENDS.iter().find(|(known, _)| *known == backend) {
        None => {
            let known: Vec<&str> = BACKENDS.iter().map(|(name, _)| *name).collect();
            Err(Exit::user(format!(
                "unknown device `{name}`; devices are {}, GPUs with an index as in cuda:0. {}",
                known.join(", "),
                those_there()
            )))
        }
        Some((_, false)) => Err(Exit::user(format!(
            "this build has no `{backend}`; build it with `cargo build --release --features {backend}`. {}",
            those_there()
        ))),
        Some(_) => devices(backend)
            .into_iter()
            .nth(index)
            .ok_or_else(|| Exit::user(format!("device `{name}` is not there. {}", those_there()))),
    }
}

/// Which form of the operations runs on a device.
pub(crate) fn kernels(name: &str) -> Kernels {
    match backend_of(name) {
        "cpu" => semaim_kernels::chosen(),
        _ => Kernels::Composed,
    }
}

/// The devices of a backend, as the framework lists them, of whatever kind. Drivers that are not installed make some
/// backends panic; that counts as none.
fn devices(backend: &str) -> Vec<Device> {
    let kind = match backend {
        "cpu" => DeviceType::Flex,
        #[cfg(feature = "cuda")]
        "cuda" => DeviceType::Cuda,
        #[cfg(feature = "rocm")]
        "rocm" => DeviceType::Rocm,
        #[cfg(feature = "metal")]
        "metal" => DeviceType::Metal,
        #[cfg(feature = "vulkan")]
        "vulkan" => DeviceType::Vulkan,
        #[cfg(feature = "wgpu")]
        "wgpu" => DeviceType::Wgpu,
        _ => return Vec::new(),
    };
    quietly(|| Device::enumerate(kind).into_vec()).unwrap_or_default()
}

fn those_there() -> String {
    let there: Vec<String> = BACKENDS
        .iter()
        .filter(|(_, built)| *built)
        .flat_map(|(backend, _)| match (*backend, devices(backend).len()) {
            ("cpu", _) => vec!["cpu".to_string()],
            (gpu, count) => (0..count).map(|i| format!("{gpu}:{i}")).collect(),
        })
        .collect();
    format!("Devices that are there: {}", there.join(", "))
}

/// Runs something that may panic in a driver's library, without a word.
fn quietly<T>(f: impl FnOnce() -> T) -> Option<T> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).ok();
    std::panic::set_hook(hook);
    result
}
