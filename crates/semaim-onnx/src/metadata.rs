//! What a file says beside its graph: how images are prepared, and what the classes are.

use semaim::config::{Normalization, VitConfig};
use serde_json::{Value, json};

use crate::proto::StringStringEntryProto;
use crate::size::ImageSize;

/// What is said of a model beside its network.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// How images are normalized, after their values have been divided by 255.
    pub normalization: &'a Normalization,
    /// The names of the classes, by number; none of an encoder.
    pub classes: &'a [String],
    /// How images are resized and cut before, as the kind of model has it.
    pub resize: Value,
}

/// The entries of the metadata, in a fixed order.
pub(crate) fn entries(
    kind: &str,
    config: &VitConfig,
    size: ImageSize,
    about: &About<'_>,
) -> Vec<StringStringEntryProto> {
    let [height, width] = config.image_size;
    let sides = match size {
        ImageSize::Fixed => json!({"height": height, "width": width}),
        ImageSize::Dynamic(_) => json!({"multiple_of": config.patch_size}),
    };
    let input = json!({
        "layout": "NCHW",
        "channels": config.channels,
        "colors": match config.channels { 1 => "gray", 3 => "RGB", _ => "as trained" },
        "size": sides,
        "resize": about.resize,
        "rescale": 1.0 / 255.0,
        "mean": about.normalization.mean,
        "std": about.normalization.std,
    });
    let mut entries = vec![("semaim.kind", json!(kind)), ("semaim.input", input)];
    if !about.classes.is_empty() {
        entries.push(("semaim.classes", json!(about.classes)));
    }
    let entry = |(key, value): (&str, Value)| StringStringEntryProto {
        key: key.into(),
        value: match value {
            Value::String(text) => text,
            other => other.to_string(),
        },
    };
    entries.into_iter().map(entry).collect()
}
