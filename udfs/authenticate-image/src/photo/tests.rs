//! Photos as they are sent: good, damaged and hostile.

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb, Rgba};

use super::*;
use crate::testing::{Random, encoded, picture};

const FORMATS: [ImageFormat; 4] = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP];

fn decoded(bytes: &[u8]) -> Result<Photo, PhotoError> {
    Photo::decode(bytes, &Limits::default())
}

fn status(bytes: &[u8]) -> &'static str {
    decoded(bytes).map_or_else(|error| error.status(), |_| "ok")
}

#[test]
fn four_formats_are_read() {
    for (format, name) in FORMATS.into_iter().zip([Format::Jpeg, Format::Png, Format::Gif, Format::WebP]) {
        let bytes = encoded(&picture(40, 30), format);
        let photo = decoded(&bytes).unwrap();
        assert_eq!((photo.pixels.width, photo.pixels.height, photo.original), (40, 30, (40, 30)));
        assert_eq!((photo.format, photo.frames, photo.byte_length), (name, 1, bytes.len() as u64));
        assert_eq!(photo.jpeg.is_some(), name == Format::Jpeg);
        assert!(!photo.sixteen_bit && !photo.greyscale && !photo.cmyk);
        assert_eq!(photo.media_type(), format!("image/{}", name.name().to_lowercase()));
    }
}

#[test]
fn the_file_has_a_fingerprint() {
    let png = encoded(&picture(1, 1), ImageFormat::Png);
    let photo = decoded(&png).unwrap();
    assert_eq!(photo.sha256.len(), 64);
    assert!(photo.sha256.bytes().all(|digit| digit.is_ascii_hexdigit()));
    assert_eq!(photo.pixels.rgb, [0, 0, 0]);
}

#[test]
fn half_a_photo_is_refused() {
    for format in FORMATS {
        let bytes = encoded(&picture(64, 64), format);
        for length in (12..bytes.len() - 2).step_by(7) {
            assert_eq!(status(&bytes[..length]), "truncated", "{format:?} {length} of {}", bytes.len());
        }
    }
    assert_eq!(status(b""), "empty");
    assert_eq!(status(b"no photo at all"), "not_an_image");
    assert_eq!(status(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "unsupported_format");
}

/// Only the header of the PNG says that it has 100 megapixels.
#[test]
fn a_bomb_is_refused_by_its_header() {
    let mut bytes = encoded(&picture(8, 8), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&10_000_u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&10_000_u32.to_be_bytes());
    let begun = std::time::Instant::now();
    let error = decoded(&bytes).unwrap_err();
    assert!(begun.elapsed().as_millis() < 5);
    assert_eq!(error.to_string(), "expected at most 50000000 pixels, found 100000000");

    let mut bytes = encoded(&picture(8, 8), ImageFormat::Jpeg);
    let frame = bytes.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 9].fill(0xFF);
    assert_eq!(status(&bytes), "too_large");

    let mut bytes = encoded(&picture(8, 8), ImageFormat::Gif);
    bytes[6..10].fill(0xFF);
    assert_eq!(status(&bytes), "too_large");
    // The whole is small, but its first picture says that it is large.
    let mut bytes = encoded(&picture(8, 8), ImageFormat::Gif);
    let part = bytes.windows(9).position(|b| b == [0x2C, 0, 0, 0, 0, 8, 0, 8, 0]).unwrap();
    bytes[part + 5..part + 9].fill(0xFF);
    assert_eq!(status(&bytes), "too_large");
}

#[test]
fn limits_are_those_that_were_asked_for() {
    let bytes = encoded(&picture(40, 30), ImageFormat::Png);
    let with = |limits: Limits| Photo::decode(&bytes, &limits).map_err(|error| error.to_string()).map(|_| ());
    let all = Limits { max_bytes: bytes.len() as u64, max_pixels: 1200, max_side: 40 };
    assert_eq!(with(all), Ok(()));
    assert_eq!(
        with(Limits { max_pixels: 1199, ..all }).unwrap_err(),
        "expected at most 1199 pixels, found 1200"
    );
    assert_eq!(
        with(Limits { max_side: 39, ..all }).unwrap_err(),
        "expected at most 39 pixels a side, found 40"
    );
    assert!(with(Limits { max_bytes: 9, ..all }).unwrap_err().starts_with("expected at most 9 bytes, found"));
}

#[test]
fn a_jpeg_of_a_thousand_scans_is_refused() {
    let mut bytes = encoded(&picture(8, 8), ImageFormat::Jpeg);
    bytes.truncate(bytes.len() - 2);
    let scan = bytes.windows(2).position(|marker| marker == [0xFF, 0xDA]).unwrap();
    let again = bytes[scan..].to_vec();
    for _ in 0..1000 {
        bytes.extend(&again);
    }
    bytes.extend([0xFF, 0xD9]);
    assert_eq!(decoded(&bytes).unwrap_err().to_string(), "expected at most 64 scans, found 1001");
}

#[test]
fn sixteen_bits_alpha_and_grey_become_plain_colours() {
    let deep = DynamicImage::ImageRgb16(ImageBuffer::from_pixel(4, 4, Rgb([65_535, 0, 32_768])));
    let photo = decoded(&encoded(&deep, ImageFormat::Png)).unwrap();
    assert_eq!((&photo.pixels.rgb[..3], photo.sixteen_bit), ([255, 0, 128].as_slice(), true));
    let clear = DynamicImage::ImageRgba8(ImageBuffer::from_pixel(4, 4, Rgba([0, 0, 200, 51])));
    let photo = decoded(&encoded(&clear, ImageFormat::Png)).unwrap();
    assert_eq!((&photo.pixels.rgb[..3], photo.had_alpha), ([204, 204, 244].as_slice(), true));
    let grey = DynamicImage::ImageLuma8(ImageBuffer::from_pixel(4, 4, Luma([9])));
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let photo = decoded(&encoded(&grey, format)).unwrap();
        assert!(photo.greyscale && photo.pixels.rgb.len() == 48);
    }
}

#[test]
fn of_a_film_the_first_picture_is_judged() {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for grey in [250, 10, 10] {
        let frame = ImageBuffer::from_pixel(8, 8, Rgba([grey, grey, grey, 255]));
        encoder.encode_frame(image::Frame::new(frame)).unwrap();
    }
    drop(encoder);
    let photo = decoded(&bytes).unwrap();
    assert_eq!((photo.frames, photo.pixels.rgb[0]), (3, 250));
}

/// The file of a photo that lies as `orientation` says.
fn lying(orientation: u8) -> Vec<u8> {
    let colour = |x, y| Rgb(if x < 16 && y < 8 { [255, 255, 255] } else { [0, 0, 0] });
    let image = DynamicImage::ImageRgb8(ImageBuffer::from_fn(32, 16, colour));
    let mut bytes = encoded(&image, ImageFormat::Jpeg);
    let mut tag =
        b"\xFF\xE1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0".to_vec();
    tag[29] = orientation;
    bytes.splice(2..2, tag);
    bytes
}

#[test]
fn the_camera_may_lie_on_any_side() {
    // Where the white corner of the file is after turning: left or right, top or bottom.
    let corners = ["lt", "rt", "rb", "lb", "lt", "rt", "rb", "lb"];
    for (orientation, corner) in (1..=8).zip(corners) {
        let photo = decoded(&lying(orientation)).unwrap();
        let pixels = &photo.pixels;
        let size = if orientation < 5 { (32, 16) } else { (16, 32) };
        assert_eq!((pixels.width, pixels.height, photo.orientation), (size.0, size.1, orientation));
        assert_eq!(photo.original, (32, 16));
        let x = if corner.starts_with('l') { 2 } else { pixels.width - 3 };
        let y = if corner.ends_with('t') { 2 } else { pixels.height - 3 };
        assert!(pixels.cropped(x, y, 1, 1).rgb[0] > 200, "{orientation}");
        assert!(pixels.cropped(pixels.width - 1 - x, y, 1, 1).rgb[0] < 50, "{orientation}");
    }
    assert_eq!(decoded(&lying(77)).unwrap().orientation, 1);
}

#[test]
fn the_colours_of_print_are_read() {
    for (bytes, adobe) in [(CMYK, 0), (YCCK, 2)] {
        let photo = decoded(bytes).unwrap();
        assert!(photo.cmyk);
        assert_eq!(photo.jpeg.unwrap().adobe, Some(adobe));
        let pixel = &photo.pixels.cropped(4, 4, 1, 1).rgb;
        assert!(pixel.iter().zip([200, 100, 50]).all(|(found, made)| found.abs_diff(made) <= 4), "{pixel:?}");
    }
}

#[test]
fn nothing_that_is_sent_panics() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut random = Random(1);
    for format in FORMATS {
        let whole = encoded(&picture(24, 24), format);
        for _ in 0..2_000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random.next() % 4 {
                let at = random.next() % bytes.len();
                bytes[at] = random.next() as u8;
            }
            if random.next().is_multiple_of(2) {
                bytes.truncate(random.next() % bytes.len());
            }
            if let Err(error) = decoded(&bytes) {
                assert!(!error.to_string().contains("gave up"), "{format:?} {bytes:?}");
            }
        }
        for length in 0..200 {
            let mut bytes = whole[..8].to_vec();
            bytes.extend((0..length).map(|_| random.next() as u8));
            let _ = decoded(&bytes);
            let _ = decoded(&bytes[8..]);
        }
    }
    let _ = std::panic::take_hook();
}

// Pillow 13.0.0: Image.new("CMYK", (8, 8), (55, 155, 205, 0)).save(file, "JPEG", quality=90, optimize=True)
#[rustfmt::skip]
const CMYK: &[u8] = &[
    255, 216, 255, 238, 0, 14, 65, 100, 111, 98, 101, 0, 100, 0, 0, 0, 0, 0, 255, 219, 0, 67, 0, 3,
    2, 2, 3, 2, 2, 3, 3, 3, 3, 4, 3, 3, 4, 5, 8, 5, 5, 4, 4, 5, 10, 7, 7, 6,
    8, 12, 10, 12, 12, 11, 10, 11, 11, 13, 14, 18, 16, 13, 14, 17, 14, 11, 11, 16, 22, 16, 17, 19,
    20, 21, 21, 21, 12, 15, 23, 24, 22, 20, 24, 18, 20, 21, 20, 255, 192, 0, 20, 8, 0, 8, 0, 8,
    4, 67, 17, 0, 77, 17, 0, 89, 17, 0, 75, 17, 0, 255, 196, 0, 22, 0, 1, 1, 1, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 7, 9, 255, 196, 0, 20, 16, 1, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 218, 0, 14, 4, 67, 0, 77, 0, 89, 0, 75, 0,
    0, 63, 0, 96, 38, 129, 123, 84, 223, 255, 217,
];

// The same colour as YCCK: Adobe's transform set to 2, read as (200, 100, 50) by Pillow too.
#[rustfmt::skip]
const YCCK: &[u8] = &[
    255, 216, 255, 238, 0, 14, 65, 100, 111, 98, 101, 0, 100, 0, 0, 0, 0, 2, 255, 219, 0, 67, 0, 3,
    2, 2, 3, 2, 2, 3, 3, 3, 3, 4, 3, 3, 4, 5, 8, 5, 5, 4, 4, 5, 10, 7, 7, 6,
    8, 12, 10, 12, 12, 11, 10, 11, 11, 13, 14, 18, 16, 13, 14, 17, 14, 11, 11, 16, 22, 16, 17, 19,
    20, 21, 21, 21, 12, 15, 23, 24, 22, 20, 24, 18, 20, 21, 20, 255, 192, 0, 20, 8, 0, 8, 0, 8,
    4, 67, 17, 0, 77, 17, 0, 89, 17, 0, 75, 17, 0, 255, 196, 0, 23, 0, 0, 3, 1, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 7, 8, 9, 255, 196, 0, 20, 16, 1, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 218, 0, 14, 4, 67, 0, 77, 0, 89, 0, 75,
    0, 0, 63, 0, 41, 218, 155, 26, 166, 255, 217,
];
