//! Counters of the table and its indexes on MySQL and MariaDB, and sizes as InnoDB estimates them.

use super::{RUNS, id, schema, table};
use crate::{
    backend::{Backend, Product},
    db::{DbError, quote::literal},
    ident::ColumnPath,
    watch::{
        report::STATEMENT,
        session::{Fields, Reading, Sight},
        snapshot::{Measure, push},
    },
};

/// Of how many statements histograms are read: each has 450 buckets.
const MOST_HISTOGRAMS: usize = 50;

impl Reading<'_> {
    pub(super) fn mysql_measures(
        &mut self,
        column: &ColumnPath,
        sight: &Sight,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        let (schema, table) = (schema(column), table(column));
        if sight.has_statements() {
            self.waits(&schema, &table, measures)?;
            if self.server().product == Product::Mysql {
                self.histograms(&table, measures)?;
            }
        }
        self.mysql_indexes(column, &schema, &table, measures)?;
        if sight.mysql.as_ref().is_some_and(|mysql| mysql.has_userstat) {
            self.userstat(&schema, &table, measures)?;
        }
        self.mysql_sizes(&schema, &table, measures)
    }

    fn waits(
        &mut self,
        schema: &str,
        table: &str,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        let rows = self.rows(&format!(
            "SELECT count_insert, count_update, count_delete, count_fetch \
             FROM performance_schema.table_io_waits_summary_by_table \
             WHERE object_schema = {schema} AND object_name = {table}"
        ))?;
        let mut fields = Fields::of(rows);
        for name in ["n_tup_ins", "n_tup_upd", "n_tup_del", "rows_fetched"] {
            push(measures, "", name, fields.maybe_number());
        }
        let rows = self.rows(&format!(
            "SELECT index_name, count_fetch \
             FROM performance_schema.table_io_waits_summary_by_index_usage \
             WHERE object_schema = {schema} AND object_name = {table} AND index_name IS NOT NULL"
        ))?;
        for row in rows {
            let mut fields = Fields::from(row);
            push(measures, &fields.text(), "rows_read", fields.maybe_number());
        }
        Ok(())
    }

    /// Reads percentiles since the server began to count, of those statements that may be of the table
    /// and took most time. The upper end of a bucket stands for its times, as in `QUANTILE_95`.
    fn histograms(&mut self, table: &str, measures: &mut Vec<Measure>) -> Result<(), DbError> {
        let at = |share: f64| {
            format!("MIN(IF(h.bucket_quantile >= {share}, h.bucket_timer_high, NULL)) / 1e9")
        };
        let rows = self.rows_if_free(&format!(
            "SELECT CONV(LEFT(h.digest, 16), 16, 10), {}, {}, {} FROM (SELECT schema_name, digest \
             FROM performance_schema.events_statements_summary_by_digest \
             WHERE schema_name = DATABASE() AND {RUNS} \
             AND LOCATE(LOWER({table}), LOWER(digest_text)) > 0 \
             ORDER BY sum_timer_wait DESC LIMIT {MOST_HISTOGRAMS}) d \
             JOIN performance_schema.events_statements_histogram_by_digest h \
             ON h.schema_name = d.schema_name AND h.digest = d.digest GROUP BY h.digest",
            at(0.5),
            at(0.95),
            at(0.99)
        ))?;
        for row in rows.into_iter().flatten() {
            let mut fields = Fields::from(row);
            let Some(id) = id(&mut fields) else { continue };
            for name in ["p50_ms", "p95_ms", "p99_ms"] {
                push(measures, &format!("{STATEMENT}{id}"), name, fields.maybe_number());
            }
        }
        Ok(())
    }

    fn mysql_indexes(
        &mut self,
        column: &ColumnPath,
        schema: &str,
        table: &str,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        let name = literal(Backend::Mysql, column.column.as_str());
        // MySQL has indexes of expressions, which name columns in backquotes.
        let (has_column, is_off, off) = match self.server().product {
            Product::Mariadb => (format!("column_name = {name}"), "ignored = 'YES'", "is_ignored"),
            _ => (
                format!(
                    "COALESCE(column_name = {name}, INSTR(expression, CONCAT('`', {name}, '`')) > 0)"
                ),
                "is_visible = 'NO'",
                "is_invisible",
            ),
        };
        let rows = self.rows(&format!(
            "SELECT index_name, 1, 1, MIN(non_unique = 0), MIN(index_name = 'PRIMARY'), \
             MAX({has_column}), MAX({is_off}) \
             FROM information_schema.statistics \
             WHERE table_schema = {schema} AND table_name = {table} GROUP BY index_name"
        ))?;
        for row in rows {
            let mut fields = Fields::from(row);
            let index = fields.text();
            for name in ["is_valid", "is_ready", "is_unique", "is_primary", "has_column", off] {
                push(measures, &index, name, fields.maybe_number());
            }
        }
        Ok(())
    }

    /// Reads how many rows were changed, and how many entries of indexes with them.
    fn userstat(
        &mut self,
        schema: &str,
        table: &str,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        let rows = self.rows(&format!(
            "SELECT rows_changed, rows_changed_x_indexes FROM information_schema.table_statistics \
             WHERE table_schema = {schema} AND table_name = {table}"
        ))?;
        let mut fields = Fields::of(rows);
        for name in ["rows_changed", "rows_changed_x_indexes"] {
            push(measures, "", name, fields.maybe_number());
        }
        Ok(())
    }

    /// Reads sizes, where the role may: nothing is opened for it.
    fn mysql_sizes(
        &mut self,
        schema: &str,
        table: &str,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        let rows = self.rows_if_free(&format!(
            "SELECT index_name, stat_value * @@innodb_page_size FROM mysql.innodb_index_stats \
             WHERE database_name = {schema} AND table_name = {table} AND stat_name = 'size'"
        ))?;
        for row in rows.into_iter().flatten() {
            let mut fields = Fields::from(row);
            let index = fields.text();
            let size: Option<f64> = fields.maybe_number();
            // The primary key is the table.
            let object = if index == "PRIMARY" { "" } else { &index };
            push(measures, object, "bytes", size);
        }
        Ok(())
    }
}
