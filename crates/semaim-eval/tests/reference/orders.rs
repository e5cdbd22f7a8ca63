//! Kind `orders`: rank keys and visibility of every order.

use burn::tensor::Tensor;
use semaim::grid::Grid;
use semaim::order::PredictionOrder;
use semaim::sequence::Sequence;

use crate::Failure;
use crate::compare::{Comparisons, Tolerance};
use crate::recorded::Recorded;
use crate::settings::order;
use crate::step::noise_of;

pub(crate) fn check(file: &Recorded) -> Result<usize, Failure> {
    let device = crate::device();
    let side: usize = file.number("grid")?;
    let grid = Grid {
        rows: side,
        columns: side,
    };
    if let Some(key) = file
        .keys()
        .into_iter()
        .find(|key| !["kind", "grid", "seed"].contains(key))
    {
        return Err(format!("a setting `{key}` that is not handled"));
    }
    let similarity: Tensor<2> = file.array("similarity")?.tensor(&device)?;
    let [batch, patches] = similarity.dims();
    let mut compare = Comparisons::default();
    let names: Vec<&str> = file
        .tensors
        .keys()
        .filter_map(|name| name.strip_suffix(".rank_key"))
        .collect();
    if names.is_empty() {
        return Err("no rank keys".into());
    }
    for name in file.tensors.keys() {
        let known = name == "similarity"
            || names
                .iter()
                .any(|order| name.starts_with(&format!("{order}.")));
        if !known {
            return Err(format!("a tensor `{name}` that is not handled"));
        }
    }
    for name in names {
        let part = |suffix: &str| {
            file.tensors
                .get(&format!("{name}.{suffix}"))
                .map(|array| array.as_f32())
        };
        let noise = noise_of(
            part("noise0").unwrap_or_else(|| vec![0.0; batch * patches]),
            part("noise1").unwrap_or_else(|| vec![0.0; batch]),
            part("noise2").unwrap_or_else(|| vec![0.0; batch]),
            &device,
        )?;
        let keys = PredictionOrder::new(order(name)?, grid, &device)
            .rank_keys(Some(similarity.clone()), &noise);
        let recorded = file.array(&format!("{name}.rank_key"))?;
        // The recorded square roots are not correctly rounded: the last bit of a key may differ, visibility may not.
        let last_bit = Tolerance::relative(3e-7);
        compare.tensor(
            &format!("{name}.rank_key"),
            keys.clone(),
            recorded,
            last_bit,
        )?;

        let visibility = Sequence::of(keys)
            .and_then(|sequence| sequence.visibility())
            .map_err(|e| e.to_string())?;
        let seen = |all: Vec<bool>| -> Vec<f64> {
            all.into_iter().map(|v| f64::from(u8::from(v))).collect()
        };
        let content = seen(visibility.content);
        let recorded = &file.array(&format!("{name}.content_visible"))?.values;
        compare.slice(
            &format!("{name}.content_visible"),
            &content,
            recorded,
            Tolerance::exact(),
        )?;
        // The class token has no query here.
        let recorded: Vec<f64> = file
            .array(&format!("{name}.query_visible"))?
            .values
            .chunks((patches + 1) * (patches + 1))
            .flat_map(|image| image[patches + 1..].to_vec())
            .collect();
        let query = seen(visibility.query);
        compare.slice(
            &format!("{name}.query_visible"),
            &query,
            &recorded,
            Tolerance::exact(),
        )?;
    }
    Ok(compare.count)
}
