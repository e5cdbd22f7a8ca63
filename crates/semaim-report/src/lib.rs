//! Pictures for people: what a model attends to, in which order it predicts, what it mistakes, how it learns.
//!
//! A [`ContactSheet`] shows images with maps over them, still or as an animation; a [`ConfusionMatrix`] what was taken for
//! what; a [`LineChart`] curves. A [`Page`] puts them into one HTML file that needs nothing else.
//!
//! ```
//! use semaim_report::{Column, ContactSheet, Panel, Row, Theme, encode_png, rgb_image};
//!
//! let image = rgb_image(2, 2, vec![0, 0, 0, 80, 80, 80, 160, 160, 160, 240, 240, 240])?;
//! let order = Panel::Order { grid: [2, 2], rank_keys: vec![3.0, 0.0, 1.0, 2.0] };
//! let sheet = ContactSheet {
//!     columns: vec![Column::titled("image"), Column::titled("order")],
//!     rows: vec![Row { panels: vec![Panel::Image(image.clone()), order], image, title: None }],
//!     ..ContactSheet::default()
//! };
//! let png = encode_png(&sheet.draw(Theme::Light)?)?;
//! # assert!(png.starts_with(b"\x89PNG"));
//! # Ok::<(), semaim_report::FigureError>(())
//! ```

mod chart;
mod color_map;
mod confusion;
mod contact_sheet;
mod error;
mod font;
mod html;
mod kinds;
mod labels;
mod objects;
mod overlay;
mod paint;
mod png;
mod themed;
mod visual_order;

pub use ::image::RgbImage;
pub use chart::{LineChart, Scale, Series};
pub use confusion::{ConfusionMatrix, percent};
pub use contact_sheet::{Column, ContactSheet, Row};
pub use error::FigureError;
pub use html::{Cell, Fact, Page, Part, Picture, Section};
pub use kinds::{Kind, kind_color};
pub use labels::{draw_labels, with_legend};
pub use objects::{DrawnObject, draw_objects};
pub use overlay::{Panel, rgb_image};
pub use paint::Theme;
pub use png::{encode_apng, encode_gray_png, encode_indexed_png, encode_png};
pub use themed::ThemedPng;
