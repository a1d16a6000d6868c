//! A server of its own for a benchmark, and as many copies of one table as it measures.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicU32, Ordering},
};

use newcol_core::{
    backend::{Backend, Product, Server},
    db::{DatabaseUrl, DbError, OpenOptions, Session},
};

use super::BenchError;
use crate::scratch::{ScratchDb, ScratchError, Standby, Want};

/// The server, and the database that all others are copies of.
pub(super) struct Arena {
    base: ScratchDb,
    url: DatabaseUrl,
    next: AtomicU32,
}

/// A copy of the table, gone when this is dropped.
pub(super) struct Copy<'a> {
    pub(super) url: DatabaseUrl,
    /// Drops the database: on a server by its name, a file by itself.
    holder: Holder<'a>,
}

enum Holder<'a> {
    Server { arena: &'a Arena, name: String },
    File { _db: ScratchDb },
}

/// What a throwaway server of ours does not do, and one in production does: it writes pages whole
/// after a checkpoint. Checkpoints come by the clock only, and the log stays to be looked at.
const POSTGRES: &[&str] = &[
    "ALTER SYSTEM SET full_page_writes = on",
    "ALTER SYSTEM SET fsync = on",
    "ALTER SYSTEM SET max_wal_size = '16GB'",
    "ALTER SYSTEM SET checkpoint_timeout = '1h'",
    "ALTER SYSTEM SET wal_keep_size = '4GB'",
    "SELECT pg_reload_conf()",
];

/// Settings that a report names, because they decide what writing costs.
const POSTGRES_SETTINGS: &str = "SELECT name, current_setting(name) FROM pg_settings WHERE name IN \
    ('shared_buffers', 'full_page_writes', 'fsync', 'synchronous_commit', 'max_wal_size', \
     'checkpoint_timeout', 'wal_level', 'wal_compression', 'autovacuum') ORDER BY 1";
const MYSQL_SETTINGS: &str = "SELECT lower(variable_name), variable_value \
    FROM information_schema.global_variables WHERE variable_name IN \
    ('INNODB_BUFFER_POOL_SIZE', 'INNODB_FLUSH_LOG_AT_TRX_COMMIT', 'INNODB_LOG_FILE_SIZE', \
     'INNODB_DOUBLEWRITE', 'LOG_BIN') ORDER BY 1";

impl Arena {
    /// Starts the server, and lets `build` make the table in an empty database of it.
    pub(super) fn new(
        want: Want,
        build: impl FnOnce(&DatabaseUrl) -> Result<(), BenchError>,
    ) -> Result<Self, BenchError> {
        let want = if want.backend == Backend::Sqlite { want } else { want.private() };
        let base = ScratchDb::new(want)?;
        let url = parse(base.url())?;
        let arena = Self { base, url, next: AtomicU32::new(0) };
        let mut session = open(&arena.url)?;
        match arena.backend() {
            Backend::Postgres => {
                for sql in POSTGRES {
                    session.batch(sql)?;
                }
            }
            Backend::Mysql if session.server().product == Product::Mariadb => {
                session.batch("SET GLOBAL userstat = 1")?;
            }
            Backend::Mysql | Backend::Sqlite => {}
        }
        drop(session);
        build(&arena.url)?;
        Ok(arena)
    }

    pub(super) fn backend(&self) -> Backend {
        self.base.backend()
    }

    pub(super) fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    pub(super) fn server(&self) -> Result<Server, BenchError> {
        Ok(open(&self.url)?.server())
    }

    /// Returns the settings that decide what writing costs.
    pub(super) fn settings(&self) -> Result<BTreeMap<String, String>, BenchError> {
        let sql = match self.backend() {
            Backend::Postgres => POSTGRES_SETTINGS,
            Backend::Mysql => MYSQL_SETTINGS,
            Backend::Sqlite => {
                "SELECT 'journal_mode', journal_mode FROM pragma_journal_mode \
                 UNION ALL SELECT 'page_size', page_size FROM pragma_page_size"
            }
        };
        let rows = open(&self.url)?.query(sql)?;
        let pair = |row: Vec<Option<String>>| {
            let mut values = row.into_iter().flatten();
            Some((values.next()?, values.next()?))
        };
        Ok(rows.into_iter().filter_map(pair).collect())
    }

    /// Makes a copy of the table. `build` makes it again where the engine cannot copy.
    pub(super) fn copy(
        &self,
        build: &dyn Fn(&DatabaseUrl) -> Result<(), BenchError>,
    ) -> Result<Copy<'_>, BenchError> {
        if self.backend() == Backend::Sqlite {
            let db = ScratchDb::sqlite()?;
            fs::copy(self.base.url(), db.url())
                .map_err(|source| BenchError::Copy { path: db.url().into(), source })?;
            return Ok(Copy { url: parse(db.url())?, holder: Holder::File { _db: db } });
        }
        if self.backend() == Backend::Mysql {
            return self.made(build);
        }
        self.database(self.url.database().unwrap_or_default())
    }

    /// Makes another table, in a database of its own.
    pub(super) fn made(
        &self,
        build: &dyn Fn(&DatabaseUrl) -> Result<(), BenchError>,
    ) -> Result<Copy<'_>, BenchError> {
        let made = if self.backend() == Backend::Sqlite {
            let db = ScratchDb::sqlite()?;
            Copy { url: parse(db.url())?, holder: Holder::File { _db: db } }
        } else {
            self.database("template0")?
        };
        build(&made.url)?;
        Ok(made)
    }

    /// Makes a database, which on PostgreSQL is a copy of another one.
    fn database(&self, source: &str) -> Result<Copy<'_>, BenchError> {
        let name = format!("newcol_bench_{}", self.next.fetch_add(1, Ordering::Relaxed));
        let mut session = open(&self.elsewhere()?)?;
        match self.backend() {
            Backend::Postgres => {
                // Copying files writes no log that would be counted.
                let strategy = if session.server().major >= 15 { "STRATEGY FILE_COPY" } else { "" };
                session.batch(&format!(
                    "CREATE DATABASE \"{name}\" TEMPLATE \"{source}\" {strategy}"
                ))?;
            }
            Backend::Mysql | Backend::Sqlite => {
                session.batch(&format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4"))?;
            }
        }
        let url = self.base.url_of(&name).unwrap_or_default();
        Ok(Copy { url: parse(&url)?, holder: Holder::Server { arena: self, name } })
    }

    /// Starts a server that follows, and has all that there is by now.
    pub(super) fn standby(&self) -> Result<Standby, BenchError> {
        Ok(Standby::of(&self.base)?)
    }

    /// A database that nobody copies.
    fn elsewhere(&self) -> Result<DatabaseUrl, BenchError> {
        let name = if self.backend() == Backend::Postgres { "postgres" } else { "mysql" };
        parse(&self.base.url_of(name).unwrap_or_default())
    }

    fn drop_database(&self, name: &str) -> Result<(), BenchError> {
        let mut session = open(&self.elsewhere()?)?;
        session.batch(&match self.backend() {
            Backend::Postgres => format!("DROP DATABASE \"{name}\" WITH (FORCE)"),
            Backend::Mysql | Backend::Sqlite => format!("DROP DATABASE `{name}`"),
        })?;
        Ok(())
    }
}

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        if let Holder::Server { arena, name } = &self.holder {
            // It goes with its server at the latest.
            drop(arena.drop_database(name));
        }
    }
}

fn parse(url: &str) -> Result<DatabaseUrl, BenchError> {
    DatabaseUrl::parse(url).map_err(BenchError::Url)
}

/// Opens a session of the benchmark itself.
pub(super) fn open(url: &DatabaseUrl) -> Result<Session, DbError> {
    let name = Some("newcol-bench".to_owned());
    Session::open(url, &OpenOptions { application_name: name, ..OpenOptions::create() })
}

impl From<ScratchError> for BenchError {
    fn from(error: ScratchError) -> Self {
        Self::Scratch(Box::new(error))
    }
}
