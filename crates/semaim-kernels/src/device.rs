//! Devices by name: `cpu`, or a backend with the number of an adapter, as in `cuda:1`.

use std::panic::{self, AssertUnwindSafe};

use burn::tensor::{Device, DeviceType};

use crate::fused::simd::Cpu;

/// The backends that devices can have.
const BACKENDS: [&str; 6] = ["cpu", "cuda", "rocm", "metal", "vulkan", "wgpu"];

/// The framework's backend of a name, in a build that has it.
fn backend(name: &str) -> Option<DeviceType> {
    match name {
        "cpu" => Some(DeviceType::Flex),
        #[cfg(feature = "cuda")]
        "cuda" => Some(DeviceType::Cuda),
        #[cfg(feature = "rocm")]
        "rocm" => Some(DeviceType::Rocm),
        #[cfg(feature = "metal")]
        "metal" => Some(DeviceType::Metal),
        #[cfg(feature = "vulkan")]
        "vulkan" => Some(DeviceType::Vulkan),
        #[cfg(feature = "wgpu")]
        "wgpu" => Some(DeviceType::Wgpu),
        _ => None,
    }
}

/// A device with the name that it is found by.
#[derive(Clone, Debug)]
pub struct NamedDevice {
    /// Such as `cpu` or `cuda:1`.
    pub name: String,
    /// The device.
    pub device: Device,
}

/// Why there is no device of a name.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// What follows the backend is no number.
    #[error("device `{name}`: `{index}` is no number; write {backend}:0")]
    Index {
        /// What was asked for.
        name: String,
        /// Its backend.
        backend: String,
        /// What stands in the number's place.
        index: String,
    },
    /// A backend that does not exist.
    #[error(
        "unknown device `{name}`; devices are {}, GPUs with an index as in cuda:0. Devices that are there: {}",
        BACKENDS.join(", "),
        there.join(", ")
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names of the devices that are there.
        there: Vec<String>,
    },
    /// A backend that this build lacks.
    #[error(
        "this build has no `{backend}`; build it with `cargo build --release --features {backend}`. Devices that are there: {}",
        there.join(", ")
    )]
    NotBuilt {
        /// The backend.
        backend: String,
        /// Names of the devices that are there.
        there: Vec<String>,
    },
    /// No adapter of this number.
    #[error("device `{name}` is not there. Devices that are there: {}", there.join(", "))]
    Missing {
        /// What was asked for.
        name: String,
        /// Names of the devices that are there.
        there: Vec<String>,
    },
}

/// The device of a name: the N-th adapter that the framework lists for a backend, of whatever kind.
///
/// # Errors
/// [`DeviceError`].
pub fn find(name: &str) -> Result<Device, DeviceError> {
    let (kind, index) = name.split_once(':').unwrap_or((name, "0"));
    let name = name.to_string();
    let Ok(number) = index.parse::<usize>() else {
        return Err(DeviceError::Index {
            name,
            backend: kind.into(),
            index: index.into(),
        });
    };
    if !BACKENDS.contains(&kind) {
        return Err(DeviceError::Unknown {
            name,
            there: names(),
        });
    }
    let Some(backend) = backend(kind) else {
        return Err(DeviceError::NotBuilt {
            backend: kind.into(),
            there: names(),
        });
    };
    adapters(backend)
        .into_iter()
        .nth(number)
        .ok_or_else(|| DeviceError::Missing {
            name,
            there: names(),
        })
}

/// Every device that this build can open, the CPU first.
pub fn all() -> Vec<NamedDevice> {
    let named = |kind: &'static str| {
        let found = backend(kind).map(adapters).unwrap_or_default();
        found.into_iter().enumerate().map(move |(i, device)| {
            let name = match kind {
                "cpu" => kind.to_string(),
                gpu => format!("{gpu}:{i}"),
            };
            NamedDevice { name, device }
        })
    };
    BACKENDS.into_iter().flat_map(named).collect()
}

fn names() -> Vec<String> {
    all().into_iter().map(|found| found.name).collect()
}

/// The devices of a backend, as the framework lists them. Drivers that are not installed make some backends panic; that
/// counts as none.
fn adapters(backend: DeviceType) -> Vec<Device> {
    quietly(|| Device::enumerate(backend).into_vec()).unwrap_or_default()
}

/// What a device says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The adapter's name.
    pub adapter: String,
    /// `CPU`, `GPU`, or more exactly where the backend tells: `discrete GPU`, `integrated GPU`, `virtual GPU`, `software`.
    pub kind: &'static str,
    /// Bytes that it has for tensors, where the backend tells: CUDA, ROCm and Metal do.
    pub memory: Option<u64>,
}

/// What a device says of itself. It is opened for that; `None` where it cannot be.
pub fn describe(device: &Device) -> Option<Description> {
    if *device == Device::flex() {
        let instructions = format!("{:?}", Cpu::get()).to_lowercase();
        return Some(Description {
            adapter: format!("{}, {instructions}", std::env::consts::ARCH),
            kind: "CPU",
            memory: None,
        });
    }
    Some(Description {
        adapter: quietly(|| identity(device)).ok()??,
        kind: kind(device),
        memory: quietly(|| memory(device)).ok()?,
    })
}

#[cfg(feature = "gpu")]
fn identity(device: &Device) -> Option<String> {
    device.identity().map(|identity| identity.name)
}

#[cfg(not(feature = "gpu"))]
fn identity(_: &Device) -> Option<String> {
    None
}

#[cfg(feature = "gpu")]
fn memory(device: &Device) -> Option<u64> {
    use burn::backend::DispatchDevice;
    let device = device.clone().inner();
    let DispatchDevice::Cube(device) = device.as_dispatch() else {
        return None;
    };
    device.client().properties().memory.max_memory()
}

#[cfg(not(feature = "gpu"))]
fn memory(_: &Device) -> Option<u64> {
    None
}

#[cfg(any(feature = "metal", feature = "vulkan", feature = "wgpu"))]
fn kind(device: &Device) -> &'static str {
    use burn::backend::{CubeDevice, DispatchDevice, WgpuDeviceKind};
    let DispatchDevice::Cube(CubeDevice::Wgpu(device)) = device.as_dispatch() else {
        return "GPU";
    };
    match device.kind {
        WgpuDeviceKind::DiscreteGpu(_) => "discrete GPU",
        WgpuDeviceKind::IntegratedGpu(_) => "integrated GPU",
        WgpuDeviceKind::VirtualGpu(_) => "virtual GPU",
        WgpuDeviceKind::Cpu => "software",
        _ => "other",
    }
}

#[cfg(not(any(feature = "metal", feature = "vulkan", feature = "wgpu")))]
fn kind(_: &Device) -> &'static str {
    "GPU"
}

/// Runs something that may panic in a driver's library, without a word on the screen.
///
/// # Errors
/// What the panic said.
pub fn quietly<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    panic::set_hook(hook);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        text.unwrap_or("it panicked").to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_found_by_its_name_and_listed_first() {
        assert_eq!(find("cpu").unwrap(), Device::flex());
        let all = all();
        assert_eq!(all[0].name, "cpu");
        assert_eq!(describe(&all[0].device).unwrap().kind, "CPU");
        for found in all {
            assert_eq!(find(&found.name).unwrap(), found.device);
        }
    }

    #[test]
    fn other_names_are_refused_with_what_is_there() {
        let refusal = |name| find(name).unwrap_err().to_string();
        for (name, told) in [
            ("gpu", "unknown device `gpu`"),
            ("cuda:x", "write cuda:0"),
            ("cpu:1", "`cpu:1` is not there. Devices that are there: cpu"),
        ] {
            assert!(refusal(name).contains(told), "{}", refusal(name));
        }
        if cfg!(not(feature = "cuda")) {
            assert!(refusal("cuda:0").contains("--features cuda"));
        }
    }

    #[test]
    fn a_panic_is_caught_with_what_it_says() {
        let number = 3;
        assert_eq!(quietly(|| number), Ok(3));
        assert_eq!(
            quietly(|| panic!("driver {number}")),
            Err::<(), _>("driver 3".into())
        );
        assert_eq!(quietly(|| panic!("driver")), Err::<(), _>("driver".into()));
    }
}
