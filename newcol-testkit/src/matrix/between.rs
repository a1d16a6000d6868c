//! What an action does to rows that it should leave alone.
//!
//! A stage may fill what is NULL, and bring a replaced column into step that is not. It loses no row,
//! neither of the table nor of any other, and what anybody wrote stays as it was written, in the
//! column as in the others.

use std::collections::BTreeMap;

use newcol_core::{
    backend::Backend,
    db::{DbError, Session},
    execute::backfill::RECORD_TABLES,
    ident::Ident,
    plan::Plan,
    render::text,
};

use super::{
    judge::shown,
    promise::{self, Holds},
    view::{Key, Look, View, rows},
};
use crate::life::LifeError;

/// The rows before an action.
pub(crate) struct Watch {
    names: Vec<Ident>,
    view: View,
    others: BTreeMap<String, u64>,
    /// With what a replaced column may come back.
    returns: BTreeMap<Key, Option<String>>,
}

/// What an action did.
pub(crate) struct Effect {
    /// One line for each thing that was lost, or changed and should not have been.
    pub(crate) damage: Vec<String>,
    /// Whether it filled rows, so that code that knows the column reads them differently.
    pub(crate) filled: bool,
}

impl Watch {
    /// Remembers the table's rows, and how many every other table has.
    pub(crate) fn start(session: &mut Session, plan: &Plan) -> Result<Self, LifeError> {
        let (anything, contract) = (Holds::Anything, &plan.contract);
        let promises = [&anything, &anything, &promise::in_step(plan)];
        let look = Look::new(session, contract, promises)?;
        let view = look.read(session)?;
        let mut others = counts(session)?;
        others.remove(contract.table().name.as_str());
        // A job clears what it no longer needs.
        others.retain(|name, _| !RECORD_TABLES.contains(&name.as_str()));
        let returns = BTreeMap::new();
        Ok(Self { names: look.others().to_vec(), view, others, returns })
    }

    /// Lets a replaced column that has gone come back as what the new one yields at a moment.
    pub(crate) fn allow_return(&mut self, from: &Self) {
        let rows = from.view.rows.iter();
        self.returns = rows.map(|(key, row)| (key.clone(), row.yields.clone())).collect();
    }

    /// Returns how many rows the table had.
    pub(crate) fn rows(&self) -> usize {
        self.view.rows.len()
    }

    /// Returns what happened since.
    pub(crate) fn end(&self, session: &mut Session, plan: &Plan) -> Result<Effect, LifeError> {
        let now = Self::start(session, plan)?;
        let replaced = plan.contract.answers().replaces.as_ref().map(|r| &r.column);
        let mut damage = self.of_rows(&now);
        damage.extend(self.names.iter().enumerate().filter_map(|(at, name)| {
            let place = now.names.iter().position(|other| other == name)?;
            self.of_column(&now, name, (at, place), Some(name) == replaced)
        }));
        damage.extend(self.of_the_column(&now, plan.contract.column()));
        damage.extend(self.others.iter().filter_map(|(table, before)| {
            let lost = before.saturating_sub(*now.others.get(table)?);
            (lost > 0).then(|| format!("loses {lost} of {before} rows of `{table}`"))
        }));
        Ok(Effect { damage, filled: self.is_filled(&now) })
    }

    fn is_filled(&self, now: &Self) -> bool {
        let is_empty = |view: &View, key| {
            view.rows.get(key).is_some_and(|row| row.column.as_ref().is_some_and(Option::is_none))
        };
        self.view.rows.keys().any(|key| is_empty(&self.view, key) && !is_empty(&now.view, key))
    }

    fn of_rows(&self, now: &Self) -> Vec<String> {
        let difference = now.view.since(&self.view);
        let kinds = [("loses", difference.gone.len()), ("adds", difference.new.len())];
        let seen = kinds.into_iter().filter(|(_, count)| *count > 0);
        seen.map(|(verb, count)| format!("{verb} {}", rows(count, "of the table"))).collect()
    }

    fn of_column(
        &self,
        now: &Self,
        name: &Ident,
        (at, place): (usize, usize),
        is_replaced: bool,
    ) -> Option<String> {
        let changed = self.view.rows.iter().filter_map(|(key, old)| {
            let row = now.view.rows.get(key)?;
            let (was, is) = (&old.others[at], &row.others[place]);
            let returns = || self.returns.get(key) == Some(is);
            let follows = is_replaced && (returns() || (!old.followed && row.followed));
            (was != is && !follows).then_some((was, is))
        });
        describe(name, changed)
    }

    fn of_the_column(&self, now: &Self, name: &Ident) -> Option<String> {
        let changed = self.view.rows.iter().filter_map(|(key, old)| {
            let (old, new) = (old.column.as_ref()?, now.view.rows.get(key)?.column.as_ref()?);
            (old.is_some() && old != new).then_some((old, new))
        });
        describe(name, changed)
    }
}

fn describe<'a>(
    name: &Ident,
    changed: impl Iterator<Item = (&'a Option<String>, &'a Option<String>)>,
) -> Option<String> {
    let changed: Vec<_> = changed.collect();
    let (old, new) = changed.first()?;
    let (count, old, new) = (rows(changed.len(), ""), shown(Some(old)), shown(Some(new)));
    Some(format!("changes `{name}` of {}, the first from {old} to {new}", count.trim_end()))
}

/// Returns how many rows each table has that the session sees without naming a schema.
fn counts(session: &mut Session) -> Result<BTreeMap<String, u64>, DbError> {
    let tables = match session.backend() {
        Backend::Postgres => {
            "SELECT relname::text FROM pg_class
             WHERE relkind IN ('r', 'p') AND NOT relispartition
               AND pg_table_is_visible(oid) AND relnamespace::regnamespace::text !~ '^pg_'"
        }
        Backend::Mysql => {
            "SELECT table_name FROM information_schema.tables
             WHERE table_schema = database() AND table_type = 'BASE TABLE'"
        }
        Backend::Sqlite => {
            "SELECT name FROM sqlite_schema
             WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        }
    };
    let mut counts = BTreeMap::new();
    for name in session.query(tables)?.into_iter().flatten().flatten() {
        let quoted = text::quote(session.backend(), &name);
        let count = session.value(&format!("SELECT count(*) FROM {quoted}"))?;
        counts.insert(name, count.and_then(|n| n.parse().ok()).unwrap_or_default());
    }
    Ok(counts)
}
