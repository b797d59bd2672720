//! A warehouse version: which tables exist, and which Delta version of each.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::LakeError;

/// The layout of manifests that this build writes and the newest that it reads.
const FORMAT: u32 = 1;

/// One version of the warehouse, as its manifest says. Immutable once committed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Layout of the manifest; a build refuses a newer one than it knows.
    format: u32,
    /// 1 for the first commit, then one more for each; 0 is the empty warehouse, which has no manifest.
    #[serde(rename = "version")]
    pub number: u64,
    /// The version that this one was made from.
    pub parent: Option<u64>,
    /// Which run made it.
    pub run_id: String,
    /// When it was committed; never before its parent's.
    pub timestamp: DateTime<Utc>,
    /// Tables by `schema.table`.
    pub tables: BTreeMap<String, TableEntry>,
    /// Views by `schema.view`.
    #[serde(default)]
    pub views: BTreeMap<String, ViewEntry>,
    /// Settings of the warehouse as a whole, such as `default_series`.
    #[serde(default)]
    pub properties: BTreeMap<String, Value>,
}

/// A table in a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableEntry {
    /// Where its Delta table is, relative to the root: `tables/public/fact_sales`.
    pub uri: String,
    /// The Delta version that holds this version's rows.
    pub delta_version: u64,
    /// SHA-256 over the names, types and nullability of its columns, in hexadecimal.
    pub schema_hash: String,
    /// Number of rows.
    pub rows: u64,
    /// Bytes of its data files.
    pub bytes: u64,
    /// Number of its data files.
    pub files: u64,
    /// What else is known of it: `series`, `description`, `columns`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, Value>,
}

/// A view in a version: a query that is planned where it is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewEntry {
    /// The query.
    pub sql: String,
    /// What else is known of it: `series`, `description`, `columns`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, Value>,
}

impl Version {
    /// The warehouse before anything was written.
    pub fn empty() -> Self {
        Self {
            format: FORMAT,
            number: 0,
            parent: None,
            run_id: String::new(),
            timestamp: DateTime::UNIX_EPOCH,
            tables: BTreeMap::new(),
            views: BTreeMap::new(),
            properties: BTreeMap::new(),
        }
    }

    /// The version after this one: the same content, the next number, and a timestamp that is later than this one's
    /// even where the clock went back.
    pub(crate) fn next(&self, run_id: &str) -> Self {
        Self {
            format: FORMAT,
            number: self.number + 1,
            parent: Some(self.number),
            run_id: run_id.to_owned(),
            timestamp: Utc::now().max(self.timestamp + chrono::Duration::microseconds(1)),
            ..self.clone()
        }
    }

    /// The manifest's text.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, LakeError> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| LakeError::BadManifest { number: self.number, reason: error.to_string() })?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads a manifest that stands under the name of version `number`.
    pub(crate) fn from_json(number: u64, text: &[u8]) -> Result<Self, LakeError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let bad = |reason: String| LakeError::BadManifest { number, reason };
        let head: Head = serde_json::from_slice(text).map_err(|error| bad(error.to_string()))?;
        if head.format > FORMAT {
            return Err(bad(format!(
                "format {} is newer than {FORMAT}, use a newer smartsneaks",
                head.format
            )));
        }
        let version: Self = serde_json::from_slice(text).map_err(|error| bad(error.to_string()))?;
        if version.number != number {
            return Err(bad(format!("it says version {}", version.number)));
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_survive_the_way_through_json() {
        let version = Version::empty().next("run-1");
        let text = version.to_json().unwrap();
        assert_eq!(Version::from_json(1, &text).unwrap(), version);
        assert!(Version::from_json(2, &text).unwrap_err().to_string().contains("it says version 1"));
        assert!(Version::from_json(1, b"{\"format\": 9}").unwrap_err().to_string().contains("newer"));
        assert!(Version::from_json(1, b"").is_err());
    }

    #[test]
    fn timestamps_never_go_back() {
        let mut base = Version::empty();
        base.timestamp = Utc::now() + chrono::Duration::days(1);
        assert!(base.next("r").timestamp > base.timestamp);
    }
}
