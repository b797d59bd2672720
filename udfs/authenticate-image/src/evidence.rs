//! The checks of one photo: what each measures, saw and expected.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::checks::Finding;
use crate::colour;
use crate::double_compression::double_compression as compressed_twice;
use crate::ela;
use crate::exif_facts::{ExifFacts, distance_km};
use crate::gallery::References;
use crate::judge::Listing;
use crate::model::{NamedRegion, Opinion};
use crate::phash;
use crate::photo::Photo;
use crate::region::Region;
use crate::reuse::NEAR;
use crate::spec::Means;

/// What is known of a photo when its checks are made.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) photo: &'a Photo,
    pub(crate) bytes: &'a Bytes,
    pub(crate) region: &'a Region,
    pub(crate) listing: &'a Listing,
    pub(crate) opinion: &'a Opinion,
    pub(crate) sku: Option<&'a str>,
    pub(crate) references: Option<&'a References>,
    pub(crate) now: DateTime<Utc>,
}

/// A finding of the check `name`.
fn finding(
    name: &str,
    region: &'static str,
    value: Option<f64>,
    observed: impl Into<String>,
    expected: impl Into<String>,
) -> Finding {
    Finding {
        check: name.to_owned(),
        region,
        bounds: None,
        value,
        observed: observed.into(),
        expected: expected.into(),
        note: String::new(),
    }
}

impl Finding {
    /// With words that continue a sentence.
    fn noted(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    fn within(self, bounds: [u32; 4]) -> Self {
        Self { bounds: Some(bounds), ..self }
    }
}

/// The checks that are `wanted`, in a fixed order.
pub(crate) fn findings(facts: &Facts<'_>, wanted: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut found = vec![model(facts)];
    found.extend(facts.opinion.strangeness.map(familiarity));
    found.extend(facts.opinion.regions.iter().map(region));
    if ["editing software", "metadata", "capture date", "place"].iter().any(|check| wanted(check)) {
        found.extend(metadata(facts));
    }
    if wanted("error level") {
        found.extend(error_level(facts));
    }
    if wanted("double compression") {
        found.extend(double_compression(facts));
    }
    if facts.sku.is_some() {
        found.extend(references(facts));
    }
    if wanted("price") {
        found.extend(price(facts.listing));
    }
    found
}

fn model(facts: &Facts<'_>) -> Finding {
    let logit = facts.opinion.logit;
    let percent = |logit: f64| 100.0 / (1.0 + (-logit).exp());
    let observed = logit.map_or("nothing that it knows".to_owned(), |logit| {
        format!("{:.0}% authentic by the shoe's looks", percent(logit))
    });
    let note = match logit {
        Some(logit) if logit >= 0.0 => "it looks like the authentic shoes that the model has learned",
        Some(_) => "it looks like the replicas that the model has learned",
        None => "",
    };
    finding("model", "shoe", logit, observed, "above 50%").within(facts.region.bounds).noted(note)
}

fn familiarity(strangeness: f64) -> Finding {
    let observed = format!("{strangeness:.2} of the limit");
    let note =
        if strangeness > 1.0 { "it is unlike the photos of shoes that the model has learned" } else { "" };
    finding("familiarity", "photo", Some(strangeness), observed, "at most 1").noted(note)
}

fn region(region: &NamedRegion) -> Finding {
    let NamedRegion { name, bounds, score, means } = region;
    let expected = match means {
        Means::Authentic => "to be seen",
        Means::Replica => "not to be seen",
        Means::Nothing => "",
    };
    let observed = format!("{:.0}% sure", 100.0 * score);
    finding(name, "shoe", Some(f64::from(*score)), observed, expected).within(*bounds)
}

fn metadata(facts: &Facts<'_>) -> Vec<Finding> {
    let exif = ExifFacts::read(facts.bytes);
    let flag = |set: bool| Some(f64::from(u8::from(set)));
    let mut found = Vec::new();
    let software = exif.editor;
    let said = software.unwrap_or("none named");
    let edited = finding("editing software", "file", flag(software.is_some()), said, "none named");
    found.push(match software {
        Some(software) => edited.noted(format!("the photo was edited with {software}")),
        None => edited,
    });
    if facts.photo.jpeg.is_some() {
        let said = if exif.present { "camera's metadata" } else { "no metadata" };
        found.push(
            finding("metadata", "file", flag(!exif.present), said, "camera's metadata")
                .noted(if exif.present { "" } else { "the photo carries no metadata" }),
        );
    }
    if let Some(taken) = exif.taken {
        let future = exif.taken_in_future(facts.now.timestamp());
        let note = if future { "it says that it was taken in the future" } else { "" };
        let changed = exif.edited_after().filter(|seconds| *seconds > 86_400);
        let said = match changed {
            Some(seconds) => format!("taken {taken}, changed {} days later", seconds / 86_400),
            None => format!("taken {taken}"),
        };
        found.push(finding("capture date", "file", flag(future), said, "a date that has been").noted(note));
    }
    if let (Some(at), Some(shop)) = (exif.gps, facts.listing.place) {
        let distance = distance_km(at, shop);
        let far = if distance > 100.0 {
            format!("it was taken {distance:.0} km from the shop")
        } else {
            String::new()
        };
        let value = (distance / 100.0).min(10.0);
        let said = format!("taken {distance:.0} km from the shop");
        found.push(finding("place", "file", Some(value), said, "near the shop").noted(far));
    }
    found
}

fn error_level(facts: &Facts<'_>) -> Option<Finding> {
    let levels = ela::analyse(&facts.photo.pixels)?;
    let value = levels.ratio.max(1.0).ln();
    let said =
        format!("the strongest blocks differ {:.1} times the median when compressed anew", levels.ratio);
    Some(finding("error level", "photo", Some(value), said, "alike all over").within(levels.bounds))
}

fn double_compression(facts: &Facts<'_>) -> Option<Finding> {
    let jpeg = facts.photo.jpeg.as_ref()?;
    let signs = compressed_twice(&facts.photo.pixels, Some(jpeg));
    let quality =
        jpeg.quality.map_or("of unknown quality".to_owned(), |quality| format!("of quality {quality}"));
    let earlier =
        signs.earlier_quality.map_or(String::new(), |quality| format!(", most likely at {quality}"));
    let passes = if jpeg.is_progressive() { "progressive " } else { "" };
    let percent = 100.0 * signs.score;
    let said = format!("a {passes}JPEG {quality}, signs of an earlier compression {percent:.0}%{earlier}");
    Some(finding("double compression", "file", Some(signs.score), said, "compressed once"))
}

/// What the references of the article say.
fn references(facts: &Facts<'_>) -> Vec<Finding> {
    let (Some(sku), Some(references)) = (facts.sku, facts.references) else {
        return vec![finding("references", "shoe", None, "no reference photos", "references of the article")];
    };
    let mut found = Vec::new();
    if let (Some(gallery), Some(embedding)) = (&references.embeddings, &facts.opinion.embedding)
        && let Some((_, distance)) = gallery.nearest(embedding)
    {
        let said = format!("cosine distance {distance:.2} to the nearest of {}", gallery.len());
        let one = finding("references", "shoe", Some(distance), said, format!("near the photos of {sku}"));
        let far = distance > 0.5;
        found.push(one.noted(if far {
            format!("it looks unlike the references of {sku}")
        } else {
            String::new()
        }));
    }
    let own = colour::signature(&facts.photo.pixels, Some(facts.region.bounds));
    let distances = references.colours.iter().map(|other| colour::distance(&own, other));
    if let Some(distance) = distances.min_by(f64::total_cmp) {
        let said = format!("{}, {distance:.2} from the nearest reference", colour::describe(&own));
        let one = finding("colour", "shoe", Some(distance), said, format!("the colours of {sku}"));
        let far = distance > 0.5;
        found.push(one.within(facts.region.bounds).noted(if far {
            format!("its colours are not those of {sku}")
        } else {
            String::new()
        }));
    }
    let own = phash::phash(&facts.photo.pixels);
    let nearest = references.hashes.iter().map(|other| phash::hamming(own, *other)).min();
    if let Some(distance) = nearest {
        let stock = distance <= NEAR;
        let said = format!("{distance} of 64 bits from the nearest reference photo");
        let note =
            if stock { "the photo is one of the references, not of the shoe that is sold" } else { "" };
        let value = f64::from(u8::from(stock));
        found.push(finding("stock photo", "photo", Some(value), said, "a photo of its own").noted(note));
    }
    found
}

fn price(listing: &Listing) -> Option<Finding> {
    let (asked, market) = (listing.price?, listing.market_price?);
    if asked <= 0.0 || market <= 0.0 {
        return None;
    }
    let value = (market / asked).ln().max(0.0);
    let share = 100.0 * asked / market;
    let note = if share < 60.0 { format!("it costs {share:.0}% of the usual price") } else { String::new() };
    let said = format!("{asked:.0} asked, {share:.0}% of the usual {market:.0}");
    Some(finding("price", "listing", Some(value), said, "near the usual price").noted(note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_far_under_the_market_is_said() {
        let listing = |price, market_price| Listing { price, market_price, ..Listing::default() };
        let found = price(&listing(Some(3_000.0), Some(12_000.0))).unwrap();
        assert!((found.value.unwrap() - 4.0_f64.ln()).abs() < 1e-12);
        assert_eq!(found.note, "it costs 25% of the usual price");
        assert_eq!(price(&listing(Some(13_000.0), Some(12_000.0))).unwrap().value, Some(0.0));
        assert_eq!(price(&listing(None, Some(12_000.0))), None);
        assert_eq!(price(&listing(Some(0.0), Some(12_000.0))), None);
    }
}
