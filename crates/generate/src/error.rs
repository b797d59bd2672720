//! What can go wrong: a wrong option, a folder with foreign files, a file that can't be written.

use std::path::{Path, PathBuf};

/// Why nothing, or not everything, was generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option is out of its range: the user's to mend.
    #[error("{option} is {found}, expected {expected}")]
    Option {
        /// Name of the option as on the command line, without dashes.
        option: &'static str,
        /// What was given.
        found: String,
        /// What would have been right.
        expected: String,
    },
    /// The folder holds monthly files of another run, which would mix with this one's.
    #[error("{} is from another run and would mix with this one: delete it or choose an empty folder", path.display())]
    Foreign {
        /// The first such file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "create", "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The reference data compiled into the program is wrong: our bug.
    #[error("reference data is broken: {0}")]
    Reference(String),
}

impl Error {
    /// Adds the path and the verb to an I/O error.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }
}
