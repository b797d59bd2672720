//! Who calls: credentials, tokens, and the settings that belong to a token.
//!
//! Flight SQL has no connection. A handshake gives a bearer token, and what SQL calls a session hangs on that token:
//! SET lasts for all later calls that bring it. Each statement runs in an engine session of its own, in which the SETs
//! of the token are done again, so that one client may read several results at a time.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_flight::BasicAuth;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use smartsneaks_engine::{
    CATALOG, Engine, Output, Prepared, Session, SessionOptions, Statement, TransactionState,
};
use tonic::Status;
use tonic::metadata::MetadataMap;
use uuid::Uuid;

use crate::registry::{Bounds, Registry};
use crate::status::status;

/// Most SET statements that a token keeps.
const MAX_SETTINGS: usize = 200;
/// Longest user and application name, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// The clients that hold a token.
#[derive(Debug)]
pub(crate) struct Connections {
    engine: Arc<Engine>,
    tokens: Registry<Connection>,
}

/// What a token stands for.
#[derive(Debug)]
pub(crate) struct Connection {
    user: String,
    settings: Mutex<Vec<Statement>>,
}

/// The client behind one call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    user: String,
    application_name: String,
    connection: Option<Arc<Connection>>,
}

/// What the `authorization` header holds.
#[derive(Debug, PartialEq, Eq)]
enum Credentials {
    None,
    Basic { user: String },
    Bearer { token: Uuid },
}

impl Connections {
    /// No clients yet.
    pub(crate) fn new(engine: Arc<Engine>, bounds: Bounds) -> Self {
        Self { engine, tokens: Registry::new(bounds) }
    }

    /// Opens a connection for the credentials of a handshake, in the header or in the payload, and returns its token.
    ///
    /// The server listens on loopback and trusts, so any user name and password are taken.
    pub(crate) fn sign_in(
        &self,
        metadata: &MetadataMap,
        payload: Option<BasicAuth>,
    ) -> Result<String, Status> {
        let user = match Credentials::of(metadata)? {
            Credentials::Basic { user } => user,
            Credentials::Bearer { token } if self.tokens.find(token).is_some() => {
                return Ok(token.to_string());
            }
            Credentials::Bearer { .. } => return Err(unknown_token()),
            Credentials::None => payload.map(|basic| basic.username).unwrap_or_default(),
        };
        let connection = Connection { user: name(&user)?, settings: Mutex::default() };
        Ok(self.tokens.insert(Arc::new(connection), MAX_NAME_BYTES)?.to_string())
    }

    /// Who calls, by the header of the call.
    ///
    /// # Errors
    /// UNAUTHENTICATED for a token that is not, or no longer, known.
    pub(crate) fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let application_name =
            metadata.get("user-agent").and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let application_name = application_name.chars().take(MAX_NAME_BYTES).collect();
        let (user, connection) = match Credentials::of(metadata)? {
            Credentials::None => (String::new(), None),
            Credentials::Basic { user } => (name(&user)?, None),
            Credentials::Bearer { token } => {
                let connection = self.tokens.find(token).ok_or_else(unknown_token)?;
                (connection.user.clone(), Some(connection))
            }
        };
        Ok(Caller { user, application_name, connection })
    }

    /// A fresh session for one statement of the caller, with the settings of its token.
    pub(crate) async fn session(&self, caller: &Caller) -> Result<Arc<Session>, Status> {
        let session = self.engine.session(SessionOptions {
            user: caller.user.clone(),
            database: CATALOG.to_owned(),
            application_name: caller.application_name.clone(),
            ..SessionOptions::default()
        });
        for statement in caller.connection.iter().flat_map(|connection| connection.settings()) {
            let set = session.prepare(&statement, &[]).await.map_err(|error| status(&error))?;
            if let Output::Rows(_) = session.execute(&set, &[]).await.map_err(|error| status(&error))? {
                return Err(Status::internal("a setting of this connection returned rows"));
            }
        }
        Ok(session)
    }
}

impl Caller {
    /// Takes up what a statement without rows changed in `session`, so that it outlives that session.
    ///
    /// # Errors
    /// When there is nothing that could keep it: SET without a token, BEGIN as a statement.
    pub(crate) fn adopt(&self, session: &Session, prepared: &Prepared, tag: &str) -> Result<(), Status> {
        if !matches!(session.transaction(), TransactionState::Idle) {
            return Err(Status::failed_precondition(
                "transactions are begun and ended by the BeginTransaction and EndTransaction actions here, not by \
                 statements; most drivers send them when autocommit is switched off",
            ));
        }
        match (tag, &self.connection) {
            ("SET" | "RESET" | "DISCARD ALL", None) => Err(Status::failed_precondition(format!(
                "{tag} would be lost: this client has no session; connect with a user name, so that the handshake \
                 opens one"
            ))),
            ("SET" | "RESET", Some(connection)) => connection.remember(prepared.statement()),
            ("DISCARD ALL", Some(connection)) => {
                connection.lock().clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Connection {
    fn settings(&self) -> Vec<Statement> {
        self.lock().clone()
    }

    fn remember(&self, statement: &Statement) -> Result<(), Status> {
        let mut settings = self.lock();
        settings.retain(|earlier| earlier.text() != statement.text());
        if settings.len() >= MAX_SETTINGS || statement.text().len() > 10_000 {
            return Err(Status::resource_exhausted(format!(
                "a session keeps at most {MAX_SETTINGS} short SET statements; DISCARD ALL forgets them"
            )));
        }
        settings.push(statement.clone());
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Statement>> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Credentials {
    fn of(metadata: &MetadataMap) -> Result<Self, Status> {
        let Some(header) = metadata.get("authorization") else { return Ok(Self::None) };
        let malformed = || {
            Status::unauthenticated(
                "the authorization header is malformed: expected \"Basic …\" or \"Bearer …\"",
            )
        };
        let (scheme, rest) =
            header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
        if scheme.eq_ignore_ascii_case("basic") {
            let decoded = BASE64_STANDARD.decode(rest.trim()).map_err(|_| malformed())?;
            let text = String::from_utf8(decoded).map_err(|_| malformed())?;
            let (user, _password) = text.split_once(':').ok_or_else(malformed)?;
            Ok(Self::Basic { user: user.to_owned() })
        } else if scheme.eq_ignore_ascii_case("bearer") {
            let token = Uuid::parse_str(rest.trim()).map_err(|_| unknown_token())?;
            Ok(Self::Bearer { token })
        } else {
            Err(malformed())
        }
    }
}

fn name(user: &str) -> Result<String, Status> {
    if user.len() > MAX_NAME_BYTES {
        let bytes = user.len();
        return Err(Status::unauthenticated(format!(
            "the user name has {bytes} bytes, more than the {MAX_NAME_BYTES} that are allowed"
        )));
    }
    Ok(user.to_owned())
}

fn unknown_token() -> Status {
    Status::unauthenticated("the bearer token is not known, or it has expired: connect again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(value: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", value.parse().unwrap());
        metadata
    }

    #[test]
    fn credentials_are_read_from_the_header() {
        assert_eq!(Credentials::of(&MetadataMap::new()).unwrap(), Credentials::None);
        let basic = header("Basic YW5hbHlzdDpzM2NyZXQ6eA==");
        assert_eq!(Credentials::of(&basic).unwrap(), Credentials::Basic { user: "analyst".into() });
        let token = Uuid::new_v4();
        assert_eq!(
            Credentials::of(&header(&format!("bearer {token}"))).unwrap(),
            Credentials::Bearer { token }
        );
    }

    #[test]
    fn a_malformed_header_is_refused() {
        for value in ["", "Basic", "Basic ***", "Basic YQ==", "Digest a", "Bearer not-a-token"] {
            let error = Credentials::of(&header(value)).unwrap_err();
            assert_eq!(error.code(), tonic::Code::Unauthenticated, "{value}");
        }
    }
}
