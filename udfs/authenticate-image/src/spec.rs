//! What a model's folder says of it: `models/<name>/model.toml`.
//!
//! A model with another size, layout or normalisation is described there and needs no code.

use serde::Deserialize;

use crate::remote_spec::{HigherIs, RemoteSpec};

/// The text of a `model.toml`, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ModelSpec {
    /// Photo → embedding: what heads stand on.
    Embedding(Embedding),
    /// Embedding → authentic or not.
    Head(Head),
    /// Photo → classes, one of which is authentic.
    Classifier(Classifier),
    /// Photo → boxes with classes, as YOLO exports them.
    Detector(Detector),
    /// Photo → a service's score.
    Remote(RemoteSpec),
}

/// How a photo becomes a network's input.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Pixels.
    pub(crate) width: usize,
    /// Pixels.
    pub(crate) height: usize,
    /// The order of the tensor's dimensions.
    #[serde(default)]
    pub(crate) layout: Layout,
    /// The order of the colours.
    #[serde(default)]
    pub(crate) colours: Colours,
    /// Taken off a value of 0 to 255, for each colour.
    #[serde(default = "zeros")]
    pub(crate) mean: [f32; 3],
    /// What the rest is divided by, for each colour.
    #[serde(default = "full")]
    pub(crate) deviation: [f32; 3],
    /// How a photo of other proportions fits.
    #[serde(default)]
    pub(crate) fit: Fit,
}

fn zeros() -> [f32; 3] {
    [0.0; 3]
}

fn full() -> [f32; 3] {
    [255.0; 3]
}

/// The order of a tensor's dimensions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Layout {
    /// Photos, colours, rows, columns.
    #[default]
    Nchw,
    /// Photos, rows, columns, colours.
    Nhwc,
}

/// The order of a pixel's colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Colours {
    /// Red first.
    #[default]
    Rgb,
    /// Blue first.
    Bgr,
}

/// How a photo of other proportions fits a network's input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fit {
    /// Its proportions change.
    #[default]
    Squeeze,
    /// The largest middle part.
    Crop,
    /// All of it, with grey bars.
    Letterbox,
}

/// See [`ModelSpec::Embedding`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Embedding {
    /// How a photo becomes its input.
    pub(crate) input: Input,
    /// Name of the output that holds the embedding; default: the last.
    pub(crate) output: Option<String>,
}

/// See [`ModelSpec::Head`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// The model whose embedding it reads.
    pub(crate) backbone: String,
    /// Name of the output that holds the logit of being authentic.
    #[serde(default = "logit")]
    pub(crate) output: String,
    /// Whether the mirrored photo is looked at as well, and the logits averaged: twice the time.
    #[serde(default)]
    pub(crate) mirror: bool,
    /// How it tells photos that show no shoe, if it can.
    pub(crate) familiar: Option<Familiar>,
}

/// How a network tells photos that are unlike those of shoes that it learned from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Familiar {
    /// Name of the output that says how strange a photo is: one number, the higher the stranger.
    pub(crate) output: String,
    /// What photos of shoes have at most: above it a photo shows none.
    pub(crate) most: f64,
}

fn logit() -> String {
    "logit".to_owned()
}

/// See [`ModelSpec::Classifier`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Classifier {
    /// How a photo becomes its input.
    pub(crate) input: Input,
    /// Name of the output that holds the classes; default: the first.
    pub(crate) output: Option<String>,
    /// What the outputs are.
    #[serde(default)]
    pub(crate) scores: Scores,
    /// The place of the class that means authentic, counted from 0.
    #[serde(default)]
    pub(crate) authentic: usize,
    /// What high log odds mean.
    #[serde(default)]
    pub(crate) higher_is: HigherIs,
    /// Name of an output that holds an embedding of the photo, if there is one.
    pub(crate) embedding: Option<String>,
    /// How it tells photos that show no shoe, if it can.
    pub(crate) familiar: Option<Familiar>,
}

/// What a classifier's outputs are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scores {
    /// One number a class, of any size.
    #[default]
    Logits,
    /// One number a class, that sum to 1.
    Probabilities,
    /// One number: log odds, of what `higher_is` says.
    LogOdds,
}

/// See [`ModelSpec::Detector`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Detector {
    /// How a photo becomes its input.
    pub(crate) input: Input,
    /// Name of the output that holds the boxes; default: the first. Of shape 1 × (4 + classes) × boxes, as YOLOv8 and
    /// later write it, or its transpose.
    pub(crate) output: Option<String>,
    /// The classes, in the order of the output.
    pub(crate) classes: Vec<Class>,
    /// Boxes below this score are left out.
    #[serde(default = "quarter")]
    pub(crate) threshold: f32,
    /// Of two boxes of one class that overlap by more (intersection over union), the weaker is left out.
    #[serde(default = "half")]
    pub(crate) overlap: f32,
}

fn quarter() -> f32 {
    0.25
}

fn half() -> f32 {
    0.5
}

/// What a detector finds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Class {
    /// What the region is called in findings.
    pub(crate) name: String,
    /// What a box of this class says.
    pub(crate) means: Means,
}

/// What a finding says of the shoe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Means {
    /// It speaks for it.
    Authentic,
    /// It speaks against it.
    Replica,
    /// It says where something is.
    Nothing,
}

impl ModelSpec {
    /// Reads a `model.toml`.
    ///
    /// # Errors
    /// What is wrong with it, in the words of its reader.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let said = |error: toml::de::Error| error.message().to_owned();
        let mut table: toml::Table = text.parse().map_err(said)?;
        // What a model does is for people: any names, any numbers.
        table.remove("metrics");
        let spec: Self = table.try_into().map_err(said)?;
        let familiar = match &spec {
            ModelSpec::Classifier(Classifier { familiar, .. }) | ModelSpec::Head(Head { familiar, .. }) => {
                familiar.as_ref()
            }
            _ => None,
        };
        if familiar.is_some_and(|one| !one.most.is_finite() || one.most <= 0.0) {
            return Err("familiar.most must be a number above 0".to_owned());
        }
        let input = match &spec {
            ModelSpec::Embedding(Embedding { input, .. })
            | ModelSpec::Classifier(Classifier { input, .. })
            | ModelSpec::Detector(Detector { input, .. }) => input,
            ModelSpec::Head(_) | ModelSpec::Remote(_) => return Ok(spec),
        };
        let sides = 8..=4_096;
        if !sides.contains(&input.width) || !sides.contains(&input.height) {
            return Err(format!(
                "input must be 8 to 4096 pixels a side, not {}×{}",
                input.width, input.height
            ));
        }
        if input.deviation.iter().any(|one| !one.is_finite() || *one <= 0.0) {
            return Err("input.deviation must be three numbers above 0".to_owned());
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_classifier_is_described_by_its_file() {
        let text = r#"
            kind = "classifier"
            authentic = 1
            scores = "probabilities"
            [input]
            width = 300
            height = 200
            layout = "nhwc"
            colours = "bgr"
            fit = "crop"
        "#;
        let ModelSpec::Classifier(spec) = ModelSpec::read(text).unwrap() else { panic!("no classifier") };
        assert_eq!((spec.input.width, spec.input.layout, spec.input.fit), (300, Layout::Nhwc, Fit::Crop));
        assert_eq!((spec.authentic, spec.scores), (1, Scores::Probabilities));
        assert_eq!(spec.input.deviation, [255.0; 3]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, wrong) in [
            ("kind = \"oracle\"", "unknown variant `oracle`"),
            ("kind = \"head\"", "missing field `backbone`"),
            ("kind = \"head\"\nbackbone = \"b\"\ncolour = 1", "unknown field `colour`"),
            ("kind = \"embedding\"\n[input]\nwidth = 0\nheight = 9", "8 to 4096 pixels"),
            ("kind = \"embedding\"\n[input]\nwidth = 9\nheight = 9\ndeviation = [1, 0, 1]", "above 0"),
            (
                "kind = \"head\"\nbackbone = \"b\"\n[familiar]\noutput = \"s\"\nmost = 0.0",
                "familiar.most must be a number above 0",
            ),
        ] {
            let error = ModelSpec::read(text).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
