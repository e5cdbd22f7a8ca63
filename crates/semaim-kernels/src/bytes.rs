//! Bytes to a device, four to a number: a quarter of what floats take on the way.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// The bytes as numbers from 0 to 255 on a device, `[bytes]`. Four travel as one whole number, because not every device has
/// bytes; they are taken apart there.
pub fn upload_bytes(bytes: &[u8], device: &Device) -> Tensor<1> {
    let words: Vec<i32> = bytes
        .chunks(4)
        .map(|four| {
            let mut word = [0; 4];
            word[..four.len()].copy_from_slice(four);
            i32::from_le_bytes(word)
        })
        .collect();
    let count = words.len();
    let words = Tensor::<1, Int>::from_data(TensorData::new(words, [count]), device);
    let places = [0, 8, 16, 24].map(|shift| {
        let byte = words.clone().bitwise_right_shift_scalar(shift);
        byte.bitwise_and_scalar(255)
            .float()
            .reshape([count as i64, 1])
    });
    let numbers: Tensor<2> = Tensor::cat(places.to_vec(), 1);
    let numbers: Tensor<1> = numbers.reshape([4 * count as i64]);
    numbers.narrow(0, 0, bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_as_they_are() {
        for count in [1_usize, 2, 3, 4, 6, 1027] {
            let bytes: Vec<u8> = (0..count).map(|i| (i * 37 + 200) as u8).collect();
            let found = upload_bytes(&bytes, &Device::flex());
            let found: Vec<f32> = found.into_data().try_to_vec().unwrap();
            let expected: Vec<f32> = bytes.iter().copied().map(f32::from).collect();
            assert_eq!(found, expected);
        }
    }
}
