//! From errors to gRPC statuses: the message a person reads, and the SQLSTATE and hint that a program can.

use std::error::Error as _;

use arrow::error::ArrowError;
use arrow_flight::error::FlightError;
use smartsneaks_engine::{Error, Fault};
use tonic::metadata::AsciiMetadataValue;
use tonic::{Code, Status};

/// Metadata key of the SQLSTATE, beside its place in the message.
pub(crate) const SQLSTATE_KEY: &str = "x-sqlstate";

/// The status of an engine error: `message; detail: …; hint: … (SQLSTATE 42P01, at character 15)`.
///
/// A status has one message and most drivers show nothing else, so everything that helps the reader stands in it; the
/// five characters of the SQLSTATE go in the trailer `x-sqlstate` too.
pub(crate) fn status(error: &Error) -> Status {
    if error.kind().fault() == Fault::Ours {
        tracing::error!(%error, cause = error.source().map(tracing::field::display), "a statement failed through our fault");
    }
    let mut message = error.message().to_owned();
    if let Some(detail) = error.detail() {
        message.push_str("; detail: ");
        message.push_str(detail);
    }
    if let Some(hint) = error.hint() {
        message.push_str("; hint: ");
        message.push_str(hint);
    }
    shorten(&mut message);
    message.push_str(" (SQLSTATE ");
    message.push_str(error.sqlstate());
    if let Some(position) = error.position() {
        message.push_str(&format!(", at character {position}"));
    }
    message.push(')');
    let mut status = Status::new(Code::from_i32(error.grpc_code()), message);
    if let Ok(value) = AsciiMetadataValue::try_from(error.sqlstate()) {
        status.metadata_mut().insert(SQLSTATE_KEY, value);
    }
    status
}

/// Cuts a message that would not fit in the 8 KiB of headers that many clients take, percent-encoded.
fn shorten(message: &mut String) {
    const BYTES: usize = 2000;
    if message.len() > BYTES {
        message.truncate(message.floor_char_boundary(BYTES));
        message.push('…');
    }
}

/// The status for Arrow data of ours that can't be encoded: a bug on this side.
pub(crate) fn unencodable(error: ArrowError) -> Status {
    Status::internal(format!("the result can't be encoded as arrow: {error}"))
}

/// The status for Arrow data of a client that can't be decoded.
pub(crate) fn undecodable(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        error => Status::invalid_argument(format!("the arrow data sent can't be decoded: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use smartsneaks_engine::Kind;

    use super::*;

    #[test]
    fn a_status_says_what_why_and_what_to_do() {
        let error = Error::new(Kind::UndefinedTable, "table \"fact_sale\" does not exist")
            .with_hint("did you mean \"fact_sales\"?")
            .with_position(15);
        let status = status(&error);
        assert_eq!(
            status.message(),
            "table \"fact_sale\" does not exist; hint: did you mean \"fact_sales\"? (SQLSTATE 42P01, at character 15)"
        );
        assert_eq!(status.metadata().get(SQLSTATE_KEY).unwrap(), "42P01");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let error = Error::new(Kind::Syntax, "ஸ்ரீ".repeat(2000));
        assert!(status(&error).message().len() < 2100);
    }
}
