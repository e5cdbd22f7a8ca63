//! Pictures for people: what a model attends to, in which order it predicts, what it mistakes, how it learns.
//!
//! [`order_figure`] draws samples with their similarity maps and orders, [`panel_figure`] any columns of pictures and
//! maps, [`confusion_figure`] what was taken for what; [`encode_png`] makes a file of each. [`order_frames`] draws
//! pictures that appear in the order of prediction, of which [`encode_apng`] makes an animated file. [`LineChart`] gives
//! curves as SVG, [`thinned`] makes their points fewer. [`Page`] puts figures, charts, tables and texts into one HTML file
//! that needs nothing else.
//!
//! ```
//! use semaim_report::{FigureOptions, OrderRow, RgbView, encode_png, order_figure};
//!
//! let row = OrderRow {
//!     image: RgbView::from_grey(2, 2, &[0, 80, 160, 240])?,
//!     similarity: vec![0.1, 0.9, 0.3, 0.2],
//!     ranks: vec![3.0, 0.0, 1.0, 2.0],
//!     title: None,
//!     reconstruction: None,
//! };
//! let figure = order_figure(&[row], [2, 2], &FigureOptions::default())?;
//! let png = encode_png(&figure)?;
//! # assert!(png.starts_with(b"\x89PNG"));
//! # Ok::<(), semaim_report::FigureError>(())
//! ```

mod animation;
mod apng;
mod chart;
mod colour_bar;
mod colour_map;
mod confusion_figure;
mod error;
mod escape;
mod layout;
mod lettering;
#[cfg(test)]
mod markup;
mod order_figure;
mod page;
mod paint;
mod panel;
mod panel_figure;
mod patch;
mod picture;
mod picture_size;
mod png;
mod progress_bar;
mod scale;
mod shrink;
mod text;

pub use animation::{OrderSample, order_frames};
pub use apng::encode_apng;
pub use chart::{LineChart, Scale, Series, thinned};
pub use confusion_figure::{ConfusionMatrix, confusion_figure};
pub use error::FigureError;
pub use order_figure::{FigureOptions, OrderRow, order_figure};
pub use page::{Fact, Page, Part, Picture, Section};
pub use panel_figure::{Column, Panel, PanelOptions, PanelRow, panel_figure};
pub use picture::RgbView;
pub use png::encode_png;
