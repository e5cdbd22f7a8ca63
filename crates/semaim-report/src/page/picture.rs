//! Pictures within the file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::escape::escape_line;

/// The widest picture that shares its line with others, in pixels.
const SHARED: u32 = 560;

/// A picture of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// The line below; none if blank.
    pub caption: String,
    /// A PNG file ([`encode_png`](crate::encode_png) makes one). For anything else the report says that it is none.
    pub png: Vec<u8>,
    /// What there is to be seen, for those who cannot see it; the caption if blank.
    pub alt: String,
}

/// Pictures beside and below each other; nothing if there is none.
pub(super) fn html(pictures: &[Picture]) -> String {
    if pictures.is_empty() {
        return String::new();
    }
    let figures: Vec<String> = pictures.iter().map(figure).collect();
    format!("<div class=\"pictures\">\n{}</div>\n", figures.concat())
}

fn figure(picture: &Picture) -> String {
    let caption = match picture.caption.trim() {
        "" => String::new(),
        caption => format!("<figcaption>{}</figcaption>\n", escape_line(caption)),
    };
    let Some([width, height]) = size(&picture.png) else {
        return format!(
            "<figure>\n<p class=\"nothing\">This picture is not a PNG file.</p>\n{caption}</figure>\n"
        );
    };
    let class = if width > SHARED {
        " class=\"wide\""
    } else {
        ""
    };
    let alt = match picture.alt.trim() {
        "" => &picture.caption,
        alt => alt,
    };
    // With its size a picture has its place before it is decoded.
    format!(
        "<figure{class}>\n<div class=\"scroll\"><img width=\"{width}\" height=\"{height}\" alt=\"{}\" \
         src=\"data:image/png;base64,{}\"/></div>\n{caption}</figure>\n",
        escape_line(alt),
        STANDARD.encode(&picture.png)
    )
}

/// The width and height that the head of a PNG file tells, in pixels; `None` if it is no such file.
fn size(png: &[u8]) -> Option<[u32; 2]> {
    let head = png.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?;
    let (sides, _) = head.as_chunks::<4>();
    let [width, height, ..] = *sides else {
        return None;
    };
    let sides = [u32::from_be_bytes(width), u32::from_be_bytes(height)];
    // The format allows no other sides.
    let most = i32::MAX as u32;
    sides
        .iter()
        .all(|side| (1..=most).contains(side))
        .then_some(sides)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markup::elements;

    fn picture(width: u32, height: u32) -> Picture {
        let image = image::RgbImage::from_pixel(width, height, image::Rgb([9, 8, 7]));
        Picture {
            caption: "epoch \"1\" <b>".to_owned(),
            png: crate::encode_png(&image).unwrap(),
            alt: String::new(),
        }
    }

    #[test]
    fn the_file_holds_the_picture() {
        let picture = picture(30, 20);
        let html = html(std::slice::from_ref(&picture));
        let image = elements(&html).into_iter().find(|e| e.0 == "img").unwrap();
        assert!(
            image
                .1
                .starts_with("width=\"30\" height=\"20\" alt=\"epoch &quot;1&quot; &lt;b&gt;\"")
        );
        let data = image
            .1
            .split("base64,")
            .nth(1)
            .unwrap()
            .trim_end_matches('"');
        assert_eq!(STANDARD.decode(data).unwrap(), picture.png);
    }

    #[test]
    fn wide_pictures_stand_alone() {
        assert!(html(&[picture(SHARED + 1, 2)]).contains("class=\"wide\""));
        assert!(!html(&[picture(SHARED, 2)]).contains("class=\"wide\""));
    }

    #[test]
    fn what_is_no_picture_is_not_put_in() {
        let good = picture(3, 3);
        let cut = good.png[..20].to_vec();
        let mut flat = good.png.clone();
        flat[16..20].fill(0);
        for png in [Vec::new(), b"<svg onload=alert(1)>".to_vec(), cut, flat] {
            let html = html(&[Picture {
                png,
                ..good.clone()
            }]);
            assert!(elements(&html).iter().all(|e| e.0 != "img"));
            assert!(html.contains("not a PNG file"), "{html}");
        }
        assert_eq!(html(&[]), "");
    }
}
