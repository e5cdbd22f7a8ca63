//! The pictures of a run: the learned orders, and the confusion matrix.

use semaim_eval::classify::Classification;
use semaim_eval::orders::LearnedOrder;
use semaim_report::{
    Column, ConfusionMatrix, ContactSheet, FigureError, Panel, Row, ThemedPng, percent, rgb_image,
};
use semaim_train::config::{Method, OrderSource, PretrainConfig, TargetKind};

/// The picture of learned orders, one row per image.
pub(crate) fn orders(
    found: Vec<LearnedOrder>,
    config: &PretrainConfig,
    title: String,
) -> Result<ThemedPng, FigureError> {
    let grid = config.model.grid();
    let grid = [grid.rows, grid.columns];
    let predicted = found.iter().any(|order| order.prediction.is_some());
    let mut titles = vec!["image", "similarity", "order"];
    if predicted {
        titles.push("prediction");
    }
    let row = |order: LearnedOrder| {
        let [height, width] = order.size.map(|side| side as u32);
        let image = rgb_image(width, height, order.image)?;
        let (values, rank_keys) = (order.similarity, order.rank_keys);
        let mut panels = vec![
            Panel::Image(image.clone()),
            Panel::Heat { grid, values },
            Panel::Order { grid, rank_keys },
        ];
        if predicted {
            panels.push(match order.prediction {
                Some(prediction) => Panel::Image(rgb_image(width, height, prediction)?),
                None => Panel::Empty,
            });
        }
        Ok::<Row, FigureError>(Row {
            image,
            title: None,
            panels,
        })
    };
    ThemedPng::of_sheet(&ContactSheet {
        title,
        caption: caption(config),
        columns: titles.into_iter().map(Column::titled).collect(),
        rows: found.into_iter().map(row).collect::<Result<_, _>>()?,
        groups: 2,
        ..ContactSheet::default()
    })
}

/// What the pictures of a run are called: an order that no network gives is not learned.
pub(crate) fn title_of_orders(config: &PretrainConfig) -> &'static str {
    match follows_similarity(config) {
        true => "Learned orders",
        false => "Orders",
    }
}

fn follows_similarity(config: &PretrainConfig) -> bool {
    config.method == Method::Semaim && config.order_source().is_some()
}

fn caption(config: &PretrainConfig) -> String {
    if config.method == Method::Mae {
        return "order: of masking, drawn at random; prediction: every patch from the first of the order, which alone are seen".into();
    }
    let source = match config.order_source() {
        None => "the order does not follow the similarity. ",
        Some(OrderSource::Model) => "",
        Some(OrderSource::Ema) => "similarity and order: the EMA copy's, as in training. ",
        Some(OrderSource::Maps | OrderSource::Masks) => {
            "similarity and order: the model's own, not those that training is given. "
        }
        Some(OrderSource::Teacher) => "similarity and order: the teacher's, as in training. ",
    };
    let downscale = match config.order.downscale {
        1 => String::new(),
        divisor => format!("similarity of images at 1/{divisor}, as in training. "),
    };
    let rest = if config.target.kind != TargetKind::Pixels {
        "order: warm patches are predicted first"
    } else if config.target.normalize {
        "prediction: each patch from the patches before it, with its own mean and contrast restored"
    } else {
        "prediction: each patch from the patches before it"
    };
    format!("{source}{downscale}{rest}")
}

/// The picture of a confusion matrix.
pub(crate) fn confusion(found: &Classification) -> Result<ThemedPng, FigureError> {
    let matrix = ConfusionMatrix::new(found.classes.clone(), found.confusion.concat())?;
    let title = format!("Top-1 {}", percent(found.accuracy.top1));
    ThemedPng::of_confusion(&matrix, &title)
}
