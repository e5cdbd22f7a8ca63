//! Pictures that appear patch by patch, in the order of prediction.

use image::{Rgb, RgbImage};

use crate::error::FigureError;
use crate::layout::{Filling, Layout, Plan};
use crate::lettering::lettered;
use crate::paint::{Area, fill};
use crate::panel::ring_first;
use crate::panel_figure::{Column, PanelOptions, place};
use crate::patch::patch_area;
use crate::picture::{RgbView, grey};
use crate::picture_size::{check_cell, size_for_grids};
use crate::progress_bar::draw_progress;
use crate::scale::places;

/// The fewest and the most frames.
const FRAMES: [usize; 2] = [1, 1024];
/// The most pixels of all frames together: three bytes each, so 0.8 GB.
const MOST_PIXELS: u64 = 1 << 28;
/// What lies over the grey picture where nothing is predicted yet, and how much of it.
const WASH: (Rgb<u8>, f32) = (Rgb([34, 35, 40]), 0.76);

/// One sample of an animation.
#[derive(Clone, Debug)]
pub struct OrderSample {
    /// The picture, of any shape.
    pub image: RgbView,
    /// `[down, across]` patches.
    pub grid: [usize; 2],
    /// Rank keys, `[down * across]`, row by row: smaller is predicted earlier. Only their order counts, patches with
    /// equal keys appear together, and one with NaN never does.
    pub ranks: Vec<f32>,
    /// A line or two above the sample, shortened where it is too long. All samples get room for one if any has it.
    pub title: Option<String>,
}

/// Draws `frames` pictures, 1 to 1024, in which `samples` appear patch by patch in their orders: in frame `k`, counted
/// from 1, each sample's first `k / frames` have their own colours, the others are dark and grey. A ring is around the
/// patch that comes first, and a bar below the samples shows how far it has come.
///
/// The samples fill `options.groups` columns row by row. `options.heat_name` has no use here.
///
/// # Errors
///
/// [`FigureError::NoRows`] without samples, [`FigureError::EmptyGrid`] without patches, [`FigureError::MapLength`] when
/// the ranks are not one number per patch, [`FigureError::CellSize`] when the cell is out of range,
/// [`FigureError::FrameCount`] when the number of frames is, [`FigureError::TooLarge`] when a side would exceed 16 384
/// pixels and [`FigureError::TooManyPixels`] when all frames together would have more than 2²⁸.
pub fn order_frames(
    samples: &[OrderSample],
    frames: usize,
    options: &PanelOptions,
) -> Result<Vec<RgbImage>, FigureError> {
    check(samples)?;
    check_cell(options.cell)?;
    let [min, max] = FRAMES;
    if !(min..=max).contains(&frames) {
        return Err(FigureError::FrameCount { frames, min, max });
    }
    let sizes: Vec<[u32; 2]> = samples
        .iter()
        .map(|sample| size_for_grids(&sample.image, options.cell, &[sample.grid]))
        .collect();
    let titles: Vec<Option<&str>> = samples.iter().map(|one| one.title.as_deref()).collect();
    let layout = Layout::new(Plan {
        samples: &titles,
        groups: options.groups,
        filling: Filling::Across,
        columns: &[Column::default()],
        sizes: &sizes,
        bars: 1,
        title: &options.title,
        caption: &options.caption,
    })?;
    let [width, height] = layout.size;
    if u64::from(width) * u64::from(height) * frames as u64 > MOST_PIXELS {
        return Err(FigureError::TooManyPixels {
            frames,
            width,
            height,
            limit: MOST_PIXELS,
        });
    }

    let blank = lettered(&layout);
    let mut out = vec![blank; frames];
    for (index, (sample, size)) in samples.iter().zip(sizes).enumerate() {
        let unfolding = Unfolding::new(sample, size);
        // Below the start of its title, wherever the widest picture puts the middle.
        let area = Area {
            width: size[0],
            ..layout.cell(index, 0)
        };
        for (frame, part) in out.iter_mut().zip(1..) {
            place(frame, &unfolding.at([part, frames]), area);
        }
    }
    for (frame, part) in out.iter_mut().zip(1..) {
        for &area in &layout.bars {
            draw_progress(frame, area, "predicted", [part, frames]);
        }
    }
    Ok(out)
}

/// Checks that there are samples and that each has a rank for every patch.
fn check(samples: &[OrderSample]) -> Result<(), FigureError> {
    if samples.is_empty() {
        return Err(FigureError::NoRows);
    }
    for (row, sample) in samples.iter().enumerate() {
        let [height, width] = sample.grid;
        let expected = height.saturating_mul(width);
        if expected == 0 {
            return Err(FigureError::EmptyGrid { height, width });
        }
        let found = sample.ranks.len();
        if found != expected {
            return Err(FigureError::MapLength {
                row,
                map: "ranks",
                expected,
                found,
            });
        }
    }
    Ok(())
}

/// A sample at the size at which it is shown.
struct Unfolding<'a> {
    sample: &'a OrderSample,
    picture: RgbImage,
    dark: RgbImage,
    places: Vec<Option<usize>>,
}

impl Unfolding<'_> {
    fn new(sample: &OrderSample, [width, height]: [u32; 2]) -> Unfolding<'_> {
        let picture = sample.image.resized(width, height);
        let mut dark = grey(&picture);
        let whole = patch_area([width, height], [1, 1], 0);
        fill(&mut dark, whole, WASH.0, WASH.1);
        Unfolding {
            sample,
            picture,
            dark,
            places: places(&sample.ranks),
        }
    }

    /// The sample when `part` of `whole` of its patches are there.
    fn at(&self, [part, whole]: [usize; 2]) -> RgbImage {
        let mut out = self.dark.clone();
        let size = [out.width(), out.height()];
        let patches = self.places.iter().flatten().count();
        for (index, place) in self.places.iter().enumerate() {
            let shown = |place| place as u128 * (whole as u128) < part as u128 * patches as u128;
            if place.is_some_and(shown) {
                let area = patch_area(size, self.sample.grid, index);
                for y in area.y..area.y + area.height {
                    for x in area.x..area.x + area.width {
                        out.put_pixel(x, y, *self.picture.get_pixel(x, y));
                    }
                }
            }
        }
        ring_first(&mut out, &self.sample.ranks, self.sample.grid);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plain red picture.
    fn sample(grid: [usize; 2], ranks: Vec<f32>) -> OrderSample {
        OrderSample {
            image: RgbView::new(32, 32, [200, 40, 40].repeat(32 * 32)).unwrap(),
            grid,
            ranks,
            title: None,
        }
    }

    /// For each frame, which patches of the first sample are shown, by a pixel beside the ring.
    fn shown(samples: &[OrderSample], frames: usize) -> Vec<Vec<bool>> {
        let frames = order_frames(samples, frames, &PanelOptions::default()).unwrap();
        let [down, across] = samples[0].grid;
        let one = |frame: &RgbImage, patch: usize| {
            let (width, height) = (128 / across as u32, 128 / down as u32);
            let x = 20 + patch as u32 % across as u32 * width + 1;
            let y = 20 + patch as u32 / across as u32 * height + 1;
            frame.get_pixel(x, y) == &Rgb([200, 40, 40])
        };
        frames
            .iter()
            .map(|frame| (0..down * across).map(|patch| one(frame, patch)).collect())
            .collect()
    }

    #[test]
    fn patches_appear_in_their_order() {
        let one = [sample([2, 2], vec![3.0, 0.5, 70.0, 4.0])];
        let (yes, no) = (true, false);
        assert_eq!(
            shown(&one, 4),
            [
                [no, yes, no, no],
                [yes, yes, no, no],
                [yes, yes, no, yes],
                [yes; 4]
            ]
        );
        assert_eq!(shown(&one, 2), [[yes, yes, no, no], [yes; 4]]);
        assert_eq!(shown(&one, 1), [[yes; 4]]);
        // More frames than patches: less than one patch is one.
        let eight = shown(&one, 8);
        assert_eq!(eight[0], eight[1]);
        assert_eq!(eight[2], [yes, yes, no, no]);
    }

    #[test]
    fn ties_appear_together_and_nan_never() {
        let one = sample([1, 4], vec![2.0, 1.0, f32::NAN, 1.0]);
        let (yes, no) = (true, false);
        assert_eq!(
            shown(&[one], 3),
            [[no, yes, no, yes], [no, yes, no, yes], [yes, yes, no, yes]]
        );
        assert_eq!(shown(&[sample([1, 2], vec![f32::NAN; 2])], 2), [[no; 2]; 2]);
    }

    #[test]
    fn samples_stand_side_by_side() {
        let options = PanelOptions {
            groups: 2,
            title: "Title".into(),
            ..PanelOptions::default()
        };
        let mut samples = vec![sample([4, 4], vec![1.0; 16]); 3];
        let width = |samples: &[OrderSample]| {
            let frames = order_frames(samples, 2, &options).unwrap();
            assert_eq!(frames[0].dimensions(), frames[1].dimensions());
            frames[0].dimensions()
        };
        assert_eq!(width(&samples).0, 2 * 128 + 30 + 2 * 20);
        let plain = width(&samples).1;
        samples[1].title = Some("one".into());
        assert_eq!(width(&samples).1 - plain, 2 * 22);
        samples[0].grid = [400, 1];
        samples[0].ranks = vec![0.0; 400];
        width(&samples);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let draw = |samples: &[OrderSample], frames, cell| {
            let options = PanelOptions {
                cell,
                ..PanelOptions::default()
            };
            order_frames(samples, frames, &options)
        };
        assert!(matches!(draw(&[], 3, 64), Err(FigureError::NoRows)));
        let good = sample([1, 2], vec![0.0; 2]);
        let bad = sample([1, 2], vec![0.0; 3]);
        let length = draw(&[good.clone(), bad], 3, 64);
        assert!(matches!(
            length,
            Err(FigureError::MapLength {
                row: 1,
                expected: 2,
                found: 3,
                ..
            })
        ));
        let empty = draw(&[sample([0, 2], vec![])], 3, 64);
        assert!(matches!(empty, Err(FigureError::EmptyGrid { .. })));
        let good = [good];
        assert!(matches!(
            draw(&good, 3, 15),
            Err(FigureError::CellSize { .. })
        ));
        for frames in [0, 1025] {
            let count = draw(&good, frames, 64);
            assert!(matches!(count, Err(FigureError::FrameCount { .. })));
        }
        let many = draw(&good, 1000, 1024);
        assert!(matches!(many, Err(FigureError::TooManyPixels { .. })));
    }
}
