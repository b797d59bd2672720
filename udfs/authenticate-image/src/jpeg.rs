//! What the markers of a JPEG say: how it was compressed, and whether it is whole.

use crate::jpeg_tables::{CHROMINANCE, LUMINANCE, Table, ZIGZAG, at_quality, nearest_quality};
use crate::markers::{COM, DQT, DRI, EOI, SOS, Segments};

/// How the coefficients are coded (ITU-T T.81, table B.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Coding {
    /// Sequential, Huffman codes: baseline or extended.
    Sequential,
    /// Progressive, Huffman codes.
    Progressive,
    /// Lossless, hierarchical or arithmetic: not decoded.
    Other,
}

/// What the markers of a JPEG say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JpegFacts {
    /// Width and height that the frame's header says; the largest where there are several.
    pub(crate) size: (u32, u32),
    /// Bits of a colour.
    pub(crate) bits: u8,
    /// Colours of a pixel: 1 grey, 3 colours, 4 CMYK.
    pub(crate) components: u8,
    /// How the coefficients are coded.
    pub(crate) coding: Coding,
    /// Estimate of the quality, 1 to 100, that an encoder with the tables of annex K was asked for.
    pub(crate) quality: Option<u8>,
    /// Whether all tables are exactly those of annex K for that quality: Photoshop and most cameras have
    /// their own.
    pub(crate) standard_tables: bool,
    /// Luminance table, that of the first colour.
    pub(crate) luminance: Option<Table>,
    /// Chroma subsampling, such as `4:2:0`; `None` for grey.
    pub(crate) subsampling: Option<String>,
    /// Pictures within the metadata (JFIF, Exif).
    pub(crate) thumbnails: u32,
    /// Scans: 1 for sequential, about 10 for progressive.
    pub(crate) scans: u32,
    /// Segments before and between the scans.
    pub(crate) segments: u32,
    /// Headers of frames: 1 in a sound file.
    pub(crate) frame_headers: u32,
    /// Whether restart markers are announced.
    pub(crate) restarts: bool,
    /// Colour transform of an Adobe segment: 0 none, 1 YCbCr, 2 YCCK.
    pub(crate) adobe: Option<u8>,
    /// First comment.
    pub(crate) comment: Option<String>,
    /// Whether the end of image was found after a scan.
    pub(crate) complete: bool,
    /// Bytes after the end of image.
    pub(crate) trailing: u64,
    /// How the photo lies in the file, 1 to 8 as EXIF has it: blocks of the turned photo begin elsewhere.
    pub(crate) orientation: u8,
}

impl JpegFacts {
    /// Walks over the markers; `None` where the bytes have no frame's header.
    ///
    /// Time is linear in the bytes, and the memory taken is bounded.
    #[must_use]
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut facts = JpegFacts::empty();
        let mut tables: [Option<Table>; 4] = [None; 4];
        let mut frame: Vec<Component> = Vec::new();
        let mut segments = Segments::new(bytes);
        while let Some(segment) = segments.next() {
            facts.segments = facts.segments.saturating_add(1);
            match segment.marker {
                EOI => {
                    facts.complete = facts.scans > 0;
                    facts.trailing = segments.rest().len() as u64;
                    break;
                }
                SOS => facts.scans = facts.scans.saturating_add(1),
                DQT => read_tables(segment.data, &mut tables),
                DRI => facts.restarts = segment.data.iter().any(|byte| *byte != 0),
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                    frame = facts.frame(segment.marker, segment.data).unwrap_or_default();
                }
                0xE0..=0xEF | COM => facts.metadata(segment.marker, segment.data),
                _ => {}
            }
        }
        if facts.frame_headers == 0 {
            return None;
        }
        facts.tables(&frame, &tables);
        facts.subsampling = subsampling(&frame);
        Some(facts)
    }

    /// Whether coefficients are coded in several passes.
    #[must_use]
    pub(crate) fn is_progressive(&self) -> bool {
        self.coding == Coding::Progressive
    }

    fn empty() -> Self {
        JpegFacts {
            size: (0, 0),
            bits: 0,
            components: 0,
            coding: Coding::Other,
            quality: None,
            standard_tables: false,
            luminance: None,
            subsampling: None,
            thumbnails: 0,
            scans: 0,
            segments: 0,
            frame_headers: 0,
            restarts: false,
            adobe: None,
            comment: None,
            complete: false,
            trailing: 0,
            orientation: 1,
        }
    }

    fn frame(&mut self, marker: u8, data: &[u8]) -> Option<Vec<Component>> {
        self.frame_headers = self.frame_headers.saturating_add(1);
        let &[bits, high, low, wide, narrow, components, ref rest @ ..] = data else { return None };
        let height = u32::from(u16::from_be_bytes([high, low]));
        let width = u32::from(u16::from_be_bytes([wide, narrow]));
        self.size = (self.size.0.max(width), self.size.1.max(height));
        self.bits = bits;
        self.components = components;
        self.coding = match marker {
            0xC0 | 0xC1 => Coding::Sequential,
            0xC2 => Coding::Progressive,
            _ => Coding::Other,
        };
        let component = |part: &[u8]| match *part {
            [_, factors, table] => Some(Component { across: factors >> 4, down: factors & 15, table }),
            _ => None,
        };
        rest.chunks_exact(3).take(4).map(component).collect()
    }

    fn metadata(&mut self, marker: u8, data: &[u8]) {
        match marker {
            // JFIF: the thumbnail's sides; JFXX: a thumbnail is all that it holds.
            0xE0 if data.starts_with(b"JFIF\0") => {
                self.thumbnails += u32::from(matches!(data.get(12..14), Some([w, h]) if *w > 0 && *h > 0));
            }
            0xE0 if data.starts_with(b"JFXX\0") => self.thumbnails = self.thumbnails.saturating_add(1),
            0xE1 if data.starts_with(b"Exif\0") => {
                let picture = data.windows(3).any(|bytes| bytes == b"\xFF\xD8\xFF");
                self.thumbnails = self.thumbnails.saturating_add(u32::from(picture));
            }
            0xEE if data.starts_with(b"Adobe") => self.adobe = data.get(11).copied(),
            COM if self.comment.is_none() => {
                let text = String::from_utf8_lossy(data.get(..data.len().min(256)).unwrap_or_default());
                self.comment = Some(text.trim_matches(['\0', ' ', '\n', '\r']).to_owned());
            }
            _ => {}
        }
    }

    fn tables(&mut self, frame: &[Component], tables: &[Option<Table>; 4]) {
        let of = |component: Option<&Component>| {
            component.and_then(|component| tables.get(usize::from(component.table))).copied().flatten()
        };
        let Some(luminance) = of(frame.first()) else { return };
        self.luminance = Some(luminance);
        let (quality, standard) = nearest_quality(&luminance, &LUMINANCE);
        self.quality = Some(quality);
        // Of CMYK and of grey there is one table for all.
        self.standard_tables = standard
            && (self.components != 3
                || of(frame.get(1)).is_some_and(|table| table == at_quality(&CHROMINANCE, quality)));
    }
}

/// How often a colour is sampled in a block of the whole, and by which table it is divided.
#[derive(Debug, Clone, Copy)]
struct Component {
    across: u8,
    down: u8,
    table: u8,
}

/// The tables of one segment; a later one replaces an earlier one of the same number.
fn read_tables(mut data: &[u8], tables: &mut [Option<Table>; 4]) {
    while let Some((head, rest)) = data.split_first() {
        let wide = head >> 4 != 0;
        let Some(numbers) = rest.get(..if wide { 128 } else { 64 }) else { return };
        let Some(table) = tables.get_mut(usize::from(head & 15)) else { return };
        let mut read = [1; 64];
        let values = numbers.chunks_exact(if wide { 2 } else { 1 });
        for (place, value) in ZIGZAG.iter().zip(values) {
            if let Some(divisor) = read.get_mut(usize::from(*place)) {
                *divisor = value.iter().fold(0, |sum, byte| sum << 8 | u16::from(*byte));
            }
        }
        *table = Some(read);
        data = rest.get(numbers.len()..).unwrap_or_default();
    }
}

/// Names of the usual samplings of brightness to colours.
fn subsampling(frame: &[Component]) -> Option<String> {
    let [first, second, ..] = frame else { return None };
    let ratio = |whole: u8, part: u8| whole.checked_div(part).unwrap_or(0);
    let (across, down) = (ratio(first.across, second.across), ratio(first.down, second.down));
    Some(match (across, down) {
        (1, 1) => "4:4:4".to_owned(),
        (2, 1) => "4:2:2".to_owned(),
        (2, 2) => "4:2:0".to_owned(),
        (1, 2) => "4:4:0".to_owned(),
        (4, 1) => "4:1:1".to_owned(),
        (4, 2) => "4:1:0".to_owned(),
        _ => format!("{across}x{down}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{jpeg, scene};

    #[test]
    fn the_quality_that_was_asked_for_is_found() {
        let pixels = scene(1, 40, 24);
        for quality in [1, 10, 35, 50, 75, 90, 95, 100] {
            let facts = JpegFacts::read(&jpeg(&pixels, quality)).unwrap();
            assert_eq!(facts.quality, Some(quality));
            assert!(facts.standard_tables && facts.complete && !facts.is_progressive());
            assert_eq!((facts.size, facts.components, facts.bits, facts.scans), ((40, 24), 3, 8, 1));
            assert_eq!(facts.subsampling.as_deref(), Some("4:4:4"));
        }
    }

    #[test]
    fn metadata_are_counted() {
        let mut bytes = jpeg(&scene(1, 16, 16), 80);
        let thumbnail = b"\xFF\xE1\0\x0DExif\0\0\xFF\xD8\xFF..".to_vec();
        let comment = b"\xFF\xFE\0\x09made by".to_vec();
        let adobe = b"\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0\x01".to_vec();
        bytes.splice(2..2, [thumbnail, comment, adobe].concat());
        bytes.extend(b"more");
        let facts = JpegFacts::read(&bytes).unwrap();
        assert_eq!((facts.thumbnails, facts.adobe, facts.trailing), (1, Some(1), 4));
        assert_eq!(facts.comment.as_deref(), Some("made by"));
    }

    #[test]
    fn half_a_file_is_not_complete() {
        let bytes = jpeg(&scene(1, 64, 64), 80);
        for length in 0..bytes.len() {
            assert!(!JpegFacts::read(&bytes[..length]).is_some_and(|facts| facts.complete));
        }
        assert!(JpegFacts::read(&bytes).unwrap().complete);
    }

    #[test]
    fn tables_that_lie_are_left_out() {
        let mut tables = [None; 4];
        read_tables(&[0x0F; 65], &mut tables);
        read_tables(&[0x00; 64], &mut tables);
        read_tables(&[0x10; 128], &mut tables);
        assert_eq!(tables, [None; 4]);
        read_tables(&[0x10; 129], &mut tables);
        assert_eq!(tables[0], Some([0x1010; 64]));
    }
}
