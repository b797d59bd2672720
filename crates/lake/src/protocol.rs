//! Which version of the Delta protocol a table has, and what a writer must know to commit to it.

use delta_kernel::table_properties::TableProperties;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TableReference;
use deltalake::kernel::{EagerSnapshot, Metadata, Protocol, StructType, contains_timestampntz};
use serde_json::{Value, json};

/// The oldest protocol that holds the columns, so that the most readers can read them.
pub(crate) fn oldest(schema: &StructType) -> Result<Protocol, DeltaTableError> {
    let value = if contains_timestampntz(schema.fields()) {
        let features = ["timestampNtz"];
        json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features,
            "writerFeatures": ["appendOnly", "timestampNtz"]})
    } else {
        json!({"minReaderVersion": 1, "minWriterVersion": 2})
    };
    Ok(serde_json::from_value(value)?)
}

/// A table to commit to, where a protocol that provides for invariants on columns doesn't ask for a writer that checks
/// them when no column has any. delta-rs checks invariants through its own DataFusion alone and refuses such tables
/// without it; all with local timestamps that were created before it was left out are of that kind.
pub(crate) struct Target<'a> {
    snapshot: &'a EagerSnapshot,
    protocol: Protocol,
}

impl<'a> Target<'a> {
    pub(crate) fn new(snapshot: &'a EagerSnapshot) -> Result<Self, DeltaTableError> {
        let mut protocol = serde_json::to_value(snapshot.protocol())?;
        let has_invariants = serde_json::to_string(&snapshot.schema())?.contains("delta.invariants");
        if let Some(Value::Array(features)) = protocol.get_mut("writerFeatures").filter(|_| !has_invariants) {
            features.retain(|feature| feature != "invariants");
        }
        Ok(Self { snapshot, protocol: serde_json::from_value(protocol)? })
    }
}

impl TableReference for Target<'_> {
    fn config(&self) -> &TableProperties {
        self.snapshot.table_properties()
    }

    fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    fn metadata(&self) -> &Metadata {
        self.snapshot.metadata()
    }

    fn eager_snapshot(&self) -> &EagerSnapshot {
        self.snapshot
    }
}
