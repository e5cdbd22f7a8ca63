//! How the report looks.

/// The colours of the report on one kind of background, all as `#rrggbb`.
struct Palette {
    /// Behind everything.
    background: &'static str,
    /// Behind charts, tables and key figures.
    surface: &'static str,
    text: &'static str,
    /// Captions and names.
    muted: &'static str,
    /// Borders.
    line: &'static str,
    link: &'static str,
    /// The curves of charts.
    series: [&'static str; 8],
}

const LIGHT: Palette = Palette {
    background: "#f6f7f9",
    surface: "#ffffff",
    text: "#1b2330",
    muted: "#566173",
    line: "#dce1e8",
    link: "#1c5f9e",
    series: [
        "#1f6fb2", "#c8501a", "#15805c", "#9a46b5", "#8d6a00", "#c0336a", "#4f6b79", "#5f55d8",
    ],
};

const DARK: Palette = Palette {
    background: "#11151b",
    surface: "#1a2028",
    text: "#e5e9ef",
    muted: "#9eabbc",
    line: "#303a47",
    link: "#82b9f5",
    series: [
        "#6cb0f0", "#f0905a", "#4fc79a", "#d29be6", "#d9b44a", "#f0809f", "#9db4c0", "#a39cff",
    ],
};

/// The rules that do not depend on colours.
const RULES: &str = include_str!("style.css");

/// The style sheet. It holds no character that is markup.
pub(super) fn sheet() -> String {
    // Paper is light, whatever the screen.
    format!(
        ":root {{ color-scheme: light dark; {} }}\n\
         @media screen and (prefers-color-scheme: dark) {{ :root {{ {} }} }}\n\
         {RULES}",
        LIGHT.variables(),
        DARK.variables()
    )
}

impl Palette {
    fn variables(&self) -> String {
        let named = [
            ("background", self.background),
            ("surface", self.surface),
            ("text", self.text),
            ("muted", self.muted),
            ("line", self.line),
            ("link", self.link),
        ];
        let named = named.map(|(name, colour)| format!("--{name}: {colour};"));
        let series = self.series.iter().enumerate();
        let series: Vec<String> = series
            .map(|(index, colour)| format!("--series-{}: {colour};", index + 1))
            .collect();
        format!("{} {}", named.join(" "), series.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The relative luminance of a colour, from 0 to 1, as WCAG 2.2 defines it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            match value <= 0.04045 {
                true => value / 12.92,
                false => ((value + 0.055) / 1.055).powf(2.4),
            }
        };
        assert!(colour.len() == 7 && colour.starts_with('#'), "{colour}");
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn contrasts_are_enough_on_both_backgrounds() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        for palette in [LIGHT, DARK] {
            for behind in [palette.background, palette.surface] {
                // The least that WCAG asks for: 7 (AAA) and 4.5 (AA) for texts, 3 for what is drawn.
                assert!(contrast(palette.text, behind) >= 7.0);
                assert!(contrast(palette.muted, behind) >= 4.5);
                assert!(contrast(palette.link, behind) >= 4.5);
                for colour in palette.series {
                    assert!(contrast(colour, behind) >= 3.0, "{colour} on {behind}");
                }
            }
        }
    }

    #[test]
    fn all_variables_are_there_and_nothing_is_loaded() {
        let sheet = sheet();
        for (at, _) in sheet.match_indices("var(") {
            let name = sheet[at + 4..].split(')').next().unwrap();
            assert_eq!(sheet.matches(&format!("{name}:")).count(), 2, "{name}");
        }
        for series in 1..=8 {
            assert_eq!(sheet.matches(&format!("--series-{series}:")).count(), 2);
        }
        for word in ["<", ">", "&", "url(", "@import", "http", "@font-face"] {
            assert!(!sheet.contains(word), "{word}");
        }
        assert_eq!(sheet.matches('{').count(), sheet.matches('}').count());
    }
}
