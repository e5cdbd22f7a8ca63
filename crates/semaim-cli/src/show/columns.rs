//! The columns of the picture, as they are asked for.

use semaim::order::Order;
use semaim::similarity::Similarity;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::encoders::EncoderFeatures;

/// What a column shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shown {
    /// The view.
    Image,
    /// The last block's attention from the class token.
    Attention,
    /// A map of similarity; `None`: the run's own, or by the class token.
    Similarity(Option<Similarity>),
    /// An order; `None`: the run's own, or the semantic one.
    Order(Option<Order>),
    /// Principal components of patch tokens.
    Components,
    /// Each patch as predicted from those before it.
    Reconstruction,
}

/// One or more columns, as asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ColumnArg {
    pub(crate) shown: Shown,
    /// The encoder, from 0; `None`: each.
    pub(crate) encoder: Option<usize>,
}

impl ColumnArg {
    /// `order:raster@2` and the like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (rest, encoder) = match text.split_once('@') {
            None => (text, None),
            Some((rest, number)) => match number.parse::<usize>() {
                Ok(number) if number > 0 => (rest, Some(number - 1)),
                _ => return Err(format!("`@{number}`: encoders are counted from 1")),
            },
        };
        let (name, kind) = match rest.split_once(':') {
            Some((name, kind)) => (name, Some(kind)),
            None => (rest, None),
        };
        let shown = match (name, kind) {
            ("image", None) => Shown::Image,
            ("attention", None) => Shown::Attention,
            ("similarity", kind) => Shown::Similarity(kind.map(named).transpose()?),
            ("order", kind) => Shown::Order(kind.map(named).transpose()?),
            ("pca", None) => Shown::Components,
            ("reconstruction", None) => Shown::Reconstruction,
            _ => {
                return Err(format!(
                    "no column is called `{rest}`; there are image, attention, similarity[:cls|gap|self], \
                     order[:KIND], pca, reconstruction"
                ));
            }
        };
        Ok(Self { shown, encoder })
    }

    /// What is shown where nothing is asked for.
    pub(crate) fn usual(reconstruction: bool) -> Vec<Self> {
        let each = |shown| Self {
            shown,
            encoder: None,
        };
        let mut columns = vec![
            each(Shown::Image),
            each(Shown::Attention),
            each(Shown::Similarity(None)),
            each(Shown::Order(None)),
            each(Shown::Components),
        ];
        if reconstruction {
            columns.push(each(Shown::Reconstruction));
        }
        columns
    }
}

impl Shown {
    /// Whether it needs what the run's order follows.
    pub(super) fn follows_order(self) -> bool {
        match self {
            Shown::Similarity(kind) => kind.is_none(),
            Shown::Order(order) => order.is_none_or(Order::needs_similarity),
            Shown::Reconstruction => true,
            Shown::Image | Shown::Attention | Shown::Components => false,
        }
    }

    /// What stands above the column.
    pub(super) fn title(self) -> &'static str {
        match self {
            Shown::Image => "image",
            Shown::Attention => "attention",
            Shown::Similarity(_) => "similarity",
            Shown::Order(_) => "order",
            Shown::Components => "components",
            Shown::Reconstruction => "prediction",
        }
    }

    /// What stands below the title: the encoder, if there are several, and the kind.
    pub(super) fn subtitle(self, encoder: &EncoderFeatures, several: bool) -> String {
        let kind = match self {
            Shown::Similarity(kind) => kind.map_or_else(|| encoder.similarity_name(), name),
            Shown::Order(order) => {
                let order = order.unwrap_or(encoder.order);
                match order.needs_similarity() {
                    true => format!("{} by {}", name(order), encoder.similarity_name()),
                    false => name(order),
                }
            }
            _ => String::new(),
        };
        match (several && self != Shown::Image, kind.as_str()) {
            (false, _) => kind,
            (true, "") => encoder.name.clone(),
            (true, kind) => format!("{}, {kind}", encoder.name),
        }
    }
}

/// What the values of the columns in colors of heat are.
pub(super) fn heat_name(shown: &[Shown]) -> String {
    let attention = shown.contains(&Shown::Attention);
    let similarity = shown
        .iter()
        .any(|shown| matches!(shown, Shown::Similarity(_)));
    match (attention, similarity) {
        (true, true) => "attention and similarity",
        (true, false) => "attention",
        _ => "similarity",
    }
    .to_string()
}

/// What the columns are, where their titles do not say all.
pub(super) fn caption(shown: &[Shown]) -> String {
    let texts = [
        (
            Shown::Attention,
            "attention: the class token's in the last block, averaged over heads",
        ),
        (
            Shown::Components,
            "components: the first three principal components of all patch tokens as red, green, blue",
        ),
        (
            Shown::Reconstruction,
            "prediction: each patch from those before it in the order, of a masked autoencoder all from the first of it",
        ),
    ];
    let texts = texts
        .iter()
        .filter(|(column, _)| shown.contains(column))
        .map(|(_, text)| *text);
    texts.collect::<Vec<_>>().join("; ")
}

/// A value's name in configurations.
pub(super) fn name(value: impl Serialize) -> String {
    json!(value).as_str().unwrap_or_default().to_string()
}

/// A value by its name in configurations.
fn named<'a, T: Deserialize<'a>>(name: &'a str) -> Result<T, String> {
    let text: StrDeserializer<'a, Error> = name.into_deserializer();
    T::deserialize(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read() {
        let parse = |text| ColumnArg::parse(text).unwrap();
        assert_eq!(parse("image").shown, Shown::Image);
        assert_eq!(
            parse("similarity:self@2"),
            ColumnArg {
                shown: Shown::Similarity(Some(Similarity::SelfAttention)),
                encoder: Some(1)
            }
        );
        assert_eq!(
            parse("order:center-out").shown,
            Shown::Order(Some(Order::CenterOut))
        );
        for bad in [
            "",
            "images",
            "order:sideways",
            "image:cls",
            "pca@0",
            "pca@x",
        ] {
            assert!(ColumnArg::parse(bad).is_err(), "{bad}");
        }
    }
}
