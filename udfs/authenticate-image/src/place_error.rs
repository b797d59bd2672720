//! Why a place is not read.

/// A text that names no image which may be read. Displays in lower case, without a final period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlaceError {
    /// It is not among the places that are allowed: the same words whether or not something is there.
    #[error("'{asked}' is not in a place that images may be read from; images.allow names {allowed}")]
    Forbidden {
        /// What was asked for, without what a URL may hold of secrets.
        asked: String,
        /// What is allowed.
        allowed: String,
    },
    /// Its form can hide where it leads.
    #[error("'{asked}' is refused: {reason}; images.allow names {allowed}")]
    Malformed {
        /// What was asked for.
        asked: String,
        /// What was found and what to write instead.
        reason: &'static str,
        /// What is allowed.
        allowed: String,
    },
    /// It would be allowed, and there is no such file or object.
    #[error("there is no image '{0}' in the places that images.allow names")]
    NotFound(String),
    /// A pattern that nothing matches.
    #[error("no image matches '{0}': expected at least one; mend the pattern or put the files there")]
    NoMatch(String),
    /// A pattern with an error in it.
    #[error(
        "'{pattern}' is not a pattern: {reason}; * stands for any characters, ** for folders, [ab] for one of a set"
    )]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A folder that can't be listed.
    #[error("can't list '{folder}': {reason}")]
    Unreadable {
        /// The folder, as shown to people.
        folder: String,
        /// What the system says.
        reason: String,
    },
    /// A setting that names no place.
    #[error("images.allow: '{entry}' is no place: {reason}")]
    Setting {
        /// The entry.
        entry: String,
        /// What is wrong and what to write.
        reason: &'static str,
    },
}

impl PlaceError {
    /// A word for programs: `not_found`, `forbidden` or `unreachable`.
    #[must_use]
    pub(crate) fn status(&self) -> &'static str {
        match self {
            Self::NotFound(_) | Self::NoMatch(_) => "not_found",
            Self::Unreadable { .. } => "unreachable",
            Self::Forbidden { .. } | Self::Malformed { .. } | Self::Pattern { .. } | Self::Setting { .. } => {
                "forbidden"
            }
        }
    }
}
