use super::*;
use image::Rgb;

fn grey(width: u32, height: u32) -> RgbView {
    RgbView::from_grey(width, height, &vec![120; (width * height) as usize]).unwrap()
}

fn rising(grid: [usize; 2]) -> Vec<f32> {
    (0..grid[0] * grid[1]).map(|patch| patch as f32).collect()
}

fn heat(grid: [usize; 2]) -> Panel {
    Panel::Heat {
        grid,
        values: rising(grid),
    }
}

fn order(grid: [usize; 2]) -> Panel {
    Panel::Order {
        grid,
        ranks: rising(grid),
    }
}

fn colours(grid: [usize; 2]) -> Panel {
    Panel::Colours {
        grid,
        rgb: vec![[1.0, 0.0, 0.0]; grid[0] * grid[1]],
    }
}

fn row(cells: Vec<Panel>) -> PanelRow {
    PanelRow {
        image: grey(64, 64),
        title: None,
        cells,
    }
}

fn columns(count: usize) -> Vec<Column> {
    (0..count)
        .map(|index| Column::titled(format!("c{index}")))
        .collect()
}

fn draw(count: usize, rows: &[PanelRow]) -> Result<RgbImage, FigureError> {
    panel_figure(&columns(count), rows, &PanelOptions::default())
}

/// The colour in the middle of a cell of 128 pixels, in a figure without row titles.
fn middle(figure: &RgbImage, row: u32, column: u32) -> Rgb<u8> {
    *figure.get_pixel(20 + 134 * column + 66, 42 + 134 * row + 66)
}

#[test]
fn each_kind_of_cell_lies_in_its_place() {
    let white = RgbView::from_grey(1, 1, &[250]).unwrap();
    let first = vec![
        Panel::Picture(white),
        Panel::Empty,
        colours([2, 2]),
        heat([4, 4]),
    ];
    let second = vec![
        order([8, 8]),
        colours([2, 2]),
        Panel::Empty,
        Panel::Picture(grey(3, 3)),
    ];
    let figure = draw(4, &[row(first), row(second)]).unwrap();
    assert_eq!(middle(&figure, 0, 0), Rgb([250; 3]));
    assert_eq!(middle(&figure, 0, 1), Rgb([255; 3]));
    assert_eq!(middle(&figure, 0, 2), Rgb([255, 0, 0]));
    assert_eq!(middle(&figure, 1, 1), Rgb([255, 0, 0]));
    assert_eq!(middle(&figure, 1, 2), Rgb([255; 3]));
    assert_eq!(middle(&figure, 1, 3), Rgb([120; 3]));
    for (row, column) in [(0, 3), (1, 0)] {
        let Rgb([r, g, b]) = middle(&figure, row, column);
        assert!(r != g || g != b, "{row} {column}");
    }
}

#[test]
fn grids_may_differ_within_a_row_and_be_finer_than_pixels() {
    let cells = vec![
        heat([1, 1]),
        order([7, 5]),
        colours([300, 200]),
        heat([16, 14]),
    ];
    let figure = draw(4, &[row(cells)]).unwrap();
    assert_eq!(figure.width(), 4 * 128 + 3 * 6 + 2 * 20);
    assert_eq!(middle(&figure, 0, 2), Rgb([255, 0, 0]));
}

#[test]
fn only_the_bars_that_are_needed_are_there() {
    let height = |cells| draw(1, &[row(cells)]).unwrap().height();
    let none = height(vec![Panel::Picture(grey(2, 2))]);
    assert_eq!(height(vec![colours([4, 4])]), none);
    assert_eq!(height(vec![heat([4, 4])]) - none, 34);
    assert_eq!(height(vec![order([4, 4])]) - none, 34);
    let both = [row(vec![heat([4, 4])]), row(vec![order([4, 4])])];
    let both = draw(1, &both).unwrap().height();
    assert_eq!(both - none, 134 + 34 + 24);
}

#[test]
fn a_long_name_of_the_heat_leaves_room_for_its_colours() {
    let options = PanelOptions {
        heat_name: "a very long name of what the numbers in the maps mean".into(),
        ..PanelOptions::default()
    };
    let rows = [row(vec![heat([4, 4])])];
    let figure = panel_figure(&columns(1), &rows, &options).unwrap();
    let y = figure.height() - 20 - 9;
    let coloured = (0..figure.width())
        .filter(|&x| {
            let Rgb([r, g, b]) = *figure.get_pixel(x, y);
            r.abs_diff(g).max(g.abs_diff(b)) > 30
        })
        .count();
    assert!(coloured > 40, "{coloured}");
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(matches!(draw(1, &[]), Err(FigureError::NoRows)));
    let rows = [row(vec![])];
    assert!(matches!(draw(0, &rows), Err(FigureError::NoColumns)));
    let rows = [row(vec![Panel::Empty; 2]), row(vec![Panel::Empty])];
    assert!(matches!(
        draw(2, &rows),
        Err(FigureError::CellCount {
            row: 1,
            expected: 2,
            found: 1
        })
    ));

    for mut bad in [heat([2, 3]), order([2, 3]), colours([2, 3])] {
        match &mut bad {
            Panel::Heat { values: map, .. } | Panel::Order { ranks: map, .. } => map.push(0.0),
            Panel::Colours { rgb, .. } => rgb.push([0.0; 3]),
            Panel::Picture(_) | Panel::Empty => unreachable!(),
        }
        let rows = [row(vec![Panel::Empty, bad])];
        assert!(matches!(
            draw(2, &rows),
            Err(FigureError::PanelLength {
                row: 0,
                column: 1,
                expected: 6,
                found: 7
            })
        ));
    }
    let empty = draw(1, &[row(vec![heat([0, 3])])]);
    assert!(matches!(
        empty,
        Err(FigureError::EmptyGrid {
            height: 0,
            width: 3
        })
    ));
    let beyond = Panel::Heat {
        grid: [usize::MAX, 2],
        values: vec![0.0],
    };
    let beyond = draw(1, &[row(vec![beyond])]);
    assert!(matches!(beyond, Err(FigureError::PanelLength { .. })));

    for cell in [0, 15, 1025] {
        let options = PanelOptions {
            cell,
            ..PanelOptions::default()
        };
        let figure = panel_figure(&columns(1), &[row(vec![Panel::Empty])], &options);
        assert!(matches!(figure, Err(FigureError::CellSize { .. })));
    }
    let high = vec![row(vec![Panel::Empty]); 200];
    assert!(matches!(draw(1, &high), Err(FigureError::TooLarge { .. })));
    let wide = draw(200, &[row(vec![Panel::Empty; 200])]);
    assert!(matches!(wide, Err(FigureError::TooLarge { .. })));
}
