//! Counters and sizes of the table, its indexes and the server.

use super::Measure;
use crate::{
    backend::Backend,
    db::{DbError, quote::literal},
    ident::ColumnPath,
    watch::{
        identity::Identity,
        index::holds,
        session::{Fields, Reading},
    },
};

impl Reading<'_> {
    pub(super) fn measures(
        &mut self,
        identity: &Identity,
        column: &ColumnPath,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        if let Some(table) = &identity.table {
            self.table(table, measures)?;
            self.indexes(table, identity.column, measures)?;
            self.values(table, column, measures)?;
            self.sizes(table, measures)?;
            self.waits_for(table, measures)?;
        }
        self.replication(measures)?;
        self.log(measures)
    }

    /// Reads the counters of the table, those of its partitions together.
    fn table(&mut self, oid: &str, measures: &mut Vec<Measure>) -> Result<(), DbError> {
        const NAMES: &[&str] = &[
            "seq_scan",
            "seq_tup_read",
            "idx_scan",
            "n_tup_ins",
            "n_tup_upd",
            "n_tup_del",
            "n_tup_hot_upd",
            "n_live_tup",
            "n_dead_tup",
            "n_mod_since_analyze",
        ];
        let sums: Vec<String> = NAMES.iter().map(|name| format!("sum(s.{name})")).collect();
        let rows = self.rows(&format!(
            "SELECT {}, extract(epoch FROM max(greatest(s.last_analyze, s.last_autoanalyze))), \
             sum(io.heap_blks_hit + io.heap_blks_read) \
             FROM pg_catalog.pg_stat_user_tables s LEFT JOIN pg_catalog.pg_statio_user_tables io \
             ON io.relid = s.relid WHERE s.relid IN ({})",
            sums.join(", "),
            parts(oid)
        ))?;
        let mut fields = Fields::of(rows);
        for name in NAMES.iter().chain(&["analyzed_at", "heap_blocks"]) {
            push(measures, "", name, fields.maybe_number());
        }
        Ok(())
    }

    /// Reads the counters of the indexes, and whether they are whole.
    fn indexes(
        &mut self,
        oid: &str,
        column: Option<i32>,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        let column = column.unwrap_or_default();
        let rows = self.rows(&format!(
            "SELECT c.relname, s.idx_scan, s.idx_tup_read, \
             io.idx_blks_hit + io.idx_blks_read, i.indisvalid::int, i.indisready::int, \
             i.indisunique::int, i.indisprimary::int, \
             {}::int, c.relpages \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             LEFT JOIN pg_catalog.pg_stat_user_indexes s ON s.indexrelid = i.indexrelid \
             LEFT JOIN pg_catalog.pg_statio_user_indexes io ON io.indexrelid = i.indexrelid \
             WHERE i.indrelid IN ({}) ORDER BY c.relname",
            holds("i", oid, column),
            parts(oid)
        ))?;
        for row in rows {
            let mut fields = Fields::from(row);
            let index = fields.text();
            for name in [
                "idx_scan",
                "idx_tup_read",
                "blocks",
                "is_valid",
                "is_ready",
                "is_unique",
                "is_primary",
                "has_column",
                "pages",
            ] {
                push(measures, &index, name, fields.maybe_number());
            }
        }
        Ok(())
    }

    /// Reads what ANALYZE knows of the column.
    fn values(
        &mut self,
        oid: &str,
        column: &ColumnPath,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        let name = literal(Backend::Postgres, column.column.as_str());
        let rows = self.rows(&format!(
            "SELECT s.null_frac, s.avg_width, s.n_distinct, s.correlation FROM pg_catalog.pg_stats s \
             JOIN pg_catalog.pg_class c ON c.relname = s.tablename \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = s.schemaname \
             WHERE c.oid = {oid} AND s.attname = {name} ORDER BY s.inherited DESC LIMIT 1"
        ))?;
        let mut fields = Fields::of(rows);
        for value in ["null_frac", "avg_width", "n_distinct", "correlation"] {
            push(measures, "", value, fields.maybe_number());
        }
        Ok(())
    }

    /// Reads sizes, not those of what is locked against everybody: they would wait in its queue.
    fn sizes(&mut self, oid: &str, measures: &mut Vec<Measure>) -> Result<(), DbError> {
        let rows = self.rows_if_free(&format!(
            "SELECT c.relname, c.relkind IN ('i', 'I'), pg_relation_size(c.oid) \
             FROM pg_catalog.pg_class c WHERE c.oid IN (({parts}) UNION ALL SELECT indexrelid \
             FROM pg_catalog.pg_index WHERE indrelid IN ({parts})) AND NOT EXISTS (SELECT \
             FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = c.oid \
             WHERE l.mode = 'AccessExclusiveLock' AND l.relation IN (c.oid, x.indrelid))",
            parts = parts(oid)
        ))?;
        let mut heap = None;
        for row in rows.into_iter().flatten() {
            let mut fields = Fields::from(row);
            let (name, is_index) = (fields.text(), fields.is_true());
            let size: Option<f64> = fields.maybe_number();
            if is_index {
                push(measures, &name, "bytes", size);
            } else if let Some(size) = size {
                heap = Some(heap.unwrap_or_default() + size);
            }
        }
        push(measures, "", "bytes", heap);
        Ok(())
    }

    /// Reads the log's counters of the whole server (14 and later).
    fn log(&mut self, measures: &mut Vec<Measure>) -> Result<(), DbError> {
        let rows = self.rows("SELECT to_regclass('pg_catalog.pg_stat_wal') IS NOT NULL")?;
        if !Fields::of(rows).is_true() {
            return Ok(());
        }
        let rows =
            self.rows("SELECT wal_records, wal_fpi, wal_bytes FROM pg_catalog.pg_stat_wal")?;
        let mut fields = Fields::of(rows);
        for name in ["wal_records", "wal_fpi", "wal_bytes"] {
            push(measures, "", name, fields.maybe_number());
        }
        Ok(())
    }
}

/// Returns a query for the table and its partitions and heirs; asking takes no lock on them.
pub(in crate::watch) fn parts(oid: &str) -> String {
    format!(
        "WITH RECURSIVE part AS (SELECT {oid}::oid AS oid UNION SELECT i.inhrelid \
         FROM part p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid) SELECT oid FROM part"
    )
}

pub(in crate::watch) fn push(
    measures: &mut Vec<Measure>,
    object: &str,
    name: &str,
    value: Option<f64>,
) {
    if let Some(value) = value {
        measures.push(Measure { object: object.to_owned(), name: name.to_owned(), value });
    }
}
