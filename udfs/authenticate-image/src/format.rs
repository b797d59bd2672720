//! Formats of pictures by their first bytes.

use crate::error::PhotoError;

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// JPEG.
    Jpeg,
    /// PNG, also APNG.
    Png,
    /// GIF.
    Gif,
    /// WebP.
    WebP,
}

impl Format {
    /// The format that the first bytes of a file tell; a file's name or media type tells nothing.
    ///
    /// # Errors
    /// [`PhotoError::Empty`], [`PhotoError::Unsupported`] with the name of a format that is known and not
    /// read, or [`PhotoError::NotAnImage`].
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, PhotoError> {
        let at = |place: usize, word: &[u8]| bytes.get(place..).is_some_and(|rest| rest.starts_with(word));
        if bytes.is_empty() {
            return Err(PhotoError::Empty);
        }
        if at(0, b"\xFF\xD8\xFF") {
            return Ok(Format::Jpeg);
        }
        if at(0, b"\x89PNG\r\n\x1A\n") {
            return Ok(Format::Png);
        }
        if at(0, b"GIF87a") || at(0, b"GIF89a") {
            return Ok(Format::Gif);
        }
        if at(0, b"RIFF") && at(8, b"WEBP") {
            return Ok(Format::WebP);
        }
        if let Some(format) = unsupported(bytes) {
            return Err(PhotoError::Unsupported { format });
        }
        Err(PhotoError::NotAnImage { found: beginning(bytes) })
    }

    /// `JPEG`, `PNG`, `GIF` or `WebP`.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::Gif => "GIF",
            Format::WebP => "WebP",
        }
    }

    /// Such as `image/jpeg`.
    #[must_use]
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Format::Jpeg => "image/jpeg",
            Format::Png => "image/png",
            Format::Gif => "image/gif",
            Format::WebP => "image/webp",
        }
    }

    pub(crate) fn decoder(self) -> image::ImageFormat {
        match self {
            Format::Jpeg => image::ImageFormat::Jpeg,
            Format::Png => image::ImageFormat::Png,
            Format::Gif => image::ImageFormat::Gif,
            Format::WebP => image::ImageFormat::WebP,
        }
    }
}

/// How formats that aren't read begin.
const OTHERS: &[(&[u8], &str)] = &[
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"%PDF", "PDF"),
    (b"8BPS", "PSD"),
    (b"\0\0\x01\0", "ICO"),
    (b"\xFF\x0A", "JPEG XL"),
    (b"\0\0\0\x0CJXL ", "JPEG XL"),
    (b"\0\0\0\x0CjP  ", "JPEG 2000"),
    (b"\xFF\x4F\xFF\x51", "JPEG 2000"),
    (b"\x1A\x45\xDF\xA3", "video"),
];

/// Bytes of text that are searched for `<svg`.
const SVG_HEAD: usize = 1024;

fn unsupported(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(isobmff(bytes));
    }
    if let Some((_, name)) = OTHERS.iter().find(|(word, _)| bytes.starts_with(word)) {
        return Some(name);
    }
    let head = text_head(bytes);
    (head.starts_with('<') && head.contains("<svg")).then_some("SVG")
}

/// What the brands of an ISO base media file (ISO/IEC 14496-12) stand for.
fn isobmff(bytes: &[u8]) -> &'static str {
    // The main brand, a version, and brands that it is compatible with.
    let brands = bytes.get(8..64.min(bytes.len())).unwrap_or_default();
    let any = |names: &[&[u8]]| brands.chunks_exact(4).any(|brand| names.contains(&brand));
    if any(&[b"avif", b"avis"]) {
        "AVIF"
    } else if any(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) {
        "HEIC"
    } else {
        "video"
    }
}

fn text_head(bytes: &[u8]) -> String {
    let head = bytes.get(..SVG_HEAD.min(bytes.len())).unwrap_or_default();
    let text = String::from_utf8_lossy(head).to_lowercase();
    text.trim_start_matches('\u{feff}').trim_start().to_owned()
}

fn beginning(bytes: &[u8]) -> String {
    let head = text_head(bytes);
    if head.starts_with("<!doctype html") || head.starts_with("<html") {
        return "a web page".to_owned();
    }
    bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_called_by_their_names() {
        for (bytes, name) in [
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".as_slice(), "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
            (b"\0\0\0\x18ftypisom\0\0\0\0mp42", "video"),
            (b"II*\0....", "TIFF"),
            (b"MM\0*....", "TIFF"),
            (b"BM......", "BMP"),
            (b"%PDF-1.7", "PDF"),
            (b"\xEF\xBB\xBF <?xml version='1.0'?>\n<SVG width='1'/>", "SVG"),
        ] {
            let error = Format::of(bytes).unwrap_err();
            assert_eq!(error.status(), "unsupported_format");
            assert_eq!(error.to_string(), format!("{name} is not supported; send JPEG, PNG, WebP or GIF"));
        }
    }

    #[test]
    fn what_is_no_picture_shows_how_it_begins() {
        assert_eq!(Format::of(b""), Err(PhotoError::Empty));
        let said = |bytes: &[u8]| Format::of(bytes).unwrap_err().to_string();
        assert!(said(b"hello, text").contains("begins with 68 65 6c 6c 6f 2c 20 74;"));
        assert!(said(b"<!DOCTYPE html><title>404").contains("begins with a web page;"));
        assert!(said(b"R").contains("begins with 52;"));
    }
}
