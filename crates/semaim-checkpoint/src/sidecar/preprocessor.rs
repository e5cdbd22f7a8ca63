//! A `preprocessor_config.json` or `processor_config.json`: how Hugging Face's library makes numbers of pixels.

use std::path::{Path, PathBuf};

use semaim::config::covered;
use serde::Deserialize;
use serde_json::Value;

use super::{PREPROCESSOR, PROCESSOR, Sidecar, SidecarError};

/// How far from 1 the product of a `rescale_factor` and 255 may be: written with few digits it is not exact.
const ROUNDED: f64 = 1e-3;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Preprocessor {
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    do_normalize: Option<bool>,
    image_mean: Option<Vec<f32>>,
    image_std: Option<Vec<f32>>,
    // What is only told of, whatever form it has.
    do_resize: Value,
    size: Value,
    resample: Value,
    do_center_crop: Value,
    crop_size: Value,
}

/// Pillow's numbers of ways to resize.
const RESAMPLINGS: [&str; 6] = [
    "nearest", "lanczos", "bilinear", "bicubic", "box", "hamming",
];

impl Preprocessor {
    /// In what its views of whole images differ from ours, in its words; `image_size` is that of the encoder, where it is told.
    fn other_views(&self, image_size: Option<[usize; 2]>) -> Vec<String> {
        let mut differs = Vec::new();
        if self.do_resize == Value::Bool(false) {
            differs.push("do_resize false".to_owned());
        }
        let way = self.resample.as_u64();
        let name = way.and_then(|way| RESAMPLINGS.get(way as usize));
        let is_bicubic = name == Some(&"bicubic") || self.resample == "bicubic";
        if !self.resample.is_null() && !is_bicubic {
            let name = name.map_or(String::new(), |name| format!(" ({name})"));
            differs.push(format!("resample {}{name}", self.resample));
        }
        let side = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64);
        let both = |value: &Value| {
            let number = value.as_u64().map(|side| [side; 2]);
            number.or(side(value, "height")
                .zip(side(value, "width"))
                .map(Into::into))
        };
        let is_cut = self.do_center_crop.as_bool();
        let cut = both(&self.crop_size).filter(|_| is_cut.unwrap_or(true));
        let cut = cut.map(|cut| cut.map(|side| side as usize));
        let short_side = side(&self.size, "shortest_edge").or(self.size.as_u64());
        let as_here = cut.is_some_and(|cut| {
            let [rows, columns] = covered(cut);
            short_side == Some(rows.max(columns) as u64) && image_size.is_none_or(|own| own == cut)
        });
        if !self.size.is_null() && !as_here {
            differs.push(format!("size {}", self.size));
            differs.extend(match cut {
                Some([height, width]) => Some(format!("of which {height} x {width} are cut out")),
                None => (is_cut == Some(false)).then(|| "nothing cut off".to_owned()),
            });
        }
        differs
    }
}

/// What transformers writes of a processor of images and texts, since version 5 in place of a `preprocessor_config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Processor {
    image_processor: Option<Preprocessor>,
}

impl Sidecar {
    /// How images are made ready: by a file of its own, or where there is none by the part of another.
    pub(super) fn read_preprocessor(
        &mut self,
        checkpoint: &Path,
    ) -> Result<Option<(PathBuf, Preprocessor)>, SidecarError> {
        let own = self.read::<Preprocessor>(checkpoint, PREPROCESSOR)?;
        if own.is_some() {
            return Ok(own);
        }
        let whole = self.read::<Processor>(checkpoint, PROCESSOR)?;
        Ok(whole.and_then(|(path, whole)| Some((path, whole.image_processor?))))
    }

    /// How Hugging Face's library makes numbers of pixels. Values of 0..255 that are normalized are those of 0..1 with a mean and
    /// a deviation 255 times smaller.
    pub(super) fn preprocessor(&mut self, config: Preprocessor) -> Result<(), String> {
        self.views_differ(config.other_views(self.image_size));
        let is_rescaled = config.do_rescale.unwrap_or(true);
        if is_rescaled
            && let Some(factor) = config.rescale_factor
            && (factor * 255.0 - 1.0).abs() > ROUNDED
        {
            return Err(format!(
                "rescale_factor {factor} is not computed here, 1/255 is"
            ));
        }
        if config.image_mean.is_some() != config.image_std.is_some()
            && config.do_normalize != Some(false)
        {
            return Err("of image_mean and image_std it gives one without the other".into());
        }
        // Deviations of values of 0..255 are above 1. With smaller ones the values that are not rescaled are of 0..1 already.
        let is_of_bytes = |std: &Vec<f32>| std.iter().any(|&std| std > 1.0);
        let unit: f32 = match &config.image_std {
            _ if is_rescaled => 1.0,
            Some(std) if !is_of_bytes(std) && config.do_normalize != Some(false) => 1.0,
            _ => 255.0,
        };
        let values = if unit > 1.0 { "0..255" } else { "0..1" };
        if config.do_normalize == Some(false) {
            self.unnormalized = Some(1.0 / unit);
            self.assumed.push(format!(
                "images are not normalized, values are of {values} (do_normalize is false)"
            ));
            return Ok(());
        }
        if !is_rescaled {
            self.assumed.push(format!(
                "mean and deviation are of values of {values}, by their size (do_rescale is false)"
            ));
        }
        if !is_rescaled && (config.image_mean.is_none() || config.image_std.is_none()) {
            return Err(
                "do_rescale is false, and image_mean or image_std of values of 0..255 is missing"
                    .into(),
            );
        }
        let of_unit =
            |list: Vec<f32>| -> Vec<f32> { list.into_iter().map(|value| value / unit).collect() };
        self.mean = config.image_mean.map(of_unit).or(self.mean.take());
        self.std = config.image_std.map(of_unit).or(self.std.take());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::beside;

    #[test]
    fn the_part_of_a_processor_that_sees_images_is_looked_into() {
        let whole = r#"{"image_processor": {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6],
            "do_rescale": true, "rescale_factor": 0.00392156862745098}, "processor_class": "CLIPProcessor"}"#;
        let found = beside(&[("processor_config.json", whole)]).unwrap();
        let normalization = found.normalization(3).unwrap();
        assert_eq!(normalization.mean, [0.1, 0.2, 0.3]);
        assert_eq!(normalization.std, [0.4, 0.5, 0.6]);
        assert_eq!(found.names(), "processor_config.json");
        let found = beside(&[("model.processor_config.json", whole)]).unwrap();
        assert_eq!(found.mean, Some(vec![0.1, 0.2, 0.3]));
        // A file of its own comes first.
        let own = r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;
        let both = [
            ("preprocessor_config.json", own),
            ("processor_config.json", whole),
        ];
        assert_eq!(beside(&both).unwrap().mean, Some(vec![0.5; 3]));
        let none = r#"{"processor_class": "CLIPProcessor"}"#;
        let found = beside(&[("processor_config.json", none)]).unwrap();
        assert_eq!(found.mean, None);
        let wrong = r#"{"image_processor": {"rescale_factor": 0.5}}"#;
        let error = beside(&[("processor_config.json", wrong)]).unwrap_err();
        assert!(error.path.ends_with("processor_config.json"), "{error}");
    }

    #[test]
    fn other_views_than_ours_are_said() {
        let said = |text: &str| {
            let found = beside(&[("preprocessor_config.json", text)]).unwrap();
            found.assumed.join("; ")
        };
        for (text, part) in [
            (
                r#"{"size": 224, "resample": 2, "do_center_crop": false}"#,
                "resample 2 (bilinear), size 224, nothing cut off",
            ),
            (r#"{"resample": "bilinear"}"#, "resample \"bilinear\""),
            (
                r#"{"size": {"height": 384, "width": 384}, "resample": 3}"#,
                r#"size {"height":384,"width":384}"#,
            ),
            (
                r#"{"size": 224, "do_center_crop": true, "crop_size": 224, "resample": 3}"#,
                "size 224, of which 224 x 224 are cut out",
            ),
            (r#"{"do_resize": false}"#, "do_resize false"),
        ] {
            assert!(said(text).contains(part), "{}", said(text));
        }
        for same in [
            "{}",
            r#"{"size": {"shortest_edge": 256}, "do_center_crop": true, "crop_size": {"height": 224, "width": 224}, "resample": 3}"#,
            r#"{"size": 256, "do_center_crop": true, "crop_size": 224, "resample": "bicubic"}"#,
        ] {
            assert_eq!(said(same), "", "{same}");
        }
    }

    #[test]
    fn preprocessors_that_leave_a_step_out_are_followed() {
        let read = |text: &str| beside(&[("preprocessor_config.json", text)]);
        let normalization = |text: &str| read(text).unwrap().normalization(3).unwrap();
        let said = r#""image_mean": [127.5, 127.5, 127.5], "image_std": [51.0, 51.0, 51.0]"#;
        let plain = normalization(&format!(r#"{{"do_normalize": false, {said}}}"#));
        assert_eq!((plain.mean, plain.std), (vec![0.0; 3], vec![1.0; 3]));
        let bytes = normalization(&format!(r#"{{"do_rescale": false, {said}}}"#));
        assert_eq!((bytes.mean, bytes.std), (vec![0.5; 3], vec![0.2; 3]));
        let neither = normalization(r#"{"do_rescale": false, "do_normalize": false}"#);
        assert_eq!(
            (neither.mean, neither.std),
            (vec![0.0; 3], vec![1.0 / 255.0; 3])
        );
        let usual = r#"{"do_rescale": true, "rescale_factor": 0.00392156862745098, "image_mean": [0.5, 0.5, 0.5], "image_std": [1, 1, 1]}"#;
        assert_eq!(normalization(usual).mean, [0.5; 3]);
        // Images that something else brought to 0..1.
        let unit = r#"{"do_rescale": false, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}"#;
        assert_eq!(normalization(unit).mean, [0.485, 0.456, 0.406]);
        let said = read(unit).unwrap().assumed.join("; ");
        assert!(said.contains("values of 0..1"), "{said}");
        for (text, part) in [
            (r#"{"rescale_factor": 0.00784313725}"#, "rescale_factor"),
            (r#"{"do_rescale": false}"#, "do_rescale"),
            (r#"{"image_std": [1, 1, 1]}"#, "image_mean"),
            (r#"{"image_mean": [0.5, 0.5, 0.5]}"#, "image_std"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.path.ends_with("preprocessor_config.json"));
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
