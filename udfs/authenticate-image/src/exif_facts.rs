//! What the metadata of a photo's file say: who made it, when, where, and with which program.
//!
//! Anybody can write anything there, and most services remove all of it: facts for a sentence, no proof.

use std::io::Cursor;

use exif::{Exif, In, Tag, Value};

use crate::texts::{Text, texts};

pub(crate) use crate::moment::Moment;

/// What the metadata say. What is missing or can't be read is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ExifFacts {
    /// Whether there is EXIF with at least one field: cameras write it, most services remove it.
    pub(crate) present: bool,
    /// Whether there is a packet of XMP.
    pub(crate) xmp: bool,
    /// Maker of the camera.
    pub(crate) make: Option<String>,
    /// Model of the camera.
    pub(crate) model: Option<String>,
    /// The program that wrote the file, as it names itself: a camera's firmware too.
    pub(crate) software: Option<String>,
    /// A program that edits photos, by its usual name.
    pub(crate) editor: Option<&'static str>,
    /// Whether the file says that a model has made the picture (IPTC's digital source type, or a program's
    /// name).
    pub(crate) generated: bool,
    /// When it was taken, in the camera's local time.
    pub(crate) taken: Option<Moment>,
    /// When the file was changed, in local time.
    pub(crate) modified: Option<Moment>,
    /// Latitude and longitude in degrees, north and east positive.
    pub(crate) gps: Option<(f64, f64)>,
}

impl ExifFacts {
    /// Reads the metadata of a JPEG, PNG or WebP. Never fails: metadata that are damaged are no metadata.
    #[must_use]
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut facts = ExifFacts::default();
        if let Ok(exif) = exif::Reader::new().read_from_container(&mut Cursor::new(bytes)) {
            facts.take(&exif);
        }
        for text in texts(bytes) {
            match text {
                Text::Program(name) => facts.program(&name),
                Text::Xmp(packet) => {
                    facts.xmp = true;
                    facts.generated |= packet.contains("trainedAlgorithmicMedia");
                    for name in ["CreatorTool", "softwareAgent"].iter().flat_map(|key| values(&packet, key)) {
                        facts.program(name);
                    }
                }
            }
        }
        facts
    }

    /// Seconds from when it was taken to when it was changed, where that is more than a minute: cameras take
    /// seconds.
    #[must_use]
    pub(crate) fn edited_after(&self) -> Option<i64> {
        let seconds = self.modified?.seconds() - self.taken?.seconds();
        (seconds > 60).then_some(seconds)
    }

    /// Whether it says that it was taken more than a day after `now` (seconds since 1970): cameras tell local
    /// time, so less may be a time zone.
    #[must_use]
    pub(crate) fn taken_in_future(&self, now: i64) -> bool {
        self.taken.is_some_and(|taken| taken.seconds() > now.saturating_add(86_400))
    }

    fn take(&mut self, exif: &Exif) {
        self.present = exif.fields().next().is_some();
        let text = |tag: Tag| exif.get_field(tag, In::PRIMARY).and_then(|field| text(&field.value));
        self.make = text(Tag::Make);
        self.model = text(Tag::Model);
        for tag in [Tag::Software, Tag(exif::Context::Tiff, PROCESSING_SOFTWARE)] {
            if let Some(name) = text(tag) {
                self.program(&name);
            }
        }
        let moment = |tag: Tag| text(tag).and_then(|text| Moment::parse(&text));
        self.taken = moment(Tag::DateTimeOriginal).or_else(|| moment(Tag::DateTimeDigitized));
        self.modified = moment(Tag::DateTime);
        let degrees = |tag: Tag, side: Tag, negative: char, most: f64| {
            let degrees = degrees(&exif.get_field(tag, In::PRIMARY)?.value)?;
            let signed = if text(side)?.starts_with(negative) { -degrees } else { degrees };
            (signed.abs() <= most).then_some(signed)
        };
        let latitude = degrees(Tag::GPSLatitude, Tag::GPSLatitudeRef, 'S', 90.0);
        let longitude = degrees(Tag::GPSLongitude, Tag::GPSLongitudeRef, 'W', 180.0);
        // Phones that don't know where they are write zeros.
        self.gps = latitude.zip(longitude).filter(|at| *at != (0.0, 0.0));
    }

    fn program(&mut self, name: &str) {
        // Names are short: of a long text only the beginning is searched.
        let lower = name.chars().take(1024).collect::<String>().to_lowercase();
        let known = |list: &[(&str, &'static str)]| {
            list.iter().find(|(part, _)| lower.contains(part)).map(|(_, name)| *name)
        };
        self.editor = self.editor.or_else(|| known(EDITORS));
        self.generated |= known(GENERATORS).is_some();
        if self.software.is_none() {
            self.software = clean(name);
        }
    }
}

/// Kilometres between two places (latitude, longitude in degrees) along the great circle: the haversine
/// formula (Sinnott 1984) on a sphere of 6371.0088 km, wrong by 0.5% at most.
#[must_use]
pub(crate) fn distance_km(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (from, to) = (a.0.to_radians(), b.0.to_radians());
    let (down, across) = ((to - from) / 2.0, (b.1 - a.1).to_radians() / 2.0);
    let half = down.sin().powi(2) + from.cos() * to.cos() * across.sin().powi(2);
    2.0 * 6_371.008_8 * half.clamp(0.0, 1.0).sqrt().asin()
}

/// EXIF's tag of the program that changed a photo, which the library has no name for.
const PROCESSING_SOFTWARE: u16 = 0x000B;
/// Characters of a text that are kept.
const MOST_CHARACTERS: usize = 120;
/// Values of one key of XMP that are looked at: a long history repeats itself.
const MOST_VALUES: usize = 100;

/// Parts of programs' names in lower case, and what the programs are called.
const EDITORS: &[(&str, &str)] = &[
    ("photoshop", "Adobe Photoshop"),
    ("lightroom", "Adobe Lightroom"),
    ("gimp", "GIMP"),
    ("snapseed", "Snapseed"),
    ("picsart", "PicsArt"),
    ("canva", "Canva"),
    ("affinity", "Affinity Photo"),
    ("pixelmator", "Pixelmator"),
    ("capture one", "Capture One"),
    ("darktable", "darktable"),
    ("rawtherapee", "RawTherapee"),
    ("paint.net", "Paint.NET"),
    ("photopea", "Photopea"),
    ("photoscape", "PhotoScape"),
    ("photoroom", "PhotoRoom"),
    ("facetune", "Facetune"),
    ("faceapp", "FaceApp"),
    ("vsco", "VSCO"),
    ("pixlr", "Pixlr"),
    ("fotor", "Fotor"),
    ("meitu", "Meitu"),
    ("luminar", "Luminar"),
    ("polarr", "Polarr"),
    ("paintshop", "PaintShop Pro"),
    ("krita", "Krita"),
    ("inshot", "InShot"),
    ("figma", "Figma"),
];

/// Parts of the names of programs that make pictures without a camera.
const GENERATORS: &[(&str, &str)] = &[
    ("midjourney", "Midjourney"),
    ("stable diffusion", "Stable Diffusion"),
    ("dall-e", "DALL-E"),
    ("dall·e", "DALL-E"),
    ("firefly", "Adobe Firefly"),
    ("comfyui", "ComfyUI"),
];

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Ascii(lines) => clean(&String::from_utf8_lossy(lines.first()?)),
        _ => None,
    }
}

/// Without what can't be shown; `None` where nothing is left.
fn clean(text: &str) -> Option<String> {
    let shown = text.chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS).collect::<String>();
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.to_owned())
}

fn degrees(value: &Value) -> Option<f64> {
    let Value::Rational(parts) = value else { return None };
    let part = |place: usize| parts.get(place).map_or(0.0, |part| part.to_f64());
    let degrees = part(0) + part(1) / 60.0 + part(2) / 3600.0;
    (!parts.is_empty() && degrees.is_finite()).then_some(degrees)
}

/// The values of `key` in XMP, as attributes or elements.
fn values<'a>(packet: &'a str, key: &str) -> Vec<&'a str> {
    let mut parts = packet.split(key);
    parts.next();
    let value = |rest: &'a str| {
        let rest = rest.trim_start();
        let (rest, end) = match rest.strip_prefix('>') {
            Some(rest) => (rest, '<'),
            None => {
                let rest = rest.strip_prefix('=')?.trim_start();
                let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
                (rest.strip_prefix(quote)?, quote)
            }
        };
        rest.split(end).next()
    };
    parts.take(MOST_VALUES).filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, jpeg, scene};

    /// A JPEG with the text `entries` (tag, text) and, below Exif's pointer, others; and a place where
    /// wanted.
    fn tagged(entries: &[(Tag, &str)], place: Option<[u32; 6]>) -> Vec<u8> {
        let mut fields: Vec<exif::Field> = entries
            .iter()
            .map(|(tag, text)| exif::Field {
                tag: *tag,
                ifd_num: In::PRIMARY,
                value: Value::Ascii(vec![text.as_bytes().to_vec()]),
            })
            .collect();
        if let Some(place) = place {
            for (tag, part) in [(Tag::GPSLatitude, &place[..3]), (Tag::GPSLongitude, &place[3..])] {
                let value = part.iter().map(|num| exif::Rational { num: *num, denom: 1 }).collect();
                fields.push(exif::Field { tag, ifd_num: In::PRIMARY, value: Value::Rational(value) });
            }
        }
        let mut writer = exif::experimental::Writer::new();
        fields.iter().for_each(|field| writer.push_field(field));
        let mut data = Cursor::new(Vec::new());
        writer.write(&mut data, false).unwrap();
        let data = [b"Exif\0\0", data.get_ref().as_slice()].concat();
        with_segment(0xE1, &data)
    }

    fn with_segment(marker: u8, data: &[u8]) -> Vec<u8> {
        let mut bytes = jpeg(&scene(1, 16, 16), 80);
        let length = (data.len() as u16 + 2).to_be_bytes();
        bytes.splice(2..2, [&[0xFF, marker], length.as_slice(), data].concat());
        bytes
    }

    #[test]
    fn a_camera_s_facts_are_read() {
        let bytes = tagged(
            &[
                (Tag::Make, "Canon "),
                (Tag::Model, "EOS R6"),
                (Tag::Software, "Adobe Photoshop Lightroom Classic 13.0"),
                (Tag::DateTimeOriginal, "2024:02:29 23:59:58"),
                (Tag::DateTime, "2024:03:01 00:10:00"),
                (Tag::GPSLatitudeRef, "N"),
                (Tag::GPSLongitudeRef, "W"),
            ],
            Some([48, 30, 36, 2, 15, 0]),
        );
        let facts = ExifFacts::read(&bytes);
        assert!(facts.present && !facts.xmp && !facts.generated);
        assert_eq!((facts.make.as_deref(), facts.model.as_deref()), (Some("Canon"), Some("EOS R6")));
        assert_eq!(facts.editor, Some("Adobe Photoshop"));
        assert_eq!(facts.taken.unwrap().to_string(), "2024-02-29 23:59:58");
        assert_eq!(facts.edited_after(), Some(602));
        assert!(facts.taken_in_future(1_700_000_000) && !facts.taken_in_future(1_709_251_198));
        let (latitude, longitude) = facts.gps.unwrap();
        assert!((latitude - 48.51).abs() < 1e-9 && (longitude + 2.25).abs() < 1e-9);
    }

    #[test]
    fn firmware_is_no_editor() {
        let facts = ExifFacts::read(&tagged(&[(Tag::Software, "17.5.1")], None));
        assert_eq!((facts.software.as_deref(), facts.editor), (Some("17.5.1"), None));
        assert_eq!(ExifFacts::read(&jpeg(&scene(1, 16, 16), 80)), ExifFacts::default());
        assert_eq!(ExifFacts::read(b""), ExifFacts::default());
    }

    #[test]
    fn xmp_names_programs() {
        let packet =
            "http://ns.adobe.com/xap/1.0/\0<x xmp:CreatorTool = \"Snapseed 2\"><CreatorTool>Canva</x>";
        let facts = ExifFacts::read(&with_segment(0xE1, packet.as_bytes()));
        assert_eq!(
            (facts.editor, facts.software.as_deref(), facts.xmp),
            (Some("Snapseed"), Some("Snapseed 2"), true)
        );
        let packet = "http://ns.adobe.com/xap/1.0/\0<x>http://cv.iptc.org/trainedAlgorithmicMedia</x>";
        assert!(ExifFacts::read(&with_segment(0xE1, packet.as_bytes())).generated);
    }

    #[test]
    fn damaged_metadata_are_no_metadata() {
        let whole = tagged(&[(Tag::Software, "GIMP"), (Tag::GPSLatitudeRef, "N")], Some([1, 2, 3, 4, 5, 6]));
        let mut random = Random(9);
        for _ in 0..2_000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random.next() % 6 {
                let at = 2 + random.next() % 200;
                bytes[at] = random.next() as u8;
            }
            let _ = ExifFacts::read(&bytes);
        }
    }

    #[test]
    fn distances_on_the_globe() {
        // Vincenty's formula on WGS 84: Paris to New York 5,849 km, and to itself none.
        let (paris, new_york) = ((48.8566, 2.3522), (40.7128, -74.0060));
        assert!((distance_km(paris, new_york) - 5_849.0).abs() < 30.0);
        assert_eq!(distance_km(paris, paris), 0.0);
        assert!((distance_km((0.0, 0.0), (0.0, 180.0)) - 20_015.1).abs() < 0.1);
    }
}
