//! Finds rows that every pass by blocks has missed (PostgreSQL).
//!
//! A program that updates a row moves it to another block, which may lie behind the pass, time and
//! again. One statement sees all rows at one moment, so it is asked before a job ends; and what it
//! finds is filled wherever it is then. Keys stay, so a pass by key needs no such look.

use super::{
    BackfillError, Totals,
    job::{Job, Route},
    record::Record,
};
use crate::{
    db::Session,
    render::{backfill::Source, text::SqlText},
};

/// Rows that one statement fills: they are few, and looking for them reads the table.
const MOST: u64 = 1000;

/// A look at the whole table takes as long as it takes; the limit of a role is for statements that
/// may be cut.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 0";

/// How often it looks before the next pass has to.
const LOOKS: u32 = 5;

/// Fills rows that were missed; returns whether some may be left, which is for another pass.
pub(super) fn sweep(
    record: &Record,
    session: &mut Session,
    job: &Job,
    totals: &Totals,
) -> Result<bool, BackfillError> {
    let Route::Blocks(relations) = &job.route else { return Ok(false) };
    let (Source::Sql(_), fill) = (&job.fill.source, &job.fill) else { return Ok(false) };
    let steady = fill.volatility.is_steady();
    // Of another expression nobody knows whether a row that is NULL was missed.
    if !steady && totals.empty > 0 {
        return Ok(false);
    }
    for _ in 0..LOOKS {
        session.batch(BEGIN)?;
        let is_pending = session.query_bool(fill.any_pending().as_str())?;
        session.batch("COMMIT")?;
        if !is_pending {
            return Ok(false);
        }
        for relation in relations {
            session.batch(BEGIN)?;
            for sql in &job.care.before {
                session.batch(sql.as_str())?;
            }
            let filled = session.execute(fill.update_stragglers(&relation.name, MOST).as_str())?;
            let mut end: Vec<&str> = job.care.after.iter().map(SqlText::as_str).collect();
            let add = record.add(filled);
            end.extend([add.as_str(), "COMMIT"]);
            session.batch(&end.join("; "))?;
        }
    }
    Ok(true)
}
