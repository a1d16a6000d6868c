//! Scans of the column's indexes on replicas: a physical replica has the same indexes, and counters of
//! its own.

use super::{
    index::holds,
    session::{Fields, Watcher, table_query},
    store::{Store, StoreError},
};
use crate::{
    backend::Backend,
    db::{DatabaseUrl, DbError, OpenOptions, quote::literal},
    ident::ColumnPath,
};

/// What a replica said at one snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaScans {
    /// The snapshot.
    pub snapshot: i64,
    /// The replica, without the password.
    pub replica: String,
    /// Scans of each index since the replica's statistics began, or why they are not known.
    pub scans: Result<Vec<(String, u64)>, String>,
}

/// Asks replicas for the scans of the column's indexes and keeps them with the last snapshot.
///
/// A replica that cannot be asked costs no snapshot: it is kept with the reason.
///
/// # Errors
///
/// Where the file cannot be written.
pub fn ask(
    replicas: &[DatabaseUrl],
    options: &OpenOptions,
    store: &mut Store,
    column: &ColumnPath,
) -> Result<Vec<ReplicaScans>, StoreError> {
    let Some(last) = store.last_plain()? else { return Ok(Vec::new()) };
    let system = last.identity.system.as_deref();
    let mut said = Vec::new();
    for url in replicas {
        let scans = match scans(url, options, column, system) {
            Ok(scans) => scans,
            Err(error) => Err(in_words(&error)),
        };
        said.push(ReplicaScans { snapshot: last.id, replica: url.describe(), scans });
    }
    store.add_replicas(&said)?;
    Ok(said)
}

fn in_words(error: &DbError) -> String {
    error.failure().map_or_else(|| error.to_string(), |failure| failure.message.clone())
}

fn scans(
    url: &DatabaseUrl,
    options: &OpenOptions,
    column: &ColumnPath,
    system: Option<&str>,
) -> Result<Result<Vec<(String, u64)>, String>, DbError> {
    if url.backend() != Backend::Postgres {
        return Ok(Err("it is no PostgreSQL server".to_owned()));
    }
    let mut watcher = Watcher::open(url, options)?;
    watcher.read(|reading| {
        let sight = reading.sight(column)?;
        if !sight.is_standby {
            return Ok(Err("it follows no other server".to_owned()));
        }
        if sight.knows_system {
            let row = reading.rows("SELECT system_identifier FROM pg_control_system()")?;
            let found = Fields::of(row).maybe();
            if system.is_some() && found.as_deref() != system {
                return Ok(Err("it is of another cluster".to_owned()));
            }
        }
        let name = literal(Backend::Postgres, column.column.as_str());
        let row = reading.rows(&format!(
            "SELECT t.oid, a.attnum FROM (SELECT {} AS oid) AS t JOIN pg_catalog.pg_attribute a \
             ON a.attrelid = t.oid AND a.attname = {name} AND a.attnum > 0 AND NOT a.attisdropped",
            table_query(&column.table)
        ))?;
        let mut fields = Fields::of(row);
        let (Some(table), attribute) = (fields.maybe(), fields.number()) else {
            return Ok(Err(format!("it has no `{column}` yet")));
        };
        let rows = reading.rows(&format!(
            "SELECT c.relname, coalesce(pg_stat_get_numscans(c.oid), 0) FROM pg_catalog.pg_index i \
             JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             WHERE i.indrelid = {table} AND {}",
            holds("i", &table, attribute)
        ))?;
        let scans = |row| {
            let mut fields = Fields::from(row);
            (fields.text(), fields.number())
        };
        Ok(Ok(rows.into_iter().map(scans).collect()))
    })
}
