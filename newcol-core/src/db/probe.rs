//! Asks a server what a default and a type will cost, by trying them where nothing is at stake.
//!
//! PostgreSQL: in a transaction that is rolled back, on an empty temporary table, so no row is
//! rewritten and no volatile function runs. What does run is what the real `ADD COLUMN` would run:
//! a default that is not volatile is evaluated once, and PostgreSQL keeps functions that are
//! declared so from writing. Where temporary tables are out of reach (a standby, no TEMP
//! privilege) or would wake event triggers, the planner is asked instead (`EXPLAIN`, which runs
//! nothing but immutable functions).
//!
//! MySQL and MariaDB have no such place: temporary tables are always copied. There the probe needs
//! a throwaway database, and creates and drops a table in it.

use super::{DbError, Row, Session};
use crate::{
    backend::Backend,
    contract::{Expr, SqlType},
    plan::facts::Volatility,
    render::text::SqlText,
};

/// How an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The columns were added to an empty table, and the server's files compared.
    Tried,
    /// The planner was asked; nothing was created.
    Planned,
}

/// What adding a column of some type and default does on this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Volatility of the default; immutable without one.
    pub volatility: Volatility,
    /// Whether `ADD COLUMN` with type and default rewrites the table.
    pub rewrites: bool,
    /// Whether the type alone rewrites it (a domain with constraints, `serial`).
    pub type_rewrites: bool,
    /// How this was found.
    pub method: Method,
}

/// Gives up early: the probe must never queue behind, or in front of, anyone.
const BUDGET: &str = "SET LOCAL lock_timeout = '500ms'; SET LOCAL statement_timeout = '5s'";

/// Measures a type and a default on PostgreSQL. An error of class `Statement` means that the server
/// refuses the type or the default, and says why. Both must have passed their `check`.
pub fn probe_default(
    session: &mut Session,
    ty: &SqlType,
    default: Option<&Expr>,
) -> Result<Probe, DbError> {
    if session.backend() != Backend::Postgres {
        return Err(session.odd_answer("probe", session.backend().name(), "postgres"));
    }
    let may_try = may_try(session)?;
    // READ WRITE, because a session for reading refuses even temporary tables; nothing is kept.
    session.batch(if may_try { "BEGIN READ WRITE" } else { "BEGIN READ ONLY" })?;
    let answer = session.batch(BUDGET).and_then(|()| match may_try {
        true => tried(session, ty, default),
        false => planned(session, ty, default),
    });
    let undone = session.batch("ROLLBACK");
    let probe = answer?;
    undone.map(|()| probe)
}

/// Reports whether temporary tables of PostgreSQL are in reach, and wake nobody.
fn may_try(session: &mut Session) -> Result<bool, DbError> {
    session.query_bool(
        "SELECT NOT pg_is_in_recovery() \
           AND has_database_privilege(current_database(), 'TEMP') \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D')",
    )
}

/// Runs statements where nothing is at stake, asks there, and takes all of it back. `None` where
/// that is out of reach, or the server refuses a statement or a question.
pub(crate) fn ask_in_vain<T>(
    session: &mut Session,
    statements: &[SqlText],
    ask: impl FnOnce(&mut Session) -> Result<T, DbError>,
) -> Result<Option<T>, DbError> {
    if !may_try(session)? {
        return Ok(None);
    }
    session.batch("BEGIN READ WRITE")?;
    let answer = session
        .batch(BUDGET)
        .and_then(|()| statements.iter().try_for_each(|sql| session.batch(sql.as_str())))
        .and_then(|()| ask(session));
    session.batch("ROLLBACK")?;
    Ok(answer.ok())
}

fn tried(session: &mut Session, ty: &SqlType, default: Option<&Expr>) -> Result<Probe, DbError> {
    session.batch("CREATE TEMPORARY TABLE newcol_probe () ON COMMIT DROP")?;
    let first = file(session)?;
    session.batch(&format!("ALTER TABLE pg_temp.newcol_probe ADD COLUMN of_type {ty}"))?;
    let second = file(session)?;
    let type_rewrites = first != second;
    let Some(default) = default else {
        return Ok(Probe {
            volatility: Volatility::Immutable,
            rewrites: type_rewrites,
            type_rewrites,
            method: Method::Tried,
        });
    };
    session.batch(&format!(
        "ALTER TABLE pg_temp.newcol_probe ADD COLUMN with_default {ty} DEFAULT ({default})"
    ))?;
    let rewrites = second != file(session)?;
    let volatility = match (rewrites, type_rewrites) {
        (true, true) => planned_volatility(session, ty, default)?,
        (true, false) => Volatility::Volatile,
        // Only immutable expressions may be indexed; the answer is a boolean, because not every type
        // can be (json).
        (false, _) => {
            session.batch("SAVEPOINT newcol_index")?;
            let index =
                format!("CREATE INDEX ON pg_temp.newcol_probe (((({default})::{ty}) IS NULL))");
            match session.batch(&index) {
                Ok(()) => Volatility::Immutable,
                Err(_) => {
                    session.batch("ROLLBACK TO SAVEPOINT newcol_index")?;
                    Volatility::Stable
                }
            }
        }
    };
    Ok(Probe { volatility, rewrites, type_rewrites, method: Method::Tried })
}

/// The file of the table: another one after a rewrite.
fn file(session: &mut Session) -> Result<Option<String>, DbError> {
    session.value("SELECT pg_catalog.pg_relation_filenode('pg_temp.newcol_probe'::regclass)")
}

fn planned(session: &mut Session, ty: &SqlType, default: Option<&Expr>) -> Result<Probe, DbError> {
    // Not a type but a column with a sequence, and so volatile.
    const SERIALS: &[&str] =
        &["smallserial", "serial2", "serial", "serial4", "bigserial", "serial8"];
    if SERIALS.iter().any(|serial| ty.as_str().eq_ignore_ascii_case(serial)) {
        return Ok(Probe {
            volatility: Volatility::Volatile,
            rewrites: true,
            type_rewrites: true,
            method: Method::Planned,
        });
    }
    // Refuses what is no type.
    session.query(&format!("EXPLAIN SELECT NULL::{ty}"))?;
    let type_rewrites = session.query_bool(&format!(
        "WITH RECURSIVE base (oid) AS (\
           SELECT pg_catalog.to_regtype({})::oid \
           UNION SELECT t.typbasetype FROM base JOIN pg_catalog.pg_type t USING (oid) \
           WHERE t.typtype = 'd') \
         SELECT EXISTS (SELECT FROM base JOIN pg_catalog.pg_type t USING (oid) \
           WHERE t.typtype = 'd' AND (t.typnotnull OR EXISTS (\
             SELECT FROM pg_catalog.pg_constraint c WHERE c.contypid = t.oid)))",
        super::quote::literal(Backend::Postgres, ty.as_str())
    ))?;
    let volatility = match default {
        Some(default) => planned_volatility(session, ty, default)?,
        None => Volatility::Immutable,
    };
    let rewrites = type_rewrites || volatility == Volatility::Volatile;
    Ok(Probe { volatility, rewrites, type_rewrites, method: Method::Planned })
}

/// Asks the planner: a subquery that computes something volatile is never merged into the query
/// around it. Tells volatile from the rest, not stable from immutable.
fn planned_volatility(
    session: &mut Session,
    ty: &SqlType,
    default: &Expr,
) -> Result<Volatility, DbError> {
    let rows = session.query(&format!(
        "EXPLAIN (COSTS OFF) SELECT 1 FROM (SELECT ({default})::{ty} AS value \
         FROM pg_catalog.pg_class) AS probe WHERE value IS NOT NULL"
    ))?;
    let kept = |row: &Row| row.iter().flatten().any(|line| line.contains("Subquery Scan"));
    Ok(if rows.iter().any(kept) { Volatility::Volatile } else { Volatility::Stable })
}

/// Whether MySQL or MariaDB adds a column without touching rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instant {
    /// `ALGORITHM=INSTANT` is accepted. MariaDB accepts even `DEFAULT (rand())`, and gives every old
    /// row the same value.
    Accepted,
    /// The server would copy or rebuild the table, and says why.
    Refused {
        /// The server's reason.
        why: String,
    },
}

/// Tries `ADD COLUMN … ALGORITHM=INSTANT` on an empty InnoDB table **in a throwaway database**:
/// creates and drops the table `newcol_probe` there. `definition` is all that follows the name of
/// the column, as it will be rendered. A definition that the server refuses under every algorithm
/// is an error.
pub fn probe_instant(session: &mut Session, definition: &str) -> Result<Instant, DbError> {
    session.must_write()?;
    if session.backend() != Backend::Mysql {
        return Err(session.odd_answer("probe", session.backend().name(), "mysql"));
    }
    session.batch("DROP TABLE IF EXISTS newcol_probe")?;
    session.batch("CREATE TABLE newcol_probe (id bigint PRIMARY KEY) ENGINE=InnoDB")?;
    let add = format!("ALTER TABLE newcol_probe ADD COLUMN probed {definition}");
    let answer = match session.batch(&format!("{add}, ALGORITHM=INSTANT")) {
        Ok(()) => Ok(Instant::Accepted),
        // Not supported for this operation, without and with a reason.
        Err(error) if matches!(error.errno(), Some(1845 | 1846)) => {
            let why = error.failure().map(|said| said.message.clone()).unwrap_or_default();
            session.batch(&add).map(|()| Instant::Refused { why })
        }
        Err(error) => Err(error),
    };
    let undone = session.batch("DROP TABLE IF EXISTS newcol_probe");
    let answer = answer?;
    undone.map(|()| answer)
}
