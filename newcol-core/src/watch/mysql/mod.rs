//! MySQL and MariaDB: statements out of `performance_schema`, table and indexes out of it and, on
//! MariaDB, of `userstat`.
//!
//! What is sent as a text has a digest. What is sent prepared, as Diesel sends all that its query
//! builder makes, has one on MySQL: that of the text behind `EXECUTE` (seen on 9.7). On MariaDB it has
//! none, and `prepared_statements_instances` lists it with counters that stay at zero (seen on 10.11):
//! of it only the number of all executions is known, and the application has to measure it
//! ([`super::sent`]). Times are in picoseconds; of their spread MariaDB knows nothing, MySQL quantiles.

mod catalog;
mod measures;

use std::collections::BTreeMap;

use super::{
    identity::{Identity, Taken},
    moments::Cumulative,
    series::QueryId,
    session::{Fields, Reading, Sight},
    snapshot::{Counters, Depth, Snapshot},
};
#[cfg(feature = "measure")]
use super::{involve::Catalog, snapshot::Measure};
use crate::{
    backend::{Backend, Product},
    db::{DbError, Row, quote::literal},
    ident::ColumnPath,
};

/// Stands for an extension in what MariaDB is known by.
pub(super) const OF_MARIADB: &str = "performance_schema";

/// The same of MySQL.
pub(super) const OF_MYSQL: &str = "performance_schema (MySQL)";

/// On MySQL, preparing and forgetting have digests of their own.
const RUNS: &str = "digest IS NOT NULL AND digest_text NOT LIKE 'PREPARE %' \
    AND digest_text NOT LIKE 'DEALLOCATE %'";

/// Bytes that the longest name takes in a digest.
const LONGEST_NAME: usize = 4 + 3 * 64;

/// What MySQL or MariaDB lets a role see.
#[derive(Debug, Clone, PartialEq)]
pub struct MysqlSight {
    /// Which of them it is.
    pub product: Product,
    /// Whether the server was started with `performance_schema=ON`.
    pub is_on: bool,
    /// Whether digests are counted (`statements_digest` in `setup_consumers`).
    pub counts_digests: bool,
    /// Whether MariaDB's `userstat` is on.
    pub has_userstat: bool,
    /// Bytes of a statement that its digest reaches.
    pub digest_length: usize,
    /// Executions of prepared statements that no digest counts, since the server began to count, and
    /// all executions.
    pub executions: (u64, u64),
}

/// Returns the schema of a table as a literal or an expression.
fn schema(column: &ColumnPath) -> String {
    match &column.table.schema {
        Some(schema) => literal(Backend::Mysql, schema.as_str()),
        None => "DATABASE()".to_owned(),
    }
}

fn table(column: &ColumnPath) -> String {
    literal(Backend::Mysql, column.table.name.as_str())
}

impl Reading<'_> {
    pub(super) fn mysql_sight(&mut self, column: &ColumnPath) -> Result<Sight, DbError> {
        let (schema, table) = (schema(column), table(column));
        let name = literal(Backend::Mysql, column.column.as_str());
        let server = self.server();
        let userstat = match server.product {
            Product::Mariadb => "@@userstat",
            _ => "FALSE",
        };
        let row = self.rows(&format!(
            "SELECT CURRENT_USER(), @@performance_schema, {userstat}, \
             @@performance_schema_digests_size, \
             LEAST(@@max_digest_length, @@performance_schema_max_digest_length), \
             (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = {schema} \
             AND table_name = {table} AND table_type = 'BASE TABLE'), \
             (SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = {schema} \
             AND table_name = {table} AND column_name = {name})"
        ))?;
        let mut fields = Fields::of(row);
        let role = fields.text();
        let (is_on, has_userstat) = (fields.is_true(), fields.is_true());
        let most_statements = fields.maybe_number();
        let digest_length = fields.number();
        let has_table = fields.number::<u32>() > 0;
        let has_column = fields.number::<u32>() > 0;
        // A server that counts one prepared statement by its digest counts all of them.
        let prepared = match server.product {
            Product::Mariadb => "",
            _ => {
                " AND NOT EXISTS (SELECT 1 FROM \
                 performance_schema.events_statements_summary_by_digest \
                 WHERE digest_text LIKE 'EXECUTE %')"
            }
        };
        // The rows of these are shown to everybody who may read them at all.
        let counted = self.rows_if_free(&format!(
            "SELECT (SELECT enabled = 'YES' FROM performance_schema.setup_consumers \
             WHERE name = 'statements_digest'), \
             (SELECT COUNT(*) FROM performance_schema.events_statements_summary_by_digest \
             WHERE digest IS NULL), \
             (SELECT SUM(IF(event_name = 'statement/com/Execute'{prepared}, count_star, 0)) \
             FROM performance_schema.events_statements_summary_global_by_event_name), \
             (SELECT SUM(count_star) \
             FROM performance_schema.events_statements_summary_global_by_event_name \
             WHERE event_name LIKE 'statement/sql/%' OR event_name = 'statement/com/Execute'), \
             (SELECT COUNT(*) FROM performance_schema.table_io_waits_summary_by_table WHERE FALSE), \
             (SELECT COUNT(*) FROM performance_schema.table_io_waits_summary_by_index_usage \
             WHERE FALSE)",
        ))?;
        let (mut counts_digests, mut executions) = (false, (0, 0));
        if let Some(rows) = counted.clone() {
            let mut fields = Fields::of(rows);
            counts_digests = fields.is_true();
            fields.maybe();
            executions = (fields.number(), fields.number());
        }
        let name = match server.product {
            Product::Mariadb => OF_MARIADB,
            _ => OF_MYSQL,
        };
        Ok(Sight {
            role,
            version: server.major * 10_000 + server.minor,
            has_table,
            has_column,
            reads_table: true,
            extension: (is_on && counted.is_some()).then(|| name.to_owned()),
            is_loaded: is_on,
            most_statements,
            sees_others: counted.is_some(),
            knows_system: true,
            mysql: Some(MysqlSight {
                product: server.product,
                is_on,
                counts_digests,
                has_userstat,
                digest_length,
                executions,
            }),
            ..Sight::default()
        })
    }

    pub(super) fn mysql_snapshot(
        &mut self,
        column: &ColumnPath,
        local: f64,
        depth: impl FnOnce(&Identity, f64, &[Counters]) -> Depth,
    ) -> Result<Snapshot, DbError> {
        let sight = self.mysql_sight(column)?;
        let (mut identity, taken) = self.mysql_identity(&sight, local)?;
        let (mut statements, mut texts, mut catalog) = (None, None, None);
        if sight.has_statements() {
            let all = self.digests()?;
            identity.evictions = Some(self.uncounted()?);
            if depth(&identity, taken.server, &all) == Depth::Texts {
                texts = Some(self.mysql_texts(&sight)?);
                if sight.has_table {
                    catalog = Some(self.mysql_catalog(column)?);
                }
            }
            statements = Some(all);
        }
        let mut measures = Vec::new();
        if sight.has_table {
            self.mysql_measures(column, &sight, &mut measures)?;
        }
        Ok(Snapshot {
            identity,
            taken,
            sight,
            statements,
            hidden: 0,
            texts,
            catalog,
            measures,
            indexes: Vec::new(),
        })
    }

    /// Reads all but statements.
    #[cfg(feature = "measure")]
    pub(super) fn mysql_surroundings(
        &mut self,
        column: &ColumnPath,
        sight: &Sight,
        local: f64,
        measures: &mut Vec<Measure>,
    ) -> Result<(Identity, Taken, Option<Catalog>), DbError> {
        let (identity, taken) = self.mysql_identity(sight, local)?;
        let mut catalog = None;
        if sight.has_table {
            catalog = Some(self.mysql_catalog(column)?);
            self.mysql_measures(column, sight, measures)?;
        }
        Ok((identity, taken, catalog))
    }

    fn mysql_identity(&mut self, sight: &Sight, local: f64) -> Result<(Identity, Taken), DbError> {
        // Since when it runs is told in whole seconds.
        let (system, status) = match self.server().product {
            Product::Mariadb => (
                "CONCAT('mariadb ', @@hostname, ' ', @@port, ' ', @@server_id)",
                "information_schema.global_status",
            ),
            _ => ("CONCAT('mysql ', @@server_uuid)", "performance_schema.global_status"),
        };
        let row = self.rows(&format!(
            "SELECT UNIX_TIMESTAMP(NOW(6)), DATABASE(), {system}, \
             (SELECT variable_value FROM {status} WHERE variable_name = 'Uptime')",
        ))?;
        let mut fields = Fields::of(row);
        let now: f64 = fields.number();
        let (database, system) = (fields.text(), fields.maybe());
        let started = (now - fields.number::<f64>()).floor();
        let identity = Identity {
            system,
            database,
            version: sight.version,
            started,
            timeline: None,
            extension: sight.extension.clone(),
            // All of it is kept in memory.
            stats_reset: Some(started),
            evictions: None,
            table: sight.has_table.then(|| "1".to_owned()),
            column: sight.has_column.then_some(1),
        };
        Ok((identity, Taken { server: now, local }))
    }

    /// Reads the counters of statements that have a digest.
    fn digests(&mut self) -> Result<Vec<Counters>, DbError> {
        let rows = self.rows(&format!(
            "SELECT CONV(LEFT(digest, 16), 16, 10), count_star, sum_timer_wait, \
             sum_rows_sent + sum_rows_affected, sum_rows_examined \
             FROM performance_schema.events_statements_summary_by_digest \
             WHERE schema_name = DATABASE() AND {RUNS} AND count_star > 0",
        ))?;
        let counters = |row| {
            let mut fields = Fields::from(row);
            counters(id(&mut fields)?, fields)
        };
        Ok(rows.into_iter().filter_map(counters).collect())
    }

    /// Returns how many executions had no digest of their own, since there were too many.
    fn uncounted(&mut self) -> Result<u64, DbError> {
        let rows = self.rows(
            "SELECT COALESCE(SUM(count_star), 0) \
             FROM performance_schema.events_statements_summary_by_digest WHERE digest IS NULL",
        )?;
        Ok(Fields::of(rows).number())
    }

    fn mysql_texts(&mut self, sight: &Sight) -> Result<BTreeMap<QueryId, String>, DbError> {
        let text = |row: Row| {
            let mut fields = Fields::from(row);
            Some((id(&mut fields)?, fields.maybe()?))
        };
        let longest = sight.mysql.as_ref().map_or(0, |mysql| mysql.digest_length);
        let mut texts: BTreeMap<QueryId, String> = BTreeMap::new();
        let rows = self.rows(&format!(
            "SELECT CONV(LEFT(digest, 16), 16, 10), digest_text \
             FROM performance_schema.events_statements_summary_by_digest \
             WHERE schema_name = DATABASE() AND {RUNS}",
        ))?;
        for (id, mut text) in rows.into_iter().filter_map(text) {
            // A name that did not fit ends it, without a word.
            if digested(&text) + LONGEST_NAME > longest {
                text.push_str(" ...");
            }
            texts.insert(id, text.trim_end().to_owned());
        }
        Ok(texts)
    }
}

/// Returns the bytes that a digest's text took when it was made: two a token, and names with two more
/// and themselves.
fn digested(text: &str) -> usize {
    let token = |word: &str| match word.strip_prefix('`') {
        Some(name) => 4 + name.len().saturating_sub(1),
        None => 2,
    };
    text.split_whitespace().map(token).sum()
}

/// Reads the first half of a digest as a number.
fn id(fields: &mut Fields) -> Option<QueryId> {
    Some(QueryId(fields.maybe_number::<u64>()?.cast_signed()))
}

/// Reads counters; a statement that has not run is none.
fn counters(id: QueryId, mut fields: Fields) -> Option<Counters> {
    let calls: u64 = fields.number();
    let total_ms = fields.number::<f64>() / 1e9;
    (calls > 0).then(|| Counters {
        id,
        caller: String::new(),
        is_top: true,
        times: Cumulative { calls, total_ms, mean_ms: total_ms / calls as f64, stddev_ms: None },
        rows: fields.number(),
        blocks: fields.number(),
        wal_bytes: None,
        since: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1018 of 1024 bytes were taken, and the next name did not fit.
    #[test]
    fn what_a_digest_took_is_known_from_its_text() {
        let columns: Vec<String> =
            (0..27).map(|n| format!("`users` . `a_long_column_name_{n}` ,")).collect();
        let text = format!("SELECT {}", columns.join(" "));
        assert_eq!(digested(&text), 2 + 10 * (9 + 2 + 24 + 2) + 17 * (9 + 2 + 25 + 2));
        assert!(digested(&text) <= 1024 && digested(&text) + 9 + 2 + 25 > 1024);
    }
}
