//! Trains a model that looks at photos: a head on the embeddings of a network that is there.

mod familiar;
mod labelled;
mod logistic;
mod measure;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use smartsneaks_table_function::Workers;
use thiserror::Error;

use crate::images::Images;
use crate::model::Model;
use crate::models::{CHECKS, NETWORK, SPEC};
use crate::onnx_file::{self, Directions, STRANGENESS};
use crate::photo::Photo;
use logistic::{Logistic, Rows};

pub use labelled::Labelled;

/// Why nothing was trained.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The labels.
    #[error("{file}: {reason}")]
    Labels {
        /// Their file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The network.
    #[error("{0}")]
    Model(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// How well a trained model does.
#[derive(Debug, Clone)]
pub struct Report {
    name: String,
    learned: usize,
    refused: Vec<String>,
    lambda: f64,
    /// Strangeness that 99 of 100 photos have at most which their directions were not learned from.
    most: f64,
    folds: Figures,
    valid: Option<Figures>,
}

#[derive(Debug, Clone)]
struct Figures {
    photos: usize,
    auc: f64,
    calibration_error: f64,
    /// Verdicts AUTHENTIC at the threshold 0.9, and how many of them are right.
    authentic: (usize, usize),
    inconclusive: usize,
}

/// Penalties that are tried, and parts that are held out one after the other.
const LAMBDAS: [f64; 5] = [0.01, 0.03, 0.1, 0.3, 1.0];
const FOLDS: usize = 5;

/// Trains the model `name` from the photos and writes its folder: the network of the head, its description and the weights
/// that make its odds honest. `looked` is told of every photo.
///
/// # Errors
/// When the backbone can't be used, or the photos show one class alone.
pub fn train_head(
    images: &Images,
    name: &str,
    backbone: &str,
    labelled: &Labelled,
    seed: u64,
    threads: usize,
    looked: &(dyn Fn(usize) + Sync),
) -> Result<Report, TrainError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(TrainError::Other(format!(
            "a model's name has letters, digits, _ and -; found '{name}'"
        )));
    }
    let network =
        images.models().embedding(backbone).map_err(|error| TrainError::Model(error.to_string()))?;
    let refused = Mutex::new(Vec::new());
    let workers = Workers::new(threads);
    let embed = |at: usize| {
        let photo = &labelled.photos[at];
        let embedding = embed(images, &network, &photo.path);
        looked(at);
        Ok(embedding.map_err(|reason| {
            let reason = format!("{}: {reason}", photo.path.display());
            refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(reason);
        }))
    };
    let embeddings = workers.enter(|| workers.map(labelled.photos.len(), embed));
    let embeddings = embeddings.map_err(|error| TrainError::Other(error.to_string()))?;

    let wide = embeddings.iter().flatten().map(Vec::len).next().unwrap_or(0);
    let (mut features, mut authentic, mut sources, mut valid) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (photo, embedding) in labelled.photos.iter().zip(&embeddings) {
        let Ok(embedding) = embedding else { continue };
        features.extend_from_slice(embedding);
        authentic.push(photo.authentic);
        sources.push(photo.source.clone());
        valid.push(photo.valid);
    }
    let rows = Rows { features: &features, wide, authentic: &authentic };
    let places = |wanted: bool| (0..valid.len()).filter(|at| valid[*at] == wanted).collect::<Vec<_>>();
    let learned = places(false);
    let folds = folds(&learned, &sources, seed);
    let one_class =
        || TrainError::Other("the photos to learn from must show both classes, in every fold".to_owned());

    // Each photo is judged by a head that did not learn from it or its source.
    let mut best: Option<(f64, f64, Vec<f64>)> = None;
    for lambda in LAMBDAS {
        let mut logits = vec![0.0; learned.len()];
        for fold in 0..FOLDS {
            let others = learned.iter().zip(&folds).filter(|(_, of)| **of != fold).map(|(place, _)| *place);
            let head = logistic::fit(rows, &others.collect::<Vec<_>>(), lambda).ok_or_else(one_class)?;
            for (at, place) in learned.iter().enumerate().filter(|(at, _)| folds[*at] == fold) {
                logits[at] = head.logit(row(rows, *place));
            }
        }
        let (slope, start) = measure::platt(&logits, &labels(&authentic, &learned));
        let loss: f64 = logits
            .iter()
            .zip(&learned)
            .map(|(logit, place)| {
                let odds = slope * logit + start;
                let signed = if authentic[*place] { odds } else { -odds };
                (-signed).max(0.0) + (-signed.abs()).exp().ln_1p()
            })
            .sum();
        if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
            best = Some((loss, lambda, logits));
        }
    }
    let (_, lambda, logits) = best.ok_or_else(one_class)?;
    let known = labels(&authentic, &learned);
    let (slope, start) = measure::platt(&logits, &known);
    let head = logistic::fit(rows, &learned, lambda).ok_or_else(one_class)?;
    let held_out = places(true);
    let seen: Vec<f64> = held_out.iter().map(|place| head.logit(row(rows, *place))).collect();
    let directions = familiar::fit(rows, &learned, seed);
    let report = Report {
        most: bound(rows, &learned, &folds, seed),
        name: name.to_owned(),
        learned: learned.len(),
        refused: refused.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner),
        lambda,
        folds: figures(&logits, &known, slope, start),
        valid: (!seen.is_empty()).then(|| figures(&seen, &labels(&authentic, &held_out), slope, start)),
    };
    write(images, name, backbone, (&head, &directions), (slope, start), &report)?;
    Ok(report)
}

/// The least limit of strangeness: below it are the last digits of 32-bit sums, and a limit of 0 is none.
const LEAST_MOST: f64 = 1e-6;

/// What 99 of 100 photos have at most that show a shoe: each is held to what others have in common.
fn bound(rows: Rows<'_>, learned: &[usize], folds: &[usize], seed: u64) -> f64 {
    let of = |fold: usize, wanted: bool| {
        let places = learned.iter().zip(folds).filter(move |(_, of)| (**of == fold) == wanted);
        places.map(|(place, _)| *place)
    };
    let mut strange: Vec<f64> = (0..FOLDS)
        .flat_map(|fold| {
            let directions = familiar::fit(rows, &of(fold, false).collect::<Vec<_>>(), seed);
            of(fold, true).map(|place| directions.strangeness(row(rows, place))).collect::<Vec<_>>()
        })
        .collect();
    strange.sort_by(f64::total_cmp);
    let place = strange.len() * 99 / 100;
    strange.get(place.min(strange.len().saturating_sub(1))).copied().unwrap_or(0.0).max(LEAST_MOST)
}

fn embed(images: &Images, network: &Model, path: &std::path::Path) -> Result<Vec<f32>, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let photo: Photo = images.decode(&bytes.into()).map_err(|refused| refused.detail)?;
    network.embed(&photo.pixels, false)
}

fn row(rows: Rows<'_>, place: usize) -> &[f32] {
    rows.features.get(place * rows.wide..(place + 1) * rows.wide).unwrap_or_default()
}

fn labels(authentic: &[bool], places: &[usize]) -> Vec<bool> {
    places.iter().map(|place| authentic[*place]).collect()
}

/// The fold of each photo: photos of one source stand in one, and each class is spread evenly.
fn folds(learned: &[usize], sources: &[Option<String>], seed: u64) -> Vec<usize> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, place) in learned.iter().enumerate() {
        let source = sources[*place].clone().unwrap_or_else(|| format!("\0{at:09}"));
        groups.entry(source).or_default().push(at);
    }
    let mut order: Vec<Vec<usize>> = groups.into_values().collect();
    // Fisher & Yates with the steps of a linear congruential generator (Knuth).
    let mut state = seed ^ 0x9E37_79B9_7F4A_7C15;
    for at in (1..order.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(at, (state >> 33) as usize % (at + 1));
    }
    // The largest first, each into the smallest fold.
    order.sort_by_key(|group| std::cmp::Reverse(group.len()));
    let (mut folds, mut sizes) = (vec![0; learned.len()], [0; FOLDS]);
    for group in order {
        let fold = (0..FOLDS).min_by_key(|fold| sizes[*fold]).unwrap_or(0);
        sizes[fold] += group.len();
        group.into_iter().for_each(|at| folds[at] = fold);
    }
    folds
}

fn figures(logits: &[f64], authentic: &[bool], slope: f64, start: f64) -> Figures {
    let probabilities: Vec<f64> =
        logits.iter().map(|logit| 1.0 / (1.0 + (-(slope * logit + start)).exp())).collect();
    let sure = probabilities.iter().zip(authentic).filter(|(p, _)| **p >= 0.9);
    let right = sure.clone().filter(|(_, authentic)| **authentic).count();
    Figures {
        photos: logits.len(),
        auc: measure::auc(logits, authentic),
        calibration_error: measure::calibration_error(&probabilities, authentic),
        authentic: (sure.count(), right),
        inconclusive: probabilities.iter().filter(|p| **p > 0.1 && **p < 0.9).count(),
    }
}

fn write(
    images: &Images,
    name: &str,
    backbone: &str,
    (head, directions): (&Logistic, &Directions),
    (slope, start): (f64, f64),
    report: &Report,
) -> Result<(), TrainError> {
    let folder = images.models().dir().join(name);
    let fault = |error: std::io::Error| TrainError::Other(format!("{}: {error}", folder.display()));
    std::fs::create_dir_all(&folder).map_err(fault)?;
    let weights: Vec<f32> = head.weights.iter().map(|weight| *weight as f32).collect();
    let notes = [
        ("backbone", backbone.to_owned()),
        ("photos", report.learned.to_string()),
        ("auc", format!("{:.4}", report.folds.auc)),
    ];
    let network = onnx_file::linear(&weights, head.bias as f32, Some(directions), &notes);
    let most = report.most;
    let spec = format!(
        "# Written by smartsneaks train {name}.\nkind = \"head\"\nbackbone = \"{backbone}\"\noutput = \"logit\"\n\n\
         # Photos that are stranger than 99 of 100 that were held out show no shoe.\n\
         [familiar]\noutput = \"{STRANGENESS}\"\nmost = {most:.6}\n"
    );
    let checks = format!(
        "# Written by smartsneaks train {name}: what makes the odds of photos that were held out honest.\n\
         start = {start:.6}\nslope = {slope:.6}\n"
    );
    // The description last: a folder without one is no model, so a crash leaves none that is half written.
    for (file, bytes) in [(NETWORK, network), (CHECKS, checks.into_bytes()), (SPEC, spec.into_bytes())] {
        let part = folder.join(format!("{file}.part"));
        std::fs::write(&part, bytes).map_err(fault)?;
        std::fs::rename(part, folder.join(file)).map_err(fault)?;
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for refused in self.refused.iter().take(10) {
            writeln!(f, "left out: {refused}")?;
        }
        if self.refused.len() > 10 {
            writeln!(f, "left out: {} more", self.refused.len() - 10)?;
        }
        let Self { name, learned, lambda, most, .. } = self;
        writeln!(f, "model={name} photos={learned} penalty={lambda} strangeness_most={most:.6}")?;
        let valid = self.valid.iter().map(|figures| ("valid", figures));
        for (on, figures) in std::iter::once(("held out in turn", &self.folds)).chain(valid) {
            let Figures { photos, auc, calibration_error, authentic: (said, right), inconclusive } = figures;
            let share = 100.0 * *inconclusive as f64 / (*photos).max(1) as f64;
            writeln!(
                f,
                "{on}: photos={photos} auc={auc:.3} calibration_error={calibration_error:.3} \
                 authentic={right} of {said} right, inconclusive={share:.0}%"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ImageConfig;
    use crate::small::of_means;

    /// Reddish photos are authentic, bluish are not; some are labelled wrongly.
    fn project() -> (tempfile::TempDir, Images, Labelled) {
        let dir = tempfile::tempdir().unwrap();
        let models = dir.path().join("models/means");
        std::fs::create_dir_all(&models).unwrap();
        let spec = "kind = \"embedding\"\n[input]\nwidth = 8\nheight = 8\n";
        std::fs::write(models.join(SPEC), spec).unwrap();
        let identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        std::fs::write(models.join(NETWORK), of_means(8, 8, &identity, &[0.0; 3], &[1, 3])).unwrap();
        let mut labels = "split,file,is_fake,source\n".to_owned();
        for at in 0..120_u32 {
            let fake = at % 2 == 1;
            let warm = (at * 37 % 90) as u8;
            let colour = if fake { [60 + warm, 80, 200 - warm] } else { [200 - warm / 2, 80, 60 + warm / 2] };
            let photo = image::RgbImage::from_pixel(16, 16, image::Rgb(colour));
            photo.save_with_format(dir.path().join(format!("{at}.png")), image::ImageFormat::Png).unwrap();
            let wrong = at % 20 == 4;
            let split = if at >= 100 { "valid" } else { "train" };
            labels += &format!("{split},{at}.png,{},s{}\n", u8::from(fake != wrong), at / 4);
        }
        std::fs::write(dir.path().join("labels.csv"), labels).unwrap();
        std::fs::write(dir.path().join("7.png"), "no photo").unwrap();
        let labelled = Labelled::read(&dir.path().join("labels.csv"), dir.path()).unwrap();
        let images = Images::new(ImageConfig::default().under(dir.path()));
        (dir, images, labelled)
    }

    #[test]
    fn a_model_is_trained_and_can_be_asked_for() {
        let (dir, images, labelled) = project();
        let looked = |_: usize| {};
        let report = train_head(&images, "own", "means", &labelled, 1, 2, &looked).unwrap();
        let said = report.to_string();
        assert!(said.contains("7.png: not an image") && said.contains("photos=99"), "{said}");
        assert!(report.folds.auc > 0.8 && report.valid.unwrap().photos == 20, "{said}");
        let model = images.models().get("own").unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let logit = |rgb: [u8; 3]| {
            let photo = crate::photo::Pixels { width: 16, height: 16, rgb: rgb.repeat(256) };
            model.look(&photo, (&bytes::Bytes::new(), ""), runtime.handle()).unwrap().logit.unwrap()
        };
        assert!(logit([190, 80, 70]) > 0.0 && logit([80, 80, 190]) < 0.0);
        let strange = |rgb: [u8; 3]| {
            let photo = crate::photo::Pixels { width: 16, height: 16, rgb: rgb.repeat(256) };
            let opinion = model.look(&photo, (&bytes::Bytes::new(), ""), runtime.handle()).unwrap();
            opinion.strangeness.unwrap()
        };
        assert!(strange([180, 80, 80]) <= 1.0 && strange([90, 80, 160]) <= 1.0, "{}", strange([180, 80, 80]));
        assert!(strange([0, 255, 0]) > 2.0, "none was green: {}", strange([0, 255, 0]));
        // The same photos, seed and any number of threads: the same bytes.
        let first = std::fs::read(dir.path().join("models/own").join(NETWORK)).unwrap();
        train_head(&images, "own", "means", &labelled, 1, 1, &looked).unwrap();
        assert_eq!(std::fs::read(dir.path().join("models/own").join(NETWORK)).unwrap(), first);
    }

    #[test]
    fn what_can_not_be_trained_is_said() {
        let (_dir, images, mut labelled) = project();
        let train = |labelled: &Labelled, name: &str, backbone: &str| {
            train_head(&images, name, backbone, labelled, 0, 1, &|_| {}).unwrap_err().to_string()
        };
        assert!(train(&labelled, "../own", "means").contains("letters, digits, _ and -"));
        assert!(train(&labelled, "own", "none").contains("unknown model 'none'; valid: means"));
        labelled.photos.retain(|photo| photo.authentic);
        assert!(train(&labelled, "own", "means").contains("both classes"));
        assert!(!images.models().dir().join("own").exists());
    }
}
