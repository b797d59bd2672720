//! What a PNG, GIF or WebP says of itself before a pixel is decoded.
//!
//! The walk touches each byte at most once and takes no memory, so it comes before everything else: a file
//! that says that it is larger than allowed, or that ends too soon, costs microseconds.

/// What the blocks of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Header {
    /// Width and height of the whole picture.
    pub(crate) size: (u32, u32),
    /// The most pixels that one of its parts says to have: of a lying file not those of the whole.
    pub(crate) largest: u64,
    /// Pictures: more than one of a film.
    pub(crate) frames: u32,
    /// Bits of one colour of one pixel.
    pub(crate) bits: u8,
    /// Whether the end was found.
    pub(crate) complete: bool,
}

impl Header {
    fn part(&mut self, width: u32, height: u32) {
        self.largest = self.largest.max(u64::from(width) * u64::from(height));
    }
}

/// Of a PNG (ISO/IEC 15948). `None` where it doesn't begin as one.
pub(crate) fn png(bytes: &[u8]) -> Option<Header> {
    let mut header = Header { frames: 1, ..Header::default() };
    for (place, (name, data)) in PngChunks::new(bytes).enumerate() {
        match (place, &name) {
            (0, b"IHDR") => {
                header.size = (be32(data, 0)?, be32(data, 4)?);
                header.part(header.size.0, header.size.1);
                header.bits = *data.get(8)?;
            }
            (0, _) => return None,
            (_, b"acTL") => header.frames = be32(data, 0).unwrap_or(1).max(1),
            (_, b"IEND") => header.complete = true,
            _ => {}
        }
    }
    (header.bits > 0).then_some(header)
}

/// Of a GIF (GIF89a). `None` where it doesn't begin as one.
pub(crate) fn gif(bytes: &[u8]) -> Option<Header> {
    let mut header = Header { size: (le16(bytes, 6)?, le16(bytes, 8)?), bits: 8, ..Header::default() };
    header.part(header.size.0, header.size.1);
    let mut at = 13 + colours(*bytes.get(10)?);
    while let Some(block) = bytes.get(at) {
        match block {
            0x21 => at = after_blocks(bytes, at + 2),
            0x2C => {
                let (Some(width), Some(height)) = (le16(bytes, at + 5), le16(bytes, at + 7)) else { break };
                header.frames = header.frames.saturating_add(1);
                header.part(width, height);
                let Some(flags) = bytes.get(at + 9) else { break };
                at = after_blocks(bytes, at + 11 + colours(*flags));
            }
            0x3B => {
                header.complete = true;
                break;
            }
            // Some writers pad with zeros.
            0 => at += 1,
            _ => break,
        }
    }
    Some(header)
}

/// Of a WebP (RFC 9649). `None` where it doesn't begin as one.
pub(crate) fn webp(bytes: &[u8]) -> Option<Header> {
    let length = le32(bytes, 4)? as usize;
    // The byte that pads the last chunk may be missing: the decoder doesn't need it.
    let complete = bytes.len() + 1 >= length.saturating_add(8);
    let mut header = Header { bits: 8, complete, ..Header::default() };
    for (name, data) in WebpChunks::new(bytes) {
        let size = match &name {
            b"VP8X" => Some((le24(data, 4)? + 1, le24(data, 7)? + 1)),
            b"VP8 " => Some((le16(data, 6)? & 0x3FFF, le16(data, 8)? & 0x3FFF)),
            b"VP8L" => {
                let packed = le32(data, 1)?;
                Some(((packed & 0x3FFF) + 1, ((packed >> 14) & 0x3FFF) + 1))
            }
            b"ANMF" => {
                header.frames = header.frames.saturating_add(1);
                header.part(le24(data, 6)? + 1, le24(data, 9)? + 1);
                // What a frame holds is a chunk of its own, with a size of its own.
                if let Some(inner) = data.get(16..).and_then(webp_frame) {
                    header.part(inner.0, inner.1);
                }
                None
            }
            _ => None,
        };
        if let Some((width, height)) = size {
            header.part(width, height);
            if header.size == (0, 0) {
                header.size = (width, height);
            }
        }
    }
    header.frames = header.frames.max(1);
    (header.largest > 0).then_some(header)
}

fn webp_frame(bytes: &[u8]) -> Option<(u32, u32)> {
    let name = bytes.get(..4)?;
    let data = bytes.get(8..)?;
    match name {
        b"VP8 " => Some((le16(data, 6)? & 0x3FFF, le16(data, 8)? & 0x3FFF)),
        b"VP8L" => {
            let packed = le32(data, 1)?;
            Some(((packed & 0x3FFF) + 1, ((packed >> 14) & 0x3FFF) + 1))
        }
        _ => None,
    }
}

/// The chunks of a PNG that are there as a whole: name and data.
#[derive(Debug)]
pub(crate) struct PngChunks<'a>(&'a [u8]);

impl<'a> PngChunks<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.get(8..).unwrap_or_default())
    }
}

impl<'a> Iterator for PngChunks<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = be32(self.0, 0)? as usize;
        let name = self.0.get(4..8)?.try_into().ok()?;
        let data = self.0.get(8..)?.get(..length)?;
        // Four bytes of checksum follow.
        self.0 = self.0.get(length.checked_add(12)?..)?;
        Some((name, data))
    }
}

/// The chunks of a WebP: name and data, of the last one as much as is there.
#[derive(Debug)]
pub(crate) struct WebpChunks<'a>(&'a [u8]);

impl<'a> WebpChunks<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.get(12..).unwrap_or_default())
    }
}

impl<'a> Iterator for WebpChunks<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.0.get(..4)?.try_into().ok()?;
        let length = le32(self.0, 4)? as usize;
        let rest = self.0.get(8..)?;
        let data = rest.get(..length.min(rest.len()))?;
        self.0 = rest.get(length.checked_add(length & 1)?..).unwrap_or_default();
        Some((name, data))
    }
}

/// Bytes of a colour table that the flags of a GIF's block announce.
fn colours(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// The place after a chain of blocks, each after its length, the last of length 0.
fn after_blocks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(length) = bytes.get(at) {
        at += 1 + usize::from(*length);
        if *length == 0 {
            break;
        }
    }
    at
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    number(bytes, at).map(u32::from_be_bytes)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    number(bytes, at).map(u32::from_le_bytes)
}

fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    number(bytes, at).map(|[low, middle, high]| u32::from_le_bytes([low, middle, high, 0]))
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    number(bytes, at).map(|pair| u32::from(u16::from_le_bytes(pair)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{encoded, picture};
    use image::ImageFormat;

    #[test]
    fn sizes_are_known_without_decoding() {
        for (format, read) in [
            (ImageFormat::Png, png as fn(&[u8]) -> Option<Header>),
            (ImageFormat::Gif, gif),
            (ImageFormat::WebP, webp),
        ] {
            let bytes = encoded(&picture(40, 30), format);
            let expected = Header { size: (40, 30), largest: 1200, frames: 1, bits: 8, complete: true };
            assert_eq!(read(&bytes), Some(expected), "{format:?}");
            for length in 0..bytes.len() - 1 {
                assert!(!read(&bytes[..length]).is_some_and(|header| header.complete), "{format:?} {length}");
            }
        }
    }

    #[test]
    fn a_chunk_as_long_as_can_be_said_ends_the_walk() {
        let mut bytes = encoded(&picture(4, 4), ImageFormat::Png);
        bytes[33..37].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(png(&bytes).map(|header| header.complete), Some(false));
        let mut bytes = encoded(&picture(4, 4), ImageFormat::WebP);
        bytes[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(webp(&bytes).is_some());
    }
}
