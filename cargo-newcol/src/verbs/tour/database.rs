//! The tour's throwaway database: a SQLite file in the project, or one on a throwaway server.

use camino::Utf8Path;
use newcol_core::{
    backend::{Backend, Server},
    db::{DatabaseUrl, OpenOptions, Row, Session},
};
use newcol_testkit::{ScratchDb, schema_dump};

use crate::error::{CliError, Exit};

/// Name of the SQLite file, below the project's root.
pub(super) const FILE: &str = "app.db";

pub(super) struct Database {
    url: DatabaseUrl,
    session: Session,
    /// What keeps a server's database; dropped after the session.
    scratch: Option<ScratchDb>,
}

impl Database {
    pub(super) fn make(backend: Backend, root: &Utf8Path) -> Result<Self, CliError> {
        let (url, scratch) = match backend {
            Backend::Sqlite => (root.join(FILE).into_string(), None),
            Backend::Postgres | Backend::Mysql => {
                let scratch = ScratchDb::new(backend).map_err(|error| {
                    CliError::of(Exit::Failed, &error)
                        .hint("without a server: `cargo newcol tour`, which uses SQLite")
                })?;
                (scratch.url().to_owned(), Some(scratch))
            }
        };
        let url = DatabaseUrl::parse(&url)?;
        let mut session = Session::open(&url, &OpenOptions::create())?;
        if backend == Backend::Sqlite {
            // As applications do that rely on foreign keys; migrations meet it so.
            session.batch("PRAGMA foreign_keys = ON")?;
        }
        Ok(Self { url, session, scratch })
    }

    pub(super) fn url(&self) -> &str {
        self.url.expose()
    }

    pub(super) fn server(&self) -> Server {
        self.session.server()
    }

    pub(super) fn backend(&self) -> Backend {
        self.session.backend()
    }

    /// Runs statements as the application would; the error is what the application would see.
    pub(super) fn execute(&mut self, sql: &str) -> Result<(), CliError> {
        Ok(self.session.batch(sql)?)
    }

    /// Runs a statement that should be refused, and returns the server's words.
    pub(super) fn refusal(&mut self, sql: &str) -> Option<String> {
        let error = self.session.batch(sql).err()?;
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Some(cause.to_string())
    }

    pub(super) fn query(&mut self, sql: &str) -> Result<Vec<Row>, CliError> {
        Ok(self.session.query(sql)?)
    }

    /// Applies pending migrations; returns their versions.
    pub(super) fn migrate(&mut self, dir: &Utf8Path) -> Result<Vec<String>, CliError> {
        Ok(self.session.run_pending(dir)?.versions)
    }

    /// Returns the schema, one object a line.
    pub(super) fn schema(&self) -> Result<Vec<String>, CliError> {
        let dump =
            schema_dump(self.url.expose()).map_err(|error| CliError::of(Exit::Failed, &error))?;
        let bookkeeping = |line: &&str| !line.contains("__diesel_schema_migrations");
        Ok(dump.lines().filter(bookkeeping).map(str::to_owned).collect())
    }

    /// Leaves the database to its reader; returns the command that opens a server's.
    pub(super) fn keep(self) -> Option<String> {
        drop(self.session);
        self.scratch.map(ScratchDb::keep)
    }
}
