//! Bytes to a device, four to a number: a quarter of what floats take on the way.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Bytes on a device, or on their way to one.
#[derive(Clone, Debug)]
pub struct PackedBytes {
    /// Four bytes each, the first in the lowest places: not every device has bytes.
    words: Tensor<1, Int>,
    count: usize,
}

impl PackedBytes {
    /// Sends bytes to a device, which is not waited for.
    pub fn upload(bytes: &[u8], device: &Device) -> Self {
        let words: Vec<i32> = bytes
            .chunks(4)
            .map(|four| {
                let mut word = [0; 4];
                word[..four.len()].copy_from_slice(four);
                i32::from_le_bytes(word)
            })
            .collect();
        let data_len = words.len();
        Self {
            words: Tensor::from_data(TensorData::new(words, [data_len]), device),
            count: bytes.len(),
        }
    }

    /// The bytes as numbers from 0 to 255, `[bytes]`, taken apart on the device.
    pub fn unpack(&self) -> Tensor<1> {
        let count = self.words.dims()[0] as i64;
        let places = [0, 8, 16, 24].map(|shift| {
            let byte = self.words.clone().bitwise_right_shift_scalar(shift);
            byte.bitwise_and_scalar(255).float().reshape([count, 1])
        });
        let numbers: Tensor<2> = Tensor::cat(places.to_vec(), 1);
        let numbers: Tensor<1> = numbers.reshape([4 * count]);
        numbers.narrow(0, 0, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_as_they_are() {
        for count in [1_usize, 2, 3, 4, 6, 1027] {
            let bytes: Vec<u8> = (0..count).map(|i| (i * 37 + 200) as u8).collect();
            let found = PackedBytes::upload(&bytes, &Device::flex()).unpack();
            let found: Vec<f32> = found.into_data().try_to_vec().unwrap();
            let expected: Vec<f32> = bytes.iter().copied().map(f32::from).collect();
            assert_eq!(found, expected);
        }
    }
}
