//! `--device`.

use burn::tensor::{Device, Tensor};
use semaim_kernels::Kernels;

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

/// The device of a name such as `cpu` or `cuda:1`, tried out.
pub(crate) fn parse(name: &str) -> Result<Device, Exit> {
    let (backend, index) = match name.split_once(':') {
        Some((backend, index)) => {
            let index = index.parse().map_err(|_| {
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
        Some(_) => {
            let known = of(backend, index).filter(|_| index < count(backend));
            let device = known.filter(works);
            device.ok_or_else(|| {
                Exit::user(format!("device `{name}` is not there. {}", those_there()))
            })
        }
    }
}

/// Which form of the operations runs on a device.
pub(crate) fn kernels(name: &str) -> Kernels {
    match name.split(':').next() {
        Some("cpu") => semaim_kernels::chosen(),
        _ => Kernels::Composed,
    }
}

fn of(backend: &str, index: usize) -> Option<Device> {
    // Each build has some of these; `index` is unused in one without any GPU.
    let _ = index;
    match backend {
        "cpu" => Some(Device::flex()),
        #[cfg(feature = "cuda")]
        "cuda" => Some(Device::cuda(index)),
        #[cfg(feature = "rocm")]
        "rocm" => Some(Device::rocm(index)),
        #[cfg(feature = "metal")]
        "metal" => Some(Device::metal(burn::tensor::DeviceKind::DiscreteGpu(index))),
        #[cfg(feature = "vulkan")]
        "vulkan" => Some(Device::vulkan(burn::tensor::DeviceKind::DiscreteGpu(index))),
        #[cfg(feature = "wgpu")]
        "wgpu" => Some(Device::wgpu(burn::tensor::DeviceKind::DiscreteGpu(index))),
        _ => None,
    }
}

/// How many devices of a backend there are. Drivers that are not installed make some backends panic; that
/// counts as none.
fn count(backend: &str) -> usize {
    let enumerate = || -> usize {
        match backend {
            "cpu" => 1,
            #[cfg(feature = "cuda")]
            "cuda" => Device::enumerate(burn::tensor::DeviceType::Cuda)
                .into_vec()
                .len(),
            #[cfg(feature = "rocm")]
            "rocm" => Device::enumerate(burn::tensor::DeviceType::Rocm)
                .into_vec()
                .len(),
            #[cfg(feature = "metal")]
            "metal" => Device::enumerate(burn::tensor::DeviceType::Metal)
                .into_vec()
                .len(),
            #[cfg(feature = "vulkan")]
            "vulkan" => Device::enumerate(burn::tensor::DeviceType::Vulkan)
                .into_vec()
                .len(),
            #[cfg(feature = "wgpu")]
            "wgpu" => Device::enumerate(burn::tensor::DeviceType::Wgpu)
                .into_vec()
                .len(),
            _ => 0,
        }
    };
    quietly(enumerate).unwrap_or(0)
}

fn those_there() -> String {
    let there: Vec<String> = BACKENDS
        .iter()
        .filter(|(_, built)| *built)
        .flat_map(|(backend, _)| match (*backend, count(backend)) {
            ("cpu", _) => vec!["cpu".to_string()],
            (gpu, count) => (0..count).map(|i| format!("{gpu}:{i}")).collect(),
        })
        .collect();
    format!("Devices that are there: {}", there.join(", "))
}

/// Whether a device can add.
fn works(device: &Device) -> bool {
    let device = device.clone();
    quietly(move || {
        let sum = (Tensor::<1>::ones([2], &device) + 1.0).try_into_data();
        sum.is_ok_and(|sum| sum.try_to_vec::<f32>().is_ok_and(|v| v == [2.0, 2.0]))
    })
    .unwrap_or(false)
}

/// Runs something that may panic in a driver's library, without a word.
fn quietly<T: Send + 'static>(f: impl FnOnce() -> T) -> Option<T> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).ok();
    std::panic::set_hook(hook);
    result
}
