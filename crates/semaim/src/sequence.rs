//! From rank keys to sequences: tokens in the order of prediction, and who sees whom (method, section 2).

use burn::tensor::{Int, Tensor, TensorData};
use semaim_kernels::PrefixMask;

use crate::parameters::{WeightError, to_host};

/// Patches in the order in which they are predicted.
///
/// In this order what a token may see is what stands before it: content token i sees content token j iff r_j <= r_i,
/// query i sees it iff r_j < r_i. Everybody sees the class token, which stands first and sees only itself.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// How many of the `1 + patches` content tokens each content token sees.
    pub content: PrefixMask,
    /// How many of the `1 + patches` content tokens each query sees.
    pub query: PrefixMask,
    /// `[batch][place]`: the patch that is predicted there.
    patches: Vec<Vec<usize>>,
    /// Rows of a batch's patches in the order of prediction, `[batch * patches]`.
    in_order: Tensor<1, Int>,
    /// Rows of a batch's sequence in the order of the image, `[batch * patches]`.
    in_image: Tensor<1, Int>,
}

impl Sequence {
    /// From rank keys `[batch, patches]`. Patches with equal keys stand in the order of the image and see each other,
    /// but do not predict each other.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give the keys.
    pub fn of(rank_keys: Tensor<2>) -> Result<Self, WeightError> {
        let [batch, count] = rank_keys.dims();
        let device = rank_keys.device();
        let keys = to_host("rank keys", rank_keys)?.values;
        let (mut content, mut query) = (Vec::new(), Vec::new());
        let mut patches = Vec::with_capacity(batch);
        for keys in keys.chunks(count.max(1)) {
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]).then(a.cmp(&b)));
            // The class token.
            content.push(1);
            let mut start = 0;
            while start < count {
                let same = |&&patch: &&usize| keys[patch] == keys[order[start]];
                let ties = order[start..].iter().take_while(same).count().max(1);
                for _ in 0..ties {
                    content.push((1 + start + ties) as u32);
                    query.push((1 + start) as u32);
                }
                start += ties;
            }
            patches.push(order);
        }
        let mut in_order = Vec::with_capacity(batch * count);
        let mut in_image = vec![0_i64; batch * count];
        for (image, order) in patches.iter().enumerate() {
            for (place, &patch) in order.iter().enumerate() {
                in_order.push((image * count + patch) as i64);
                in_image[image * count + patch] = (image * count + place) as i64;
            }
        }
        let rows = |rows: Vec<i64>| {
            let shape = [rows.len()];
            Tensor::from_data(TensorData::new(rows, shape), &device)
        };
        Ok(Self {
            content: PrefixMask::new(content, batch, 1 + count),
            query: PrefixMask::new(query, batch, 1 + count),
            in_order: rows(in_order),
            in_image: rows(in_image),
            patches,
        })
    }

    /// `[batch][place]`: the patch that is predicted there.
    pub fn patches(&self) -> &[Vec<usize>] {
        &self.patches
    }

    /// From the order of the image to the order of prediction, `[batch, patches, width]`.
    pub fn sort(&self, x: Tensor<3>) -> Tensor<3> {
        take(x, self.in_order.clone())
    }

    /// From the order of prediction back to the order of the image, `[batch, patches, width]`.
    pub fn restore(&self, x: Tensor<3>) -> Tensor<3> {
        take(x, self.in_image.clone())
    }

    /// Who sees whom, by the places of patches in the image.
    pub fn visibility(&self) -> Visibility {
        let count = self.patches.first().map_or(0, Vec::len);
        let mut visibility = Visibility::default();
        let (mut content, mut query) = (self.content.prefix_lens(), self.query.prefix_lens());
        for order in &self.patches {
            let mut seen = vec![false; (1 + count) * (1 + count)];
            let mut by_queries = vec![false; count * (1 + count)];
            let row = |visible: u32, row: &mut [bool]| {
                row[0] = true;
                for &patch in &order[..visible as usize - 1] {
                    row[1 + patch] = true;
                }
            };
            row(content[0], &mut seen[..1 + count]);
            for (place, &patch) in order.iter().enumerate() {
                row(
                    content[1 + place],
                    &mut seen[(1 + patch) * (1 + count)..][..1 + count],
                );
                row(
                    query[place],
                    &mut by_queries[patch * (1 + count)..][..1 + count],
                );
            }
            (content, query) = (&content[1 + count..], &query[count..]);
            visibility.content.extend(seen);
            visibility.query.extend(by_queries);
        }
        visibility
    }
}

/// Who sees whom, by the places of patches in the image; the class token first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visibility {
    /// `[batch, 1 + patches, 1 + patches]`: content tokens, and the content tokens they see.
    pub content: Vec<bool>,
    /// `[batch, patches, 1 + patches]`: queries, and the content tokens they see.
    pub query: Vec<bool>,
}

/// Rows of `[batch, patches, width]`, taken as `[batch * patches, width]`.
fn take(x: Tensor<3>, rows: Tensor<1, Int>) -> Tensor<3> {
    let [batch, patches, width] = x.dims();
    x.reshape([batch * patches, width])
        .select(0, rows)
        .reshape([batch, patches, width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn keys(values: Vec<f32>, shape: [usize; 2]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    #[test]
    fn queries_see_less_than_content_and_ties_see_each_other() {
        let sequence = Sequence::of(keys(vec![1.0, 0.0, 1.0], [1, 3])).unwrap();
        let (t, f) = (true, false);
        let visibility = sequence.visibility();
        assert_eq!(
            visibility.content,
            [t, f, f, f, t, t, t, t, t, f, t, f, t, t, t, t]
        );
        assert_eq!(visibility.query, [t, f, t, f, t, f, f, f, t, f, t, f]);
    }

    #[test]
    fn sorting_and_restoring_are_inverse() {
        let sequence = Sequence::of(keys(vec![2.0, 0.0, 1.0, 0.5, 0.5, 9.0], [2, 3])).unwrap();
        assert_eq!(sequence.patches(), [vec![1, 2, 0], vec![0, 1, 2]]);
        let numbers: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let x =
            Tensor::<3>::from_data(TensorData::new(numbers.clone(), [2, 3, 2]), &Device::flex());
        let sorted = sequence.sort(x);
        let first: Vec<f32> = sorted.clone().into_data().try_to_vec().unwrap();
        assert_eq!(first[..6], [2.0, 3.0, 4.0, 5.0, 0.0, 1.0]);
        let back: Vec<f32> = sequence.restore(sorted).into_data().try_to_vec().unwrap();
        assert_eq!(back, numbers);
    }

    #[test]
    fn keys_that_are_no_numbers_do_not_hang() {
        let sequence = Sequence::of(keys(vec![f32::NAN, 0.0, f32::NAN], [1, 3])).unwrap();
        assert_eq!(sequence.patches(), [vec![1, 0, 2]]);
    }
}
