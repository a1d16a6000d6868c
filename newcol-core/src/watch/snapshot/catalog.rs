//! What names lead to the table.

use super::parts;
use crate::{
    backend::Backend,
    db::{DbError, quote::literal},
    ident::ColumnPath,
    watch::{
        involve::{Catalog, Named, View},
        session::{Fields, Reading},
    },
};

impl Reading<'_> {
    /// Reads what names lead to the table.
    pub(super) fn catalog(&mut self, column: &ColumnPath, oid: &str) -> Result<Catalog, DbError> {
        let name = literal(Backend::Postgres, column.column.as_str());
        let mut catalog =
            Catalog { column: column.column.as_str().to_owned(), ..Catalog::default() };
        let rows = self.rows(&format!(
            "SELECT attname FROM pg_catalog.pg_attribute \
             WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        ))?;
        catalog.columns = rows.into_iter().map(|row| Fields::from(row).text()).collect();
        if !catalog.columns.contains(&catalog.column) {
            catalog.columns.push(catalog.column.clone());
        }
        // The table, its parts, the views that read any of them, and namesakes.
        let rows = self.rows(&format!(
            "SELECT n.nspname, c.relname, c.oid = {oid}, \
             c.oid IN ({parts}), \
             v.oid IS NOT NULL, \
             EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid \
             AND a.attname = {name} AND NOT a.attisdropped), c.oid \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN (WITH RECURSIVE reads AS (SELECT r.ev_class AS oid \
             FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid \
             WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass \
             AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = {oid} \
             AND r.ev_class <> {oid} UNION SELECT r.ev_class FROM reads b \
             JOIN pg_catalog.pg_depend d ON d.refobjid = b.oid \
             AND d.refclassid = 'pg_catalog.pg_class'::regclass \
             AND d.classid = 'pg_catalog.pg_rewrite'::regclass \
             JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND r.ev_class <> b.oid) \
             SELECT oid FROM reads) v ON v.oid = c.oid \
             WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') \
             AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_t'",
            parts = parts(oid)
        ))?;
        let mut views = Vec::new();
        for row in rows {
            let mut fields = Fields::from(row);
            let (schema, relation) = (fields.text(), fields.text());
            let (is_table, is_part, is_view) =
                (fields.is_true(), fields.is_true(), fields.is_true());
            let has_column = fields.is_true();
            if is_view {
                views.push((schema, relation, fields.text()));
            } else if is_table {
                catalog.add(&schema, &relation, Named::Table);
            } else if is_part {
                catalog.add(&schema, &relation, Named::Part);
            } else if has_column || relation == column.table.name.as_str() {
                catalog.add(&schema, &relation, Named::Other { has_column });
            }
        }
        for (schema, view, oid) in views {
            // Printing it takes a lock on what it reads.
            let printed = self.rows_if_free(&format!("SELECT pg_get_viewdef({oid}::oid)"))?;
            let query = printed.and_then(|rows| Fields::of(rows).maybe());
            let query = query.map(|query| query.trim().trim_end_matches(';').to_owned());
            catalog.add(&schema, &view, Named::View(View { query }));
        }
        self.functions(column, &mut catalog)?;
        self.search_paths(&mut catalog)?;
        self.policies(column, oid, &mut catalog)?;
        Ok(catalog)
    }

    /// Finds functions whose text names the table, and tables whose triggers call one of them.
    fn functions(&mut self, column: &ColumnPath, catalog: &mut Catalog) -> Result<(), DbError> {
        let word: String = column
            .table
            .name
            .as_str()
            .chars()
            .map(|c| if c.is_alphanumeric() || c == '_' { c.to_string() } else { format!("\\{c}") })
            .collect();
        let word = literal(Backend::Postgres, &format!("\\m{word}\\M"));
        let rows = self.rows(&format!(
            "SELECT p.proname, (SELECT string_agg(DISTINCT c.relname, E'\\n') \
             FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid \
             WHERE t.tgfoid = p.oid) FROM pg_catalog.pg_proc p \
             JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
             JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('internal', 'c') \
             WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prosrc ~* {word}"
        ))?;
        for row in rows {
            let mut fields = Fields::from(row);
            catalog.functions.insert(fields.text());
            catalog.triggered.extend(fields.text().lines().map(str::to_owned));
        }
        // A statement on the table itself is one on the table.
        catalog.triggered.remove(column.table.name.as_str());
        Ok(())
    }

    fn search_paths(&mut self, catalog: &mut Catalog) -> Result<(), DbError> {
        let rows = self.rows(
            "SELECT path FROM (SELECT reset_val FROM pg_catalog.pg_settings \
             WHERE name = 'search_path' UNION SELECT substr(setting, length('search_path=') + 1) \
             FROM (SELECT unnest(setconfig) AS setting FROM pg_catalog.pg_db_role_setting \
             WHERE setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database \
             WHERE datname = current_database()))) s WHERE setting LIKE 'search\\_path=%') p (path)",
        )?;
        let path = |row| {
            let listed = Fields::from(row).text();
            listed.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect()
        };
        catalog.search_paths = rows.into_iter().map(path).collect();
        Ok(())
    }

    fn policies(
        &mut self,
        column: &ColumnPath,
        oid: &str,
        catalog: &mut Catalog,
    ) -> Result<(), DbError> {
        let name = literal(Backend::Postgres, column.column.as_str());
        let rows = self.rows(&format!(
            "SELECT p.polname FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_depend d \
             ON d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
             WHERE p.polrelid = {oid} AND d.refobjid = {oid} AND a.attname = {name}"
        ))?;
        catalog.policies = rows.into_iter().map(|row| Fields::from(row).text()).collect();
        Ok(())
    }
}
