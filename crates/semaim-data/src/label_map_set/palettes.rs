//! Whether the palettes of label images agree.
//!
//! A label is a place in a palette, whatever its color. Programs that make a palette for each image (adaptive ones, optimizers that
//! reorder or shorten them) give one color other places from image to image: read as places, the classes would be scrambled.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::error::DataError;
use crate::label_map::IGNORED;

/// Red, green and blue.
pub(super) type Color = [u8; 3];

/// A label image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct File {
    /// Its place among those of the set, so that the same files are named whichever thread reads them first.
    pub(super) order: usize,
    pub(super) path: PathBuf,
}

/// The colors that label images give their labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Palettes {
    /// By place that pixels have, the colors that it has. Two say that there is a contradiction; no more are kept.
    places: BTreeMap<u8, Vec<Use>>,
    /// By value of images without a palette, the first that has it.
    grays: BTreeMap<u8, File>,
}

/// A color of a place; ordered by the files that have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    /// The first with it.
    file: File,
    color: Color,
    /// The places that have this color in the palettes of such files, this one among them.
    same: BTreeSet<u8>,
}

impl Palettes {
    /// Adds a label image that has pixels of the labels `used`. A palette of which each is the gray shows values, as none does.
    pub(super) fn add(&mut self, file: &File, used: &[u8], palette: Option<&[Color]>) {
        let palette = palette.filter(|palette| !is_gray_ramp(palette, used));
        for label in used {
            match palette {
                None => self.include_gray(*label, file.clone()),
                // It says nothing, whatever its color.
                Some(_) if *label == IGNORED => {}
                Some(palette) => {
                    // A place past the end has no color that could differ.
                    let Some(color) = palette.get(usize::from(*label)) else {
                        continue;
                    };
                    let places = (0..=u8::MAX).zip(palette);
                    let same = places.filter(|(_, other)| *other == color);
                    let one = Use {
                        file: file.clone(),
                        color: *color,
                        same: same.map(|(place, _)| place).collect(),
                    };
                    self.include(*label, one);
                }
            }
        }
    }

    /// Adds what others have.
    pub(super) fn absorb(&mut self, other: Self) {
        for (place, uses) in other.places {
            for one in uses {
                self.include(place, one);
            }
        }
        for (value, file) in other.grays {
            self.include_gray(value, file);
        }
    }

    /// Leaves out a label that says nothing.
    pub(super) fn leave_out(&mut self, label: u8) {
        self.places.remove(&label);
        self.grays.remove(&label);
    }

    fn include(&mut self, place: u8, one: Use) {
        let uses = self.places.entry(place).or_default();
        match uses.iter().position(|known| known.color == one.color) {
            Some(at) => {
                let known = &mut uses[at];
                known.same.extend(one.same);
                if one.file < known.file {
                    known.file = one.file;
                }
            }
            None => uses.push(one),
        }
        uses.sort();
        uses.truncate(2);
    }

    fn include_gray(&mut self, value: u8, file: File) {
        let first = self.grays.entry(value).or_insert_with(|| file.clone());
        if file < *first {
            *first = file;
        }
    }

    /// Refuses label images of which one color has two places, or one place two colors. Where `are_classes_given` the latter may be
    /// those of two programs that color the same places for the eye: that is said, and otherwise nothing.
    ///
    /// # Errors
    ///
    /// [`DataError::Annotations`] with the first two that differ.
    pub(super) fn check(&self, are_classes_given: bool) -> Result<Option<String>, DataError> {
        let refused = |file: &File, reason: String, otherwise: &str| DataError::Annotations {
            path: file.path.clone(),
            reason: format!(
                "{reason}; a class is its place in the palette, which must be the same in all label images of a set: write them \
                 with one palette, or gray with the class as value{otherwise}"
            ),
        };
        let two_colors = self.place_of_two_colors();
        if let Some((file, reason)) = &two_colors
            && !are_classes_given
        {
            let otherwise = "; where the places are right and colors mean nothing, --classes says what they are";
            return Err(refused(file, reason.clone(), otherwise));
        }
        let two_places = self.color_of_two_places();
        if let Some((file, reason)) = two_places.or_else(|| self.gray_of_another_place()) {
            return Err(refused(file, reason, ""));
        }
        Ok(two_colors.map(|(file, reason)| {
            format!(
                "{}: {reason}; the classes are given, by their places: colors are taken to mean nothing",
                file.path.display()
            )
        }))
    }

    fn place_of_two_colors(&self) -> Option<(&File, String)> {
        self.places.iter().find_map(|(place, uses)| {
            let [first, other] = &uses[..] else {
                return None;
            };
            let reason = format!(
                "place {place} of its palette is {}, but {} in {}",
                written(other.color),
                written(first.color),
                first.file.path.display()
            );
            Some((&other.file, reason))
        })
    }

    fn color_of_two_places(&self) -> Option<(&File, String)> {
        let uses: Vec<(u8, &Use)> = self.uses().collect();
        let pairs = uses.iter().enumerate().flat_map(|(at, one)| {
            let later = uses.iter().skip(at + 1);
            later.map(move |other| (one, other))
        });
        // Where a palette has the color at both places, it may be one palette that all have, or the end of which some lack.
        let mut two = pairs.filter(|((place, one), (other_place, other))| {
            one.color == other.color
                && !one.same.contains(other_place)
                && !other.same.contains(place)
        });
        let ((place, one), (other_place, other)) = two.next()?;
        let [(place, one), (other_place, other)] = match one.file <= other.file {
            true => [(place, one), (other_place, other)],
            false => [(other_place, other), (place, one)],
        };
        let reason = format!(
            "{} is place {other_place} of its palette, but place {place} in {}",
            written(other.color),
            one.file.path.display()
        );
        Some((&other.file, reason))
    }

    /// A gray image beside palettes of grays that agrees with them as it looks and not as it is read: values 0 and 255 beside places 0
    /// and 1 that are black and white. A value that is the gray of no place says that values are no colors.
    fn gray_of_another_place(&self) -> Option<(&File, String)> {
        let gray = |one: &Use| (one.color == [one.color[0]; 3]).then_some(one.color[0]);
        let mut levels: BTreeMap<u8, Vec<(u8, &Use)>> = BTreeMap::new();
        for (place, one) in self.uses() {
            levels.entry(gray(one)?).or_default().push((place, one));
        }
        if self.grays.keys().any(|value| !levels.contains_key(value)) {
            return None;
        }
        self.grays.iter().find_map(|(value, file)| {
            let uses = levels.get(value)?;
            if uses.iter().any(|(_, one)| one.same.contains(value)) {
                return None;
            }
            let (place, one) = uses.first()?;
            let reason = format!(
                "its value {value} is {} as a color, which is place {place} of the palette of {}",
                written(one.color),
                one.file.path.display()
            );
            Some((file, reason))
        })
    }

    /// The places that pixels have, with the colors of each.
    fn uses(&self) -> impl Iterator<Item = (u8, &Use)> {
        let places = self.places.iter();
        places.flat_map(|(place, uses)| uses.iter().map(move |one| (*place, one)))
    }
}

/// Whether each label `used` is the gray of its place, as where a program made a palette for a gray image. Black and white are so in
/// other palettes, too: where there is no other, the whole palette must be so.
fn is_gray_ramp(palette: &[Color], used: &[u8]) -> bool {
    let is_gray = |label: u8| palette.get(usize::from(label)) == Some(&[label; 3]);
    let is_whole = || {
        let mut places = (0..=u8::MAX).zip(palette);
        palette.len() > 1 && places.all(|(place, color)| *color == [place; 3])
    };
    let has_other = used.iter().any(|label| (1..IGNORED).contains(label));
    used.iter().all(|label| is_gray(*label)) && (has_other || is_whole())
}

/// A color as `#ff8000`.
fn written([red, green, blue]: Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLACK: Color = [0; 3];
    const WHITE: Color = [255; 3];
    const RED: Color = [255, 0, 0];
    const BLUE: Color = [0, 0, 255];

    /// What an image uses, and its palette.
    type Image<'a> = (&'a [u8], Option<&'a [Color]>);

    /// What is said of images called `0.png`, `1.png` and so on, the same whatever the order in which they are read.
    fn said(images: &[Image]) -> String {
        let refused = |palettes: &Palettes| match palettes.check(false) {
            Ok(notice) => notice.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        said_by(images, &refused)
    }

    /// What `check` says of them.
    fn said_by(images: &[Image], check: &dyn Fn(&Palettes) -> String) -> String {
        let of = |at: usize| {
            let (used, palette) = images[at];
            let file = File {
                order: at,
                path: PathBuf::from(format!("{at}.png")),
            };
            let mut palettes = Palettes::default();
            palettes.add(&file, used, palette);
            palettes
        };
        let checked = |order: &mut dyn Iterator<Item = usize>| {
            let mut all = Palettes::default();
            order.for_each(|at| all.absorb(of(at)));
            check(&all)
        };
        let forward = checked(&mut (0..images.len()));
        assert_eq!(checked(&mut (0..images.len()).rev()), forward);
        forward
    }

    #[test]
    fn places_that_are_used_have_one_color() {
        let two: &[Color] = &[BLACK, RED];
        let swapped: &[Color] = &[RED, BLACK];
        let found = said(&[
            (&[0, 1], Some(two)),
            (&[], Some(two)),
            (&[1], Some(swapped)),
        ]);
        assert!(
            found.starts_with("2.png: place 1 of its palette is #000000, but #ff0000 in 0.png; "),
            "{found}"
        );
        // Of several the first two that differ are named.
        let other: &[Color] = &[BLACK, BLUE];
        let found = said(&[
            (&[1], Some(two)),
            (&[1], Some(two)),
            (&[1], Some(other)),
            (&[1], Some(swapped)),
        ]);
        assert!(
            found.starts_with("2.png: place 1 of its palette is #0000ff, but #ff0000 in 0.png; "),
            "{found}"
        );
        // What no pixel has says nothing, and neither does a place without a color.
        assert_eq!(said(&[(&[0, 1], Some(two)), (&[0], Some(other))]), "");
        assert_eq!(
            said(&[(&[0, 1], Some(two)), (&[0, 1], Some(&two[..1]))]),
            ""
        );
    }

    #[test]
    fn colors_have_one_place() {
        let first: &[Color] = &[BLACK, RED];
        let found = said(&[(&[0, 1], Some(first)), (&[0, 2], Some(&[BLACK, BLUE, RED]))]);
        assert!(
            found.starts_with("1.png: #ff0000 is place 2 of its palette, but place 1 in 0.png; "),
            "{found}"
        );
        // A palette that was cut to what is used.
        let found = said(&[(&[2], Some(&[BLACK, BLUE, RED])), (&[0], Some(&[RED]))]);
        assert!(
            found.starts_with("1.png: #ff0000 is place 0 of its palette, but place 2 in 0.png; "),
            "{found}"
        );
        // Palettes that have a color twice, all of one color among them.
        assert_eq!(
            said(&[(&[0, 1], Some(first)), (&[0, 2], Some(&[BLACK, RED, RED]))]),
            ""
        );
        let gray = [[7; 3]; 256];
        assert_eq!(
            said(&[(&[0, 1], Some(&gray)), (&[9, 255], Some(&gray))]),
            ""
        );
    }

    #[test]
    fn gray_images_are_taken_beside_palettes_unless_they_are_the_same_grays() {
        let grays: &[Color] = &[BLACK, WHITE];
        let found = said(&[(&[0, 1], Some(grays)), (&[0, 255], None)]);
        assert!(
            found.starts_with(
                "1.png: its value 255 is #ffffff as a color, which is place 1 of the palette of 0.png; "
            ),
            "{found}"
        );
        // The value 1 is no gray of the palette, so 255 need not be either.
        assert_eq!(said(&[(&[0, 1], Some(grays)), (&[0, 1, 255], None)]), "");
        assert_eq!(
            said(&[(&[0, 1], Some(&[BLACK, RED])), (&[0, 1, 255], None)]),
            ""
        );
        let same: Vec<Color> = (0..=255).map(|value| [value; 3]).collect();
        assert_eq!(said(&[(&[0, 3], Some(&same)), (&[0, 3, 255], None)]), "");
        assert_eq!(said(&[(&[0, 85], None), (&[0, 1], None)]), "");
    }

    #[test]
    fn a_ramp_of_grays_is_no_palette() {
        let ramp: Vec<Color> = (0..=255).map(|value| [value; 3]).collect();
        let usual: Vec<Color> = (0..=255).map(|place: u8| [place, 3, 200]).collect();
        // Whole, or right for what is used.
        let mut padded = ramp[..16].to_vec();
        padded.resize(256, BLACK);
        for palette in [&ramp[..], &ramp[..16], &padded[..]] {
            let images: [Image; 2] = [(&[0, 1, 15], Some(&usual)), (&[0, 15], Some(palette))];
            assert_eq!(said(&images), "");
        }
        assert_eq!(said(&[(&[0, 15], Some(&usual)), (&[0], Some(&ramp))]), "");
        // Black at the first place is no ramp.
        let swapped: &[Color] = &[RED, BLACK];
        let found = said(&[(&[0], Some(&[BLACK, RED])), (&[0], Some(swapped))]);
        assert!(
            found.contains("place 0 of its palette is #ff0000"),
            "{found}"
        );
    }

    #[test]
    fn what_says_nothing_has_no_color() {
        let of = |last: Color| {
            let mut palette = vec![BLACK; 256];
            palette[1] = RED;
            palette[255] = last;
            palette
        };
        let (white, blue, red) = (of(WHITE), of(BLUE), of(RED));
        for other in [&blue, &red] {
            let images: [Image; 2] = [(&[0, 1, 255], Some(&white)), (&[0, 1, 255], Some(other))];
            assert_eq!(said(&images), "");
        }
        let without_zero = |palettes: &Palettes| {
            let mut palettes = palettes.clone();
            palettes.leave_out(0);
            palettes
                .check(false)
                .map_or_else(|error| error.to_string(), |_| String::new())
        };
        let images: [Image; 2] = [
            (&[0, 1], Some(&[BLACK, RED])),
            (&[0, 1], Some(&[BLUE, RED])),
        ];
        assert!(!said(&images).is_empty());
        assert_eq!(said_by(&images, &without_zero), "");
    }

    #[test]
    fn two_colors_of_a_place_are_a_notice_where_classes_are_given() {
        let given = |palettes: &Palettes| match palettes.check(true) {
            Ok(notice) => notice.map_or_else(String::new, |text| format!("notice: {text}")),
            Err(error) => format!("error: {error}"),
        };
        let two: &[Color] = &[BLACK, RED];
        let found = said_by(
            &[(&[0, 1], Some(two)), (&[0, 1], Some(&[BLACK, BLUE]))],
            &given,
        );
        assert!(
            found.starts_with(
                "notice: 1.png: place 1 of its palette is #0000ff, but #ff0000 in 0.png; the classes are given"
            ),
            "{found}"
        );
        // One color at two places is refused, where the places have other colors as well.
        for other in [&[BLACK, BLUE, RED][..], &[BLUE, BLACK, RED]] {
            let images: [Image; 2] = [(&[0, 1], Some(two)), (&[0, 1, 2], Some(other))];
            let found = said_by(&images, &given);
            assert!(found.starts_with("error: 1.png: "), "{found}");
        }
        let swapped: [Image; 2] = [(&[0, 1], Some(two)), (&[0, 1], Some(&[RED, BLACK]))];
        let found = said_by(&swapped, &given);
        assert!(found.starts_with("error: 1.png: #"), "{found}");
        assert_eq!(said_by(&[(&[0, 1], Some(two))], &given), "");
    }
}
