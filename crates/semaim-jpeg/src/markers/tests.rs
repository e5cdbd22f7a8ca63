use super::*;

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0xFF, marker];
    out.extend((body.len() as u16 + 2).to_be_bytes());
    out.extend(body);
    out
}

/// The start of a file of three components with ids 1, 2 and 3, with `extra` before the frame.
fn start(frame_marker: u8, precision: u8, extra: &[u8]) -> Vec<u8> {
    let mut code = vec![0];
    code.extend([1; 16]);
    code.extend(0..16);
    let mut varying = code.clone();
    varying[0] = 0x10;
    [
        &[0xFF, 0xD8][..],
        &segment(0xDB, &[[0].as_slice(), &[2; 64]].concat()),
        &segment(0xC4, &[code, varying].concat()),
        extra,
        &segment(
            frame_marker,
            &[precision, 0, 5, 0, 7, 3, 1, 0x21, 0, 2, 0x11, 0, 3, 0x11, 0],
        ),
        &segment(0xDA, &[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]),
    ]
    .concat()
}

#[test]
fn the_simple_kind() {
    let bytes = start(0xC0, 8, &segment(0xDD, &[1, 2]));
    let jpeg = Jpeg::parse(&bytes).unwrap();
    assert_eq!(jpeg.size, [7, 5]);
    assert_eq!(jpeg.components.len(), 3);
    assert_eq!(jpeg.components[0].blocks, [2, 1]);
    assert_eq!(jpeg.first.components[2].steps, [2; 64]);
    assert_eq!(jpeg.colors, Colors::YCbCr);
    assert_eq!(jpeg.process, Process::Sequential);
    assert_eq!(jpeg.first.restart_interval, 258);
    assert_eq!(jpeg.first.data, bytes.len());
    assert!(!jpeg.has_end());
    let whole = [&bytes[..], &[9, 0xFF, 0xD9]].concat();
    assert!(Jpeg::parse(&whole).unwrap().has_end());
    let progressive = start(0xC2, 8, &[]);
    let jpeg = Jpeg::parse(&progressive).unwrap();
    assert_eq!(jpeg.process, Process::Progressive);
}

#[test]
fn colors_are_found_as_libjpeg_finds_them() {
    let jfif = segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    let short = segment(0xE0, b"JFIF\0\x01\x01");
    let adobe = |transform: u8| segment(0xEE, &[b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat());
    let both = |a: &[u8], b: &[u8]| [a, b].concat();
    for (ids, extra, expected) in [
        ([1, 2, 3].as_slice(), vec![], Colors::YCbCr),
        (&[1, 2, 3], adobe(0), Colors::Rgb),
        (&[1, 2, 3], adobe(1), Colors::YCbCr),
        (&[1, 2, 3], adobe(9), Colors::YCbCr),
        (&[1, 2, 3], both(&jfif, &adobe(0)), Colors::YCbCr),
        (&[1, 2, 3], both(&adobe(0), &jfif), Colors::YCbCr),
        (&[1, 2, 3], both(&short, &adobe(0)), Colors::Rgb),
        (b"RGB", vec![], Colors::Rgb),
        (b"RGB", jfif.clone(), Colors::YCbCr),
        (b"RGB", adobe(1), Colors::YCbCr),
        (&[0, 1, 2], vec![], Colors::YCbCr),
        (&[1], adobe(0), Colors::Gray),
        (&[1, 2, 3, 4], vec![], Colors::Cmyk),
        (&[1, 2, 3, 4], jfif.clone(), Colors::Cmyk),
        (&[1, 2, 3, 4], adobe(0), Colors::Cmyk),
        (&[1, 2, 3, 4], adobe(1), Colors::Ycck),
        (&[1, 2, 3, 4], adobe(2), Colors::Ycck),
    ] {
        let mut frame = vec![8, 0, 5, 0, 7, ids.len() as u8];
        let mut scan = vec![ids.len() as u8];
        for &id in ids {
            frame.extend([id, 0x11, 0]);
            scan.extend([id, 0]);
        }
        scan.extend([0, 63, 0]);
        let bytes = [
            &[0xFF, 0xD8][..],
            &extra,
            &segment(0xDB, &[[0].as_slice(), &[2; 64]].concat()),
            &segment(0xC0, &frame),
            &segment(0xDA, &scan),
        ]
        .concat();
        let colors = Jpeg::parse(&bytes).unwrap().colors;
        assert_eq!(colors, expected, "{ids:?} {extra:?}");
    }
}

#[test]
fn the_first_metadata_count() {
    let exif = |text: &[u8]| segment(0xE1, &[b"Exif\0\0", text].concat());
    let xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>");
    let extra = [xmp, exif(b"first"), exif(b"second")].concat();
    let bytes = start(0xC0, 8, &extra);
    let jpeg = Jpeg::parse(&bytes).unwrap();
    assert_eq!(jpeg.exif(), Some(&b"first"[..]));
    assert_eq!(jpeg.xmp(), Some(&b"<x/>"[..]));
}

#[test]
fn what_is_not_decoded_is_named() {
    for (marker, precision, words) in [
        (0xC1, 12, "12 bits"),
        (0xC3, 8, "lossless"),
        (0xC5, 8, "hierarchical"),
        (0xC9, 8, "arithmetic"),
        (0xCA, 8, "arithmetic"),
        (0xCB, 8, "lossless"),
        (0xCE, 8, "hierarchical"),
    ] {
        let error = Jpeg::parse(&start(marker, precision, &[])).unwrap_err();
        assert!(matches!(error, JpegError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn what_is_cut_off_is_refused() {
    let bytes = start(0xC0, 8, &[]);
    for end in 2..bytes.len() {
        let error = Jpeg::parse(&bytes[..end]).unwrap_err();
        assert_eq!(error, JpegError::CutOff, "{end}");
    }
    // What stands between segments and is no marker is passed over.
    let bytes = start(0xC0, 8, &[0, 1, 2, 0xFF, 0xFF]);
    assert!(Jpeg::parse(&bytes).is_ok());
}
