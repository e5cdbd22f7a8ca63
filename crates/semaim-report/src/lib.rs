//! Pictures for people: what a model attends to, in which order it predicts, what it mistakes, how it learns.
//!
//! [`order_figure`] draws samples with their similarity maps and orders, [`confusion_figure`] what was taken for what;
//! [`encode_png`] makes a file of either. [`LineChart`] gives curves as SVG.
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

mod chart;
mod colour_bar;
mod colour_map;
mod confusion_figure;
mod error;
mod layout;
mod order_figure;
mod paint;
mod panel;
mod picture;
mod png;
mod scale;
mod text;

pub use chart::{LineChart, Scale, Series};
pub use confusion_figure::{ConfusionMatrix, confusion_figure};
pub use error::FigureError;
pub use order_figure::{FigureOptions, OrderRow, order_figure};
pub use picture::RgbView;
pub use png::encode_png;
