//! Functions that depend on the session: `current_user`, `current_setting`, `pg_backend_pid`, ….

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::scalar::ScalarValue;

use super::functions::{Function, string};
use crate::session::Session;
use crate::variables::{self, Variables};

/// Adds them to the state of one statement.
///
/// # Errors
/// None that is known: registering a function in a state can fail in principle.
pub(crate) fn for_session(
    mut state: SessionState,
    session: &Session,
    variables: &Variables,
) -> Result<SessionState> {
    let user: Arc<str> = session.user().into();
    for name in ["current_user", "session_user", "user", "current_role", "pg_get_userbyid"] {
        let user = Arc::clone(&user);
        let body = move |_: &[ScalarValue]| Ok(ScalarValue::from(user.as_ref()));
        state.register_udf(Function::udf(name, DataType::Utf8, Arc::new(body)))?;
    }
    let id = session.id();
    state.register_udf(Function::udf(
        "pg_backend_pid",
        DataType::Int32,
        Arc::new(move |_| Ok(ScalarValue::from(id))),
    ))?;
    let values = variables.clone();
    let body = move |arguments: &[ScalarValue]| {
        let Some(name) = arguments.first().and_then(string) else { return Ok(ScalarValue::Utf8(None)) };
        match values.get(&name) {
            Some(value) => Ok(ScalarValue::from(value)),
            // What clients ask of PostgreSQL that is no variable here.
            None if name == "jit" => Ok(ScalarValue::from("off")),
            None if name == "default_table_access_method" => Ok(ScalarValue::from("heap")),
            None if matches!(arguments.get(1), Some(ScalarValue::Boolean(Some(true)))) => {
                Ok(ScalarValue::Utf8(None))
            }
            None => Err(DataFusionError::External(Box::new(variables::unknown(&name)))),
        }
    };
    state.register_udf(Function::udf("current_setting", DataType::Utf8, Arc::new(body)))?;
    // SET changes a variable; the function only says what it would be, as some drivers need at start.
    let body = |arguments: &[ScalarValue]| Ok(ScalarValue::Utf8(arguments.get(1).and_then(string)));
    state.register_udf(Function::udf("set_config", DataType::Utf8, Arc::new(body)))?;
    Ok(state)
}
