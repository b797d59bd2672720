//! Texts that a file carries beside its pixels: XMP, comments and names of programs.

use crate::format::Format;
use crate::header::{PngChunks, WebpChunks};
use crate::markers::{COM, SOS, Segments};

/// A text of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    /// A packet of XMP (ISO 16684-1).
    Xmp(String),
    /// The name of the program that wrote the file.
    Program(String),
}

/// Bytes of one text that are read, and texts of a file.
const MOST_BYTES: usize = 256 << 10;
const MOST_TEXTS: usize = 64;

/// The texts of a file, at most 64 of 256 KiB: more say nothing new.
pub(crate) fn texts(bytes: &[u8]) -> Vec<Text> {
    match Format::of(bytes) {
        Ok(Format::Jpeg) => {
            let before = Segments::new(bytes).take_while(|segment| segment.marker != SOS);
            before.filter_map(|segment| jpeg(segment.marker, segment.data)).take(MOST_TEXTS).collect()
        }
        Ok(Format::Png) => {
            PngChunks::new(bytes).filter_map(|(name, data)| png(&name, data)).take(MOST_TEXTS).collect()
        }
        Ok(Format::WebP) => {
            let packets = WebpChunks::new(bytes).filter(|(name, _)| name == b"XMP ");
            packets.map(|(_, data)| Text::Xmp(text(data))).take(MOST_TEXTS).collect()
        }
        _ => Vec::new(),
    }
}

fn jpeg(marker: u8, data: &[u8]) -> Option<Text> {
    match marker {
        0xE1 => {
            let xmp = data.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0")?;
            Some(Text::Xmp(text(xmp)))
        }
        // Only Photoshop's "save for web" writes this segment.
        0xEC if data.starts_with(b"Ducky") => Some(Text::Program("Adobe Photoshop".to_owned())),
        COM => Some(Text::Program(text(data))),
        _ => None,
    }
}

fn png(name: &[u8; 4], data: &[u8]) -> Option<Text> {
    let end = data.iter().take(80).position(|byte| *byte == 0)?;
    let (keyword, value) = (data.get(..end)?, data.get(end + 1..)?);
    match (name, keyword) {
        (b"tEXt", b"Software") => Some(Text::Program(text(value))),
        (b"iTXt", b"Software") => Some(Text::Program(text(international(value)?))),
        (b"iTXt", b"XML:com.adobe.xmp") => Some(Text::Xmp(text(international(value)?))),
        _ => None,
    }
}

/// What follows an iTXt chunk's flags, language and translated keyword; `None` where it is compressed.
fn international(value: &[u8]) -> Option<&[u8]> {
    let rest = value.strip_prefix(&[0, 0])?;
    let mut parts = rest.splitn(3, |byte| *byte == 0);
    parts.nth(2)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..MOST_BYTES.min(bytes.len())).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_chunks_are_read() {
        let chunk = |name: &[u8], data: &[u8]| {
            [&(data.len() as u32).to_be_bytes(), name, data, b"crc.".as_slice()].concat()
        };
        let file = [
            b"\x89PNG\r\n\x1A\n".to_vec(),
            chunk(b"tEXt", b"Software\0GIMP 2.10"),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0en\0\0<x/>"),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0en\0\0deflated"),
            chunk(b"tEXt", b"Title"),
        ];
        assert_eq!(
            texts(&file.concat()),
            [Text::Program("GIMP 2.10".to_owned()), Text::Xmp("<x/>".to_owned())]
        );
    }

    #[test]
    fn texts_of_segments_are_read() {
        let file =
            b"\xFF\xD8\xFF\xFE\0\x06gd 2\xFF\xEC\0\x07Ducky\xFF\xE1\0\x22http://ns.adobe.com/xap/1.0/\0<x>";
        let expected = [
            Text::Program("gd 2".to_owned()),
            Text::Program("Adobe Photoshop".to_owned()),
            Text::Xmp("<x>".to_owned()),
        ];
        assert_eq!(texts(file), expected);
        assert_eq!(texts(b"GIF89a"), []);
    }
}
