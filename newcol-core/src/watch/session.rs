//! One connection to a production server that reads statistics and nothing else.
//!
//! Everything is asked in transactions that say by themselves what they may do, so that a pooler in
//! transaction mode passes nothing on to others: read only, two seconds a statement, a tenth of a
//! second for a lock. Nothing is reset, made or written, and no transaction gets a number. Each
//! statement carries a mark, by which it is left out of what is counted.

use std::time::{Duration, Instant};

use super::mysql::MysqlSight;
use crate::{
    backend::{Backend, Product, Server},
    db::{Access, DatabaseUrl, DbError, OpenOptions, Row, Session, Settings, quote::literal},
    ident::{ColumnPath, TableName},
};

/// In every statement of ours.
pub const MARK: &str = "/* cargo newcol watch */";

const BEGIN: &str = "BEGIN TRANSACTION READ ONLY; SET LOCAL statement_timeout = '2s'; \
    SET LOCAL lock_timeout = '100ms'; SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// A column of each answer to us on MySQL and MariaDB: of comments, digests keep nothing.
pub const ALIAS: &str = "cargo_newcol_watch";

const BEGIN_MARIADB: &str = "SET SESSION max_statement_time = 2, lock_wait_timeout = 1, \
    innodb_lock_wait_timeout = 1; START TRANSACTION READ ONLY";

const BEGIN_MYSQL: &str = "SET SESSION max_execution_time = 2000, lock_wait_timeout = 1, \
    innodb_lock_wait_timeout = 1; START TRANSACTION READ ONLY";

/// A connection that watches.
#[derive(Debug)]
pub struct Watcher {
    session: Session,
    busy: Duration,
}

/// A transaction of a [`Watcher`].
pub(crate) struct Reading<'w> {
    session: &'w mut Session,
    busy: &'w mut Duration,
}

/// What the server lets this role see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sight {
    /// The role.
    pub role: String,
    /// Version of the server, as 150018.
    pub version: u32,
    /// Whether the server follows another one.
    pub is_standby: bool,
    /// Whether there is a table of the name.
    pub has_table: bool,
    /// Whether it has the column.
    pub has_column: bool,
    /// Whether the role may read the column or, before it is there, the table.
    pub reads_table: bool,
    /// Version of `pg_stat_statements`; `None` where this database does not have it.
    pub extension: Option<String>,
    /// Whether the server has loaded its library.
    pub is_loaded: bool,
    /// How many statements it keeps.
    pub most_statements: Option<u64>,
    /// Which statements it counts: `top`, `all` or `none`.
    pub track: Option<String>,
    /// Whether statements get numbers (14 and later).
    pub numbers: Option<String>,
    /// Whether the role sees statements of others.
    pub sees_others: bool,
    /// Whether the role may ask which cluster it is.
    pub knows_system: bool,
    /// Whether statements come from the application's own measures.
    pub is_measured: bool,
    /// What MySQL or MariaDB shows; `None` of other servers.
    pub mysql: Option<MysqlSight>,
}

impl Watcher {
    /// Connects. Sets nothing of the session.
    ///
    /// # Errors
    ///
    /// As [`Session::open`].
    pub fn open(url: &DatabaseUrl, options: &OpenOptions) -> Result<Self, DbError> {
        let options =
            OpenOptions { access: Access::Read, settings: Settings::None, ..options.clone() };
        let watch = Instant::now();
        let session = Session::open(url, &options)?;
        Ok(Self { session, busy: watch.elapsed() })
    }

    /// The engine.
    pub fn backend(&self) -> Backend {
        self.session.backend()
    }

    /// The server.
    pub fn server(&self) -> Server {
        self.session.server()
    }

    /// How long the server has worked for us, as seen from here: more than it has.
    pub fn busy(&self) -> Duration {
        self.busy
    }

    /// Asks what this role can see.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub fn sight(&mut self, column: &ColumnPath) -> Result<Sight, DbError> {
        self.read(|reading| reading.sight(column))
    }

    /// Runs questions in one transaction.
    pub(crate) fn read<T>(
        &mut self,
        questions: impl FnOnce(&mut Reading<'_>) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let Self { session, busy } = self;
        let watch = Instant::now();
        session.batch(match session.server().product {
            Product::Postgres => BEGIN,
            Product::Mariadb => BEGIN_MARIADB,
            Product::Mysql => BEGIN_MYSQL,
            Product::Sqlite => "BEGIN",
        })?;
        *busy += watch.elapsed();
        let done = questions(&mut Reading { session, busy });
        let end = session.batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" });
        let done = done?;
        end.map(|()| done)
    }
}

impl Reading<'_> {
    pub(super) fn server(&self) -> Server {
        self.session.server()
    }

    /// Asks a question that begins with `SELECT`.
    pub(crate) fn rows(&mut self, question: &str) -> Result<Vec<Row>, DbError> {
        let is_mysql = self.session.backend() == Backend::Mysql;
        let mark = if is_mysql { format!("0 AS {ALIAS},") } else { MARK.to_owned() };
        let marked = question.replacen("SELECT", &format!("SELECT {mark}"), 1);
        let watch = Instant::now();
        let rows = self.session.query(&marked);
        *self.busy += watch.elapsed();
        let without_mark = |row: Row| row.into_iter().skip(usize::from(is_mysql)).collect();
        rows.map(|rows| rows.into_iter().map(without_mark).collect())
    }

    /// Asks what has no mark: a plan of somebody's statement.
    #[cfg(feature = "measure")]
    pub(super) fn plain(&mut self, question: &str) -> Result<Vec<Row>, DbError> {
        let watch = Instant::now();
        let rows = self.session.query(question);
        *self.busy += watch.elapsed();
        rows
    }

    /// As [`Reading::rows`]; `None` where a lock or a timeout stands in the way: what was asked before
    /// stays good.
    pub(super) fn rows_if_free(&mut self, question: &str) -> Result<Option<Vec<Row>>, DbError> {
        if self.session.backend() == Backend::Mysql {
            // No privilege on a table or column, a lock that is not free, too slow, no such table.
            return match self.rows(question) {
                Err(error)
                    if matches!(
                        error.errno(),
                        Some(1142 | 1143 | 1044 | 1205 | 1227 | 1969 | 3024 | 1109 | 1146)
                    ) =>
                {
                    Ok(None)
                }
                rows => rows.map(Some),
            };
        }
        self.session.batch("SAVEPOINT newcol")?;
        match self.rows(question) {
            Ok(rows) => {
                self.session.batch("RELEASE SAVEPOINT newcol")?;
                Ok(Some(rows))
            }
            // Cancelled by its timeout, a lock that is not free, a privilege, a table that has gone.
            Err(error)
                if matches!(error.sqlstate(), Some("57014" | "55P03" | "42501" | "42P01")) =>
            {
                self.session.batch("ROLLBACK TO SAVEPOINT newcol")?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Runs statements and returns what the last one gives, or what the server has against one of them:
    /// what was asked before stays good.
    pub(super) fn attempt(
        &mut self,
        statements: &[String],
    ) -> Result<Result<Vec<Row>, String>, DbError> {
        self.session.batch("SAVEPOINT newcol")?;
        let watch = Instant::now();
        let mut done = Ok(Vec::new());
        for statement in statements {
            done = self.session.query(statement);
            if done.is_err() {
                break;
            }
        }
        *self.busy += watch.elapsed();
        match done {
            Ok(rows) => {
                self.session.batch("RELEASE SAVEPOINT newcol")?;
                Ok(Ok(rows))
            }
            Err(error) => {
                let Some(said) =
                    error.failure().filter(|said| !said.lost && said.sqlstate.is_some())
                else {
                    return Err(error);
                };
                let said = said.message.clone();
                self.session.batch("ROLLBACK TO SAVEPOINT newcol")?;
                Ok(Err(said))
            }
        }
    }

    pub(super) fn sight(&mut self, column: &ColumnPath) -> Result<Sight, DbError> {
        match self.server().product {
            Product::Mariadb | Product::Mysql => return self.mysql_sight(column),
            #[cfg(feature = "measure")]
            Product::Sqlite => return self.sqlite_sight(column),
            // Without measures there is nothing to see.
            #[cfg(not(feature = "measure"))]
            Product::Sqlite => return Ok(Sight::default()),
            Product::Postgres => {}
        }
        let table = table_query(&column.table);
        let name = literal(Backend::Postgres, column.column.as_str());
        let row = self.rows(&format!(
            "SELECT current_user, current_setting('server_version_num'), pg_is_in_recovery(), \
             t.oid IS NOT NULL, a.attnum IS NOT NULL, \
             CASE WHEN a.attnum IS NULL THEN coalesce(has_table_privilege(t.oid, 'SELECT'), false) \
             ELSE has_column_privilege(t.oid, a.attnum, 'SELECT') END, \
             (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'pg_stat_statements'), \
             current_setting('pg_stat_statements.max', true), \
             current_setting('pg_stat_statements.track', true), \
             current_setting('compute_query_id', true), \
             pg_has_role('pg_read_all_stats', 'USAGE'), \
             has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') \
             FROM (SELECT {table} AS oid) AS t LEFT JOIN pg_catalog.pg_attribute a \
             ON a.attrelid = t.oid AND a.attname = {name} AND a.attnum > 0 AND NOT a.attisdropped"
        ))?;
        let mut fields = Fields::of(row);
        Ok(Sight {
            role: fields.text(),
            version: fields.number(),
            is_standby: fields.is_true(),
            has_table: fields.is_true(),
            has_column: fields.is_true(),
            reads_table: fields.is_true(),
            extension: fields.maybe(),
            most_statements: fields.maybe().and_then(|max| max.parse().ok()),
            track: fields.maybe(),
            numbers: fields.maybe(),
            sees_others: fields.is_true(),
            knows_system: fields.is_true(),
            is_loaded: false,
            mysql: None,
            is_measured: false,
        }
        .with_library())
    }
}

impl Sight {
    fn with_library(self) -> Self {
        // The settings are there where the library is.
        Self { is_loaded: self.most_statements.is_some(), ..self }
    }

    /// Reports whether statements are counted and can be read.
    pub fn has_statements(&self) -> bool {
        self.extension.is_some() && self.is_loaded
    }
}

/// Returns a query for the table's number, which takes no right on its schema; NULL where there is none.
pub(crate) fn table_query(table: &TableName) -> String {
    let name = literal(Backend::Postgres, table.name.as_str());
    let is_meant = match &table.schema {
        Some(schema) => {
            format!("n.nspname = {}", literal(Backend::Postgres, schema.as_str()))
        }
        None => "pg_table_is_visible(c.oid)".to_owned(),
    };
    format!(
        "(SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
         ON n.oid = c.relnamespace WHERE c.relname = {name} AND {is_meant} \
         AND c.relkind IN ('r', 'p'))"
    )
}

/// The values of one row, one after the other.
pub(crate) struct Fields(std::vec::IntoIter<Option<String>>);

impl Fields {
    /// Takes the first row.
    pub(crate) fn of(rows: Vec<Row>) -> Self {
        Self::from(rows.into_iter().next().unwrap_or_default())
    }

    pub(crate) fn from(row: Row) -> Self {
        Self(row.into_iter())
    }

    pub(crate) fn maybe(&mut self) -> Option<String> {
        self.0.next().flatten()
    }

    pub(crate) fn text(&mut self) -> String {
        self.maybe().unwrap_or_default()
    }

    pub(crate) fn is_true(&mut self) -> bool {
        matches!(self.maybe().as_deref(), Some("t" | "1"))
    }

    /// Returns a number; where there is none, nothing.
    pub(crate) fn number<T: std::str::FromStr + Default>(&mut self) -> T {
        self.maybe_number().unwrap_or_default()
    }

    pub(crate) fn maybe_number<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.maybe()?.parse().ok()
    }
}
