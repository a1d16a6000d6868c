//! Counters and texts of `pg_stat_statements`.

use std::collections::BTreeMap;

use super::Counters;
use crate::{
    db::DbError,
    watch::{
        identity::Identity,
        moments::Cumulative,
        series::QueryId,
        session::{Fields, Reading},
    },
};

/// The extension as this database has it.
pub(super) struct Extension {
    schema: String,
    columns: Vec<String>,
    pub(super) has_info: bool,
}

/// What clients have sent since the server began to count.
#[cfg(feature = "bench")]
#[derive(Debug)]
pub(crate) struct SentStatements {
    /// Text, calls and rows of each.
    pub(crate) statements: Vec<(String, u64, u64)>,
    /// How long it has counted; not known before 14.
    pub(crate) seconds: Option<f64>,
}

impl Reading<'_> {
    /// Reads the statements that clients have sent, with their texts; `None` where they are not
    /// counted.
    #[cfg(feature = "bench")]
    pub(crate) fn sent(&mut self) -> Result<Option<SentStatements>, DbError> {
        let loaded =
            self.rows("SELECT current_setting('pg_stat_statements.max', true) IS NOT NULL")?;
        if !Fields::of(loaded).is_true() {
            return Ok(None);
        }
        let Some(extension) = self.extension()? else { return Ok(None) };
        let seconds = if extension.has_info {
            let row = self.rows(&format!(
                "SELECT extract(epoch FROM clock_timestamp() - stats_reset) \
                 FROM {}.pg_stat_statements_info",
                extension.schema
            ))?;
            Fields::of(row).maybe_number()
        } else {
            None
        };
        let texts = self.texts(&extension)?;
        let mut sums: BTreeMap<QueryId, (u64, u64)> = BTreeMap::new();
        for counters in self.counters(&extension)?.0.into_iter().filter(|of| of.is_top) {
            let (calls, rows) = sums.entry(counters.id).or_default();
            *calls += counters.times.calls;
            *rows += counters.rows;
        }
        let text = |(id, (calls, rows))| Some((texts.get(&id)?.clone(), calls, rows));
        let statements = sums.into_iter().filter_map(text).collect();
        Ok(Some(SentStatements { statements, seconds }))
    }

    /// Finds the extension's schema and what its view shows: it may be older than the server.
    pub(super) fn extension(&mut self) -> Result<Option<Extension>, DbError> {
        let rows = self.rows(
            "SELECT quote_ident(n.nspname), (SELECT string_agg(a.attname, ' ') \
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = v.oid AND a.attnum > 0), \
             EXISTS (SELECT FROM pg_catalog.pg_class i WHERE i.relnamespace = n.oid \
             AND i.relname = 'pg_stat_statements_info') \
             FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
             JOIN pg_catalog.pg_class v ON v.relnamespace = n.oid AND v.relname = 'pg_stat_statements' \
             WHERE e.extname = 'pg_stat_statements' AND has_schema_privilege(n.oid, 'USAGE') \
             AND has_table_privilege(v.oid, 'SELECT')",
        )?;
        Ok(rows.into_iter().next().map(|row| {
            let mut fields = Fields::from(row);
            Extension {
                schema: fields.text(),
                columns: fields.text().split(' ').map(str::to_owned).collect(),
                has_info: fields.is_true(),
            }
        }))
    }

    pub(super) fn info(
        &mut self,
        extension: &Extension,
        identity: &mut Identity,
    ) -> Result<(), DbError> {
        let row = self.rows(&format!(
            "SELECT dealloc, extract(epoch FROM stats_reset) FROM {}.pg_stat_statements_info",
            extension.schema
        ))?;
        let mut fields = Fields::of(row);
        identity.evictions = fields.maybe_number();
        identity.stats_reset = fields.maybe_number();
        Ok(())
    }

    /// Reads counters without texts, which lie in a file, and how many are hidden.
    pub(super) fn counters(
        &mut self,
        extension: &Extension,
    ) -> Result<(Vec<Counters>, u64), DbError> {
        let has = |name: &str| extension.columns.iter().any(|column| column == name);
        let or = |name: &'static str, other: &'static str| if has(name) { name } else { other };
        let rows = self.rows(&format!(
            "SELECT queryid, userid, {toplevel}, calls, {total}, {mean}, {stddev}, rows, \
             shared_blks_hit + shared_blks_read, {wal}, {since} \
             FROM {schema}.pg_stat_statements(false) WHERE calls > 0 AND dbid = \
             (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())",
            toplevel = or("toplevel", "true"),
            total = or("total_exec_time", "total_time"),
            mean = or("mean_exec_time", "mean_time"),
            stddev = or("stddev_exec_time", "stddev_time"),
            wal = or("wal_bytes", "NULL"),
            since = if has("stats_since") { "extract(epoch FROM stats_since)" } else { "NULL" },
            schema = extension.schema,
        ))?;
        let mut hidden = 0;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let mut fields = Fields::from(row);
            let Some(id) = fields.maybe_number() else {
                hidden += 1;
                continue;
            };
            let (caller, is_top) = (fields.text(), fields.is_true());
            all.push(Counters {
                id: QueryId(id),
                caller,
                is_top,
                times: Cumulative {
                    calls: fields.number(),
                    total_ms: fields.number(),
                    mean_ms: fields.number(),
                    stddev_ms: fields.maybe_number(),
                },
                rows: fields.number(),
                blocks: fields.number(),
                wal_bytes: fields.maybe_number(),
                since: fields.maybe_number(),
            });
        }
        Ok((all, hidden))
    }

    pub(super) fn texts(
        &mut self,
        extension: &Extension,
    ) -> Result<BTreeMap<QueryId, String>, DbError> {
        let rows = self.rows(&format!(
            "SELECT queryid, min(query) FROM {}.pg_stat_statements(true) \
             WHERE queryid IS NOT NULL AND query IS NOT NULL AND dbid = \
             (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) GROUP BY 1",
            extension.schema
        ))?;
        let text = |row| {
            let mut fields = Fields::from(row);
            Some((QueryId(fields.maybe_number()?), fields.maybe()?))
        };
        Ok(rows.into_iter().filter_map(text).collect())
    }
}
