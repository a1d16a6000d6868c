//! Which statements use the index, by their plans.
//!
//! Only statements that look for the column, or join or sort by it, are planned, and few a minute: what
//! was read is kept with the statement's text, the definitions of the table's indexes and the time of
//! its last `ANALYZE`, and read again when one of these changes. Nothing is executed: a plan without
//! values (`GENERIC_PLAN`, or a prepared statement with NULLs before 16) takes no lock that a reader of
//! the table does not take. Where that plan leaves the index alone, the statement is planned once more
//! with a value from either end of the column's histogram: what uses the index with some values and
//! not with others must not be taken for a statement that never does.
//!
//! Planning itself looks at the ends of an index, which the server counts as scans. How often it does
//! for a statement is counted meanwhile, by the transaction's own counters; our own looks are kept and
//! subtracted.

mod ask;
mod compared;
mod text;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hasher as _},
};

use self::compared::Compared;
pub use self::text::{Scan, scans};
use super::{
    benefit::{can_gain, may_pay},
    involve::{Catalog, parse, tokens},
    series::QueryId,
    session::Watcher,
    store::{Statement, Store, StoreError},
    verdict::Asked,
};
use crate::{db::DbError, ident::ColumnPath, sql::is};

/// Seconds after which a statement is planned again that could not be: a right may have been granted.
const REFUSED_FOR: f64 = 600.0;

/// Which statements are planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explain {
    /// None.
    Nothing,
    /// Those that only read.
    Reads,
    /// Those that write as well: planned, never executed.
    Writes,
}

/// What a plan says of one index.
#[derive(Debug, Clone, PartialEq)]
pub enum Use {
    /// It scans it, whatever the values.
    Always {
        /// How often for one execution, as the planner guesses.
        loops: f64,
        /// For how many values one after the other.
        searches: u32,
    },
    /// It scans it with some values, and not with others.
    Sometimes,
    /// It does not.
    Never,
}

/// What a plan does with each of the column's indexes, or why it could not be read.
pub type Uses = Result<BTreeMap<String, Use>, String>;

/// A plan that was read, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Whose.
    pub statement: QueryId,
    /// When, by the server's clock.
    pub at: f64,
    /// What it was made of: text, indexes, statistics.
    pub key: String,
    /// What it says.
    pub found: Uses,
    /// Looks of the planner at an index's ends, for one planning: the most that was counted.
    pub looks: u64,
}

/// What was done for plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    /// Plans that were read.
    pub read: usize,
    /// Statements whose turn comes with a later snapshot.
    pub left: usize,
    /// Why a statement could not be planned, of those of this snapshot: each reason once.
    pub refused: BTreeSet<String>,
    /// Whether the table was locked against everybody, and nothing was planned.
    pub is_locked: bool,
}

/// Returns whether an index could serve the statement.
pub(super) fn can_use(statement: &Statement) -> bool {
    statement
        .involvement
        .as_ref()
        .is_some_and(|found| found.on_table && found.uses.iter().copied().any(can_gain))
}

/// Returns whether planning it could be taken for more than reading: it writes, or locks rows.
pub(super) fn is_write(statement: &Statement, text: &str) -> bool {
    let by_role =
        statement.involvement.as_ref().is_some_and(|found| found.uses.iter().copied().any(may_pay));
    let words = ["INSERT", "UPDATE", "DELETE", "MERGE", "SHARE"];
    let by_word = tokens(text, &Catalog::default()).is_none_or(|tokens| {
        tokens.iter().any(|placed| words.iter().any(|word| is(&placed.token, word)))
    });
    by_role || by_word
}

/// Returns what the statement asks of the column; nothing where its text cannot be read.
pub(super) fn asked(text: &str, column: &str) -> Option<Asked> {
    let any = Catalog::default();
    Some(compared::compared(&parse(&tokens(text, &any)?, &any)?, column).asked)
}

/// Returns statements whose plan is not known, or not any more: the dearest first, those that could not
/// be planned last.
fn due<'s>(
    statements: &'s [Statement],
    plans: &[Plan],
    (schema, now): (&str, f64),
    (explain, cost): (Explain, &BTreeMap<QueryId, f64>),
) -> Vec<(&'s Statement, &'s str, String)> {
    let last: BTreeMap<QueryId, &Plan> = plans.iter().map(|plan| (plan.statement, plan)).collect();
    let mut due = Vec::new();
    for statement in statements.iter().filter(|statement| can_use(statement)) {
        let Some(text) = statement.text.as_deref() else { continue };
        if explain == Explain::Nothing || (explain == Explain::Reads && is_write(statement, text)) {
            continue;
        }
        let key = key(text, schema);
        let rank = match last.get(&statement.id) {
            None => 0,
            Some(plan) if plan.key != key => 1,
            Some(plan) if plan.found.is_err() && now - plan.at >= REFUSED_FOR => 2,
            Some(_) => continue,
        };
        due.push((
            rank,
            cost.get(&statement.id).copied().unwrap_or_default(),
            (statement, text, key),
        ));
    }
    due.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    due.into_iter().map(|(_, _, due)| due).collect()
}

/// Says of what a plan was made. Another version of this program may number it otherwise, and reads
/// plans once more then.
fn key(text: &str, schema: &str) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.write_u8(0);
    hasher.write(schema.as_bytes());
    format!("{:016x}", hasher.finish())
}

/// What may be planned, and how much of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) explain: Explain,
    pub(super) per_minute: usize,
}

/// Reads plans that are due, and keeps them with the snapshot.
pub(super) fn collect<E: From<StoreError> + From<DbError>>(
    watcher: &mut Watcher,
    store: &mut Store,
    column: &ColumnPath,
    budget: Budget,
) -> Result<Planned, E> {
    let Some(last) = store.last_plain()? else { return Ok(Planned::default()) };
    let (Some(table), Some(attribute)) = (last.identity.table.clone(), last.identity.column) else {
        return Ok(Planned::default());
    };
    let (statements, plans) = (store.statements()?, store.plans()?);
    if !statements.iter().any(can_use) || budget.explain == Explain::Nothing {
        return Ok(Planned::default());
    }
    let cost = store.counted_times()?;
    let version = last.identity.version;
    let begun = watcher.busy();
    let (planned, read, looked) = watcher.read(|reading| {
        let scene = reading.scene(&table, attribute, column)?;
        let now = scene.now;
        let recent = plans.iter().filter(|plan| plan.at > now - 60.0).count();
        let due = due(&statements, &plans, (&scene.schema, now), (budget.explain, &cost));
        let now_due = due.len().min(budget.per_minute.saturating_sub(recent));
        let mut planned = Planned { left: due.len() - now_due, ..Planned::default() };
        // An index that is not there cannot be named.
        if scene.indexes.is_empty() {
            return Ok((Planned::default(), Vec::new(), Vec::new()));
        }
        if scene.is_locked {
            planned.is_locked = true;
            planned.left = due.len();
            return Ok((planned, Vec::new(), Vec::new()));
        }
        let first = reading.scans_so_far(&scene)?;
        let mut read = Vec::new();
        for (statement, text, key) in due.into_iter().take(now_due) {
            let (found, looks) = reading.plan(&scene, version, (text, column))?;
            match &found {
                Ok(_) => planned.read += 1,
                Err(why) => {
                    planned.refused.insert(why.clone());
                }
            }
            read.push(Plan { statement: statement.id, at: now, key, found, looks });
        }
        let last = reading.scans_so_far(&scene)?;
        let own = |(name, scans): (&String, &u64)| {
            Some((name.clone(), scans.saturating_sub(*first.get(name)?)))
        };
        Ok((planned, read, last.iter().filter_map(own).filter(|(_, own)| *own > 0).collect()))
    })?;
    let busy = (watcher.busy() - begun).as_secs_f64() * 1000.0;
    store.add_plans(&last, &read, &looked, busy)?;
    Ok(planned)
}

/// Returns a statement with a value in the place of what the column is held against; nothing where it is
/// held against no parameter.
fn with_sample(text: &str, column: &ColumnPath, literal: &str) -> Option<String> {
    let any = Catalog::default();
    let tokens = tokens(text, &any)?;
    let statement = parse(&tokens, &any)?;
    let Compared { parameters, .. } = compared::compared(&statement, column.column.as_str());
    (!parameters.is_empty()).then(|| compared::with_value(text, &tokens, &parameters, literal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{
        involve::{Involvement, Layer},
        series::{Role, Window},
    };

    fn statement(id: i64, text: &str, uses: &[Role]) -> Statement {
        Statement {
            id: QueryId(id),
            text: Some(text.to_owned()),
            is_of_old: false,
            involvement: Some(Involvement {
                uses: uses.iter().copied().collect(),
                layer: Layer::Text,
                on_table: true,
                is_command: false,
                why: None,
            }),
            lineage: None,
            history: Window {
                from: 0.0,
                to: 0.0,
                calls: 0,
                total_ms: 0.0,
                sd_ms: None,
                rows: 0,
                blocks: 0,
                wal_bytes: None,
            },
        }
    }

    fn plan(id: i64, key: String, found: Result<(), &str>) -> Plan {
        let found = found.map(|()| BTreeMap::new()).map_err(str::to_owned);
        Plan { statement: QueryId(id), at: 1000.0, key, found, looks: 0 }
    }

    #[test]
    fn the_dearest_of_those_without_a_plan_come_first() {
        let texts: Vec<String> =
            (0..6).map(|at| format!("SELECT {at} FROM users WHERE locale = $1")).collect();
        let mut statements: Vec<Statement> =
            texts.iter().zip(0..).map(|(text, id)| statement(id, text, &[Role::Filter])).collect();
        statements.push(statement(6, "SELECT locale FROM users", &[Role::Projected]));
        statements.push(statement(
            7,
            "UPDATE users SET a = $1 WHERE locale = $2",
            &[Role::Filter, Role::Writes],
        ));
        statements.push(statement(
            8,
            "SELECT 1 FROM users WHERE locale = $1 FOR UPDATE",
            &[Role::Filter],
        ));
        let cost: BTreeMap<QueryId, f64> = (0..9).map(|id| (QueryId(id), id as f64)).collect();
        let of = |id: usize| key(&texts[id], "indexes");
        let plans = [
            plan(0, of(0), Ok(())),
            plan(1, "of other indexes".into(), Ok(())),
            plan(2, of(2), Err("denied")),
        ];
        let due = |now: f64, explain: Explain| -> Vec<i64> {
            let due = due(&statements, &plans, ("indexes", now), (explain, &cost));
            due.into_iter().map(|(statement, ..)| statement.id.0).collect()
        };
        assert_eq!(due(1001.0, Explain::Reads), [5, 4, 3, 1]);
        assert_eq!(due(1700.0, Explain::Reads), [5, 4, 3, 1, 2]);
        assert_eq!(due(1001.0, Explain::Writes), [8, 7, 5, 4, 3, 1]);
        assert!(due(1001.0, Explain::Nothing).is_empty());
    }
}
