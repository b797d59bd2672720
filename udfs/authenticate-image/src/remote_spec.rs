//! How a classifier that is a service is called.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// What an operator's file says about a service. Times are in seconds.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoteSpec {
    /// Where it is. It comes from the operator's file and not from SQL, so it may lie in the own network.
    pub(crate) url: String,
    /// How an image is sent.
    #[serde(default)]
    pub(crate) format: RemoteFormat,
    /// The field that holds it.
    #[serde(default = "field")]
    pub(crate) field: String,
    /// Headers of each request, such as an API key.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Where in the reply the score stands (RFC 6901).
    #[serde(default = "score_pointer")]
    pub(crate) score_pointer: String,
    /// What a high score means.
    #[serde(default)]
    pub(crate) higher_is: HigherIs,
    /// What a call may take, repetitions and the waits between them included; 0.001 to 3600.
    #[serde(default = "timeout")]
    pub(crate) timeout: f64,
    /// How often a call is repeated that failed on the way or on the service's side; at most 10.
    #[serde(default = "retries")]
    pub(crate) retries: u32,
    /// When the service is left alone.
    #[serde(default)]
    pub(crate) breaker: BreakerSpec,
}

/// When a service that fails is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BreakerSpec {
    /// Calls that fail in a row, each with its repetitions; at least 1.
    pub(crate) failures: u32,
    /// Seconds until one call may try again; 0.001 to 3600.
    pub(crate) cool_down: f64,
}

/// How an image is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RemoteFormat {
    /// In base64 in a JSON object, with its `media_type`.
    #[default]
    Json,
    /// As a file of a form (`multipart/form-data`).
    Multipart,
}

/// What a high score means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HigherIs {
    /// The real thing.
    #[default]
    Authentic,
    /// A fake: the score is taken from 1.
    Fake,
}

impl Default for BreakerSpec {
    fn default() -> Self {
        Self { failures: 5, cool_down: 30.0 }
    }
}

/// Without the URL and the values of headers, which may hold keys.
impl fmt::Debug for RemoteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSpec")
            .field("format", &self.format)
            .field("headers", &self.headers.keys())
            .finish_non_exhaustive()
    }
}

impl RemoteSpec {
    /// Checks what types can't say. The error names the key, what was expected and what was found.
    pub(crate) fn check(&self) -> Result<url::Url, String> {
        let url = url::Url::parse(&self.url)
            .map_err(|error| format!("url: expected http://host/path, found '{}': {error}", self.url))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("url: expected http:// or https://, found {}://", url.scheme()));
        }
        for (name, seconds) in [("timeout", self.timeout), ("breaker.cool_down", self.breaker.cool_down)] {
            if !(0.001..=3_600.0).contains(&seconds) {
                return Err(format!("{name}: expected 0.001 to 3600 seconds, found {seconds}"));
            }
        }
        if self.retries > 10 {
            return Err(format!("retries: expected at most 10, found {}", self.retries));
        }
        if self.breaker.failures == 0 {
            return Err("breaker.failures: expected at least 1, found 0".to_owned());
        }
        if !(self.score_pointer.is_empty() || self.score_pointer.starts_with('/')) {
            let found = &self.score_pointer;
            return Err(format!(
                "score_pointer: expected a JSON pointer such as /p_authentic, found '{found}'"
            ));
        }
        if self.field.is_empty() || self.field.contains(|c: char| c == '"' || c == '\\' || c.is_control()) {
            return Err(format!("field: expected a name without quotes, found {:?}", self.field));
        }
        if self.format == RemoteFormat::Json && self.field == "media_type" {
            return Err(
                "field: expected another name than media_type, which says the image's type".to_owned()
            );
        }
        Ok(url)
    }
}

fn field() -> String {
    "image".to_owned()
}

fn score_pointer() -> String {
    "/p_authentic".to_owned()
}

fn timeout() -> f64 {
    10.0
}

fn retries() -> u32 {
    2
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec(mut more: Value) -> Result<RemoteSpec, String> {
        let map = more.as_object_mut().unwrap();
        map.entry("url").or_insert(json!("http://localhost/score"));
        serde_json::from_value(more).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_and_faults() {
        let plain = spec(json!({})).unwrap();
        assert!(plain.check().is_ok());
        assert_eq!((plain.field.as_str(), plain.timeout, plain.retries), ("image", 10.0, 2));
        assert_eq!(plain.breaker, BreakerSpec { failures: 5, cool_down: 30.0 });
        assert!(spec(json!({"colour": 1})).unwrap_err().contains("unknown field"));
        assert!(spec(json!({"breaker": {"fails": 1}})).unwrap_err().contains("unknown field"));
        for (more, expected) in [
            (json!({"url": "localhost"}), "url: expected http://host/path, found 'localhost'"),
            (json!({"url": "ftp://h"}), "url: expected http:// or https://, found ftp://"),
            (json!({"timeout": 0.0}), "timeout: expected 0.001 to 3600 seconds, found 0"),
            (json!({"breaker": {"cool_down": -1.0}}), "breaker.cool_down: expected"),
            (json!({"breaker": {"failures": 0}}), "breaker.failures: expected at least 1, found 0"),
            (json!({"retries": 11}), "retries: expected at most 10, found 11"),
            (json!({"score_pointer": "p"}), "score_pointer: expected a JSON pointer"),
            (json!({"field": "a\"b"}), "field: expected a name"),
            (json!({"field": "media_type"}), "field: expected another name"),
        ] {
            let error = spec(more).unwrap().check().unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
