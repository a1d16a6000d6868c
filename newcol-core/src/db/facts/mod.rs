//! Reads [`TableFacts`] from a live database. Sends only questions to the catalog.
//!
//! `generated` means that the server refuses a value: generated columns and identities that are
//! ALWAYS generated. What the server fills in when no value comes is a default: identities BY
//! DEFAULT and `AUTO_INCREMENT` appear there in the server's own words.

pub(crate) mod mysql;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use super::{DbError, Row, Session, probe::probe_default};
use crate::{
    backend::Backend,
    contract::Contract,
    ident::{ColumnPath, Ident, IdentError, TableName},
    plan::facts::TableFacts,
};

/// Why the facts of a table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// No such table where the session looks.
    #[error("there is no table `{table}` in {database}")]
    NoTable {
        /// The table as named.
        table: TableName,
        /// Where it was looked for: host and database.
        database: String,
        /// Tables with a name like it, nearest first.
        similar: Vec<TableName>,
    },
    /// The table does not have the column yet, or hides it from this user.
    #[error("there is no column `{column}` in {database}")]
    NoColumn {
        /// The column.
        column: ColumnPath,
        /// Where it was looked for: host and database.
        database: String,
    },
    /// A view, a foreign table, a sequence: nothing that takes a column.
    #[error("`{table}` is {what}, not a table")]
    NotATable {
        /// The name.
        table: TableName,
        /// What it is, with article.
        what: &'static str,
    },
    /// The catalog holds a name that we refuse.
    #[error("could not read a name of `{table}`")]
    Name {
        /// The table.
        table: TableName,
        /// Why it is refused.
        source: IdentError,
    },
    /// A question failed.
    #[error("could not read the facts of `{table}`")]
    Database {
        /// The table.
        table: TableName,
        /// What went wrong.
        source: Box<DbError>,
    },
    /// What type and default cost could not be found out.
    #[error("could not try the type and default of `{column}`")]
    Probe {
        /// The column.
        column: ColumnPath,
        /// What went wrong.
        source: Box<DbError>,
    },
}

impl FactsError {
    /// Returns the way out where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoTable { similar, .. } if similar.is_empty() => None,
            Self::NoTable { similar, .. } => {
                let names: Vec<String> = similar.iter().map(|name| format!("`{name}`")).collect();
                Some(format!("did you mean {}?", names.join(" or ")))
            }
            Self::NoColumn { .. } => {
                Some("run the pending migrations: `diesel migration run`".to_owned())
            }
            Self::NotATable { .. } | Self::Name { .. } => None,
            Self::Database { source, .. } | Self::Probe { source, .. } => source.hint(),
        }
    }
}

/// Reads everything that planning wants to know about a table. A name without schema is looked up
/// as the server looks it up.
pub fn read_table(session: &mut Session, table: &TableName) -> Result<TableFacts, FactsError> {
    let mut catalog = Catalog { session, table };
    match catalog.session.backend() {
        Backend::Postgres => postgres::read(&mut catalog),
        Backend::Mysql => mysql::read(&mut catalog),
        Backend::Sqlite => sqlite::read(&mut catalog),
    }
}

/// Reads all that planning a contract wants to know: its table, and on PostgreSQL what its type and
/// default cost there. Both must have passed their `check`.
pub fn read_for(session: &mut Session, contract: &Contract) -> Result<TableFacts, FactsError> {
    let mut facts = read_table(session, contract.table())?;
    if session.backend() == Backend::Postgres
        && let Some(ty) = contract.sql_type(Backend::Postgres)
    {
        let probe =
            probe_default(session, ty, contract.default(Backend::Postgres)).map_err(|source| {
                FactsError::Probe { column: contract.path().clone(), source: Box::new(source) }
            })?;
        facts.default_volatility = Some(probe.volatility);
        facts.type_rewrites = Some(probe.type_rewrites);
    }
    Ok(facts)
}

/// Questions about one table, with its name in every complaint.
pub(crate) struct Catalog<'a> {
    pub(crate) session: &'a mut Session,
    pub(crate) table: &'a TableName,
}

impl Catalog<'_> {
    pub(crate) fn ask(&mut self, sql: &str) -> Result<Vec<Row>, FactsError> {
        self.session
            .query(sql)
            .map_err(|said| FactsError::Database { table: self.table.clone(), source: said.into() })
    }

    pub(crate) fn ident(&self, text: String) -> Result<Ident, FactsError> {
        Ident::new(text).map_err(|source| FactsError::Name { table: self.table.clone(), source })
    }

    /// Reads rows of one name each.
    pub(crate) fn idents(&mut self, sql: &str) -> Result<Vec<Ident>, FactsError> {
        let rows = self.ask(sql)?;
        rows.into_iter().map(|row| self.ident(Fields::from(row).text())).collect()
    }

    /// Reads rows of schema (NULL where it need not be said) and name.
    pub(crate) fn tables(&mut self, sql: &str) -> Result<Vec<TableName>, FactsError> {
        let rows = self.ask(sql)?;
        let read = |row: Row| {
            let mut fields = Fields::from(row);
            let schema = fields.next().map(|schema| self.ident(schema)).transpose()?;
            Ok(TableName { schema, name: self.ident(fields.text())? })
        };
        rows.into_iter().map(read).collect()
    }

    fn no_table(&self, all: Vec<TableName>) -> FactsError {
        FactsError::NoTable {
            table: self.table.clone(),
            database: self.session.url().describe(),
            similar: similar(self.table, all),
        }
    }

    fn not_a_table(&self, what: &'static str) -> FactsError {
        FactsError::NotATable { table: self.table.clone(), what }
    }
}

/// The values of a row, taken from left to right.
pub(crate) struct Fields(std::vec::IntoIter<Option<String>>);

impl From<Row> for Fields {
    fn from(row: Row) -> Self {
        Self(row.into_iter())
    }
}

impl Fields {
    pub(crate) fn next(&mut self) -> Option<String> {
        self.0.next().flatten()
    }

    pub(crate) fn text(&mut self) -> String {
        self.next().unwrap_or_default()
    }

    pub(crate) fn yes(&mut self) -> bool {
        matches!(self.text().as_str(), "t" | "1" | "true" | "YES")
    }
}

/// Returns up to three names like the wanted one, nearest first; the same name elsewhere is nearest.
fn similar(wanted: &TableName, all: Vec<TableName>) -> Vec<TableName> {
    let wanted = wanted.name.as_str().to_lowercase();
    let limit = (wanted.chars().count() / 3).max(1);
    let mut near: Vec<(usize, TableName)> = all
        .into_iter()
        .map(|table| (distance(&wanted, &table.name.as_str().to_lowercase()), table))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    near.sort();
    near.truncate(3);
    near.into_iter().map(|(_, table)| table).collect()
}

/// Counts the characters to insert, remove or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replace = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first() {
        let all = ["users", "user_roles", "audit.user", "orders", "Usr"];
        let all = all.map(|name| name.parse().unwrap()).to_vec();
        let near: Vec<String> =
            similar(&"user".parse().unwrap(), all).iter().map(ToString::to_string).collect();
        assert_eq!(near, ["audit.user", "Usr", "users"]);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
