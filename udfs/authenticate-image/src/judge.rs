//! One photo: from its bytes to a verdict with its reasons.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use crate::checks::{Finding, Weighed, weigh};
use crate::evidence;
use crate::gallery::{KnownPhoto, KnownPhotos, References};
use crate::images::{Images, Refused, Source};
use crate::model::Model;
use crate::models::ModelError;
use crate::phash;
use crate::photo::Photo;
use crate::quality::{Issue, LEAST_COVERAGE, Quality};
use crate::region::Region;
use crate::sentence;

/// What is asked of every photo of a statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    /// Name of the model.
    pub(crate) model: String,
    /// The article that all photos are said to show.
    pub(crate) sku: Option<String>,
    /// Probability from which a verdict is given, above 0.5 and below 1.
    pub(crate) threshold: f64,
    /// Whether checks are made that count nothing.
    pub(crate) explain: bool,
}

/// What is known of a listing beside its photo.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Listing {
    /// The article that it is said to be.
    pub(crate) sku: Option<String>,
    /// What it asks.
    pub(crate) price: Option<f64>,
    /// What the article usually sells for, in the same money.
    pub(crate) market_price: Option<f64>,
    /// Latitude and longitude of the shop, in degrees.
    pub(crate) place: Option<(f64, f64)>,
}

/// What a photo shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As far as the photo shows, the real thing.
    Authentic,
    /// As far as the photo shows, not the real thing.
    Replica,
    /// The evidence is weak.
    Inconclusive,
    /// The photo is not good enough, or shows no shoe.
    UnableToVerify,
}

impl Verdict {
    /// Its name in results.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verdict::Authentic => "AUTHENTIC",
            Verdict::Replica => "REPLICA",
            Verdict::Inconclusive => "INCONCLUSIVE",
            Verdict::UnableToVerify => "UNABLE_TO_VERIFY",
        }
    }
}

/// What became of a photo.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judgement {
    /// `None` where the photo could not be read.
    pub(crate) verdict: Option<Verdict>,
    /// Probability of the more likely of authentic and replica.
    pub(crate) confidence: Option<f64>,
    /// Probability of being authentic.
    pub(crate) p_authentic: Option<f64>,
    /// Whether the photo is good enough to be judged.
    pub(crate) quality_ok: Option<bool>,
    /// What is wrong with it.
    pub(crate) quality_issues: Vec<String>,
    /// The checks and their parts in the score.
    pub(crate) findings: Vec<Weighed>,
    /// One plain sentence.
    pub(crate) explanation: Option<String>,
    /// SHA-256 of the file.
    pub(crate) sha256: Option<String>,
    /// Perceptual hash of the photo.
    pub(crate) phash: Option<u64>,
    /// `ok`, or why there is no verdict.
    pub(crate) status: &'static str,
    /// The same in words.
    pub(crate) detail: Option<String>,
    found: Vec<Finding>,
    /// How to take a better photo.
    pub(crate) advice: Option<&'static str>,
}

impl Judgement {
    fn refused(Refused { status, detail }: Refused) -> Self {
        Self {
            verdict: None,
            confidence: None,
            p_authentic: None,
            quality_ok: None,
            quality_issues: Vec::new(),
            findings: Vec::new(),
            explanation: None,
            sha256: None,
            phash: None,
            status,
            detail: Some(detail),
            found: Vec::new(),
            advice: None,
        }
    }

    /// What speaks against the shoe, the strongest first.
    pub(crate) fn against(&self) -> impl Iterator<Item = &Weighed> {
        let mut against: Vec<&Weighed> =
            self.findings.iter().filter(|one| one.score < 0.0 && one.finding.check != "start").collect();
        against.sort_by(|a, b| a.score.total_cmp(&b.score));
        against.into_iter()
    }
}

/// Looks at the photos of one statement.
#[derive(Debug)]
pub(crate) struct Judge {
    images: Arc<Images>,
    request: Request,
    model: Arc<Model>,
    /// What a table says of the articles' references, instead of the gallery.
    known: Option<HashMap<String, Arc<References>>>,
    evaluated_at: DateTime<Utc>,
}

impl Judge {
    /// A judge with the model that `request` names, loaded.
    ///
    /// # Errors
    /// When the model can't be loaded, or says nothing of authenticity.
    pub(crate) fn new(
        images: Arc<Images>,
        request: &Request,
        known: Option<KnownPhotos>,
    ) -> Result<Self, ModelError> {
        let model = images.models().get(&request.model)?;
        if !model.judges() {
            let reason = "it makes embeddings and knows no verdicts".to_owned();
            let name = request.model.clone();
            return Err(ModelError::File { name, file: crate::models::SPEC, reason });
        }
        let known = known.map(|known| {
            let of = |(sku, photos): (String, Vec<KnownPhoto>)| {
                Some((sku, Arc::new(References::known(&photos, model.version())?)))
            };
            known.into_iter().filter_map(of).collect()
        });
        Ok(Self { images, request: request.clone(), model, known, evaluated_at: Utc::now() })
    }

    /// SHA-256 of the model.
    #[must_use]
    pub(crate) fn model_version(&self) -> &str {
        self.model.version()
    }

    /// When the statement began to look.
    #[must_use]
    pub(crate) fn evaluated_at(&self) -> DateTime<Utc> {
        self.evaluated_at
    }

    /// Looks at one photo; called on many threads at once. What other photos of the statement say is added by
    /// [`Judge::reused`], and [`Judge::finish`] gives the verdict.
    #[must_use]
    pub(crate) fn judge(&self, source: &Source, listing: &Listing, handle: &Handle) -> Judgement {
        let bytes = match self.images.read(source, handle) {
            Ok(bytes) => bytes,
            Err(refused) => return Judgement::refused(refused),
        };
        let photo = match self.images.decode(&bytes) {
            Ok(photo) => photo,
            Err(refused) => return Judgement::refused(refused),
        };
        match self.look(&photo, &bytes, listing, handle) {
            Ok(judgement) => judgement,
            Err(detail) => Judgement::refused(Refused { status: "model_failed", detail }),
        }
    }

    fn look(
        &self,
        photo: &Photo,
        bytes: &Bytes,
        listing: &Listing,
        handle: &Handle,
    ) -> Result<Judgement, String> {
        let region = Region::find(&photo.pixels);
        let mut quality = Quality::measure(&photo.pixels, Some(region.bounds));
        let opinion = self.model.look(&photo.pixels, (bytes, photo.media_type()), handle)?;
        if opinion.strangeness.is_some_and(|strangeness| strangeness > 1.0) {
            quality.issues.insert(0, Issue::NoShoeSeen);
        } else if region.found && region.coverage < LEAST_COVERAGE {
            quality.issues.push(Issue::ShoeTooSmall);
        }
        let sku = listing.sku.as_ref().or(self.request.sku.as_ref());
        let references = match (sku, &self.known) {
            (Some(sku), Some(known)) => known.get(sku).cloned(),
            (Some(sku), None) => self.images.gallery().of(sku, &self.images, &self.model)?,
            (None, _) => None,
        };
        let wanted = |check: &str| self.request.explain || self.model.weights().of(check) != 0.0;
        let facts = evidence::Facts {
            photo,
            bytes,
            region: &region,
            listing,
            opinion: &opinion,
            sku: sku.map(String::as_str),
            references: references.as_deref(),
            now: self.evaluated_at,
        };
        Ok(Judgement {
            verdict: None,
            confidence: None,
            p_authentic: None,
            quality_ok: Some(quality.is_good()),
            quality_issues: quality.issues.iter().map(|issue| issue.name().to_owned()).collect(),
            findings: Vec::new(),
            explanation: None,
            sha256: Some(photo.sha256.clone()),
            phash: Some(phash::phash(&photo.pixels)),
            status: "ok",
            detail: no_references(sku, references.as_deref()),
            found: evidence::findings(&facts, &wanted),
            advice: quality.issues.first().map(|issue| issue.advice()),
        })
    }

    /// Adds that another photo of the statement is the same one.
    pub(crate) fn reused(&self, judgement: &mut Judgement, other: &str, distance: u32) {
        judgement.found.push(Finding {
            check: "re-used photo".to_owned(),
            region: "photo",
            bounds: None,
            value: Some(1.0),
            observed: format!("the photo of {other}, {distance} of 64 bits apart"),
            expected: "a photo of its own".to_owned(),
            note: format!("the photo is also shown by {other}"),
        });
    }

    /// Weighs what was found and gives the verdict.
    #[must_use]
    pub(crate) fn finish(&self, mut judgement: Judgement) -> Judgement {
        if judgement.sha256.is_none() {
            return judgement;
        }
        let (probability, weighed) = weigh(std::mem::take(&mut judgement.found), self.model.weights());
        let threshold = self.request.threshold;
        let verdict = match probability {
            _ if judgement.quality_ok != Some(true) => Verdict::UnableToVerify,
            Some(p) if p >= threshold => Verdict::Authentic,
            Some(p) if p <= 1.0 - threshold => Verdict::Replica,
            Some(_) | None => Verdict::Inconclusive,
        };
        judgement.verdict = Some(verdict);
        judgement.p_authentic = probability;
        judgement.confidence = probability.map(|p| p.max(1.0 - p));
        judgement.findings = weighed;
        judgement.explanation = Some(sentence::explain(verdict, &judgement));
        judgement
    }
}

fn no_references(sku: Option<&String>, references: Option<&References>) -> Option<String> {
    let sku = sku?;
    references.is_none().then(|| format!("there are no reference photos of {sku}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ImageConfig;
    use crate::models::{NETWORK, SPEC};
    use crate::onnx_file::{self, Directions};
    use crate::pixels::Pixels;
    use crate::small::of_means;
    use crate::testing::jpeg;

    /// A chequered square of so many pixels before a background that fades, of 256 pixels a side.
    fn photo(side: u32, tint: [f32; 3]) -> Source {
        let inside = |at: u32| (128 - side / 2..128 + side / 2).contains(&at);
        let value = |x: u32, y: u32| match (inside(x) && inside(y), (x / 4 + y / 4) % 2) {
            (true, 0) => 250.0,
            (true, _) => 190.0,
            (false, _) => 20.0 + x as f32 / 2.0,
        };
        let pixel = |at: u32| tint.map(|part| (part * value(at % 256, at / 256)) as u8);
        let rgb = (0..256 * 256).flat_map(pixel).collect();
        Source::Bytes(jpeg(&Pixels { width: 256, height: 256, rgb }, 95).into())
    }

    #[test]
    fn without_a_shoe_or_with_a_small_one_there_is_no_verdict() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, spec: &str, network: Vec<u8>| {
            let folder = dir.path().join("models").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(SPEC), spec).unwrap();
            std::fs::write(folder.join(NETWORK), network).unwrap();
        };
        let identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let input = "kind = \"embedding\"\n[input]\nwidth = 16\nheight = 16\n";
        put("means", input, of_means(16, 16, &identity, &[0.0; 3], &[1, 3]));
        // It has learned from grey photos, some redder and some bluer.
        let half = std::f32::consts::FRAC_1_SQRT_2;
        let third = 3.0_f32.sqrt().recip();
        let grey = Directions { mean: vec![third; 3], along: vec![half, 0.0, -half], count: 1 };
        let head =
            "kind = \"head\"\nbackbone = \"means\"\n[familiar]\noutput = \"strangeness\"\nmost = 0.05\n";
        put("grey", head, onnx_file::linear(&[0.0; 3], 5.0, Some(&grey), &[]));
        let images = Arc::new(Images::new(ImageConfig::default().under(dir.path())));
        let request = Request { model: "grey".to_owned(), sku: None, threshold: 0.9, explain: false };
        let judge = Judge::new(images, &request, None).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let look = |source: &Source| judge.finish(judge.judge(source, &Listing::default(), runtime.handle()));

        for tint in [[1.0; 3], [1.0, 0.95, 0.9]] {
            let seen = look(&photo(150, tint));
            assert_eq!((seen.verdict, seen.status), (Some(Verdict::Authentic), "ok"), "{seen:?}");
            assert_eq!(seen.findings[1].finding.check, "familiarity");
            assert_eq!(seen.findings[1].score, 0.0, "it stands beside the score");
        }
        for (source, issue, advice) in [
            (photo(150, [0.3, 1.0, 0.3]), "no_shoe_seen", "send a photograph of the shoe"),
            (photo(40, [1.0; 3]), "shoe_too_small", "go nearer"),
            // Of what is no shoe it is not said that it is small.
            (photo(40, [0.3, 1.0, 0.3]), "no_shoe_seen", "send a photograph of the shoe"),
        ] {
            let seen = look(&source);
            assert_eq!(seen.verdict, Some(Verdict::UnableToVerify), "{seen:?}");
            assert_eq!(seen.quality_issues, [issue]);
            assert!(seen.explanation.unwrap().contains(advice));
        }
    }
}
