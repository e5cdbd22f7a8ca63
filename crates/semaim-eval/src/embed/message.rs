//! Embedded images as bytes, from one process to the others.

use semaim_data::BadImage;
use serde::{Deserialize, Serialize};

use super::Embeddings;

/// All but the features, which follow as they are.
#[derive(Serialize, Deserialize)]
struct Head {
    width: usize,
    items: Vec<u64>,
    labels: Vec<Option<u32>>,
    /// Number, name, error.
    bad: Vec<(u64, String, String)>,
}

/// A message of another process that is none.
#[derive(Debug, thiserror::Error)]
#[error("another process sent embeddings that cannot be read: {0}")]
pub struct MessageError(String);

impl Embeddings {
    /// The same images as bytes.
    pub(super) fn to_message(&self) -> Result<Vec<u8>, MessageError> {
        let bad = self.bad.iter().cloned();
        let head = Head {
            width: self.width,
            items: self.items.clone(),
            labels: self.labels.clone(),
            bad: bad.map(|bad| (bad.item, bad.name, bad.error)).collect(),
        };
        let head = serde_json::to_vec(&head).map_err(|error| MessageError(error.to_string()))?;
        let mut message = (head.len() as u64).to_le_bytes().to_vec();
        message.extend(head);
        message.extend(self.features.iter().flat_map(|value| value.to_le_bytes()));
        Ok(message)
    }

    /// Embedded images out of bytes.
    pub(super) fn of_message(message: &[u8]) -> Result<Self, MessageError> {
        let cut = || MessageError("it is cut short".into());
        let (length, rest) = message.split_first_chunk().ok_or_else(cut)?;
        let length = u64::from_le_bytes(*length) as usize;
        let (head, features) = rest.split_at_checked(length).ok_or_else(cut)?;
        let head: Head =
            serde_json::from_slice(head).map_err(|error| MessageError(error.to_string()))?;
        let (features, rest) = features.as_chunks();
        if !rest.is_empty() || features.len() != head.width * head.items.len() {
            return Err(cut());
        }
        let bad = head.bad.into_iter();
        Ok(Self {
            width: head.width,
            features: features.iter().copied().map(f32::from_le_bytes).collect(),
            items: head.items,
            labels: head.labels,
            bad: bad
                .map(|(item, name, error)| BadImage { item, name, error })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_arrives() {
        let sent = Embeddings {
            width: 3,
            features: vec![0.1, -0.0, f32::MIN_POSITIVE / 8.0, 1e38, 2.0, 3.0],
            items: vec![7, u64::MAX],
            labels: vec![None, Some(3)],
            bad: vec![BadImage {
                item: 8,
                name: "ä.jpg".into(),
                error: "cut short".into(),
            }],
        };
        let message = sent.to_message().unwrap();
        let found = Embeddings::of_message(&message).unwrap();
        let bits = |of: &Embeddings| of.features.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found), bits(&sent));
        assert_eq!(found.items, sent.items);
        assert_eq!(found.labels, sent.labels);
        assert_eq!(found.bad, sent.bad);
        for short in [0, 7, 20, message.len() - 1] {
            assert!(
                Embeddings::of_message(&message[..short]).is_err(),
                "{short}"
            );
        }
    }
}
