//! Why bytes are no photo that can be judged.

/// Why bytes are no photo that can be judged. Displays in lower case, without a final period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PhotoError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// Bytes of no format of pictures.
    #[error("not an image: the file begins with {found}; send JPEG, PNG, WebP or GIF")]
    NotAnImage {
        /// What it is instead, or its first bytes in hexadecimal digits.
        found: String,
    },
    /// A format that is known by its name, but not read.
    #[error("{format} is not supported; send JPEG, PNG, WebP or GIF")]
    Unsupported {
        /// Such as `HEIC`.
        format: &'static str,
    },
    /// It ends too soon, or its bytes were changed on the way.
    #[error("the file is truncated or damaged: {reason}")]
    Truncated {
        /// What is missing or wrong.
        reason: String,
    },
    /// More than the limits allow.
    #[error("expected at most {limit} {what}, found {found}")]
    TooLarge {
        /// What is counted, such as `pixels`.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many are allowed.
        limit: u64,
    },
}

impl PhotoError {
    /// A word for programs: `empty`, `not_an_image`, `unsupported_format`, `truncated` or `too_large`.
    #[must_use]
    pub(crate) fn status(&self) -> &'static str {
        match self {
            PhotoError::Empty => "empty",
            PhotoError::NotAnImage { .. } => "not_an_image",
            PhotoError::Unsupported { .. } => "unsupported_format",
            PhotoError::Truncated { .. } => "truncated",
            PhotoError::TooLarge { .. } => "too_large",
        }
    }

    pub(crate) fn truncated(reason: impl Into<String>) -> Self {
        Self::Truncated { reason: reason.into() }
    }
}
