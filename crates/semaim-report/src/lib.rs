//! Pictures for people: what a model attends to and in which order it predicts.
//!
//! [`order_figure`] draws samples with their similarity maps and orders, [`encode_png`] makes a file of it.
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

mod colour_bar;
mod colour_map;
mod error;
mod layout;
mod order_figure;
mod paint;
mod panel;
mod picture;
mod png;
mod scale;
mod text;

pub use error::FigureError;
pub use order_figure::{FigureOptions, OrderRow, order_figure};
pub use picture::RgbView;
pub use png::encode_png;
