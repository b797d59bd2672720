//! Errors of the engine and the lake as errors of the run, pointing into the project's files.

use smartsneaks_engine::{Error, Fault};
use smartsneaks_lake::LakeError;

use crate::error::EtlError;
use crate::pass::Pass;
use crate::source::Faults;

/// An error of a model's query. What a reader of a source met goes before what the query made of it.
pub(crate) fn in_model(error: Error, pass: &Pass<'_>, name: &str, faults: &Faults) -> EtlError {
    if let Some(fault) = faults.take() {
        return fault;
    }
    let place = match error.position() {
        Some(position) => pass.place(position),
        // Of some names the planner does not know where they stood: the first place that has it will do.
        None => error.message().split('"').nth(1).and_then(|name| pass.place_of_word(name)),
    };
    let error = of_engine(name, error);
    match place {
        Some(place) => error.at(place),
        None => error,
    }
}

/// An error of another query about `what`.
pub(crate) fn of_engine(what: &str, error: Error) -> EtlError {
    let mut message = format!("{what}: {}", error.message());
    if let Some(detail) = error.detail() {
        message.push_str(&format!(" ({detail})"));
    }
    let hint = error.hint().map(str::to_owned);
    let out = match error.kind().fault() {
        Fault::User => EtlError::config(message),
        Fault::Resource | Fault::Ours => EtlError::failed(message),
    };
    match hint {
        Some(hint) => out.with_hint(hint),
        None => out,
    }
    .with_source(error)
}

/// An error of the lake while `what` was written.
pub(crate) fn of_lake(what: &str, error: LakeError, faults: &Faults) -> EtlError {
    if let Some(fault) = faults.take() {
        return fault;
    }
    EtlError::failed(format!("{what}: {error}")).with_source(error)
}
