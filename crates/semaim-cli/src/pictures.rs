//! The picture of the learned orders.

use semaim_eval::orders::LearnedOrder;
use semaim_report::{FigureError, FigureOptions, OrderRow, RgbView, encode_png, order_figure};
use semaim_train::config::{PretrainConfig, TargetKind};

/// The PNG file of a figure, one row per image.
pub(crate) fn orders_png(
    seen: Vec<LearnedOrder>,
    config: &PretrainConfig,
    title: String,
) -> Result<Vec<u8>, FigureError> {
    let rows: Result<Vec<OrderRow>, FigureError> = seen
        .into_iter()
        .map(|order| {
            let [height, width] = order.size.map(|side| side as u32);
            Ok(OrderRow {
                image: RgbView::new(width, height, order.image)?,
                similarity: order.similarity,
                ranks: order.rank_keys,
                title: None,
                reconstruction: order
                    .prediction
                    .map(|prediction| RgbView::new(width, height, prediction))
                    .transpose()?,
            })
        })
        .collect();
    let grid = config.model.grid();
    let caption = if config.target.kind != TargetKind::Pixels {
        "order: warm patches are predicted first"
    } else if config.target.normalise {
        "prediction: each patch from the patches before it, with its own mean and contrast restored"
    } else {
        "prediction: each patch from the patches before it"
    };
    let options = FigureOptions {
        title,
        caption: caption.into(),
        ..FigureOptions::default()
    };
    encode_png(&order_figure(&rows?, [grid.rows, grid.columns], &options)?)
}
