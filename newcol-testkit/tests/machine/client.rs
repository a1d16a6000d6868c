//! A writer with its session and the transaction that it may have open.

use std::{collections::BTreeMap, time::Duration};

use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, DbError, OpenOptions, Session},
};
use newcol_testkit::wait::wait_until;

use super::rows::Row;

/// The longest that anything is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    session: Session,
    /// Rows that the open transaction has changed, as they will be; `None` where it deletes.
    pub(crate) open: Option<BTreeMap<u64, Option<Row>>>,
}

impl Client {
    pub(crate) fn new(url: &str) -> Self {
        Self { session: open(url), open: None }
    }

    /// Reports whether an open transaction has changed something.
    pub(crate) fn has_written(&self) -> bool {
        self.open.as_ref().is_some_and(|rows| !rows.is_empty())
    }

    pub(crate) fn run(&mut self, sql: &str) -> Result<(), String> {
        run(&mut self.session, sql)
    }

    /// Has another session kill this one, with its transaction, and connects anew.
    ///
    /// SQLite has no sessions apart from ours: there this one ends without a word.
    pub(crate) fn kill(&mut self, control: &mut Session) -> Result<(), DbError> {
        let again = self.session.again()?;
        if let Some(id) = id(&mut self.session)? {
            kill(control, &id)?;
            let gone = match control.backend() {
                Backend::Postgres => {
                    format!("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {id})")
                }
                Backend::Mysql | Backend::Sqlite => format!(
                    "SELECT NOT EXISTS (SELECT 1 FROM information_schema.processlist WHERE id = {id})"
                ),
            };
            wait_until("end of a killed session", LIMIT, || control.query_bool(&gone).unwrap())
                .unwrap();
        }
        self.session = again;
        self.open = None;
        Ok(())
    }
}

/// Kills a session by the number that the server gives it.
pub(crate) fn kill(control: &mut Session, id: &str) -> Result<(), DbError> {
    match control.backend() {
        Backend::Postgres => control.batch(&format!("SELECT pg_terminate_backend({id})")),
        Backend::Mysql => control.batch(&format!("KILL {id}")),
        Backend::Sqlite => Ok(()),
    }
}

fn id(session: &mut Session) -> Result<Option<String>, DbError> {
    match session.backend() {
        Backend::Postgres => session.value("SELECT pg_backend_pid()"),
        Backend::Mysql => session.value("SELECT connection_id()"),
        Backend::Sqlite => Ok(None),
    }
}

pub(crate) fn open(url: &str) -> Session {
    Session::open(&DatabaseUrl::parse(url).unwrap(), &OpenOptions::write()).unwrap()
}

pub(crate) fn run(session: &mut Session, sql: &str) -> Result<(), String> {
    session.batch(sql).map_err(|error| chain(&error))
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
