//! What the table holds at a moment, and how two such views differ.

use std::collections::BTreeMap;

use newcol_core::{
    backend::Backend,
    contract::Contract,
    db::{Row, Session, facts::read_table},
    ident::Ident,
    render::text,
};

use super::promise::Holds;
use crate::life::LifeError;

/// What identifies a row: its key, or all its values that stay and a counter where the table has
/// none.
pub(super) type Key = Vec<Option<String>>;

/// How to look at the table at a moment.
pub(super) struct Look {
    sql: String,
    key: Vec<usize>,
    others: Vec<Ident>,
    has_column: bool,
}

/// The rows of the table.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) rows: BTreeMap<Key, Seen>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The other columns.
    pub(super) others: Row,
    /// The column; `None` before it exists.
    pub(super) column: Option<Option<String>>,
    /// Whether it keeps what is promised for rows that code without the column inserts.
    pub(super) inserted: bool,
    /// Whether it keeps what is promised for rows that were there before the column.
    pub(super) settled: bool,
    /// Whether the column and the one that it replaces are in step.
    pub(super) followed: bool,
    /// What the column yields for the one that it replaces.
    pub(super) yields: Option<String>,
}

/// How a view differs from an earlier one.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) new: Vec<Key>,
    pub(super) gone: Vec<Key>,
    pub(super) changed: Vec<Key>,
}

impl Look {
    /// Learns the table's columns of the moment. What is promised is, in this order: of rows that
    /// code without the column inserts, of rows from before it, and of the column it replaces.
    pub(super) fn new(
        session: &mut Session,
        contract: &Contract,
        promises: [&Holds; 3],
    ) -> Result<Self, LifeError> {
        let backend = session.backend();
        let facts = read_table(session, contract.table())
            .map_err(|source| LifeError::Facts { column: contract.path().clone(), source })?;
        let names: Vec<&Ident> = facts.columns.iter().map(|column| &column.name).collect();
        let has_column = names.contains(&contract.column());
        let others: Vec<&Ident> =
            names.into_iter().filter(|name| *name != contract.column()).collect();
        let replaces = contract.answers().replaces.as_ref();
        let replaced = replaces.map(|r| &r.column);
        let key = if facts.primary_key.is_empty() {
            (0..others.len()).filter(|at| Some(others[*at]) != replaced).collect()
        } else {
            let place = |name: &Ident| others.iter().position(|other| *other == name);
            facts.primary_key.iter().filter_map(place).collect()
        };
        let mut list: Vec<String> =
            others.iter().map(|name| shown(backend, &text::name(backend, name))).collect();
        if has_column {
            let column = text::name(backend, contract.column());
            list.push(shown(backend, &column));
            // Without the column that it replaces there is nothing to compute it from.
            let alone = replaced.is_some_and(|name| !others.contains(&name));
            list.extend(
                promises
                    .map(|holds| condition(if alone { &Holds::Anything } else { holds }, &column)),
            );
            let back = replaces.and_then(|replaces| replaces.back.get(backend));
            list.extend(back.map(|back| shown(backend, &format!("({back})"))));
        }
        let table = text::table(backend, contract.table());
        let sql = format!("SELECT {} FROM {table}", list.join(", "));
        let others = others.into_iter().cloned().collect();
        Ok(Self { sql, key, others, has_column })
    }

    /// Returns the other columns, in the order of [`Seen::others`].
    pub(super) fn others(&self) -> &[Ident] {
        &self.others
    }

    /// Reads the table.
    pub(super) fn read(&self, session: &mut Session) -> Result<View, LifeError> {
        let mut view = View::default();
        for row in session.query(&self.sql)? {
            let mut others = row;
            let rest = others.split_off(self.others.len());
            let mut key: Key = self.key.iter().map(|at| others[*at].clone()).collect();
            let mut rest = rest.into_iter();
            let column = if self.has_column { rest.next() } else { None };
            let mut holds = || rest.next().flatten().is_none_or(|yes| yes != "f" && yes != "0");
            let (inserted, settled, followed) = (holds(), holds(), holds());
            let yields = rest.next().flatten();
            let seen = Seen { others, column, inserted, settled, followed, yields };
            // Only rows of a table without key can meet another one here.
            let base = key.len();
            while view.rows.contains_key(&key) {
                let count = key.get(base).cloned().flatten().and_then(|n| n.parse().ok());
                key.truncate(base);
                key.push(Some((count.unwrap_or(0_u64) + 1).to_string()));
            }
            view.rows.insert(key, seen);
        }
        Ok(view)
    }
}

impl View {
    /// Returns how this view differs from an earlier one.
    pub(super) fn since(&self, earlier: &Self) -> Difference {
        let mut difference = Difference::default();
        for (key, seen) in &self.rows {
            match earlier.rows.get(key) {
                None => difference.new.push(key.clone()),
                Some(before) if before.others != seen.others || before.column != seen.column => {
                    difference.changed.push(key.clone());
                }
                Some(_) => {}
            }
        }
        let gone = earlier.rows.keys().filter(|key| !self.rows.contains_key(*key));
        difference.gone.extend(gone.cloned());
        difference
    }
}

impl Difference {
    /// Describes it as numbers of rows.
    pub(super) fn describe(&self) -> String {
        let counts = [("new", &self.new), ("changed", &self.changed), ("gone", &self.gone)];
        let parts: Vec<String> = counts
            .iter()
            .filter(|(_, keys)| !keys.is_empty())
            .map(|(what, keys)| rows(keys.len(), what))
            .collect();
        if parts.is_empty() { "no row touched".to_owned() } else { parts.join(", ") }
    }

    /// Returns the numbers of new, changed and gone rows.
    pub(super) fn counts(&self) -> [usize; 3] {
        [self.new.len(), self.changed.len(), self.gone.len()]
    }
}

/// Writes a number of rows.
pub(super) fn rows(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} row{s} {what}")
}

/// Bytes that are not text are compared as well as any other.
fn shown(backend: Backend, column: &str) -> String {
    match backend {
        Backend::Postgres => format!("{column}::text"),
        Backend::Mysql | Backend::Sqlite => column.to_owned(),
    }
}

fn condition(holds: &Holds, column: &str) -> String {
    match holds {
        Holds::Anything => "1 = 1".to_owned(),
        Holds::Null => format!("{column} IS NULL"),
        Holds::Value => format!("{column} IS NOT NULL"),
        Holds::Expression { condition, .. } => format!("({condition})"),
    }
}
