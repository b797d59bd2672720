//! Why an image was not fetched.

use std::time::Duration;

use crate::place_error::PlaceError;

/// An image that did not come. Displays in lower case, without a final period; URLs are shown without their queries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// Not there or not allowed.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The server or the bucket has no such thing.
    #[error("there is no image '{0}': the server answered that it is not there")]
    NotFound(String),
    /// The storage lets the configured credentials not read it.
    #[error("'{0}' may not be read with the credentials of this process")]
    Denied(String),
    /// Its host has addresses of the own network only.
    #[error(
        "'{0}' leads to an address that is not of the open net; images.allow_private_addresses = true allows it"
    )]
    Private(String),
    /// A redirect to where nothing may be read from.
    #[error("'{what}' redirects to where images may not be read from: {reason}")]
    Redirect {
        /// What was fetched.
        what: String,
        /// Why it is not followed.
        reason: PlaceError,
    },
    /// More redirects than are followed.
    #[error("'{what}' redirects more than {limit} times")]
    TooManyRedirects {
        /// What was fetched.
        what: String,
        /// How many are followed.
        limit: usize,
    },
    /// Larger than allowed.
    #[error("'{what}' has more than the {limit} bytes that images.max_bytes allows")]
    TooLarge {
        /// What was fetched.
        what: String,
        /// Bytes.
        limit: u64,
    },
    /// Not there in time.
    #[error("'{what}' did not come within {} s (images.timeout)", limit.as_secs_f64())]
    Timeout {
        /// What was fetched.
        what: String,
        /// The time.
        limit: Duration,
    },
    /// The server said no.
    #[error("'{what}' was answered with HTTP status {status}; expected 200")]
    HttpStatus {
        /// What was fetched.
        what: String,
        /// Its answer.
        status: u16,
    },
    /// Nothing came, or it broke off.
    #[error("'{what}' could not be fetched: {reason}")]
    Unreachable {
        /// What was fetched.
        what: String,
        /// Why.
        reason: String,
    },
    /// A pattern where one image was expected.
    #[error("expected one image, found the pattern '{0}'; list its files first")]
    Many(String),
}

impl FetchError {
    /// A word for programs: `not_found`, `forbidden`, `too_large`, `timeout`, `http_status` or `unreachable`.
    #[must_use]
    pub(crate) fn status(&self) -> &'static str {
        match self {
            Self::Place(error) => error.status(),
            Self::NotFound(_) => "not_found",
            Self::Denied(_) | Self::Private(_) | Self::Redirect { .. } | Self::Many(_) => "forbidden",
            Self::TooLarge { .. } => "too_large",
            Self::Timeout { .. } => "timeout",
            Self::HttpStatus { .. } => "http_status",
            Self::TooManyRedirects { .. } | Self::Unreachable { .. } => "unreachable",
        }
    }
}
