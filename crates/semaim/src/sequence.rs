//! From rank keys to sequences: tokens in the order of prediction, and who sees whom.

use std::cmp::Ordering;

use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};
use semaim_kernels::{Kernels, PrefixMask, kernels_on};

use crate::parameters::{WeightError, int_to_host, to_host};
use crate::predicted::PredictedPlaces;

/// Patches in the order in which they are predicted.
///
/// In this order what a token may see is what stands before it: content token i sees content token j iff r_j <= r_i,
/// query i sees it iff r_j < r_i. Everybody sees the class token, which stands first and sees only itself; where registers
/// stand between it and the patches, everybody sees them too, and these tokens see each other.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// To how many of the `first + patches` content tokens each content token attends.
    pub content: PrefixMask,
    /// To how many of the `first + patches` content tokens each query attends.
    pub query: PrefixMask,
    /// Tokens before the patches: the class token, and registers where there are any.
    first: usize,
    /// The patch at each place, `[batch, patches]`.
    patch_at: Tensor<2, Int>,
    /// Rows of a batch's patches in the order of prediction, `[batch * patches]`.
    in_order: Tensor<1, Int>,
    /// Rows of a batch's sequence in the order of the image, `[batch * patches]`.
    in_image: Tensor<1, Int>,
}

impl Sequence {
    /// From rank keys `[batch, patches]`. Patches with equal keys stand in the order of the image and see each other,
    /// but do not predict each other. Keys that are no numbers are taken for infinite.
    ///
    /// Where operations are composed nobody waits for the keys.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give the keys.
    pub fn of(rank_keys: Tensor<2>) -> Result<Self, WeightError> {
        Self::after(1, rank_keys)
    }

    /// The same with `first` tokens before the patches: the class token and registers.
    ///
    /// # Errors
    /// As [`Sequence::of`].
    pub fn after(first: usize, rank_keys: Tensor<2>) -> Result<Self, WeightError> {
        let nan = rank_keys.clone().is_nan();
        let rank_keys = rank_keys.mask_fill(nan, f32::INFINITY);
        match kernels_on(&rank_keys.device()) {
            Kernels::Fused => Self::on_host(first, rank_keys),
            Kernels::Composed => Ok(Self::on_device(first, rank_keys)),
        }
    }

    /// By sorting.
    fn on_host(first: usize, rank_keys: Tensor<2>) -> Result<Self, WeightError> {
        let [batch, count] = rank_keys.dims();
        let device = rank_keys.device();
        let keys = to_host("rank keys", rank_keys)?.values;
        let (mut content, mut query) = (Vec::new(), Vec::new());
        let mut patch_at = Vec::with_capacity(batch * count);
        let mut place_of = vec![0_i64; batch * count];
        for (keys, place_of) in keys
            .chunks(count.max(1))
            .zip(place_of.chunks_mut(count.max(1)))
        {
            let mut order: Vec<usize> = (0..count).collect();
            // Stable: equal keys, negative zero among them, stay in the order of the image.
            order.sort_by(|&a, &b| keys[a].partial_cmp(&keys[b]).unwrap_or(Ordering::Equal));
            // The class token and registers.
            content.extend(std::iter::repeat_n(first as u32, first));
            let mut start = 0;
            while start < count {
                let same = |&&patch: &&usize| keys[patch] == keys[order[start]];
                let ties = order[start..].iter().take_while(same).count().max(1);
                for _ in 0..ties {
                    content.push((first + start + ties) as u32);
                    query.push((first + start) as u32);
                }
                start += ties;
            }
            for (place, &patch) in order.iter().enumerate() {
                place_of[patch] = place as i64;
                patch_at.push(patch as i64);
            }
        }
        let whole =
            |values: Vec<i64>| Tensor::from_data(TensorData::new(values, [batch, count]), &device);
        let masks = [content, query].map(|lens| PrefixMask::new(lens, batch, first + count));
        Ok(Self::new(first, masks, whole(patch_at), whole(place_of)))
    }

    /// By comparing each key with each: the framework's own sorting goes by way of the host.
    fn on_device(first: usize, rank_keys: Tensor<2>) -> Self {
        let [batch, count] = rank_keys.dims();
        let device = rank_keys.device();
        let index = Tensor::<1, Int>::arange(0..count as i64, &device);
        let by_row = index.clone().reshape([1, count, 1]);
        let by_column = index.reshape([1, 1, count]);
        let square = [batch, count, count];
        // [batch, patch, other patch]
        let mine = rank_keys.clone().reshape([batch, count, 1]).expand(square);
        let other = rank_keys.reshape([batch, 1, count]).expand(square);
        let lower = other.clone().lower(mine.clone()).int().sum_dim(2);
        let tied = other.equal(mine).int();
        let before = by_column.clone().lower(by_row.clone()).int();
        let place = lower.clone() + (tied.clone() * before).sum_dim(2);
        let upto = lower.clone() + tied.sum_dim(2);
        // [batch, place, patch]: the one that stands there.
        let stands = place.clone().swap_dims(1, 2).expand(square);
        let stands = stands.equal(by_row.expand(square)).int();
        let patch_at = (stands * by_column).sum_dim(2).squeeze_dim::<2>(2);
        // Nothing that a device makes of keys may lead out of an image.
        let patch_at = patch_at.clamp_max(count.saturating_sub(1) as i64);
        let in_order =
            |x: Tensor<3, Int>| x.squeeze_dim::<2>(2).gather(1, patch_at.clone()) + first as i64;
        let before = Tensor::<2, Int>::ones([batch, first], &device) * first as i64;
        let content = Tensor::cat(vec![before, in_order(upto)], 1);
        let masks =
            [content, in_order(lower)].map(|lens| PrefixMask::on_device(lens, first + count));
        Self::new(first, masks, patch_at, place.squeeze_dim(2))
    }

    /// From the masks, the patch at each place and the place of each patch, `[batch, patches]`.
    fn new(
        first: usize,
        [content, query]: [PrefixMask; 2],
        patch_at: Tensor<2, Int>,
        place_of: Tensor<2, Int>,
    ) -> Self {
        let [batch, count] = patch_at.dims();
        let start = Tensor::<1, Int>::arange(0..batch as i64, &patch_at.device());
        let start = start.reshape([batch, 1]) * count as i64;
        let rows = |x: Tensor<2, Int>| (x + start.clone()).reshape([batch * count]);
        Self {
            content,
            query,
            first,
            in_order: rows(patch_at.clone()),
            in_image: rows(place_of),
            patch_at,
        }
    }

    /// `[batch][place]`: the patch that is predicted there.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give them.
    pub fn patches(&self) -> Result<Vec<Vec<usize>>, WeightError> {
        let [_, count] = self.patch_at.dims();
        let patches = int_to_host("order", self.patch_at.clone())?;
        let chunks = patches.chunks(count.max(1));
        Ok(chunks
            .map(|image| image.iter().map(|&patch| patch as usize).collect())
            .collect())
    }

    /// From the order of the image to the order of prediction, `[batch, patches, width]`.
    pub fn sort(&self, x: Tensor<3>) -> Tensor<3> {
        take(x, self.in_order.clone())
    }

    /// From the order of prediction back to the order of the image, `[batch, patches, width]`.
    pub fn restore(&self, x: Tensor<3>) -> Tensor<3> {
        take(x, self.in_image.clone())
    }

    /// The queries of the patches at these places, which must be of as many images of as many patches; `None`: of all.
    pub fn queries(&self, predicted: Option<&PredictedPlaces>) -> Queries {
        let Some(predicted) = predicted else {
            return Queries {
                mask: self.query.clone(),
                rows: self.in_order.clone(),
                are_all: true,
            };
        };
        let [batch, count] = self.patch_at.dims();
        let (places, per_image) = (predicted.places(), predicted.per_image());
        assert_eq!(
            (predicted.patches(), places.len()),
            (count, batch * per_image),
            "places of a batch"
        );
        let of_batch =
            |(i, &place): (usize, &u32)| (i / per_image * count) as i64 + i64::from(place);
        let places: Vec<i64> = places.iter().enumerate().map(of_batch).collect();
        let data = TensorData::new(places, [batch * per_image]);
        let places = Tensor::from_data(data, &self.in_order.device());
        Queries {
            mask: self.query.of_queries(predicted.places()),
            rows: self.in_order.clone().select(0, places),
            are_all: false,
        }
    }

    /// What belongs to each query, `[batch, queries]`, in the order of the image, `[batch, patches]`; zero for patches that are not
    /// predicted.
    pub fn restore_queries(&self, queries: &Queries, x: Tensor<2>) -> Tensor<2> {
        if queries.are_all {
            return self.restore(x.unsqueeze_dim(2)).squeeze_dim(2);
        }
        let ([batch, count], rows) = (self.patch_at.dims(), queries.rows.clone());
        let all = Tensor::<1>::zeros([batch * count], &x.device());
        let x = x.reshape([rows.dims()[0]]);
        all.select_assign(0, rows, x, IndexingUpdateOp::Add)
            .reshape([batch, count])
    }

    /// Who sees whom, by the places of patches in the image.
    ///
    /// # Errors
    /// [`WeightError::Device`] when the backend does not give it.
    pub fn visibility(&self) -> Result<Visibility, WeightError> {
        let lens = |mask: &PrefixMask| int_to_host("mask", mask.prefix_lens());
        let (content, query) = (lens(&self.content)?, lens(&self.query)?);
        let (mut content, mut query) = (content.as_slice(), query.as_slice());
        let mut visibility = Visibility::default();
        let first = self.first;
        for order in self.patches()? {
            let count = order.len();
            let width = first + count;
            let mut by_content = vec![false; width * width];
            let mut by_queries = vec![false; count * width];
            let row = |len: i64, row: &mut [bool]| {
                row[..first].fill(true);
                for &patch in &order[..len as usize - first] {
                    row[first + patch] = true;
                }
            };
            for token in 0..first {
                row(content[token], &mut by_content[token * width..][..width]);
            }
            for (place, &patch) in order.iter().enumerate() {
                row(
                    content[first + place],
                    &mut by_content[(first + patch) * width..][..width],
                );
                row(query[place], &mut by_queries[patch * width..][..width]);
            }
            (content, query) = (&content[width..], &query[count..]);
            visibility.content.extend(by_content);
            visibility.query.extend(by_queries);
        }
        Ok(visibility)
    }
}

/// The queries of a step: one for each patch that is predicted, in the order of prediction.
#[derive(Clone, Debug)]
pub struct Queries {
    /// To how many of the `first + patches` content tokens each query attends.
    pub mask: PrefixMask,
    /// Rows of a batch's patches in the order of the image, `[batch * queries]`: whose query it is.
    rows: Tensor<1, Int>,
    /// Whether every patch has one.
    are_all: bool,
}

impl Queries {
    /// What belongs to the patch of each query, from the order of the image: `[batch, patches, width]` to
    /// `[batch, queries, width]`.
    pub fn take(&self, x: Tensor<3>) -> Tensor<3> {
        take(x, self.rows.clone())
    }
}

/// Who sees whom, by the places of patches in the image; the class token (and registers) first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visibility {
    /// `[batch, first + patches, first + patches]`: content tokens, and the content tokens they see.
    pub content: Vec<bool>,
    /// `[batch, patches, first + patches]`: queries, and the content tokens they see.
    pub query: Vec<bool>,
}

/// Rows of `[batch, patches, width]`, taken as `[batch * patches, width]`; as many of each sample.
fn take(x: Tensor<3>, rows: Tensor<1, Int>) -> Tensor<3> {
    let [batch, patches, width] = x.dims();
    let [taken] = rows.dims();
    x.reshape([batch * patches, width])
        .select(0, rows)
        .reshape([batch, taken / batch.max(1), width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Decoder;
    use burn::tensor::Device;

    fn keys(values: Vec<f32>, shape: [usize; 2]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    #[test]
    fn queries_see_less_than_content_and_ties_see_each_other() {
        let sequence = Sequence::of(keys(vec![1.0, 0.0, 1.0], [1, 3])).unwrap();
        let (t, f) = (true, false);
        let visibility = sequence.visibility().unwrap();
        assert_eq!(
            visibility.content,
            [t, f, f, f, t, t, t, t, t, f, t, f, t, t, t, t]
        );
        assert_eq!(visibility.query, [t, f, t, f, t, f, f, f, t, f, t, f]);
    }

    #[test]
    fn everybody_sees_registers_and_they_see_no_patch() {
        let sequence = Sequence::after(2, keys(vec![1.0, 0.0], [1, 2])).unwrap();
        let (t, f) = (true, false);
        let visibility = sequence.visibility().unwrap();
        let content = [t, t, f, f, t, t, f, f, t, t, t, t, t, t, f, t];
        assert_eq!(visibility.content, content);
        assert_eq!(visibility.query, [t, t, f, t, t, t, f, f]);
    }

    #[test]
    fn sorting_and_restoring_are_inverse() {
        let sequence = Sequence::of(keys(vec![2.0, 0.0, 1.0, 0.5, 0.5, 9.0], [2, 3])).unwrap();
        assert_eq!(sequence.patches().unwrap(), [vec![1, 2, 0], vec![0, 1, 2]]);
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
    fn a_query_of_some_sees_what_it_sees_among_all() {
        let sequence = Sequence::of(keys(
            vec![4.0, 0.0, 2.0, 2.0, 1.0, 0.0, 9.0, 5.0, 5.0, 1.0],
            [2, 5],
        ));
        let sequence = sequence.unwrap();
        let decoder = Decoder {
            predict_fraction: 0.4,
            ..Decoder::default()
        };
        let predicted = PredictedPlaces::draw(&decoder, 5, 2, 0, &[11, 12]).unwrap();
        let queries = sequence.queries(Some(&predicted));
        assert_eq!(queries.mask.prefix_lens().dims(), [2, 2]);
        let lens = |mask: &PrefixMask| int_to_host("mask", mask.prefix_lens()).unwrap();
        let (some, all) = (lens(&queries.mask), lens(&sequence.query));
        let patches = sequence.patches().unwrap();
        let x: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let x = Tensor::<3>::from_data(TensorData::new(x, [2, 5, 1]), &Device::flex());
        let taken = queries.take(x.clone()).squeeze_dim::<2>(2);
        let map = sequence.restore_queries(&queries, taken.clone() + 1.0);
        let [taken, map]: [Vec<f32>; 2] = [taken, map].map(|x| x.into_data().try_to_vec().unwrap());
        let mut expected = vec![0.0; 10];
        for (i, &place) in predicted.places().iter().enumerate() {
            let (image, place) = (i / 2, place as usize);
            assert_eq!(some[i], all[image * 5 + place]);
            let patch = image * 5 + patches[image][place];
            assert_eq!(taken[i], patch as f32);
            expected[patch] = patch as f32 + 1.0;
        }
        assert_eq!(map, expected);
        // All of them, restored, are all.
        let queries = sequence.queries(None);
        let all = sequence.restore_queries(&queries, queries.take(x.clone()).squeeze_dim(2));
        assert_eq!(all.into_data(), x.squeeze_dim::<2>(2).into_data());
    }

    #[test]
    fn keys_that_are_no_numbers_do_not_hang() {
        let sequence = Sequence::of(keys(vec![f32::NAN, 0.0, f32::NAN], [1, 3])).unwrap();
        assert_eq!(sequence.patches().unwrap(), [vec![1, 0, 2]]);
    }

    #[test]
    fn sorting_on_a_device_is_sorting_on_the_host() {
        let numbers = [
            0.0,
            -0.0,
            1.5,
            1.5,
            -2.0,
            f32::INFINITY,
            f32::MIN,
            1.5,
            1e-30,
            0.0,
        ];
        for (batch, count) in [(1, 1), (1, 10), (3, 7), (2, 49)] {
            // Many ties, and orders that differ between images.
            let values = (0..batch * count)
                .map(|i| numbers[i * i % 23 % 10])
                .collect();
            let keys = keys(values, [batch, count]);
            let host = Sequence::on_host(3, keys.clone()).unwrap();
            let device = Sequence::on_device(3, keys);
            assert_eq!(device.patches().unwrap(), host.patches().unwrap());
            assert_eq!(device.visibility().unwrap(), host.visibility().unwrap());
            let x = Tensor::<1, Int>::arange(0..(batch * count) as i64, &Device::flex());
            let x = x.float().reshape([batch, count, 1]);
            let restored = device.restore(host.sort(x.clone()));
            assert_eq!(restored.into_data(), x.clone().into_data());
            let decoder = Decoder {
                predict_fraction: 0.4,
                ..Decoder::default()
            };
            let items: Vec<u64> = (0..batch as u64).collect();
            let predicted = PredictedPlaces::draw(&decoder, count, 0, 0, &items);
            let [host, device] = [&host, &device].map(|s| s.queries(predicted.as_ref()));
            let lens = |queries: &Queries| queries.mask.prefix_lens().into_data();
            assert_eq!(lens(&device), lens(&host));
            let of = |queries: &Queries| queries.take(x.clone()).into_data();
            assert_eq!(of(&device), of(&host));
        }
    }
}
