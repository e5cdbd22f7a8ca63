//! What is taken for granted of an encoder is said where it is read.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use semaim::config::Normalization;
use semaim_checkpoint::encoder::write_encoder;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::with_default;
use tracing::{Event, Level, Metadata, Subscriber};

use super::*;

/// Keeps the text of warnings.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Text(self));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text<'a>(&'a Kept);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let mut kept = self.0.0.lock().unwrap();
            kept.push(format!("{value:?}"));
        }
    }
}

/// What is said when an encoder is read.
fn said(source: &WeightsSource) -> Vec<String> {
    let kept = Kept::default();
    with_default(kept.clone(), || source.encoder(&Device::flex()).unwrap());
    let lines = kept.0.lock().unwrap();
    lines.clone()
}

#[test]
fn encoders_are_not_read_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "model.safetensors", plain());
    let config = json!({"model_type": "vit"}).to_string();
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let source = WeightsSource::new(&path);
    let lines = said(&source);
    let expected = [
        "gelu, as all of timm have (--activation)",
        "12 heads, as transformers' `vit` has",
        "images are normalized as is usual for timm",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for part in expected {
        let said = format!("{}: assumed: {part}", path.display());
        assert!(lines.iter().any(|line| line.starts_with(&said)), "{said}");
    }
    // How positions are resized, where they are.
    let resized = WeightsSource {
        image_size: Some([32, 32]),
        ..source
    };
    let lines = said(&resized);
    let part = "the position table is resized as timm does it";
    assert!(lines.iter().any(|line| line.contains(part)), "{lines:?}");
    // Ours says all of itself.
    let vit = initialize(Vit::zeros(&self::config(), &Device::flex()), 5);
    let ours = folder.path().join("encoder.safetensors");
    write_encoder(&ours, &vit, &self::config(), &Normalization::usual(3)).unwrap();
    let lines = said(&WeightsSource {
        image_size: Some([32, 32]),
        ..WeightsSource::new(&ours)
    });
    assert!(lines.is_empty(), "{lines:?}");
}
