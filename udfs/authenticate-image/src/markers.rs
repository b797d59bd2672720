//! The marker segments of a JPEG (ITU-T T.81, annex B), read by hand.

/// Start of image.
const SOI: u8 = 0xD8;
/// End of image.
pub(crate) const EOI: u8 = 0xD9;
/// Start of scan: entropy-coded data follow.
pub(crate) const SOS: u8 = 0xDA;
/// Quantisation tables.
pub(crate) const DQT: u8 = 0xDB;
/// Restart interval.
pub(crate) const DRI: u8 = 0xDD;
/// Comment.
pub(crate) const COM: u8 = 0xFE;

/// One segment: its marker, and what stands between its length and the next marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    pub(crate) marker: u8,
    pub(crate) data: &'a [u8],
}

/// The segments of a JPEG, the end of image included where there is one. Entropy-coded data are stepped over.
///
/// Each byte is looked at once. It ends at the end of image, or where bytes are missing.
#[derive(Debug)]
pub(crate) struct Segments<'a> {
    rest: &'a [u8],
}

impl<'a> Segments<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes.strip_prefix(&[0xFF, SOI]).unwrap_or_default() }
    }

    /// The bytes that were not walked over yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.rest.iter().position(|byte| *byte == 0xFF)?;
            let after = self.rest.get(at + 1..)?;
            let marker = *after.first()?;
            match marker {
                // Another 0xFF fills: the next one may begin the marker.
                0xFF => self.rest = after,
                // An escaped 0xFF of entropy-coded data, a restart, or a marker that has no length.
                0x00 | 0x01 | 0xD0..=SOI => self.rest = after.get(1..)?,
                EOI => {
                    self.rest = after.get(1..)?;
                    let ended = Segment { marker, data: &[] };
                    return Some(ended);
                }
                _ => {
                    let length = u16::from_be_bytes([*after.get(1)?, *after.get(2)?]);
                    let data = after.get(3..usize::from(length) + 1)?;
                    self.rest = after.get(usize::from(length) + 1..)?;
                    return Some(Segment { marker, data });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_walked_and_data_stepped_over() {
        let bytes = b"\xFF\xD8\xFF\xE0\0\x04ab\xFF\xFF\xDA\0\x03s\x12\xFF\0\xFF\xD0\x34\xFF\xD9after";
        let mut segments = Segments::new(bytes);
        let walked: Vec<_> = segments.by_ref().take(3).map(|s| (s.marker, s.data)).collect();
        assert_eq!(walked, [(0xE0, b"ab".as_slice()), (SOS, b"s"), (EOI, b"")]);
        assert_eq!(segments.rest(), b"after");
    }

    #[test]
    fn a_length_that_lies_ends_the_walk() {
        for bytes in [
            b"\xFF\xD8\xFF\xE0\xFF\xFFab".as_slice(),
            b"\xFF\xD8\xFF\xE0\0\0ab",
            b"\xFF\xD8\xFF",
            b"",
            b"\xFF\xD8",
        ] {
            assert_eq!(Segments::new(bytes).next(), None, "{bytes:?}");
        }
    }
}
