//! The user's faults in a call of a table function.

use std::error::Error;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::tokenizer::Span;

/// What is wrong with the arguments of one call, in words for the person who wrote it.
///
/// It travels inside [`DataFusionError::External`]; [`ArgumentError::find`] gets it back out of whatever DataFusion
/// wrapped around it. The engine maps it to SQLSTATE 22023 (invalid_parameter_value), the hint to Postgres' HINT field
/// and the span to the error's position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{function}: {message}")]
pub struct ArgumentError {
    /// Name of the function, as its signature spells it.
    pub function: String,
    /// What was expected and what was found.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where the argument stands in the statement: 1-based lines and columns, in characters.
    pub span: Option<Span>,
}

impl ArgumentError {
    /// A fault of a call of `function`.
    pub fn new(function: impl Into<String>, message: impl Into<String>) -> Self {
        Self { function: function.into(), message: message.into(), hint: None, span: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds where it stands; a span that sqlparser left empty is no place, and a place already known is kept.
    #[must_use]
    pub fn with_span(mut self, span: Option<Span>) -> Self {
        if self.span.is_none() {
            self.span = span.filter(|span| *span != Span::empty());
        }
        self
    }

    /// The fault inside `error`, however deep DataFusion wrapped it.
    pub fn find(error: &DataFusionError) -> Option<&Self> {
        let mut current: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = current {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            // `source()` of External is the boxed error's own source in some wrappers: look inside by hand.
            if let Some(DataFusionError::External(inner)) = error.downcast_ref::<DataFusionError>()
                && let Some(found) = inner.downcast_ref::<Self>()
            {
                return Some(found);
            }
            current = error.source();
        }
        None
    }
}

impl From<ArgumentError> for DataFusionError {
    fn from(error: ArgumentError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

/// The one of `candidates` that `name` was probably meant to be.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name, candidate), candidate))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_inside_wrappers() {
        let fault =
            ArgumentError::new("forecast", "unknown argument 'horizn'").with_hint("did you mean horizon?");
        let wrapped = DataFusionError::from(fault.clone()).context("while planning").context("again");
        assert_eq!(ArgumentError::find(&wrapped), Some(&fault));
        assert_eq!(ArgumentError::find(&DataFusionError::Plan("other".into())), None);
    }

    #[test]
    fn nearest_name_or_none() {
        assert_eq!(nearest("horizn", ["horizon", "model"]), Some("horizon"));
        assert_eq!(nearest("HORIZON", ["horizon", "model"]), Some("horizon"));
        assert_eq!(nearest("zzz", ["horizon", "model"]), None);
    }
}
