//! SQLite: statements out of the application's own measures, table, indexes and plans out of the file.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    identity::{Identity, Taken},
    involve::{Catalog, Named, View, words},
    session::{Fields, Reading, Sight},
    snapshot::{Measure, push},
};
use crate::{
    backend::Backend,
    db::{DbError, quote::literal},
    ident::ColumnPath,
};

impl Reading<'_> {
    pub(super) fn sqlite_sight(&mut self, column: &ColumnPath) -> Result<Sight, DbError> {
        let server = self.server();
        let columns = self.sqlite_columns(column)?;
        let of = column.column.as_str().to_lowercase();
        Ok(Sight {
            role: "the application".to_owned(),
            version: server.major * 10_000 + server.minor,
            has_table: !columns.is_empty(),
            has_column: columns.contains(&of),
            reads_table: true,
            sees_others: true,
            knows_system: true,
            ..Sight::default()
        })
    }

    pub(super) fn sqlite_identity(
        &mut self,
        sight: &Sight,
        local: f64,
    ) -> Result<(Identity, Taken), DbError> {
        let row = self.rows("SELECT file FROM pragma_database_list WHERE name = 'main'")?;
        let identity = Identity {
            database: Fields::of(row).text(),
            version: sight.version,
            table: sight.has_table.then(|| "1".to_owned()),
            column: sight.has_column.then_some(1),
            ..Identity::default()
        };
        Ok((identity, Taken { server: local, local }))
    }

    fn sqlite_columns(&mut self, column: &ColumnPath) -> Result<Vec<String>, DbError> {
        let table = literal(Backend::Sqlite, column.table.name.as_str());
        let rows = self.rows(&format!(
            "SELECT lower(name) FROM pragma_table_info({table}) WHERE EXISTS (SELECT 1 \
             FROM sqlite_master WHERE type = 'table' AND name = {table} COLLATE NOCASE) ORDER BY cid"
        ))?;
        Ok(rows.into_iter().map(|row| Fields::from(row).text()).collect())
    }

    /// Reads what names lead to the table, in lower case: names are not told apart by case.
    pub(super) fn sqlite_catalog(&mut self, column: &ColumnPath) -> Result<Catalog, DbError> {
        let own = column.table.name.as_str().to_lowercase();
        let mut catalog = Catalog {
            column: column.column.as_str().to_lowercase(),
            columns: self.sqlite_columns(column)?,
            search_paths: vec![vec!["main".to_owned()]],
            ..Catalog::of(Backend::Sqlite)
        };
        if !catalog.columns.contains(&catalog.column) {
            catalog.columns.push(catalog.column.clone());
        }
        catalog.add("main", &own, Named::Table);
        let of = literal(Backend::Sqlite, &catalog.column);
        let rows = self.rows(&format!(
            "SELECT lower(m.name) FROM sqlite_master m WHERE m.type = 'table' \
             AND lower(m.name) <> {} AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) c \
             WHERE lower(c.name) = {of})",
            literal(Backend::Sqlite, &own)
        ))?;
        for row in rows {
            catalog.add("main", &Fields::from(row).text(), Named::Other { has_column: true });
        }
        let rows = self.rows(
            "SELECT type, lower(name), lower(tbl_name), sql FROM sqlite_master \
             WHERE type IN ('view', 'trigger') ORDER BY rowid",
        )?;
        let mut leading = BTreeSet::from([own.clone()]);
        // A view reads what is older than itself.
        for row in rows {
            let mut fields = Fields::from(row);
            let (kind, name, on, sql) =
                (fields.text(), fields.text(), fields.text(), fields.text());
            if !words(&sql).any(|word| leading.contains(&word)) {
                continue;
            }
            if kind == "view" {
                catalog.add("main", &name, Named::View(View { query: query_of(&sql) }));
                leading.insert(name);
            } else if on != own && words(&sql).filter(|word| *word == own).count() > 0 {
                catalog.triggered.insert(on);
            }
        }
        Ok(catalog)
    }

    /// Reads the indexes, and which of them plans of statements name; nothing is executed.
    pub(super) fn sqlite_measures(
        &mut self,
        column: &ColumnPath,
        texts: &[&str],
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        let table = literal(Backend::Sqlite, column.table.name.as_str());
        let of = literal(Backend::Sqlite, &column.column.as_str().to_lowercase());
        let rows = self.rows(&format!(
            "SELECT l.name, l.\"unique\", l.origin = 'pk', EXISTS (SELECT 1 \
             FROM pragma_index_info(l.name) i WHERE lower(i.name) = {of}) \
             FROM pragma_index_list({table}) l"
        ))?;
        let mut indexes = BTreeSet::new();
        for row in rows {
            let mut fields = Fields::from(row);
            let index = fields.text();
            for name in ["is_unique", "is_primary", "has_column"] {
                push(measures, &index, name, fields.maybe_number());
            }
            for name in ["is_valid", "is_ready"] {
                push(measures, &index, name, Some(1.0));
            }
            indexes.insert(index);
        }
        let mut plans: BTreeMap<&str, f64> = indexes.iter().map(|i| (i.as_str(), 0.0)).collect();
        for text in texts {
            // What does not run any more has no plan.
            let Ok(rows) = self.plain(&format!("EXPLAIN QUERY PLAN {text}")) else { continue };
            let steps: Vec<String> =
                rows.into_iter().filter_map(|row| row.into_iter().nth(3).flatten()).collect();
            for (index, count) in &mut plans {
                let uses = |step: &String| {
                    step.split_once("INDEX ").is_some_and(|(_, rest)| {
                        rest == *index || rest.starts_with(&format!("{index} ("))
                    })
                };
                if steps.iter().any(uses) {
                    *count += 1.0;
                }
            }
        }
        for (index, count) in plans {
            push(measures, index, "plans", Some(count));
        }
        Ok(())
    }
}

/// Returns the query of a `CREATE VIEW`.
fn query_of(sql: &str) -> Option<String> {
    let lower = sql.to_ascii_lowercase();
    let at = ["select", "with", "values"]
        .iter()
        .filter_map(|word| {
            let found = lower.match_indices(word).find(|(at, _)| {
                lower[..*at].trim_end().ends_with("as")
                    && lower[..*at].ends_with(char::is_whitespace)
            });
            found.map(|(at, _)| at)
        })
        .min()?;
    // Names of its columns would have to be put on the query's.
    let head = &lower[..at];
    (!head.contains('(')).then(|| sql[at..].to_owned())
}
