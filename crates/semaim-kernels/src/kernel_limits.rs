//! How far small tensors can be put together on a device, so that one kernel does for many of them.

use burn::tensor::Device;

/// What kernels of a device take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelLimits {
    /// Most tensors that one kernel reads and writes.
    pub tensors: usize,
    /// At multiples of so many 32-bit numbers a part of a tensor can begin without being copied; at least 1.
    pub alignment: usize,
}

/// What kernels of a device take; nothing is known of the CPU, which has no such limits.
pub fn kernel_limits(device: &Device) -> KernelLimits {
    on_device(device).unwrap_or(KernelLimits {
        tensors: usize::MAX,
        alignment: 1,
    })
}

#[cfg(feature = "gpu")]
fn on_device(device: &Device) -> Option<KernelLimits> {
    use burn::backend::DispatchDevice;
    let device = device.clone().inner();
    let DispatchDevice::Cube(device) = device.as_dispatch() else {
        return None;
    };
    let client = device.client();
    let properties = client.properties();
    let bytes = properties.memory.alignment as usize;
    Some(KernelLimits {
        tensors: properties.hardware.max_bindings as usize,
        alignment: bytes.div_ceil(size_of::<f32>()).max(1),
    })
}

#[cfg(not(feature = "gpu"))]
fn on_device(_: &Device) -> Option<KernelLimits> {
    None
}
