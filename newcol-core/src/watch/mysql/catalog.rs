//! What names lead to the table, on MySQL and MariaDB: there is no list of what a view reads but its text.

use std::collections::BTreeSet;

use super::{schema, table};
use crate::{
    backend::Backend,
    db::{DbError, quote::literal},
    ident::ColumnPath,
    watch::{
        involve::{Catalog, Named, View, words},
        session::{Fields, Reading},
    },
};

/// Schemas that belong to the server.
const OF_SERVER: &str = "('information_schema', 'performance_schema', 'mysql', 'sys')";

impl Reading<'_> {
    /// Reads what names lead to the table. All of them in lower case: the server does not tell names of
    /// columns apart by case, and of tables not everywhere.
    pub(super) fn mysql_catalog(&mut self, column: &ColumnPath) -> Result<Catalog, DbError> {
        let (own, name) = (schema(column), table(column));
        let of = literal(Backend::Mysql, column.column.as_str());
        let mut catalog = Catalog {
            column: column.column.as_str().to_lowercase(),
            ..Catalog::of(Backend::Mysql)
        };
        let rows = self.rows(&format!(
            "SELECT column_name FROM information_schema.columns \
             WHERE table_schema = {own} AND table_name = {name} ORDER BY ordinal_position"
        ))?;
        catalog.columns =
            rows.into_iter().map(|row| Fields::from(row).text().to_lowercase()).collect();
        if !catalog.columns.contains(&catalog.column) {
            catalog.columns.push(catalog.column.clone());
        }
        let rows = self.rows(&format!(
            "SELECT LOWER(t.table_schema), LOWER(t.table_name), \
             t.table_schema = {own} AND t.table_name = {name}, c.column_name IS NOT NULL \
             FROM information_schema.tables t LEFT JOIN information_schema.columns c \
             ON c.table_schema = t.table_schema AND c.table_name = t.table_name \
             AND c.column_name = {of} WHERE t.table_schema NOT IN {OF_SERVER} \
             AND t.table_type <> 'VIEW' AND (c.column_name IS NOT NULL OR t.table_name = {name})"
        ))?;
        for row in rows {
            let mut fields = Fields::from(row);
            let (schema, relation) = (fields.text(), fields.text());
            let (is_table, has_column) = (fields.is_true(), fields.is_true());
            let named = if is_table { Named::Table } else { Named::Other { has_column } };
            catalog.add(&schema, &relation, named);
        }
        self.mysql_views(column, &mut catalog)?;
        self.routines(column, &mut catalog)?;
        let rows = self.rows("SELECT LOWER(DATABASE())")?;
        catalog.search_paths = vec![vec![Fields::of(rows).text()]];
        Ok(catalog)
    }

    fn mysql_views(&mut self, column: &ColumnPath, catalog: &mut Catalog) -> Result<(), DbError> {
        let rows = self.rows(&format!(
            "SELECT LOWER(table_schema), LOWER(table_name), view_definition \
             FROM information_schema.views WHERE table_schema NOT IN {OF_SERVER}"
        ))?;
        let mut views: Vec<(String, String, String)> = rows
            .into_iter()
            .map(|row| {
                let mut fields = Fields::from(row);
                (fields.text(), fields.text(), fields.text())
            })
            .collect();
        // What reads the table, what reads that, and so on; what is hidden may.
        let mut leading = BTreeSet::from([column.table.name.as_str().to_lowercase()]);
        loop {
            let reads = |(_, _, query): &(String, String, String)| {
                let query = query.to_lowercase();
                query.is_empty() || leading.iter().any(|name| query.contains(&format!("`{name}`")))
            };
            let (found, others): (Vec<_>, Vec<_>) = views.into_iter().partition(reads);
            if found.is_empty() {
                return Ok(());
            }
            for (schema, view, query) in found {
                let query = Some(query).filter(|query| !query.is_empty());
                catalog.add(&schema, &view, Named::View(View { query }));
                leading.insert(view);
            }
            views = others;
        }
    }

    /// Finds functions and procedures whose text names the table, and tables whose triggers do or call
    /// one of them. What a role may not see the text of is not found.
    fn routines(&mut self, column: &ColumnPath, catalog: &mut Catalog) -> Result<(), DbError> {
        let own = column.table.name.as_str().to_lowercase();
        let rows = self.rows(&format!(
            "SELECT routine_name, routine_definition FROM information_schema.routines \
             WHERE routine_schema NOT IN {OF_SERVER} AND routine_definition IS NOT NULL"
        ))?;
        for row in rows {
            let mut fields = Fields::from(row);
            let name = fields.text().to_lowercase();
            if words(&fields.text()).any(|word| word == own) {
                catalog.functions.insert(name);
            }
        }
        let rows = self.rows(&format!(
            "SELECT event_object_table, action_statement FROM information_schema.triggers \
             WHERE event_object_schema NOT IN {OF_SERVER}"
        ))?;
        for row in rows {
            let mut fields = Fields::from(row);
            let table = fields.text().to_lowercase();
            let leads = |word: &String| *word == own || catalog.functions.contains(word);
            if table != own && words(&fields.text()).any(|word| leads(&word)) {
                catalog.triggered.insert(table);
            }
        }
        Ok(())
    }
}
