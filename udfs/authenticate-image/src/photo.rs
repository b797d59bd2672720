//! Photos: from bytes that anybody may have sent to pixels.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageReader};
use sha2::{Digest, Sha256};

use crate::header::{self, Header};
use crate::jpeg::{Coding, JpegFacts};

pub(crate) use crate::error::PhotoError;
pub(crate) use crate::format::Format;
pub(crate) use crate::pixels::Pixels;

/// What is read at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of the file.
    pub(crate) max_bytes: u64,
    /// Pixels of the photo. At most 12 bytes are taken for each while it is decoded.
    pub(crate) max_pixels: u64,
    /// Pixels a side.
    pub(crate) max_side: u32,
}

impl Default for Limits {
    /// 20 MiB, 50 megapixels, 30,000 pixels a side.
    fn default() -> Self {
        Self { max_bytes: 20 << 20, max_pixels: 50_000_000, max_side: 30_000 }
    }
}

/// Scans of a JPEG that are decoded: encoders make about ten, and each one walks over all pixels however few
/// bytes it has.
pub(crate) const MOST_SCANS: u32 = 64;

/// Segments of a JPEG that are decoded: a colour profile has at most 255.
pub(crate) const MOST_SEGMENTS: u32 = 4_096;

/// A photo that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Photo {
    /// The right way up, eight bits a colour, on white where it was transparent; the first picture of a film.
    pub(crate) pixels: Pixels,
    /// Format of the file.
    pub(crate) format: Format,
    /// Width and height in the file, before it was turned the right way up.
    pub(crate) original: (u32, u32),
    /// SHA-256 of the file in hexadecimal digits.
    pub(crate) sha256: String,
    /// Bytes of the file.
    pub(crate) byte_length: u64,
    /// Whether the file has an alpha channel.
    pub(crate) had_alpha: bool,
    /// Pictures in the file: more than one of a film.
    pub(crate) frames: u32,
    /// Whether a colour has 16 bits in the file.
    pub(crate) sixteen_bit: bool,
    /// Whether the file has no colours.
    pub(crate) greyscale: bool,
    /// Whether the file has the colours of print.
    pub(crate) cmyk: bool,
    /// How the photo lies in the file, 1 (upright) to 8, as EXIF has it.
    pub(crate) orientation: u8,
    /// What the file's markers say, of a JPEG.
    pub(crate) jpeg: Option<JpegFacts>,
}

impl Photo {
    /// Reads a file. What it says of itself is held against `limits` before memory is taken for pixels.
    ///
    /// # Errors
    /// What [`PhotoError`] names: no photo, not a whole one, or a larger one than `limits` allow.
    pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<Photo, PhotoError> {
        allowed("bytes", bytes.len() as u64, limits.max_bytes)?;
        let format = Format::of(bytes)?;
        let (header, jpeg) = look(format, bytes)?;
        check(&header, limits)?;
        if let Some(facts) = &jpeg {
            decodable(facts)?;
        }
        if !header.complete {
            return Err(PhotoError::truncated(format!(
                "expected the end of a {}, found none",
                format.name()
            )));
        }
        // A decoder that fails on bytes nobody thought of must not take the process with it.
        let decoded = catch_unwind(AssertUnwindSafe(|| decode(format, bytes, limits)));
        let (image, colour, orientation) =
            decoded.unwrap_or_else(|_| Err(PhotoError::truncated("the decoder gave up")))?;
        let cmyk = jpeg.as_ref().is_some_and(|facts| facts.components == 4);
        let orientation = orientation.to_exif();
        let jpeg = jpeg.map(|facts| JpegFacts { orientation, ..facts });
        Ok(Photo {
            pixels: opaque(image),
            format,
            original: header.size,
            sha256: Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
            byte_length: bytes.len() as u64,
            had_alpha: colour.has_alpha(),
            frames: header.frames,
            sixteen_bit: header.bits > 8,
            greyscale: !colour.has_color(),
            cmyk,
            orientation,
            jpeg,
        })
    }

    /// The media type of the file.
    #[must_use]
    pub(crate) fn media_type(&self) -> &'static str {
        self.format.media_type()
    }
}

fn look(format: Format, bytes: &[u8]) -> Result<(Header, Option<JpegFacts>), PhotoError> {
    let missing = || PhotoError::truncated(format!("expected the header of a {}, found none", format.name()));
    let header = match format {
        Format::Png => header::png(bytes),
        Format::Gif => header::gif(bytes),
        Format::WebP => header::webp(bytes),
        Format::Jpeg => {
            let facts = JpegFacts::read(bytes).ok_or_else(missing)?;
            let (width, height) = facts.size;
            let header = Header {
                size: facts.size,
                largest: u64::from(width) * u64::from(height),
                frames: 1,
                bits: facts.bits,
                complete: facts.complete,
            };
            return Ok((header, Some(facts)));
        }
    };
    header.map(|header| (header, None)).ok_or_else(missing)
}

fn allowed(what: &'static str, found: u64, limit: u64) -> Result<(), PhotoError> {
    if found > limit { Err(PhotoError::TooLarge { what, found, limit }) } else { Ok(()) }
}

fn check(header: &Header, limits: &Limits) -> Result<(), PhotoError> {
    let (width, height) = header.size;
    if width == 0 || height == 0 {
        return Err(PhotoError::truncated(format!("expected pixels, found {width} x {height}")));
    }
    allowed("pixels a side", u64::from(width.max(height)), u64::from(limits.max_side))?;
    allowed("pixels", u64::from(width) * u64::from(height), limits.max_pixels)?;
    allowed("pixels", header.largest, limits.max_pixels)
}

fn decodable(facts: &JpegFacts) -> Result<(), PhotoError> {
    if facts.coding == Coding::Other {
        return Err(PhotoError::Unsupported { format: "lossless or arithmetic-coded JPEG" });
    }
    if facts.bits != 8 {
        return Err(PhotoError::Unsupported { format: "JPEG of other than 8 bits" });
    }
    if facts.frame_headers > 1 {
        return Err(PhotoError::truncated(format!("expected 1 frame header, found {}", facts.frame_headers)));
    }
    allowed("scans", u64::from(facts.scans), u64::from(MOST_SCANS))?;
    allowed("segments", u64::from(facts.segments), u64::from(MOST_SEGMENTS))
}

fn decode(
    format: Format,
    bytes: &[u8],
    limits: &Limits,
) -> Result<(DynamicImage, ColorType, Orientation), PhotoError> {
    let mut bounds = image::Limits::default();
    bounds.max_image_width = Some(limits.max_side);
    bounds.max_image_height = Some(limits.max_side);
    // 16 bits and four colours a pixel, and what a decoder needs besides.
    bounds.max_alloc = Some(limits.max_pixels.saturating_mul(12).max(16 << 20));
    let failed = |error: ImageError| match error {
        ImageError::Limits(_) => {
            PhotoError::TooLarge { what: "pixels", found: limits.max_pixels + 1, limit: limits.max_pixels }
        }
        other => PhotoError::truncated(other.to_string()),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.decoder());
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    allowed("pixels", u64::from(width) * u64::from(height), limits.max_pixels)?;
    let colour = decoder.color_type();
    // Metadata that can't be read never fail a photo.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    image.apply_orientation(orientation);
    Ok((image, colour, orientation))
}

/// Eight bits a colour; what is transparent shows white.
fn opaque(image: DynamicImage) -> Pixels {
    let (width, height) = (image.width(), image.height());
    if !image.color().has_alpha() {
        return Pixels { width, height, rgb: image.into_rgb8().into_raw() };
    }
    let over = |colour: u8, alpha: u8| {
        let (colour, alpha) = (u32::from(colour), u32::from(alpha));
        ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for pixel in image.into_rgba8().pixels() {
        let [red, green, blue, alpha] = pixel.0;
        rgb.extend([red, green, blue].map(|colour| over(colour, alpha)));
    }
    Pixels { width, height, rgb }
}

#[cfg(test)]
mod tests;
