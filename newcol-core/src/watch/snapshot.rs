//! One look at the server: counters of statements, of the table and of its indexes.

mod catalog;
mod measures;
mod statements;

use std::collections::BTreeMap;

pub(super) use self::measures::{parts, push};
use super::{
    identity::{Identity, Taken},
    index::Index,
    involve::Catalog,
    moments::Cumulative,
    series::QueryId,
    session::{Fields, Reading, Sight, table_query},
};
use crate::{
    backend::Backend,
    db::{DbError, quote::literal},
    ident::ColumnPath,
};

/// Caller of counters that end with it.
pub(super) const PROCESS: &str = "process ";

/// Reports whether a caller's counters end with it.
pub(super) fn is_mortal(caller: &str) -> bool {
    caller.starts_with(PROCESS)
}

/// The counters of one statement, as one role called it.
#[derive(Debug, Clone, PartialEq)]
pub struct Counters {
    /// The statement.
    pub id: QueryId,
    /// Who called it, and whether from the outermost level: counters are kept apart by both.
    pub caller: String,
    /// Whether it was sent by a client, and not run by a function.
    pub is_top: bool,
    /// Calls and their times.
    pub times: Cumulative,
    /// Rows returned or changed.
    pub rows: u64,
    /// Shared blocks hit and read.
    pub blocks: u64,
    /// Bytes of log; `None` where the extension is too old.
    pub wal_bytes: Option<u64>,
    /// Since when the server counts it, in seconds since the epoch (17 and later).
    pub since: Option<f64>,
}

/// A number that is not of a statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// An index, or nothing for what is of the table or the whole server.
    pub object: String,
    /// What is measured.
    pub name: String,
    /// The number; what is not known has no measure at all.
    pub value: f64,
}

/// One look at the server.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What it is of.
    pub identity: Identity,
    /// When.
    pub taken: Taken,
    /// What the role may see.
    pub sight: Sight,
    /// Counters of all statements of this database; `None` where there are none.
    pub statements: Option<Vec<Counters>>,
    /// Statements whose number and text the role may not see.
    pub hidden: u64,
    /// Texts, where they were asked for.
    pub texts: Option<BTreeMap<QueryId, String>>,
    /// The catalog, where it was asked for.
    pub catalog: Option<Catalog>,
    /// Counters of table, indexes and server, and sizes.
    pub measures: Vec<Measure>,
    /// The column's indexes.
    pub indexes: Vec<Index>,
}

/// What more a snapshot has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Counters.
    Counters,
    /// Also texts and the catalog.
    Texts,
}

impl Reading<'_> {
    /// Reads a snapshot; `depth` decides with the counters at hand whether texts are wanted.
    pub(super) fn snapshot(
        &mut self,
        column: &ColumnPath,
        local: f64,
        depth: impl FnOnce(&Identity, f64, &[Counters]) -> Depth,
    ) -> Result<Snapshot, DbError> {
        if self.server().backend() == Backend::Mysql {
            return self.mysql_snapshot(column, local, depth);
        }
        let sight = self.sight(column)?;
        let extension = if sight.has_statements() { self.extension()? } else { None };
        let (mut identity, taken) = self.identity(column, &sight, local)?;
        let mut statements = None;
        let mut hidden = 0;
        let mut texts = None;
        let mut catalog = None;
        if let Some(extension) = &extension {
            if extension.has_info {
                self.info(extension, &mut identity)?;
            }
            let (all, unseen) = self.counters(extension)?;
            hidden = unseen;
            if depth(&identity, taken.server, &all) == Depth::Texts {
                texts = Some(self.texts(extension)?);
                catalog =
                    identity.table.clone().map(|oid| self.catalog(column, &oid)).transpose()?;
            }
            statements = Some(all);
        }
        let mut measures = Vec::new();
        self.measures(&identity, column, &mut measures)?;
        let mut indexes = Vec::new();
        if let (Some(table), Some(attribute)) = (&identity.table, identity.column) {
            indexes = self.column_indexes(table, attribute)?;
        }
        Ok(Snapshot {
            identity,
            taken,
            sight,
            statements,
            hidden,
            texts,
            catalog,
            measures,
            indexes,
        })
    }

    /// Reads all but statements.
    #[cfg(feature = "measure")]
    pub(super) fn postgres_surroundings(
        &mut self,
        column: &ColumnPath,
        sight: &Sight,
        local: f64,
        measures: &mut Vec<Measure>,
    ) -> Result<(Identity, Taken, Option<Catalog>), DbError> {
        let (identity, taken) = self.identity(column, sight, local)?;
        let catalog = identity.table.clone().map(|oid| self.catalog(column, &oid)).transpose()?;
        self.measures(&identity, column, measures)?;
        Ok((identity, taken, catalog))
    }

    fn identity(
        &mut self,
        column: &ColumnPath,
        sight: &Sight,
        local: f64,
    ) -> Result<(Identity, Taken), DbError> {
        let table = table_query(&column.table);
        let name = literal(Backend::Postgres, column.column.as_str());
        let (system, timeline) = if sight.knows_system {
            let row = self.rows(
                "SELECT (SELECT system_identifier FROM pg_control_system()), \
                 (SELECT timeline_id FROM pg_control_checkpoint()) \
                 WHERE has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE')",
            )?;
            let mut fields = Fields::of(row);
            (fields.maybe(), fields.maybe_number())
        } else {
            (None, None)
        };
        let row = self.rows(&format!(
            "SELECT extract(epoch FROM clock_timestamp()), \
             extract(epoch FROM pg_postmaster_start_time()), \
             (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()), t.oid, \
             (SELECT attnum FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.oid \
             AND a.attname = {name} AND a.attnum > 0 AND NOT a.attisdropped) \
             FROM (SELECT {table} AS oid) AS t"
        ))?;
        let mut fields = Fields::of(row);
        let taken = Taken { server: fields.number(), local };
        let identity = Identity {
            system,
            timeline,
            version: sight.version,
            extension: sight.extension.clone(),
            started: fields.number(),
            database: fields.text(),
            table: fields.maybe(),
            column: fields.maybe_number(),
            stats_reset: None,
            evictions: None,
        };
        Ok((identity, taken))
    }
}
