//! The extended protocol: statements and portals by name.

use std::collections::HashMap;

use arrow::datatypes::DataType;
use pgwire::messages::PgWireBackendMessage as Backend;
use pgwire::messages::data::{NoData, ParameterDescription, RowDescription};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete,
    TARGET_TYPE_BYTE_PORTAL, TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::response::CommandComplete;
use postgres_types::Type;
use smartsneaks_engine::{Prepared, Session};
use tokio::io::AsyncWrite;

use crate::connection::Failure;
use crate::encode::formats;
use crate::oid;
use crate::parameter;
use crate::portal::Portal;
use crate::replies::Replies;
use crate::report::Report;

/// Statements and portals that one connection may hold at a time.
const MAX_NAMES: usize = 10_000;

/// What one connection has prepared and bound.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    statements: HashMap<String, Statement>,
    portals: HashMap<String, Portal>,
}

#[derive(Debug, Clone)]
struct Statement {
    prepared: Prepared,
    /// What clients are told of `$1`, `$2`, …: as they declared, else as the plan wants it.
    parameters: Vec<Type>,
}

impl Desk {
    pub(crate) async fn parse<W: AsyncWrite + Unpin>(
        &mut self,
        session: &Session,
        parse: Parse,
        replies: &mut Replies<W>,
    ) -> Result<(), Failure> {
        let name = parse.name.unwrap_or_default();
        if name.is_empty() {
            self.statements.remove("");
        } else if self.statements.contains_key(&name) {
            return Err(
                Report::error("42P05", format!("prepared statement \"{name}\" already exists")).into()
            );
        }
        room(self.statements.len(), "prepared statements")?;
        let declared = declared(&parse.type_oids)?;
        let mut statements = session.parse(&parse.query)?.into_iter();
        let (Some(statement), None) = (statements.next(), statements.next()) else {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Report::error("42601", message).into());
        };
        let prepared = session.prepare(&statement, &declared).await?;
        let parameters = prepared.parameter_types().iter().enumerate().map(|(i, inferred)| {
            match parse.type_oids.get(i).and_then(|oid| Type::from_oid(*oid)) {
                Some(told) if told != Type::UNKNOWN => told,
                _ => oid::of(inferred),
            }
        });
        let statement = Statement { parameters: parameters.collect(), prepared };
        self.statements.insert(name, statement);
        Ok(replies.put(&Backend::ParseComplete(ParseComplete::new()))?)
    }

    pub(crate) fn bind<W: AsyncWrite + Unpin>(
        &mut self,
        bind: Bind,
        replies: &mut Replies<W>,
    ) -> Result<(), Failure> {
        let name = bind.statement_name.unwrap_or_default();
        let portal_name = bind.portal_name.unwrap_or_default();
        let statement = self.statement(&name)?;
        let wanted = &statement.parameters;
        if bind.parameters.len() != wanted.len() {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement \"{name}\" requires {}",
                bind.parameters.len(),
                wanted.len()
            );
            return Err(Report::error("08P01", message).into());
        }
        let codes = formats(&bind.parameter_format_codes, wanted.len()).map_err(|_| {
            let message = format!(
                "bind message has {} parameter formats but {} parameters",
                bind.parameter_format_codes.len(),
                wanted.len()
            );
            Report::error("08P01", message)
        })?;
        let mut values = Vec::with_capacity(wanted.len());
        let types = statement.prepared.parameter_types();
        for (i, ((value, pg), target)) in bind.parameters.iter().zip(wanted).zip(types).enumerate() {
            let decoded = parameter::decode(value.as_deref(), codes[i] == 1, pg, target)
                .map_err(|report| report.within(&format!("parameter ${}", i + 1)))?;
            values.push(decoded);
        }
        let prepared = statement.prepared.clone();
        let portal = Portal::new(name, prepared, values, &bind.result_column_format_codes)?;
        if !portal_name.is_empty() && self.portals.contains_key(&portal_name) {
            return Err(Report::error("42P03", format!("cursor \"{portal_name}\" already exists")).into());
        }
        room(self.portals.len(), "portals")?;
        self.portals.insert(portal_name, portal);
        Ok(replies.put(&Backend::BindComplete(BindComplete::new()))?)
    }

    pub(crate) fn describe<W: AsyncWrite + Unpin>(
        &self,
        describe: &Describe,
        replies: &mut Replies<W>,
    ) -> Result<(), Failure> {
        let name = describe.name.as_deref().unwrap_or_default();
        match describe.target_type {
            TARGET_TYPE_BYTE_STATEMENT => {
                let statement = self.statement(name)?;
                let types = statement.parameters.iter().map(Type::oid).collect();
                replies.put(&Backend::ParameterDescription(ParameterDescription::new(types)))?;
                columns(&statement.prepared, None, replies)
            }
            TARGET_TYPE_BYTE_PORTAL => {
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                columns(portal.prepared(), Some(portal.formats()), replies)
            }
            other => Err(subtype("DESCRIBE", other).into()),
        }
    }

    pub(crate) async fn execute<W: AsyncWrite + Unpin>(
        &mut self,
        session: &Session,
        execute: Execute,
        replies: &mut Replies<W>,
    ) -> Result<(), Failure> {
        let name = execute.name.unwrap_or_default();
        let portal = self.portals.get_mut(&name).ok_or_else(|| no_portal(&name))?;
        let limit = u64::try_from(execute.max_rows).ok().filter(|rows| *rows > 0);
        if let Some(tag) = portal.execute(session, limit, replies).await? {
            let text = portal.prepared().statement().text().to_owned();
            self.follow(&tag, &text)?;
            replies.put(&Backend::CommandComplete(CommandComplete::new(tag)))?;
        }
        Ok(())
    }

    /// Forgets the statements that a command asks to be forgotten: they live here and not in the session. `text` is
    /// the command's own, of which only the name is read.
    ///
    /// # Errors
    /// 26000 when there is no statement of that name.
    pub(crate) fn follow(&mut self, tag: &str, text: &str) -> Result<(), Report> {
        match tag {
            "DISCARD ALL" => {
                self.statements.clear();
                self.portals.clear();
            }
            "DEALLOCATE" | "DEALLOCATE ALL" => match deallocated(text) {
                None => self.statements.clear(),
                Some(name) => {
                    self.statement(&name)?;
                    self.statements.remove(&name);
                }
            },
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn close<W: AsyncWrite + Unpin>(
        &mut self,
        close: &Close,
        replies: &mut Replies<W>,
    ) -> Result<(), Failure> {
        let name = close.name.as_deref().unwrap_or_default();
        match close.target_type {
            TARGET_TYPE_BYTE_STATEMENT => {
                self.statements.remove(name);
                self.portals.retain(|_, portal| portal.statement != name);
            }
            TARGET_TYPE_BYTE_PORTAL => {
                self.portals.remove(name);
            }
            other => return Err(subtype("CLOSE", other).into()),
        }
        Ok(replies.put(&Backend::CloseComplete(CloseComplete::new()))?)
    }

    /// A transaction ended: its portals end with it, and so do the statements that feed them.
    pub(crate) fn close_portals(&mut self) {
        self.portals.clear();
    }

    /// A simple query takes the place of the unnamed statement and portal.
    pub(crate) fn forget_unnamed(&mut self) {
        self.statements.remove("");
        self.portals.remove("");
    }

    fn statement(&self, name: &str) -> Result<&Statement, Report> {
        self.statements.get(name).ok_or_else(|| {
            let what = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            Report::error("26000", what)
        })
    }
}

/// The name in `DEALLOCATE [PREPARE] name`; `None` for `ALL`. Names fold to lower case unless quoted.
fn deallocated(text: &str) -> Option<String> {
    let after = |text: &str, word: &str| {
        let (head, rest) = text.split_at_checked(word.len())?;
        let ends = rest.starts_with(|c: char| c.is_whitespace() || c == '"');
        (head.eq_ignore_ascii_case(word) && ends).then(|| rest.trim().to_owned())
    };
    let name = after(text.trim(), "deallocate").unwrap_or_default();
    let name = after(&name, "prepare").unwrap_or(name);
    match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => Some(quoted.replace("\"\"", "\"")),
        None if name.eq_ignore_ascii_case("all") => None,
        None => Some(name.to_lowercase()),
    }
}

/// The columns of a statement's result; before Bind their formats are unknown and told as text.
fn columns<W: AsyncWrite + Unpin>(
    prepared: &Prepared,
    formats: Option<&[i16]>,
    replies: &mut Replies<W>,
) -> Result<(), Failure> {
    let Some(schema) = prepared.schema() else {
        return Ok(replies.put(&Backend::NoData(NoData::new()))?);
    };
    let format = |i: usize| formats.and_then(|formats| formats.get(i)).copied().unwrap_or(0);
    let fields = schema.fields().iter().enumerate().map(|(i, field)| oid::describe(field, format(i)));
    Ok(replies.put(&Backend::RowDescription(RowDescription::new(fields.collect())))?)
}

fn declared(oids: &[u32]) -> Result<Vec<Option<DataType>>, Report> {
    let unknown = |oid: u32| match Type::from_oid(oid) {
        Some(pg) => Report::error("0A000", format!("parameters of type {pg} are not supported"))
            .with_hint("declare the parameter as text and cast it in the statement"),
        None => Report::error("42704", format!("type with OID {oid} does not exist")),
    };
    oids.iter().map(|oid| oid::to_arrow(*oid).map_err(unknown)).collect()
}

fn room(held: usize, what: &str) -> Result<(), Report> {
    if held < MAX_NAMES {
        return Ok(());
    }
    Err(Report::error("53400", format!("a connection may hold {MAX_NAMES} {what}, and holds them"))
        .with_hint("close those that are no longer needed"))
}

fn no_portal(name: &str) -> Report {
    Report::error("34000", format!("portal \"{name}\" does not exist"))
}

fn subtype(message: &str, found: u8) -> Report {
    Report::error("08P01", format!("invalid {message} message subtype {found}"))
}

#[cfg(test)]
mod tests {
    use super::deallocated;

    #[test]
    fn names_in_deallocate() {
        for (text, name) in [
            ("DEALLOCATE ALL", None),
            ("deallocate prepare all", None),
            ("DEALLOCATE _pg3_0", Some("_pg3_0")),
            ("DEALLOCATE PREPARE Foo", Some("foo")),
            ("DEALLOCATE \"My \"\"one\"\"\"", Some("My \"one\"")),
            ("DEALLOCATE \"all\"", Some("all")),
            ("DEALLOCATE prepared", Some("prepared")),
        ] {
            assert_eq!(deallocated(text).as_deref(), name, "{text}");
        }
    }
}
