//! Places at which a test can make the process die.
//!
//! A commit must leave either the old or the new version whole, whenever the process stops. The tests stop it between
//! every two steps: they run themselves again with `SMARTSNEAKS_CRASH_AT=<point>` and read what is left. In a build
//! without debug assertions the points cost nothing and do nothing.

/// Every crash point, in the order in which a commit passes them.
pub const POINTS: &[&str] = &[
    AFTER_FIRST_DATA_FILE,
    AFTER_DATA_FILES,
    AFTER_DELTA_COMMIT,
    BEFORE_MANIFEST,
    MANIFEST_STAGED,
    MANIFEST_LINKED,
    AFTER_MANIFEST,
    AFTER_HINT,
];

/// One data file of the write is durable, others may not be.
pub const AFTER_FIRST_DATA_FILE: &str = "after_first_data_file";
/// All data files of one write are durable, the Delta log doesn't name them yet.
pub const AFTER_DATA_FILES: &str = "after_data_files";
/// The Delta log of one table is written, no manifest names it yet.
pub const AFTER_DELTA_COMMIT: &str = "after_delta_commit";
/// Every table is written; the manifest is not.
pub const BEFORE_MANIFEST: &str = "before_manifest";
/// The manifest's bytes are durable under a temporary name (local disk only).
pub const MANIFEST_STAGED: &str = "manifest_staged";
/// The manifest stands under its name, its directory is not yet synced (local disk only).
pub const MANIFEST_LINKED: &str = "manifest_linked";
/// The manifest is durable: the commit happened.
pub const AFTER_MANIFEST: &str = "after_manifest";
/// The hint names the new version.
pub const AFTER_HINT: &str = "after_hint";

/// Aborts the process when `SMARTSNEAKS_CRASH_AT` names this point.
#[cfg(debug_assertions)]
pub(crate) fn point(name: &str) {
    use std::sync::OnceLock;
    static WANTED: OnceLock<Option<String>> = OnceLock::new();
    if WANTED.get_or_init(|| std::env::var("SMARTSNEAKS_CRASH_AT").ok()).as_deref() == Some(name) {
        std::process::abort();
    }
}

/// Does nothing: crash points exist in builds with debug assertions only.
#[cfg(not(debug_assertions))]
pub(crate) fn point(_name: &str) {}
