//! Counters of the table and its indexes on MariaDB, and sizes as InnoDB estimates them.

use super::{schema, table};
use crate::{
    backend::Backend,
    db::{DbError, quote::literal},
    ident::ColumnPath,
    watch::{
        session::{Fields, Reading, Sight},
        snapshot::{Measure, push},
    },
};

impl Reading<'_> {
    pub(super) fn mariadb_measures(
        &mut self,
        column: &ColumnPath,
        sight: &Sight,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        let (schema, table) = (schema(column), table(column));
        if sight.has_statements() {
            self.waits(&schema, &table, measures)?;
        }
        self.mariadb_indexes(column, &schema, &table, measures)?;
        if sight.mariadb.as_ref().is_some_and(|mariadb| mariadb.has_userstat) {
            self.userstat(&schema, &table, measures)?;
        }
        self.mariadb_sizes(&schema, &table, measures)
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

    fn mariadb_indexes(
        &mut self,
        column: &ColumnPath,
        schema: &str,
        table: &str,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        let name = literal(Backend::Mysql, column.column.as_str());
        let rows = self.rows(&format!(
            "SELECT index_name, 1, 1, MIN(non_unique = 0), MIN(index_name = 'PRIMARY'), \
             MAX(column_name = {name}), MAX(ignored = 'YES') \
             FROM information_schema.statistics \
             WHERE table_schema = {schema} AND table_name = {table} GROUP BY index_name"
        ))?;
        for row in rows {
            let mut fields = Fields::from(row);
            let index = fields.text();
            for name in
                ["is_valid", "is_ready", "is_unique", "is_primary", "has_column", "is_ignored"]
            {
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
    fn mariadb_sizes(
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
