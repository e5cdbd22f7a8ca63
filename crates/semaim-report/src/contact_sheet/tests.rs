//! Tests of contact sheets.

use super::*;
use image::Rgb;

fn row(panels: Vec<Panel>) -> Row {
    let image = RgbImage::from_pixel(32, 32, Rgb([200, 40, 40]));
    Row {
        image,
        title: None,
        panels,
    }
}

fn order(grid: [usize; 2]) -> Panel {
    let rank_keys = (0..grid[0] * grid[1]).map(|key| key as f32).collect();
    Panel::Order { grid, rank_keys }
}

fn sheet(columns: usize, rows: Vec<Row>) -> ContactSheet {
    let columns = (0..columns)
        .map(|n| Column::titled(format!("column {n}")))
        .collect();
    ContactSheet {
        columns,
        rows,
        ..ContactSheet::default()
    }
}

#[test]
fn cells_stand_below_their_headers_and_beside_each_other() {
    let image = |color| Panel::Image(RgbImage::from_pixel(2, 2, Rgb(color)));
    let colors = [[10, 200, 10], [10, 10, 200], [220, 220, 0], [0, 220, 220]];
    let [a, b, c, d] = colors.map(image);
    let mut sheet = sheet(2, vec![row(vec![a, b]), row(vec![c, d])]);
    let area = |figure: &RgbImage, color: [u8; 3]| {
        let at: Vec<(u32, u32)> = figure
            .enumerate_pixels()
            .filter(|p| p.2.0 == color)
            .map(|p| (p.0, p.1))
            .collect();
        assert_eq!(at.len(), 128 * 128, "{color:?}");
        at[0]
    };
    let figure = sheet.draw(Theme::Light).unwrap();
    let [a, b, c, _] = colors.map(|color| area(&figure, color));
    assert_eq!((b.0 - a.0, b.1), (128 + GAP, a.1));
    assert_eq!((c.0, c.1 - a.1), (a.0, 128 + GAP));
    // Groups are filled across.
    sheet.groups = 2;
    let figure = sheet.draw(Theme::Dark).unwrap();
    let [a, _, c, _] = colors.map(|color| area(&figure, color));
    assert_eq!((c.0 - a.0, c.1), (2 * 128 + GAP + GROUP_GAP, a.1));
    assert_eq!(figure.get_pixel(1, 1), &Theme::Dark.paper());
}

#[test]
fn shapes_are_kept_and_patches_are_whole_pixels() {
    let size = |width, height, grids: &[[usize; 2]]| {
        let image = RgbImage::new(width, height);
        let panels = grids
            .iter()
            .map(|&grid| Panel::Heat {
                grid,
                values: Vec::new(),
            })
            .collect();
        cell_size(
            &Row {
                image,
                title: None,
                panels,
            },
            128,
        )
    };
    assert_eq!(size(50, 50, &[]), [128, 128]);
    assert_eq!(size(50, 50, &[[14, 14], [7, 7]]), [126, 126]);
    assert_eq!(
        size(50, 50, &[[14, 14], [16, 16]]),
        [128, 128],
        "112 is far"
    );
    assert_eq!(size(100, 50, &[[4, 10]]), [130, 64]);
    assert_eq!(size(50, 50, &[[300, 1000]]), [128, 128]);
    assert_eq!(size(1000, 1, &[[3, 3]]), [129, 1]);
    assert_eq!(
        size(8, 8, &[[usize::MAX, usize::MAX - 1], [7, 5]]),
        [128, 128]
    );
}

#[test]
fn texts_of_any_length_make_room() {
    let long = "a text that is longer than its place, even on both of its lines ".repeat(4);
    for groups in [0, 1, 2, 9] {
        let mut rows = vec![row(vec![order([4, 4]), Panel::Empty]); 5];
        let plain = sheet(2, rows.clone()).draw(Theme::Light).unwrap();
        rows[1].title = Some(long.clone());
        let mut sheet = ContactSheet {
            groups,
            title: long.clone(),
            caption: long.clone(),
            ..sheet(2, rows)
        };
        sheet.columns[1].subtitle = long.clone();
        sheet.heat_name = long.clone();
        let figure = sheet.draw(Theme::Light).unwrap();
        if groups < 2 {
            assert!(figure.height() > plain.height() + 60);
        }
        let margin = figure
            .enumerate_pixels()
            .filter(|(x, y, _)| *x < 20 || *y < 20 || *x + 20 >= figure.width());
        assert!(
            margin
                .into_iter()
                .all(|(.., pixel)| pixel == &Theme::Light.paper())
        );
    }
}

#[test]
fn frames_unfold_and_end_with_all() {
    let panel = Panel::Unfolding {
        grid: [2, 2],
        rank_keys: vec![3.0, 1.0, 2.0, 0.0],
    };
    let sheet = ContactSheet {
        columns: vec![Column::default()],
        ..sheet(1, vec![row(vec![panel])])
    };
    let frames = sheet.frames(4).unwrap();
    let red = |frame: &RgbImage| frame.pixels().filter(|p| p.0 == [200, 40, 40]).count();
    let counts: Vec<usize> = frames.iter().map(red).collect();
    assert!(counts.is_sorted_by(|a, b| a + 2000 < *b), "{counts:?}");
    assert_eq!(frames[3], sheet.draw(Theme::Light).unwrap());
    let many = ContactSheet {
        cell: 1024,
        ..sheet
    }
    .frames(1000);
    assert!(matches!(many, Err(FigureError::TooManyPixels { .. })));
}

#[test]
fn what_does_not_fit_is_refused() {
    let draw = |columns, rows| sheet(columns, rows).draw(Theme::Light);
    assert!(matches!(draw(1, vec![]), Err(FigureError::Empty)));
    assert!(matches!(
        draw(0, vec![row(vec![])]),
        Err(FigureError::Empty)
    ));
    let count = draw(2, vec![row(vec![order([1, 1])])]);
    assert!(matches!(
        count,
        Err(FigureError::PanelCount {
            row: 0,
            expected: 2,
            found: 1
        })
    ));
    for grid in [[0, 2], [1, 3], [usize::MAX, 2]] {
        let bad = Panel::Heat {
            grid,
            values: vec![0.0; 2],
        };
        let length = draw(2, vec![row(vec![order([1, 1]), bad])]);
        assert!(matches!(
            length,
            Err(FigureError::MapLength { column: 1, .. })
        ));
    }
    let tiny = ContactSheet {
        cell: 15,
        ..sheet(1, vec![row(vec![Panel::Empty])])
    };
    assert!(matches!(
        tiny.draw(Theme::Light),
        Err(FigureError::CellSize { .. })
    ));
    let many = draw(1, vec![row(vec![Panel::Empty]); 200]);
    assert!(matches!(many, Err(FigureError::TooLarge { .. })));
    let wide = draw(200, vec![row(vec![Panel::Empty; 200])]);
    assert!(matches!(wide, Err(FigureError::TooLarge { .. })));
}
