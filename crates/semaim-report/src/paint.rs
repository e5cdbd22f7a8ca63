//! Shapes on pictures, the colors of light and dark pictures, and how their parts are put together.

use image::{Rgb, RgbImage};

use crate::error::FigureError;
use crate::font::Style;

/// Around a figure.
const MARGIN: u32 = 20;
/// The longest side of a figure.
const LIMIT: u64 = 16_384;

/// Whether a picture is for light or for dark surroundings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Dark text on white.
    #[default]
    Light,
    /// Light text on the surface of a report in the dark.
    Dark,
}

impl Theme {
    /// Behind everything.
    pub(crate) fn paper(self) -> Rgb<u8> {
        match self {
            Theme::Light => Rgb([255, 255, 255]),
            Theme::Dark => Rgb([26, 32, 40]),
        }
    }

    /// Titles and names.
    pub(crate) fn ink(self) -> Rgb<u8> {
        match self {
            Theme::Light => Rgb([27, 35, 48]),
            Theme::Dark => Rgb([229, 233, 239]),
        }
    }

    /// Other texts, and lines.
    pub(crate) fn muted(self) -> Rgb<u8> {
        match self {
            Theme::Light => Rgb([74, 84, 99]),
            Theme::Dark => Rgb([158, 171, 188]),
        }
    }
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Area {
    /// The rectangle of `[width, height]` whose upper left corner is at `[x, y]`.
    pub(crate) fn new([x, y]: [u32; 2], [width, height]: [u32; 2]) -> Area {
        Area {
            x,
            y,
            width,
            height,
        }
    }
}

/// Black or white, whichever is told better from the color behind it.
pub(crate) fn ink_on(color: Rgb<u8>) -> Rgb<u8> {
    // Where the contrast with black, (light + 0.05) / 0.05, is that with white, 1.05 / (light + 0.05).
    Rgb([if luminance(color) > 0.179 { 0 } else { 255 }; 3])
}

/// How light a color is, 0 to 1 (the relative luminance of WCAG 2).
pub(crate) fn luminance(Rgb(color): Rgb<u8>) -> f32 {
    let [red, green, blue] = color.map(|channel| (f32::from(channel) / 255.0).powf(2.2));
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// Lays `color` over one pixel, if it is there; `opacity` from 0 to 1.
pub(crate) fn blend(on: &mut RgbImage, x: u32, y: u32, color: Rgb<u8>, opacity: f32) {
    if let Some(pixel) = on.get_pixel_mut_checked(x, y) {
        *pixel = mixed(*pixel, color, opacity);
    }
}

/// `share` of the second color in the first.
pub(crate) fn mixed(Rgb(from): Rgb<u8>, Rgb(to): Rgb<u8>, share: f32) -> Rgb<u8> {
    Rgb(std::array::from_fn(|i| {
        let (from, to) = (f32::from(from[i]), f32::from(to[i]));
        (from + (to - from) * share).round() as u8
    }))
}

/// Lays `color` over a rectangle.
pub(crate) fn fill(on: &mut RgbImage, area: Area, color: Rgb<u8>, opacity: f32) {
    for y in area.y..area.y.saturating_add(area.height).min(on.height()) {
        for x in area.x..area.x.saturating_add(area.width).min(on.width()) {
            blend(on, x, y, color, opacity);
        }
    }
}

/// Draws the outline just inside a rectangle, one pixel wide.
pub(crate) fn outline(on: &mut RgbImage, area: Area, color: Rgb<u8>, opacity: f32) {
    let (right, bottom) = (area.x + area.width, area.y + area.height);
    for y in area.y..bottom.min(on.height()) {
        for x in area.x..right.min(on.width()) {
            if x == area.x || y == area.y || x + 1 == right || y + 1 == bottom {
                blend(on, x, y, color, opacity);
            }
        }
    }
}

/// Draws a smooth ring around the middle of `area`, `radius` pixels from there and `thickness` pixels wide.
pub(crate) fn ring(on: &mut RgbImage, area: Area, radius: f32, thickness: f32, color: Rgb<u8>) {
    let across = area.x as f32 + area.width as f32 / 2.0;
    let down = area.y as f32 + area.height as f32 / 2.0;
    let reach = radius + thickness;
    let span = |middle: f32| (middle - reach).max(0.0) as u32..=(middle + reach).max(0.0) as u32;
    for y in span(down) {
        for x in span(across) {
            let distance = (x as f32 + 0.5 - across).hypot(y as f32 + 0.5 - down);
            let cover = (thickness / 2.0 + 0.5 - (distance - radius).abs()).clamp(0.0, 1.0);
            blend(on, x, y, color, cover);
        }
    }
}

/// A figure that grows downwards by strips of one width.
pub(crate) struct Strips {
    theme: Theme,
    width: u32,
    strips: Vec<RgbImage>,
}

impl Strips {
    /// For strips of `width` pixels.
    ///
    /// # Errors
    /// [`FigureError::TooLarge`].
    pub(crate) fn new(theme: Theme, width: u64) -> Result<Strips, FigureError> {
        check_size(width, 1)?;
        let (width, strips) = (width as u32, Vec::new());
        Ok(Strips {
            theme,
            width,
            strips,
        })
    }

    /// Pixels across, without the margin.
    pub(crate) fn width(&self) -> u32 {
        self.width
    }

    /// Another strip of `height` pixels, to be drawn on.
    ///
    /// # Errors
    /// [`FigureError::TooLarge`] when the figure would be.
    pub(crate) fn add(&mut self, height: u64) -> Result<&mut RgbImage, FigureError> {
        let before: u64 = self
            .strips
            .iter()
            .map(|strip| u64::from(strip.height()))
            .sum();
        check_size(self.width.into(), before.saturating_add(height))?;
        let strip = RgbImage::from_pixel(self.width, height as u32, self.theme.paper());
        self.strips.push(strip);
        // It was just pushed.
        let last = self.strips.len() - 1;
        Ok(&mut self.strips[last])
    }

    /// Free space, unless it would be at the top.
    pub(crate) fn space(&mut self, height: u32) -> Result<(), FigureError> {
        if !self.strips.is_empty() {
            self.add(height.into())?;
        }
        Ok(())
    }

    /// Lines of text with free space above; nothing for an empty text.
    pub(crate) fn text(
        &mut self,
        style: Style,
        text: &str,
        color: Rgb<u8>,
        space: u32,
    ) -> Result<(), FigureError> {
        let lines = style.wrap(text, self.width, usize::MAX);
        if !lines.is_empty() {
            self.space(space)?;
        }
        for line in lines {
            let strip = self.add(style.line_height().into())?;
            style.draw(strip, 0, 0, &line, color);
        }
        Ok(())
    }

    /// The strips below each other, with a margin around them.
    pub(crate) fn stacked(self) -> RgbImage {
        let height: u32 = self.strips.iter().map(RgbImage::height).sum();
        let [width, height] = [self.width, height].map(|side| side + 2 * MARGIN);
        let mut figure = RgbImage::from_pixel(width, height, self.theme.paper());
        let mut y = MARGIN;
        for strip in &self.strips {
            image::imageops::replace(&mut figure, strip, MARGIN.into(), y.into());
            y += strip.height();
        }
        figure
    }
}

/// Refuses a figure whose longer side is too long to be of use.
fn check_size(width: u64, height: u64) -> Result<(), FigureError> {
    let [width, height] = [width, height].map(|side| side.saturating_add(2 * u64::from(MARGIN)));
    if width.max(height) > LIMIT {
        return Err(FigureError::TooLarge {
            width,
            height,
            limit: LIMIT,
        });
    }
    Ok(())
}
