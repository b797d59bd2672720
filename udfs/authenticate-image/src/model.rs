//! A model that is loaded: what it says of a photo.

use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::backend::{Network, Tensor};
use crate::checks::Weights;
use crate::detector;
use crate::models::row;
use crate::photo::Pixels;
use crate::preprocess::{Prepared, prepare};
use crate::remote::RemoteClassifier;
use crate::remote_spec::HigherIs;
use crate::spec::{Classifier, Detector, Input, Means, Scores};

/// A model of a project.
#[derive(Debug)]
pub(crate) struct Model {
    name: String,
    version: String,
    kind: Kind,
    weights: Weights,
}

/// What a model is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Photo → embedding.
    Embedding { network: Network, input: Input, output: usize },
    /// Embedding → logit.
    Head {
        backbone: Arc<Model>,
        network: Network,
        output: usize,
        mirror: bool,
        familiar: Option<Familiarity>,
    },
    /// Photo → classes.
    Classifier {
        network: Network,
        output: usize,
        embedding: Option<usize>,
        familiar: Option<Familiarity>,
        spec: Classifier,
    },
    /// Photo → boxes.
    Detector { network: Network, output: usize, spec: Detector },
    /// Photo → a service's score.
    Remote(RemoteClassifier),
}

/// Which output says how strange a photo is, and what photos of shoes have at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Familiarity {
    /// Place of the output.
    pub(crate) output: usize,
    /// Above 0.
    pub(crate) most: f64,
}

impl Familiarity {
    /// How strange a photo is, in units of what photos of shoes have at most.
    fn of(self, outputs: &[Tensor]) -> Result<f64, String> {
        match row(outputs, self.output)? {
            [strangeness] => Ok(f64::from(*strangeness) / self.most),
            other => Err(format!("strangeness is one number, not {}", other.len())),
        }
    }
}

/// What a model says of one photo.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Opinion {
    /// Log odds of being authentic; `None` where the model only finds regions and found none.
    pub(crate) logit: Option<f64>,
    /// What the photo looks like to it.
    pub(crate) embedding: Option<Vec<f32>>,
    /// How unlike the photos of shoes that it learned from: up to 1 it shows one, above it none. `None` where the model
    /// can't tell.
    pub(crate) strangeness: Option<f64>,
    /// What it found where.
    pub(crate) regions: Vec<NamedRegion>,
}

/// A region with what it means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NamedRegion {
    /// What it shows.
    pub(crate) name: String,
    /// Left, top, width and height in pixels of the photo.
    pub(crate) bounds: [u32; 4],
    /// How sure the model is, 0 to 1.
    pub(crate) score: f32,
    /// What it says of the shoe.
    pub(crate) means: Means,
}

impl Model {
    pub(crate) fn new(name: String, version: String, kind: Kind, weights: Weights) -> Self {
        Self { name, version, kind, weights }
    }

    /// SHA-256 of its files and those it stands on, in hexadecimal digits.
    #[must_use]
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// How much each check counts beside it.
    #[must_use]
    pub(crate) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Whether it makes embeddings.
    #[must_use]
    pub(crate) fn embeds(&self) -> bool {
        matches!(
            self.kind,
            Kind::Embedding { .. } | Kind::Head { .. } | Kind::Classifier { embedding: Some(_), .. }
        )
    }

    /// Whether it says of a photo if the shoe is authentic.
    #[must_use]
    pub(crate) fn judges(&self) -> bool {
        !matches!(self.kind, Kind::Embedding { .. })
    }

    /// The embedding of a photo.
    ///
    /// # Errors
    /// When the model makes none, or the backend fails.
    pub(crate) fn embed(&self, photo: &Pixels, mirrored: bool) -> Result<Vec<f32>, String> {
        match &self.kind {
            Kind::Embedding { network, input, output } => {
                let Prepared { values, shape, .. } = prepare(photo, input, mirrored);
                let outputs = network.run(&shape, &values).map_err(|error| error.to_string())?;
                row(&outputs, *output).map(<[f32]>::to_vec)
            }
            Kind::Head { backbone, .. } => backbone.embed(photo, mirrored),
            Kind::Classifier { network, embedding: Some(output), spec, .. } => {
                let Prepared { values, shape, .. } = prepare(photo, &spec.input, mirrored);
                let outputs = network.run(&shape, &values).map_err(|error| error.to_string())?;
                row(&outputs, *output).map(<[f32]>::to_vec)
            }
            _ => Err(format!("model '{}' makes no embedding", self.name)),
        }
    }

    /// What it says of a photo: its pixels, or for a service the file as it came.
    ///
    /// # Errors
    /// When the backend or the service fails.
    pub(crate) fn look(
        &self,
        photo: &Pixels,
        (file, media_type): (&Bytes, &str),
        handle: &Handle,
    ) -> Result<Opinion, String> {
        match &self.kind {
            Kind::Embedding { .. } => {
                let embedding = self.embed(photo, false)?;
                Ok(Opinion { embedding: Some(embedding), ..Opinion::default() })
            }
            Kind::Head { network, output, mirror, familiar, .. } => {
                let embedding = self.embed(photo, false)?;
                let outputs = head(network, &embedding)?;
                let strangeness = familiar.map(|familiar| familiar.of(&outputs)).transpose()?;
                let mut logits = vec![logit(&outputs, *output)?];
                if *mirror {
                    logits.push(logit(&head(network, &self.embed(photo, true)?)?, *output)?);
                }
                let mean = logits.iter().sum::<f64>() / logits.len() as f64;
                let embedding = Some(embedding);
                Ok(Opinion { logit: Some(mean), embedding, strangeness, regions: Vec::new() })
            }
            Kind::Classifier { network, output, embedding, familiar, spec } => {
                let Prepared { values, shape, .. } = prepare(photo, &spec.input, false);
                let outputs = network.run(&shape, &values).map_err(|error| error.to_string())?;
                let logit = Some(class(row(&outputs, *output)?, spec)?);
                let strangeness = familiar.map(|familiar| familiar.of(&outputs)).transpose()?;
                let embedding = embedding.map(|place| row(&outputs, place).map(<[f32]>::to_vec));
                Ok(Opinion { logit, embedding: embedding.transpose()?, strangeness, regions: Vec::new() })
            }
            Kind::Detector { network, output, spec } => {
                let prepared = prepare(photo, &spec.input, false);
                let outputs =
                    network.run(&prepared.shape, &prepared.values).map_err(|error| error.to_string())?;
                let boxes = outputs.get(*output).ok_or("the model gave fewer outputs than it said")?;
                let found = detector::regions(boxes, spec)?;
                let named = found.iter().filter_map(|region| {
                    let class = spec.classes.get(region.class)?;
                    let bounds = prepared.in_photo(region.bounds, photo);
                    let (name, means) = (class.name.clone(), class.means);
                    Some(NamedRegion { name, bounds, score: region.score, means })
                });
                let regions: Vec<NamedRegion> = named.collect();
                let strongest = |means: Means| {
                    let scores = regions.iter().filter(|one| one.means == means).map(|one| one.score);
                    scores.fold(0.0_f32, f32::max)
                };
                let (real, fake) = (strongest(Means::Authentic), strongest(Means::Replica));
                let sure = |score: f32| odds(f64::from(score.min(0.999)) / 2.0 + 0.5);
                let logit = (real > 0.0 || fake > 0.0).then(|| sure(real) - sure(fake));
                Ok(Opinion { logit, regions, ..Opinion::default() })
            }
            Kind::Remote(service) => {
                let answer = handle.block_on(service.classify(file, media_type));
                let probability = answer.map_err(|error| error.to_string())?;
                Ok(Opinion { logit: Some(odds(probability)), ..Opinion::default() })
            }
        }
    }

    /// Runs the model on a grey photo: a network whose shapes don't fit is found out when it is loaded.
    pub(crate) fn try_out(&self) -> Result<(), String> {
        let side = 64;
        let grey = Pixels { width: side, height: side, rgb: vec![128; (side * side * 3) as usize] };
        match &self.kind {
            Kind::Remote(_) => Ok(()),
            Kind::Head { network, output, familiar, .. } => {
                let outputs = head(network, &self.embed(&grey, false)?)?;
                familiar.map(|familiar| familiar.of(&outputs)).transpose()?;
                logit(&outputs, *output).map(drop)
            }
            Kind::Embedding { .. } => self.embed(&grey, false).map(drop),
            Kind::Classifier { network, output, familiar, spec, .. } => {
                let Prepared { values, shape, .. } = prepare(&grey, &spec.input, false);
                let outputs = network.run(&shape, &values).map_err(|error| error.to_string())?;
                familiar.map(|familiar| familiar.of(&outputs)).transpose()?;
                class(row(&outputs, *output)?, spec).map(drop)
            }
            Kind::Detector { network, output, spec } => {
                let Prepared { values, shape, .. } = prepare(&grey, &spec.input, false);
                let outputs = network.run(&shape, &values).map_err(|error| error.to_string())?;
                let boxes = outputs.get(*output).ok_or("the model gave fewer outputs than it said")?;
                detector::regions(boxes, spec).map(drop)
            }
        }
    }
}

/// Log odds of a probability, within ±14 so that a certain answer stays a number.
pub(crate) fn odds(probability: f64) -> f64 {
    let inside = probability.clamp(1e-6, 1.0 - 1e-6);
    (inside / (1.0 - inside)).ln()
}

fn head(network: &Network, embedding: &[f32]) -> Result<Vec<Tensor>, String> {
    network.run(&[1, embedding.len()], embedding).map_err(|error| error.to_string())
}

fn logit(outputs: &[Tensor], output: usize) -> Result<f64, String> {
    match row(outputs, output)? {
        [logit] => Ok(f64::from(*logit)),
        other => Err(format!("a head gives one number, not {}", other.len())),
    }
}

/// Log odds of the authentic class against all others.
fn class(scores: &[f32], spec: &Classifier) -> Result<f64, String> {
    if let (Scores::LogOdds, [logit]) = (spec.scores, scores) {
        let sign = if spec.higher_is == HigherIs::Authentic { 1.0 } else { -1.0 };
        return Ok(sign * f64::from(*logit).clamp(-14.0, 14.0));
    }
    let Some(own) = scores.get(spec.authentic).copied().filter(|_| scores.len() > 1) else {
        return Err(format!("the scores are {} numbers, which model.toml does not say", scores.len()));
    };
    let own = f64::from(own);
    let others = scores.iter().enumerate().filter(|(place, _)| *place != spec.authentic);
    let others = others.map(|(_, score)| f64::from(*score));
    Ok(match spec.scores {
        Scores::Probabilities => odds(own.clamp(0.0, 1.0)),
        Scores::LogOdds => return Err(format!("log odds are one number, not {}", scores.len())),
        Scores::Logits => {
            let largest = others.clone().fold(f64::MIN, f64::max);
            let sum: f64 = others.map(|other| (other - largest).exp()).sum();
            (own - largest - sum.ln()).clamp(-14.0, 14.0)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ModelSpec;

    #[test]
    fn a_class_has_the_odds_of_its_softmax() {
        let text = "kind = \"classifier\"\nauthentic = 1\n[input]\nwidth = 8\nheight = 8\n";
        let ModelSpec::Classifier(mut spec) = ModelSpec::read(text).unwrap() else { panic!("no classifier") };
        let scores = [0.3_f32, 2.0, -1.0];
        let sum: f64 = scores.iter().map(|score| f64::from(*score).exp()).sum();
        let expected = odds(2.0_f64.exp() / sum);
        assert!((class(&scores, &spec).unwrap() - expected).abs() < 1e-6);
        assert!(class(&[1.0], &spec).is_err());
        spec.scores = Scores::Probabilities;
        assert!((class(&[0.25, 0.75], &spec).unwrap() - 3.0_f64.ln()).abs() < 1e-9);
        assert!(class(&[0.0, 1.0], &spec).unwrap().is_finite());
    }
}
